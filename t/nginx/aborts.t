#!/usr/bin/perl
# Clients that go away: before the script, in the middle of it, while they
# send their body.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use NginxTest;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep);

my $server = NginxTest->new(
    http   => "ephpm_kv_zone zone=default:4m;\nephpm_kv default;\n"
        . "client_body_timeout 60s;\n",
    server => <<'END',
location = /ephpm-status { ephpm_status; }
location = /insists.php { ephpm on; ephpm_ignore_client_abort on; }
location = /bodiless.php { ephpm on; ephpm_pass_request_body off; }
END
);
my $go = "$server->{dir}/scratch/go";
my $body = <<"PHP";
<?php
ephpm_kv_set('end', 'none');
register_shutdown_function(function () {
    ephpm_kv_set('status', (string) connection_status());
});
%s
echo 'begun';
flush();
while (!file_exists('$go')) {
    usleep(5000);
    clearstatcache();
}
for (\$i = 0; \$i < 400 && !connection_aborted(); ++\$i) {
    echo str_repeat('x', 10000);
    flush();
    usleep(1000);
}
ephpm_kv_set('end', connection_aborted() ? 'aborted' : 'reached');
PHP
$server->page('goes.php', sprintf $body, '');
$server->page('insists.php', sprintf $body, '');
$server->page('ignores.php', sprintf $body, 'ignore_user_abort(true);');
$server->page('key.php', '<?php echo ephpm_kv_get($_GET["k"]) ?? "none";');
$server->page('ran.php', '<?php ephpm_kv_incr("ran"); '
    . 'echo strlen(file_get_contents("php://input"));');
$server->page('bodiless.php',
    '<?php echo strlen(file_get_contents("php://input")), '
    . 'count($_POST), $_SERVER["CONTENT_LENGTH"] ?? "none";');
ok $server->start, 'a server starts' or diag $server->said;
is get('/key.php?k=x')->{body}, 'none', 'it serves';

sub begin {
    my ($path) = @_;
    unlink $go;
    get('/key.php?k=reset');
    my $socket = send_request(connect_to(), path => $path);
    my $got = '';
    while ($got !~ /begun/) {
        last unless IO::Select->new($socket)->can_read(60)
            && sysread $socket, $got, 4096, length $got;
    }
    return $socket;
}

sub key {
    my ($key, $value) = @_;
    return wait_until(sub { get("/key.php?k=$key")->{body} eq $value });
}

# By the end of its connection, and by a reset.
for my $how ('closes', 'resets') {
    my $socket = begin('/goes.php');
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)
        if $how eq 'resets';
    close $socket;
    sleep 0.2;
    spew($go, '');
    ok key('status', 1), "a client $how: the script hears it";
    is get('/key.php?k=end')->{body}, 'none', '... and ends';
    ok wait_until(sub { ($server->status->{runners}{busy} // 1) == 0 }),
        '... and its runner is free';
}
my $socket = begin('/ignores.php');
close $socket;
sleep 0.2;
spew($go, '');
ok key('end', 'aborted'), 'ignore_user_abort(): it goes on to its end';
$socket = begin('/insists.php');
close $socket;
sleep 0.2;
spew($go, '');
ok key('end', 'reached'),
    'ephpm_ignore_client_abort on: the script never hears of it';
ok key('status', 0), '... at all';

# HTTP/2: the stream is reset.
unlink $go;
my $pid = fork() // die "fork: $!";
if ($pid == 0) {
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    { no warnings 'exec'; exec 'curl', '-sS', '--http2-prior-knowledge',
        "http://127.0.0.1:$server->{port2}/goes.php"; }
    POSIX::_exit(126);
}
ok wait_until(sub { ($server->status->{runners}{busy} // 0) == 1 }),
    'a client by HTTP/2';
sleep 0.2;
kill 'KILL', $pid;
waitpid $pid, 0;
sleep 0.2;
spew($go, '');
ok wait_until(sub { ($server->status->{runners}{busy} // 1) == 0 }),
    '... goes away: its runner is free';
is get('/key.php?k=end')->{body}, 'none', '... and the script has ended';

# --- bodies that do not come to their end

$socket = send_request(connect_to(), path => '/ran.php', method => 'POST',
    headers => [ 'Content-Length' => 100 ], body => 'abc');
close $socket;
$socket = send_request(connect_to(), path => '/ran.php', method => 'POST',
    headers => [ 'Content-Length' => 200_000 ], body => 'x' x 100_000);
sleep 0.2;
is $server->status->{runners}{busy}, 0,
    'while a body is on its way no runner is held';
close $socket;
sleep 0.5;
is get('/key.php?k=ran')->{body}, 'none',
    'a body that is cut short: the script never runs';
is get('/ran.php', body => 'x' x 200_000)->{body}, 200_000,
    'a body in a file comes whole';
is get('/bodiless.php', body => 'x' x 2000)->{body} =~ /^00/, 1,
    'ephpm_pass_request_body off';

# The script has ended, its response is still on its way: the body's file goes
# with whichever ends, the request or the server.
$server->page('long.php', '<?php echo strlen(file_get_contents("php://input")), '
    . 'str_repeat("x", 8 << 20);');
my @reading = map {
    my $slow = send_request(connect_to(), path => '/long.php',
        body => 'x' x 200_000);
    IO::Select->new($slow)->can_read(60);
    $slow } 1, 2;
ok wait_until(sub { ($server->status->{runners}{busy} // 1) == 0 }),
    'two slow readers, whose scripts have ended';
is get('/ran.php', body => 'x' x 200_000)->{body}, 200_000, '... and a third';

$server->ends_well;
done_testing;
