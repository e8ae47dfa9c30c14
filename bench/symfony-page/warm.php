<?php

declare(strict_types=1);

// Compiles what the application compiles, for each of its pools.

use Ephpm\Bench\Symfony\Kernel;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Input\ArrayInput;

require dirname(__DIR__) . '/demo/vendor/autoload.php';
require __DIR__ . '/Kernel.php';
require __DIR__ . '/Page.php';

$application = new Application(new Kernel($argv[1], false));
$application->run(new ArrayInput(['command' => 'cache:warmup', '--quiet' => true]));
