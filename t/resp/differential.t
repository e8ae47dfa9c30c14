#!/usr/bin/perl
# Random commands to redis-server and to a store of ours: every reply is the
# same.
#
#   RESP_SEED=N RESP_COMMANDS=N t/resp/differential.t
#
# Times are compared with a tolerance, keys without their order, and what
# Redis 7.0 lacks (DELIFEQ, SET ... IFEQ) with scripts of its own.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Resp;
use Test::More;
use Time::HiRes qw(sleep);

my $theirs = redis() or plan skip_all =>
    'redis-server is not installed: apt-get install redis-server';
my $ours = serve('64M');
my ($redis, $own) = map { connect_to($_) } $theirs, $ours;
my $seed = $ENV{RESP_SEED} // 20250101;
my $commands = $ENV{RESP_COMMANDS} // 12_000;
srand $seed;
note "seed $seed";

my ($version) = shown(request($redis, 'INFO', 'server'))
    =~ /redis_version:([\d.]+)/;
note "redis-server $version";

sub one_of { return $_[ rand @_ ] }

my @keys = ((map { "key:$_" } 1 .. 8), "bin\0\xff\r\n", 'other', 'x' x 300);
my @edges = qw(0 1 -1 5 10 100 9223372036854775807 -9223372036854775808
    9223372036854775808 -9223372036854775809 99999999999999999999 01 -0 +1
    0x10 1.5 1e3);

sub key { return one_of(@keys) }
sub number { return one_of(@edges, int rand 1000) }

sub value {
    my $kind = rand;
    return number() if $kind < 0.4;
    return join '', map { chr rand 256 } 1 .. rand 40 if $kind < 0.6;
    return one_of('x', 'y', 'text', '') x (1 + rand 3) if $kind < 0.95;
    return chr(97 + rand 26) x (rand 5000);
}

# Long enough that nothing expires while this runs, and each at least 1000 s
# from any other: GT and LT do not depend on how long this takes.
my $spaced = 0;
sub spaced { return 1000 * (100 + $spaced++ * 611_953 % 1_000_003) }

sub seconds {
    return spaced() if rand > 0.2;
    return one_of('0', '-1', '-100', 'x', '1.5', '', '9223372036854775807',
        '9223372036854775', '9223372036854776', '99999999999999999999');
}
sub ms { my $s = seconds(); return $s =~ /^\d{6,10}$/ ? $s * 1000 : $s }
sub at { my $s = seconds(); return $s =~ /^\d{6,10}$/ ? time + $s : $s }
sub at_ms { my $s = at(); return $s =~ /^\d{6,10}$/ ? $s * 1000 : $s }

sub expiry {
    return one_of(['EX', seconds()], ['PX', ms()], ['EXAT', at()],
        ['PXAT', at_ms()]);
}

sub set_options {
    my @options;
    for (1 .. rand 3) {
        push @options, one_of(['NX'], ['XX'], ['GET'], ['KEEPTTL'],
            expiry(), expiry(), ['EX'], ['PERSIST'], ['WHAT'], ['get'],
            ['nx']);
    }
    return map { @$_ } @options;
}

sub conditions { return map { one_of(qw(NX XX GT LT nx lt what)) } 1 .. rand 2.5 }

