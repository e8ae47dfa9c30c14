#!/usr/bin/perl
# Output: what t/apache asks for, and what is nginx's alone: buffering, headers
# that are kept back, pages that are larger than what nginx buffers.

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use LoadClient qw(slow_readers);
use NginxTest;
use Test::More;

our $server = NginxTest->suite(server => <<'END');
location ^~ /deflated/ { gzip on; ephpm on; }
location = /direct.php { ephpm on; ephpm_buffering off; }
location = /hidden.php {
    ephpm on;
    ephpm_hide_header X-Secret;
    ephpm_pass_header X-Accel-Expires;
}
location = /little.php { ephpm on; ephpm_max_temp_file_size 128k; }
location = /none.php { ephpm on; ephpm_max_temp_file_size 0; }
location = /pauses.php { ephpm on; limit_rate 2m; }
END
shared('output');

# --- buffering off: what is written is sent, without flush()
# (which a script that says so by itself owes its runner)

my $go = "$server->{dir}/scratch/go";
my $steps = '<?php function step() { $go = ' . "'$go';"
    . 'while (!file_exists($go)) { usleep(5000); clearstatcache(); } } ';
$server->page('direct.php', "$steps echo 'first'; step(); echo 'second';");
$server->page('asks.php', "$steps header('X-Accel-Buffering: no');"
    . "echo 'first'; step(); echo 'second';");
for my $case ([ 'ephpm_buffering off', '/direct.php' ],
    [ 'X-Accel-Buffering: no', '/asks.php' ])
{
    my ($what, $path) = @$case;
    unlink $go;
    my $socket = send_request(connect_to(), path => $path);
    my $got = '';
    while ($got !~ /first/) {
        last unless IO::Select->new($socket)->can_read(60)
            && sysread $socket, $got, 4096, length $got;
    }
    like $got, qr/first/, "$what: what is written is sent";
    unlike $got, qr/second/, '... and no more';
    unlike $got, qr/^X-Accel-/mi, '... without a header of nginx\'s own';
    spew($go, '');
    local $/;
    like <$socket>, qr/second/, '... and the rest follows';
}

# --- headers

$server->page('hidden.php', '<?php header("X-Secret: 1"); '
    . 'header("X-Open: 2"); header("X-Accel-Expires: 5");'
    . 'header("X-Accel-Limit-Rate: 100000");');
my $r = get('/hidden.php');
is header($r, 'X-Secret'), undef, 'ephpm_hide_header';
is header($r, 'X-Open'), 2, '... hides no other';
is header($r, 'X-Accel-Expires'), 5, 'ephpm_pass_header';
is header($r, 'X-Accel-Limit-Rate'), undef,
    '... passes no other of those that are nginx\'s';

# --- HEAD, HTTP/1.0

$server->page('big.php', '<?php header("X-Sum: " . md5("x")); '
    . 'for ($i = 0; $i < 20480; ++$i) '
    . '{ echo str_pad(sprintf("%05d", $i), 1024, chr(65 + $i % 26)); }'
    . 'ephpm_kv_incr("big");');
my $big = join '', map { my $c = chr(65 + $_ % 26);
    my $n = sprintf '%05d', $_; $n . $c x (1024 - length $n) } 0 .. 20479;
my $head = get('/big.php', method => 'HEAD');
is $head->{status}, 200, 'HEAD of a page of 20 MiB';
ok header($head, 'X-Sum'), '... has its headers';
ok wait_until(sub { (php('echo ephpm_kv_get("big");')->{body} || 0) == 1 }),
    '... and the script runs to its end';
$r = get('/big.php');
is md5_hex($r->{body}), md5_hex($big), 'a page of 20 MiB comes whole';
$r = get('/big.php', protocol => '1.0');
is md5_hex($r->{body}), md5_hex($big), '... to HTTP/1.0 too';
is header($r, 'Transfer-Encoding'), undef, '... which knows no chunks';
my ($code, $got) = curl('--http2-prior-knowledge',
    "http://127.0.0.1:$server->{port2}/big.php");
is md5_hex($got), md5_hex($big), '... and by HTTP/2';
($code, $got) = curl('--http2-prior-knowledge', '-I',
    "http://127.0.0.1:$server->{port2}/big.php");
like $got, qr/^HTTP\/2 200/, 'HEAD by HTTP/2';

# --- with less room on disk than the page has: the runner waits

for my $page ('little.php', 'none.php') {
    $server->page($page, "<?php require 'big.php';");
    my ($body) = @{ slow_readers(port => port(), path => "/$page",
        clients => 1, rate => 10 << 20) };
    is md5_hex($body), md5_hex($big), "$page: a slow reader gets it whole";
}

# --- a stream of events that goes on for days takes no more memory with each

$server->page('flushes.php', '<?php echo "first"; flush(); '
    . 'for ($i = 0; $i < 40000; ++$i) { flush(); usleep(20); } echo "last";');
sub workers_memory {
    my $sum = 0;
    $sum += $server->memory($_, 'RssAnon') for $server->workers;
    return $sum;
}
my $before = workers_memory();
my $socket = send_request(connect_to(), path => '/flushes.php', keep => 1);
my $most = $before;
$got = '';
while ($got !~ /last/) {
    my $now = workers_memory();
    $most = $now if $now > $most;
    next unless IO::Select->new($socket)->can_read(0.1);
    last unless sysread $socket, $got, 4096, length $got;
}
like $got, qr/first.*last/s, 'a script that flushes 40,000 times';
cmp_ok $most - $before, '<', 1024, '... takes no memory for each';

# --- a script that pauses while what it wrote is on the disk, and goes on: the
# file is written anew only when nothing of it is left to send

$server->page('pauses.php', '<?php for ($i = 0; $i < 3000; ++$i) { '
    . 'echo str_pad((string) $i, 1023, chr(97 + $i % 26)), "\n"; '
    . 'if ($i % 300 == 299) { usleep(20000); } }');
my $lines = join '', map { $_ . chr(97 + $_ % 26) x (1023 - length) . "\n" }
    0 .. 2999;
is md5_hex(get('/pauses.php')->{body}), md5_hex($lines),
    'a script that pauses, to a client that is kept slow';
($code, $got) = curl('--http2-prior-knowledge',
    "http://127.0.0.1:$server->{port2}/pauses.php");
is md5_hex($got), md5_hex($lines), '... by HTTP/2';

$server->ends_well;
done_testing;
