#!/usr/bin/perl
# What only ephpm.so does: a private store of ephpm.cli_size, shared with the
# processes that PHP forks.

use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

my $module = ($ENV{EPHPM_BUILDDIR} // '.') . '/php-embed/.libs/ephpm.so';
my $folder = ($ENV{EPHPM_SRCDIR} // '.') . '/t/scripts';
my $php = $ENV{PHP} || 'php';
my $tmp = tempdir(CLEANUP => 1);

-x $php || $php !~ m{/}
    or plan skip_all => "PHP's command line ($php) is not installed";
-f $module or plan skip_all => 'configured without PHP: no ephpm.so';

# Run `$code`; the output of PHP, its errors included.
sub php {
    my ($code, @options) = @_;
    my $file = "$tmp/script.php";
    open my $script, '>', $file or die $!;
    print $script "<?php\n$code\n";
    close $script;
    my @command = ($php, '-n', '-d', "extension=$module", '-d',
        'html_errors=0', '-d', 'log_errors=0', @options, $file);
    open my $out, '-|', @command or die "$php: $!";
    local $/;
    my $text = <$out> // '';
    close $out;
    return $? ? "$text(ended with status $?)" : $text;
}

sub has_extension {
    my ($name) = @_;
    return php("echo extension_loaded('$name') ? 'yes' : 'no';") eq 'yes';
}

my $works = 'var_dump(ephpm_kv_set("k", "v"), ephpm_kv_get("k"));';
my $worked = qq{bool(true)\nstring(1) "v"\n};

# ephpm.cli_size
is php($works, '-d', "ephpm.cli_size=$_"), $worked, "cli_size $_"
    for '4M', '4096K', '4194304', '33m', '64MB';

my %wrong = (
    'banana'                => 'is not a size',
    '-32M'                  => 'is not a size',
    '32 potatoes'           => 'is not a size',
    '99999999999999999999G' => 'is not a size',
    '0'                     => 'is too small',
    '4194303'               => 'is too small',
    '1K'                    => 'is too small',
);
for my $size (sort keys %wrong) {
    my $said = php("$works echo ini_get('ephpm.cli_size');",
        '-d', "ephpm.cli_size=$size");
    like $said,
        qr/^\s*Warning: .*ephpm\.cli_size = "\Q$size\E" $wrong{$size}: .*at least 4M/,
        "cli_size $size: says what is wrong";
    like $said, qr/\Q${worked}\E32M\z/, "cli_size $size: the default is used";
}

my $huge = php($works, '-d', 'ephpm.cli_size=8000000000G');
like $huge, qr/ephpm\.cli_size = "8000000000G": that much memory cannot be had/,
    'more memory than there is: says so when PHP starts';
like $huge, qr/There is no store for this host/, '... and at the first call';
like $huge, qr/bool\(false\)\nNULL\n\z/, '... and refuses writes';

like php('phpinfo(INFO_MODULES);', '-d', 'ephpm.cli_size=8M'),
    qr/^ephpm support => enabled\n.*^Bytes at most => 8388608\n.*^ephpm\.cli_size => 8M => 8M\n/ms,
    'phpinfo() shows the size';

# A full store evicts and goes on.
is php(<<'PHP', '-d', 'ephpm.cli_size=4M'), "0 0 yes\n", 'a full store';
$refused = $lost = 0;
for ($at = 0; $at < 50_000; ++$at) {
    $refused += ephpm_kv_set("key $at", str_repeat("$at ", 60)) ? 0 : 1;
    $lost += ephpm_kv_get("key $at") === str_repeat("$at ", 60) ? 0 : 1;
}
echo "$refused $lost ", ephpm_kv_get('key 0') === null ? 'yes' : 'no', "\n";
PHP

# The store is shared with children.
SKIP: {
    skip 'this PHP has no pcntl', 2 unless has_extension('pcntl');
    for my $order ('before', 'after') {
        my $first = $order eq 'after' ? 'ephpm_kv_set("parent", "was here");' : '';
        is php($first . <<'PHP'), "2000 4 child\n", "forked $order the first call";
$children = [];
for ($child = 0; $child < 4; ++$child) {
    $pid = pcntl_fork();
    if ($pid === 0) {
        for ($turn = 0; $turn < 500; ++$turn) {
            ephpm_kv_incr('turns');
        }
        ephpm_kv_set("by $child", 'child');
        exit(0);
    }
    $children[] = $pid;
}
foreach ($children as $pid) {
    pcntl_waitpid($pid, $status);
}
$there = count(array_filter(range(0, 3), fn($n) => ephpm_kv_exists("by $n")));
echo ephpm_kv_get('turns'), " $there ", ephpm_kv_get('by 2'), "\n";
PHP
    }
}

# A child that is killed in the middle of writing takes nothing with it.
SKIP: {
    my @posix = has_extension('posix') ? () : ('-d', 'extension=posix');
    skip 'this PHP has no pcntl or no posix', 2
        unless php('echo function_exists("pcntl_fork")
            && function_exists("posix_kill") ? "yes" : "no";', @posix) eq 'yes';
    is php(<<'PHP', @posix), "going on\n", 'a child killed while it writes';
ephpm_kv_set('before', 'kept');
for ($round = 0; $round < 20; ++$round) {
    $pid = pcntl_fork();
    if ($pid === 0) {
        pcntl_alarm(60); // should the parent not live to kill it
        for ($at = 0; ; ++$at) {
            ephpm_kv_set('key ' . $at % 100, str_repeat('x', $at % 5000));
        }
    }
    usleep(3000);
    posix_kill($pid, SIGKILL);
    pcntl_waitpid($pid, $status);
    for ($at = 0; $at < 100; ++$at) {
        if (!ephpm_kv_set("key $at", "mine $at") || ephpm_kv_get("key $at") !== "mine $at") {
            exit("lost key $at in round $round\n");
        }
    }
}
echo ephpm_kv_get('before') === 'kept' ? "going on\n" : "lost\n";
PHP

    # Values move under a reader again and again: what it gets is whole.
    is php(<<'PHP', @posix, '-d', 'ephpm.cli_size=4M'),
$writers = [];
for ($writer = 0; $writer < 2; ++$writer) {
    $pid = pcntl_fork();
    if ($pid === 0) {
        pcntl_alarm(60);
        for ($at = 0; ; ++$at) {
            ephpm_kv_set('key ' . $at % 7, str_repeat(chr(97 + $at % 26), 1 + $at * 7919 % 700_000));
        }
    }
    $writers[] = $pid;
}
$torn = $hits = 0;
$until = time() + 60;
for ($at = 0; $hits < 3_000 && time() < $until; ++$at) {
    $value = ephpm_kv_get('key ' . $at % 7);
    if ($value !== null) {
        ++$hits;
        $torn += $value === str_repeat($value[0], strlen($value)) ? 0 : 1;
    }
}
foreach ($writers as $pid) {
    posix_kill($pid, SIGKILL);
    pcntl_waitpid($pid, $status);
}
echo "torn: $torn\n", "read: $hits\n";
PHP
        "torn: 0\nread: 3000\n", 'reading what two others keep replacing';
}

# Agreeing by the store: what processes do to each other.
SKIP: {
    my @posix = has_extension('posix') ? () : ('-d', 'extension=posix');
    skip 'this PHP has no pcntl or no posix', 14
        unless php('echo function_exists("pcntl_fork")
            && function_exists("posix_kill") ? "yes" : "no";', @posix) eq 'yes';
    my $children = <<'PHP';
function children(int $count, callable $work): array
{
    ephpm_kv_get('the store is made before the fork');
    for ($pids = [], $number = 0; $number < $count; ++$number) {
        $pid = pcntl_fork();
        if ($pid === 0) {
            pcntl_alarm(120); // should the parent not live to end it
            $work($number);
            exit(0);
        }
        $pids[] = $pid;
    }
    return $pids;
}
function all_end(array $pids): void
{
    foreach ($pids as $pid) {
        pcntl_waitpid($pid, $status);
    }
}
PHP

    # A minute is never over: the change is what ends the wait.
    my %change = (
        'set'                => ['', 'ephpm_kv_set("key", "set")', "'set'"],
        'set of an old key'  => ['ephpm_kv_set("key", "old");', 'ephpm_kv_set("key", "set")', "'set'"],
        'mset'               => ['', 'ephpm_kv_mset(["key" => "mset"])', "'mset'"],
        'incr'               => ['ephpm_kv_incr("key");', 'ephpm_kv_incr("key")', "'2'"],
        'del'                => ['ephpm_kv_set("key", "old");', 'ephpm_kv_del("key")', 'NULL'],
        'del_prefix'         => ['ephpm_kv_set("key", "old");', 'ephpm_kv_del_prefix("k")', 'NULL'],
        'flush'              => ['ephpm_kv_set("key", "old");', 'ephpm_kv_flush_all()', 'NULL'],
        'expiry alone'       => ['ephpm_kv_set("key", "old", 1);', 'true', 'NULL'],
    );
    for my $name (sort keys %change) {
        my ($before, $change, $value) = @{ $change{$name} };
        is php(<<"PHP", @posix), "$value newer in time\n", "a wait ended by another process: $name";
$children $before
\$version = ephpm_kv_wait('key', 0, 0)['version'];
\$pids = children(1, function () { usleep(300_000); $change; });
\$start = hrtime(true);
\$answer = ephpm_kv_wait('key', \$version, 60_000);
\$took = (hrtime(true) - \$start) / 1e9;
all_end(\$pids);
var_export(\$answer['value']);
echo \$answer['version'] > \$version ? ' newer' : ' old', \$took < 50 ? " in time\\n" : " late\\n";
PHP
    }

    # Signals: handlers run while the wait goes on, and may end it.
    is php($children . <<'PHP', @posix), "handled\nfalse\nnot before its time\nhandled\nexception\n",
pcntl_async_signals(true);
pcntl_signal(SIGUSR1, function () { echo "handled\n"; });
$version = ephpm_kv_wait('key', 0, 0)['version'];
$parent = getmypid();
$pids = children(1, function () use ($parent) { usleep(200_000); posix_kill($parent, SIGUSR1); });
$start = hrtime(true);
var_export(ephpm_kv_wait('key', $version, 1_000));
echo "\n", hrtime(true) - $start >= 999_000_000 ? "not before its time\n" : "too early\n";
all_end($pids);
pcntl_signal(SIGUSR1, function () { echo "handled\n"; throw new Exception('exception'); });
$pids = children(1, function () use ($parent) { usleep(200_000); posix_kill($parent, SIGUSR1); });
try {
    ephpm_kv_wait('key', $version, 120_000);
    echo "no exception\n";
} catch (Exception $exception) {
    echo $exception->getMessage(), "\n";
}
all_end($pids);
PHP
        'a wait and signals';

    # Two who take from the same place never get the same thing.
    is php($children . <<'PHP', @posix), "taken: 5000, twice: 0, other: 0\n", 'racing getdel';
$pids = children(2, function (int $number) {
    $taken = [];
    for (;;) {
        $value = ephpm_kv_getdel('cell');
        if ($value === null) {
            if (ephpm_kv_exists('the end')) {
                break;
            }
        } else {
            $taken[] = $value;
        }
    }
    ephpm_kv_set("taken by $number", implode(' ', $taken));
});
for ($next = 0; $next < 5_000; ) {
    $next += ephpm_kv_setnx('cell', "item $next,") ? 1 : 0;
}
while (ephpm_kv_exists('cell')) {
    usleep(1_000);
}
ephpm_kv_set('the end', 'now');
all_end($pids);
$taken = explode(', ', rtrim(trim(ephpm_kv_get('taken by 0') . ' ' . ephpm_kv_get('taken by 1')), ','));
$wanted = array_map(fn($at) => "item $at", range(0, 4_999));
echo 'taken: ', count($taken), ', twice: ', count($taken) - count(array_unique($taken)),
    ', other: ', count(array_diff($taken, $wanted)), "\n";
PHP

    # A lock with a token: taken by setnx, let go of by delifeq.
    is php($children . <<'PHP', @posix), "2000 turns, 0 at the same time, 0 let go of by another\n", 'a lock by setnx and delifeq';
$pids = children(4, function (int $number) {
    for ($turn = 0; $turn < 500; ++$turn) {
        $token = "$number of $turn";
        while (!ephpm_kv_setnx('lock', $token, 60)) {
            if (ephpm_kv_delifeq('lock', 'the token of nobody')) {
                ephpm_kv_incr('stolen');
            }
            usleep(10);
        }
        if (ephpm_kv_incr('inside') !== 1) {
            ephpm_kv_incr('together');
        }
        ephpm_kv_set('turns', (string) (1 + (int) ephpm_kv_get('turns')));
        ephpm_kv_decr('inside');
        if (!ephpm_kv_delifeq('lock', $token)) {
            ephpm_kv_incr('stolen');
        }
    }
});
all_end($pids);
echo ephpm_kv_get('turns'), ' turns, ', ephpm_kv_get('together') ?? 0, ' at the same time, ',
    ephpm_kv_get('stolen') ?? 0, " let go of by another\n";
PHP

    # Compare and set: of many who add, nobody's is lost.
    is php($children . <<'PHP', @posix), "2000\n", 'racing setifeq';
ephpm_kv_set('sum', 'sum 0');
$pids = children(4, function () {
    for ($turn = 0; $turn < 500; ++$turn) {
        do {
            $now = ephpm_kv_get('sum');
        } while (!ephpm_kv_setifeq('sum', $now, 'sum ' . (1 + (int) substr($now, 4))));
    }
});
all_end($pids);
echo substr(ephpm_kv_get('sum'), 4), "\n";
PHP

    # An enumeration while another process sets and deletes other keys.
    is php($children . <<'PHP', @posix), "missed: 0, twice: 0, foreign: 0\n", 'scan while others set and delete';
for ($at = 0; $at < 10_000; ++$at) {
    ephpm_kv_set("stays $at", 'v');
}
$pids = children(1, function () {
    for ($at = 0; ; ++$at) {
        ephpm_kv_set('comes ' . $at % 20_000, str_repeat('x', $at % 300));
        ephpm_kv_del('comes ' . ($at + 10_000) % 20_000);
        ephpm_kv_set('stays not ' . $at % 100, 'v');
    }
});
$missed = $twice = $foreign = 0;
for ($round = 0; $round < 10; ++$round) {
    $found = [];
    $cursor = 0;
    do {
        [$cursor, $keys] = ephpm_kv_scan($cursor, 'stays', 1 + $round * 1_000);
        foreach ($keys as $key) {
            $found[$key] = ($found[$key] ?? 0) + 1;
            $foreign += str_starts_with($key, 'stays') ? 0 : 1;
        }
    } while ($cursor !== 0);
    for ($at = 0; $at < 10_000; ++$at) {
        $missed += isset($found["stays $at"]) ? 0 : 1;
        $twice += ($found["stays $at"] ?? 0) > 1 ? 1 : 0;
    }
}
posix_kill($pids[0], SIGKILL);
all_end($pids);
echo "missed: $missed, twice: $twice, foreign: $foreign\n";
PHP

    # Whole batches, while others write the same keys.
    is php($children . <<'PHP', @posix), "torn: 0, missing: 0\n", 'mget and mset against each other';
$keys = array_map(fn($at) => "cell $at", range(0, 99));
ephpm_kv_mset(array_fill_keys($keys, 'a'));
$pids = children(2, function (int $number) use ($keys) {
    for ($at = 0; ; ++$at) {
        ephpm_kv_mset(array_fill_keys($keys, str_repeat(chr(97 + $at % 26), 1 + ($at * 31 + $number) % 400)));
    }
});
$torn = $missing = 0;
for ($round = 0; $round < 1_000; ++$round) {
    foreach (ephpm_kv_mget($keys) as $value) {
        if ($value === null) {
            ++$missing;
        } elseif ($value !== str_repeat($value[0], strlen($value))) {
            ++$torn;
        }
    }
}
foreach ($pids as $pid) {
    posix_kill($pid, SIGKILL);
}
all_end($pids);
echo "torn: $torn, missing: $missing\n";
PHP
}

# A session handler in PHP may write after the extension's own end of request.
SKIP: {
    skip 'this PHP has no session extension', 1
        unless has_extension('session');
    my $report = "$tmp/report";
    php(<<"PHP");
final class Sessions implements SessionHandlerInterface
{
    public function open(string \$path, string \$name): bool { return true; }
    public function close(): bool { return true; }
    public function read(string \$id): string { return ''; }
    public function write(string \$id, string \$data): bool
    {
        ephpm_kv_set(\$id, \$data, 100);
        file_put_contents('$report', (string) ephpm_kv_get(\$id));
        return true;
    }
    public function destroy(string \$id): bool { return true; }
    public function gc(int \$lifetime): int { return 0; }
}
session_set_save_handler(new Sessions(), false);
session_id('late');
session_start(['use_cookies' => 0, 'cache_limiter' => '']);
\$_SESSION['page'] = 'late';
PHP
    open my $in, '<', $report or diag "no report: $!";
    is scalar(<$in>), 'page|s:4:"late";', 'a session is written late';
}

# A script that runs out of memory in the middle of get().
like php(<<'PHP', '-d', 'memory_limit=4M', '-d', 'ephpm.cli_size=32M'),
register_shutdown_function(function () {
    echo 'after: ', ephpm_kv_set('key', 'small') ? ephpm_kv_get('key') : 'refused', "\n";
});
ephpm_kv_set('key', 'x');
for ($chunk = str_repeat('x', 1 << 20), $parts = []; ; ) {
    ephpm_kv_set('key ' . count($parts), $chunk);
    $parts[] = ephpm_kv_get('key ' . count($parts));
}
PHP
    qr/Allowed memory size.*after: small/s, 'out of memory in get()';

# session.save_handler = ephpm
SKIP: {
    skip 'this PHP has no session extension', 15
        unless has_extension('session');
    my @session = ('-d', 'session.use_cookies=0', '-d',
        'session.cache_limiter=', '-d', 'session.gc_maxlifetime=1000');
    my @ours = (@session, '-d', 'session.save_handler=ephpm');

    # Where PHP has sessions as a library of its own it may be loaded later.
    my @wanted = grep { /php_session|ps_globals/ }
        split /\n/, `nm -D --undefined-only '$module'`;
    is "@wanted", '', 'ephpm.so loads where PHP has no sessions';
    my $info = php('phpinfo(INFO_MODULES);', @ours);
    like $info, qr/^Session handler => ephpm$/m, 'phpinfo(): the handler';
    like $info, qr/^Registered save handlers => .*\bephpm\b/m,
        '... and in the list of PHP itself';

    mkdir "$tmp/sessions";
    {
        local $ENV{SESSION_HANDLER} = 'files';
        is php("require '$folder/session.php';", '-d',
            "session.save_path=$tmp/sessions"),
            slurp("$folder/session.expect"), 'the files handler behaves alike';
    }

    my @posix = has_extension('posix') ? () : ('-d', 'extension=posix');
    skip 'this PHP has no pcntl or no posix', 11
        unless php('echo function_exists("pcntl_fork")
            && function_exists("posix_kill") ? "yes" : "no";', @posix) eq 'yes';

    # A request is a child here; the store is its parent's too.
    my $child = <<'PHP';
function child(callable $request): int
{
    ephpm_kv_get('the store is made before the fork');
    $pid = pcntl_fork();
    if ($pid === 0) {
        pcntl_alarm(120); // should the parent not live to end it
        session_id('mine');
        session_start();
        $request();
        exit(0);
    }
    return $pid;
}
function report(): void
{
    echo "\n", ephpm_kv_get('session:mine') ?? 'nothing', ephpm_kv_exists('session-lock:mine') ? ' locked' : ' free';
}
PHP

    # Whatever ends the request, its lock is free and what it had is written.
    my %end = (
        'its end'        => '',
        'exit'           => 'exit(1);',
        'an exception'   => 'throw new Exception("thrown");',
        'a fatal error'  => 'no_such_function();',
        'no memory'      => 'for ($all = []; ; $all[] = str_repeat("x", 9_999));',
        'its time limit' => 'set_time_limit(1); for (;;);',
    );
    for my $name (sort keys %end) {
        like php(<<"PHP", @ours, '-d', 'memory_limit=8M'),
$child
pcntl_waitpid(child(function () {
    \$_SESSION['n'] = 1;
    $end{$name}
}), \$status);
report();
PHP
            qr/^n\|i:1; free\z/m, "a request with a session is ended by $name";
    }
    like php(<<"PHP", @ours, '-d', 'ephpm.cli_size=64M'),
$child
ephpm_kv_set('session:mine', 'large|s:7000000:"' . str_repeat('x', 7_000_000) . '";');
gc_mem_caches();
ini_set('memory_limit', '6M');
pcntl_waitpid(child(function () { echo 'not reached'; }), \$status);
echo ephpm_kv_exists('session-lock:mine') ? "\nlocked" : "\nfree";
PHP
        qr/Allowed memory size(?!.*not reached).*^free\z/ms,
        '... by no memory to read it with';

    is php(<<"PHP", @ours, @posix), "\nnothing locked\nn|i:2; free", 'a request that is killed';
$child
pcntl_waitpid(child(function () {
    \$_SESSION['n'] = 1;
    posix_kill(getmypid(), SIGKILL);
}), \$status);
report();
ephpm_kv_expire('session-lock:mine', 1);
pcntl_waitpid(child(function () { \$_SESSION['n'] = 2; }), \$status);
report();
PHP

    like php(<<"PHP", @ours), qr/^nothing locked\nn\|i:1; free\z/m, 'a child forked in a session neither writes it nor frees its lock';
$child
session_id('mine');
session_start();
\$_SESSION['n'] = 1;
\$pid = pcntl_fork();
if (\$pid === 0) {
    exit(0);
}
pcntl_waitpid(\$pid, \$status);
report();
session_write_close();
report();
PHP

    is php(<<"PHP", @ours), "\nn|i:1000; free", 'four who count in one session';
$child
for (\$pids = [], \$number = 0; \$number < 4; ++\$number) {
    \$pids[] = child(function () {
        for (\$turn = 0; ; session_start()) {
            \$_SESSION['n'] = 1 + (\$_SESSION['n'] ?? 0);
            session_write_close();
            if (++\$turn === 250) {
                break;
            }
        }
    });
}
foreach (\$pids as \$pid) {
    pcntl_waitpid(\$pid, \$status);
}
report();
PHP

    is php(<<"PHP", @ours, '-d', 'ephpm.session_lock_wait=60'), "\nn|s:6:\"waited\"; free", 'who waits sees what the holder wrote';
$child
\$holder = child(function () {
    ephpm_kv_set('held', '1');
    usleep(300_000);
    \$_SESSION['n'] = 'wait';
});
ephpm_kv_wait('held', ephpm_kv_wait('held', 0, 0)['version'], ephpm_kv_exists('held') ? 0 : 60_000);
pcntl_waitpid(child(function () { \$_SESSION['n'] .= 'ed'; }), \$status);
pcntl_waitpid(\$holder, \$status);
report();
PHP
}

# Nothing is read or written that should not be, and nothing is left over.
SKIP: {
    my ($valgrind) = grep { -x } map { "$_/valgrind" } split /:/, $ENV{PATH};
    skip 'valgrind is not installed: apt-get install valgrind', 4
        unless $valgrind;
    my $log = "$tmp/valgrind";
    my $memcheck = "$valgrind --quiet --error-exitcode=99 --leak-check=full"
        . ' --vgdb=no --show-leak-kinds=definite'
        . " --errors-for-leak-kinds=definite --log-file='$log'";
    my $status = do {
        local $ENV{USE_ZEND_ALLOC} = 0;
        local $ENV{ZEND_DONT_UNLOAD_MODULES} = 1;
        my $scripts = join ' ', map { "include '$folder/$_.php';" }
            qw(get-set setnx del counters counters-limits keys-bytes
               key-lengths values-bytes expire memory late-calls
               mget-mset mget-mset-wrong getdel compare scan wait
               warnings-thrown);
        open my $script, '>', "$tmp/all.php" or die $!;
        print $script "<?php $scripts\n";
        close $script;
        system "$memcheck '$php' -n -d extension='$module'"
            . " '$tmp/all.php' >'$tmp/out' 2>&1";
        $?;
    };
    like slurp("$tmp/out"), qr/^destructor: get: 'late'$/m, 'the scripts ran to the end';
    is $status, 0, 'valgrind finds nothing' or diag slurp($log), slurp("$tmp/out");

    skip 'this PHP has no session extension', 2
        unless has_extension('session');
    for my $name ('session', 'session-lock') {
        my $status = do {
            local $ENV{USE_ZEND_ALLOC} = 0;
            local $ENV{ZEND_DONT_UNLOAD_MODULES} = 1;
            system "$memcheck '$php' -n -d extension='$module'"
                . " -d pcre.jit=0 '$folder/$name.php'"
                . " >'$tmp/out' 2>&1";
            $?;
        };
        is $status, 0, "valgrind finds nothing in $name.php"
            or diag slurp($log), slurp("$tmp/out");
    }
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or return "$file: $!";
    local $/;
    return scalar(<$in>) // '';
}

done_testing;
