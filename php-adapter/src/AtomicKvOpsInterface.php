<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

/**
 * What several processes agree by, beside KvOpsInterface. Each method but
 * wait() is one atomic step.
 */
interface AtomicKvOpsInterface
{
    /**
     * @param int $ttlSeconds 0 or negative: the key never expires
     *
     * @return bool false: the key exists, or the store has no room
     */
    public function setnx(string $key, string $value, int $ttlSeconds = 0): bool;

    /**
     * Removes a key. Of several who call, one gets the value.
     */
    public function getdel(string $key): ?string;

    /**
     * @param int $ttlSeconds 0 or negative: the key never expires
     *
     * @return bool false: the key has another value or none, or the store has no room
     */
    public function setIfEq(string $key, string $expected, string $value, int $ttlSeconds = 0): bool;

    /**
     * @return bool false: the key has another value or none
     */
    public function delIfEq(string $key, string $expected): bool;

    /**
     * Waits until the key's version exceeds $lastVersion.
     *
     * Versions grow with every change of the value and every removal, expiry
     * included; 0 is less than all of them, so that it answers at once. An
     * absent key may be answered once more though it is still absent.
     *
     * @param int $timeoutMs 0 or negative: does not wait
     *
     * @return array{version: int, value: string|null}|false false: the time is over
     */
    public function wait(string $key, int $lastVersion, int $timeoutMs): array|false;
}
