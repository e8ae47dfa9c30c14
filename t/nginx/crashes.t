#!/usr/bin/perl
# Deaths: of runners, in each state of a request; of the spawner; of a worker;
# of the process that looks after the spawner.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $server = NginxTest->new(
    processes => 3,
    http      => "ephpm_kv_zone zone=default:4m;\nephpm_kv default;\n",
    server    => "location = /ephpm-status { ephpm_status; }\n",
    ini       => "disable_functions =\n",
);
my $go = "$server->{dir}/scratch/go";
$server->page('pid.php', '<?php echo getmypid();');
$server->page('key.php', '<?php echo ephpm_kv_get("k") ?? "none", " ", '
    . 'ephpm_kv_incr("n");');
$server->page('segv.php', '<?php posix_kill(getmypid(), SIGSEGV); sleep(5);');
$server->page('kill.php', '<?php posix_kill(getmypid(), SIGKILL); sleep(5);');
$server->page('abrt.php', '<?php posix_kill(getmypid(), SIGABRT); sleep(5);');
$server->page('sent.php', '<?php echo str_repeat("x", 100); flush(); '
    . 'usleep(200000); posix_kill(getmypid(), SIGKILL); sleep(5);');
$server->page('large.php', '<?php echo str_repeat("x", 300000); '
    . 'posix_kill(getmypid(), SIGKILL); sleep(5);');
$server->page('after.php', '<?php echo "whole"; fastcgi_finish_request(); '
    . 'posix_kill(getmypid(), SIGKILL); sleep(5);');
$server->page('writes.php', '<?php ephpm_kv_set("k", "kept"); '
    . 'for (;;) { ephpm_kv_set("w", random_bytes(random_int(1, 50000))); }');
$server->page('hold.php', "<?php for (\$i = 0; \$i < 6000 && "
    . "!file_exists('$go'); ++\$i) { usleep(10000); clearstatcache(); } "
    . 'echo "woken ", ephpm_kv_incr("n");');
$server->page('segfault.php', '<?php $f = FFI::cdef(""); '
    . '$p = $f->cast("int *", $f->new("long")); '
    . 'FFI::addr($f->new("int"))[1 << 40] = 1;');
ok $server->start, 'three runners' or diag $server->said;
like get('/pid.php')->{body}, qr/^\d+$/, 'it serves';

sub whole {
    my ($what) = @_;
    ok wait_until(sub { my @all = $server->runners; @all == 3 }),
        "$what: there are three runners again";
    my @bad = grep { get('/key.php')->{body} !~ /^\S+ \d+$/ } 1 .. 12;
    is "@bad", '', '... which serve, with the store';
}

