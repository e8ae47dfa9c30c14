<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\KvOpsInterface;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Cache\Adapter\ArrayAdapter;
use Symfony\Component\Cache\Adapter\ChainAdapter;
use Symfony\Component\Cache\Adapter\TagAwareAdapter;
use Symfony\Component\Cache\Adapter\TraceableAdapter;
use Symfony\Component\Cache\Exception\InvalidArgumentException;
use Symfony\Component\Cache\Marshaller\DefaultMarshaller;
use Symfony\Component\Cache\Marshaller\DeflateMarshaller;
use Symfony\Component\Cache\Psr16Cache;
use Symfony\Contracts\Cache\ItemInterface;

abstract class AdapterTestCase extends TestCase
{
    protected RecordingKvOps $ops;

    protected RecordingLogger $logger;

    abstract protected static function store(): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface;

    abstract protected static function recording(): RecordingKvOps;

    protected function setUp(): void
    {
        static::store()->flush();
        $this->ops = static::recording();
        $this->logger = new RecordingLogger();
    }

    public function testPoolsOfTwoNamespacesDoNotSeeEachOther(): void
    {
        $pools = [$this->pool('one'), $this->pool('two'), $this->pool(''), $this->pool('one.two')];
        foreach ($pools as $i => $pool) {
            self::assertFalse($pool->hasItem('key'));
            $pool->save($pool->getItem('key')->set($i));
        }
        foreach ($pools as $i => $pool) {
            self::assertSame($i, $pool->getItem('key')->get());
        }
    }

    public function testClearClearsItsOwnNamespaceOnly(): void
    {
        $this->ops->set('raw', 'value');
        $this->ops->set('one:raw', 'value');
        foreach (['one', 'two', ''] as $namespace) {
            $pool = $this->pool($namespace);
            $pool->save($pool->getItem('key')->set($namespace));
        }

        $one = $this->pool('one');
        self::assertTrue($one->clear());
        self::assertFalse($one->hasItem('key'));
        self::assertSame('two', $this->pool('two')->getItem('key')->get());
        self::assertSame('', $this->pool('')->getItem('key')->get());

        self::assertTrue($this->pool('')->clear());
        self::assertFalse($this->pool('')->hasItem('key'));
        self::assertSame('two', $this->pool('two')->getItem('key')->get());
        self::assertSame('value', $this->ops->get('raw'));
        self::assertSame('value', $this->ops->get('one:raw'));
    }

    public function testAClearedPoolIsUsableAtOnceAndByOthers(): void
    {
        $pool = $this->pool('app');
        for ($round = 1; $round <= 20; ++$round) {
            self::assertFalse($pool->hasItem('key'));
            self::assertTrue($pool->save($pool->getItem('key')->set($round)));
            self::assertSame($round, $this->pool('app')->getItem('key')->get());
            self::assertTrue($pool->clear());
            self::assertFalse($pool->getItem('key')->isHit());
            self::assertFalse($this->pool('app')->hasItem('key'));
        }
    }

    public function testASeededRandomGeneratorDoesNotUndoAClear(): void
    {
        $pool = $this->pool('app');
        mt_srand(1);
        $pool->clear();
        $pool->save($pool->getItem('key')->set('old'));
        mt_srand(1);
        $pool->clear();
        mt_srand();

        self::assertFalse($pool->hasItem('key'));
    }

    public function testAnotherProcessSeesAClearAfterItsReset(): void
    {
        $theirs = $this->pool('app');
        $theirs->save($theirs->getItem('key')->set('value'));
        $this->pool('app')->clear();
        $theirs->reset();

        self::assertFalse($theirs->hasItem('key'));
    }

