#!/usr/bin/perl

# PHPStan at its highest level finds nothing in the adapter and its tests.

use strict;
use warnings;
use FindBin qw($Bin);
use lib $Bin;
use Test::More tests => 1;
use Site qw(checkout run_command projects);

my ($oldest) = sort(projects());
my $folder = checkout($oldest);
my ($code, $output) = run_command(Site::php(), '-d', 'memory_limit=2G',
    "$ENV{EPHPM_BUILDDIR}/t/symfony/phpstan/vendor/bin/phpstan", 'analyse',
    '--configuration', "$folder/php-adapter/phpstan.dist.neon",
    '--autoload-file', "$folder/$oldest/vendor/autoload.php",
    '--no-progress', '--no-interaction', '--error-format', 'raw');
is $code, 0, 'PHPStan is content' or diag $output;
