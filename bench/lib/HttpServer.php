<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A server of this run alone, on a free port of its own.
 */
abstract class HttpServer
{
    public readonly int $port;

    /**
     * @param string $name   ours, or the peer's
     * @param string $folder with its configuration and logs
     */
    protected function __construct(
        public readonly string $name,
        protected readonly string $folder,
    ) {
        $this->port = self::freePort();
    }

    abstract public function stop(): void;

    /** All that it has logged. */
    abstract protected function log(): string;

    /**
     * What PHP or a process that died has left in the log fails the benchmark.
     */
    public function mustBeQuiet(): void
    {
        $bad = '/^.*(?:PHP [A-Z]|exit signal|exited on signal|\[critical\]|\[emerg\]|\[alert\]|\[crit\]).*$/m';
        if (preg_match($bad, $this->log(), $line)) {
            throw new BenchError("{$this->name} has logged: {$line[0]}");
        }
    }

    protected function file(string $name): string
    {
        return (string) @file_get_contents("{$this->folder}/$name");
    }

    public static function freePort(): int
    {
        $socket = stream_socket_server('tcp://127.0.0.1:0');
        $name = false === $socket ? false : stream_socket_get_name($socket, false);
        if (false === $name) {
            throw new BenchError('there is no free port');
        }

        return (int) substr($name, (int) strrpos($name, ':') + 1);
    }
}
