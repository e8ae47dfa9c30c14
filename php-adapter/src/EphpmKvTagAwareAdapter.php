<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

use Symfony\Component\Cache\Adapter\AbstractTagAwareAdapter;
use Symfony\Component\Cache\CacheItem;
use Symfony\Component\Cache\Exception\InvalidArgumentException;
use Symfony\Component\Cache\Marshaller\DefaultMarshaller;
use Symfony\Component\Cache\Marshaller\MarshallerInterface;
use Symfony\Component\Cache\PruneableInterface;

/**
 * EphpmKvAdapter with tags. Invalidating a tag removes one key, however many
 * items have the tag; a hit takes two calls, or one without tags.
 *
 * In the store, for the namespace `app`:
 *
 *     app:@:          the epoch of the pool: 8 random bytes. While several tags
 *                     are being invalidated, an id and their names follow
 *     app:@::tag      the version of a tag: 8 random bytes
 *     app:@:key       an item, with its seal: the epoch and the versions of its
 *                     tags that were read before it was saved
 *     app:@:sub:key   an item of a sub-namespace
 *
 * An item is a hit while its seal is what the store has now: the epoch and the
 * item are read in this order, then the versions of its tags. An absent
 * version makes no seal.
 *
 * Why nothing that was invalidated comes back:
 *
 * - Epochs and versions are random and never written twice (64 bits), and who
 *   meets at an absent one agrees by setnx. So once one of them was removed,
 *   by whomever, all items sealed with it are misses for ever. An eviction, an
 *   expiry, a flush, or a clear() in the middle costs hits and nothing else.
 * - Saving reads the versions first and writes the item last. If the tag is
 *   invalidated in between, the item has the removed version in its seal and
 *   was never a hit. A process that is killed in between has left at most a
 *   version that no item has. (What a callback has computed from old data
 *   and saves after the invalidation is a hit, as with Symfony's own adapters:
 *   it was saved later.)
 * - Invalidating one tag is one step of the store. It either has happened or
 *   has not, whoever is killed.
 * - Invalidating several tags is one step, too: the epoch, if it is still what
 *   was read, gets their names appended. From then on everybody who reads
 *   the epoch first removes these tags' versions, whatever becomes of the
 *   process that began, and then takes the names off again, if they are still
 *   the same. The id keeps a late helper from taking off the names of another
 *   invalidation of the same tags, which might not have removed a version
 *   yet. A helper that is late may remove a version that is new: a miss.
 * - Where the store has no room for the names, the epoch is removed instead,
 *   again in one step: all items of the pool are misses.
 * - clear() removes the epoch in one step, then what is now useless.
 *
 * Removing needs no room, so all of this holds for a store that is full.
 */
final class EphpmKvTagAwareAdapter extends AbstractTagAwareAdapter implements PruneableInterface
{
    use ComputeOnceTrait;

    /** Longer keys end in their hash instead. */
    private const KEY_MAX_BYTES = 65535;

    /** Of an epoch, a version, and the id of an invalidation. */
    private const RANDOM_BYTES = 8;

    /** What Symfony puts in front of a tag, after the namespace. */
    private const TAG_ID_PREFIX = "\1tags\1";

    private const SEAL = 'seal';

    private const TRIES = 1000;

    private readonly int $rootBytes;

    /** The key of the epoch, with which all others begin. */
    private readonly string $prefix;

    private readonly MarshallerInterface $marshaller;

    private (KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface)|null $ops;

    private string $subNamespace = '';

