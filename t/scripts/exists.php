<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('key');
show('missing', ephpm_kv_exists($key));
ephpm_kv_set($key, '0');
show('there, though falsy', ephpm_kv_exists($key));
ephpm_kv_set($key, '');
show('there, though empty', ephpm_kv_exists($key));
ephpm_kv_del($key);
show('deleted', ephpm_kv_exists($key));
ephpm_kv_incr($key);
show('a counter', ephpm_kv_exists($key));
