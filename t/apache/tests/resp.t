# EphpmResp: Redis's protocol over a store, from a process beside httpd's.

use strict;
use warnings;
use EphpmTest;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP qw(decode_json);
use OwnServer;
use Ports qw(free_port);
use Runners ();
use StatusForms qw(bad_metrics ill_formed);
use Test::More;
use Time::HiRes qw(sleep time);

# --- what is refused

my $secret = spew("$ENV{EPHPM_SCRATCH}/secret", "open sesame\n");
my $store = "EphpmStore default 4M\n";

sub check { return OwnServer->new(config => $store . $_[0])->check }

sub refused {
    my ($what, $line, $sentence) = @_;
    my ($status, $said) = check("$line\n");
    isnt $status, 0, "$what: refused";
    like $said, $sentence, '... with a sentence';
    like $said, qr/line \d+ of .*httpd\.conf|httpd\.conf:\d+/,
        '... that says where';
    unlike $said, qr/sesame/, '... and no password';
    return;
}

# One and the same under each MPM.
if (!threaded()) {
    for my $line ('127.0.0.1:6380', '[::1]:6380 store=default', 'localhost:6380',
        'unix:/tmp/kv.sock mode=600', '127.9.9.9:1', "unix:/tmp/a password-file=$secret",
        "0.0.0.0:6380 password-file=$secret store=default",
        "[::]:6380 password-file=$secret") {
        my ($status, $said) = check("EphpmResp $line\n");
        is $status, 0, "EphpmResp $line" or diag $said;
    }
    is +(check("EphpmResp 127.0.0.1:6380\nEphpmResp 127.0.0.1:6381\n"
        . "EphpmResp unix:/tmp/a\n"))[0], 0, 'several of them';

    refused('no address', 'EphpmResp', qr/EphpmResp takes an address/);
    refused("the address $_", "EphpmResp $_", qr/\Q$_\E: is no address: give one as/)
        for 'here', '127.0.0.1', ':6380', 'example.org:6380', '127.0.0.1:65536',
        '127.0.0.1:redis';
    refused('port 0', 'EphpmResp 127.0.0.1:0', qr/has no port from 1 to 65535/);
    refused('a relative path', 'EphpmResp unix:kv.sock',
        qr/name the socket by its whole path/);
    refused('no folder', 'EphpmResp unix:/nowhere/here/kv.sock',
        qr{there is no folder /nowhere/here: make it first});
    refused('a long path', 'EphpmResp unix:/' . 'x' x 107,
        qr/the path of a socket has 1 to 107 bytes/);
    refused("$_ without a password", "EphpmResp $_",
        qr/can be reached from other machines and has no password: .*password-file=/)
        for '0.0.0.0:6380', '*:6380', '[::]:6380', '192.0.2.1:6380', '[2001:db8::1]:1';
    refused('an unknown store', 'EphpmResp 127.0.0.1:6380 store=shop',
        qr/EphpmResp 127\.0\.0\.1:6380 names the store 'shop', which no EphpmStore makes/);
    refused('an unknown option', 'EphpmResp 127.0.0.1:6380 shop',
        qr/'shop' is no option: there are store=NAME/);
    refused('an option twice', 'EphpmResp 127.0.0.1:6380 store=default store=default',
        qr/store= is there twice/);
    refused("mode=$_", "EphpmResp unix:/tmp/a mode=$_", qr/mode=$_ is no file mode/)
        for qw(0888 rw 1777 -1), '';
    refused('mode= of an address', 'EphpmResp 127.0.0.1:6380 mode=0600',
        qr/mode= is for addresses that are unix/);
    refused('an address twice', "EphpmResp 127.0.0.1:6380\n"
        . 'EphpmResp localhost:6380', qr/is taken already \(.*:\d+\)/);
    refused('inside of a host',
        "<VirtualHost *:80>\nEphpmResp 127.0.0.1:6380\n</VirtualHost>",
        qr/EphpmResp cannot occur within <VirtualHost>/);
    {
        my $file = "$ENV{EPHPM_SCRATCH}/password";
        refused('no password file', "EphpmResp 127.0.0.1:6380 password-file=$file",
            qr/password-file=\S+ cannot be read: No such file/);
        spew($file, "\n");
        refused('an empty one', "EphpmResp 127.0.0.1:6380 password-file=$file",
            qr/password-file=\S+ is empty/);
        spew($file, 'x' x 4097);
        refused('a long one', "EphpmResp 127.0.0.1:6380 password-file=$file",
            qr/has more than 4096 bytes/);
        chmod 0, $file;
        SKIP: {
            skip 'root reads every file', 4 if $> == 0;
            refused('a closed one', "EphpmResp 127.0.0.1:6380 password-file=$file",
                qr/password-file=\S+ cannot be read: Permission denied/);
        }
        unlink $file;
        refused('a folder', "EphpmResp 127.0.0.1:6380 password-file=/tmp",
            qr{password-file=/tmp is no file});
    }
    {
        my $socket = "$ENV{EPHPM_SCRATCH}/checked.sock";
        is +(check("EphpmResp unix:$socket\n"))[0], 0, 'httpd -t';
        ok !-e $socket, '... opens nothing';
    }
}

