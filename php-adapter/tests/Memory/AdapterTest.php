<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\Tests\AdapterTestCase;

final class AdapterTest extends AdapterTestCase
{
    use StoreTrait;
}
