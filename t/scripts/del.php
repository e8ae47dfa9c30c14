<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('gone');
show('missing', ephpm_kv_del($key));
ephpm_kv_set($key, 'value');
show('there', ephpm_kv_del($key));
show('again', ephpm_kv_del($key));
show('get', ephpm_kv_get($key));
show('exists', ephpm_kv_exists($key));
show('set', ephpm_kv_set($key, 'back'));
show('get', ephpm_kv_get($key));