# --- clients

sub frame {
    return join '', '*' . @_ . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @_;
}

# A connection to a port or a path, or undef.
sub client {
    my ($to) = @_;
    my $socket = $to =~ m{^/} ? IO::Socket::UNIX->new(Peer => $to)
        : IO::Socket::INET->new("127.0.0.1:$to");
    ${*$socket}{rest} = '' if $socket;
    return $socket;
}

# One reply as it is on the wire, without its line's end; '' at the end of the
# connection.
sub reply {
    my ($socket) = @_;
    my $rest = \${*$socket}{rest};
    while (1) {
        if ($$rest =~ /\A\$(\d+)\r\n/ && length $$rest >= $1 + 4 + length $1) {
            return substr(substr($$rest, 0, $+[0] + $1 + 2, ''), $+[0], $1);
        }
        return $1 if $$rest !~ /\A\$\d/ && $$rest =~ s/\A([^\r]*)\r\n//;
        IO::Select->new($socket)->can_read(EphpmTest::PATIENCE) or return '';
        sysread $socket, $$rest, 65536, length $$rest or return '';
    }
}

sub ask {
    my ($socket, @words) = @_;
    local $SIG{PIPE} = 'IGNORE';
    return '' unless $socket && defined syswrite $socket, frame(@words);
    return reply($socket);
}

# Whether a client is served that is not silent for a second; where this
# process had to wait for so long itself, nothing can be said.
my %asked;
sub served {
    my ($socket) = @_;
    my $before = $asked{$socket} // time;
    my $now = $asked{$socket} = time;
    return ask($socket, 'PING') eq '+PONG' || $now - $before >= 1;
}

sub ended {
    my ($socket) = @_;
    return IO::Select->new($socket)->can_read(0)
        && !sysread $socket, my $rest, 100;
}

my $port = free_port();
my $sockets = "$ENV{EPHPM_SCRATCH}/sockets";
mkdir $sockets;
my $php = "<FilesMatch \"\\.php\$\">\nSetHandler application/x-httpd-php\n"
    . "</FilesMatch>\n";
$php .= "<Location /status>\nSetHandler ephpm-status\n</Location>\n";
my $common = "${store}EphpmStore other 4M\nStartServers 2\nMinSpareServers 1\n"
    . "MaxSpareServers 2\nMaxRequestWorkers 4\n$php";
my $lines = "EphpmResp 127.0.0.1:$port\n"
    . "EphpmResp unix:$sockets/a store=other\n"
    . "EphpmResp unix:$sockets/b mode=0600 password-file=$secret\n";
my $server = OwnServer->new(config => "$common$lines");
$server->page('get.php', '<?php echo ephpm_kv_get($_GET["k"]) ?? "nothing";');
$server->page('set.php', '<?php var_dump(ephpm_kv_set($_GET["k"], $_GET["v"]));');
ok $server->start, 'a server with three lines' or diag $server->said
    . $server->logged;

sub helpers {
    return grep { slurp("/proc/$_/comm") eq "ephpm-resp\n" }
        children($server->{pid});
}

# It is there, or comes soon.
sub a_helper {
    my $helper;
    wait_until(sub { ($helper) = helpers() });
    return $helper;
}

