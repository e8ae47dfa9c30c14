<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Cache\IntegrationTests\CachePoolTest;
use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Psr\Cache\CacheItemPoolInterface;

final class Psr6Test extends CachePoolTest
{
    use StoreTrait;

    public function createCachePool(): CacheItemPoolInterface
    {
        return new EphpmKvAdapter('psr6', 0, self::store());
    }
}
