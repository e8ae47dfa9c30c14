#!/usr/bin/perl
# `make install` puts everything where README.md says.

use strict;
use warnings;
use File::Find qw(find);
use File::Temp qw(tempdir);
use Test::More;

my $top   = $ENV{EPHPM_SRCDIR}   // '.';
my $build = $ENV{EPHPM_BUILDDIR} // '.';
my $tmp   = tempdir(CLEANUP => 1);

# This runs inside a make, whose own settings are not for the one below.
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES)};
my $said = `make -C '$build' install DESTDIR='$tmp' prefix=/usr/local 2>&1`;
is $?, 0, 'make install' or diag $said;

sub made {
    my ($name) = @_;
    return `make -s -C '$build' -f Makefile -f - show prefix=/usr/local <<'END'
show: ; \@echo '\$($name)'
END
` =~ s/\n\z//r;
}

my $modules    = made('httpdmoddir');
my $nginx_modules = made('ngxmoddir');
my $extensions = made('phpextdir');
my @want = (
    '/usr/local/share/doc/ephpm/ephpm.toml',
    '/usr/local/share/doc/ephpm/httpd/ephpm.conf',
    '/usr/local/share/doc/ephpm/nginx/ephpm.conf',
    '/usr/local/share/ephpm/php-adapter/composer.json',
    '/usr/local/share/ephpm/php-adapter/src/EphpmKvAdapter.php',
    '/usr/local/share/man/man1/ephpm.1',
    '/usr/local/share/man/man7/mod_ephpm.7',
    '/usr/local/share/man/man7/ngx_ephpm.7',
    -e "$build/mod_ephpm/.libs/mod_ephpm.so" ? "$modules/mod_ephpm.so" : (),
    -e "$build/ngx_ephpm/objs/ngx_http_ephpm_module.so"
        ? map("$nginx_modules/ngx_${_}_ephpm_module.so", qw(http stream))
        : (),
    -e "$build/php-embed/.libs/ephpm.so"     ? "$extensions/ephpm.so"  : (),
    -e "$build/cli/ephpm"                    ? '/usr/local/bin/ephpm'  : (),
);
ok -s "$tmp$_", "$_ is installed" for @want;

my %have;
find({ no_chdir => 1,
       wanted => sub { $have{ substr $_, length $tmp } = 1 if -f } }, $tmp);
is scalar(grep { m{/(?:libkvcore|libephpm)} } keys %have), 0,
    'no library of our own is';

SKIP: {
    skip 'configured without the command', 1 unless -e "$build/cli/ephpm";
    is `'$tmp/usr/local/bin/ephpm' --version`, `'$build/cli/ephpm' --version`,
        'the command runs where it is installed';
}

$said = `make -C '$build' uninstall DESTDIR='$tmp' prefix=/usr/local 2>&1`;
is $?, 0, 'make uninstall' or diag $said;
my @left;
find({ no_chdir => 1, wanted => sub { push @left, $_ if -f } }, $tmp);
is "@left", '', 'make uninstall leaves nothing';

done_testing;
