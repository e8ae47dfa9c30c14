package OwnServer;

# A server with a configuration of its own, for what the suite's one cannot
# show: other configurations, a change of them, a full stop.

use strict;
use warnings;
use EphpmTest qw(children request slurp spew threaded wait_until);
use File::Temp qw(tempdir);
use POSIX qw(:sys_wait_h);
use Ports qw(free_port);

my $modules = $ENV{HTTPD_MODULES_DIR};
my @running;

# new(config => TEXT, mpm => , module => 0) makes the files; start() starts.
# Unless it is told otherwise it has the suite's MPM.
sub new {
    my ($class, %o) = @_;
    my $self = bless { %o }, $class;
    $self->{dir} = tempdir('server-XXXXXX', DIR => $ENV{EPHPM_SCRATCH},
        CLEANUP => 1);
    chmod 0755, $self->{dir};
    mkdir "$self->{dir}/htdocs";
    $self->{log} = spew("$self->{dir}/error_log", '');
    $self->{port} = free_port();
    $self->configure($o{config});
    return $self;
}

sub load { return "LoadModule $_[0]_module $modules/mod_$_[0].so\n" }

# Written for prefork: how many children is there how many requests at a time.
sub for_threads {
    my ($config) = @_;
    $config = "EphpmProcesses 1\n$config"
        if $config =~ /^\s*MaxSpareServers 1$/m;
    $config =~ s/^\s*(?:Min|Max)SpareServers .*\n//mg;
    $config =~ s/^(\s*)StartServers .*\n/$1StartServers 1\n/mg;
    $config = "ThreadsPerChild 2\n$config"
        unless $config =~ /^\s*ThreadsPerChild/m;
    $config = "MaxRequestWorkers 12\n$config"
        unless $config =~ /^\s*MaxRequestWorkers/m;
    return $config;
}

sub configure {
    my ($self, $config) = @_;
    my $mpm = $self->{mpm} // $ENV{EPHPM_MPM} // 'prefork';
    $config = for_threads($config // '') if $mpm ne 'prefork';
    $self->{conf} = spew("$self->{dir}/httpd.conf",
        "ServerRoot $self->{dir}\n"
        . "ServerName localhost\n"
        . "Listen 127.0.0.1:$self->{port}\n"
        . "PidFile httpd.pid\n"
        . "DefaultRuntimeDir $self->{dir}\n"
        . "ErrorLog error_log\n"
        . 'LogLevel warn' . (($self->{module} // 1) ? ' ephpm:info' : '') . "\n"
        . "DocumentRoot $self->{dir}/htdocs\n"
        . ($self->{head} // '')
        . load("mpm_$mpm") . load('authz_core')
        . load('authz_host') . load('dir')
        . (($self->{module} // 1)
            ? "LoadModule ephpm_module $ENV{EPHPM_MODULE}\n" : '')
        . ($config // ''));
}

sub page {
    my ($self, $name, $text) = @_;
    return spew("$self->{dir}/htdocs/$name", $text);
}

# -t: ("exit status", "what it said")
sub check {
    my ($self, %environment) = @_;
    local @ENV{ keys %environment } = values %environment;
    my $said = `$ENV{HTTPD} -t -f '$self->{conf}' 2>&1 < /dev/null`;
    return ($? >> 8, $said);
}

sub start {
    my ($self) = @_;
    my $child = fork() // die "fork: $!";
    if ($child == 0) {
        # httpd ends its whole process group when it ends.
        POSIX::setpgid(0, 0);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$self->{dir}/said";
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec $ENV{HTTPD}, '-f', $self->{conf},
            '-DFOREGROUND'; }
        POSIX::_exit(126);
    }
    $self->{pid} = $child;
    push @running, $self;
    my $ended = 0;
    my $before = $self->cycles;
    # It listens before it can serve.
    wait_until(sub {
        $ended = waitpid($child, WNOHANG) == $child;
        return $ended || $self->cycles > $before;
    });
    $self->{pid} = 0 if $ended;
    return !$ended;
}

sub said { return slurp("$_[0]{dir}/said") }
sub logged { return slurp($_[0]{log}) }

# How often it has read its configuration and gone to work.
sub cycles {
    my ($self) = @_;
    my $cycles = () = $self->logged =~ /resuming normal operations/g;
    return $cycles;
}

# Children of before may accept a connection yet when the parent has gone back
# to work; those that have nothing to do are gone soon.
sub graceful {
    my ($self) = @_;
    my $before = $self->cycles;
    my @old = threaded() ? children($self->{pid}) : ();
    kill 'USR1', $self->{pid};
    my $done = wait_until(sub { $self->cycles > $before });
    for (1 .. 100) {
        last if !grep { kill 0, $_ } @old;
        select undef, undef, undef, 0.02;
    }
    return $done;
}

sub get {
    my ($self, $path, %r) = @_;
    return request(path => $path, port => $self->{port}, %r);
}

sub stop {
    my ($self) = @_;
    return 1 unless $self->{pid};
    kill 'TERM', $self->{pid};
    my $ended = wait_until(
        sub { waitpid($self->{pid}, WNOHANG) == $self->{pid} });
    $self->{pid} = 0 if $ended;
    return $ended;
}

my $owner = $$;
END {
    my $status = $?;
    # Not a client that was forked.
    if ($$ == $owner) { $_->stop for @running }
    $? = $status;
}

1;
