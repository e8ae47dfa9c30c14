<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\EphpmLockStore;
use Ephpm\Cache\Symfony\KvOpsInterface;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Lock\Exception\InvalidArgumentException;
use Symfony\Component\Lock\Exception\InvalidTtlException;
use Symfony\Component\Lock\Exception\LockConflictedException;
use Symfony\Component\Lock\Exception\LockExpiredException;
use Symfony\Component\Lock\Exception\LockStorageException;
use Symfony\Component\Lock\Key;
use Symfony\Component\Lock\LockFactory;

abstract class LockStoreTestCase extends TestCase
{
    private RecordingFullKvOps $ops;

    private EphpmLockStore $locks;

    abstract protected static function store(): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface;

    protected function setUp(): void
    {
        static::store()->flush();
        $this->ops = new RecordingFullKvOps(static::store());
        $this->locks = new EphpmLockStore($this->ops);
    }

    public function testOneOwner(): void
    {
        [$mine, $theirs, $other] = [new Key('name'), new Key('name'), new Key('other')];
        $this->locks->save($mine);
        $this->locks->save($other);

        self::assertSame([true, false, true], array_map($this->locks->exists(...), [$mine, $theirs, $other]));
        self::assertTrue($this->conflicts(fn() => $this->locks->save($theirs)));
        self::assertTrue($this->conflicts(fn() => $this->locks->putOffExpiration($theirs, 10)));
        $this->locks->delete($theirs);
        self::assertTrue($this->locks->exists($mine));
        $this->locks->save($mine);
        $this->locks->delete($mine);
        self::assertFalse($this->locks->exists($mine));
        $this->locks->save($theirs);
        self::assertTrue($this->locks->exists($theirs));
        self::assertTrue($this->locks->exists($other));
    }

    public function testALockEndsToTheMillisecond(): void
    {
        [$mine, $theirs] = [new Key('name'), new Key('name')];
        $this->locks->save($mine);
        self::assertGreaterThan(200, static::store()->ttl('lock:name'));
        $this->locks->putOffExpiration($mine, 0.05);
        self::assertTrue($this->conflicts(fn() => $this->locks->save($theirs)) || (float) $mine->getRemainingLifetime() <= 0);
        usleep(60_000);

        self::assertFalse($this->locks->exists($mine));
        self::assertTrue($this->conflicts(fn() => $this->locks->putOffExpiration($mine, 10)));
        $this->locks->save($theirs);
        $this->locks->delete($mine);
        self::assertTrue($this->locks->exists($theirs));
    }

    public function testALockThatHasEndedAlready(): void
    {
        $key = new Key('name');
        $this->locks->save($key);
        try {
            $this->locks->putOffExpiration($key, 0.0);
            self::fail('a lock without a lifetime was kept');
        } catch (LockExpiredException) {
        }
        self::assertNull(static::store()->get('lock:name'));
    }

    public function testAKeyThatIsHandedOn(): void
    {
        $mine = new Key('name');
        $this->locks->save($mine);
        $same = unserialize(serialize($mine));
        self::assertInstanceOf(Key::class, $same);
        $this->locks->putOffExpiration($mine, 100);

        self::assertTrue($this->locks->exists($same));
        $this->locks->putOffExpiration($same, 200);
        $this->locks->delete($mine);
        self::assertFalse($this->locks->exists($same));
    }

    public function testNobodyGetsInBetween(): void
    {
        // Each change of ours finds that the lock has ended and is another's.
        foreach (['setIfEq' => fn(Key $key) => $this->locks->putOffExpiration($key, 10), 'delIfEq' => fn(Key $key) => $this->locks->delete($key)] as $step => $change) {
            $mine = new Key('name');
            $theirs = new Key('name');
            $this->locks->save($mine);
            $this->ops->before = static function (string $call) use ($step, $theirs): bool {
                if ($step !== $call) {
                    return false;
                }
                static::store()->del('lock:name');
                (new EphpmLockStore(static::store()))->save($theirs);

                return true;
            };
            self::assertSame('setIfEq' === $step, $this->conflicts(static fn() => $change($mine)));
            self::assertTrue($this->locks->exists($theirs));
            $this->locks->delete($theirs);
        }
    }

