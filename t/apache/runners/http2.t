# HTTP/2: its streams are served by threads of its own.

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use EphpmTest;
use OwnServer;
use POSIX ();
use Runners;
use Test::More;

plan skip_all => 'this httpd has no mod_http2'
    unless -e "$ENV{HTTPD_MODULES_DIR}/mod_http2.so";
my $curl = `curl --version 2>&1 < /dev/null`;
plan skip_all => 'no curl with HTTP/2: apt-get install curl'
    unless $curl =~ /\bHTTP2\b/;

my $server = runner_server(threads => 16, config => OwnServer::load('http2')
    . "Protocols h2c http/1.1\nH2MinWorkers 4\nH2MaxWorkers 16\n"
    . "EphpmProcesses 4\nEphpmQueue 64\n");
$server->page('show.php', '<?php echo $_SERVER["SERVER_PROTOCOL"], " ", '
    . '$_SERVER["REQUEST_METHOD"], " ", '
    . 'strlen($b = file_get_contents("php://input")), " ", md5($b);');
$server->page('large.php', '<?php for ($i = 0; $i < 32; $i++) { '
    . 'echo str_repeat(hash("md5", "$i"), 2048); }');
$server->page('sleep.php', '<?php usleep(300000); echo "slept";');
$server->page('crash.php', '<?php echo str_repeat("x", 200000); flush(); '
    . 'while (!file_exists(__DIR__ . "/go")) { usleep(5000); clearstatcache(); '
    . '} posix_kill(getmypid(), SIGSEGV);');
$server->page('dies.php', '<?php posix_kill(getmypid(), SIGSEGV);');
my $large = join '', map { md5_hex($_) x 2048 } 0 .. 31;
ok $server->start, 'a server starts' or diag $server->said . $server->logged;
my $at = "http://127.0.0.1:$server->{port}";

sub curl {
    my ($arguments) = @_;
    my $said = `curl -sS --http2-prior-knowledge --max-time 120 $arguments 2>&1 < /dev/null`;
    return wantarray ? ($said, $? >> 8) : $said;
}

is curl("$at/show.php"), 'HTTP/2.0 GET 0 ' . md5_hex(''), 'a page';
is curl("-d abc $at/show.php"), 'HTTP/2.0 POST 3 ' . md5_hex('abc'), 'a form';
my $file = spew("$server->{dir}/body", $large);
is curl("-T $file $at/show.php"),
    'HTTP/2.0 PUT ' . length($large) . ' ' . md5_hex($large), 'a large body';
is curl("-T - $at/show.php"), 'HTTP/2.0 PUT 0 ' . md5_hex(''),
    'a body without a length';
is md5_hex(scalar curl("$at/large.php")), md5_hex($large), 'a large page';
is curl("-o /dev/null -w '%{http_code}' -I $at/large.php"), 200, 'HEAD';
is curl("-o /dev/null -w '%{http_code}' $at/missing.php"), 404, 'not found';

# Many streams of one connection.
SKIP: {
    skip 'nghttp and h2load are not installed: apt-get install nghttp2-client',
        4 unless `nghttp --version 2>&1` =~ /^nghttp /
        && `h2load --version 2>&1` =~ /^h2load /;
    my $said = `h2load -n 60 -c 2 -m 30 $at/large.php 2>&1 < /dev/null`;
    like $said, qr/ 60 succeeded, 0 failed, 0 errored/,
        '60 large pages over two connections';
    my $bytes = 60 * length $large;
    like $said, qr/\($bytes\) data/, '... each whole';
    my @paths = (map({ "$at/sleep.php?$_" } 1 .. 3),
        map { "$at/hello.php?$_" } 4 .. 12);
    my $all = `nghttp --no-dep @paths 2>&1 < /dev/null`;
    is $all, ('hello' x 9) . ('slept' x 3),
        'three of four runners sleep, and the other serves meanwhile';
    is $server->get('/hello.php')->{body}, 'hello', '... all over HTTP/1.1 too';
}

# A slow client.
my $slow = curl("--limit-rate 1M $at/large.php");
is md5_hex($slow), md5_hex($large), 'a slow client gets it all';
my $slowly = "$server->{dir}/slowly";
my $done = figures($server)->{requests};
my $client = fork() // die "fork: $!";
if ($client == 0) {
    open STDERR, '>', '/dev/null';
    { no warnings 'exec'; exec qw(curl -sSN --http2-prior-knowledge
        --limit-rate 200K -o), $slowly, "$at/large.php?"; }
    POSIX::_exit(127);
}
ok wait_until(sub { -s $slowly }), 'one that is slow, ...';
kill 'STOP', $client;
ok wait_until(sub { my $f = figures($server);
    $f->{busy} == 0 && $f->{requests} > $done }),
    '... and then reads nothing at all, holds no runner';
kill 'CONT', $client;
waitpid $client, 0;
is md5_hex(slurp($slowly)), md5_hex($large), '... and gets it all in the end';

# Crashes.
is curl("-o /dev/null -w '%{http_code}' $at/dies.php"), 502, 'a crash: 502';
my $cut = "$server->{dir}/cut";
my $waiting = fork() // die "fork: $!";
if ($waiting == 0) {
    my (undef, $status) = curl("-N -o $cut $at/crash.php");
    POSIX::_exit($status);
}
ok wait_until(sub { (-s $cut // 0) == 200_000 }), 'a flush reaches the client';
spew("$server->{dir}/htdocs/go", '');
waitpid $waiting, 0;
isnt $? >> 8, 0, '... who sees that the rest is missing when it crashes';
is curl("$at/hello.php"), 'hello', '... and others are served';
my $figures = figures($server);
is "$figures->{busy} $figures->{queued}", '0 0', 'no job is left over';
unlike $server->logged, qr/child pid \d+ exit signal/, "none of httpd's own processes has crashed";
$server->stop;

done_testing;
