<?php

declare(strict_types=1);

namespace NitroCache;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Ephpm\Cache\Symfony\SapiKvOps;

/**
 * NitroCache's interface on the web server's shared memory: nothing to load by
 * FFI, and no second server.
 *
 * The bytes of all keys and values never exceed the limit, whoever sets them;
 * what does not fit is refused. In the store, for the generation <g>, which is
 * the value of `nitro` and random:
 *
 *     nitro:<g>:u        bytes in use, at least those of all entries
 *     nitro:<g>:r        bytes whose removal was ever announced
 *     nitro:<g>:p:<id>   a change under way, with its bytes; ends by itself
 *     nitro:<g>:k:<key>  an entry
 *
 * A writer adds to `u` before its entry is there, and a remover subtracts
 * after its entry is gone: by a comparison, so that one of several does it. A
 * process killed in between, an entry that expires and one that the store
 * evicts leave `u` too high, which is safe. Where the limit is reached that is
 * put right, once a second at most: what `u` has more than the entries is
 * subtracted, less all that may be changing meanwhile:
 *
 *     read r; read p; read u; read p again; sum up the entries; read r again
 *
 * - What was added to `u` before it was read, and whose entry comes too late
 *   to be summed up, has its `p` during the second reading of `p`.
 * - What is subtracted from `u` after it was read, and whose entry goes too
 *   early to be summed up, was announced in `r` after the first reading of
 *   `r`, or has its `p` during the first reading of `p`.
 *
 * clear() begins another generation, with 0 bytes, and then removes the old.
 */
final class Client implements NitroCacheInterface
{
    private const GENERATION = 'nitro';

    /** How long a change may take; it gives up before that. */
    private const CHANGE_S = 60;

    private const TRIES = 100;

    private readonly KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface $ops;

    private int $limitBytes;

    /**
     * @param int|float                                                      $maxMemoryMb   the limit that this client keeps to; all clients count the same bytes
     * @param string|null                                                    $customLibPath is of no use here, and is what getStats() says
     * @param (KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface)|null $ops           where the entries are; by default the server's own store
     */
    public function __construct(
        int|float $maxMemoryMb = 128,
        private readonly ?string $customLibPath = null,
        (KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface)|null $ops = null,
    ) {
        $this->limitBytes = self::bytes($maxMemoryMb);
        $this->ops = $ops ?? new SapiKvOps();
    }

    public function set(string $key, string $value, int $ttl = 3600): bool
    {
        if ('' === $key || '' === $value) {
            return false;
        }
        $size = \strlen($key) + \strlen($value);
        for ($try = 0; $size <= $this->limitBytes && $try < self::TRIES; ++$try) {
            $in = $this->generation();
            [$used, $old] = $this->ops->mget(["{$in}u", "{$in}k:$key"]);
            if (null === $used) {
                // Evicted, and with it what the entries are counted by.
                $this->ops->delIfEq(self::GENERATION, substr($in, \strlen(self::GENERATION) + 1, -1));
                continue;
            }
            $more = $size - (null === $old ? 0 : \strlen($key) + \strlen($old));
            if ($more > 0 && (int) $used + $more > $this->limitBytes) {
                if ($this->recount($in)) {
                    continue;
                }

                return false;
            }
            try {
                $done = $this->change($in, $key, $old, $value, $more, $ttl);
            } catch (\RuntimeException) {
                // No room for a counter.
                return false;
            }
            if (null !== $done) {
                return $done;
            }
        }

        return false;
    }

    public function get(string $key): ?string
    {
        return '' === $key ? null : $this->ops->get($this->generation() . "k:$key");
    }

    public function remove(string $key): void
    {
        for ($try = 0; '' !== $key && $try < self::TRIES; ++$try) {
            $in = $this->generation();
            $old = $this->ops->get("{$in}k:$key");
            try {
                if (null === $old || true === $done = $this->change($in, $key, $old, null, -\strlen($key) - \strlen($old), 0)) {
                    return;
                }
            } catch (\RuntimeException) {
                $done = false;
            }
            if (false === $done) {
                // No room to count it: as if the store had evicted it.
                $this->ops->del("{$in}k:$key");

                return;
            }
        }
    }

    public function clear(): void
    {
        $old = $this->ops->getdel(self::GENERATION);
        if (null !== $old) {
            // Others have begun the next one, which is not ours to remove.
            $this->ops->delPrefix(self::GENERATION . ":$old:");
        }
    }

