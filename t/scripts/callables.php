<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('key');
show('by name', call_user_func('ephpm_kv_set', $key, 'value'));
show('first-class', (ephpm_kv_get(...))($key));
show('in array_map', array_map('ephpm_kv_exists', [$key, key_of('missing')]));
show('by variable', ('ephpm_kv_' . 'ttl')($key));
show('by ReflectionFunction', (new ReflectionFunction('ephpm_kv_get'))->invoke($key));
show('in another case', EPHPM_KV_GET($key));
