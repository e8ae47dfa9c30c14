<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\SapiKvOps;
use Ephpm\Cache\Symfony\Tests\RecordingLogger;
use PHPUnit\Framework\TestCase;

/**
 * A PHP that has no ephpm_kv_*() functions.
 */
final class NoStoreTest extends TestCase
{
    protected function setUp(): void
    {
        if (SapiKvOps::isSupported()) {
            self::markTestSkipped('This PHP has a store.');
        }
    }

    public function testSapiKvOpsSaysWhatToDo(): void
    {
        $this->expectException(\RuntimeException::class);
        $this->expectExceptionMessageMatches('/ephpm_kv_get\(\) is missing.*mod_ephpm.*extension=ephpm\.so/');
        new SapiKvOps();
    }

    public function testThePoolMissesAndLogsIt(): void
    {
        self::assertFalse(EphpmKvAdapter::isSupported());
        $logger = new RecordingLogger();
        $pool = new EphpmKvAdapter('app');
        $pool->setLogger($logger);

        self::assertFalse($pool->hasItem('key'));
        self::assertFalse($pool->save($pool->getItem('key')->set('value')));
        self::assertSame('computed', $pool->get('key', static fn(): string => 'computed'));
        self::assertStringContainsString('ephpm_kv_get() is missing', $logger->messages());
    }
}