my %make = (
    SET      => sub { return ('SET', key(), value(), set_options()) },
    GET      => sub { return ('GET', key()) },
    SETEX    => sub { return ('SETEX', key(), seconds(), value()) },
    PSETEX   => sub { return ('PSETEX', key(), ms(), value()) },
    SETNX    => sub { return ('SETNX', key(), value()) },
    MGET     => sub { return ('MGET', map { key() } 1 .. 1 + rand 5) },
    MSET     => sub { return ('MSET', map({ (key(), value()) } 1 .. 1 + rand 4),
        rand > 0.9 ? key() : ()) },
    GETSET   => sub { return ('GETSET', key(), value()) },
    GETDEL   => sub { return ('GETDEL', key()) },
    GETEX    => sub { return ('GETEX', key(), rand > 0.3
        ? @{ one_of(expiry(), ['PERSIST'], ['persist', 'EX', 5], ['what'],
            ['EX', 5, 'PX', 5], ['EX', 100_000, 'EX', 200_000]) } : ()) },
    APPEND   => sub { return ('APPEND', key(), value()) },
    STRLEN   => sub { return ('STRLEN', key()) },
    INCR     => sub { return ('INCR', key()) },
    DECR     => sub { return ('DECR', key()) },
    INCRBY   => sub { return ('INCRBY', key(), number()) },
    DECRBY   => sub { return ('DECRBY', key(), number()) },
    DEL      => sub { return ('DEL', map { key() } 1 .. 1 + rand 3) },
    UNLINK   => sub { return ('UNLINK', map { key() } 1 .. 1 + rand 3) },
    EXISTS   => sub { return ('EXISTS', map { key() } 1 .. 1 + rand 3) },
    EXPIRE   => sub { return ('EXPIRE', key(), seconds(), conditions()) },
    PEXPIRE  => sub { return ('PEXPIRE', key(), ms(), conditions()) },
    EXPIREAT => sub { return ('EXPIREAT', key(), at(), conditions()) },
    TTL      => sub { return ('TTL', key()) },
    PTTL     => sub { return ('PTTL', key()) },
    PERSIST  => sub { return ('PERSIST', key()) },
    TYPE     => sub { return ('TYPE', key()) },
    RENAME   => sub { return ('RENAME', key(), key()) },
    KEYS     => sub { return ('KEYS', one_of('*', 'key:*', 'key:[1-4]', '?ey:?',
        'k*:*', '[^k]*', 'key:\\1', '*\\*', '[', '[a-', 'key:[8-3]', '**', '',
        'other', 'o\\ther', '*[!x]*', '*1*', 'key:[\\1]', '[]]*')) },
    DBSIZE   => sub { return ('DBSIZE') },
    PING     => sub { return ('PING', map { value() } 1 .. rand 3) },
    ECHO     => sub { return ('ECHO', value()) },
    SELECT   => sub { return ('SELECT', one_of(0, 0, 'x', '', 99, -1,
        '99999999999')) },
    FLUSH    => sub { return rand > 0.2 ? ('GET', key())
        : (one_of('FLUSHDB', 'FLUSHALL'), rand > 0.6
            ? one_of('ASYNC', 'sync', 'what') : ()) },
    SCAN     => sub { return ('SCAN', @{ one_of(['x'], ['1x'], [0, 'COUNT', 0],
        ['99999999999999999999'], [0, 'COUNT', 'x'], [0, 'MATCH'],
        [0, 'WHAT', 1], [0, 'COUNT', 1, 'MATCH']) }) },
    CLIENT   => sub { return ('CLIENT', @{ one_of(['GETNAME'],
        ['SETNAME', 'a-name'], ['SETNAME', 'with space'], ['what'],
        ['SETNAME', ''], ['GETNAME', 'x'], ['ID', 'x']) }) },
    AUTH     => sub { return ('AUTH', @{ one_of(['x'], ['user', 'x'],
        ['default', 'x'], ['a', 'b', 'c']) }) },
    HELLO    => sub { return ('HELLO', @{ one_of([4], [1], ['x'],
        [2, 'what'], [2, 'AUTH', 'user', 'x'], [3, 'SETNAME', 'a b']) }) },
    unknown  => sub { return one_of('NOSUCH', 'nosuch', '', 'GETS', "a\0b",
        'x' x 200), map { value() } 1 .. rand 4 },
    short    => sub { return one_of(qw(SET GET SETEX MGET MSET APPEND INCRBY
        EXPIRE RENAME KEYS SCAN ECHO TTL GETDEL GETEX TYPE DEL EXISTS
        SELECT CLIENT PSETEX SETNX)), map { key() } 1 .. rand 2 },
    long     => sub { return one_of(qw(GET SETNX SETEX STRLEN INCR DECRBY TTL
        PERSIST RENAME ECHO DBSIZE TIME GETSET APPEND TYPE)),
        map { key() } 1 .. 4 },
    IFEQ     => sub { return ('IFEQ', key(), value(), rand > 0.5,
        one_of([], [], ['KEEPTTL'], ['EX', 50_000], ['PX', 60_000_000])) },
    DELIFEQ  => sub { return ('DELIFEQ', key()) },
);
my @kinds = sort keys %make;

