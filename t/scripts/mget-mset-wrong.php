<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$prefix = key_of('');
ephpm_kv_set("{$prefix}a", 'old');
ephpm_kv_del("{$prefix}b");
foreach (['null' => null, 'float' => 1.5, 'bool' => true, 'array' => [], 'object' => new stdClass()] as $name => $wrong) {
    attempt("mget {$name}", static fn() => ephpm_kv_mget(["{$prefix}a", $wrong]));
    attempt("mset {$name}", static fn() => ephpm_kv_mset(["{$prefix}a" => 'new', "{$prefix}b" => $wrong]));
}
attempt('mset int', static fn() => ephpm_kv_mset(["{$prefix}a" => 5]));
attempt('mget no array', static fn() => ephpm_kv_mget('a'));
attempt('mset no array', static fn() => ephpm_kv_mset('a'));
attempt('mset ttl', static fn() => ephpm_kv_mset([], '5'));
attempt('mset none', static fn() => ephpm_kv_mset());
attempt('after 100 good ones', static fn() => ephpm_kv_mget([...array_fill(0, 100, "{$prefix}a"), null]));
show('nothing was set', ephpm_kv_mget(["{$prefix}a", "{$prefix}b"]));

// What a single call warns of is warned of here, and the others are served.
$long = str_repeat('k', 65_536);
show('mget', ephpm_kv_mget(['', "{$prefix}a", $long]));
show('mset', ephpm_kv_mset(['' => 'x', "{$prefix}a" => 'new', $long => 'y', "{$prefix}b" => 'b']));
show('the others', ephpm_kv_mget(["{$prefix}a", "{$prefix}b"]));

// A handler that changes what the array refers to, and one that throws.
$text = "{$prefix}a";
$value = 'text';
set_error_handler(static function () use (&$text, &$value): bool {
    $text = new stdClass();
    $value = null;

    return true;
});
$names = ['', ...array_fill(0, 40, "{$prefix}b")];
$names[] = &$text;
attempt('mget, changed', static fn() => ephpm_kv_mget($names));
$value = 'text';
$filled = ['' => 'x', "{$prefix}a" => &$value];
for ($at = 0; $at < 40; ++$at) {
    $filled["{$prefix}{$at}"] = 'v';
}
$filled["{$prefix}last"] = &$value;
attempt('mset, changed', static fn() => ephpm_kv_mset($filled));
show('set before', ephpm_kv_get("{$prefix}a"));
restore_error_handler();
set_error_handler(static fn(int $level, string $message) => throw new ErrorException($message));
attempt('mget, thrown', static fn() => ephpm_kv_mget(["{$prefix}a", '', '']));
attempt('mset, thrown', static fn() => ephpm_kv_mset(['' => 'x', "{$prefix}b" => 'set all the same']));
show('b', ephpm_kv_get("{$prefix}b"));
restore_error_handler();
