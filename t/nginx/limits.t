#!/usr/bin/perl
# The queue: how many wait while every runner is busy, in which order, for how
# long; what the next one gets.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;
use Time::HiRes qw(time);

my $server = NginxTest->new(
    processes => 2,
    http      => "ephpm_queue 3;\nephpm_queue_timeout 60s;\n"
        . "ephpm_kv_zone zone=default:4m;\nephpm_kv default;\n",
    server    => "location = /ephpm-status { ephpm_status; }\n",
);
my $go = "$server->{dir}/scratch/go";
$server->page('hold.php', "<?php for (\$i = 0; \$i < 6000 && "
    . "!file_exists('$go') && !file_exists('$go' . \$_GET['n']); ++\$i) { "
    . 'usleep(10000); clearstatcache(); } '
    . 'echo "held ", $_GET["n"], " as ", ephpm_kv_incr("order");');
$server->page('order.php',
    '<?php echo $_GET["n"], " as ", ephpm_kv_incr("order");');
$server->page('quick.php', '<?php echo "quick";');
$server->page('hello.txt', 'hello');
ok $server->start, 'a server with two runners and a queue of three'
    or diag $server->said;
is get('/quick.php')->{body}, 'quick', 'it serves';

sub jobs {
    my ($what) = @_;
    my $status = $server->status;
    return ($status->{runners} // {})->{$what} // -1;
}

# Hold all runners, then fill the queue one by one.
sub fill {
    unlink $go;
    my @held = map { send_request(connect_to(), path => "/hold.php?n=$_") }
        1, 2;
    wait_until(sub { jobs('busy') == 2 }) or diag explain $server->status;
    my @queued;
    for my $n (1 .. 3) {
        push @queued, send_request(connect_to(), path => "/order.php?n=$n");
        wait_until(sub { jobs('queued') == $n })
            or diag explain $server->status;
    }
    return (\@held, \@queued);
}

my ($held, $queued) = fill();
is jobs('busy'), 2, 'both runners are busy';
is jobs('queued'), 3, '... and three requests wait';
for my $n (1 .. 3) {
    my $start = time;
    my $r = get('/quick.php');
    my $took = time - $start;
    is $r->{status}, 503, "request $n past the queue: 503";
    like header($r, 'Retry-After'), qr/^\d+$/, '... with Retry-After';
    cmp_ok $took, '<', 10, '... at once';
    note sprintf 'refused after %.1f ms', 1000 * $took;
}
is get('/hello.txt')->{body}, 'hello', 'a file is served as ever';
is get('/ephpm-status')->{status}, 200, '... and the status page';
# One of them alone, for two that take turns may overtake each other then.
spew("${go}1", '');
like read_response($held->[0])->{body}, qr/^held 1/,
    'a runner goes on: who held it is answered';
my @order = map { my $body = read_response($_)->{body}; $body }
    @$queued;
my @turns = map { / as (\d+)$/ ? $1 : () } @order;
is join(' ', map { /^(\d)/ } @order), '1 2 3', '... and all that waited';
is "@turns", join(' ', sort { $a <=> $b } @turns), '... in their order';
unlink "${go}1";
spew($go, '');
like read_response($held->[1])->{body}, qr/^held 2/, '... and the other';
is get('/quick.php')->{body}, 'quick', 'and then there is room again';
is $server->status->{runners}{refused}, 3, 'the status counts the refused';

# --- a client that goes away while it waits

($held, $queued) = fill();
close $queued->[1];
ok wait_until(sub { jobs('queued') == 2 }), 'who goes away waits no more';
push @$queued, send_request(connect_to(), path => '/order.php?n=4');
ok wait_until(sub { jobs('queued') == 3 }), '... and leaves room for another';
is get('/quick.php')->{status}, 503, '... one';
spew($go, '');
is join(' ', map { read_response($_)->{body} =~ /^(\d)/ } @$queued[0, 2, 3]),
    '1 3 4', '... and the rest is served';
read_response($_) for @$held;

# --- the queue's time-out

$server->configure(http => "ephpm_queue 3;\nephpm_queue_timeout 500ms;\n"
    . "ephpm_kv_zone zone=default:4m;\nephpm_kv default;\n");
ok $server->reload, 'ephpm_queue_timeout 500ms';
ok wait_until(sub { get('/quick.php')->{body} eq 'quick'
    && jobs('busy') == 0 }), '... it serves';
unlink $go;
$held = [ map { send_request(connect_to(), path => "/hold.php?n=$_") } 1, 2 ];
ok wait_until(sub { jobs('busy') == 2 }), 'both runners are busy';
my $start = time;
my $r = get('/order.php?n=late');
my $took = time - $start;
is $r->{status}, 503, 'who waits for too long: 503';
like header($r, 'Retry-After'), qr/^\d+$/, '... with Retry-After';
cmp_ok $took, '>=', 0.49, '... not before its time';
cmp_ok $took, '<', 20, '... nor long after';
ok wait_until(sub { jobs('queued') == 0 }), '... and waits no more';
spew($go, '');
my @last = map { read_response($_)->{body} =~ / as (\d+)$/ ? $1 : () } @$held;
is scalar(@last), 2, 'who was held is served';
my $next = get('/order.php?n=next')->{body};
is $next, 'next as ' . (1 + (sort { $b <=> $a } @last)[0]),
    '... and who was refused was never run';

# --- no queue at all

$server->configure(http => "ephpm_queue 0;\nephpm_kv_zone zone=default:4m;\n"
    . "ephpm_kv default;\n");
ok $server->reload, 'ephpm_queue 0';
ok wait_until(sub { get('/quick.php')->{body} eq 'quick'
    && $server->status->{runners}{queue_limit} == 0 }), '... it serves';
unlink $go;
$held = [ map { send_request(connect_to(), path => "/hold.php?n=$_") } 1, 2 ];
ok wait_until(sub { jobs('busy') == 2 }), 'both runners are busy';
is get('/quick.php')->{status}, 503, '... and the next is refused';
spew($go, '');
like read_response($_)->{body}, qr/^held/, '... and those are served' for @$held;

$server->ends_well;
done_testing;
