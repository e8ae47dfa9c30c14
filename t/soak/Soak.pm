package Soak;

# A client of the soak: what it asks, what can become of a request, and how
# what has become of those for PHP is held against those for a file.

use strict;
use warnings;
use Exporter qw(import);
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(clock_gettime sleep time CLOCK_MONOTONIC);

our @EXPORT_OK = qw(ask page_is_right file_is_right filler client now unfair
    amid_none not_httpds creeps @KINDS KEYS);

# Values that a client keeps in the store: KEYS of page.php.
use constant KEYS => 64;
# No answer for so many seconds is none.
our $patience = 60;

# What can become of a request, other than its answer.  `stale`: a kept
# connection that is closed before a byte of the answer; with the others until
# there the connection was new.
our @KINDS = qw(refused closed reset stale truncated silent status body);

# What httpd never does, restarts or not: whatever it is that asks for it.  It
# takes a connection only to serve a request, and connections that nobody has
# taken yet wait in a socket that the parent keeps.  A kept connection is
# another matter: a child that is told to go between the moment at which it
# promises to keep it and the one at which it looks what it has been told closes
# it, and the next request is for nobody.
our @STRICT = grep { $_ ne 'stale' } @KINDS;

# The same clock in all processes.
sub now { return clock_gettime(CLOCK_MONOTONIC) }

sub filler {
    my ($number) = @_;
    return chr(97 + $number % 26) x ($number % 16 == 0 ? 40000 : 300) . "\n";
}

# More from the connection, at the end of $$buffer: 'more', 'end', 'reset' or
# 'silent'.
sub more {
    my ($socket, $buffer) = @_;
    IO::Select->new($socket)->can_read($patience) or return 'silent';
    my $got = sysread $socket, $$buffer, 65536, length $$buffer;
    return defined $got ? $got ? 'more' : 'end' : 'reset';
}

# The body's length by its header, or -1: chunks; or undef.
sub length_of {
    my ($head) = @_;
    return -1 if $head =~ /^Transfer-Encoding: *chunked\r?$/mi;
    return $head =~ /^Content-Length: *(\d+)\r?$/mi ? $1 : undef;
}

# What a complete body has at the front of $$buffer, taken out; or undef: more
# has to come.
sub take_body {
    my ($buffer, $length) = @_;
    if ($length >= 0) {
        return undef if length $$buffer < $length;
        return substr $$buffer, 0, $length, '';
    }
    my ($at, $body) = (0, '');
    while (1) {
        pos($$buffer) = $at;
        $$buffer =~ /\G([0-9a-fA-F]+)[^\n]*\r\n/gc or return undef;
        my $size = hex $1;
        $at = pos($$buffer) + $size + 2;
        return undef if length $$buffer < $at;
        $body .= substr $$buffer, $at - $size - 2, $size;
        last if $size == 0;
    }
    substr $$buffer, 0, $at, '';
    return $body;
}

