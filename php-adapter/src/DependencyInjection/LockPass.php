<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\DependencyInjection;

use Ephpm\Cache\Symfony\EphpmLockStore;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\DependencyInjection\Reference;
use Symfony\Component\Lock\LockFactory;

/**
 * Where symfony/lock is installed: the services EphpmLockStore and
 * ephpm.lock.factory. The latter is what `LockFactory $ephpmLockFactory` gets,
 * and any LockFactory where framework.lock has none.
 */
final class LockPass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        if (!class_exists(LockFactory::class)) {
            return;
        }
        if (!$container->has(EphpmLockStore::class)) {
            $container->register(EphpmLockStore::class, EphpmLockStore::class)
                ->setArguments([$container->has(KvOpsInterface::class) ? new Reference(KvOpsInterface::class) : null]);
        }
        $container->register('ephpm.lock.factory', LockFactory::class)
            ->setArguments([new Reference(EphpmLockStore::class)])
            ->addMethodCall('setLogger', [new Reference('logger', ContainerInterface::IGNORE_ON_INVALID_REFERENCE)])
            ->addTag('monolog.logger', ['channel' => 'lock']);
        $container->registerAliasForArgument('ephpm.lock.factory', LockFactory::class, 'ephpm.lock.factory');
        if (!$container->has(LockFactory::class)) {
            $container->setAlias(LockFactory::class, 'ephpm.lock.factory');
        }
    }
}
