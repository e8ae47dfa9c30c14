<?php

declare(strict_types=1);

namespace Ephpm\Cache\Laravel;

use Illuminate\Cache\CacheManager;
use Illuminate\Contracts\Cache\Repository;
use Illuminate\Support\ServiceProvider;

/**
 * The cache driver `ephpm`. Laravel finds it in composer.json.
 */
final class EphpmCacheServiceProvider extends ServiceProvider
{
    /**
     * Makes the driver known as soon as the cache is asked for.
     */
    public function register(): void
    {
        $this->callAfterResolving('cache', function (CacheManager $cache): void {
            // Laravel binds the closure to its manager.
            $cache->extend('ephpm', function (\ArrayAccess $app, array $config) use ($cache): Repository {
                $settings = $app['config'];
                $prefix = $config['prefix'] ?? (\is_array($settings) || $settings instanceof \ArrayAccess ? $settings['cache.prefix'] ?? '' : '');

                return $cache->repository(new EphpmStore(\is_string($prefix) ? $prefix : ''));
            });
        });
    }
}
