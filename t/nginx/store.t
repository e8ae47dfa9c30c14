#!/usr/bin/perl
# The store: one for all runners, through reloads and deaths of processes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use LoadClient qw(load in_background);
use NginxTest;
use Test::More;
use Time::HiRes qw(sleep);

my $hosts = <<'END';
server {
    listen 127.0.0.1:%PORT%;
    server_name second.test;
    root %DIR%/htdocs;
    ephpm_kv second;
    location ~ \.php$ { ephpm on; }
}
server {
    listen 127.0.0.1:%PORT%;
    server_name off.test;
    root %DIR%/htdocs;
    ephpm_kv off;
    location ~ \.php$ { ephpm on; }
    location /again/ { ephpm_kv second; location ~ \.php$ { ephpm on; } }
}
END
my $zones = "ephpm_kv_zone zone=default:4m;\n"
    . "ephpm_kv_zone zone=second:4m eviction=noeviction;\n"
    . "ephpm_kv default;\n";
my $server = NginxTest->new(http => $zones, servers => $hosts,
    server => "location = /chosen.php {\n"
        . "ephpm on; php_admin_value ephpm.store second;\n}\n");
my $pages = "$NginxTest::top/t/apache/htdocs";
$server->page($_, slurp("$pages/$_")) for 'count.php', 'eval.php';
$server->page("$_.php", '<?php echo ephpm_kv_get("k") ?? "nothing";')
    for 'chosen', 'again/get';
ok $server->start, 'a server with two stores starts' or diag $server->said;
like $server->logged, qr/default"? is new: 4194304 bytes/,
    'the log says that a store is new';

sub gaps {
    my ($result) = @_;
    my @numbers = sort { $a <=> $b }
        map { $_->{body} =~ /^(\d+) / ? $1 : () } @{ $result->{answers} };
    my @wrong;
    push @wrong, "begins with $numbers[0]" if @numbers && $numbers[0] != 1;
    for my $i (1 .. $#numbers) {
        push @wrong, "$numbers[$i - 1] then $numbers[$i]"
            if $numbers[$i] != $numbers[$i - 1] + 1;
    }
    return "@wrong";
}

my $run = load(port => port(), path => '/count.php?key=shared',
    connections => 4, requests => 200);
is scalar @{ $run->{answers} }, 200, '200 requests over four connections';
is gaps($run), '', '... count without a gap or a repeat';
my %pids = map { $_->{body} =~ / (\d+)/ ? ($1 => 1) : () }
    @{ $run->{answers} };
cmp_ok scalar(keys %pids), '>=', 2, '... from several runners';
my %runners = map { $_ => 1 } $server->runners;
is join(' ', grep { !$runners{$_} } keys %pids), '', '... and no one else';

# --- which store

is php('ephpm_kv_set("k", "of default"); echo ephpm_kv_get("k");')->{body},
    'of default', 'ephpm_kv: the store of http';
is php('echo var_export(ephpm_kv_get("k"), true);', host => 'second.test')
    ->{body}, 'NULL', '... and another of a server';
is php('ephpm_kv_set("k", "of second"); echo ephpm_kv_get("k");',
    host => 'second.test')->{body}, 'of second', '... which it can use';
is php('echo ephpm_kv_get("k");')->{body}, 'of default', '... by itself';
is get('/chosen.php')->{body}, 'of second',
    'php_admin_value ephpm.store chooses another';
is php('echo var_export(@ephpm_kv_set("k", "v"), true), '
    . 'var_export(@ephpm_kv_get("k"), true);', host => 'off.test')->{body},
    'falseNULL', 'ephpm_kv off: no store';
is get('/again/get.php', host => 'off.test')->{body}, 'of second',
    '... but for a location that has one';
my $offset = $server->offset;
php('ephpm_kv_get("k");', host => 'off.test');
like $server->since($offset, qr/no store/), qr/There is no store for this host/,
    '... and a warning says so';

# --- reloads

my $stop = "$server->{dir}/stop";
my $wait = in_background(sub {
    load(port => port(), path => '/count.php?key=reload', connections => 3,
        until => sub { -e $stop });
});
for (1 .. 3) {
    sleep 0.3;
    ok $server->reload, "reload $_, under load";
}
sleep 0.3;
spew($stop, '');
$run = $wait->();
cmp_ok scalar @{ $run->{answers} }, '>=', 10, 'meanwhile requests were served';
is gaps($run), '', '... without a gap or a repeat';
is join("\n", @{ $run->{broken} }), '', '... and none was lost';
is php('echo ephpm_kv_get("k");')->{body}, 'of default',
    '... and what was stored before is there';
like $server->logged, qr/default"? is kept/, '... as the log says';

# --- deaths

unlink $stop;
$wait = in_background(sub {
    load(port => port(), path => '/count.php?key=killed', connections => 3,
        until => sub { -e $stop });
});
my $killed = 0;
for (1 .. 6) {
    sleep 0.2;
    my ($victim) = $server->runners;
    $killed++ if $victim && kill 'KILL', $victim;
}
sleep 0.3;
spew($stop, '');
$run = $wait->();
is $killed, 6, 'six runners are killed';
is join("\n", @{ $run->{broken} }), '', '... and every request is answered';
my @lost = grep { $_->{status} != 200 } @{ $run->{answers} };
is join(' ', map { $_->{status} } grep { $_->{status} != 502 } @lost), '',
    '... some with 502';
cmp_ok scalar(@lost), '<=', 6, '... one for each that died at most';
my @numbers = sort { $a <=> $b }
    map { $_->{body} =~ /^(\d+) / ? $1 : () } @{ $run->{answers} };
my %once = map { $_ => 1 } @numbers;
is scalar(keys %once), scalar(@numbers), '... no number is given twice';
cmp_ok +($numbers[-1] // 0) - @numbers, '<=', scalar(@lost),
    '... and none is missing but those whose answer died with a runner';
is php('echo ephpm_kv_get("shared");')->{body}, 200,
    '... and other keys are untouched';

# --- changes of a store

sub changed {
    my ($text, $pattern, $what) = @_;
    my $from = $server->offset;
    $server->configure(http => $text);
    ok $server->reload, "$what: a reload";
    like $server->since($from, $pattern), $pattern, '... and the log says why';
}

# Of the new runners: an old one may answer until it has ended.
sub counts {
    my ($key, $want) = @_;
    my $answer = get("/count.php?key=$key")->{body};
    return $answer =~ /^$want /;
}

changed($zones =~ s/default:4m/default:8m/r,
    qr/default"? starts cold: its size was 4194304/, 'another size');
ok wait_until(sub { php('echo ephpm_kv_get("k") ?? "none";')->{body} eq 'none' }),
    '... and it is empty';
is php('echo ephpm_kv_get("k");', host => 'second.test')->{body}, 'of second',
    '... and the other is not';
changed($zones =~ s/default:8m/default:4m/r =~ s/default:4m/default:8m eviction=noeviction/r,
    qr/default"? starts cold: its options were/, 'other options');
changed("ephpm_kv_zone zone=default:8m eviction=noeviction;\n"
    . "ephpm_kv_zone zone=second:4m eviction=noeviction;\n",
    qr/second"? is kept/, 'no ephpm_kv');
ok wait_until(sub { counts('fresh', 1) }),
    'no ephpm_kv: the store called default';

ok $server->stop, 'it stops';
ok $server->start, 'and starts';
ok counts('fresh', 1), 'a full stop: the store starts cold';

$server->ends_well(except => qr/was ended by SIGKILL/);
done_testing;
