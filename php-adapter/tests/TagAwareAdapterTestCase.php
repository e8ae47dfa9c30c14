<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter;
use Ephpm\Cache\Symfony\KvOpsInterface;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Cache\Adapter\TraceableTagAwareAdapter;
use Symfony\Component\Cache\Exception\InvalidArgumentException;
use Symfony\Contracts\Cache\ItemInterface;
use Symfony\Contracts\Cache\TagAwareCacheInterface;

abstract class TagAwareAdapterTestCase extends TestCase
{
    private const EPOCH = 'app:@:';

    private RecordingFullKvOps $ops;

    private RecordingLogger $logger;

    abstract protected static function store(): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface;

    protected function setUp(): void
    {
        static::store()->flush();
        $this->ops = new RecordingFullKvOps(static::store());
        $this->logger = new RecordingLogger();
    }

    public function testItemsGoWithAnyOfTheirTags(): void
    {
        $pool = $this->pool();
        $this->save($pool, ['ab' => ['a', 'b'], 'bc' => ['b', 'c'], 'c' => ['c'], 'none' => [], '7' => ['7', 'a']]);

        self::assertTrue($pool->invalidateTags(['a']));
        self::assertSame(['bc', 'c', 'none'], $this->hits());
        self::assertTrue($pool->invalidateTags(['a', 'unknown']));
        self::assertSame(['bc', 'c', 'none'], $this->hits());
        self::assertTrue($pool->invalidateTags(['c', 'b']));
        self::assertSame(['none'], $this->hits());

        $this->save($pool, ['ab' => ['a', 'b'], '7' => ['7']]);
        self::assertSame(['ab', 'none', '7'], $this->hits());
        self::assertSame('value of 7', $pool->getItem('7')->get());
        self::assertTrue($pool->invalidateTags(['7']));
        self::assertSame(['ab', 'none'], $this->hits());
        self::assertSame([], $this->logger->levels());
        self::assertFalse($pool->invalidateTags([]));
    }

    public function testWhatAnItemSaysOfItsTags(): void
    {
        $pool = $this->pool();
        $this->save($pool, ['key' => ['a', 'b']]);
        self::assertSame(['a' => 'a', 'b' => 'b'], $pool->getItem('key')->getMetadata()[ItemInterface::METADATA_TAGS] ?? null);

        $pool->save($pool->getItem('key')->tag('c'));
        self::assertTrue($pool->invalidateTags(['a']));
        self::assertTrue($pool->hasItem('key'));
        self::assertTrue($pool->invalidateTags(['c']));
        self::assertFalse($pool->hasItem('key'));

        $this->expectException(InvalidArgumentException::class);
        $pool->getItem('key')->tag('a:b');
    }

    public function testByCallback(): void
    {
        $runs = 0;
        $callback = static function (ItemInterface $item) use (&$runs): string {
            $item->tag(['a', 'b'])->expiresAfter(300);

            return 'run ' . ++$runs;
        };
        foreach ([$this->pool(), new TraceableTagAwareAdapter($this->pool())] as $pool) {
            self::assertInstanceOf(TagAwareCacheInterface::class, $pool);
            $first = $pool->get('key', $callback);
            self::assertSame($first, $pool->get('key', $callback));
            self::assertTrue($pool->invalidateTags(['b']));
            self::assertNotSame($first, $pool->get('key', $callback));
            self::assertTrue($pool->clear());
        }
        self::assertSame(4, $runs);
    }

