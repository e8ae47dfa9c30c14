<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\DependencyInjection;

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Symfony\Component\DependencyInjection\ChildDefinition;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Reference;

/**
 * Completes the services of class EphpmKvAdapter that cache pools inherit.
 *
 * For each pool CachePoolPass replaces the arguments 0 (namespace) and 1
 * (lifetime) of the adapter, and fails where they are written by name or not
 * at all; so all arguments are made positional here. Logger, marshaller and
 * the reset between requests are as FrameworkBundle has them for its own
 * adapters.
 */
final class PoolAdapterPass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        foreach ($container->getDefinitions() as $id => $definition) {
            if ($this->isAdapter($container, $definition) && !$this->inheritsArguments($id, $definition)) {
                $this->complete($container, $definition);
            }
        }
        foreach (array_keys($container->findTaggedServiceIds('cache.pool')) as $id) {
            $pool = $container->getDefinition($id);
            if ($this->isPoolOfAdapter($container, $pool)) {
                $this->completeTag($container, $pool);
            }
        }
    }

    private function isAdapter(ContainerBuilder $container, Definition $definition): bool
    {
        return null === $definition->getFactory()
            && EphpmKvAdapter::class === $container->getParameterBag()->resolveValue($definition->getClass());
    }

    /**
     * Arguments of a child would be appended to those of its parent. The one
     * exception is an autoconfigured service, which the container has split
     * into a child with the arguments and an abstract parent without.
     */
    private function inheritsArguments(string $id, Definition $definition): bool
    {
        return str_starts_with($id, '.abstract.instanceof.')
            || $definition instanceof ChildDefinition && !str_starts_with($definition->getParent(), '.instanceof.');
    }

    private function isPoolOfAdapter(ContainerBuilder $container, Definition $definition): bool
    {
        while (!$this->isAdapter($container, $definition)) {
            if (!$definition instanceof ChildDefinition || !$container->has($definition->getParent())) {
                return false;
            }
            $definition = $container->findDefinition($definition->getParent());
        }

        return true;
    }

    private function complete(ContainerBuilder $container, Definition $definition): void
    {
        $arguments = $definition->getArguments();
        $defaults = [
            'namespace' => '',
            'defaultLifetime' => 0,
            'ops' => $container->has(KvOpsInterface::class) ? new Reference(KvOpsInterface::class) : null,
            'marshaller' => new Reference('cache.default_marshaller', ContainerInterface::NULL_ON_INVALID_REFERENCE),
        ];
        foreach (array_keys($defaults) as $position => $name) {
            foreach (['$' . $name, 'index_' . $position, $position] as $written) {
                if (\array_key_exists($written, $arguments)) {
                    $defaults[$name] = $arguments[$written];
                    unset($arguments[$written]);
                    break;
                }
            }
        }
        $definition->setArguments(array_values($defaults) + $arguments);

        if (!$definition->hasMethodCall('setLogger')) {
            $definition->addMethodCall('setLogger', [new Reference('logger', ContainerInterface::IGNORE_ON_INVALID_REFERENCE)]);
            $definition->addTag('monolog.logger', ['channel' => 'cache']);
        }
    }

    private function completeTag(ContainerBuilder $container, Definition $pool): void
    {
        $missing = ['reset' => 'reset'];
        if ($container->has('cache.default_clearer')) {
            $missing['clearer'] = 'cache.default_clearer';
        }
        /** @var non-empty-list<array<string, mixed>> $attributes */
        $attributes = $pool->getTag('cache.pool');
        $attributes[0] += $missing;
        $pool->setTags(['cache.pool' => $attributes] + $pool->getTags());
    }
}
