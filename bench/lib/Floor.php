<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * What a call costs that does nothing but answer.
 */
final class Floor
{
    /**
     * Any internal function that returns a fresh string of $bytes.
     *
     * The size is a variable, since opcache works out calls of constants when
     * it compiles.
     *
     * @param list<string> $keys one call for each
     */
    public static function timeStrRepeat(array $keys, int $bytes): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            $value = str_repeat('x', $bytes);
        }

        return hrtime(true) - $start;
    }

    /**
     * The loop that every figure contains.
     *
     * @param list<string> $keys
     */
    public static function timeLoop(array $keys): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
        }

        return hrtime(true) - $start;
    }
}
