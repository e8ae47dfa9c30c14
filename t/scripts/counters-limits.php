<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('counter');
show('to the largest', ephpm_kv_incr_by($key, PHP_INT_MAX));
show('one more', ephpm_kv_incr($key));
show('kept', ephpm_kv_get($key));
show('many more', ephpm_kv_incr_by($key, PHP_INT_MAX));
show('kept', ephpm_kv_get($key));
show('and down', ephpm_kv_decr($key));

ephpm_kv_del($key);
show('to the smallest', ephpm_kv_incr_by($key, PHP_INT_MIN));
show('one less', ephpm_kv_decr($key));
show('many less', ephpm_kv_incr_by($key, PHP_INT_MIN));
show('kept', ephpm_kv_get($key));
show('and up', ephpm_kv_incr($key));
show('through the whole range', ephpm_kv_incr_by($key, PHP_INT_MAX));
show('and on', ephpm_kv_incr_by($key, PHP_INT_MAX));

ephpm_kv_set($key, '9223372036854775807');
show('from a string', ephpm_kv_incr($key));
show('kept', ephpm_kv_get($key));
ephpm_kv_set($key, '-9223372036854775808');
show('from a string', ephpm_kv_decr($key));
show('kept', ephpm_kv_get($key));
