<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('key');
show('missing', ephpm_kv_getdel($key));
foreach (['', 'x', 'text', "\0\xff", str_repeat('long ', 50_000)] as $value) {
    ephpm_kv_set($key, $value);
    show(strlen($value) . ' bytes', ephpm_kv_getdel($key) === $value);
    show('gone', ephpm_kv_exists($key));
}
ephpm_kv_incr_by($key, 41);
ephpm_kv_incr($key);
show('a counter', ephpm_kv_getdel($key));
show('begins anew', ephpm_kv_incr($key));
ephpm_kv_expire($key, 100);
show('with a deadline', ephpm_kv_getdel($key));
ephpm_kv_set($key, 'later', 1);
usleep(1_100_000);
show('expired', ephpm_kv_getdel($key));
show('no key', ephpm_kv_getdel(''));
show('too long', ephpm_kv_getdel(str_repeat('k', 65_536)));
attempt('int', static fn() => ephpm_kv_getdel(5));
