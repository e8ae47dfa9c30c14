<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\KvOpsInterface;
use NitroCache\Client;
use NitroCache\NitroCacheInterface;
use PHPUnit\Framework\TestCase;

abstract class NitroCacheTestCase extends TestCase
{
    private const KIB = 1 / 1024;

    abstract protected static function store(): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface;

    protected function setUp(): void
    {
        static::store()->flush();
    }

    public function testWhatWasSetComesBack(): void
    {
        $cache = $this->client();

        self::assertTrue($cache->set('key', "value\0"));
        self::assertSame("value\0", $cache->get('key'));
        self::assertTrue($cache->set('12', 'numeric', 0));
        self::assertSame('numeric', $this->client()->get('12'));
        self::assertNull($cache->get('missing'));
        $cache->remove('key');
        $cache->remove('missing');
        $cache->remove('');
        self::assertNull($cache->get('key'));
        self::assertNull($cache->get(''));
        self::assertFalse($cache->set('', 'value'));
        self::assertFalse($cache->set('key', ''));
    }

    public function testTheGlobalName(): void
    {
        self::assertTrue(class_exists(\NitroCache::class));
        self::assertSame(Client::class, (new \ReflectionClass(\NitroCache::class))->getName());
        self::assertContains(NitroCacheInterface::class, class_implements(\NitroCache::class));
    }

    public function testUsage(): void
    {
        $cache = $this->client(1, '/opt/nitro.so');
        self::assertSame(['usage_bytes' => 0, 'usage_kb' => 0.0, 'usage_mb' => 0.0, 'lib_path' => '/opt/nitro.so', 'engine' => 'ephpm'], $cache->getStats());

        $cache->set('key', str_repeat('x', 2045));
        self::assertSame(2048, $cache->getStats()['usage_bytes']);
        self::assertSame(2.0, $this->client()->getStats()['usage_kb']);
        $cache->set('key', 'x');
        self::assertSame(4, $cache->getStats()['usage_bytes']);
        $cache->set('key', 'longer');
        $cache->set('other', 'x');
        self::assertSame(15, $cache->getStats()['usage_bytes']);
        $cache->remove('key');
        self::assertSame(6, $cache->getStats()['usage_bytes']);
        $cache->clear();
        self::assertSame(0, $cache->getStats()['usage_bytes']);
        self::assertNull($cache->get('other'));
    }

    public function testTheLimitIsStrictAndShared(): void
    {
        [$one, $two] = [$this->client(10 * self::KIB), $this->client(10 * self::KIB)];
        for ($i = 0; $i < 9; ++$i) {
            self::assertTrue(($i % 2 ? $one : $two)->set("key$i", str_repeat('x', 1020)));
        }
        self::assertTrue($one->set('last', str_repeat('x', 1020)));
        self::assertSame(10240, $one->getStats()['usage_bytes']);
        self::assertFalse($one->set('a', 'b'));
        self::assertFalse($two->set('key1', str_repeat('x', 1021)));
        self::assertSame(str_repeat('x', 1020), $two->get('key1'));
        self::assertTrue($two->set('key1', str_repeat('y', 1020)));
        self::assertTrue($two->set('key1', str_repeat('y', 1018)));
        self::assertTrue($one->set('a', 'b'));
        self::assertFalse($two->set('c', 'd'));
        self::assertFalse($this->client(10 * self::KIB)->set('large', str_repeat('x', 10_240)));

        $one->updateMemoryLimit(1);
        self::assertTrue($one->set('c', 'd'));
        self::assertFalse($two->set('e', 'f'));
        $two->remove('key2');
        self::assertTrue($two->set('e', 'f'));
    }

    public function testWhatExpiredOrWasEvictedMakesRoom(): void
    {
        $cache = $this->client(2 * self::KIB);
        self::assertTrue($cache->set('short', str_repeat('x', 1000), 1));
        self::assertTrue($cache->set('long', str_repeat('x', 1000)));
        self::assertFalse($cache->set('new', str_repeat('x', 1000)));
        usleep(1_100_000);
        self::assertTrue($cache->set('new', str_repeat('x', 1000)));
        self::assertFalse($cache->set('newer', str_repeat('x', 1000)));

        foreach (static::store()->scan(0, 'nitro:', 1 << 20)[1] as $key) {
            if (str_ends_with($key, ':k:long')) {
                static::store()->del($key);
            }
        }
        usleep(1_100_000);
        self::assertSame(1003, $cache->getStats()['usage_bytes']);
        self::assertTrue($cache->set('newer', str_repeat('x', 1000)));
    }

    public function testItsCountersMayBeEvicted(): void
    {
        $cache = $this->client(2 * self::KIB);
        $cache->set('key', str_repeat('x', 2000));
        foreach (static::store()->scan(0, 'nitro:', 1 << 20)[1] as $key) {
            if (str_ends_with($key, ':u')) {
                static::store()->del($key);
            }
        }
        self::assertTrue($cache->set('new', str_repeat('x', 2000)));
        self::assertNull($cache->get('key'));
        self::assertFalse($cache->set('newer', str_repeat('x', 2000)));
        static::store()->del('nitro');
        self::assertNull($cache->get('new'));
        self::assertTrue($cache->set('newer', str_repeat('x', 2000)));
    }

    public function testAFullStoreRefuses(): void
    {
        $ops = new RecordingFullKvOps(static::store());
        $cache = new Client(1, null, $ops);
        self::assertTrue($cache->set('key', 'value'));
        $ops->full = true;
        self::assertFalse($cache->set('key', 'longer value'));
        self::assertFalse($cache->set('new', 'value'));
        self::assertSame('value', $cache->get('key'));
        $cache->remove('key');
        self::assertNull($cache->get('key'));
    }

    public function testOthersInBetween(): void
    {
        foreach (['setnx' => null, 'setIfEq' => 'old'] as $step => $old) {
            $ops = new RecordingFullKvOps(static::store());
            $cache = new Client(1, null, $ops);
            $cache->clear();
            if (null !== $old) {
                $cache->set('key', $old);
            }
            $calls = 0;
            $ops->before = function (string $call) use ($step, &$calls): bool {
                if ($step !== $call || 'setnx' === $step && 2 !== ++$calls) {
                    return false;
                }
                $this->client()->set('key', 'theirs, which is longer');

                return true;
            };
            // The first setnx is of the generation.
            self::assertTrue($cache->set('key', 'ours'));
            self::assertSame('ours', $cache->get('key'));
            self::assertSame(7, $cache->getStats()['usage_bytes'], $step);
        }
    }

    public function testOthersWhileItClears(): void
    {
        $ops = new RecordingFullKvOps(static::store());
        $cache = new Client(1, null, $ops);
        $cache->set('old', 'value');
        $ops->before = function (string $call): bool {
            if ('delPrefix' !== $call) {
                return false;
            }
            $this->client()->set('new', 'value');

            return true;
        };
        $cache->clear();
        self::assertNull($cache->get('old'));
        self::assertSame('value', $cache->get('new'));
        self::assertSame(8, $cache->getStats()['usage_bytes']);
    }

    public function testALimitOfNothing(): void
    {
        $this->expectException(\InvalidArgumentException::class);
        $this->client(0);
    }

    private function client(int|float $maxMemoryMb = 128, ?string $customLibPath = null): Client
    {
        return new Client($maxMemoryMb, $customLibPath, static::store());
    }
}
