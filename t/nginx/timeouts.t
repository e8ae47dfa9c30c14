#!/usr/bin/perl
# Scripts that run for too long: ended, written into the slow log; runners
# that are replaced after so many requests.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;
use Time::HiRes qw(time);

my $http = "ephpm_kv_zone zone=default:4m;\nephpm_kv default;\n";
my $server = NginxTest->new(
    processes => 2,
    http      => "${http}ephpm_request_terminate_timeout 1s;\n",
    server    => "location = /ephpm-status { ephpm_status; }\n",
);
$server->page('sleep.php', '<?php ephpm_kv_incr("begun"); echo "x"; '
    . 'sleep(600);');
$server->page('sent.php', '<?php echo "begun"; flush(); sleep(600);');
$server->page('loop.php', '<?php set_time_limit(0); while (true) { }');
$server->page('stopped.php',
    '<?php posix_kill(getmypid(), SIGSTOP); echo "continued";');
my $after = "$server->{dir}/scratch/after";
$server->page('after.php', '<?php echo "whole"; fastcgi_finish_request(); '
    . "usleep(2500000); touch('$after');");
$server->page('pid.php', '<?php echo getmypid();');
ok $server->start, 'ephpm_request_terminate_timeout 1s' or diag $server->said;
like get('/pid.php')->{body}, qr/^\d+$/, 'it serves';

for my $page (qw(sleep loop)) {
    my $offset = $server->offset;
    my $start = time;
    my $r = get("/$page.php");
    my $took = time - $start;
    is $r->{status}, 504, "$page.php: 504";
    cmp_ok $took, '>=', 0.99, '... not before its time';
    cmp_ok $took, '<', 30, '... nor long after';
    my $new = $server->since($offset, qr{\[error\].*$page\.php});
    like $new, qr{\[error\].*$server->{root}/$page\.php}, '... the log names it';
    like get('/pid.php')->{body}, qr/^\d+$/, '... and others are served';
}
SKIP: {
    skip 'this PHP has no posix', 1
        unless get('/stopped.php', method => 'HEAD')->{status} == 504;
    is get('/stopped.php')->{status}, 504, 'a runner that is stopped: 504';
}
my $r = get('/sent.php');
is $r->{status}, 200, 'where headers were sent it is too late for a status';
is $r->{body}, 'begun', '... what was sent has come';
is $r->{complete}, 0, '... and the client can tell that it is not all';
$r = get('/after.php');
is "$r->{status} $r->{body} $r->{complete}", '200 whole 1',
    'after fastcgi_finish_request() the client has it all';
ok wait_until(sub { -e $after }),
    '... and what comes after that is not counted, as by php-fpm';
ok wait_until(sub { my @now = $server->runners; @now == 2 }),
    'there are as many runners as before';
my @pids = $server->runners;
ok wait_until(sub { $server->status->{runners}{busy} == 0 }), '... idle';
cmp_ok $server->status->{runners}{timeouts}, '>=', 4, 'the status counts them';

# --- the slow log

$server->configure(processes => 2,
    http => "${http}ephpm_slowlog logs/slow.log 200ms;\n");
ok $server->reload, 'ephpm_slowlog logs/slow.log 200ms';
$server->page('slow.php', <<'PHP');
<?php

function inner(string $text): void
{
    usleep(1500000);
    echo $text;
}
final class Thing
{
    public function method(): void
    {
        inner('done');
    }
}
(new Thing())->method();
PHP
my $slow = "$server->{dir}/logs/slow.log";
ok wait_until(sub { get('/pid.php'); return -e $slow }), 'the file is there';
ok wait_until(sub {
    get('/slow.php')->{body} eq 'done' && slurp($slow) =~ /usleep/;
}), 'a slow script is written into it, and goes on to its end';
my $log = slurp($slow);
like $log, qr{slow\.php}, '... with its name';
like $log, qr{\[pool ephpm\] pid \d+$}m, '... in the form of php-fpm';
like $log, qr{usleep\(\) \S*/slow\.php:5$}m, '... where it was';
like $log, qr{inner\(\) \S*/slow\.php:12$}m, '... who called';
like $log, qr{Thing::method\(\) \S*/slow\.php:15$}m, '... from the first on';
my $size;
ok wait_until(sub {
    $size = -s $slow;
    my $start = time;
    get('/pid.php');
    return time - $start < 0.2;
}), 'a quick script';
is -s $slow, $size, '... is not';
cmp_ok $server->status->{runners}{slow}, '>=', 1, 'the status counts it';
if ($> == 0) {
    is((stat $slow)[2] & 07, 0, 'nobody else reads the slow log');
}

# --- max_requests

$server->configure(processes => 2, http => "${http}ephpm_max_requests 10;\n");
ok $server->reload, 'ephpm_max_requests 10';
ok wait_until(sub { $server->status->{runners}{requests} == 0 }),
    '... in a new table';
my (%requests, @bad);
for (1 .. 100) {
    my $answer = get('/pid.php');
    push @bad, $answer->{status} if $answer->{status} != 200;
    $requests{ $answer->{body} }++;
}
is "@bad", '', '100 requests are served';
is join(' ', grep { $requests{$_} > 10 } keys %requests), '',
    '... none by a runner that had ten already';
cmp_ok scalar(keys %requests), '>=', 10, '... so by ten at least';
ok wait_until(sub { $server->status->{runners}{recycled} >= 8 }),
    'the status counts the recycled';

$server->ends_well(except => qr/was ended by SIGKILL/);
done_testing;
