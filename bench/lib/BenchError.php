<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * The benchmark cannot be run, or what it measured is not what it says.
 */
final class BenchError extends \RuntimeException {}
