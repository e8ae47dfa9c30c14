<?php

declare(strict_types=1);

// bench/symfony measures the pools within one request.
//
//      symfony.php -- httpd with mod_ephpm, APCu and phpredis: one child
//        |-- private redis-server on a unix socket
//        `-- one request to bench/symfony-page/adapters.php, where the cases are

namespace Ephpm\Bench;

require __DIR__ . '/load.php';

const CASES = ['hit-20', 'getitems-20', 'save', 'callback-hit', 'tag-invalidate', 'session'];

/**
 * @return list<Row>
 */
function rows(string $json): array
{
    $rows = [];
    foreach ((array) json_decode($json, true) as $case => $figures) {
        $us = array_map(static fn(array $ns): array => array_map(static fn(int $one): float => $one / 1000, $ns), (array) $figures);
        foreach (array_diff_key($us, ['ours' => []]) as $peer => $peers) {
            $rows[] = Row::ofRounds((string) $case, $us['ours'], (string) $peer, $peers, 'us');
        }
    }

    return $rows;
}

$options = Options::parsed('symfony', CASES, \array_slice($argv, 1));
try {
    if (null !== $options->json && false === @file_put_contents($options->json, '')) {
        throw new BenchError("cannot write {$options->json}");
    }
    foreach (['apcu', 'redis'] as $extension) {
        if ([] === preg_grep("/$extension/", HttpSites::extensions($extension))) {
            throw new BenchError("PHP's extension $extension is needed: apt-get install php-$extension");
        }
    }
    if (null === HttpSites::packages()) {
        throw new BenchError('the packages of the demo are missing (composer install in demo/, as ./dev bench does)');
    }
    pcntl_async_signals(true);
    foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
        pcntl_signal($signal, static function (int $signal): never {
            throw new BenchError("ended by signal $signal");
        });
    }
    $redis = new RedisServer(forOthers: true);
    register_shutdown_function($redis->stop(...));
    $sites = new HttpSites(true);
    register_shutdown_function($sites->remove(...));
    $server = new Httpd(
        'ours',
        $sites,
        'symfony-page',
        HttpSites::extensions('igbinary', 'apcu', 'redis'),
        Httpd::prefork(1),
        'LoadModule ephpm_module "' . getenv('EPHPM_BUILDDIR') . "/mod_ephpm/.libs/mod_ephpm.so\"\n" . Httpd::handler(),
    );
    try {
        $answer = HttpAnswer::get($server->port, '/adapters.php?' . http_build_query([
            'redis' => $redis->socket,
            'rounds' => $options->rounds ?? ($options->quick ? 9 : 1001),
            'cases' => implode(',', $options->only),
        ]));
        if (200 !== $answer->status) {
            throw new BenchError("status {$answer->status}: " . substr($answer->body, 0, 1000));
        }
        $server->mustBeQuiet();
    } finally {
        $server->stop();
    }
    $rows = rows($answer->body);
    echo Table::text($rows);
    if (null !== $options->json) {
        file_put_contents($options->json, Row::json($rows));
    }
} catch (BenchError $failure) {
    fwrite(STDERR, "bench/symfony: {$failure->getMessage()}\n");
    exit(1);
}
