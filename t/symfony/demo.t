#!/usr/bin/perl

# The demo through httpd, or through nginx (demo-nginx.t): one count for all
# workers, one computation for many requests, and what a graceful restart and
# killed workers do to them.

use strict;
use warnings;
use FindBin qw($Bin);
use IO::Socket::INET;
use lib $Bin;
use Test::More;
use Time::HiRes qw(sleep time);
use Site qw(checkout run_command serve_demo reload request connection exchange
    together json children wait_until free_port slurp can_load server_user);

if (my $reason = can_load()) {
    BAIL_OUT($reason);
}

my $folder = checkout('demo');
my ($code, $output) = run_command(Site::php(), "$folder/demo/bin/console",
    'cache:warmup');
is $code, 0, 'the demo warms its cache where PHP has no store' or diag $output;

my ($yaml) = slurp("$folder/php-adapter/README.md") =~ /^```yaml\n(.*?)^```$/ms;
is slurp("$folder/demo/config/packages/ephpm_cache.yaml"), $yaml,
    'the demo is configured with the README\'s YAML, word for word';

my ($port, $plain_port) = (free_port(), free_port());
my $parent = serve_demo($folder, $port, $plain_port);

my $health = request($port, '/api/health');
is $health->{status}, 200, '/api/health answers';
is $health->{content}, '{"ok":true}', 'a cache item went there and back';
like $health->{headers}{'content-type'}, qr{^application/json}, 'as JSON';

# At one time, so that several workers are busy: of runners that wait, the same
# one may be handed every request.
subtest '40 requests over 8 connections' => sub {
    my @texts = together(8, sub {
        my $connection = connection($port);
        return join ' ', map {
            my $answer = json(exchange($connection, $port,
                '/api/visits')->{content});
            "$answer->{visits},$answer->{pid}";
        } 1 .. 5;
    });
    my (@visits, @unordered, %pids);
    for my $text (@texts) {
        my @own = $text =~ /(\d+),/g;
        push @visits, @own;
        push @unordered, $text if "@own" ne join ' ', sort { $a <=> $b } @own;
        $pids{$_}++ for $text =~ /,(\d+)/g;
    }
    is_deeply [sort { $a <=> $b } @visits], [1 .. 40],
        'count 1..40 without a gap or a repeat' or diag @texts;
    is_deeply \@unordered, [], 'and never back';
    cmp_ok scalar(keys %pids), '>=', 2, 'from at least two workers';
    my %alive = map { $_ => 1 } children($parent);
    is_deeply [grep { !$alive{$_} } keys %pids], [], 'which are the server\'s';
};

unlike request($port, '/api/health')->{headers}{connection} // '', qr/close/i,
    'Symfony\'s responses keep their connection';

subtest '20 first requests at a time' => sub {
    my @answers = map { json($_) } together(20,
        sub { request($port, '/api/stampede')->{content} });
    is_deeply [map { $_->{runs} } @answers], [(1) x 20], 'the callback ran once';
    is scalar(grep { !$_->{cached} } @answers), 1, 'one request computed it';
    my (%written, %pids);
    for my $answer (@answers) {
        $written{"$answer->{written_by} $answer->{written_at}"}++;
        $pids{ $answer->{pid} }++;
    }
    is scalar(keys %written), 1, 'all got the same';
    cmp_ok scalar(keys %pids), '>=', 2, 'from several workers';
};

subtest 'a post' => sub {
    my $start = time;
    my $first = json(request($port, '/api/post/7')->{content});
    cmp_ok time - $start, '>=', 0.2, 'is slow to write';
    is $first->{cached}, 0, 'and not cached at first';
    is $first->{id}, 7, 'is the one that was asked for';
    my @again = map { json(exchange(connection($port), $port,
        '/api/post/7')->{content}) } 1 .. 5;
    is_deeply [map { $_->{cached} } @again], [(1) x 5], 'then it is cached';
    is_deeply [map { $_->{written_at} } @again], [($first->{written_at}) x 5],
        'as it was written';
    is json(request($port, '/api/post/8')->{content})->{cached}, 0,
        'another one is not';
    is request($port, '/api/post/none')->{status}, 404, 'what is none is 404';
};

