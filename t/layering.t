#!/usr/bin/perl
# The arrows of ARCHITECTURE.md hold, and every header compiles by itself.

use strict;
use warnings;
use File::Basename qw(basename);
use File::Temp qw(tempdir);
use Test::More;

my $top = $ENV{EPHPM_SRCDIR} // '.';

# What a folder may include: whole folders and single headers of others, and
# kinds of system headers beyond those of the C library.
my %may = (
    'kvcore'    => { own => ['kvcore'], headers => [], system => [] },
    'resp'      => {
        own => ['resp'], headers => ['kvcore/kv.h'], system => ['hiredis'],
    },
    'php-embed' => {
        own     => ['php-embed'],
        headers => [ map { "kvcore/$_" }
                qw(kv.h kv_atomic.h kv_futex.h kv_life.h) ],
        system  => [ 'PHP', 'hiredis' ],
    },
    'mod_ephpm' => {
        own     => [ 'mod_ephpm', 'php-embed' ],
        headers => [ 'kvcore/kv.h', 'resp/resp.h', 'resp/resp_server.h' ],
        system  => [ 'PHP', 'httpd' ],
    },
    'ngx_ephpm' => {
        own     => [ 'ngx_ephpm', 'php-embed' ],
        headers => [ 'kvcore/kv.h', 'resp/resp.h' ],
        system  => [ 'PHP', 'nginx' ],
    },
    'cli' => {
        own => ['cli'], headers => ['php-embed/ephpm_socket.h'],
        system => [ 'TOML', 'hiredis' ],
    },
);

my %system_kind = (
    'PHP'   => qr{^(?:php|zend|Zend/|main/|ext/|SAPI\.h|TSRM)},
    'httpd' => qr{^(?:httpd|http_|ap_|apr|apu|util_|mod_|unixd|mpm|scoreboard)},
    'nginx' => qr{^(?:ngx_|nginx)},
    'TOML'  => qr{^toml\+\+/},
    'hiredis' => qr{^hiredis/},
);

# Where each header of ours lives, by its name.
my %home;
for my $folder (sort keys %may) {
    for my $file (glob "$top/$folder/*.h") {
        my $name = basename($file);
        ok !exists $home{$name}, "$folder/$name: no other folder has a $name"
            or diag "it is also in $home{$name}";
        $home{$name} = $folder;
    }
}

