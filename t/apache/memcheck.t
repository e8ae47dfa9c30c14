#!/usr/bin/perl
# What t/apache/run --valgrind makes of what valgrind says; see Memcheck.pm.

use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $top;

BEGIN { $top = $ENV{EPHPM_SRCDIR} // "$FindBin::Bin/../.." }

use lib "$top/t/apache/lib";
use Memcheck;

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return scalar(<$in>) // '';
}

# --- suppressions

my $sound = <<'END';
# The reason.
{
   one
   Memcheck:Leak
   match-leak-kinds: definite
   fun:malloc
   fun:of_libc
   obj:*/libphp8.*
}

# Another.
{
   two
   Memcheck:Cond
   fun:of_libc
}
END
is_deeply [ Memcheck::unsound($sound, 'ours') ], [], 'sound suppressions';
my %unsound = (
    'no reason'             => $sound =~ s/^# Another\.$//mr,
    'a reason of another'   => $sound =~ s/^# Another\./# Another.\n/mr,
    'a gap'                 => $sound =~ s/fun:of_libc/.../r,
    'a function of ours'    => $sound =~ s/fun:of_libc/fun:ours/r,
    'a pattern'             => $sound =~ s/fun:of_libc/fun:o*/r,
    'any library'           => $sound =~ s/obj:\S+/obj:*/r,
    'our library'           => $sound =~ s/obj:\S+/obj:*\/mod_ephpm.so/r,
    'the other of ours'     => $sound =~ s/obj:\S+/obj:*\/ephpm.so/r,
    'allocation, and no more' => $sound =~ s/^ *fun:of_libc\n//mr =~ s/^ *obj:.*\n//mr,
    'two of one name'       => $sound =~ s/two/one/r,
    'another tool'          => $sound =~ s/Memcheck:Cond/Helgrind:Race/r,
    'no end'                => $sound =~ s/\}\n\z//r,
    'something outside'     => "$sound\nfun:of_libc\n",
);
isnt join("\n", Memcheck::unsound($unsound{$_}, 'ours')), '', "unsound: $_"
    for sort keys %unsound;
is_deeply [ Memcheck::unsound(slurp("$top/t/apache/valgrind.supp")) ], [],
    "the suite's are sound";

# --- which tests

my %there = map { m{([^/]+)\.t$} ? ($1 => 1) : () }
    glob "$top/t/apache/tests/*.t";
is join(' ', grep { !$there{$_} } sort keys %Memcheck::left_out,
    keys %Memcheck::tracked), '', 'the tests that are named exist';
is_deeply [ Memcheck::turns(qw(bodies errors ini store)) ],
    [ [ 'malloc', 'bodies', 'ini' ], [ 'tracked', 'errors' ],
    [ 'forked', 'store' ] ],
    'a turn for each way to allocate';

# --- findings

SKIP: {
    skip 'not installed: apt-get install valgrind', 9
        unless Memcheck::valgrind();
    my $tmp = tempdir(CLEANUP => 1);
    open my $c, '>', "$tmp/faulty.c" or die $!;
    print $c <<'END';
#include <stdlib.h>
#include <string.h>
void faulty(char **kept);
void faulty(char **kept)
{
    char *volatile lost = malloc(77);
    char *volatile gone = malloc(5);
    lost = NULL;
    free(gone);
    *kept = malloc(99);
    **kept = *gone;
}
END
    close $c;
    open $c, '>', "$tmp/main.c" or die $!;
    print $c <<'END';
void faulty(char **kept);
static char *kept;
int main(void)
{
    faulty(&kept);
    return 0;
}
END
    close $c;
    my $cc = $ENV{CC} || 'cc';
    is system("cd '$tmp' && $cc -g -O0 -shared -fPIC -o mod_ephpm.so faulty.c "
        . "&& $cc -g -O0 -o main main.c ./mod_ephpm.so"), 0, 'a program';
    system 'sh', '-c', 'cd "$1" && shift && exec "$@" > said 2>&1', 'sh', $tmp,
        Memcheck::command("$tmp/first"), './main';
    my ($file) = glob "$tmp/first-*.xml";
    my $xml = slurp($file // '/dev/null');
    ok Memcheck::finished($xml), 'valgrind comes to its end'
        or diag slurp("$tmp/said");
    ok !Memcheck::finished(substr $xml, 0, -20), '... and is seen not to';
    my @found = Memcheck::findings($xml);
    is join(' ', map { $_->{kind} } @found), 'InvalidRead Leak_DefinitelyLost',
        'an error and a leak are found, and no block that is still known';
    my ($read, $leak) = @found;
    like $leak->{text} // '', qr/77 bytes/, '... the right one';
    is join(' ', map { $_->{fn} } grep { $_->{ours} }
        @{ $read->{frames} // [] }), 'faulty', '... ours is known as ours';
    like Memcheck::show($leak), qr/^  > faulty \(faulty\.c:6\)$/m,
        '... and shown as such';
    open my $supp, '>', "$tmp/supp" or die $!;
    print $supp "{\n   a read\n   Memcheck:Addr1\n   fun:faulty\n}\n";
    close $supp;
    system 'sh', '-c', 'cd "$1" && shift && exec "$@" > said 2>&1', 'sh', $tmp,
        Memcheck::command("$tmp/second", "$tmp/supp"), './main';
    ($file) = glob "$tmp/second-*.xml";
    $xml = slurp($file // '/dev/null');
    is scalar(Memcheck::findings($xml)), 1, 'what is suppressed is none';
    my %times = Memcheck::suppressed($xml);
    is $times{'a read'}, 1, '... but is counted';
}

done_testing;
