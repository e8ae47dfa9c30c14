package Watch;

# What processes are doing that seem to do nothing; Linux's /proc tells.

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(family doing);

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or return '';
    local $/;
    return scalar(<$in>) // '';
}

# PID => [PARENT, STATE] of all that run.
sub processes {
    my %all;
    for my $file (glob '/proc/[0-9]*/stat') {
        my ($pid, $state, $parent) =
            slurp($file) =~ /^(\d+) \(.*\) (\S) (\d+)/s or next;
        $all{$pid} = [ $parent, $state ];
    }
    return %all;
}

# family(PID, MARK) -> a process, those that it has started, and whoever has
# MARK, "NAME=VALUE", in its environment, for some leave their parents.  Either
# may be undef.
sub family {
    my ($root, $mark) = @_;
    my %all = processes();
    my %in = defined $root ? ($root => 1) : ();
    for my $pid (keys %all) {
        last unless defined $mark;
        my $environment = "\0" . slurp("/proc/$pid/environ");
        $in{$pid} = 1 if index($environment, "\0$mark\0") >= 0;
    }
    my $more = 1;
    while ($more) {
        $more = 0;
        for my $pid (grep { !$in{$_} && $in{ $all{$_}[0] } } keys %all) {
            $in{$pid} = $more = 1;
        }
    }
    # Nobody above who asks, whatever has been found.
    for (my $pid = $$; $pid && $all{$pid}; $pid = $all{$pid}[0]) {
        delete $in{$pid};
    }
    return sort { $a <=> $b } grep { $all{$_} } keys %in;
}

# doing(PID...) -> a few lines for each: who it is, and where it waits.
sub doing {
    my %all = processes();
    my @lines;
    for my $pid (@_) {
        my ($parent, $state) = @{ $all{$pid} // next };
        my $command = slurp("/proc/$pid/cmdline") =~ tr/\0/ /r;
        my ($user, $system) = (split ' ',
            slurp("/proc/$pid/stat") =~ s/^.*\) //sr)[11, 12];
        push @lines, sprintf '%d, child of %d, %s, %s ticks in programs, '
            . '%s in the kernel: %.200s', $pid, $parent, $state, $user // '?',
            $system // '?', $command;
        for my $task (glob "/proc/$pid/task/*") {
            my ($thread) = $task =~ /(\d+)$/;
            my $syscall = slurp("$task/syscall") =~ s/\s+\z//r;
            my @stack = map { /\] (\S+?)(?:\+|$)/ ? $1 : () }
                split /\n/, slurp("$task/stack");
            push @lines, "    thread $thread: "
                . (slurp("$task/wchan") || '-') . ", system call $syscall"
                . (@stack ? ", @stack" : '');
        }
        # Whom it waits for, when it is a socket or a pipe.
        my @open = map { my $to = readlink; defined $to
            && $to =~ /^(?:socket|pipe):/ ? s{.*/}{}r . "=$to" : () }
            glob "/proc/$pid/fd/*";
        push @lines, "    open: @open" if @open;
    }
    return @lines;
}

1;
