package Cli;

# Runs the ephpm command, and servers it has become.

use strict;
use warnings;
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use IO::Socket::INET;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);
use lib dirname(__FILE__) . '/../lib';
use Ports qw(free_port);

our @EXPORT_OK = qw(ephpm run spew slurp scratch free_port start stop get
    wait_until);

my $build = $ENV{EPHPM_BUILDDIR} // '.';
my @started;

sub ephpm { return "$build/cli/ephpm" }

sub spew {
    my ($file, $text) = @_;
    open my $out, '>', $file or die "$file: $!";
    print $out $text;
    close $out or die "$file: $!";
    return $file;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or return '';
    local $/;
    return scalar(<$in>) // '';
}

# A folder that the user of the scripts can read too.
sub scratch {
    my $folder = tempdir('ephpm-cli-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $folder;
    return $folder;
}

# run(LIST) -> exit code, stdout, stderr
sub run {
    my (@command) = @_;
    my $tmp = scratch();
    my $child = fork() // die "fork: $!";
    if ($child == 0) {
        open STDIN,  '<', '/dev/null'  or POSIX::_exit(125);
        open STDOUT, '>', "$tmp/out" or POSIX::_exit(125);
        open STDERR, '>', "$tmp/err" or POSIX::_exit(125);
        { no warnings 'exec'; exec { $command[0] } @command; }
        POSIX::_exit(126);
    }
    waitpid $child, 0;
    return ($? >> 8, slurp("$tmp/out"), slurp("$tmp/err"));
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

# start(LOG, PORT, LIST) -> process id, once it listens; undef if it ends.
# LOG is a file's name, or a handle.
sub start {
    my ($log, $port, @command) = @_;
    my $child = fork() // die "fork: $!";
    if ($child == 0) {
        open STDIN,  '<', '/dev/null' or POSIX::_exit(125);
        open STDOUT, ref $log ? '>&' : '>', $log or POSIX::_exit(125);
        open STDERR, '>&', \*STDOUT   or POSIX::_exit(125);
        { no warnings 'exec'; exec { $command[0] } @command; }
        POSIX::_exit(126);
    }
    push @started, $child;
    my $ended = 0;
    wait_until(60, sub {
        return 1 if $ended = waitpid($child, WNOHANG) == $child;
        return defined IO::Socket::INET->new("127.0.0.1:$port");
    });
    if ($ended) {
        @started = grep { $_ != $child } @started;
        return undef;
    }
    return $child;
}

# stop(PID, SIGNAL) -> whether it ended
sub stop {
    my ($child, $signal) = @_;
    kill $signal, $child;
    my $ended = wait_until(60,
        sub { waitpid($child, WNOHANG) == $child });
    @started = grep { $_ != $child } @started if $ended;
    return $ended;
}

sub get {
    my ($port, $path) = @_;
    return HTTP::Tiny->new(timeout => 60, max_redirect => 0)
        ->get("http://127.0.0.1:$port$path");
}

END {
    my $status = $?;
    for my $child (@started) {
        kill 'TERM', $child;
        waitpid $child, 0;
    }
    $? = $status;
}

1;
