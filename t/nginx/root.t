#!/usr/bin/perl
# What needs a master that root has started: everything else is another user,
# and the master must be safe from what scripts write into shared memory.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;

plan skip_all => 'not root: nothing here can be shown' if $> != 0;

my $server = NginxTest->new(
    processes => 3,
    ini       => "ffi.enable = 1\n",
    http      => "ephpm_kv_zone zone=default:4m;\nephpm_kv default;\n"
        . "limit_req_zone \$uri zone=rate:1m rate=1000r/s;\n"
        . "ephpm_slowlog logs/slow.log 60s;\n",
    server    => "location = /ephpm-status { ephpm_status; }\n",
);
# A script may write over all that it shares with others.
$server->page('scribble.php', <<'PHP');
<?php
if (!class_exists('FFI')) {
    exit('no FFI');
}
$c = FFI::cdef('void *memset(void *s, int c, size_t n);');
$written = 0;
foreach (file('/proc/self/maps') as $line) {
    if (preg_match('~^([0-9a-f]+)-([0-9a-f]+) rw-s .*/dev/zero~', $line, $m)) {
        $size = hexdec($m[2]) - hexdec($m[1]);
        if ($size >= (int) $_GET['from'] && $size < (int) $_GET['to']) {
            $c->memset($c->cast('void *', (int) hexdec($m[1])), (int) $_GET['byte'], $size);
            ++$written;
        }
    }
}
echo $written > 0 ? 'scribbled' : 'found nothing';
PHP
$server->page('who.php', '<?php echo ephpm_kv_incr("n"), " ", '
    . 'fileowner("/proc/self/task"), " ", getmypid();');
$server->page('plain.php', '<?php echo "plain";');
$server->page('become.php', '<?php var_export([posix_setuid(0), '
    . 'posix_setgid(0), posix_geteuid() === 0]);');
$server->page('hello.txt', 'hello');
ok $server->start, 'a server of root starts' or diag $server->said;
like get('/who.php')->{body}, qr/^1 /, 'it serves';

# --- who is who

my $account = getpwnam NginxTest::user();
my $group = (getpwnam NginxTest::user())[3];

sub ids {
    my ($pid) = @_;
    my $status = slurp("/proc/$pid/status");
    return join ' ', map { $status =~ /^$_:\s+(.*)$/m ? $1 =~ s/\t/ /gr : '?' }
        qw(Uid Gid);
}
ok wait_until(sub { my @all = $server->runners; @all == 3 }), 'three runners';
for my $process ($server->processes) {
    my ($kind, $pid) = @$process{qw(kind pid)};
    next if $kind eq 'master';
    is ids($pid), join(' ', ($account) x 4, ($group) x 4),
        "$kind: its user and group alone";
    next unless $kind =~ /^(?:runner|spawner)$/;
    my $status = slurp("/proc/$pid/status");
    is join(' ', $status =~ /^Cap(?:Inh|Prm|Eff|Amb):\s+(\d+)$/mg),
        join(' ', ('0' x 16) x 4), "$kind: no capability";
    is((stat "/proc/$pid/mem")[4], 0, "$kind: no other process reads it");
    is join(' ', map { readlink =~ /socket:/ ? $_ : () }
        glob "/proc/$pid/fd/*"), '', "$kind: no socket";
}
is ids($server->{pid}), '0 0 0 0 0 0 0 0', 'the master is root';
like get('/become.php')->{body}, qr/false,.*false,.*false/s,
    'a script cannot become root';
is sprintf('%o', (stat "$server->{dir}/logs/slow.log")[2] & 0777), '600',
    'the slow log is for nobody else';

# --- what scripts write over

sub well {
    my ($what) = @_;
    ok kill(0, $server->{pid}), "$what: the master lives";
    is get('/hello.txt')->{body}, 'hello', '... files are served';
    ok $server->reload, '... it reloads';
    ok wait_until(sub { get('/plain.php')->{body} eq 'plain' }),
        '... and serves scripts';
    return;
}

SKIP: {
    skip "PHP's FFI extension is not there", 1
        if get('/scribble.php?from=1&to=1&byte=0')->{body} eq 'no FFI';
    for my $byte (0, 65, 255) {
        # The store; the job table and whatever else: whether there is an
        # answer then is a matter of luck.
        is get("/scribble.php?from=4194304&to=4194305&byte=$byte")->{body},
            'scribbled', "a script writes $byte over the store";
        well("... $byte");
        eval { get("/scribble.php?from=$_&byte=$byte") }
            for '0&to=4194304', '4194305&to=9000000';
        well("... and over all else");
        kill 'KILL', $server->workers;
        well('... and workers die');
    }
    kill 'KILL', $server->runners;
    well('... and runners die');
}
unlike $server->logged, qr/master.*signal 11|$server->{pid}#$server->{pid}: .*SIGSEGV/,
    'the master is unharmed';

# Who looks whether others live, in a table that was written over, may look for
# ever; or finds that somebody has its place, and leaves.
$server->ends_well(except => qr/exited\ on\ signal|was\ ended\ by\ SIG
    |ephpm:\ store|exited\ with\ status\ 69\ while\ it\ had\ nothing/x,
    files => 1, left => 1);
done_testing;
