# All runners are busy: who waits, who is refused, and who is served first.

use strict;
use warnings;
use EphpmTest;
use IO::Select;
use Runners;
use Test::More;

my $server = runner_server(config => "EphpmProcesses 1\nEphpmQueue 3\n"
    . "EphpmQueueTimeout 60s\n");
ok $server->start, 'a server with one runner and a queue of three starts'
    or diag $server->said . $server->logged;
is $server->get('/hello.php')->{body}, 'hello', 'it serves';

my $first = hold($server, 1);
my @queued;
for my $n (2 .. 4) {
    push @queued, begin($server, "/hold.php?n=$n");
    ok wait_until(sub { (figures($server)->{queued} // -1) == $n - 1 }),
        "request $n waits" or diag explain figures($server);
}
my $figures = figures($server);
is "$figures->{busy} $figures->{queued} $figures->{queue_limit}", '1 3 3',
    'the queue is full';

my $offset = -s $server->{log};
my $refused = $server->get('/hello.php');
is $refused->{status}, 503, 'the next is refused';
like header($refused, 'Retry-After'), qr/^[1-9]\d*$/, '... with Retry-After';
ok !IO::Select->new(@queued, $first)->can_read(0),
    '... at once: nobody has been served meanwhile';
like log_since($offset, qr/answered with 503/, $server->{log}),
    qr/all 1 processes of PHP are busy and 3 requests wait \(EphpmProcesses, EphpmQueue\)/,
    '... and the log names the limits';
cmp_ok figures($server)->{refused}, '>=', 1, '... as does the status page';
is $server->get('/hello.txt')->{body}, 'file', 'a file is served all the while';
release($server);
is_deeply [ map { read_response($_)->{body} } $first, @queued ],
    [ map { "released $_" } 1 .. 4 ], 'those that waited are served';
is slurp("$server->{dir}/htdocs/started"), "1\n2\n3\n4\n",
    '... in the order in which they came';
is $server->get('/hello.php')->{body}, 'hello', '... and then it is as before';

# Waiting for too long.
$server->stop;
unlink glob "$server->{dir}/htdocs/{release,held-*,started}";
my $temp = "$server->{dir}/temp";
mkdir $temp;
Runners::reconfigure($server, "EphpmProcesses 1\nEphpmQueue 3\n"
    . "EphpmQueueTimeout 200ms\nEphpmTempPath $temp\n"
    . "LimitRequestFieldSize 50000\n");
ok $server->start, 'EphpmQueueTimeout 200ms';
$first = hold($server, 1);
$offset = -s $server->{log};
# More than fits a slot, so that a file goes along.
my $expired = $server->get('/hello.php', body => 'x' x 50_000,
    headers => [ 'X-Long' => 'x' x 40_000 ]);
is $expired->{status}, 503, '... and nobody is free for so long: 503';
like header($expired, 'Retry-After'), qr/^[1-9]\d*$/, '... with Retry-After';
like log_since($offset, qr/answered with 503/, $server->{log}),
    qr/no process of PHP was free within EphpmQueueTimeout \(200 ms\)/,
    '... and the log says why';
is figures($server)->{expired}, 1, '... as does the status page';
is figures($server)->{queued}, 0, '... and it waits no longer';
is join(' ', grep { !/\/\.\.?$/ } glob "$temp/{.*,*}"), '',
    '... and has left no file';
release($server);
is read_response($first)->{body}, 'released 1', 'who runs is not concerned';
is $server->get('/hello.php')->{body}, 'hello', '... and the next is served';

# A client that goes while it waits.
unlink glob "$server->{dir}/htdocs/{release,held-*,started}";
$server->stop;
Runners::reconfigure($server, "EphpmProcesses 1\nEphpmQueue 3\n");
ok $server->start, 'clients that go';
$first = hold($server, 1);
close begin($server, '/count.php') for 1, 2;
release($server);
is read_response($first)->{body}, 'released 1', '... the one that stays has its answer';
ok wait_until(sub { $server->get('/hello.php')->{body} eq 'hello' }),
    '... and the next';
ok $server->stop, 'it stops';

# Too many for the threads that there are.
$server = runner_server(threads => 4, config => "EphpmProcesses 3\n"
    . "EphpmQueue 1\n");
ok $server->start, 'as many runners and places in the queue as threads';
like $server->logged . $server->said, qr/EphpmProcesses 3 and EphpmQueue 1 together are not less than MaxRequestWorkers 4/,
    '... and a warning at the start';
$server->stop;
$server = runner_server(threads => 4, config => "EphpmProcesses 2\n"
    . "EphpmQueue 1\n");
ok $server->start, 'fewer';
unlike $server->logged . $server->said, qr/MaxRequestWorkers/, '... no warning';
$server->stop;
$server = runner_server(threads => 4);
ok $server->start, 'nothing is said of them';
is $server->get('/hello.php')->{body}, 'hello', '... and serves';
$server->stop;

done_testing;
