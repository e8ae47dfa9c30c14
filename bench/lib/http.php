<?php

declare(strict_types=1);

// bench/http measures mod_ephpm beside mod_php.
//
//      http.php -- httpd with mod_ephpm  \  for each case two new ones, which
//        |      -- httpd with mod_php    /  wait while the other is measured
//        `-- wrk, a second at a time
//
// A server has as many children as wrk has connections.

namespace Ephpm\Bench;

require __DIR__ . '/load.php';

const RSS = 'apache-rss';

/**
 * @return array{ours: string, mod_php: string} the lines that load the modules
 */
function modules(): array
{
    $ours = getenv('EPHPM_BUILDDIR') . '/mod_ephpm/.libs/mod_ephpm.so';
    if (!is_file($ours)) {
        throw new BenchError("there is no $ours: build it with ./dev build");
    }
    $version = PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
    $peer = getenv('HTTPD_MODULES_DIR') . "/libphp$version.so";
    if (!is_file($peer)) {
        throw new BenchError("there is no $peer: apt-get install libapache2-mod-php$version");
    }

    return ['ours' => "LoadModule ephpm_module \"$ours\"", 'mod_php' => "LoadModule php_module \"$peer\""];
}

/**
 * Both servers, for as long as $measure runs.
 *
 * @template T
 *
 * @param list<string>                                   $peers   extensions that mod_php has beside those of both
 * @param \Closure(array<string, Httpd>): array<string, T> $measure
 *
 * @return array<string, T>
 */
function beside(HttpSites $sites, string $root, array $peers, int $children, \Closure $measure): array
{
    $servers = [];
    try {
        foreach (modules() as $name => $module) {
            $servers[$name] = new Httpd(
                $name,
                $module,
                $sites,
                $root,
                HttpSites::extensions(...('ours' === $name ? [] : $peers)),
                $children,
            );
        }
        $figures = $measure($servers);
        array_map(static fn(Httpd $server) => $server->mustBeQuiet(), $servers);
    } finally {
        array_map(static fn(Httpd $server) => $server->stop(), $servers);
    }

    return $figures;
}

/** Requests a second, turn by turn. */
function perSecond(HttpSites $sites, string $name, HttpCase $case, int $rounds): Row
{
    $wrk = new Wrk($case, null === $case->post ? null : $sites->file($case->post));
    $figures = beside(
        $sites,
        $case->root,
        [
            ...($case->store ? [getenv('EPHPM_BUILDDIR') . '/php-embed/.libs/ephpm.so'] : []),
            ...($case->apcu ? ['apcu'] : []),
        ],
        Wrk::CONNECTIONS,
        static function (array $servers) use ($wrk, $rounds): array {
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
        },
    );

    return Row::ofRounds($name, $figures['ours'], 'mod_php', $figures['mod_php'], 'req/s');
}

/**
 * The memory of a child that has answered with each page in turn.
 *
 * @param list<HttpCase> $cases
 */
function rss(HttpSites $sites, array $cases, int $requests, int $rounds): Row
{
    $figures = ['ours' => [], 'mod_php' => []];
    for ($round = 0; $round < $rounds; ++$round) {
        $one = beside($sites, '', ['apcu'], 1, static fn(array $servers): array => array_map(
            static function (Httpd $server) use ($cases, $requests): float {
                $connection = HttpAnswer::connection($server->port);
                for ($i = 0; $i < $requests; ++$i) {
                    $case = $cases[$i % \count($cases)];
                    if (null !== $fault = $case->fault(HttpAnswer::to($connection, $case))) {
                        throw new BenchError("{$server->name}, {$case->path}: $fault");
                    }
                }
                fclose($connection);

                return $server->childsRssAnon();
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
        $missing = match (true) {
            (RSS === $case || $all[$case]->symfony) && null === HttpSites::packages()
                => 'the packages of the demo are missing (composer install in demo/, as ./dev bench does)',
            (RSS === $case || $all[$case]->apcu) && [] === preg_grep('/apcu/', HttpSites::extensions('apcu'))
                => 'APCu is not installed (apt-get install php-apcu)',
            default => null,
        };
        if (null === $missing) {
            $possible[] = $case;
        } else {
            fwrite(STDERR, "bench/http: $case: $missing\n");
        }
    }

    return $possible;
}

/**
 * @param list<string> $cases
 *
 * @return list<Row>
 */
function measured(HttpSites $sites, array $cases, Options $options): array
{
    $all = HttpCase::all();
    $rounds = $options->rounds ?? ($options->quick ? 2 : 21);
    $rows = [];
    foreach ($cases as $case) {
        fwrite(STDERR, "bench/http: $case\n");
        $rows[] = RSS === $case
            ? rss($sites, array_values(array_map(
                static fn(HttpCase $one): HttpCase => $one->fromAbove(),
                array_filter($all, static fn(HttpCase $one): bool => !$one->store),
            )), $options->quick ? 40 : 2000, $options->quick ? 1 : 3)
            : perSecond($sites, $case, $all[$case], $rounds);
    }

    return $rows;
}

$options = Options::parsed('http', [...array_keys(HttpCase::all()), RSS], \array_slice($argv, 1));
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
        "%d connections that are kept; the server and wrk share %s processors."
            . "  PHP %s with opcache, without its JIT.\n",
        Wrk::CONNECTIONS,
        trim((string) shell_exec('getconf _NPROCESSORS_ONLN')),
        PHP_VERSION,
    );
    if (null !== $options->json) {
        file_put_contents($options->json, Row::json($rows));
    }
} catch (BenchError $failure) {
    fwrite(STDERR, "bench/http: {$failure->getMessage()}\n");
    exit(1);
}
