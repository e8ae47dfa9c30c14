<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony;

use Ephpm\Cache\Symfony\DependencyInjection\LockPass;
use Ephpm\Cache\Symfony\DependencyInjection\PoolAdapterPass;
use Symfony\Component\DependencyInjection\Compiler\PassConfig;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/**
 * Makes EphpmKvAdapter and EphpmKvTagAwareAdapter usable as adapters of cache
 * pools, however their arguments are written or left out, and EphpmLockStore
 * as a service.
 */
final class EphpmCacheBundle extends Bundle
{
    public function build(ContainerBuilder $container): void
    {
        // Between ResolveClassPass (100) and CachePoolPass (32).
        $container->addCompilerPass(new PoolAdapterPass(), PassConfig::TYPE_BEFORE_OPTIMIZATION, 64);
        $container->addCompilerPass(new LockPass(), PassConfig::TYPE_BEFORE_OPTIMIZATION, 64);
    }

    public function getPath(): string
    {
        return \dirname(__DIR__);
    }
}
