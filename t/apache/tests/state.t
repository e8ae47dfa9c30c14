# The state of the process: nothing leaks into the next request, and nothing
# of the server's into what a script starts.

use strict;
use warnings;
use EphpmTest;
use MIME::Base64 ();
use POSIX ();
use Test::More;

my $apache = server() eq 'apache';

# One connection is one child: what the first request leaves the second sees.
# In runners it may be another, so they are asked until it is the same.
sub both {
    my ($first, $second) = @_;
    for (1 .. (threaded() ? 1000 : 1)) {
        my $socket = connect_to();
        my @bodies;
        for my $code ($first, $second) {
            send_request($socket, path => '/eval.php', keep => 1, headers => [
                'X-Code' => MIME::Base64::encode_base64(
                    "$code echo '|', getmypid();", '') ]);
            push @bodies, read_response($socket)->{body};
        }
        my ($answer, $pid) = split /\|/, $bodies[1];
        return $answer if $bodies[0] =~ /\|$pid$/;
    }
    BAIL_OUT('two requests on a connection went to two processes');
}

my $root = vars('documentroot');
is php('echo getcwd();')->{body}, $root, "a script starts in its folder";
is both('chdir("/");', 'echo getcwd();'), $root, 'chdir() does not stay';
is both('register_shutdown_function(fn () => chdir("/proc"));',
    'register_shutdown_function(function () { chdir("/"); }); '
    . 'echo is_file("hello.txt") ? "there" : "lost";'), 'there',
    "nor a shutdown function's";
is both('register_shutdown_function(fn () => chdir("/proc"));',
    'chdir(".."); echo getcwd();'), $root =~ s{/[^/]*\z}{}r, '... at all';
is both('umask(0777);', 'printf("%o", umask());'),
    php('printf("%o", umask());')->{body}, 'umask() does not stay';
is both('putenv("LEAK=1"); putenv("PATH=/nowhere");',
    'echo var_export(getenv("LEAK"), true), getenv("PATH") === "/nowhere" '
    . '? "leaked" : "own";'), 'falseown', 'putenv() does not stay';
is both('apache_setenv("LEAK", "1");',
    'echo var_export(getenv("LEAK"), true);'), 'false', 'nor apache_setenv()'
    if $apache;
is both('setlocale(LC_ALL, "C.UTF-8");', 'echo setlocale(LC_ALL, "0");'),
    php('echo setlocale(LC_ALL, "0");')->{body}, 'setlocale() does not stay';
is both('ini_set("precision", "3"); date_default_timezone_set("Asia/Tokyo"); '
    . 'mb_internal_encoding("ASCII");',
    'echo ini_get("precision"), date_default_timezone_get(), '
    . 'mb_internal_encoding();'), '14UTCUTF-8', 'nor settings';
is both('$GLOBALS["leak"] = 1; function leak() {} define("LEAK", 1); '
    . 'class Leak { static $x = 1; }',
    'echo isset($GLOBALS["leak"]), function_exists("leak"), defined("LEAK"), '
    . 'class_exists("Leak"), "none";'), 'none',
    'variables, functions, constants, classes';
is both('http_response_code(410); header("X-A: 1"); ob_start();',
    'echo http_response_code(), ob_get_level();'), '2000',
    'status, headers, output buffers';
is both('set_time_limit(1);', 'echo ini_get("max_execution_time");'),
    php('echo ini_get("max_execution_time");')->{body}, 'time limits';

# What a script starts.
is php('exec("exit 3", $out, $code); echo $code;')->{body}, 3,
    'exec() has the exit status';
is php('$p = proc_open(["sh", "-c", "cat; exit 4"], [["pipe", "r"], '
    . '["pipe", "w"]], $pipes); fwrite($pipes[0], "through"); '
    . 'fclose($pipes[0]); echo stream_get_contents($pipes[1]), proc_close($p);')
    ->{body}, 'through4', 'proc_open()';
my $inherited = php('echo shell_exec("ls -l /proc/self/fd");')->{body};
unlike $inherited, qr/socket:/, 'what is started inherits no socket';
unlike $inherited, qr/anon_inode/, '... no epoll or eventfd';
# The folder is ls's own, the files valgrind's.
my $watcher = qr{.*/(?:memcheck/[\w-]+\.xml|ephpm-checked-\w+/\w+/\d+)$}m;
my @open = $inherited =~ m{ (\d+) -> (?!/proc/\d+/fd$)(?!$watcher)}mg;
is "@{ [ grep { $_ > 2 } @open ] }", '', '... nothing but 0, 1 and 2'
    or diag $inherited;

