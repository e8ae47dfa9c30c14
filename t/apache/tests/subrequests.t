# Sub-requests: virtual(), server-side includes, look-ups, notes.

use strict;
use warnings;
use Apache::Test ();
use EphpmTest;
use Test::More;

sub virtual_works {
    # virtual()
    is php('echo "a-"; var_export(virtual("/hello.txt")); echo "-b";')->{body},
        "a-hello\ntrue-b", 'virtual() of a file';
    is php('echo "a-"; virtual("/hello.php"); echo "-b";')->{body}, 'a-hello-b',
        'virtual() of a script';
    is php('echo "a-"; virtual("/ssi/page.shtml"); echo "-b";')->{body} =~
        /^a-<hello>\n-b$/, 1, 'virtual() of a page that includes a script';
    is php('virtual("/sub/exit.php"); echo "-outer";')->{body}, 'exits-outer',
        'the inner script exits: the outer goes on';
    is php('virtual("/sub/fatal.php"); echo "-outer";')->{body},
        'before-outer', '... or has an error: so does it';
    is php('virtual("/sub/memory.php"); echo "-outer";')->{body}, 'before',
        '... or ends the request: the outer ends too';
    is php('register_shutdown_function(fn () => print("-end")); '
        . 'virtual("/sub/memory.php");')->{body}, 'before-end',
        '... in good order';
    is get('/hello.php')->{body}, 'hello', '... and the server is well';
    is php('ini_set("display_errors", 1); var_export(virtual("/nothing/here"));')
        ->{body} =~ /could not be served: 404.*false/s, 1,
        'virtual() of what is not there: a warning and false';
    is php('virtual("/sub/loop.php");')->{status}, 200, 'one that calls itself ends';
    is php('virtual("/sub/header.php"); echo headers_sent() ? "sent" : "";')->{body},
        'innersent', 'headers are sent before';
    is php('ob_start(); echo "a"; virtual("/hello.php"); echo "b";')->{body},
        'ahellob', 'output buffers are flushed before';
    is php('virtual("/source.phps");')->{body} =~ /&lt;\?php/, 1,
        'a source that is shown';

    is php('ini_set("highlight.comment", "own"); virtual("/ini/sub/of.php"); '
        . 'echo "|", ini_get("highlight.comment"), ini_get("highlight.string"), '
        . 'var_export(ini_set("highlight.string", "x") !== false, true);')->{body},
        'from-directory,from-admin,fixed|own' . php('echo ini_get("highlight.string"), '
        . '"true";')->{body}, 'the inner script has the settings of its folder, '
        . 'the outer its own again';
    is php('virtual("/open/of.php"); echo "|", ini_get("open_basedir"), "|", '
        . 'ini_get("memory_limit");')->{body}, 'restricted||'
        . php('echo ini_get("memory_limit");')->{body}, '... open_basedir too';
    is php('echo ini_get("open_basedir"), ini_get("highlight.comment");')->{body},
        php('echo ini_get("highlight.comment");')->{body},
        '... and nothing of it stays';
}

sub lookup_works {
    # apache_lookup_uri()
    is php('$o = apache_lookup_uri("/hello.php"); echo $o->status, " ", $o->uri, '
        . '" ", basename($o->filename), " ", $o->handler, " ", $o->method;')
        ->{body}, '200 /hello.php hello.php application/x-httpd-php GET',
        'apache_lookup_uri()';
    is php('$o = apache_lookup_uri("/hello.php"); '
        . 'echo $o->request_time - $_SERVER["REQUEST_TIME"];')->{body}, 0,
        '... its time in seconds';
    is php('ini_set("display_errors", 1); '
        . 'var_export(apache_lookup_uri("/private/hello.php"));')->{body} =~
        /cannot be had: 401 Unauthorized.*false$/s, 1,
        '... of what is not for this client: a warning and false';
    is php('ini_set("display_errors", 1); virtual("/private/hello.php");')->{body}
        =~ /cannot be had: 401/, 1, '... nor is it served by virtual()';
}

# Both need the request's own process.
sub both_warn {
    for my $function (qw(virtual apache_lookup_uri)) {
        for my $uri (qw(/hello.php /hello.txt /nothing/here)) {
            my $r = php('ini_set("display_errors", 1); ini_set("html_errors", '
                . "0); echo 'a-'; var_export($function('$uri')); echo '-b';");
            is $r->{status}, 200, "$function() of $uri, in a runner";
            like $r->{body}, qr/^a-\s*Warning: $function\(\): "\Q$uri\E" cannot be (?:served|looked up): the script runs beside the server, not in it, .*include the file.*false-b$/s,
                '... is a warning that says what to do, and false';
        }
    }
    return;
}

if (threaded()) {
    both_warn();
} else {
    virtual_works();
    lookup_works();
}

# mod_include
is get('/ssi/page.shtml')->{body}, "<hello>\n", 'a page includes a script';
is get('/ssi/two.shtml')->{body} =~ /^<hello><hello>$/, 1, '... twice';
like get('/ssi/writes.php')->{body}, qr/^before <hello> after$/,
    'a script whose output includes another';
like get('/ssi/large.php')->{body}, qr/^x{20000} <hello> y{20000}$/,
    '... with more than fits a buffer';
like get('/ssi/dies.php')->{body}, threaded()
    ? qr/^x{20000} before y{20000}never$/ : qr/^x{20000} before y{20000}$/,
    '... and the included one ends ' . (threaded() ? 'itself' : 'the request');
is get('/hello.php')->{body}, 'hello', '... and the server is well';

# Notes and variables
is php('var_export(apache_note("colour", "red")); echo apache_note("colour"), '
    . 'apache_note("colour", "blue"), apache_note("colour");')->{body},
    'falseredredblue', 'apache_note()';
is php('var_export(apache_getenv("shade")); apache_setenv("shade", "dark"); '
    . 'echo apache_getenv("shade"), getenv("shade"), '
    . 'apache_getenv("FROM_SERVER", true);')->{body},
    'falsedarkdarkset-by-server', 'apache_setenv() and apache_getenv()';
# A request is logged after its client has the answer.
my $notes_log = Apache::Test::vars('t_logs') . '/notes_log';
ok wait_until(sub { slurp($notes_log) =~ / blue -$/m }),
    'notes reach the log';
ok wait_until(sub { slurp($notes_log) =~ / dark$/m }), 'variables too';
is php('echo var_export(apache_getenv("shade"), true), '
    . 'var_export(apache_note("colour"), true);')->{body}, 'falsefalse',
    'neither stays for the next request';

done_testing;
