#!/usr/bin/perl
# What needs a server that root has started: its children are another user,
# and it itself must be safe from them.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $module;

BEGIN {
    my $top = $ENV{EPHPM_SRCDIR} // "$FindBin::Bin/../..";
    $module = ($ENV{EPHPM_BUILDDIR} // '.') . '/mod_ephpm/.libs/mod_ephpm.so';
    unshift @INC, "$top/t/apache/lib";
    plan skip_all => 'configured --without-apache' unless -f $module;
    plan skip_all => 'not root: nothing here can be shown' if $> != 0;
    eval { require Apache::Test; 1 } or plan skip_all =>
        'Apache::Test is not installed: apt-get install libapache2-mod-perl2';
    $ENV{EPHPM_MODULE} = abs_path($module);
    $ENV{EPHPM_SCRATCH} = tempdir('ephpm-root-XXXXXX', DIR => '/var/tmp',
        CLEANUP => 1);
    chmod 0755, $ENV{EPHPM_SCRATCH};
}

use EphpmTest qw(children slurp spew wait_until);
use OwnServer;

my $ini = tempdir('ini-XXXXXX', DIR => $ENV{EPHPM_SCRATCH});
chmod 0755, $ini;
spew("$ini/php.ini", "ffi.enable=1\nlog_errors=On\n");
my $common = "User nobody\nGroup nogroup\nPHPIniDir $ini\n"
    . "EphpmStore default 4M\n<FilesMatch \"\\.php\$\">\n"
    . "SetHandler application/x-httpd-php\n</FilesMatch>\n"
    . "StartServers 3\nMaxRequestWorkers 6\n";

my $server = OwnServer->new(config => $common);
$server->page('who.php', '<?php echo ephpm_kv_incr("n"), " ", '
    . 'fileowner("/proc/self/task"), " ", getmypid();');
ok $server->start, 'a server of root starts' or diag $server->said;
my $nobody = getpwnam 'nobody';
my %pids;
for my $n (1 .. 20) {
    my ($count, undef, $pid) = split / /, $server->get('/who.php')->{body};
    is $count, $n, "request $n" if $n % 10 == 0;
    $pids{$pid} = 1;
}
cmp_ok scalar(keys %pids), '>=', 2, 'several children share the store';
my @users = map { slurp("/proc/$_/status") =~ /^Uid:\s+(\d+)/m ? $1 : () }
    children($server->{pid});
is join(' ', grep { $_ != $nobody } @users), '', '... as User says';

is system("$ENV{HTTPD} -k graceful -f '$server->{conf}' > /dev/null 2>&1"), 0,
    'httpd -k graceful';
wait_until(sub { $server->cycles == 2 });
like $server->get('/who.php')->{body}, qr/^21 /, '... keeps the store';

# A child scribbles over the store: it owns its memory as any script does.
$server->page('scribble.php', <<'PHP');
<?php
$c = FFI::cdef('void *memset(void *s, int c, size_t n);');
foreach (file('/proc/self/maps') as $line) {
    if (preg_match('~^([0-9a-f]+)-([0-9a-f]+) rw-s .*/dev/zero~', $line, $m)) {
        $size = hexdec($m[2]) - hexdec($m[1]);
        if ($size >= 4 << 20 && $size < 5 << 20) {
            $c->memset($c->cast('void *', (int) hexdec($m[1])), 0x41, $size);
            echo 'scribbled';
        }
    }
}
PHP
$server->page('plain.php', '<?php echo "plain";');
SKIP: {
    my $said = $server->get('/scribble.php')->{body};
    skip "PHP's FFI extension is not there", 5 if $said =~ /FFI.* not found/;
    is $said, 'scribbled', 'a script writes over the whole store';
    ok $server->graceful, '... and the parent restarts';
    is $server->get('/plain.php')->{body}, 'plain', '... and serves';
    kill 'KILL', (children($server->{pid}))[0];
    ok wait_until(sub { $server->get('/plain.php')->{body} eq 'plain' }),
        '... and replaces children';
    ok kill(0, $server->{pid}), '... and is alive';
}
ok $server->stop, 'it stops';

# Preloading: PHP will not do it as root.
spew("$ini/preload.php", '<?php function preloaded() { return "preloaded"; }');
spew("$ini/php.ini", "opcache.preload=$ini/preload.php\n");
$server = OwnServer->new(config => $common);
ok !$server->start, 'opcache.preload as root: refused';
like $server->said . $server->logged, qr/opcache\.preload_user/,
    '... in words that say what to do';
spew("$ini/php.ini",
    "opcache.preload=$ini/preload.php\nopcache.preload_user=nobody\n");
$server->page('a.php', '<?php echo preloaded();');
ok $server->start, 'with opcache.preload_user: started'
    or diag $server->said . $server->logged;
is $server->get('/a.php')->{body}, 'preloaded', '... and it is there';
ok $server->graceful, '... a restart';
is $server->get('/a.php')->{body}, 'preloaded', '... and it is there again';
$server->stop;

done_testing;
