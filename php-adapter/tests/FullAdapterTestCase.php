<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

/**
 * The adapter on a store that can do all.
 */
abstract class FullAdapterTestCase extends AdapterTestCase
{
    protected static function recording(): RecordingKvOps
    {
        return new RecordingFullKvOps(static::store());
    }

    public function testAPrefixIsCleared(): void
    {
        $pool = $this->pool('app');
        $other = $this->pool('app2');
        $sub = $pool->withSubNamespace('sub');
        foreach (['a.one', 'a.two', 'b'] as $key) {
            foreach ([$pool, $other, $sub] as $of) {
                $of->save($of->getItem($key)->set('value'));
            }
        }

        self::assertTrue($pool->clear('a.'));
        self::assertSame([false, false, true], array_map($pool->hasItem(...), ['a.one', 'a.two', 'b']));
        self::assertTrue($sub->hasItem('a.one'));
        self::assertTrue($sub->clear('a.o'));
        self::assertSame([false, true, true], array_map($sub->hasItem(...), ['a.one', 'a.two', 'b']));
        self::assertTrue($sub->clear());
        self::assertFalse($sub->hasItem('b'));
        self::assertTrue($pool->hasItem('b'));
        self::assertTrue($other->hasItem('a.one'));
        self::assertSame([], $this->logger->levels());

        self::assertFalse($pool->clear('{'));
        self::assertSame(['warning'], $this->logger->levels());
        self::assertTrue($pool->hasItem('b'));
    }

    public function testNothingIsLeftOfWhatWasCleared(): void
    {
        $pool = $this->pool('app');
        $sub = $pool->withSubNamespace('sub');
        foreach ([$pool, $sub] as $of) {
            $of->save($of->getItem('key')->set('value'));
        }
        self::assertTrue($pool->clear());

        self::assertSame([':app:'], $this->keys());
    }

    public function testPruningRemovesWhatAClearHasMissed(): void
    {
        foreach (['app', '', 'app2'] as $namespace) {
            $pool = $this->pool($namespace);
            $pool->save($pool->getItem('key')->set('value'));
        }
        $keys = $this->keys();
        // As processes leave it that save while another one clears.
        foreach (['', 'app:'] as $root) {
            static::store()->mset(["$root@h2gpcv6abc:old" => '', "$root@h2gpcv6abc:sub:old" => '', "{$root}other:@h2gpcv6abc:key" => '']);
        }
        array_push($keys, 'other:@h2gpcv6abc:key', 'app:other:@h2gpcv6abc:key');
        sort($keys);

        self::assertTrue($this->pool('app')->prune());
        self::assertTrue($this->pool('')->prune());
        self::assertSame($keys, $this->keys());
        $this->ops->gone = true;
        self::assertFalse($this->pool('app')->prune());
        self::assertSame(['warning'], $this->logger->levels());
    }

    public function testManyItemsAreOneCall(): void
    {
        $pool = $this->pool('app');
        $pool->hasItem('key');
        $this->ops->calls = [];
        foreach (['a', 'b', 'c'] as $key) {
            $pool->saveDeferred($pool->getItem($key)->set($key));
        }
        $this->ops->calls = [];
        self::assertTrue($pool->commit());
        // The version, and the items.
        self::assertSame(['get', 'mset'], $this->ops->calls);

        $this->ops->calls = [];
        self::assertCount(4, iterator_to_array($pool->getItems(['a', 'b', 'c', 'd'])));
        self::assertSame(['mget'], $this->ops->calls);
        $this->ops->calls = [];
        self::assertSame('a', $pool->get('a', static fn(): string => 'computed'));
        self::assertSame(['get'], $this->ops->calls);
    }

    public function testWhatDoesNotFitFailsAlone(): void
    {
        $pool = $this->pool('app');
        $pool->saveDeferred($pool->getItem('small')->set('value'));
        $pool->saveDeferred($pool->getItem('large')->set(str_repeat('x', 64 << 20)));

        self::assertFalse(@$pool->commit());
        self::assertTrue($pool->hasItem('small'));
        self::assertFalse($pool->hasItem('large'));
        self::assertSame(['warning'], $this->logger->levels());
    }

    /**
     * @return list<string>
     */
    private function keys(): array
    {
        $all = [];
        $cursor = 0;
        do {
            [$cursor, $keys] = static::store()->scan($cursor);
            array_push($all, ...$keys);
        } while (0 !== $cursor);
        sort($all);

        return $all;
    }
}
