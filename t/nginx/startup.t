#!/usr/bin/perl
# PHP that does not start: 503, the reason in the log, the server stays, and
# tries again; a first request waits for the first runner.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use LoadClient qw(load);
use NginxTest;
use Test::More;

my $server = NginxTest->new(
    processes => 2,
    server    => "location = /ephpm-status { ephpm_status; }\n",
);
$server->page('a.php', '<?php echo "answer";');
$server->page('hello.txt', 'hello');

# --- from the beginning

my $preload = "$server->{dir}/preload.php";
spew($preload, '<?php this is no PHP;');
$server->ini("opcache.enable = 1\nopcache.preload = $preload\n");
ok $server->start, 'a php.ini with which PHP does not start: nginx starts'
    or diag $server->said;
is get('/hello.txt')->{body}, 'hello', '... and serves files';
my $r = get('/a.php');
is $r->{status}, 503, '... and answers 503 for scripts';
like $server->since(0, qr/preload\.php/), qr/preload\.php/,
    '... with the reason in the log';
my $status = $server->status;
is $status->{runners}{alive}, 0, 'the status: no runner';
ok $status->{runners}{failed}, '... and why' or diag explain $status;
is get('/ephpm-status')->{status}, 200, '... and the page';

# Mended, without a reload.
spew($preload, '<?php function preloaded() { return "there"; }');
ok wait_until(sub { get('/a.php')->{status} == 200 }),
    'once that is mended PHP is started, without a reload';
is get('/a.php')->{body}, 'answer', '... and serves';

# --- by a reload

spew($preload, '<?php this is no PHP;');
my $offset = $server->offset;
ok $server->reload, 'a reload with it';
ok wait_until(sub { get('/a.php')->{status} == 503 }), '... 503';
like $server->since($offset, qr/preload\.php/), qr/preload\.php/,
    '... with the reason';
is get('/hello.txt')->{body}, 'hello', '... and files';
$server->ini('');
ok $server->reload, 'a reload without it';
is join(' ', map { $_->{status} } @{ load(port => port(), path => '/a.php',
    connections => 8, requests => 40)->{answers} }), join(' ', (200) x 40),
    '... whose first requests wait for the first runner';

# --- a fault that ends PHP while it starts

spew($preload, '<?php posix_kill(getmypid(), SIGKILL);');
$server->ini("opcache.enable = 1\nopcache.preload = $preload\n");
$offset = $server->offset;
ok $server->reload, 'a reload with which starting PHP is fatal';
ok wait_until(sub { get('/a.php')->{status} == 503 }), '... 503';
$server->ini('');
ok $server->reload, '... and a reload without it';
ok wait_until(sub { get('/a.php')->{status} == 200 }), '... serves again';
ok wait_until(sub { my @all = $server->runners; @all == 2 }),
    '... with its runners';

# --- more than there is room for, while PHP starts

spew($preload, '<?php sleep(2);');
$server->ini("opcache.enable = 1\nopcache.preload = $preload\n");
$server->configure(http => "ephpm_queue 3;\n");
ok $server->reload, 'a reload after which PHP takes two seconds to start';
my $start = time;
my @waiting = map { send_request(connect_to(), path => '/a.php') } 1 .. 40;
is join(' ', map { read_response($_)->{status} } @waiting),
    join(' ', (200) x 40),
    'forty wait for it, though the queue is for three, and all are served';
cmp_ok time - $start, '>=', 1, '... after it has started';
is $server->status->{runners}{refused}, 0, '... none is counted as refused';

$server->ends_well(except => qr/PHP|preload|SIGKILL/);
done_testing;
