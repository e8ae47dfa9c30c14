<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

use Ephpm\Cache\Symfony\DependencyInjection\PoolAdapterPass;
use Symfony\Component\DependencyInjection\Compiler\PassConfig;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/**
 * Makes EphpmKvAdapter usable as the adapter of cache pools, however its
 * arguments are written.
 */
final class EphpmCacheBundle extends Bundle
{
    public function build(ContainerBuilder $container): void
    {
        // Between ResolveClassPass (100) and CachePoolPass (32).
        $container->addCompilerPass(new PoolAdapterPass(), PassConfig::TYPE_BEFORE_OPTIMIZATION, 64);
    }

    public function getPath(): string
    {
        return \dirname(__DIR__);
    }
}
