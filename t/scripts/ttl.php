<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('key');
show('missing', [ephpm_kv_ttl($key), ephpm_kv_pttl($key)]);
ephpm_kv_set($key, 'value');
show('no expiry', [ephpm_kv_ttl($key), ephpm_kv_pttl($key)]);
ephpm_kv_set($key, 'value', 100);
show('rounded up', ephpm_kv_ttl($key));
$left = ephpm_kv_pttl($key);
show('milliseconds', $left > 90_000 && $left <= 100_000);
show('still rounded up', ephpm_kv_ttl($key) >= intdiv(ephpm_kv_pttl($key) + 999, 1000));
foreach ([0, -1, -100] as $ttl) {
    ephpm_kv_set($key, 'value', 100);
    ephpm_kv_set($key, 'value', $ttl);
    show("set with {$ttl}", [ephpm_kv_ttl($key), ephpm_kv_pttl($key)]);
}
ephpm_kv_set($key, 'value', 100);
ephpm_kv_set($key, 'value');
show('set without clears it', ephpm_kv_ttl($key));
ephpm_kv_set($key, 'value', 100);
ephpm_kv_del($key);
show('deleted', ephpm_kv_ttl($key));
