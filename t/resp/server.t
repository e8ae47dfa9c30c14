#!/usr/bin/perl
# The event loop: clients that are slow, many, idle or hostile cost their own
# connection only.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Resp;
use Test::More;
use Time::HiRes qw(time sleep);

my $server = serve('32M', 'clients=300', 'idle=2', 'password=secret');
is sprintf('%04o', (stat $server->{socket})[2] & 07777), '0600',
    'the socket has its mode';

sub client {
    my ($to) = @_;
    my $socket = connect_to($to // $server);
    request($socket, 'AUTH', 'secret');
    return $socket;
}

my $client = client();
is shown(request($client, 'SET', 'k', 'v' x 100_000)), '+[OK]', 'a client';

# One that asks for much and takes nothing, while another is served.
my $slow = client();
my $sent = 0;
{
    $slow->blocking(0);
    local $SIG{PIPE} = 'IGNORE';
    my $ask = frame('GET', 'k') x 1000;
    my $until = time + 1;
    while (time < $until) {
        my $count = syswrite $slow, $ask;
        if ($count) { $sent += $count } else { sleep 0.01 }
    }
}
cmp_ok $sent, '<', 50_000_000, 'who takes no answers is not read for ever';
my $begin = time;
request($client, 'GET', 'k') for 1 .. 50;
cmp_ok time - $begin, '<', 30, '... and others are served meanwhile';
my ($status) = split ' ', memory($server);
cmp_ok $status, '<', 200_000, "... in $status kB";

sub memory {
    my ($of) = @_;
    open my $in, '<', "/proc/$of->{pid}/status" or return 0;
    my ($rss) = join('', <$in>) =~ /^RssAnon:\s+(\d+)/m;
    return $rss // 0;
}

# One that is gone in the middle of its answers.
my $gone = client();
Resp::send_all($gone, frame('GET', 'k') x 100);
close $gone;
is shown(request($client, 'PING')), '+[PONG]', 'one goes without its answers';

# One that has said all it has to say still gets its answers.
my $half_closed = client();
Resp::send_all($half_closed, frame('GET', 'k') x 30);
shutdown $half_closed, 1;
is length read_rest($half_closed), 30 * (100_000 + length "\$100000\r\n\r\n"),
    'who ends its side gets its answers';

# What a web page has a browser send to it is not run.
for my $http ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET owned 1\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nSET owned 1\r\n")
{
    my $browser = client();
    Resp::send_all($browser, $http);
    like read_rest($browser), qr/\A(?:-ERR [^\r]+\r\n)+\z/,
        'a request of HTTP closes its connection';
    is shown(request($client, 'GET', 'owned')), 'null[]', '... and runs nothing';
}

# One that asks at once for what takes long.
for my $hundred (0 .. 199) {
    request($client, 'MSET', map { ("key:$hundred:$_", 'v') } 0 .. 99);
}
my $hog = client();
Resp::send_all($hog, "KEYS nothing*\r\n" x 400);
sleep 0.02;
is shown(request($client, 'PING')), '+[PONG]', 'many long commands at once';
$hog->blocking(0);
my $answered = 0;
while (sysread $hog, my $piece, 65536) { $answered += length $piece }
cmp_ok $answered, '<', 400 * 4, '... and others have their turn meanwhile';
$hog->blocking(1);
while ($answered < 400 * 4) {
    sysread $hog, my $piece, 65536 or last;
    $answered += length $piece;
}
is $answered, 400 * 4, '... which are all answered';

# Half a request, and nothing: closed, while one that talks stays.
my $half = client();
Resp::send_all($half, "*2\r\n\$3\r\nGET\r\n\$1");
my $other = client();
my $closed = 0;
my $end = time + Resp::PATIENCE;
while (time < $end) {
    request($other, 'PING');
    if (IO::Select->new($half)->can_read(0)) {
        $closed = !sysread $half, my $rest, 100;
        last;
    }
    sleep 0.05;
}
ok $closed, 'half a request is closed after the idle time';
is shown(request($other, 'PING')), '+[PONG]', '... who talks is not';

# More clients than there may be.
my @many = map { connect_to($server) } 1 .. 320;
my @refused = grep {
    my $socket = $_;
    IO::Select->new($socket)->can_read(0.01)
        && read_rest($socket) =~ /max number of clients reached/;
} @many[ 290 .. 319 ];
cmp_ok scalar(@refused), '>=', 10, 'clients past the limit are refused';
undef @many;
ok wait_until(sub {
    my $socket = connect_to($server);
    return request($socket, 'AUTH', 'secret')->[0] eq '+';
}), '... and admitted when others have gone';

# A wrong password a thousand times, and wrong lengths.
my $stranger = connect_to($server);
my $wrong = 0;
$wrong += request($stranger, 'AUTH', "guess $_")->[1] =~ /^WRONGPASS/
    for 1 .. 1000;
is $wrong, 1000, 'a wrong password a thousand times';
for my $bytes ("*1\r\n\$1073741824\r\n", "*1\r\n*1\r\n*1\r\n", "\$\r\n" x 10,
    "\0" x 100_000, "*1048577\r\n")
{
    my $hostile = connect_to($server);
    Resp::send_all($hostile, $bytes);
    shutdown $hostile, 1;
    read_rest($hostile);
}
$client = client();
is shown(request($client, 'STRLEN', 'k')), ':[100000]', 'the store is served';
my ($code, $said) = Resp::end($server);
is $code, 0, 'it ends when it is told to, and the store is whole'
    or diag $said;
like $said, qr/auth_failures=1000/, '... and has counted';
ok !kill(0, $server->{pid}), '... and is gone';

# It leaves in good order.
{
    my $old = serve('8M');
    my ($idle, $busy) = map { connect_to($old) } 1, 2;
    request($_, 'PING') for $idle, $busy;
    kill 'QUIT', $old->{pid};
    # Where this process had to wait for a second itself, nothing can be said.
    my ($cut, $asked, $closed) = (0, time);
    my $ask = sub {
        my ($before, $now) = ($asked, time);
        $asked = $now;
        $cut ||= request($busy, 'PING')->[0] ne '+' && $now - $before < 1;
    };
    ok wait_until(sub {
        $ask->();
        $closed ||= IO::Select->new($idle)->can_read(0)
            && !sysread $idle, my $rest, 100;
        return $closed;
    }), 'who is idle is closed when it drains';
    $ask->() for 1 .. 100;
    ok !$cut, '... who is not is served';
    ok !IO::Socket::UNIX->new(Peer => $old->{socket}), '... nobody is admitted';
    ok wait_until(sub {
        open my $in, '<', "/proc/$old->{pid}/stat" or return 0;
        return scalar(<$in>) =~ /^\d+ \(.*\) Z/;
    }), '... and it ends by itself';
    my ($code, $said) = Resp::end($old);
    is $code, 0, '... well' or diag $said;
    is scalar(sysread $busy, my $rest, 100), 0, '... with its last client';
}

# A socket file that was left is replaced, one in use is not.
{
    my $first = serve('8M');
    my $program = ($ENV{EPHPM_BUILDDIR} // '.') . '/t/resp/resp_serve';
    my $again = `'$program' unix:$first->{socket} 8M 2>&1`;
    like $again, qr/Address already in use/, 'a socket in use is not taken';
    Resp::kill_now($first);
    my $pid = open my $second, '-|', $program, "unix:$first->{socket}", '8M';
    is scalar(<$second>), "ready\n", 'one that was left is';
    kill 'TERM', $pid;
    close $second;

    for my $address ('0.0.0.0:0', '[::]:0', '192.0.2.1:0') {
        like `'$program' $address 8M 2>&1`,
            qr/has no password: set one, or listen on 127\.0\.0\.1/,
            "$address: refused without a password";
    }
    like `'$program' $_ 8M 2>&1`, qr/is no address/, "$_: no address"
        for 'nowhere', ':1', '127.0.0.1:', '127.0.0.1:http:', 'example.org:1',
        '127.0.0.1:70000', '127.0.0.1:-1', '127.0.0.1:+1';
}

done_testing;