    public function testHowManyCallsItTakes(): void
    {
        $this->save($this->pool(), ['tagged' => ['a', 'b'], 'plain' => []]);
        $pool = $this->pool();
        $calls = function (callable $do): array {
            $this->ops->calls = [];
            $do();

            return $this->ops->calls;
        };

        self::assertSame(['mget', 'mget'], $calls(static fn() => $pool->getItem('tagged')->get()));
        self::assertSame(['mget'], $calls(static fn() => $pool->getItem('plain')->get()));
        self::assertSame(['mget'], $calls(static fn() => $pool->getItem('missing')->get()));
        self::assertSame(['mget', 'mget'], $calls(static fn() => iterator_to_array($pool->getItems(['tagged', 'plain', 'missing']))));
        self::assertSame(['del'], $calls(static fn() => $pool->invalidateTags(['a'])));
        self::assertSame(['get', 'setIfEq', 'del', 'get', 'del', 'setIfEq'], $calls(static fn() => $pool->invalidateTags(['a', 'b'])));
        $item = $pool->getItem('plain');
        self::assertSame(['mget', 'set'], $calls(static fn() => $pool->save($item)));
    }

    public function testEvictionsCostHitsAndBringNothingBack(): void
    {
        $pool = $this->pool();
        foreach ([self::EPOCH, 'app:@::a'] as $evicted) {
            $this->save($pool, ['old' => ['a'], 'plain' => []]);
            $pool->invalidateTags(['a']);
            $this->save($pool, ['new' => ['a', 'b']]);
            self::assertSame(1, static::store()->del($evicted));
            self::assertNotContains('new', $this->hits());
            $this->save($pool, ['other' => ['a', 'b']]);

            self::assertSame(self::EPOCH === $evicted ? ['other'] : ['other', 'plain'], $this->hits(['old', 'new', 'other', 'plain']));
            self::assertTrue($pool->clear());
        }
    }

    public function testAnInvalidationInTheMiddleOfASave(): void
    {
        $this->save($this->pool(), ['other' => ['a', 'b']]);
        $item = $this->pool()->getItem('key')->set('value')->tag(['a', 'b']);
        // Before the versions are read it is saved later, then it is too late.
        foreach ([['a'], ['a', 'b']] as $tags) {
            foreach (['mget' => ['key'], 'set' => []] as $step => $hits) {
                $this->before($step, fn() => $this->pool(static::store())->invalidateTags($tags));
                self::assertTrue($this->pool()->save($item));
                self::assertSame($hits, $this->hits(['key']), $step);
            }
        }
        $this->before('set', fn() => $this->pool(static::store())->clear());
        self::assertTrue($this->pool()->save($item));
        self::assertSame([], $this->hits(['key']));
        self::assertNull($this->ops->before);
    }

    public function testAnInvalidationIsWholeWhereverItsProcessIsKilled(): void
    {
        foreach ([['a'], ['a', 'b', 'c']] as $tags) {
            $outcomes = [];
            for ($step = 1; $step < 100; ++$step) {
                $this->save($this->pool(static::store()), ['1' => [$tags[0]], '2' => [$tags[\count($tags) - 1]], '3' => $tags, '4' => []]);
                $left = $step;
                $this->ops->before = static fn(): bool => 0 === --$left && throw new \Error('killed');
                try {
                    $this->pool()->invalidateTags($tags);
                    break;
                } catch (\Error $e) {
                    self::assertSame('killed', $e->getMessage());
                } finally {
                    $this->ops->before = null;
                    $outcomes[] = implode(' ', $this->hits(['1', '2', '3', '4']));
                }
                // Whoever saves next need not read before.
                $this->save($this->pool(static::store()), ['1' => $tags]);
                self::assertContains('1', $this->hits(['1', '2', '3', '4']));
            }
            self::assertLessThan(100, $step);
            self::assertSame(['1 2 3 4', '4'], array_values(array_unique($outcomes)));
            self::assertSame('4', end($outcomes));
        }
    }

    public function testALateHelperDoesNotTakeOffAnothersNames(): void
    {
        $pool = $this->pool();
        $this->save($pool, ['key' => ['a', 'b']]);
        $epoch = (string) static::store()->get(self::EPOCH);
        // A helper stops before it takes the names off ...
        $begun = $epoch . 'firsttry' . 'a:b';
        static::store()->set(self::EPOCH, $begun);
        $this->ops->before = function (string $call) use ($epoch): bool {
            if ('setIfEq' !== $call) {
                return false;
            }
            // ... and meanwhile another invalidation of the same tags begins.
            $this->save($this->pool(static::store()), ['key' => ['a', 'b']]);
            static::store()->set(self::EPOCH, $epoch . 'nexttime' . 'a:b');

            return true;
        };
        $pool->hasItem('key');

        self::assertSame([], $this->hits(['key']));
        self::assertSame($epoch, static::store()->get(self::EPOCH));
    }

