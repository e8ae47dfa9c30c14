<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

// Nothing that a call takes is kept: usage is level after many of them.
$key = key_of('key');
$long = str_repeat('k', 70_000);
$round = static function () use ($key, $long): void {
    foreach (['', 'x', 'some text', str_repeat('y', 100_000)] as $value) {
        ephpm_kv_set($key, $value);
        ephpm_kv_get($key);
        ephpm_kv_get($key . 'missing');
        @ephpm_kv_get($long);
        @ephpm_kv_set($long, $value);
    }
    @ephpm_kv_mset([$key => 'value', 5 => 'five', $long => 'x']);
    @ephpm_kv_mget([$key, 5, $long, '']);
    try {
        ephpm_kv_mget([$key, null]);
    } catch (TypeError) {
    }
    ephpm_kv_setifeq($key, 'value', $long);
    ephpm_kv_delifeq($key, 'value');
    @ephpm_kv_wait($key, 0, 0);
    ephpm_kv_scan(0, $key, 100_000);
    ephpm_kv_getdel($key);
    ephpm_kv_getdel('5');
    ephpm_kv_stats();
    ephpm_kv_del_prefix($key);
    ephpm_kv_del($key);
    ephpm_kv_incr($key);
    ephpm_kv_get($key);
    ephpm_kv_ttl($key);
};
set_error_handler(null);
$round();
$before = memory_get_usage();
for ($count = 0; $count < 200; ++$count) {
    $round();
}
show('grown by', memory_get_usage() - $before);
