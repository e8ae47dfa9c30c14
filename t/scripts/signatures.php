<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

// The interface that existing code uses, word for word.
$names = [
    'ephpm_kv_get', 'ephpm_kv_set', 'ephpm_kv_setnx', 'ephpm_kv_del', 'ephpm_kv_exists', 'ephpm_kv_incr', 'ephpm_kv_decr',
    'ephpm_kv_incr_by', 'ephpm_kv_expire', 'ephpm_kv_ttl', 'ephpm_kv_pttl', 'ephpm_kv_flush_all', 'ephpm_kv_wait',
    'ephpm_kv_mget', 'ephpm_kv_mset', 'ephpm_kv_getdel', 'ephpm_kv_setifeq', 'ephpm_kv_delifeq', 'ephpm_kv_scan',
    'ephpm_kv_del_prefix', 'ephpm_kv_stats',
];
foreach ($names as $name) {
    $function = new ReflectionFunction($name);
    $parameters = array_map(
        static fn(ReflectionParameter $parameter): string => $parameter->getType() . ' $' . $parameter->getName()
            . ($parameter->isOptional() ? ' = ' . var_export($parameter->getDefaultValue(), true) : ''),
        $function->getParameters(),
    );
    echo $name, '(', implode(', ', $parameters), '): ', $function->getReturnType(), "\n";
}
show('extension', (new ReflectionFunction('ephpm_kv_get'))->getExtensionName());
show('version', preg_match('/^\d+\.\d+\.\d+$/', (string) phpversion('ephpm')));