    public function testItemsDoNotComeBackWhenTheVersionWasEvicted(): void
    {
        $pool = $this->pool('app');
        $pool->save($pool->getItem('key')->set('value'));
        $pool->clear();
        $pool->save($pool->getItem('other')->set('value'));
        self::assertSame(1, $this->ops->del(':app:'));

        self::assertFalse($this->pool('app')->hasItem('key'));
        self::assertFalse($this->pool('app')->hasItem('other'));
    }

    public function testWhatIsDeletedIsDeletedAfterAnothersClear(): void
    {
        $slow = $this->pool('app');
        self::assertFalse($slow->hasItem('key'));
        $other = $this->pool('app');
        $other->clear();
        $other->save($other->getItem('key')->set('value'));

        self::assertTrue($slow->deleteItem('key'));
        self::assertFalse($this->pool('app')->hasItem('key'));
        $other->clear();
        self::assertTrue($slow->save($slow->getItem('key')->set('saved')));
        self::assertSame('saved', $this->pool('app')->getItem('key')->get());
    }

    public function testSubNamespaces(): void
    {
        $pool = $this->pool('app');
        $pool->save($pool->getItem('key')->set('root'));
        $pool->saveDeferred($pool->getItem('deferred')->set('root'));
        $sub = $pool->withSubNamespace('sub');
        $deep = $sub->withSubNamespace('deep');
        foreach (['sub' => $sub, 'deep' => $deep] as $name => $of) {
            self::assertFalse($of->hasItem('key'));
            self::assertSame($name, $of->get('key', static fn(): string => $name));
        }
        self::assertTrue($pool->hasItem('deferred'));
        self::assertFalse($sub->hasItem('deferred'));
        self::assertSame('root', $pool->getItem('key')->get());
        self::assertSame('deep', $this->pool('app')->withSubNamespace('sub')->withSubNamespace('deep')->getItem('key')->get());

        self::assertTrue($pool->clear());
        foreach ([$pool, $sub, $deep] as $of) {
            self::assertFalse($of->hasItem('key'));
            $of->save($of->getItem('key')->set('new'));
            self::assertSame('new', $of->get('key', static fn(): string => 'not found'));
        }

        $this->expectException(InvalidArgumentException::class);
        $pool->withSubNamespace('a:b');
    }

    public function testKeysThatPsr6Forbids(): void
    {
        $pool = $this->pool('app');
        foreach (['', 'a{b', 'a}b', 'a(b', 'a)b', 'a/b', 'a\\b', 'a@b', 'a:b'] as $key) {
            $refused = 0;
            foreach ([$pool->getItem(...), $pool->hasItem(...), $pool->deleteItem(...), static fn(string $key): mixed => $pool->get($key, static fn(): string => 'computed')] as $method) {
                try {
                    $method($key);
                } catch (InvalidArgumentException) {
                    ++$refused;
                }
            }
            self::assertSame(4, $refused, $key);
        }
        self::assertSame([], $this->ops->keysSet);
    }

    public function testAHitWithMetadata(): void
    {
        $pool = $this->pool('app');
        $pool->get('key', static function (ItemInterface $item): \stdClass {
            $item->expiresAfter(300);

            return (object) ['a' => 1];
        }, null, $computed);
        $again = static fn(): string => 'computed again';
        self::assertEquals((object) ['a' => 1], $pool->get('key', $again, null, $found));
        $item = $pool->getItem('key');
        self::assertSame($item->getMetadata(), $found);
        self::assertIsArray($computed);
        self::assertEqualsWithDelta($computed[ItemInterface::METADATA_EXPIRY], $found[ItemInterface::METADATA_EXPIRY] ?? null, 1);

        $pool->get('plain', static fn(): string => 'value');
        self::assertSame('value', $pool->get('plain', $again, 0.0, $found));
        self::assertSame([], $found);
    }

    public function testAHitOfWhatIsDeferred(): void
    {
        $pool = $this->pool('app');
        $pool->save($pool->getItem('key')->set('old'));
        $pool->saveDeferred($pool->getItem('key')->set('new'));

        self::assertSame('new', $pool->get('key', static fn(): string => 'computed'));
    }

