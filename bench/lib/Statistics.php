<?php

declare(strict_types=1);

namespace Ephpm\Bench;

final class Statistics
{
    /**
     * @param list<float> $figures
     */
    public static function median(array $figures): float
    {
        sort($figures);
        $count = \count($figures);
        if (0 === $count) {
            throw new BenchError('no round was measured');
        }
        $middle = intdiv($count, 2);

        return 1 === $count % 2 ? $figures[$middle] : ($figures[$middle - 1] + $figures[$middle]) / 2;
    }

    /**
     * The smallest figure that at least $share of all do not exceed.
     *
     * @param list<int> $figures
     * @param float     $share   0.99 for the 99th percentile
     */
    public static function percentile(array $figures, float $share): float
    {
        sort($figures);
        $count = \count($figures);
        if (0 === $count) {
            throw new BenchError('no call was measured');
        }

        return (float) $figures[max(0, (int) ceil($share * $count) - 1)];
    }
}
