<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\Tests\NineMethodsAdapterTestCase;

final class NineMethodsAdapterTest extends NineMethodsAdapterTestCase
{
    use StoreTrait;
}
