<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Sapi;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\BulkKvOpsInterface;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Ephpm\Cache\Symfony\SapiKvOps;
use PHPUnit\Framework\Attributes\BeforeClass;

/**
 * The store of the PHP that runs the tests.
 */
trait StoreTrait
{
    #[BeforeClass]
    public static function requireStore(): void
    {
        if (!SapiKvOps::isSupported()) {
            self::markTestSkipped('This PHP has no ephpm_kv_*() functions: load ephpm.so, or run the tests under mod_ephpm.');
        }
    }

    protected static function store(): KvOpsInterface&BulkKvOpsInterface&AtomicKvOpsInterface
    {
        return new SapiKvOps();
    }
}