# IFEQ and DELIFEQ compare with what is there half of the time: redis's own
# answer says what that is.
sub compared {
    my ($key) = @_;
    my $now = request($redis, 'GET', $key);
    return $now->[0] eq '$' && rand > 0.4 ? $now->[1] : value();
}

my $delifeq = 'if redis.call("get", KEYS[1]) == ARGV[1] then '
    . 'return redis.call("del", KEYS[1]) else return 0 end';
my $ifeq = 'local old = redis.call("get", KEYS[1]) '
    . 'if old == ARGV[1] then redis.call("set", KEYS[1], ARGV[2], '
    . 'unpack(ARGV, 4)) end '
    . 'if ARGV[3] == "get" then return old end '
    . 'if old == ARGV[1] then return {ok = "OK"} end return false';

# What to send to redis, and what to us.
sub pair {
    my (@command) = @_;
    if ($command[0] eq 'DELIFEQ') {
        my $expected = compared($command[1]);
        return ([ 'EVAL', $delifeq, 1, $command[1], $expected ],
            [ 'DELIFEQ', $command[1], $expected ]);
    }
    if ($command[0] eq 'IFEQ') {
        my (undef, $key, $value, $get, $more) = @command;
        my $expected = compared($key);
        return ([ 'EVAL', $ifeq, 1, $key, $expected, $value,
            $get ? 'get' : 'no', @$more ], [ 'SET', $key, $value,
            ($get ? 'GET' : ()), 'IFEQ', $expected, @$more ]);
    }
    $command[0] = join '', map { rand > 0.5 ? uc : lc } split //, $command[0]
        if rand > 0.8;
    return ([@command], [@command]);
}

