#!/usr/bin/perl
# What nginx does around fastcgi_pass it does around ephpm: try_files, named
# locations, access, limits, compression, X-Accel, redirects, HTTP/2.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64);
use NginxTest;
use Test::More;
use Time::HiRes qw(time);

my $server = NginxTest->new(
    http => <<'END',
limit_req_zone $uri zone=rate:1m rate=1r/m;
limit_conn_zone $server_name zone=one:1m;
charset_map koi8-r utf-8 { 80 E282AC; }
map $http_cookie $who { default nobody; "a=1" somebody; }
END
    server => <<'END',
location /try/ { try_files $uri $uri/ @front; }
location @front { ephpm on; ephpm_param SCRIPT_FILENAME $document_root/front.php; }
location /rewritten/ { rewrite ^/rewritten/(.*)$ /front.php?to=$1 last; }
location ^~ /inner/ { internal; ephpm on; }
location /auth/ {
    auth_request /inner/allow.php;
    auth_request_set $user $sent_http_x_user;
    add_header X-User $user;
    location ~ \.php$ { ephpm on; }
}
location /basic/ {
    auth_basic here;
    auth_basic_user_file users;
    location ~ \.php$ { ephpm on; }
}
location /excepted/ {
    location ~ \.php$ {
        ephpm on;
        limit_except POST { allow 127.0.0.1; deny all; }
    }
}
location /refused/ {
    location ~ \.php$ { ephpm on; limit_except GET { deny all; } }
}
location /denied/ { deny all; location ~ \.php$ { ephpm on; } }
location /rate/ {
    limit_req zone=rate;
    limit_req_status 429;
    location ~ \.php$ { ephpm on; }
}
location /small/ {
    client_max_body_size 1000;
    error_page 413 /front.php;
    location ~ \.php$ { ephpm on; }
}
location /zipped/ {
    gzip on;
    gzip_types application/json;
    location ~ \.php$ { ephpm on; }
}
location /added/ {
    add_header X-Added yes always;
    expires 1h;
    location ~ \.php$ { ephpm on; }
}
location /sub/ { sub_filter world World; location ~ \.php$ { ephpm on; } }
location /protected/ { internal; alias %DIR%/protected/; }
location /named.php { ephpm on; }
location @named { return 200 "named $request_method"; }
location /posted/ {
    error_page 418 = @front;
    return 418;
}
location ~ ^/nested/ { location ~ \.php$ { ephpm on; } }
if ($arg_stop) { return 403; }
location = /conditional.php { if ($who = somebody) { ephpm on; } return 200 "no"; }
location /mirrored/ { mirror /inner/mirror.php; location ~ \.php$ { ephpm on; } }
location ^~ /proxied/ { proxy_pass http://127.0.0.1:%PORT%/; }
END
);
$server->page('front.php', '<?php echo "front ", $_SERVER["REQUEST_METHOD"], '
    . '" ", $_SERVER["REQUEST_URI"], " ", json_encode($_GET), '
    . 'strlen((string) file_get_contents("php://input"));');
$server->page("$_/hello.php", '<?php echo "Hello, world!";')
    for qw(try auth basic denied excepted refused rate added sub nested mirrored);
$server->page('try/file.txt', 'file');
$server->page('try/folder/index.html', 'index');
$server->page('small/post.php', '<?php echo strlen($_POST["a"] ?? "");');
$server->page('zipped/page.php', '<?php header("Content-Type: " . $_GET["t"]);'
    . 'echo str_repeat("text ", 1000);');
$server->page('inner/allow.php', '<?php if (($_SERVER["HTTP_X_WORD"] ?? "") '
    . '!== "open") { http_response_code(403); } header("X-User: joe");');
$server->page('inner/mirror.php', '<?php touch("' . $server->{dir}
    . '/scratch/mirrored");');
$server->page('conditional.php', '<?php echo "yes";');
$server->page('named.php', '<?php header("X-Accel-Redirect: @named");');
mkdir "$server->{dir}/protected";
spew("$server->{dir}/protected/file.txt", '0123456789');
spew("$server->{dir}/users", "suite:{SHA}PLzZCtxLGSqHpiWFC38jHK3fDrM=\n");
$server->page('accel.php', '<?php foreach ($_GET as $name => $value) '
    . '{ header("X-Accel-$name: $value"); } header("X-Own: kept"); '
    . 'header("Content-Type: application/x-own"); setcookie("c", "1"); '
    . 'echo str_repeat("x", 50000);');
ok $server->start, 'a server starts' or diag $server->said;

# --- which location

is get('/try/file.txt')->{body}, 'file', 'try_files: a file';
is get('/try/folder/')->{body}, 'index', '... a folder';
is get('/try/none?a=b')->{body}, 'front GET /try/none?a=b {"a":"b"}0',
    '... a named location with a script';
is get('/try/none', body => 'x' x 100_000)->{body},
    'front POST /try/none []100000', '... with a body';
is get('/rewritten/there?a=b')->{body},
    'front GET /rewritten/there?a=b {"to":"there","a":"b"}0', 'rewrite';
is get('/posted/x', body => 'abc')->{body}, 'front POST /posted/x []3',
    'error_page with a named location keeps method and body';
is get('/nested/hello.php')->{body}, 'Hello, world!', 'nested locations';
is get('/inner/allow.php')->{status}, 404, 'internal: not from outside';
is get('/front.php?stop=1')->{status}, 403, 'return, before the script';
is get('/conditional.php', headers => [ Cookie => 'a=1' ])->{status}, 200,
    'if: is served';

# --- who may

is get('/auth/hello.php')->{status}, 403, 'auth_request to a script: no';
my $r = get('/auth/hello.php', headers => [ 'X-Word' => 'open' ]);
is "$r->{status} $r->{body}", '200 Hello, world!', '... yes';
is header($r, 'X-User'), 'joe', '... and auth_request_set has its header'
    or diag explain $r;
$r = get('/auth/hello.php', headers => [ 'X-Word' => 'open' ],
    body => 'x' x 100_000);
is "$r->{status} $r->{body}", '200 Hello, world!', '... with a body';
is get('/basic/hello.php')->{status}, 401, 'auth_basic: no';
is get('/basic/hello.php', headers => [ Authorization => 'Basic '
    . encode_base64('suite:word', '') ])->{body}, 'Hello, world!', '... yes';
is get('/denied/hello.php')->{status}, 403, 'deny';
is get('/excepted/hello.php')->{body}, 'Hello, world!',
    'limit_except: what it lets through runs, and no source is shown';
is get('/excepted/hello.php', body => 'x')->{body}, 'Hello, world!',
    '... as does what it excepts';
is get('/refused/hello.php', body => 'x')->{status}, 403,
    '... what it refuses does not';
is get('/refused/hello.php')->{body}, 'Hello, world!', '... and the rest does';

# --- how much

is get('/rate/hello.php')->{status}, 200, 'limit_req: the first';
is get('/rate/hello.php')->{status}, 429, '... and the second';
my @form = ('Content-Type' => 'application/x-www-form-urlencoded');
is get('/small/post.php', body => 'a=1', headers => \@form)->{body}, 1,
    'client_max_body_size: under it';
$r = get('/small/post.php', body => 'a=' . 'x' x 2000, headers => \@form);
is $r->{status}, 413, '... over it';
like $r->{body}, qr{^front GET /small/post\.php}, '... with its error_page';
$r = get('/small/post.php', method => 'POST', headers => [ @form,
    'Transfer-Encoding' => 'chunked' ], body => "7d0\r\na=" . 'x' x 1998
    . "\r\n0\r\n\r\n");
is $r->{status}, 413, '... in chunks';
is get('/small/post.php', method => 'POST', headers => [ @form,
    'Transfer-Encoding' => 'chunked' ], body => "zz\r\nnonsense\r\n")
    ->{status}, 400, 'what is no chunk';

# --- what is done to answers

$r = get('/zipped/page.php?t=application/json',
    headers => [ 'Accept-Encoding' => 'gzip' ]);
is header($r, 'Content-Encoding'), 'gzip', 'gzip';
is header($r, 'Content-Length'), undef, '... without the old length';
my ($code, $got) = curl('--compressed',
    "http://127.0.0.1:$server->{port}/zipped/page.php?t=application/json");
is $got, 'text ' x 1000, '... and back';
is header(get('/zipped/page.php?t=image/x',
    headers => [ 'Accept-Encoding' => 'gzip' ]), 'Content-Encoding'), undef,
    '... by type';
$r = get('/added/hello.php');
is header($r, 'X-Added'), 'yes', 'add_header';
like header($r, 'Cache-Control'), qr/max-age=3600/, 'expires';
is get('/sub/hello.php')->{body}, 'Hello, World!', 'sub_filter';
is get('/mirrored/hello.php')->{body}, 'Hello, world!', 'mirror';
ok wait_until(sub { -e "$server->{dir}/scratch/mirrored" }),
    '... whose script runs too';
is get('/proxied/front.php?x=1')->{body}, 'front GET /front.php?x=1 {"x":"1"}0',
    'proxy_pass to itself';
$r = get('/front.php', headers => [ Range => 'bytes=0-3' ]);
is $r->{status}, 200, 'no ranges of what a script writes';

# --- X-Accel

$r = get('/accel.php?Redirect=/protected/file.txt');
is $r->{body}, '0123456789', 'X-Accel-Redirect: a file of nginx';
is header($r, 'Content-Type'), 'application/x-own',
    "... with the script's type";
is scalar(headers($r, 'Set-Cookie')), 1, '... and cookies';
is header($r, 'X-Accel-Redirect'), undef, '... without that header';
$r = get('/accel.php?Redirect=/protected/file.txt',
    headers => [ Range => 'bytes=2-4' ]);
is "$r->{status} $r->{body}", '206 234', '... of which parts can be had';
is get('/accel.php?Redirect=/protected/none.txt')->{status}, 404,
    '... that is not there';
is get('/accel.php?Redirect=/front.php%3Fa=b')->{body} =~
    /^front GET .* \{"a":"b"\}0$/, 1, '... another script';
is get('/accel.php?Redirect=/front.php', body => 'abc')->{body} =~
    /^front GET /, 1, '... after POST, as GET';
is get('/named.php')->{body}, 'named GET', '... a named location';
is header(get('/accel.php?Charset=koi8-r'), 'Content-Type'),
    'application/x-own; charset=koi8-r', 'X-Accel-Charset';
like header(get('/accel.php?Expires=60'), 'X-Own'), qr/kept/,
    'X-Accel-Expires is taken';
my $start = time;
$r = get('/accel.php?Limit-Rate=25000');
is length $r->{body}, 50_000, 'X-Accel-Limit-Rate: it comes whole';
cmp_ok time - $start, '>=', 0.9, '... slowly';
is get('/accel.php?Buffering=no')->{status}, 200, 'X-Accel-Buffering';

# --- HTTP/2

my $h2 = "http://127.0.0.1:$server->{port2}";
($code, $got) = curl('--http2-prior-knowledge', "$h2/try/none?a=b");
is $got, 'front GET /try/none?a=b {"a":"b"}0', 'HTTP/2: GET';
($code, $got) = curl('--http2-prior-knowledge', '-d', 'x' x 50_000,
    "$h2/try/none");
is $got, 'front POST /try/none []50000', '... POST';
($code, $got) = curl('--http2-prior-knowledge', '-i',
    "$h2/accel.php?Redirect=/protected/file.txt");
like $got, qr/^HTTP\/2 200.*0123456789\z/s, '... X-Accel-Redirect';
($code, $got) = curl('--http2-prior-knowledge', '-i', "$h2/auth/hello.php");
like $got, qr/^HTTP\/2 403/, '... auth_request';

$server->ends_well;
done_testing;
