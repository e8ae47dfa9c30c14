#!/usr/bin/perl
# ./dev bench symfony, nitro and resp run, and their JSON has every case in the
# form that is documented.  What the figures are is not looked at: they
# are a benchmark's.

use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $top   = $ENV{EPHPM_SRCDIR}   // '.';
my $build = $ENV{EPHPM_BUILDDIR} // '.';
my $php   = $ENV{PHP} || 'php';
my $tmp   = tempdir(CLEANUP => 1);
# The server's user reads what is in it.
chmod 0755, $tmp;
local $ENV{TMPDIR} = $tmp;

# The cases with their peers, and the unit.
my %benchmarks = (
    nitro => [{ map { $_ => ['published'] } qw(nitro-get nitro-set) }, 'op/s'],
    symfony => [{ session => ['redis'], map { $_ => [qw(apcu redis)] }
        qw(callback-hit getitems-20 hit-20 save tag-invalidate) }, 'us'],
    resp => [{ map { ($_ => ['redis-server'], "$_-tcp" => ['redis-server']) }
        qw(get-p16 set-p16 get-p1) }, 'req/s'],
);
my %missing;
for my $extension (qw(apcu redis)) {
    system("'$php' -n -r 'exit((int) !is_file(ini_get(\"extension_dir\")"
        . " . \"/$extension.so\"));'") == 0
        or $missing{symfony} = "not installed: apt-get install php-$extension";
}
grep { -x "$_/redis-server" } split /:/, "$ENV{PATH}:/usr/bin:/usr/sbin"
    or $missing{symfony} = $missing{resp} =
        'not installed: apt-get install redis-server';
grep { -e "$_/vendor/autoload.php" } "$top/demo", "$build/t/symfony/demo"
    or $missing{symfony} = 'Composer\'s packages are missing: php-adapter/tests/install';

sub bench {
    my ($name, @arguments) = @_;
    my $command = join ' ', map { "'$_'" } "$top/bench/$name", @arguments;
    my $said = `$command 2>&1 </dev/null`;
    return ($? >> 8, $said);
}

for my $name (sort keys %benchmarks) {
    my ($cases, $unit) = @{ $benchmarks{$name} };
    SKIP: {
        skip $missing{$name}, 1 if $missing{$name};
        my ($status, $said) = bench($name, '--quick', '--json', "$tmp/$name.json");
        is $status, 0, "$name: a quick run" or diag $said;
        like $said, qr/^\d+ of \d+ bars are met/m, '... says how many bars are met';
        my $rows = eval {
            open my $in, '<', "$tmp/$name.json" or die "$tmp/$name.json: $!\n";
            local $/;
            JSON::PP->new->decode(scalar <$in>);
        } // [];
        my @form = map { join ' ', $_->{case}, $_->{peer}, $_->{unit},
            $_->{ours} > 0 && $_->{peer_value} > 0 && $_->{ratio} > 0 } @$rows;
        is_deeply [sort @form],
            [sort map { my $case = $_; map { "$case $_ $unit 1" } @{ $cases->{$case} } }
                keys %$cases],
            '... and has a row for each case and peer';
    }
    my ($status, $said) = bench($name, '--only', 'none');
    is $status, 64, "$name: an unknown case is refused";
    like $said, qr/there is no case none; there are: /, '... with the reason';
}
is join(' ', glob "$tmp/ephpm-bench-*"), '', 'nothing is left behind';

done_testing;
