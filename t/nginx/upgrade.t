#!/usr/bin/perl
# The end of a server: QUIT waits for scripts, TERM does not; a binary upgrade
# (USR2) runs beside the old server until that has ended.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use LoadClient qw(load in_background);
use NginxTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $server = NginxTest->new(
    daemon    => 1,
    processes => 2,
    http      => "ephpm_kv_zone zone=default:4m;\nephpm_kv default;\n",
    server    => "location = /ephpm-status { ephpm_status; }\n",
);
my $go = "$server->{dir}/scratch/go";
$server->page('hold.php', "<?php touch('$server->{dir}/scratch/held'); "
    . "for (\$i = 0; \$i < 6000 && !file_exists('$go'); ++\$i) "
    . '{ usleep(10000); clearstatcache(); } echo "woken";');
$server->page('count.php', '<?php echo ephpm_kv_incr("n"), " ", getmypid();');
$server->page('after.php', '<?php echo "answered"; fastcgi_finish_request(); '
    . 'usleep(700000); touch("' . $server->{dir} . '/scratch/after");');

# --- QUIT

ok $server->start, 'a server starts' or diag $server->said;
my $socket = send_request(connect_to(), path => '/hold.php');
ok wait_until(sub { -e "$server->{dir}/scratch/held" }), 'a script runs';
kill 'QUIT', $server->{pid};
ok wait_until(sub { !IO::Socket::INET->new("127.0.0.1:$server->{port}") }),
    'QUIT: nobody is served any more';
sleep 0.5;
ok scalar($server->runners), '... and who runs a script goes on';
spew($go, '');
is read_response($socket)->{body}, 'woken', '... to its end';
ok $server->ended, '... and then the server has ended';
ok wait_until(sub { my @all = $server->processes; !@all }),
    '... with all its processes'
    or diag explain [ $server->processes ];

# --- after the answer

ok $server->start, 'a server starts again';
is get('/after.php')->{body}, 'answered', 'a script that goes on';
ok $server->quit, '... QUIT';
ok wait_until(sub { -e "$server->{dir}/scratch/after" }), '... to its end';

# --- TERM; a script may run on for as long as nginx's workers may shut down

$server->configure(main => "worker_shutdown_timeout 1s;\n");
unlink $go;
unlink "$server->{dir}/scratch/held";
ok $server->start, 'a server starts again';
$socket = send_request(connect_to(), path => '/hold.php');
ok wait_until(sub { -e "$server->{dir}/scratch/held" }), 'a script runs';
my $start = time;
ok $server->stop('TERM'), 'TERM: the server has ended';
cmp_ok time - $start, '<', 30, '... at once';
ok wait_until(sub { my @all = $server->processes; !@all }),
    '... with all its processes'
    or diag explain [ $server->processes ];

# --- USR2

$server->configure(main => '');
ok $server->start, 'a server starts again';
like get('/count.php')->{body}, qr/^1 /, 'it counts';
my $old = $server->{pid};
my $stop = "$server->{dir}/stop";
my $wait = in_background(sub {
    load(port => port(), path => '/count.php', connections => 3,
        until => sub { -e $stop });
});
kill 'USR2', $old;
my $new = 0;
ok wait_until(sub {
    $new = slurp("$server->{dir}/nginx.pid") || 0;
    return -e "$server->{dir}/nginx.pid.oldbin" && $new && $new != $old;
}), 'USR2: another master beside the old' or diag $server->logged;
$new += 0;
sleep 0.5;
kill 'WINCH', $old;
kill 'QUIT', $old;
ok $server->ended, 'the old one ends when it is told to';
sleep 0.5;
spew($stop, '');
my $run = $wait->();
cmp_ok scalar @{ $run->{answers} }, '>=', 10, 'requests went on';
is join("\n", @{ $run->{broken} }), '', '... and none was lost';
is join(' ', map { $_->{status} } grep { $_->{status} != 200 }
    @{ $run->{answers} }), '', '... or refused';
$server->{pid} = $new;
$server->chosen;
like get('/count.php')->{body}, qr/^\d+ \d+$/, 'the new one serves';
ok wait_until(sub { my @all = $server->runners; @all == 2 }),
    '... with its own runners';
like $server->logged, qr/default"? is new.*default"? is new/s,
    '... and its own store, as the log says';

$server->ends_well;
done_testing;
