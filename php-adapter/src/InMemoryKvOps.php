<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

/**
 * A store in this PHP process alone, for tests. It behaves as the server's
 * does, but nothing is ever evicted.
 */
final class InMemoryKvOps implements KvOpsInterface, BulkKvOpsInterface, AtomicKvOpsInterface
{
    private const KEY_MAX_BYTES = 65535;

    /** @var array<string, array{value: string, deadlineMs: int|null, version: int, place: int}> by 'k'.key, for PHP turns numeric keys into integers */
    private array $entries = [];

    /** The last version and the last place that were given away. */
    private int $last = 1;

    /** The version of every key that is not there. */
    private int $absentVersion = 1;

    /** @var \Closure(): int */
    private readonly \Closure $nowMs;

    /**
     * @param (\Closure(): int)|null $nowMs         the time in milliseconds, for tests that move it; by default a clock that nobody sets
     * @param int                    $valueMaxBytes about that of a store of 32 MiB
     */
    public function __construct(?\Closure $nowMs = null, private readonly int $valueMaxBytes = 6 << 20)
    {
        $this->nowMs = $nowMs ?? static fn(): int => intdiv(hrtime(true), 1_000_000);
    }

    public function get(string $key): ?string
    {
        return self::isKey($key) ? $this->live($key)['value'] ?? null : null;
    }

    public function set(string $key, string $value, int $ttlSeconds = 0): bool
    {
        if (!self::isKey($key) || !$this->fits($value)) {
            return false;
        }
        $this->store($key, $value, $this->deadlineMs($ttlSeconds));

        return true;
    }

    public function del(string $key): int
    {
        if (!self::isKey($key) || null === $this->live($key)) {
            return 0;
        }
        $this->remove($key);

        return 1;
    }

    public function exists(string $key): bool
    {
        return self::isKey($key) && null !== $this->live($key);
    }

    public function incrBy(string $key, int $delta): int
    {
        if (!self::isKey($key)) {
            throw new \RuntimeException('the store refused the write');
        }
        $entry = $this->live($key);
        $text = $entry['value'] ?? '0';
        if ((string) (int) $text !== $text) {
            throw new \RuntimeException('stored value is not an integer');
        }
        $value = (int) $text;
        if ($delta < 0 ? $value < \PHP_INT_MIN - $delta : $value > \PHP_INT_MAX - $delta) {
            throw new \RuntimeException('the sum is outside the signed 64-bit range');
        }
        $sum = $value + $delta;
        $this->store($key, (string) $sum, $entry['deadlineMs'] ?? null);

        return $sum;
    }

    public function expire(string $key, int $ttlSeconds): bool
    {
        if (!self::isKey($key) || null === $entry = $this->live($key)) {
            return false;
        }
        $entry['deadlineMs'] = $this->deadlineMs($ttlSeconds);
        $this->entries['k' . $key] = $entry;

        return true;
    }

    public function ttl(string $key): int
    {
        $leftMs = $this->pttl($key);

        return $leftMs < 0 ? $leftMs : intdiv($leftMs - 1, 1000) + 1;
    }

    public function pttl(string $key): int
    {
        if (!self::isKey($key) || null === $entry = $this->live($key)) {
            return -2;
        }

        return null === $entry['deadlineMs'] ? -1 : max(1, $entry['deadlineMs'] - ($this->nowMs)());
    }

    public function flush(): bool
    {
        $this->entries = [];
        $this->absentVersion = ++$this->last;

        return true;
    }

    public function mget(array $keys): array
    {
        return array_map($this->get(...), array_values(self::strings($keys)));
    }

    public function mset(array $values, int $ttlSeconds = 0): bool
    {
        $all = true;
        foreach (self::strings($values, false) as $key => $value) {
            $all = $this->set((string) $key, $value, $ttlSeconds) && $all;
        }

        return $all;
    }

    public function scan(int $cursor, string $prefix = '', int $count = 100): array
    {
        $found = [];
        $left = max(1, $count);
        foreach ($this->entries as $name => $entry) {
            if ($entry['place'] <= $cursor) {
                continue;
            }
            if (0 === $left--) {
                return [$cursor, $found];
            }
            $cursor = $entry['place'];
            $key = substr($name, 1);
            if (str_starts_with($key, $prefix) && null !== $this->live($key)) {
                $found[] = $key;
            }
        }

        return [0, $found];
    }

