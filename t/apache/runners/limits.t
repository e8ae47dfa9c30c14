# Scripts that run for too long, that crash, and runners that are replaced.

use strict;
use warnings;
use EphpmTest;
use IO::Select;
use Runners;
use Test::More;

my $server = runner_server(config => "EphpmProcesses 2\n"
    . "EphpmRequestTerminateTimeout 1s\n");
$server->page('loops.php', '<?php while (true) { usleep(1000); }');
$server->page('stuck.php', '<?php echo "begun"; flush(); while (true) { '
    . 'usleep(1000); }');
$server->page('crash.php', '<?php ephpm_kv_set("before", "crash"); '
    . 'if (isset($_GET["late"])) { echo str_repeat("x", 100000); flush(); '
    . 'while (!file_exists(__DIR__ . "/go")) { usleep(5000); clearstatcache(); '
    . '} } posix_kill(getmypid(), SIGSEGV);');
$server->page('fatal.php', '<?php ini_set("memory_limit", "4M"); '
    . '$x = str_repeat("x", 8000000);');
$server->page('exit.php', '<?php echo "said"; exit(3);');
ok $server->start, 'a server starts' or diag $server->said . $server->logged;

# Time-outs.
my $offset = -s $server->{log};
is $server->get('/loops.php')->{status}, 504,
    'EphpmRequestTerminateTimeout: 504';
like log_since($offset, qr/loops\.php/, $server->{log}),
    qr{script '\S+/htdocs/loops\.php' has run for \d\.\d s, longer than},
    '... and the log names the script';
is $server->get('/hello.php')->{body}, 'hello', '... and others are served';
my $r = $server->get('/stuck.php');
is $r->{status}, 200, 'one that has sent something already';
is $r->{body}, 'begun', '... the client has that';
ok !$r->{complete}, '... and sees that it is not all';
is $server->get('/hello.php')->{body}, 'hello', '... and others are served';
cmp_ok figures($server)->{timeouts}, '==', 2, 'the status page counts them';

# Crashes.
$offset = -s $server->{log};
is $server->get('/crash.php')->{status}, 502, 'a script that crashes: 502';
my $said = log_since($offset, qr/crash\.php/, $server->{log});
my @lines = grep { /crash\.php/ } split /\n/, $said;
is scalar @lines, 1, '... one line in the log';
like $lines[0] // '', qr{SIGSEGV.*script '\S+/htdocs/crash\.php'},
    '... with the signal and the script';
$server->page('after.php', '<?php echo ephpm_kv_get("before"), '
    . 'ephpm_kv_incr("after");');
is $server->get('/after.php')->{body}, 'crash1', '... and the store is whole';
my $late = begin($server, '/crash.php?late');
IO::Select->new($late)->can_read(EphpmTest::PATIENCE());
spew("$server->{dir}/htdocs/go", '');
$r = read_response($late);
ok !$r->{complete}, 'one that crashes in its output: cut short';
is length $r->{body}, 100_000, '... after what it had sent';
is figures($server)->{crashes}, 2, 'the status page counts them';
for my $n (1 .. 3) {
    is $server->get('/fatal.php')->{status}, 500, "a fatal error ends its request alone, $n";
    is $server->get('/exit.php')->{body}, 'said', "... as exit does, $n";
}
is figures($server)->{crashes}, 2, '... and no runner';
ok wait_until(sub { figures($server)->{alive} == 2 }), 'both runners are there';
unlike $server->logged, qr/child pid \d+ exit signal/, 'none of httpd\'s own processes has crashed';
$server->stop;

# Recycling.
$server = runner_server(config => "EphpmProcesses 2\nEphpmMaxRequests 10\n");
ok $server->start, 'EphpmMaxRequests 10';
my (%pids, @numbers);
for (1 .. 60) {
    $pids{ $server->get('/pid.php')->{body} }++;
    push @numbers, $server->get('/count.php')->{body};
}
is "@numbers", join(' ', 1 .. 60), '... no request is lost';
cmp_ok scalar keys %pids, '>=', 6, '... processes are replaced';
is join(' ', grep { $pids{$_} > 10 } keys %pids), '',
    '... none serves more';
cmp_ok figures($server)->{recycled}, '>=', 10, '... as the status page counts';
$server->stop;

# The slow log.
$server = runner_server();
my $slow = "$server->{dir}/slow.log";
Runners::reconfigure($server, "EphpmProcesses 2\nEphpmSlowLog $slow 200ms\n");
$server->page('slow.php', <<'PHP');
<?php
function waits(): void
{
    for ($i = 0; $i < 400 && !file_exists(__DIR__ . '/traced'); ++$i) {
        usleep(50000);
        clearstatcache();
    }
}
waits();
echo 'over';
PHP
ok $server->start, 'EphpmSlowLog';
my $socket = begin($server, '/slow.php');
ok wait_until(sub { slurp($slow) =~ /waits\(\)/ }),
    '... a script that runs for too long leaves a trace'
    or diag slurp($slow), $server->logged;
like slurp($slow), qr/slow\.php/, '... which names the script';
spew("$server->{dir}/htdocs/traced", '');
is read_response($socket)->{body}, 'over', '... and runs on';
is $server->get('/hello.php')->{body}, 'hello', '... a fast one';
unlike slurp($slow), qr/hello\.php/, '... leaves none';
$server->stop;

done_testing;
