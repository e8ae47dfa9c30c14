<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\KvOpsInterface;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/**
 * What every store does alike: the one in memory, the private one of the
 * command line, a server's, and that through a socket. A new kind of store is
 * one class with its store().
 */
abstract class KvOpsTestCase extends TestCase
{
    abstract protected static function store(): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface;

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

    public function testManyKeysInOneCall(): void
    {
        $ops = static::store();

        self::assertTrue($ops->mset(['a' => '1', 'b' => '', 12 => 'twelve', "\0\xff" => "\0"]));
        self::assertSame(['1', null, '', 'twelve', "\0", '1'], $ops->mget(['a', 'none', 'b', '12', "\0\xff", 'a']));
        self::assertSame(['twelve'], $ops->mget(['name' => 12]));
        self::assertSame(-1, $ops->ttl('a'));
        self::assertTrue($ops->mset(['a' => '2', 'c' => '3'], 100));
        self::assertSame([100, 100, -1], [$ops->ttl('a'), $ops->ttl('c'), $ops->ttl('b')]);
        self::assertTrue($ops->mset(['a' => '3'], -5));
        self::assertSame(-1, $ops->ttl('a'));
        self::assertSame([], $ops->mget([]));
        self::assertTrue($ops->mset([]));
    }

    public function testARefusedKeyIsNotTheOthersFault(): void
    {
        $ops = static::store();

        self::assertFalse(@$ops->mset(['a' => '1', '' => 'no key', 'b' => '2']));
        self::assertSame(['1', null, '2'], @$ops->mget(['a', '', 'b']));
    }

    /**
     * @return iterable<array{mixed}>
     */
    public static function noStrings(): iterable
    {
        foreach ([null, 1.5, true, [], new \stdClass()] as $value) {
            yield [$value];
        }
    }

    #[DataProvider('noStrings')]
    public function testOnlyStringsAreStored(mixed $value): void
    {
        $ops = static::store();
        // As a script without declared types may call them.
        $refused = 0;
        foreach (['mget' => [$value], 'mset' => ['a' => 'kept out', 'b' => $value]] as $method => $argument) {
            try {
                (new \ReflectionMethod($ops, $method))->invoke($ops, $argument);
            } catch (\TypeError) {
                ++$refused;
            }
        }
        self::assertSame(2, $refused);
        self::assertNull($ops->get('a'));
    }

    public function testAnEnumerationFindsEachKeyOnce(): void
    {
        $ops = static::store();
        $values = [];
        for ($i = 0; $i < 500; ++$i) {
            $values["one:$i"] = $values["two:$i"] = (string) $i;
        }
        $ops->mset($values);

        foreach (['' => 1000, 'one:' => 500, 'two:49' => 11, 'three' => 0] as $prefix => $expected) {
            $found = [];
            $cursor = 0;
            do {
                [$cursor, $keys] = $ops->scan($cursor, $prefix, 150);
                array_push($found, ...$keys);
            } while (0 !== $cursor);
            self::assertCount($expected, $found);
            self::assertSame($found, array_values(array_unique($found)));
            self::assertSame($found, array_filter($found, static fn(string $key): bool => str_starts_with($key, (string) $prefix)));
        }
    }

    public function testKeysThatComeAndGoDuringAnEnumeration(): void
    {
        $ops = static::store();
        for ($i = 0; $i < 300; ++$i) {
            $ops->set("stays:$i", '');
            $ops->set("goes:$i", '');
        }
        $found = [];
        $cursor = 0;
        $step = 0;
        do {
            [$cursor, $keys] = $ops->scan($cursor, '', 100);
            array_push($found, ...$keys);
            if (++$step <= 300) {
                $ops->del('goes:' . (300 - $step));
                $ops->set("comes:$step", '');
                $ops->set("stays:$step", 'replaced');
            }
        } while (0 !== $cursor);

        self::assertSame($found, array_values(array_unique($found)));
        self::assertCount(300, array_filter($found, static fn(string $key): bool => str_starts_with($key, 'stays:')));
    }

    public function testAPrefixIsRemoved(): void
    {
        $ops = static::store();
        $ops->mset(['app:a' => '', 'app:b' => '', 'ap' => '', 'application' => '', "\0" => '']);

        self::assertSame(2, $ops->delPrefix('app:'));
        self::assertSame([null, null, '', '', ''], $ops->mget(['app:a', 'app:b', 'ap', 'application', "\0"]));
        self::assertSame(0, $ops->delPrefix('app:'));
        self::assertSame(3, $ops->delPrefix(''));
    }

    public function testTheFirstOneSets(): void
    {
        $ops = static::store();

        self::assertTrue($ops->setnx('key', 'first', 100));
        self::assertFalse($ops->setnx('key', 'second'));
        self::assertSame('first', $ops->get('key'));
        self::assertSame(100, $ops->ttl('key'));
        $ops->del('key');
        self::assertTrue($ops->setnx('key', 'third', -1));
        self::assertSame(-1, $ops->ttl('key'));
    }

