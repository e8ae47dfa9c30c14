<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

use Psr\Cache\CacheItemPoolInterface;
use Psr\Log\LoggerInterface;
use Symfony\Component\Cache\Adapter\AbstractAdapter;
use Symfony\Component\Cache\CacheItem;
use Symfony\Component\Cache\LockRegistry;
use Symfony\Component\Cache\Marshaller\DefaultMarshaller;
use Symfony\Component\Cache\Marshaller\MarshallerInterface;
use Symfony\Contracts\Cache\CacheInterface;
use Symfony\Contracts\Cache\ItemInterface;

/**
 * A PSR-6 and Symfony Contracts cache pool in the web server's shared memory.
 *
 * An item `key` of namespace `app` is the store's key `app:<version>:key`; the
 * version is under `:app:` (see NamespaceVersion). Pools of different
 * namespaces never see each other's items, and clear() clears its own.
 *
 * Where PHP has no store (a command line without the extension) the pool can
 * be made all the same: each use is then a miss and a line in the log, as it
 * is with Symfony's own adapters when their server is gone.
 */
final class EphpmKvAdapter extends AbstractAdapter
{
    /** Longer ids end in their hash instead. */
    private const ID_MAX_BYTES = 65535;

    /** Where Symfony takes no locks: one process, and nobody to wait for. */
    private const SAPIS_WITHOUT_LOCKS = ['cli', 'phpdbg', 'embed'];

    private readonly string $versionId;

    private readonly MarshallerInterface $marshaller;

    /** @var array<array<mixed>> by key: of the items that get() took from another process */
    private array $metadataTaken = [];

    /**
     * @param string              $namespace       keeps the pool's items apart from those of other pools
     * @param int                 $defaultLifetime in seconds, for items that have no lifetime of their own; 0: for ever
     * @param KvOpsInterface|null $ops             where the items are kept; by default the server's own store
     */
    public function __construct(
        string $namespace = '',
        int $defaultLifetime = 0,
        private ?KvOpsInterface $ops = null,
        ?MarshallerInterface $marshaller = null,
    ) {
        parent::__construct($namespace, $defaultLifetime);
        $this->marshaller = $marshaller ?? new DefaultMarshaller();
        // The id under which AbstractAdapter asks for the version.
        $this->versionId = self::NS_SEPARATOR . ('' === $namespace ? '' : $namespace . self::NS_SEPARATOR);
        $this->enableVersioning();
        if (!\in_array(\PHP_SAPI, self::SAPIS_WITHOUT_LOCKS, true)) {
            $this->setCallbackWrapper(self::compute(...));
        }
    }

    /**
     * As LockRegistry::compute(), but looks again once it has the lock.
     *
     * Symfony looks before it locks only: a request that missed while another
     * one computed, and gets the lock when that one has saved and released it,
     * would compute once more. A recomputation of an item that is there, or
     * with a $beta of INF, is wanted and takes place.
     *
     * It is the callback wrapper of a new pool, except on a command line. It
     * can be given to setCallbackWrapper() there, and to that of Symfony's
     * TagAwareAdapter.
     */
    public static function compute(callable $callback, ItemInterface $item, bool &$save, CacheInterface $pool, ?\Closure $setMetadata = null, ?LoggerInterface $logger = null, ?float $beta = null): mixed
    {
        if (!$item->isHit() && \INF !== $beta && $pool instanceof CacheItemPoolInterface) {
            $callback = static function (ItemInterface $item, bool &$save) use ($callback, $pool, $logger): mixed {
                $key = $item->getKey();
                $present = $pool->getItem($key);
                if (!$present->isHit()) {
                    return $callback($item, $save);
                }
                $logger?->info('Item "{key}" was saved before the lock was acquired', ['key' => $key]);
                $save = false;
                if ($pool instanceof self && $present instanceof ItemInterface) {
                    $pool->metadataTaken[$key] = $present->getMetadata();
                }

                return $present->get();
            };
        }

        return LockRegistry::compute($callback, $item, $save, $pool, $setMetadata, $logger, $beta);
    }

    /**
     * @param array<mixed>|null $metadata
     */
    public function get(string $key, callable $callback, ?float $beta = null, ?array &$metadata = null): mixed
    {
        $value = parent::get($key, $callback, $beta, $metadata);
        if (isset($this->metadataTaken[$key])) {
            $metadata = $this->metadataTaken[$key];
            unset($this->metadataTaken[$key]);
        }

        return $value;
    }

    /**
     * Whether this PHP has a store, so that `$ops` can be left out.
     */
    public static function isSupported(): bool
    {
        return SapiKvOps::isSupported();
    }

    /**
     * Clears the pool's own namespace, and nothing beside it.
     *
     * @param string $prefix must be empty: a KvOpsInterface cannot list keys
     */
    public function clear(string $prefix = ''): bool
    {
        if ('' !== $prefix) {
            $this->logger?->debug('Nothing was cleared: the store cannot list the keys that begin with "{prefix}"; clear() without a prefix clears the whole pool.', ['prefix' => $prefix, 'cache-adapter' => self::class]);

            return false;
        }
        $cleared = parent::clear();
        // The parent keeps the version it had proposed; this makes it ask.
        $this->enableVersioning();

        return $cleared;
    }

    /**
     * @param array<string> $ids
     *
     * @return array<string, mixed>
     */
    protected function doFetch(array $ids): array
    {
        if ([$this->versionId] === $ids) {
            return [$this->versionId => base_convert((string) $this->version()->current(), 10, 36) . self::NS_SEPARATOR];
        }
        $values = [];
        foreach ($ids as $id) {
            if (null === $value = $this->ops()->get(self::key($id))) {
                continue;
            }
            try {
                $values[$id] = $this->marshaller->unmarshall($value);
            } catch (\Exception $e) {
                if (1 === \count($ids)) {
                    throw $e;
                }
                CacheItem::log($this->logger, 'Failed to fetch key "{key}": ' . $e->getMessage(), ['key' => $id, 'exception' => $e, 'cache-adapter' => self::class]);
            }
        }

        return $values;
    }

    protected function doHave(string $id): bool
    {
        return $this->ops()->exists(self::key($id));
    }

    /**
     * Versioning has cleared the namespace already.
     */
    protected function doClear(string $namespace): bool
    {
        return false;
    }

    /**
     * @param array<string> $ids
     */
    protected function doDelete(array $ids): bool
    {
        foreach ($ids as $id) {
            $this->ops()->del(self::key($id));
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
        if (isset($values[$this->versionId])) {
            $this->version()->advance();

            return [];
        }
        /** @var array<string, string> $marshalled */
        $marshalled = $this->marshaller->marshall($values, $failed);
        $failed ??= [];
        foreach ($marshalled as $id => $value) {
            if (!$this->ops()->set(self::key($id), $value, $lifetime)) {
                $failed[] = $id;
            }
        }

        return $failed;
    }

    private function ops(): KvOpsInterface
    {
        return $this->ops ??= new SapiKvOps();
    }

    private function version(): NamespaceVersion
    {
        return new NamespaceVersion($this->ops(), self::key($this->versionId));
    }

    private static function key(string $id): string
    {
        return \strlen($id) <= self::ID_MAX_BYTES ? $id : substr($id, 0, self::ID_MAX_BYTES - 64) . hash('sha256', $id);
    }
}
