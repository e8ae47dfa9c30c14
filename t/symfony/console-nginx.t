#!/usr/bin/perl

# Console commands on nginx's store: what console.t asks of httpd's.

use strict;
use warnings;
use FindBin qw($Bin);

BEGIN { $ENV{EPHPM_SITE_SERVER} = 'nginx' }

do "$Bin/console.t" or die $@ || $!;
