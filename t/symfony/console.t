#!/usr/bin/perl

# Console commands of the demo: through ephpm.kv_socket they act on what the
# web workers see, without it on a store of their own.

use strict;
use warnings;
use FindBin qw($Bin);
use lib $Bin;
use Test::More;
use Site qw(checkout run_command spew serve_listening request json free_port
    can_load cannot_listen);

if (my $reason = can_load()) {
    BAIL_OUT($reason);
}

if (my $reason = cannot_listen()) {
    plan skip_all => $reason;
}

my $folder = checkout('demo');
my $socket = "$folder/kv.sock";
my @php = (Site::php(), '-n', '-d', 'extension=' . Site::extension(), '-d',
    'memory_limit=512M', '-d', 'display_errors=stderr');

# Where this PHP has them as libraries of their own.
for my $name (qw(ctype mbstring tokenizer dom xml phar posix)) {
    my ($code, $text) = run_command(@php, '-r',
        "echo extension_loaded('$name') ? 'yes' : 'no';");
    push @php, '-d', "extension=$name" if $text eq 'no'
        && (run_command(@php, '-d', "extension=$name", '-r',
            "echo extension_loaded('$name') ? 'yes' : 'no';"))[1] eq 'yes';
}
my @live = (@php, '-d', "ephpm.kv_socket=unix:$socket");

sub console { return run_command(@php, "$folder/demo/bin/console", @_, '--no-ansi') }
sub live { return run_command(@live, "$folder/demo/bin/console", @_, '--no-ansi') }

my ($code, $said) = console('cache:warmup');
is $code, 0, 'the demo warms its cache' or diag $said;

my $port = free_port();
my $parent = serve_listening($folder, $port, $socket);
request($port, '/api/visits') for 1 .. 3;

sub post { return json(request($port, '/api/post/7')->{content}) }

post();
is post()->{cached}, 1, 'a post is cached by the web workers';

# --- the state

($code, $said) = live('demo:store');
is $code, 0, 'demo:store through the socket' or diag $said;
like $said, qr/The server's store, through unix:\Q$socket\E/, '... says where';
like $said, qr/demo:visits +3\b/, '... has the visits of the web workers';
like $said, qr/limit_bytes +6\d{7}\b/, '... and the size of their store';
($code, $said) = console('demo:store');
is $code, 0, 'demo:store without it' or diag $said;
like $said, qr/A private store/, '... says so';
like $said, qr/demo:visits +none/, '... and has none of that';

# --- clearing

($code, $said) = console('cache:pool:clear', 'cache.posts');
is $code, 0, 'a pool is cleared without the socket' or diag $said;
is post()->{cached}, 1, '... which is not the web workers\'';
($code, $said) = live('cache:pool:clear', 'cache.app');
is $code, 0, 'another pool is cleared through the socket' or diag $said;
is post()->{cached}, 1, '... and no other';
($code, $said) = live('cache:pool:clear', 'cache.posts');
is $code, 0, 'the pool is cleared through the socket' or diag $said;
is post()->{cached}, 0, '... and the web workers compute it anew';
is post()->{cached}, 1, '... and keep it';
is json(request($port, '/api/visits')->{content})->{visits}, 4,
    'what is of no pool stays';
($code, $said) = live('cache:pool:clear', 'Ephpm\\Cache\\Symfony\\EphpmKvAdapter');
is $code, 0, 'the service of the YAML is cleared by its name' or diag $said;
is post()->{cached}, 1, '... and no pool';

# What a script of the command line saves is cleared too.
my $script = spew("$folder/demo/app.php", <<'PHP');
<?php
require __DIR__ . '/vendor/autoload.php';
set_error_handler(static function (int $level, string $message): never { throw new ErrorException($message); });
$kernel = new App\Kernel('prod', false);
$kernel->boot();
$pool = $kernel->getContainer()->get('cache.app');
if ($argv[1] === 'save') {
    $pool->save($pool->getItem('of.the.console')->set([1, 2, 3]));
}
echo json_encode($pool->getItem('of.the.console')->get()), ' ',
    json_encode((new Ephpm\Cache\Symfony\SapiKvOps())->wait('k', 0, 60_000)['value'] ?? false), "\n";
PHP
is +(run_command(@live, $script, 'save'))[1], "[1,2,3] false\n",
    'a script saves in cache.app';
is +(run_command(@live, $script, 'look'))[1], "[1,2,3] false\n",
    '... and another finds it';
is +(run_command(@php, $script, 'look'))[1], "null false\n",
    '... without the socket none';
($code, $said) = live('cache:pool:clear', 'cache.app');
is $code, 0, 'cache.app is cleared' or diag $said;
is +(run_command(@live, $script, 'look'))[1], "null false\n",
    '... and it is gone';

# --- pruning

# Keys of an older version, as a process leaves them that saved while another
# one cleared.
my $old = spew("$folder/demo/old.php", <<'PHP');
<?php
[$cursor, $found] = [0, []];
do {
    [$cursor, $keys] = ephpm_kv_scan($cursor);
    $found = [...$found, ...preg_grep('/^[^:]+:@[0-9a-z]+:post\.7$/', $keys)];
} while ($cursor !== 0);
if ($argv[1] === 'leave') {
    ephpm_kv_set(preg_replace('/@([0-9a-z]+):/', '@1:', $found[0]), 'left');
}
echo count($found), "\n";
PHP
is +(run_command(@live, $old, 'leave'))[1], "1\n", 'one key has the post';
is +(run_command(@live, $old, 'look'))[1], "2\n", '... and an old one';
($code, $said) = console('cache:pool:prune');
is $code, 0, 'pruned without the socket' or diag $said;
is +(run_command(@live, $old, 'look'))[1], "2\n", '... it stays';
($code, $said) = live('cache:pool:prune');
is $code, 0, 'pruned through the socket' or diag $said;
is +(run_command(@live, $old, 'look'))[1], "1\n", '... the old one is gone';
is post()->{cached}, 1, '... and the post stays';

# --- a server that is gone

ok Site::stop($parent), 'the server stops';
($code, $said) = live('demo:store');
is $code, 1, 'demo:store where it is gone';
like $said, qr/cannot be reached \((?:No such file or directory|Connection refused)\)/,
    '... says why';
($code, $said) = live('cache:pool:clear', 'cache.posts');
isnt $code, 0, 'clearing fails' or diag $said;
unlike $said, qr/successfully cleared/, '... and does not claim otherwise';

done_testing;
