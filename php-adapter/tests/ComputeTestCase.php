<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\KvOpsInterface;
use PHPUnit\Framework\TestCase;
use Psr\Cache\CacheItemPoolInterface;
use Symfony\Component\Cache\Adapter\TagAwareAdapter;
use Symfony\Contracts\Cache\CacheInterface;
use Symfony\Contracts\Cache\ItemInterface;

/**
 * Two requests for one item. The second one has read that it is missing, and
 * is held up until the first one has computed, saved and let go of the lock.
 */
abstract class ComputeTestCase extends TestCase
{
    private RecordingKvOps $ops;

    private int $runs = 0;

    abstract protected static function store(): KvOpsInterface;

    protected function setUp(): void
    {
        static::store()->flush();
        $this->ops = new RecordingKvOps(static::store());
    }

    public function testALateRequestTakesWhatTheOtherOneHasSaved(): void
    {
        $late = $this->pool();
        $this->meanwhile($late, $this->counting());

        self::assertSame('run 1', $late->get('key', $this->counting(), null, $metadata));
        self::assertSame(1, $this->runs);
        self::assertNotEmpty($metadata);
        self::assertSame($this->saved($late), $metadata);
        self::assertSame('run 1', $late->get('key', $this->counting(), null, $again));
        self::assertSame($metadata, $again);
    }

    public function testWhatWasTakenIsNotSavedAgain(): void
    {
        $late = $this->pool();
        $this->meanwhile($late, $this->counting());
        $late->get('key', $this->counting());

        self::assertSame([300], array_values($this->ops->ttls));
        self::assertCount(1, $this->ops->keysSet);
    }

    public function testNullAndFalseAreValues(): void
    {
        foreach ([null, false] as $value) {
            $late = $this->pool();
            self::assertTrue($late->clear());
            $this->meanwhile($late, static fn(): mixed => $value);
            self::assertSame($value, $late->get('key', static fn(): string => 'computed again'));
        }
    }

    public function testAForcedComputationTakesPlace(): void
    {
        $late = $this->pool();
        $this->meanwhile($late, $this->counting());
        $this->ops->missesBefore = 0;

        self::assertSame('run 2', $late->get('key', $this->counting(), \INF));
        self::assertSame('run 3', $late->get('key', $this->counting(), \INF));
        self::assertSame('run 3', $late->get('key', $this->counting()));
    }

    public function testAnEarlyRecomputationTakesPlace(): void
    {
        $pool = $this->pool();
        $slow = function (ItemInterface $item): string {
            usleep(2000);

            return $this->counting()($item);
        };
        $pool->get('key', $slow);
        // So eager that the draw is always won.
        self::assertSame('run 2', $pool->get('key', $slow, 1e30, $metadata));
        self::assertSame('run 2', $pool->get('key', $slow, 0));
        self::assertGreaterThanOrEqual(2, $metadata[ItemInterface::METADATA_CTIME] ?? null);
    }

    public function testAnExceptionLetsTheNextOneCompute(): void
    {
        $pool = $this->pool();
        $failing = static fn(bool $fails): string => $fails ? throw new \DomainException('as the callback said') : 'it did not';
        $message = null;
        try {
            $pool->get('key', static fn(): string => $failing(true));
        } catch (\DomainException $e) {
            $message = $e->getMessage();
        }
        self::assertSame('as the callback said', $message);
        self::assertFalse($pool->hasItem('key'));
        self::assertSame('run 1', $pool->get('key', $this->counting()));
        self::assertSame('run 1', $this->pool()->get('key', $this->counting()));
    }

    public function testTheOtherOnesExceptionLetsTheLateOneCompute(): void
    {
        $late = $this->pool();
        $late->hasItem('key');
        $this->ops->missesBefore = 1;
        $this->ops->afterMiss = function (): void {
            try {
                $this->pool()->get('key', static fn(): never => throw new \DomainException());
            } catch (\DomainException) {
            }
        };

        self::assertSame('run 1', $late->get('key', $this->counting()));
        self::assertSame('run 1', $this->pool()->get('key', $this->counting()));
    }

