<?php

declare(strict_types=1);

namespace NitroCache;

interface NitroCacheInterface
{
    /**
     * @param int $ttl seconds; 0 or negative: for ever
     *
     * @return bool false: the key or the value is empty, or there is no room within the limit
     */
    public function set(string $key, string $value, int $ttl = 3600): bool;

    /**
     * @return string|null null: there is no such key, or it has expired
     */
    public function get(string $key): ?string;

    /**
     * Removes an entry, if it is there.
     */
    public function remove(string $key): void;

    /**
     * Removes all entries, of all clients.
     */
    public function clear(): void;

    /**
     * @return array{usage_bytes: int, usage_kb: float, usage_mb: float, lib_path: string, engine: string}
     */
    public function getStats(): array;
}
