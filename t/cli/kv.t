#!/usr/bin/perl
# ephpm kv: a running server's store from the shell.

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../resp/lib";
use Cli qw(ephpm run spew slurp scratch free_port);
use IO::Socket::UNIX;
use Resp;
use Test::More;

-x ephpm() or plan skip_all => 'configured --without-cli: no ephpm';

my $tmp = scratch();
my $server = serve('16M');
my $address = "unix:$server->{socket}";

# kv(LIST) -> exit code, stdout, stderr
sub kv { return run(ephpm(), 'kv', '--socket', $address, @_) }

# The same with $input on standard input.
sub kv_from {
    my ($input, @command) = @_;
    my $file = spew("$tmp/input", $input);
    return run('/bin/sh', '-c', 'in=$1; shift; exec "$@" <"$in"', 'sh', $file,
        ephpm(), 'kv', '--socket', $address, @command);
}

is_deeply [kv(qw(get k))], [1, '', ''], 'get: none';
is_deeply [kv(qw(ttl k))], [1, "-2\n", ''], 'ttl: none';
is_deeply [kv(qw(set k v))], [0, '', ''], 'set';
is_deeply [kv(qw(get k))], [0, 'v', ''], 'get';
is_deeply [kv(qw(ttl k))], [0, "-1\n", ''], 'ttl: it does not expire';
is_deeply [kv(qw(set --ttl 1000 k w))], [0, '', ''], 'set --ttl';
is_deeply [kv(qw(get k))], [0, 'w', ''], '... the value';
like [kv(qw(ttl k))]->[1], qr/\A(?:1000|9\d\d)\n\z/, '... and the time';
is_deeply [kv('set', '--', '--odd', '')], [0, '', ''], 'a key with dashes';
is_deeply [kv('get', '--', '--odd')], [0, '', ''], '... an empty value';

my $bytes = join '', map { chr } 0 .. 255;
is_deeply [kv_from($bytes x 5000, 'set', 'bytes')], [0, '', ''],
    'a value of any bytes from standard input';
my @got = kv('get', 'bytes');
is $got[0], 0, '... comes back';
ok $got[1] eq $bytes x 5000, '... byte for byte';
is_deeply [kv_from('', 'set', 'empty')], [0, '', ''], 'nothing on input';
is_deeply [kv('get', 'empty')], [0, '', ''], '... is an empty value';

is_deeply [kv('del', '--', 'k', 'none', 'bytes', 'empty', '--odd')],
    [0, "4\n", ''], 'del';

my $client = connect_to($server);
request($client, 'SET', $_, 'v') for 'a*1', 'a*2', 'ab', "a*\n\0", map { "many $_" } 1 .. 3000;
is join('|', sort split /(?<=\0)/, [kv(qw(scan --null --prefix), 'a*')]->[1]),
    join('|', sort split /(?<=\0)/, join '', map { "$_\0" } 'a*1', 'a*2', "a*\n\0"),
    'scan: the prefix is no pattern';
is scalar(() = [kv('scan')]->[1] =~ /^many \d+$/mg), 3000, 'scan: all keys';
is_deeply [kv(qw(scan --prefix none))], [0, '', ''], 'scan: none';
is_deeply [kv(qw(del --prefix), 'a*')], [0, "3\n", ''], 'del --prefix';
is_deeply [kv('get', 'ab')], [0, 'v', ''], '... and no other';

my ($code, $out, $err) = kv('stats');
is $code, 0, 'stats';
like $out, qr/^entries +3001$/m, '... its entries';
like $out, qr/^limit_bytes +16777216$/m, '... its size';
is_deeply [kv('flush')], [0, '', ''], 'flush';
is_deeply [kv('scan')], [0, '', ''], '... leaves nothing';

# What the store does not take.
($code, $out, $err) = kv('set', '', 'v');
is $code, 65, 'an empty key: status';
like $err, qr/\Aephpm: \Q$address\E: the server answered: ERR a key has 1 to 65535 bytes\n\z/,
    '... says why';
($code, $out, $err) = kv_from('x' x (12 << 20), 'set', 'k');
is $code, 65, 'a value that can never fit: status';
like $err, qr/the value has 12582912 bytes; the limit of this store is \d+ bytes\n\z/,
    '... says why';

# Output that cannot be written.
SKIP: {
    skip 'there is no /dev/full', 1 unless -c '/dev/full';
    request($client, 'SET', 'k', 'v');
    ($code) = run('/bin/sh', '-c', 'exec "$@" >/dev/full', 'sh', ephpm(), 'kv',
        '--socket', $address, 'get', 'k');
    is $code, 74, 'output that cannot be written';
}

