<?php

// Sessions: the same answers as from PHP's own files.

declare(strict_types=1);

ob_start();

require_once __DIR__ . '/lib.php';

$settings = ['save_handler' => getenv('SESSION_HANDLER') ?: 'ephpm', 'use_cookies' => '0', 'cache_limiter' => 'none',
    'use_strict_mode' => '0', 'gc_maxlifetime' => '1000', 'gc_probability' => '0'];
foreach ($settings as $name => $value) {
    ini_set("session.{$name}", $value);
}

/** What the session has that is stored. */
function stored(string $id): mixed
{
    session_id($id);
    session_start(['read_and_close' => true]);

    return $_SESSION;
}

session_start();
$first = (string) session_id();
show('a new one', $_SESSION);
show('its id', preg_match('/^[-,0-9a-zA-Z]{22,256}$/D', $first) === 1);
$_SESSION['n'] = 1;
$_SESSION['bytes'] = implode('', array_map(chr(...), range(0, 255)));
show('closed', session_write_close());
show('closed again', session_write_close());
show('status', session_status() === PHP_SESSION_NONE);

session_start();
show('the same', session_id() === $first);
show('n', $_SESSION['n']);
show('bytes', $_SESSION['bytes']);
unset($_SESSION['bytes']);
$_SESSION['n'] = 2;
show('abort', session_abort());
show('after abort', stored($first)['n']);

session_start();
$_SESSION['n'] = 3;
show('reset', session_reset());
show('after reset', $_SESSION['n']);
show('the same after reset', session_id() === $first);
$_SESSION['n'] = 4;
session_write_close();
show('written after reset', stored($first)['n']);

session_start(['read_and_close' => true]);
$_SESSION['n'] = 5;
show('read_and_close', session_status() === PHP_SESSION_NONE);
show('is not written', stored($first)['n']);

// Nothing changed; nothing in it.
session_start();
session_write_close();
show('unchanged', stored($first)['n']);
session_start(['lazy_write' => 0]);
session_write_close();
show('unchanged, without lazy_write', stored($first)['n']);
session_start();
$_SESSION = [];
session_write_close();
show('emptied', stored($first));
session_start();
$_SESSION['n'] = 6;
session_write_close();

// Two in one request.
session_id('another');
session_start();
show('another is empty', $_SESSION);
$_SESSION['n'] = 'of another';
session_write_close();
show('the first', stored($first)['n']);
show('the other', stored('another')['n']);

// Ids.
session_id($first);
session_start();
show('regenerate', session_regenerate_id());
$second = (string) session_id();
show('is a new one', $second !== $first);
show('keeps the values', $_SESSION['n']);
$_SESSION['n'] = 7;
session_write_close();
show('the old one stays', stored($first)['n']);
show('the new one', stored($second)['n']);
session_id($second);
session_start();
show('regenerate and delete', session_regenerate_id(true));
$third = (string) session_id();
$_SESSION['n'] = 8;
session_write_close();
show('the old one is gone', stored($second));
show('the third', stored($third)['n']);
show('create_id', preg_match('/^prefix-[-,0-9a-zA-Z]{22,}$/D', (string) session_create_id('prefix-')) === 1);
session_id($third);
session_start();
show('create_id in a session', preg_match('/^[-,0-9a-zA-Z]{22,}$/D', (string) session_create_id()) === 1);
session_write_close();

// Strict mode: an id that the server has not given is not taken.
ini_set('session.use_strict_mode', '1');
session_id('made-up');
session_start();
show('strict: taken', session_id() === 'made-up');
$_SESSION['n'] = 9;
$strict = (string) session_id();
show('strict: reset of a new one', session_reset() && session_id() === $strict);
session_write_close();
session_id($strict);
session_start();
show('strict: its own', session_id() === $strict);
session_regenerate_id(true);
$regenerated = (string) session_id();
session_write_close();
session_id($strict);
session_start();
show('strict: a deleted one', session_id() === $strict);
session_write_close();
session_id($regenerated);
session_start();
show('strict: a regenerated one', session_id() === $regenerated);
show('gc', is_int(session_gc()));
show('destroy', session_destroy());
session_id($regenerated);
session_start();
show('strict: a destroyed one', session_id() === $regenerated);
show('destroy a new one', session_destroy());
ini_set('session.use_strict_mode', '0');

// Ids that are none.
foreach (['with space', 'with/slash', 'with.dot', 'ümlaut', str_repeat('x', 257)] as $id) {
    $warnings = [];
    set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
        $warnings[] = preg_replace('/(data: )\w+( \(path: ).*\)/', '$1...$2...)', $message);

        return true;
    });
    session_id($id);
    show('id of ' . strlen($id), session_start() && session_id() === $id);
    restore_error_handler();
    if (session_status() === PHP_SESSION_ACTIVE) {
        session_destroy();
    }
    echo implode("\n", $warnings), "\n";
}
foreach ([str_repeat('x', 200), 'a-,Z9'] as $id) {
    session_id($id);
    show('id ' . strlen($id) . ' long', session_start() && session_id() === $id);
    session_destroy();
}

// A handler in PHP on top of it.
final class Upper extends SessionHandler
{
    public function read(string $id): string|false
    {
        return strtolower((string) parent::read($id));
    }

    public function write(string $id, string $data): bool
    {
        return parent::write($id, 'draft') && parent::write($id, strtoupper($data));
    }
}
session_set_save_handler(new Upper(), false);
session_id('upper');
session_start();
show('SessionHandler', session_encode());
$_SESSION['a'] = 1;
session_write_close();
session_start();
show('SessionHandler again', $_SESSION['a']);
show('SessionHandler destroys', session_destroy());
foreach ([$first, $third, $strict, 'another', 'made-up'] as $id) {
    session_id($id);
    session_start();
    session_destroy();
}
