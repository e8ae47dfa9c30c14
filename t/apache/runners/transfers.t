# Bodies and pages on their way: large ones, and clients that are slow.

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use EphpmTest;
use IO::Select;
use LoadClient qw(slow_readers);
use Runners;
use Test::More;

my $temp = "$ENV{EPHPM_SCRATCH}/transfers";
mkdir $temp;
my $server = runner_server(threads => 40, config => "EphpmProcesses 2\n"
    . "EphpmTempPath $temp\nLimitRequestFieldSize 200000\n"
    . "<Files unbuffered*.php>\nEphpmBuffering Off\n</Files>\n"
    . "<Files limited.php>\nEphpmMaxTempFileSize 1M\n</Files>\n"
    . "<Files memory.php>\nEphpmMaxTempFileSize 0\n</Files>\n");
my $page = <<'PHP';
<?php
// What the N-th block is made of; the script counts itself out at the end.
ephpm_kv_incr('running');
$blocks = (int) ($_GET['blocks'] ?? 32);
for ($i = 0; $i < $blocks; ++$i) {
    echo str_repeat(hash('md5', "$i"), 2048);
}
ephpm_kv_decr('running');
ephpm_kv_incr('done');
PHP
$server->page("$_.php", $page) for qw(page unbuffered limited memory);
$server->page("$_-writes.php", <<'PHP') for qw(unbuffered paused);
<?php
while (ob_get_level() > 0) {
    ob_end_flush();
}
echo str_repeat('a', (int) $_GET['n']);
for ($i = 0; $i < 12000 && !file_exists(__DIR__ . '/go'); ++$i) {
    usleep(5000);
    clearstatcache();
}
echo 'end';
PHP
$server->page('done.php', '<?php echo ephpm_kv_get("done") ?? 0;');
$server->page('sum.php', '<?php $b = file_get_contents("php://input"); '
    . 'echo strlen($b), " ", md5($b);');
$server->page('headers.php', '<?php foreach (getallheaders() as $n => $v) { '
    . 'if (str_starts_with($n, "X-Long")) { echo strlen($v), md5($v), " "; } } '
    . 'echo strlen(file_get_contents("php://input"));');
$server->page('replies.php', '<?php for ($i = 0; $i < 200; $i++) { '
    . 'header("X-Long-$i: " . str_repeat(chr(97 + $i % 26), 30)); } '
    . 'header("X-Very: " . str_repeat("v", 7000)); echo "sent";');

sub expected {
    my ($blocks) = @_;
    return join '', map { md5_hex($_) x 2048 } 0 .. $blocks - 1;
}

sub temp_files { return grep { !/\/\.\.?$/ } glob "$temp/{.*,*}" }

ok $server->start, 'a server starts' or diag $server->said . $server->logged;

# Pages.
for my $blocks (0, 1, 2, 16, 160) {
    is md5_hex($server->get("/page.php?blocks=$blocks")->{body}),
        md5_hex(expected($blocks)), "a page of $blocks * 64 KiB";
}
for my $name (qw(unbuffered limited memory)) {
    is md5_hex($server->get("/$name.php?blocks=80")->{body}),
        md5_hex(expected(80)), "... $name";
}
my $r = $server->get('/page.php?blocks=0');
is header($r, 'Content-Length'), 0, 'a small page has a length';
$r = $server->get('/page.php?blocks=1', protocol => '1.0');
is $r->{body}, expected(1), 'HTTP/1.0';
is $server->get('/page.php', method => 'HEAD')->{status}, 200, 'HEAD';

# Clients that do not read.
sub done { return $server->get('/done.php')->{body} }

sub unread {
    my ($path, $clients) = @_;
    my @sockets;
    for (1 .. $clients) {
        my $socket = connect_to($server->{port});
        setsockopt $socket, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), 65536;
        push @sockets, send_request($socket, path => $path);
    }
    return @sockets;
}
use Socket ();

my $before = done();
my @sockets = unread('/page.php?blocks=160', 12);
ok wait_until(sub { done() == $before + 12 }),
    '12 clients of 10 MiB pages that do not read: two runners have done them';
is $server->get('/hello.php')->{body}, 'hello', '... and serve others';
my $sum = md5_hex(expected(160));
is join(' ', map { md5_hex(read_response($_)->{body}) } @sockets),
    join(' ', ($sum) x 12), '... and each client gets every byte';
$before = done();
@sockets = unread('/page.php?blocks=160', 4);
ok wait_until(sub { done() == $before + 4 }), 'the same, and they go away';
close $_ for @sockets;
is $server->get('/hello.php')->{body}, 'hello', '... others are served';

# The limit: the script waits for its client, and ends with it.
$before = done();
@sockets = unread('/limited.php?blocks=320', 1);
ok wait_until(sub { figures($server)->{busy} >= 1 }),
    'a page beyond EphpmMaxTempFileSize';
is md5_hex(read_response($sockets[0])->{body}), md5_hex(expected(320)),
    '... comes whole, when it is read';
@sockets = unread('/memory.php?blocks=400', 1);
is md5_hex(read_response($sockets[0])->{body}), md5_hex(expected(400)),
    '... and without a file';
is done(), $before + 2, '... and the scripts have ended';
$before = done();
my ($socket) = unread('/unbuffered.php?blocks=400', 1);
is md5_hex(read_response($socket)->{body}), md5_hex(expected(400)),
    'EphpmBuffering Off, and a client that waits a little';