subtest 'the page' => sub {
    my @pages = map { request($port, '/') } 1 .. 3;
    is_deeply [map { $_->{status} } @pages], [(200) x 3], 'answers';
    like $pages[0]{headers}{'content-type'}, qr{^text/html}, 'as HTML';
    like $pages[0]{content}, qr{This is the first visit}, 'counts the first visit';
    like $pages[2]{content}, qr{This is visit number 3\.}, 'and the third';
    my ($worker) = $pages[2]{content} =~ m{Worker <b[^>]*>(\d+)</b> answered};
    ok scalar(grep { $_ == $worker } children($parent)), 'says which worker answered';
    like $pages[2]{content}, qr{<code>demo:visits</code></th><td class="number">40</td>},
        'shows what the store holds';
    unlike $pages[2]{content}, qr{<script|\bon\w+=|(?:src|href)="(?:https?:)?//},
        'needs neither a script nor anything from elsewhere';
    my @files = $pages[2]{content} =~ m{(?:src|href)="(/[\w-]+\.\w+)"}g;
    ok scalar(@files), 'names its files';
    is request($port, $_)->{status}, 200, "$_ is there" for @files;
};

subtest 'without a framework' => sub {
    my @answers = map { request($plain_port, '/')->{content} } 1 .. 2;
    like $answers[0], qr/\Avisit 1, answered by worker \d+\nreport written by worker \d+/,
        'the adapter works';
    like $answers[1], qr/\Avisit 2,/, 'and counts';
    is((split /\n/, $answers[1])[1], (split /\n/, $answers[0])[1], 'and keeps');
};

subtest 'a graceful restart in the middle' => sub {
    my %before = map { $_ => 1 } children($parent);
    is json(request($port, '/api/visits')->{content})->{visits}, 41, 'before it';
    reload($parent);
    ok wait_until(120, sub {
        my @now = eval { children($parent) };
        return @now && !grep { $before{$_} } @now;
    }), 'all workers are new';
    my $answer = json(request($port, '/api/visits')->{content});
    is $answer->{visits}, 42, 'the count goes on';
    ok !$before{ $answer->{pid} }, 'in a new worker';
    is json(request($port, '/api/post/7')->{content})->{cached}, 1,
        'what was cached still is';
};

# Asks twice on one connection and kills the worker while it is at the second.
# Answers with the numbers that came back.
sub ask_and_kill {
    my $socket = IO::Socket::INET->new("127.0.0.1:$port") or return;
    my @got;
    my $start = time;
    print $socket "GET /api/visits HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    my $text = '';
    # Where the worker that died was a runner nginx says 502, and stays.
    until ($text =~ /"pid":\d+\}/) {
        sysread $socket, $text, 4096, length $text or return;
        return if $text =~ m{^HTTP/1\.1 502 };
    }
    my ($visits, $pid) = $text =~ /"visits":(\d+),"pid":(\d+)/ or return;
    push @got, $visits;
    my $took = time - $start;
    print $socket "GET /api/visits HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        . "Connection: close\r\n\r\n";
    sleep rand 0.8 * $took;
    kill 'KILL', $pid;
    $text = '';
    1 while sysread $socket, $text, 4096, length $text;
    push @got, $1 if $text =~ /"visits":(\d+),"pid":\d+\}/;
    return @got;
}

subtest 'workers killed in the middle' => sub {
    my @texts = together(4, sub {
        $SIG{PIPE} = 'IGNORE';
        srand;
        my @got;
        for (1 .. 8) {
            push @got, ask_and_kill();
            my $answer = request($port, '/api/visits');
            push @got, json($answer->{content})->{visits} if $answer->{success};
        }
        return "got @got";
    });
    is scalar(grep { /^got/ } @texts), 4, 'all clients came to their end'
        or diag @texts;
    my @got = map { /\d+/g } @texts;
    my %seen;
    my @repeated = grep { $seen{$_}++ } @got;
    my $last = json(request($port, '/api/visits')->{content})->{visits};
    note scalar(@got), " of 96 answered, the last visit is $last";
    cmp_ok scalar(@got), '<', 96, 'some answers were lost';
    is_deeply \@repeated, [], 'no number came twice';
    is_deeply [grep { $_ <= 42 || $_ >= $last } @got], [], 'none went back';
    cmp_ok $last, '<=', 43 + 96, 'every visit is counted at most once';
    is json(request($port, '/api/post/7')->{content})->{cached}, 1,
        'what was cached still is';
};

ok Site::stop($parent), 'the server stops';

# Nothing is compiled yet, and the workers may write: 20 processes compile the
# container at one time.
subtest '20 first requests of a new installation' => sub {
    run_command('rm', '-rf', "$folder/demo/var");
    mkdir "$folder/demo/var" or die $!;
    chown((getpwnam server_user())[2, 3], "$folder/demo/var") if server_user();
    $port = free_port();
    $plain_port = free_port();
    serve_demo($folder, $port, $plain_port);
    my @answers = together(20, sub {
        my $answer = request($port, '/api/stampede');
        return "$answer->{status} $answer->{content}";
    });
    is_deeply [grep { !/^200 / } @answers], [], 'all are answered';
    is_deeply [map { json($_)->{runs} } @answers], [(1) x 20],
        'the callback ran once';
};

my $log = slurp("$folder/error-$port.log");
unlike $log, qr/PHP (?:Warning|Notice|Fatal)|\[critical\]/, 'no error is logged';

done_testing;
