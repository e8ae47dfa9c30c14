#!/usr/bin/perl
# What README.md and the manual pages show is true.

use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

my $top   = $ENV{EPHPM_SRCDIR}   // '.';
my $build = $ENV{EPHPM_BUILDDIR} // '.';

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    local $/;
    return scalar(<$in>) // '';
}

my $readme = slurp("$top/README.md");

# --- the folders and files it names

my %named = map { $_ => 1 } $readme =~ m{[`(]([\w.-]+(?:/[\w.-]*)+)[`)]}g;
$named{$_} = 1 for $readme =~ m{\]\(([\w.]+)\)}g;
delete $named{'ephpm/cache-symfony'};          # a package
delete $named{'share/ephpm/php-adapter'};      # installed; see t/install.t
for my $path (sort keys %named) {
    ok -e "$top/$path", "README.md: $path exists";
}
my ($map) = $readme =~ /^## Where things are\n(.*?)^Next:/ms;
my %listed = map { $_ => 1 } $map =~ /^\| `([\w-]+)/mg;
chdir $top or die $!;
for my $folder (grep { -d && -e "$_/local.mk" } glob '*') {
    ok $listed{$folder}, "README.md: the map has $folder/";
}

# --- the commands

for my $command ($readme =~ m{^\./dev (\w+)}mg) {
    like slurp("$top/dev"), qr/^$command\)/m, "README.md: ./dev $command";
}

# --- the httpd block is the sample that the server tests load

sub directives {
    my ($text) = @_;
    return join "\n", grep { /\S/ && !/^\s*#/ && !/^LoadModule/ }
        split /\n/, $text;
}
my ($httpd) = $readme =~ /^```apache\n(.*?)^```/ms;
is directives($httpd), directives(slurp("$top/conf/httpd/ephpm.conf")),
    'README.md: httpd block is conf/httpd/ephpm.conf';

# --- the nginx block is the samples, put together

# "block { directive; ... }" as words, without comments and what a site has to
# say for itself.
sub nginx_words {
    my ($text) = @_;
    $text =~ s/^\s*#.*\n//mg;
    $text =~ s/^\s*(?:load_module|root|listen|server_name) [^;]*;\n//mg;
    return join ' ', split ' ', $text;
}
my ($nginx) = $readme =~ /^```nginx\n(.*?)^```/ms;
my %sample = map { $_ => nginx_words(slurp("$top/conf/nginx/$_.conf")) }
    qw(ephpm site status);
is nginx_words($nginx), "events { } http { $sample{ephpm} server { "
    . "$sample{site} $sample{status} } }",
    'README.md: nginx block is conf/nginx/ephpm.conf, site.conf, status.conf';

# --- the PHP block does what its comments say

SKIP: {
    my $module = "$build/php-embed/.libs/ephpm.so";
    skip 'configured --without-php', 1 unless -e $module;
    my ($php) = $readme =~ /^```php\n(.*?)^```/ms;
    my $script = "<?php\n";
    my $want = '';
    for my $line (split /\n/, $php) {
        my ($call, $result) = $line =~ m{^(\S.*?);\s*//\s*('\w*'|\d+)?};
        $script .= defined $result ? "var_export($call); echo \"\\n\";\n"
            : "$call;\n";
        $want .= "$result\n" if defined $result;
    }
    my $tmp = tempdir(CLEANUP => 1);
    open my $out, '>', "$tmp/readme.php" or die $!;
    print $out $script;
    close $out;
    is `'$ENV{PHP}' -n -d extension='$module' '$tmp/readme.php' 2>&1`, $want,
        'README.md: the PHP block answers what it says';
}

# --- functions, directives and keys that are named exist

my $stub = slurp("$top/php-embed/ephpm.stub.php");
my $sources = join '', map { slurp($_) } glob "$top/mod_ephpm/*.c";
my $keys = slurp("$top/cli/cli_toml.cc");

# The status has each of its figures under two names: in JSON, and as a
# metric after a prefix.
my $status = slurp("$top/php-embed/ephpm_status_data.c");
my (%metric, %key);
for my $of (qw(store opcache runner resp)) {
    my ($table) = $status =~ /\b${of}_figures\[\] = \{\n(.*?)^\};/ms;
    my $prefix = { store => 'ephpm_kv', opcache => 'ephpm_opcache',
        runner => 'ephpm', resp => 'ephpm_resp' }->{$of};
    while ($table =~ /^    \{ "(\w+)", "(\w+)"/mg) {
        $key{$1} = $metric{"${prefix}_$2"} = 1;
    }
}
$metric{$_} = 1 for $status =~ /"(ephpm_(?!kv_")\w+[a-z])(?="|\{)/g;
cmp_ok scalar(keys %metric), '>=', 30, 'there are metrics';
for my $file ('README.md', 'CHANGES', 'ARCHITECTURE.md', 'doc/ephpm.1',
    'doc/mod_ephpm.7', 'doc/ngx_ephpm.7', glob 'conf/*/*.conf')
{
    my $text = slurp("$top/$file");
    my %seen;
    for my $name (grep { !$seen{$_}++ } $text =~ /\b(ephpm_kv_\w+)/g) {
        next if $metric{$name} && $file eq 'doc/mod_ephpm.7';
        next if $name =~ /^ephpm_kv_(?:zone|resp)/;     # directives of nginx
        like $stub, qr/^function $name\(/m, "$file: $name() exists";
    }
    for my $name (grep { !$seen{$_}++ }
        $text =~ /\b(Ephpm[A-Z]\w+|PHPIniDir|php_(?:admin_)?(?:value|flag))\b/g)
    {
        next if -e "$top/php-adapter/src/$name.php";
        like $sources, qr/"$name"/, "$file: $name is a directive";
    }
}

# nginx's, in its samples and its manual; each with its default and context.
my %nginx = map { $_ => 1 }
    map { slurp($_) =~ /\{ ngx_string\("(\w+)"\),\n +NGX_(?:HTTP|STREAM)_/g }
    glob "$top/ngx_ephpm/*.c";
my $ngx_manual = slurp("$top/doc/ngx_ephpm.7");
for my $file ('README.md', 'doc/ngx_ephpm.7', glob 'conf/nginx/*.conf') {
    my $text = $file eq 'README.md' ? $nginx : slurp("$top/$file");
    my %seen;
    for my $name (grep { !$seen{$_}++ } $text =~ $file =~ /\.7$/
        ? $text =~ /^\.BI? (ephpm\w*|php_\w+)\b(?! \()/mg
        : $text =~ /^\s*(?:#\s+)?(ephpm\w*|php_\w+) [^{=]*;/mg)
    {
        ok $nginx{$name}, "$file: $name is a directive";
    }
}
for my $name (sort keys %nginx) {
    ok $ngx_manual =~ /^\.BI?.*(?:\b|\\fB)$name\b/m,
        "doc/ngx_ephpm.7 has $name";
}
my ($directives) = $ngx_manual =~ /^\.SH DIRECTIVES\n(.*?)^\.SH /ms;
for my $entry (split /^\.TP\n/m, $directives) {
    my ($name) = $entry =~ /^\.BI? "?(ephpm\w*|php_\w+)/ or next;
    like $entry, qr/^(?:No d|D)efault/m, "doc/ngx_ephpm.7: ${name}'s default";
    like $entry, qr/(?:http|location|server)\.$/m, "doc/ngx_ephpm.7: ... and context"
        unless $entry =~ /location, if in location\.$/m;
}
my %variable = map { $_ => 1 } map { slurp($_) =~ /ngx_string\("(ephpm_\w+)"\)/g }
    grep { /variables/ } glob "$top/ngx_ephpm/*.c";
for my $name (sort keys %variable) {
    like $ngx_manual, qr/^\.B \$$name$/m, "doc/ngx_ephpm.7 has \$$name";
}
my $manual = slurp("$top/doc/mod_ephpm.7");
for my $name ($sources =~ /AP_INIT_\w+\("(\w+)"/g) {
    ok $manual =~ /^\.BI.*(?:\b|\\fB)$name\b/m, "doc/mod_ephpm.7 has $name";
}
like $manual, qr/^\.BR? $_\b/m, "doc/mod_ephpm.7 has the metric $_"
    for sort keys %metric;
like $manual, qr/^\.BR? $_\b/m, "doc/mod_ephpm.7 has the key $_"
    for sort keys %key;
my ($section) = ('');
for (split /\n/, slurp("$top/doc/ephpm.1")) {
    $section = $1 if /^\.SS \[([\w.]+)\]/;
    last if /^\.SH EXIT/;
    next unless $section && /^\.BR (\w+) " = /;
    like $keys, qr/\{"$section", "$1"/, "doc/ephpm.1: [$section] $1 is a key";
}

done_testing;
