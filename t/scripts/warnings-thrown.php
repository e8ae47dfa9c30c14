<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

// An error handler may throw, and may use the store itself.
$key = key_of('key');
set_error_handler(static function (int $level, string $message) use ($key): bool {
    ephpm_kv_incr($key);
    throw new ErrorException($message, 0, $level);
});
$long = str_repeat('k', 65_536);
attempt('get', static fn() => ephpm_kv_get($long));
attempt('set', static fn() => ephpm_kv_set($long, 'value'));
attempt('del', static fn() => ephpm_kv_del($long));
attempt('incr', static fn() => ephpm_kv_incr($long));
attempt('ttl', static fn() => ephpm_kv_ttl(''));
show('warnings', ephpm_kv_get($key));
