<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

use Psr\Cache\CacheItemInterface;
use Symfony\Component\Cache\Adapter\AbstractAdapter;
use Symfony\Component\Cache\CacheItem;
use Symfony\Component\Cache\Marshaller\DefaultMarshaller;
use Symfony\Component\Cache\Marshaller\MarshallerInterface;
use Symfony\Component\Cache\PruneableInterface;

/**
 * A PSR-6 and Symfony Contracts cache pool in the web server's shared memory.
 *
 * An item `key` of namespace `app` is the store's key `app:@<version>:key`,
 * and in the sub-namespace `blog` it is `app:@<version>:blog:key`; the version
 * is under `:app:` (see NamespaceVersion). Neither namespaces nor keys can
 * have a colon or an at sign in them, so no two items meet. Pools of different
 * namespaces never see each other's items, and clear() clears its own.
 *
 * The version is read once for all reads, until reset(), and anew for each
 * change: what was saved after somebody else's clear() is saved, and what is
 * deleted is deleted where the others have it by now.
 *
 * Where PHP has no store (a command line without the extension) the pool can
 * be made all the same: each use is then a miss and a line in the log, as it
 * is with Symfony's own adapters when their server is gone.
 */
final class EphpmKvAdapter extends AbstractAdapter implements PruneableInterface
{
    use ComputeOnceTrait {
        get as private getAsSymfonyDoes;
    }

    /** As Symfony's CacheItem wraps a value that has metadata. */
    private const VALUE_WRAPPER = "\xA9";

    /** -log(random) of early expiration is less than this. */
    private const EARLINESS_MAX = 44.0;

    /** Longer keys end in their hash instead. */
    private const KEY_MAX_BYTES = 65535;

    private readonly int $rootBytes;

    private readonly MarshallerInterface $marshaller;

    /** What the keys of all items begin with; null: to be read. One for all sub-namespaces. */
    private ?string $prefix = null;

    private string $subNamespace = '';

    private bool $hasDeferred = false;

    /**
     * @param string              $namespace       keeps the pool's items apart from those of other pools
     * @param int                 $defaultLifetime in seconds, for items that have no lifetime of their own; 0: for ever
     * @param KvOpsInterface|null $ops             where the items are kept; by default the server's own store
     */
    public function __construct(
        private readonly string $namespace = '',
        int $defaultLifetime = 0,
        private ?KvOpsInterface $ops = null,
        ?MarshallerInterface $marshaller = null,
    ) {
        parent::__construct($namespace, $defaultLifetime);
        $this->marshaller = $marshaller ?? new DefaultMarshaller();
        $this->rootBytes = \strlen($this->root());
        $this->computeOnce();
    }

    /**
     * A hit that need not be recomputed early is returned as it was read,
     * without a CacheItem; all else is done as in Symfony's own adapters.
     *
     * @param array<mixed>|null $metadata
     */
    public function get(string $key, callable $callback, ?float $beta = null, ?array &$metadata = null): mixed
    {
        \assert('' !== CacheItem::validateKey($key));
        if (!$this->hasDeferred && ($beta ?? 1.0) < \INF && ($beta ?? 1.0) >= 0.0) {
            try {
                $bytes = $this->ops()->get($this->keyOf($key));
                if (null !== $bytes) {
                    $value = $this->marshaller->unmarshall($bytes);
                    if (self::unwrap($value, $beta ?? 1.0, $found)) {
                        $metadata = $found;

                        return $value;
                    }
                }
            } catch (\Exception) {
            }
        }

        return $this->getAsSymfonyDoes($key, $callback, $beta, $metadata);
    }

    public function saveDeferred(CacheItemInterface $item): bool
    {
        $this->hasDeferred = true;

        return parent::saveDeferred($item);
    }

    public function commit(): bool
    {
        $this->hasDeferred = false;

        return parent::commit();
    }

    /**
     * Whether this PHP has a store, so that `$ops` can be left out.
     */
    public static function isSupported(): bool
    {
        return SapiKvOps::isSupported();
    }

    /**
     * A pool within this one: its items are cleared along with those of this
     * one, and on their own.
     */
    public function withSubNamespace(string $namespace): static
    {
        // Or both would have what is deferred.
        $this->commit();
        $shared = &$this->prefix;
        $pool = clone $this;
        $pool->subNamespace .= CacheItem::validateKey($namespace) . self::NS_SEPARATOR;

        return $pool;
    }

    /**
     * Removes what clear() has left: items that a process saved while another
     * one cleared the pool, or all of them where the store cannot list keys.
     */
    public function prune(): bool
    {
        try {
            $ops = $this->ops();
            if (!$ops instanceof BulkKvOpsInterface) {
                $this->cannotList('pruned', '');

                return false;
            }
            $root = $this->root() . '@';
            $version = $this->version()->current();
            $cursor = 0;
            do {
                [$cursor, $keys] = $ops->scan($cursor, $root, 1000);
                foreach ($keys as $key) {
                    $written = strstr(substr($key, \strlen($root)), self::NS_SEPARATOR, true);
                    if (false !== $written && '' !== $written && (int) base_convert($written, 36, 10) < $version) {
                        $ops->del($key);
                    }
                }
            } while (0 !== $cursor);
        } catch (\Exception $e) {
            CacheItem::log($this->logger, 'Failed to prune the cache: ' . $e->getMessage(), ['exception' => $e, 'cache-adapter' => self::class]);

            return false;
        }

        return true;
    }

    /**
     * Versioning is always on. This reads the version anew, as it is
     * documented to.
     */
    public function enableVersioning(bool $enable = true): bool
    {
        $this->prefix = null;

        return true;
    }

