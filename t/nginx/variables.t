#!/usr/bin/perl
# What scripts learn of the request: $_SERVER, ephpm_param, PATH_INFO, TLS,
# cookies, authentication; and what nginx learns of the script.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use NginxTest;
use Test::More;

my $server = NginxTest->new(
    http => <<'END',
log_format ours '$uri|$ephpm_time|$ephpm_queue_time|$ephpm_pid|$status';
END
    server => <<'END',
access_log logs/access.log ours;
index index.php;
ephpm_param FROM_SERVER set-by-server;
location /private/ {
    auth_basic private;
    auth_basic_user_file users;
    location ~ \.php$ { ephpm on; }
}
location ^~ /set/ {
    ephpm on;
    ephpm_param FROM_LOCATION "is $arg_a";
    ephpm_param EMPTY "";
    ephpm_param UNSAID "" if_not_empty;
    ephpm_param SERVER_NAME another.test;
    ephpm_param HTTP_X_SOME not-from-the-client;
}
location = /front {
    ephpm on;
    ephpm_param SCRIPT_FILENAME $document_root/echo.php;
    ephpm_param SCRIPT_NAME /echo.php;
}
location /by-index/ { ephpm on; ephpm_index start.php; }
location ^~ /split/ { ephpm on; ephpm_split_path_info ^(/split/[^/]+/[^/]+\.php)(/.*)$; }
location ~ ^/aliased/(.+\.php)$ { alias %DIR%/other/$1; ephpm on; }
location = /hello.txt { }
END
);
my $echo = slurp("$NginxTest::top/t/apache/htdocs/echo.php");
$server->page($_, $echo) for 'echo.php', 'set/echo.php', 'private/echo.php',
    'by-index/start.php', 'split/dir.php/page.php', 'index.php';
mkdir "$server->{dir}/other";
spew("$server->{dir}/other/echo.php", $echo);
$server->page('hello.txt', 'hello');
$server->page('slow.php', '<?php usleep(300000); echo getmypid();');
spew("$server->{dir}/users", "suite:{SHA}PLzZCtxLGSqHpiWFC38jHK3fDrM=\n");

# TLS, with a certificate of the moment.
my $tls = system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj"
    . " /CN=localhost -keyout $server->{dir}/key -out $server->{dir}/cert"
    . ' > /dev/null 2>&1') == 0;
my ($tls_port) = NginxTest::free_ports(1);
$server->configure(servers => <<"END") if $tls;
server {
    listen 127.0.0.1:$tls_port ssl http2;
    server_name localhost;
    ssl_certificate cert;
    ssl_certificate_key key;
    root %DIR%/htdocs;
    location ~ \\.php\$ { ephpm on; }
}
END
ok $server->start, 'a server starts' or diag $server->said;

