# The same request to mod_php and to us: the same answer.  What we do better
# is asserted by itself.

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use EphpmTest;
use IO::Select;
use MIME::Base64 qw(encode_base64);
use OwnServer;
use Test::More;

my ($mod_php) = glob "$ENV{HTTPD_MODULES_DIR}/libphp8*.so";
plan skip_all =>
    'mod_php is not installed: apt-get install libapache2-mod-php'
    unless $mod_php;

my @modules = qw(actions alias auth_basic auth_digest authn_core authn_file
    authz_core authz_user dir env headers include mime negotiation rewrite
    setenvif);
my %server = (
    theirs => OwnServer->new(module => 0, mpm => 'prefork',
        head => "LoadModule php_module $mod_php\n"),
    ours => OwnServer->new,
);
my $dir = $server{ours}{dir};
my $root = "$dir/htdocs";
my $unreadable = $> != 0;

spew("$dir/php.ini", slurp("$ENV{EPHPM_SCRATCH}/../conf/php.ini")
    =~ s/^max_input_vars.*/max_input_vars = 1000/mr);
spew("$dir/users", "joe:" . '{SHA}PLzZCtxLGSqHpiWFC38jHK3fDrM=' . "\n");
spew("$dir/digest", 'joe:there:' . md5_hex('joe:there:word') . "\n");
spew("$dir/types", "text/plain txt\ntext/html html\n");

sub configure {
    my ($server) = @_;
    my $load = join '', map { "<IfModule !mod_$_.c>\n" . OwnServer::load($_)
        . "</IfModule>\n" } @modules;
    $server->configure(<<"END");
$load
DocumentRoot $root
TypesConfig $dir/types
PHPIniDir $dir/php.ini
StartServers 1
MinSpareServers 1
MaxSpareServers 1
<FilesMatch "\\.php\$">
    SetHandler application/x-httpd-php
</FilesMatch>
<FilesMatch "\\.phps\$">
    SetHandler application/x-httpd-php-source
</FilesMatch>
<Directory $root>
    AllowOverride Options AuthConfig
    Options FollowSymLinks
    Require all granted
    DirectoryIndex index.php index.html
    SetEnv GIVEN by-setenv
</Directory>
<Location /basic>
    AuthType Basic
    AuthName there
    AuthUserFile $dir/users
    Require valid-user
</Location>
<Location /digest>
    AuthType Digest
    AuthName there
    AuthUserFile $dir/digest
    Require valid-user
</Location>
<Location /forced>
    SetHandler application/x-httpd-php
</Location>
<Location /no-info>
    AcceptPathInfo Off
</Location>
<Directory $root/limited>
    LimitRequestBody 1000
</Directory>
<Directory $root/hack>
    php_flag xbithack on
    php_flag last_modified on
</Directory>
<Directory $root/off>
    php_flag engine off
</Directory>
Alias /aliased $dir/elsewhere
<Directory $dir/elsewhere>
    Require all granted
</Directory>
<Directory $root/rewritten>
    RewriteEngine On
    RewriteCond %{REQUEST_FILENAME} !-f
    RewriteRule ^(.*)\$ show.php?q=\$1 [QSA,L,E=BY:rewrite]
</Directory>
<Directory $root/front>
    FallbackResource /front/show.php
</Directory>
<Directory $root/views>
    Options +MultiViews
    AddType application/x-httpd-php .php
</Directory>
<Directory $root/acted>
    AddHandler by-script .acted
    Action by-script /show.php
</Directory>
<Directory $root/lost>
    ErrorDocument 404 /show.php?lost
    ErrorDocument 500 /show.php?broken
</Directory>
<Directory $root/typed>
    AddType application/x-httpd-php .typed
    AddHandler application/x-httpd-php .handled
</Directory>
<Directory $root/prepended>
    php_value auto_prepend_file $root/before.inc
    php_value auto_append_file $root/after.inc
    php_value default_charset ISO-8859-1
    php_value include_path $root/inc
</Directory>
<Directory $root/closed>
    php_admin_value open_basedir $root/open
</Directory>
<Directory $root/included>
    Options +Includes
    AddOutputFilter INCLUDES .shtml .php
</Directory>
<VirtualHost *:$server->{port}>
    ServerName plain.test
</VirtualHost>
<VirtualHost *:$server->{port}>
    ServerName slashes.test
    AllowEncodedSlashes On
</VirtualHost>
<VirtualHost *:$server->{port}>
    ServerName kept.test
    AllowEncodedSlashes NoDecode
</VirtualHost>
END
}

