<?php

// What the store has of a session, and when.

declare(strict_types=1);

ob_start();

require_once __DIR__ . '/lib.php';

$settings = ['save_handler' => 'ephpm', 'use_cookies' => '0', 'cache_limiter' => 'none',
    'use_strict_mode' => '0', 'gc_maxlifetime' => '1000', 'gc_probability' => '0'];
foreach ($settings as $name => $value) {
    ini_set("session.{$name}", $value);
}

set_error_handler(static function (int $level, string $message): bool {
    echo 'Warning: ', preg_replace(['/\d{6,}/', '/\((path: )?\/.*\)/'], ['...', '(...)'], $message), "\n";

    return true;
});

/** Which of the session's keys are there. */
function keys(string $id): string
{
    $there = array_filter(["session:{$id}", "session-lock:{$id}"], ephpm_kv_exists(...));

    return implode(' and ', array_map(static fn(string $key): string => (string) strstr($key, ':', true), $there)) ?: 'nothing';
}

function version(string $id): int
{
    return ((array) ephpm_kv_wait("session:{$id}", 0, 0))['version'];
}

session_start();
$id = (string) session_id();
show('new', keys($id));
$_SESSION['n'] = 1;
session_write_close();
show('closed', keys($id));
show('value', ephpm_kv_get("session:{$id}"));
show('lives for', ephpm_kv_ttl("session:{$id}"));

session_start();
show('open', keys($id));
show('lock lives for', ephpm_kv_ttl("session-lock:{$id}") === ((int) ini_get('max_execution_time') ?: 300) + 30);
$token = ephpm_kv_get("session-lock:{$id}");
show('token', preg_match('/^[0-9a-f]{32}$/D', (string) $token) === 1);
session_abort();
show('abort', keys($id));
session_start();
show('another token', ephpm_kv_get("session-lock:{$id}") !== $token);
session_reset();
show('reset', keys($id));
session_write_close();

ini_set('ephpm.session_lock_ttl', '7');
session_start();
show('lock lives for', ephpm_kv_ttl("session-lock:{$id}"));
session_write_close();
show('no such lifetime', ini_set('ephpm.session_lock_ttl', '-1'));
show('no such wait', ini_set('ephpm.session_lock_wait', '-1'));
session_start(['read_and_close' => true]);
show('read_and_close', keys($id));

// What is not changed is not written, and lives longer all the same.
$version = version($id);
ephpm_kv_expire("session:{$id}", 100);
session_start();
session_write_close();
show('unchanged: written', version($id) > $version);
show('unchanged: lives for', ephpm_kv_ttl("session:{$id}"));
ephpm_kv_expire("session:{$id}", 100);
session_start(['lazy_write' => 0]);
session_write_close();
show('without lazy_write: written', version($id) > $version);
show('without lazy_write: lives for', ephpm_kv_ttl("session:{$id}"));
session_start(['gc_maxlifetime' => 0]);
session_write_close();
show('no lifetime: lives for', ephpm_kv_ttl("session:{$id}"));
ini_set('session.gc_maxlifetime', '1000');

// Gone while it is open: evicted, say.
session_start();
ephpm_kv_del("session:{$id}");
session_write_close();
show('gone, unchanged', ephpm_kv_get("session:{$id}"));
session_start();
ephpm_kv_del("session:{$id}");
$_SESSION['n'] = 2;
session_write_close();
show('gone, changed', ephpm_kv_get("session:{$id}"));
session_start();
session_destroy();
show('destroyed', keys($id));
session_id('x');
session_start();
show('gc', session_gc());
session_destroy();

// One that nothing was put in is known all the same.
ini_set('session.use_strict_mode', '1');
session_start();
$id = (string) session_id();
session_write_close();
show('empty', keys($id) . ': ' . var_export(ephpm_kv_get("session:{$id}"), true));
session_id($id);
session_start();
show('empty, but known', session_id() === $id);
session_destroy();

// One that another request has open, and never closed yet, is known too.
ini_set('ephpm.session_lock_wait', '0');
ephpm_kv_set('session-lock:open', 'of another');
session_id('open');
show('open elsewhere', session_start());
show('the lock is kept', ephpm_kv_get('session-lock:open'));
ephpm_kv_del('session-lock:open');
session_id("nul\0byte");
session_start();
show('nul byte', session_id() === "nul\0byte");
session_destroy();
ini_set('session.use_strict_mode', '0');
session_id("nul\0byte");
show('nul byte', session_start());

// Large ones.
session_id('large');
session_start();
$_SESSION['large'] = str_repeat('x', 300_000);
session_write_close();
session_start();
show('large', strlen($_SESSION['large']));
$_SESSION['large'] = str_repeat('x', ephpm_kv_stats()['value_max_bytes']);
show('too large', session_write_close());
show('too large: not locked', keys('large'));
session_start();
show('too large: what was there', strlen($_SESSION['large']));
session_destroy();