# What a client sees while the script goes on.
sub read_at_least {
    my ($client, $pattern) = @_;
    my $got = '';
    while ($got !~ $pattern) {
        IO::Select->new($client)->can_read(EphpmTest::PATIENCE()) or last;
        sysread $client, $got, 65536, length $got or last;
    }
    return $got;
}
for my $case ([ 'unbuffered', 1, qr/a\r\n/ ], [ 'paused', 40_000, qr/a{8000}/ ]) {
    my ($name, $bytes, $pattern) = @$case;
    unlink "$server->{dir}/htdocs/go";
    my ($client) = unread("/$name-writes.php?n=$bytes", 1);
    like read_at_least($client, $pattern), $pattern,
        $name eq 'paused' ? 'a script that pauses: the client sees 8 KiB'
        : 'EphpmBuffering Off: the client sees what was written';
    spew("$server->{dir}/htdocs/go", '');
    like read_at_least($client, qr/end/), qr/end/, '... and then the rest';
}

# Many slow ones, and everybody else at full speed.
my (@others, $wrong);
my $bodies = slow_readers(port => $server->{port}, rate => 400_000,
    path => '/page.php?blocks=24', clients => 20, meanwhile => sub {
        push @others, $server->get('/hello.php')->{body} for 1 .. 5;
    });
$sum = md5_hex(expected(24));
$wrong = grep { md5_hex($_) ne $sum } @$bodies;
is $wrong, 0, '20 slow clients of 1.5 MiB pages: each gets every byte';
cmp_ok scalar @others, '>=', 5, '... while others ask';
is join(' ', grep { $_ ne 'hello' } @others), '', '... and are served';
is join(' ', temp_files()), '', 'no temporary file has a name by now';

# Bodies.
for my $bytes (0, 1, 1000, 30_000, 32_768, 32_769, 70_000, 5_000_000) {
    my $body = substr join('', map { md5_hex($_) } 0 .. $bytes / 32), 0,
        $bytes;
    is $server->get('/sum.php', method => 'PUT', body => $body)->{body},
        "$bytes " . md5_hex($body), "a body of $bytes bytes";
    next if !$bytes;
    my $chunks = join '', map { sprintf "%x\r\n%s\r\n", length $_, $_ }
        unpack('(a7001)*', $body), '';
    is $server->get('/sum.php', method => 'PUT', body => $chunks, headers =>
        [ 'Transfer-Encoding' => 'chunked' ])->{body},
        "$bytes " . md5_hex($body), '... in chunks';
}
is join(' ', temp_files()), '', '... and no file is left';

# A body that comes slowly holds no runner.
my @slow;
for (1 .. 6) {
    my $client = connect_to($server->{port});
    print {$client} "PUT /sum.php HTTP/1.1\r\nHost: localhost\r\n"
        . "Connection: close\r\nContent-Length: 6\r\n\r\nab";
    $client->flush;
    push @slow, $client;
}
ok wait_until(sub { my $f = figures($server); $f->{busy} == 0
    && $f->{queued} == 0 }), 'six bodies that do not come: no runner waits';
is $server->get('/hello.php')->{body}, 'hello', '... for them';
print {$_} 'cdef' for @slow;
$_->flush for @slow;
is join(' ', map { read_response($_)->{body} } @slow),
    join(' ', ('6 ' . md5_hex('abcdef')) x 6), '... and they are served in the end';

# Headers: more than a slot's request area holds.
my %long = map { ("X-Long-$_" => $_ x 20_000) } 1 .. 5;
my @long = map { ($_, $long{$_}) } sort keys %long;
is $server->get('/headers.php', headers => \@long)->{body},
    join(' ', map { '20000' . md5_hex($long{$_}) } sort keys %long) . ' 0',
    'headers of 100 KiB';
is $server->get('/headers.php', headers => \@long, body => 'b' x 20_000)->{body},
    join(' ', map { '20000' . md5_hex($long{$_}) } sort keys %long) . ' 20000',
    '... and a body';
$r = $server->get('/replies.php');
is scalar(grep { $_->[0] =~ /^X-Long-/ } @{ $r->{headers} }), 200,
    '200 headers of a response';
is length(header($r, 'X-Very')), 7000, '... and a long one';
is join(' ', temp_files()), '', 'no file is left';
is $server->stop, 1, 'it stops';

# Nowhere to write.
Runners::reconfigure($server, "EphpmProcesses 2\nEphpmTempPath "
    . "$server->{dir}/closed\n");
mkdir "$server->{dir}/closed";
SKIP: {
    skip 'root may write everywhere', 8 if $> == 0;
    chmod 0555, "$server->{dir}/closed";
    ok $server->start, 'an EphpmTempPath that may not be written in';
    like log_since(0, qr/EphpmTempPath/, $server->{log}),
        qr{no files can be made in \S+/closed by this user.*EphpmTempPath},
        '... the log says so at the start';
    is $server->get('/hello.php')->{body}, 'hello', '... small pages are served';
    my $offset = -s $server->{log};
    is $server->get('/sum.php', body => 'x' x 100_000)->{status}, 500,
        '... a large body is not';
    like log_since($offset, qr/EphpmTempPath/, $server->{log}),
        qr/the request's body cannot be written to a temporary file in/,
        '... and the log says why';
    $offset = -s $server->{log};
    my ($client) = unread('/page.php?blocks=400', 1);
    like log_since($offset, qr/EphpmTempPath/, $server->{log}),
        qr/a temporary file for a response cannot be made in/,
        '... a page for a slow client neither';
    my $cut = read_response($client);
    ok !$cut->{complete}, '... which sees that it is cut short';
    is $server->get('/hello.php')->{body}, 'hello', '... and others are served';
    $server->stop;
}

done_testing;
