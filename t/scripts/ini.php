<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

show('loaded', extension_loaded('ephpm'));
show('settings', array_keys(ini_get_all('ephpm', false)));
foreach (['ephpm.store' => 'other', 'ephpm.cli_size' => '64M'] as $name => $value) {
    show("{$name} is the administrator's", ini_set($name, $value));
    show('access', ini_get_all('ephpm')[$name]['access'] === INI_SYSTEM);
}
show('ephpm.cli_size', ini_get('ephpm.cli_size'));
