# Requests and answers: methods, status, headers.

use strict;
use warnings;
use MIME::Base64 qw(encode_base64);
use Test::More;
use EphpmTest;

my $apache = server() eq 'apache';

my $r = php('echo PHP_SAPI, " ", $_SERVER["REQUEST_METHOD"];');
is $r->{status}, 200, 'a page is served';
is $r->{body}, ($apache ? 'apache2handler' : 'fpm-fcgi') . ' GET',
    'under the name of mod_php or php-fpm';
is header($r, 'Content-Type'), 'text/html; charset=UTF-8',
    "PHP's default content type";
like header($r, 'X-Powered-By'), qr{^PHP/8\.}, 'PHP announces itself';
is header($r, 'X-Stands-In'), 'yes',
    '<IfModule mod_php.c> and <IfModule php_module> hold' if $apache;

$r = php('phpinfo();');
ok $r->{body} =~ />ephpm support\s*</, 'phpinfo() has the extension';
if ($apache) {
    ok $r->{body} =~ /Apache 2 Handler/, 'and the server';
    ok $r->{body} =~ /HTTP Request Headers/, 'and the request';
}

for my $method (qw(PUT DELETE PATCH OPTIONS)) {
    is php('echo $_SERVER["REQUEST_METHOD"];', method => $method)->{body},
        $method, "$method reaches the script";
}
$r = php('header("X-Ran: yes"); echo str_repeat("x", 100000); '
    . 'ephpm_kv_set("requests:head", "ran");', method => 'HEAD');
is $r->{status}, 200, 'HEAD is answered';
is header($r, 'X-Ran'), 'yes', 'HEAD runs the script';
{
    my $socket = send_request(connect_to(), method => 'HEAD',
        path => '/hello.php');
    local $/;
    my $all = <$socket>;
    like $all, qr/\r\n\r\n\z/, 'HEAD gets no body';
}
is php('echo ephpm_kv_get("requests:head");')->{body}, 'ran',
    'HEAD runs the script to its end';

# Status codes and lines.
for my $code (201, 204, 301, 304, 400, 401, 403, 404, 410, 418, 500, 503) {
    $r = php("http_response_code($code);");
    is $r->{status}, $code, "status $code";
}
# Without a body, whatever the script writes: on a connection that is kept a
# client takes what comes next for the next response.
for my $code (204, 304) {
    for my $case ([ 'and says no more', '' ], [ 'and a body', 'echo "body";' ],
        [ 'a body, and flushes', 'echo "body"; flush(); usleep(50000); '
            . 'echo str_repeat("more", 50000);' ],
        [ 'and a length', 'header("Content-Length: 1000");' ],
        [ 'a reason', "header('HTTP/1.1 $code Own words');" ])
    {
        my ($what, $code_of_it) = @$case;
        my $socket = connect_to();
        for my $next ("http_response_code($code); $code_of_it", 'echo "next";') {
            send_request($socket, path => '/eval.php', keep => 1,
                headers => [ 'X-Code' => encode_base64($next, '') ]);
        }
        $r = read_response($socket) // { status => 0 };
        is $r->{status}, $code, "$code $what";
        is header($r, 'Content-Length'), undef,
            '... has no length of its own' unless $what =~ /length/;
        $r = read_response($socket) // { status => 0, body => '' };
        is "$r->{status} $r->{body}", '200 next', '... the next is the next';
    }
}
my $none = $apache ? 500 : 502;
for my $code (-5, 12, 150, 1000) {
    is php("http_response_code($code); echo 1;")->{status}, $none,
        "what is no response's status: $code";
}
is php('header("HTTP/1.1 99 Balloons");')->{status}, $none, '... in a line';
$r = php('http_response_code(404);');
is php('echo 1;')->{status}, 200, 'a status does not stay for the next request';
my @lines = (
    [ 'HTTP/1.1 404 Gone fishing' => 404, 'Gone fishing' ],
    [ 'HTTP/1.0 403 Not you'      => 403, 'Not you' ],
    [ 'HTTP/2 402 Pay first'      => 402, 'Pay first' ],
    [ 'HTTP/1.1 404'              => 404, 'Not Found' ],
    [ 'HTTP/1.1 503 '             => 503, 'Service Unavailable' ],
    [ 'HTTP/1.1 299 Odd'          => 299, 'Odd' ],
);
for my $line (@lines) {
    my ($text, $status, $reason) = @$line;
    $r = php("header('$text'); echo 1;");
    is "$r->{status} $r->{reason}", "$status $reason", "header('$text')";
    is $r->{protocol}, '1.1', '... speaks the protocol of the connection';
}
$r = php('header("HTTP/1.1 404 Lost"); http_response_code(202);');
is "$r->{status} $r->{reason}", '202 Accepted', 'the last status counts';
$r = php('header("X-A: 1", true, 207);');
is $r->{status}, 207, 'a status that comes with a header';

# Redirects.
is php('header("Location: /x");')->{status}, 302, 'a redirect after GET: 302';
is php('header("Location: /x");', method => 'HEAD')->{status}, 302,
    'a redirect after HEAD: 302';
is php('header("Location: /x");', body => 'a=1')->{status}, 303,
    'a redirect after POST: 303';
