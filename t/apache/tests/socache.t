# The socache provider: httpd's own caches in a store.

use strict;
use warnings;
use Apache::Test ();
use EphpmTest;
use MIME::Base64 qw(encode_base64);
use OwnServer;
use Ports qw(free_port);
use Test::More;

my $modules = $ENV{HTTPD_MODULES_DIR};
my $base = <<"END";
PHPIniDir $ENV{EPHPM_SCRATCH}/../conf/php.ini
EphpmStore default 4M
EphpmStore own 4M
<FilesMatch "\\.php\$">
    SetHandler application/x-httpd-php
</FilesMatch>
END
# For a look at httpd's store, which no site would have.
my $spy = <<'END';
Listen 127.0.0.1:%d
<VirtualHost *:%d>
    php_admin_value ephpm.store own
</VirtualHost>
END
my $keys = <<'END';
<?php
$cursor = 0;
$all = [];
do {
    [$cursor, $keys] = ephpm_kv_scan($cursor);
    array_push($all, ...$keys);
} while ($cursor);
sort($all);
foreach ($all as $key) {
    echo addcslashes($key, "\0..\37\177..\377"), ' ',
        ephpm_kv_pttl($key) > 0 ? 'expires' : 'stays', "\n";
}
END

sub has { return -e "$modules/mod_$_[0].so" }
sub load { return join '', map { OwnServer::load($_) } @_ }

sub server_with {
    my ($config) = @_;
    my $server = OwnServer->new(config => '');
    $server->{spy} = free_port();
    ref $config and $config = $config->($server);
    $server->configure($base . sprintf($spy, ($server->{spy}) x 2) . $config);
    $server->page('keys.php', $keys);
    $server->page('hello.txt', "hello\n");
    $server->page('flush.php', '<?php ephpm_kv_flush_all();');
    return $server;
}

sub keys_of { return $_[0]->get('/keys.php', port => $_[0]{spy})->{body} }

# Every call of the provider, by a module made for it.
my $so = "$ENV{EPHPM_SCRATCH}/probe.so";
my $source = "$ENV{EPHPM_SCRATCH}/../probe.c";
my $cc = $ENV{CC} // 'cc';
is system("$cc $ENV{HTTPD_CPPFLAGS} -shared -fPIC -o $so $source"), 0,
    'a module that uses the provider';
my $probing = "LoadModule probe_module $so\n<Location /probe>\n"
    . "SetHandler probe\n</Location>\n";
my $server = server_with("${probing}ProbeCache ephpm:own\n");
ok $server->start, 'a server starts' or diag $server->said . $server->logged;

sub probe { return $server->get("/probe?$_[0]")->{body} }

is probe('op=flags'), "done\n", 'it needs no mutex';
is probe('op=retrieve&id=a&room=100'), "not found\n", 'nothing is there';
is probe('op=store&id=a&data=first&ms=100000'), "done\n", 'store';
is probe('op=retrieve&id=a&room=100'), "5 first\ndone\n", 'retrieve';
is probe('op=retrieve&id=a&room=5'), "5 first\ndone\n", '... into just enough';
is probe('op=retrieve&id=a&room=4'), "no space\n", '... into too little';
is probe('op=store&id=a&data=second&ms=100000'), "done\n", 'store again';
is probe('op=retrieve&id=a&room=100'), "6 second\ndone\n", '... replaces';
is keys_of($server), "socache:probe:a expires\n",
    'its keys have a prefix of their own, and expire';
is probe('op=remove&id=a'), "done\n", 'remove';
is probe('op=retrieve&id=a&room=100'), "not found\n", '... and it is gone';
is probe('op=remove&id=a'), "not found\n", '... once';
probe('op=store&id=short&data=x&ms=100');
ok wait_until(sub { probe('op=retrieve&id=short&room=9') eq "not found\n" }),
    'an object expires';
