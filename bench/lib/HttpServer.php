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

    /**
     * Not one of those that the kernel gives to clients, as t/lib/Ports.pm says.
     */
    public static function freePort(): int
    {
        $ofClients = (string) @file_get_contents('/proc/sys/net/ipv4/ip_local_port_range');
        $highest = max(11_000, (1 === sscanf($ofClients, '%d', $low) ? (int) $low : 32_768) - 1);
        for ($i = 0; $i < 1000; ++$i) {
            $port = random_int(10_000, $highest);
            if (false !== @stream_socket_server("tcp://127.0.0.1:$port")) {
                return $port;
            }
        }
        throw new BenchError('there is no free port');
    }
}
