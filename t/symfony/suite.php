<?php

/**
 * Runs the adapter's tests inside one web request and prints JUnit's XML.
 *
 * /suite.php?project=symfony-6.4, where the folder of that project and
 * php-adapter/ lie beside the folder of this file.
 */

declare(strict_types=1);

$project = $_GET['project'] ?? '';
if (!is_string($project) || !preg_match('/^symfony-\d+\.\d+$/D', $project)) {
    http_response_code(400);
    exit("No such project.\n");
}
$top = dirname(__DIR__);
require $top . '/' . $project . '/vendor/autoload.php';

$report = tempnam(sys_get_temp_dir(), 'ephpm-junit-');
if (false === $report) {
    http_response_code(500);
    exit("No temporary file can be made.\n");
}
$code = (new PHPUnit\TextUI\Application())->run([
    'phpunit',
    '--configuration', $top . '/php-adapter/phpunit.xml.dist',
    '--bootstrap', $top . '/' . $project . '/vendor/autoload.php',
    '--testsuite', 'sapi',
    '--log-junit', $report,
    '--do-not-cache-result',
    '--no-output',
]);
header('Content-Type: application/xml');
header('X-PHPUnit-Exit-Code: ' . $code);
header('X-Assertions: ' . ini_get('zend.assertions'));
header('X-SAPI: ' . PHP_SAPI);
readfile($report);
unlink($report);