    public function delPrefix(string $prefix): int
    {
        $removed = 0;
        foreach (array_keys($this->entries) as $name) {
            if (str_starts_with($name, 'k' . $prefix)) {
                $removed += $this->del(substr($name, 1));
            }
        }

        return $removed;
    }

    public function setnx(string $key, string $value, int $ttlSeconds = 0): bool
    {
        return self::isKey($key) && $this->fits($value) && null === $this->live($key) && $this->set($key, $value, $ttlSeconds);
    }

    public function getdel(string $key): ?string
    {
        $value = $this->get($key);
        if (null !== $value) {
            $this->remove($key);
        }

        return $value;
    }

    public function setIfEq(string $key, string $expected, string $value, int $ttlSeconds = 0): bool
    {
        return $this->fits($value) && $expected === $this->get($key) && $this->set($key, $value, $ttlSeconds);
    }

    public function delIfEq(string $key, string $expected): bool
    {
        return $expected === $this->get($key) && 1 === $this->del($key);
    }

    public function wait(string $key, int $lastVersion, int $timeoutMs): array|false
    {
        if (!self::isKey($key)) {
            return false;
        }
        $end = hrtime(true) + 1_000_000 * min(max(0, $timeoutMs), intdiv(\PHP_INT_MAX, 2_000_000));
        do {
            $entry = $this->live($key);
            $version = $entry['version'] ?? $this->absentVersion;
            if ($version > max(0, $lastVersion)) {
                return ['version' => $version, 'value' => $entry['value'] ?? null];
            }
            $left = $end - hrtime(true);
            // Nothing but its expiry can change it.
            usleep(max(0, min(1000, intdiv($left, 1000))));
        } while ($left > 0);

        return false;
    }

    /**
     * @return array{value: string, deadlineMs: int|null, version: int, place: int}|null
     */
    private function live(string $key): ?array
    {
        $entry = $this->entries['k' . $key] ?? null;
        if (null !== $entry && null !== $entry['deadlineMs'] && $entry['deadlineMs'] <= ($this->nowMs)()) {
            $this->remove($key);

            return null;
        }

        return $entry;
    }

    private function store(string $key, string $value, ?int $deadlineMs): void
    {
        $version = ++$this->last;
        $this->entries['k' . $key] = [
            'value' => $value,
            'deadlineMs' => $deadlineMs,
            'version' => $version,
            // A key that is replaced keeps its place in the array, too.
            'place' => $this->entries['k' . $key]['place'] ?? $version,
        ];
    }

    private function remove(string $key): void
    {
        unset($this->entries['k' . $key]);
        $this->absentVersion = ++$this->last;
    }

    private function deadlineMs(int $ttlSeconds): ?int
    {
        if ($ttlSeconds <= 0) {
            return null;
        }
        $now = ($this->nowMs)();

        return $ttlSeconds > intdiv(\PHP_INT_MAX - $now, 1000) ? \PHP_INT_MAX : $now + 1000 * $ttlSeconds;
    }

    private function fits(string $value): bool
    {
        if (\strlen($value) <= $this->valueMaxBytes) {
            return true;
        }
        trigger_error(\sprintf('The value has %d bytes; the limit of this store is %d bytes', \strlen($value), $this->valueMaxBytes), \E_USER_WARNING);

        return false;
    }

    private static function isKey(string $key): bool
    {
        if ('' !== $key && \strlen($key) <= self::KEY_MAX_BYTES) {
            return true;
        }
        trigger_error(
            '' === $key ? 'The key is empty; a key has 1 to 65535 bytes' : \sprintf('The key has %d bytes; the limit is %d bytes', \strlen($key), self::KEY_MAX_BYTES),
            \E_USER_WARNING,
        );

        return false;
    }

    /**
     * @template K of array-key
     *
     * @param array<K, mixed> $given
     *
     * @return array<K, string>
     */
    private static function strings(array $given, bool $orIntegers = true): array
    {
        $strings = [];
        foreach ($given as $i => $string) {
            $strings[$i] = \is_string($string) || $orIntegers && \is_int($string) ? (string) $string : throw new \TypeError(\sprintf('An array of strings is needed, %s given', get_debug_type($string)));
        }

        return $strings;
    }
}
