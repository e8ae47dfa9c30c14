<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Sapi;

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\Tests\RecordingLogger;
use PHPUnit\Framework\TestCase;

final class TooLargeTest extends TestCase
{
    use StoreTrait;

    public function testAValueThatCanNeverFit(): void
    {
        $logger = new RecordingLogger();
        $pool = new EphpmKvAdapter('large');
        $pool->setLogger($logger);
        $pool->saveDeferred($pool->getItem('small')->set('value'));
        // The tests run on stores of at most 128 MiB, which take a quarter.
        $pool->saveDeferred($pool->getItem('large')->set(str_repeat('x', 64 << 20)));

        self::assertFalse(@$pool->commit());
        self::assertTrue($pool->hasItem('small'));
        self::assertFalse($pool->hasItem('large'));
        self::assertSame(['warning'], $logger->levels());
    }
}
