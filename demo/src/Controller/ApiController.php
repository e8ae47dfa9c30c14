<?php

declare(strict_types=1);

namespace App\Controller;

use App\Posts;
use App\Visits;
use Psr\Cache\CacheItemPoolInterface;
use Symfony\Component\DependencyInjection\Attribute\Target;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpKernel\Attribute\AsController;
use Symfony\Component\Routing\Annotation\Route;

#[AsController]
#[Route('/api', methods: ['GET'])]
final class ApiController
{
    #[Route('/visits')]
    public function visits(Visits $visits): JsonResponse
    {
        return new JsonResponse(['visits' => $visits->count(Visits::API), 'pid' => getmypid()]);
    }

    #[Route('/post/{id<\d{1,9}>}', name: 'post')]
    public function post(int $id, Posts $posts): JsonResponse
    {
        return new JsonResponse($posts->get($id) + ['pid' => getmypid()]);
    }

    #[Route('/stampede')]
    public function stampede(Posts $posts): JsonResponse
    {
        return new JsonResponse($posts->stampede() + ['pid' => getmypid()]);
    }

    /**
     * Saves an item, reads it back and deletes it.
     */
    #[Route('/health')]
    public function health(#[Target('my_psr6_pool')] CacheItemPoolInterface $pool): JsonResponse
    {
        $key = 'health.' . bin2hex(random_bytes(8));
        $value = random_bytes(32);
        $item = $pool->getItem($key)->set($value)->expiresAfter(60);
        $ok = $pool->save($item)
            && $pool->getItem($key)->get() === $value
            && $pool->deleteItem($key)
            && !$pool->hasItem($key);

        return new JsonResponse(
            $ok ? ['ok' => true] : ['ok' => false, 'error' => 'A cache item did not come back from the store; the error log has more.'],
            $ok ? 200 : 503,
        );
    }
}
