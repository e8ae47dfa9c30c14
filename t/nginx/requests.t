#!/usr/bin/perl
# Requests and answers: what t/apache asks for.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;

our $server = NginxTest->suite;
shared('requests');
$server->ends_well;

done_testing;
