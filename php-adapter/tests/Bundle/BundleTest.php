<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Bundle;

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Ephpm\Cache\Symfony\Tests\RecordingKvOps;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Psr\Cache\CacheItemPoolInterface;
use Symfony\Component\Cache\Adapter\AdapterInterface;
use Symfony\Component\Cache\Adapter\TagAwareAdapter;
use Symfony\Component\DependencyInjection\Exception\OutOfBoundsException;
use Symfony\Component\Filesystem\Filesystem;
use Symfony\Component\Lock\LockFactory;
use Symfony\Contracts\Cache\CacheInterface;
use Symfony\Contracts\Cache\TagAwareCacheInterface;
use Symfony\Contracts\Service\ResetInterface;

final class BundleTest extends TestCase
{
    private const NAMED = <<<'YAML'
        arguments:
            $namespace: 'app'
            $defaultLifetime: 0
YAML;

    /** @var list<TestKernel> */
    private array $kernels = [];

    protected function tearDown(): void
    {
        foreach ($this->kernels as $kernel) {
            $kernel->shutdown();
            (new Filesystem())->remove($kernel->folder);
        }
        $this->kernels = [];
    }

    public function testTheReadmesYamlWorks(): void
    {
        $kernel = $this->boot(self::readme());

        $adapter = $kernel->pool(AdapterInterface::class);
        self::assertInstanceOf(EphpmKvAdapter::class, $adapter);
        self::assertSame($adapter, $kernel->pool(CacheItemPoolInterface::class));
        self::assertSame($adapter, $kernel->pool(CacheInterface::class));
        self::assertInstanceOf(EphpmKvAdapter::class, $kernel->pool('cache.app'));
        $this->assertPoolsAreApart($kernel, [AdapterInterface::class, 'cache.app', 'cache.posts', 'cache.sessions', 'my_psr6_pool']);
    }

    public function testTheServiceOfTheReadmesYamlCanBeClearedByItsName(): void
    {
        $kernel = $this->boot(self::readme());
        $kernel->pool(CacheInterface::class)->get('key', static fn(): string => 'value');
        self::assertTrue($kernel->pool(AdapterInterface::class)->hasItem('key'));

        $service = $kernel->getContainer()->get(EphpmKvAdapter::class);
        self::assertInstanceOf(EphpmKvAdapter::class, $service);
        self::assertTrue($service->clear());

        self::assertFalse($kernel->pool(AdapterInterface::class)->hasItem('key'));
    }

    public function testTheReadmesYamlWorksForSystemToo(): void
    {
        $yaml = str_replace("    cache:\n", "    cache:\n        system: Ephpm\\Cache\\Symfony\\EphpmKvAdapter\n", self::readme());
        self::assertNotSame(self::readme(), $yaml);
        $kernel = $this->boot($yaml);

        self::assertInstanceOf(EphpmKvAdapter::class, $kernel->pool('cache.system'));
        $this->assertPoolsAreApart($kernel, [AdapterInterface::class, 'cache.app', 'cache.system', 'cache.posts', 'cache.sessions', 'my_psr6_pool']);
    }

    public function testItBootsWhereThereIsNoStore(): void
    {
        $kernel = $this->boot(self::readme(), withKvOps: false);

        self::assertInstanceOf(EphpmKvAdapter::class, $kernel->pool('cache.posts'));
    }

    public function testSymfonyRefusesTheReadmesYamlWithoutTheBundle(): void
    {
        $this->expectException(OutOfBoundsException::class);
        $this->expectExceptionMessage('The argument "0" doesn\'t exist');
        $this->boot(self::readme(), withBundle: false);
    }

    public function testPositionalArgumentsWorkWithoutTheBundle(): void
    {
        $kernel = $this->boot(str_replace(self::NAMED, "        arguments: ['app', 0]", self::readme()), withBundle: false, withKvOps: false);

        self::assertInstanceOf(EphpmKvAdapter::class, $kernel->pool('cache.posts'));
    }

    /**
     * @return iterable<string, array{string}>
     */
    public static function otherSpellings(): iterable
    {
        yield 'positional' => ["        arguments: ['app', 0]"];
        yield 'one positional' => ["        arguments: ['app']"];
        yield 'no arguments' => ['        public: true'];
        yield 'the lifetime alone' => ["        arguments:\n            \$defaultLifetime: 60"];
        yield 'the store by name' => ["        arguments:\n            \$ops: '@Ephpm\\Cache\\Symfony\\KvOpsInterface'"];
        yield 'with its class' => ["        class: Ephpm\\Cache\\Symfony\\EphpmKvAdapter\n" . self::NAMED];
        yield 'autowired' => ["        autowire: true\n" . self::NAMED];
        yield 'autoconfigured' => ["        autowire: true\n        autoconfigure: true\n" . self::NAMED];
    }

    #[DataProvider('otherSpellings')]
    public function testOtherWaysToWriteTheAdapter(string $yaml): void
    {
        $kernel = $this->boot(str_replace(self::NAMED, $yaml, self::readme()));

        $this->assertPoolsAreApart($kernel, [AdapterInterface::class, 'cache.app', 'cache.posts', 'cache.sessions', 'my_psr6_pool']);
    }

