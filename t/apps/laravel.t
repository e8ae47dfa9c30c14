#!/usr/bin/perl

# php-adapter/laravel on Debian's package of Laravel's cache, in requests to
# httpd with mod_ephpm.

use strict;
use warnings;
use FindBin qw($Bin);
use Test::More;

BEGIN {
    for my $module (qw(LWP::UserAgent HTML::Form)) {
        eval "require $module; 1"
            or plan skip_all => "$module is missing: "
            . 'apt-get install libwww-perl libhtml-form-perl';
    }
}
use lib $Bin;
use Apps qw(absent folder copy_code serve stop browser page log_is_clean $port);
use Site qw(slurp spew);

my $reason = absent('php-illuminate-cache' =>
    '/usr/share/php/Illuminate/Cache/autoload.php');
plan skip_all => $reason if $reason;

my $source = $ENV{EPHPM_SRCDIR} // die "EPHPM_SRCDIR is not set: run make check\n";
my $root = copy_code("$source/t/apps", 'laravel', 'laravel.php');
mkdir "$root/php-adapter" or die "$root/php-adapter: $!";
Apps::must('cp', '-R', (map { "$source/php-adapter/$_" } qw(laravel src)),
    "$root/php-adapter");
Apps::must('chmod', '-R', 'u+w,a+rX', $root);
serve($root);
my $browser = browser();
for my $path ('/laravel.php', '/laravel.php?step=second') {
    my @lines = split /\n/, page($browser, $path, 200, qr/^ok /, $path)->content;
    for my $line (@lines) {
        my ($not, $what) = $line =~ /^(not )?ok - (.*)/;
        ok defined $what && !$not, $what // "no TAP: $line";
    }
    cmp_ok scalar(@lines), '>=', 3, '... to the end';
}
stop();
log_is_clean();
done_testing;