    /**
     * Sets the limit that this client keeps to. Where more than that is in use,
     * it stays until it expires or is removed.
     */
    public function updateMemoryLimit(int $mb): void
    {
        $this->limitBytes = self::bytes($mb);
    }

    public function getStats(): array
    {
        $in = $this->generation();
        $this->recount($in);
        $bytes = max(0, (int) $this->ops->get("{$in}u"));

        return [
            'usage_bytes' => $bytes,
            'usage_kb' => round($bytes / 1024, 2),
            'usage_mb' => round($bytes / 1024 ** 2, 2),
            'lib_path' => $this->customLibPath ?? '',
            'engine' => 'ephpm',
        ];
    }

    /**
     * Replaces an entry by another, either of which may be none.
     *
     * @param int $more bytes in use afterwards
     *
     * @return bool|null null: the entry is another one by now
     */
    private function change(string $in, string $key, ?string $old, ?string $new, int $more, int $ttl): ?bool
    {
        $began = hrtime(true);
        $pending = "{$in}p:" . bin2hex(random_bytes(8));
        $bytes = \strlen($key) + max(\strlen($old ?? ''), \strlen($new ?? ''));
        if (!$this->ops->set($pending, (string) $bytes, self::CHANGE_S)) {
            return false;
        }
        if ($more > 0 && $this->ops->incrBy("{$in}u", $more) > $this->limitBytes) {
            $this->ops->incrBy("{$in}u", -$more);
            $this->ops->del($pending);

            return false;
        }
        if (null !== $old) {
            $this->ops->incrBy("{$in}r", \strlen($key) + \strlen($old));
        }
        $done = hrtime(true) - $began < self::CHANGE_S * 500_000_000 && match (true) {
            null === $new => null !== $old && $this->ops->delIfEq("{$in}k:$key", $old),
            null === $old => $this->ops->setnx("{$in}k:$key", $new, $ttl),
            default => $this->ops->setIfEq("{$in}k:$key", $old, $new, $ttl),
        };
        if ($done === $more < 0) {
            $this->ops->incrBy("{$in}u", $done ? $more : -$more);
        }
        $this->ops->del($pending);

        return $done ?: ($old === $this->ops->get("{$in}k:$key") ? false : null);
    }

    /**
     * Takes off what is counted and not there.
     *
     * @return bool false: it was done a moment ago
     */
    private function recount(string $in): bool
    {
        if (!$this->ops->setnx("{$in}c", '', 1)) {
            return false;
        }
        $announced = (int) $this->ops->get("{$in}r");
        $pending = $this->sizes("{$in}p:", false);
        $used = (int) $this->ops->get("{$in}u");
        $pending += $this->sizes("{$in}p:", false);
        $entries = array_sum($this->sizes("{$in}k:", true));
        $announced = (int) $this->ops->get("{$in}r") - $announced;
        $lost = $used - $entries - $announced - array_sum($pending);
        if ($lost > 0) {
            $this->ops->incrBy("{$in}u", -$lost);
        }

        return true;
    }

    /**
     * @param bool $measured whether the sizes are those of keys and values, or the values
     *
     * @return array<string, int> by key
     */
    private function sizes(string $prefix, bool $measured): array
    {
        $sizes = [];
        $cursor = 0;
        do {
            [$cursor, $keys] = $this->ops->scan($cursor, $prefix, 1000);
            foreach ($this->ops->mget($keys) as $i => $value) {
                if (null !== $value) {
                    $sizes[$keys[$i]] = $measured ? \strlen($keys[$i]) - \strlen($prefix) + \strlen($value) : (int) $value;
                }
            }
        } while (0 !== $cursor);

        return $sizes;
    }

    /**
     * @return string what the keys of the present generation begin with
     */
    private function generation(): string
    {
        $generation = $this->ops->get(self::GENERATION);
        if (null === $generation) {
            $ours = bin2hex(random_bytes(8));
            $counter = self::GENERATION . ":$ours:u";
            $this->ops->set($counter, '0');
            $generation = $this->ops->setnx(self::GENERATION, $ours) ? $ours : $this->ops->get(self::GENERATION);
            if ($generation !== $ours) {
                $this->ops->del($counter);
            }
            $generation ??= $ours;
        }

        return self::GENERATION . ":$generation:";
    }

    private static function bytes(int|float $mb): int
    {
        if (!($mb > 0)) {
            throw new \InvalidArgumentException(\sprintf('A limit of %s MB holds nothing.', $mb));
        }

        return (int) min($mb * 1024 ** 2, 2 ** 62);
    }
}
