#!/usr/bin/perl

# The adapter's tests, with the PSR-6 and PSR-16 suites among them, inside web
# requests: on the store of httpd with mod_ephpm, or of nginx with ngx_ephpm
# (suites-nginx.t).

use strict;
use warnings;
use FindBin qw($Bin);
use lib $Bin;
use Test::More;
use Site qw(checkout spew serve_suites request free_port projects report can_load
    slurp together);

if (my $reason = can_load()) {
    BAIL_OUT($reason);
}

my @projects = projects();
my $folder = checkout(@projects);
mkdir "$folder/docroot" or die "$folder/docroot: $!";
spew("$folder/docroot/$_", slurp("$ENV{EPHPM_SRCDIR}/t/symfony/$_"))
    for qw(suite.php full.php);

# Each suite empties its store.
my %ports = map { $_ => free_port() } @projects, 'full';
my $log = serve_suites($folder, <<'END', [$ports{full}, qw(full 4M noeviction)],
zend.assertions = 1
assert.exception = 1
error_reporting = -1
display_errors = 1
html_errors = 0
log_errors = 1
memory_limit = 1G
max_execution_time = 0
END
    map { [$ports{$_}, $_, '32M', 'allkeys-lru'] } @projects);
my $expected = ($ENV{EPHPM_SITE_SERVER} // '') eq 'nginx' ? 'fpm-fcgi'
    : 'apache2handler';

my @answers = together(scalar @projects, sub {
    my $project = $projects[ $_[0] ];
    my $answer = request($ports{$project}, "/suite.php?project=$project");
    my $headers = $answer->{headers};
    return join "\n", $answer->{status},
        (map { $headers->{$_} // '' } qw(x-sapi x-assertions x-phpunit-exit-code)),
        $answer->{content};
});

for my $project (@projects) {
    my ($status, $sapi, $assertions, $code, $xml) = split /\n/, shift @answers, 5;
    is $status, 200, "$project: the request is answered" or diag $xml;
    is $sapi, $expected, "$project: by this server";
    is $assertions, '1', "$project: with assertions";
    is $code, '0', "$project: PHPUnit is content";
    my $psr = report($project, $xml // '');
    cmp_ok $psr, '>=', 316, "$project: both PSR suites ran";
}

# A store that is full and evicts nothing.
for my $project (@projects) {
    my $answer = request($ports{full}, "/full.php?project=$project");
    my @said = split /\n/, $answer->{content};
    is $answer->{status}, 200, "$project: a full store is answered"
        or diag $answer->{content};
    is scalar(@said), 16, '... and all is asked' or diag $answer->{content};
    like $_, qr/: yes\z/, "$project: $_" for @said;
}

unlike slurp($log), qr/PHP (?:Fatal|Parse)|exit signal|\[(?:alert|emerg)\]/,
    'nothing broke';

done_testing;
