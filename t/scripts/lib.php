<?php

/**
 * What the scripts of this folder share: they are plain pages that print
 * their answer as text, the same under a server and on the command line.
 */

declare(strict_types=1);

if (PHP_SAPI !== 'cli') {
    header('Content-Type: text/plain; charset=utf-8');
}

/** Warnings and their like become lines of the answer. */
set_error_handler(static function (int $level, string $message): bool {
    $names = [E_WARNING => 'Warning', E_DEPRECATED => 'Deprecated'];
    echo $names[$level] ?? "Error {$level}", ": {$message}\n";

    return true;
});

/** The value as PHP source, long strings by their length and hash. */
function show(string $what, mixed $value): void
{
    if (is_string($value) && strlen($value) > 64) {
        $text = sprintf('%d bytes, crc %08x', strlen($value), crc32($value));
    } elseif (is_string($value) && preg_match('/^[\x20-\x7e]*$/D', $value) !== 1) {
        $text = 'hex ' . bin2hex($value);
    } elseif (is_array($value)) {
        $text = json_encode($value, JSON_THROW_ON_ERROR);
    } else {
        $text = var_export($value, true);
    }
    echo "{$what}: {$text}\n";
}

/** What `$call` returns, or the error it throws. */
function attempt(string $what, callable $call): void
{
    try {
        show($what, $call());
    } catch (Throwable $error) {
        echo $what, ': ', $error::class, ': ', $error->getMessage(), "\n";
    }
}

/** A key of this script's own, empty at the first use in a run. */
function key_of(string $name): string
{
    static $used = [];
    $key = basename($_SERVER['SCRIPT_FILENAME'], '.php') . ":{$name}";
    if (!isset($used[$key])) {
        $used[$key] = true;
        ephpm_kv_del($key);
    }

    return $key;
}
