<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$prefix = key_of('');
$values = ["{$prefix}a" => 'one', "{$prefix}b" => '', "{$prefix}c" => "\0\xff", 123454321 => 'by integer', -7 => 'negative'];
ephpm_kv_del('123454321');
ephpm_kv_del('-7');
show('mset', ephpm_kv_mset($values));
show('get by integer', ephpm_kv_get('123454321'));
show('get by a negative one', ephpm_kv_get('-7'));
show('ttl', ephpm_kv_ttl("{$prefix}a"));
show('mget of its keys', ephpm_kv_mget(array_keys($values)) === array_values($values));
show('order, missing and twice', ephpm_kv_mget(["{$prefix}b", "{$prefix}none", "{$prefix}a", "{$prefix}a"]));
show('keys of the argument', ephpm_kv_mget(['x' => "{$prefix}a", 9 => '-7']));
show('nothing', ephpm_kv_mget([]));
show('mset of nothing', ephpm_kv_mset([]));
show('with a ttl', ephpm_kv_mset(["{$prefix}a" => 'new', "{$prefix}d" => 'd'], 100));
show('ttls', [ephpm_kv_ttl("{$prefix}a"), ephpm_kv_ttl("{$prefix}d"), ephpm_kv_ttl("{$prefix}b")]);
show('negative ttl', ephpm_kv_mset(["{$prefix}a" => 'new'], -1));
show('ttl', ephpm_kv_ttl("{$prefix}a"));
show('ttl of PHP_INT_MAX', ephpm_kv_mset(["{$prefix}a" => 'new'], PHP_INT_MAX));
show('lives', ephpm_kv_ttl("{$prefix}a") > 1_000_000_000);

// Counters, long values and references among short ones.
$long = str_repeat('long ', 50_000);
ephpm_kv_set("{$prefix}long", $long);
ephpm_kv_del("{$prefix}counter");
ephpm_kv_incr_by("{$prefix}counter", -42);
$name = "{$prefix}c";
$answer = ephpm_kv_mget(["{$prefix}long", "{$prefix}counter", &$name]);
show('long, counter, by reference', $answer === [$long, '-42', "\0\xff"]);
$text = 'by reference';
show('mset by reference', ephpm_kv_mset(["{$prefix}a" => &$text, "{$prefix}long" => $long]));
show('read back', ephpm_kv_mget(["{$prefix}a", "{$prefix}long"]) === [$text, $long]);

// More than one batch of them.
foreach ([31, 32, 33, 64, 65, 1000] as $count) {
    $many = [];
    for ($at = 0; $at < $count; ++$at) {
        $many["{$prefix}many {$at}"] = "{$count}: {$at}";
    }
    $good = ephpm_kv_mset($many) && ephpm_kv_mget(array_keys($many)) === array_values($many);
    $holes = $many;
    for ($at = 0; $at < $count; $at += 3) {
        ephpm_kv_del("{$prefix}many {$at}");
        unset($holes["{$prefix}many {$at}"]);
    }
    $left = array_filter(ephpm_kv_mget(array_keys($many)), is_string(...));
    show("{$count} keys", $good && array_values($left) === array_values($holes));
    // An array with holes in it: what is left of one.
    show('... and a sparse list', array_values(array_filter(
        ephpm_kv_mget(array_filter(array_keys($many), static fn(int $at): bool => $at % 3 !== 0, ARRAY_FILTER_USE_KEY)),
        is_string(...),
    )) === array_values($holes));
}
show('deleted', ephpm_kv_del_prefix($prefix) > 600);
show('the rest', ephpm_kv_del('123454321') + ephpm_kv_del('-7'));
