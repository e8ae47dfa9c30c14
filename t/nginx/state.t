#!/usr/bin/perl
# The state of a runner's process: nothing leaks into the next request, and
# nothing of the server's into what a script starts.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;

our $server = NginxTest->suite(processes => 1, workers => 1);
shared('state');
$server->ends_well;

done_testing;
