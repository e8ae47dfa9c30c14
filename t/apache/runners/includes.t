# Server-side includes: two jobs of one thread.

use strict;
use warnings;
use EphpmTest;
use OwnServer;
use Runners;
use Test::More;

my $server = runner_server(config => OwnServer::load('include')
    . "EphpmProcesses 1\nEphpmQueue 4\nEphpmQueueTimeout 60s\n"
    . "<Directory />\nOptions +Includes\nRequire all granted\n</Directory>\n"
    . "<FilesMatch \"\\.shtml\$|^outer\">\nSetOutputFilter INCLUDES\n"
    . "</FilesMatch>\nAddType text/html .shtml\n" =~ s/^AddType.*\n//mr);
my $include = '<!--#include virtual="/inner.php?%s" -->';
$server->page('inner.php', '<?php echo "[", $_SERVER["QUERY_STRING"], " ", '
    . 'ephpm_kv_incr("inner"), "]";');
$server->page('two.shtml', sprintf("a$include-$include\nb", 1, 2));
$server->page('outer.php', '<?php echo "a", '
    . sprintf("'$include'", 'x') . ', "b";');
$server->page('outer-large.php', '<?php for ($i = 0; $i < 40; $i++) { '
    . 'echo str_repeat("x", 99999), "\n"; if ($i % 10 == 0) { echo '
    . sprintf("'$include'", 'y') . '; } } echo "end";');
$server->page('outer-flushes.php', '<?php echo "a", '
    . sprintf("'$include'", 'z') . ', "b"; flush(); '
    . 'for ($i = 0; $i < 60; $i++) { echo str_repeat("y", 100000); } echo "c";');
$server->page('outer-nested.php', '<?php echo "1", '
    . '\'<!--#include virtual="/outer.php" -->\', "2";');
$server->page('dies.php', '<?php posix_kill(getmypid(), SIGSEGV);');
$server->page('outer-dies.php',
    '<?php echo "a", \'<!--#include virtual="/dies.php" -->\', "b";');
ok $server->start, 'a server with one runner starts'
    or diag $server->said . $server->logged;

is $server->get('/two.shtml')->{body}, "a[1 1]-[2 2]\nb",
    'a page includes two scripts';
is $server->get('/outer.php')->{body}, 'a[x 3]b', 'a script includes another';
my $r = $server->get('/outer-large.php');
is join(' ', $r->{body} =~ /\[(y \d+)\]/g), 'y 4 y 5 y 6 y 7',
    '... one of 4 MiB, several times, with the same one runner';
is length($r->{body} =~ s/\[y \d\]//gr), 4_000_003, '... and all of it comes';
$r = $server->get('/outer-flushes.php');
like $r->{body}, qr/^a\[z 8\]b(?:y{10000}){600}c$/,
    '... and one that flushes before, and writes on';
is $server->get('/outer-nested.php')->{body}, '1a[x 9]b2', '... and one in one';
$r = $server->get('/outer-dies.php');
like $r->{body}, qr/^a.*b$/s, 'an inner one that crashes';
is $server->get('/hello.php')->{body}, 'hello', '... and the server is well';
my $figures = figures($server);
is "$figures->{busy} $figures->{queued}", '0 0', 'no job is left over';
$server->stop;

done_testing;