mkdir "$root/$_" for qw(basic digest no-info limited hack off folder.php ini
    forced wrong admin rewritten front views acted lost typed prepended
    closed included open inc);
mkdir "$dir/elsewhere";
my $show = <<'END';
<?php
$s = $_SERVER;
unset($s['REQUEST_TIME'], $s['REQUEST_TIME_FLOAT'], $s['REMOTE_PORT'],
    $s['SERVER_SOFTWARE'], $s['SERVER_SIGNATURE'], $s['PATH'],
    $s['PHP_AUTH_DIGEST'], $s['HTTP_AUTHORIZATION']);
header('Content-Type: text/plain');
$files = array_map(fn ($f) => array_diff_key($f, ['tmp_name' => 0]), $_FILES);
echo json_encode([$s, $_GET, $_POST, $files, $_COOKIE,
    count($_POST, COUNT_RECURSIVE), strlen(file_get_contents('php://input')),
    error_get_last()['message'] ?? null],
    JSON_PRETTY_PRINT | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR);
END
my $eval = '<?php eval(base64_decode($_SERVER["HTTP_X_CODE"]));';
spew("$root/show.php", $show);
spew("$root/$_/show.php", $show)
    for qw(basic digest no-info limited ini wrong admin rewritten front views
        lost closed);
spew("$dir/elsewhere/show.php", $show);
spew("$root/acted/page.acted", 'acted upon');
spew("$root/typed/page.$_", '<?php echo __FILE__;') for qw(typed handled);
spew("$root/before.inc", "<?php echo 'before|';");
spew("$root/after.inc", "<?php echo '|after';");
spew("$root/inc/found.inc", "<?php echo 'found';");
spew("$root/prepended/page.php", '<?php include "found.inc";');
spew("$root/included/page.shtml", 'a<!--#include virtual="/index.php" -->b'
    . '<!--#include virtual="/missing.php" -->c');
spew("$root/included/page.php", '<?php echo "a<!--#include '
    . 'virtual=\"/index.php\" -->b";');
spew("$root/eval.php", $eval);
spew("$root/shown.phps", '<?php echo "shown";');
spew("$root/index.php", '<?php echo "index";');
spew("$root/off/page.php", '<?php echo "off";');
spew("$root/syntax.php", '<?php echo 1 +;');
spew("$root/hack/page.html", '<?php echo 2 + 2;');
chmod 0755, "$root/hack/page.html";
spew("$root/hack/plain.html", '<?php echo 2 + 2;');
utime 1_600_000_000, 1_600_000_000, glob "$root/hack/*";
spew("$root/secret.php", '<?php echo "secret";');
chmod 0, "$root/secret.php";
symlink 'loop.php', "$root/loop.php";
symlink 'nowhere', "$root/dangling.php";
spew("$root/ini/.htaccess", "php_value no.such_setting 1\n"
    . "php_value allow_url_include 1\nphp_value open_basedir /\n"
    . "php_value precision -5\n");
spew("$root/wrong/.htaccess", "php_value one\n");
spew("$root/admin/.htaccess", "php_admin_value precision 3\n");

for my $name (sort keys %server) {
    configure($server{$name});
    ok $server{$name}->start, "$name starts"
        or diag $server{$name}->said . $server{$name}->logged;
}

# What differs from server to server, not from module to module; and the
# protocol: mod_php says HTTP/1.0 with its own errors.
sub normal {
    my ($server, $r) = @_;
    return 'nothing' unless $r && $r->{status};
    my $text = join "\n", "$r->{status} $r->{reason}",
        (sort grep { !/^(?:Date|Server|Keep-Alive):/ }
            map { "$_->[0]: $_->[1]" } @{ $r->{headers} }), '',
        $r->{body} . ($r->{complete} ? '' : '(cut)');
    $text =~ s/\b$server->{port}\b/PORT/g;
    $text =~ s/^(Content-Length: )\d+/$1N/m if $text =~ /PORT/;
    $text =~ s/nonce="[^"]*"/nonce="N"/g;
    $text =~ s/rspauth="[^"]*"/rspauth="N"/g;
    $text =~ s/^(Set-Cookie: PHPSESSID=)\w+/$1N/m;
    return $text;
}

