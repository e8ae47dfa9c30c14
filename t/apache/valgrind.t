#!/usr/bin/perl
# Some of the suite of mod_ephpm under valgrind; ./dev valgrind-httpd runs all
# of it that can be.

use strict;
use warnings;

my $top = $ENV{EPHPM_SRCDIR} // '.';
exec "$top/t/apache/run", '--valgrind', $ENV{EPHPM_BUILDDIR} // '.',
    qw(handlers ini requests scripts subrequests);
die "$top/t/apache/run: $!\n";
