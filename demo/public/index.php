<?php

declare(strict_types=1);

use App\Kernel;
use Symfony\Component\HttpFoundation\Request;

$autoload = dirname(__DIR__) . '/vendor/autoload.php';
$missing = match (true) {
    !is_file($autoload) => 'The packages of this application are missing. Run `composer install` in ' . dirname(__DIR__) . '.',
    !function_exists('ephpm_kv_get') => 'This PHP has no ephpm store. Serve the application with mod_ephpm: `./dev serve` does.',
    default => null,
};
if (null !== $missing) {
    http_response_code(503);
    header('Content-Type: text/plain; charset=utf-8');
    exit($missing . "\n");
}
require $autoload;

$environment = $_SERVER['APP_ENV'] ?? 'prod';
$kernel = new Kernel($environment, (bool) ($_SERVER['APP_DEBUG'] ?? 'prod' !== $environment));
$request = Request::createFromGlobals();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
