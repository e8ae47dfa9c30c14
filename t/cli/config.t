#!/usr/bin/perl
# Command line, ephpm.toml, and what is written for the servers.  These are
# scripts here that show their configuration.

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cli qw(ephpm run spew slurp scratch free_port wait_until);
use Test::More;

my $tmp = scratch();
mkdir "$tmp/modules";
spew("$tmp/modules/$_.so", '') for qw(mod_ephpm ngx_http_ephpm_module
    ngx_stream_ephpm_module ngx_stream_module);
mkdir "$tmp/public";
spew("$tmp/httpd", "#!/bin/sh\ncat \"\$2\"\necho \"# \$2\"\n");
sub fake_nginx {
    my (@options) = @_;
    spew("$tmp/nginx", "#!/bin/sh\nif test \"\$1\" = -V; then\n"
        . "echo 'configure arguments: @options'\nexit\nfi\n"
        . "cat \"\$4\"\necho \"# \$4\"\n");
}
fake_nginx("--with-cc-opt='-g -O2'", '--with-stream=dynamic',
    "--modules-path=$tmp/modules");
chmod 0755, "$tmp/httpd", "$tmp/nginx";
my $port = free_port();
my @module = (ephpm(), 'serve', '--module-dir', "$tmp/modules");
my %serve = (
    apache => [ @module, '--httpd', "$tmp/httpd" ],
    nginx  => [ @module, '--server', 'nginx', '--nginx', "$tmp/nginx" ],
);
my @serve = @{ $serve{apache} };

# --- the command line

is_deeply [ run(ephpm(), '--version') ], [ 0, "ephpm 0.1.0\n", '' ],
    '--version';
