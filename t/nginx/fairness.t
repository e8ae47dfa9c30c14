#!/usr/bin/perl
# Nobody waits for a script that sleeps while a runner is idle: over kept
# connections, over one HTTP/2 connection, in several workers.
#
# The sleepers sleep until all the others are served, so that no clock is
# asked: one request that waited for a sleeper would wait for ever.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use LoadClient qw(load in_background);
use NginxTest;
use Test::More;

my $server = NginxTest->new(
    processes => 4,
    server    => "location = /ephpm-status { ephpm_status; }\n",
);
my $go = "$server->{dir}/scratch/go";
$server->page('sleeper.php', "<?php for (\$i = 0; \$i < 60000 && "
    . "!file_exists('$go'); ++\$i) { usleep(10000); clearstatcache(); } "
    . 'echo $i < 60000 ? "woken" : "tired";');
$server->page('quick.php', '<?php echo "quick";');
$server->page('hello.txt', 'hello');
ok $server->start, 'four runners, two workers' or diag $server->said;
is get('/quick.php')->{body}, 'quick', 'it serves';

sub served {
    my ($run, $want, $what) = @_;
    my @good = grep { $_->{status} == 200 && $_->{body} eq $want }
        @{ $run->{answers} };
    is scalar(@good), 200, "$what: 200 requests are served"
        or diag explain $run->{broken};
    my @seconds = sort { $a <=> $b } map { $_->{seconds} }
        @{ $run->{answers} };
    note sprintf '%s: half of them took %.1f ms at most, the slowest %.1f',
        $what, map { 1000 * ($_ // 0) } $seconds[$#seconds / 2], $seconds[-1];
}

my $static = load(port => port(), path => '/hello.txt', connections => 20,
    requests => 200);
served($static, 'hello', 'files, before');

my @sleepers = map { send_request(connect_to(), path => '/sleeper.php') }
    1 .. 3;
ok wait_until(sub { ($server->status->{runners}{busy} // 0) == 3 }),
    'three of four runners sleep';

served(load(port => port(), path => '/quick.php', connections => 20,
    requests => 200), 'quick', '20 kept connections');
served(load(port => port(), path => '/hello.txt', connections => 20,
    requests => 200), 'hello', 'files meanwhile');

# 20 at a time in one HTTP/2 connection, which is one worker's.
SKIP: {
    skip 'h2load is not installed: apt-get install nghttp2-client', 2
        unless grep { -x "$_/h2load" } split /:/, $ENV{PATH};
    my $said = `timeout 120 h2load -n 200 -c 1 -m 20 http://127.0.0.1:$server->{port2}/quick.php 2>&1 < /dev/null`;
    like $said, qr/^requests: 200 total, .* 200 succeeded, 0 failed/m,
        'one HTTP/2 connection: 200 requests are served';
    like $said, qr/^status codes: 200 2xx/m, '... with the page';
    note 'one HTTP/2 connection: the slowest took '
        . ($said =~ /^time for request: +\S+ +(\S+)/m ? $1 : '?');
}

is scalar(grep { IO::Select->new($_)->can_read(0) } @sleepers), 0,
    'the sleepers sleep still';
spew($go, '');
is join(' ', map { read_response($_)->{body} } @sleepers),
    'woken woken woken', '... until they are woken';

$server->ends_well;
done_testing;
