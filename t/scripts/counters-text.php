<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

// Only a canonical decimal is an integer; anything else is kept as it is.
$texts = [
    '', ' ', ' 1', '1 ', "1\n", "1\0", '+1', '-', '--1', '01', '00', '-0', '-01', '1.0', '1e3', '0x10', 'abc',
    '9223372036854775808', '-9223372036854775809', '18446744073709551616', '99999999999999999999999',
    '0', '7', '-7', '10', '9223372036854775806', '-9223372036854775808',
];
$key = key_of('text');
foreach ($texts as $text) {
    ephpm_kv_set($key, $text);
    $sum = ephpm_kv_incr($key);
    $left = ephpm_kv_get($key);
    show(json_encode($text), $sum === false && $left === $text ? 'kept' : [$sum, $left]);
}