    public function testAPoolsOwnLifetime(): void
    {
        $yaml = str_replace("cache.posts:\n", "cache.posts:\n                default_lifetime: 1\n", self::readme());
        $kernel = $this->boot($yaml);
        foreach (['cache.posts', 'cache.sessions'] as $id) {
            $pool = $kernel->pool($id);
            $pool->save($pool->getItem('key')->set('value'));
        }
        self::assertTrue($kernel->pool('cache.posts')->hasItem('key'));
        usleep(1_100_000);

        self::assertFalse($kernel->pool('cache.posts')->hasItem('key'));
        self::assertTrue($kernel->pool('cache.sessions')->hasItem('key'));
    }

    public function testTaggedAndChainedPools(): void
    {
        $yaml = self::readme() . <<<'YAML'

            tagged:
                adapter: Ephpm\Cache\Symfony\EphpmKvAdapter
                tags: true
            chained:
                adapters: [cache.adapter.array, Ephpm\Cache\Symfony\EphpmKvAdapter]
YAML;
        $kernel = $this->boot($yaml, pools: ['tagged', 'chained']);

        $this->assertPoolsAreApart($kernel, ['cache.app', 'tagged', 'chained']);
    }

    public function testNothingButTheNameOfTheAdapter(): void
    {
        $yaml = <<<'YAML'
framework:
    cache:
        app: Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter
        pools:
            plain:
                adapter: Ephpm\Cache\Symfony\EphpmKvAdapter
            native:
                adapter: Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter
            wrapped:
                adapter: Ephpm\Cache\Symfony\EphpmKvAdapter
                tags: true
YAML;
        $kernel = $this->boot($yaml, pools: ['cache.app', 'plain', 'native', 'wrapped', 'cache.app.taggable', TagAwareCacheInterface::class, TagAwareCacheInterface::class . ' $native', LockFactory::class]);

        $this->assertPoolsAreApart($kernel, ['cache.app', 'plain', 'native', 'wrapped']);
        self::assertInstanceOf(EphpmKvTagAwareAdapter::class, $kernel->pool('cache.app'));
        self::assertInstanceOf(EphpmKvTagAwareAdapter::class, $kernel->pool('native'));
        self::assertInstanceOf(TagAwareAdapter::class, $kernel->pool('wrapped'));
        self::assertSame($kernel->pool('cache.app'), $kernel->pool(TagAwareCacheInterface::class));
        self::assertSame($kernel->pool('native'), $kernel->pool(TagAwareCacheInterface::class . ' $native'));
        $locks = $kernel->getContainer()->get(LockFactory::class);
        self::assertInstanceOf(LockFactory::class, $locks);
        self::assertTrue($locks->createLock('name')->acquire());
    }

    public function testThreeLinesWithoutTheBundle(): void
    {
        $yaml = <<<'YAML'
services:
    Ephpm\Cache\Symfony\EphpmKvAdapter: { arguments: ['', 0] }
framework: { cache: { app: Ephpm\Cache\Symfony\EphpmKvAdapter } }
YAML;
        $kernel = $this->boot($yaml, withBundle: false, withKvOps: false, pools: ['cache.app']);

        self::assertInstanceOf(EphpmKvAdapter::class, $kernel->pool('cache.app'));
    }

    public function testPoolsAreResetBetweenRequests(): void
    {
        $kernel = $this->boot(self::readme());
        $ops = $kernel->getContainer()->get(KvOpsInterface::class);
        $resetter = $kernel->getContainer()->get('services_resetter');
        self::assertInstanceOf(RecordingKvOps::class, $ops);
        self::assertInstanceOf(ResetInterface::class, $resetter);

        $pool = $kernel->pool('cache.posts');
        $pool->saveDeferred($pool->getItem('deferred')->set('value'));
        self::assertSame([], $ops->keysSet);
        $resetter->reset();
        self::assertCount(1, $ops->keysSet);
    }

    private static function readme(): string
    {
        $readme = (string) file_get_contents(\dirname(__DIR__, 2) . '/README.md');
        self::assertSame(1, preg_match_all('/^```yaml\n(.*?)^```$/ms', $readme, $blocks), 'The README has one block of YAML.');
        self::assertStringContainsString(self::NAMED, $blocks[1][0]);

        return $blocks[1][0];
    }

    /**
     * @param list<string> $pools
     */
    private function boot(string $yaml, bool $withBundle = true, bool $withKvOps = true, array $pools = ['cache.posts', 'cache.sessions', 'my_psr6_pool']): TestKernel
    {
        $this->kernels[] = $kernel = new TestKernel($yaml, $withBundle, $withKvOps, $pools);
        $kernel->boot();

        return $kernel;
    }

    /**
     * @param list<string> $ids
     */
    private function assertPoolsAreApart(TestKernel $kernel, array $ids): void
    {
        foreach ($ids as $id) {
            $pool = $kernel->pool($id);
            self::assertFalse($pool->hasItem('key'), $id);
            self::assertTrue($pool->save($pool->getItem('key')->set($id)));
        }
        foreach ($ids as $id) {
            self::assertSame($id, $kernel->pool($id)->getItem('key')->get());
        }
        self::assertTrue($kernel->pool($ids[0])->clear());
        foreach ($ids as $i => $id) {
            self::assertSame(0 !== $i, $kernel->pool($id)->hasItem('key'), $id);
        }
    }
}
