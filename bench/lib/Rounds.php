<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * Timings whose rounds are interleaved: every round runs each subject for
 * some milliseconds, in an order that turns, so that what slows the machine
 * down slows all of them down.
 */
final class Rounds
{
    public function __construct(
        private readonly int $rounds,
        private readonly int $batchNs,
    ) {}

    /**
     * @param array<string, \Closure(int, int): int> $subjects by name; each is given the number of calls and of the
     *                                                         round, and returns the nanoseconds
     * @param int                                    $most     calls in a round
     *
     * @return array<string, list<float>> nanoseconds a call, one a round
     */
    public function measure(array $subjects, int $most = 1_000_000): array
    {
        $calls = [];
        $figures = [];
        foreach ($subjects as $name => $subject) {
            $calls[$name] = $this->callsThatLast($subject, $most);
            $figures[$name] = [];
        }
        $names = array_keys($subjects);
        for ($round = 0; $round < $this->rounds; ++$round) {
            foreach ($names as $name) {
                $figures[$name][] = $subjects[$name]($calls[$name], $round) / $calls[$name];
            }
            $names[] = array_shift($names);
        }

        return $figures;
    }

    /**
     * @param \Closure(int, int): int $subject
     */
    private function callsThatLast(\Closure $subject, int $most): int
    {
        $calls = min(4, $most);
        do {
            $calls = min($calls * 4, $most);
            // Twice, in case something else got hold of the processor.
            $ns = max(1, min($subject($calls, 0), $subject($calls, 0)));
        } while ($ns < $this->batchNs / 4 && $calls < $most);

        return max(1, min($most, (int) ($calls * $this->batchNs / $ns)));
    }
}
