# Output: flushing, clients that go away, and what is written at the end.

use strict;
use warnings;
use EphpmTest;
use IO::Select;
use MIME::Base64 ();
use Test::More;
use Time::HiRes qw(sleep time);

sub stored {
    my ($key) = @_;
    return php("echo var_export(ephpm_kv_get('$key'), true);")->{body};
}

sub becomes {
    my ($key, $value) = @_;
    return wait_until(sub { stored($key) eq "'$value'" });
}

# A page that goes on when it is told to: so that no test depends on time.
sub paced {
    my ($code, %r) = @_;
    return send_request(connect_to(), path => '/eval.php', %r, headers => [
        'X-Code' => MIME::Base64::encode_base64(
            'function step($n) { while (ephpm_kv_get("output:go") < $n) '
            . "{ usleep(5000); } } $code", '') ]);
}

sub go { php("ephpm_kv_set('output:go', '$_[0]');") }

sub read_until {
    my ($socket, $pattern) = @_;
    my $got = '';
    my $end = time + 60;
    while ($got !~ $pattern && time < $end) {
        IO::Select->new($socket)->can_read(1) or next;
        sysread($socket, $got, 4096, length $got) or last;
    }
    return $got;
}

# flush()
go(0);
my $socket = paced('echo "first"; flush(); step(1); echo "second";');
my $got = read_until($socket, qr/first/);
like $got, qr/first/, 'flush() sends what there is';
unlike $got, qr/second/, '... and no more';
go(1);
like read_until($socket, qr/second/), qr/second/, 'the rest follows';
go(0);
$socket = paced('header("X-A: 1"); http_response_code(202); flush(); '
    . 'step(1); echo "body";');
$got = read_until($socket, qr/\r\n\r\n/);
like $got, qr{^HTTP/1\.1 202 .*X-A: 1}s, 'flush() without output: the headers';
unlike $got, qr/body/, '... alone';
go(1);
like read_until($socket, qr/body/), qr/body/, '... and the body later';

is php('ob_start(); echo "a"; ob_start(fn ($x) => strtoupper($x)); echo "b"; '
    . 'ob_end_flush(); echo "c"; ob_end_flush();')->{body}, 'aBc',
    'output buffers';
is php('ob_start(); echo "gone"; ob_end_clean(); header("X-Late: 1"); '
    . 'echo "here";')->{body}, 'here', 'a buffer that is cleaned';
is php('ob_start(fn ($x) => "[$x]"); echo "left open";')->{body},
    '[left open]', 'a buffer that is left open';
is php('ini_set("display_errors", 1); echo "x"; flush(); header("X-A: 1"); '
    . 'echo headers_sent() ? "sent" : "not";')->{body} =~ /already sent.*sent$/s,
    1, 'headers after the output';

# What comes last.
is php('register_shutdown_function(function () { echo "-shutdown"; }); '
    . 'echo "script"; exit;')->{body}, 'script-shutdown',
    'shutdown functions write';
is php('class D { function __destruct() { echo "-destructor"; } } '
    . '$GLOBALS["d"] = new D; echo "script";')->{body}, 'script-destructor',
    'destructors write';
is php('register_shutdown_function(function () { http_response_code(404); '
    . 'header("X-Late: yes"); });')->{status}, 404,
    'a shutdown function sets the status';
is php('exit("bye");')->{body}, 'bye', 'exit with a message';
is php('exit(3);')->{status}, 200, 'exit with a code';

# Large.
my $sum = php('for ($i = 0; $i < 3000; $i++) { echo str_repeat(chr(65 + '
    . '$i % 26), 1000); }');
is length $sum->{body}, 3_000_000, 'three million bytes in small writes';
is substr($sum->{body}, 1_000_000, 1), chr(65 + 1000 % 26), '... in order';
is length php("readfile('$ENV{EPHPM_MODULE}');")->{body}, -s $ENV{EPHPM_MODULE}, 'readfile()';
my $deflated = get('/deflated/page.php',
    headers => [ 'Accept-Encoding' => 'gzip' ]);
is header($deflated, 'Content-Encoding'), 'gzip', "the server's filters work on it";
is php('ini_set("zlib.output_compression", "1"); echo str_repeat("x", 9999);',
    headers => [ 'Accept-Encoding' => 'gzip' ])->{status}, 200,
    "and PHP's own compression";

# A client that goes away.
for my $ignore (0, 1) {
    go(0);
    php('ephpm_kv_del("output:end"); ephpm_kv_del("output:shutdown");');
    $socket = paced("ignore_user_abort((bool) $ignore); "
        . 'register_shutdown_function(function () { '
        . 'ephpm_kv_set("output:shutdown", (string) connection_status()); });'
        . 'echo "begun"; flush(); step(1); '
        . 'for ($i = 0; $i < 200 && !connection_aborted(); $i++) '
        . '{ echo str_repeat("x", 100000); flush(); } '
        . 'ephpm_kv_set("output:end", "reached");');
    read_until($socket, qr/begun/);
    close $socket;
    go(1);
    ok becomes('output:shutdown', 1), 'a client has gone: the script hears it';
    is stored('output:end'), $ignore ? "'reached'" : 'NULL',
        $ignore ? '... and goes on under ignore_user_abort'
                : '... and ends, but for its shutdown functions';
}
is php('echo connection_status(), connection_aborted(), ignore_user_abort();')
    ->{body}, '000', 'and nothing of it stays';

# fastcgi_finish_request()
go(0);
php('ephpm_kv_del("output:after");');
$socket = paced('header("X-A: 1"); echo "whole"; '
    . '$r = fastcgi_finish_request(); step(1); echo "dropped"; flush(); '
    . 'header_remove(); '
    . 'ephpm_kv_set("output:after", var_export($r, true) . connection_status()); '
    . 'echo var_export(fastcgi_finish_request(), true);', keep => 1);
my $r = read_response($socket);
is $r->{body}, 'whole', 'fastcgi_finish_request(): the client has it all';
is header($r, 'Content-Length'), 5, '... the whole length';
is stored('output:after'), 'NULL', '... while the script runs on';
go(1);
ok becomes('output:after', 'true0'), '... to its end, with what it writes dropped';
send_request($socket, path => '/hello.php');
is read_response($socket)->{body}, 'hello',
    '... and the connection serves the next request';

done_testing;
