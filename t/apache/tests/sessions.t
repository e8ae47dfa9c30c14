# Sessions: with PHP's own files, then in the store.

use strict;
use warnings;
use EphpmTest;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

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

# ------------------------------------------------------------------
# session.save_handler = ephpm, in a server whose processes may be killed.

# A thread for each connection, or event closes those that are idle; and a
# place in the queue for each.
sub httpd {
    my ($config) = @_;
    require OwnServer;
    my $threads = threaded() ? "ThreadsPerChild 24\nEphpmQueue 64\n" : '';
    return OwnServer->new(config => $threads . $config);
}

my $server = server() eq 'nginx' ? main::sessions_server() : httpd(<<"CONF");
StartServers 24
MinSpareServers 1
MaxSpareServers 24
MaxRequestWorkers 24
KeepAlive On
MaxKeepAliveRequests 0
PHPIniDir $ENV{EPHPM_SCRATCH}/../conf/php.ini
EphpmStore default 16M
EphpmKv default
<Files "*.php">
    SetHandler application/x-httpd-php
</Files>
php_value session.save_handler ephpm
php_value session.use_strict_mode 1
php_value ephpm.session_lock_wait 120
EphpmStore second 4M
<VirtualHost *:*>
    ServerName localhost
</VirtualHost>
<VirtualHost *:*>
    ServerName first.test
    php_admin_flag session.auto_start On
</VirtualHost>
<VirtualHost *:*>
    ServerName second.test
    php_admin_flag session.auto_start On
    EphpmKv second
</VirtualHost>
CONF
$server->page('eval.php', slurp(vars('documentroot') . '/eval.php'));
ok $server->start, 'a server with its sessions in the store starts'
    or diag $server->said, $server->logged;
my @own = (port => $server->{port});

sub own { my ($code, @more) = @_; return php($code, @own, @more) }
sub as { return (headers => [ Cookie => "PHPSESSID=$_[0]" ]) }

# A request whose answer is not waited for.
sub begin {
    my ($code, $of) = @_;
    my $socket = connect_to($server->{port});
    return send_request($socket, path => '/eval.php', headers => [
        'X-Code' => MIME::Base64::encode_base64($code, ''),
        Cookie => "PHPSESSID=$of",
    ]);
}

# The session is held while the key `hold` is there; the key `held` has the
# child's process id.
my $holds = 'session_start(); ephpm_kv_set("held", (string) getmypid()); '
    . 'for ($end = time() + 100; ephpm_kv_exists("hold") && time() < $end; ) '
    . 'ephpm_kv_wait("hold", ephpm_kv_wait("hold", 0, 0)["version"], 1000); ';

