#!/usr/bin/perl

# PHPStan at its highest level and PHP-CS-Fixer (PER-CS) find nothing in the
# adapter and its tests, and Composer nothing in composer.json.

use strict;
use warnings;
use FindBin qw($Bin);
use lib $Bin;
use Test::More;
use Site qw(checkout run_command projects spew);

my ($oldest) = sort(projects());
my $folder = checkout($oldest);
my $tools = "$ENV{EPHPM_BUILDDIR}/t/symfony";
$ENV{COMPOSER_ALLOW_SUPERUSER} = 1;

sub analyse {
    my ($configuration) = @_;
    return run_command(Site::php(), '-d', 'memory_limit=2G',
        "$tools/phpstan/vendor/bin/phpstan", 'analyse',
        '--configuration', $configuration,
        '--autoload-file', "$folder/$oldest/vendor/autoload.php",
        '--no-progress', '--no-interaction', '--error-format', 'raw');
}

my ($code, $output) = analyse("$folder/php-adapter/phpstan.dist.neon");
is $code, 0, 'PHPStan is content' or diag $output;

# These stand in applications, whose code it has to see.
my %beside = (
    laravel => ['php-illuminate-cache', '/usr/share/php/Illuminate'],
    wordpress => ['wordpress', '/usr/share/wordpress/wp-includes'],
);
for my $name (sort keys %beside) {
    my ($package, $code_of) = @{ $beside{$name} };
    SKIP: {
        skip "not installed: apt-get install $package", 1 if !-d $code_of;
        ($code, $output) = analyse(spew("$folder/phpstan-$name.neon", <<"END"));
parameters:
    level: max
    paths:
        - $folder/php-adapter/$name
    scanDirectories:
        - $code_of
    scanFiles:
        - $folder/php-embed/ephpm.stub.php
END
        is $code, 0, "... with $name/" or diag $output;
    }
}

($code, $output) = run_command(Site::php(),
    "$tools/php-cs-fixer/vendor/bin/php-cs-fixer", 'check', '--diff',
    '--config', "$folder/php-adapter/.php-cs-fixer.dist.php",
    '--using-cache=no', '--show-progress=none', '--no-interaction');
is $code, 0, 'PHP-CS-Fixer is content' or diag $output;

# The version is written down for those who install it by its path.
($code, $output) = run_command('composer', 'validate', '--strict',
    '--no-check-version', '--no-interaction', "$folder/php-adapter/composer.json");
is $code, 0, 'Composer is content' or diag $output;

done_testing;
