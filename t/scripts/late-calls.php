<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

// Destructors and shutdown functions still have the store.
$key = key_of('key');
final class LateCalls
{
    public function __construct(private readonly string $key) {}

    public function __destruct()
    {
        show('destructor: set', ephpm_kv_set($this->key, 'late'));
        show('destructor: get', ephpm_kv_get($this->key));
    }
}
$kept = new LateCalls($key);
register_shutdown_function(static function () use ($key): void {
    show('shutdown: set', ephpm_kv_set($key, 'soon'));
    show('shutdown: get', ephpm_kv_get($key));
});
show('script: set', ephpm_kv_set($key, 'now'));
