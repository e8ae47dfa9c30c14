<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A cache that a script can use.
 *
 * The timed methods call one function once for each element and return how
 * many nanoseconds the whole loop took, the loop itself included: what a user
 * of the function pays.
 */
interface Backend
{
    /** As in the results: `ours`, `apcu`, `phpredis`. */
    public function name(): string;

    /**
     * @param list<string> $keys
     */
    public function timeGet(array $keys): int;

    /**
     * @param list<string> $keys
     */
    public function timeSet(array $keys, string $value): int;

    /**
     * @param list<string> $keys
     */
    public function timeSetTtl(array $keys, string $value, int $ttl): int;

    /**
     * @param list<string> $keys
     */
    public function timeIncr(array $keys): int;

    /**
     * @param list<string> $keys
     */
    public function timeExists(array $keys): int;

    /**
     * @param list<list<string>> $batches
     */
    public function timeGetMany(array $batches): int;

    /**
     * @param list<array<string, string>> $batches
     */
    public function timeSetMany(array $batches): int;

    /**
     * Enumerate the keys that begin with $prefix.
     *
     * @param int $count receives how many there were
     */
    public function timeScan(string $prefix, int &$count): int;

    /**
     * Store $value under each key, not timed.
     *
     * @param list<string> $keys
     */
    public function fill(array $keys, string $value): void;

    /**
     * How many of the keys hold exactly $value.
     *
     * @param list<string> $keys
     */
    public function count(array $keys, string $value): int;

    /** What an integer key holds. */
    public function counter(string $key): int;

    /**
     * Let go of what cannot be used on both sides of a fork.
     */
    public function reopen(): void;
}
