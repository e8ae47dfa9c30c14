<?php

// A session's lock that is another's, or was.

declare(strict_types=1);

ob_start();

require_once __DIR__ . '/lib.php';

$settings = ['save_handler' => 'ephpm', 'use_cookies' => '0', 'cache_limiter' => 'none',
    'use_strict_mode' => '0', 'gc_maxlifetime' => '1000', 'gc_probability' => '0'];
foreach ($settings as $name => $value) {
    ini_set("session.{$name}", $value);
}

set_error_handler(static function (int $level, string $message): bool {
    echo 'Warning: ', preg_replace('/( \(path: ).*\)|(is correct \().*\)/', '$1$2...)', $message), "\n";

    return true;
});

const DATA = 'session:mine';
const LOCK = 'session-lock:mine';
ini_set('ephpm.session_lock_ttl', '60');

function open(): void
{
    session_id('mine');
    session_start();
}

function close(string $what): void
{
    show($what, ephpm_kv_get(DATA));
    $lock = ephpm_kv_get(LOCK);
    echo match (true) {
        $lock === null => "the lock is free\n",
        strlen($lock) === 32 => "the lock is held\n",
        default => "the lock is {$lock}\n",
    };
    ephpm_kv_del(LOCK);
    ephpm_kv_set(DATA, 'n|i:1;');
}

// Waiting, and not.
ephpm_kv_set(DATA, 'n|i:1;');
ephpm_kv_set(LOCK, 'of another');
ini_set('ephpm.session_lock_wait', '0');
$start = hrtime(true);
open();
show('does not wait', hrtime(true) - $start < 900_000_000);
ini_set('ephpm.session_lock_wait', '1');
$start = hrtime(true);
open();
show('waits', hrtime(true) - $start >= 999_000_000);
show('is not open', session_status() === PHP_SESSION_NONE);
$_SESSION['n'] = 2;
close('nothing is written');

ini_set('ephpm.session_lock_wait', '600');
ephpm_kv_set(LOCK, 'of one that was killed', 1);
open();
show('a lock that runs out', $_SESSION['n']);
$_SESSION['n'] = 2;
session_write_close();
close('then written');

// It has run out.
open();
ephpm_kv_del(LOCK);
$_SESSION['n'] = 2;
session_write_close();
close('run out, and nobody came');

open();
ephpm_kv_set(LOCK, 'of another');
$_SESSION['n'] = 2;
show('close', session_write_close());
close('run out, and another has it');

open();
ephpm_kv_set(LOCK, 'of another');
session_write_close();
close('run out, another has it, and nothing changed');

open();
ephpm_kv_del(LOCK);
ephpm_kv_set(DATA, 'n|i:3;');
$_SESSION['n'] = 2;
session_write_close();
close('run out, and another has written');

open();
ephpm_kv_del(LOCK);
ephpm_kv_del(DATA);
$_SESSION['n'] = 2;
session_write_close();
close('run out, and another has destroyed it');

ephpm_kv_del(DATA);
open();
ephpm_kv_del(LOCK);
ephpm_kv_set(DATA, 'n|i:4;');
$_SESSION['n'] = 2;
session_write_close();
close('run out, and another has made it');

open();
ephpm_kv_set(DATA, 'n|i:5;');
$_SESSION['n'] = 2;
session_write_close();
close('changed by who has no lock');

open();
ephpm_kv_set(LOCK, 'of another');
session_destroy();
close('destroyed while another has it');

open();
ephpm_kv_del(LOCK);
ephpm_kv_set(DATA, 'n|i:3;');
session_destroy();
close('run out, another has written, and destroyed');

open();
ephpm_kv_set(LOCK, 'of another');
$_SESSION['n'] = 2;
session_regenerate_id();
session_write_close();
show('is the old one', session_id() === 'mine');
close('regenerated while another has it');

// Two in one request: each has its own.
open();
session_write_close();
ephpm_kv_set(LOCK, 'of another');
session_id('second');
session_start();
$_SESSION['n'] = 7;
session_write_close();
show('second', ephpm_kv_get('session:second'));
close('the first');

// A handler in PHP that writes another session than it has read.
final class Other extends SessionHandler
{
    public function write(string $id, string $data): bool
    {
        return parent::write('second', $data);
    }
}
session_set_save_handler(new Other(), false);
open();
$_SESSION['n'] = 8;
session_write_close();
show('second', ephpm_kv_get('session:second'));
show('its lock', ephpm_kv_get('session-lock:second'));
close('the first');
ephpm_kv_del('session:second');
ephpm_kv_del(DATA);
