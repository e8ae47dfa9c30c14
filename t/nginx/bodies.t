#!/usr/bin/perl
# Request bodies: what t/apache asks for.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;

our $server = NginxTest->suite;
shared('bodies');
$server->ends_well;

done_testing;
