<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

/**
 * A store in this PHP process alone, for tests.
 */
final class InMemoryKvOps implements KvOpsInterface
{
    private const KEY_MAX_BYTES = 65535;

    /** @var array<string, array{value: string, deadlineMs: int|null}> by 'k'.key, for PHP turns numeric keys into integers */
    private array $entries = [];

    /** @var \Closure(): int */
    private readonly \Closure $nowMs;

    /**
     * @param (\Closure(): int)|null $nowMs the time in milliseconds, for tests that move it; by default a clock that nobody sets
     */
    public function __construct(?\Closure $nowMs = null)
    {
        $this->nowMs = $nowMs ?? static fn(): int => intdiv(hrtime(true), 1_000_000);
    }

    public function get(string $key): ?string
    {
        return $this->live($key)['value'] ?? null;
    }

    public function set(string $key, string $value, int $ttlSeconds = 0): bool
    {
        if (!self::isKey($key)) {
            return false;
        }
        $this->entries['k' . $key] = ['value' => $value, 'deadlineMs' => $this->deadlineMs($ttlSeconds)];

        return true;
    }

    public function del(string $key): int
    {
        $found = null !== $this->live($key);
        unset($this->entries['k' . $key]);

        return (int) $found;
    }

    public function exists(string $key): bool
    {
        return null !== $this->live($key);
    }

    public function incrBy(string $key, int $delta): int
    {
        if (!self::isKey($key)) {
            throw new \RuntimeException('the store refused the write');
        }
        $entry = $this->live($key) ?? ['value' => '0', 'deadlineMs' => null];
        if ((string) (int) $entry['value'] !== $entry['value']) {
            throw new \RuntimeException('stored value is not an integer');
        }
        $value = (int) $entry['value'];
        if ($delta < 0 ? $value < \PHP_INT_MIN - $delta : $value > \PHP_INT_MAX - $delta) {
            throw new \RuntimeException('the sum is outside the signed 64-bit range');
        }
        $sum = $value + $delta;
        $entry['value'] = (string) $sum;
        $this->entries['k' . $key] = $entry;

        return $sum;
    }

    public function expire(string $key, int $ttlSeconds): bool
    {
        if (null === $entry = $this->live($key)) {
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
        if (null === $entry = $this->live($key)) {
            return -2;
        }

        return null === $entry['deadlineMs'] ? -1 : max(1, $entry['deadlineMs'] - ($this->nowMs)());
    }

    public function flush(): bool
    {
        $this->entries = [];

        return true;
    }

    /**
     * @return array{value: string, deadlineMs: int|null}|null
     */
    private function live(string $key): ?array
    {
        $entry = $this->entries['k' . $key] ?? null;
        if (null !== $entry && null !== $entry['deadlineMs'] && $entry['deadlineMs'] <= ($this->nowMs)()) {
            unset($this->entries['k' . $key]);

            return null;
        }

        return $entry;
    }

    private function deadlineMs(int $ttlSeconds): ?int
    {
        if ($ttlSeconds <= 0) {
            return null;
        }
        $now = ($this->nowMs)();

        return $ttlSeconds > intdiv(\PHP_INT_MAX - $now, 1000) ? \PHP_INT_MAX : $now + 1000 * $ttlSeconds;
    }

    private static function isKey(string $key): bool
    {
        if ('' !== $key && \strlen($key) <= self::KEY_MAX_BYTES) {
            return true;
        }
        trigger_error(\sprintf('A key has 1 to %d bytes, this one has %d', self::KEY_MAX_BYTES, \strlen($key)), \E_USER_WARNING);

        return false;
    }
}
