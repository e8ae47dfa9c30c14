package LoadClient;

# Many clients in one process: each connection asks again as soon as it has
# its answer, or reads as slowly as it is told to.
#
# A kept connection may be closed by a server that reloads, between two
# answers.  Who asks just then gets nothing, as from any server, and asks
# again on a new connection, as browsers do: that is `stale`, and no failure.

use strict;
use warnings;

use Errno qw(EAGAIN EINPROGRESS EINTR EWOULDBLOCK);
use Exporter qw(import);
use IO::Poll qw(POLLIN POLLOUT POLLHUP POLLERR);
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF SOCK_STREAM PF_INET pack_sockaddr_in
    inet_aton);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(load in_background slow_readers);

use constant PATIENCE => $ENV{EPHPM_PATIENCE} || 60;

sub connection {
    my ($port, $receive_bytes) = @_;
    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
    bless $socket, 'IO::Socket::INET';
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack('i', $receive_bytes)
        if $receive_bytes;
    connect $socket, pack_sockaddr_in($port, inet_aton('127.0.0.1'))
        or return undef;
    $socket->blocking(0);
    return $socket;
}

# A whole answer at the beginning of $$text, taken out of it; or undef.
sub answer {
    my ($text) = @_;
    my $end = index $$text, "\r\n\r\n";
    return undef if $end < 0;
    my $head = substr $$text, 0, $end + 2;
    my ($status) = $head =~ m{^HTTP/1\.[01] (\d+)} or return { status => 0,
        body => substr $$text, 0, 200 };
    my $at = $end + 4;
    my $body = '';
    if ($head =~ /^Transfer-Encoding: chunked\r$/im) {
        while (1) {
            pos($$text) = $at;
            $$text =~ /\G([0-9a-fA-F]+)[^\r]*\r\n/gc or return undef;
            my $size = hex $1;
            $at = pos $$text;
            return undef if length($$text) < $at + $size + 2;
            $body .= substr $$text, $at, $size;
            $at += $size + 2;
            last unless $size;
        }
    }
    elsif ($head =~ /^Content-Length: (\d+)\r$/im) {
        return undef if length($$text) < $at + $1;
        $body = substr $$text, $at, $1;
        $at += $1;
    }
    elsif ($status !~ /^(?:1..|204|304)$/) {
        return { status => 0, body => "an answer without a length: $head" };
    }
    substr($$text, 0, $at) = '';
    return { status => $status, body => $body, head => $head,
        closes => scalar $head =~ /^Connection: close\r$/im };
}

