<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * One server of Redis's protocol, and slices of load on it by redis-benchmark.
 * That each request was carried out shows in the server's own counts.
 */
final class RespTarget
{
    private const CLIENTS = 50;

    /**
     * @param string $name   ours, or the peer's
     * @param string $socket path
     * @param int    $port   on 127.0.0.1
     */
    public function __construct(
        private readonly string $name,
        private readonly string $socket,
        private readonly int $port,
    ) {}

    /**
     * @return float requests a second
     */
    public function slice(RespCase $case, int $requests): float
    {
        $before = $this->counts($case);
        $rate = $this->benchmark($case, $requests);
        $after = $this->counts($case);
        $done = $after['commands'] - $before['commands'];
        if ($done < $requests) {
            throw new BenchError("{$this->name}: $done commands were run of $requests");
        }
        if ('get' === $case->command() && $after['hits'] - $before['hits'] < $requests) {
            throw new BenchError("{$this->name}: not every get has found the value");
        }

        return $rate;
    }

    public function fill(): void
    {
        $this->benchmark(RespCase::SetP16, 20_000);
        $this->benchmark(RespCase::SetP16Tcp, 20_000);
    }

    private function benchmark(RespCase $case, int $requests): float
    {
        $process = proc_open([
            (string) RedisServer::program('redis-benchmark'),
            ...($case->tcp() ? ['-h', '127.0.0.1', '-p', (string) $this->port] : ['-s', $this->socket]),
            '-t', $case->command(), '-n', (string) $requests, '-P', (string) $case->pipeline(),
            '-c', (string) self::CLIENTS, '-e', '--csv',
        ], [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]], $pipes);
        $said = false === $process ? '' : (string) stream_get_contents($pipes[1]);
        if (false === $process || 0 !== proc_close($process) || str_contains($said, 'Error from server')
            || !preg_match('/^"' . strtoupper($case->command()) . '","([\d.]+)"/m', $said, $match)) {
            throw new BenchError("{$this->name}: redis-benchmark failed: $said");
        }

        return (float) $match[1];
    }

    /**
     * @return array{commands: int, hits: int}
     */
    private function counts(RespCase $case): array
    {
        $address = $case->tcp() ? "tcp://127.0.0.1:{$this->port}" : "unix://{$this->socket}";
        $connection = stream_socket_client($address, timeout: 10.0);
        if (false === $connection) {
            throw new BenchError("{$this->name} does not answer at $address");
        }
        fwrite($connection, "INFO stats\r\n");
        $length = (int) substr((string) fgets($connection), 1);
        $text = (string) stream_get_contents($connection, $length);
        fclose($connection);
        $of = static fn(string $name): int => preg_match("/^$name:(\\d+)/m", $text, $match) ? (int) $match[1] : 0;

        return ['commands' => $of('total_commands_processed'), 'hits' => $of('keyspace_hits')];
    }
}