sub alike {
    my ($command, $a, $b) = @_;
    my $name = uc $command->[0];
    if ($name eq 'KEYS' && $a->[0] eq '*' && $b->[0] eq '*') {
        return join('|', sort map { $_->[1] } @$a[ 1 .. $#$a ])
            eq join('|', sort map { $_->[1] } @$b[ 1 .. $#$b ]);
    }
    if ($name =~ /^P?TTL$/ && $a->[0] eq ':' && $b->[0] eq ':'
        && $a->[1] > 0 && $b->[1] > 0)
    {
        my $tolerance = $name eq 'TTL' ? 60 : 60_000;
        return abs($a->[1] - $b->[1]) <= $tolerance;
    }
    return shown($a) eq shown($b);
}

for my $protocol (2, 3) {
    if ($protocol == 3) {
        is request($_, 'HELLO', 3)->[0], '%', 'HELLO 3' for $redis, $own;
    }
    my %seen;
    my $different = 0;
    for my $number (1 .. $commands / 2) {
        my $kind = one_of(@kinds);
        my ($first, $second) = pair($make{$kind}->());
        my $theirs = request($redis, @$first);
        my $mine = request($own, @$second);
        $seen{$kind}{ $theirs->[0] }++;
        next if alike($second, $theirs, $mine);
        $different++ < 10 and diag "RESP$protocol, command $number: ",
            join(' ', map { shown($_) } @$second),
            "\n  redis: ", shown($theirs), "\n  ours:  ", shown($mine);
    }
    is $different, 0, "RESP$protocol: " . int($commands / 2)
        . ' replies are the same';
    my @never = grep { !$seen{$_}{'-'} } qw(SET SETEX EXPIRE INCRBY unknown
        short long GETEX MSET SELECT);
    is "@never", '', '... errors among them';
}

# Everything that is there in the end.
my (undef, @list) = @{ request($redis, 'KEYS', '*') };
my @there = sort map { $_->[1] } @list;
cmp_ok scalar(@there), '>', 0, 'there is something in the end';
my ($wrong, $cursor, %found) = (0, 0);
do {
    my $step = request($own, 'SCAN', $cursor, 'COUNT', 3);
    $cursor = $step->[1][1];
    $found{ $_->[1] }++ for @{ $step->[2] }[ 1 .. $#{ $step->[2] } ];
} while ($cursor ne '0');
is join('|', map { shown($_) } sort keys %found),
    join('|', map { shown($_) } @there), 'SCAN finds what redis has';
is scalar(grep { $_ > 1 } values %found), 0, '... each key once';
for my $key (@keys) {
    $wrong++ if shown(request($redis, 'GET', $key))
        ne shown(request($own, 'GET', $key));
}
is $wrong, 0, 'every value is the same in the end';

# The same moment is neither later nor earlier, whenever the clocks tick.
my $moment = time + 5000;
$wrong = 0;
for (1 .. 60) {
    for my $step ([ 'SET', 'm', 'v', 'EXAT', $moment ],
        map { [ 'EXPIREAT', 'm', @$_ ] } [ $moment, 'GT' ], [ $moment, 'LT' ],
        [ $moment + 1, 'GT' ], [ $moment + 1, 'LT' ], [ $moment, 'LT' ])
    {
        $wrong++ if shown(request($redis, @$step))
            ne shown(request($own, @$step));
        sleep 0.001;
    }
}
is $wrong, 0, 'EXPIREAT GT and LT, with the moment that there is';

# Expiry.
for my $set ([ 'SET', 'e', 'v', 'PX', 30 ], [ 'PSETEX', 'e', 30, 'v' ],
    [ 'SET', 'e', 'v', 'PXAT', int(1000 * Time::HiRes::time()) + 30 ])
{
    request($_, @$set) for $redis, $own;
    sleep 0.1;
    is shown(request($own, @$_)), shown(request($redis, @$_)),
        "after @$set[0, 3]: @$_"
        for [ 'GET', 'e' ], [ 'TTL', 'e' ], [ 'EXISTS', 'e' ],
        [ 'INCR', 'e' ], [ 'DEL', 'e' ];
}

# Bytes as they are on the wire, up to the end of the connection.
my $get = frame('GET', 'raw');
for my $raw (
    "PING\r\n", "ping\n", "  PING  \r\n", "\r\n\r\nPING\r\n", "PING hello\r\n",
    "ECHO \"a b\"\r\n", "ECHO 'a b'\r\n", "ECHO \"a\\x41\\n\\\"b\"\r\n",
    "ECHO 'it\\'s'\r\n", "ECHO \"open\r\n", "ECHO \"a\"b\r\n", "ECHO ''\r\n",
    "ECHO a\"b c\"\r\n", "SET raw 1\r\nGET raw\r\n", "*0\r\nPING\r\n",
    "*-1\r\nPING\r\n", "*1\r\n\$4\r\nPING\r\n", "*x\r\n", "*99999999999\r\n",
    "*1\r\n:1\r\n", "*1\r\n\$-1\r\n", "*1\r\n\$x\r\n", "*1\r\n*1\r\n",
    "*1\r\n\$1099511627776\r\n", "*2\r\n\$3\r\nGET\r\n+x\r\n", "$get$get$get",
    "QUIT\r\nPING\r\n", "*1\r\n\$0\r\n\r\n", "PING\r\n*1\r\n\$4\r\nPING\r\n",
    "*01\r\n\$4\r\nPING\r\n", "*1\r\n\$04\r\nPING\r\n", "*+1\r\n", "*\r\n",
    "*1\r\n\$\r\n", 'A' x 70_000,
    )
{
    my ($first, $second) = map {
        my $socket = connect_to($_);
        Resp::send_all($socket, $raw);
        shutdown $socket, 1;
        read_rest($socket);
    } $theirs, $ours;
    is shown($second), shown($first), 'raw: ' . shown(substr $raw, 0, 40);
}

my ($status, $said) = Resp::end($ours);
is $status, 0, 'the store is whole' or diag $said;
done_testing;
