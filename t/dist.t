#!/usr/bin/perl
# The tarball has every file that git tracks.

use strict;
use warnings;
use Test::More;

my $top   = $ENV{EPHPM_SRCDIR}   // '.';
my $build = $ENV{EPHPM_BUILDDIR} // '.';

# This runs inside a make, whose own settings are not for the one below.
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES)};
my $said = `make -s -C '$build' -f Makefile -f - show 2>&1 <<'END'
show: ; \@printf '%s\\n' \$(srcdir) \$(DISTFILES)
END
`;
is $?, 0, 'make says what it distributes' or diag $said;
my ($sources, @files) = split /\n/, $said;
my %listed = map { s{^(?:\Q$sources\E|\.)/}{}r => 1 } @files;
is join(' ', grep { !-e "$top/$_" } sort keys %listed), '',
    'all of that is there';

SKIP: {
    skip 'not a git checkout', 2 unless -e "$top/.git";
    skip 'git is not installed: apt-get install git', 2
        unless grep { -x "$_/git" } split /:/, $ENV{PATH};

    # Of use in a checkout only.
    my %left_out = ('.gitignore' => 1);

    my $tracked = `git -C '$top' -c safe.directory='*' ls-files`;
    is $?, 0, 'git says what it tracks';
    is join(' ', grep { !$listed{$_} && !$left_out{$_} && -e "$top/$_" }
        split /\n/, $tracked), '',
        "what git tracks is distributed (each folder's local.mk has its own)";
}

done_testing;
