#!/usr/bin/perl
# What attackers try: scripts in uploads, injected names, bytes that do not
# belong, headers without end, bodies that take for ever.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use LoadClient qw(load);
use NginxTest;
use Test::More;
use Time::HiRes qw(sleep);

my $server = NginxTest->suite(
    http   => "large_client_header_buffers 8 128k;\n",
    server => "location = /ephpm-status { ephpm_status; }\n"
        . "location /loose/ { ephpm on; }\n",
);
$server->page('upload/x.jpg', 'GIF89a<?php echo "evil";');
$server->page('upload/y.php.jpg', '<?php echo "evil";');
$server->page('upload/evil.PHP', '<?php echo "evil";');
$server->page('loose/page.php', '<?php echo "page";');

sub raw {
    my ($request) = @_;
    my $socket = connect_to();
    local $SIG{PIPE} = 'IGNORE';
    print {$socket} $request;
    $socket->flush;
    return read_response($socket) // { status => 0, body => '' };
}

sub alive {
    my ($what) = @_;
    is get('/hello.php')->{body}, 'hello', "$what: the server is well";
}

# --- scripts that are none

for my $path ('/upload/x.jpg/evil.php', '/upload/x.jpg/.php',
    '/upload/x.jpg%00.php', '/upload/x.jpg%00/evil.php',
    '/upload/x.jpg/%2e%2e/none.php', '/upload/x.jpg%0a.php',
    '/upload/y.php.jpg', '/upload/x.jpg/a.php/b.php', '/upload/evil.PHP',
    '/upload/x.jpg%20.php', '/upload/x.jpg//evil.php/')
{
    my $r = get($path);
    unlike $r->{body}, qr/^(?:GIF89a)?evil/, "$path does not run";
    is $r->{status} =~ /^(?:200|400|403|404)$/, 1, "... $r->{status}";
    isnt $r->{status}, 200, '... nor is it served'
        unless $path =~ /\.(?:jpg|PHP)$/;
}
is get('/upload/x.jpg')->{body}, 'GIF89a<?php echo "evil";',
    'the picture itself is a file';
is get('/loose/x.jpg/evil.php')->{status}, 404,
    'ephpm on for all: what is not there is not there';
is get('/loose/page.php')->{body}, 'page', '... and what is there runs';
is get('/../../../../etc/passwd.php')->{status} =~ /^40[04]$/, 1, 'up and away';

# --- injected names

my $r = get('/echo.php?SCRIPT_FILENAME=/etc/passwd', headers => [
    'X-Want' => 'server', 'SCRIPT-FILENAME' => '/etc/passwd',
    'Script_Filename' => '/etc/passwd', 'PHP-VALUE' => 'auto_prepend_file=/x',
    'PHP_ADMIN_VALUE' => 'x=y', 'Content-Length' => '0',
    'HTTPS' => 'on', 'REMOTE-ADDR' => '1.2.3.4', 'DOCUMENT-ROOT' => '/' ]);
my $s = eval { decode_json($r->{body})->{server} } // {};
is $s->{SCRIPT_FILENAME}, "$server->{root}/echo.php",
    'SCRIPT_FILENAME is not for clients to say' or diag $r->{body};
is $s->{HTTP_SCRIPT_FILENAME}, '/etc/passwd', '... theirs is a header';
is $s->{REMOTE_ADDR}, '127.0.0.1', 'nor REMOTE_ADDR';
ok !$s->{HTTPS}, '... nor HTTPS';
is $s->{DOCUMENT_ROOT}, $server->{root}, '... nor DOCUMENT_ROOT';
is $s->{PHP_VALUE}, undef, '... nor settings';
$r = get('/echo.php/%0d%0aX-Injected:%20yes?x=%0d%0a', headers =>
    [ 'X-Want' => 'server' ]);
is header($r, 'X-Injected'), undef, 'line ends in an address stay in it';

# --- bytes

for my $request (
    "GET /echo.php HTTP/1.1\r\nHost: localhost\r\nX-Null: a\0b\r\n\r\n",
    "GET /echo.php?a=\0b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /\0.php HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /echo.php HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "POST /echo.php HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        . "Content-Length: 6\r\n\r\nabcdef",
    "POST /echo.php HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Length: 99999999999999999999\r\n\r\n",
    "POST /echo.php HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        . "Transfer-Encoding: chunked\r\n\r\nabc",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GET\r\n\r\n",
    "GET /echo.php HTTP/9.9\r\nHost: localhost\r\n\r\n", "\0" x 100 . "\r\n\r\n")
{
    my $shown = $request =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
    my $r = raw($request);
    is $r->{status} =~ /^(?:400|405|411|413|501|505)$/, 1,
        'refused: ' . substr $shown, 0, 60 or diag $r->{status};
}
alive('bytes');

