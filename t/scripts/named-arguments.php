<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('key');
show('set', ephpm_kv_set(ttl: 100, value: 'value', key: $key));
show('get', ephpm_kv_get(key: $key));
show('ttl', ephpm_kv_ttl(key: $key));
show('setnx', ephpm_kv_setnx(key: $key, value: 'other', ttl: 5));
show('expire', ephpm_kv_expire(ttl: 0, key: $key));
show('pttl', ephpm_kv_pttl(key: $key));
show('exists', ephpm_kv_exists(key: $key));
show('del', ephpm_kv_del(key: $key));
show('incr_by', ephpm_kv_incr_by(delta: 4, key: $key));
show('incr', ephpm_kv_incr(key: $key));
show('decr', ephpm_kv_decr(key: $key));
