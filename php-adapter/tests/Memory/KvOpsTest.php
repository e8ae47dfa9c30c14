<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\Tests\KvOpsTestCase;

final class KvOpsTest extends KvOpsTestCase
{
    use StoreTrait;
}
