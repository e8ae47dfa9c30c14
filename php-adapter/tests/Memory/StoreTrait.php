<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\InMemoryKvOps;
use Ephpm\Cache\Symfony\KvOpsInterface;

/**
 * One store in memory for all pools of a test class.
 */
trait StoreTrait
{
    private static ?InMemoryKvOps $store = null;

    protected static function store(): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface
    {
        return self::$store ??= new InMemoryKvOps();
    }
}
