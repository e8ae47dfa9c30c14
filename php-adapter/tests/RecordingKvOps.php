<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\KvOpsInterface;

/**
 * Another store, seen from outside: what is called and set, and a chance to
 * interfere. It has the nine methods only.
 */
class RecordingKvOps implements KvOpsInterface
{
    /** @var array<string, int> time to live by key */
    public array $ttls = [];

    /** @var list<string> */
    public array $keysSet = [];

    /** @var list<string> names of the methods that were called */
    public array $calls = [];

    public bool $full = false;

    public bool $gone = false;

    /** @var (\Closure(string): bool)|null called before each call, with its name, until it returns true */
    public ?\Closure $before = null;

    /** @var (\Closure(): void)|null called once, right after get() has found nothing */
    public ?\Closure $afterMiss = null;

    /** How many misses come before that. */
    public int $missesBefore = 0;

    public function __construct(private readonly KvOpsInterface $store) {}

    public function get(string $key): ?string
    {
        $value = $this->store(__FUNCTION__)->get($key);
        if (null === $value) {
            $this->missed();
        }

        return $value;
    }

    public function set(string $key, string $value, int $ttlSeconds = 0): bool
    {
        $store = $this->store(__FUNCTION__);
        if ($this->full) {
            return false;
        }
        $this->ttls[$key] = $ttlSeconds;
        $this->keysSet[] = $key;

        return $store->set($key, $value, $ttlSeconds);
    }

    public function del(string $key): int
    {
        return $this->store(__FUNCTION__)->del($key);
    }

    public function exists(string $key): bool
    {
        return $this->store(__FUNCTION__)->exists($key);
    }

    public function incrBy(string $key, int $delta): int
    {
        return $this->store(__FUNCTION__)->incrBy($key, $delta);
    }

    public function expire(string $key, int $ttlSeconds): bool
    {
        return $this->store(__FUNCTION__)->expire($key, $ttlSeconds);
    }

    public function ttl(string $key): int
    {
        return $this->store(__FUNCTION__)->ttl($key);
    }

    public function pttl(string $key): int
    {
        return $this->store(__FUNCTION__)->pttl($key);
    }

    public function flush(): bool
    {
        return $this->store(__FUNCTION__)->flush();
    }

    protected function called(string $call): void
    {
        if ($this->gone) {
            throw new \RuntimeException('the store is gone');
        }
        if (null !== $before = $this->before) {
            $this->before = null;
            if (!$before($call)) {
                $this->before ??= $before;
            }
        }
        $this->calls[] = $call;
    }

    protected function missed(): void
    {
        if (null !== ($after = $this->afterMiss) && 0 > --$this->missesBefore) {
            $this->afterMiss = null;
            $after();
        }
    }

    private function store(string $call): KvOpsInterface
    {
        $this->called($call);

        return $this->store;
    }
}
