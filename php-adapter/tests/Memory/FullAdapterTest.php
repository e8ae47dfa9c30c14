<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\Tests\FullAdapterTestCase;

final class FullAdapterTest extends FullAdapterTestCase
{
    use StoreTrait;
}
