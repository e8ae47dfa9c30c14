#!/usr/bin/perl
# ./dev bench http runs, and its JSON has every case in the form that is
# documented; pages that are not as they should be end it.  What the figures
# are is not looked at: they are a benchmark's.

use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $top   = $ENV{EPHPM_SRCDIR}   // '.';
my $build = $ENV{EPHPM_BUILDDIR} // '.';
my $php   = $ENV{PHP} || 'php';
my $tmp   = tempdir(CLEANUP => 1);
# The server's user reads what is in it.
chmod 0755, $tmp;

grep { -x "$_/wrk" } split /:/, $ENV{PATH}
    or plan skip_all => 'not installed: apt-get install wrk';
my $version = `'$php' -n -r 'echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;'`;
my $modules = $ENV{HTTPD_MODULES_DIR} // '';
-e "$modules/libphp$version.so"
    or plan skip_all => 'not installed: apt-get install libapache2-mod-php';
for my $extension (qw(apcu redis)) {
    system("'$php' -n -r 'exit((int) !is_file(ini_get(\"extension_dir\")"
        . " . \"/$extension.so\"));'") == 0
        or plan skip_all => "not installed: apt-get install php-$extension";
}
for my $program ("php-fpm$version", 'redis-server') {
    grep { -x "$_/$program" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/bin'
        or plan skip_all => 'not installed: apt-get install php-fpm redis-server';
}

my @pages = qw(apache-hello apache-page-1m apache-post-1m);
my @symfony = qw(apache-symfony apache-symfony-20 apache-rss);
# One number of connections of each, all three of one: a slice takes a second.
my @fpm = qw(nginx-hello-2 nginx-hello-8 nginx-hello-32 nginx-page-1m-8
    nginx-post-1m-2 event-hello-32);
my @fpm_symfony = qw(nginx-symfony-32 nginx-symfony-redis-8);
my $only = join ',', @pages, @symfony, 'nginx-hello',
    (grep { !/^nginx-hello/ } @fpm), @fpm_symfony;
my $module = grep { -e } glob "$build/ngx_ephpm/{,*/}ngx_http_ephpm_module.so";
# Composer's packages are of use here, but others test that they are there.
my $packages = grep { -e "$_/vendor/autoload.php" } "$top/demo",
    "$build/t/symfony/demo";

local $ENV{TMPDIR} = $tmp;

# Run the benchmark of sources; its exit status and all it has said.
sub bench_of {
    my ($sources, @arguments) = @_;
    local $ENV{EPHPM_SRCDIR} = $sources;
    my $command = join ' ', map { "'$_'" } "$sources/bench/http", @arguments;
    my $said = `$command 2>&1 </dev/null`;
    return ($? >> 8, $said);
}

sub bench { return bench_of($top, @_) }

my ($status, $said) = bench('--quick', '--only', $only, '--json',
    "$tmp/http.json");
is $status, 0, 'a quick run' or diag $said;
like $said, qr/^\d+ of \d+ bars are met/m, 'it says how many bars are met';
like $said, qr/the servers and wrk share \d+ processors/,
    '... and what shares the processors';

my $rows = eval {
    open my $in, '<', "$tmp/http.json" or die "$tmp/http.json: $!\n";
    local $/;
    JSON::PP->new->decode(scalar <$in>);
};
is ref $rows, 'ARRAY', 'the JSON is an array' or diag $@;

my (%found, @wrong);
for my $row (@{ $rows // [] }) {
    my $name = $row->{case} // '?';
    push @wrong, "$name has " . join ', ', sort keys %$row
        if join(' ', sort keys %$row)
        ne 'case ours peer peer_value ratio unit';
    push @wrong, "$name beside $row->{peer}"
        if $row->{peer} ne ($name =~ /^apache/ ? 'mod_php'
            : $name =~ /redis/ ? 'php-fpm-redis' : 'php-fpm');
    push @wrong, "$name in $row->{unit}"
        if $row->{unit} ne ($name eq 'apache-rss' ? 'KiB' : 'req/s');
    for my $number (qw(ours peer_value ratio)) {
        push @wrong, "$name: $number"
            unless ($row->{$number} // '') =~ /^[\d.]+(?:e[-+]?\d+)?$/i
            && $row->{$number} > 0;
    }
    push @wrong, "$name: ratio is not ours / peer_value"
        if abs($row->{ratio} * $row->{peer_value} / $row->{ours} - 1) > 1e-6;
    push @wrong, "$name twice" if $found{$name}++;
}
is join("\n", @wrong), '', 'every row has the form';
is join(' ', sort grep { $found{$_} } @pages), join(' ', sort @pages),
    'the pages without a framework';
SKIP: {
    skip 'Composer\'s packages are missing: php-adapter/tests/install', 1
        unless $packages;
    is join(' ', sort grep { $found{$_} } @symfony), join(' ', sort @symfony),
        'the pages with Symfony, and memory';
}

SKIP: {
    skip 'configured --without-nginx', 1 unless $module;
    is join(' ', sort grep { $found{$_} } @fpm), join(' ', sort @fpm),
        'the pages beside php-fpm; the name without a number is all of them';
}
SKIP: {
    skip 'configured --without-nginx', 1 unless $module;
    skip 'Composer\'s packages are missing: php-adapter/tests/install', 1
        unless $packages;
    is join(' ', sort grep { $found{$_} } @fpm_symfony),
        join(' ', sort @fpm_symfony), '... with Symfony';
}

# Other pages in the place of those that are expected.
mkdir "$tmp/sources" or die "$tmp/sources: $!";
system('cp', '-R', "$top/bench", "$tmp/sources") == 0 or die 'cp failed';
system('chmod', '-R', 'u+w', "$tmp/sources") == 0 or die 'chmod failed';

sub other_page {
    my ($text) = @_;
    open my $out, '>', "$tmp/sources/bench/pages/hello.php" or die $!;
    print $out $text;
    close $out or die $!;
    my ($failed, $why) = bench_of("$tmp/sources", '--quick', '--only',
        'apache-hello', '--json', "$tmp/none.json");
    ok !-s "$tmp/none.json", '... and no row';
    return ($failed, $why);
}

my %other = (
    'an error' => ['<?php http_response_code(503); echo "Hello, world!\n";',
        qr/status 503/],
    'another text' => ['<?php echo "Hello, wurld!\n";', qr/another page/],
    'a warning in the log' => ['<?php echo $no, "Hello, world!\n";',
        qr/has logged: .*PHP Warning/],
    # wrk does not say who it is; the benchmark does where it looks itself.
    'errors under load' => ['<?php if (!isset($_SERVER["HTTP_USER_AGENT"]))
        http_response_code(500); echo "Hello, world!\n";',
        qr/errors \(status\)/],
    'short pages under load' => ['<?php
        if (isset($_SERVER["HTTP_USER_AGENT"])) echo "Hello, world!\n";',
        qr/answers have \d+ bytes/],
);
for my $name (sort keys %other) {
    my ($failed, $why) = other_page($other{$name}[0]);
    is $failed, 1, "$name: the benchmark fails";
    like $why, $other{$name}[1], '... with the reason';
}

my %refused = (
    '--only apache-none' => qr/there is no case apache-none; there are: apache-/,
    '--rounds 8'         => qr/9 to 999 are possible/,
    '--json'             => qr/--json wants a value/,
    '--fast'             => qr/--fast is not an option/,
);
for my $arguments (sort keys %refused) {
    ($status, $said) = bench(split / /, $arguments);
    is $status, 64, "$arguments: refused";
    like $said, $refused{$arguments}, '... with the reason';
}

is join(' ', glob "$tmp/ephpm-bench-*"), '', 'nothing is left behind';

done_testing;
