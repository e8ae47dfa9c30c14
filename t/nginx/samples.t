#!/usr/bin/perl
# conf/nginx as it is, and the block of the README.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use IO::Socket::UNIX;
use NginxTest;
use Test::More;

my $server = NginxTest->new;
copy_tree("$NginxTest::top/conf/nginx", "$server->{dir}/sample");
my @samples = map { s{.*/}{}r } glob "$server->{dir}/sample/*.conf";
is "@samples", 'ephpm.conf resp.conf site.conf sites.conf status.conf',
    'the samples';

$server->configure(http => "include sample/ephpm.conf;\n",
    location => "include sample/site.conf;\ninclude sample/status.conf;\n");
$server->page('index.php', '<?php echo "front ", $_SERVER["REQUEST_URI"], " ",'
    . 'ephpm_kv_incr("n"), " ", json_encode($_GET);');
$server->page('other.php', '<?php echo "other ", $_SERVER["PATH_INFO"] ?? "";');
$server->page($_, 'secret') for '.env', '.git/config', '.git/hook.php';
$server->page('.well-known/acme', 'known');
$server->page('style.css', 'body {}');
$server->page('docs/index.html', 'docs');
ok $server->start, 'ephpm.conf, site.conf and status.conf together'
    or diag $server->said;
is get('/')->{body}, 'front / 1 []', 'the front page';
is get('/any/thing?a=b')->{body}, 'front /any/thing?a=b 2 {"a":"b"}',
    'what is no file goes to the front controller, with its query';
is get('/other.php/info')->{body}, 'other /info', 'another script, PATH_INFO';
is get('/none.php')->{status}, 404, 'a script that is not there';
is header(get('/style.css'), 'Content-Type'), 'text/css', 'a file';
is get('/docs/')->{body}, 'docs', "a folder's index";
is get("/$_")->{status}, 403, "/$_ is hidden"
    for '.env', '.git/config', '.git/hook.php';
is get('/.well-known/acme')->{body}, 'known', '/.well-known/ is not';
is get('/ephpm-status')->{status}, 200, 'the status page';
is get('/ephpm-status?json')->{status}, 200, '... for programs';
$server->stop;

# Port 80 is root's; nobody listens on it for a test.
my $sites = slurp("$server->{dir}/sample/sites.conf");
$sites =~ s/listen 80;/listen 127.0.0.1:$server->{port2};/g if $> != 0;
spew("$server->{dir}/sample/sites.conf", $sites);
$server->configure(http => "include sample/sites.conf;\n",
    location => "include sample/site.conf;\n");
my ($status, $said) = $server->check;
is $status, 0, 'sites.conf' or diag $said;

# What belongs beside http { }, and the server with a password in its comments.
SKIP: {
    my $load = $server->load_stream;
    skip 'nginx has no stream: apt-get install libnginx-mod-stream', 3
        unless defined $load;
    my $resp = slurp("$server->{dir}/sample/resp.conf");
    $resp =~ s{/run/ephpm/}{$server->{dir}/} or fail 'it has a socket';
    my ($more) = $resp =~ /^( +#     limit_conn_zone.*?)^\}/ms;
    $more =~ s/^ +#//mg;
    $more =~ s/ ssl;/;/;
    $more =~ s/^ *ssl_[^\n]*\n//mg;
    $more =~ s{/etc/nginx/}{$server->{dir}/} or fail 'it has a password';
    $more =~ s/listen 6380/listen 127.0.0.1:$server->{port2}/
        or fail 'it has a port';
    $resp =~ s/^\}/$more}/m;
    spew("$server->{dir}/sample/resp.conf", $resp);
    spew("$server->{dir}/kv.password", "secret\n");
    $server->configure(http => "include sample/ephpm.conf;\n",
        location => "include sample/site.conf;\n");
    my $text = slurp($server->{conf});
    $text =~ s/^listen 127\.0\.0\.1:\d+ http2;\n//m or fail 'a free port';
    spew($server->{conf}, "$load${text}include sample/resp.conf;\n");
    ok $server->start, 'resp.conf beside them' or diag $server->said;
    my $said = resp_answer("$server->{dir}/kv.sock", "INCR n\r\nQUIT\r\n");
    is $said, ":1\r\n+OK\r\n", '... answers at its socket';
    get('/');
    $said = resp_answer($server->{port2},
        "GET n\r\nAUTH secret\r\nGET n\r\nQUIT\r\n");
    like $said, qr/\A-NOAUTH [^\r]*\r\n\+OK\r\n\$1\r\n2\r\n\+OK\r\n\z/,
        '... and with a password, as its comments say';
    $server->stop;
}

sub resp_answer {
    my ($where, $text) = @_;
    my $socket = $where =~ m{/} ? IO::Socket::UNIX->new($where)
        : IO::Socket::INET->new("127.0.0.1:$where");
    return "no connection: $!" unless $socket;
    print $socket $text;
    $socket->flush;
    local $/;
    return scalar(<$socket>) // '';
}

# The README's block: only what a test's server needs is put in.
my ($readme) = slurp("$NginxTest::top/README.md")
    =~ /^```nginx\n(.*?)^```/ms;
SKIP: {
    skip 'the README has no nginx block', 3 unless $readme;
    my $config = $readme =~ s/^events \{\n\}\n//mr;
    $config =~ s{^load_module [^\n]*\n}{}m or fail 'it loads the module';
    my $paths = NginxTest::paths();
    $config =~ s/^http \{\n/http {\n$paths/m or fail 'it has http { }';
    $config =~ s/^( *)server \{\n/$1server {\nlisten 127.0.0.1:%PORT%;\n/m
        or fail 'it has a server { }';
    $config =~ s{root [^;]*;}{root %DIR%/htdocs;};
    $server->configure(config => $server->preamble . $config);
    ok $server->start, "README.md's block starts" or diag $server->said;
    is get('/any?a=b')->{body}, 'front /any?a=b 1 {"a":"b"}',
        '... and serves';
    is get('/ephpm-status?json')->{status}, 200, '... with the status page';
}

$server->ends_well;
done_testing;
