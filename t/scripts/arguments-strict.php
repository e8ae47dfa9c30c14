<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$functions = [
    'ephpm_kv_get' => ['k'], 'ephpm_kv_set' => ['k', 'v', 1], 'ephpm_kv_setnx' => ['k', 'v', 1],
    'ephpm_kv_del' => ['k'], 'ephpm_kv_exists' => ['k'], 'ephpm_kv_incr' => ['k'], 'ephpm_kv_decr' => ['k'],
    'ephpm_kv_incr_by' => ['k', 1], 'ephpm_kv_expire' => ['k', 1], 'ephpm_kv_ttl' => ['k'],
    'ephpm_kv_pttl' => ['k'], 'ephpm_kv_flush_all' => [],
];
foreach ($functions as $function => $arguments) {
    if ($arguments !== []) {
        attempt("{$function}, none", static fn() => $function());
    }
    attempt("{$function}, one too many", static fn() => $function(...[...$arguments, 1]));
}
attempt('int for a key', static fn() => ephpm_kv_get(1));
attempt('null for a key', static fn() => ephpm_kv_get(null));
attempt('array for a key', static fn() => ephpm_kv_del([]));
attempt('object for a key', static fn() => ephpm_kv_exists(new stdClass()));
attempt('int for a value', static fn() => ephpm_kv_set('k', 1));
attempt('null for a value', static fn() => ephpm_kv_set('k', null));
attempt('string for a ttl', static fn() => ephpm_kv_set('k', 'v', '1'));
attempt('null for a ttl', static fn() => ephpm_kv_set('k', 'v', null));
attempt('float for a ttl', static fn() => ephpm_kv_expire('k', 1.5));
attempt('float for a delta', static fn() => ephpm_kv_incr_by('k', 1.0));
attempt('an unknown name', static fn() => ephpm_kv_get(name: 'k'));
