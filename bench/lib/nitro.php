<?php

declare(strict_types=1);

// bench/nitro sets and gets 500,000 keys by NitroCache's interface, in one
// process, in a round after the other.

namespace Ephpm\Bench;

use NitroCache\Client;

require __DIR__ . '/load.php';
spl_autoload_register(static function (string $class): void {
    foreach (['NitroCache\\' => 'nitrocache', 'Ephpm\\Cache\\Symfony\\' => 'src'] as $namespace => $folder) {
        if (str_starts_with($class, $namespace)) {
            require \dirname(__DIR__, 2) . "/php-adapter/$folder/" . substr($class, \strlen($namespace)) . '.php';
        }
    }
});

const PUBLISHED = ['nitro-set' => 61_500.0, 'nitro-get' => 57_400.0];

const VALUE_BYTES = 64;

/**
 * @return array{nitro-set: float, nitro-get: float} operations a second
 */
function round_of(Client $cache, int $keys): array
{
    $cache->clear();
    $start = hrtime(true);
    for ($i = 0; $i < $keys; ++$i) {
        if (!$cache->set("key:$i", str_pad((string) $i, VALUE_BYTES))) {
            throw new BenchError("key $i was refused");
        }
    }
    $set = hrtime(true) - $start;
    $start = hrtime(true);
    for ($i = 0; $i < $keys; ++$i) {
        if (str_pad((string) $i, VALUE_BYTES) !== $cache->get("key:$i")) {
            throw new BenchError("key $i has another value");
        }
    }

    return ['nitro-set' => $keys * 1e9 / $set, 'nitro-get' => $keys * 1e9 / (hrtime(true) - $start)];
}

$options = Options::parsed('nitro', array_keys(PUBLISHED), \array_slice($argv, 1));
try {
    if (null !== $options->json && false === @file_put_contents($options->json, '')) {
        throw new BenchError("cannot write {$options->json}");
    }
    $keys = $options->quick ? 5_000 : 500_000;
    $cache = new Client(512);
    $figures = ['nitro-set' => [], 'nitro-get' => []];
    for ($round = 0; $round < ($options->rounds ?? ($options->quick ? 2 : 5)); ++$round) {
        foreach (round_of($cache, $keys) as $case => $figure) {
            $figures[$case][] = $figure;
        }
    }
    $rows = [];
    foreach ($options->only as $case) {
        $rows[] = Row::ofRounds($case, $figures[$case], 'published', array_fill(0, \count($figures[$case]), PUBLISHED[$case]), 'op/s');
    }
    echo Table::text($rows);
    printf("%s keys, values of %d bytes, one process.  The published figures are of another machine.\n", number_format($keys), VALUE_BYTES);
    if (null !== $options->json) {
        file_put_contents($options->json, Row::json($rows));
    }
} catch (BenchError $failure) {
    fwrite(STDERR, "bench/nitro: {$failure->getMessage()}\n");
    exit(1);
}