probe('op=store&id=b&data=x&ms=100000');
is probe('op=store&id=b&data=y&ms=-1000'), "done\n",
    'one that has expired already ...';
is probe('op=retrieve&id=b&room=9'), "not found\n", '... is not found';
$server->get('/set.php', port => $server->{spy})
    if $server->page('set.php', '<?php ephpm_kv_set("other", "x"); '
        . 'ephpm_kv_set("socache:probf:z", "x"); '
        . 'ephpm_kv_set("socache:probe", "x");');
is probe('op=iterate'), "done\n", 'iterate: nothing of others';
probe("op=store&id=i$_&data=d$_&ms=100000") for 1 .. 40;
probe('op=store&id=soon&data=x&ms=1');
select undef, undef, undef, 0.05;
is join(' ', sort split /\n/, probe('op=iterate')),
    join(' ', sort 'done', map { "i$_=d$_" } 1 .. 40),
    '... all that is there, once, but what has expired';
like probe('op=iterate&stop=70123'), qr/\Ai\d+=d\d+\n70123\n\z/,
    '... until the callback says stop';
like probe('op=status&id=1'), qr/^CacheType: ephpm\nCacheStore: own\nCacheStoreEntries: \d+\n/,
    'status as text';
like probe('op=status&id=0'), qr{^CacheStore: <b>own</b><br>}m,
    '... and for people';
ok $server->graceful, 'a graceful restart';
is probe('op=retrieve&id=i7&room=9'), "2 d7\ndone\n", '... keeps it all';
unlike $server->logged, qr/scripts of/,
    'a store that no host uses: nothing to warn of';
$server->configure("$base${probing}ProbeCache ephpm\n");
ok $server->graceful, 'without a name';
like probe('op=status&id=1'), qr/^CacheStore: default$/m,
    '... the store called default';
like $server->logged, qr/probe keeps its cache in the store 'default', which scripts of localhost can read and change: give it a store that no EphpmKv names/,
    '... and a warning, as scripts use it';
$server->stop;
$server->configure("$base${probing}ProbeCache ephpm:nobody\n");
ok !$server->start, 'a store that is not there: refused';
like $server->said . $server->logged,
    qr/probe wants its cache in the store 'nobody', which no EphpmStore makes: add 'EphpmStore nobody 16M', or correct the name/,
    '... with a sentence';

# Checked passwords.
SKIP: {
    skip 'this httpd has no mod_authn_socache', 6
        unless has('authn_socache');
    $server = server_with(sub { my ($it) = @_; return load(qw(auth_basic
        authn_core authn_file authn_socache authz_user)) . <<"END" });
AuthnCacheSOCache ephpm:own
<Location /hello.txt>
    AuthType Basic
    AuthName there
    AuthBasicProvider socache file
    AuthnCacheProvideFor file
    AuthUserFile $it->{dir}/users
    Require valid-user
</Location>
END
    my $users = spew("$server->{dir}/users",
        slurp(Apache::Test::vars('serverroot') . '/conf/users'));
    ok $server->start, 'AuthnCacheSOCache ephpm: it starts'
        or diag $server->said . $server->logged;
    my $ask = sub { $server->get('/hello.txt', headers => [ Authorization =>
        'Basic ' . encode_base64("suite:$_[0]", '') ])->{status} };
    is $ask->('word'), 200, '... the right word';
    is $ask->('other'), 401, '... a wrong one';
    like keys_of($server), qr/^socache:\S*authn\S*:\S*suite expires$/m,
        '... is remembered in the store';
    spew($users, '');
    is join(' ', map { $ask->('word') } 1 .. 8), join(' ', (200) x 8),
        '... for every child: the file is not asked again';
    $server->get('/flush.php', port => $server->{spy});
    is $ask->('word'), 401, '... until the store forgets it';
    $server->stop;
}

