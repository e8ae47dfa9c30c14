<?php

declare(strict_types=1);

namespace Ephpm\Bench;

final class PhpRedis implements Backend
{
    private \Redis $redis;

    public function __construct(private readonly string $socket)
    {
        $this->redis = $this->connected();
    }

    public function name(): string
    {
        return 'phpredis';
    }

    public function timeGet(array $keys): int
    {
        $redis = $this->redis;
        $start = hrtime(true);
        foreach ($keys as $key) {
            $value = $redis->get($key);
        }

        return hrtime(true) - $start;
    }

    public function timeSet(array $keys, string $value): int
    {
        $redis = $this->redis;
        $start = hrtime(true);
        foreach ($keys as $key) {
            $redis->set($key, $value);
        }

        return hrtime(true) - $start;
    }

    public function timeSetTtl(array $keys, string $value, int $ttl): int
    {
        $redis = $this->redis;
        $start = hrtime(true);
        foreach ($keys as $key) {
            $redis->setex($key, $ttl, $value);
        }

        return hrtime(true) - $start;
    }

    public function timeIncr(array $keys): int
    {
        $redis = $this->redis;
        $start = hrtime(true);
        foreach ($keys as $key) {
            $redis->incr($key);
        }

        return hrtime(true) - $start;
    }

    public function timeExists(array $keys): int
    {
        $redis = $this->redis;
        $start = hrtime(true);
        foreach ($keys as $key) {
            $there = $redis->exists($key);
        }

        return hrtime(true) - $start;
    }

    public function timeGetMany(array $batches): int
    {
        $redis = $this->redis;
        $start = hrtime(true);
        foreach ($batches as $keys) {
            $values = $redis->mGet($keys);
        }

        return hrtime(true) - $start;
    }

    public function timeSetMany(array $batches): int
    {
        $redis = $this->redis;
        $start = hrtime(true);
        foreach ($batches as $values) {
            $redis->mSet($values);
        }

        return hrtime(true) - $start;
    }

    public function timeScan(string $prefix, int &$count): int
    {
        $count = 0;
        $cursor = null;
        $redis = $this->redis;
        $redis->setOption(\Redis::OPT_SCAN, \Redis::SCAN_RETRY);
        $start = hrtime(true);
        while (false !== ($keys = $redis->scan($cursor, "$prefix*", 1000))) {
            $count += \count($keys);
        }

        return hrtime(true) - $start;
    }

    public function fill(array $keys, string $value): void
    {
        foreach (array_chunk($keys, 1000) as $chunk) {
            if (true !== $this->redis->mSet(array_fill_keys($chunk, $value))) {
                throw new BenchError('redis-server refused values');
            }
        }
    }

    public function count(array $keys, string $value): int
    {
        $count = 0;
        foreach (array_chunk($keys, 1000) as $chunk) {
            foreach ($this->redis->mGet($chunk) as $found) {
                $count += (int) ($found === $value);
            }
        }

        return $count;
    }

    public function counter(string $key): int
    {
        $value = $this->redis->get($key);

        return is_numeric($value) ? (int) $value : 0;
    }

    public function reopen(): void
    {
        $this->redis = $this->connected();
    }

    private function connected(): \Redis
    {
        $redis = new \Redis();
        if (!$redis->connect($this->socket)) {
            throw new BenchError("redis-server does not answer at {$this->socket}");
        }

        return $redis;
    }
}
