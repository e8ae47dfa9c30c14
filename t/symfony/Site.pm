package Site;

# A scratch copy of the adapter, the demo and their packages, and httpd with
# mod_ephpm to serve them; or, for the demo and where EPHPM_SITE_SERVER says
# so, nginx with ngx_ephpm.
#
# What is copied can be read by the user of httpd's children, wherever the
# checkout is; the packages come from php-adapter/tests/install.

use strict;
use warnings;
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use IO::Socket::INET;
use POSIX qw(:sys_wait_h);
use Test::More ();
use Time::HiRes qw(sleep time);
use lib dirname(__FILE__) . '/../lib';
use Ports qw(free_port);

our @EXPORT_OK = qw(checkout run_command spew slurp wait_until start
    serve_demo serve_listening serve_suites reload
    free_port request connection exchange together json children
    server_user can_load cannot_listen projects report);

my $owner = $$;
my @parents;
my $src   = $ENV{EPHPM_SRCDIR}   // die "EPHPM_SRCDIR is not set: run make check\n";
my $build = $ENV{EPHPM_BUILDDIR} // die "EPHPM_BUILDDIR is not set: run make check\n";
my $php   = $ENV{PHP} || 'php';
my $httpd = $ENV{HTTPD} || '/usr/sbin/apache2';
my $modules = $ENV{HTTPD_MODULES_DIR} || '/usr/lib/apache2/modules';
my $nginx = $ENV{NGINX_PROGRAM} || '/usr/sbin/nginx';
my $with_nginx = ($ENV{EPHPM_SITE_SERVER} // '') eq 'nginx';

sub php { return $php }

sub extension { return "$build/php-embed/.libs/ephpm.so" }

sub spew {
    my ($file, $text) = @_;
    open my $out, '>', $file or die "$file: $!";
    print $out $text;
    close $out or die "$file: $!";
    return $file;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    local $/;
    return scalar(<$in>) // '';
}

sub run_command {
    my (@command) = @_;
    my $child = open(my $out, '-|') // die "fork: $!";
    if ($child == 0) {
        open STDIN,  '<', '/dev/null' or POSIX::_exit(125);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(125);
        { no warnings 'exec'; exec { $command[0] } @command; }
        POSIX::_exit(126);
    }
    local $/;
    my $text = <$out> // '';
    close $out;
    return ($? >> 8, $text);
}

sub must {
    my (@command) = @_;
    my ($code, $text) = run_command(@command);
    die "@command: exit code $code\n$text" if $code != 0;
    return $text;
}

# checkout(PROJECT...) -> a folder that has php-adapter/, demo/ as it is in
# the source tree and each project with its packages
sub checkout {
    my (@projects) = @_;
    my $scratch = tempdir('ephpm-symfony-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $scratch;
    umask 022;
    mkdir "$scratch/$_" or die "$scratch/$_: $!" for qw(php-adapter php-embed);
    must('cp', '-R', (map { "$src/php-adapter/$_" } qw(laravel nitrocache src tests
        wordpress README.md
        composer.json phpunit.xml.dist phpstan.dist.neon
        .php-cs-fixer.dist.php)), "$scratch/php-adapter");
    must('cp', "$src/php-embed/ephpm.stub.php", "$scratch/php-embed");
    for my $project (@projects) {
        my $packages = "$build/t/symfony/$project";
        -e "$packages/stamp" or die "The packages of $project are missing. "
            . "Run $src/php-adapter/tests/install $build first; ./dev check does.\n";
        if ($project eq 'demo') {
            mkdir "$scratch/demo" or die "$scratch/demo: $!";
            must('cp', '-R', (map { "$src/demo/$_" } qw(bin composer.json
                config plain public src templates)), "$packages/vendor", "$scratch/demo");
        }
        else {
            must('cp', '-R', $packages, $scratch);
        }
    }
    must('chmod', '-R', 'u+w,a+rX', $scratch);
    return $scratch;
}

sub server_user { return $> == 0 ? 'www-data' : undef }

# Why the module cannot be tested here, or undef.
sub can_load {
    my ($program, $module) = $with_nginx
        ? ($nginx, "$build/ngx_ephpm/objs/ngx_http_ephpm_module.so")
        : ($httpd, "$build/mod_ephpm/.libs/mod_ephpm.so");
    return "the server is not here: $program" if !-x $program;
    return "its module is not built: $module" if !-e $module;
    return undef;
}

sub wait_until {
    my ($seconds, $condition) = @_;
    my $end = time + $seconds;
    until ($condition->()) {
        return 0 if time > $end;
        sleep 0.05;
    }
    return 1;
}

# start(FOLDER, PORT, CONFIGURATION) -> process id of httpd's parent.  The
# store and the handler are those of conf/httpd/ephpm.conf.
sub start {
    my ($folder, $port, $configuration) = @_;
    my $user = server_user();
    my $loads = join '', map {
        "<IfModule !${_}_module>\nLoadModule ${_}_module \"$modules/mod_$_.so\"\n</IfModule>\n"
    } qw(mpm_prefork unixd log_config authz_core dir mime alias);
    my $conf = spew("$folder/httpd-$port.conf", <<"END");
ServerRoot "$folder"
DefaultRuntimeDir "$folder"
PidFile "$folder/httpd-$port.pid"
ErrorLog "$folder/error-$port.log"
ServerName 127.0.0.1:$port
Listen 127.0.0.1:$port
$loads
LoadModule ephpm_module "$build/mod_ephpm/.libs/mod_ephpm.so"
@{[$user ? "User $user\nGroup $user" : '']}
TypesConfig /dev/null
AddType text/css .css
AddType image/svg+xml .svg
StartServers 4
MinSpareServers 4
MaxSpareServers 32
MaxRequestWorkers 48
KeepAliveTimeout 300
<Directory "/">
    Require all granted
    Options FollowSymLinks
</Directory>
Include "$src/conf/httpd/ephpm.conf"
$configuration
END
    return launch($folder, $port, "error-$port.log",
        $httpd, '-DFOREGROUND', '-f', $conf);
}

# A server, until it listens.
sub launch {
    my ($folder, $port, $log, @command) = @_;
    my $child = fork() // die "fork: $!";
    if ($child == 0) {
        # httpd in the foreground ends its whole process group.
        setpgrp 0, 0;
        open STDIN, '<', '/dev/null' or POSIX::_exit(125);
        open STDOUT, '>', "$folder/said-$port" or POSIX::_exit(125);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(125);
        { no warnings 'exec'; exec { $command[0] } @command; }
        POSIX::_exit(126);
    }
    push @parents, $child;
    my $ended = 0;
    wait_until(120, sub {
        $ended = waitpid($child, WNOHANG) == $child;
        return $ended || IO::Socket::INET->new("127.0.0.1:$port");
    });
    if ($ended) {
        @parents = grep { $_ != $child } @parents;
        my $said = join '', map { slurp($_) } grep { -e }
            map { "$folder/$_" } "said-$port", $log;
        die "the server ended at once:\n$said";
    }
    return $child;
}

# serve_demo(FOLDER, PORT, PLAIN_PORT) -> process id of the server's parent:
# the demo, and what is in demo/plain.
sub serve_demo {
    my ($folder, $port, $plain_port) = @_;
    return start($folder, $port, <<"END") unless $with_nginx;
Include "$src/conf/httpd/front-controller.conf"
DocumentRoot "$folder/demo/public"
Listen 127.0.0.1:$plain_port
<VirtualHost 127.0.0.1:$plain_port>
    DocumentRoot "$folder/demo/plain"
</VirtualHost>
END
    my $site = "include $src/conf/nginx/site.conf;";
    return start_nginx($folder, $port, <<"END");
server {
    listen 127.0.0.1:$port;
    root $folder/demo/public;
    $site
}
server {
    listen 127.0.0.1:$plain_port;
    root $folder/demo/plain;
    $site
}
END
}

# The lines that load nginx's stream, if it is a module, and ours for it; undef:
# it has none.
sub load_stream {
    my $built = `'$nginx' -V 2>&1`;
    my $ours = "load_module $build/ngx_ephpm/objs/ngx_stream_ephpm_module.so;\n";
    return $ours if $built =~ /--with-stream(?!\S)/;
    my ($modules_of) = $built =~ /--modules-path=(\S+)/ or return undef;
    return undef unless -e "$modules_of/ngx_stream_module.so";
    return "load_module $modules_of/ngx_stream_module.so;\n$ours";
}

# Why there can be no listener, or undef.
sub cannot_listen {
    return undef if !$with_nginx || load_stream();
    return 'nginx has no stream: apt-get install libnginx-mod-stream';
}

# serve_listening(FOLDER, PORT, SOCKET) -> process id of the server's parent:
# the demo, and its store behind a socket.
sub serve_listening {
    my ($folder, $port, $socket) = @_;
    my $parent = $with_nginx
        ? start_nginx($folder, $port, <<"END", load_stream(), <<"END")
    server {
        listen 127.0.0.1:$port;
        root $folder/demo/public;
        include $src/conf/nginx/site.conf;
    }
END
stream { server { listen unix:$socket; ephpm_kv_resp default; } }
END
        : start($folder, $port, <<"END");
Include "$src/conf/httpd/front-controller.conf"
DocumentRoot "$folder/demo/public"
EphpmResp unix:$socket
END
    wait_until(120, sub { -S $socket }) or die "nobody listens at $socket";
    return $parent;
}

# serve_suites(FOLDER, INI, [PORT, NAME, SIZE, EVICTION]...) -> the server's log:
# FOLDER/docroot on each port, each with a store of its own.
sub serve_suites {
    my ($folder, $ini, @sites) = @_;
    mkdir "$folder/php" or die "$folder/php: $!";
    spew("$folder/php/php.ini", $ini);
    my $port = free_port();
    if ($with_nginx) {
        start_nginx($folder, $port, join '', <<"END", map { <<"END" } @sites);
    ephpm_php_ini $folder/php;
    server {
        listen 127.0.0.1:$port;
        return 404;
    }
END
    ephpm_kv_zone zone=$_->[1]:$_->[2] eviction=$_->[3];
    server {
        listen 127.0.0.1:$_->[0];
        root $folder/docroot;
        ephpm_kv $_->[1];
        location ~ \.php\$ { ephpm on; }
    }
END
        return "$folder/error-$port.log";
    }
    start($folder, $port, join '', <<"END", map { <<"END" } @sites);
PHPIniDir "$folder/php"
DocumentRoot "$folder/docroot"
END
EphpmStore $_->[1] $_->[2] eviction=$_->[3]
Listen 127.0.0.1:$_->[0]
<VirtualHost 127.0.0.1:$_->[0]>
    DocumentRoot "$folder/docroot"
    EphpmKv $_->[1]
</VirtualHost>
END
    return "$folder/error-$port.log";
}

# start_nginx(FOLDER, PORT, CONFIGURATION, [FIRST, LAST]) -> process id of
# nginx's master.  The store is that of conf/nginx/ephpm.conf; FIRST stands
# before, LAST after all of that.
sub start_nginx {
    my ($folder, $port, $configuration, $first, $last) = @_;
    $_ //= '' for $first, $last;
    my $user = server_user();
    my $paths = join '', map { "    ${_}_temp_path tmp/$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi ephpm);
    mkdir "$folder/tmp";
    my $conf = spew("$folder/nginx-$port.conf", <<"END");
${first}load_module $build/ngx_ephpm/objs/ngx_http_ephpm_module.so;
@{[$user ? "user $user $user;" : '']}
daemon off;
pid nginx-$port.pid;
error_log error-$port.log notice;
worker_processes 2;
events { }
http {
    access_log off;
$paths    types { text/html html; text/css css; image/svg+xml svg; }
    keepalive_timeout 300;
    ephpm_processes 4;
    include $src/conf/nginx/ephpm.conf;
$configuration}
$last
END
    return launch($folder, $port, "error-$port.log", $nginx, '-p', "$folder/",
        '-c', $conf, '-e', "$folder/error-$port.log");
}

# Let it read its configuration anew.
sub reload {
    my ($parent) = @_;
    return kill $with_nginx ? 'HUP' : 'USR1', $parent;
}

sub stop {
    my ($parent) = @_;
    kill 'TERM', $parent;
    my $ended = wait_until(120, sub { waitpid($parent, WNOHANG) == $parent });
    @parents = grep { $_ != $parent } @parents if $ended;
    return $ended;
}

# The process ids of those that run scripts: httpd's children, by the kernel's
# own list; the runners in nginx's process group.
sub children {
    my ($parent) = @_;
    if ($with_nginx) {
        my @found;
        for my $process (glob '/proc/[0-9]*') {
            my ($pid, $group) = (eval { slurp("$process/stat") } // '')
                =~ /^(\d+) \(.*\) [^Z] \d+ (\d+)/s or next;
            push @found, $pid if $group == $parent
                && (eval { slurp("$process/cmdline") } // '') =~ /ephpm runner/;
        }
        return @found;
    }
    return split ' ', slurp("/proc/$parent/task/$parent/children");
}

# One request on a connection of its own.
sub request {
    my ($port, $path, %options) = @_;
    return HTTP::Tiny->new(timeout => 600, max_redirect => 0)
        ->get("http://127.0.0.1:$port$path", \%options);
}

# A connection that is kept: a prefork child has it to itself.
sub connection {
    my ($port) = @_;
    return HTTP::Tiny->new(timeout => 600, keep_alive => 1);
}

sub exchange {
    my ($connection, $port, $path) = @_;
    return $connection->get("http://127.0.0.1:$port$path");
}

# together(N, CODE) -> what CODE(0..N-1) returned as text, each in a process
# of its own, all let go at one moment
sub together {
    my ($n, $code) = @_;
    pipe my $ready, my $go or die "pipe: $!";
    my (@pipes, @pids);
    for my $i (0 .. $n - 1) {
        my $pid = open(my $from, '-|') // die "fork: $!";
        if ($pid == 0) {
            close $go;
            sysread $ready, my $byte, 1;
            my $text = eval { $code->($i) } // "failed: $@";
            syswrite STDOUT, $text;
            POSIX::_exit(0);
        }
        push @pipes, $from;
    }
    close $ready;
    close $go;
    local $/;
    my @texts = map { scalar(readline $_) // '' } @pipes;
    close $_ for @pipes;
    return @texts;
}

# The members of a flat JSON object of numbers, strings and booleans; inner
# objects are flattened.
sub json {
    my ($text) = @_;
    my %value;
    while ($text =~ /"(\w+)":(?:"((?:[^"\\]|\\.)*)"|(-?\d+)|(true|false))/g) {
        $value{$1} = defined $2 ? $2 : defined $3 ? $3 : $4 eq 'true' ? 1 : 0;
    }
    return \%value;
}

# The projects that php-adapter/tests/install has made, by their versions.
sub projects {
    my @found = map { m{/(symfony-[\d.]+)/stamp\z} } glob "$build/t/symfony/symfony-*/stamp";
    die "The packages of the adapter's tests are missing. "
        . "Run $src/php-adapter/tests/install $build first; ./dev check does.\n"
        if !@found;
    return @found;
}

# One test for each class in JUnit's XML; returns how many of all its tests
# are of the PSR-6 and PSR-16 suites.
sub report {
    my ($name, $xml) = @_;
    my $builder = Test::More->builder;
    my $psr = 0;
    while ($xml =~ m{<testsuite name="([\w\\]+)" file="[^"]*"([^>]*)>}g) {
        my ($class, $counts) = ($1, $2);
        my %n = $counts =~ /(\w+)="(\d+)"/g;
        my $bad = grep { $n{$_} // 0 } qw(errors failures warnings skipped);
        $builder->ok(!$bad && $n{tests}, "$name: $class, $n{tests} tests");
        $builder->diag($counts) if $bad;
        $psr += $n{tests} if $class =~ /\\Psr(?:6|16)Test\z/;
    }
    if ($xml =~ /<(?:failure|error|skipped)\b/) {
        while ($xml =~ m{(<testcase [^>]*[^/]>.*?</testcase>)}gs) {
            $builder->diag(substr $1, 0, 2000);
        }
    }
    return $psr;
}

END {
    my $status = $?;
    if ($$ == $owner) {
        stop($_) for @parents;
    }
    $? = $status;
}

1;
