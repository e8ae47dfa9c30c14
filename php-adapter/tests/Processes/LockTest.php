<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Processes;

use Ephpm\Cache\Symfony\EphpmLockStore;
use Ephpm\Cache\Symfony\SapiKvOps;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Lock\LockFactory;

final class LockTest extends TestCase
{
    private const PROCESSES = 6;

    private const TURNS = 200;

    public function testOneAtATime(): void
    {
        $ops = new SapiKvOps();
        $ops->flush();
        $ops->set('count', '0');
        $said = Fork::all(self::PROCESSES, static function () use ($ops): string {
            $factory = new LockFactory(new EphpmLockStore($ops));
            for ($i = 0; $i < self::TURNS; ++$i) {
                $lock = $factory->createLock('turn');
                $lock->acquire(true);
                $count = (int) $ops->get('count');
                usleep(10);
                $ops->set('count', (string) ($count + 1));
                $lock->release();
            }

            return 'done';
        });

        self::assertSame(array_fill(0, self::PROCESSES, 'done'), $said);
        self::assertSame((string) (self::PROCESSES * self::TURNS), $ops->get('count'));
    }

    public function testTheLockOfAKilledProcessEnds(): void
    {
        $ops = new SapiKvOps();
        $ops->flush();
        Fork::all(1, static fn(): string => (new LockFactory(new EphpmLockStore($ops)))->createLock('held', 0.3, false)->acquire() ? 'acquired' : '');
        $lock = (new LockFactory(new EphpmLockStore($ops)))->createLock('held');

        self::assertTrue($lock->acquire(true));
    }
}
