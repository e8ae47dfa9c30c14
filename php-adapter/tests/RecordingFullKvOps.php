<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\KvOpsInterface;

/**
 * As RecordingKvOps, with the methods of all three interfaces.
 */
final class RecordingFullKvOps extends RecordingKvOps implements BulkKvOpsInterface, AtomicKvOpsInterface
{
    public function __construct(private readonly KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface $all)
    {
        parent::__construct($all);
    }

    public function mget(array $keys): array
    {
        $values = $this->all(__FUNCTION__)->mget($keys);
        foreach ($values as $value) {
            if (null === $value) {
                $this->missed();
            }
        }

        return $values;
    }

    public function mset(array $values, int $ttlSeconds = 0): bool
    {
        $store = $this->all(__FUNCTION__);
        if ($this->full) {
            return false;
        }
        foreach (array_keys($values) as $key) {
            $this->ttls[(string) $key] = $ttlSeconds;
            $this->keysSet[] = (string) $key;
        }

        return $store->mset($values, $ttlSeconds);
    }

    public function scan(int $cursor, string $prefix = '', int $count = 100): array
    {
        return $this->all(__FUNCTION__)->scan($cursor, $prefix, $count);
    }

    public function delPrefix(string $prefix): int
    {
        return $this->all(__FUNCTION__)->delPrefix($prefix);
    }

    public function setnx(string $key, string $value, int $ttlSeconds = 0): bool
    {
        $store = $this->all(__FUNCTION__);

        return !$this->full && $store->setnx($key, $value, $ttlSeconds);
    }

    public function getdel(string $key): ?string
    {
        return $this->all(__FUNCTION__)->getdel($key);
    }

    public function setIfEq(string $key, string $expected, string $value, int $ttlSeconds = 0): bool
    {
        $store = $this->all(__FUNCTION__);

        return !$this->full && $store->setIfEq($key, $expected, $value, $ttlSeconds);
    }

    public function delIfEq(string $key, string $expected): bool
    {
        return $this->all(__FUNCTION__)->delIfEq($key, $expected);
    }

    public function wait(string $key, int $lastVersion, int $timeoutMs): array|false
    {
        return $this->all(__FUNCTION__)->wait($key, $lastVersion, $timeoutMs);
    }

    private function all(string $call): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface
    {
        $this->called($call);

        return $this->all;
    }
}
