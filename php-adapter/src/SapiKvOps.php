<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

/**
 * The store of the server that runs this script, by the ephpm_kv_*() functions.
 */
final class SapiKvOps implements KvOpsInterface, BulkKvOpsInterface, AtomicKvOpsInterface
{
    /**
     * @throws \RuntimeException when PHP has no ephpm_kv_*() functions
     */
    public function __construct()
    {
        if (!self::isSupported()) {
            throw new \RuntimeException(\sprintf(
                'The function ephpm_kv_get() is missing: this PHP (%s) has no ephpm store. Run the script under a web server that has loaded mod_ephpm, or load the extension on the command line (extension=ephpm.so).',
                \PHP_SAPI,
            ));
        }
    }

    /**
     * Whether this PHP has the functions, so that one can be made.
     */
    public static function isSupported(): bool
    {
        return \function_exists('ephpm_kv_get');
    }

    /**
     * Whether there is a store behind the functions. Without one, on a host
     * that has none or where ephpm.kv_socket's server is gone, they behave as
     * an empty store does that refuses writes.
     */
    public function isReachable(): bool
    {
        return 0 !== \ephpm_kv_stats()['limit_bytes'];
    }

    public function get(string $key): ?string
    {
        return \ephpm_kv_get($key);
    }

    public function set(string $key, string $value, int $ttlSeconds = 0): bool
    {
        return \ephpm_kv_set($key, $value, $ttlSeconds);
    }

    public function del(string $key): int
    {
        return \ephpm_kv_del($key);
    }

    public function exists(string $key): bool
    {
        return \ephpm_kv_exists($key);
    }

    public function incrBy(string $key, int $delta): int
    {
        $sum = \ephpm_kv_incr_by($key, $delta);
        if (false === $sum) {
            throw new \RuntimeException(self::whyNotIncremented(\ephpm_kv_get($key)));
        }

        return $sum;
    }

    public function expire(string $key, int $ttlSeconds): bool
    {
        return \ephpm_kv_expire($key, $ttlSeconds);
    }

    public function ttl(string $key): int
    {
        return \ephpm_kv_ttl($key);
    }

    public function pttl(string $key): int
    {
        return \ephpm_kv_pttl($key);
    }

    public function flush(): bool
    {
        return \ephpm_kv_flush_all();
    }

    public function mget(array $keys): array
    {
        /** @var list<string|null> */
        return \ephpm_kv_mget($keys);
    }

    public function mset(array $values, int $ttlSeconds = 0): bool
    {
        return \ephpm_kv_mset($values, $ttlSeconds);
    }

    public function scan(int $cursor, string $prefix = '', int $count = 100): array
    {
        /** @var array{int, list<string>} */
        return \ephpm_kv_scan($cursor, $prefix, $count);
    }

    public function delPrefix(string $prefix): int
    {
        return \ephpm_kv_del_prefix($prefix);
    }

    public function setnx(string $key, string $value, int $ttlSeconds = 0): bool
    {
        return \ephpm_kv_setnx($key, $value, $ttlSeconds);
    }

    public function getdel(string $key): ?string
    {
        return \ephpm_kv_getdel($key);
    }

    public function setIfEq(string $key, string $expected, string $value, int $ttlSeconds = 0): bool
    {
        return \ephpm_kv_setifeq($key, $expected, $value, $ttlSeconds);
    }

    public function delIfEq(string $key, string $expected): bool
    {
        return \ephpm_kv_delifeq($key, $expected);
    }

    public function wait(string $key, int $lastVersion, int $timeoutMs): array|false
    {
        if ('' !== (string) \ini_get('ephpm.kv_socket')) {
            // There is no waiting through a socket.
            return false;
        }

        /** @var array{version: int, value: string|null}|false */
        return \ephpm_kv_wait($key, $lastVersion, $timeoutMs);
    }

    private static function whyNotIncremented(?string $value): string
    {
        return match (true) {
            null === $value => 'the store refused the write: it is full, busy, or not configured for this host',
            (string) (int) $value === $value => 'the sum is outside the signed 64-bit range, or the store was busy',
            default => 'stored value is not an integer',
        };
    }
}
