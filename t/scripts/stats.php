<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('key');
ephpm_kv_del("{$key} none");
$before = ephpm_kv_stats();
echo implode("\n", array_keys($before)), "\n";
show('all are integers', array_filter($before, is_int(...)) === $before);
ephpm_kv_set($key, 'value');
ephpm_kv_get($key);
ephpm_kv_mget([$key, $key, "{$key} none"]);
ephpm_kv_get("{$key} none");
ephpm_kv_mset(["{$key} 1" => '1', "{$key} 2" => '2']);
$after = ephpm_kv_stats();
foreach (['hits', 'misses', 'sets', 'deletes', 'entries'] as $name) {
    show($name, $after[$name] - $before[$name]);
}
ephpm_kv_del_prefix($key);
show('deletes', ephpm_kv_stats()['deletes'] - $before['deletes']);
show('within the limit', $after['used_bytes'] <= $after['limit_bytes'] && $after['live_bytes'] <= $after['used_bytes']);
attempt('an argument', static fn() => ephpm_kv_stats(1));
