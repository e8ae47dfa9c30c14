<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

use Symfony\Component\Lock\BlockingStoreInterface;
use Symfony\Component\Lock\Exception\InvalidArgumentException;
use Symfony\Component\Lock\Exception\InvalidTtlException;
use Symfony\Component\Lock\Exception\LockConflictedException;
use Symfony\Component\Lock\Exception\LockExpiredException;
use Symfony\Component\Lock\Exception\LockStorageException;
use Symfony\Component\Lock\Key;

/**
 * Locks of symfony/lock in the web server's shared memory.
 *
 * The lock of a resource is the store's key `lock:resource`. Its value is the
 * owner's random token and when the lock ends, on the machine's monotonic
 * clock; the store drops it up to a second after that. Every change names the
 * value it expects, so nobody takes, prolongs or frees what belongs to
 * another. Who waits is woken by the store.
 *
 * A store that evicts may evict a lock. Where that must not be, give locks
 * a store of their own with `eviction=noeviction`.
 */
final class EphpmLockStore implements BlockingStoreInterface
{
    private const KEY_MAX_BYTES = 65535;

    private const TRIES = 10;

    /** How long at most one wait lasts. */
    private const WAIT_MS = 60_000;

    private (KvOpsInterface&AtomicKvOpsInterface)|null $ops;

    /**
     * @param KvOpsInterface|null $ops               where the locks are, with AtomicKvOpsInterface; by default the server's own store
     * @param float               $initialTtlSeconds how long a lock lasts that is acquired without a lifetime of its own, or whose owner is killed before it has set that
     * @param string              $prefix            of the store's keys
     */
    public function __construct(?KvOpsInterface $ops = null, private readonly float $initialTtlSeconds = 300.0, private readonly string $prefix = 'lock:')
    {
        if (null !== $ops && !$ops instanceof AtomicKvOpsInterface) {
            throw new InvalidArgumentException(\sprintf('%s has to implement AtomicKvOpsInterface for locks.', $ops::class));
        }
        if ($initialTtlSeconds <= 0) {
            throw new InvalidTtlException(\sprintf('A lock has to last for some time, %s seconds given.', $initialTtlSeconds));
        }
        $this->ops = $ops;
    }

    /**
     * Whether this PHP has a store, so that `$ops` can be left out.
     */
    public static function isSupported(): bool
    {
        return SapiKvOps::isSupported();
    }

    /**
     * @throws LockConflictedException when somebody else has the lock
     * @throws LockExpiredException    when it ends before this returns
     * @throws LockStorageException    when the store has no room
     */
    public function save(Key $key): void
    {
        $key->reduceLifetime($this->initialTtlSeconds);
        if (!$this->acquired($key)) {
            throw new LockConflictedException();
        }
        $this->mustNotBeExpired($key);
    }

    /**
     * Waits as long as it takes.
     */
    public function waitAndSave(Key $key): void
    {
        while (true) {
            // Before the attempt, so that no change after it is missed.
            $seen = $this->changed($key, 0, 0);
            $key->resetLifetime();
            try {
                $this->save($key);

                return;
            } catch (LockConflictedException) {
                $this->waitForChange($key, $seen);
            }
        }
    }

    /**
     * @param float $ttl seconds from now
     *
     * @throws LockConflictedException when the lock has ended or is somebody else's
     * @throws LockExpiredException    when it ends before this returns
     * @throws LockStorageException    when the store has no room
     */
    public function putOffExpiration(Key $key, float $ttl): void
    {
        $key->reduceLifetime($ttl);
        for ($try = 0; $try < self::TRIES; ++$try) {
            $held = $this->ops()->get($this->name($key));
            if (null === $held || !$this->isOf($held, $key) || self::leftMs($held) <= 0) {
                throw new LockConflictedException();
            }
            if ($this->replaced($key, $held, $ttl)) {
                $this->mustNotBeExpired($key);

                return;
            }
        }

        throw new LockStorageException('The store refused the write: it is full or busy.');
    }

