#!/usr/bin/perl
# ephpm.kv_socket: the functions act on the store behind a listener with the
# results that they have on a store of their own.

use strict;
use warnings;
use File::Basename qw(basename);
use File::Temp qw(tempdir);
use FindBin;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../resp/lib";
use Ports qw(free_port);
use Resp;
use Test::More;
use Time::HiRes qw(sleep time);

my $build = $ENV{EPHPM_BUILDDIR} // '.';
my $module = "$build/php-embed/.libs/ephpm.so";
my $folder = ($ENV{EPHPM_SRCDIR} // '.') . '/t/scripts';
my $php = $ENV{PHP} || 'php';
my $tmp = tempdir(CLEANUP => 1);
my ($scripts, $strangers) = (0, 0);

-x $php || $php !~ m{/}
    or plan skip_all => "PHP's command line ($php) is not installed";
-f $module or plan skip_all => 'configured without PHP: no ephpm.so';

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or die "$file: $!";
    local $/;
    return scalar(<$in>) // '';
}

sub spew {
    my ($file, $text) = @_;
    open my $out, '>:raw', $file or die "$file: $!";
    print $out $text;
    close $out or die "$file: $!";
    return $file;
}

sub command {
    my ($socket, @options) = @_;
    return ($php, '-n', '-d', "extension=$module", '-d', 'html_errors=0',
        '-d', 'log_errors=0', '-d', "ephpm.kv_socket=$socket", @options);
}

# Begin a script, and its output to come.
sub begin {
    my ($code, $socket, @options) = @_;
    my $file = spew("$tmp/script-" . ++$scripts . '.php',
        "<?php\n$code\n");
    my @command = (command($socket, @options), $file);
    open my $out, '-|', @command or die "$php: $!";
    return $out;
}

sub finish {
    my ($out) = @_;
    local $/;
    my $text = <$out> // '';
    close $out;
    return $? ? "$text(ended with status $?)" : $text;
}

sub php { return finish(begin(@_)) }

# --- the scripts that a store of one's own passes

my %not_here = (
    'wait'             => 'there is no waiting through a socket',
    'session'          => 'sessions are kept where the store is',
    'session-lock'     => 'the same',
    'session-store'    => 'the same',
    'no-store'         => 'is about a PHP without any',
    'no-store-handler' => 'the same',
    'phpinfo'          => 'says where the store is',
);

my $server = serve('32M');
my $address = "unix:$server->{socket}";
my @names = grep { !$not_here{$_} }
    map { basename($_, '.expect') } glob "$folder/*.expect";
cmp_ok scalar(@names), '>', 25, 'there are scripts';
for my $name (@names) {
    open my $out, '-|', command($address), "$folder/$name.php"
        or die "$php: $!";
    is finish($out), slurp("$folder/$name.expect"), "$name, through a socket";
}

# --- what scripts do not think of: random calls, here and there

my $random = <<'PHP';
mt_srand((int) $argv[1]);
set_error_handler(static function (int $level, string $message): bool {
    echo "Warning: $message\n";
    return true;
});
$one = static fn(array $of) => $of[mt_rand(0, count($of) - 1)];
$keys = ['a', 'ab', 'abc', "a\0", "\xff\r\n", '*', 'a*', '[a]', '\\', '0', '-5', str_repeat('k', 65_535), '', str_repeat('k', 65_536)];
$values = ['', 'x', '0', '1', '-1', '007', '9223372036854775807', '-9223372036854775808', "bin\0\xff\r\n", '$-1', str_repeat('y', 70_000), str_repeat('z', 300_000)];
$ttls = [0, 0, -1, PHP_INT_MIN, 100_000, 1_000_000, PHP_INT_MAX];
$deltas = [0, 1, -1, 1000, PHP_INT_MAX, PHP_INT_MIN];
$prefixes = ['', 'a', 'ab', '*', '[', '\\', "a\0", 'none', '-'];
// Time goes by meanwhile.
$coarse = static fn(int $left, int $unit): string => $left <= 0 ? (string) $left
    : ($left > 2_000_000 * $unit ? 'long' : (string) round($left / (50_000 * $unit)));
