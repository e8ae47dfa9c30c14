<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$keys = array_map(static fn(int $at): string => key_of("key {$at}"), range(1, 1000));
foreach ($keys as $at => $key) {
    ephpm_kv_set($key, "value {$at}", $at % 2 * 1000);
}
ephpm_kv_incr($keys[7]);
show('there before', count(array_filter($keys, ephpm_kv_exists(...))));
show('flush_all', ephpm_kv_flush_all());
show('there after', count(array_filter($keys, ephpm_kv_exists(...))));
show('flush_all of nothing', ephpm_kv_flush_all());
show('set', ephpm_kv_set($keys[0], 'again'));
show('get', ephpm_kv_get($keys[0]));