my $redis = client($port);
is ask($redis, 'SET', 'a', 'from afar'), '+OK', 'SET';
is $server->get('/get.php?k=a')->{body}, 'from afar', '... PHP sees it';
like $server->get('/set.php?k=b&v=of%20PHP')->{body}, qr/true/, 'PHP sets';
is ask($redis, 'GET', 'b'), 'of PHP', '... GET has it';
is ask(client("$sockets/a"), 'GET', 'b'), '$-1', 'another line, another store';
my ($helper, @more) = helpers();
ok $helper && !@more, 'one process serves them all';

SKIP: {
    my ($program) = grep { -x } map { "$_/redis-cli" } split /:/,
        "$ENV{PATH}:/usr/bin";
    skip 'redis-cli is not installed: apt-get install redis-tools', 2
        unless $program;
    is `'$program' -p $port get a`, "from afar\n", 'redis-cli';
    is `'$program' -s '$sockets/b' --no-auth-warning -a 'open sesame' get b`,
        "of PHP\n", '... with a password';
}

my $numbers = 2000;
syswrite $redis, frame('INCR', 'n') x $numbers;
is join(' ', grep { reply($redis) ne ":$_" } 1 .. $numbers), '',
    "$numbers commands at once";
is $server->get('/get.php?k=n')->{body}, $numbers, '... and PHP counts them';

is sprintf('%04o', (stat "$sockets/a")[2] & 07777), '0660', 'a socket\'s mode';
is sprintf('%04o', (stat "$sockets/b")[2] & 07777), '0600',
    '... and one that was asked for';

my $stranger = client("$sockets/b");
like ask($stranger, 'GET', 'a'), qr/^-NOAUTH/, 'without the password: nothing';
my $wrong = 0;
$wrong += ask($stranger, 'AUTH', "guess $_") =~ /^-WRONGPASS/ for 1 .. 1000;
is $wrong, 1000, '... a wrong one a thousand times';
is ask($redis, 'PING'), '+PONG', '... harms nobody';
like ask($stranger, 'AUTH', "open sesame\n"), qr/^-WRONGPASS/,
    '... the line\'s end is none of it';
is ask($stranger, 'AUTH', 'open sesame'), '+OK', '... and the right one';
is ask($stranger, 'GET', 'a'), 'from afar', '... opens';

# --- what the status says of it

