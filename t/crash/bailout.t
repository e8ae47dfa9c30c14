#!/usr/bin/perl
# A script that hits its memory_limit inside of a call into the store has let
# go of every lock: its shutdown function reads and writes on.

use strict;
use warnings;
use Test::More;

my $module = ($ENV{EPHPM_BUILDDIR} // '.') . '/php-embed/.libs/ephpm.so';
my $php = $ENV{PHP} || 'php';

-f $module or plan skip_all => 'configured without PHP: no ephpm.so';

my $script = <<'PHP';
[, $limit, $call] = $argv;
for ($i = 0; $i < 40; ++$i) {
    ephpm_kv_set("large {$i}", str_repeat('x', 300_000 + 1000 * $i));
}
for ($i = 0; $i < 4000; ++$i) {
    ephpm_kv_set("small {$i}", str_repeat('y', 2000));
}
$calls = [
    'get' => static fn (int $i): mixed => ephpm_kv_get('large ' . $i % 40),
    'small get' => static fn (int $i): mixed => ephpm_kv_get('small ' . $i),
    'mget' => static fn (int $i): mixed => ephpm_kv_mget(
        ['small ' . $i, 'large ' . $i % 40, 'large ' . ($i + 1) % 40]
    ),
    'getdel' => static fn (int $i): mixed => ephpm_kv_getdel('large ' . $i),
    'scan' => static fn (int $i): mixed => ephpm_kv_scan(0, 'small', 1_000_000),
];
$get = $calls[$call];
register_shutdown_function(static function (): void {
    $GLOBALS['kept'] = null;
    $right = 0;
    for ($i = 0; $i < 500; ++$i) {
        ephpm_kv_set("after {$i}", "value {$i}");
        $right += ephpm_kv_get("after {$i}") === "value {$i}" ? 1 : 0;
    }
    echo "amid {$GLOBALS['amid']}, right {$right}\n";
});
$kept = [];
ini_set('memory_limit', (string) (memory_get_usage(true) + (int) $limit));
for ($i = 0;; ++$i) {
    $amid = 'the call';
    $value = $get($i);
    $amid = 'nothing';
    $kept[] = $value;
}
PHP

for my $case ([0, 'get'], [2_000_000, 'get'], [5_000_000, 'get'],
    [2_000_000, 'small get'], [3_000_000, 'small get'], [2_000_000, 'mget'],
    [2_000_000, 'getdel'], [4_000_000, 'getdel'], [0, 'scan'],
    [2_000_000, 'scan']) {
    my ($limit, $call) = @$case;
    open my $out, '-|', $php, '-n', '-d', "extension=$module",
        '-d', 'ephpm.cli_size=32M', '-d', 'display_errors=1',
        '-d', 'html_errors=0', '-r', $script, '--', $limit, $call
        or die "$php: $!";
    my $text = do { local $/; <$out> // '' };
    close $out;
    like $text, qr/Allowed memory size of \d+ bytes exhausted/,
        "$call, $limit bytes more: the limit is hit";
    # Small values may fill the memory just when they are kept.
    my $amid = $call eq 'small get' ? qr/the call|nothing/ : qr/the call/;
    like $text, qr/^amid $amid, right 500$/m,
        "$call, $limit bytes more: the store works on"
        or diag $text;
}

done_testing;
