#!/usr/bin/perl
# The scripts that every host of the extension answers alike.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;

our $server = NginxTest->suite;
shared('scripts');
$server->ends_well;

done_testing;
