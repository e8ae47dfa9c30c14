<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Bundle;

use Ephpm\Cache\Symfony\EphpmCacheBundle;
use Ephpm\Cache\Symfony\InMemoryKvOps;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Ephpm\Cache\Symfony\Tests\RecordingFullKvOps;
use Psr\Cache\CacheItemPoolInterface;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Component\Cache\Adapter\AdapterInterface;
use Symfony\Component\Config\Loader\LoaderInterface;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\HttpKernel\Kernel;
use Symfony\Contracts\Cache\CacheInterface;

/**
 * An application of one YAML file, with its own folder for what it compiles.
 *
 * Its pools keep their items in one InMemoryKvOps.
 */
final class TestKernel extends Kernel implements CompilerPassInterface
{
    public readonly string $folder;

    /**
     * @param list<string> $pools public pools
     */
    public function __construct(
        private readonly string $yaml,
        private readonly bool $withBundle = true,
        private readonly bool $withKvOps = true,
        private readonly array $pools = ['cache.posts', 'cache.sessions', 'my_psr6_pool'],
    ) {
        $this->folder = sys_get_temp_dir() . '/ephpm-bundle-' . bin2hex(random_bytes(8));
        mkdir($this->folder, 0o700);
        file_put_contents($this->folder . '/test.yaml', $yaml);
        parent::__construct('test', false);
    }

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
        if ($this->withBundle) {
            yield new EphpmCacheBundle();
        }
    }

    public function registerContainerConfiguration(LoaderInterface $loader): void
    {
        $loader->load(function (ContainerBuilder $container): void {
            $container->loadFromExtension('framework', [
                'secret' => 'not secret',
                'test' => true,
                'http_method_override' => false,
                'php_errors' => ['log' => false],
                'router' => ['utf8' => true, 'resource' => $this->folder],
            ]);
            if ($this->withKvOps) {
                $container->setDefinition(KvOpsInterface::class, (new Definition(RecordingFullKvOps::class, [new Definition(InMemoryKvOps::class)]))->setPublic(true));
            }
        });
        $loader->load($this->folder . '/test.yaml');
    }

    protected function build(ContainerBuilder $container): void
    {
        $container->addCompilerPass($this, priority: -1000);
    }

    public function process(ContainerBuilder $container): void
    {
        $ids = [...$this->pools, AdapterInterface::class, CacheItemPoolInterface::class, CacheInterface::class];
        foreach ($ids as $id) {
            match (true) {
                $container->hasAlias($id) => $container->getAlias($id)->setPublic(true),
                $container->hasDefinition($id) => $container->getDefinition($id)->setPublic(true),
                default => null,
            };
        }
    }

    public function pool(string $id): AdapterInterface&CacheInterface
    {
        $pool = $this->getContainer()->get($id);
        \assert($pool instanceof AdapterInterface && $pool instanceof CacheInterface);

        return $pool;
    }

    public function getProjectDir(): string
    {
        return $this->folder;
    }

    public function getCacheDir(): string
    {
        return $this->folder . '/cache';
    }

    public function getLogDir(): string
    {
        return $this->folder . '/log';
    }
}