# load(port => , path => TEXT or CODE(number), connections => 1,
#      requests => how many in all, until => CODE that tells when to stop,
#      head => further lines of the request's head,
#      request => CODE(number): all of a request, in the place of path and head,
#      each => CODE(answer): takes the answers, which are not kept then)
#
# -> { answers => [ { status, body, head, seconds, number } ],
#      broken => [ what happened to a request ], stale => how many,
#      connects => how many }
sub load {
    my (%o) = @_;
    my %result = (answers => [], broken => [], stale => 0, connects => 0);
    my $path = ref $o{path} ? $o{path} : sub { $o{path} };
    my $asked = 0;
    my $last = time;
    my $poll = IO::Poll->new;
    my (%clients, @again);

    # The next request's number, or undef: there is none.
    my $next = sub {
        return shift @again if @again;
        return undef if defined $o{requests} && $asked >= $o{requests}
            || $o{until} && $o{until}->();
        return $asked++;
    };
    # What cannot be written any more will be read.
    my $send = sub {
        my ($client) = @_;
        local $SIG{PIPE} = 'IGNORE';
        my $wrote = syswrite $client->{socket}, $client->{out};
        if (defined $wrote) { substr $client->{out}, 0, $wrote, '' }
        elsif (!$!{EAGAIN} && !$!{EINTR}) { $client->{out} = '' }
        $poll->mask($client->{socket} =>
            $client->{out} eq '' ? POLLIN : POLLIN | POLLOUT);
    };
    my $ask;
    my $open = sub {
        my ($number) = @_;
        my $socket = connection($o{port});
        if (!$socket) {
            push @{ $result{broken} }, "request $number: connect: $!";
            sleep 0.01;
            return;
        }
        $result{connects}++;
        $clients{ fileno $socket } = { socket => $socket, text => '',
            answers => 0 };
        $ask->($clients{ fileno $socket }, $number);
    };
    $ask = sub {
        my ($client, $number) = @_;
        my $head = $o{head} // '';
        @$client{qw(number since text)} = ($number, time, '');
        $client->{out} = $o{request} ? $o{request}->($number)
            : 'GET ' . $path->($number)
            . " HTTP/1.1\r\nHost: localhost\r\n$head\r\n";
        $send->($client);
    };
    my $drop = sub {
        my ($client) = @_;
        $poll->remove($client->{socket});
        delete $clients{ fileno $client->{socket} };
        close $client->{socket};
    };

    while (1) {
        while (keys %clients < ($o{connections} // 1)) {
            my $number = $next->();
            last unless defined $number;
            $open->($number);
        }
        last unless keys %clients;
        $poll->poll(1);
        if (time - $last > PATIENCE) {
            push @{ $result{broken} }, map {
                "request $_->{number}: nothing for " . PATIENCE . ' s' }
                values %clients;
            last;
        }
        for my $client (values %clients) {
            $poll->events($client->{socket}) or next;
            $send->($client) if $client->{out} ne '';
            my $got = sysread $client->{socket}, $client->{text}, 1 << 16,
                length $client->{text};
            next if !defined $got && ($!{EAGAIN} || $!{EINTR});
            $last = time;
            if (!$got) {
                my $reason = defined $got ? 'closed' : "$!";
                if ($client->{answers} && $client->{text} eq '') {
                    $result{stale}++;
                    push @again, $client->{number};
                } else {
                    push @{ $result{broken} }, "request $client->{number}: "
                        . "$reason after " . length($client->{text})
                        . ' bytes';
                }
                $drop->($client);
                next;
            }
            my $answer = answer(\$client->{text}) or next;
            $answer->{number} = $client->{number};
            $answer->{seconds} = time - $client->{since};
            if ($o{each}) { $o{each}->($answer) }
            else { push @{ $result{answers} }, $answer }
            $client->{answers}++;
            my $number = $answer->{closes} || $answer->{status} == 0 ? undef
                : $next->();
            if (defined $number) { $ask->($client, $number) }
            else { $drop->($client) }
        }
    }
    $drop->($_) for values %clients;
    return \%result;
}

# in_background(CODE) -> CODE that waits for what the first has returned; it
# runs in a process of its own.
sub in_background {
    my ($code) = @_;
    require Storable;
    my $pid = open(my $from, '-|') // die "fork: $!";
    if ($pid == 0) {
        binmode STDOUT;
        my $result = eval { $code->() } // { failed => $@ };
        Storable::store_fd($result, \*STDOUT);
        close STDOUT;
        require POSIX;
        POSIX::_exit(0);
    }
    binmode $from;
    return sub {
        my $result = eval { Storable::fd_retrieve($from) }
            // { failed => "no result: $@" };
        close $from;
        die "in the background: $result->{failed}" if ref $result eq 'HASH'
            && defined $result->{failed};
        return $result;
    };
}

# slow_readers(port => , path => , clients => , rate => bytes a second each,
#              meanwhile => CODE, called about once a second)
#
# -> [ bodies, whole or as far as they came ]
sub slow_readers {
    my (%o) = @_;
    my @clients;
    for (1 .. $o{clients}) {
        my $socket = connection($o{port}, 16384) or die "connect: $!";
        syswrite $socket, "GET $o{path} HTTP/1.1\r\nHost: localhost\r\n"
            . "Connection: close\r\n\r\n";
        push @clients, { socket => $socket, text => '', open => 1 };
    }
    my $began = time;
    my $called = $began;
    my $last = $began;
    while (grep { $_->{open} } @clients) {
        my $behind = 0;
        for my $client (grep { $_->{open} } @clients) {
            my $due = (time - $began) * $o{rate} - length $client->{text};
            next if $due < 1;
            $behind ||= $due > 16384;
            my $got = sysread $client->{socket}, $client->{text}, $due,
                length $client->{text};
            next if !defined $got && ($!{EAGAIN} || $!{EINTR});
            $last = time;
            $client->{open} = 0 if !$got;
        }
        last if time - $last > PATIENCE;
        if ($o{meanwhile} && time - $called >= 1) {
            $o{meanwhile}->();
            $called = time;
        }
        sleep($behind ? 0.001 : 0.02);
    }
    my @bodies;
    for my $client (@clients) {
        close $client->{socket};
        my $answer = answer(\$client->{text});
        push @bodies, $answer ? $answer->{body}
            : $client->{text} =~ s/\A.*?\r\n\r\n//sr;
    }
    return \@bodies;
}

1;
