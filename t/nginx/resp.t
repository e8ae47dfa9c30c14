#!/usr/bin/perl
# Redis's protocol from nginx's workers: the store that PHP sees, and clients
# that are slow, many, idle or hostile beside pages; reloads and deaths.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../resp/lib";
use NginxTest;
use POSIX ();
use Resp ();
use Test::More;
use Time::HiRes qw(sleep time);

my $server = NginxTest->new;
my $dir = $server->{dir};

my $load = $server->load_stream
    // plan skip_all => 'nginx has no stream: apt-get install libnginx-mod-stream';
my $has_ssl = do { my $nginx = NginxTest::nginx(); `'$nginx' -V 2>&1` }
    =~ /--with-stream_ssl_module/;
my $sock = "$dir/kv.sock";
my ($port, $tls) = NginxTest::free_ports(2);
spew("$dir/password", "let me in\r\nnot this\n");

my $zones = "ephpm_kv_zone zone=default:16m;\n"
    . "ephpm_kv_zone zone=other:4m;\nephpm_kv default;\n";
my $stream = <<"END";
    server { listen unix:$sock; ephpm_kv_resp default; }
    server { listen unix:$dir/other.sock; ephpm_kv_resp other; }
    server { listen unix:$dir/short.sock; ephpm_kv_resp default;
             ephpm_kv_resp_timeout 1s; }
    server { listen 127.0.0.1:$port; listen unix:$dir/known.sock;
             ephpm_kv_resp default password_file=password; }
    limit_conn_zone \$hostname zone=few:1m;
    server { listen unix:$dir/few.sock; limit_conn few 2;
             ephpm_kv_resp default; }
END

