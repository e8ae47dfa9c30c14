#!/usr/bin/perl

# The adapter in front of Redis, a near cache: phpredis and a redis-server with
# nothing but a unix socket.

use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin qw($Bin);
use lib $Bin;
use POSIX qw(:sys_wait_h);
use Test::More;
use Site qw(checkout run_command slurp projects report wait_until);

my ($server) = grep { -x } map { "$_/redis-server" } split /:/,
    "$ENV{PATH}:/usr/bin:/usr/sbin";
plan skip_all => 'not installed: apt-get install redis-server' if !$server;
(run_command(Site::php(), '-r', 'new Redis;'))[0] == 0
    or plan skip_all => 'not installed: apt-get install php-redis';

my $run = tempdir('ephpm-redis-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $redis = fork() // die "fork: $!";
if ($redis == 0) {
    open STDIN, '<', '/dev/null' or POSIX::_exit(125);
    open STDOUT, '>', "$run/log" or POSIX::_exit(125);
    { no warnings 'exec'; exec $server, '--port', '0', '--unixsocket',
        "$run/socket", '--save', '', '--appendonly', 'no', '--dir', $run,
        '--daemonize', 'no'; }
    POSIX::_exit(126);
}
my $owner = $$;
END {
    my $status = $?;
    if ($redis && $$ == $owner) {
        kill 'TERM', $redis;
        waitpid $redis, 0;
    }
    $? = $status;
}
wait_until(60, sub { -S "$run/socket" || waitpid($redis, WNOHANG) == $redis });
-S "$run/socket" or die 'redis-server ended at once: ' . slurp("$run/log");

$ENV{REDIS_SOCKET} = "$run/socket";
my $folder = checkout(projects());
for my $project (projects()) {
    my ($code, $output) = run_command(Site::php(), '-d', 'zend.assertions=1',
        '-d', 'extension=' . Site::extension(),
        "$folder/$project/vendor/bin/phpunit",
        '--configuration', "$folder/php-adapter/phpunit.xml.dist",
        '--bootstrap', "$folder/$project/vendor/autoload.php",
        '--testsuite', 'redis', '--do-not-cache-result',
        '--log-junit', "$folder/$project.xml");
    is $code, 0, "$project: PHPUnit is content" or diag $output;
    report($project, -e "$folder/$project.xml" ? slurp("$folder/$project.xml") : '');
}

done_testing;
