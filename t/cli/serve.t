#!/usr/bin/perl
# `ephpm serve` for real: requests, signals, and what is left afterwards.

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cli qw(ephpm run spew slurp scratch free_port start stop get wait_until);
use File::Copy qw(copy);
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use Test::More;

my $build = $ENV{EPHPM_BUILDDIR};
my $tmp = scratch();
mkdir "$tmp/public";
mkdir "$tmp/public/sub";
mkdir "$tmp/public/.git";
mkdir "$tmp/run";
chmod 0700, "$tmp/run";
spew("$tmp/public/.git/config", 'secret');
spew("$tmp/public/.env", 'secret');
spew("$tmp/public/style.css", 'body {}');
spew("$tmp/public/sub/index.html", 'sub');
spew("$tmp/public/index.php", <<'EOF2');
<?php
echo json_encode([
    'visits' => ephpm_kv_incr_by('visits', 1),
    'uri' => $_SERVER['REQUEST_URI'],
    'query' => $_GET,
    'sapi' => PHP_SAPI,
]);
EOF2

sub check_server {
    my ($who, $port, $child) = @_;

    my $answer = get($port, '/');
    is $answer->{status}, 200, "$who: / answers";
    like $answer->{content}, qr/"visits":1,/, "$who: / runs PHP with a store";
    $answer = get($port, '/api/some/page?a=b');
    like $answer->{content}, qr{"uri":"\\/api\\/some\\/page\?a=b"},
        "$who: what is no file goes to the fallback";
    like $answer->{content}, qr/"query":\{"a":"b"\}/, "$who: with its query";
    like $answer->{content}, qr/"visits":2,/, "$who: the store is shared";
    is get($port, '/style.css')->{headers}{'content-type'}, 'text/css',
        "$who: a file has its type";
    is get($port, '/sub/')->{content}, 'sub', "$who: a folder has its index";
    is get($port, '/sub')->{status}, 301, "$who: a folder gets its slash";
    is get($port, "/$_")->{status}, 403, "$who: /$_ stays hidden"
        for '.env', '.git/config';
    unlike get($port, '/.well-known/x')->{status}, qr/403/,
        "$who: /.well-known/ does not";

    kill 'USR1', $child;
    ok wait_until(60, sub {
        get($port, '/')->{content} =~ /"visits":(\d+)/ && $1 > 2;
    }), "$who: a graceful restart keeps the store";
    return;
}

sub run_directories {
    my @found = glob "$tmp/run/ephpm-*";
    return @found;
}

$ENV{XDG_RUNTIME_DIR} = "$tmp/run";
spew("$tmp/ephpm.toml", "[server]\ndocument_root = \"public\"\n"
        . "[kv]\nmemory_limit = \"8M\"\n");

for my $signal ('TERM', 'INT') {
    my $port = free_port();
    my $child = start("$tmp/log", $port, ephpm(), 'serve', '--config',
        "$tmp/ephpm.toml", '--listen', "127.0.0.1:$port");
    ok $child, "$signal: it starts" or diag slurp("$tmp/log");
    last unless $child;
    is scalar(my @run = run_directories()), 1, "$signal: one run-time directory";
    is((stat $run[0])[2] & 07777, 0700,
        "$signal: for nobody else");
    check_server($signal, $port, $child);
    like slurp("$tmp/log"), qr/"GET \/api\/some\/page\?a=b HTTP\/1\.1" 200/,
        "$signal: requests are logged to the terminal";
    ok stop($child, $signal), "$signal: it ends";
    ok wait_until(60, sub { !run_directories() }),
        "$signal: the run-time directory is gone";
    ok !IO::Socket::INET->new("127.0.0.1:$port"), "$signal: nobody listens";
}

{
    my $port = free_port();
    my $child = start("$tmp/log", $port, ephpm(), 'serve', '--config',
        "$tmp/ephpm.toml", '--listen', "127.0.0.1:$port");
    ok $child, 'KILL: it starts' or diag slurp("$tmp/log");
    if ($child) {
        ok stop($child, 'KILL'), 'KILL: it ends';
        ok wait_until(60, sub { !IO::Socket::INET->new("127.0.0.1:$port") }),
            'KILL: httpd ends with it';
    }
}

{
    # What service managers may give for stderr; it cannot be opened by name.
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or die "socketpair: $!";
    my $port = free_port();
    my $child = start($theirs, $port, ephpm(), 'serve', '--config',
        "$tmp/ephpm.toml", '--listen', "127.0.0.1:$port");
    close $theirs;
    ok $child, 'stderr is a socket: it starts';
    if ($child) {
        is get($port, '/')->{status}, 200, 'stderr is a socket: it answers';
        my $log = '';
        $ours->blocking(0);
        my $logged = sub {
            my ($line) = @_;
            return wait_until(60, sub {
                sysread $ours, $log, 65536, length $log;
                return $log =~ $line;
            });
        };
        ok $logged->(qr/"GET \/ HTTP\/1\.1" 200/),
            'stderr is a socket: requests are logged' or diag $log;
        ok $logged->(qr/resuming normal operations/),
            'stderr is a socket: errors are logged' or diag $log;
        ok stop($child, 'TERM'), 'stderr is a socket: it ends';
    }
}

{
    spew("$tmp/broken", "#!/bin/sh\nexit 3\n");
    chmod 0755, "$tmp/broken";
    my ($code) = run(ephpm(), 'serve', '--config', "$tmp/ephpm.toml",
        '--listen', '127.0.0.1:' . free_port(), '--httpd', "$tmp/broken");
    is $code, 3, q{httpd's exit code is ours};
    spew("$tmp/broken", "#!/bin/sh\nkill -9 \$\$\n");
    ($code, undef, my $err) = run(ephpm(), 'serve', '--config',
        "$tmp/ephpm.toml", '--listen', '127.0.0.1:' . free_port(), '--httpd',
        "$tmp/broken");
    is $code, 70, 'httpd was killed: exit code';
    like $err, qr/ended by signal 9/, 'httpd was killed: message';
}

SKIP: {
    skip 'only root can become another user', 10 if $> != 0;
    # Nobody may not be able to read the build directory.
    my $copy = scratch();
    for my $file ('cli/ephpm', 'mod_ephpm/.libs/mod_ephpm.so') {
        copy("$build/$file", $copy) or die "$file: $!";
    }
    chmod 0755, "$copy/ephpm", "$copy/mod_ephpm.so";
    mkdir "$copy/run";
    chmod 0777, "$copy/run";
    my $port = free_port();
    my $child = start("$tmp/log", $port, 'setpriv', '--reuid=nobody',
        '--regid=nogroup', '--clear-groups', 'env', '-u', 'XDG_RUNTIME_DIR',
        "TMPDIR=$copy/run", "$copy/ephpm", 'serve', '--module-dir', $copy,
        '--document-root', "$tmp/public", '--listen', "127.0.0.1:$port");
    ok $child, 'nobody: it starts' or diag slurp("$tmp/log");
    if ($child) {
        check_server('nobody', $port, $child);
        ok stop($child, 'TERM'), 'nobody: it ends';
        ok wait_until(60, sub { my @left = glob "$copy/run/ephpm-*"; !@left }),
            'nobody: the run-time directory is gone';
    }
}

done_testing;