# The command line.
my %wrong = (
    ''                     => qr/say what to do/,
    'incr k'               => qr/kv has no command incr/,
    'get'                  => qr/a key is missing after get/,
    'get a b'              => qr/too many arguments: b/,
    'set'                  => qr/a key is missing after set/,
    'set a b c'            => qr/too many arguments: c/,
    'set --ttl'            => qr/a value is missing after --ttl/,
    'set --ttl 0 k v'      => qr/--ttl is a number of seconds, at least 1, not 0/,
    'set --ttl -5 k v'     => qr/--ttl is a number of seconds/,
    'set --ttl 5s k v'     => qr/--ttl is a number of seconds/,
    'get --ttl 5 k'        => qr/kv get has no option --ttl/,
    'scan k'               => qr/too many arguments: k/,
    'scan --prefix p k'    => qr/--prefix stands for the keys; it goes without k/,
    'del --prefix p k'     => qr/--prefix stands for the keys/,
    'flush --prefix p'     => qr/kv flush has no option --prefix/,
    'flush now'            => qr/too many arguments: now/,
    '--timeout 0 stats'    => qr/--timeout is a number of seconds, 1 to 3600/,
    '--no-such-thing'      => qr/unknown option --no-such-thing/,
);
for my $line (sort keys %wrong) {
    ($code, $out, $err) = kv(split ' ', $line);
    is $code, 64, "'$line': status";
    like $err, $wrong{$line}, '... says what is wrong';
    like $err, qr/^usage: ephpm kv /m, '... and how it goes';
}
is_deeply [kv('get', 'k')], [0, 'v', ''], '... and nothing was done';
($code, $out) = run(ephpm(), 'kv', '--help');
is $code, 0, '--help';
like $out, qr/\Ausage: ephpm kv .*--password-file FILE/s, '... helps';

# Who is not there.
my $port = free_port();
my @unreached = (
    ["unix:$tmp/none.sock", 69, qr/: No such file or directory; is the server running/],
    ["$tmp/none.sock", 69, qr/: No such file or directory; is the server running/],
    ["127.0.0.1:$port", 69, qr/: Connection refused; is the server running/],
    ['kv.sock', 64, qr/: this is no address: give unix:\/PATH or HOST:PORT/],
);
for my $case (@unreached) {
    my ($to, $status, $says) = @$case;
    ($code, $out, $err) = run(ephpm(), 'kv', '--socket', $to, 'get', 'k');
    is $code, $status, "$to: status";
    like $err, qr/\Aephpm: \Q$to\E$says/, '... says why';
}
{
    my $path = "$tmp/silent.sock";
    my $silent = IO::Socket::UNIX->new(Local => $path, Listen => 1)
        or die "$path: $!";
    ($code, $out, $err) = run(ephpm(), 'kv', '--socket', "unix:$path",
        '--timeout', 1, 'set', 'k', 'v');
    is $code, 75, 'one that says nothing: status';
    like $err, qr/no answer in 1 s; --timeout gives it longer; the change may have been made\n\z/,
        '... says so';
}

# Passwords.
my $locked = serve('8M', 'password=s3cret');
my @locked = (ephpm(), 'kv', '--socket', "unix:$locked->{socket}");
my $right = spew("$tmp/right", "s3cret\n");
is_deeply [run(@locked, '--password-file', $right, 'set', 'k', 'v')],
    [0, '', ''], 'a password';
is_deeply [run(@locked, '--password-file', spew("$tmp/bare", 's3cret'), 'get', 'k')],
    [0, 'v', ''], '... without a line\'s end';
my @refused = (
    ['none', 77, qr/a password is asked for; --password-file names/],
    ['another', 77, qr/the password is wrong; --password-file names/,
        '--password-file', spew("$tmp/wrong", "guess\n")],
    ['a file that is not there', 66, qr/the password's file \S+: No such file/,
        '--password-file', "$tmp/no-such"],
    ['an empty file', 66, qr/the password's file \S+: it is empty/,
        '--password-file', spew("$tmp/empty", "\n")],
);
for my $case (@refused) {
    my ($name, $status, $says, @options) = @$case;
    ($code, $out, $err) = run(@locked, @options, 'get', 'k');
    is $code, $status, "a wrong password: $name";
    like $err, $says, '... says so';
    is $out, '', '... and tells nothing';
}

for my $ended ($server, $locked) {
    ($code, my $said) = Resp::end($ended);
    is $code, 0, 'the store is whole' or diag $said;
}

done_testing;