for my $case ([ segv => 'SIGSEGV' ], [ kill => 'SIGKILL' ],
    [ abrt => 'SIGABRT' ])
{
    my ($page, $signal) = @$case;
    my $offset = $server->offset;
    my $other = send_request(connect_to(), path => '/hold.php');
    ok wait_until(sub { ($server->status->{runners}{busy} // 0) == 1 }),
        'a script runs';
    is get("/$page.php")->{status}, 502, "$page.php: 502";
    my $new = $server->since($offset, qr/\[crit\].*$page\.php/);
    my @lines = grep { /\[(?:error|alert|crit|warn)\].*$page\.php/ }
        split /\n/, $new;
    ok scalar(grep { /was ended by $signal while it ran the script/ } @lines),
        '... and the log has the signal and the script' or diag $new;
    spew($go, '');
    like read_response($other)->{body}, qr/^woken \d+$/,
        '... and the other goes on';
    unlink $go;
    whole($page);
}
my $r = get('/sent.php');
is $r->{status}, 200, 'dead after its headers: too late for a status';
is $r->{body}, 'x' x 100, '... what was sent has come';
is $r->{complete}, 0, '... and the client can tell that it is not all';
$r = get('/large.php');
ok $r->{status} == 502 || !$r->{complete}, 'dead in a large page: never whole';
$r = get('/after.php');
is "$r->{status} $r->{body} $r->{complete}", '200 whole 1',
    'dead after fastcgi_finish_request(): the client has it all';
whole('after');

# --- in the middle of writing into the store

for (1 .. 5) {
    my $socket = send_request(connect_to(), path => '/writes.php');
    wait_until(sub { ($server->status->{runners}{busy} // 0) == 1 });
    sleep 0.05;
    kill 'KILL', $server->runners;
    is read_response($socket)->{status}, 502,
        'all runners killed, one of them writing: 502';
}
whole('writing');
like get('/key.php')->{body}, qr/^kept /, 'the store is intact';

# --- idle runners

kill 'KILL', $server->runners;
like get('/pid.php')->{body}, qr/^\d+$/, 'idle runners killed: a request waits';
whole('idle');

# --- the spawner

my ($spawner) = $server->spawners;
ok $spawner, 'there is one spawner' or diag explain [ $server->processes ];
my $socket = send_request(connect_to(), path => '/hold.php');
ok wait_until(sub { ($server->status->{runners}{busy} // 0) == 1 }),
    'a script runs';
kill 'KILL', $spawner;
my @bad = grep { get('/pid.php')->{body} !~ /^\d+$/ } 1 .. 10;
is "@bad", '', 'the spawner killed: its runners serve on';
ok wait_until(sub { my @all = $server->spawners;
    @all == 1 && $all[0] != $spawner }), '... until there is another';
spew($go, '');
like read_response($socket)->{body}, qr/^woken/,
    '... and a script that ran is answered';
unlink $go;
whole('spawner');
kill 'KILL', $server->runners;
whole('spawner and runners');

# It looks after a process that has started PHP, whose children runners are.
my %outer = map { $_ => 1 } $server->spawners;
my ($inner) = grep { !$outer{$_} } $server->of_kind('spawner');
SKIP: {
    skip 'the spawner has started PHP itself', 2 unless $inner;
    kill 'KILL', $inner;
    whole('the process that has started PHP');
}

# --- who looks after the spawner

my ($manager) = $server->of_kind('manager');
SKIP: {
    skip 'nginx has no cache manager process here', 3 unless $manager;
    kill 'KILL', $manager;
    ok wait_until(sub { my @all = $server->of_kind('manager');
        @all == 1 && $all[0] != $manager }), 'the cache manager killed';
    whole('manager');
}

# --- a worker, while its requests run

$socket = send_request(connect_to(), path => '/hold.php');
ok wait_until(sub { ($server->status->{runners}{busy} // 0) == 1 }),
    'a script runs';
my @workers = $server->workers;
kill 'KILL', @workers;
is read_response($socket), undef, 'workers killed: their clients hear it';
ok wait_until(sub { my @all = $server->workers;
    @all == 2 && !grep { my $pid = $_; grep { $_ == $pid } @workers } @all }),
    '... and there are others';
spew($go, '');
ok wait_until(sub { my $status = eval { $server->status } // {};
    ($status->{runners}{busy} // 1) == 0 }), '... and the script ends';
unlink $go;
whole('workers');

# --- all at once

my @all = grep { $_->{kind} ne 'master' } $server->processes;
kill 'KILL', map { $_->{pid} } @all;
ok wait_until(sub { (eval { get('/pid.php')->{body} } // '') =~ /^\d+$/ }),
    'everything but the master killed: it serves again';
whole('everything');
like get('/key.php')->{body}, qr/^kept /, '... with the store';
$server->page('crashes.php', '<?php echo 1;');
cmp_ok $server->status->{runners}{crashes}, '>=', 10,
    'the status counts the crashes';

$server->ends_well(
    except => qr/exited on signal 9|was ended by SIG(?:SEGV|KILL|ABRT)/);
done_testing;
