#!/usr/bin/perl
# `ephpm serve` for real, with both servers: requests, signals, and what is
# left afterwards.

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cli qw(ephpm run spew slurp scratch free_port start stop get wait_until);
use File::Copy qw(copy);
use IO::Socket::UNIX;
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
    'body' => strlen((string) file_get_contents('php://input')),
]);
EOF2

spew("$tmp/public/other.php", '<?php echo "other ", $_SERVER["PATH_INFO"];');
mkdir "$tmp/public/bare";

# The servers, the modules that they need and what they log once they serve.
my %module = (
    apache => 'mod_ephpm/.libs/mod_ephpm.so',
    nginx  => 'ngx_ephpm/objs/ngx_http_ephpm_module.so',
);
my %ready = (apache => qr/resuming normal operations/,
    nginx => qr/start worker process/);

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
    is get($port, '/none.php')->{status}, 404,
        "$who: a script that is not there does not";
    is get($port, '/other.php/info')->{content}, 'other /info',
        "$who: another script, with PATH_INFO";
    is get($port, '/style.css')->{headers}{'content-type'}, 'text/css',
        "$who: a file has its type";
    is get($port, '/sub/')->{content}, 'sub', "$who: a folder has its index";
    is get($port, '/sub')->{status}, 301, "$who: a folder gets its slash";
    like get($port, '/bare/')->{content}, qr{"uri":"\\/bare\\/"},
        "$who: one without an index goes to the fallback";
    is get($port, "/$_")->{status}, 403, "$who: /$_ stays hidden"
        for '.env', '.git/config';
    unlike get($port, '/.well-known/x')->{status}, qr/403/,
        "$who: /.well-known/ does not";
    $answer = HTTP::Tiny->new(timeout => 60)->post(
        "http://127.0.0.1:$port/api", { content => 'x' x 3_000_000 });
    like $answer->{content}, qr/"body":3000000/, "$who: a large body";

    kill 'USR1', $child;
    ok wait_until(60, sub {
        get($port, '/')->{content} =~ /"visits":(\d+)/ && $1 > 4;
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

for my $server (sort keys %module) {
    SKIP: {
        skip "configured --without-$server", 1
            unless -e "$build/$module{$server}";
        pass "$server is there";
    }
    next unless -e "$build/$module{$server}";
    my @serve = (ephpm(), 'serve', '--server', $server, '--config',
        "$tmp/ephpm.toml");
    my $shared = $server eq 'nginx' && $> == 0;
    if ($shared) {
        # nginx's workers, who are another user, have folders of their own in
        # the run-time directory: it is made where they can get to it.
        my $port = free_port();
        my $child = start("$tmp/log", $port, @serve, '--listen',
            "127.0.0.1:$port");
        ok $child, "$server, XDG_RUNTIME_DIR is closed to the scripts' user: "
            . 'it starts' or diag slurp("$tmp/log");
        is join(' ', run_directories()), '', '... elsewhere';
        my $answer = HTTP::Tiny->new(timeout => 60)->post(
            "http://127.0.0.1:$port/api", { content => 'x' x 3_000_000 });
        like $answer->{content}, qr/"body":3000000/,
            '... and takes a large body';
        ok stop($child, 'TERM'), '... and ends' if $child;
        chmod 0711, "$tmp/run";
    }

    for my $signal ('TERM', 'INT') {
        my $who = "$server, $signal";
        my $port = free_port();
        my $child = start("$tmp/log", $port, @serve, '--listen',
            "127.0.0.1:$port");
        ok $child, "$who: it starts" or diag slurp("$tmp/log");
        last unless $child;
        is scalar(my @run = run_directories()), 1,
            "$who: one run-time directory";
        is sprintf('%o', (stat $run[0])[2] & 07777), $shared ? '711' : '700',
            "$who: for nobody else";
        is sprintf('%o', (stat((glob "$run[0]/*.conf")[0]))[2] & 07777), '600',
            "$who: nor its configuration";
        check_server($who, $port, $child);
        like slurp("$tmp/log"), qr/"GET \/api\/some\/page\?a=b HTTP\/1\.1" 200/,
            "$who: requests are logged to the terminal";
        ok stop($child, $signal), "$who: it ends";
        ok wait_until(60, sub { !run_directories() }),
            "$who: the run-time directory is gone";
        ok !IO::Socket::INET->new("127.0.0.1:$port"), "$who: nobody listens";
    }

    {
        my $port = free_port();
        my $child = start("$tmp/log", $port, @serve, '--listen',
            "127.0.0.1:$port");
        ok $child, "$server, KILL: it starts" or diag slurp("$tmp/log");
        if ($child) {
            ok stop($child, 'KILL'), "$server, KILL: it ends";
            ok wait_until(60,
                sub { !IO::Socket::INET->new("127.0.0.1:$port") }),
                "$server, KILL: the server ends with it";
        }
        system 'rm', '-rf', run_directories();
    }

    {
        # What service managers may give for stderr; it cannot be opened by
        # name.
        my $who = "$server, stderr is a socket";
        socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC
            or die "socketpair: $!";
        my $port = free_port();
        my $child = start($theirs, $port, @serve, '--listen',
            "127.0.0.1:$port");
        close $theirs;
        ok $child, "$who: it starts";
        if ($child) {
            is get($port, '/')->{status}, 200, "$who: it answers";
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
                "$who: requests are logged" or diag $log;
            ok $logged->($ready{$server}), "$who: errors are logged"
                or diag $log;
            ok stop($child, 'TERM'), "$who: it ends";
        }
    }

    {
        my $who = "$server, Redis's protocol";
        my ($port, $redis) = (free_port(), free_port());
        spew("$tmp/redis.toml", slurp("$tmp/ephpm.toml")
            . "[kv.redis_compat]\nenabled = true\nsocket = 'run/kv.sock'\n"
            . "listen = '127.0.0.1:$redis'\npassword = 'sesame'\n");
        my $child = start("$tmp/log", $port, ephpm(), 'serve', '--server',
            $server, '--config', "$tmp/redis.toml", '--listen',
            "127.0.0.1:$port");
        ok $child, "$who: it starts" or diag slurp("$tmp/log");
        get($port, '/') if $child;
        for my $to ("127.0.0.1:$redis", "$tmp/run/kv.sock") {
            my $socket = $to =~ m{^/} ? IO::Socket::UNIX->new(Peer => $to)
                : IO::Socket::INET->new($to);
            ok $socket, "$who: $to is open" or next;
            print {$socket} "GET visits\r\nAUTH sesame\r\nGET visits\r\nQUIT\r\n";
            $socket->flush;
            is join('', <$socket>), "-NOAUTH Authentication required.\r\n"
                . "+OK\r\n\$1\r\n1\r\n+OK\r\n",
                "$who: ... and has the scripts' store, for who knows the password";
        }
        if ($child) {
            my ($file) = glob "$tmp/run/ephpm-*/redis-password";
            is sprintf('%o', (stat $file)[2] & 07777), '600',
                "$who: the password's file is its owner's alone";
            my @shown = map { slurp($_) } glob("/proc/[0-9]*/cmdline"),
                glob("$tmp/run/ephpm-*/*.conf");
            is scalar(grep { /sesame/ } @shown), 0,
                "$who: command lines and configuration have it not";
            ok stop($child, 'TERM'), "$who: it ends";
        }
        is join(' ', run_directories()), '', "$who: nothing is left";
        ok !-e "$tmp/run/kv.sock", "$who: nor the socket";
    }

    {
        my $option = $server eq 'nginx' ? 'nginx' : 'httpd';
        spew("$tmp/broken", "#!/bin/sh\nexit 3\n");
        chmod 0755, "$tmp/broken";
        my ($code) = run(@serve, '--listen', '127.0.0.1:' . free_port(),
            "--$option", "$tmp/broken");
        is $code, 3, "${option}'s exit code is ours";
        spew("$tmp/broken", "#!/bin/sh\nkill -9 \$\$\n");
        ($code, undef, my $err) = run(@serve, '--listen',
            '127.0.0.1:' . free_port(), "--$option", "$tmp/broken");
        is $code, 70, "$option was killed: exit code";
        like $err, qr/^ephpm: $option was ended by signal 9/m,
            "$option was killed: message";
        is join(' ', run_directories()), '',
            "$option: no run-time directory is left";
    }

    SKIP: {
        skip 'only root can become another user', 10 if $> != 0;
        # Nobody may not be able to read the build directory.
        my $who = "$server, nobody";
        my $copy = scratch();
        for my $file ('cli/ephpm', $module{$server}) {
            copy("$build/$file", $copy) or die "$file: $!";
        }
        chmod 0755, glob "$copy/*";
        mkdir "$copy/run";
        chmod 0777, "$copy/run";
        my $port = free_port();
        my $child = start("$tmp/log", $port, 'setpriv', '--reuid=nobody',
            '--regid=nogroup', '--clear-groups', 'env', '-u',
            'XDG_RUNTIME_DIR', "TMPDIR=$copy/run", "$copy/ephpm", 'serve',
            '--server', $server, '--module-dir', $copy, '--document-root',
            "$tmp/public", '--listen', "127.0.0.1:$port");
        ok $child, "$who: it starts" or diag slurp("$tmp/log");
        if ($child) {
            check_server($who, $port, $child);
            ok stop($child, 'TERM'), "$who: it ends";
            ok wait_until(60,
                sub { my @left = glob "$copy/run/ephpm-*"; !@left }),
                "$who: the run-time directory is gone";
        }
    }
}

done_testing;
