<?php

/**
 * The adapter without a framework: a counter and a cached value.
 *
 * Serve this folder: ephpm serve --config demo/ephpm.toml --document-root demo/plain
 */

declare(strict_types=1);

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\SapiKvOps;
use Symfony\Contracts\Cache\ItemInterface;

require dirname(__DIR__) . '/vendor/autoload.php';

$store = new SapiKvOps();
$cache = new EphpmKvAdapter(namespace: 'plain', defaultLifetime: 3600, ops: $store);

$visits = $store->incrBy('plain:visits', 1);

$report = $cache->get('report', static function (ItemInterface $item): string {
    $item->expiresAfter(60);
    usleep(200_000); // whatever takes long

    return sprintf('written by worker %d at %s', getmypid(), date('H:i:s'));
});

header('Content-Type: text/plain; charset=utf-8');
printf("visit %d, answered by worker %d\nreport %s\n", $visits, getmypid(), $report);
