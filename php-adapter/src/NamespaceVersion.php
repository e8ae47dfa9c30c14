<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

/**
 * The number that all keys of one namespace carry, kept in the store.
 *
 * A namespace is cleared by moving on to another number, in one atomic step:
 * the old entries are never asked for again. Where the store can list its keys
 * they are removed then; otherwise it drops them in its own time.
 *
 * - A number never comes back, or a clear would be undone. The first one is
 *   the time in microseconds, each clear adds one. Where the entry itself was
 *   evicted the time, by then later, takes its place.
 * - All processes that meet at a missing entry must agree on one number, or
 *   each of them would compute the items of the others anew. With
 *   AtomicKvOpsInterface the first one sets it. Without, each adds its own time
 *   to the entry; whoever gets more than that was not the first and takes it
 *   off again. Meanwhile the entry is a sum that lies far in the future, which
 *   the others wait out. They replace it only if it stays: its author was
 *   killed between the two steps.
 *
 * @internal
 */
final class NamespaceVersion
{
    /** How far in the future a number may be, for clocks that were set back. */
    private const SLACK_US = 86_400_000_000;

    /** September 2001. */
    private const OLDEST_US = 1_000_000_000_000_000;

    private const WAIT_US = 500;

    private const WAITS_MAX = 4000;

    /**
     * @param string $key of the number, in the store
     */
    public function __construct(
        private readonly KvOpsInterface $ops,
        private readonly string $key,
    ) {}

    /**
     * The present number; made where there is none.
     *
     * @throws \RuntimeException when the store refuses to keep one
     */
    public function current(): int
    {
        for ($waits = 0; $waits < self::WAITS_MAX; ++$waits) {
            $stored = $this->ops->get($this->key);
            $version = null === $stored ? $this->propose() : (int) $stored;
            if (self::isPlausible($version)) {
                return $version;
            }
            if (null !== $stored && (string) $version !== $stored) {
                break;
            }
            usleep(self::WAIT_US);
        }

        return $this->replace();
    }

    /**
     * Moves on to the next number.
     *
     * @throws \RuntimeException when the store refuses to keep it
     */
    public function advance(): void
    {
        $this->current();
        if (!self::isPlausible($this->ops->incrBy($this->key, 1))) {
            $this->replace();
        }
    }

    /**
     * @return int the first proposal of all, or a sum that others have still to take theirs off
     */
    private function propose(): int
    {
        $now = self::nowUs();
        if ($this->ops instanceof AtomicKvOpsInterface) {
            return $this->ops->setnx($this->key, (string) $now) ? $now : (int) ($this->ops->get($this->key) ?? throw self::noRoom());
        }
        $sum = $this->ops->incrBy($this->key, $now);

        return $sum === $now ? $now : $this->ops->incrBy($this->key, -$now);
    }

    private function replace(): int
    {
        $now = self::nowUs();
        if (!$this->ops->set($this->key, (string) $now)) {
            throw self::noRoom();
        }

        return $now;
    }

    private static function noRoom(): \RuntimeException
    {
        return new \RuntimeException('The store has no room for the version of the namespace.');
    }

    private static function isPlausible(int $version): bool
    {
        return self::OLDEST_US < $version && $version < self::nowUs() + self::SLACK_US;
    }

    private static function nowUs(): int
    {
        return (int) (microtime(true) * 1e6);
    }
}
