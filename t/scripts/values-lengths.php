<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$lengths = [];
for ($power = 1; $power <= 1 << 20; $power *= 2) {
    array_push($lengths, $power - 1, $power, $power + 1);
}
$noise = '';
for ($block = 0; strlen($noise) <= 1 << 20; ++$block) {
    $noise .= hash('sha512', "block {$block}", true);
}

$wrong = [];
foreach (array_unique($lengths) as $length) {
    $key = key_of("length {$length}");
    $value = substr($noise, 0, $length);
    if (!ephpm_kv_set($key, $value) || ephpm_kv_get($key) !== $value) {
        $wrong[] = $length;
    }
}
show('lengths tried', count(array_unique($lengths)));
show('lengths that do not come back', implode(' ', $wrong));

// The same key through all lengths, up and down again.
$key = key_of('one key');
$wrong = [];
foreach ([...$lengths, ...array_reverse($lengths)] as $length) {
    $value = substr($noise, -$length - 1, $length);
    if (!ephpm_kv_set($key, $value) || ephpm_kv_get($key) !== $value) {
        $wrong[] = $length;
    }
}
show('lengths that do not come back', implode(' ', $wrong));
