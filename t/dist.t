#!/usr/bin/perl
# The tarball has every file that git tracks.

use strict;
use warnings;
use Test::More;

my $top   = $ENV{EPHPM_SRCDIR}   // '.';
my $build = $ENV{EPHPM_BUILDDIR} // '.';

# A tarball has no list to compare itself with.
-e "$top/.git" or plan skip_all => 'not a git checkout';
my $git = "git -C '$top' -c safe.directory='*'";
my $tracked = `$git ls-files 2>&1`;
if ($? != 0) {
    plan skip_all => 'git is not installed: apt-get install git'
        unless grep { -x "$_/git" } split /:/, $ENV{PATH};
    BAIL_OUT("$git ls-files: $tracked");
}

# Of use in a checkout only.
my %left_out = ('.gitignore' => 1);

delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES)};
my $listed = `make -s -C '$build' -f Makefile -f - show 2>&1 <<'END'
show: ; \@printf '%s\\n' \$(DISTFILES)
END
`;
is $?, 0, 'make knows what to distribute' or diag $listed;
# What is found through VPATH is named with the folder it was found in.
my %listed = map { s{^\Q$top\E/}{}r =~ s{^\./}{}r => 1 } split /\n/, $listed;

my @lost = grep { !$listed{$_} && !$left_out{$_} && -e "$top/$_" }
    split /\n/, $tracked;
is "@lost", '', "what is tracked is in the tarball (by its folder's local.mk)";
cmp_ok scalar(split /\n/, $tracked), '>', 100, '... and it was looked at';

done_testing;
