<?php

declare(strict_types=1);

// bench/kv measures the store beside what a PHP user could have instead.
//
//      main.php -- private redis-server on a unix socket
//        |-- group.php one        single calls
//        |-- group.php two        forks once more: two processes
//        |-- group.php many       half a million keys; forks a scanner
//        |-- group.php full-set   two of them, taking turns
//        |-- group.php apcu-overhead
//        `-- kv-hits              hit ratios and overhead, in C
//
// Every group is one PHP that has ours and the peers loaded, with the same
// opcache.  The stores have their own default sizes, 32M each, but where half
// a million keys would not fit.

namespace Ephpm\Bench;

require __DIR__ . '/load.php';

/** What a case cannot do without. */
const FUNCTIONS = [
    'mget-20' => ['ephpm_kv_mget'],
    'mset-20' => ['ephpm_kv_mset'],
    'scan-500k' => ['ephpm_kv_scan'],
    'get-during-scan' => ['ephpm_kv_scan', 'ephpm_kv_del_prefix'],
    'full-set' => ['ephpm_kv_stats'],
];

function settings(Options $options): Settings
{
    return $options->quick
        ? new Settings(true, $options->only, $options->rounds ?? 9, 200_000, 300_000, 20_000)
        : new Settings(false, $options->only, $options->rounds ?? 101, 1_000_000, 2_000_000, 500_000);
}

/**
 * @param array<string, string> $ini
 */
function groupAnswer(string $group, Settings $settings, array $ini): mixed
{
    $process = new PhpProcess([$group], $ini);
    $answer = $process->ask(base64_encode(serialize($settings)));

    return unserialize((string) base64_decode($answer, true), ['allowed_classes' => [Row::class]]);
}

/**
 * @param array<string, string> $ini
 *
 * @return list<Row>
 */
function groupRows(string $group, Settings $settings, array $ini): array
{
    $rows = [];
    foreach ((array) groupAnswer($group, $settings, $ini) as $row) {
        if (!$row instanceof Row) {
            throw new BenchError("group $group answered something else than rows");
        }
        $rows[] = $row;
    }

    return $rows;
}

/**
 * @param list<string> $cases
 *
 * @return list<string> those that this build can run
 */
function possible(array $cases): array
{
    $process = new PhpProcess(['functions'], []);
    $there = explode(' ', trim($process->output()));
    $possible = [];
    foreach ($cases as $case) {
        $missing = array_diff(FUNCTIONS[$case] ?? [], $there);
        if ([] === $missing) {
            $possible[] = $case;
        } else {
            fwrite(STDERR, "bench/kv: $case: this build has no " . implode('(), no ', $missing) . "()\n");
        }
    }

    return $possible;
}

/** @return list<Row> */
function measure(Settings $settings): array
{
    $rows = [];
    if ($settings->wants(
        'get-64', 'get-64-miss', 'get-64-10k', 'get-64k', 'set-64', 'set-64-ttl', 'set-64k', 'incr', 'exists',
        'mget-20', 'mset-20',
    )) {
        array_push($rows, ...groupRows('one', $settings, [
            'apc.entries_hint' => '10000',
        ]));
    }
    if ($settings->wants('scale-2-read', 'scale-2-mixed')) {
        array_push($rows, ...groupRows('two', $settings, [
            'apc.entries_hint' => '10000',
        ]));
    }
    if ($settings->wants('get-64-500k', 'scan-500k', 'get-during-scan')) {
        array_push($rows, ...groupRows('many', $settings, [
            'ephpm.cli_size' => '256M',
            'apc.shm_size' => '256M',
            'apc.entries_hint' => (string) $settings->manyKeys,
        ]));
    }
    if ($settings->wants('full-set')) {
        fwrite(STDERR, "bench/kv: full-set\n");
        array_push($rows, ...FullStore::measure($settings, 'full-set'));
    }
    if ($settings->wants('overhead-bytes', 'hit-ratio-zipf', 'hit-ratio-scan')) {
        fwrite(STDERR, "bench/kv: overhead and hit ratios\n");
        $hits = new Hits($settings->quick);
        if ($settings->wants('overhead-bytes') && PhpProcess::has('apcu')) {
            $apcu = groupAnswer('apcu-overhead', $settings, [
                'apc.shm_size' => $settings->quick ? '16M' : '256M',
                'apc.entries_hint' => $settings->quick ? '50000' : '1000000',
            ]);
            if (!\is_float($apcu)) {
                throw new BenchError('APCu\'s overhead could not be measured');
            }
            $rows[] = new Row('overhead-bytes', $hits->overheadBytes, 'apcu', $apcu, 'bytes');
        }
        if ($settings->wants('hit-ratio-zipf')) {
            array_push($rows, ...$hits->rows('hit-ratio-zipf', 'zipf'));
        }
        if ($settings->wants('hit-ratio-scan')) {
            array_push($rows, ...$hits->rows('hit-ratio-scan', 'scan'));
        }
    }

    return $rows;
}

$options = Options::parsed('kv', array_keys(Bars::CASES), \array_slice($argv, 1));
$json = $options->json;
try {
    $settings = settings($options)->withCases(possible($options->only));
    if (null !== $json && false === @file_put_contents($json, '')) {
        throw new BenchError("cannot write $json");
    }
    if (!PhpProcess::has('apcu')) {
        fwrite(STDERR, "bench/kv: APCu is not installed (apt-get install php-apcu): its rows are missing\n");
    }
    if (PhpProcess::has('redis') && null !== RedisServer::program()) {
        pcntl_async_signals(true);
        foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
            pcntl_signal($signal, static function (int $signal): never {
                throw new BenchError("ended by signal $signal");
            });
        }
        $redis = new RedisServer();
        register_shutdown_function($redis->stop(...));
        $settings = $settings->withRedis($redis->socket);
    } else {
        fwrite(STDERR, 'bench/kv: phpredis or redis-server is not installed (apt-get install php-redis redis-server): '
            . "its rows are missing\n");
    }
    $rows = measure($settings);
    echo Table::text($rows);
    if (null !== $json) {
        file_put_contents($json, Row::json($rows));
    }
} catch (BenchError $failure) {
    fwrite(STDERR, "bench/kv: {$failure->getMessage()}\n");
    exit(1);
}