# same(NAME, REQUEST, log => what both logs say, ours => what ours says)
sub same {
    my ($what, $request, %log) = @_;
    my %got;
    my %offset = map { $_ => -s $server{$_}{log} } keys %server;
    for my $name (sort keys %server) {
        my $server = $server{$name};
        my $r = ref $request eq 'CODE' ? $request->($server)
            : request(port => $server->{port}, %$request);
        $got{$name} = normal($server, $r);
    }
    # A page of a runner has a length where it came whole, up to 56 KiB; in
    # line httpd has sent the first 8000 bytes before it knows.
    if (threaded() && $got{theirs} =~ /^Transfer-Encoding: chunked$/m
        && $got{ours} =~ /^Content-Length: /m) {
        $got{ours} =~ s/^Content-Length: .*\n//m;
        $got{theirs} =~ s/^Transfer-Encoding: .*\n//m;
    }
    is $got{ours}, $got{theirs}, $what;
    my $pattern = $log{log} // $log{ours};
    if ($pattern) {
        my $logged = log_since($offset{ours}, $pattern, $server{ours}{log});
        like $logged, $pattern, '... the log names the cause';
        my $at = substr slurp($server{theirs}{log}), $offset{theirs};
        ok $at =~ $log{log}, '... as theirs does' or diag $at if $log{log};
    }
    return $got{ours};
}