sub hold {
    my ($then, $of, $before) = @_;
    own('ephpm_kv_set("hold", "1"); ephpm_kv_del("held");');
    my $socket = begin(($before // '') . "$holds $then", $of);
    wait_until(sub { own('echo ephpm_kv_exists("held") ? 1 : 0;')->{body} });
    return $socket;
}

$r = own('session_start(); echo session_id(), " ", '
    . 'ephpm_kv_exists("session-lock:" . session_id()) ? "locked" : "free";');
($id) = $r->{body} =~ /^([-,0-9a-zA-Z]{22,}) locked$/;
ok defined $id, 'a session begins in the store' or diag $r->{body};
is header($r, 'Set-Cookie'), "PHPSESSID=$id; path=/",
    '... with a cookie';
is own("echo ephpm_kv_exists('session-lock:$id') ? 'locked' : 'free';")->{body},
    'free', '... and is free when it ends';
is own('session_start(); echo session_id();', as($id))->{body}, $id,
    'strict mode: an id that was given is taken';
isnt own('session_start(); echo session_id();', as('made-up'))->{body},
    'made-up', '... one that was not is not';

# Many at once: each adds one.
my ($connections, $turns) = (20, 50);
my $count = MIME::Base64::encode_base64(
    'session_start(); $_SESSION["n"] = 1 + ($_SESSION["n"] ?? 0); '
    . 'echo $_SESSION["n"];', '');
@clients = ();
for (1 .. $connections) {
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        my $socket = connect_to($server->{port});
        my ($good, $last) = (0, 0);
        for (1 .. $turns) {
            send_request($socket, path => '/eval.php', keep => 1, headers => [
                'X-Code' => $count, Cookie => "PHPSESSID=$id" ]);
            my $answer = read_response($socket) or last;
            $good++ if $answer->{status} == 200 && $answer->{body} > $last;
            $last = $answer->{body};
        }
        POSIX::_exit($good == $turns ? 0 : 1);
    }
    push @clients, $pid;
}
my $bad = 0;
for (@clients) { waitpid $_, 0; $bad++ if $? }
is $bad, 0, "$connections connections with $turns requests each are answered";
is own('session_start(); echo $_SESSION["n"];', as($id))->{body},
    $connections * $turns, '... and each has added one';

# Two of one session, the second while the first has it.
my $first_one = hold('$_SESSION["first"] = "one"; echo "done";', $id);
my $token = own("echo ephpm_kv_get('session-lock:$id');")->{body};
my $second_one = begin('session_start(); $_SESSION["second"] = "two"; '
    . 'echo $_SESSION["first"] ?? "lost";', $id);
is own('ini_set("ephpm.session_lock_wait", 1); $at = hrtime(true); '
    . 'var_dump(session_start(), hrtime(true) - $at >= 999_000_000);',
    as($id))->{body}, "bool(false)\nbool(true)\n", 'a wait has its time-out';
like $server->logged, qr/session_start\(\): The session is locked by another request, still after 1 s \(INI ephpm\.session_lock_wait\)/,
    '... and the log says so';
is own("echo ephpm_kv_get('session-lock:$id');")->{body}, $token,
    '... and the lock is still the first one\'s';
own('ephpm_kv_del("hold");');
is read_response($first_one)->{body}, 'done', 'the first request ends';
is read_response($second_one)->{body}, 'one', '... and the second goes on';
is own('session_start(); echo $_SESSION["first"], $_SESSION["second"];',
    as($id))->{body}, 'onetwo', '... and nothing is lost';

# Other sessions, and readers that are done, are not waited for.
$first_one = hold('', $id);
isnt own('session_start(); echo session_id();')->{body}, $id,
    'another session is not waited for';
own('ephpm_kv_del("hold");');
read_response($first_one);
$first_one = begin('session_start(["read_and_close" => true]); '
    . 'ephpm_kv_set("hold", "1"); ephpm_kv_set("held", "1"); '
    . 'for ($end = time() + 100; ephpm_kv_exists("hold") && time() < $end; ) '
    . 'usleep(1000); echo $_SESSION["first"];', $id);
wait_until(sub { own('echo ephpm_kv_exists("hold") ? 1 : 0;')->{body} });
is own('ini_set("ephpm.session_lock_wait", 0); session_start(); '
    . '$_SESSION["first"] = "1"; echo "taken";', as($id))->{body}, 'taken',
    'read_and_close holds no lock';
own('ephpm_kv_del("hold");');
is read_response($first_one)->{body}, 'one', '... and has what it read';

# A holder that is killed: its lock is free when it has run out.
$first_one = hold('', $id);
my $holder = own('echo ephpm_kv_get("held");')->{body};
kill 'KILL', $holder;
my $none = read_response($first_one);
is $none ? $none->{status} : 'nothing', threaded() ? 502 : 'nothing',
    'a holder is killed';
like own("echo ephpm_kv_ttl('session-lock:$id');")->{body}, qr/^(?:[4-5]\d|60)$/,
    '... and its lock runs out after its time limit and 30 s';
own("ephpm_kv_expire('session-lock:$id', 1);");
is own('session_start(); echo $_SESSION["second"];', as($id))->{body}, 'two',
    '... and the session can be had again';
$first_one = hold('', $id, 'ini_set("ephpm.session_lock_ttl", 2); ');
kill 'KILL', own('echo ephpm_kv_get("held");')->{body};
read_response($first_one);
is own('session_start(); echo $_SESSION["second"];', as($id))->{body}, 'two',
    '... by who waits for its expiry, without anybody\'s help';

# One whose lock has run out: it does not free that of who came after it.
$first_one = hold('', $id, 'ini_set("ephpm.session_lock_ttl", 1); ');
$second_one = begin('session_start(); ephpm_kv_set("second", "1"); '
    . 'for ($end = time() + 100; ephpm_kv_exists("second") && time() < $end; ) '
    . 'usleep(1000); echo $_SESSION["second"];', $id);
wait_until(sub { own('echo ephpm_kv_exists("second") ? 1 : 0;')->{body} });
$token = own("echo ephpm_kv_get('session-lock:$id');")->{body};
own('ephpm_kv_del("hold");');
read_response($first_one);
like $token, qr/^[0-9a-f]{32}$/, 'a lock that ran out is another\'s';
is own("echo ephpm_kv_get('session-lock:$id');")->{body}, $token,
    '... and is not freed by who had it before';
own('ephpm_kv_del("second");');
is read_response($second_one)->{body}, 'two', '... who has nothing changed';

# A holder that takes longer than its lock: the other's write stays.
$first_one = hold('$_SESSION["first"] = "late";', $id);
own("ephpm_kv_del('session-lock:$id');");
own('session_start(); $_SESSION["first"] = "in time";', as($id));
own('ephpm_kv_del("hold");');
read_response($first_one);
is own('session_start(); echo $_SESSION["first"];', as($id))->{body},
    'in time', 'a holder that takes too long does not overwrite';
like $server->logged, qr/The session was changed meanwhile, after this request's lock had run out/,
    '... and the log says so';

# New ids, and none.
$new = own('session_start(); session_regenerate_id(true); echo session_id();',
    as($id))->{body};
isnt $new, $id, 'session_regenerate_id()';
is own('session_start(); echo $_SESSION["first"];', as($new))->{body},
    'in time', '... keeps the values';
isnt own('session_start(); echo session_id();', as($id))->{body}, $id,
    '... and the old id is none';
is own('session_start(); session_destroy(); session_start(); '
    . 'echo $_SESSION["first"] ?? "gone";', as($new))->{body}, 'gone',
    'session_destroy()';

# Whatever ends a request.
my %end = (
    'exit'          => 'exit;',
    'a fatal error' => 'no_such_function();',
    'no memory'     => 'for ($all = []; ; $all[] = str_repeat("x", 9_999));',
    'a time limit'  => 'set_time_limit(1); for (;;);',
);
for my $end (sort keys %end) {
    my $its = own('session_start(); echo session_id();')->{body};
    own("session_start(); \$_SESSION['n'] = 1; $end{$end}", as($its));
    is own('ini_set("ephpm.session_lock_wait", 0); session_start(); '
        . 'echo $_SESSION["n"];', as($its))->{body}, 1,
        "a request that is ended by $end writes its session and frees it";
}

# Begun by PHP itself, before a script runs, in the host's own store.
is own('echo session_status() === PHP_SESSION_ACTIVE ? "begun" : "not begun", '
    . '" ", ephpm_kv_exists("session-lock:" . session_id()) ? "here" : "elsewhere";',
    host => $_)->{body}, 'begun here', "session.auto_start, $_"
    for map { ('first.test', 'second.test') x 3 } 1 .. 10;

ok $server->graceful, 'a graceful restart';
is own('session_start(); $_SESSION["n"] = 1; echo $_SESSION["n"];')->{body}, 1,
    '... and the handler is there again';
ok $server->stop, 'the server stops';
unlike $server->logged, qr/exit signal (?!Killed)/, 'no process has crashed';

done_testing;
