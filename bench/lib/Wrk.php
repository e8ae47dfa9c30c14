<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * Slices of load by wrk.  It counts every answer's status; that the answers
 * were the pages asked for shows in the bytes that came, since a page's length
 * is known from pages that were looked at before and after the slice.  (wrk
 * could look at each, but then what is measured is how long that takes.)
 */
final class Wrk
{
    /** What a moment changes in a page that tells of it. */
    private const TOLERANCE = 0.01;

    public function __construct(
        private readonly HttpCase $case,
        private readonly ?string $postFile,
    ) {}

    /**
     * @return float requests a second
     */
    public function slice(HttpServer $server, int $seconds = 1): float
    {
        $sizes = $this->looked($server);
        $command = [
            (string) RedisServer::program('wrk'), '-t1', '-c' . $this->case->connections, "-d{$seconds}s", '--timeout', '60s',
            '-s', __DIR__ . '/http.lua', "http://127.0.0.1:{$server->port}{$this->case->path}", '--',
        ];
        if (null !== $this->postFile) {
            $command[] = $this->postFile;
        }
        $process = proc_open($command, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]], $pipes);
        $said = false === $process ? '' : (string) stream_get_contents($pipes[1]);
        if (false === $process || 0 !== proc_close($process)
            || !preg_match('/^slice (requests=\d+ .*)$/m', $said, $match)) {
            throw new BenchError("wrk failed: $said");
        }
        parse_str(strtr($match[1], ' ', '&'), $counts);
        $count = static fn(string $name): int => is_numeric($counts[$name] ?? null) ? (int) $counts[$name] : -1;
        foreach (['status', 'connect', 'read', 'write', 'timeout'] as $error) {
            if (0 !== $count($error)) {
                throw new BenchError("{$server->name}, {$this->case->path}: {$count($error)} errors ($error)");
            }
        }
        array_push($sizes, ...$this->looked($server));
        $this->mustBeWhole($server, $count('requests'), $count('bytes'), $sizes);

        return $count('requests') * 1e6 / max(1, $count('us'));
    }

    /**
     * @return list<int> how many bytes pages had that were looked at
     */
    private function looked(HttpServer $server): array
    {
        $connection = HttpAnswer::connection($server->port);
        $sizes = [];
        for ($i = 0; $i < 3; ++$i) {
            $answer = HttpAnswer::to($connection, $this->case);
            if (null !== $fault = $this->case->fault($answer)) {
                throw new BenchError("{$server->name}, {$this->case->path}: $fault");
            }
            $sizes[] = $answer->bytes;
        }
        fclose($connection);

        return $sizes;
    }

    /**
     * @param non-empty-list<int> $sizes
     */
    private function mustBeWhole(HttpServer $server, int $requests, int $bytes, array $sizes): void
    {
        // The end of the slice cuts one answer of each connection.
        $least = $requests * min($sizes) * (1 - self::TOLERANCE);
        $most = ($requests + $this->case->connections) * max($sizes) * (1 + self::TOLERANCE);
        if ($requests < 1 || $bytes < $least || $bytes > $most) {
            throw new BenchError(\sprintf(
                '%s, %s: %d answers have %d bytes, not %.0f to %.0f',
                $server->name,
                $this->case->path,
                $requests,
                $bytes,
                $least,
                $most,
            ));
        }
    }
}
