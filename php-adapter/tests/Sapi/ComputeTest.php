<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Sapi;

use Ephpm\Cache\Symfony\Tests\ComputeTestCase;

final class ComputeTest extends ComputeTestCase
{
    use StoreTrait;
}
