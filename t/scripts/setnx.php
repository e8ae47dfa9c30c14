<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('lock');
show('first', ephpm_kv_setnx($key, 'one'));
show('second', ephpm_kv_setnx($key, 'two'));
show('value', ephpm_kv_get($key));
show('ttl', ephpm_kv_ttl($key));
show('del', ephpm_kv_del($key));
show('third, with a ttl', ephpm_kv_setnx($key, 'three', 100));
show('value', ephpm_kv_get($key));
show('fourth keeps the ttl', ephpm_kv_setnx($key, 'four'));
show('ttl', ephpm_kv_ttl($key));
