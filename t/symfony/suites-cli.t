#!/usr/bin/perl

# The adapter's tests, with the PSR-6 and PSR-16 suites among them, on the
# command line: on a store in memory, on the real one in ephpm.so, and on that
# in several processes.

use strict;
use warnings;
use FindBin qw($Bin);
use lib $Bin;
use Test::More;
use Site qw(checkout run_command slurp projects report together);

my @projects = projects();
my $folder = checkout(@projects);

my @extension = ('-d', 'extension=' . Site::extension());
my @runs = map { ([$_, 'memory'], [$_, 'sapi', @extension],
    [$_, 'processes', @extension]) } @projects;

# They sleep most of the time, so all at once.
my @results = together(scalar @runs, sub {
    my ($project, $suite, @options) = @{ $runs[ $_[0] ] };
    my ($code, $output) = run_command(Site::php(), '-d', 'zend.assertions=1',
        '-d', 'memory_limit=1G', @options, "$folder/$project/vendor/bin/phpunit",
        '--configuration', "$folder/php-adapter/phpunit.xml.dist",
        '--bootstrap', "$folder/$project/vendor/autoload.php",
        '--testsuite', $suite, '--do-not-cache-result',
        '--log-junit', "$folder/$project-$suite.xml");
    return "$code $output";
});

for my $run (@runs) {
    my ($project, $suite) = @$run;
    my ($code, $output) = split / /, shift @results, 2;
    my $xml = "$folder/$project-$suite.xml";
    is $code, 0, "$project, $suite: PHPUnit is content" or diag $output;
    my $psr = report("$project, $suite", -e $xml ? slurp($xml) : '');
    next if $suite eq 'processes';
    cmp_ok $psr, '>=', 316, "$project, $suite: both PSR suites ran";
}

done_testing;