# Runners give way while they sleep (SCHED_BATCH), and scripts know nothing of
# it.
SKIP: {
    my $policy = sub { (split ' ', $_[0] =~ s/^.*\) //sr)[38] };
    skip 'this test has a scheduling policy of its own', 1
        if $policy->(slurp('/proc/self/stat')) != 0;
    is $policy->(php('echo file_get_contents("/proc/self/stat");')->{body}), 0,
        'the scheduling policy is the usual one';
}

# The server's signals are the server's.
my $signals = php('echo file_get_contents("/proc/self/status");')->{body};
my ($caught) = $signals =~ /SigCgt:\s+([0-9a-f]+)/;
my ($pid) = $signals =~ /^Pid:\s+(\d+)/m;
$pid = (children(server_pid()), server_pid())[0]
    unless threaded();
my ($idle) = slurp("/proc/$pid/status") =~ /SigCgt:\s+([0-9a-f]+)/;
my %bit = (HUP => 1, TERM => 15, USR1 => 10);
for my $name (sort keys %bit) {
    is hex(substr $caught, -8) >> $bit{$name} - 1 & 1,
        hex(substr $idle, -8) >> $bit{$name} - 1 & 1,
        "SIG$name during a script is as it is without one";
}

# What a script makes of them is over at its end.
SKIP: {
    skip 'this PHP has no pcntl', $apache ? 7 : 6
        unless php('echo function_exists("pcntl_fork");')->{body};
    my $now = 'preg_match_all("/^Sig(?:Blk|Ign|Cgt):.*/m", '
        . 'file_get_contents("/proc/self/status"), $m); '
        . 'echo json_encode($m[0]), pcntl_alarm(0);';
    my $own = php($now)->{body};
    is both('pcntl_signal(SIGTERM, fn () => 1); pcntl_signal(SIGUSR1, SIG_IGN); '
        . 'pcntl_signal(SIGHUP, SIG_DFL); pcntl_signal(SIGALRM, fn () => 1);',
        $now), $own, 'pcntl_signal() does not stay';
    is both('pcntl_sigprocmask(SIG_BLOCK, [SIGTERM, SIGUSR1]);', $now), $own,
        '... nor pcntl_sigprocmask()';
    is both('pcntl_alarm(3000);', $now), $own, '... nor pcntl_alarm()';
    is php('pcntl_async_signals(true); '
        . 'pcntl_signal(SIGTERM, fn () => print("caught")); '
        . 'posix_kill(getmypid(), SIGTERM); echo " and on";')->{body},
        'caught and on', '... but until then it works';

    # A process that a script forks.
    my $fork = sub {
        my ($code) = @_;
        my $r = php('echo "before"; $pid = pcntl_fork(); if ($pid === 0) { '
            . "$code exit(7); } pcntl_waitpid(\$pid, \$status); "
            . 'echo "after", pcntl_wexitstatus($status);');
        return "$r->{status} $r->{body}";
    };
    is $fork->('echo "child"; flush(); header("X-A: 1"); headers_send(103);'),
        '200 beforeafter7', 'what a forked process writes goes nowhere';
    is $fork->('fastcgi_finish_request(); echo "child";'), '200 beforeafter7',
        '... nor does it end the response';
    is $fork->('virtual("/hello.php"); virtual("/hello.txt");'),
        '200 beforeafter7', '... nor include in it' if $apache;
}

# A class that two scripts declare; the same file twice.
is both('class Same { const X = 1; }', 'class Same { const X = 2; } echo Same::X;'),
    2, 'the same class again';

# Opcache under load, restarted in the middle.
my @clients;
for (1 .. 3) {
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        my $bad = 0;
        for my $n (1 .. 60) {
            php('opcache_reset();') if $n % 15 == 0;
            $bad++ if get('/hello.php')->{body} ne 'hello';
        }
        POSIX::_exit($bad ? 1 : 0);
    }
    push @clients, $pid;
}
my $bad = 0;
for my $pid (@clients) {
    waitpid $pid, 0;
    $bad++ if $?;
}
is $bad, 0, 'opcache restarts in the middle of requests';
is php('echo ini_get("opcache.force_restart_timeout");')->{body}, 0,
    '... and never kills who still runs a script';
is php('echo opcache_get_status(false)["opcache_enabled"] ? "on" : "off";')
    ->{body}, 'on', 'opcache is on';

done_testing;
