<?php

declare(strict_types=1);

// The cases that want one and the same php.ini, in a PHP of their own:
//
//      php group.php GROUP < settings > rows
//
// Settings and rows are serialized.  See main.php.

namespace Ephpm\Bench;

require __DIR__ . '/load.php';

/** @return non-empty-list<Backend> */
function backends(Settings $settings): array
{
    $backends = [new Ours()];
    if (\extension_loaded('apcu')) {
        $backends[] = new Apcu();
    }
    if ('' !== $settings->redis) {
        $backends[] = new PhpRedis($settings->redis);
    }

    return $backends;
}

/**
 * @param array<string, \Closure(string): list<Row>> $cases
 *
 * @return list<Row>
 */
function measured(Settings $settings, array $cases): array
{
    $rows = [];
    foreach ($cases as $case => $measure) {
        if ($settings->wants($case)) {
            fwrite(STDERR, "bench/kv: $case\n");
            array_push($rows, ...$measure($case));
        }
    }

    return $rows;
}

/** @return list<Row> */
function one(Settings $settings): array
{
    $one = new OneProcess($settings, backends($settings));

    return [$one->emptyLoop(), ...measured($settings, [
        'get-64' => $one->get(...),
        'get-64-miss' => $one->miss(...),
        'get-64-10k' => $one->get(...),
        'get-64k' => $one->getLarge(...),
        'set-64' => $one->set(...),
        'set-64-ttl' => $one->set(...),
        'set-64k' => $one->set(...),
        'incr' => $one->incr(...),
        'exists' => $one->exists(...),
        'mget-20' => $one->getMany(...),
        'mset-20' => $one->setMany(...),
    ])];
}

/** @return list<Row> */
function two(Settings $settings): array
{
    $two = new TwoProcesses($settings, backends($settings));
    fwrite(STDERR, "bench/kv: scale-2\n");
    $two->measure($settings->wants('scale-2-mixed'));
    $rows = [];
    if ($settings->wants('scale-2-read')) {
        array_push($rows, ...$two->rows('scale-2-read', 'read'));
    }
    if ($settings->wants('scale-2-mixed')) {
        array_push($rows, ...$two->rows('scale-2-mixed', 'mixed'));
    }

    return $rows;
}

/** @return list<Row> */
function many(Settings $settings): array
{
    $many = new ManyKeys($settings, backends($settings));

    return measured($settings, [
        'get-64-500k' => $many->get(...),
        'scan-500k' => $many->scan(...),
        'get-during-scan' => $many->getDuringScan(...),
    ]);
}

try {
    if ('functions' === $argv[1]) {
        echo implode(' ', get_extension_funcs('ephpm') ?: []), "\n";
        exit(0);
    }
    if ('full-set' === $argv[1]) {
        FullStore::serve(STDIN, STDOUT);
        exit(0);
    }
    $settings = unserialize(
        (string) base64_decode((string) fgets(STDIN), true),
        ['allowed_classes' => [Settings::class]],
    );
    if (!$settings instanceof Settings) {
        throw new BenchError('group.php: settings are expected');
    }
    $answer = match ($argv[1]) {
        'one' => one($settings),
        'two' => two($settings),
        'many' => many($settings),
        'apcu-overhead' => ApcuOverhead::bytes(),
        default => throw new BenchError("group.php: there is no group {$argv[1]}"),
    };
    fwrite(STDOUT, base64_encode(serialize($answer)) . "\n");
} catch (BenchError $failure) {
    fwrite(STDERR, "bench/kv: {$failure->getMessage()}\n");
    exit(1);
}