sub echo {
    my ($path, $want, %r) = @_;
    my $answer = get($path, %r,
        headers => [ 'X-Want' => $want, @{ $r{headers} // [] } ]);
    return eval { decode_json($answer->{body}) }
        // { error => "$answer->{status} $answer->{body}" };
}

my $root = $server->{root};
my $s = echo('/echo.php/some/info?a=1&b[x]=2', 'server,get',
    host => 'localhost:' . port());
is_deeply $s->{get}, { a => '1', b => { x => '2' } }, '$_GET' or diag explain $s;
my %expected = (
    REQUEST_METHOD  => 'GET',
    REQUEST_URI     => '/echo.php/some/info?a=1&b[x]=2',
    DOCUMENT_URI    => '/echo.php/some/info',
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
    REDIRECT_STATUS => '200',
    FROM_SERVER     => 'set-by-server',
);
is $s->{server}{$_}, $expected{$_}, $_ for sort keys %expected;
like $s->{server}{REMOTE_PORT}, qr/^\d+$/, 'REMOTE_PORT';
like $s->{server}{REQUEST_TIME_FLOAT}, qr/^\d+\.\d+$/, 'REQUEST_TIME_FLOAT';
cmp_ok abs($s->{server}{REQUEST_TIME} - time), '<', 3600, 'REQUEST_TIME';
like $s->{server}{SERVER_SOFTWARE}, qr{^nginx/\d}, 'SERVER_SOFTWARE';
ok !$s->{server}{HTTPS}, 'no HTTPS';
$s = echo('/echo.php', 'server');
ok !length($s->{server}{PATH_INFO} // ''), 'no PATH_INFO where there is none';
is get('/nothing.php/x')->{status}, 404, 'no script: no PATH_INFO, but 404';
$s = echo('/?a=1', 'server');
is $s->{server}{SCRIPT_NAME}, '/index.php', 'index: the script is the index';
is $s->{server}{REQUEST_URI}, '/?a=1', '... and the address is as it was asked';

# What the request line names is the host, not what the header says.
for my $host ('line.test', 'line.test:8123') {
    for my $rest ('/echo.php?a=1', '/echo.php', '?a=1') {
        my $line = echo("http://$host$rest", 'server', host => 'header.test');
        is $line->{server}{HTTP_HOST}, $host, "http://$host$rest"
            or diag explain $line;
    }
}

# --- ephpm_param and what belongs to it

$s = echo('/set/echo.php?a=value', 'server',
    headers => [ 'X-Some' => 'from the client' ])->{server};
is $s->{FROM_LOCATION}, 'is value', 'ephpm_param, with a variable';
is $s->{EMPTY}, '', '... and with nothing';
ok !exists $s->{UNSAID}, '... which if_not_empty leaves out';
is $s->{SERVER_NAME}, 'another.test', '... instead of what nginx would say';
is $s->{HTTP_X_SOME}, 'not-from-the-client', "... or the client's header";
is $s->{DOCUMENT_ROOT}, $root, '... beside all the rest';
is $s->{FROM_SERVER}, undef,
    "... but for the server's own, as with fastcgi_param";
$s = echo('/front?b=c', 'server,get');
is $s->{server}{SCRIPT_FILENAME}, "$root/echo.php", 'a SCRIPT_FILENAME given';
is $s->{server}{REQUEST_URI}, '/front?b=c', '... for another address';
is_deeply $s->{get}, { b => 'c' }, '... with its query';
$s = echo('/by-index/', 'server')->{server};
is $s->{SCRIPT_FILENAME}, "$root/by-index/start.php", 'ephpm_index';
is $s->{SCRIPT_NAME}, '/by-index/start.php', '... is in the name';
$s = echo('/split/dir.php/page.php/more/of.php/it', 'server')->{server};
is $s->{SCRIPT_NAME}, '/split/dir.php/page.php', 'ephpm_split_path_info';
is $s->{PATH_INFO}, '/more/of.php/it', '... and the rest';
$s = echo('/aliased/echo.php', 'server')->{server};
is $s->{SCRIPT_FILENAME}, "$server->{dir}/other/echo.php", 'alias';

# --- headers, cookies

$s = echo('/echo.php', 'server,headers,env', headers => [
    'X-Some' => 'one', 'X-Some' => 'two', Proxy => 'http://evil.test',
    'Accept-Language' => 'de', 'X-Bytes' => "\xe4\xf6",
    'X_Underscore' => 'dropped', 'Content-Type' => 'text/x' ]);
is $s->{server}{HTTP_X_SOME}, 'one, two', 'a repeated header';
is $s->{server}{HTTP_ACCEPT_LANGUAGE}, 'de', 'a header';
is $s->{server}{CONTENT_TYPE}, 'text/x', 'CONTENT_TYPE';
ok !exists $s->{server}{HTTP_PROXY}, 'Proxy is dropped';
ok !exists $s->{env}{HTTP_PROXY}, '... from the environment too';
is $s->{env}{HTTP_ACCEPT_LANGUAGE}, 'de',
    'the whole of getenv() has what $_SERVER has';
is $s->{env}{FROM_SERVER}, 'set-by-server', '... and what ephpm_param says';
ok !exists $s->{server}{HTTP_X_UNDERSCORE},
    'a name with an underscore is dropped, as by nginx';
is $s->{headers}{'X-Some'}, 'one, two', 'getallheaders()';
my $c = echo('/echo.php', 'cookie', headers => [
    Cookie => 'a=1; b=two%20words; c[x]=y; __Host-d=e' ]);
is_deeply $c->{cookie},
    { a => '1', b => 'two words', c => { x => 'y' }, '__Host-d' => 'e' },
    'cookies';
is_deeply echo('/echo.php', 'cookie')->{cookie}, [], 'none';
is_deeply echo('/echo.php', 'cookie',
    headers => [ Cookie => 'a=1', Cookie => 'b=2' ])->{cookie},
    { a => '1', b => '2' }, 'in two headers';
my ($code, $got) = curl('--http2-prior-knowledge', '-H', 'X-Want: cookie,server',
    '-H', 'Cookie: a=1', '-H', 'Cookie: b=2',
    "http://127.0.0.1:$server->{port2}/echo.php");
my $h2 = eval { decode_json($got) };
is_deeply $h2->{cookie}, { a => '1', b => '2' }, '... by HTTP/2';
is $h2->{server}{SERVER_PROTOCOL}, 'HTTP/2.0', 'SERVER_PROTOCOL by HTTP/2';
like $h2->{server}{HTTP_HOST}, qr/^127\.0\.0\.1/, '... and the host';

$server->page('env.php', '<?php echo json_encode($_ENV);');
$s = decode_json(get('/env.php')->{body});
is $s->{SCRIPT_NAME}, '/env.php', '$_ENV has what $_SERVER has';
is $s->{FROM_SERVER}, 'set-by-server', '... and what ephpm_param says';
ok length($s->{USER} // ''), '... beside the environment';

# --- TLS

SKIP: {
    skip 'openssl is not installed: apt-get install openssl', 4 unless $tls;
    for my $http ('--http1.1', '--http2') {
        ($code, $got) = curl('-k', $http, '-H', 'X-Want: server',
            "https://127.0.0.1:$tls_port/echo.php");
        $s = eval { decode_json($got)->{server} } // {};
        is $s->{HTTPS}, 'on', "$http over TLS: HTTPS" or diag $got;
        is $s->{REQUEST_SCHEME}, 'https', '... REQUEST_SCHEME';
    }
}

# --- authentication

$server->page('auth.php', '<?php echo json_encode([$_SERVER["PHP_AUTH_USER"] '
    . '?? null, $_SERVER["PHP_AUTH_PW"] ?? null, '
    . '$_SERVER["PHP_AUTH_DIGEST"] ?? null]), '
    . '$_SERVER["HTTP_AUTHORIZATION"] ?? "";');
$server->page('private/who.php', '<?php echo json_encode(['
    . '$_SERVER["PHP_AUTH_USER"] ?? null, $_SERVER["PHP_AUTH_PW"] ?? null, '
    . '$_SERVER["REMOTE_USER"] ?? null]);');

sub basic { return 'Basic ' . encode_base64("$_[0]:$_[1]", '') }

like get('/auth.php', headers => [ Authorization => basic('joe', 'se:cret') ])
    ->{body}, qr/^\["joe","se:cret",null\]/, 'Basic, for the script to check';
is get('/auth.php')->{body}, '[null,null,null]',
    'nothing of it stays for the next request';
like get('/auth.php', headers => [ Authorization => 'Digest username="joe"' ])
    ->{body}, qr/^\[null,null,"username=\\"joe\\""\]/, 'Digest';
is get('/private/who.php')->{status}, 401, 'what auth_basic protects';
is get('/private/who.php',
    headers => [ Authorization => basic('suite', 'word') ])->{body},
    '["suite","word","suite"]', '... is served to who knows the word';
is get('/private/who.php', headers => [ Authorization => basic('suite', 'x') ])
    ->{status}, 401, '... and to nobody else';

# --- variables of the log

my $pid = get('/slow.php')->{body};
get('/hello.txt');
my $log = '';
ok wait_until(sub {
    $log = slurp("$server->{dir}/logs/access.log");
    return $log =~ m{^/hello\.txt}m;
}), 'requests are logged';
like $log, qr{^/slow\.php\|\d+\.\d{3}\|\d+\.\d{3}\|$pid\|200$}m,
    '$ephpm_time, $ephpm_queue_time, $ephpm_pid';
my ($took, $waited) = $log =~ m{^/slow\.php\|([\d.]+)\|([\d.]+)\|}m;
cmp_ok $took // 0, '>=', 0.29, '... the script took as long as it slept';
cmp_ok $waited // 1e9, '<', $took // 0, '... and waited for less';
like $log, qr{^/hello\.txt\|-?\|-?\|-?\|200$}m, '... and a file has none';

$server->ends_well;
done_testing;