sub code {
    my ($code, %r) = @_;
    return { path => '/eval.php', %r, headers =>
        [ 'X-Code' => encode_base64($code, ''), @{ $r{headers} // [] } ] };
}

# Bytes as they are.
sub raw {
    my ($bytes, %r) = @_;
    return sub {
        my ($server) = @_;
        my $socket = connect_to($server->{port});
        local $SIG{PIPE} = 'IGNORE';
        print {$socket} $bytes;
        $socket->flush;
        shutdown $socket, 1 if $r{shut};
        return read_response($socket);
    };
}

my @form = ('Content-Type' => 'application/x-www-form-urlencoded');
my $edge = 'edge-of-parts';
my @parts = ('Content-Type' => "multipart/form-data; boundary=$edge");

# What scripts see.
same('a request', { path => '/show.php?a=1&b[]=2' });
same('headers and cookies', { path => '/show.php', headers => [
    Cookie => 'a=1; b[x]=2; a=3; =4; ; c', 'X-Odd.Name' => 'y',
    'X-Twice' => 1, 'X-Twice' => 2, Proxy => 'evil', 'Content-Type' => 'x/y',
    'X_Under' => 'score', 'Accept-Encoding' => 'gzip' ] });
same('a form', { path => '/show.php', body => 'a=1&b[x][]=2&c d=%C3%A4&a.b=3',
    headers => \@form });
same('HTTP/1.0', { path => '/show.php', protocol => '1.0' });
same('PATH_INFO', { path => '/show.php/a/b%20c?x' });
same('PATH_INFO with dots', { path => '/show.php/a/../b' });
same('AcceptPathInfo Off', { path => '/no-info/show.php/a' });
same('DirectoryIndex', { path => '/' });
same("DirectoryIndex, and more after it", { path => '/index.php/' });
for my $method (qw(HEAD PUT DELETE PATCH OPTIONS TRACE BREW PROPFIND)) {
    same("$method", { path => '/show.php', method => $method });
}
same('CONNECT', raw("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n"));
same('a source', { path => '/shown.phps' });
same('engine off', { path => '/off/page.php' });
same('xbithack and last_modified', { path => '/hack/page.html' });
same('xbithack of a file that may not be executed',
    { path => '/hack/plain.html' });
same('If-Modified-Since', { path => '/hack/page.html', headers =>
    [ 'If-Modified-Since' => 'Sun, 13 Sep 2020 12:26:40 GMT' ] });
same('Range', code('echo "0123456789";', headers => [ Range => 'bytes=2-4' ]));
same('If-None-Match', code('header("ETag: \"a\""); echo 1;',
    headers => [ 'If-None-Match' => '"a"' ]));

# Ways to a script.
sub by_way {
    my ($path, $what) = @_;
    like same("by way of $path", { path => $path }), $what,
        '... which is what it should be';
}
by_way('/aliased/show.php/x', qr{"CONTEXT_PREFIX": "\\/aliased"});
by_way('/rewritten/some/page?a=1', qr{"REDIRECT_BY": "rewrite".*"q": "some\\/page"}s);
by_way('/rewritten/show.php/x', qr/\A200 /);
by_way('/front/deep/page?a=1', qr{"REQUEST_URI": "\\/front\\/deep\\/page\?a=1"});
by_way('/views/show', qr{"SCRIPT_NAME": "\\/views\\/show.php"});
by_way('/acted/page.acted', qr{"PATH_INFO": "\\/acted\\/page.acted"});
by_way('/lost/page', qr{\A404 .*"REDIRECT_STATUS": "404"}s);
by_way('/typed/page.typed', qr{/typed/page\.typed$});
by_way('/typed/page.handled', qr{/typed/page\.handled$});
by_way('/prepended/page.php', qr{text/html; charset=ISO-8859-1.*before\|found\|after$}s);
by_way('/closed/show.php', qr/\A500 /);
by_way('/included/page.shtml', qr/aindexb/);
by_way('/included/page.php', qr/aindexb/);
same("by way of $_", { path => $_ }) for qw(/rewritten/ /front/show.php/x
    /views/show/x /acted/page.acted/x /acted/missing.acted /lost/page.php
    /lost/show.php/x /typed/page.typed/x /included);
same('a form by way of a rewrite', { path => '/rewritten/x', body => 'a=1',
    headers => \@form });
same('a form by way of an ErrorDocument', { path => '/lost/x', body => 'a=1',
    headers => \@form });
same('a form by way of an Action', { path => '/acted/page.acted',
    body => 'a=1', headers => \@form });

# Authentication.
sub basic { return 'Basic ' . encode_base64($_[0], '') }
same('Basic: nobody', { path => '/basic/show.php' });
same('Basic: joe', { path => '/basic/show.php',
    headers => [ Authorization => basic('joe:word') ] });
same('Basic, for the script', { path => '/show.php', headers => [
    Authorization => $_ ] }) for basic('joe:se:cret'), basic('no colon'),
    basic(':'), 'Basic', 'Basic !!', 'basic ' . encode_base64('a:b', ''),
    'Bearer x';

sub digest {
    my ($user, $word, $uri) = @_;
    return sub {
        my ($server) = @_;
        my $first = $server->get('/digest/show.php');
        my ($nonce) = (header($first, 'WWW-Authenticate') // '')
            =~ /nonce="([^"]*)"/;
        my $answer = md5_hex(join ':', md5_hex("$user:there:$word"), $nonce,
            '00000001', 'abc', 'auth', md5_hex("GET:$uri"));
        return $server->get('/digest/show.php', headers => [ Authorization =>
            qq(Digest username="$user", realm="there", nonce="$nonce", )
            . qq(uri="$uri", qop=auth, nc=00000001, cnonce="abc", )
            . qq(response="$answer") ]);
    };
}
same('Digest: nobody', { path => '/digest/show.php' });
like same('Digest: joe', digest('joe', 'word', '/digest/show.php')),
    qr/"REMOTE_USER": "joe".*"AUTH_TYPE": "Digest"/s, '... whom the script sees';
same('Digest: a wrong word', digest('joe', 'other', '/digest/show.php'));

# What scripts answer.  virtual() and look-ups need the server's own process.
same($_, code($_)) for grep { !threaded() || !/virtual|lookup/ } (
    'http_response_code(204); echo "body";',
    'http_response_code(304); echo "body";',
    'http_response_code(404);',
    'header("HTTP/1.1 404 Gone fishing"); echo 1;',
    'header("Status: 404 Not Found"); echo 1;',
    'header("Location: /x");',
    'header("Content-Type: text/css");',
    'header("Content-type: text/html; charset=latin1");',
    'header("Content-Type:"); echo 1;',
    'header("Content-Length: 2"); echo "12";',
    'header("Last-Modified: Sun, 13 Sep 2020 12:26:40 GMT"); echo 1;',
    'header("WWW-Authenticate: Basic realm=x"); http_response_code(401);',
    'setcookie("a", "b c"); setcookie("d", "e", ["samesite" => "Lax"]);',
    'session_id("abcdef0123456789abcdef0123"); session_start(); echo 1;',
    'echo str_repeat("x", 100000);',
    'ob_start("strrev"); echo "abc";',
    'no_such_function();', 'echo "a"; no_such_function();',
    'throw new Exception("x");', 'exit(5);', 'exit("text");',
    'ini_set("display_errors", 1); echo $undefined;',
    'virtual("/index.php"); echo 1;',
    'echo json_encode(apache_request_headers());',
    'header("X-A: 1"); echo json_encode(apache_response_headers());',
    'echo json_encode(getenv("GIVEN")), apache_getenv("GIVEN");',
    'echo json_encode(array_keys((array) apache_lookup_uri("/show.php?a")));',
    'print_r(ini_get_all("apache2handler"));',
    'echo ini_get("max_execution_time"), ini_get("html_errors"), '
        . 'ini_get("implicit_flush"), ini_get("register_argc_argv"), '
        . 'ini_get("display_errors"), PHP_SAPI, getcwd();',
    'print_r(array_diff(get_extension_funcs("apache2handler"), '
        . '["getallheaders"]) ? "functions" : "none");',
    'echo connection_status(), connection_aborted();',
    # Where each part runs: the server's folder is not the script's.
    'register_shutdown_function(fn () => print(getcwd() !== __DIR__));',
    'chdir("/tmp"); register_shutdown_function(fn () => print(getcwd())); '
        . 'echo getcwd();',
    'class Last { function __destruct() { echo getcwd() === __DIR__; } } '
        . '$last = new Last; chdir("..");',
    'register_shutdown_function(fn () => print(getcwd() === __DIR__)); exit;',
    'chdir("/nowhere"); echo getcwd() === __DIR__;',
);

# No function of theirs is missing; nor an INI setting of the core's.
my $functions = 'echo implode(" ", array_merge(...array_values('
    . 'get_defined_functions())));';
my %has = map { $_ => 1 } split / /,
    request(port => $server{ours}{port}, %{ code($functions) })->{body};
is join(' ', grep { !$has{$_} } split / /,
    request(port => $server{theirs}{port}, %{ code($functions) })->{body}), '',
    'every function of theirs is there';

# Paths.
same("path $_", { path => $_ }) for qw(/missing.php /folder.php /folder.php/
    /show.php/../show.php /../show.php /../../etc/passwd /%2e%2e/show.php
    /a/%2e%2e/show.php /%2e%2e%2f%2e%2e%2fetc/passwd /show.php%2fa /show%2ephp
    /show.php%00.txt /show.php%0a /show.php%20 /show.php. /SHOW.PHP //show.php
    /show.php//a /./show.php /loop.php /dangling.php /show.php/%2e%2e/x
    /show.php?%00=1 /show.php?a=%00 /%zz /.htaccess);
for my $host (qw(slashes.test kept.test)) {
    same("$host: $_", { path => $_, host => $host }) for qw(/show.php%2fa
        /show.php/a%2fb%2f..%2fc /%2e%2e%2fshow.php /a%2f..%2fshow.php);
}
same('a name that is too long', { path => '/' . 'x' x 300 . '.php' });
same('a URI that is too long', { path => '/show.php?' . 'x' x 9000 });

sub said_of {
    my ($what, $path, $pattern) = @_;
    same($what, { path => $path }, log => $pattern);
}
said_of('a script that is missing', '/missing.php',
    qr{script '\S+/missing\.php' not found or unable to stat});
said_of('a script that is a directory', '/forced/',
    qr{attempt to invoke directory '\S+/forced/' as script});
SKIP: {
    skip 'root reads every file', 3 unless $unreadable;
    same('a script that cannot be read', { path => '/secret.php' },
        log => qr{Permission denied.*Failed opening required '\S+/secret\.php'}s);
}
same('a parse error', { path => '/syntax.php' },
    log => qr/PHP Parse error: .*syntax\.php on line 1/);

# Headers that would be two.
same("injection: $_", code("ini_set('display_errors', 0); $_ echo 1;"),
    log => qr/PHP (?:Warning|Fatal error): .*(?:header|newline|NUL|contain|cookie)/i) for (
    'header("X-A: 1\r\nX-B: 2");', 'header("X-A: 1\nX-B: 2");',
    'header("X-A: 1\rX-B: 2");', 'header("X-A: 1\0X-B: 2");',
    'header("Location: /x\r\nSet-Cookie: a=b");',
    'setcookie("a\r\nb", "c");', 'setcookie("a", "b", 0, "/\r\nX: y");',
    'setrawcookie("a", "b\r\nX: y");',
);
same("header($_)", code("header($_); echo 1;")) for ('""', '"X"', '":"',
    '": y"', '"X-A : y"', '"X A: y"', '"X-A:y"', '"X-A:   y  "',
    '"HTTP/1.1 200 OK\r"', '"HTTP/1.1 2000 Long"', '"HTTP/1.1 abc"',
    '"Content-Length: 5"', '"Content-Length: x"', '"Content-Length: -1"',
    '"Transfer-Encoding: chunked"', '"X-A: " . str_repeat("x", 20000)');

# Input variables.
for my $n (10_000) {
    my $many = join '&', map { "v$_=$_" } 1 .. $n;
    same("$n variables in a form", { path => '/show.php', body => $many,
        headers => \@form }, log => qr/Input variables exceeded 1000/);
    same("$n in an array", { path => '/show.php', headers => \@form,
        body => join '&', map { "v[]=$_" } 1 .. $n },
        log => qr/Input variables exceeded 1000/);
    same("$n parts", { path => '/show.php', headers => \@parts, body =>
        join('', map { "--$edge\r\nContent-Disposition: form-data; "
            . "name=\"v$_\"\r\n\r\n$_\r\n" } 1 .. $n) . "--$edge--\r\n" },
        log => qr/(?:Input variables|body parts) .*exceeded|exceeded .*body parts/i);
    same("$n cookies", { path => '/show.php', headers => [ map {
        (Cookie => join '; ', map { "c$_=1" } 1 .. 1100) } 1 ] });
    same("an array $n deep", { path => '/show.php', headers => \@form,
        body => 'a' . '[x]' x $n . '=1' });
}

# Bodies.
same('a form without a type', { path => '/show.php', body => 'a=1' });
same('a form of another type', { path => '/show.php', body => 'a=1',
    headers => [ 'Content-Type' => 'text/plain' ] });
same('no boundary', { path => '/show.php', body => 'x', headers =>
    [ 'Content-Type' => 'multipart/form-data' ] },
    log => qr/Missing boundary/);
same('an odd boundary', { path => '/show.php', body => 'x', headers =>
    [ 'Content-Type' => 'multipart/form-data; boundary="a' ] },
    log => qr/Invalid boundary/);
same("parts: $_->[0]", { path => '/show.php', headers => \@parts,
    body => $_->[1] =~ s/EDGE/$edge/gr }) for (
    [ 'none', '' ], [ 'rubbish', "rubbish\r\n" x 100 ],
    [ 'no end', "--EDGE\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx" ],
    [ 'no name', "--EDGE\r\nContent-Disposition: form-data\r\n\r\nx\r\n--EDGE--" ],
    [ 'a path for a name', "--EDGE\r\nContent-Disposition: form-data; "
        . "name=\"f\"; filename=\"../../a/b.txt\"\r\n\r\nx\r\n--EDGE--\r\n" ],
    [ 'a NUL in the name', "--EDGE\r\nContent-Disposition: form-data; "
        . "name=\"f\"; filename=\"a\0.txt\"\r\n\r\nx\r\n--EDGE--\r\n" ],
    [ 'an odd array', "--EDGE\r\nContent-Disposition: form-data; "
        . "name=\"f[a][\"; filename=\"a\"\r\n\r\nx\r\n--EDGE--\r\n" ],
    [ 'a header that does not end', "--EDGE\r\n" . 'X: ' . 'y' x 100_000 ],
);
my $post = "POST /show.php HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    . "Content-Type: application/x-www-form-urlencoded\r\n";
same("body: $_->[0]", raw($post . $_->[1], shut => 1)) for (
    [ 'a negative length', "Content-Length: -1\r\n\r\na=1" ],
    [ 'a length that is none', "Content-Length: x\r\n\r\na=1" ],
    [ 'a length beyond all', "Content-Length: 99999999999999999999\r\n\r\na=1" ],
    [ 'two lengths', "Content-Length: 3\r\nContent-Length: 4\r\n\r\na=12" ],
    [ 'a length and chunks', "Content-Length: 3\r\nTransfer-Encoding: chunked"
        . "\r\n\r\n3\r\na=1\r\n0\r\n\r\n" ],
    [ 'another coding', "Transfer-Encoding: gzip\r\n\r\nx" ],
    [ 'no length at all', "\r\na=1" ],
    [ 'chunks with extensions and trailers', "Transfer-Encoding: chunked\r\n"
        . "\r\n3;x=y\r\na=1\r\n0\r\nX-T: 1\r\n\r\n" ],
);
# A client that stops: mod_php drops what has come and says nothing.
for my $case ([ 'cut short', "Content-Length: 100\r\n\r\na=1" ],
    [ 'chunks cut short', "Transfer-Encoding: chunked\r\n\r\n5\r\na=1" ]) {
    my $offset = -s $server{ours}{log};
    my $r = raw($post . $case->[1], shut => 1)->($server{ours});
    like $r->{body}, qr/"a": "1"/, "body: $case->[0]: what has come is there";
    my $pattern = qr/the request's body ended too early, after 3 bytes/;
    like log_since($offset, $pattern, $server{ours}{log}), $pattern,
        '... and the log names the cause';
}
sub part {
    my ($name, $file, $content) = @_;
    return "--$edge\r\nContent-Disposition: form-data; name=\"$name\"; "
        . "filename=\"$file\"\r\nContent-Type: a/b\r\n\r\n$content\r\n";
}
for my $case (
    [ 'files', part('f', 'a.txt', "text\r\n--edge") . part('g[x]', "\xc3\xa4", '')
        . part('g[y]', 'c "d" \\"e', 'y') . part('none', '', '') ],
    [ 'more files than are taken', join '', map { part("f$_", "$_", $_) } 1 .. 7 ],
    [ 'a file over upload_max_filesize', part('f', 'big', 'x' x 2_500_000) ],
    [ 'a file over MAX_FILE_SIZE', "--$edge\r\nContent-Disposition: form-data; "
        . "name=\"MAX_FILE_SIZE\"\r\n\r\n10\r\n" . part('f', 'a', 'x' x 11) ],
) {
    same("upload: $case->[0]", { path => '/show.php', headers => \@parts,
        body => "$case->[1]--$edge--\r\n" });
}
same('over post_max_size', { path => '/show.php', headers => \@form,
    body => 'a=' . 'x' x 4_000_000 }, log => qr/exceeds the limit of 3145728/);
same('over post_max_size in parts', { path => '/show.php', headers => \@parts,
    body => 'x' x 4_000_000 }, log => qr/exceeds the limit of 3145728/);
# mod_php runs the script all the same, behind httpd's page of the error.
for my $case (
    [ 'over LimitRequestBody', [ 'Content-Length' => 4002 ],
        'a=' . 'x' x 4_000, qr/has 4002 bytes, more than LimitRequestBody allows \(1000\)/ ],
    [ 'over it in chunks', [ 'Transfer-Encoding' => 'chunked' ],
        "7d0\r\na=" . 'x' x 1998 . "\r\n0\r\n\r\n", qr/body ended too early/ ],
) {
    my ($what, $headers, $body, $pattern) = @$case;
    my $offset = -s $server{ours}{log};
    my %r = map { $_ => $server{$_}->get('/limited/show.php', body => $body,
        headers => [ @form, @$headers ]) } keys %server;
    is $r{ours}{status}, $r{theirs}{status}, "$what: the same status";
    unlike $r{ours}{body}, qr/GIVEN/, '... and no script runs';
    like log_since($offset, $pattern, $server{ours}{log}), $pattern,
        '... and the log names the cause';
}

# Settings.
same('settings in .htaccess that are ignored', { path => '/ini/show.php' },
    ours => qr{ini/\.htaccess:2: allow_url_include = '1' is ignored: it is the administrator's});
like slurp($server{ours}{log}),
    qr{ini/\.htaccess:1: no\.such_setting = '1' is ignored: this PHP has no such},
    '... and a setting that is none';
like slurp($server{ours}{log}),
    qr{ini/\.htaccess:4: precision = '-5' is ignored: PHP does not take this},
    '... and a value that PHP refuses';
same('a .htaccess that is wrong', { path => '/wrong/show.php' },
    log => qr/php_value takes two arguments/);
same('php_admin_value in .htaccess', { path => '/admin/show.php' },
    log => qr/php_admin_value not allowed here/);

ok $server{$_}->stop, "$_ stops" for sort keys %server;
unlike $server{ours}->logged, qr/exit signal/, 'no process has crashed';

done_testing;
