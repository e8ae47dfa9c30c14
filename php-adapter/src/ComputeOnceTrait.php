<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

use Psr\Cache\CacheItemPoolInterface;
use Psr\Log\LoggerInterface;
use Symfony\Component\Cache\LockRegistry;
use Symfony\Contracts\Cache\CacheInterface;
use Symfony\Contracts\Cache\ItemInterface;

/**
 * Of many requests that miss one item at a time, one computes it.
 *
 * @internal
 */
trait ComputeOnceTrait
{
    /** @var array<array<mixed>> by key: of the items that get() took from another process */
    private array $metadataTaken = [];

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

    private function computeOnce(): void
    {
        // Where Symfony takes no locks: one process, and nobody to wait for.
        if (!\in_array(\PHP_SAPI, ['cli', 'phpdbg', 'embed'], true)) {
            $this->setCallbackWrapper(self::compute(...));
        }
    }
}
