# EphpmStore's compression= and min-compress=.

use strict;
use warnings;
use EphpmTest;
use OwnServer;
use Test::More;

my $config = "EphpmKv default\n<FilesMatch \"\\.php\$\">\n"
    . "SetHandler application/x-httpd-php\n</FilesMatch>\n"
    . "StartServers 3\nMaxRequestWorkers 6\n";

# Values that repeat themselves, and one that no method makes smaller.
my $values = <<'PHP';
<?php
$values = [
    'large' => str_repeat('a line that is repeated ', 40_000),
    'long' => str_repeat('a line that is repeated ', 400),
    'short' => str_repeat('a line that is repeated ', 40),
    'random' => '',
];
for ($i = 0; strlen($values['random']) < 5_000; ++$i) {
    $values['random'] .= hash('sha256', (string) $i, true);
}
PHP
my $write = $values . <<'PHP';
foreach ($values as $key => $value) {
    // A large value has memory of its own.
    $figure = $key === 'large' ? 'used_bytes' : 'live_bytes';
    $before = ephpm_kv_stats()[$figure];
    ephpm_kv_set($key, $value) || die('not set');
    echo $key, ' ', strlen($value), ' ',
        ephpm_kv_stats()[$figure] - $before, "\n";
}
PHP
my $read = $values . <<'PHP';
foreach ($values as $key => $value) {
    echo $key, ephpm_kv_get($key) === $value ? ' same' : ' different', ' ';
}
PHP

# The figures that write.php answers: name => [bytes, bytes in the store].
sub written {
    my ($options) = @_;
    my $server = OwnServer->new(config => "EphpmStore default 8M $options\n$config");
    my ($status, $said) = $server->check;
    return $said if $status != 0;
    $server->page('write.php', $write);
    $server->page('read.php', $read);
    ok $server->start, "$options: the server starts" or diag $server->said;
    my %took;
    for (split /\n/, $server->get('/write.php')->{body}) {
        my ($name, $bytes, $taken) = split / /;
        $took{$name} = [ $bytes, $taken ];
    }
    for my $n (1 .. 3) {
        is $server->get('/read.php')->{body},
            'large same long same short same random same ', "... request $n reads it";
    }
    ok $server->graceful, '... it restarts';
    is $server->get('/read.php')->{body},
        'large same long same short same random same ', '... and still reads it';
    ok $server->stop, '... and stops';
    return \%took;
}

my $plain = written('compression=none');
for my $name (sort keys %$plain) {
    cmp_ok $plain->{$name}[1], '>=', $plain->{$name}[0],
        "compression=none stores $name as it is";
}

for my $method ('zstd', 'zstd:9', 'gzip', 'gzip:1', 'brotli', 'brotli:4') {
    my $took = written("compression=$method");
    if (!ref $took) {
        like $took, qr/EphpmStore default: compression=\w+ is not built in: use none or zstd, or build with its library/,
            "compression=$method, not built: refused with a sentence";
        unlike $method, qr/zstd/, '... and it is not zstd, which always is';
        next;
    }
    cmp_ok $took->{long}[1], '<', $took->{long}[0] / 10,
        "compression=$method makes a long value smaller";
    cmp_ok $took->{large}[1], '<', $took->{large}[0] / 4,
        '... and a large one';
    cmp_ok $took->{short}[1], '>=', $took->{short}[0],
        '... and leaves alone what is shorter than 1024 bytes';
    is $took->{random}[1], $plain->{random}[1],
        '... and what would not be smaller';
}

my $took = written('compression=zstd min-compress=256');
cmp_ok $took->{short}[1], '<', $took->{short}[0] / 2,
    'min-compress=256: shorter values too';
$took = written('compression=zstd min-compress=10K');
cmp_ok $took->{long}[1], '>=', $took->{long}[0],
    'min-compress=10K: no value of less';

sub refused {
    my ($options, $sentence) = @_;
    my ($status, $said) = OwnServer->new(
        config => "EphpmStore default 8M $options\n$config")->check;
    isnt $status, 0, "$options: refused";
    like $said, qr/\QEphpmStore default: $sentence\E\n/, '... with a sentence';
    unlike $said, qr/Syntax OK/, '... and nothing else';
}

refused('compression=rar',
    'compression=rar is no method: use none, zstd, gzip or brotli');
refused('compression=ZSTD',
    'compression=ZSTD is no method: use none, zstd, gzip or brotli');
refused('compression=',
    'compression= is no method: use none, zstd, gzip or brotli');
refused('compression=zstd:20',
    'compression=zstd:20 has no such level: zstd takes 1 to 19');
refused('compression=zstd:',
    'compression=zstd: has no such level: zstd takes 1 to 19');
refused('compression=zstd min-compress=lots', 'min-compress=lots is not a '
    . 'size: write bytes, or a number with K or M, below 4G');

done_testing;