# ask(CONNECTION, PORT, PATH, KEEP) -> what became of it ('answered' or one of
# KINDS, of which 'body' is for the caller to find), what it was, the body.
# CONNECTION is a hash, empty at first; a connection that is kept is in it
# when this returns.
sub ask {
    my ($connection, $port, $path, $keep) = @_;
    my $kept = defined $connection->{socket};
    my $end = sub { %$connection = (); return @_ };

    if (!$kept) {
        $connection->{opened} = now();
        $connection->{socket} = IO::Socket::INET->new(
            PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => $patience)
            or return $end->('refused', "$!");
    }
    my $socket = $connection->{socket};
    local $SIG{PIPE} = 'IGNORE';
    # It fails where the server has closed: reading says how.
    syswrite $socket, "GET $path HTTP/1.1\r\nHost: localhost\r\n"
        . ($keep ? '' : "Connection: close\r\n") . "\r\n";
    my ($buffer, $head, $length, $body) = ('');
    until (defined $body) {
        my $how = more($socket, \$buffer);
        if ($how eq 'more') {
            if (!defined $head) {
                $buffer =~ s/\A(.*?\r\n)\r\n//s or next;
                $head = $1;
                $length = length_of($head);
                defined $length
                    or return $end->('truncated', 'an answer without a length');
            }
            $body = take_body(\$buffer, $length);
            next;
        }
        return $end->('silent', 'after ' . length($buffer) . ' bytes')
            if $how eq 'silent';
        return $end->('truncated', "$how after " . length($buffer)
            . ' bytes of the ' . (defined $head ? 'body' : 'head'))
            if defined $head || $buffer ne '';
        return $end->($kept ? 'stale' : $how eq 'end' ? 'closed' : 'reset',
            $how);
    }
    %$connection = () if !$keep || $head =~ /^Connection: *close\r?$/mi;
    my ($status) = $head =~ m{\AHTTP/1\.1 (\d+)};
    return $end->('status', $head =~ s/\r\n.*//sr) if ($status // 0) != 200;
    return $end->('body', 'more than its length') if $buffer ne '';
    return ('answered', '', $body);
}

# --- what the answers have to be

# A client's counts come one after the other, but for requests whose answer
# was lost, each of which may have been counted or not; the count of all goes
# up.  STATE is a hash, empty at first.  Returns what is wrong, or ''.
sub page_is_right {
    my ($body, $client, $number, $lost, $state) = @_;
    my ($all, $own, $store) = $body
        =~ /\Aclient $client number $number all (\d+) own (\d+) (\w+)\n/
        or return 'another page: ' . substr $body, 0, 100;
    substr($body, index($body, "\n") + 1) eq filler($number)
        or return 'its text';
    $store eq 'right' or return 'the script found another value in the store';
    my ($last, $before) = ($state->{own} // 0, $state->{lost} // 0);
    @$state{qw(own lost)} = ($own, $lost);
    return "its own count, $own after $last"
        if $own <= $last || $own > $last + 1 + $lost - $before;
    $last = $state->{all} // 0;
    $state->{all} = $all;
    return $all > $last ? '' : "the count of all, $all after $last";
}

sub file_is_right {
    my ($body, $number) = @_;
    return $body eq filler($number % 16 == 0 ? 0 : 5) ? '' : 'its text';
}

# client(PORT, CLIENT, REQUESTS, SECONDS, PROGRESS) -> what became of its
# requests, REQUESTS for PHP and as many for a file, spread over SECONDS.  Now
# it asks four times for the one, each on a new connection, and four times on
# one that is kept; then the same for the other.
#
# Answers are looked at afterwards: a client that took longer for those of PHP
# would leave the server more time to close a connection before the next one.
sub client {
    my ($port, $client, $requests, $seconds, $progress) = @_;
    my %result = map { $_ => { asked => 0, answered => 0,
        map { $_ => 0 } @KINDS } } qw(php file);
    my ($start, %connection, %state, @faults, @stale) = (time);
    my $failed = sub {
        my ($what, $number, $became, $said) = @_;
        $result{$what}{$became}++;
        push @faults, "$what $number of client $client: $became, $said"
            if @faults < 10;
    };

    for my $block (0 .. int(($requests - 1) / 8)) {
        for my $what ($block % 2 ? qw(file php) : qw(php file)) {
            my $of = $result{$what};
            my $lost = $of->{asked} - $of->{answered};
            my @answers;
            for my $turn (0 .. 7) {
                my $number = $block * 8 + $turn;
                last if $number == $requests;
                my $wait = $start - time
                    + $seconds * ($of->{asked} + 1) / $requests;
                sleep $wait if $wait > 0;
                my $name = $what eq 'php' ? 'page.php'
                    : $number % 16 == 0 ? 'large.txt' : 'small.txt';
                my $opened = $connection{opened};
                my ($became, $said, $body) = ask(\%connection, $port,
                    "/$name?client=$client&number=$number",
                    $turn >= 4 && $turn < 7);
                $of->{asked}++;
                if ($became eq 'answered') {
                    push @answers, [ $number, $lost, $body ];
                } else {
                    $lost++;
                    $failed->($what, $number, $became, $said);
                    push @stale, [ "$what $number of client $client", $opened,
                        now() ] if $became eq 'stale';
                }
            }
            %connection = ();
            for my $answer (@answers) {
                my ($number, $lost, $body) = @$answer;
                my $wrong = $what eq 'php'
                    ? page_is_right($body, $client, $number, $lost, \%state)
                    : file_is_right($body, $number);
                if ($wrong eq '') { $of->{answered}++ }
                else { $failed->($what, $number, 'body', $wrong) }
            }
        }
        $progress->($result{php}{asked});
    }
    return { %result, faults => \@faults, stale => \@stale };
}

# --- the judgement

# The probability of `hits` or more of `total`, each with probability `p`.
sub at_least {
    my ($hits, $total, $p) = @_;
    my ($sum, $term) = (0, 0);          # the logarithm of C(total, i)
    for my $i (0 .. $total) {
        $sum += exp($term + $i * log($p) + ($total - $i) * log(1 - $p))
            if $i >= $hits;
        $term += log(($total - $i) / ($i + 1)) if $i < $total;
    }
    return $sum;
}

# Kept connections that httpd closes befall both kinds: the clients ask for
# both equally often, on the same kinds of connections.  But who uses more of
# the processor is made to wait more often, and also between promise and look:
# pages of mod_php have been seen to fail twice as often as a file, and a file
# that mod_deflate makes smaller sixteen times as often.  So if of all that
# failed three quarters were PHP's, that would be fair; unfair is what would
# then not happen once in 10,000 runs: 33 and none, 54 and 3, 138 and 20.
sub unfair {
    my ($php, $file) = @_;
    return $php > 0 && at_least($php, $php + $file, 0.75) < 1e-4;
}

# amid_none(STALE, RESTARTS) -> those of the connections in STALE, each [NAME,
# OPENED, FAILED], in whose life was none of RESTARTS, each [BEGUN, DONE]: that
# is not httpd's doing.
sub amid_none {
    my ($stale, $restarts) = @_;
    return map { $_->[0] } grep {
        my ($name, $opened, $failed) = @$_;
        !grep { $_->[0] <= $failed && $_->[1] >= $opened } @$restarts;
    } @$stale;
}

# not_httpds(TALLY) -> the kinds of failures in it that httpd never has.
sub not_httpds {
    my ($tally) = @_;
    return map { "$_ $tally->{$_}" } grep { $tally->{$_} } @STRICT;
}

# Memory that is lost again and again grows again and again, if only by a page
# at a time; what finds its place, or another one, has done so after a while,
# but for a step now and then.  creeps(FIGURE...): whether more than a quarter
# of the steps in the later half go up.
sub creeps {
    my (@figures) = @_;
    my @late = @figures[@figures / 2 .. $#figures];
    my $up = grep { $late[$_] > $late[$_ - 1] } 1 .. $#late;
    return $up * 4 > $#late;
}

1;
