<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * What bench/kv-hits has found out about the store alone.
 */
final class Hits
{
    public readonly float $overheadBytes;

    /** @var list<array{trace: string, alpha: string, ours: float, lru: float}> */
    private readonly array $traces;

    public function __construct(bool $quick)
    {
        $program = getenv('EPHPM_BUILDDIR') . '/bench/kv-hits';
        if (!is_executable($program)) {
            throw new BenchError("there is no $program: make it with make bench-programs, as ./dev bench does");
        }
        $process = proc_open(
            $quick ? [$program, '--quick'] : [$program],
            [['file', '/dev/null', 'r'], ['pipe', 'w']],
            $pipes,
        );
        if (false === $process) {
            throw new BenchError("cannot start $program");
        }
        $output = (string) stream_get_contents($pipes[1]);
        if (0 !== proc_close($process)) {
            throw new BenchError("$program failed");
        }
        $traces = [];
        $overhead = null;
        foreach (explode("\n", trim($output)) as $line) {
            $words = explode(' ', $line);
            if ('overhead' === $words[0] && 2 === \count($words)) {
                $overhead = (float) $words[1];
            } elseif (4 === \count($words)) {
                $traces[] = [
                    'trace' => $words[0],
                    'alpha' => $words[1],
                    'ours' => (float) $words[2],
                    'lru' => (float) $words[3],
                ];
            } else {
                throw new BenchError("$program said \"$line\"");
            }
        }
        $this->overheadBytes = $overhead ?? throw new BenchError("$program did not tell the overhead");
        $this->traces = $traces;
    }

    /**
     * The trace that is worst for us is the case's result; the others are
     * shown beside it.
     *
     * @return list<Row>
     */
    public function rows(string $case, string $trace): array
    {
        $rows = [];
        foreach ($this->traces as $one) {
            if ($one['trace'] === $trace) {
                $rows[] = $one;
            }
        }
        usort($rows, static fn(array $a, array $b): int => $a['ours'] / $a['lru'] <=> $b['ours'] / $b['lru']);
        $lines = [];
        foreach ($rows as $place => $one) {
            $name = 0 === $place ? $case : "$trace, Zipf {$one['alpha']}";
            $lines[] = new Row($name, $one['ours'], 'lru', $one['lru'], 'hits/get', result: 0 === $place);
        }

        return $lines;
    }
}
