<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('key');
ephpm_kv_set($key, str_repeat('a', 100));

// What get returns belongs to the script.
$value = ephpm_kv_get($key);
$value[0] = 'Z';
$value .= 'tail';
show('changed here', $value);
show('not there', ephpm_kv_get($key));

// What set was given stays the script's.
$mine = str_repeat('b', 100);
ephpm_kv_set($key, $mine);
$mine[0] = 'Z';
show('changed here', $mine);
show('not there', ephpm_kv_get($key));

// One-character strings are shared inside PHP and must survive too.
ephpm_kv_set($key, 'q');
$one = ephpm_kv_get($key);
$one[0] = 'w';
show('changed here', $one);
show('not there', ephpm_kv_get($key));
show('nor in PHP', chr(ord('p') + 1));

$reference = &$one;
$reference = $key;
show('by reference', ephpm_kv_get($reference));
