#!/usr/bin/perl

# The adapter's tests, with the PSR-6 and PSR-16 suites among them, inside web
# requests: on the store of httpd with mod_ephpm.

use strict;
use warnings;
use FindBin qw($Bin);
use lib $Bin;
use Test::More;
use Site qw(checkout spew start request free_port projects report can_load
    slurp together);

if (my $reason = can_load()) {
    BAIL_OUT($reason);
}

my @projects = projects();
my $folder = checkout(@projects);
mkdir "$folder/$_" or die "$folder/$_: $!" for qw(docroot php);
spew("$folder/docroot/suite.php", slurp("$ENV{EPHPM_SRCDIR}/t/symfony/suite.php"));
spew("$folder/php/php.ini", <<'END');
zend.assertions = 1
assert.exception = 1
error_reporting = -1
display_errors = 1
html_errors = 0
log_errors = 1
memory_limit = 1G
max_execution_time = 0
END

# Each empties its store, so each has one of its own.
my $port = free_port();
my %ports = map { $_ => free_port() } @projects;
start($folder, $port, join '', <<"END", map { <<"END" } @projects);
PHPIniDir "$folder/php"
DocumentRoot "$folder/docroot"
END
EphpmStore $_ 32M
Listen 127.0.0.1:$ports{$_}
<VirtualHost 127.0.0.1:$ports{$_}>
    DocumentRoot "$folder/docroot"
    EphpmKv $_
</VirtualHost>
END

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
    is $sapi, 'apache2handler', "$project: by httpd";
    is $assertions, '1', "$project: with assertions";
    is $code, '0', "$project: PHPUnit is content";
    my $psr = report($project, $xml // '');
    cmp_ok $psr, '>=', 316, "$project: both PSR suites ran";
}

unlike slurp("$folder/error-$port.log"), qr/PHP (?:Fatal|Parse)|exit signal/,
    'nothing broke';

done_testing;