    /**
     * @param string              $namespace       keeps the pool's items apart from those of other pools
     * @param int                 $defaultLifetime in seconds, for items that have no lifetime of their own; 0: for ever
     * @param KvOpsInterface|null $ops             where the items are kept, with BulkKvOpsInterface and AtomicKvOpsInterface; by default the server's own store
     *
     * @throws InvalidArgumentException when $ops has the nine methods only
     */
    public function __construct(
        string $namespace = '',
        int $defaultLifetime = 0,
        ?KvOpsInterface $ops = null,
        ?MarshallerInterface $marshaller = null,
    ) {
        parent::__construct($namespace, $defaultLifetime);
        if (null !== $ops && !($ops instanceof BulkKvOpsInterface && $ops instanceof AtomicKvOpsInterface)) {
            throw new InvalidArgumentException(\sprintf('%s has to implement BulkKvOpsInterface and AtomicKvOpsInterface for tags; Symfony\'s TagAwareAdapter around an EphpmKvAdapter needs neither.', $ops::class));
        }
        $this->ops = $ops;
        $this->marshaller = $marshaller ?? new DefaultMarshaller();
        $this->rootBytes = '' === $namespace ? 0 : \strlen($namespace) + 1;
        $this->prefix = ('' === $namespace ? '' : $namespace . ':') . '@:';
        $this->computeOnce();
    }

    /**
     * Whether this PHP has a store, so that `$ops` can be left out.
     */
    public static function isSupported(): bool
    {
        return SapiKvOps::isSupported();
    }

    /**
     * A pool within this one, with the same tags: its items are cleared along
     * with those of this one, and on their own.
     */
    public function withSubNamespace(string $namespace): static
    {
        // Or both would have what is deferred.
        $this->commit();
        $pool = clone $this;
        $pool->subNamespace .= CacheItem::validateKey($namespace) . ':';

        return $pool;
    }

    /**
     * Removes the items that were invalidated.
     */
    public function prune(): bool
    {
        try {
            $ops = $this->ops();
            $cursor = 0;
            do {
                [$cursor, $keys] = $ops->scan($cursor, $this->prefix, 1000);
                $keys = array_filter($keys, fn(string $key): bool => $key !== $this->prefix && ':' !== $key[\strlen($this->prefix)]);
                $found = $this->read(array_combine($keys, $keys));
                foreach (array_diff_key($found, $this->valid($found), ['' => '']) as $key => $bytes) {
                    $ops->delIfEq((string) $key, $bytes);
                }
            } while (0 !== $cursor);
        } catch (\Exception $e) {
            CacheItem::log($this->logger, 'Failed to prune the cache: ' . $e->getMessage(), ['exception' => $e, 'cache-adapter' => self::class]);

            return false;
        }

        return true;
    }

    /**
     * @param array<string> $ids
     *
     * @return array<array<mixed>> by id
     */
    protected function doFetch(array $ids): array
    {
        $keys = [];
        foreach ($ids as $id) {
            $keys[$id] = $this->key($id);
        }

        return $this->valid($this->read($keys));
    }

    protected function doHave(string $id): bool
    {
        return [] !== $this->doFetch([$id]);
    }

    protected function doClear(string $namespace): bool
    {
        if ($this->rootBytes === \strlen($namespace) && '' === $this->subNamespace) {
            $this->remove($this->prefix);
        }
        $this->ops()->delPrefix($this->key($namespace));

        return true;
    }

    /**
     * @param array<string> $ids
     */
    protected function doDelete(array $ids): bool
    {
        foreach ($ids as $id) {
            $this->remove($this->key($id));
        }

        return true;
    }

    /**
     * @param array<string> $ids
     *
     * @return array{}
     */
    protected function doDeleteYieldTags(array $ids): array
    {
        // Nothing is kept about which items a tag has.
        $this->doDelete($ids);

        return [];
    }

    /**
     * @param array<array<string>> $tagData
     */
    protected function doDeleteTagRelations(array $tagData): bool
    {
        return true;
    }

    /**
     * @param array<string> $tagIds
     */
    protected function doInvalidate(array $tagIds): bool
    {
        $tags = array_map(fn(string $id): string => substr($id, $this->rootBytes + \strlen(self::TAG_ID_PREFIX)), array_values($tagIds));
        if (1 === \count($tags)) {
            $this->remove($this->tagKey($tags[0]));

            return true;
        }
        $ops = $this->ops();
        for ($try = 0; $try < self::TRIES; ++$try) {
            $epoch = $this->epoch($ops->get($this->prefix));
            $begun = $epoch . random_bytes(self::RANDOM_BYTES) . implode(':', $tags);
            if ($ops->setIfEq($this->prefix, $epoch, $begun)) {
                $this->finish($begun);

                return true;
            }
            if ($epoch === $ops->get($this->prefix)) {
                break;
            }
        }
        $this->remove($this->prefix);

        return true;
    }

