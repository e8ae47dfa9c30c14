<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

show('loaded', extension_loaded('ephpm'));
// ephpm.so alone has ephpm.kv_...
show('settings', array_values(preg_grep('/^ephpm\.kv_/', array_keys(ini_get_all('ephpm', false)), PREG_GREP_INVERT)));
foreach (['ephpm.store' => 'other', 'ephpm.cli_size' => '64M'] as $name => $value) {
    show("{$name} is the administrator's", ini_set($name, $value));
    show('access', ini_get_all('ephpm')[$name]['access'] === INI_SYSTEM);
}
foreach (['ephpm.session_lock_wait', 'ephpm.session_lock_ttl'] as $name) {
    show($name, ini_set($name, '5'));
    show('set', ini_get($name));
    show('negative', ini_set($name, '-5'));
}
show('ephpm.cli_size', ini_get('ephpm.cli_size'));
