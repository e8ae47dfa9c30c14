#!/usr/bin/perl
# The suite of mod_ephpm under httpd's event MPM; see run.

use strict;
use warnings;

my $top = $ENV{EPHPM_SRCDIR} // '.';
exec "$top/t/apache/run", $ENV{EPHPM_BUILDDIR} // '.', '--mpm', 'event';
die "$top/t/apache/run: $!\n";
