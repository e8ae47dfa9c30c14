#!/usr/bin/perl
# Fifty clients that read 2 MiB at 100 KiB a second each: what they have not
# taken waits on disk, others are served meanwhile, and all get every byte.

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use LoadClient qw(slow_readers load);
use NginxTest;
use Test::More;

my $clients = 50;
my $server = NginxTest->new(
    processes => 4,
    server    => "location = /ephpm-status { ephpm_status; }\n",
);
$server->page('big.php', '<?php for ($i = 0; $i < 2048; ++$i) '
    . '{ echo str_pad(sprintf("%05d", $i), 1024, chr(65 + $i % 26)); }');
$server->page('quick.php', '<?php echo "quick";');
my $big = join '', map { my $c = chr(65 + $_ % 26);
    my $n = sprintf '%05d', $_; $n . $c x (1024 - length $n) } 0 .. 2047;
ok $server->start, 'four runners' or diag $server->said;
is get('/quick.php')->{body}, 'quick', 'it serves';
is md5_hex(get('/big.php')->{body}), md5_hex($big), 'the page';

sub workers_memory {
    my $sum = 0;
    $sum += $server->memory($_, 'RssAnon') for $server->workers;
    return $sum;
}

sub quick {
    my $run = load(port => port(), path => '/quick.php', connections => 2,
        requests => 10);
    return ($run, map { $_->{seconds} } @{ $run->{answers} });
}

my $before = workers_memory();
my (undef, @alone) = quick();
my ($most, $busy, $samples, @beside, @bad) = ($before, 0, 0);
my $bodies = slow_readers(port => port(), path => '/big.php',
    clients => $clients, rate => 100 << 10, meanwhile => sub {
        my ($run, @seconds) = quick();
        push @bad, @{ $run->{broken} }, map { "status $_->{status}" }
            grep { $_->{body} ne 'quick' } @{ $run->{answers} };
        push @beside, @seconds;
        $samples++;
        my $now = workers_memory();
        $most = $now if $now > $most;
        $busy++ if ($server->status->{runners}{busy} // 0) > 0;
    });
is scalar(grep { md5_hex($_) eq md5_hex($big) } @$bodies), $clients,
    "all $clients slow clients got every byte"
    or diag join ' ', map { length } @$bodies;
cmp_ok scalar(@beside), '>=', 50, 'meanwhile other requests were served';
is "@bad", '', '... all of them';
@$_ = sort { $a <=> $b } @$_ for \@alone, \@beside;
note sprintf '%d requests meanwhile: half of them took %.1f ms at most '
    . '(before: %.1f), the slowest %.1f', scalar @beside,
    map { 1000 * ($_ // 0) } $beside[$#beside / 2], $alone[$#alone / 2],
    $beside[-1];
# 64 KiB of each response may be in memory.
SKIP: {
    skip 'who watches the memory keeps what was freed', 1
        if NginxTest::watched();
    cmp_ok $most - $before, '<', $clients * 160,
        "the workers' memory is bounded";
}
note "workers: $before KiB before, $most KiB at most";
ok wait_until(sub { ($server->status->{runners}{busy} // 1) == 0 }),
    'no runner is held';
note "runners were busy in $busy of $samples samples";
cmp_ok $busy, '<', $samples, '... nor was one all the time';

$server->ends_well;
done_testing;
