#!/usr/bin/perl
# ./dev bench kv runs, and its JSON has every case in the form that is
# documented.  What the figures are is not looked at: they are a benchmark's.

use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $top   = $ENV{EPHPM_SRCDIR}   // '.';
my $build = $ENV{EPHPM_BUILDDIR} // '.';
my $php   = $ENV{PHP} || 'php';
my $tmp   = tempdir(CLEANUP => 1);

-f "$build/php-embed/.libs/ephpm.so"
    or plan skip_all => 'configured without PHP: no ephpm.so';
for (['apcu', 'php-apcu'], ['redis', 'php-redis']) {
    my ($extension, $package) = @$_;
    system("'$php' -n -r 'exit((int) !is_file(ini_get(\"extension_dir\")"
        . " . \"/$extension.so\"));'") == 0
        or plan skip_all => "not installed: apt-get install $package";
}
grep { -x "$_/redis-server" } split(/:/, $ENV{PATH}), '/usr/bin'
    or plan skip_all => 'not installed: apt-get install redis-server';

local $ENV{TMPDIR} = $tmp;

# Run the benchmark; its exit status and all it has said.
sub bench {
    my $command = join ' ', map { "'$_'" } "$top/bench/kv", @_;
    my $said = `$command 2>&1 </dev/null`;
    return ($? >> 8, $said);
}

my %peers = (
    'get-64'          => 'apcu phpredis str_repeat',
    'get-64-miss'     => 'apcu phpredis',
    'get-64-10k'      => 'apcu phpredis str_repeat',
    'get-64-500k'     => 'apcu phpredis str_repeat',
    'get-64k'         => 'apcu phpredis',
    'set-64'          => 'apcu phpredis',
    'set-64-ttl'      => 'apcu phpredis',
    'set-64k'         => 'apcu phpredis',
    'incr'            => 'apcu phpredis',
    'exists'          => 'apcu phpredis',
    'mget-20'         => 'apcu phpredis single-calls',
    'mset-20'         => 'apcu phpredis single-calls',
    'overhead-bytes'  => 'apcu',
    'scale-2-read'    => 'apcu one-process phpredis str_repeat',
    'scale-2-mixed'   => 'apcu one-process phpredis str_repeat',
    'scan-500k'       => 'apcu phpredis',
    'get-during-scan' => 'idle',
    'hit-ratio-zipf'  => 'lru',
    'hit-ratio-scan'  => 'lru',
    'full-set'        => 'with-room',
);

my ($status, $said) = bench('--quick', '--json', "$tmp/kv.json");
is $status, 0, 'a quick run' or diag $said;
like $said, qr/^\d+ of \d+ bars are met/m, 'it says how many bars are met';
like $said, qr/^the empty loop +[\d.]+ /m, '... and what a loop costs';

my $rows = eval {
    open my $in, '<', "$tmp/kv.json" or die "$tmp/kv.json: $!\n";
    local $/;
    JSON::PP->new->decode(scalar <$in>);
};
is ref $rows, 'ARRAY', 'the JSON is an array' or diag $@;

my (%found, @wrong);
for my $row (@{ $rows // [] }) {
    my $name = ($row->{case} // '?') . ' beside ' . ($row->{peer} // '?');
    push @wrong, "$name has " . join ', ', sort keys %$row
        if join(' ', sort keys %$row)
        ne 'case ours peer peer_value ratio unit';
    for my $number (qw(ours peer_value ratio)) {
        push @wrong, "$name: $number"
            unless ($row->{$number} // '') =~ /^[\d.]+(?:e[-+]?\d+)?$/i
            && $row->{$number} > 0;
    }
    push @wrong, "$name: ratio is not ours / peer_value"
        if abs($row->{ratio} * $row->{peer_value} / $row->{ours} - 1) > 1e-6;
    push @wrong, "$name twice" if $found{ $row->{case} }{ $row->{peer} }++;
}
is join("\n", @wrong), '', 'every row has the form';
for my $case (sort keys %peers) {
    is join(' ', sort keys %{ $found{$case} // {} }), $peers{$case},
        "$case: its peers";
}
is join(' ', grep { !$peers{$_} } sort keys %found), '', 'no other case';

($status, $said) = bench('--quick', '--only', 'get-64,hit-ratio-scan');
is $status, 0, 'two cases alone' or diag $said;
unlike $said, qr/^set-64/m, '... and no other';

my %refused = (
    '--only get-65'  => qr/there is no case get-65; there are: get-64, /,
    '--rounds 8'     => qr/9 to 999 are possible/,
    '--rounds'       => qr/--rounds wants a value/,
    '--fast'         => qr/--fast is not an option/,
);
for my $arguments (sort keys %refused) {
    ($status, $said) = bench(split / /, $arguments);
    is $status, 64, "$arguments: refused";
    like $said, $refused{$arguments}, '... with the reason';
}
($status, $said) = bench('--quick', '--json', "$tmp/no/such/folder");
isnt $status, 0, 'JSON that cannot be written: an error';
like $said, qr/cannot write/, '... with the reason';

is join(' ', glob "$tmp/ephpm-bench-*"), '', 'nothing is left behind';

done_testing;
