<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

/** @return list<string> */
function scan_all(string $prefix, int $count): array
{
    $found = [];
    $cursor = 0;
    do {
        [$cursor, $keys] = ephpm_kv_scan($cursor, $prefix, $count);
        array_push($found, ...$keys);
    } while ($cursor !== 0);
    sort($found);

    return $found;
}

$prefix = key_of('');
ephpm_kv_del_prefix($prefix);
show('none', scan_all($prefix, 1_000_000));
$keys = [];
for ($at = 0; $at < 500; ++$at) {
    $keys[] = $prefix . $at;
    ephpm_kv_set($prefix . $at, 'v');
}
sort($keys);
foreach ([1_000, 100_000, PHP_INT_MAX] as $count) {
    show("steps of {$count}", scan_all($prefix, $count) === $keys);
}
show('one step is all', ephpm_kv_scan(0, $prefix, PHP_INT_MAX)[0]);
show('a narrower prefix', scan_all("{$prefix}49", 100_000));
show('exactly a key', scan_all("{$prefix}123", 100_000));
show('longer than each', scan_all("{$prefix}123 and more", 100_000));
show('all of the store', array_diff($keys, scan_all('', 100_000)));
show('longer than a key can be', scan_all(str_repeat('p', 70_000), 1_000_000));

// Less than 1 counts as 1, and goes on all the same.
foreach ([1, 0, -1, PHP_INT_MIN] as $count) {
    [$next] = ephpm_kv_scan(0, $prefix, $count);
    show("count {$count}", $next > 0);
}
show('the default', ephpm_kv_scan(0) === ephpm_kv_scan(0, '', 100));

// A cursor that no step gave.
foreach ([-1, PHP_INT_MAX, PHP_INT_MIN, 1_000_000_000_000] as $cursor) {
    show("cursor {$cursor}", ephpm_kv_scan($cursor, $prefix));
}

// Keys of any bytes, the longest too; expired ones are not there.
$odd = ["{$prefix}\0", "{$prefix}\xff\xfe", str_pad("{$prefix}long", 65_535, 'k')];
foreach ($odd as $key) {
    ephpm_kv_set($key, 'v');
}
ephpm_kv_set("{$prefix}late", 'v', 1);
usleep(1_100_000);
$found = scan_all($prefix, 100_000);
show('odd keys', array_diff($odd, $found));
show('expired', in_array("{$prefix}late", $found, true));

// What are patterns elsewhere are letters here.
foreach (['*', '?', '[', '[1]', '\\', '\\*', '1*', '^'] as $letters) {
    ephpm_kv_set("{$prefix}{$letters}x", 'v');
    show("prefix {$letters}", scan_all("{$prefix}{$letters}", 100_000));
    show("del_prefix {$letters}", ephpm_kv_del_prefix("{$prefix}{$letters}"));
}

show('del_prefix', ephpm_kv_del_prefix("{$prefix}49"));
show('again', ephpm_kv_del_prefix("{$prefix}49"));
show('other than all', ephpm_kv_exists("{$prefix}48"));
show('del_prefix, all', ephpm_kv_del_prefix($prefix));
show('none', scan_all($prefix, 1_000_000));
show('too long', ephpm_kv_del_prefix(str_repeat('p', 70_000)));
attempt('string', static fn() => ephpm_kv_scan('0'));
attempt('null', static fn() => ephpm_kv_scan(0, null));
