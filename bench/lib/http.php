<?php

declare(strict_types=1);

// bench/http measures mod_ephpm beside mod_php, and ngx_ephpm beside php-fpm.
//
//      http.php -- ours       \  for each case two new servers, thrice, which wait
//        |      -- the peer   /  while the other is measured
//        `-- wrk, a second at a time

namespace Ephpm\Bench;

require __DIR__ . '/load.php';

const RSS = 'apache-rss';

/** Of cases with one number of connections, and of those with three. */
const ROUNDS = 21;
const ROUNDS_OF_THREE = 11;

/** How often both servers start anew during a case: by some percent the speed of one depends on its pages of memory. */
const STARTS = 3;

/**
 * Both servers, for as long as $measure runs.
 *
 * @template T
 *
 * @param \Closure(array<string, HttpServer>): array<string, T> $measure
 *
 * @return array<string, T>
 */
function beside(HttpSites $sites, HttpCase $case, \Closure $measure): array
{
    $redis = $case->redis() ? new RedisServer(forOthers: true) : null;
    $servers = [];
    try {
        $servers = HttpPair::started($case, $sites, (string) $redis?->socket);
        $figures = $measure($servers);
        array_map(static fn(HttpServer $server) => $server->mustBeQuiet(), $servers);
    } finally {
        array_map(static fn(HttpServer $server) => $server->stop(), $servers);
        $redis?->stop();
    }

    return $figures;
}

/** Requests a second, turn by turn. */
function perSecond(HttpSites $sites, string $name, HttpCase $case, int $rounds): Row
{
    $wrk = new Wrk($case, null === $case->post ? null : $sites->file($case->post));
    $figures = [];
    for ($start = 0; $start < STARTS; ++$start) {
        $some = intdiv($rounds * ($start + 1), STARTS) - intdiv($rounds * $start, STARTS);
        if ($some > 0) {
            $figures = array_merge_recursive($figures, beside(
                $sites,
                $case,
                static fn(array $servers): array => rounds($wrk, $servers, $some),
            ));
        }
    }

    return Row::ofRounds($name, $figures['ours'], $case->peer, $figures[$case->peer], 'req/s');
}

/**
 * @param array<string, HttpServer> $servers
 *
 * @return array<string, list<float>>
 */
function rounds(Wrk $wrk, array $servers, int $rounds): array
{
    $figures = [];
    foreach ($servers as $of => $server) {
        $wrk->slice($server);
        $figures[$of] = [];
    }
    $order = array_keys($servers);
    for ($round = 0; $round < $rounds; ++$round) {
        shuffle($order);
        foreach ($order as $of) {
            $figures[$of][] = $wrk->slice($servers[$of]);
        }
    }

    return $figures;
}

/**
 * The memory of a child that has answered with each page in turn.
 *
 * @param non-empty-list<HttpCase> $cases
 */
function rss(HttpSites $sites, array $cases, int $requests, int $rounds): Row
{
    $figures = ['ours' => [], 'mod_php' => []];
    for ($round = 0; $round < $rounds; ++$round) {
        $one = beside($sites, $cases[0], static fn(array $servers): array => array_map(
            static function (HttpServer $server) use ($cases, $requests): float {
                $connection = HttpAnswer::connection($server->port);
                for ($i = 0; $i < $requests; ++$i) {
                    $case = $cases[$i % \count($cases)];
                    if (null !== $fault = $case->fault(HttpAnswer::to($connection, $case))) {
                        throw new BenchError("{$server->name}, {$case->path}: $fault");
                    }
                }
                fclose($connection);

                return $server instanceof Httpd ? $server->childsRssAnon() : throw new \LogicException();
            },
            $servers,
        ));
        foreach ($one as $of => $figure) {
            $figures[$of][] = $figure;
        }
    }

    return Row::ofRounds(RSS, $figures['ours'], 'mod_php', $figures['mod_php'], 'KiB');
}

/**
 * @param list<string> $cases
 *
 * @return list<string> those that can be run here
 */
function possible(array $cases): array
{
    $all = HttpCase::all();
    $possible = [];
    foreach ($cases as $case) {
        $missing = array_filter(array_map(HttpPair::missing(...), RSS === $case ? ofRss() : [$all[$case]]));
        if ([] === $missing) {
            $possible[] = $case;
        } else {
            fwrite(STDERR, "bench/http: $case: " . reset($missing) . "\n");
        }
    }

    return $possible;
}

/**
 * The pages that a child's memory is looked at after.
 *
 * @return non-empty-list<HttpCase>
 */
function ofRss(): array
{
    $cases = array_values(array_filter(
        HttpCase::all(),
        static fn(HttpCase $one): bool => HttpCase::PREFORK === $one->host && 'demo/public' !== $one->root,
    ));

    return [] === $cases ? throw new \LogicException() : $cases;
}

/**
 * @param list<string> $cases
 *
 * @return list<Row>
 */
function measured(HttpSites $sites, array $cases, Options $options): array
{
    $all = HttpCase::all();
    $rows = [];
    foreach ($cases as $case) {
        fwrite(STDERR, "bench/http: $case\n");
        if (RSS === $case) {
            $above = array_map(static fn(HttpCase $one): HttpCase => $one->fromAbove(), ofRss());
            $rows[] = rss($sites, $above, $options->quick ? 40 : 2000, $options->quick ? 1 : 3);
            continue;
        }
        $usual = HttpCase::PREFORK === $all[$case]->host ? ROUNDS : ROUNDS_OF_THREE;
        $rows[] = perSecond($sites, $case, $all[$case], $options->rounds ?? ($options->quick ? 2 : $usual));
    }

    return $rows;
}

$options = Options::parsed(
    'http',
    [...array_keys(HttpCase::all()), RSS],
    \array_slice($argv, 1),
    HttpCase::groups(),
);
try {
    if (null !== $options->json && false === @file_put_contents($options->json, '')) {
        throw new BenchError("cannot write {$options->json}");
    }
    if (null === RedisServer::program('wrk')) {
        throw new BenchError('wrk is needed: apt-get install wrk');
    }
    pcntl_async_signals(true);
    foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
        pcntl_signal($signal, static function (int $signal): never {
            throw new BenchError("ended by signal $signal");
        });
    }
    $cases = possible($options->only);
    $symfony = static fn(string $case): bool => RSS === $case || HttpCase::all()[$case]->symfony;
    $sites = new HttpSites([] !== array_filter($cases, $symfony));
    register_shutdown_function($sites->remove(...));
    $rows = measured($sites, $cases, $options);
    echo Table::text($rows);
    printf(
        "2 connections that are kept, or as many as the case's name ends with; the servers and wrk share %s processors."
            . "  %d runners, as many children of php-fpm.  PHP %s with opcache, without its JIT.\n",
        trim((string) shell_exec('getconf _NPROCESSORS_ONLN')),
        HttpPair::processes(),
        PHP_VERSION,
    );
    if (null !== $options->json) {
        file_put_contents($options->json, Row::json($rows));
    }
} catch (BenchError $failure) {
    fwrite(STDERR, "bench/http: {$failure->getMessage()}\n");
    exit(1);
}
