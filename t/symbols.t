#!/usr/bin/perl
# Each module exports what its host looks for, asks ld.so for the right libphp, and needs
# nothing that its host, PHP or the C library does not have.

use strict;
use warnings;
use Test::More;

my $build = $ENV{EPHPM_BUILDDIR} // '.';

# nginx's stream, where it is a module.
sub nginx_stream {
    my ($folder) = ($ENV{NGINX_PROGRAM} ? `'$ENV{NGINX_PROGRAM}' -V 2>&1` : '')
        =~ /--modules-path=(\S+)/ or return;
    return grep { -e } "$folder/ngx_stream_module.so";
}

my @modules = (
    {
        file    => "$build/mod_ephpm/.libs/mod_ephpm.so",
        exports => 'ephpm_module',
        hosts   => [ grep { $_ } $ENV{HTTPD}, $ENV{LIBPHP} ],
        needed  => $ENV{LIBPHP_NEEDED},
        option  => '--without-apache',
    },
    {
        file    => "$build/ngx_ephpm/objs/ngx_http_ephpm_module.so",
        exports => 'ngx_module_names ngx_module_order ngx_modules',
        hosts   => [ grep { $_ } $ENV{NGINX_PROGRAM}, $ENV{LIBPHP} ],
        needed  => $ENV{LIBPHP_NEEDED},
        option  => '--without-nginx',
    },
    {
        file    => "$build/ngx_ephpm/objs/ngx_stream_ephpm_module.so",
        exports => 'ngx_module_names ngx_module_order ngx_modules',
        hosts   => [ grep { $_ } $ENV{NGINX_PROGRAM}, nginx_stream() ],
        option  => '--without-nginx',
    },
    {
        file    => "$build/php-embed/.libs/ephpm.so",
        exports => 'get_module',
        hosts   => [ grep { $_ } $ENV{PHP} ],
        option  => '--without-php',
    },
);

sub symbols {
    my ($file, @options) = @_;
    open my $nm, '-|', 'nm', '-D', @options, '--', $file or die "nm: $!";
    my %found;
    while (my $line = <$nm>) {
        next unless $line =~ /(?:^|\s)([A-Za-z])\s+(\S+)$/;
        my ($type, $name) = ($1, $2);
        next if $type =~ /[wv]/ && "@options" =~ /undefined/;
        $name =~ s/@.*//;
        $found{$name} = 1;
    }
    close $nm or die "nm $file failed";
    return \%found;
}

# The libraries that ld.so would load for $file.
sub libraries {
    my ($file) = @_;
    my @found;
    open my $ldd, '-|', 'ldd', $file or die "ldd: $!";
    while (my $line = <$ldd>) {
        push @found, $1 if $line =~ m{(?:=>\s*|^\s*)(/\S+)};
    }
    close $ldd;
    return @found;
}

for my $module (@modules) {
    my $file = $module->{file};
    my ($name) = $file =~ m{([^/]+)$};
    SKIP: {
        skip "$name: configured $module->{option}", 1 unless -e $file;

        is join(' ', sort keys %{ symbols($file, '--defined-only') }),
            $module->{exports}, "$name exports its module and nothing else";

        if ($module->{needed}) {
            my $said = `readelf -d '$file'`;
            my @php = grep { /libphp/ } $said =~ /NEEDED.*\[(.*?)\]/g;
            is "@php", $module->{needed},
                "$name asks for the versioned libphp alone";
        }

        my %have;
        for my $source (map { ($_, libraries($_)) } $file,
            @{ $module->{hosts} })
        {
            next if $source eq $file;
            my $symbols = symbols($source, '--defined-only');
            @have{ keys %$symbols } = values %$symbols;
        }
        my @lost = grep { !$have{$_} }
            sort keys %{ symbols($file, '--undefined-only') };
        is "@lost", '', "$name: its host has every symbol it needs";
    }
}

done_testing;
