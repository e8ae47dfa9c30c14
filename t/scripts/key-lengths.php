<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$longest = str_pad(key_of('longest'), 65_535, 'k');
ephpm_kv_del($longest);
show('65535: set', ephpm_kv_set($longest, 'value'));
show('65535: get', ephpm_kv_get($longest));
show('65535: exists', ephpm_kv_exists($longest));
show('65535: a byte differs', ephpm_kv_get(substr($longest, 0, -1) . 'x'));
show('65535: a byte less', ephpm_kv_get(substr($longest, 0, -1)));
show('65535: expire', ephpm_kv_expire($longest, 100));
show('65535: ttl', ephpm_kv_ttl($longest));
show('65535: del', ephpm_kv_del($longest));
show('65535: incr', ephpm_kv_incr($longest));
show('65535: del', ephpm_kv_del($longest));

foreach (['65536' => "{$longest}k", 'a million' => str_repeat('k', 1_000_000), 'empty' => ''] as $name => $key) {
    show("{$name}: get", ephpm_kv_get($key));
    show("{$name}: set", ephpm_kv_set($key, 'value'));
    show("{$name}: setnx", ephpm_kv_setnx($key, 'value'));
    show("{$name}: del", ephpm_kv_del($key));
    show("{$name}: exists", ephpm_kv_exists($key));
    show("{$name}: incr", ephpm_kv_incr($key));
    show("{$name}: decr", ephpm_kv_decr($key));
    show("{$name}: incr_by", ephpm_kv_incr_by($key, 5));
    show("{$name}: expire", ephpm_kv_expire($key, 5));
    show("{$name}: ttl", ephpm_kv_ttl($key));
    show("{$name}: pttl", ephpm_kv_pttl($key));
}
