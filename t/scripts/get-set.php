<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('greeting');
show('missing', ephpm_kv_get($key));
show('set', ephpm_kv_set($key, 'hello'));
show('get', ephpm_kv_get($key));
show('set again, longer', ephpm_kv_set($key, str_repeat('long ', 40)));
show('get', ephpm_kv_get($key));
show('set again, shorter', ephpm_kv_set($key, 'hi'));
show('get', ephpm_kv_get($key));
show('set to nothing', ephpm_kv_set($key, ''));
show('get', ephpm_kv_get($key));
show('exists', ephpm_kv_exists($key));
