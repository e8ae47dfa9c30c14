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
    unshift @INC, "$top/t/apache/lib", "$top/t/lib";
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
use Runners ();

my $ini = tempdir('ini-XXXXXX', DIR => $ENV{EPHPM_SCRATCH});
chmod 0755, $ini;
spew("$ini/php.ini", "ffi.enable=1\nlog_errors=On\n");
my $common = "User nobody\nGroup nogroup\nPHPIniDir $ini\n"
    . "EphpmStore default 4M\n<FilesMatch \"\\.php\$\">\n"
    . "SetHandler application/x-httpd-php\n</FilesMatch>\n"
    . "StartServers 3\nMaxRequestWorkers 6\n";

# A script scribbles over everything that it shares with others: it owns that
# memory, as any script does.
my $scribble = <<'PHP';
<?php
$c = FFI::cdef('void *memset(void *s, int c, size_t n);');
$written = 0;
foreach (file('/proc/self/maps') as $line) {
    if (preg_match('~^([0-9a-f]+)-([0-9a-f]+) rw-s .*/dev/zero~', $line, $m)) {
        $size = hexdec($m[2]) - hexdec($m[1]);
        if ($size >= (int) $_GET['from'] && $size < (int) $_GET['to']) {
            $c->memset($c->cast('void *', (int) hexdec($m[1])), 0x41, $size);
            ++$written;
        }
    }
}
echo $written > 0 ? 'scribbled' : 'found nothing';
PHP

sub served {
    my ($server) = @_;
    return wait_until(sub { $server->get('/plain.php')->{body} eq 'plain' });
}

sub root_server {
    my ($mpm) = @_;
    my $server = OwnServer->new(mpm => $mpm, config => $common
        . "EphpmProcesses 3\nThreadsPerChild 2\n" x ($mpm ne 'prefork'));
    $server->page('who.php', '<?php echo ephpm_kv_incr("n"), " ", '
        . 'fileowner("/proc/self/task"), " ", getmypid();');
    $server->page('scribble.php', $scribble);
    $server->page('plain.php', '<?php echo "plain";');
    ok $server->start, "$mpm: a server of root starts" or diag $server->said;
    my $nobody = getpwnam 'nobody';
    my %pids;
    for my $n (1 .. 20) {
        my ($count, undef, $pid) = split / /, $server->get('/who.php')->{body};
        is $count, $n, "request $n" if $n % 10 == 0;
        $pids{$pid} = 1;
    }
    # An idle runner may be the same each time.
    cmp_ok scalar(keys %pids), '>=', $mpm eq 'prefork' ? 2 : 1,
        'processes share the store';
    my @all = Runners::below($server->{pid});
    my @users = map { slurp("/proc/$_/status") =~ /^Uid:\s+(\d+)/m ? $1 : () }
        @all;
    is join(' ', grep { $_ != $nobody } @users), '', '... as User says';
    is join(' ', grep { !grep { $_ eq 'nogroup' } map { getgrgid $_ } split / /,
        slurp("/proc/$_/status") =~ /^Gid:\s+(\d+)/m ? $1 : '' } @all), '',
        '... and Group';

    is system("$ENV{HTTPD} -k graceful -f '$server->{conf}' > /dev/null 2>&1"),
        0, 'httpd -k graceful';
    wait_until(sub { $server->cycles == 2 });
    like $server->get('/who.php')->{body}, qr/^21 /, '... keeps the store';

    SKIP: {
        my $said = $server->get('/scribble.php?from=4194304&to=5242880')->{body};
        skip "PHP's FFI extension is not there", 5 if $said =~ /FFI.* not found/;
        is $said, 'scribbled', 'a script writes over the whole store';
        ok $server->graceful, '... and the parent restarts';
        ok served($server), '... and serves';
        kill 'KILL', (children($server->{pid}))[0];
        ok served($server), '... and replaces children';
        ok kill(0, $server->{pid}), '... and is alive';
    }
    SKIP: {
        skip 'nothing of that kind is shared', 5 if $mpm eq 'prefork';
        # The job table; whether there is an answer is a matter of luck.
        $server->get('/scribble.php?from=0&to=4194304');
        ok kill(0, $server->{pid}), 'a script writes over all that is shared: '
            . 'the parent lives';
        is $server->get('/plain.txt')->{status}, 404, '... and files are served';
        ok $server->graceful, '... the parent restarts';
        ok served($server), '... and serves';
        unlike $server->logged, qr/pid $server->{pid}:\S+\] .*signal/,
            '... unharmed';
    }
    ok $server->stop, 'it stops';
    return;
}
root_server($_)
    for grep { -e "$ENV{HTTPD_MODULES_DIR}/mod_mpm_$_.so" } qw(prefork event);

# Preloading: PHP will not do it as root.
spew("$ini/preload.php", '<?php function preloaded() { return "preloaded"; }');
spew("$ini/php.ini", "opcache.preload=$ini/preload.php\n");
my $server = OwnServer->new(config => $common);
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

# Where the spawner starts PHP it is not root by then.
SKIP: {
    skip 'this httpd has no event MPM', 4
        unless -e "$ENV{HTTPD_MODULES_DIR}/mod_mpm_event.so";
    spew("$ini/php.ini", "opcache.preload=$ini/preload.php\n");
    $server = OwnServer->new(mpm => 'event', config => $common);
    $server->page('a.php', '<?php echo preloaded();');
    ok $server->start, 'event, and no opcache.preload_user: started'
        or diag $server->said . $server->logged;
    is $server->get('/a.php')->{body}, 'preloaded', '... and it is there';
    ok $server->graceful, '... a restart';
    is $server->get('/a.php')->{body}, 'preloaded', '... and it is there again';
    $server->stop;
}

done_testing;
