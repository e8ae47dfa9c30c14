#!/usr/bin/perl
# The soak's client, against a server that fails in each way, and its judgement.

use strict;
use warnings;
use FindBin;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;

my $top;

BEGIN { $top = $ENV{EPHPM_SRCDIR} // "$FindBin::Bin/../.." }

use lib "$top/t/soak";
use Soak qw(ask page_is_right file_is_right filler unfair amid_none not_httpds
    creeps);

# --- a server: /WORD is what it does

my %answer = (
    good      => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
    close     => "HTTP/1.1 200 OK\r\nConnection: close\r\n"
        . "Content-Length: 4\r\n\r\ngood",
    chunks    => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        . "2\r\ngo\r\n2;x=y\r\nod\r\n0\r\n\r\n",
    error     => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    long      => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\ngood",
    nonsense  => "HTTP/1.1 200 OK\r\n\r\n",
    head      => "HTTP/1.1 200 OK\r\nContent-Le",
    body      => "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\ngood",
    empty     => "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n",
    chunk     => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        . "4\r\ngood\r\n",
    silent    => '',
    nothing   => '',
    reset     => '',
    'body-reset' => "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\ngood",
);

sub serve {
    my ($listen) = @_;
    local $/ = "\r\n\r\n";
    while (my $socket = $listen->accept) {
        while (defined(my $request = <$socket>)) {
            my ($word) = $request =~ m{^GET /([\w-]+)};
            print {$socket} $answer{$word};
            $socket->flush;
            if ($word eq 'silent') {
                # Until the client has gone.
                read $socket, my $byte, 1;
                last;
            }
            setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'll', 1, 0
                if $word =~ /reset/;
            last if $word !~ /^(?:good|chunks)$/
                || $request =~ /^Connection: close/m;
        }
        close $socket;
    }
}

my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
    or die "no free port: $!";
my $port = $listen->sockport;
my $server = fork() // die "fork: $!";
if ($server == 0) {
    $SIG{PIPE} = 'IGNORE';
    serve($listen);
    POSIX::_exit(0);
}
close $listen;

END {
    my $status = $?;
    kill 'KILL', $server if $server;
    waitpid $server, 0 if $server;
    $? = $status;
}

sub became {
    my ($word, $keep, $connection) = @_;
    my ($became, $said, $body) = ask($connection // {}, $port, "/$word", $keep);
    return $became eq 'answered' ? $body : $became;
}

is became('good', 0), 'good', 'an answer with its length';
is became('chunks', 0), 'good', '... in chunks';
is became('error', 0), 'status', 'another status';
is became('long', 0), 'body', 'more than the length';
is became('nothing', 0), 'closed', 'closed before the answer';
is became('reset', 0), 'reset', 'reset before the answer';
is became($_, 0), 'truncated', "truncated: $_"
    for qw(head body empty chunk nonsense body-reset);
{
    local $Soak::patience = 0.5;
    is became('silent', 0), 'silent', 'no answer';
}

my %kept;
is became('good', 1, \%kept), 'good', 'a connection is kept';
my $socket = $kept{socket};
is became('chunks', 1, \%kept), 'good', '... and serves another request';
is $kept{socket}, $socket, '... itself';
is became('nothing', 1, \%kept), 'stale', '... and is closed by the server';
is_deeply \%kept, {}, '... and given up';
is became('good', 1, \%kept), 'good', 'another one';
is became('reset', 1, \%kept), 'stale', '... is reset';
is became('good', 1, \%kept), 'good', 'another one';
is became('body', 1, \%kept), 'truncated', '... ends in the middle of an answer';
is became('close', 1, \%kept), 'good', 'one that the server will close';
is_deeply \%kept, {}, '... is not used again';
is became('good', 1, \%kept), 'good', 'another one';
is became('good', 0, \%kept), 'good', '... until the last request';
is_deeply \%kept, {}, '... is closed by the client';

kill 'KILL', $server;
waitpid $server, 0;
$server = 0;
is became('good', 0), 'refused', 'nobody listens';

# --- the answers

sub page {
    my ($all, $own, $number, $right) = @_;
    return "client 7 number $number all $all own $own $right\n"
        . filler($number);
}

sub said {
    my ($state, $lost, @page) = @_;
    return page_is_right(page(@page), 7, $page[2], $lost, $state);
}

my $state = {};
is said($state, 0, 5, 1, 0, 'right'), '', 'a first page';
is said($state, 0, 6, 2, 1, 'right'), '', '... and a second';
is said($state, 0, 9, 3, 16, 'right'), '', '... others count as well';
is said($state, 2, 12, 6, 17, 'right'), '', 'two lost, and counted';
is said($state, 4, 13, 7, 18, 'right'), '', 'two lost, and not counted';
is said($state, 6, 14, 9, 19, 'right'), '', 'two lost, and one of them counted';
like said({ %$state }, 6, 15, 11, 20, 'right'), qr/own count, 11 after 9/,
    'its own count leaves one out';
like said({ %$state }, 6, 15, 9, 20, 'right'), qr/own count, 9 after 9/,
    '... or stays';
like said({ %$state }, 8, 15, 13, 20, 'right'), qr/own count/,
    '... or counts more than what is lost';
like said({ %$state }, 6, 14, 10, 20, 'right'), qr/count of all, 14 after 14/,
    'the count of all stays';
like said({ %$state }, 6, 15, 10, 20, 'wrong'), qr/value in the store/,
    'another value in the store';
like page_is_right(page(15, 10, 20, 'right') . "\n", 7, 20, 6, { %$state }),
    qr/text/, 'more text';
like page_is_right(page(15, 10, 21, 'right'), 7, 20, 6, { %$state }),
    qr/another page/, 'the answer to another request';
is file_is_right(filler(5), 3), '', 'the small file';
is file_is_right(filler(0), 32), '', 'the large file';
isnt file_is_right(filler(5), 32), '', 'the other one';
isnt file_is_right(substr(filler(5), 1), 3), '', 'not all of it';

# --- the judgement

my %good = map { $_ => 0 } @Soak::KINDS;
is_deeply [ not_httpds({ %good, stale => 3 }) ], [], 'what httpd does';
for my $kind (grep { $_ ne 'stale' } @Soak::KINDS) {
    is_deeply [ not_httpds({ %good, $kind => 1 }) ], ["$kind 1"],
        "what httpd never does: $kind";
}
ok !unfair(@$_), "fair: $_->[0] and $_->[1]"
    for [ 0, 0 ], [ 0, 50 ], [ 32, 0 ], [ 53, 3 ], [ 60, 29 ], [ 137, 20 ],
    [ 1000, 500 ];
ok unfair(@$_), "unfair: $_->[0] and $_->[1]"
    for [ 33, 0 ], [ 54, 3 ], [ 138, 20 ], [ 1500, 300 ];
is_deeply [ amid_none([ [ a => 1, 2 ], [ b => 1, 4 ], [ c => 4.5, 4.6 ],
    [ d => 3, 9 ], [ e => 5.5, 6 ] ], [ [ 3, 5 ], [ 7, 8 ] ]) ], [qw(a e)],
    'connections in whose life was no restart';

ok !creeps(@$_), "does not creep: @$_"
    for [ (5) x 9 ], [ 1 .. 5, (6) x 6 ], [ 1 .. 5, (6) x 3, (99) x 4 ],
    [ reverse 1 .. 20 ];
ok creeps(@$_), "creeps: @$_"
    for [ 1 .. 20 ], [ (5) x 10, 6 .. 16 ], [ map { int $_ / 2 } 1 .. 20 ],
    [ map { int $_ / 3 } 1 .. 20 ];

done_testing;