    /**
     * @param array<string, array{value: mixed, tags: list<string>, meta?: string}> $values
     * @param array<array<string>>                                                  $addTagData
     * @param array<array<string>>                                                  $removeTagData
     *
     * @return array<mixed> the ids that could not be saved
     */
    protected function doSave(array $values, int $lifetime, array $addTagData = [], array $removeTagData = []): array
    {
        $ops = $this->ops();
        [$epoch, $versions] = $this->versions(array_merge(...array_column($values, 'tags')));
        foreach ($values as $id => $value) {
            $values[$id][self::SEAL] = self::seal($epoch, $value['tags'], $versions);
        }
        /** @var array<string, string> $marshalled */
        $marshalled = $this->marshaller->marshall($values, $failed);
        $failed ??= [];
        $ids = array_keys($marshalled);
        $keys = array_map($this->key(...), $ids);
        if (\count($keys) > 1 && $ops->mset(array_combine($keys, $marshalled), $lifetime)) {
            return $failed;
        }
        foreach ($ids as $i => $id) {
            if (!$ops->set($keys[$i], $marshalled[$id], $lifetime)) {
                $failed[] = $id;
            }
        }

        return $failed;
    }

    private function ops(): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface
    {
        return $this->ops ??= new SapiKvOps();
    }

    /**
     * @param string $id of Symfony's: the namespace and the item's key
     */
    private function key(string $id): string
    {
        return self::shortened($this->prefix . $this->subNamespace . substr($id, $this->rootBytes));
    }

    private function tagKey(string $tag): string
    {
        return self::shortened($this->prefix . ':' . $tag);
    }

    private static function shortened(string $key): string
    {
        return \strlen($key) <= self::KEY_MAX_BYTES ? $key : substr($key, 0, self::KEY_MAX_BYTES - 64) . hash('sha256', $key);
    }

    /**
     * The items that are there, and the epoch that was read before them under
     * its own key; nothing where there is no epoch.
     *
     * @param array<string> $keys by id
     *
     * @return array<string> by id
     */
    private function read(array $keys): array
    {
        $values = $this->ops()->mget([$this->prefix, ...array_values($keys)]);
        if (null === $epoch = array_shift($values)) {
            return [];
        }

        return ['' => $epoch] + array_filter(array_combine(array_keys($keys), $values), \is_string(...));
    }

    /**
     * @param array<string> $found of read()
     *
     * @return array<array<mixed>> by id: those whose seal is good
     */
    private function valid(array $found): array
    {
        if (\count($found) < 2) {
            return [];
        }
        $epoch = $this->finished($found['']);
        unset($found['']);
        $values = [];
        $tags = [];
        foreach ($found as $id => $bytes) {
            try {
                $value = $this->marshaller->unmarshall($bytes);
            } catch (\Exception $e) {
                if (1 === \count($found)) {
                    throw $e;
                }
                CacheItem::log($this->logger, 'Failed to fetch key "{key}": ' . $e->getMessage(), ['key' => substr((string) $id, $this->rootBytes), 'exception' => $e, 'cache-adapter' => self::class]);
                continue;
            }
            if (\is_array($value) && \is_string($value[self::SEAL] ?? null) && \is_array($value['tags'] ?? null) && str_starts_with($value[self::SEAL], $epoch)) {
                $values[$id] = $value;
                foreach ($value['tags'] as $tag) {
                    if (\is_string($tag) || \is_int($tag)) {
                        $tags[$tag] = $this->tagKey((string) $tag);
                    }
                }
            }
        }
        $versions = [] === $tags ? [] : array_combine(array_keys($tags), $this->ops()->mget(array_values($tags)));
        foreach ($values as $id => $value) {
            if ($value[self::SEAL] !== self::seal($epoch, $value['tags'], $versions)) {
                unset($values[$id]);
            }
        }

        return $values;
    }

