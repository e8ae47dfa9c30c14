<?php

declare(strict_types=1);

namespace Ephpm\Bench;

final class Ours implements Backend
{
    public function name(): string
    {
        return 'ours';
    }

    public function timeGet(array $keys): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            $value = \ephpm_kv_get($key);
        }

        return hrtime(true) - $start;
    }

    public function timeSet(array $keys, string $value): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            \ephpm_kv_set($key, $value);
        }

        return hrtime(true) - $start;
    }

    public function timeSetTtl(array $keys, string $value, int $ttl): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            \ephpm_kv_set($key, $value, $ttl);
        }

        return hrtime(true) - $start;
    }

    public function timeIncr(array $keys): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            \ephpm_kv_incr($key);
        }

        return hrtime(true) - $start;
    }

    public function timeExists(array $keys): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            $there = \ephpm_kv_exists($key);
        }

        return hrtime(true) - $start;
    }

    public function timeGetMany(array $batches): int
    {
        $start = hrtime(true);
        foreach ($batches as $keys) {
            $values = \ephpm_kv_mget($keys);
        }

        return hrtime(true) - $start;
    }

    public function timeSetMany(array $batches): int
    {
        $start = hrtime(true);
        foreach ($batches as $values) {
            \ephpm_kv_mset($values);
        }

        return hrtime(true) - $start;
    }

    public function timeScan(string $prefix, int &$count): int
    {
        $count = 0;
        $cursor = 0;
        $start = hrtime(true);
        do {
            /** @var array{int, list<string>} $step */
            $step = \ephpm_kv_scan($cursor, $prefix, 1000);
            [$cursor, $keys] = $step;
            $count += \count($keys);
        } while (0 !== $cursor);

        return hrtime(true) - $start;
    }

    public function fill(array $keys, string $value): void
    {
        foreach ($keys as $key) {
            if (!\ephpm_kv_set($key, $value)) {
                throw new BenchError('ephpm_kv_set() refused a value');
            }
        }
    }

    public function count(array $keys, string $value): int
    {
        $count = 0;
        foreach ($keys as $key) {
            $count += (int) (\ephpm_kv_get($key) === $value);
        }

        return $count;
    }

    public function counter(string $key): int
    {
        $value = \ephpm_kv_get($key);

        return is_numeric($value) ? (int) $value : 0;
    }

    public function reopen(): void {}
}
