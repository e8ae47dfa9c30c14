#!/usr/bin/perl

# The adapter's tests inside web requests, on the store of nginx: what
# suites-apache.t asks of httpd.

use strict;
use warnings;
use FindBin qw($Bin);

BEGIN { $ENV{EPHPM_SITE_SERVER} = 'nginx' }

do "$Bin/suites-apache.t" or die $@ || $!;
