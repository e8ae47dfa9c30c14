package Watch;

# What processes are doing that seem to do nothing; Linux's /proc tells.

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(family doing same);

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or return '';
    local $/;
    return scalar(<$in>) // '';
}

# facts(PID) -> (state, parent, ...), as in /proc/PID/stat from its third field
# on, or nothing.
sub facts {
    my ($pid) = @_;
    my ($rest) = slurp("/proc/$pid/stat") =~ /^\d+ \(.*\) (.*)/s or return;
    return split ' ', $rest;
}

use constant {
    STATE   => 0,
    PARENT  => 1,
    USER    => 11,
    SYSTEM  => 12,
    STARTED => 19,
};

# family(PID, MARK, FILE) -> PID => START, ...: a process, those that it has
# started, and, for some leave their parents, who has MARK, "NAME=VALUE", in
# its environment or FILE, as readlink() has it, open.  Each may be undef.
sub family {
    my ($root, $mark, $file) = @_;
    my (%parent, %started);
    for my $pid (map { m{(\d+)$} } glob '/proc/[0-9]*') {
        my @facts = facts($pid);
        next unless @facts && $facts[STATE] ne 'Z';
        $parent{$pid} = $facts[PARENT];
        $started{$pid} = $facts[STARTED];
    }
    my %in = defined $root ? ($root => 1) : ();
    for my $pid (keys %parent) {
        my $environment = defined $mark ? "\0" . slurp("/proc/$pid/environ") : '';
        $in{$pid} = 1 if defined $mark
            && index($environment, "\0$mark\0") >= 0;
        $in{$pid} = 1 if defined $file
            && grep { (readlink // '') eq $file } glob "/proc/$pid/fd/*";
    }
    my $more = 1;
    while ($more) {
        $more = 0;
        for my $pid (grep { !$in{$_} && $in{ $parent{$_} } } keys %parent) {
            $in{$pid} = $more = 1;
        }
    }
    # Nobody above who asks, whatever has been found.
    for (my $pid = $$; $pid && $parent{$pid}; $pid = $parent{$pid}) {
        delete $in{$pid};
    }
    return map { defined $started{$_} ? ($_ => $started{$_}) : () } keys %in;
}

# same(PID, START): is it still that process, and alive?
sub same {
    my ($pid, $started) = @_;
    my @facts = facts($pid);
    return @facts && $facts[STATE] ne 'Z' && $facts[STARTED] == $started;
}

# doing(PID...) -> a few lines for each, in the order of their numbers: who it
# is, and where it waits.
sub doing {
    my @lines;
    for my $pid (sort { $a <=> $b } @_) {
        my @facts = facts($pid) or next;
        # A line of it could be taken for a test's.
        my $command = slurp("/proc/$pid/cmdline") =~ tr/\0-\x1f\x7f/ /r;
        push @lines, sprintf '%d, child of %d, %s, %s ticks in programs, '
            . '%s in the kernel: %.200s', $pid,
            @facts[ PARENT, STATE, USER, SYSTEM ], $command;
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
