<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

/**
 * Many keys in one call, beside KvOpsInterface. What implements it can also
 * list its keys, so that a part of them can be cleared.
 *
 * No method is one atomic step: each is a sequence of such steps.
 */
interface BulkKvOpsInterface
{
    /**
     * @param array<string|int> $keys integers count as strings
     *
     * @return list<string|null> the values in the order of the keys; null: no such key, or it has expired
     */
    public function mget(array $keys): array;

    /**
     * @param array<string> $values     by key
     * @param int           $ttlSeconds 0 or negative: the keys never expire
     *
     * @return bool false: at least one was refused; the others are stored all the same
     */
    public function mset(array $values, int $ttlSeconds = 0): bool;

    /**
     * A step of an enumeration, which begins and ends with the cursor 0.
     *
     * A key that stays through the whole enumeration is returned, others may
     * be; none is returned twice unless it was removed and set again.
     *
     * @param int $count how many places of the store are examined
     *
     * @return array{int, list<string>} the cursor of the next step, and keys that begin with $prefix
     */
    public function scan(int $cursor, string $prefix = '', int $count = 100): array;

    /**
     * @return int how many keys were removed
     */
    public function delPrefix(string $prefix): int;
}