# configuration(stream => TEXT, first => stream comes before http,
#     load => TEXT, http => TEXT, connections => NUMBER)
sub configuration {
    my (%o) = @_;
    $server->{http} = $o{http} // $zones;
    my $text = $server->template;
    my $block = 'stream {' . "\n" . ($o{stream} // $stream) . "}\n";
    my $connections = $o{connections} // 2048;
    $text =~ s/worker_connections 512/worker_connections $connections/;
    if ($o{first}) { $text =~ s/^http \{\n/${block}http {\n/m }
    else { $text .= $block }
    $server->configure(config => ($o{load} // $load) . $text);
    delete $server->{config};
    return;
}

# --- what -t refuses

sub refused {
    my ($what, $sentence, %o) = @_;
    configuration(%o);
    my ($status, $said) = $server->check;
    isnt $status, 0, "$what: refused";
    my @lines = grep { /\[emerg\]/ } split /\n/, $said;
    is scalar(@lines), 1, '... in one line' or diag $said;
    like $lines[0] // '', $sentence, '... that says why';
    like $lines[0] // '', qr/ in \S+nginx\.conf:\d+$/, '... and where'
        if $o{where} // 1;
}

sub with { return (stream => "server { listen unix:$sock;\n$_[0]\n}\n") }

sub accepted {
    my ($what, %o) = @_;
    configuration(%o);
    my ($status, $said) = $server->check;
    is $status, 0, "$what: accepted" or diag $said;
}

accepted('stream after http');
accepted('stream before http', first => 1);
my $ours = "load_module modules/ngx_stream_ephpm_module.so;\n";
{
    # preamble() loads the http module first of all.
    configuration(first => 1, load => '');
    my $text = slurp($server->{conf});
    my $stream_module = $load =~ s/\Q$ours\E//r;
    $text =~ s/^(load_module [^\n]*ngx_http_ephpm[^\n]*\n)/$1$stream_module$ours/m;
    spew($server->{conf}, $text);
    my ($status, $said) = $server->check;
    is $status, 0, 'the http module first: accepted' or diag $said;
}
for my $listen ("127.0.0.1:$port", "127.8.8.8:$port", "[::1]:$port",
    "localhost:$port")
{
    accepted("listen $listen without a password",
        stream => "server { listen $listen; ephpm_kv_resp default; }\n")
        if $listen !~ /:.*:/ || -e '/proc/net/if_inet6';
}
refused('a store that nobody makes',
    qr/names the store "nobody", which no "ephpm_kv_zone" makes: add "ephpm_kv_zone zone=nobody:SIZE;" to http/,
    with('ephpm_kv_resp nobody;'));
refused('... before http', qr/names the store "nobody"/,
    with('ephpm_kv_resp nobody;'), first => 1);
refused('a store that has another as its beginning', qr/store "defaul"/,
    with('ephpm_kv_resp defaul;'));
refused('a zone of another module', qr/store "a"/,
    with('ephpm_kv_resp a;'),
    http => "${zones}limit_req_zone \$uri zone=a:1m rate=1r/s;\n");
refused('no store at all', qr/store "default"/, http => '');
refused('no name', qr/invalid number of arguments in "ephpm_kv_resp"/,
    with('ephpm_kv_resp;'));
refused('an empty name', qr/needs the name of a store/,
    with('ephpm_kv_resp "";'));
refused('an option that is none',
    qr/invalid parameter "colour=red": .*password_file=PATH/,
    with('ephpm_kv_resp default colour=red;'));
refused('twice', qr/"ephpm_kv_resp" directive is duplicate/,
    with('ephpm_kv_resp default; ephpm_kv_resp other;'));
refused('before proxy_pass', qr/another directive \(such as proxy_pass/,
    with('ephpm_kv_resp default; proxy_pass 127.0.0.1:1;'));
refused('after proxy_pass', qr/another directive \(such as proxy_pass/,
    with('proxy_pass 127.0.0.1:1; ephpm_kv_resp default;'));
refused('in http', qr/"ephpm_kv_resp" directive is not allowed here/,
    http => "${zones}ephpm_kv_resp default;\n");
refused('outside of a server', qr/"ephpm_kv_resp" directive is not allowed/,
    stream => "ephpm_kv_resp default;\n");
refused('udp', qr/not for "listen 127\.0\.0\.1:$port udp"/,
    stream => "server { listen 127.0.0.1:$port udp; ephpm_kv_resp default; }\n");
for my $listen ($port, "0.0.0.0:$port", "*:$port", "[::]:$port",
    "192.0.2.1:$port")
{
    refused("listen $listen without a password",
        qr/has no password, and "listen \S+:$port" can be reached from other machines: add password_file=PATH/,
        stream => "server { listen unix:$sock; listen $listen;\n"
            . "ephpm_kv_resp default; }\n");
}
accepted("listen $port with one", stream => "server { listen $port;\n"
    . "ephpm_kv_resp default password_file=password; }\n");
refused('a time-out that is none', qr/"ephpm_kv_resp_timeout".*invalid/,
    with('ephpm_kv_resp default; ephpm_kv_resp_timeout soon;'));
refused('a password file that is not there',
    qr{the password file "\Q$dir\E/none" cannot be opened \(2: No such},
    with('ephpm_kv_resp default password_file=none;'));
refused('a folder for one', qr{the password file "\S+" cannot be read},
    with('ephpm_kv_resp default password_file=htdocs;'));
refused('no path of one', qr/needs a path in "password_file="/,
    with('ephpm_kv_resp default password_file=;'));
for my $text ('', "\n", "\r\nsecret\n") {
    spew("$dir/empty", $text);
    refused('an empty first line of ' . length($text) . ' bytes',
        qr{the password file "\S+" has no password in its first line},
        with('ephpm_kv_resp default password_file=empty;'));
}
spew("$dir/long", 'x' x 4097);
refused('a password of 4097 bytes', qr/first line of more than 4096 bytes/,
    with('ephpm_kv_resp default password_file=long;'));
{
    configuration(first => 1, http => '');
    my $text = slurp($server->{conf});
    $text =~ s/^load_module [^\n]*ngx_http_ephpm[^\n]*\n//m;
    $text =~ s/^\s*(?:location[^\n]*ephpm|ephpm_(?!kv_resp))[^\n]*\n//mg;
    spew($server->{conf}, $text);
    my ($status, $said) = $server->check;
    isnt $status, 0, 'without the http module: refused';
    like $said, qr/needs the module which makes stores: add "load_module modules\/ngx_http_ephpm_module\.so;"/,
        '... which is asked for';
}

# --- a server

if ($has_ssl) {
    is system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "
        . "/CN=localhost -keyout '$dir/key.pem' -out '$dir/cert.pem' "
        . '2>/dev/null'), 0, 'a certificate';
    $stream .= "server { listen 127.0.0.1:$tls ssl;\n"
        . "ssl_certificate cert.pem;\nssl_certificate_key key.pem;\n"
        . "ephpm_kv_resp default password_file=password; }\n";
}
spew($server->{log}, '');
configuration(first => 1);
$server->page('eval.php', slurp("$NginxTest::top/t/apache/htdocs/eval.php"));
$server->page('hello.txt', 'hello');
ok $server->start, 'a server with five listeners starts'
    or BAIL_OUT($server->said);

sub client {
    my ($path) = @_;
    my $socket = Resp::connect_to({ socket => $path // $sock });
    return $socket;
}

sub tcp_client {
    my ($to) = @_;
    my $socket = connect_to($to // $port);
    ${*$socket}{buffer} = '';
    return $socket;
}

sub ask { return Resp::shown(Resp::request(@_)) }

my $client = client();
is ask($client, 'SET', 'from resp', "a\0b\r\n"), '+[OK]', 'SET';
is php('echo bin2hex(ephpm_kv_get("from resp"));')->{body}, '6100620d0a',
    '... is what PHP finds';
is php('echo var_export(ephpm_kv_set("from php", "\x00é", 100), true);')
    ->{body}, 'true', 'ephpm_kv_set';
is_deeply Resp::request($client, 'GET', 'from php'), ['$', "\0\xc3\xa9"],
    '... is what GET finds';
like ask($client, 'TTL', 'from php'), qr/^:\[(?:100|99|9\d)\]$/,
    '... with its expiry';
is ask($client, 'INCR', 'n'), ':[1]', 'INCR';
is php('echo ephpm_kv_incr("n");')->{body}, 2, '... and PHP goes on counting';
is ask($client, 'INCR', 'n'), ':[3]', '... and INCR again';
my $other = client("$dir/other.sock");
is ask($other, 'GET', 'n'), 'null[]', 'another listener has another store';
is ask($other, 'DBSIZE'), ':[0]', '... which is empty';
like ask($client, 'HELLO', 3), qr/^%\[/, 'RESP3';
SKIP: {
    my ($cli) = grep { -x } map { "$_/redis-cli" }
        split /:/, "$ENV{PATH}:/usr/bin:/usr/local/bin";
    skip 'there is no redis-cli: apt-get install redis-tools', 3 unless $cli;
    is `'$cli' -s '$sock' GET n 2>&1`, "3\n", 'redis-cli';
    is `printf 'SET cli yes\\nGET cli\\n' | '$cli' -s '$sock' 2>&1`,
        "OK\nyes\n", '... and what it is given as lines';
    is `REDISCLI_AUTH='let me in' '$cli' -p $port GET n 2>&1`, "3\n",
        '... with a password, over TCP';
}
{
    my $inline = client();
    Resp::send_all($inline, "SET inline 'a b'\r\nGET inline\nQUIT\r\n");
    is Resp::read_rest($inline), "+OK\r\n\$3\r\na b\r\n+OK\r\n",
        'lines, and QUIT closes';
    my $half_closed = client();
    my $writer = fork() // die "fork: $!";
    if ($writer == 0) {
        Resp::send_all($half_closed, Resp::frame('ECHO', 'x' x 1000) x 3000);
        shutdown $half_closed, 1;
        POSIX::_exit(0);
    }
    my $all = Resp::read_rest($half_closed);
    waitpid $writer, 0;
    is length $all, 3000 * 1009, 'who closes its side gets all answers';
}

# --- pipelines and sizes

{
    my $socket = client();
    my $text = join '', map { Resp::frame('SET', "p$_", "v$_")
        . Resp::frame('GET', "p$_") } 1 .. 5000;
    Resp::send_all($socket, $text);
    my $wrong = 0;
    for my $i (1 .. 5000) {
        my ($set, $get) = map { Resp::read_reply($socket) } 1 .. 2;
        $wrong++ if $set->[1] ne 'OK' || ($get->[1] // '') ne "v$i";
    }
    is $wrong, 0, '10,000 commands in one write are answered in their order';

    my $large = join '', map { chr($_ % 251) } 1 .. 1_000_000;
    is ask($socket, 'SET', 'large', $large), '+[OK]', 'a value of a megabyte';
    is Resp::request($socket, 'GET', 'large')->[1] eq $large, 1,
        '... comes back';
    is php('echo md5(ephpm_kv_get("large")) === md5(implode("", array_map('
        . 'fn ($i) => chr($i % 251), range(1, 1000000)))) ? "same" : "other";')
        ->{body}, 'same', '... and PHP has it';

    # Byte by byte.
    my $slow = client();
    for my $byte (split //, Resp::frame('GET', 'n')) {
        syswrite $slow, $byte;
    }
    is Resp::shown(Resp::read_reply($slow)), '$[3]', 'a command byte by byte';
}

# --- who asks for a walk through the store again and again

{
    my $greedy = client();
    Resp::send_all($greedy, "KEYS nobody-*\r\n" x 2000);
    is ask($client, 'PING'), '+[PONG]', 'others are answered beside KEYS';
    is get('/hello.txt')->{body}, 'hello', '... and pages served';
    my $answers = 0;
    for (1 .. 2000) { $answers++ if @{ Resp::read_reply($greedy) } == 1 }
    is $answers, 2000, '... which is answered too';
}

# --- who never reads, half a command, many that are idle

sub memory_of_workers {
    my $sum = 0;
    $sum += $server->memory($_, 'RssAnon') for $server->workers;
    return $sum;
}

{
    my $before = memory_of_workers();
    my @slow = map { client() } 1 .. 4;
    my $sent = 0;
    my $request = Resp::frame('GET', 'large') x 50;
    local $SIG{PIPE} = 'IGNORE';
    $_->blocking(0) for @slow;
    my $still = 0;
    while ($still < 5) {
        my $count = 0;
        $count += syswrite($_, $request) // 0 for @slow;
        $sent += $count;
        $still = $count ? 0 : $still + 1;
        sleep 0.02;
        last if $sent > 1e8;
    }
    cmp_ok $sent, '<', 20_000_000, 'who takes no answers is not read for ever';
    is ask($client, 'PING'), '+[PONG]', '... others are answered';
    is php('echo ephpm_kv_get("n");')->{body}, 3, '... and pages served';
    my $grown = memory_of_workers() - $before;
    cmp_ok $grown, '<', 60_000, "... in $grown kB more";
    # One of them reads after all.
    $slow[0]->blocking(1);
    is length Resp::read_reply($slow[0])->[1], 1_000_000,
        '... and who reads late has its answer';
}
{
    my @half = map { client() } 1 .. 20;
    Resp::send_all($_, "*2\r\n\$3\r\nGET\r\n\$1") for @half;
    my @idle = map { client() } 1 .. 1000;
    is ask($idle[-1], 'PING'), '+[PONG]', 'a thousand clients are there';
    my @pages = map { php('echo ephpm_kv_get("n");')->{body} } 1 .. 50;
    is join('', @pages), '3' x 50, '... and pages are served';
    is ask($client, 'GET', 'n'), '$[3]', '... and others answered';
    Resp::send_all($_, "\r\nn\r\n") for @half;
    is join(' ', map { Resp::shown(Resp::read_reply($_)) } @half),
        join(' ', ('$[3]') x 20), 'the other half of a command, later';
    is scalar(grep { ask($_, 'PING') ne '+[PONG]' } @idle), 0,
        '... and all thousand are there';
}
{
    my $idle = client("$dir/short.sock");
    is ask($idle, 'PING'), '+[PONG]', 'ephpm_kv_resp_timeout: a client';
    is Resp::read_rest($idle), '', '... is closed when it is idle';
    my $half = client("$dir/short.sock");
    Resp::send_all($half, "*1\r\n\$4\r\nPI");
    is Resp::read_rest($half), '', '... and one with half a command';
    my $busy = client("$dir/short.sock");
    my $end = time + 2.5;
    my $lost = 0;
    while (time < $end) {
        $lost++ if ask($busy, 'PING') ne '+[PONG]';
        sleep 0.1;
    }
    is $lost, 0, '... and one that talks is not';
}
{
    my @few = map { client("$dir/few.sock") } 1 .. 2;
    is ask($_, 'PING'), '+[PONG]', 'limit_conn: one that may' for @few;
    my $third = client("$dir/few.sock");
    is Resp::read_rest($third), '', '... and one too many';
}

# --- the password

{
    my $stranger = tcp_client();
    like ask($stranger, 'GET', 'n'), qr/NOAUTH/, 'a stranger';
    my $wrong = 0;
    $wrong += ask($stranger, 'AUTH', "guess $_") =~ /^-\[WRONGPASS/
        for 1 .. 1000;
    is $wrong, 1000, 'a wrong password a thousand times';
    like ask($stranger, 'AUTH', 'let me in '), qr/WRONGPASS/,
        '... one with more at its end';
    like ask($stranger, 'AUTH', "let me in\r"), qr/WRONGPASS/,
        '... and with the end of its line';
    is ask($stranger, 'AUTH', 'let me in'), '+[OK]', 'the right one';
    is ask($stranger, 'GET', 'n'), '$[3]', '... opens';
    my $known = client("$dir/known.sock");
    like ask($known, 'GET', 'n'), qr/NOAUTH/,
        'a socket beside it asks for the password too';
    unlike $server->logged, qr/let me in/, 'the log never has it';
}
for my $bytes ("*1\r\n\$1073741824\r\n", "*1\r\n*1\r\n", "\$\r\n" x 10,
    "\0" x 100_000, "*1048577\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
{
    my $hostile = tcp_client();
    Resp::send_all($hostile, $bytes);
    shutdown $hostile, 1;
    like Resp::read_rest($hostile), qr/\A-(?:ERR|NOAUTH) [^\r]+\r\n/,
        'bytes that are no commands are told so';
}
is ask($client, 'PING'), '+[PONG]', '... hurt nobody';

# Where in the memory of a process that can be written is the text?
sub holds {
    my ($pid, $text) = @_;
    open my $memory, '<:raw', "/proc/$pid/mem" or die "/proc/$pid/mem: $!";
    my $found = 0;
    for (split /\n/, slurp("/proc/$pid/maps")) {
        my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
        no warnings 'portable';
        ($from, $to) = (hex $from, hex $to);
        # Sanitizers have terabytes for themselves.
        next if $to - $from > 1 << 30;
        for (my $at = $from; $at < $to; $at += 1 << 20) {
            sysseek $memory, $at, 0 or next;
            sysread $memory, my $bytes, (1 << 20) + length $text or next;
            $found++ while $bytes =~ /\Q$text\E/g;
        }
    }
    return $found;
}

SKIP: {
    skip 'only root may look into the memory of others', 2 if $> != 0;
    cmp_ok holds(($server->workers)[0], 'let me in'), '>', 0,
        'a worker has the password';
    is join(' ', grep { holds($_, 'let me in') }
        map { $_->{pid} } grep { $_->{kind} =~ /^(?:runner|spawner|manager)$/ }
        $server->processes), '', '... and nothing that runs scripts';
}

# --- TLS

SKIP: {
    skip 'nginx has no --with-stream_ssl_module', 4 unless $has_ssl;
    my $commands = join '', map { "$_\n" } 'AUTH "let me in"', 'GET n',
        ('GET large') x 30, 'PING', 'QUIT';
    spew("$dir/commands", $commands);
    my $said = `openssl s_client -connect 127.0.0.1:$tls -quiet -ign_eof < '$dir/commands' 2>'$dir/said.ssl'`;
    like $said, qr/\A\+OK\r\n\$1\r\n3\r\n/, 'TLS: the password, and a key';
    is length $said, 5 + 7 + 30 * (1_000_000 + 12) + 7 + 5,
        '... thirty megabytes in one go, whole';
    like $said, qr/\+PONG\r\n\+OK\r\n\z/, '... up to the last';
    my $plain = tcp_client($tls);
    Resp::send_all($plain, "PING\r\n");
    unlike Resp::read_rest($plain), qr/PONG/, '... and not without it';
}

# --- reloads

{
    my @idle = map { client() } 1 .. 20;
    is join(' ', map { ask($_, 'PING') } @idle), join(' ', ('+[PONG]') x 20),
        'twenty clients';
    my $half = client();
    Resp::send_all($half, "*3\r\n\$3\r\nSET\r\n\$4\r\nhalf\r\n\$100000\r\n"
        . 'x' x 50_000);
    my $slow = client();
    Resp::send_all($slow, Resp::frame('GET', 'large') x 3);
    sleep 0.2;
    my %old = map { $_ => 1 } $server->workers;
    my @requests = @idle[ 0 .. 9 ];
    # These are on their way while the signal is.
    Resp::send_all($_, Resp::frame('INCR', 'reloads')) for @requests;
    ok $server->reload, 'a reload with open connections';
    my $answered = grep { /^:\d+\r\n$/ } map { Resp::read_rest($_) } @requests;
    is $answered, 10, '... answers what has come, and closes';
    is join('', map { Resp::read_rest($_) } @idle[ 10 .. 19 ]), '',
        '... and closes who is idle';
    Resp::send_all($half, 'x' x 50_000 . "\r\n");
    is Resp::read_rest($half), "+OK\r\n", '... half a command has its time';
    my @large = map { Resp::read_reply($slow) } 1 .. 3;
    is scalar(grep { length($_->[1] // '') == 1_000_000 } @large), 3,
        '... and who reads late has its answers';
    is Resp::read_rest($slow), '', '... and is closed';
    ok wait_until(sub { !grep { -e "/proc/$_" } keys %old }),
        '... and the old workers have gone';
    $client = client();
    is ask($client, 'GET', 'reloads'), '$[10]', 'the store is kept';
    is ask($client, 'STRLEN', 'half'), ':[100000]', '... with what came last';
}
{
    # Half a command that never comes whole holds no worker.
    my $half = client();
    Resp::send_all($half, "*1\r\n\$4\r\nPI");
    sleep 0.2;
    my %old = map { $_ => 1 } $server->workers;
    ok $server->reload, 'a reload with half a command';
    is Resp::read_rest($half), '', '... which never comes whole';
    ok wait_until(sub { !grep { -e "/proc/$_" } keys %old }),
        '... and the old workers have gone';
    $client = client();
}

# --- a worker that dies

{
    my %of;
    wait_until(sub {
        my $socket = client();
        my ($pid) = Resp::request($socket, 'INFO', 'server')->[1]
            =~ /^process_id:(\d+)/m;
        push @{ $of{$pid} }, $socket;
        return @{ $of{$pid} } >= 5 && keys %of == 2;
    });
    is join(' ', sort keys %of), join(' ', sort $server->workers),
        'both workers have clients';
    my ($victim, $other) = sort keys %of;
    kill 'KILL', $victim;
    is scalar(grep { ask($_, 'INCR', 'after') =~ /^:/ } @{ $of{$victim} }), 0,
        'a worker is killed: its clients are lost';
    my $alive = @{ $of{$other} };
    is scalar(grep { ask($_, 'INCR', 'after') =~ /^:/ } @{ $of{$other} }),
        $alive, '... and those of the other are not';
    ok wait_until(sub { my @all = $server->workers; @all == 2 }),
        '... there is another';
    my $socket = client();
    is ask($socket, 'GET', 'after'), "\$[$alive]", '... and the store is whole';
    is php('echo ephpm_kv_get("after");')->{body}, $alive, '... for PHP too';
}

# --- connections that run out

{
    $server->{workers} = 1;
    configuration(first => 1, connections => 100);
    ok $server->reload, 'a hundred connections in all';
    ok wait_until(sub { my @all = $server->of_kind('worker'); @all == 1 }),
        '... of one worker';
    my @idle = map { client() } 1 .. 250;
    is ask($idle[-1], 'PING'), '+[PONG]', 'the last of 250 idle clients';
    is join('', map { get('/hello.txt')->{body} } 1 .. 20), 'hello' x 20,
        '... and pages are served';
    is ask($idle[-1], 'PING'), '+[PONG]', '... and that one stays';
    is Resp::read_rest($idle[0]), '', '... for the oldest goes first';
}

$server->ends_well(except => qr/exited on signal 9|SIGKILL|limiting connections/);
done_testing;
