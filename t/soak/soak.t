#!/usr/bin/perl
# ./dev soak in short.

use strict;
use warnings;

my $top = $ENV{EPHPM_SRCDIR} // '.';
exec "$top/t/soak/soak", qw(--requests 2000 --seconds 15 --per-child 50);
die "$top/t/soak/soak: $!\n";