    public function testWaiting(): void
    {
        [$mine, $theirs] = [new Key('name'), new Key('name')];
        $this->locks->save($theirs);
        // Freed after the attempt and before the wait: it is not slept through.
        $waits = 0;
        $this->ops->before = static function (string $call) use ($theirs, &$waits): bool {
            if ('wait' !== $call || 2 !== ++$waits) {
                return false;
            }
            (new EphpmLockStore(static::store()))->delete($theirs);

            return true;
        };
        $start = hrtime(true);
        $this->locks->waitAndSave($mine);
        self::assertTrue($this->locks->exists($mine));
        self::assertLessThan(30_000_000_000, hrtime(true) - $start);

        $this->locks->putOffExpiration($mine, 0.1);
        $this->locks->waitAndSave($theirs);
        self::assertTrue($this->locks->exists($theirs));
        self::assertFalse($this->locks->exists($mine));
        self::assertGreaterThan(250, $theirs->getRemainingLifetime());
    }

    public function testAFullStoreIsNoConflict(): void
    {
        $key = new Key('name');
        $this->locks->save($key);
        $this->ops->full = true;
        foreach ([fn() => $this->locks->save(new Key('other')), fn() => $this->locks->putOffExpiration($key, 10), fn() => $this->locks->waitAndSave(new Key('other'))] as $write) {
            try {
                $write();
                self::fail('a full store kept a lock');
            } catch (LockStorageException) {
            }
        }
        $this->locks->delete($key);
        self::assertNull(static::store()->get('lock:name'));
    }

    public function testALockByAnotherMachinesClock(): void
    {
        $held = str_repeat('0', 32) . ':1';
        static::store()->set('lock:name', $held, 300);
        $key = new Key('name');
        self::assertTrue($this->conflicts(fn() => $this->locks->save($key)));
        self::assertSame($held, static::store()->get('lock:name'));
    }

    public function testWhatIsNoLockIsNeverTaken(): void
    {
        foreach (['', 'value', str_repeat('0', 32) . ':', str_repeat('0', 32) . ':99999999999999999999'] as $value) {
            static::store()->set('lock:name', $value);
            $key = new Key('name');
            self::assertTrue($this->conflicts(fn() => $this->locks->save($key)));
            $this->locks->delete($key);
            self::assertSame($value, static::store()->get('lock:name'));
        }
    }

    public function testThroughTheFactory(): void
    {
        $factory = new LockFactory($this->locks);
        [$mine, $theirs] = [$factory->createLock('name', 100), $factory->createLock('name')];

        self::assertTrue($mine->acquire());
        self::assertFalse($theirs->acquire());
        self::assertEqualsWithDelta(100, static::store()->ttl('lock:name'), 1);
        $mine->refresh(50);
        self::assertEqualsWithDelta(50, static::store()->ttl('lock:name'), 1);
        $mine->release();
        self::assertTrue($theirs->acquire(true));
        self::assertFalse($mine->isAcquired());
        unset($theirs);
        self::assertNull(static::store()->get('lock:name'));

        $long = $factory->createLock(str_repeat('x', 70_000));
        self::assertTrue($long->acquire());
        self::assertTrue($factory->createLock(str_repeat('x', 70_001))->acquire());
        self::assertTrue($long->isAcquired());
    }

    public function testWhatItCannotBeMadeOf(): void
    {
        try {
            new EphpmLockStore($this->ops, 0.0);
            self::fail('locks of no length');
        } catch (InvalidTtlException) {
        }
        $this->expectException(InvalidArgumentException::class);
        new EphpmLockStore(new RecordingKvOps(static::store()));
    }

    private function conflicts(callable $do): bool
    {
        try {
            $do();
        } catch (LockConflictedException) {
            return true;
        }

        return false;
    }
}
