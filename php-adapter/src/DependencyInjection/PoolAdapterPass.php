<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\DependencyInjection;

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Symfony\Component\DependencyInjection\ChildDefinition;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Reference;
use Symfony\Contracts\Cache\TagAwareCacheInterface;

/**
 * Completes the services of class EphpmKvAdapter or EphpmKvTagAwareAdapter that
 * cache pools inherit, and makes them where there are none. One that the
 * application has made is a cache that `cache:pool:clear` can clear.
 *
 * For each pool CachePoolPass replaces the arguments 0 (namespace) and 1
 * (lifetime) of the adapter, and fails where they are written by name or not
 * at all; so all arguments are made positional here. Logger, marshaller and
 * the reset between requests are as FrameworkBundle has them for its own
 * adapters; a pool with native tags is what TagAwareCacheInterface $name gets.
 */
final class PoolAdapterPass implements CompilerPassInterface
{
    private const ADAPTERS = [EphpmKvAdapter::class, EphpmKvTagAwareAdapter::class];

    public function process(ContainerBuilder $container): void
    {
        foreach (self::ADAPTERS as $class) {
            if (!$container->has($class)) {
                $container->register($class, $class);
            } elseif (!$container->findDefinition($class)->isAbstract()) {
                // cache:pool:clear takes a service that is no pool, if it can get it.
                $container->findDefinition($class)->setPublic(true);
            }
        }
        foreach ($container->getDefinitions() as $id => $definition) {
            if ($this->isAdapter($container, $definition) && !$this->inheritsArguments($id, $definition)) {
                $this->complete($container, $definition);
            }
        }
        foreach (array_keys($container->findTaggedServiceIds('cache.pool')) as $id) {
            $pool = $container->getDefinition($id);
            $class = $this->adapterOf($container, $pool);
            if (null !== $class) {
                $this->completeTag($container, $pool);
            }
            if (EphpmKvTagAwareAdapter::class === $class && !$pool->isAbstract()) {
                $this->announceTags($container, $id, $pool);
            }
        }
    }

    private function isAdapter(ContainerBuilder $container, Definition $definition): bool
    {
        return null === $definition->getFactory()
            && \in_array($container->getParameterBag()->resolveValue($definition->getClass()), self::ADAPTERS, true);
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

    private function adapterOf(ContainerBuilder $container, Definition $definition): ?string
    {
        while (!$this->isAdapter($container, $definition)) {
            if (!$definition instanceof ChildDefinition || !$container->has($definition->getParent())) {
                return null;
            }
            $definition = $container->findDefinition($definition->getParent());
        }

        return EphpmKvTagAwareAdapter::class === $container->getParameterBag()->resolveValue($definition->getClass()) ? EphpmKvTagAwareAdapter::class : EphpmKvAdapter::class;
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

    /**
     * As FrameworkBundle does it for the adapter of its own that has tags.
     */
    private function announceTags(ContainerBuilder $container, string $id, Definition $pool): void
    {
        if (str_starts_with($id, '.')) {
            // `tags: true` has put Symfony's TagAwareAdapter in front of it.
            return;
        }
        if ('cache.app' === $id) {
            $container->setAlias('cache.app.taggable', $id);
        } else {
            /** @var non-empty-list<array<string, mixed>> $tags */
            $tags = $pool->getTag('cache.pool');
            $name = $tags[0]['name'] ?? $id;
            $container->registerAliasForArgument($id, TagAwareCacheInterface::class, \is_string($name) ? $name : $id);
        }
        if (!$pool->hasTag('cache.taggable')) {
            $pool->addTag('cache.taggable', ['pool' => $id]);
        }
    }
}
