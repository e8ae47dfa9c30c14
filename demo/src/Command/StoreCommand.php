<?php

declare(strict_types=1);

namespace App\Command;

use App\Posts;
use App\Visits;
use Ephpm\Cache\Symfony\SapiKvOps;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Console\Style\SymfonyStyle;

/**
 * What the store holds: the server's, which the web workers use, where
 * ephpm.kv_socket says where it listens; else this command's own, and empty.
 */
#[AsCommand(name: 'demo:store', description: 'Shows what the store holds')]
final class StoreCommand extends Command
{
    private const FIGURES = ['entries', 'used_bytes', 'limit_bytes', 'hits', 'misses', 'evictions', 'expirations'];
    private const KEYS = [Visits::PAGE, Visits::API, Posts::POST_RUNS, Posts::STAMPEDE_RUNS];

    public function __construct(private readonly SapiKvOps $kv)
    {
        parent::__construct();
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $io = new SymfonyStyle($input, $output);
        $socket = (string) \ini_get('ephpm.kv_socket');
        $figures = \ephpm_kv_stats();
        if (0 === $figures['limit_bytes']) {
            $io->error('The store cannot be reached; the warning above says why.');

            return self::FAILURE;
        }
        $io->title('' === $socket ? 'A private store, of this command alone' : "The server's store, through {$socket}");
        $io->table([], array_map(static fn(string $name): array => [$name, $figures[$name]], self::FIGURES));
        $io->table(
            ['key', 'value'],
            array_map(static fn(string $key, ?string $value): array => [$key, $value ?? 'none'], self::KEYS, $this->kv->mget(self::KEYS)),
        );

        return self::SUCCESS;
    }
}
