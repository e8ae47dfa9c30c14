<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\Tests\TagAwareAdapterTestCase;

final class TagAwareAdapterTest extends TagAwareAdapterTestCase
{
    use StoreTrait;
}
