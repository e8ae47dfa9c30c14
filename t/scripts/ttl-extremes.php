<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$century = 100 * 365 * 86_400;
$key = key_of('key');
$ttls = ['PHP_INT_MAX' => PHP_INT_MAX, 'a thousandth of it' => intdiv(PHP_INT_MAX, 1000), 'one more' => intdiv(PHP_INT_MAX, 1000) + 1];
foreach ($ttls as $name => $ttl) {
    show("{$name}: set", ephpm_kv_set($key, 'value', $ttl));
    show("{$name}: get", ephpm_kv_get($key));
    show("{$name}: ttl", ephpm_kv_ttl($key) === -1 || ephpm_kv_ttl($key) > $century);
    show("{$name}: pttl", ephpm_kv_pttl($key) === -1 || ephpm_kv_pttl($key) > $century);
    ephpm_kv_set($key, 'value', 100);
    show("{$name}: expire", ephpm_kv_expire($key, $ttl));
    show("{$name}: get", ephpm_kv_get($key));
    show("{$name}: ttl", ephpm_kv_ttl($key) === -1 || ephpm_kv_ttl($key) > $century);
    show("{$name}: setnx", ephpm_kv_setnx(key_of($name), 'value', $ttl));
    show("{$name}: get", ephpm_kv_get(key_of($name)));
}
foreach (['PHP_INT_MIN' => PHP_INT_MIN, 'one more' => PHP_INT_MIN + 1] as $name => $ttl) {
    show("{$name}: set", ephpm_kv_set($key, 'value', 100));
    show("{$name}: set", ephpm_kv_set($key, 'value', $ttl));
    show("{$name}: ttl", ephpm_kv_ttl($key));
    ephpm_kv_expire($key, 100);
    show("{$name}: expire", ephpm_kv_expire($key, $ttl));
    show("{$name}: ttl", ephpm_kv_ttl($key));
    show("{$name}: get", ephpm_kv_get($key));
}
