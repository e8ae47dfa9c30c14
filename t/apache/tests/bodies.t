# Request bodies: forms, uploads, chunks, bodies cut short.

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use EphpmTest;
use JSON::PP qw(decode_json);
use Test::More;

my $apache = server() eq 'apache';

sub echo {
    my ($want, %r) = @_;
    my $answer = request(path => '/echo.php', %r,
        headers => [ 'X-Want' => $want, @{ $r{headers} // [] } ]);
    return { status => $answer->{status} } if $answer->{status} != 200;
    return decode_json($answer->{body});
}

my @form = ('Content-Type' => 'application/x-www-form-urlencoded');

sub chunked {
    my ($body, $size) = @_;
    my $text = '';
    while (length $body) {
        my $part = substr $body, 0, $size, '';
        $text .= sprintf "%x\r\n%s\r\n", length $part, $part;
    }
    return "${text}0\r\n\r\n";
}

# Forms.
my $got = echo('post,input', body => 'a=1&b[]=2&b[]=3&c%20d=%C3%A4',
    headers => \@form);
is_deeply $got->{post}, { a => '1', b => [ 2, 3 ], 'c_d' => "\x{e4}" },
    'a form';
is $got->{input}{length}, 28, 'php://input has it as well';
my $large = 'a=' . 'x' x 1_000_000 . '&b=' . 'y' x 1_000_000;
$got = echo('post,input', body => $large, headers => \@form);
is length($got->{post}{a}) + length($got->{post}{b}), 2_000_000,
    'a large form';
is $got->{input}{sum}, md5_hex($large), '... byte for byte';
$got = echo('post', headers => [ @form, 'Transfer-Encoding' => 'chunked' ],
    body => chunked($large, 7000));
is length($got->{post}{a} // '') + length($got->{post}{b} // ''), 2_000_000,
    'a large form in chunks';

my $binary = join '', map { chr(rand 256) } 1 .. 100_000;
for my $method (qw(POST PUT PATCH DELETE)) {
    is echo('input', method => $method, body => $binary,
        headers => [ 'Content-Type' => 'application/octet-stream' ])
        ->{input}{sum}, md5_hex($binary), "$method: php://input";
    is echo('input', method => $method, body => chunked($binary, 999),
        headers => [ 'Transfer-Encoding' => 'chunked' ])->{input}{sum},
        md5_hex($binary), "$method: php://input, chunked";
}
is echo('input')->{input}{length}, 0, 'no body: an empty php://input';
is echo('input', body => '')->{input}{length}, 0, 'a body of length 0';
is echo('server', body => 'xyz')->{server}{CONTENT_LENGTH}, 3,
    'CONTENT_LENGTH';
is echo('server', body => chunked('xyz', 1),
    headers => [ 'Transfer-Encoding' => 'chunked' ])->{server}{CONTENT_LENGTH},
    $apache ? undef : 3, '... where chunks come: none, unless nginx has '
    . 'counted them';

# Slowly: the body arrives while the script waits for it.
{
    my $socket = connect_to();
    print {$socket} "POST /echo.php HTTP/1.1\r\nHost: localhost\r\n"
        . "X-Want: input\r\nContent-Length: 10\r\nConnection: close\r\n\r\n";
    for (1 .. 5) {
        $socket->flush;
        select undef, undef, undef, 0.05;
        print {$socket} 'ab';
    }
    $socket->flush;
    is decode_json(read_response($socket)->{body})->{input}{length}, 10,
        'a body that comes in pieces is read whole';
}

# 100-continue.
{
    my $socket = connect_to();
    send_request($socket, path => '/echo.php', method => 'POST',
        headers => [ 'X-Want' => 'input', Expect => '100-continue',
            'Content-Length' => 5 ]);
    is read_response($socket)->{status}, 100, 'the client is told to go on';
    print {$socket} 'abcde';
    is decode_json(read_response($socket)->{body})->{input}{length}, 5,
        '... and does';
}

# Short.  nginx has the body before the script begins; see t/nginx/aborts.t.
for my $case ($apache ? ([ 'a form', \@form ], [ 'bytes', [] ]) : ()) {
    my ($what, $headers) = @$case;
    my $socket = send_request(connect_to(), path => '/echo.php',
        headers => [ @$headers, 'X-Want' => 'post,input',
            'Content-Length' => 100 ], method => 'POST', body => 'a=1&b=2');
    shutdown $socket, 1;
    my $answer = read_response($socket);
    is $answer->{status}, 200, "$what, cut short: the script runs";
    is decode_json($answer->{body})->{input}{length}, 7,
        '... with what has come';
}

# What a script has not read does not become the next request.
{
    my $socket = connect_to();
    for my $n (1 .. 3) {
        send_request($socket, path => '/hello.php', keep => 1,
            body => 'GET /evil HTTP/1.1' x 10_000);
        is read_response($socket)->{body}, 'hello',
            "an unread body, request $n on its connection";
    }
}

# Limits.
$got = echo('post,errors', body => 'a=' . 'x' x 4_000_000, headers => \@form);
is_deeply $got->{post}, [], 'over post_max_size: no $_POST';
like $got->{errors} // '', qr/exceeds the limit/, '... and a warning';
$got = echo('post', body => join('&', map { "v$_=1" } 1 .. 60),
    headers => \@form);
cmp_ok scalar(keys %{ $got->{post} }), '<=', 51, 'max_input_vars';
# nginx's limit is client_max_body_size: t/nginx/upstream.t.
if ($apache) {
    $got = request(path => '/limited/echo.php', body => 'a=' . 'x' x 2000,
        headers => \@form);
    is $got->{status}, 413, 'over LimitRequestBody: refused';
    is $got->{body}, '413 /limited/echo.php GET',
        '... and the script does not run, but that of the ErrorDocument';
    is request(path => '/limited/echo.php', method => 'PUT', body => 'x' x 2000)
        ->{body}, '413 /limited/echo.php GET',
        '... nor does one that would not read it';
    $got = request(path => '/limited/echo.php', body => 'a=1', headers => \@form);
    is $got->{body}, 'ran 1', 'under it: served';
    $got = request(path => '/limited/echo.php', body => chunked('x' x 2000, 100),
        headers => [ @form, 'Transfer-Encoding' => 'chunked' ]);
    is $got->{status}, 413, 'over LimitRequestBody in chunks: refused';
    is $got->{body}, '413 /limited/echo.php GET', '... with its ErrorDocument';
    my $connection = send_request(connect_to(), path => '/limited/echo.php',
        method => 'PUT', keep => 1, body => chunked("GET /hello.php HTTP/1.1\r\n"
        . "Host: localhost\r\n\r\n" . 'x' x 2000, 100),
        headers => [ 'Transfer-Encoding' => 'chunked' ]);
    is read_response($connection)->{body},
        threaded() ? '413 /limited/echo.php GET' : 'ran -', threaded()
        ? '... where a script would not read them: the server has, before it runs'
        : '... where a script does not read them: it has answered already';
    is read_response($connection), undef,
        '... and what is left of them is not the next request';
    $got = request(path => '/limited/echo.php', body => "zz\r\nnonsense\r\n",
        headers => [ @form, 'Transfer-Encoding' => 'chunked' ]);
    is "$got->{status} $got->{body}", '400 400 /limited/echo.php GET',
        'what is no chunk: refused';
}

# Uploads.
my $edge = 'ephpm-test-boundary';

sub multipart {
    my (@parts) = @_;
    my $text = '';
    for my $part (@parts) {
        my ($name, $file, $content) = @$part;
        $text .= "--$edge\r\nContent-Disposition: form-data; name=\"$name\"";
        $text .= "; filename=\"$file\"\r\nContent-Type: text/plain"
            if defined $file;
        $text .= "\r\n\r\n$content\r\n";
    }
    return "$text--$edge--\r\n";
}

sub upload {
    my ($body, @headers) = @_;
    return echo('post,files', method => 'POST', body => $body,
        headers => [ 'Content-Type' => "multipart/form-data; boundary=$edge",
            @headers ]);
}

my $file = substr $binary, 0, 50_000;
my $body = multipart([ 'title', undef, 'a title' ], [ 'file', 'a.txt', $file ],
    [ 'empty', 'e.txt', '' ], [ 'many[]', '1.txt', 'one' ],
    [ 'many[]', '2.txt', 'two' ], [ 'none', '', '' ]);
for my $how ('with a length', 'in chunks') {
    my $got = $how eq 'in chunks'
        ? upload(chunked($body, 4321), 'Transfer-Encoding' => 'chunked')
        : upload($body);
    is $got->{post}{title}, 'a title', "upload $how: the other field";
    is $got->{files}{file}{sum}, md5_hex($file), '... the file';
    is $got->{files}{file}{size}, 50_000, '... its size';
    is $got->{files}{file}{name}, 'a.txt', '... its name';
    is $got->{files}{file}{error}, 0, '... no error';
    is $got->{files}{empty}{size}, 0, '... an empty file';
    is_deeply $got->{files}{many}{sum}, [ md5_hex('one'), md5_hex('two') ],
        '... several under one name';
    is $got->{files}{none}{error}, 4, '... none chosen: UPLOAD_ERR_NO_FILE';
}
is upload(multipart([ 'file', 'a', 'x' x 2_200_000 ]))->{files}{file}{error},
    1, 'over upload_max_filesize: UPLOAD_ERR_INI_SIZE';
if ($apache) {
    my $socket = send_request(connect_to(), path => '/echo.php',
        method => 'POST', body => substr($body, 0, 10_000),
        headers => [ 'X-Want' => 'files', 'Content-Length' => length $body,
            'Content-Type' => "multipart/form-data; boundary=$edge" ]);
    shutdown $socket, 1;
    is decode_json(read_response($socket)->{body})->{files}{file}{error}, 3,
        'cut short: UPLOAD_ERR_PARTIAL';
}
is scalar(glob $ENV{EPHPM_SCRATCH} . '/php??????'), undef,
    'no temporary file is left';

done_testing;