    public function testAFullStore(): void
    {
        $pool = $this->pool();
        foreach ([['a'], ['a', 'b']] as $tags) {
            $this->save($pool, ['ab' => ['a', 'b'], 'b' => ['b'], 'plain' => []]);
            $this->ops->full = true;
            self::assertTrue($pool->invalidateTags($tags));
            self::assertSame(['a'] === $tags ? ['b', 'plain'] : [], $this->hits(['ab', 'b', 'plain']));
            self::assertFalse($pool->save($pool->getItem('new')->set('value')->tag('new')));
            self::assertFalse($pool->hasItem('new'));
            self::assertTrue($pool->clear());
            self::assertSame([], $this->hits(['ab', 'b', 'plain']));
            $this->ops->full = false;
        }
        self::assertStringContainsString('Failed to save key "{key}"', $this->logger->messages());
    }

    public function testAStoreThatIsGone(): void
    {
        $this->ops->gone = true;
        $pool = $this->pool();

        self::assertFalse($pool->hasItem('key'));
        self::assertFalse($pool->getItem('key')->isHit());
        self::assertSame([false], array_values(array_map(static fn(ItemInterface $item): bool => $item->isHit(), iterator_to_array($pool->getItems(['key'])))));
        self::assertFalse($pool->save($pool->getItem('key')->set('value')->tag('a')));
        self::assertFalse($pool->invalidateTags(['a']));
        self::assertFalse($pool->invalidateTags(['a', 'b']));
        self::assertFalse($pool->clear());
        self::assertFalse($pool->deleteItem('key'));
        self::assertFalse($pool->prune());
        self::assertSame('computed', $pool->get('key', static fn(): string => 'computed'));
        self::assertStringContainsString('Failed to invalidate tags: the store is gone', $this->logger->messages());
    }

    public function testCorruptBytes(): void
    {
        $pool = $this->pool();
        $this->save($pool, ['a' => ['x'], 'b' => ['x'], 'c' => []]);
        foreach (['O:1:{', 's:1:"x";', 'a:0:{}', 'a:2:{s:4:"seal";i:1;s:4:"tags";a:0:{}}', serialize(['value' => 1, 'tags' => [[]], 'seal' => static::store()->get(self::EPOCH)])] as $bytes) {
            static::store()->set('app:@:b', $bytes);
            self::assertSame(['a', 'c'], @$this->hits(['a', 'b', 'c']), $bytes);
            self::assertFalse((@$pool->getItem('b'))->isHit());
        }
        foreach (['', 'short', 'not much longer', str_repeat('x', 100)] as $bytes) {
            static::store()->set(self::EPOCH, $bytes);
            self::assertSame([], $this->hits(['a', 'c']));
            $this->save($pool, ['a' => ['x', 'y'], 'c' => []]);
            self::assertSame(['a', 'c'], $this->hits(['a', 'c']));
        }
    }

    public function testNamespaces(): void
    {
        $plain = new EphpmKvAdapter('app', 0, $this->ops);
        $pools = [$this->pool(), new EphpmKvTagAwareAdapter('', 0, $this->ops), new EphpmKvTagAwareAdapter('app2', 0, $this->ops), $plain];
        foreach ($pools as $i => $pool) {
            self::assertFalse($pool->hasItem('key'));
            $item = $pool->getItem('key')->set($i);
            $pool->save($pool === $plain ? $item : $item->tag('a'));
        }
        self::assertTrue($pools[0]->invalidateTags(['a']));
        self::assertSame([null, 1, 2, 3], array_map(static fn($pool): mixed => $pool->getItem('key')->get(), $pools));
        self::assertTrue($pools[1]->clear());
        self::assertTrue($plain->clear());
        self::assertSame([null, null, 2, null], array_map(static fn($pool): mixed => $pool->getItem('key')->get(), $pools));
    }

