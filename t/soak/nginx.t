#!/usr/bin/perl
# ./dev soak --server nginx in short.

use strict;
use warnings;

my $top = $ENV{EPHPM_SRCDIR} // '.';
exec "$top/t/soak/soak-nginx", qw(--requests 10000 --seconds 6);
die "$top/t/soak/soak-nginx: $!\n";
