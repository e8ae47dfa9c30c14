<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('key');
show('missing', ephpm_kv_expire($key, 100));
show('still missing', ephpm_kv_exists($key));
ephpm_kv_set($key, 'value');
show('expire', ephpm_kv_expire($key, 100));
show('ttl', ephpm_kv_ttl($key));
show('value', ephpm_kv_get($key));
show('longer', ephpm_kv_expire($key, 10_000));
show('ttl', ephpm_kv_ttl($key));
foreach ([0, -5] as $ttl) {
    ephpm_kv_expire($key, 100);
    show("expire with {$ttl}", ephpm_kv_expire($key, $ttl));
    show('ttl', ephpm_kv_ttl($key));
    show('value', ephpm_kv_get($key));
}
show('no deadline to clear', ephpm_kv_expire($key, 0));
show('clearing a missing one', ephpm_kv_expire(key_of('missing'), 0));
