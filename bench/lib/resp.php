<?php

declare(strict_types=1);

// bench/resp asks two servers of ours (a unix socket, TCP), which are
// t/resp/resp_serve: the event loop of resp/ and a store, and one redis-server.
// Each has a session of its own: the kernel may share out the processors by
// sessions, and then one in the session of redis-benchmark would fare otherwise.
//
//      redis-benchmark -t get -P 16 -- ours          a slice each, in another
//                                   -- redis-server  order in each round

namespace Ephpm\Bench;

require __DIR__ . '/load.php';

/**
 * @return Service redis-server, with what it writes in $folder
 */
function redis(string $folder, int $port): Service
{
    $program = RedisServer::program();
    if (null === $program || null === RedisServer::program('redis-benchmark')) {
        throw new BenchError('redis-server or redis-benchmark is not installed: apt-get install redis-server');
    }

    return new Service([
        $program, '--port', (string) $port, '--bind', '127.0.0.1', '--unixsocket', "$folder/redis.sock",
        '--unixsocketperm', '700', '--save', '', '--appendonly', 'no', '--dir', $folder, '--daemonize', 'no',
        '--loglevel', 'warning',
    ], "$folder/redis.said", '', static fn(): bool => false !== @stream_socket_client("unix://$folder/redis.sock"));
}

/**
 * @return Service ours, at that address
 */
function ours(string $address, string $said): Service
{
    $program = getenv('EPHPM_BUILDDIR') . '/t/resp/resp_serve';
    if (!is_executable($program)) {
        throw new BenchError("$program is not built: ./dev bench resp");
    }

    return new Service(
        [$program, $address, '64M'],
        $said,
        '',
        static fn(): bool => str_contains((string) @file_get_contents($said), 'ready'),
    );
}

/**
 * @param array<string, RespTarget> $targets by name, ours and the peer
 *
 * @return array<string, list<float>> requests a second
 */
function rounds(RespCase $case, array $targets, int $rounds, int $requests): array
{
    $figures = array_map(static fn(): array => [], $targets);
    $names = array_keys($targets);
    for ($round = 0; $round < $rounds; ++$round) {
        shuffle($names);
        foreach ($names as $name) {
            $figures[$name][] = $targets[$name]->slice($case, $requests);
        }
    }

    return $figures;
}

$options = Options::parsed('resp', array_column(RespCase::cases(), 'value'), \array_slice($argv, 1));
try {
    if (null !== $options->json && false === @file_put_contents($options->json, '')) {
        throw new BenchError("cannot write {$options->json}");
    }
    pcntl_async_signals(true);
    foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
        pcntl_signal($signal, static function (int $signal): never {
            throw new BenchError("ended by signal $signal");
        });
    }
    $folder = sys_get_temp_dir() . '/ephpm-bench-' . bin2hex(random_bytes(6));
    if (!mkdir($folder, 0700)) {
        throw new BenchError("cannot make $folder");
    }
    $services = [];
    register_shutdown_function(static function () use (&$services, $folder): void {
        array_map(static fn(Service $service) => $service->stop(), $services);
        array_map(unlink(...), glob("$folder/*") ?: []);
        rmdir($folder);
    });
    $port = HttpServer::freePort();
    $services[] = redis($folder, $port);
    $ownPort = HttpServer::freePort();
    $services[] = ours("unix:$folder/ours.sock", "$folder/unix.said");
    $services[] = ours("127.0.0.1:$ownPort", "$folder/tcp.said");

    $own = new RespTarget('ours', "$folder/ours.sock", $ownPort);
    $peer = new RespTarget('redis-server', "$folder/redis.sock", $port);
    $own->fill();
    $peer->fill();
    $rows = [];
    foreach ($options->only as $name) {
        $case = RespCase::from($name);
        fwrite(STDERR, "bench/resp: $name\n");
        $requests = intdiv(16 === $case->pipeline() ? 400_000 : 60_000, $options->quick ? 20 : 1);
        $figures = rounds(
            $case,
            ['ours' => $own, 'redis-server' => $peer],
            $options->rounds ?? ($options->quick ? 2 : 15),
            $requests,
        );
        $rows[] = Row::ofRounds($name, $figures['ours'], 'redis-server', $figures['redis-server'], 'req/s');
    }
    echo Table::text($rows);
    printf("redis-benchmark, with 50 clients, and the servers share %d processors.\n", (int) shell_exec('getconf _NPROCESSORS_ONLN'));
    if (null !== $options->json) {
        file_put_contents($options->json, Row::json($rows));
    }
} catch (BenchError $failure) {
    fwrite(STDERR, "bench/resp: {$failure->getMessage()}\n");
    exit(1);
}
