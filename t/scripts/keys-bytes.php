<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$keys = ["\0", "\0\0", "a\0", "a\0b", "a\0c", "\xff\xfe", "\xc3\x28", "\n", ' ', '0', '00', '-1', '1.5', "\u{1F418}"];
$prefix = key_of('');
foreach ($keys as $at => $key) {
    ephpm_kv_del($prefix . $key);
    show(bin2hex($key), ephpm_kv_setnx($prefix . $key, "value {$at}"));
}
$wrong = [];
foreach ($keys as $at => $key) {
    if (ephpm_kv_get($prefix . $key) !== "value {$at}") {
        $wrong[] = bin2hex($key);
    }
}
show('keys taken for another', implode(' ', $wrong));

// Without a prefix too: the key is just these bytes.
show('set', ephpm_kv_set("\0", 'nul'));
show('get', ephpm_kv_get("\0"));
show('another', ephpm_kv_get("\0\0keys-bytes"));
show('del', ephpm_kv_del("\0"));
foreach ($keys as $key) {
    ephpm_kv_del($prefix . $key);
}
