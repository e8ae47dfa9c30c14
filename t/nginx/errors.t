#!/usr/bin/perl
# Errors: what the client gets, and what the log says.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;

my $server = NginxTest->suite(server => <<'END');
location /errors/ {
    error_page 404 500 /errors/document.php;
    location ~ \.php$ { ephpm on; }
}
location /caught/ {
    error_page 404 /errors/document.php;
    error_page 503 = @sorry;
    location ~ \.php$ { ephpm on; ephpm_intercept_errors on; }
}
location @sorry { return 200 "sorry"; }
location /forced/ { ephpm on; }
END
$server->page('errors/document.php',
    '<?php echo "document of ", $_SERVER["REQUEST_URI"];');
$server->page('caught/status.php',
    '<?php http_response_code((int) $_GET["s"]); echo "own page";');

sub logs {
    my ($code, $pattern, $what) = @_;
    my $offset = $server->offset;
    my $r = php($code);
    my $new = $server->since($offset, $pattern);
    like $new, $pattern, $what;
    my ($line) = grep { /$pattern/ } split /\n/, $new;
    return ($r, $line // '');
}

# --- messages

my ($r, $line) = logs('trigger_error("a notice", E_USER_NOTICE); echo "on";',
    qr/PHP Notice:  a notice in /, 'a notice is logged');
is $r->{body}, 'on', '... and the script goes on';
like $line, qr/ \d+#\d+: \*\d+ PHP Notice/, '... with its connection';
like $line, qr/client: 127\.0\.0\.1, server: localhost, request: "GET \/eval\.php HTTP\/1\.1"/,
    '... with its request';
($r, $line) = logs('trigger_error("a warning", E_USER_WARNING);',
    qr/PHP Warning:  a warning in /, 'a warning');
like $line, qr/\[(?:warn|error)\]/, '... with a level';
($r, $line) = logs('error_log("said by the script");',
    qr/said by the script/, 'error_log()');
($r) = logs('error_log(str_repeat("long ", 2000) . "the end");',
    qr/the end/, 'a message of 10,000 bytes');
my $text = join '', map { /: \*\d+ (.*?)(?: while [^,]*)?, client: / ? $1 : () }
    grep { /\blong |the end/ } split /\n/, $server->logged;
my $times = () = $text =~ /long/g;
is $times, 2000, '... loses nothing on its way' or diag $server->logged;
($r) = logs('throw new RuntimeException("not caught");',
    qr/PHP Fatal error:  Uncaught RuntimeException: not caught/,
    'an exception');
is $r->{status}, 500, '... is a 500';
is $r->{body}, '', '... which tells the client nothing';
($r) = logs('no_such_function();', qr/Call to undefined function/,
    'a call of what is not there');
is $r->{status}, 500, '... is a 500';
($r) = logs('echo "x"; flush(); no_such_function();',
    qr/Call to undefined function/, 'an error after output');
is $r->{status}, 200, '... comes too late for another status';
($r) = logs('ini_set("display_errors", 1); no_such_function();',
    qr/Call to undefined/, 'display_errors');
like $r->{body}, qr/Call to undefined function/, '... shows it to the client';
($r) = logs('ini_set("memory_limit", "4M"); $x = str_repeat("x", 8000000);',
    qr/Allowed memory size of 4194304 bytes exhausted/, 'memory_limit');
is $r->{status}, 500, '... is a 500';
is php('echo ini_get("memory_limit");')->{body} ne '4M', 1,
    '... of that request alone';
($r) = logs('ini_set("max_execution_time", 1); while (true) { }',
    qr/Maximum execution time of 1 second exceeded/, 'max_execution_time');
is $r->{status}, 500, '... is a 500';
is php('set_error_handler(fn () => print("handled")); echo $undefined;')
    ->{body}, 'handled', 'an error handler';
is php('set_exception_handler(fn ($e) => print($e->getMessage())); '
    . 'throw new Exception("caught late");')->{body}, 'caught late',
    'an exception handler';
php('function f() { return f(); } ini_set("memory_limit", "8M"); f();')
    for 1 .. 8;
is php('echo "alive";')->{body}, 'alive', 'after endless recursion too';
is get('/syntax.php')->{status}, 500, 'a parse error: 500';

# --- files

my $offset = $server->offset;
is get('/missing.php')->{status}, 404, 'no such script: 404';
like $server->since($offset, qr/missing/), qr{\[error\].*/missing\.php},
    '... and the log names it';
mkdir "$server->{root}/folder.php";
is get('/folder.php')->{status} =~ /^(?:301|403|404)$/, 1, 'a folder called .php';
is get('/forced/')->{status} =~ /^40[34]$/, 1, 'a folder as a script';
my $unreadable = $server->page('secret.php', '<?php echo "secret";');
chmod 0, $unreadable;
unlike get('/secret.php')->{body}, qr/secret"|^secret/,
    'a script that cannot be read';
is get('/hello.php')->{body}, 'hello', '... harms nothing';
chmod 0644, $unreadable;

# --- error_page

$r = get('/errors/nothing.html');
is "$r->{status} $r->{body}", '404 document of /errors/nothing.html',
    'error_page with a script: for a file that is not there';
$r = get('/errors/nothing.php');
is "$r->{status} $r->{body}", '404 document of /errors/nothing.php',
    '... for a script that is not there';
$r = post('/errors/nothing.php', 'a=1');
is "$r->{status} $r->{body}", '404 document of /errors/nothing.php',
    '... after POST';
$r = get('/errors/own.php');
is "$r->{status} $r->{body}", '404 own page',
    "a script's own 404 is its own affair";
$r = get('/caught/status.php?s=404');
is "$r->{status} $r->{body}", '404 document of /caught/status.php?s=404',
    'ephpm_intercept_errors on: error_page takes it';
$r = get('/caught/status.php?s=503');
is "$r->{status} $r->{body}", '200 sorry', '... with another status too';
$r = get('/caught/status.php?s=410');
is "$r->{status} $r->{body}", '410 own page', '... and leaves the others';
$r = get('/caught/status.php?s=200');
is "$r->{status} $r->{body}", '200 own page', '... and what is no error';

$server->ends_well;
done_testing;
