<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\InMemoryKvOps;
use PHPUnit\Framework\TestCase;

final class InMemoryKvOpsTest extends TestCase
{
    public function testTheClockCanBeMoved(): void
    {
        $now = 1_000_000;
        $ops = new InMemoryKvOps(static function () use (&$now): int {
            return $now;
        });
        $ops->set('key', 'value', 2);

        $now += 1;
        self::assertSame(2, $ops->ttl('key'));
        self::assertSame(1999, $ops->pttl('key'));
        $now += 999;
        self::assertSame(1, $ops->ttl('key'));
        $now += 999;
        self::assertSame('value', $ops->get('key'));
        $now += 1;
        self::assertNull($ops->get('key'));
    }
}
