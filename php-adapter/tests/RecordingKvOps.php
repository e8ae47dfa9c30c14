<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\KvOpsInterface;

/**
 * Another store, seen from outside: what is set, and a chance to interfere.
 */
final class RecordingKvOps implements KvOpsInterface
{
    /** @var array<string, int> time to live by key */
    public array $ttls = [];

    /** @var list<string> */
    public array $keysSet = [];

    public bool $full = false;

    public bool $gone = false;

    /** @var (\Closure(): void)|null called once, right before the next incrBy() */
    public ?\Closure $beforeIncrBy = null;

    /** @var (\Closure(): void)|null called once, right after get() has found nothing */
    public ?\Closure $afterMiss = null;

    public function __construct(private readonly KvOpsInterface $store) {}

    public function get(string $key): ?string
    {
        $value = $this->store()->get($key);
        if (null === $value && null !== $after = $this->afterMiss) {
            $this->afterMiss = null;
            $after();
        }

        return $value;
    }

    public function set(string $key, string $value, int $ttlSeconds = 0): bool
    {
        if ($this->full) {
            return false;
        }
        $this->ttls[$key] = $ttlSeconds;
        $this->keysSet[] = $key;

        return $this->store()->set($key, $value, $ttlSeconds);
    }

    public function del(string $key): int
    {
        return $this->store()->del($key);
    }

    public function exists(string $key): bool
    {
        return $this->store()->exists($key);
    }

    public function incrBy(string $key, int $delta): int
    {
        if (null !== $before = $this->beforeIncrBy) {
            $this->beforeIncrBy = null;
            $before();
        }

        return $this->store()->incrBy($key, $delta);
    }

    public function expire(string $key, int $ttlSeconds): bool
    {
        return $this->store()->expire($key, $ttlSeconds);
    }

    public function ttl(string $key): int
    {
        return $this->store()->ttl($key);
    }

    public function pttl(string $key): int
    {
        return $this->store()->pttl($key);
    }

    public function flush(): bool
    {
        return $this->store()->flush();
    }

    private function store(): KvOpsInterface
    {
        return $this->gone ? throw new \RuntimeException('the store is gone') : $this->store;
    }
}