    public function testOneGetsWhatIsTaken(): void
    {
        $ops = static::store();
        $ops->set('key', '');

        self::assertSame('', $ops->getdel('key'));
        self::assertNull($ops->getdel('key'));
        self::assertFalse($ops->exists('key'));
    }

    public function testOnlyWhatIsExpectedIsReplacedOrRemoved(): void
    {
        $ops = static::store();

        self::assertFalse($ops->setIfEq('key', '', 'value'));
        self::assertFalse($ops->delIfEq('key', ''));
        $ops->set('key', "mine\0", 100);
        self::assertFalse($ops->setIfEq('key', 'mine', 'other'));
        self::assertFalse($ops->delIfEq('key', 'mine'));
        self::assertSame("mine\0", $ops->get('key'));
        self::assertTrue($ops->setIfEq('key', "mine\0", 'new'));
        self::assertSame('new', $ops->get('key'));
        self::assertSame(-1, $ops->ttl('key'));
        self::assertTrue($ops->setIfEq('key', 'new', 'new', 50));
        self::assertSame(50, $ops->ttl('key'));
        self::assertTrue($ops->delIfEq('key', 'new'));
        self::assertFalse($ops->exists('key'));
    }

    public function testWaiting(): void
    {
        $ops = static::store();
        if ('' !== (string) \ini_get('ephpm.kv_socket')) {
            self::assertFalse(@$ops->wait('key', 0, 0));

            return;
        }
        $version = static fn(int $last, int $timeoutMs = 0): int => (($ops->wait('key', $last, $timeoutMs) ?: ['version' => 0])['version']);

        $absent = $ops->wait('key', 0, 0);
        self::assertIsArray($absent);
        self::assertNull($absent['value']);
        self::assertGreaterThanOrEqual(1, $absent['version']);
        self::assertIsArray($ops->wait('key', -1, -1));

        $last = $absent['version'];
        foreach (['set', 'incr', 'setifeq', 'del', 'setnx', 'getdel'] as $change) {
            $start = hrtime(true);
            // An absent key may be answered once more.
            while (0 !== $again = $version($last)) {
                self::assertNull($ops->get('key'));
                $last = $again;
                self::assertLessThan($start + 10_000_000_000, hrtime(true));
            }
            match ($change) {
                'set' => $ops->set('key', '1'),
                'incr' => $ops->incrBy('key', 1),
                'setifeq' => $ops->setIfEq('key', '2', 'x'),
                'del' => $ops->del('key'),
                'setnx' => $ops->setnx('key', 'new', 100),
                'getdel' => $ops->getdel('key'),
            };
            $now = $ops->wait('key', $last, 0);
            self::assertIsArray($now, $change);
            self::assertGreaterThan($last, $now['version'], $change);
            self::assertSame($ops->get('key'), $now['value'], $change);
            $last = $now['version'];
        }

        $ops->set('key', 'value', 1);
        $last = $version(0);
        self::assertTrue($ops->expire('key', 1));
        self::assertSame(0, $version($last));
        $expired = $ops->wait('key', $last, 60_000);
        self::assertIsArray($expired);
        self::assertNull($expired['value']);
        self::assertGreaterThan($last, $expired['version']);

        $ops->set('key', 'value');
        $last = $version(0);
        $start = hrtime(true);
        self::assertFalse($ops->wait('key', $last, 50));
        self::assertGreaterThanOrEqual(49_000_000, hrtime(true) - $start);
        $ops->flush();
        self::assertGreaterThan($last, $version($last));
    }

    public function testAValueThatCanNeverFit(): void
    {
        $ops = static::store();
        $ops->set('key', 'old');
        // The tests run on stores of at most 128 MiB, which take a quarter.
        $large = str_repeat('x', 64 << 20);
        $warnings = [];
        set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
            $warnings[] = $message;

            return true;
        });
        try {
            self::assertFalse($ops->set('key', $large));
            self::assertFalse($ops->mset(['key' => $large, 'other' => 'stored']));
            self::assertFalse($ops->setIfEq('key', 'old', $large));
            self::assertFalse($ops->setnx('none', $large));
        } finally {
            restore_error_handler();
        }
        self::assertCount(4, $warnings);
        foreach ($warnings as $warning) {
            self::assertMatchesRegularExpression('/The value has 67108864 bytes; the limit of this store is \d+ bytes/', $warning);
        }
        self::assertSame(['old', 'stored', null], $ops->mget(['key', 'other', 'none']));
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
            self::assertSame(-2, @$ops->ttl($noKey));
            self::assertSame(0, @$ops->del($noKey));
            self::assertFalse(@$ops->setnx($noKey, 'value'));
            self::assertNull(@$ops->getdel($noKey));
            self::assertFalse(@$ops->setIfEq($noKey, '', 'value'));
            self::assertFalse(@$ops->wait($noKey, 0, 0));
            self::assertFalse(@$ops->expire($noKey, 1));
            error_clear_last();
            @$ops->get($noKey);
            self::assertStringContainsString('' === $noKey ? 'The key is empty' : 'The key has 65536 bytes; the limit is 65535 bytes', error_get_last()['message'] ?? '');
        }
    }
}