sub violations {
    my ($folder, $file) = @_;
    my @found;
    open my $in, '<', $file or die "$file: $!";
    while (my $line = <$in>) {
        next unless $line =~ m{^\s*#\s*include\s*([<"])([^>"]+)[>"]};
        my ($quote, $path) = ($1, $2);
        my $name = basename($path);
        my $where = sprintf '%s/%s:%d', $folder, basename($file), $.;
        if (exists $home{$name}) {
            next if grep { $_ eq $home{$name} } @{ $may{$folder}{own} };
            next if grep { $_ eq "$home{$name}/$name" }
                @{ $may{$folder}{headers} };
            push @found, "$where includes $home{$name}/$name";
            next;
        }
        for my $kind (sort keys %system_kind) {
            next unless $path =~ $system_kind{$kind};
            next if grep { $_ eq $kind } @{ $may{$folder}{system} };
            push @found, "$where includes $kind\'s <$path>";
        }
    }
    return @found;
}

for my $folder (sort keys %may) {
    for my $file (glob "$top/$folder/*.{c,h,cc}") {
        my @found = violations($folder, $file);
        ok !@found, "$folder/" . basename($file) . ': includes what it may'
            or diag join "\n", @found;
    }
}

# The check itself must be able to fail.
my $tmp = tempdir(CLEANUP => 1);
my %bad = (
    'kvcore includes PHP'              => [ 'kvcore', '<Zend/zend.h>' ],
    'php-embed includes httpd'         => [ 'php-embed', '<httpd.h>' ],
    'cli includes kvcore'              => [ 'cli', '"kv.h"' ],
    'kvcore includes hiredis'          => [ 'kvcore', '<hiredis/hiredis.h>' ],
    'resp includes PHP'                => [ 'resp', '<php.h>' ],
    'resp includes the inside of kvcore' => [ 'resp', '"kv_index.h"' ],
    'kvcore includes php-embed'        => [ 'kvcore', '"ephpm_ext.h"' ],
    'php-embed includes nginx'         => [ 'php-embed', '<ngx_core.h>' ],
    'ngx_ephpm includes httpd'         => [ 'ngx_ephpm', '<httpd.h>' ],
);
for my $what (sort keys %bad) {
    my ($folder, $include) = @{ $bad{$what} };
    open my $out, '>', "$tmp/bad.c" or die $!;
    print $out "#include $include\n";
    close $out;
    is scalar(violations($folder, "$tmp/bad.c")), 1, "found: $what";
}

# Where nginx's headers meet PHP's there is one file.
my @php = grep { slurp($_) =~ m{#\s*include\s*"ephpm_(?:sapi|pool|ext)\.h"} }
    glob "$top/ngx_ephpm/*";
is join(' ', map { basename($_) } @php), 'ngx_http_ephpm_php.c',
    'ngx_ephpm: one file knows PHP';

# The modules have the store itself: of php-embed only its client of a
# listener, which they do not contain, knows hiredis.
my @hiredis = grep { slurp($_) =~ m{#\s*include\s*<hiredis/} }
    glob "$top/php-embed/*";
is join(' ', map { basename($_) } @hiredis), 'ephpm_socket.h',
    'php-embed: one header knows hiredis';
my @client = grep { slurp($_) =~ m{#\s*include\s*"ephpm_socket\.h"} }
    glob "$top/{mod_ephpm,ngx_ephpm,php-embed}/*";
is join(' ', map { basename($_) } @client),
    'ephpm_so_remote.h ephpm_socket_private.h',
    'what is in the modules has no client of a listener';

# toml++ is C++ and slow to compile: one file of ours knows it.
my @toml = grep { slurp($_) =~ m{#\s*include\s*<toml\+\+/} }
    glob "$top/cli/*";
is join(' ', map { basename($_) } @toml), 'cli_toml.cc',
    'cli: one file knows toml++';

my $cc = $ENV{CC} // 'cc';
for my $folder (sort keys %may) {
    my $flags = join ' ', map { "-I'$top/$_'" } @{ $may{$folder}{own} },
        map { m{^(.*)/} ? $1 : () } @{ $may{$folder}{headers} };
    my $needs = { 'php-embed' => 'PHP_CPPFLAGS',
                  'mod_ephpm' => 'HTTPD_CPPFLAGS',
                  'ngx_ephpm' => 'NGINX_CPPFLAGS' }->{$folder};
    $flags .= " -D_GNU_SOURCE $ENV{PHP_CPPFLAGS}" if $needs && $ENV{PHP_CPPFLAGS};
    $flags .= " $ENV{HTTPD_CPPFLAGS}"
        if $folder eq 'mod_ephpm' && $ENV{HTTPD_CPPFLAGS};
    $flags .= " $ENV{NGINX_CPPFLAGS}"
        if $folder eq 'ngx_ephpm' && $ENV{NGINX_CPPFLAGS};
    for my $file (glob "$top/$folder/*.h") {
        my $name = basename($file);
        # PHP's generator writes for one including file.
        next if slurp($file) =~ m{\A/\* This is a generated file};
        SKIP: {
            skip "$folder/$name: configured without what it is for", 1
                if $needs && !$ENV{$needs};
            open my $out, '>', "$tmp/alone.c" or die $!;
            print $out qq{#include "$name"\n#include "$name"\n};
            print $out "int alone;\n";
            close $out;
            my $said = `$cc -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-unused-function -Werror $flags -fsyntax-only '$tmp/alone.c' 2>&1`;
            is $?, 0, "$folder/$name: compiles alone, and twice"
                or diag join "\n", (split /\n/, $said)[ 0 .. 4 ];
        }
    }
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    local $/;
    return scalar(<$in>) // '';
}

done_testing;
