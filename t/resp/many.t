#!/usr/bin/perl
# Thousands of connections, and more than there are descriptors.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Resp;
use Test::More;
use Time::HiRes qw(time sleep);

# This process holds the other ends.
unless ($ENV{RESP_MANY}) {
    $ENV{RESP_MANY} = 1;
    exec 'sh', '-c', 'ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec "$0" "$@"',
        $^X, $0;
}
my $files = `sh -c 'ulimit -n'`;
$files = 1e6 unless $files =~ /^\d+$/;
my $many = $files >= 3300 ? 3000 : int($files * 0.8);

sub cpu_seconds {
    my ($server) = @_;
    open my $in, '<', "/proc/$server->{pid}/stat" or return 0;
    my @of = split ' ', scalar(<$in>) =~ s/.*\) //sr;
    return ($of[11] + $of[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub anonymous_kb {
    my ($server) = @_;
    open my $in, '<', "/proc/$server->{pid}/status" or return 0;
    return join('', <$in>) =~ /^RssAnon:\s+(\d+)/m ? $1 : 0;
}

# Each says something, and stays.
my $server = serve('16M');
my $before = anonymous_kb($server);
my @clients = map { connect_to($server) } 1 .. $many;
is scalar(@clients), $many, "$many connections";
my $bad = 0;
for my $number (0 .. $#clients) {
    Resp::send_all($clients[$number], frame('SET', "key:$number", $number));
}
for my $number (0 .. $#clients) {
    $bad++ if shown(Resp::read_reply($clients[$number])) ne '+[OK]';
}
is $bad, 0, '... all answered';
Resp::send_all($_, "*2\r\n\$3\r\nGET\r\n\$10\r\n") for @clients;
is shown(request(connect_to($server), 'DBSIZE')), ":[$many]",
    '... and one more while they are in the middle of a request';
# ASan's own memory is not the server's.
cmp_ok anonymous_kb($server) - $before, '<', 100 * $many,
    '... for little memory each' unless $ENV{RESP_UNDER}
    || `ldd '@{[ ($ENV{EPHPM_BUILDDIR} // '.') ]}/t/resp/resp_serve' 2>&1`
        =~ /asan|tsan/;
@clients = ();
ok wait_until(sub {
    return shown(request(connect_to($server), 'INFO', 'clients'))
        =~ /connected_clients:1\b/;
}), '... which go again';
my ($status, $said) = Resp::end($server);
is $status, 0, 'the store is whole' or diag $said;

# More than the server has descriptors.  Those that it cannot take wait, and
# it does not spin.
my $few = Resp::serve_with_files(60, '8M');
my @first = map { connect_to($few) } 1 .. 20;
is scalar(grep { shown(request($_, 'PING')) eq '+[PONG]' } @first), 20,
    'clients of a server with few descriptors';
my @later = map { connect_to($few) } 1 .. 100;
Resp::send_all($_, frame('PING')) for @later;
sleep 1;
my $used = cpu_seconds($few);
my $begin = time;
sleep 2;
cmp_ok cpu_seconds($few) - $used, '<', 0.5 * (time - $begin),
    'no descriptors left: it waits';
is scalar(grep { shown(request($_, 'PING')) eq '+[PONG]' } @first), 20,
    '... and serves those that it has';
my $served = 0;
while (my $client = shift @later) {
    # Each one that goes makes room for one that waits.
    $served += shown(Resp::read_reply($client)) eq '+[PONG]';
}
is $served, 100, '... and the others when there are some again';
($status, $said) = Resp::end($few);
is $status, 0, 'the store is whole' or diag $said;

done_testing;
