# What scripts learn of the request: $_SERVER, cookies, authentication.

use strict;
use warnings;
use Apache::Test ();
use EphpmTest;
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;

sub echo {
    my ($path, $want, %r) = @_;
    my $answer = get($path, %r,
        headers => [ 'X-Want' => $want, @{ $r{headers} // [] } ]);
    return decode_json($answer->{body});
}

my $root = Apache::Test::vars('documentroot');
my $s = echo('/echo.php/some/info?a=1&b[x]=2', 'server,get',
    host => 'localhost:' . port());
is_deeply $s->{get}, { a => '1', b => { x => '2' } }, '$_GET';
my %expected = (
    REQUEST_METHOD  => 'GET',
    REQUEST_URI     => '/echo.php/some/info?a=1&b[x]=2',
    QUERY_STRING    => 'a=1&b[x]=2',
    SCRIPT_NAME     => '/echo.php',
    SCRIPT_FILENAME => "$root/echo.php",
    PHP_SELF        => '/echo.php/some/info',
    PATH_INFO       => '/some/info',
    PATH_TRANSLATED => "$root/some/info",
    SERVER_PROTOCOL => 'HTTP/1.1',
    SERVER_NAME     => 'localhost',
    SERVER_PORT     => port(),
    SERVER_ADDR     => '127.0.0.1',
    REMOTE_ADDR     => '127.0.0.1',
    DOCUMENT_ROOT   => $root,
    HTTP_HOST       => 'localhost:' . port(),
    GATEWAY_INTERFACE => 'CGI/1.1',
    REQUEST_SCHEME  => 'http',
    FROM_SERVER     => 'set-by-server',
);
is $s->{server}{$_}, $expected{$_}, $_ for sort keys %expected;
like $s->{server}{REQUEST_TIME_FLOAT}, qr/^\d+\.\d+$/, 'REQUEST_TIME_FLOAT';
cmp_ok abs($s->{server}{REQUEST_TIME} - time), '<', 3600, 'REQUEST_TIME';
like $s->{server}{SERVER_SOFTWARE}, qr/^Apache/, 'SERVER_SOFTWARE';
$s = echo('/echo.php', 'server');
ok !exists $s->{server}{PATH_INFO}, 'no PATH_INFO where there is none';
is get('/no-path-info/echo.php/x')->{status}, 404, 'AcceptPathInfo Off';
is get('/nothing.php/x')->{status}, 404, 'no script: no PATH_INFO, but 404';
is_deeply echo('/ini/argv.php?x+y', 'get,argv')->{argv}, [ 2, [ 'x', 'y' ] ],
    'argc and argv, where php.ini wants them';

# Headers.
$s = echo('/echo.php', 'server,headers,env', headers => [
    'X-Some' => 'one', 'X-Some' => 'two', Proxy => 'http://evil.test',
    'Accept-Language' => 'de', 'X-Bytes' => "\xe4\xf6", 'X.Dot' => 'dotted' ]);
is $s->{server}{HTTP_X_SOME}, 'one, two', 'a repeated header';
is $s->{server}{HTTP_ACCEPT_LANGUAGE}, 'de', 'a header';
ok !exists $s->{server}{HTTP_PROXY}, 'Proxy is dropped';
ok !exists $s->{env}{HTTP_PROXY}, '... from the environment too';
is php('echo var_export(getenv("HTTP_PROXY"), true);',
    headers => [ Proxy => 'x' ])->{body}, 'false', '... and from getenv()';
is $s->{headers}{'X-Some'}, 'one, two', 'getallheaders()';
is php('echo getenv("FROM_SERVER"), getenv("REQUEST_METHOD");')->{body},
    'set-by-serverGET', "getenv() of the request's variables";

# Cookies.
my $c = echo('/echo.php', 'cookie', headers => [
    Cookie => 'a=1; b=two%20words; c[x]=y; __Host-d=e' ]);
is_deeply $c->{cookie},
    { a => '1', b => 'two words', c => { x => 'y' }, '__Host-d' => 'e' },
    'cookies';
is_deeply echo('/echo.php', 'cookie')->{cookie}, [], 'none';

# Authentication.
sub basic { return 'Basic ' . encode_base64("$_[0]:$_[1]", '') }

my $code = 'echo json_encode([$_SERVER["PHP_AUTH_USER"] ?? null, '
    . '$_SERVER["PHP_AUTH_PW"] ?? null, $_SERVER["PHP_AUTH_DIGEST"] ?? null, '
    . '$_SERVER["REMOTE_USER"] ?? null, $_SERVER["AUTH_TYPE"] ?? null, '
    . '$_SERVER["HTTP_AUTHORIZATION"] ?? null]);';
is php($code, headers => [ Authorization => basic('joe', 'se:cret') ])->{body},
    '["joe","se:cret",null,null,null,null]', 'Basic, for the script to check';
is php($code)->{body}, '[null,null,null,null,null,null]',
    'nothing of it stays for the next request';
is php($code, headers => [ Authorization => 'Digest username="joe"' ])->{body},
    '[null,null,"username=\"joe\"",null,null,null]', 'Digest';
is php($code, headers => [ Authorization => 'Bearer abc' ])->{body},
    '[null,null,null,null,null,null]', 'another scheme';
is php('echo getallheaders()["Authorization"];',
    headers => [ Authorization => 'Bearer abc' ])->{body}, 'Bearer abc',
    '... which getallheaders() shows';
is get('/private/hello.php')->{status}, 401, 'what httpd protects';
my $answer = get('/private/who.php',
    headers => [ Authorization => basic('suite', 'word') ]);
is $answer->{body}, '["suite","word","suite","Basic"]',
    '... is served to who knows the word';
is get('/private/who.php', headers => [ Authorization => basic('suite', 'x') ])
    ->{status}, 401, '... and to nobody else';

# The access log knows whom the script saw.
like slurp(Apache::Test::vars('t_logs') . '/notes_log'), qr/^joe \d+ /m,
    'the access log has the user, and the memory used';

done_testing;
