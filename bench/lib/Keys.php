<?php

declare(strict_types=1);

namespace Ephpm\Bench;

final class Keys
{
    /**
     * $count distinct keys of 16 bytes.
     *
     * @return list<string>
     */
    public static function make(string $prefix, int $count, int $first = 0): array
    {
        $keys = [];
        $digits = 16 - \strlen($prefix);
        for ($at = $first; $at < $first + $count; ++$at) {
            $keys[] = $prefix . str_pad((string) $at, $digits, '0', STR_PAD_LEFT);
        }

        return $keys;
    }

    /**
     * The same keys in an order that is not that of their creation, the same
     * in every run.
     *
     * @param list<string> $keys
     *
     * @return list<string>
     */
    public static function shuffled(array $keys): array
    {
        mt_srand(4);
        shuffle($keys);

        return $keys;
    }

    /**
     * $count items from a list that is gone through again and again; round
     * after round goes on where the last one ended.
     *
     * @template T
     *
     * @param non-empty-list<T> $items
     *
     * @return list<T>
     */
    public static function cycle(array $items, int $count, int $round): array
    {
        $size = \count($items);
        $from = $round * $count % $size;
        $taken = \array_slice($items, $from, $count);
        while (\count($taken) < $count) {
            array_push($taken, ...\array_slice($items, 0, $count - \count($taken)));
        }

        return $taken;
    }
}
