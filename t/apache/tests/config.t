# What httpd refuses, and in which words; -t included.

use strict;
use warnings;
use EphpmTest;
use OwnServer;
use Test::More;

my $php = "<FilesMatch \"\\.php\$\">\nSetHandler application/x-httpd-php\n"
    . "</FilesMatch>\n";

sub check {
    my ($config, %o) = @_;
    return OwnServer->new(config => $config, %o)->check(%{ $o{env} // {} });
}

sub refused {
    my ($what, $config, $sentence, %o) = @_;
    my ($status, $said) = check($config, %o);
    isnt $status, 0, "$what: refused";
    like $said, $sentence, '... with a sentence';
    like $said, qr/line \d+ of .*httpd\.conf|httpd\.conf:\d+/,
        '... that says where' if $o{where} // 1;
}

my ($status, $said) = check("EphpmStore default 4M\nEphpmKv default\n$php");
is $status, 0, 'a right configuration is accepted' or diag $said;
for my $size (qw(4M 4096K 4194304 8m 5MB 1G)) {
    is +(check("EphpmStore default $size\n"))[0], 0, "size $size";
}
is +(check("EphpmStore a 4M eviction=volatile-lru\nEphpmStore b 4M "
    . "eviction=noeviction\nEphpmStore c 4M eviction=allkeys-random\n"))[0], 0,
    'eviction policies';

my @samples = glob "$ENV{EPHPM_SCRATCH}/../sample/*.conf";
is +(check((m{/resp\.conf$} ? "EphpmStore default 4M\n" : '')
    . "Include $_\n"))[0], 0, 'conf/httpd/' . s{.*/}{}r for @samples;
cmp_ok scalar(@samples), '>=', 5, 'samples';

refused('a size below the minimum', "EphpmStore default 3M\n",
    qr/EphpmStore default: 3M is too small: a store has at least 4M/);
for my $size ('much', '12Q', '-4M', '4.5M', '99999999999999999999M') {
    refused("the size $size", "EphpmStore default $size\n",
        qr/is not a size: write a number with K, M or G/);
}
refused('no size', "EphpmStore default\n",
    qr/EphpmStore takes a name and a size/);
refused('no argument', "EphpmStore\n", qr/EphpmStore takes/);
refused('two stores of one name', "EphpmStore a 4M\nEphpmStore a 8M\n",
    qr/there is a store 'a' already \(.*:\d+\): take another name/);
refused('a store called Off', "EphpmStore Off 4M\n",
    qr/'Off' cannot be a store's name/);
refused('a name of odd letters', "EphpmStore a/b 4M\n",
    qr{'a/b' cannot be a store's name});
refused('an option that is none', "EphpmStore a 4M colour=red\n",
    qr/EphpmStore a: .*colour/);
refused('a policy that is none', "EphpmStore a 4M eviction=lru\n",
    qr/EphpmStore a: .*eviction.*allkeys-lru/s);
refused('a compression that is none', "EphpmStore a 4M compression=rar\n",
    qr/EphpmStore a: .*compression/);
refused('a store inside of a host',
    "<VirtualHost *:80>\nEphpmStore a 4M\n</VirtualHost>\n",
    qr/EphpmStore cannot occur within <VirtualHost>/);
refused('a store that is not there', "EphpmKv nobody\n",
    qr/EphpmKv names the store 'nobody', which no EphpmStore makes: add/);
refused('the same in a host', "EphpmStore default 4M\n"
    . "<VirtualHost *:80>\nEphpmKv nobody\n</VirtualHost>\n",
    qr/EphpmKv names the store 'nobody'/);
refused('EphpmKv twice', "EphpmStore a 4M\nEphpmKv a\nEphpmKv Off\n",
    qr/EphpmKv is here already/);
refused('EphpmKv without a name', "EphpmKv\n", qr/EphpmKv takes one argument/);
is +(check("EphpmKv later\nEphpmStore later 4M\n"))[0], 0,
    'a store may be named before it is made';
refused('a PHPIniDir that is not there', "PHPIniDir /no/such/folder\n",
    qr{PHPIniDir /no/such/folder: there is no such directory});
refused('PHPIniDir twice', "PHPIniDir /\nPHPIniDir /tmp\n",
    qr/PHPIniDir is here already/);
refused('php_value with one argument', "php_value name\n",
    qr/php_value takes two arguments/);
refused('php_flag with a word', "php_flag name maybe\n",
    qr/php_flag name: 'maybe' is neither On nor Off/);
refused('php_flag true, which mod_php took for Off', "php_flag name true\n",
    qr/'true' is neither On nor Off/);
refused('a directive that is none', "EphpmStores a 4M\n",
    qr/Invalid command 'EphpmStores'/);

# Runners.
my $runners = "EphpmProcesses 3\nEphpmQueue 0\nEphpmQueueTimeout 500ms\n"
    . "EphpmRequestTerminateTimeout 2min\nEphpmSlowLog slow.log 5s\n"
    . "EphpmMaxRequests 500\nEphpmBuffering Off\n"
    . "EphpmTempPath $ENV{EPHPM_SCRATCH}\nEphpmMaxTempFileSize 0\n";
is +(check($runners))[0], 0, 'the directives for runners';
is +(check("<Directory />\nEphpmBuffering On\nEphpmMaxTempFileSize 1G\n"
    . "</Directory>\n"))[0], 0, '... of a directory';
for my $case ([ 'EphpmProcesses', 1, 1000, qw(0 1001 -1 many 4.5 1x) ],
    [ 'EphpmQueue', 0, 65536, qw(-1 65537 long) ],
    [ 'EphpmMaxRequests', 0, 2147483647, qw(-1 2147483648 often) ]) {
    my ($name, $min, $max, @wrong) = @$case;
    refused("$name $_", "$name $_\n",
        qr/$name: '\Q$_\E' is not a number from $min to $max/) for @wrong;
    is +(check("$name $_\n"))[0], 0, "$name $_" for $min, $max;
}
for my $case ([ 'EphpmQueueTimeout', '', qw(0 -1s soon 2d 25h) ],
    [ 'EphpmRequestTerminateTimeout', '', qw(-1 never 25h) ],
    [ 'EphpmSlowLog', 'slow.log', qw(0 now) ]) {
    my ($name, $first, @wrong) = @$case;
    refused("$name $first $_", "$name $first $_\n",
        qr/$name: '\Q$_\E' is not a time: write seconds, or a number with ms/)
        for @wrong;
}
is +(check("EphpmRequestTerminateTimeout 0\n"))[0], 0,
    'EphpmRequestTerminateTimeout 0';
refused('EphpmSlowLog without a time', "EphpmSlowLog slow.log\n",
    qr/EphpmSlowLog takes two arguments/);
refused('EphpmSlowLog without its directory', "EphpmSlowLog /no/such/log 1s\n",
    qr{EphpmSlowLog /no/such/log: there is no directory for it; make one});
refused("EphpmMaxTempFileSize $_", "EphpmMaxTempFileSize $_\n",
    qr/EphpmMaxTempFileSize: '\Q$_\E' is not a size/) for qw(large -1 1Q);
refused('EphpmBuffering maybe', "EphpmBuffering maybe\n",
    qr/EphpmBuffering must be On or Off/);
refused('an EphpmTempPath that is not there', "EphpmTempPath /no/such\n",
    qr{EphpmTempPath /no/such: there is no such directory});
refused("$_ inside of a host", "<VirtualHost *:80>\n$_\n</VirtualHost>\n",
    qr/cannot occur within <VirtualHost>/) for 'EphpmProcesses 3',
    'EphpmQueue 3', 'EphpmQueueTimeout 3', 'EphpmRequestTerminateTimeout 3',
    'EphpmSlowLog slow.log 3', 'EphpmMaxRequests 3', 'EphpmTempPath /tmp';
{
    my $prefork = OwnServer->new(mpm => 'prefork',
        config => "$runners$php<Directory />\nEphpmBuffering On\n"
        . "</Directory>\n");
    $prefork->page('a.php', '<?php echo "in line";');
    ok $prefork->start, 'all of them under prefork: it starts'
        or diag $prefork->said . $prefork->logged;
    is $prefork->get('/a.php')->{body}, 'in line', '... and serves';
    my $log = $prefork->said . $prefork->logged;
    for my $name (map { /^(\w+)/ } split /\n/, $runners) {
        my $times = () = $log =~ /httpd\.conf:\d+: $name does nothing under the prefork MPM/g;
        is $times, 1, "... with one notice of $name";
    }
    $prefork->stop;
}
{
    my ($mpm) = grep { -e "$ENV{HTTPD_MODULES_DIR}/mod_mpm_$_.so" }
        qw(event worker);
    SKIP: {
        skip 'this httpd has no threaded MPM', 2 unless $mpm;
        my $threads = OwnServer->new(mpm => $mpm, config => "$runners$php");
        ok $threads->start, "all of them under $mpm: it starts"
            or diag $threads->said . $threads->logged;
        unlike $threads->said . $threads->logged, qr/does nothing/,
            '... and nothing is said';
        $threads->stop;
    }
}

# The server as a whole.
for my $mpm (qw(prefork event worker)) {
    SKIP: {
        skip "this httpd has no $mpm MPM", 1
            unless -e "$ENV{HTTPD_MODULES_DIR}/mod_mpm_$mpm.so";
        is +(check("EphpmStore default 4M\nEphpmKv default\n$php",
            mpm => $mpm))[0], 0, "the $mpm MPM";
    }
}
my ($mod_php) = glob "$ENV{HTTPD_MODULES_DIR}/libphp8*.so";
SKIP: {
    skip 'mod_php is not installed: apt-get install libapache2-mod-php', 4
        unless $mod_php;
    my $line = "LoadModule php_module $mod_php\n";
    # Under a threaded MPM it refuses by itself.
    refused('mod_php after it', $line,
        qr/mod_php is loaded beside mod_ephpm.*remove one of the two/,
        where => 0, mpm => 'prefork');
    refused('mod_php before it', '', qr/mod_php is loaded beside mod_ephpm/,
        head => $line, where => 0, mpm => 'prefork');
}

# A library that says that it is another PHP.
my $stranger = "$ENV{EPHPM_SCRATCH}/stranger";
spew("$stranger.c", "const char *php_version(void) { return \"7.4.33\"; }\n");
my $cc = $ENV{CC} // 'cc';
is system("$cc -shared -fPIC -o $stranger.so $stranger.c"), 0,
    'a library that answers for another version';
refused('another PHP than it was built for', '',
    qr/mod_ephpm was built for PHP \d\.\d, but the PHP library that was loaded is 7\.4\.33: install/,
    env => { LD_PRELOAD => "$stranger.so" }, where => 0);

# -t does not start PHP, and a start does.
my $ini = "$ENV{EPHPM_SCRATCH}/traces";
mkdir $ini;
spew("$ini/php.ini", "extension=no_such_extension_of_ours\n"
    . "log_errors=On\n");
my $server = OwnServer->new(config => "PHPIniDir $ini\n$php");
($status, $said) = $server->check;
is $status, 0, 'configtest with a php.ini that makes PHP complain';
unlike $said . $server->logged, qr/no_such_extension_of_ours/,
    '... does not start PHP';
ok $server->start, 'the server starts';
$server->page('a.php', '<?php echo "answer";');
is $server->get('/a.php')->{body}, 'answer', '... and it serves';
like $server->said . $server->logged, qr/no_such_extension_of_ours/,
    "... and PHP's complaint can be read";
ok $server->stop, '... and stops';

# No store at all.
$server = OwnServer->new(config => $php);
$server->page('a.php', '<?php echo function_exists("ephpm_kv_get"), '
    . 'var_export(@ephpm_kv_get("a"), true);');
ok $server->start, 'a server without a store starts';
is $server->get('/a.php')->{body}, '1NULL', '... and serves scripts';
$server->stop;

# More memory than there are addresses.
$server = OwnServer->new(config => "EphpmStore default 900000G\n$php");
($status) = $server->check;
is $status, 0, 'a size that only the machine can refuse';
ok !$server->start, '... is refused at the start';
like $server->said . $server->logged,
    qr/EphpmStore default: \d+ bytes of shared memory cannot be had/,
    '... with a sentence';

# Preloading runs in the parent, which has no request and no store.
mkdir "$ENV{EPHPM_SCRATCH}/preload";
spew("$ENV{EPHPM_SCRATCH}/preload/preload.php",
    '<?php function preloaded() { return "preloaded"; } '
    . 'var_export(@ephpm_kv_get("x")); apache_note("a"); getallheaders();');
spew("$ENV{EPHPM_SCRATCH}/preload/php.ini",
    "opcache.preload=$ENV{EPHPM_SCRATCH}/preload/preload.php\n");
$server = OwnServer->new(
    config => "EphpmStore default 4M\nPHPIniDir $ENV{EPHPM_SCRATCH}/preload\n$php");
$server->page('a.php', '<?php echo preloaded(), ephpm_kv_incr("n");');
ok $server->start, 'a server that preloads starts' or diag $server->said;
is $server->get('/a.php')->{body}, 'preloaded1', '... and has what it loaded';
ok $server->graceful, '... and restarts';
is $server->get('/a.php')->{body}, 'preloaded2', '... and still has it';
$server->stop;

done_testing;