    public function delete(Key $key): void
    {
        for ($try = 0; $try < self::TRIES; ++$try) {
            $held = $this->ops()->get($this->name($key));
            if (null === $held || !$this->isOf($held, $key) || $this->ops()->delIfEq($this->name($key), $held)) {
                return;
            }
        }
    }

    public function exists(Key $key): bool
    {
        $held = $this->ops()->get($this->name($key));

        return null !== $held && $this->isOf($held, $key) && self::leftMs($held) > 0;
    }

    private function ops(): KvOpsInterface&AtomicKvOpsInterface
    {
        return $this->ops ??= new SapiKvOps();
    }

    private function acquired(Key $key): bool
    {
        for ($try = 0; $try < self::TRIES; ++$try) {
            if ($this->ops()->setnx($this->name($key), $this->value($key, $this->initialTtlSeconds), self::seconds($this->initialTtlSeconds))) {
                return true;
            }
            $held = $this->ops()->get($this->name($key));
            if (null === $held) {
                // Freed since, or refused.
                continue;
            }
            // The deadline is by the holder's clock, which may be another
            // machine's; the store keeps a lock for less than a second longer.
            if (!$this->isOf($held, $key) && (self::leftMs($held) > 0 || $this->ops()->pttl($this->name($key)) > 1000)) {
                return false;
            }
            if ($this->replaced($key, $held, $this->initialTtlSeconds)) {
                return true;
            }
        }

        throw new LockStorageException('The store refused the write: it is full, busy, or not configured for this host.');
    }

    /**
     * @param array{version: int, value: string|null}|false $seen
     */
    private function waitForChange(Key $key, array|false $seen): void
    {
        $timeoutMs = min(self::WAIT_MS, max(1, self::leftMs($seen['value'] ?? '')));
        $start = hrtime(true);
        if ((false === $seen || false === $this->changed($key, $seen['version'], $timeoutMs)) && hrtime(true) - $start < 500_000 * $timeoutMs) {
            // A store that cannot be waited for.
            usleep(random_int(5_000, 15_000));
        }
    }

    /**
     * A store behind a socket warns that it cannot be waited for.
     *
     * @return array{version: int, value: string|null}|false
     */
    private function changed(Key $key, int $lastVersion, int $timeoutMs): array|false
    {
        return @$this->ops()->wait($this->name($key), $lastVersion, $timeoutMs);
    }

    private function replaced(Key $key, string $held, float $ttlSeconds): bool
    {
        return $this->ops()->setIfEq($this->name($key), $held, $this->value($key, $ttlSeconds), self::seconds($ttlSeconds));
    }

    private function name(Key $key): string
    {
        $name = $this->prefix . $key;

        return \strlen($name) <= self::KEY_MAX_BYTES ? $name : substr($name, 0, self::KEY_MAX_BYTES - 64) . hash('sha256', $name);
    }

    private function value(Key $key, float $ttlSeconds): string
    {
        return $this->token($key) . ':' . (self::nowMs() + (int) ceil(1000 * min($ttlSeconds, 1e9)));
    }

    private function token(Key $key): string
    {
        if (!$key->hasState(self::class)) {
            $key->setState(self::class, bin2hex(random_bytes(16)));
        }
        $token = $key->getState(self::class);

        return \is_string($token) ? $token : throw new LockStorageException('The key has a state that is not of this store.');
    }

    private function isOf(string $held, Key $key): bool
    {
        return str_starts_with($held, $this->token($key) . ':');
    }

    /**
     * @return int milliseconds until the lock ends; a value that is no lock never does
     */
    private static function leftMs(string $held): int
    {
        return preg_match('/^[0-9a-f]{32}:(\d{1,18})$/D', $held, $match) ? (int) $match[1] - self::nowMs() : \PHP_INT_MAX;
    }

    private static function nowMs(): int
    {
        return intdiv(hrtime(true), 1_000_000);
    }

    private static function seconds(float $ttlSeconds): int
    {
        return max(1, (int) ceil(min($ttlSeconds, 1e9)));
    }

    private function mustNotBeExpired(Key $key): void
    {
        if ($key->isExpired()) {
            $this->delete($key);

            throw new LockExpiredException(\sprintf('The lock "%s" has ended before it was stored.', $key));
        }
    }
}
