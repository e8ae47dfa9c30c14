<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('bytes');
$wrong = [];
for ($byte = 0; $byte < 256; ++$byte) {
    foreach ([chr($byte), chr($byte) . 'x', "x\0" . chr($byte)] as $value) {
        if (!ephpm_kv_set($key, $value) || ephpm_kv_get($key) !== $value) {
            $wrong[] = bin2hex($value);
        }
    }
}
show('bytes that do not come back', implode(' ', $wrong));

$all = implode('', array_map(chr(...), range(0, 255)));
show('set', ephpm_kv_set($key, $all));
show('the same', ephpm_kv_get($key) === $all);
show('set', ephpm_kv_set($key, "\xff\xfe not UTF-8 \xc3\x28"));
show('get', ephpm_kv_get($key));
show('set', ephpm_kv_set($key, "\0"));
show('get', ephpm_kv_get($key));
