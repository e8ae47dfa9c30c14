#!/usr/bin/perl
# A test that waits for ever is ended, with all that it has started and nobody
# else; any other one is left as it is.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);

my $top = $ENV{EPHPM_SRCDIR} // '.';
# This test is watched itself.
delete $ENV{EPHPM_TEST_MARK};

# watched(SCRIPT, SILENCE) -> exit status, what was said
sub watched {
    my ($script, $silence) = @_;
    local $ENV{EPHPM_TEST_SILENCE} = $silence // 600;
    my $pid = open my $out, '-|', "$top/t/lib/watched", 'sh', '-c', $script
        or die "t/lib/watched: $!";
    local $/;
    my $said = <$out>;
    close $out;
    return ($?, $said);
}

sub gone {
    my ($pid) = @_;
    my $end = time + 60;
    while (open my $in, '<', "/proc/$pid/stat") {
        # Nobody may have waited for it yet.
        return 1 if (<$in> // '') =~ /\) Z /;
        return 0 if time > $end;
        sleep 0.05;
    }
    return 1;
}

my ($status, $said) = watched('echo "ok 1"; echo 1..1');
is $status, 0, 'a test that passes';
like $said, qr/\Aok 1\n1\.\.1\n# at most [\d.]+ s passed without a word\n\z/,
    '... says what it says, and how long it was silent';
($status, $said) = watched('echo "not ok 1"; exit 3');
is $status >> 8, 3, 'a status is passed on';
($status) = watched('kill -KILL $$');
is $status >> 8, 128 + 9, 'and so is a signal, as a shell has it';
($status, $said) = watched('printf "ok 1\n1..1"');
like $said, qr/^1\.\.1\n# at most/m, 'a last line without an end gets one';
($status, $said) = watched('yes 0123456789 | head -n 100000');
is length($said =~ s/^#.*\n//mr), 1_100_000, 'nothing of much is lost';

my $other = fork() // die "fork: $!";
if ($other == 0) {
    exec 'sleep', '600';
    die "sleep: $!";
}
# Long enough for all of them to have started.
use constant SILENCE => 5;
($status, $said) = watched('echo "ok 1"; sleep 600 & echo "# child $!";
    setsid sh -c "sleep 600 > /dev/null & echo \"# left \$!\"";
    setsid env -i sh -c "sleep 600 & echo \"# bare \$!\"";
    trap "echo \"# last words\"; exit" TERM; while :; do sleep 0.1; done', SILENCE);
isnt $status, 0, 'a test that waits for ever fails';
like $said, qr/^Bail out! nothing was said for 5 s$/m, '... says why';
my ($child) = $said =~ /^# child (\d+)/m;
my ($left) = $said =~ /^# left (\d+)/m;
my ($bare) = $said =~ /^# bare (\d+)/m;
for ([ $child, 'its child' ], [ $left, 'one that has left it' ],
    [ $bare, 'one that knows nothing of it but has its output' ]) {
    my ($pid, $who) = @$_;
    like $said, qr/^# $pid, child of \d+, \S+, .*: sleep 600 $/m,
        "... what $who is doing";
    ok gone($pid), '... which is ended';
}
like $said, qr/^# last words$/m, 'what is said at the end is passed on';
SKIP: {
    open my $in, '<', "/proc/$other/wchan";
    skip 'this system does not tell where a process waits', 1
        unless defined $in && (<$in> // '') =~ /nanosleep/;
    like $said, qr/^#     thread $child: .*nanosleep/m,
        'where it waits is shown';
}

($status, $said) = watched('exec > /dev/null; echo "# said"; exec sleep 600',
    SILENCE);
like $said, qr/^Bail out! nothing was said for 5 s$/m,
    'a test that has closed its output and goes on is ended too';

($status, $said) = watched('echo "ok 1"; sh -c "while sleep 0.2; do echo \"# on\"; done" &
    echo "# child $!"', SILENCE);
like $said, qr/^Bail out! it has ended, and somebody keeps its output open$/m,
    'a test that has ended while somebody goes on talking';
($child) = $said =~ /^# child (\d+)/m;
ok gone($child), '... is ended with him';

($status, $said) = watched('echo "ok 1"; sleep 600 & echo "# child $!"', SILENCE);
isnt $status, 0, 'a test that has ended while somebody has its output';
like $said, qr/^Bail out! it has ended, and somebody keeps its output open$/m,
    '... says so';
($child) = $said =~ /^# child (\d+)/m;
like $said, qr/^# $child, .*: sleep 600 $/m, '... and who that is';
ok gone($child), '... who is ended';

is kill(0, $other), 1, 'nobody else is';
kill 'KILL', $other;
waitpid $other, 0;

done_testing;
