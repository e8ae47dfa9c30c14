<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\KvOpsInterface;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/**
 * What every KvOpsInterface does alike.
 */
abstract class KvOpsTestCase extends TestCase
{
    abstract protected static function store(): KvOpsInterface;

    protected function setUp(): void
    {
        self::assertTrue(static::store()->flush());
    }

    public function testWhatWasSetComesBackByteForByte(): void
    {
        $ops = static::store();
        $bytes = implode('', array_map(\chr(...), range(0, 255)));

        self::assertTrue($ops->set("key\0" . $bytes, $bytes));
        self::assertSame($bytes, $ops->get("key\0" . $bytes));
        self::assertNull($ops->get('key'));

        self::assertTrue($ops->set('empty', ''));
        self::assertSame('', $ops->get('empty'));

        self::assertTrue($ops->set('12', 'a numeric key'));
        self::assertSame('a numeric key', $ops->get('12'));
    }

    public function testSetReplacesValueAndExpiry(): void
    {
        $ops = static::store();

        self::assertTrue($ops->set('key', 'old', 100));
        self::assertTrue($ops->set('key', 'new'));
        self::assertSame('new', $ops->get('key'));
        self::assertSame(-1, $ops->ttl('key'));
    }

    public function testDelTellsWhetherTheKeyWasThere(): void
    {
        $ops = static::store();
        $ops->set('key', 'value');

        self::assertTrue($ops->exists('key'));
        self::assertSame(1, $ops->del('key'));
        self::assertFalse($ops->exists('key'));
        self::assertSame(0, $ops->del('key'));
    }

    public function testIncrByCountsFromZeroAndBothWays(): void
    {
        $ops = static::store();

        self::assertSame(5, $ops->incrBy('counter', 5));
        self::assertSame(-2, $ops->incrBy('counter', -7));
        self::assertSame('-2', $ops->get('counter'));
        self::assertSame(0, $ops->incrBy('other', 0));
        self::assertSame('0', $ops->get('other'));
    }

    public function testIncrByKeepsTheExpiry(): void
    {
        $ops = static::store();
        $ops->set('counter', '1', 100);

        self::assertSame(2, $ops->incrBy('counter', 1));
        self::assertGreaterThan(0, $ops->ttl('counter'));
    }

    /**
     * @return iterable<array{string}>
     */
    public static function noIntegers(): iterable
    {
        foreach (['', 'abc', '1.5', ' 1', '1 ', '+1', '01', '-0', '9223372036854775808', "1\0"] as $value) {
            yield [$value];
        }
    }

    #[DataProvider('noIntegers')]
    public function testIncrByRefusesWhatIsNoInteger(string $value): void
    {
        $ops = static::store();
        $ops->set('key', $value);
        try {
            $ops->incrBy('key', 1);
            self::fail('incrBy() took a value that is not an integer');
        } catch (\RuntimeException $e) {
            self::assertSame('stored value is not an integer', $e->getMessage());
        }
        self::assertSame($value, $ops->get('key'));
    }

    public function testIncrByRefusesToOverflow(): void
    {
        $ops = static::store();
        foreach ([[\PHP_INT_MAX, 1], [\PHP_INT_MIN, -1]] as [$value, $delta]) {
            $ops->set('key', (string) $value);
            try {
                $ops->incrBy('key', $delta);
                self::fail('incrBy() left the range of an integer');
            } catch (\RuntimeException $e) {
                self::assertStringContainsString('64-bit range', $e->getMessage());
            }
            self::assertSame((string) $value, $ops->get('key'));
        }
    }

    public function testTimesToLive(): void
    {
        $ops = static::store();

        self::assertSame(-2, $ops->ttl('key'));
        self::assertSame(-2, $ops->pttl('key'));
        self::assertFalse($ops->expire('key', 10));

        $ops->set('key', 'value', 100);
        self::assertSame(100, $ops->ttl('key'));
        self::assertGreaterThan(90_000, $ops->pttl('key'));
        self::assertLessThanOrEqual(100_000, $ops->pttl('key'));

        self::assertTrue($ops->expire('key', 1000));
        self::assertGreaterThan(900, $ops->ttl('key'));

        foreach ([0, -1, \PHP_INT_MIN] as $forEver) {
            $ops->set('key', 'value', 100);
            self::assertTrue($ops->expire('key', $forEver));
            self::assertSame(-1, $ops->ttl('key'));
            self::assertTrue($ops->set('key', 'value', $forEver));
            self::assertSame(-1, $ops->pttl('key'));
        }
    }

    public function testAFarAwayDeadlineIsStillADeadline(): void
    {
        $ops = static::store();

        self::assertTrue($ops->set('key', 'value', \PHP_INT_MAX));
        self::assertSame('value', $ops->get('key'));
        self::assertGreaterThan(100 * 365 * 86400, $ops->ttl('key'));
    }

    public function testAnExpiredKeyIsGone(): void
    {
        $ops = static::store();
        $ops->set('key', '41', 1);
        $left = $ops->pttl('key');
        usleep(1000 * ($left + 50));

        self::assertNull($ops->get('key'));
        self::assertFalse($ops->exists('key'));
        self::assertSame(-2, $ops->ttl('key'));
        self::assertSame(0, $ops->del('key'));
        self::assertFalse($ops->expire('key', 10));
        self::assertSame(1, $ops->incrBy('key', 1));
    }

    public function testFlushRemovesEverything(): void
    {
        $ops = static::store();
        $ops->set('a', '1');
        $ops->set('b', '2', 100);

        self::assertTrue($ops->flush());
        self::assertNull($ops->get('a'));
        self::assertNull($ops->get('b'));
    }

    public function testTheLongestKey(): void
    {
        $ops = static::store();
        $longest = str_repeat('k', 65535);

        self::assertTrue($ops->set($longest, 'value'));
        self::assertSame('value', $ops->get($longest));
        self::assertSame(1, $ops->del($longest));

        foreach (['', $longest . 'k'] as $noKey) {
            self::assertFalse(@$ops->set($noKey, 'value'));
            self::assertNull(@$ops->get($noKey));
            self::assertFalse(@$ops->exists($noKey));
        }
    }
}
