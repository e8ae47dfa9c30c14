<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

/**
 * The adapter on somebody's own KvOps, which can do no more than it has to.
 */
abstract class NineMethodsAdapterTestCase extends AdapterTestCase
{
    protected static function recording(): RecordingKvOps
    {
        return new RecordingKvOps(static::store());
    }

    public function testAPrefixCannotBeCleared(): void
    {
        $pool = $this->pool('app');
        $pool->save($pool->getItem('key')->set('value'));

        self::assertFalse($pool->clear('k'));
        self::assertTrue($pool->hasItem('key'));
        self::assertFalse($pool->withSubNamespace('sub')->clear());
        self::assertTrue($pool->hasItem('key'));
        self::assertFalse($pool->prune());
        self::assertSame(['debug', 'debug', 'debug'], $this->logger->levels());
        self::assertStringContainsString('cannot list the keys', $this->logger->messages());
    }
}
