<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A php-fpm of this run alone, on a unix socket, with children that live from
 * the first to the last request.
 */
final class Fpm
{
    public readonly string $socket;

    private readonly string $folder;

    private readonly Service $service;

    /**
     * @param list<string> $extensions of PHP
     */
    public function __construct(HttpSites $sites, array $extensions, int $children)
    {
        $program = self::program() ?? throw new BenchError('php-fpm is needed: apt-get install php-fpm');
        $this->folder = $sites->newFolder('fpm');
        $this->socket = "{$this->folder}/fpm.sock";
        $sites->writePhpIni($this->folder, ...$extensions);
        $user = (string) getenv('EPHPM_SERVER_USER');
        $as = '' === $user ? '' : "user = $user\ngroup = " . getenv('EPHPM_SERVER_GROUP') . "\n";
        file_put_contents("{$this->folder}/fpm.conf", <<<END
            [global]
            error_log = {$this->folder}/fpm.log
            log_level = notice
            daemonize = no
            [bench]
            {$as}listen = {$this->socket}
            listen.mode = 0666
            pm = static
            pm.max_children = $children
            pm.max_requests = 0
            php_admin_value[error_log] = {$this->folder}/php.log

            END);
        touch("{$this->folder}/php.log");
        chmod("{$this->folder}/php.log", 0666);
        try {
            $this->service = new Service(
                [$program, '-F', '-y', "{$this->folder}/fpm.conf", '-c', $this->folder],
                "{$this->folder}/said",
                "{$this->folder}/conf.d",
                fn(): bool => str_contains((string) @file_get_contents("{$this->folder}/fpm.log"), 'ready to handle'),
            );
        } catch (BenchError $failure) {
            throw new BenchError($failure->getMessage() . @file_get_contents("{$this->folder}/fpm.log"));
        }
    }

    /** Of the PHP that runs this. */
    public static function program(): ?string
    {
        return RedisServer::program('php-fpm' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION)
            ?? RedisServer::program('php-fpm');
    }

    public function stop(): void
    {
        $this->service->stop();
    }

    /** What PHP has said, and what php-fpm has said of it. */
    public function log(): string
    {
        $log = '';
        foreach (['php.log', 'fpm.log'] as $name) {
            $log .= @file_get_contents("{$this->folder}/$name");
        }

        return $log;
    }
}
