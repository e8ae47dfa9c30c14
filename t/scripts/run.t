#!/usr/bin/perl
# Every script of this folder gives its expected answer on the command line,
# with ephpm.so of the build: plainly, and under opcache with its JIT.
#
# NAME.php is a page that prints text, NAME.expect what it shall print, and
# NAME.ini, where there is one, its settings ("name = value").  The suites of
# the servers request the same files.

use strict;
use warnings;
use File::Basename qw(basename);
use Test::More;

my $folder = ($ENV{EPHPM_SRCDIR} // '.') . '/t/scripts';
my $module = ($ENV{EPHPM_BUILDDIR} // '.') . '/php-embed/.libs/ephpm.so';
my $php = $ENV{PHP} || 'php';

-x $php || $php !~ m{/}
    or plan skip_all => "PHP's command line ($php) is not installed";
-f $module or plan skip_all => 'configured without PHP: no ephpm.so';

my @plain = ($php, '-n', '-d', "extension=$module");
my @opcache = (
    '-d', 'zend_extension=opcache', '-d', 'opcache.enable_cli=1',
    '-d', 'opcache.jit_buffer_size=16M', '-d', 'opcache.jit=tracing',
);

sub answer {
    my @command = @_;
    open my $out, '-|', @command or die "$command[0]: $!";
    local $/;
    my $text = <$out> // '';
    close $out;
    return $? ? "$text(ended with status $?)\n" : $text;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or die "$file: $!";
    local $/;
    return scalar(<$in>) // '';
}

sub settings {
    my ($file) = @_;
    return unless -f $file;
    return map { /^\s*([\w.]+)\s*=\s*(.*?)\s*$/ ? ('-d', "$1=$2") : () }
        split /\n/, slurp($file);
}

my %modes = ('plain' => []);
my $has_opcache = answer(@plain, @opcache, '-r',
    'echo opcache_get_status(false)["opcache_enabled"] ? "yes" : "no";');
if ($has_opcache eq 'yes') {
    $modes{'opcache and JIT'} = \@opcache;
} else {
    note "no opcache for this PHP: $has_opcache";
}

my @expected = glob "$folder/*.expect";
ok @expected > 20, 'the scripts are there';
my %has_expect = map { basename($_, '.expect') => 1 } @expected;
my @without = grep { !$has_expect{$_} && $_ ne 'lib' }
    map { basename($_, '.php') } glob "$folder/*.php";
is "@without", '', 'every script has its expected answer';

for my $expect (@expected) {
    my $name = basename($expect, '.expect');
    my @settings = settings("$folder/$name.ini");
    for my $mode (sort keys %modes) {
        is answer(@plain, @{ $modes{$mode} }, @settings,
                  "$folder/$name.php"),
            slurp($expect), "$name, $mode";
    }
}

done_testing;
