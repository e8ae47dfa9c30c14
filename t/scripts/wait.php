<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('key');

/** @return array{mixed, bool} */
function timed(string $key, int $last, int $timeout, float $least, float $most = 60.0): array
{
    $start = hrtime(true);
    $answer = ephpm_kv_wait($key, $last, $timeout);
    $took = (hrtime(true) - $start) / 1e6;

    return [$answer, $took >= $least && $took < $most * 1000];
}

// 0 answers at once, for a missing key too.
$absent = ephpm_kv_wait($key, 0, 60_000);
show('missing', $absent['value']);
show('version', $absent['version'] >= 1);
show('keys', array_keys($absent));
show('no time, no news', ephpm_kv_wait($key, $absent['version'], 0));
show('time out', timed($key, $absent['version'], 150, 149.0));

ephpm_kv_set($key, 'one');
$one = ephpm_kv_wait($key, $absent['version'], 0);
show('set', $one['value']);
show('newer', $one['version'] > $absent['version']);
show('the same again', ephpm_kv_wait($key, 0, 0) === $one);
show('nothing new', ephpm_kv_wait($key, $one['version'], 0));
show('negative arguments', ephpm_kv_wait($key, -5, -5) === $one);
show('negative time', timed($key, $one['version'], -1, 0.0));
show('PHP_INT_MIN', ephpm_kv_wait($key, PHP_INT_MIN, PHP_INT_MIN) === $one);
show('PHP_INT_MAX', ephpm_kv_wait($key, PHP_INT_MAX, 0));

// What counts as a change, and what does not.
$version = $one['version'];
ephpm_kv_expire($key, 100);
show('expire', ephpm_kv_wait($key, $version, 0));
ephpm_kv_get($key);
ephpm_kv_setnx($key, 'other');
show('get, setnx that fails', ephpm_kv_wait($key, $version, 0));
$changes = [
    'set' => static fn() => ephpm_kv_set($key, '5'),
    'incr' => static fn() => ephpm_kv_incr($key),
    'incr again' => static fn() => ephpm_kv_incr($key),
    'decr' => static fn() => ephpm_kv_decr($key),
    'incr_by' => static fn() => ephpm_kv_incr_by($key, 10),
    'setifeq' => static fn() => ephpm_kv_setifeq($key, '16', '17'),
    'mset' => static fn() => ephpm_kv_mset([$key => str_repeat('long ', 20_000)]),
    'del' => static fn() => ephpm_kv_del($key),
    'setnx' => static fn() => ephpm_kv_setnx($key, 'anew'),
    'delifeq' => static fn() => ephpm_kv_delifeq($key, 'anew'),
    'set again' => static fn() => ephpm_kv_set($key, 'a', 1),
];
foreach ($changes as $name => $change) {
    $change();
    $answer = ephpm_kv_wait($key, $version, 0);
    show($name, is_array($answer) && $answer['version'] > $version ? $answer['value'] : $answer);
    $version = $answer['version'];
}
// It expires in a second, which wakes who waits.
[$answer, $inTime] = timed($key, $version, 60_000, 0.0, 50.0);
show('expiry', $answer['value'] ?? 'nothing');
show('newer, and long before the time is over', $answer['version'] > $version && $inTime);
ephpm_kv_set($key, 'b');
$version = ephpm_kv_wait($key, 0, 0)['version'];
ephpm_kv_flush_all();
$answer = ephpm_kv_wait($key, $version, 0);
show('flush', $answer['value']);
show('newer', $answer['version'] > $version);

show('no key', ephpm_kv_wait('', 0, 0));
show('long key', ephpm_kv_wait(str_repeat('k', 65_536), 5, 60_000));
attempt('strings', static fn() => ephpm_kv_wait($key, '0', 0));
attempt('none', static fn() => ephpm_kv_wait($key));
