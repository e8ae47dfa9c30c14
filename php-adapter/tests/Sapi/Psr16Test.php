<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Sapi;

use Cache\IntegrationTests\SimpleCacheTest;
use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Psr\SimpleCache\CacheInterface;
use Symfony\Component\Cache\Psr16Cache;

final class Psr16Test extends SimpleCacheTest
{
    use StoreTrait;

    public function createSimpleCache(): CacheInterface
    {
        return new Psr16Cache(new EphpmKvAdapter('psr16', 0, self::store()));
    }
}
