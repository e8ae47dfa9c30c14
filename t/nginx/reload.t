#!/usr/bin/perl
# Reloads under load: no request is lost that a static file would not lose,
# and a counter has no gap.  Then the same while runners are killed.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use LoadClient qw(load in_background);
use NginxTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{EPHPM_RELOAD_SECONDS} || 10;
my $server = NginxTest->new(
    processes => 3,
    http      => "ephpm_kv_zone zone=default:4m;\nephpm_kv default;\n",
    server    => "location = /ephpm-status { ephpm_status; }\n",
);
$server->page('count.php',
    '<?php echo ephpm_kv_incr("count"), " ", getmypid();');
$server->page('slow.php', '<?php usleep(300000); '
    . 'echo ephpm_kv_incr("slow"), " ", getmypid();');
$server->page('key.php', '<?php echo ephpm_kv_get($_GET["k"]) ?? 0;');
$server->page('hello.txt', 'hello');
ok $server->start, 'a server starts' or diag $server->said;
is get('/key.php?k=count')->{body}, 0, 'it serves';

sub under_load {
    my ($each) = @_;
    my $stop = "$server->{dir}/stop";
    unlink $stop;
    my %paths = ('count.php' => 4, 'slow.php' => 2, 'hello.txt' => 2);
    my %wait = map { my $path = $_; ($path => in_background(sub {
        load(port => port(), path => "/$path", connections => $paths{$path},
            until => sub { -e $stop });
    })) } keys %paths;
    my $end = time + $seconds;
    for (my $times = 0; time < $end || $times < 3; $times++) {
        sleep 1;
        $each->();
    }
    spew($stop, '');
    return { map { $_ => $wait{$_}->() } keys %paths };
}

sub numbers {
    my ($run) = @_;
    return sort { $a <=> $b } map { $_->{body} =~ /^(\d+) / ? $1 : () }
        @{ $run->{answers} };
}

my ($reloads, $refused) = (0, 0);
my %generations;
my $runs = under_load(sub {
    $server->reload ? $reloads++ : $refused++;
});
cmp_ok $reloads, '>=', 3, "$reloads reloads in $seconds seconds";
is $refused, 0, '... all of them';
for my $path (sort keys %$runs) {
    my $run = $runs->{$path};
    note sprintf '%s: %d answers, %d connections, %d stale', $path,
        scalar @{ $run->{answers} }, $run->{connects}, $run->{stale};
    is join("\n", @{ $run->{broken} }), '', "$path: no request is lost";
    is join(' ', map { $_->{status} } grep { $_->{status} != 200 }
        @{ $run->{answers} }), '', '... or refused';
}
for my $path ('count.php', 'slow.php') {
    my @numbers = numbers($runs->{$path});
    is "$numbers[0] $numbers[-1]", '1 ' . @numbers,
        "$path: the counter has no gap";
    my %pids = map { $_->{body} =~ / (\d+)/ ? ($1 => 1) : () }
        @{ $runs->{$path}{answers} };
    cmp_ok scalar(keys %pids), '>', 3, '... over several generations';
}
ok wait_until(sub { my @all = $server->runners; @all == 3 }),
    'old runners have ended';
ok wait_until(sub { my @all = $server->spawners; @all == 1 }),
    '... and old spawners';
ok wait_until(sub { my @all = $server->of_kind('worker'); @all == 2 }),
    '... and old workers';

# --- a long script, over a reload

my $socket = send_request(connect_to(), path => '/slow.php');
sleep 0.1;
ok $server->reload, 'a reload while a script runs';
like read_response($socket)->{body}, qr/^\d+ \d+$/, '... which is answered';

# --- runners that are killed

my ($killed, $before) = (0, get('/key.php?k=count')->{body});
$runs = under_load(sub {
    for my $victim (($server->runners)[0, 1]) {
        $killed += kill 'KILL', $victim if $victim;
    }
});
cmp_ok $killed, '>=', 3, "$killed runners are killed";
for my $path (sort keys %$runs) {
    my $run = $runs->{$path};
    is join("\n", @{ $run->{broken} }), '', "$path: every request is answered";
    my @other = grep { $_->{status} != 200 } @{ $run->{answers} };
    is join(' ', map { $_->{status} } grep { $_->{status} != 502 } @other), '',
        '... with 502 where it was not served';
    cmp_ok scalar(@other), '<=', $killed, '... one for each that was killed';
}
is scalar(grep { $_->{status} != 200 } @{ $runs->{'hello.txt'}{answers} }), 0,
    'files are served as ever';
my %once = map { $_ => 1 } my @numbers = numbers($runs->{'count.php'});
is scalar(keys %once), scalar(@numbers), 'no number is given twice';

$server->ends_well(except => qr/was ended by SIGKILL/);
done_testing;
