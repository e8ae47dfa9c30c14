package EphpmTest;

# What the tests share: requests at the level of bytes, and the server that
# Apache::Test has started.  The suite of nginx uses it too: it fills %server
# in, and then Apache::Test is not needed.

use strict;
use warnings;
use Exporter qw(import);
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(sleep time);
use Watch qw(doing family);

our @EXPORT = qw(port request get post php connect_to send_request read_response
    header headers slurp spew wait_until server_pid children error_log
    log_since scratch vars server threaded);

# Nothing is tighter than this: machines are slow.
use constant PATIENCE => $ENV{EPHPM_PATIENCE} || 60;

# name => apache or nginx, and what vars() is asked for.
our %server = (name => 'apache');

sub server { return $server{name} }

sub vars {
    my ($name) = @_;
    return $server{$name} if exists $server{$name};
    require Apache::Test;
    return Apache::Test::vars($name);
}

sub port { return $EphpmTest::port // vars('port') }

# Does PHP run beside the server's own processes?
sub threaded {
    return server() eq 'nginx' || ($ENV{EPHPM_MPM} // 'prefork') ne 'prefork';
}

sub connect_to {
    my ($port) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $port // port(), Timeout => PATIENCE)
        || die "no connection: $!";
}

# send_request(SOCKET, method => , path => , host => , headers => [N => V],
#              body => , protocol => , raw => )
sub send_request {
    my ($socket, %r) = @_;
    my $method = $r{method} // (defined $r{body} ? 'POST' : 'GET');
    my $head = sprintf "%s %s HTTP/%s\r\n", $method, $r{path},
        $r{protocol} // '1.1';
    my @headers = @{ $r{headers} // [] };
    my %given = map { $_ % 2 ? () : (lc $headers[$_] => 1) }
        0 .. $#headers;
    unshift @headers, Host => $r{host} // 'localhost' unless $given{host};
    push @headers, Connection => 'close'
        unless $given{connection} || $r{keep};
    push @headers, 'Content-Length' => length $r{body}
        if defined $r{body} && !$given{'content-length'}
        && !$given{'transfer-encoding'};
    while (my ($name, $value) = splice @headers, 0, 2) {
        $head .= "$name: $value\r\n";
    }
    # The server may answer, and close, before it has read everything.
    local $SIG{PIPE} = 'IGNORE';
    print {$socket} $head, "\r\n", $r{body} // '';
    $socket->flush;
    return $socket;
}

# What the server's processes seem to be waiting for, as a test's comment.
sub where_it_hangs {
    my $pid = eval { server_pid() } or return '';
    my %family = family($pid);
    return join '', map { "# $_\n" } doing(keys %family);
}

sub fill {
    my ($socket, $buffer) = @_;
    IO::Select->new($socket)->can_read(PATIENCE)
        or die 'the server has said nothing for ' . PATIENCE . " s\n"
        . where_it_hangs();
    my $got = sysread $socket, $$buffer, 65536, length $$buffer;
    return $got ? $got : 0;
}

# read_response(SOCKET, [METHOD]) -> { status, reason, protocol, headers,
# body, complete }, or undef: the server has closed the connection.
sub read_response {
    my ($socket, $method) = @_;
    my $buffer = ${*$socket}{ephpm_rest} // '';
    my %response;

    while ($buffer !~ /\r\n\r\n/) {
        fill($socket, \$buffer) or return undef;
    }
    $buffer =~ s/\A(.*?)\r\n\r\n//s;
    my ($first, @lines) = split /\r\n/, $1;
    @response{qw(protocol status reason)} =
        $first =~ m{^HTTP/(\S+) (\d+) ?(.*)$};
    $response{headers} = [ map { /^([^:]+):\s*(.*)$/ ? [ $1, $2 ] : () }
        @lines ];
    my $length = header(\%response, 'Content-Length');
    my $body = '';
    $response{complete} = 1;
    if (($method // '') eq 'HEAD' || $response{status} =~ /^(1..|204|304)$/) {
    }
    elsif ((header(\%response, 'Transfer-Encoding') // '') eq 'chunked') {
        while (1) {
            while ($buffer !~ /^[0-9a-fA-F]+.*?\r\n/) {
                fill($socket, \$buffer) or $response{complete} = 0, last;
            }
            last unless $response{complete};
            $buffer =~ s/^([0-9a-fA-F]+).*?\r\n//;
            my $size = hex $1;
            while (length $buffer < $size + 2) {
                fill($socket, \$buffer) or $response{complete} = 0, last;
            }
            last unless $response{complete};
            $body .= substr $buffer, 0, $size;
            substr($buffer, 0, $size + 2) = '';
            last unless $size;
        }
    }
    elsif (defined $length) {
        while (length $buffer < $length) {
            fill($socket, \$buffer) or $response{complete} = 0, last;
        }
        $body = substr $buffer, 0, $length;
        substr($buffer, 0, length $body) = '';
    }
    else {
        1 while fill($socket, \$buffer);
        $body = $buffer;
        $buffer = '';
    }
    ${*$socket}{ephpm_rest} = $buffer;
    $response{body} = $body;
    return \%response;
}

sub request {
    my (%r) = @_;
    my $socket = send_request(connect_to(delete $r{port}), %r);
    return read_response($socket, $r{method})
        // { status => 0, headers => [], body => '', complete => 0 };
}

sub get {
    my ($path, %r) = @_;
    return request(path => $path, %r);
}

sub post {
    my ($path, $body, %r) = @_;
    my @headers = @{ $r{headers} // [] };
    push @headers, 'Content-Type' => 'application/x-www-form-urlencoded'
        unless grep { /^content-type$/i } @headers;
    return request(%r, path => $path, body => $body, headers => \@headers);
}

# The answer of a script that is given here.
sub php {
    my ($code, %r) = @_;
    my $encoded = encode_base64($code, '');
    return request(path => '/eval.php', %r,
        headers => [ 'X-Code' => $encoded, @{ $r{headers} // [] } ]);
}

# The values of a header, in order; in scalar context the only one.
sub headers {
    my ($response, $name) = @_;
    return map { $_->[1] } grep { lc $_->[0] eq lc $name }
        @{ $response->{headers} };
}

sub header {
    my ($response, $name) = @_;
    my @values = headers($response, $name);
    return @values ? join(', ', @values) : undef;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or return '';
    local $/;
    return scalar(<$in>) // '';
}

sub spew {
    my ($file, $text) = @_;
    open my $out, '>:raw', $file or die "$file: $!";
    print {$out} $text;
    close $out or die "$file: $!";
    return $file;
}

sub wait_until {
    my ($condition) = @_;
    my $end = time + PATIENCE;
    until ($condition->()) {
        return 0 if time > $end;
        sleep 0.02;
    }
    return 1;
}

sub server_pid {
    my $pid = $server{pid} // slurp(vars('t_logs') . '/httpd.pid');
    return $pid + 0;
}

sub children {
    my ($parent) = @_;
    my @found;
    for my $status (glob '/proc/[0-9]*/stat') {
        my ($pid, $state, $its) =
            slurp($status) =~ /^(\d+) \(.*\) (\S) (\d+)/s or next;
        push @found, $pid if $its == $parent && $state ne 'Z';
    }
    return @found;
}

sub error_log { return vars('t_logs') . '/error_log' }

# What is new in the log since an offset (-s error_log) once it matches.
sub log_since {
    my ($offset, $pattern, $file) = @_;
    my $new = '';
    wait_until(sub {
        $new = substr slurp($file // error_log()), $offset;
        return !defined $pattern || $new =~ $pattern;
    });
    return $new;
}

sub scratch { return vars('serverroot') . '/scratch' }

1;
