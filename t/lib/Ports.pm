package Ports;

# Ports on 127.0.0.1 for servers of a test's own.
#
# Not of those that the kernel gives to clients: while a server is down, one
# that a client has had within the last minute cannot be listened to.

use strict;
use warnings;
use Exporter qw(import);
use IO::Socket::INET;

our @EXPORT_OK = qw(free_port free_ports);

# Below these only a privileged process, or a service of the machine's.
use constant LOWEST => 10_000;
# Browsers refuse it.
use constant REFUSED => 10_080;

# @return the lowest and the highest port, with the widest gap beside those
# for clients
sub range {
    my ($low, $high) = (32_768, 60_999);
    if (open my $in, '<', '/proc/sys/net/ipv4/ip_local_port_range') {
        ($low, $high) = <$in> =~ /(\d+)\s+(\d+)/;
    }
    return (LOWEST, $low - 1) if $low - LOWEST > 65_535 - $high;
    return ($high + 1, 65_535) if 65_535 - $high > 1000;
    return (LOWEST, 65_535);
}

# free_ports(COUNT): different ones that nobody listens to.
sub free_ports {
    my ($count) = @_;
    my ($low, $high) = range();
    my %free;
    for (1 .. 1000) {
        my $port = $low + int rand($high - $low + 1);
        next if $port == REFUSED || $free{$port};
        my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Listen => 1, ReuseAddr => 1) or next;
        close $probe;
        $free{$port} = 1;
        return keys %free if keys %free == $count;
    }
    die "no free port from $low to $high: $!";
}

sub free_port { return (free_ports(1))[0] }

1;
