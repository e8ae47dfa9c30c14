<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Cache\IntegrationTests\CachePoolTest;
use Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter;
use Psr\Cache\CacheItemPoolInterface;

final class TaggedPsr6Test extends CachePoolTest
{
    use StoreTrait;

    public function createCachePool(): CacheItemPoolInterface
    {
        return new EphpmKvTagAwareAdapter('tagged', 0, self::store());
    }
}
