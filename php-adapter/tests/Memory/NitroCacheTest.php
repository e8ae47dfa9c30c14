<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\Tests\NitroCacheTestCase;

final class NitroCacheTest extends NitroCacheTestCase
{
    use StoreTrait;
}
