# Errors: what the client gets, and what the log says.

use strict;
use warnings;
use Apache::Test ();
use EphpmTest;
use Test::More;

sub logs {
    my ($code, $pattern, $what) = @_;
    my $offset = -s error_log();
    my $r = php($code);
    my $new = log_since($offset, $pattern);
    like $new, $pattern, $what;
    my ($line) = grep { /$pattern/ } split /\n/, $new;
    return ($r, $line // '');
}

my ($r, $line) = logs('trigger_error("a notice", E_USER_NOTICE); echo "on";',
    qr/PHP Notice:  a notice in /, 'a notice is logged');
is $r->{body}, 'on', '... and the script goes on';
like $line, qr/\[php:\w+\]/, "... under PHP's name";
like $line, qr/\[client 127\.0\.0\.1:\d+\]/, '... with its client';
($r, $line) = logs('trigger_error("a warning", E_USER_WARNING);',
    qr/PHP Warning:  a warning in /, 'a warning');
like $line, qr/\[php:warn\]/, '... with its level';
($r, $line) = logs('error_log("said by the script");',
    qr/said by the script/, 'error_log()');
like $line, qr/\[php:notice\]/, '... is never left out by LogLevel';
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
for (1 .. 8) {
    php('function f() { return f(); } ini_set("memory_limit", "8M"); f();');
}
is php('echo "alive";')->{body}, 'alive', 'after endless recursion too';

# Files.
my $offset = -s error_log();
is get('/missing.php')->{status}, 404, 'no such script: 404';
like log_since($offset, qr/missing/),
    qr{\[php:error\].* script '.*/missing\.php' not found or unable to stat},
    '... and the log line that people watch for';
$offset = -s error_log();
is get('/forced/')->{status}, 403, 'a folder as a script: 403';
like log_since($offset, qr/attempt/),
    qr{attempt to invoke directory '.*/forced/' as script},
    '... and the log line that people watch for';
my $unreadable = spew(Apache::Test::vars('documentroot') . '/secret.php',
    '<?php echo "secret";');
chmod 0, $unreadable;
isnt get('/secret.php')->{status}, 200, 'a script that cannot be read';
is get('/hello.php')->{body}, 'hello', '... harms nothing';
is get('/syntax.php')->{status}, 500, 'a parse error: 500';

# ErrorDocument
$r = get('/errors/nothing.html');
is $r->{status}, 404, 'ErrorDocument: keeps its status';
is $r->{body}, '404 /errors/nothing.html GET', '... and knows what was asked';
$r = get('/errors/nothing.php');
is "$r->{status} $r->{body}", '404 404 /errors/nothing.php GET',
    '... for a script that is not there';
$r = post('/errors/nothing.php', 'a=1');
is $r->{status}, 404, '... after POST';
$r = get('/errors/own.php');
is "$r->{status} $r->{body}", '404 own page',
    "a script's own 404 is its own affair";

done_testing;
