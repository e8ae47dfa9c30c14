#!/usr/bin/perl

# The demo through nginx: what demo.t asks of httpd.

use strict;
use warnings;
use FindBin qw($Bin);

BEGIN { $ENV{EPHPM_SITE_SERVER} = 'nginx' }

do "$Bin/demo.t" or die $@ || $!;
