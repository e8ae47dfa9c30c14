#!/usr/bin/perl
# Pages that are put together: SSI with scripts in it, scripts with SSI in
# them, additions.  A subrequest never waits for a client, or two of them would
# wait for each other.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use LoadClient qw(slow_readers);
use NginxTest;
use Test::More;

my $server = NginxTest->new(
    processes => 2,
    server    => <<'END',
ssi on;
location ^~ /added/ { add_after_body /hello.php; ephpm on; }
location ^~ /direct/ { ephpm on; ephpm_buffering off; }
location ^~ /little/ { ephpm on; ephpm_max_temp_file_size 0; }
END
);
my %pages = (
    'hello.php' => '<?php echo "hello";',
    'uri.php'   => '<?php echo $_SERVER["REQUEST_URI"], "|", '
        . '$_SERVER["DOCUMENT_URI"], "|", $_SERVER["QUERY_STRING"];',
    'fatal.php' => '<?php echo "before"; no_such_function();',
    'large.php' => '<?php for ($i = 0; $i < 1024; ++$i) '
        . '{ echo str_repeat($_GET["c"], 1024); }',
    'flushes.php' => '<?php for ($i = 0; $i < 50; ++$i) '
        . '{ echo str_repeat($_GET["c"], 1024); flush(); }',
    'method.php' => '<?php echo $_SERVER["REQUEST_METHOD"], '
        . 'strlen((string) file_get_contents("php://input"));',
    'one.shtml' => '<<!--#include virtual="/hello.php" -->>',
    'two.shtml' => '<<!--#include virtual="/hello.php" -->>'
        . '<<!--#include virtual="/hello.php" -->>',
    'uri.shtml' => '<!--#include virtual="/uri.php?a=b" -->',
    'fatal.shtml' => 'x<!--#include virtual="/fatal.php" -->y',
    'method.shtml' => '<!--#include virtual="/method.php" -->',
    'ssi.php'   => '<?php echo "a <!--#include virtual=\"/hello.php\" --> b";',
    'body.php'  => '<?php echo "a <!--#include virtual=\"/method.php\" --> ", '
        . 'strlen(file_get_contents("php://input"));',
    'direct/two.php' => '<?php echo "<!--#include virtual=\"/hello.php\" -->"; '
        . 'flush(); touch("%DIR%/scratch/$_GET[n]"); '
        . 'while (count(glob("%DIR%/scratch/*")) < 2) { usleep(5000); } '
        . 'for ($i = 0; $i < 400; ++$i) { echo str_repeat($_GET["n"], 1000); }',
    'many.shtml' => join('', map {
        "<!--#include virtual=\"/large.php?c=$_\" -->" } 'a' .. 'h'),
    'flush.shtml' => join('', map {
        "<!--#include virtual=\"/flushes.php?c=$_\" -->" } 'a' .. 'd'),
    'direct.shtml' => '<!--#include virtual="/direct/large.php?c=x" -->'
        . '<!--#include virtual="/direct/large.php?c=y" -->',
    'little.shtml' => '<!--#include virtual="/little/large.php?c=x" -->'
        . '<!--#include virtual="/little/large.php?c=y" -->',
    'added/page.php' => '<?php echo "page ";',
    'stub.shtml' => '<!--#block name="sorry" -->sorry<!--#endblock -->'
        . '<!--#include virtual="/none.php" stub="sorry" -->',
);
$pages{"$_/large.php"} = $pages{'large.php'} for qw(direct little);
$server->page($_, $pages{$_} =~ s/%DIR%/$server->{dir}/gr) for keys %pages;
ok $server->start, 'two runners' or diag $server->said;

is get('/one.shtml')->{body}, '<hello>', 'a page includes a script';
is get('/two.shtml')->{body}, '<hello><hello>', '... twice';
is get('/uri.shtml')->{body}, '/uri.shtml|/uri.php|a=b',
    '... which knows its own address and query';
is get('/method.shtml', method => 'GET')->{body}, 'GET0', '... by GET';
like get('/fatal.shtml')->{body}, qr/^x.*y$/s,
    '... one that fails takes nothing with it';
is get('/stub.shtml')->{body}, 'sorry', '... or a stub where there is none';
is get('/ssi.php')->{body}, 'a hello b', 'a script whose output includes another';
for my $bytes (0, 100, 200_000) {
    is get('/body.php', body => 'x' x $bytes)->{body}, "a GET$bytes $bytes",
        "... which has the body of $bytes bytes, too";
}
is get('/added/page.php')->{body}, 'page hello', 'add_after_body';

my $large = join '', map { $_ x (1 << 20) } 'a' .. 'h';
is get('/many.shtml')->{body} eq $large, 1,
    'eight large scripts in one page, of two runners';
my ($body) = @{ slow_readers(port => port(), path => '/many.shtml',
    clients => 1, rate => 4 << 20) };
is $body eq $large, 1, '... to a slow reader';
is get('/flush.shtml')->{body} eq join('', map { $_ x 51200 } 'a' .. 'd'), 1,
    'scripts that flush';
is get('/direct.shtml')->{body} eq 'x' x (1 << 20) . 'y' x (1 << 20), 1,
    'ephpm_buffering off in a subrequest: it is kept all the same';
is join(' ', together(2, sub {
    get("/direct/two.php?n=$_[0]")->{body} eq 'hello' . $_[0] x 400_000;
})), '1 1', '... and in two pages that hold both runners while they wait';
my $little = get('/little.shtml');
is $little->{body} =~ tr/xy//cdr =~ /^x*y*\z/, 1,
    'no room on disk: the page ends all the same, in order';
my ($code, $got) = curl('--http2-prior-knowledge',
    "http://127.0.0.1:$server->{port2}/many.shtml");
is $got eq $large, 1, 'by HTTP/2';
is get('/hello.php')->{body}, 'hello', 'and all is well';

$server->ends_well;
done_testing;
