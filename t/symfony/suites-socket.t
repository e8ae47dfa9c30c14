#!/usr/bin/perl

# The adapter's tests on the command line, on the stores of a running server:
# through ephpm.kv_socket and a listener of httpd's.

use strict;
use warnings;
use FindBin qw($Bin);
use IO::Socket::UNIX;
use lib $Bin;
use Test::More;
use Site qw(checkout run_command slurp projects report together start
    wait_until free_port can_load);

if (my $reason = can_load()) {
    BAIL_OUT($reason);
}

my @projects = projects();
my $folder = checkout(@projects);

# Each suite empties its store.  A socket stands where the server's user may
# make one.
my $sockets = "$folder/sockets";
mkdir $sockets or die "$sockets: $!";
chmod 0777, $sockets;
my $port = free_port();
my $server = start($folder, $port, join '', map { <<"END" } @projects);
EphpmStore $_ 32M
EphpmResp unix:$sockets/$_ store=$_
END
wait_until(120, sub {
    @projects == grep { IO::Socket::UNIX->new("$sockets/$_") } @projects;
}) or BAIL_OUT('nobody listens: ' . slurp("$folder/error-$port.log"));

my @results = together(scalar @projects, sub {
    my $project = $projects[ $_[0] ];
    my ($code, $output) = run_command(Site::php(), '-d', 'zend.assertions=1',
        '-d', 'memory_limit=1G', '-d', 'extension=' . Site::extension(),
        '-d', "ephpm.kv_socket=unix:$sockets/$project",
        "$folder/$project/vendor/bin/phpunit",
        '--configuration', "$folder/php-adapter/phpunit.xml.dist",
        '--bootstrap', "$folder/$project/vendor/autoload.php",
        '--testsuite', 'sapi', '--do-not-cache-result',
        '--log-junit', "$folder/$project.xml");
    return "$code $output";
});

for my $project (@projects) {
    my ($code, $output) = split / /, shift @results, 2;
    my $xml = "$folder/$project.xml";
    is $code, 0, "$project: PHPUnit is content" or diag $output;
    my $psr = report($project, -e $xml ? slurp($xml) : '');
    cmp_ok $psr, '>=', 316, "$project: both PSR suites ran";
}
unlike slurp("$folder/error-$port.log"), qr/exit signal|has ended/,
    'nothing broke';

# The server is gone.
ok Site::stop($server), 'the server stops';
for my $project (@projects) {
    my ($code, $output) = run_command(Site::php(),
        '-d', 'extension=' . Site::extension(),
        '-d', "ephpm.kv_socket=unix:$sockets/$project",
        "$ENV{EPHPM_SRCDIR}/t/symfony/gone.php",
        "$folder/$project/vendor/autoload.php");
    my @said = split /\n/, $output;
    is $code, 0, "$project: a server that is gone ends no command";
    is scalar(@said), 19, '... and PHP warns once' or diag $output;
    like $said[18] // '', qr/^ephpm_kv_\w+\(\): .*\Q$sockets\E/,
        '... with the address';
    like $_, qr/: yes\z/, "$project: $_" for @said[0 .. 17];
}

done_testing;
