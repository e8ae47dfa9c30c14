<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

/**
 * A key/value store as the adapter sees it.
 *
 * The methods behave as the ephpm_kv_*() functions do. Keys and values are any
 * bytes; an integer is a canonical signed 64-bit decimal.
 */
interface KvOpsInterface
{
    /**
     * @return string|null the value, or null: no such key, or it has expired
     */
    public function get(string $key): ?string;

    /**
     * @param int $ttlSeconds 0 or negative: the key never expires
     *
     * @return bool false: the store has no room for it, or never will have
     */
    public function set(string $key, string $value, int $ttlSeconds = 0): bool;

    /**
     * @return int how many keys were removed: 1 or 0
     */
    public function del(string $key): int;

    /**
     * @return bool false: no such key, or it has expired
     */
    public function exists(string $key): bool;

    /**
     * Adds to an integer in one atomic step. An absent key counts as 0, a
     * present one keeps its expiry.
     *
     * @return int the sum
     *
     * @throws \RuntimeException 'stored value is not an integer', or another
     *                           reason why nothing was changed
     */
    public function incrBy(string $key, int $delta): int;

    /**
     * @param int $ttlSeconds from now; 0 or negative: the key never expires
     *
     * @return bool false: no such key
     */
    public function expire(string $key, int $ttlSeconds): bool;

    /**
     * @return int seconds left, rounded up; -1: never expires; -2: no such key
     */
    public function ttl(string $key): int;

    /**
     * @return int milliseconds left; -1: never expires; -2: no such key
     */
    public function pttl(string $key): int;

    /**
     * Removes every key of the store, whoever it belongs to.
     */
    public function flush(): bool;
}
