<?php

declare(strict_types=1);

namespace App;

use Ephpm\Cache\Symfony\SapiKvOps;
use Symfony\Component\Cache\CacheItem;
use Symfony\Component\DependencyInjection\Attribute\Target;
use Symfony\Contracts\Cache\CacheInterface;
use Symfony\Contracts\Cache\ItemInterface;

/**
 * Something slow, and the cache in front of it.
 */
final class Posts
{
    /** How often each of the two callbacks ran, in all workers. */
    public const POST_RUNS = 'demo:post-runs';
    public const STAMPEDE_RUNS = 'demo:stampede-runs';

    private const LIFETIME_SECONDS = 300;
    private const SLOW_US = 200_000;

    private const SUBJECTS = [
        'The kettle', 'A borrowed umbrella', 'The last tram', 'An unread letter', 'The neighbour’s piano',
        'A lighthouse', 'The slow clock', 'A pocket map', 'The empty café', 'An old key',
    ];
    private const PREDICATES = [
        'knows the way home', 'waits for the rain', 'sings when nobody listens', 'has seen better winters',
        'keeps a secret', 'belongs to everybody', 'is never late',
    ];

    public function __construct(
        #[Target('cache.posts')]
        private readonly CacheInterface $cache,
        private readonly SapiKvOps $kv,
    ) {}

    /**
     * @return array{post: array{id: int, title: string, written_by: int, written_at: string}, cached: bool}
     */
    public function get(int $id): array
    {
        $cached = true;
        $post = $this->cache->get(self::key($id), function (ItemInterface $item) use ($id, &$cached): array {
            $cached = false;
            $item->expiresAfter(self::LIFETIME_SECONDS);
            $this->kv->incrBy(self::POST_RUNS, 1);

            return self::write($id);
        });

        return ['post' => $post, 'cached' => $cached];
    }

    /**
     * One post under one key, for many requests at a time.
     *
     * @return array{post: array{id: int, title: string, written_by: int, written_at: string}, cached: bool, runs: int}
     */
    public function stampede(): array
    {
        $cached = true;
        $post = $this->cache->get('stampede', function (ItemInterface $item) use (&$cached): array {
            $cached = false;
            $item->expiresAfter(self::LIFETIME_SECONDS);
            $this->kv->incrBy(self::STAMPEDE_RUNS, 1);

            return self::write(0);
        });

        return ['post' => $post, 'cached' => $cached, 'runs' => (int) $this->kv->get(self::STAMPEDE_RUNS)];
    }

    /**
     * @return int|null seconds until the post is written anew; null: it is not cached
     */
    public function secondsLeft(int $id): ?int
    {
        if (!$this->cache instanceof \Psr\Cache\CacheItemPoolInterface) {
            return null;
        }
        $item = $this->cache->getItem(self::key($id));
        if (!$item instanceof CacheItem || !$item->isHit()) {
            return null;
        }
        $expiry = $item->getMetadata()[ItemInterface::METADATA_EXPIRY] ?? null;

        return is_numeric($expiry) ? max(0, (int) ceil($expiry - microtime(true))) : null;
    }

    public static function title(int $id): string
    {
        return self::SUBJECTS[$id % \count(self::SUBJECTS)] . ' ' . self::PREDICATES[$id % \count(self::PREDICATES)];
    }

    private static function key(int $id): string
    {
        return 'post.' . $id;
    }

    /**
     * @return array{id: int, title: string, written_by: int, written_at: string}
     */
    private static function write(int $id): array
    {
        usleep(self::SLOW_US);

        return [
            'id' => $id,
            'title' => self::title($id),
            'written_by' => (int) getmypid(),
            'written_at' => date(\DATE_RFC3339),
        ];
    }
}
