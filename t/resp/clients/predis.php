<?php

declare(strict_types=1);

// predis.php AUTOLOAD SOCKET PORT - the same by Predis.

[, $autoload, $socket, $port] = $argv;
require $autoload;
require __DIR__ . '/check.php';

use Predis\Client;
use Predis\Collection\Iterator\Keyspace;
use Predis\Connection\ConnectionException;
use Predis\Response\ServerException;

function session(Client $redis): void
{
    check('flushdb', (string) $redis->flushdb(), 'OK');
    check('ping', (string) $redis->ping(), 'PONG');
    check('set', (string) $redis->set('k', "v\0\r\n", 'EX', 100), 'OK');
    check('get', $redis->get('k'), "v\0\r\n");
    check('get, none', $redis->get('none'), null);
    check('set nx', $redis->set('k', 'w', 'EX', 100, 'NX'), null);
    check('ttl', $redis->ttl('k') > 90, true);
    check('mset', (string) $redis->mset(['a' => '1', 'b' => '2']), 'OK');
    check('mget', $redis->mget(['a', 'none', 'b']), ['1', null, '2']);
    check('incrby', [$redis->incr('a'), $redis->incrby('a', 10)], [2, 12]);
    check('exists', $redis->exists('a', 'b', 'none'), 2);
    check('type', (string) $redis->type('a'), 'string');
    check('del', $redis->del(['a', 'b']), 2);
    check('info', $redis->info()['Server']['redis_mode'], 'standalone');
    check('delifeq', $redis->executeRaw(['DELIFEQ', 'k', 'x']), 0);
    $answers = $redis->pipeline(static function ($pipeline): void {
        for ($i = 0; $i < 1000; ++$i) {
            $pipeline->set("key:$i", (string) $i);
            $pipeline->get("key:$i");
        }
    });
    check('pipeline', [count($answers), $answers[1999]], [2000, '999']);
    check('scan', count(iterator_to_array(new Keyspace($redis, 'key:*', 50), false)), 1000);
    try {
        check('incr of a text', $redis->incr('k'), 'an exception');
    } catch (ServerException $refusal) {
        check('its error', $refusal->getMessage(), 'ERR value is not an integer or out of range');
    }
}

session(new Client(['scheme' => 'unix', 'path' => $socket, 'password' => 'secret']));
session(new Client(['scheme' => 'tcp', 'host' => '127.0.0.1', 'port' => (int) $port, 'password' => 'secret', 'database' => 0]));
try {
    (new Client(['scheme' => 'unix', 'path' => $socket]))->get('k');
    check('without a password', 'taken', 'an exception');
} catch (ServerException|ConnectionException $refusal) {
    check('without a password', str_contains($refusal->getMessage(), 'NOAUTH'), true);
}
echo "all is as it should be\n";
