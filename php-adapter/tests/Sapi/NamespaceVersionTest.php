<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Sapi;

use Ephpm\Cache\Symfony\Tests\NamespaceVersionTestCase;

final class NamespaceVersionTest extends NamespaceVersionTestCase
{
    use StoreTrait;
}