sub figures {
    my $json = eval { decode_json($server->get('/status?json')->{body}) };
    return { map { $_->{address} => $_ } @{ $json ? $json->{resp} // [] : [] } };
}
my $secured = "unix:$sockets/b";
ok wait_until(sub { (figures()->{$secured}{auth_failures} // 0) == 1001 }),
    'the status counts wrong passwords';
my $figures = figures();
is join(' ', sort keys %$figures), "127.0.0.1:$port unix:$sockets/a $secured",
    '... and has each address';
is_deeply [ sort keys %{ $figures->{$secured} } ], [ sort qw(address store
    clients connections commands errors protocol_errors auth_failures drops
    input_bytes output_bytes) ], '... with the keys of the manual';
is $figures->{$secured}{clients}, 1, '... its clients';
is $figures->{$secured}{store}, 'default', '... its store';
cmp_ok $figures->{"127.0.0.1:$port"}{commands}, '>=', $numbers + 3,
    '... its commands';
my $metrics = $server->get('/status?metrics')->{body};
is bad_metrics($metrics), '', '... metrics follow the format';
like $metrics, qr/^ephpm_resp_auth_failures_total\{address="\Q$secured\E"\} 1001$/m,
    '... and have them too';
my $page = $server->get('/status')->{body};
is ill_formed($page), '', '... the page is well-formed';
like $page, qr{Redis\xe2\x80\x99s protocol, \Q$secured\E</h2>.*<th>Wrong passwords</th><td>1,001<}s,
    '... and shows them';

# --- many clients

# Another process has them, for the limit of open files is one of each.
sub crowd {
    my ($count) = @_;
    my $pid = open my $from, '-|';
    defined $pid or die "fork: $!";
    if ($pid == 0) {
        $| = 1;
        my @clients = grep { defined } map { client($port) } 1 .. $count;
        print scalar(grep { ask($_, 'PING') eq '+PONG' } @clients), "\n";
        sleep 600;
        POSIX::_exit(0);
    }
    my $line = <$from>;
    return ($pid, $line + 0, $from);
}
{
    my @crowds = map { [ crowd(500) ] } 1, 2;
    my $idle = 0;
    $idle += $_->[1] for @crowds;
    is $idle, 1000, 'a thousand idle clients';
    is $server->get('/get.php?k=a')->{body}, 'from afar', '... take no worker';
    is ask($redis, 'GET', 'a'), 'from afar', '... nor the place of another one';
    for my $crowd (@crowds) {
        kill 'KILL', $crowd->[0];
        close $crowd->[2];
    }
}

# --- who has what

sub sockets_of {
    my ($pid) = @_;
    return map { (readlink($_) // '') =~ /^socket:\[(\d+)\]/ ? $1 : () }
        glob "/proc/$pid/fd/*";
}
sub inode_of {
    my ($table, $pattern) = @_;
    my ($line) = grep { /$pattern/ } split /\n/, slurp("/proc/net/$table");
    return (split ' ', $line // '')[ $table eq 'tcp' ? 9 : 6 ] // 0;
}
my @listeners = (inode_of('tcp', sprintf('0100007F:%04X 00000000:0000 0A', $port)),
    map { inode_of('unix', qr{ 00010000 .*\Q$sockets\E/$_$}) } qw(a b));
is scalar(grep { $_ } @listeners), 3, 'three listeners';
my %at_parent = map { $_ => 1 } sockets_of($server->{pid});
is scalar(grep { $at_parent{$_} } @listeners), 3, '... are the parent\'s';
$server->get('/get.php?k=a');
my @others = grep { $_ != $helper } Runners::below($server->{pid});
cmp_ok scalar(@others), '>=', 2, '... and of others';
my @have = grep {
    my %its = map { $_ => 1 } sockets_of($_);
    grep { $its{$_} } @listeners;
} @others;
is "@have", '', '... nobody\'s but the helper\'s';

# --- a helper's end

my $offset = -s $server->{log};
kill 'KILL', $helper;
my $next = client($port);
is ask($next, 'GET', 'a'), 'from afar', 'the helper killed: the next client is served';
like log_since($offset, qr/another one starts/, $server->{log}),
    qr/the helper of EphpmResp \(pid $helper\) was ended by signal 9; another one starts/,
    '... by another one, says the log';
is ask(client("$sockets/a"), 'PING'), '+PONG', '... at each address';
ok wait_until(sub { ended($redis) }), '... clients of before know';
$helper = a_helper();
# Those that die within five seconds of their start come at once three times,
# then after a pause; a slow machine may not get there.
my ($killed, $slowest) = (time, 0);
for (1 .. 4) {
    kill 'KILL', $helper;
    my $gap = time - $killed;
    $slowest = $gap if $gap > $slowest;
    $killed = time;
    ok wait_until(sub { my ($new) = helpers();
        $new && $new != $helper && ask(client($port), 'PING') eq '+PONG'
            && ($helper = $new) }), "... and again";
}
ok $slowest > 4 || $server->logged =~ /another one starts in 1 s/,
    '... in the end after a pause' or diag "$slowest s";
is $server->get('/get.php?k=a')->{body}, 'from afar', 'PHP has noticed nothing';

kill 'STOP', $helper;
is $server->get('/get.php?k=a')->{body}, 'from afar',
    'a helper that is stopped: PHP goes on';
my $waiting = client($port);
ok $server->graceful, '... and a graceful restart';
is ask($waiting, 'GET', 'a'), 'from afar',
    '... has another one, for who was waiting too';
kill 'CONT', $helper;
ok wait_until(sub { !grep { $_ == $helper } helpers() }),
    '... the old one leaves when it can';

# --- restarts

$helper = a_helper();
my $busy = client($port);
my $idle = client($port);
ask($_, 'PING') for $idle, $busy;
$asked{$busy} = time;
my %inode = map { $_ => (stat "$sockets/$_")[1] } qw(a b);
my $refused = 0;
my $cut = 0;
my $cycles = $server->cycles;
kill 'USR1', $server->{pid};
ok wait_until(sub {
    my $new = client($port);
    $refused++ unless $new && ask($new, 'PING') eq '+PONG';
    $cut ||= !served($busy);
    return $server->cycles > $cycles && grep { $_ != $helper } helpers();
}), 'a graceful restart with clients that come';
is $refused, 0, '... refuses none';
ok wait_until(sub {
    $cut ||= !served($busy);
    return ended($idle);
}), '... who is idle is closed';
ok !$cut, '... who is not is served';
ok wait_until(sub { !grep { $_ == $helper } helpers() }),
    '... until that one is silent too, and the helper of before leaves';
ok ended($busy), '... with its clients';
is +(stat "$sockets/$_")[1], $inode{$_}, "... the socket $_ is the same"
    for qw(a b);
is ask(client($port), 'GET', 'a'), 'from afar', '... and the store is kept';

unlink "$sockets/a";
ok $server->graceful, 'a socket\'s file is removed, and a restart';
is ask(client("$sockets/a"), 'PING'), '+PONG', '... it is there again';

# Other lines.
my $second = free_port();
spew($secret, "another\r\n");
$server->configure("${common}EphpmResp 127.0.0.1:$second store=other\n"
    . "EphpmResp unix:$sockets/b mode=0666 password-file=$secret\n");
ok $server->graceful, 'other lines, and a restart';
ok !client($port), '... an address that is gone is closed';
ok !-e "$sockets/a", '... and a socket that is gone, with its file';
is ask(client($second), 'PING'), '+PONG', '... a new one is open';
is sprintf('%04o', (stat "$sockets/b")[2] & 07777), '0666',
    '... a socket has its new mode';
ok wait_until(sub { ask(client("$sockets/b"), 'AUTH', 'another') eq '+OK' }),
    '... and its new password';
ok wait_until(sub {
    ask(client("$sockets/b"), 'AUTH', 'open sesame') =~ /^-WRONGPASS/ }),
    '... not the old one';

# From one address to all, while a helper that cannot let go has it.
$helper = a_helper();
kill 'STOP', $helper;
$server->configure("${common}EphpmResp 0.0.0.0:$second password-file=$secret\n");
ok $server->graceful, '127.0.0.1 becomes 0.0.0.0 while a helper is stopped';
is ask(client($second), 'AUTH', 'another'), '+OK', '... and is open';
kill 'CONT', $helper;

$server->configure($common);
ok $server->graceful, 'no lines, and a restart';
ok !client($second), '... nobody listens';
ok wait_until(sub { !helpers() }), '... and there is no helper';
unlike $server->get('/status?json')->{body}, qr/"resp"/, '... nor a figure';

# --- the end

$server->configure("$common$lines");
ok $server->graceful, 'lines again';
is ask(client("$sockets/a"), 'PING'), '+PONG', '... are served';
$helper = a_helper();
kill 'STOP', $helper;
ok $server->stop, 'a stop while the helper is stopped';
ok wait_until(sub { !kill 0, $helper }), '... ends it';
ok !client($port), '... nobody listens';
ok !-e "$sockets/a" && !-e "$sockets/b", '... and the sockets are gone';
unlike $server->logged, qr/sesame|another\b(?! one)/,
    'the log has no password in it';

ok $server->start, 'a start';
$helper = a_helper();
my @all = Runners::below($server->{pid});
kill 'STOP', $helper;
kill 'KILL', $server->{pid};
waitpid $server->{pid}, 0;
$server->{pid} = 0;
ok wait_until(sub { !kill 0, $helper }),
    'the parent killed: the helper ends, stopped or not';
kill 'KILL', grep { $_ != $helper } @all;
wait_until(sub { !grep { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) [^Z]/s } @all });
unlink "$server->{dir}/httpd.pid";
ok -S "$sockets/a", '... a socket file is left';
ok $server->start, '... and the next start' or diag $server->said
    . $server->logged;
is ask(client("$sockets/a"), 'PING'), '+PONG', '... replaces it';

# Somebody else has the address.
for my $address ("127.0.0.1:$port", "unix:$sockets/a") {
    my $late = OwnServer->new(config => "${common}EphpmResp $address\n");
    ok !$late->start, "$address is another server's: no start";
    like $late->said . $late->logged,
        qr/httpd\.conf:\d+: EphpmResp \Q$address\E: Address already in use: somebody else listens there/,
        '... and a sentence';
}
is ask(client("$sockets/a"), 'PING'), '+PONG', '... who keeps it';
my $plain = spew("$sockets/plain", 'mine');
my $late = OwnServer->new(config => "${common}EphpmResp unix:$plain\n");
ok !$late->start, 'a file that is no socket: no start';
is slurp($plain), 'mine', '... and the file is as it was';
ok $server->stop, 'it stops';

done_testing;