is php('header("Location: /x");', body => 'a=1', protocol => '1.0')->{status},
    302, 'a redirect after POST of HTTP/1.0: 302';
is php('header("Location: /x", true, 307);', body => 'a=1')->{status}, 307,
    'a redirect with a status of its own';
is header(php('http_response_code(201); header("Location: /x");'),
    'Location'), '/x', 'a Location beside 201';

# Headers.
$r = php('header("X-A: 1"); header("X-A: 2");');
is join('|', headers($r, 'X-A')), '2', 'header() replaces';
$r = php('header("X-A: 1"); header("x-a: 2", false);');
is join('|', sort { $a <=> $b } headers($r, 'X-A')), '1|2',
    'or adds another';
$r = php('header("X-A: 1"); header("X-A: 2", false); header("X-B: 3"); '
    . 'header_remove("x-a");');
is join('|', headers($r, 'X-A')), '', 'header_remove() removes all of a name';
is header($r, 'X-B'), '3', 'and no other';
$r = php('header("X-A: 1"); header_remove(); header("X-C: 4");');
is join('|', map { header($r, $_) // '-' } qw(X-A X-C X-Powered-By)),
    '-|4|-', 'header_remove() without a name removes all';
$r = php('setcookie("a", "1"); setcookie("b", "2");');
is scalar(headers($r, 'Set-Cookie')), 2, 'two cookies are two headers';
is header(php('echo 1;'), 'X-Early'), 'early',
    "headers of other modules stay" if $apache;
is header(php('echo 1;'), 'ETag'), undef, 'but no stale ETag';
is header(php('header_remove("X-Early");'), 'X-Early'), undef,
    'a script can remove what other modules have set';
is header(php('header("X-Bad: 1\r\nX-Injected: 2");'), 'X-Injected'), undef,
    'no second header by a line break';

# Content type.
$r = php('header("Content-Type: text/css"); header("Content-Type: text/plain");');
is join('|', headers($r, 'Content-Type')), 'text/plain;charset=UTF-8',
    'one Content-Type, the last';
is header(php('header("Content-Type: application/json"); echo 1;'),
    'Content-Type'), 'application/json', 'a type without charset';
is header(php('ini_set("default_charset", ""); echo 1;'), 'Content-Type'),
    'text/html', 'no charset where none is set';
is header(php('ini_set("default_mimetype", ""); ini_set("default_charset", "");'
    . 'echo 1;'), 'Content-Type'), undef, 'no type where none is set';

# Length.
is header(php('echo "12345";'), 'Content-Length'), 5,
    'a short page has a length';
$r = php('header("Content-Length: 3"); echo "123";');
is header($r, 'Content-Length'), 3, 'a script gives its own length';
is $r->{body}, '123', '... with the body';
$r = php('echo str_repeat("0123456789", 100000);');
is length $r->{body}, 1_000_000, 'a large page comes whole';
is header($r, 'Transfer-Encoding'), 'chunked', '... in chunks';

# One connection, several requests.
my $socket = connect_to();
for my $n (1 .. 5) {
    send_request($socket, path => "/count.php?key=requests:keep", keep => 1);
    my $answer = read_response($socket);
    like $answer->{body} // '', qr/^$n \d+$/, "request $n on one connection";
}

# Functions around headers.
is php('header("X-A: 1"); header("Content-Type: text/x"); '
    . 'echo json_encode(headers_list());')->{body} =~ /X-A: 1/, 1,
    'headers_list()';
is php('header("X-A: 1"); echo apache_response_headers()["X-A"];')->{body},
    '1', 'apache_response_headers()';
is php('echo apache_request_headers()["X-B"], getallheaders()["X-B"];',
    headers => [ 'X-B' => 'b' ])->{body}, 'bb',
    'apache_request_headers(), getallheaders()';
if ($apache) {
    is php('echo function_exists("apache_get_version") '
        . '? apache_get_version() : "";')->{body} =~ m{^Apache/.*ephpm/}, 1,
        'apache_get_version()';
    is php('echo in_array("mod_ephpm", apache_get_modules()) ? "in" : "out";')
        ->{body}, 'in', 'apache_get_modules()';
    is php('echo extension_loaded("apache2handler") ? 1 : 0;')->{body}, 1,
        "the extension that is known as mod_php's";
}

# Interim responses.
if (!$apache) {
    is php('echo var_export(headers_send(103), true);')->{body}, 'false',
        'headers_send(103): not to be had from this server';
    done_testing;
    return 1;
}
$socket = send_request(connect_to(), path => '/hints.php');
my $hints = read_response($socket, 'GET');
is $hints->{status}, 103, 'headers_send(103): early hints';
is header($hints, 'Link'), '</a.css>; rel=preload', '... with the headers';
my $final = read_response($socket);
is $final->{status}, 200, '... and then the response';
is $final->{body}, 'final', '... with its body';
is header($final, 'Link'), '</a.css>; rel=preload', '... and the headers again';
is php('echo var_export(headers_send(103), true);', protocol => '1.0')
    ->{body}, 'false', 'none for HTTP/1.0';
like php('ini_set("display_errors", 1); headers_send(99);')->{body}, qr/must be between 100 and 999/,
    'a status that is none is an error';

done_testing;
