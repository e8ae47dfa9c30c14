# Sessions, with PHP's own files.

use strict;
use warnings;
use EphpmTest;
use POSIX ();
use Test::More;

my $first = php('session_start(); $_SESSION["n"] = 1; echo session_id();');
my $id = $first->{body};
like $id, qr/^[-,0-9a-zA-Z]{22,}$/, 'a session begins';
my ($cookie) = headers($first, 'Set-Cookie');
is $cookie, "PHPSESSID=$id; path=/", '... with a cookie';
is header($first, 'Cache-Control'), 'no-store, no-cache, must-revalidate',
    '... and is not to be cached';
is header($first, 'Expires'), 'Thu, 19 Nov 1981 08:52:00 GMT',
    '... nor by old caches';
my @with = (headers => [ Cookie => "PHPSESSID=$id" ]);
is php('session_start(); echo ++$_SESSION["n"];', @with)->{body}, 2,
    'it is found again';
is header(php('session_start();', @with), 'Set-Cookie'), undef,
    '... without another cookie';

# Written after the script's end, before the answer is complete: so the
# client that has it can go on with what it says.
for my $n (3 .. 20) {
    my $r = php('session_start(); echo ++$_SESSION["n"];', @with);
    is $r->{body}, $n, "request $n sees what $_ wrote" for $n - 1;
}

# At once.
my @clients;
for (1 .. 4) {
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        php('session_start(); $n = $_SESSION["n"]; usleep(2000); '
            . '$_SESSION["n"] = $n + 1;', @with) for 1 .. 10;
        POSIX::_exit(0);
    }
    push @clients, $pid;
}
waitpid $_, 0 for @clients;
is php('session_start(); echo $_SESSION["n"];', @with)->{body}, 60,
    'four clients at once lose nothing';

my $new = php('session_start(); session_regenerate_id(true); echo session_id();',
    @with);
isnt $new->{body}, $id, 'session_regenerate_id()';
is php('session_start(); echo $_SESSION["n"];',
    headers => [ Cookie => "PHPSESSID=$new->{body}" ])->{body}, 60,
    '... keeps the values';
isnt php('session_start(); echo session_id();', @with)->{body}, $id,
    'strict mode: an id that is none is not taken';
my $r = php('session_start(["read_and_close" => true]); echo $_SESSION["n"]; '
    . '$_SESSION["n"] = 0;', headers => [ Cookie => "PHPSESSID=$new->{body}" ]);
is $r->{body}, 60, 'read_and_close';
is php('session_start(); session_destroy(); session_start(); '
    . 'echo $_SESSION["n"] ?? "gone";',
    headers => [ Cookie => "PHPSESSID=$new->{body}" ])->{body}, 'gone',
    'session_destroy()';
is php('ini_set("session.use_strict_mode", 0); session_id("shutdown"); '
    . 'session_start(); register_shutdown_function(function () { '
    . '$_SESSION["late"] = "set"; });')->{status}, 200, 'a shutdown function';
is php('ini_set("session.use_strict_mode", 0); session_id("shutdown"); '
    . 'session_start(); echo $_SESSION["late"];')->{body}, 'set',
    '... writes into the session';

done_testing;
