<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('counter');
show('incr, absent', ephpm_kv_incr($key));
show('incr', ephpm_kv_incr($key));
show('as a string', ephpm_kv_get($key));
show('incr_by', ephpm_kv_incr_by($key, 40));
show('decr', ephpm_kv_decr($key));
show('incr_by, negative', ephpm_kv_incr_by($key, -50));
show('as a string', ephpm_kv_get($key));
show('incr_by nothing', ephpm_kv_incr_by($key, 0));
show('no expiry', ephpm_kv_ttl($key));

$absent = key_of('absent');
show('decr, absent', ephpm_kv_decr($absent));
$nothing = key_of('nothing');
show('incr_by nothing, absent', ephpm_kv_incr_by($nothing, 0));
show('exists', ephpm_kv_exists($nothing));

show('set to a number', ephpm_kv_set($key, '41'));
show('incr', ephpm_kv_incr($key));
show('set back to text', ephpm_kv_set($key, 'text'));
show('get', ephpm_kv_get($key));
show('setnx on a counter', ephpm_kv_setnx($absent, 'x'));
show('del a counter', ephpm_kv_del($absent));
show('begins anew', ephpm_kv_incr($absent));
