<?php

/**
 * What the pools do in a store that is full and evicts nothing: a line for
 * each thing that is so.
 *
 * /full.php?project=symfony-6.4, as suite.php beside it.
 */

declare(strict_types=1);

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter;
use Ephpm\Cache\Symfony\Tests\RecordingLogger;

$project = $_GET['project'] ?? '';
if (!is_string($project) || !preg_match('/^symfony-\d+\.\d+$/D', $project)) {
    http_response_code(400);
    exit("No such project.\n");
}
require dirname(__DIR__) . '/' . $project . '/vendor/autoload.php';
header('Content-Type: text/plain');

foreach ([EphpmKvAdapter::class, EphpmKvTagAwareAdapter::class] as $class) {
    ephpm_kv_flush_all();
    $logger = new RecordingLogger();
    $pool = new $class('full');
    $pool->setLogger($logger);
    $saved = [];
    for ($i = 0; $i < 100_000; ++$i) {
        if (!$pool->save($pool->getItem("item.$i")->set(str_repeat(chr(97 + $i % 26), 4096)))) {
            break;
        }
        $saved["item.$i"] = str_repeat(chr(97 + $i % 26), 4096);
    }
    $is = [
        'many are saved' => count($saved) > 100,
        'one is not' => $i < 100_000 && !$pool->hasItem("item.$i"),
        'the log has a warning' => ['warning'] === array_values(array_unique($logger->levels())),
        '... with the key' => str_contains($logger->messages(), 'Failed to save key'),
    ];
    $is['a callback answers all the same'] = 'computed' === $pool->get('computed', static fn(): string => 'computed');
    $lost = 0;
    foreach ($pool->getItems(array_keys($saved)) as $key => $item) {
        $lost += $item->get() === $saved[$key] ? 0 : 1;
    }
    $is['nothing else is lost'] = 0 === $lost;
    $is['deleting makes room'] = $pool->deleteItems(array_slice(array_keys($saved), 0, 50))
        && $pool->save($pool->getItem("item.$i")->set('saved'))
        && 'saved' === $pool->getItem("item.$i")->get();
    $is['clearing does'] = $pool->clear() && !$pool->hasItem('item.99') && $pool->save($pool->getItem('item.99')->set('new'));
    foreach ($is as $what => $so) {
        echo substr(strrchr($class, '\\'), 1), ': ', $what, ': ', $so ? 'yes' : 'no', "\n";
    }
}
