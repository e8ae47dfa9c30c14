<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * Timings whose rounds are interleaved: every round runs each subject for
 * about a millisecond, so that what slows the machine down slows all of them
 * down.  The order is another one in every round, since each finds what the
 * one before it left in the processor's caches.  A batch in which the kernel
 * took the processor away is repeated.
 */
final class Rounds
{
    private const TRIES = 6;

    /**
     * @param bool $warm whether each batch is run once before it is timed
     */
    public function __construct(
        private readonly int $rounds,
        private readonly int $batchNs,
        private readonly bool $warm,
    ) {}

    /**
     * @param array<string, \Closure(int, int): int> $subjects by name; each is given the number of calls and of the
     *                                                         round, and returns the nanoseconds
     * @param int                                    $most     calls in a batch
     * @param array<string, int>                     $fixed    calls in a batch of these subjects, however long it takes
     *
     * @return array<string, list<float>> nanoseconds a call, one a round
     */
    public function measure(array $subjects, int $most = 1_000_000, array $fixed = []): array
    {
        $calls = [];
        $figures = [];
        foreach ($subjects as $name => $subject) {
            $calls[$name] = $fixed[$name] ?? $this->callsThatLast($subject, $most);
            $figures[$name] = [];
        }
        $names = array_keys($subjects);
        for ($round = 0; $round < $this->rounds; ++$round) {
            shuffle($names);
            foreach ($names as $name) {
                $figures[$name][] = $this->undisturbed($subjects[$name], $calls[$name], $round) / $calls[$name];
            }
        }

        return $figures;
    }

    /**
     * @param \Closure(int, int): int $subject
     */
    private function undisturbed(\Closure $subject, int $calls, int $round): int
    {
        if ($this->warm) {
            $subject($calls, $round);
        }
        $best = PHP_INT_MAX;
        for ($try = 0; $try < self::TRIES; ++$try) {
            $before = self::interruptions();
            $ns = $subject($calls, $round + $try * $this->rounds);
            if ($before === self::interruptions()) {
                return $ns;
            }
            $best = min($best, $ns);
        }

        return $best;
    }

    /**
     * How often the kernel has taken the processor away from this process.
     */
    public static function interruptions(): int
    {
        $switches = (getrusage() ?: [])['ru_nivcsw'] ?? 0;

        return \is_int($switches) ? $switches : 0;
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
