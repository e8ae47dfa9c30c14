<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('lock');
show('setifeq, missing', ephpm_kv_setifeq($key, '', 'x'));
show('delifeq, missing', ephpm_kv_delifeq($key, ''));
show('still missing', ephpm_kv_exists($key));
ephpm_kv_setnx($key, 'mine', 100);
show('delifeq, another', ephpm_kv_delifeq($key, 'theirs'));
show('delifeq, a beginning', ephpm_kv_delifeq($key, 'min'));
show('delifeq, longer', ephpm_kv_delifeq($key, "mine\0"));
show('kept', [ephpm_kv_get($key), ephpm_kv_ttl($key)]);
show('setifeq, another', ephpm_kv_setifeq($key, 'theirs', 'stolen'));
show('kept', [ephpm_kv_get($key), ephpm_kv_ttl($key)]);
show('setifeq', ephpm_kv_setifeq($key, 'mine', 'longer', 500));
show('changed', [ephpm_kv_get($key), ephpm_kv_ttl($key)]);
show('setifeq, no ttl', ephpm_kv_setifeq($key, 'longer', ''));
show('changed', [ephpm_kv_get($key), ephpm_kv_ttl($key)]);
show('delifeq, empty', ephpm_kv_delifeq($key, ''));
show('twice', ephpm_kv_delifeq($key, ''));

// Integers compare as their text.
ephpm_kv_incr_by($key, 7);
show('setifeq, 07', ephpm_kv_setifeq($key, '07', 'x'));
show('setifeq, 7', ephpm_kv_setifeq($key, '7', '8'));
show('incr', ephpm_kv_incr($key));
show('delifeq, 9', ephpm_kv_delifeq($key, '9'));

// Long ones.
$long = str_repeat('a', 100_000);
$other = substr($long, 1) . 'b';
ephpm_kv_set($key, $long);
show('delifeq, another', ephpm_kv_delifeq($key, $other));
show('setifeq', ephpm_kv_setifeq($key, $long, $other));
show('delifeq', ephpm_kv_delifeq($key, $other));

// Bad input.
show('no key', ephpm_kv_setifeq('', 'x', 'y'));
show('no key', ephpm_kv_delifeq('', 'x'));
show('long key', ephpm_kv_setifeq(str_repeat('k', 65_536), 'x', 'y'));
show('long key', ephpm_kv_delifeq(str_repeat('k', 65_536), 'x'));
$max = ephpm_kv_stats()['value_max_bytes'];
set_error_handler(static function (int $level, string $message) use ($max): bool {
    echo 'Warning: ', str_replace([(string) ($max + 1), (string) $max], ['MAX + 1', 'MAX'], $message), "\n";

    return true;
});
show('huge, missing', ephpm_kv_setifeq($key, 'x', str_repeat('x', $max + 1)));
ephpm_kv_set($key, 'x');
show('huge', ephpm_kv_setifeq($key, 'x', str_repeat('x', $max + 1)));
restore_error_handler();
show('kept', ephpm_kv_get($key));
attempt('int', static fn() => ephpm_kv_delifeq($key, 5));
attempt('null', static fn() => ephpm_kv_setifeq($key, null, 'x'));