# --- sizes

for my $kib (10, 33, 100) {
    $r = get('/echo.php', headers => [ 'X-Want' => 'headers',
        'X-Large' => 'x' x ($kib << 10) ]);
    is $r->{status}, 200, "a header of $kib KiB";
    is length((eval { decode_json($r->{body})->{headers}{'X-Large'} }) // ''),
        $kib << 10, '... comes whole';
}
my @many = map { ("X-Many-$_" => 'x' x 500) } 1 .. 180;
$r = get('/echo.php', headers => [ 'X-Want' => 'headers', @many ]);
is $r->{status}, 200, '180 headers, 90 KiB together';
is scalar(grep { /^X-Many/i } keys %{ (eval { decode_json($r->{body})
    ->{headers} }) // {} }), 180, '... come all';
$r = get('/echo.php?a=' . 'x' x 60_000, headers => [ 'X-Want' => 'get' ]);
is length((eval { decode_json($r->{body})->{get}{a} }) // ''), 60_000,
    'a query of 60,000 bytes';
$r = php('for ($i = 0; $i < 60; ++$i) { header("X-Many-$i: " '
    . '. str_repeat("x", 500)); } echo "sent";');
is "$r->{status} $r->{body}", '200 sent', '60 headers of a script, 30 KiB';
is scalar(grep { $_->[0] =~ /^X-Many/ } @{ $r->{headers} }), 60,
    '... come all';
$r = php('header("X-Large: " . str_repeat("x", 3000000)); echo "sent";');
is header($r, 'X-Large'), undef, 'a header of 3 MB of a script is dropped';
like $server->since(0, qr/more headers than fit/),
    qr/eval\.php' sets more headers than fit/, '... and the log says so';
alive('sizes');

# --- header()

$r = php('@header("X-A: 1\r\nX-Injected: 2"); @header("X-B: 1\nX-Injected: 2");'
    . '@header("X-C: a\0b"); @header("Location: /x\r\nX-Injected: 2"); echo 1;');
is header($r, 'X-Injected'), undef, 'no header by a line break in another';
$r = php('@header("X-Injected\r\nX-Other: 1: 2"); @setcookie("a", "b\r\nX-Injected: 2");'
    . '@header("HTTP/1.1 200 OK\r\nX-Injected: 2"); '
    . '@header("Content-Type: text/html\r\nX-Injected: 2"); echo 1;');
is header($r, 'X-Injected'), undef, '... nor in its name, a cookie, a status';
$r = php('header("Transfer-Encoding: chunked"); header("Connection: upgrade");'
    . 'echo "body";');
is $r->{body}, 'body', 'what is the server\'s to say is not for scripts';
$r = php('header("Content-Length: 1000"); echo "short";');
is $r->{complete}, 0, 'a length that is too long: the client can tell';
$r = php('header("Content-Length: 2"); echo "longer"; flush(); echo "still";');
is $r->{body}, 'lo', 'a length that is too short: no more is sent';
$r = php('header("Content-Length: much"); header("X-Accel-Redirect: x"); '
    . 'echo "x";');
is $r->{status} =~ /^\d{3}$/, 1, "... or none at all: $r->{status}";
$r = php('header("X-Accel-Redirect: /../../etc/passwd");');
unlike $r->{body}, qr/root:/, 'X-Accel-Redirect does not leave the root';
alive('headers');

# --- slowly

my @slow = map { my $socket = connect_to();
    print {$socket} "POST /echo.php HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Length: 1000000\r\n\r\nabc";
    $socket->flush; $socket } 1 .. 30;
my @heads = map { my $socket = connect_to();
    print {$socket} "GET /echo.php HTTP/1.1\r\nHost: loc";
    $socket->flush; $socket } 1 .. 30;
sleep 0.3;
is $server->status->{runners}{busy}, 0,
    '30 bodies and 30 heads that do not come: no runner is held';
is $server->status->{runners}{queued}, 0, '... and nothing waits';
my $run = load(port => port(), path => '/hello.php', connections => 4,
    requests => 100);
is scalar(grep { $_->{body} eq 'hello' } @{ $run->{answers} }), 100,
    '... and 100 others are served';
for my $socket (@slow) {
    print {$socket} 'x' x 10;
    $socket->flush;
}
close $_ for @slow, @heads;
alive('slow clients');

$server->ends_well;
done_testing;
