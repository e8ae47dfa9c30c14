# Restarts, stops and deaths: what becomes of requests, runners and counters.

use strict;
use warnings;
use EphpmTest;
use LoadClient qw(load in_background);
use OwnServer;
use Runners;
use Test::More;
use Time::HiRes qw(sleep time);

sub gaps {
    my (@numbers) = sort { $a <=> $b } @_;
    return join ' ', grep { $numbers[$_] != $numbers[ $_ - 1 ] + 1 }
        1 .. $#numbers;
}

# Everything that hangs on a server's parent by now.
sub all_of {
    my ($server) = @_;
    return ($server->{pid}, Runners::below($server->{pid}));
}

sub left_of {
    return grep { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) [^Z]/s } @_;
}

# The one below which the runners are.
sub spawner_of {
    my ($server) = @_;
    my ($spawner) = grep { my $pid = $_;
        grep { slurp("/proc/$_/comm") =~ /^ephpm-/ } Runners::below($pid) }
        children($server->{pid});
    return $spawner;
}

sub httpd_children {
    my ($server) = @_;
    my $spawner = spawner_of($server) // 0;
    return grep { $_ != $spawner } children($server->{pid});
}

my $server = runner_server(threads => 16,
    config => "EphpmProcesses 2\nEphpmQueueTimeout 60s\n");
ok $server->start, 'a server starts' or diag $server->said . $server->logged;
is $server->get('/count.php')->{body}, 1, 'it serves';

# Graceful restarts under load.
my $flag = "$server->{dir}/enough";
my $loading = in_background(sub { load(port => $server->{port},
    path => '/count.php', connections => 6, until => sub { -e $flag }) });
for my $n (1 .. 4) {
    sleep 0.3;
    ok $server->graceful, "graceful restart $n under load";
}
sleep 0.3;
spew($flag, '');
my $load = $loading->();
is "@{ $load->{broken} }", '', '... no request is lost';
is join(' ', grep { $_->{status} != 200 } @{ $load->{answers} }), '',
    '... nor refused';
cmp_ok scalar @{ $load->{answers} }, '>=', 20, '... of many';
my @numbers = map { $_->{body} } @{ $load->{answers} };
is gaps(1, @numbers), '', '... and the counter has no gap';
my $count = @numbers + 1;

# A script of the cycle before.
my $held = hold($server, 'old');
ok $server->graceful, 'a graceful restart while a script runs';
is $server->get('/count.php')->{body}, ++$count, '... the next is served';
release($server, 'old');
is read_response($held)->{body}, 'released old', '... and the script ends well';
ok wait_until(sub { children($server->{pid}) == 2 }),
    '... and its processes leave';

# The spawner dies.
my $spawner = spawner_of($server);
ok $spawner, 'the spawner is a child of the parent';
$held = hold($server, 'orphan');
my $offset = -s $server->{log};
kill 'KILL', $spawner;
is $server->get('/count.php')->{body}, ++$count, 'the spawner killed: others serve on';
like log_since($offset, qr/another one starts/, $server->{log}),
    qr/the spawner of PHP's processes \(pid $spawner\) was ended by signal 9; another one starts/,
    '... another one is started';
release($server, 'orphan');
is read_response($held)->{body}, 'released orphan', '... and a script that ran ends well';
ok wait_until(sub {
    my $new = spawner_of($server);
    return $new && $new != $spawner && figures($server)->{alive} == 2;
}), '... it has runners';
is $server->get('/count.php')->{body}, ++$count, '... which serve';

