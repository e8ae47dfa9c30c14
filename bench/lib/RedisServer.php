<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A redis-server for this run alone: on a unix socket in a folder of its own,
 * and nothing of it is kept.
 */
final class RedisServer
{
    private const WAIT_S = 20.0;

    public readonly string $socket;

    private readonly string $folder;

    /** @var resource */
    private $process;

    /**
     * @param bool $forOthers whether other users may connect, if they know the folder's name
     */
    public function __construct(bool $forOthers = false)
    {
        $program = self::program();
        if (null === $program) {
            throw new BenchError('redis-server is not installed');
        }
        $this->folder = sys_get_temp_dir() . '/ephpm-bench-' . bin2hex(random_bytes(6));
        if (!mkdir($this->folder, $forOthers ? 0711 : 0700)) {
            throw new BenchError("cannot make {$this->folder}");
        }
        $this->socket = "{$this->folder}/redis.sock";
        $process = proc_open([
            ...self::endsWithItsParent(), $program, '--port', '0', '--unixsocket', $this->socket,
            '--unixsocketperm', $forOthers ? '777' : '700',
            '--save', '', '--appendonly', 'no', '--dir', $this->folder, '--daemonize', 'no', '--loglevel', 'warning',
        ], [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w']], $pipes);
        if (false === $process) {
            throw new BenchError("cannot start $program");
        }
        $this->process = $process;
        $until = microtime(true) + self::WAIT_S;
        while (false === @stream_socket_client("unix://{$this->socket}", timeout: 1.0)) {
            if (!proc_get_status($this->process)['running'] || microtime(true) > $until) {
                $this->stop();
                throw new BenchError('redis-server does not start');
            }
            usleep(20_000);
        }
    }

    public static function program(string $name = 'redis-server'): ?string
    {
        foreach (explode(':', (string) getenv('PATH') . ':/usr/sbin:/usr/bin') as $folder) {
            if ('' !== $folder && is_executable("$folder/$name")) {
                return "$folder/$name";
            }
        }

        return null;
    }

    /**
     * So that nothing is left running where this process is killed.
     *
     * @return list<string>
     */
    private static function endsWithItsParent(): array
    {
        $setpriv = self::program('setpriv');

        return null === $setpriv ? [] : [$setpriv, '--pdeathsig', 'KILL', '--'];
    }

    public function stop(): void
    {
        if (\is_resource($this->process)) {
            proc_terminate($this->process, SIGKILL);
            proc_close($this->process);
        }
        if (file_exists($this->socket)) {
            unlink($this->socket);
        }
        if (is_dir($this->folder)) {
            rmdir($this->folder);
        }
    }
}
