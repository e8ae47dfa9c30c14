#!/usr/bin/perl
# The suite of mod_ephpm under httpd's worker MPM; see run.

use strict;
use warnings;

my $top = $ENV{EPHPM_SRCDIR} // '.';
exec "$top/t/apache/run", $ENV{EPHPM_BUILDDIR} // '.', '--mpm', 'worker';
die "$top/t/apache/run: $!\n";
