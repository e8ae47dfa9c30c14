<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Ephpm\Cache\Symfony\NamespaceVersion;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

abstract class NamespaceVersionTestCase extends TestCase
{
    private const KEY = ':tested:';

    abstract protected static function store(): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface;

    protected function setUp(): void
    {
        static::store()->del(self::KEY);
    }

    public function testAllGetTheSameNumberUntilItAdvances(): void
    {
        $one = new NamespaceVersion(static::store(), self::KEY);
        $other = new NamespaceVersion(static::store(), self::KEY);

        $first = $one->current();
        self::assertSame($first, $one->current());
        self::assertSame($first, $other->current());

        $other->advance();
        self::assertGreaterThan($first, $one->current());
        self::assertSame($other->current(), $one->current());
    }

    public function testEachClearMovesOn(): void
    {
        $version = new NamespaceVersion(static::store(), self::KEY);
        $seen = [$version->current() => true];
        for ($i = 0; $i < 100; ++$i) {
            $version->advance();
            self::assertArrayNotHasKey($version->current(), $seen);
            $seen[$version->current()] = true;
        }
    }

    public function testANumberDoesNotComeBackAfterAnEviction(): void
    {
        $version = new NamespaceVersion(static::store(), self::KEY);
        $version->advance();
        $before = $version->current();
        usleep(10);
        static::store()->del(self::KEY);

        self::assertGreaterThan($before, $version->current());
    }

    /**
     * @return iterable<array{class-string<RecordingKvOps>, string}>
     */
    public static function proposals(): iterable
    {
        yield 'atomic' => [RecordingFullKvOps::class, 'setnx'];
        yield 'nine methods, both alike' => [RecordingKvOps::class, 'incrBy'];
    }

    /**
     * @param class-string<RecordingKvOps> $class
     */
    #[DataProvider('proposals')]
    public function testTwoThatMeetAtAMissingEntryAgree(string $class, string $step): void
    {
        $slow = new $class(static::store());
        $theirs = null;
        $slow->before = static function (string $call) use (&$theirs, $class, $step): bool {
            if ($step !== $call) {
                return false;
            }
            $theirs = (new NamespaceVersion(new $class(static::store()), self::KEY))->current();

            return true;
        };
        $ours = (new NamespaceVersion($slow, self::KEY))->current();

        self::assertNotNull($theirs);
        self::assertSame($theirs, $ours);
        self::assertSame((string) $theirs, static::store()->get(self::KEY));
    }

    /**
     * @return iterable<string, array{string}>
     */
    public static function leftovers(): iterable
    {
        yield 'a sum whose author was killed' => ['3500000000000000'];
        yield 'what its author took off after an eviction' => ['-1750000000000000'];
        yield 'no number at all' => ['no number'];
    }

    #[DataProvider('leftovers')]
    public function testLeftoversAreReplaced(string $leftover): void
    {
        static::store()->set(self::KEY, $leftover);
        $version = (new NamespaceVersion(static::store(), self::KEY))->current();

        self::assertEqualsWithDelta(microtime(true) * 1e6, $version, 60e6);
        self::assertSame((string) $version, static::store()->get(self::KEY));
    }

    public function testAFullStoreIsNotWaitedFor(): void
    {
        $full = new RecordingFullKvOps(static::store());
        $full->full = true;

        $this->expectException(\RuntimeException::class);
        $this->expectExceptionMessage('no room');
        (new NamespaceVersion($full, self::KEY))->current();
    }

    public function testAStoreWithoutRoomIsAnException(): void
    {
        $full = new RecordingKvOps(static::store());
        $full->full = true;
        static::store()->set(self::KEY, 'no number');

        $this->expectException(\RuntimeException::class);
        (new NamespaceVersion($full, self::KEY))->current();
    }
}
