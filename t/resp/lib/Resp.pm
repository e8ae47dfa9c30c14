package Resp;

# What the tests share: servers on sockets of their own, and a client at the
# level of bytes.

use strict;
use warnings;
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);
use lib dirname(__FILE__) . '/../../lib';
use Ports qw(free_port);

our @EXPORT = qw(serve redis connect_to request frame read_reply read_rest
    wait_until shown);

# Nothing is tighter than this: machines are slow.
use constant PATIENCE => 60;

my $tmp = tempdir('resp-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $count = 0;
my %running;

sub wait_until {
    my ($condition) = @_;
    my $end = time + PATIENCE;
    until ($condition->()) {
        return 0 if time > $end;
        sleep 0.01;
    }
    return 1;
}

# A connection, or undef.
sub reach {
    my ($server) = @_;
    return $server->{port}
        ? IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $server->{port})
        : IO::Socket::UNIX->new(Peer => $server->{socket});
}

sub start {
    my ($server, @command) = @_;
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $server->{said};
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec @command; }
        POSIX::_exit(126);
    }
    $server->{pid} = $pid;
    $running{$pid} = $server;
    my $ended = 0;
    wait_until(sub {
        $ended = waitpid($pid, WNOHANG) == $pid;
        return $ended || reach($server);
    });
    delete $running{$pid} if $ended;
    die "$command[0] did not start: ", said($server), "\n" if $ended;
    return $server;
}

sub new_server {
    my ($name) = @_;
    my $number = ++$count;
    return { pid => 0, socket => "$tmp/$number.sock", said => "$tmp/$number.said",
        name => $name };
}

# A store of ours: serve(SIZE, OPTION...)
sub serve {
    my $server = new_server('ours');
    return serve_at($server, "unix:$server->{socket}", @_);
}

# The same on a free port of 127.0.0.1.
sub serve_tcp {
    my $server = new_server('ours');
    $server->{port} = free_port();
    return serve_at($server, "127.0.0.1:$server->{port}", @_);
}

sub serve_at {
    my ($server, @arguments) = @_;
    my $program = ($ENV{EPHPM_BUILDDIR} // '.') . '/t/resp/resp_serve';
    return start($server, split(/ /, $ENV{RESP_UNDER} // ''), $program,
        @arguments);
}

# The same, which may not have more descriptors than that.
sub serve_with_files {
    my ($files, @arguments) = @_;
    local $ENV{RESP_UNDER} = join ' ', "prlimit --nofile=$files:$files --",
        $ENV{RESP_UNDER} // ();
    return serve(@arguments);
}

sub redis {
    my ($program) = grep { -x } map { "$_/redis-server" }
        split /:/, "$ENV{PATH}:/usr/bin:/usr/local/bin";
    return undef unless $program;
    my $server = new_server('redis');
    return start($server, $program, '--port', 0, '--unixsocket',
        $server->{socket}, '--save', '', '--appendonly', 'no', '--dir', $tmp,
        @_);
}

sub said {
    my ($server) = @_;
    open my $in, '<', $server->{said} or return '';
    local $/;
    return scalar(<$in>) // '';
}

# The exit status, and what it said.
sub end {
    my ($server) = @_;
    my $pid = $server->{pid};
    return unless delete $running{$pid};
    kill 'TERM', $pid;
    wait_until(sub { waitpid($pid, WNOHANG) == $pid }) or kill 'KILL', $pid;
    return ($?, said($server));
}

# At once, without a chance to tidy up.
sub kill_now {
    my ($server) = @_;
    delete $running{ $server->{pid} } or return;
    kill 'KILL', $server->{pid};
    waitpid $server->{pid}, 0;
}

END {
    my $status = $?;
    end($_) for values %running;
    $? = $status;
}

sub connect_to {
    my ($server) = @_;
    my $socket;
    wait_until(sub { $socket = reach($server) }) or die "no connection: $!";
    binmode $socket;
    ${*$socket}{buffer} = '';
    return $socket;
}

sub frame {
    return join '', '*' . @_ . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @_;
}

sub fill {
    my ($socket) = @_;
    IO::Select->new($socket)->can_read(PATIENCE)
        or die "no answer in " . PATIENCE . " s";
    my $got = sysread $socket, ${*$socket}{buffer}, 65536,
        length ${*$socket}{buffer};
    return $got;
}

sub take_line {
    my ($socket) = @_;
    my $buffer = \${*$socket}{buffer};
    until ($$buffer =~ /\r\n/) { fill($socket) or return undef }
    $$buffer =~ s/\A(.*?)\r\n//s;
    return $1;
}

# A reply: strings and numbers as "kind text", null as undef, arrays and maps
# as lists, undefined in list context at the end of the connection.
sub read_reply {
    my ($socket) = @_;
    my $line = take_line($socket);
    return ['end'] unless defined $line;
    my ($kind, $rest) = $line =~ /\A(.)(.*)\z/s or return ['bad', $line];
    if ($kind eq '$' || $kind eq '=') {
        return ['null'] if $rest == -1;
        my $buffer = \${*$socket}{buffer};
        while (length $$buffer < $rest + 2) {
            fill($socket) or return ['end'];
        }
        my $text = substr $$buffer, 0, $rest + 2, '';
        return ['bad', $text] unless $text =~ s/\r\n\z//;
        return [$kind, $text];
    }
    if ($kind eq '*' || $kind eq '%') {
        return ['null'] if $rest == -1;
        my $of = $kind eq '%' ? 2 * $rest : $rest;
        return [$kind, map { read_reply($socket) } 1 .. $of];
    }
    return ['null'] if $kind eq '_';
    return [$kind, $rest];
}

# A request, and its reply.
sub request {
    my ($socket, @words) = @_;
    send_all($socket, frame(@words));
    return read_reply($socket);
}

sub send_all {
    my ($socket, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $at = 0;
    while ($at < length $bytes) {
        my $sent = syswrite $socket, $bytes, 1 << 20, $at;
        return 0 unless $sent;
        $at += $sent;
    }
    return 1;
}

# Everything up to the end of the connection.
sub read_rest {
    my ($socket) = @_;
    1 while fill($socket);
    my $text = ${*$socket}{buffer};
    ${*$socket}{buffer} = '';
    return $text;
}

# A reply for people.
sub shown {
    my ($reply) = @_;
    return 'undef' unless defined $reply;
    return $reply =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ger
        unless ref $reply;
    my ($kind, @of) = @$reply;
    return $kind . '[' . join(', ', map { shown($_) } @of) . ']';
}

1;
