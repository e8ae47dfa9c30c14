<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * How much one process got done in how much time.
 */
final class Slice
{
    public function __construct(
        public readonly int $calls,
        public readonly int $ns,
    ) {}

    /**
     * Of one process: a slice that began late, since the machine had other
     * things to do, counts for as much as was left of it.
     *
     * @param list<self> $slices
     */
    public static function perSecond(array $slices): float
    {
        $calls = 0;
        $ns = 0;
        foreach ($slices as $slice) {
            $calls += $slice->calls;
            $ns += $slice->ns;
        }

        return $calls * 1e9 / max(1, $ns);
    }
}
