<?php

declare(strict_types=1);

// phpredis.php SOCKET PORT - what PHP applications call, by phpredis.

require __DIR__ . '/check.php';

[, $socket, $port] = $argv;

function session(Redis $redis): void
{
    check('auth', $redis->auth('secret'), true);
    check('select', $redis->select(0), true);
    check('flushDB', $redis->flushDB(), true);
    check('ping', $redis->ping(), true);
    check('echo', $redis->echo("a\0b\r\n"), "a\0b\r\n");
    check('set', $redis->set('k', "v\0\r\n"), true);
    check('get', $redis->get('k'), "v\0\r\n");
    check('get, none', $redis->get('none'), false);
    check('set nx', $redis->set('k', 'w', ['nx', 'ex' => 100]), false);
    check('set xx px', $redis->set('k', 'w', ['xx', 'px' => 100_000]), true);
    check('ttl', $redis->ttl('k') > 90, true);
    check('pttl', $redis->pttl('k') > 90_000, true);
    check('persist', $redis->persist('k'), true);
    check('ttl, for ever', $redis->ttl('k'), -1);
    check('ttl, none', $redis->ttl('none'), -2);
    check('expire', $redis->expire('k', 100), true);
    check('expireAt', $redis->expireAt('k', time() + 1000), true);
    check('setex', $redis->setex('e', 100, 'v'), true);
    check('psetex', $redis->psetex('e', 100_000, 'v'), true);
    check('setnx', [$redis->setnx('e', 'w'), $redis->setnx('f', 'w')], [false, true]);
    check('mset', $redis->mset(['a' => '1', 'b' => '2']), true);
    check('mget', $redis->mget(['a', 'none', 'b']), ['1', false, '2']);
    check('getSet', $redis->getSet('a', '5'), '1');
    check('incr', [$redis->incr('a'), $redis->incrBy('a', 10), $redis->decr('a'), $redis->decrBy('a', 5)], [6, 16, 15, 10]);
    check('append', $redis->append('f', 'xyz'), 4);
    check('strlen', $redis->strlen('f'), 4);
    check('exists', $redis->exists('a', 'b', 'none'), 2);
    check('type', $redis->type('a'), Redis::REDIS_STRING);
    check('rename', $redis->rename('f', 'g'), true);
    check('keys', sorted($redis->keys('?')), ['a', 'b', 'e', 'g', 'k']);
    check('dbSize', $redis->dbSize(), 5);
    check('del', $redis->del('a', 'none'), 1);
    check('unlink', $redis->unlink(['b', 'e']), 2);
    check('delifeq', [$redis->rawCommand('DELIFEQ', 'g', 'x'), $redis->rawCommand('DELIFEQ', 'g', 'wxyz')], [0, 1]);
    check('getDel', $redis->rawCommand('GETDEL', 'k'), 'w');
    check('client', [$redis->client('setname', 'me'), $redis->client('getname')], [true, 'me']);
    check('info', $redis->info()['role'], 'master');
    check('time', abs((int) $redis->time()[0] - time()) < 60, true);

    $pipeline = $redis->multi(Redis::PIPELINE);
    for ($i = 0; $i < 1000; ++$i) {
        $pipeline->set("key:$i", (string) $i);
        $pipeline->get("key:$i");
    }
    $answers = $pipeline->exec();
    check('pipeline', [count($answers), $answers[1998], $answers[1999]], [2000, true, '999']);

    $redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
    $cursor = null;
    $found = [];
    while (false !== ($keys = $redis->scan($cursor, 'key:*', 100))) {
        array_push($found, ...$keys);
    }
    check('scan', [count($found), count(array_unique($found))], [1000, 1000]);

    $large = random_bytes(3_000_000);
    check('a large value', [$redis->set('large', $large), $redis->get('large') === $large], [true, true]);
    check('a larger one', [$redis->set('larger', str_repeat('x', 4_000_000)), str_contains((string) $redis->getLastError(), 'maximum')], [false, true]);
    $redis->clearLastError();

    $redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
    check('serializer', [$redis->set('s', [1, ['x' => null]]), $redis->get('s')], [true, [1, ['x' => null]]]);
    $redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE);
    $redis->setOption(Redis::OPT_PREFIX, 'p:');
    check('prefix', [$redis->set('s', 'v'), $redis->rawCommand('GET', 'p:s')], [true, 'v']);
    $redis->setOption(Redis::OPT_PREFIX, '');

    check('incr of a text', [$redis->set('t', 'x'), $redis->incr('t')], [true, false]);
    // phpredis 5 leaves a NUL at its end.
    check('its error', rtrim((string) $redis->getLastError(), "\0"), 'ERR value is not an integer or out of range');
    check('flushAll', $redis->flushAll(), true);
}

$redis = new Redis();
check('connect', $redis->connect($socket), true);
try {
    check('without a password', $redis->get('k'), 'an exception');
} catch (RedisException $refusal) {
    check('without a password', $refusal->getMessage(), 'NOAUTH Authentication required.');
}
session($redis);
$redis = new Redis();
check('connect', $redis->pconnect('127.0.0.1', (int) $port), true);
session($redis);
check('a wrong one', (static function () use ($socket): string {
    $redis = new Redis();
    $redis->connect($socket);
    try {
        $redis->auth('guess');
    } catch (RedisException $refusal) {
        return strstr($refusal->getMessage(), ' ', true) ?: '';
    }

    return 'taken';
})(), 'WRONGPASS');
echo "all is as it should be\n";