    public function testSubNamespacesHaveTheSameTags(): void
    {
        $pool = $this->pool();
        $this->save($pool, ['key' => ['a'], 'b' => ['b']]);
        $sub = $pool->withSubNamespace('sub');
        self::assertFalse($sub->hasItem('key'));
        $this->save($sub, ['key' => ['a'], 'b' => ['b'], 'other' => ['b']]);

        self::assertTrue($sub->invalidateTags(['a']));
        self::assertFalse($pool->hasItem('key'));
        self::assertTrue($sub->hasItem('b'));
        self::assertTrue($sub->clear('o'));
        self::assertFalse($sub->hasItem('other'));
        self::assertTrue($sub->clear());
        self::assertFalse($sub->hasItem('b'));
        self::assertTrue($pool->hasItem('b'));
        $this->save($sub, ['b' => ['b']]);
        self::assertTrue($pool->clear());
        self::assertFalse($sub->hasItem('b'));
        self::assertSame([[], []], [static::store()->scan(0, 'app:', 1 << 20)[1], $this->logger->levels()]);
    }

    public function testPruningRemovesWhatWasInvalidated(): void
    {
        $pool = $this->pool();
        $this->save($pool, ['a' => ['a'], 'b' => ['b'], 'plain' => []]);
        $this->save($pool->withSubNamespace('sub'), ['a' => ['a']]);
        $pool->invalidateTags(['a']);
        self::assertNotNull(static::store()->get('app:@:a'));

        self::assertTrue($pool->prune());
        self::assertSame([null, null], static::store()->mget(['app:@:a', 'app:@:sub:a']));
        self::assertSame(['b', 'plain'], $this->hits(['a', 'b', 'plain']));
    }

    public function testLongKeysAndTagsStayApart(): void
    {
        $pool = $this->pool();
        $long = str_repeat('x', 70_000);
        $this->save($pool, [$long . 'a' => [$long . 'a'], $long . 'b' => [$long . 'b']]);

        self::assertTrue($pool->invalidateTags([$long . 'a']));
        self::assertSame([$long . 'b'], $this->hits([$long . 'a', $long . 'b']));
    }

    public function testTheNineMethodsAreNotEnough(): void
    {
        $this->expectException(InvalidArgumentException::class);
        $this->expectExceptionMessage('TagAwareAdapter');
        new EphpmKvTagAwareAdapter('app', 0, new RecordingKvOps(static::store()));
    }

    private function pool(?KvOpsInterface $ops = null): EphpmKvTagAwareAdapter
    {
        $pool = new EphpmKvTagAwareAdapter('app', 0, $ops ?? $this->ops);
        $pool->setLogger($this->logger);

        return $pool;
    }

    /**
     * @param array<list<string>> $tags by key
     */
    private function save(EphpmKvTagAwareAdapter $pool, array $tags): void
    {
        foreach ($tags as $key => $of) {
            $item = $pool->getItem((string) $key)->set("value of $key");
            self::assertTrue($pool->saveDeferred($item->tag($of)));
        }
        self::assertTrue($pool->commit());
    }

    /**
     * What another process finds.
     *
     * @param list<string> $keys
     *
     * @return list<string>
     */
    private function hits(array $keys = ['ab', 'bc', 'c', 'none', '7']): array
    {
        $pool = $this->pool(static::store());
        $hits = [];
        foreach ($pool->getItems($keys) as $key => $item) {
            if ($item->isHit()) {
                $hits[] = (string) $key;
            }
        }
        sort($hits);
        foreach ($keys as $key) {
            self::assertSame(\in_array($key, $hits, true), (@$pool->hasItem($key)));
        }

        return array_values(array_intersect($keys, $hits));
    }

    private function before(string $step, \Closure $do): void
    {
        $this->ops->before = static function (string $call) use ($step, $do): bool {
            if ($step === $call) {
                $do();
            }

            return $step === $call;
        };
    }
}
