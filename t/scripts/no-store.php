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