    /**
     * Saves what is deferred, and reads the version anew with the next item.
     */
    public function reset(): void
    {
        parent::reset();
        $this->prefix = null;
    }

    /**
     * @param array<string> $ids
     *
     * @return array<string, mixed>
     */
    protected function doFetch(array $ids): array
    {
        $ids = array_values($ids);
        if (1 === \count($ids)) {
            $value = $this->ops()->get($this->key($ids[0]));

            return null === $value ? [] : [$ids[0] => $this->marshaller->unmarshall($value)];
        }
        $values = [];
        foreach ($this->read(array_map($this->key(...), $ids)) as $i => $value) {
            if (null === $value) {
                continue;
            }
            try {
                $values[$ids[$i]] = $this->marshaller->unmarshall($value);
            } catch (\Exception $e) {
                CacheItem::log($this->logger, 'Failed to fetch key "{key}": ' . $e->getMessage(), ['key' => substr($ids[$i], $this->rootBytes), 'exception' => $e, 'cache-adapter' => self::class]);
            }
        }

        return $values;
    }

    protected function doHave(string $id): bool
    {
        return $this->ops()->exists($this->key($id));
    }

    protected function doClear(string $namespace): bool
    {
        $ops = $this->ops();
        $this->prefix = null;
        $cleared = $this->key($namespace);
        if ($this->rootBytes === \strlen($namespace) && '' === $this->subNamespace) {
            $this->version()->advance();
            $this->prefix = null;
        } elseif (!$ops instanceof BulkKvOpsInterface) {
            $this->cannotList('cleared', $this->subNamespace . substr($namespace, $this->rootBytes));

            return false;
        }
        if ($ops instanceof BulkKvOpsInterface) {
            $ops->delPrefix($cleared);
        }

        return true;
    }

    /**
     * @param array<string> $ids
     */
    protected function doDelete(array $ids): bool
    {
        $ops = $this->ops();
        $this->prefix = null;
        foreach ($ids as $id) {
            $ops->del($this->key($id));
        }

        return true;
    }

    /**
     * @param array<string, mixed> $values
     *
     * @return array<mixed> the ids that could not be saved
     */
    protected function doSave(array $values, int $lifetime): array
    {
        /** @var array<string, string> $marshalled */
        $marshalled = $this->marshaller->marshall($values, $failed);
        $failed ??= [];
        $ops = $this->ops();
        $this->prefix = null;
        $ids = array_keys($marshalled);
        $keys = array_map($this->key(...), $ids);
        if (\count($keys) > 1 && $ops instanceof BulkKvOpsInterface && $ops->mset(array_combine($keys, $marshalled), $lifetime)) {
            return $failed;
        }
        foreach ($ids as $i => $id) {
            if (!$ops->set($keys[$i], $marshalled[$id], $lifetime)) {
                $failed[] = $id;
            }
        }

        return $failed;
    }

    private function ops(): KvOpsInterface
    {
        return $this->ops ??= new SapiKvOps();
    }

    /**
     * @param list<string> $keys
     *
     * @return list<string|null>
     */
    private function read(array $keys): array
    {
        $ops = $this->ops();

        return $ops instanceof BulkKvOpsInterface ? $ops->mget($keys) : array_map($ops->get(...), $keys);
    }

    private function root(): string
    {
        return '' === $this->namespace ? '' : $this->namespace . self::NS_SEPARATOR;
    }

    private function version(): NamespaceVersion
    {
        return new NamespaceVersion($this->ops(), self::NS_SEPARATOR . $this->root());
    }

    /**
     * @param string $id of Symfony's: the namespace and the item's key
     */
    private function key(string $id): string
    {
        return $this->keyOf(substr($id, $this->rootBytes));
    }

    private function keyOf(string $itemKey): string
    {
        $this->prefix ??= $this->root() . '@' . base_convert((string) $this->version()->current(), 10, 36) . self::NS_SEPARATOR;
        $key = $this->prefix . $this->subNamespace . $itemKey;

        return \strlen($key) <= self::KEY_MAX_BYTES ? $key : substr($key, 0, self::KEY_MAX_BYTES - 64) . hash('sha256', $key);
    }

    /**
     * @param mixed             $value    as it was saved, then as it was before that
     * @param array<mixed>|null $metadata
     *
     * @param-out mixed        $value
     * @param-out array<mixed> $metadata
     *
     * @return bool false: Symfony has to look at it
     */
    private static function unwrap(mixed &$value, float $beta, ?array &$metadata): bool
    {
        $metadata = [];
        if (!\is_object($value)) {
            // Symfony before 6.1 has kept metadata in the key of such an array.
            return !\is_array($value) || 1 !== \count($value) || 10 !== \strlen((string) array_key_first($value));
        }
        if (self::VALUE_WRAPPER !== $value::class) {
            return true;
        }
        ['value' => $value, 'metadata' => $found] = get_object_vars($value);
        $metadata = (array) $found;
        $expiry = $metadata[CacheItem::METADATA_EXPIRY] ?? \INF;
        $ctimeMs = $metadata[CacheItem::METADATA_CTIME] ?? 0;

        return is_numeric($expiry) && is_numeric($ctimeMs) && $expiry > microtime(true) + self::EARLINESS_MAX * $beta * $ctimeMs / 1000;
    }

    private function cannotList(string $what, string $prefix): void
    {
        $this->logger?->debug('Nothing was {what}: the store cannot list the keys that begin with "{prefix}", for its {ops} is no BulkKvOpsInterface; clear() without a prefix clears the whole pool.', [
            'what' => $what,
            'prefix' => $prefix,
            'ops' => get_debug_type($this->ops),
            'cache-adapter' => self::class,
        ]);
    }
}
