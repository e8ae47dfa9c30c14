<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Processes;

use PHPUnit\Framework\Assert;

/**
 * Processes that share the private store of the command line.
 */
final class Fork
{
    /**
     * @param int                    $count of processes
     * @param \Closure(int): string $do    what each of them says, in one go
     *
     * @return list<string>
     */
    public static function all(int $count, \Closure $do): array
    {
        $pipes = [];
        for ($i = 0; $i < $count; ++$i) {
            $pair = stream_socket_pair(\STREAM_PF_UNIX, \STREAM_SOCK_STREAM, 0);
            Assert::assertIsArray($pair);
            $pid = pcntl_fork();
            if (0 === $pid) {
                try {
                    fwrite($pair[1], $do($i));
                } catch (\Throwable $e) {
                    fwrite($pair[1], 'failed: ' . $e->getMessage());
                }
                // Without PHPUnit's own ending.
                posix_kill(posix_getpid(), \SIGKILL);
            }
            Assert::assertGreaterThan(0, $pid);
            fclose($pair[1]);
            $pipes[$pid] = $pair[0];
        }
        $said = [];
        foreach ($pipes as $pid => $pipe) {
            $said[] = (string) stream_get_contents($pipe);
            pcntl_waitpid($pid, $status);
        }

        return $said;
    }
}