for my $help ([ ephpm(), '--help' ], [ ephpm(), 'serve', '--help' ]) {
    my ($code, $out, $err) = run(@$help);
    is $code, 0, "@{$help}[1 .. $#$help]: exit code";
    like $out, qr/^usage: ephpm serve .*--listen ADDR:PORT/s,
        "@{$help}[1 .. $#$help]: says how";
}
my @misuse = (
    [ 'nothing'         => [],                      64, qr/say what to do/ ],
    [ 'another command' => ['dance'],               64, qr/command dance/ ],
    [ 'another option'  => [qw(serve --fast)],      64, qr/option --fast/ ],
    [ 'no value'        => [qw(serve --listen)],    64, qr/after --listen/ ],
    [ 'an argument'     => [qw(serve here)],        64, qr/takes no here/ ],
    [ 'httpd with nginx' => [qw(serve --server nginx --httpd /bin/true)], 64,
        qr/another server's program: --server is nginx/ ],
    [ 'nginx with apache' => [qw(serve --nginx /bin/true)], 64,
        qr/another server's program: --server is apache/ ],
    [ 'another server'  => [qw(serve --server iis)],   64, qr/not iis/ ],
    [ 'no such file'    => [qw(serve --config /no/such)], 66,
        qr{/no/such: cannot be read: No such file} ],
    [ 'a folder'        => [qw(serve --config /)], 66,
        qr{/: cannot be read: Is a directory} ],
);
for my $case (@misuse) {
    my ($name, $arguments, $want, $message) = @$case;
    my ($code, $out, $err) = run(ephpm(), @$arguments);
    is $code, $want, "$name: exit code";
    like $err, $message, "$name: message";
    is $out, '', "$name: nothing on stdout";
}

# --- what ephpm.toml may not say, each with its line

my @bad = (
    [ 'no TOML',        "[server\n",                   1, qr/not TOML/ ],
    [ 'unknown section', "\n[php]\nx = 1\n",           2, qr/section \[php\]/ ],
    [ 'unknown key',    "[server]\n\nlist = 'x'\n",    3,
        qr/key "list" in \[server\] .*listen/ ],
    [ 'key at the top', "listen = '1'\n",              1, qr/key "listen"/ ],
    [ 'section as key', "server = 1\n",                1, qr/\[server\]/ ],
    [ 'later key',      "[kv]\ncompression = 'zstd'\n", 2,
        qr/unknown key "compression"/ ],
    [ 'port as number', "[server]\nlisten = 8080\n",   2, qr/string/ ],
    [ 'port 0',         "[server]\nlisten = '127.0.0.1:0'\n", 2, qr/1 to 65535/ ],
    [ 'port 65536',     "[server]\nlisten = ':65536'\n", 2, qr/1 to 65535/ ],
    [ 'port with sign', "[server]\nlisten = ':+80'\n", 2, qr/1 to 65535/ ],
    [ 'port and more',  "[server]\nlisten = '127.0.0.1:80 x'\n", 2, qr/port/ ],
    [ 'host name',      "[server]\nlisten = 'example.org:80'\n", 2,
        qr/IP address/ ],
    [ 'bare IPv6',      "[server]\nlisten = '::1'\n",  2, qr/\[::1\]:8080/ ],
    [ 'IPv6, no port',  "[server]\nlisten = '[::1]'\n", 2, qr/no port/ ],
    [ 'root empty',     "[server]\ndocument_root = ''\n", 2, qr/is empty/ ],
    [ 'root: line end', "[server]\ndocument_root = \"a\\nb\"\n", 2,
        qr/control character 0x0a/ ],
    [ 'root: NUL',      "[server]\ndocument_root = \"a\\u0000b\"\n", 2, qr/NUL/ ],
    [ 'root: variable', "[server]\ndocument_root = 'a\${HOME}'\n", 2,
        qr/would replace/ ],
    [ 'index: string',  "[server]\nindex_files = 'a'\n", 2, qr/list/ ],
    [ 'index: number',  "[server]\nindex_files = ['a', 2]\n", 2, qr/list/ ],
    [ 'index: empty',   "[server]\nindex_files = []\n", 2, qr/at least one/ ],
    [ 'index: path',    "[server]\nindex_files = ['../a']\n", 2, qr/folder/ ],
    [ 'index: line end', "[server]\nindex_files = [\"a\\nb\"]\n", 2, qr/0x0a/ ],
    [ 'fallback: order', "[server]\nfallback = ['\$uri/', '\$uri', '/a']\n", 2,
        qr/not of the form/ ],
    [ 'fallback: files only', "[server]\nfallback = ['\$uri', '\$uri/']\n", 2,
        qr/not of the form/ ],
    [ 'fallback: no path', "[server]\nfallback = 'index.php'\n", 2,
        qr/neither a script/ ],
    [ 'fallback: query', "[server]\nfallback = '/a.php?q=\$uri'\n", 2,
        qr/neither a script/ ],
    [ 'size: small',    "[kv]\nmemory_limit = '4095K'\n", 2, qr/at least 4M/ ],
    [ 'size: number',   "[kv]\nmemory_limit = 256\n",   2, qr/string/ ],
    [ 'size: unit',     "[kv]\nmemory_limit = '256 MB'\n", 2, qr/not a size/ ],
    [ 'size: negative', "[kv]\nmemory_limit = '-1G'\n", 2, qr/not a size/ ],
    [ 'size: overflow', "[kv]\nmemory_limit = '99999999999G'\n", 2,
        qr/not a size/ ],
    [ 'redis: no section', "[kv]\nredis_compat = true\n", 2,
        qr/must be a section: \[kv\.redis_compat\]/ ],
    [ 'redis: key', "[kv.redis_compat]\nport = 1\n", 2,
        qr/unknown key "port" in \[kv\.redis_compat\] .*socket/ ],
    [ 'redis: a word',  "[kv.redis_compat]\nenabled = 'yes'\n", 2,
        qr/must be true or false/ ],
    [ 'redis: host',    "[kv.redis_compat]\nlisten = 'redis:1'\n", 2,
        qr/IP address/ ],
    [ 'redis: everywhere', "[kv.redis_compat]\nlisten = ':6379'\n", 2,
        qr/has no IP address/ ],
    [ 'redis: path',    "[kv.redis_compat]\nsocket = '/" . 'x' x 107 . "'\n", 2,
        qr/at most 107 bytes/ ],
    [ 'redis: no password', "[kv.redis_compat]\npassword = ''\n", 2,
        qr/is empty/ ],
    [ 'redis: two lines', "[kv.redis_compat]\npassword = \"a\\nb\"\n", 2,
        qr/line's end/ ],
    [ 'policy',         "[kv]\neviction_policy = 'lfu'\n", 2,
        qr/none of noeviction, allkeys-lru/ ],
);
for my $case (@bad) {
    my ($name, $toml, $line, $message) = @$case;
    spew("$tmp/bad.toml", $toml);
    my ($code, $out, $err) = run(@serve, '--config', "$tmp/bad.toml");
    is $code, 78, "$name: exit code";
    like $err, qr/^ephpm: \Q$tmp\E\/bad\.toml:$line: /, "$name: file and line";
    like $err, $message, "$name: message";
    is $out, '', "$name: httpd was not started";
}

# --- what is written for the servers

sub config_of {
    my ($server, $toml, @more) = @_;
    spew("$tmp/ephpm.toml", $toml);
    my ($code, $out, $err) =
        run(@{ $serve{$server} }, '--config', "$tmp/ephpm.toml", @more);
    is $code, 0, "$server: starts" or diag $err;
    return $out;
}

# What the two say for one and the same.
my %says = (
    apache => {
        root     => sub { qr/^DocumentRoot "\Q$_[0]\E"$/m },
        listen   => sub { qr/^Listen \Q$_[0]\E$/m },
        everywhere => qr/^Listen $port$/m,
        store    => sub { qr/^EphpmStore default $_[0] eviction=$_[1]$/m },
        index    => qr/^DirectoryIndex "index\.php" "index\.html"$/m,
        no_index => qr/^DirectoryIndex disabled$/m,
        script   => qr{^FallbackResource "/index\.php"$}m,
        other    => qr{^FallbackResource "/front end\.php"$}m,
        none     => qr/^(?!.*^FallbackResource)/ms,
        user     => qr/^User "(?:www-data|apache|httpd|http|nobody)"$/m,
    },
    nginx => {
        root     => sub { qr/^ +root "\Q$_[0]\E";$/m },
        listen   => sub { qr/^ +listen \Q$_[0]\E;$/m },
        everywhere => qr/^ +listen $port;$/m,
        store    => sub {
            qr/^ +ephpm_kv_zone zone=default:$_[0] eviction=$_[1];$/m },
        index    => qr/^ +index "index\.php" "index\.html";$/m,
        no_index => qr/^ +try_files \$uri =404;$/m,
        script   => qr{^ +try_files \$uri \$uri/ "/index\.php\$is_args\$args";$}m,
        other    => qr{^ +try_files \$uri \$uri/ "/front end\.php\$is_args\$args";$}m,
        none     => qr{^ +location \@fallback \{\n +return 404;\n}m,
        user     => qr/^user "(?:www-data|apache|httpd|http|nobody)" "\S+";$/m,
    },
);

for my $server (sort keys %says) {
    my $says = $says{$server};
    my $conf = config_of($server, "[server]\nlisten = '127.0.0.1:$port'\n"
            . "document_root = 'public'\n");
    like $conf, $says->{root}->("$tmp/public"),
        "$server: root beside the file";
    like $conf, $says->{listen}->("127.0.0.1:$port"), "$server: listen";
    like $conf, $says->{store}->(268435456, 'allkeys-lru'),
        "$server: store, by default";
    like $conf, $says->{index}, "$server: index files";
    like $conf, $says->{script}, "$server: fallback";
    like $conf, $says->{user}, "$server: the user of the scripts" if $> == 0;

    my ($file) = $conf =~ /^# (\/.*\/(?:httpd|nginx)\.conf)$/m;
    ok wait_until(60, sub { !-e $file && !-e $file =~ s{/[^/]*$}{}r }),
        "$server: the run-time directory goes with it";

    $conf = config_of($server, <<"EOF2", '--listen', "[::1]:$port");
[server]
listen = "127.0.0.1:1"
document_root = "public"
index_files = ["start here.php"]
fallback = ["\$uri", "=404"]
[kv]
memory_limit = "8mb"
eviction_policy = "noeviction"
EOF2
    like $conf, $says->{listen}->("[::1]:$port"),
        "$server: the command line wins";
    like $conf, $says->{store}->(8388608, 'noeviction'), "$server: store";
    like $conf, $says->{no_index}, qq{$server: no "\$uri/": no index};
    like $conf, $says->{none}, "$server: =404: no fallback";

    $conf = config_of($server, "[server]\ndocument_root = 'public'\n"
            . "listen = ':$port'\nfallback = '/front end.php'\n");
    like $conf, $says->{everywhere}, "$server: listen everywhere";
    like $conf, $says->{other}, "$server: another fallback";
}

# --- Redis's protocol

{
    my $base = "[server]\ndocument_root = 'public'\n"
        . "listen = '127.0.0.1:$port'\n";
    my $redis = free_port();
    my $conf = config_of('apache', $base);
    unlike $conf, qr/EphpmResp/, 'Redis\'s protocol: not unless it is asked for';
    $conf = config_of('apache', "$base\[kv.redis_compat]\nlisten = '[::1]:1'\n");
    unlike $conf, qr/EphpmResp/, '... and enabled';
    $conf = config_of('apache', "$base\[kv.redis_compat]\nenabled = true\n"
        . "listen = 'localhost:$redis'\n");
    like $conf, qr/^EphpmResp "127\.0\.0\.1:$redis" store=default$/m, 'an address';
    unlike $conf, qr/EphpmResp "unix/, '... alone';
    $conf = config_of('apache', "$base\[kv.redis_compat]\nenabled = true\n"
        . "socket = 'a \"socket\"'\n");
    like $conf, qr/^EphpmResp "unix:\Q$tmp\E\/a \\"socket\\"" store=default$/m,
        'a socket beside the file';
    unlike $conf, qr/EphpmResp "127/, '... alone';
    $conf = config_of('apache', "$base\[kv.redis_compat]\nenabled = true\n"
        . "listen = '0.0.0.0:$redis'\nsocket = '/tmp/s'\npassword = 'hu\$h'\n");
    my @files = $conf =~ /^EphpmResp "\S+" store=default "password-file=(.*)"$/mg;
    is scalar(@files), 2, 'both, with a password';
    is $files[0], $files[1], '... in one file';
    unlike $conf, qr/hu\$h/, '... and nowhere else';
    ok wait_until(60, sub { !-e $files[0] }), '... which goes with the rest';

    spew("$tmp/open.toml", "$base\[kv.redis_compat]\nenabled = true\n"
        . "listen = '0.0.0.0:$redis'\n");
    my ($code, $out, $err) = run(@serve, '--config', "$tmp/open.toml");
    is $code, 78, 'open to other machines without a password: exit code';
    like $err, qr/^ephpm: \Q$tmp\E\/open\.toml: .*listens on 0\.0\.0\.0.*has no password/,
        '... message';
    is $out, '', '... httpd was not started';

    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
    spew("$tmp/taken.toml", "$base\[kv.redis_compat]\nenabled = true\n"
        . "listen = '127.0.0.1:" . $taken->sockport . "'\n");
    ($code, $out, $err) = run(@serve, '--config', "$tmp/taken.toml");
    is $code, 69, 'its address in use: exit code';
    like $err, qr/\[kv\.redis_compat\] listen: .*already in use/, '... message';
}

{
    my $base = "[server]\ndocument_root = 'public'\n"
        . "listen = '127.0.0.1:$port'\n";
    my $enabled = "$base\[kv.redis_compat]\nenabled = true\n";
    my $redis = free_port();
    my $conf = config_of('nginx', $base);
    unlike $conf, qr/stream/, 'nginx: not unless it is asked for';
    $conf = config_of('nginx', $enabled . "listen = '127.0.0.1:$redis'\n"
        . "socket = 'a \"socket\"'\npassword = 'hu\$h'\n");
    my @loaded = $conf =~ /^load_module "\Q$tmp\E\/modules\/(.*)";$/mg;
    is "@loaded", 'ngx_http_ephpm_module.so ngx_stream_module.so '
        . 'ngx_stream_ephpm_module.so', '... the modules, stream before ours';
    like $conf, qr/^ +listen 127\.0\.0\.1:$redis;$/m, '... an address';
    like $conf, qr/^ +listen "unix:\Q$tmp\E\/a \\"socket\\"";$/m, '... a socket';
    my ($file) = $conf =~ /^ +ephpm_kv_resp default "password_file=(\S+)";$/m;
    like $file, qr/redis-password$/, '... a password, in a file';
    unlike $conf, qr/hu\$h/, '... and nowhere else';
    $conf = config_of('nginx', $enabled . "listen = '127.0.0.1:$redis'\n");
    like $conf, qr/^ +ephpm_kv_resp default;$/m, '... no password';
    fake_nginx('--with-stream', "--modules-path=$tmp/modules");
    $conf = config_of('nginx', $enabled . "socket = 's'\n");
    unlike $conf, qr/ngx_stream_module/, '... stream is in nginx itself';
    unlink "$tmp/modules/ngx_stream_ephpm_module.so";
    my ($code, $out, $err) = run(@{ $serve{nginx} }, '--config', "$tmp/ephpm.toml");
    is $code, 69, '... no module of ours: exit code';
    like $err, qr/^ephpm: \[kv\.redis_compat\] needs \S+\/ngx_stream_ephpm_module\.so, which is not there/,
        '... message';
    unlink "$tmp/modules/ngx_stream_module.so";
    fake_nginx('--with-stream=dynamic', "--modules-path=$tmp/modules");
    ($code, $out, $err) = run(@{ $serve{nginx} }, '--config', "$tmp/ephpm.toml");
    is $code, 69, '... no stream: exit code';
    like $err, qr/needs nginx's stream module: apt-get install libnginx-mod-stream/,
        '... message';
}

# --- values that try to be directives

my @names = ('with blank', 'with"quote', 'with\\', 'with\\"both', '$HOME',
    'with#hash', "with'single", '<Location />', '%{ENV}', '[glob]*?',
    '$document_root;', 'a;}', 'tab\\t');

sub root_of {
    my ($server, $name) = @_;
    my $folder = "$tmp/$name";
    system 'mkdir', '-p', $folder;
    (my $toml = $folder) =~ s/([\\"])/\\$1/g;
    return ($folder, config_of($server, "[server]\n"
        . "document_root = \"$toml\"\nlisten = '127.0.0.1:$port'\n"));
}

# The servers' own reading of it, without the module.
for my $name (@names) {
    my ($folder, $conf) = root_of('apache', $name);
    $conf =~ s/^(?:LoadModule ephpm|Ephpm|(?:ServerRoot|DefaultRuntimeDir|PidFile) ).*\n//mg;
    spew("$tmp/check.conf",
        "ServerRoot \"$tmp\"\nDefaultRuntimeDir \"$tmp\"\n$conf");
    my ($code, $out, $err) = run($ENV{HTTPD}, '-t', '-D', 'DUMP_RUN_CFG', '-f',
        "$tmp/check.conf");
    is $code, 0, "$name: httpd takes it" or diag $err;
    like $out, qr/^Main DocumentRoot: "\Q$folder\E"$/m,
        "$name: httpd reads the very path";
}
SKIP: {
    my ($nginx) = grep { -x } $ENV{NGINX_PROGRAM} || (), '/usr/sbin/nginx';
    skip 'nginx is not installed: apt-get install nginx', 2 * @names
        unless $nginx;
    for my $name (@names) {
        my ($folder, $conf) = root_of('nginx', $name);
        spew("$folder/name.txt", "this is $name");
        chmod 0644, "$folder/name.txt";
        $conf =~ s/^ *(?:load_module|ephpm\w*) .*\n//mg;
        $conf =~ s/ephpm on;//;
        $conf =~ s{"[^"]*/(client_body|proxy|fastcgi|uwsgi|scgi|nginx\.pid)"}
            {"$tmp/$1"}g;
        my $child = Cli::start("$tmp/log", $port, $nginx, '-p', $tmp, '-e',
            'stderr', '-c', spew("$tmp/check.conf", $conf));
        ok $child, "$name: nginx takes it" or diag slurp("$tmp/log");
        is Cli::get($port, '/name.txt')->{content}, "this is $name",
            "$name: nginx reads the very path";
        Cli::stop($child, 'TERM') if $child;
    }
}

my ($code, $out, $err) = run(@serve, '--document-root', "a\nLoadModule x y");
is $code, 64, 'a line end on the command line: exit code';
like $err, qr/control character/, 'a line end on the command line: message';

# --- what the machine lacks

spew("$tmp/plain", '');
my @lacks = (
    [ 'no root said', [], 64, qr/give --document-root/ ],
    [ 'no such root', [ '--document-root', "$tmp/none" ], 66,
        qr/No such file/ ],
    [ 'root is a file', [ '--document-root', "$tmp/plain" ], 66,
        qr/is not a folder/ ],
    [ 'no module', [ '--document-root', $tmp, '--module-dir', "$tmp/public" ],
        69, qr/has no mod_ephpm\.so/ ],
    [ 'no httpd', [ '--document-root', $tmp, '--httpd', "$tmp/none" ], 66,
        qr/--httpd: .* is no program/ ],
    [ 'no module of nginx', [ '--document-root', $tmp, '--module-dir',
        "$tmp/public" ], 69, qr/has no ngx_http_ephpm_module\.so/, 'nginx' ],
    [ 'no nginx', [ '--document-root', $tmp, '--nginx', "$tmp/none" ], 66,
        qr/--nginx: .* is no program/, 'nginx' ],
);
my $empty = scratch();
chdir $empty or die $!;
for my $case (@lacks) {
    my ($name, $arguments, $want, $message, $server) = @$case;
    ($code, $out, $err) = run(@{ $serve{ $server // 'apache' } }, @$arguments);
    is $code, $want, "$name: exit code";
    like $err, $message, "$name: message";
}
chdir '/';

my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
($code, $out, $err) = run(@serve, '--document-root', $tmp, '--listen',
    '127.0.0.1:' . $taken->sockport);
is $code, 69, 'port in use: exit code';
like $err, qr/Address already in use; choose another/, 'port in use: message';

SKIP: {
    skip 'only root runs scripts as another user', 3 if $> != 0;
    mkdir "$tmp/closed";
    mkdir "$tmp/closed/public";
    chmod 0700, "$tmp/closed";
    ($code, $out, $err) = run(@serve, '--document-root', "$tmp/closed/public");
    is $code, 77, 'root closed to the user of the scripts: exit code';
    like $err, qr{folder \Q$tmp\E/closed is closed},
        'root closed to the user of the scripts: names the folder';
    unlike $out, qr/LoadModule/, 'root closed: httpd was not started';
}

done_testing;
