<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

// A handler that calls the store again is not called again itself.
set_error_handler(static function (int $level, string $message): bool {
    echo "Warning: {$message}\n";
    show('in the handler', ephpm_kv_get('k'));

    return true;
});
show('set', ephpm_kv_set('k', 'v'));
show('get', ephpm_kv_get('k'));
