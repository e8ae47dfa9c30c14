package NginxTest;

# An nginx of a test's own with the module in it: its folder, port and user.
#
#   my $server = NginxTest->new(http => '...', server => '...');
#   $server->page('a.php', '<?php ...');
#   ok $server->start, 'it starts' or diag $server->said;
#   ... get('/a.php') ...
#   $server->ends_well;
#   done_testing;
#
# Everything it writes is in $server->{dir}.  As root the master is root and
# its workers www-data or nobody; otherwise all of it is the caller.  A server
# has a process group and a copy of the module to itself, and by either its
# processes are known: workers, runners, whoever is their parent by now.
#
# Requests are EphpmTest's, to the server that was made last, unless they are
# given another port.

use strict;
use warnings;

use Cwd ();
use Exporter qw(import);
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Find qw(find);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP ();
use POSIX qw(:sys_wait_h);
use Test::More ();
use Time::HiRes qw(sleep time);

our ($top, $build);

BEGIN {
    $top = Cwd::abs_path($ENV{EPHPM_SRCDIR}
        // dirname(Cwd::abs_path(__FILE__)) . '/../../..');
    $build = Cwd::abs_path($ENV{EPHPM_BUILDDIR} // "$top/build")
        // die "EPHPM_BUILDDIR: $!\n";
    unshift @INC, "$top/t/apache/lib", "$top/t/lib";
}

use EphpmTest;
use Ports qw(free_ports);

our @EXPORT = (@EphpmTest::EXPORT, qw(curl copy_tree ini_text json_of
    together shared));

my @running;
my $owner = $$;

# ------------------------------------------------------------------
# What is there

sub nginx {
    my ($found) = grep { -x } $ENV{NGINX_PROGRAM} || (),
        map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin';
    return $found;
}

sub module {
    return $ENV{EPHPM_NGINX_MODULE} if $ENV{EPHPM_NGINX_MODULE};
    my $file;
    find({ no_chdir => 1, wanted => sub {
        $file //= $_ if /\/ngx_http_ephpm_module\.so$/ && -f;
    } }, "$build/ngx_ephpm") if -d "$build/ngx_ephpm";
    return $file;
}

# The lines that load stream, which may be a module itself, and ours for it;
# undef: nginx has none.  To be put before all others.
sub load_stream {
    my ($self) = @_;
    my $program = nginx();
    my $built = `'$program' -V 2>&1`;
    my $text = "load_module modules/ngx_stream_ephpm_module.so;\n";
    if ($built !~ /--with-stream(?!\S)/) {
        my ($folder) = $built =~ /--modules-path=(\S+)/ or return undef;
        return undef unless -e "$folder/ngx_stream_module.so";
        $text = "load_module $folder/ngx_stream_module.so;\n$text";
    }
    my $module = dirname(module()) . '/ngx_stream_ephpm_module.so';
    copy($module, "$self->{dir}/modules/") or die "$module: $!";
    return $text;
}

# Nothing can be shown without these two.
sub import_or_skip {
    my $module = module();
    Test::More::plan(skip_all => 'configured --without-nginx')
        unless defined $module && -f $module;
    Test::More::BAIL_OUT('nginx was not found: apt-get install nginx')
        unless nginx();
}

sub user {
    return undef if $> != 0;
    return defined getpwnam('www-data') ? 'www-data' : 'nobody';
}

sub group { return (getgrgid((getpwnam(user()))[3]))[0] }

# ------------------------------------------------------------------
# One server

# new(http => TEXT, server => TEXT, main => TEXT, ini => TEXT, workers => 2,
#     processes => 4, php_ini => 1, config => TEXT): the last in the place of
# all others, with %DIR%, %PORT% and %PORT2% (HTTP/2) for what they are.
sub new {
    my ($class, %o) = @_;
    import_or_skip();
    my $self = bless { workers => 2, processes => 4, %o }, $class;
    $self->{dir} = tempdir('ephpm-nginx-XXXXXX', DIR => '/var/tmp',
        CLEANUP => 1);
    chmod 0755, $self->{dir};
    mkdir "$self->{dir}/$_" for qw(conf htdocs logs modules scratch tmp);
    chmod 01777, "$self->{dir}/scratch";
    $self->{root} = "$self->{dir}/htdocs";
    $self->{log} = spew("$self->{dir}/logs/error.log", '');
    $self->{module} = "$self->{dir}/modules/ngx_http_ephpm_module.so";
    copy(module(), $self->{module}) or die module() . ": $!";
    @$self{qw(port port2)} = free_ports(2);
    $self->ini($o{ini} // '');
    $self->configure;
    $self->chosen;
    return $self;
}

# The server that get() and its siblings ask.
sub chosen {
    my ($self) = @_;
    %EphpmTest::server = (
        name => 'nginx', port => $self->{port}, pid => $self->{pid},
        documentroot => $self->{root}, t_logs => "$self->{dir}/logs",
        serverroot => $self->{dir},
    );
    $ENV{EPHPM_SCRATCH} = "$self->{dir}/scratch";
    $ENV{EPHPM_MODULE} = $self->{module};
    return $self;
}

# php.ini; what is not said is as a test needs it.
sub ini {
    my ($self, $text) = @_;
    # A compiled pattern reads in pieces of 16 bytes.
    return spew("$self->{dir}/php.ini", "log_errors = On\n"
        . (watched() ? "pcre.jit = 0\n" : '')
        . "display_errors = Off\nhtml_errors = Off\nerror_reporting = E_ALL\n"
        . "date.timezone = UTC\nopcache.file_update_protection = 0\n"
        . "session.save_path = $self->{dir}/scratch\n"
        . "upload_tmp_dir = $self->{dir}/scratch\n" . $text);
}

# configure(http => ...): changes what is given, keeps the rest.
sub configure {
    my ($self, %o) = @_;
    @$self{ keys %o } = values %o;
    my $text = $self->{config} // $self->template;
    my %put = (DIR => $self->{dir}, PORT => $self->{port},
        PORT2 => $self->{port2});
    $text =~ s/%(DIR|PORT2?)%/$put{$1}/g;
    return $self->{conf} = spew("$self->{dir}/nginx.conf", $text);
}

sub user_line { return defined user() ? "user " . user() . ' ' . group() . ";\n" : '' }

# What every configuration begins with.
sub preamble {
    my ($self) = @_;
    return "load_module modules/ngx_http_ephpm_module.so;\n" . user_line()
        . "pid nginx.pid;\nerror_log logs/error.log "
        . ($self->{level} // 'info') . ";\nworker_processes $self->{workers};\n"
        . "events { worker_connections 512; }\n" . watched_settings()
        . ($self->{main} // '');
}

# Is its memory being watched, by t/nginx/checked?
sub watched { return defined $ENV{EPHPM_NGINX_WRAPPER} }
sub wrapper { return split ' ', $ENV{EPHPM_NGINX_WRAPPER} // '' }

# valgrind sees PHP's memory, and names, only so; what an error that ends a
# request leaves behind is freed at the request's end.  A binary upgrade's new
# master is to be watched too.
sub watched_settings {
    return '' unless watched();
    return join '', map { "env $_;\n" } qw(USE_ZEND_ALLOC=0
        USE_TRACKED_ALLOC=1 ZEND_DONT_UNLOAD_MODULES=1),
        grep { index($ENV{EPHPM_NGINX_WRAPPER}, "$_=") >= 0 }
        qw(LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS);
}

# Where nginx keeps its files: nothing outside of the folder.
sub paths {
    return join '', "access_log off;\nephpm_temp_path tmp/ephpm;\n",
        map { "${_}_temp_path tmp/$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi);
}

# PHP takes long to start while it is being watched.
sub patience {
    my ($http) = @_;
    return watched() && $http !~ /ephpm_queue_timeout/
        ? "ephpm_queue_timeout 600s;\n" : '';
}

sub template {
    my ($self) = @_;
    return $self->preamble . "http {\n" . paths()
        . "types { text/html html shtml; text/plain txt; text/css css; }\n"
        . "default_type application/octet-stream;\n"
        . (($self->{php_ini} // 1) ? "ephpm_php_ini %DIR%/php.ini;\n" : '')
        . ($self->{processes} ? "ephpm_processes $self->{processes};\n" : '')
        . patience($self->{http} // '') . ($self->{http} // '')
        . "server {\nlisten 127.0.0.1:%PORT%;\n"
        . "listen 127.0.0.1:%PORT2% http2;\nserver_name localhost;\n"
        . "root %DIR%/htdocs;\n" . ($self->{server} // '')
        . ($self->{location} // "location ~ \\.php(/|\$) { ephpm on; }\n")
        . "}\n" . ($self->{servers} // '') . "}\n";
}

sub page {
    my ($self, $name, $text) = @_;
    my $file = "$self->{root}/$name";
    make_path(dirname($file));
    return spew($file, $text);
}

# ------------------------------------------------------------------
# Starting and ending

sub command {
    my ($self, @more) = @_;
    return (nginx(), '-p', "$self->{dir}/", '-c', $self->{conf},
        '-e', "$self->{dir}/logs/error.log", @more);
}

# -t: (exit status, what it said)
sub check {
    my ($self) = @_;
    my $child = open(my $said, '-|') // die "fork: $!";
    if ($child == 0) {
        open STDIN, '<', '/dev/null';
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec wrapper(), $self->command('-t'); }
        POSIX::_exit(126);
    }
    local $/;
    my $text = <$said> // '';
    close $said;
    return ($? >> 8, $text);
}

# As a daemon where $self->{daemon} says so: a binary upgrade wants one.
sub start {
    my ($self) = @_;
    my @command = (wrapper(),
        $self->command($self->{daemon} ? () : ('-g', 'daemon off;')));
    my $child = fork() // die "fork: $!";
    if ($child == 0) {
        # What hits the test's group is not for the server.
        POSIX::setpgid(0, 0);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$self->{dir}/said";
        open STDERR, '>&', \*STDOUT;
        POSIX::close($_) for 3 .. 255;
        { no warnings 'exec'; exec { $command[0] } @command; }
        POSIX::_exit(126);
    }
    push @running, $self;
    if ($self->{daemon}) {
        waitpid $child, 0;
        return 0 if $?;
        wait_until(sub { -s "$self->{dir}/nginx.pid" }) or return 0;
        $child = slurp("$self->{dir}/nginx.pid") + 0;
    }
    $self->{pid} = $self->{group} = $child;
    $self->chosen;
    my $ended = 0;
    wait_until(sub {
        $ended = waitpid($child, WNOHANG) == $child;
        return $ended || -s "$self->{dir}/nginx.pid" && IO::Socket::INET->new(
            PeerAddr => '127.0.0.1', PeerPort => $self->{port});
    });
    $self->{pid} = 0 if $ended;
    return !$ended;
}

sub said { return slurp("$_[0]{dir}/said") . $_[0]->logged }
sub logged { return slurp($_[0]{log}) }
sub offset { return -s $_[0]{log} }

# What is new in the log since an offset, once it matches or patience ends.
sub since {
    my ($self, $offset, $pattern) = @_;
    return log_since($offset, $pattern, $self->{log});
}

# Once it returns the old workers take no more connections: nginx lets them
# go on for 100 ms beside the new ones.
sub reload {
    my ($self) = @_;
    my $offset = $self->offset;
    my %old = map { $_ => 1 } $self->workers;
    kill 'HUP', $self->{pid} or return 0;
    my $new = $self->since($offset,
        qr/start worker processes|\[emerg\]/);
    return 0 if $new !~ /start worker processes/ || $new =~ /\[emerg\]/;
    return wait_until(sub { !grep { $old{$_} } $self->workers }) ? 1 : 0;
}

# As OwnServer of t/apache calls it.
sub graceful { return $_[0]->reload }

sub has_ended {
    my ($self) = @_;
    return 1 unless $self->{pid};
    my $got = waitpid($self->{pid}, WNOHANG);
    # Of an upgrade's new master we are not the parent.
    return 0 if $got != $self->{pid} && ($got != -1
        || slurp("/proc/$self->{pid}/stat") =~ /^\d+ \(.*\) [^Z]/s);
    $self->{pid} = 0;
    return 1;
}

sub ended {
    my ($self) = @_;
    return wait_until(sub { $self->has_ended });
}

# By SIGTERM nginx kills who has not ended a second later, in the middle of
# what valgrind has to say.
sub stop {
    my ($self, $signal) = @_;
    return 1 unless $self->{pid};
    if (watched() && !$signal) {
        kill 'QUIT', $self->{pid};
        for (1 .. 300) {
            return 1 if $self->has_ended;
            sleep 0.2;
        }
    }
    kill $signal // 'TERM', $self->{pid};
    return $self->ended;
}

sub quit { return $_[0]->stop('QUIT') }

# The end of each topic: the server stops, takes all its processes along and
# has nothing bad to tell.  except => a pattern of log lines that are right;
# left => 1, files => 1: there may be processes, temporary files.
sub ends_well {
    my ($self, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::ok($self->stop, 'the server stops');
    my @left = $self->processes;
    if (!$o{left}) {
        Test::More::ok(wait_until(sub { !(@left = $self->processes) }),
            '... with all its processes')
            or Test::More::diag(map { "$_->{pid} of $_->{ppid}: $_->{title}\n" }
                @left);
    }
    kill 'KILL', map { $_->{pid} } @left;
    # The number of its group may become another's.
    @running = grep { $_ != $self } @running;
    my @bad = grep { /\[(?:alert|emerg|crit)\]|exited on signal/ }
        split /\n/, $self->logged;
    @bad = grep { !/$o{except}/ } @bad if $o{except};
    @bad = grep { !/exited on signal 9$/ } @bad if watched();
    Test::More::is(join("\n", @bad), '', '... and no alert in its log');
    my @files = grep { -f } glob "$self->{dir}/tmp/*/* $self->{dir}/tmp/*/*/*";
    Test::More::is("@files", '', '... and no temporary file left')
        unless $o{files};
    return;
}

# ------------------------------------------------------------------
# Processes

# What a process calls itself.  valgrind gives a program another stack, at whose
# end its command line is, and the name alone is the kernel's.
my %stack;

sub title {
    my ($folder) = @_;
    my $title = slurp("$folder/cmdline") =~ s/\0+/ /gr;
    return $title unless watched() && $title =~ /valgrind/;
    return "$1 $2" if slurp("$folder/comm") =~ /^(ephpm)-(\w+)$/;
    open my $memory, '<:raw', "$folder/mem" or return $title;
    my @maps = $stack{$folder} // slurp("$folder/maps")
        =~ /^([0-9a-f]+-[0-9a-f]+) rw-p 0+ 00:00 0 *$/mg;
    for my $map (@maps) {
        no warnings 'portable';
        my ($begin, $end) = map { hex } split /-/, $map;
        $begin = $end - 65536 if $begin < $end - 65536;
        sysseek $memory, $begin, 0 or next;
        sysread $memory, my $text, $end - $begin or next;
        $text =~ /(nginx: (?:master|worker|cache) [\w ]+)/ or next;
        $stack{$folder} = $map;
        return $1;
    }
    return $title;
}

# { pid, ppid, title, kind } of each: master, worker, manager, spawner, runner.
sub processes {
    my ($self) = @_;
    my @found;
    for my $folder (glob '/proc/[0-9]*') {
        my ($pid, $state, $ppid, $group) = slurp("$folder/stat")
            =~ /^(\d+) \(.*\) (\S) (\d+) (\d+)/s or next;
        next if $state eq 'Z' || $pid == $$;
        $self->{group} && $group == $self->{group}
            || index(slurp("$folder/maps"), $self->{module}) >= 0 or next;
        my $title = title($folder);
        my $kind = $title =~ /ephpm runner/ ? 'runner'
            : $title =~ /ephpm spawner/ ? 'spawner'
            : $title =~ /cache manager/ ? 'manager'
            : $title =~ /worker process/ ? 'worker'
            : $title =~ /master process/ ? 'master' : 'other';
        push @found, { pid => $pid, ppid => $ppid, title => $title,
            kind => $kind };
    }
    return @found;
}

sub of_kind {
    my ($self, $kind) = @_;
    return map { $_->{pid} } grep { $_->{kind} eq $kind } $self->processes;
}

# Those that take new requests.
sub workers {
    my ($self) = @_;
    return map { $_->{pid} } grep { $_->{kind} eq 'worker'
        && $_->{title} !~ /shutting down/ } $self->processes;
}
sub runners { return $_[0]->of_kind('runner') }

# The one of each cycle that looks after the one that has started PHP.
sub spawners {
    my ($self) = @_;
    my @all = grep { $_->{kind} eq 'spawner' } $self->processes;
    my %is = map { $_->{pid} => 1 } @all;
    return map { $_->{pid} } grep { !$is{ $_->{ppid} } } @all;
}

# Memory in KiB: RssAnon, VmRSS, ...
sub memory {
    my ($self, $pid, $name) = @_;
    return slurp("/proc/$pid/status") =~ /^\Q$name\E:\s+(\d+)/m ? $1 : 0;
}

# ------------------------------------------------------------------
# Requests

# The status page's figures; needs `location = /ephpm-status`.
sub status {
    my ($self) = @_;
    my $answer = get('/ephpm-status?json', port => $self->{port});
    return eval { JSON::PP::decode_json($answer->{body}) }
        // { error => "$answer->{status} $answer->{body}" };
}

# (exit status, output)
sub curl {
    my (@arguments) = @_;
    my $child = open(my $out, '-|') // die "fork: $!";
    if ($child == 0) {
        open STDIN, '<', '/dev/null';
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec';
          exec 'curl', '-sS', '--noproxy', '*', '--max-time', '120',
            @arguments; }
        POSIX::_exit(126);
    }
    local $/;
    my $text = <$out> // '';
    close $out;
    return ($? >> 8, $text);
}

sub json_of { return JSON::PP::decode_json($_[0]{body}) }

# together(N, CODE): what CODE(0 .. N-1) returned as text, each in a process
# of its own, all let go at one moment.
sub together {
    my ($count, $code) = @_;
    pipe my $ready, my $go or die "pipe: $!";
    my @pipes;
    for my $i (0 .. $count - 1) {
        my $pid = open(my $from, '-|') // die "fork: $!";
        if ($pid == 0) {
            close $go;
            sysread $ready, my $byte, 1;
            my $text = eval { $code->($i) } // "failed: $@";
            while (length $text) {
                my $wrote = syswrite STDOUT, $text or last;
                substr $text, 0, $wrote, '';
            }
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

# ------------------------------------------------------------------
# What is shared with the suite of mod_ephpm

sub copy_tree {
    my ($from, $to) = @_;
    make_path($to);
    for my $file (glob "$from/{*,.user.ini}") {
        my $name = basename($file);
        if (-d $file) { copy_tree($file, "$to/$name") }
        elsif (-e $file) { copy($file, "$to/$name") or die "$file: $!" }
        chmod((stat $file)[2] & 0777 | 0644, "$to/$name") if -e $file;
    }
    return;
}

# php.ini of that suite.
sub ini_text {
    my ($self) = @_;
    return slurp("$top/t/apache/conf/php.ini")
        =~ s/%SCRATCH%/$self->{dir}\/scratch/gr;
}

# NAME.ini: settings of one script, some of them the administrator's.
sub script_settings {
    my $text = '';
    for my $ini (glob "$top/t/scripts/*.ini") {
        my $name = basename($ini, '.ini');
        my $settings = slurp($ini);
        $text .= "location = /scripts/$name.php {\nephpm on;\n";
        $text .= "php_admin_value $1 \"$2\";\n"
            while $settings =~ /^\s*([\w.]+)\s*=\s*(.*?)\s*$/mg;
        $text .= "}\n";
    }
    return $text;
}

# A server with the pages of that suite and the samples of conf/nginx.
sub suite {
    my ($class, %o) = @_;
    my $self = $class->new(%o);
    copy_tree("$top/t/apache/htdocs", $self->{root});
    copy_tree("$top/t/scripts", "$self->{root}/scripts");
    copy_tree("$top/conf/nginx", "$self->{dir}/sample");
    $self->ini($self->ini_text . ($o{ini} // ''));
    $self->configure(
        http => "include %DIR%/sample/ephpm.conf;\n"
            . "ephpm_kv_zone zone=second:4m eviction=noeviction;\n"
            . "client_max_body_size 16m;\n" . ($o{http} // ''),
        server => script_settings() . ($o{server} // ''),
        location => "include %DIR%/sample/site.conf;\n",
    );
    $self->start or Test::More::BAIL_OUT("nginx does not start:\n"
        . $self->said);
    return $self;
}

# Run a test of t/apache/tests against the server that was made last.
sub shared {
    my ($name) = @_;
    my $file = "$top/t/apache/tests/$name.t";
    {
        # There is more to come.
        no warnings 'redefine';
        local *Test::More::done_testing = sub { 1 };
        package main;
        my $done = do $file;
        Test::More::ok(0, "$file: " . ($@ || $!)) unless defined $done;
    }
    no warnings qw(redefine once);
    *main::done_testing = \&Test::More::done_testing;
    return;
}

END {
    my $status = $?;
    if ($$ == $owner) {
        for my $server (@running) {
            $server->stop;
            kill 'KILL', map { $_->{pid} } $server->processes;
        }
        chdir '/';
    }
    $? = $status;
}

1;
