<?php

declare(strict_types=1);

namespace Ephpm\Cache\Laravel;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Ephpm\Cache\Symfony\SapiKvOps;
use Illuminate\Cache\TaggableStore;
use Illuminate\Contracts\Cache\LockProvider;

/**
 * A cache store of Laravel in the web server's shared memory.
 *
 * Integers are kept as what the store counts with, all else serialized.
 */
final class EphpmStore extends TaggableStore implements LockProvider
{
    private readonly KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface $ops;

    private readonly string $prefix;

    /**
     * @param string                                                         $prefix keeps applications apart
     * @param (KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface)|null $ops    by default the server's own store
     */
    public function __construct(string $prefix = '', (KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface)|null $ops = null)
    {
        // No prefix is the beginning of another one.
        $this->prefix = 'laravel:' . str_replace(['%', ':'], ['%25', '%3A'], $prefix) . ':';
        $this->ops = $ops ?? new SapiKvOps();
    }

    /**
     * @param string|array<string> $key one, for several are for many()
     */
    public function get($key): mixed
    {
        if (\is_array($key)) {
            throw new \InvalidArgumentException('get() is for one key; many() is for several.');
        }

        return self::decoded($this->ops->get($this->prefix . $key));
    }

    /**
     * @param array<string> $keys
     *
     * @return array<mixed> by key
     */
    public function many(array $keys): array
    {
        $values = $this->ops->mget(array_map(fn(string|int $key): string => $this->prefix . $key, array_values($keys)));

        return array_combine($keys, array_map(self::decoded(...), $values));
    }

    public function put($key, $value, $seconds): bool
    {
        return $this->ops->set($this->prefix . $key, self::encoded($value), max(1, (int) $seconds));
    }

    /**
     * @param array<mixed> $values by key
     */
    public function putMany(array $values, $seconds): bool
    {
        $encoded = [];
        foreach ($values as $key => $value) {
            $encoded[$this->prefix . $key] = self::encoded($value);
        }

        return $this->ops->mset($encoded, max(1, (int) $seconds));
    }

    /**
     * Sets what is not there yet, in one atomic step.
     */
    public function add(string $key, mixed $value, int $seconds): bool
    {
        return $this->ops->setnx($this->prefix . $key, self::encoded($value), max(1, $seconds));
    }

    /**
     * @return int|false false: the value is no integer
     */
    public function increment($key, $value = 1): int|false
    {
        try {
            return $this->ops->incrBy($this->prefix . $key, self::step($value));
        } catch (\RuntimeException) {
            return false;
        }
    }

    /**
     * @return int|false false: the value is no integer
     */
    public function decrement($key, $value = 1): int|false
    {
        return $this->increment($key, -self::step($value));
    }

    public function forever($key, $value): bool
    {
        return $this->ops->set($this->prefix . $key, self::encoded($value));
    }

    /**
     * Newer versions of Laravel ask for it, without types.
     *
     * @param string $key
     * @param int    $seconds
     */
    public function touch($key, $seconds): bool
    {
        return $this->ops->expire($this->prefix . $key, max(1, $seconds));
    }

    public function forget($key): bool
    {
        return 1 === $this->ops->del($this->prefix . $key);
    }

    public function flush(): bool
    {
        $this->ops->delPrefix($this->prefix);

        return true;
    }

    public function getPrefix(): string
    {
        return $this->prefix;
    }

    public function lock($name, $seconds = 0, $owner = null): EphpmLock
    {
        return new EphpmLock($this->ops, $this->prefix . $name, (int) $seconds, $owner);
    }

    public function restoreLock($name, $owner): EphpmLock
    {
        return $this->lock($name, 0, $owner);
    }

    private static function step(mixed $value): int
    {
        return is_numeric($value) ? (int) $value : throw new \InvalidArgumentException('A counter moves by a number.');
    }

    private static function encoded(mixed $value): string
    {
        return \is_int($value) ? (string) $value : serialize($value);
    }

    private static function decoded(?string $bytes): mixed
    {
        if (null === $bytes || (string) (int) $bytes === $bytes) {
            return null === $bytes ? null : (int) $bytes;
        }
        $value = @unserialize($bytes);

        return false === $value && 'b:0;' !== $bytes ? null : $value;
    }
}
