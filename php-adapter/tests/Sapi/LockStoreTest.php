<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Sapi;

use Ephpm\Cache\Symfony\Tests\LockStoreTestCase;

final class LockStoreTest extends LockStoreTestCase
{
    use StoreTrait;
}
