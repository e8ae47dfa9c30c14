#!/usr/bin/perl
# What the MPM matters to, of the suite of mod_ephpm, under httpd's worker; the
# rest is the same code as under event.  See run.

use strict;
use warnings;

my $top = $ENV{EPHPM_SRCDIR} // '.';
exec "$top/t/apache/run", $ENV{EPHPM_BUILDDIR} // '.', '--mpm', 'worker',
    qw(bodies errors output requests sessions socache state status store
    store_memory subrequests http2 includes limits lives queue transfers);
die "$top/t/apache/run: $!\n";
