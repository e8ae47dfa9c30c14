<?php

declare(strict_types=1);

namespace Ephpm\Bench;

final class Apcu implements Backend
{
    public function name(): string
    {
        return 'apcu';
    }

    public function timeGet(array $keys): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            $value = \apcu_fetch($key);
        }

        return hrtime(true) - $start;
    }

    public function timeSet(array $keys, string $value): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            \apcu_store($key, $value);
        }

        return hrtime(true) - $start;
    }

    public function timeSetTtl(array $keys, string $value, int $ttl): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            \apcu_store($key, $value, $ttl);
        }

        return hrtime(true) - $start;
    }

    public function timeIncr(array $keys): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            \apcu_inc($key);
        }

        return hrtime(true) - $start;
    }

    public function timeExists(array $keys): int
    {
        $start = hrtime(true);
        foreach ($keys as $key) {
            $there = \apcu_exists($key);
        }

        return hrtime(true) - $start;
    }

    public function timeGetMany(array $batches): int
    {
        $start = hrtime(true);
        foreach ($batches as $keys) {
            $values = \apcu_fetch($keys);
        }

        return hrtime(true) - $start;
    }

    public function timeSetMany(array $batches): int
    {
        $start = hrtime(true);
        foreach ($batches as $values) {
            \apcu_store($values);
        }

        return hrtime(true) - $start;
    }

    public function timeScan(string $prefix, int &$count): int
    {
        $count = 0;
        $pattern = '/^' . preg_quote($prefix, '/') . '/';
        $start = hrtime(true);
        foreach (new \APCUIterator($pattern, APC_ITER_KEY, 1000) as $entry) {
            ++$count;
        }

        return hrtime(true) - $start;
    }

    public function fill(array $keys, string $value): void
    {
        foreach ($keys as $key) {
            if (!\apcu_store($key, $value)) {
                throw new BenchError('apcu_store() refused a value');
            }
        }
    }

    public function count(array $keys, string $value): int
    {
        $count = 0;
        foreach ($keys as $key) {
            $count += (int) (\apcu_fetch($key) === $value);
        }

        return $count;
    }

    public function counter(string $key): int
    {
        $value = \apcu_fetch($key);

        return is_numeric($value) ? (int) $value : 0;
    }

    public function reopen(): void {}
}
