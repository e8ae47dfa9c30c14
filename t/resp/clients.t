#!/usr/bin/perl
# What people use: redis-cli, redis-benchmark, phpredis and Predis.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Resp;
use Test::More;

my $build = $ENV{EPHPM_BUILDDIR} // '.';
my $php   = $ENV{PHP} || 'php';

sub is_installed {
    my ($program) = @_;
    return grep { -x "$_/$program" } split(/:/, $ENV{PATH}), '/usr/bin';
}

my $server = serve('16M', 'password=secret');
my $tcp = Resp::serve_tcp('16M', 'password=secret');

# What a command writes on both outputs, without its last line's end.
sub said {
    my ($input, @command) = @_;
    my $command = join ' ', map { s/'/'\\''/gr =~ s/(.*)/'$1'/sr } @command;
    my $file = "$server->{said}.input";
    open my $out, '>', $file or die "$file: $!";
    print $out $input;
    close $out or die $!;
    my $said = `$command 2>&1 <'$file'`;
    chomp $said;
    return $said;
}

SKIP: {
    is_installed('redis-cli')
        or skip 'redis-cli is not installed: apt-get install redis-tools', 1;
    for my $of ([ 'a unix socket', '-s', $server->{socket} ],
        [ 'TCP', '-h', '127.0.0.1', '-p', $tcp->{port} ])
    {
        my ($over, @where) = @$of;
        my @cli = ('redis-cli', @where, '--pass', 'secret',
            '--no-auth-warning');
        like said('', 'redis-cli', @where, 'ping'), qr/^NOAUTH/,
            "redis-cli over $over: the password is asked for";
        is said('', @cli, 'ping'), 'PONG', '... and taken';
        is said('a value', @cli, '-x', 'set', 'key'), 'OK', '... -x';
        is said('', @cli, '-3', 'get', 'key'), 'a value', '... -3';
        is said('', @cli, '-3', 'get', 'none'), '', '... null of RESP3';
        is said('', @cli, '--csv', 'mget', 'key', 'none'), '"a value",NULL',
            '... --csv';
        is said("set a 1\nincr a\nget \"a\"\n", @cli), "OK\n2\n2",
            '... commands from a file';
        is said('', @cli, '-r', 3, 'incr', 'a'), "3\n4\n5", '... -r';
        my $mass = join '', map { Resp::frame('SET', "mass:$_", $_ x 10) }
            1 .. 2000;
        like said($mass, @cli, '--pipe'), qr/errors: 0, replies: 2000/,
            '... --pipe';
        my @keys = split /\n/, said('', @cli, '--scan', '--pattern', 'mass:*');
        is scalar(@keys), 2000, '... --scan';
        my $big = said('', @cli, '--bigkeys');
        like $big, qr/2002 strings with \d+ bytes/, '... --bigkeys'
            or diag $big;
        like said('', @cli, 'info', 'server'), qr/^redis_version:\d/m,
            '... info';
        like said('', @cli, 'nosuch'), qr/^ERR unknown command 'nosuch'/,
            '... an error';
        is said('', @cli, 'flushall'), 'OK', '... flushall';
    }
}

SKIP: {
    is_installed('redis-benchmark') or skip
        'redis-benchmark is not installed: apt-get install redis-tools', 1;
    my $report = said('', 'redis-benchmark', '-s', $server->{socket}, '-a',
        'secret', '-t', 'ping,set,get,incr,mset', '-n', 2000, '-P', 16, '-c',
        20, '-r', 1000, '-e', '--csv');
    unlike $report, qr/Error from server/, 'redis-benchmark: no errors';
    my @rates = $report =~ /^"([^"]+)","[1-9][\d.]*"/mg;
    is join(' ', map { /(\w+)/ } @rates),
        'PING_INLINE PING_MBULK SET GET INCR MSET', '... all tests'
        or diag $report;
}

SKIP: {
    system("'$php' -r 'exit((int) !extension_loaded(\"redis\"));' 2>/dev/null")
        == 0 or skip 'phpredis is not installed: apt-get install php-redis', 1;
    is said('', $php, "$FindBin::Bin/clients/phpredis.php",
        $server->{socket}, $tcp->{port}), 'all is as it should be', 'phpredis';
}

SKIP: {
    my $autoload = "$build/t/resp/predis/vendor/autoload.php";
    -e $autoload
        or skip 'Predis is not installed: t/resp/install BUILDDIR', 1;
    is said('', $php, "$FindBin::Bin/clients/predis.php", $autoload,
        $server->{socket}, $tcp->{port}), 'all is as it should be', 'Predis';
}

for my $of ($server, $tcp) {
    my ($status, $said) = Resp::end($of);
    is $status, 0, 'the store is whole' or diag $said;
    like $said, qr/ protocol_errors=0 /, '... and nobody broke the protocol'
        or diag $said;
}
done_testing;
