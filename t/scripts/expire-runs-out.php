<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$set = key_of('set');
$expire = key_of('expire');
$stays = key_of('stays');
$counter = key_of('counter');
ephpm_kv_set($set, 'value', 1);
ephpm_kv_set($expire, 'value', 1000);
ephpm_kv_expire($expire, 1);
ephpm_kv_set($stays, 'value', 1);
ephpm_kv_expire($stays, 0);
ephpm_kv_incr($counter);
ephpm_kv_expire($counter, 1);

for ($tries = 0; ephpm_kv_exists($counter) && $tries < 3000; ++$tries) {
    usleep(10_000);
}
show('had to wait', $tries > 0);
foreach (compact('set', 'expire', 'counter', 'stays') as $name => $key) {
    show("{$name}: get", ephpm_kv_get($key));
    show("{$name}: exists", ephpm_kv_exists($key));
    show("{$name}: ttl", ephpm_kv_ttl($key));
    show("{$name}: pttl", ephpm_kv_pttl($key));
    show("{$name}: expire", ephpm_kv_expire($key, 0));
    show("{$name}: del", ephpm_kv_del($key));
}