    /**
     * @param array<mixed>       $tags
     * @param array<string|null> $versions by tag
     *
     * @return string|null null: there is none
     */
    private static function seal(string $epoch, array $tags, array $versions): ?string
    {
        $seal = $epoch;
        foreach ($tags as $tag) {
            if (!\is_string($tag) && !\is_int($tag) || null === $version = $versions[$tag] ?? null) {
                return null;
            }
            $seal .= $version;
        }

        return $seal;
    }

    /**
     * The epoch and the versions of tags, made where there are none.
     *
     * @param array<string|int> $tags
     *
     * @return array{string, array<string>} the versions by tag
     */
    private function versions(array $tags): array
    {
        $ops = $this->ops();
        $tags = array_values(array_unique($tags));
        $values = $ops->mget([$this->prefix, ...array_map(fn(string|int $tag): string => $this->tagKey((string) $tag), $tags)]);
        $read = array_shift($values);
        $epoch = $this->epoch($read);
        if ($epoch !== $read) {
            // Versions that were read before an invalidation was finished.
            $values = array_fill(0, \count($tags), null);
        }
        $versions = [];
        foreach ($tags as $i => $tag) {
            $key = $this->tagKey((string) $tag);
            $versions[$tag] = $values[$i] ?? $ops->get($key) ?? $this->agreed($key);
        }

        return [$epoch, $versions];
    }

    /**
     * @param string|null $read what was read as the epoch
     */
    private function epoch(?string $read): string
    {
        for ($try = 0; $try < self::TRIES; ++$try) {
            $read ??= $this->agreed($this->prefix);
            if (self::RANDOM_BYTES === \strlen($read)) {
                return $read;
            }
            $this->finished($read);
            $read = $this->ops()->get($this->prefix);
        }

        throw new \RuntimeException('The tags of the pool are being invalidated all the time.');
    }

    /**
     * @return string random bytes: ours, or those of who was first
     */
    private function agreed(string $key): string
    {
        $ours = random_bytes(self::RANDOM_BYTES);

        return $this->ops()->setnx($key, $ours) ? $ours : $this->ops()->get($key) ?? throw new \RuntimeException('The store has no room for the versions of tags.');
    }

    /**
     * Finishes the invalidation of several tags, if one was begun.
     *
     * @return string the epoch of items that may be valid
     */
    private function finished(string $epoch): string
    {
        if (self::RANDOM_BYTES !== \strlen($epoch)) {
            $this->finish($epoch);
        }

        return substr($epoch, 0, self::RANDOM_BYTES);
    }

    private function finish(string $begun): void
    {
        $ops = $this->ops();
        foreach (explode(':', substr($begun, 2 * self::RANDOM_BYTES)) as $tag) {
            $this->remove($this->tagKey($tag));
        }
        if (\strlen($begun) < 2 * self::RANDOM_BYTES || !$ops->setIfEq($this->prefix, $begun, substr($begun, 0, self::RANDOM_BYTES))) {
            // Not ours, or no room: then all items are invalid. Somebody else
            // has finished it where this finds another epoch.
            $ops->delIfEq($this->prefix, $begun);
        }
    }

    /**
     * @throws \RuntimeException when it may still be there
     */
    private function remove(string $key): void
    {
        for ($try = 0; $try < 3; ++$try) {
            if (0 !== $this->ops()->del($key)) {
                return;
            }
            if (null === $this->ops()->get($key)) {
                // It was not there, or nothing is.
                if ($this->ops instanceof SapiKvOps && !$this->ops->isReachable()) {
                    throw new \RuntimeException('There is no store, or its server is gone: nothing was removed.');
                }

                return;
            }
        }

        throw new \RuntimeException('The store is busy: nothing was removed.');
    }
}
