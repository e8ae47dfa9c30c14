# Opcache: one memory for all children, its JIT, preloading.

use strict;
use warnings;
use EphpmTest;
use JSON::PP qw(decode_json);
use OwnServer;
use Test::More;

my $server = OwnServer->new;
my $dir = $server->{dir};
my $ini = "$dir/php.ini";

sub php_ini {
    my (@more) = @_;
    spew($ini, join "\n", 'log_errors = On', 'opcache.enable = 1',
        'opcache.jit_buffer_size = 16M', 'opcache.file_update_protection = 0',
        'opcache.jit_hot_loop = 8', 'opcache.jit_hot_func = 8', @more, '');
}

sub config {
    return <<"END";
PHPIniDir $ini
# Debian's own settings, which are read after php.ini, switch it off.
php_value opcache.jit tracing
EphpmStore default 4M
StartServers 3
MinSpareServers 3
<FilesMatch "\\.php\$">
    SetHandler application/x-httpd-php
</FilesMatch>
END
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
    . '$s["preloaded"] = [class_exists("Preloaded", false), '
    . 'function_exists("preloaded"), '
    . 'class_exists("Preloaded", false) ? Preloaded::answer() : null]; '
    . 'echo json_encode($s);');

sub status { return decode_json($server->get('/status.php')->{body}) }

my $expected = 7;
$expected = ($expected * 31 + $_) % 1_000_003 for 0 .. 199_999;

php_ini();
$server->configure(config());
ok $server->start, 'a server with JIT starts'
    or diag $server->said . $server->logged;
my $status = status();
ok $status->{opcache_enabled}, 'opcache is on';
ok $status->{jit}{enabled} && $status->{jit}{on}, 'its JIT is on';
my $free = $status->{jit}{buffer_free};
is join(' ', map { $server->get('/work.php')->{body} } 1 .. 6),
    join(' ', ($expected) x 6), 'a script that is compiled is right';
$status = status();
cmp_ok $status->{jit}{buffer_free}, '<', $free, '... and was compiled';
my ($script) = grep { /work\.php$/ } keys %{ $status->{scripts} };
cmp_ok $status->{scripts}{$script}{hits}, '>=', 5,
    '... once for all children';
is $server->get('/reset.php')->{body}, 1, 'opcache_reset()'
    if $server->page('reset.php', '<?php echo opcache_reset();');
is join(' ', map { $server->get('/work.php')->{body} } 1 .. 6),
    join(' ', ($expected) x 6), '... and compiled again it is right';
ok $server->graceful, 'a graceful restart';
is $server->get('/work.php')->{body}, $expected, '... and it is right';
ok status()->{jit}{on}, '... with the JIT';

# Preloading.
spew("$dir/preload.php", '<?php class Preloaded { public static function '
    . 'answer(): string { return "preloaded"; } } '
    . 'function preloaded(): void {}');
php_ini("opcache.preload = $dir/preload.php");
ok $server->graceful, 'php.ini is read again: preloading';
$status = status();
is join(' ', map { $_ // '' } @{ $status->{preloaded} }), '1 1 preloaded',
    'classes and functions are there';
is_deeply $status->{preload_statistics}{classes}, ['Preloaded'],
    '... and counted';
my %pids = map { $_->{pid} => $_->{preloaded}[2] } map { status() } 1 .. 12;
is join(' ', grep { ($pids{$_} // '') ne 'preloaded' } keys %pids), '',
    '... in each child';
spew("$dir/preload.php", '<?php class Preloaded { public static function '
    . 'answer(): string { return "changed"; } }');
is status()->{preloaded}[2], 'preloaded', 'a change waits for a restart';
ok $server->graceful, 'a graceful restart';
is status()->{preloaded}[2], 'changed', '... brings it';
php_ini();
ok $server->graceful, 'no preloading any more';
is status()->{preloaded}[0] ? 1 : 0, 0, '... nothing is preloaded';
$server->stop;

php_ini("opcache.preload = $dir/nowhere.php");
my $offset = -s $server->{log};
if (threaded()) {
    ok $server->start, 'preloading what is not there: the server starts';
    is $server->get('/work.php')->{status}, 503, '... without PHP';
} else {
    ok !$server->start, 'preloading what is not there: refused';
}
like $server->said . log_since($offset, qr/nowhere\.php/, $server->{log}),
    qr/nowhere\.php/, '... and the log names it';
$server->stop;

done_testing;