    public function testANegativeBetaIsRefused(): void
    {
        $pool = $this->pool('app');
        $pool->save($pool->getItem('key')->set('value'));

        $this->expectException(InvalidArgumentException::class);
        $pool->get('key', static fn(): string => 'computed', -1.0);
    }

    public function testACorruptHitIsComputedAnew(): void
    {
        $pool = $this->pool('app');
        $pool->get('key', static fn(): string => 'value');
        foreach (['O:1:{', '', 'O:7:"Missing":0:{}', "\0\0\0\2\xff", 'a:1:{i:0;', 'O:8:"stdClass":1:{s:1:"a";'] as $bytes) {
            $this->ops->set($this->ops->keysSet[0], $bytes);
            self::assertSame('computed', @$pool->get('key', static fn(): string => 'computed'), $bytes);
            self::assertSame('computed', $pool->getItem('key')->get());
        }
        // A server's request looks twice, and says that it locks.
        self::assertSame(['warning'], array_values(array_unique(array_diff($this->logger->levels(), ['info']))));
        self::assertGreaterThanOrEqual(6, substr_count($this->logger->messages(), 'Failed to fetch key'));
    }

    public function testLifetimesReachTheStore(): void
    {
        $pool = $this->pool('app', 50);
        $pool->save($pool->getItem('default')->set(1));
        $pool->save($pool->getItem('own')->set(1)->expiresAfter(70));
        $pool->save($pool->getItem('ever')->set(1)->expiresAt(null));

        self::assertSame([50, 70, 50], array_values($this->ops->ttls));
        self::assertSame([0], array_values($this->ttlsOf($this->pool('endless'))));
    }

    public function testACallbackRunsOnce(): void
    {
        $pool = $this->pool('app');
        $runs = 0;
        $callback = static function (ItemInterface $item) use (&$runs): string {
            $item->expiresAfter(300);

            return 'run ' . ++$runs;
        };

        $got = [];
        $got[] = $pool->get('key', $callback);
        $got[] = $pool->get('key', $callback);
        self::assertTrue($pool->delete('key'));
        $got[] = $pool->get('key', $callback);
        $got[] = $pool->get('key', $callback, \INF);
        self::assertSame(['run 1', 'run 1', 'run 2', 'run 3'], $got);
    }

    public function testCorruptBytesCostTheirOwnItemOnly(): void
    {
        $pool = $this->pool('app');
        foreach (['a', 'b', 'c'] as $key) {
            $pool->save($pool->getItem($key)->set($key));
        }
        $this->ops->set($this->ops->keysSet[1], 'O:1:{');

        $values = [];
        // unserialize() says where the bytes are wrong.
        foreach (@iterator_to_array($pool->getItems(['a', 'b', 'c', 'd'])) as $key => $item) {
            $values[$key] = $item->get();
        }
        ksort($values);
        self::assertSame(['a' => 'a', 'b' => null, 'c' => 'c', 'd' => null], $values);
        self::assertFalse((@$pool->getItem('b'))->isHit());
        self::assertSame(['warning', 'warning'], $this->logger->levels());
    }

    public function testWhatCannotBeSerializedFailsAlone(): void
    {
        $pool = $this->pool('app');
        $pool->saveDeferred($pool->getItem('good')->set('value'));
        $pool->saveDeferred($pool->getItem('bad')->set(static fn(): int => 1));

        self::assertFalse($pool->commit());
        self::assertTrue($pool->hasItem('good'));
        self::assertFalse($pool->hasItem('bad'));
        self::assertSame(['warning'], $this->logger->levels());
    }

    public function testAFullStoreFailsToSave(): void
    {
        $pool = $this->pool('app');
        self::assertFalse($pool->hasItem('key'));
        $this->ops->full = true;

        self::assertFalse($pool->save($pool->getItem('key')->set('value')));
        self::assertFalse($pool->hasItem('key'));
        self::assertStringContainsString('Failed to save key', $this->logger->messages());
    }

