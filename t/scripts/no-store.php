<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

// An empty store that refuses writes; a warning for the first call only.
show('get', ephpm_kv_get('k'));
show('set', ephpm_kv_set('k', 'v'));
show('setnx', ephpm_kv_setnx('k', 'v'));
show('get', ephpm_kv_get('k'));
show('del', ephpm_kv_del('k'));
show('exists', ephpm_kv_exists('k'));
show('incr', ephpm_kv_incr('k'));
show('decr', ephpm_kv_decr('k'));
show('incr_by', ephpm_kv_incr_by('k', 5));
show('expire', ephpm_kv_expire('k', 5));
show('ttl', ephpm_kv_ttl('k'));
show('pttl', ephpm_kv_pttl('k'));
show('flush_all', ephpm_kv_flush_all());
show('mget', ephpm_kv_mget(['k', 7]));
attempt('mget, wrong', static fn() => ephpm_kv_mget(['k', null]));
show('mset', ephpm_kv_mset(['k' => 'v']));
show('mset of nothing', ephpm_kv_mset([]));
show('getdel', ephpm_kv_getdel('k'));
show('setifeq', ephpm_kv_setifeq('k', 'v', 'w'));
show('delifeq', ephpm_kv_delifeq('k', 'v'));
show('scan', ephpm_kv_scan(0));
show('del_prefix', ephpm_kv_del_prefix(''));
show('stats', array_sum(ephpm_kv_stats()));
show('wait', ephpm_kv_wait('k', 0, 60_000));
$start = hrtime(true);
show('wait for news', ephpm_kv_wait('k', 1, 150));
show('until the time is over', hrtime(true) - $start >= 149_000_000);
