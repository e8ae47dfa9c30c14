<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('counter');
ephpm_kv_incr($key);
show('expire', ephpm_kv_expire($key, 1000));
show('incr', ephpm_kv_incr($key));
show('still expires', ephpm_kv_ttl($key) > 900);

ephpm_kv_set($key, '5', 1000);
show('incr_by', ephpm_kv_incr_by($key, 10));
show('still expires', ephpm_kv_ttl($key) > 900);
ephpm_kv_set($key, 'text', 1000);
show('incr of text', ephpm_kv_incr($key));
show('still expires', ephpm_kv_ttl($key) > 900);

// A counter whose time is over begins anew, without a deadline.
ephpm_kv_set($key, '100', 1);
for ($tries = 0; ephpm_kv_exists($key) && $tries < 3000; ++$tries) {
    usleep(10_000);
}
show('incr after expiry', ephpm_kv_incr($key));
show('ttl', ephpm_kv_ttl($key));