    public function testAStoreThatIsGoneIsAMissAndALine(): void
    {
        $this->ops->gone = true;
        $pool = $this->pool('app');

        self::assertFalse($pool->hasItem('key'));
        self::assertFalse($pool->getItem('key')->isHit());
        self::assertFalse($pool->save($pool->getItem('key')->set('value')));
        self::assertFalse($pool->clear());
        self::assertFalse($pool->deleteItem('key'));
        self::assertSame('computed', $pool->get('key', static fn(): string => 'computed'));
        self::assertContains('warning', $this->logger->levels());
        self::assertStringContainsString('the store is gone', $this->logger->messages());
    }

    public function testLongKeysStayApart(): void
    {
        $pool = $this->pool('app');
        $long = str_repeat('x', 70_000);
        foreach (['a', 'b'] as $end) {
            self::assertTrue($pool->save($pool->getItem($long . $end)->set($end)));
        }
        self::assertSame('a', $pool->getItem($long . 'a')->get());
        self::assertSame('b', $pool->getItem($long . 'b')->get());
        self::assertTrue($pool->deleteItem($long . 'a'));
        self::assertFalse($pool->hasItem($long . 'a'));
        self::assertTrue($pool->hasItem($long . 'b'));
        foreach ($this->ops->keysSet as $key) {
            self::assertLessThanOrEqual(65535, \strlen($key));
        }
    }

    public function testANamespaceMustBeAKey(): void
    {
        $this->expectException(InvalidArgumentException::class);
        $this->pool('a{b');
    }

    public function testTheMarshallerIsUsed(): void
    {
        $pool = new EphpmKvAdapter('app', 0, $this->ops, new DeflateMarshaller(new DefaultMarshaller(false)));
        $pool->save($pool->getItem('key')->set(str_repeat('x', 10_000)));

        self::assertLessThan(1000, \strlen((string) $this->ops->get($this->ops->keysSet[0])));
        self::assertSame(str_repeat('x', 10_000), $pool->getItem('key')->get());
    }

    public function testUnderSymfonysOwnWrappers(): void
    {
        $tagged = new TagAwareAdapter($this->pool('tagged'));
        $tagged->get('key', static function (ItemInterface $item): string {
            $item->tag('label');

            return 'value';
        });
        self::assertTrue($tagged->hasItem('key'));
        self::assertTrue($tagged->invalidateTags(['label']));
        self::assertFalse($tagged->hasItem('key'));

        $traceable = new TraceableAdapter($this->pool('traced'));
        $traceable->get('key', static fn(): string => 'value');
        self::assertSame('value', $traceable->get('key', static fn(): string => 'computed'));
        self::assertTrue($traceable->clear());

        $simple = new Psr16Cache($this->pool('simple'));
        self::assertTrue($simple->setMultiple(['a' => 1, 'b' => 2], 100));
        self::assertSame(['a' => 1, 'b' => 2, 'c' => 3], $simple->getMultiple(['a', 'b', 'c'], 3));

        $chain = new ChainAdapter([new ArrayAdapter(), $this->pool('chained')]);
        $chain->get('key', static fn(): string => 'value');
        self::assertSame('value', $this->pool('chained')->getItem('key')->get());
    }

    protected function pool(string $namespace, int $defaultLifetime = 0): EphpmKvAdapter
    {
        $pool = new EphpmKvAdapter($namespace, $defaultLifetime, $this->ops);
        $pool->setLogger($this->logger);

        return $pool;
    }

    /**
     * @return array<string, int>
     */
    private function ttlsOf(EphpmKvAdapter $pool): array
    {
        $this->ops->ttls = [];
        $pool->save($pool->getItem('key')->set(1));

        return $this->ops->ttls;
    }
}