$scan = static function (string $prefix, int $count): string {
    for ($all = [], $cursor = 0; ;) {
        [$cursor, $found] = ephpm_kv_scan($cursor, $prefix, $count);
        $all = [...$all, ...$found];
        if ($cursor === 0) {
            sort($all, SORT_STRING);
            return implode(',', array_map(static fn($key) => strlen($key) > 99 ? strlen($key) : bin2hex($key), $all));
        }
    }
};
$calls = [
    'get' => fn() => ephpm_kv_get($one($keys)),
    'set' => fn() => ephpm_kv_set($one($keys), $one($values), $one($ttls)),
    'setnx' => fn() => ephpm_kv_setnx($one($keys), $one($values), $one($ttls)),
    'del' => fn() => ephpm_kv_del($one($keys)),
    'exists' => fn() => ephpm_kv_exists($one($keys)),
    'incr' => fn() => ephpm_kv_incr($one($keys)),
    'decr' => fn() => ephpm_kv_decr($one($keys)),
    'incr_by' => fn() => ephpm_kv_incr_by($one($keys), $one($deltas)),
    'expire' => fn() => ephpm_kv_expire($one($keys), $one($ttls)),
    'ttl' => fn() => $coarse(ephpm_kv_ttl($one($keys)), 1),
    'pttl' => fn() => $coarse(ephpm_kv_pttl($one($keys)), 1000),
    'getdel' => fn() => ephpm_kv_getdel($one($keys)),
    'setifeq' => fn() => ephpm_kv_setifeq($one($keys), $one($values), $one($values), $one($ttls)),
    'delifeq' => fn() => ephpm_kv_delifeq($one($keys), $one($values)),
    'mget' => fn() => ephpm_kv_mget(array_map(fn() => $one($keys), range(1, mt_rand(1, 70)))),
    'mset' => fn() => ephpm_kv_mset(array_combine($some = array_map(fn() => $one($keys), range(1, mt_rand(1, 40))),
        array_map(fn() => $one($values), $some)), $one($ttls)),
    'scan' => fn() => $scan($one($prefixes), $one([1_000, 100_000, PHP_INT_MAX])),
    'del_prefix' => fn() => ephpm_kv_del_prefix($one($prefixes)),
    'flush_all' => fn() => mt_rand(0, 9) === 0 ? ephpm_kv_flush_all() : null,
];
for ($names = array_keys($calls), $turn = 0; $turn < 3_000; ++$turn) {
    $name = $one($names);
    $answer = serialize($calls[$name]());
    echo "$turn $name: ", strlen($answer) > 200 ? md5($answer) : addcslashes($answer, "\0..\37\177..\377"), "\n";
}
PHP
{
    my $file = spew("$tmp/random.php", "<?php\n$random");
    my $seed = $ENV{SOCKET_SEED} // 1 + int rand 1_000_000;
    my ($here, $there) = map {
        my $other = serve('32M');
        open my $out, '-|', command($_ ? "unix:$other->{socket}" : ''), $file,
            $seed or die "$php: $!";
        my @lines = split /\n/, finish($out);
        my ($code) = Resp::end($other);
        is $code, 0, 'the store is whole after random calls' if $_;
        \@lines;
    } 0, 1;
    cmp_ok scalar(grep { /^\d/ } @$here), '==', 3000, 'random calls';
    my ($first) = grep { ($here->[$_] // '') ne ($there->[$_] // '') }
        0 .. ($#$here > $#$there ? $#$here : $#$there);
    ok !defined $first, "... answer alike here and there (SOCKET_SEED=$seed)"
        or diag "here:  $here->[$first]\nthere: $there->[$first]";
}

like php(<<'PHP', $address),
var_dump(ephpm_kv_wait('k', 0, 60_000));
ephpm_kv_wait('', 0, 0);
PHP
    qr/\A\s*Warning: ephpm_kv_wait\(\): There is no waiting [^\n]*ephpm\.kv_socket.*bool\(false\)\n.*The key is empty/s,
    'no waiting';
like php('var_dump(session_start());', $address, '-d',
    'session.save_handler=ephpm', '-d', 'session.use_cookies=0', '-d',
    'session.cache_limiter='),
    qr/Warning: session_start\(\): Sessions are kept where the store is, not through ephpm\.kv_socket.*bool\(false\)/s,
    'no sessions: it says why';
my $info = php('phpinfo(INFO_MODULES);', $address);
like $info, qr/^Store => the server's, through \Q$address\E\nConnection => made$/m,
    'phpinfo() says where the store is';
like $info, qr/^ephpm\.kv_timeout => 5 => 5$/m, '... and the settings';

# --- it is the server's

my $client = connect_to($server);
request($client, 'SET', "a\0b", "v\0w");
is php(<<'PHP', $address), "v\0w 1 1234 there\n", 'what the server has is here';
echo ephpm_kv_get("a\0b"), ' ', ephpm_kv_del("a\0b"), ' ';
ephpm_kv_set('for the server', "x\r\ny", 1234);
echo ephpm_kv_ttl('for the server'), ephpm_kv_exists('for the server') ? ' there' : '', "\n";
PHP
is shown(request($client, 'GET', 'for the server')), '$[x\x0d\x0ay]',
    '... and the other way';
is php('var_dump(ephpm_kv_get("for the server"));', ''), "NULL\n",
    'without the setting the store is private';

# Values as long as can be, some at a time.
is php(<<'PHP', $address, '-d', 'memory_limit=512M'), "good\n", 'long values in one call';
$max = ephpm_kv_stats()['value_max_bytes'];
ephpm_kv_flush_all();
for ($values = [], $at = 0; $at < 3; ++$at) {
    $values["long $at"] = str_repeat(chr(97 + $at), intdiv($max, 4) - $at);
    $values["short $at"] = "$at";
}
$longest = [str_repeat('y', $max), str_repeat('z', $max)];
echo ephpm_kv_mset($values) && ephpm_kv_mget(array_keys($values)) === array_values($values)
    && ephpm_kv_set('long 0', $longest[0])
    && ephpm_kv_setifeq('long 0', $longest[0], $longest[1])
    && !ephpm_kv_setifeq('long 0', str_repeat('x', $max + 1), 'x')
    && !ephpm_kv_delifeq('long 0', str_repeat('x', $max + 1))
    && ephpm_kv_get('long 0') === $longest[1]
    && ephpm_kv_delifeq('long 0', $longest[1])
    && ephpm_kv_getdel('long 2') === $values['long 2'] ? "good\n" : "bad\n";
PHP

# A full store that evicts nothing refuses, without a word.
{
    my $full = serve('4M', 'eviction=noeviction');
    is php(<<'PHP', "unix:$full->{socket}"), "refused: set mset incr setnx\n", 'a full store';
for ($bytes = 100_000; $bytes > 0; $bytes >>= 1) {
    for ($at = 0; ephpm_kv_set("$bytes: $at", str_repeat('x', $bytes)); ++$at);
}
for ($at = 0; ephpm_kv_incr("counter $at") !== false; ++$at);
echo 'refused:', ephpm_kv_set('new', 'x') ? '' : ' set', ephpm_kv_mset(['new' => 'x']) ? '' : ' mset',
    ephpm_kv_incr('new') === false ? ' incr' : '', ephpm_kv_setnx('new', 'x') ? '' : ' setnx', "\n";
PHP
    my ($code) = Resp::end($full);
    is $code, 0, '... which is whole';
}

# --- passwords

{
    my $locked = serve('8M', 'password=s3cret');
    my $to = "unix:$locked->{socket}";
    my $works = 'var_dump(ephpm_kv_set("k", "v"), ephpm_kv_get("k"));';
    my $file = spew("$tmp/password", "s3cret\n");
    is php($works, $to, '-d', "ephpm.kv_password_file=$file"),
        qq{bool(true)\nstring(1) "v"\n}, 'the password';
    my %wrong = (
        'none' => ['', qr/a password is asked for\): set ephpm\.kv_password_file to the file of the listener's/],
        'another' => [spew("$tmp/another", "wrong\n"), qr/the password is wrong\): set ephpm\.kv_password_file/],
        'an empty file' => [spew("$tmp/empty", "\n"), qr/the password's file \S+: it is empty\)/],
        'no file' => ["$tmp/none", qr/the password's file \S+: No such file or directory\): set ephpm\.kv_password_file to a file/],
    );
    for my $name (sort keys %wrong) {
        my ($given, $says) = @{ $wrong{$name} };
        my $said = php($works, $to, '-d', "ephpm.kv_password_file=$given");
        like $said, $says, "a wrong password: $name";
        like $said, qr/bool\(false\)\nNULL\n\z/, '... nothing is read or written';
        is scalar(() = $said =~ /Warning/g), 1, '... and one warning says so';
        unlike $said, qr/s3cret|wrong\b(?!\))/, '... without the password';
    }
    Resp::end($locked);
    my $open = serve('8M');
    is php($works, "unix:$open->{socket}", '-d',
        "ephpm.kv_password_file=$file"),
        qq{bool(true)\nstring(1) "v"\n}, 'a listener that asks for none';
    Resp::end($open);
}

# --- a handler of warnings that lets go of what is being sent

is php(<<'PHP', "unix:$tmp/none.sock"), "false, 1\n", 'mset holds its values';
set_error_handler(static function () { ++$GLOBALS['warned']; $GLOBALS['s'] = 'x'; return true; });
$warned = 0;
$s = str_repeat('b', 1000);
echo json_encode(ephpm_kv_mset(['big' => str_repeat('a', 300000), 'k' => &$s])), ", $warned\n";
PHP

# --- a server that is gone, silent or strange

my $everything = <<'PHP';
set_error_handler(static function (int $level, string $message): bool {
    echo "Warning: $message\n";
    return true;
});
$answers = [ephpm_kv_get('k'), ephpm_kv_set('k', 'v'), ephpm_kv_setnx('k', 'v'), ephpm_kv_del('k'),
    ephpm_kv_exists('k'), ephpm_kv_incr('k'), ephpm_kv_decr('k'), ephpm_kv_incr_by('k', 5),
    ephpm_kv_expire('k', 5), ephpm_kv_expire('k', 0), ephpm_kv_ttl('k'), ephpm_kv_pttl('k'), ephpm_kv_flush_all(),
    ephpm_kv_mget(['k', 7]), ephpm_kv_mset(['k' => 'v']), ephpm_kv_mset([]), ephpm_kv_getdel('k'),
    ephpm_kv_setifeq('k', 'v', 'w'), ephpm_kv_delifeq('k', 'v'), ephpm_kv_scan(0), ephpm_kv_del_prefix(''),
    array_sum(ephpm_kv_stats())];
echo json_encode($answers), "\n";
PHP
my $nothing = '[null,false,false,0,false,false,false,false,false,false,-2,-2,'
    . 'false,[null,null],false,true,null,false,false,[0,[]],0,0]';

my $port = free_port();
my %gone = (
    "unix:$tmp/none.sock" => 'No such file or directory): start the server, or set ephpm.kv_socket',
    "$tmp/none.sock"      => 'No such file or directory): start the server',
    "127.0.0.1:$port"     => 'Connection refused): start the server',
    "localhost:$port"     => 'Connection refused): start the server',
    'unix:'               => 'this is no address: give unix:/PATH or HOST:PORT)',
    'kv.sock'             => 'this is no address',
    '127.0.0.1:'          => 'this is no address',
    '127.0.0.1:65536'     => 'this is no address',
    '::1:6380'            => 'this is no address',
    'unix:/' . 'x' x 200  => "a socket's path has at most 107 bytes",
);
for my $to (sort keys %gone) {
    my $said = php($everything, $to);
    like $said, qr/\AWarning: ephpm_kv_get\(\): The server's store behind ephpm\.kv_socket = "\Q$to\E" cannot be reached \(\Q$gone{$to}\E[^\n]*\n\Q$nothing\E\n\z/,
        "$to: one warning, and an empty store";
}
like php('phpinfo(INFO_MODULES);', "unix:$tmp/none.sock"),
    qr/^Connection => No such file or directory: start the server/m,
    'phpinfo() tells why';

# A listener of the test's own: CODE gets each connection and its number.
sub strange {
    my ($code, $script, @options) = @_;
    my $path = "$tmp/strange-" . ++$strangers . '.sock';
    my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 8)
        or die "$path: $!";
    my $out = begin($script, "unix:$path", '-d', 'ephpm.kv_timeout=1',
        @options);
    my $reader = IO::Select->new($listener, $out);
    my (@open, $text);
    $text = '';
    my $until = time + 2 * Resp::PATIENCE;
    LOOP: while (time < $until) {
        for my $ready ($reader->can_read(1)) {
            if ($ready == $out) {
                sysread $out, $text, 65536, length $text or last LOOP;
            } else {
                my $socket = $listener->accept or next;
                binmode $socket;
                ${*$socket}{buffer} = '';
                push @open, $socket;
                $code->($socket, scalar @open);
            }
        }
    }
    close $out;
    return $? ? "$text(ended with status $?)" : $text;
}

{
    my $begin = time;
    my $said = strange(sub { }, $everything);
    like $said, qr/\AWarning: ephpm_kv_get\(\): [^\n]*\(no answer in 1 s\)[^\n]*\n\Q$nothing\E\n\z/,
        'one that says nothing: one warning';
    cmp_ok time - $begin, '<', 60, '... and it does not hold the script up';
}
like strange(sub { my ($socket) = @_; syswrite $socket, "HTTP/1.1 400 Bad Request\r\n\r\n" }, $everything),
    qr/\AWarning: [^\n]*does not speak Redis's protocol[^\n]*\n\Q$nothing\E\n\z/,
    'one that speaks another language';
like strange(sub { my ($socket) = @_;
        syswrite $socket, "-ERR max number of clients reached\r\n";
        close $socket }, $everything),
    qr/\AWarning: [^\n]*\(it has as many clients as it takes\)[^\n]*\n\Q$nothing\E\n\z/,
    'one that is full';
{
    my $said = strange(sub { my ($socket) = @_;
        while (1) {
            my $request = read_reply($socket);
            last if $request->[0] ne '*';
            syswrite $socket, "-ERR unknown command 'X'\r\n";
        } }, 'var_dump(ephpm_kv_delifeq("k", "v"), ephpm_kv_mget(["a", "b"])); ');
    is scalar(() = $said =~ /answered: ERR unknown command 'X'/g), 2,
        'one that does not know a command: each call says so' or diag $said;
}

# A command that may have been done is not repeated; one that cannot is.
{
    my @seen;
    my $lose = sub {
        my ($socket, $number) = @_;
        my $request = read_reply($socket);
        push @seen, join ' ', $number, map { $_->[1] } @$request[ 1 .. $#$request ];
        close $socket;
    };
    my $said = strange($lose, 'var_dump(ephpm_kv_incr("k"));');
    is_deeply \@seen, ['1 INCRBY k 1'], 'an incr without an answer is sent once';
    like $said, qr/was lost \(the connection was closed without an answer\) before it said whether it has done.*bool\(false\)/s,
        '... and the script is told';

    # The first is answered, and then the connection is closed.
    @seen = ();
    my $once = sub {
        my ($socket, $number) = @_;
        my $request = read_reply($socket);
        push @seen, join ' ', $number, map { $_->[1] } @$request[ 1 .. $#$request ];
        syswrite $socket, ":$number\r\n";
        close $socket;
    };
    is strange($once, 'var_dump(ephpm_kv_incr("k")); usleep(300_000); var_dump(ephpm_kv_incr("k"));'),
        "int(1)\nint(2)\n", 'a connection closed while idle is made again';
    is_deeply \@seen, ['1 INCRBY k 1', '2 INCRBY k 1'], '... for what was not sent yet';

    # A read is harmless.
    @seen = ();
    my $second = sub {
        my ($socket, $number) = @_;
        my $request = read_reply($socket);
        push @seen, join ' ', $number, map { $_->[1] } @$request[ 1 .. $#$request ];
        if ($number == 1) {
            syswrite $socket, "\$1\r\na\r\n";
            read_reply($socket);
            push @seen, 'again';
            close $socket;
            return;
        }
        syswrite $socket, "\$1\r\nb\r\n";
    };
    is strange($second, 'echo ephpm_kv_get("k"), ephpm_kv_get("k"), "\n";'),
        "ab\n", 'a read is repeated on a new connection';
    is_deeply \@seen, ['1 GET k', 'again', '2 GET k'], '... once';
}

# A restart of the server between two calls.
{
    my $first = serve('8M');
    my $out = begin(<<"PHP", "unix:$first->{socket}");
var_dump(ephpm_kv_set('k', 'before'));
touch('$tmp/ready');
for (\$until = time() + 60; !file_exists('$tmp/again') && time() < \$until; usleep(10_000));
var_dump(ephpm_kv_get('k'), ephpm_kv_incr('n'));
PHP
    ok wait_until(sub { -e "$tmp/ready" }), 'a script has used the server';
    Resp::end($first);
    my $program = "$build/t/resp/resp_serve";
    my $pid = open my $second, '-|', $program, "unix:$first->{socket}", '8M'
        or die "$program: $!";
    is scalar(<$second>), "ready\n", 'which starts anew';
    spew("$tmp/again", '');
    is finish($out), "bool(true)\nNULL\nint(1)\n", 'and the script goes on';
    kill 'TERM', $pid;
    close $second;
}

# One process, several requests: PHP's own web server.
{
    my $listening = serve('8M');
    my $at = '127.0.0.1:' . free_port();
    mkdir "$tmp/web";
    spew("$tmp/web/page.php", <<'PHP');
<?php
set_error_handler(static function (int $level, string $message): bool {
    echo "Warning: $message\n";
    return true;
});
echo json_encode([ephpm_kv_incr('n'), ephpm_kv_incr('n'), ephpm_kv_get('none')]), "\n";
PHP
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        { no warnings "exec"; exec command("unix:$listening->{socket}"), "-S", $at, "-t", "$tmp/web"; }
        POSIX::_exit(126);
    }
    my $page = sub {
        my $text;
        wait_until(sub {
            my $socket = IO::Socket::INET->new($at) or return 0;
            print $socket "GET /page.php HTTP/1.0\r\n\r\n";
            local $/;
            (undef, $text) = split /\r\n\r\n/, <$socket> // '', 2;
            return defined $text;
        });
        return $text;
    };
    is $page->(), "[1,2,null]\n", 'a request';
    is $page->(), "[3,4,null]\n", '... and another';
    my (undef, $stats) = Resp::end($listening);
    # One is the test's, which looked whether it listens.
    like $stats, qr/connections=2 /, '... have one connection';
    like $page->(), qr/\AWarning: [^\n]*cannot be reached[^\n]*\n\[false,false,null\]\n\z/,
        'each request without the server has one warning' for 1 .. 2;
    kill 'TERM', $pid;
    waitpid $pid, 0;
}

# Children have connections of their own.
SKIP: {
    skip 'this PHP has no pcntl', 1
        unless php('echo function_exists("pcntl_fork") ? "yes" : "no";', '')
        eq 'yes';
    is php(<<'PHP', $address), "2000 2000\n", 'forked in the middle';
ephpm_kv_del('turns');
for ($children = [], $child = 0; $child < 4; ++$child) {
    $pid = pcntl_fork();
    if ($pid === 0) {
        for ($turn = 0; $turn < 500; ++$turn) {
            ephpm_kv_incr('turns');
            ephpm_kv_set("of $child: $turn", "$child, $turn");
        }
        exit(0);
    }
    $children[] = $pid;
}
foreach ($children as $pid) {
    pcntl_waitpid($pid, $status);
}
for ($good = 0, $child = 0; $child < 4; ++$child) {
    for ($turn = 0; $turn < 500; ++$turn) {
        $good += ephpm_kv_get("of $child: $turn") === "$child, $turn" ? 1 : 0;
    }
}
echo ephpm_kv_get('turns'), " $good\n";
PHP
}

# A script that ends in the middle of an answer.
like php(<<'PHP', $address, '-d', 'memory_limit=4M'),
register_shutdown_function(function () {
    echo 'after: ', ephpm_kv_set('key', 'small') ? ephpm_kv_get('key') : 'refused', "\n";
});
for ($chunk = str_repeat('x', 1 << 20), $parts = []; ; ) {
    ephpm_kv_set('key', $chunk);
    $parts[] = ephpm_kv_get('key');
}
PHP
    qr/Allowed memory size.*after: small/s, 'out of memory in get()';

SKIP: {
    my ($valgrind) = grep { -x } map { "$_/valgrind" } split /:/, $ENV{PATH};
    skip 'valgrind is not installed: apt-get install valgrind', 1
        unless $valgrind;
    my $all = spew("$tmp/all.php", '<?php ' . join ' ',
        map { "include '$folder/$_.php';" }
        qw(get-set setnx del counters counters-limits keys-bytes key-lengths
           values-bytes expire late-calls mget-mset mget-mset-wrong getdel
           compare scan stats warnings-thrown));
    local $ENV{USE_ZEND_ALLOC} = 0;
    local $ENV{ZEND_DONT_UNLOAD_MODULES} = 1;
    my @command = ($valgrind, '--quiet', '--error-exitcode=99',
        '--leak-check=full', '--show-leak-kinds=definite',
        '--errors-for-leak-kinds=definite', "--log-file=$tmp/valgrind",
        command($address), $all);
    open my $out, '-|', @command or die "valgrind: $!";
    my $said = finish($out);
    unlike $said, qr/ended with status/, 'valgrind finds nothing'
        or diag slurp("$tmp/valgrind"), $said;
}

my ($code, $said) = Resp::end($server);
is $code, 0, 'the store is whole after all this' or diag $said;

done_testing;