# It dies when no other can be forked.
SKIP: {
    my ($most) = `prlimit --pid $server->{pid} --nproc --noheadings --output SOFT`
        =~ /(\w+)/;
    $most && system('prlimit', '--pid', $server->{pid}, '--nproc=1:') == 0
        or skip 'prlimit cannot limit the processes of httpd', 4;
    $offset = -s $server->{log};
    kill 'KILL', spawner_of($server);
    my $said = log_since($offset, qr/cannot be forked|another one starts/,
        $server->{log});
    like $said, qr/another one starts/, 'the spawner killed: another one is due';
    like log_since($offset, qr/cannot be forked/, $server->{log}),
        qr/the spawner of PHP's processes cannot be forked/, '... but there are too many processes';
    system 'prlimit', '--pid', $server->{pid}, "--nproc=$most:";
    ok wait_until(sub { figures($server)->{alive} == 2 && spawner_of($server) }),
        '... until there are fewer';
    is $server->get('/count.php')->{body}, ++$count, '... and all is well';
}

# Runners are killed.
for my $n (1 .. 3) {
    my ($victim) = runner_pids($server);
    kill 'KILL', $victim if $victim;
    ok wait_until(sub { $server->get('/hello.php')->{body} eq 'hello' }),
        "a runner killed, $n: served";
}
is $server->get('/count.php')->{body}, ++$count, '... and the counter is right';

# A child of httpd's is killed while a script runs for it.
my ($child) = httpd_children($server);
$held = hold($server, 'lost');
kill 'KILL', $child;
ok wait_until(sub { $server->get('/count.php')->{body} eq $count + 1 }),
    'a child of httpd\'s killed: another one serves';
release($server, 'lost');
ok wait_until(sub { figures($server)->{busy} == 0 }),
    '... and its script comes to an end';

# A restart that is not graceful.
$held = hold($server, 'cut');
my $cycles = $server->cycles;
kill 'HUP', $server->{pid};
ok wait_until(sub { $server->cycles > $cycles }), 'a restart by HUP';
is $server->get('/count.php')->{body}, $count + 2, '... the next is served';
my $cut = read_response($held);
ok !$cut || $cut->{status} == 503 || !$cut->{complete},
    '... and a script that ran has no client any more';
release($server, 'cut');
ok wait_until(sub { children($server->{pid}) == 2 }),
    '... and its processes leave';

# Stopping with a script that does not end.
$held = hold($server, 'never');
my @all = all_of($server);
my $began = time;
ok $server->stop, 'a stop while a script runs';
cmp_ok time - $began, '<', 30, '... is not waited for for ever';
unlike $server->logged, qr/still did not exit|sending a SIGKILL/,
    '... and httpd need not kill its children';
ok wait_until(sub { !left_of(@all) }), '... and nothing of it is left';
release($server);

# The parent is killed.
ok $server->start, 'a new start';
is $server->get('/count.php')->{body}, 1, '... with an empty store';
@all = all_of($server);
my @children = httpd_children($server);
kill 'KILL', $server->{pid};
waitpid $server->{pid}, 0;
$server->{pid} = 0;
is $server->get('/count.php')->{body}, 2,
    'the parent killed: its children serve on';
kill 'KILL', @children;
ok wait_until(sub { !left_of(@all) }),
    '... they killed as well: runners and spawner leave';
unlink "$server->{dir}/httpd.pid";

# PHP that does not start.
my $ini = slurp("$server->{dir}/php.ini");
spew("$server->{dir}/php.ini",
    "${ini}opcache.preload=$server->{dir}/nowhere.php\n");
ok $server->start, 'PHP does not start: the server does';
my $refused = $server->get('/hello.php');
is $refused->{status}, 503, '... scripts are answered with 503';
like header($refused, 'Retry-After'), qr/^[1-9]\d*$/, '... and Retry-After';
is $server->get('/hello.txt')->{body}, 'file', '... files are served';
like log_since(0, qr/PHP does not start/, $server->{log}), qr/nowhere\.php/,
    '... and the log says why';
is $server->get('/status?json')->{status}, 200, '... the status page is there';
spew("$server->{dir}/php.ini", $ini);
ok $server->graceful, 'php.ini is mended, and a restart';
ok wait_until(sub { $server->get('/hello.php')->{status} == 200 }),
    '... brings it';
@all = all_of($server);
ok $server->stop, 'it stops';
ok wait_until(sub { !left_of(@all) }), '... wholly';

done_testing;
