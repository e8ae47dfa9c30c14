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

# Nothing is read or written that should not be, and nothing is left over.
SKIP: {
    my ($valgrind) = grep { -x } map { "$_/valgrind" } split /:/, $ENV{PATH};
    skip 'valgrind is not installed: apt-get install valgrind', 2
        unless $valgrind;
    my $log = "$tmp/valgrind";
    my $status = do {
        local $ENV{USE_ZEND_ALLOC} = 0;
        local $ENV{ZEND_DONT_UNLOAD_MODULES} = 1;
        my $scripts = join ' ', map { "include '$folder/$_.php';" }
            qw(get-set setnx del counters counters-limits keys-bytes
               key-lengths values-bytes expire memory late-calls
               warnings-thrown);
        open my $script, '>', "$tmp/all.php" or die $!;
        print $script "<?php $scripts\n";
        close $script;
        system "$valgrind --quiet --error-exitcode=99 --leak-check=full"
            . ' --show-leak-kinds=definite --errors-for-leak-kinds=definite'
            . " --log-file='$log' '$php' -n -d extension='$module'"
            . " '$tmp/all.php' >'$tmp/out' 2>&1";
        $?;
    };
    like slurp("$tmp/out"), qr/^destructor: get: 'late'$/m, 'the scripts ran to the end';
    is $status, 0, 'valgrind finds nothing' or diag slurp($log), slurp("$tmp/out");
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or return "$file: $!";
    local $/;
    return scalar(<$in>) // '';
}

done_testing;
