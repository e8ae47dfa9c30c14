<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Redis;

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Cache\Adapter\ChainAdapter;
use Symfony\Component\Cache\Adapter\RedisAdapter;
use Symfony\Component\Cache\Adapter\TagAwareAdapter;
use Symfony\Contracts\Cache\ItemInterface;

/**
 * A near cache: Redis behind the server's own store. REDIS_SOCKET is the path
 * of the socket of a redis-server of the test's own.
 */
final class ChainTest extends TestCase
{
    private EphpmKvAdapter $near;

    private RedisAdapter $far;

    private ChainAdapter $chain;

    protected function setUp(): void
    {
        $redis = new \Redis();
        $redis->connect((string) getenv('REDIS_SOCKET'));
        $redis->flushAll();
        $this->near = new EphpmKvAdapter('chain', 60);
        $this->near->clear();
        $this->far = new RedisAdapter($redis, 'chain');
        $this->chain = new ChainAdapter([$this->near, $this->far]);
    }

    public function testBothHaveWhatIsSaved(): void
    {
        self::assertTrue($this->chain->save($this->chain->getItem('key')->set(['a' => 1])));
        foreach ([$this->near, $this->far] as $pool) {
            self::assertSame(['a' => 1], $pool->getItem('key')->get());
        }
        self::assertTrue($this->chain->deleteItem('key'));
        foreach ([$this->near, $this->far, $this->chain] as $pool) {
            self::assertFalse($pool->hasItem('key'));
        }
    }

    public function testTheNearOneIsFilledFromTheFarOne(): void
    {
        $this->far->get('key', static function (ItemInterface $item): string {
            $item->expiresAfter(100);

            return 'value';
        });
        self::assertSame('value', $this->chain->get('key', static fn(): string => 'computed'));
        self::assertSame('value', $this->near->getItem('key')->get());
        $this->far->clear();
        self::assertSame('value', $this->chain->get('key', static fn(): string => 'computed'));
        self::assertSame(['key', 'none'], array_keys(iterator_to_array($this->chain->getItems(['key', 'none']))));
        self::assertTrue($this->chain->clear());
        self::assertSame('computed', $this->chain->get('key', static fn(): string => 'computed'));
        self::assertTrue($this->far->hasItem('key'));
    }

    public function testTags(): void
    {
        $tagged = new TagAwareAdapter($this->chain, $this->far);
        $tagged->get('key', static function (ItemInterface $item): string {
            $item->tag('a');

            return 'value';
        });
        self::assertTrue($tagged->hasItem('key'));
        self::assertTrue($tagged->invalidateTags(['a']));
        self::assertFalse($tagged->hasItem('key'));
    }

    public function testPrefixes(): void
    {
        foreach (['a.one', 'b.one'] as $key) {
            $this->chain->save($this->chain->getItem($key)->set($key));
        }
        self::assertTrue($this->chain->clear('a.'));
        self::assertFalse($this->chain->hasItem('a.one'));
        self::assertTrue($this->near->hasItem('b.one'));
    }
}
