<?php

declare(strict_types=1);

namespace Ephpm\Bench\Symfony;

use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Contracts\Cache\CacheInterface;

/**
 * A page that is made of 20 items of a pool.
 */
final class Page
{
    private const ITEMS = 20;

    public function __construct(private readonly CacheInterface $pool) {}

    public function __invoke(): JsonResponse
    {
        $titles = [];
        for ($id = 1; $id <= self::ITEMS; ++$id) {
            $article = $this->pool->get("article.$id", static fn(): array => [
                'id' => $id,
                'title' => \sprintf('Article number %02d', $id),
                'tags' => ['cache', 'shared memory', 'benchmark'],
                'text' => str_repeat("What article $id says. ", 20),
            ]);
            $titles[] = $article['title'] . ': ' . \strlen($article['text']);
        }

        return new JsonResponse(['titles' => $titles]);
    }
}