# Pages.
SKIP: {
    skip 'this httpd has no mod_cache_socache', 4
        unless has('cache') && has('cache_socache');
    $server = server_with(load(qw(cache cache_socache)) . <<'END');
CacheSocache ephpm:own
CacheEnable socache /page.php
CacheSocacheMaxSize 102400
END
    $server->page('page.php', '<?php header("Cache-Control: max-age=1000"); '
        . 'header("Last-Modified: Sun, 13 Sep 2020 12:26:40 GMT"); '
        . 'header("Content-Length: 50001"); '
        . 'echo ephpm_kv_incr("pages"), str_repeat("x", 50000);');
    ok $server->start, 'CacheSocache ephpm: it starts'
        or diag $server->said . $server->logged;
    my $page = $server->get('/page.php')->{body};
    is $page, '1' . 'x' x 50_000, '... a page';
    # httpd keeps it when it has sent it: the next request may be faster.
    wait_until(sub {
        my $before = $page;
        $page = $server->get('/page.php')->{body};
        $page eq $before;
    });
    is join(' ', map { $server->get('/page.php')->{body} eq $page ? 1 : 0 }
        1 .. 8), join(' ', (1) x 8), '... is made once, for every child';
    like keys_of($server), qr{^socache:\S*cache\S*:\S*page\.php\S* expires$}m,
        '... and kept in the store';
    $server->stop;
}

# TLS sessions.
my $openssl = `openssl version 2>&1 < /dev/null`;
SKIP: {
    skip 'this httpd has no mod_ssl', 10 unless has('ssl');
    skip 'openssl is not installed: apt-get install openssl', 10
        unless defined $openssl && $openssl =~ /^OpenSSL/;
    my $tls = sub { my ($it) = @_; return load(qw(ssl)) . <<"END" };
SSLSessionCache ephpm:own
SSLSessionTickets off
SSLStaplingCache ephpm:own
StartServers 4
MinSpareServers 4
<VirtualHost *:$it->{port}>
    SSLEngine on
    SSLCertificateFile $it->{dir}/cert.pem
    SSLCertificateKeyFile $it->{dir}/key.pem
</VirtualHost>
END
    $server = server_with($tls);
    my $dir = $server->{dir};
    system("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost "
        . "-days 2 -keyout $dir/key.pem -out $dir/cert.pem > $dir/req.log "
        . '2>&1 < /dev/null') == 0
        or skip 'openssl made no certificate: ' . slurp("$dir/req.log"), 10;
    ok $server->start, 'SSLSessionCache ephpm: it starts'
        or diag $server->said . $server->logged;
    # TLS 1.3 tells the session after the handshake: so there is a request.
    my $client = sub {
        my ($version, $options) = @_;
        spew("$dir/ask", "GET /hello.txt HTTP/1.0\r\n\r\n");
        my $said = `openssl s_client -connect 127.0.0.1:$server->{port} -ign_eof $version $options 2>&1 < $dir/ask`;
        return $said =~ /^hello/m && $said =~ /^(New|Reused), /m ? $1 : $said;
    };
    for my $version (qw(-tls1_2 -tls1_3)) {
        my $file = "$dir/session$version";
        is $client->($version, "-sess_out $file"), 'New',
            "$version: a new session";
        # In TLS 1.3 a session serves once, so each brings the next.
        my @again = map { $client->($version,
            "-sess_in $file -sess_out $file") } 1 .. 6;
        is "@again", join(' ', ('Reused') x 6), '... resumed, by any child';
    }
    like keys_of($server), qr/^socache:\S*ssl-sess\S*:\S+ expires$/m,
        '... kept in the store';
    ok $server->graceful, 'a graceful restart';
    is $client->('-tls1_2', "-sess_in $dir/session-tls1_2"), 'Reused',
        '... keeps the sessions';
    is $server->get('/flush.php', port => $server->{spy})->{status}, 200,
        'the store is emptied';
    is $client->('-tls1_2', "-sess_in $dir/session-tls1_2"), 'New',
        '... and the session is over';
    $server->stop;
}

done_testing;
