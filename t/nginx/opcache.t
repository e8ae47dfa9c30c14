#!/usr/bin/perl
# Opcache: one memory for all runners, its JIT, preloading.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use NginxTest;
use Test::More;

my $server = NginxTest->new(http => <<'END');
ephpm_kv_zone zone=default:4m;
ephpm_kv default;
# Debian's own settings, which are read after php.ini, switch it off.
php_value opcache.jit tracing;
END
my $dir = $server->{dir};

sub php_ini {
    my (@more) = @_;
    $server->ini(join "\n", 'opcache.enable = 1',
        'opcache.jit_buffer_size = 16M', 'opcache.jit_hot_loop = 8',
        'opcache.jit_hot_func = 8', @more, '');
}

$server->page('work.php', <<'END');
<?php

declare(strict_types=1);

// Enough turns for the JIT to compile them, and a store call among them.
function turn(int $x, int $i): int
{
    return ($x * 31 + $i) % 1_000_003;
}
$x = 7;
for ($i = 0; $i < 200_000; $i++) {
    $x = turn($x, $i);
}
for ($i = 0; $i < 2_000; $i++) {
    ephpm_kv_set("work:$i", (string) $i);
    $x += (int) ephpm_kv_get("work:$i") - $i;
}
echo $x;
END
$server->page('status.php', '<?php $s = opcache_get_status(true); '
    . '$s["pid"] = getmypid(); '
    . '$s["preloaded"] = class_exists("Preloaded", false) '
    . '? Preloaded::answer() : "none"; echo json_encode($s);');
$server->page('reset.php', '<?php echo opcache_reset();');

sub status {
    my $answer = get('/status.php');
    return eval { decode_json($answer->{body}) }
        // { error => "$answer->{status} $answer->{body}" };
}

# After a reload the first answers may be the old runners'.
sub preloaded {
    my ($want) = @_;
    return wait_until(sub { (status()->{preloaded} // '') eq $want });
}

my $expected = 7;
$expected = ($expected * 31 + $_) % 1_000_003 for 0 .. 199_999;

php_ini();
ok $server->start, 'a server with JIT starts' or diag $server->said;
my $status = status();
ok $status->{opcache_enabled}, 'opcache is on' or diag explain $status;
ok $status->{jit}{enabled} && $status->{jit}{on}, 'its JIT is on';
my $free = $status->{jit}{buffer_free};
is join(' ', map { get('/work.php')->{body} } 1 .. 6),
    join(' ', ($expected) x 6), 'a script that is compiled is right';
$status = status();
cmp_ok $status->{jit}{buffer_free}, '<', $free, '... and was compiled';
my ($script) = grep { /work\.php$/ } keys %{ $status->{scripts} };
cmp_ok $status->{scripts}{$script}{hits}, '>=', 5,
    '... once for all runners';
is get('/reset.php')->{body}, 1, 'opcache_reset()';
is join(' ', map { get('/work.php')->{body} } 1 .. 6),
    join(' ', ($expected) x 6), '... and compiled again it is right';
ok $server->reload, 'a reload';
is get('/work.php')->{body}, $expected, '... and it is right';
ok wait_until(sub { my $s = status(); $s->{jit}{on}
    && !grep { /reset\.php$/ } keys %{ $s->{scripts} } }),
    '... with the JIT, and a memory that is new';

# --- preloading

spew("$dir/preload.php", '<?php class Preloaded { public static function '
    . 'answer(): string { return "preloaded"; } } @ephpm_kv_get("x");');
php_ini("opcache.preload = $dir/preload.php");
ok $server->reload, 'php.ini is read again: preloading';
ok preloaded('preloaded'), '... classes are there';
is_deeply status()->{preload_statistics}{classes}, ['Preloaded'],
    '... and counted';
my %pids = map { $_->{pid} => $_->{preloaded} } map { status() } 1 .. 12;
is join(' ', grep { $pids{$_} ne 'preloaded' } keys %pids), '',
    '... in each runner';
spew("$dir/preload.php", '<?php class Preloaded { public static function '
    . 'answer(): string { return "changed"; } }');
is status()->{preloaded}, 'preloaded', 'a change waits for a reload';
ok $server->reload, 'a reload';
ok preloaded('changed'), '... brings it';
php_ini();
ok $server->reload, 'no preloading any more';
ok preloaded('none'), '... nothing is preloaded';

# --- restarts of opcache, in the middle of requests

my @bad = NginxTest::together(3, sub {
    my $bad = 0;
    for my $n (1 .. 60) {
        get('/reset.php') if $n % 15 == 0;
        $bad++ if get('/work.php')->{body} ne $expected;
    }
    return "$bad";
});
is "@bad", '0 0 0', 'opcache restarts in the middle of requests';

$server->ends_well;
done_testing;