    public function testACallbackThatNeedsOtherItems(): void
    {
        $late = $this->pool();
        $nested = fn(ItemInterface $item): string => 'of ' . $late->get('inner', $this->counting()) . ' and ' . $late->get('key', $this->counting());
        self::assertSame('of run 1 and run 2', $late->get('key', $nested));
        self::assertSame('of run 1 and run 2', $this->pool()->get('key', $nested));
        self::assertSame('run 1', $late->get('inner', $this->counting()));

        self::assertTrue($late->delete('inner'));
        $outer = function (ItemInterface $item) use ($late): string {
            $this->meanwhile($late, $this->counting(), 'inner');

            return 'of ' . $late->get('inner', $this->counting(), null, $metadata) . (isset($metadata[ItemInterface::METADATA_EXPIRY]) ? ', which ends' : '');
        };
        self::assertSame('of run 3, which ends', $late->get('outer', $outer, null, $metadata));
        self::assertSame('of run 3, which ends', $late->get('outer', $outer));
        self::assertArrayNotHasKey(ItemInterface::METADATA_EXPIRY, (array) $metadata);
    }

    public function testTheWrapperCanBeSetAndTakenOff(): void
    {
        $pool = $this->pool();
        $wrapped = [];
        $pool->setCallbackWrapper(static function (callable $callback, ItemInterface $item, bool &$save) use (&$wrapped): mixed {
            $wrapped[] = $item->getKey();

            return $callback($item, $save);
        });
        self::assertSame('run 1', $pool->get('own', $this->counting()));
        self::assertSame(['own'], $wrapped);

        $pool->setCallbackWrapper(null);
        $this->meanwhile($pool, $this->counting());
        self::assertSame('run 3', $pool->get('key', $this->counting()));
        self::assertSame(['own'], $wrapped);
    }

    public function testTags(): void
    {
        $tagged = static function (ItemInterface $item): string {
            $item->tag('label');

            return 'value';
        };
        $late = new TagAwareAdapter($this->pool());
        $late->setCallbackWrapper(EphpmKvAdapter::compute(...));
        $this->meanwhile($late, $tagged);

        self::assertSame('value', $late->get('key', static fn(): string => 'computed again'));
        self::assertSame(['label' => 'label'], $this->saved($late)[ItemInterface::METADATA_TAGS] ?? null);
        self::assertTrue($late->invalidateTags(['label']));
        self::assertFalse($late->hasItem('key'));
    }

    private function pool(): EphpmKvAdapter
    {
        $pool = new EphpmKvAdapter('app', 0, $this->ops);
        if ('cli' === \PHP_SAPI) {
            $pool->setCallbackWrapper(EphpmKvAdapter::compute(...));
        }

        return $pool;
    }

    /**
     * @return \Closure(ItemInterface): string
     */
    private function counting(): \Closure
    {
        return function (ItemInterface $item): string {
            $item->expiresAfter(300);

            return 'run ' . ++$this->runs;
        };
    }

    /**
     * Another request computes the item right after $late has missed it next.
     */
    private function meanwhile(CacheInterface&CacheItemPoolInterface $late, callable $callback, string $key = 'key'): void
    {
        // What comes before the item itself: the version of the namespace.
        self::assertFalse($late->hasItem($key));
        // EphpmKvAdapter::get() looks once more than Symfony does.
        $this->ops->missesBefore = $late instanceof EphpmKvAdapter ? 1 : 0;
        $this->ops->afterMiss = function () use ($late, $callback, $key): void {
            $other = $late instanceof TagAwareAdapter ? new TagAwareAdapter($this->pool()) : $this->pool();
            $other->get($key, $callback);
        };
    }

    /**
     * @return array<mixed>
     */
    private function saved(CacheItemPoolInterface $pool): array
    {
        $item = $pool->getItem('key');
        self::assertInstanceOf(ItemInterface::class, $item);

        return $item->getMetadata();
    }
}
