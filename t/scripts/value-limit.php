<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

// The warning says the limit; a value of just that size fits.
$key = key_of('key');
$limit = 0;
set_error_handler(static function (int $level, string $message) use (&$limit): bool {
    if (preg_match('/limit of this store is (\d+) bytes/', $message, $match) === 1) {
        $limit = (int) $match[1];
    }
    echo 'Warning: ', preg_replace('/\d{2,}/', 'N', $message), "\n";

    return true;
});

ephpm_kv_set($key, 'before');
show('forty megabytes', ephpm_kv_set($key, str_repeat('x', 40 << 20)));
show('the key keeps', ephpm_kv_get($key));
show('setnx', ephpm_kv_setnx(key_of('absent'), str_repeat('x', 40 << 20)));
show('exists', ephpm_kv_exists(key_of('absent')));
show('a limit of some megabytes', $limit >= 512 << 10 && $limit < 40 << 20);

$value = str_repeat('0123456789abcdef', intdiv($limit, 16) + 1);
show('one byte too many', ephpm_kv_set($key, substr($value, 0, $limit + 1)));
show('just the limit', ephpm_kv_set($key, substr($value, 0, $limit)));
show('comes back', ephpm_kv_get($key) === substr($value, 0, $limit));
show('del', ephpm_kv_del($key));
