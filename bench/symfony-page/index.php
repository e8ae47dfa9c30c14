<?php

declare(strict_types=1);

// What both servers serve: the pool is in our store, in Redis or in APCu.

use Ephpm\Bench\Symfony\Kernel;
use Symfony\Component\HttpFoundation\Request;

require dirname(__DIR__) . '/demo/vendor/autoload.php';
require __DIR__ . '/Kernel.php';
require __DIR__ . '/Page.php';

$kernel = new Kernel(match (true) {
    function_exists('ephpm_kv_get') => 'ephpm',
    isset($_SERVER['BENCH_REDIS']) => 'redis',
    default => 'apcu',
}, false);
$request = Request::createFromGlobals();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
