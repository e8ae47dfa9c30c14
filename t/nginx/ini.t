#!/usr/bin/perl
# Settings: php.ini, php_value and its siblings in http, server and location.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use NginxTest;
use Test::More;

my $server = NginxTest->new(
    ini  => "highlight.default = from-php-ini\npost_max_size = 3M\n",
    http => <<'END',
php_value highlight.html from-http;
php_value highlight.keyword from-http;
END
    server => <<'END',
php_value suite.unknown is-ignored;
php_value opcache.memory_consumption 7;
php_admin_value disable_functions strrev;
php_value highlight.keyword from-server;
location /ini/ {
    php_value highlight.comment from-location;
    php_admin_value highlight.string from-admin;
    php_value session.name SUITE;
    php_flag html_errors on;
    php_admin_flag ignore_repeated_errors off;
    location ~ /inner/.*\.php$ {
        php_value highlight.comment from-inner;
        ephpm on;
    }
    location ~ \.php$ { ephpm on; }
}
location /flags/ {
    php_flag zend.exception_ignore_args On;
    php_flag ignore_repeated_errors 1;
    php_flag log_errors Off;
    php_flag report_memleaks 0;
    location ~ \.php$ { ephpm on; }
}
location /open/ {
    php_admin_value open_basedir "%DIR%/htdocs/open:%DIR%/htdocs/allowed";
    location ~ \.php$ { ephpm on; }
}
location ^~ /large/ { php_value post_max_size 20; ephpm on; }
location ^~ /fpm/ {
    php_admin_value highlight.string from-admin;
    ephpm_param PHP_VALUE "highlight.html = from-param
        highlight.comment=\"is $arg_say\"
        highlight.string = from-param";
    ephpm_param PHP_ADMIN_VALUE "highlight.default=from-param";
    ephpm on;
}
END
);
my $show = slurp("$NginxTest::top/t/apache/htdocs/ini/show.php");
$server->page($_, $show) for 'show.php', 'ini/show.php', 'ini/inner/show.php',
    'flags/show.php', 'fpm/show.php';
$server->page('open/read.php',
    slurp("$NginxTest::top/t/apache/htdocs/open/read.php"));
$server->page('allowed/file.txt',
    slurp("$NginxTest::top/t/apache/htdocs/allowed/file.txt"));
$server->page('hello.txt', 'hello');
$server->page('large/post.php', '<?php echo count($_POST);');
$server->page('basedir.php', '<?php var_export(ini_get("open_basedir"));');
ok $server->start, 'a server starts' or diag $server->said;

sub ini {
    my ($path, $names, $set) = @_;
    my $answer = get("$path?names=$names" . ($set ? "&set=$set" : ''));
    return eval { decode_json($answer->{body}) }
        // { error => "$answer->{status} $answer->{body}" };
}

my $all = 'highlight.default,highlight.html,highlight.keyword,'
    . 'highlight.comment,highlight.string,html_errors,session.name,'
    . 'ignore_repeated_errors';
my $got = ini('/ini/show.php', $all,
    'highlight.comment,highlight.string,highlight.default,highlight.keyword');
is $got->{'highlight.default'}, 'from-php-ini', 'ephpm_php_ini: php.ini is read'
    or diag explain $got;
is $got->{'highlight.html'}, 'from-http', 'php_value of http';
is $got->{'highlight.keyword'}, 'from-server', '... which a server changes';
is $got->{'highlight.comment'}, 'from-location', '... and of a location';
is $got->{'highlight.string'}, 'from-admin', 'php_admin_value';
is $got->{'html_errors'}, '1', 'php_flag on';
is $got->{'ignore_repeated_errors'}, '0', 'php_admin_flag off';
is $got->{'session.name'}, 'SUITE', "a setting of an extension's";
ok $got->{'highlight.comment set'}, 'a script can change a php_value';
ok $got->{'highlight.keyword set'}, '... of any level';
ok !$got->{'highlight.string set'}, '... but no php_admin_value';
ok $got->{'highlight.default set'}, '... and what php.ini says';
$got = ini('/ini/inner/show.php', $all, 'highlight.string');
is $got->{'highlight.comment'}, 'from-inner', 'an inner location wins';
is $got->{'highlight.string'}, 'from-admin', '... and has the rest';
ok !$got->{'highlight.string set'}, '... locked as it was';

my @changed = grep { ini('/ini/show.php', $all)->{'highlight.comment'}
    ne 'from-location' } 1 .. 12;
is "@changed", '', 'what a script changed is back at the next request';
$got = ini('/show.php', $all, 'highlight.string');
isnt $got->{'highlight.string'}, 'from-admin',
    "a location's settings are no other's";
ok $got->{'highlight.string set'}, '... and are not locked elsewhere';

$got = ini('/flags/show.php', 'zend.exception_ignore_args,'
    . 'ignore_repeated_errors,log_errors,report_memleaks');
is join('', @$got{qw(zend.exception_ignore_args ignore_repeated_errors
    log_errors report_memleaks)}), '1100', 'On, 1, Off and 0';
is get('/open/read.php')->{body}, 'allowed|refused|kept',
    'php_admin_value open_basedir';
is get('/basedir.php')->{body}, "''", 'and the next request has none';
is get('/large/post.php', body => 'a=1', headers =>
    [ 'Content-Type' => 'application/x-www-form-urlencoded' ])->{body}, 1,
    'what counts before the script begins: a form under post_max_size';
is get('/large/post.php', body => 'a=1&' . 'x' x 30, headers =>
    [ 'Content-Type' => 'application/x-www-form-urlencoded' ])->{body} =~
    /0\z/, 1, '... and over it';

# --- php-fpm's way to say it

$got = ini('/fpm/show.php', $all, 'highlight.html,highlight.default&say=x');
is $got->{'highlight.html'}, 'from-param', 'ephpm_param PHP_VALUE'
    or diag explain $got;
ok $got->{'highlight.html set'}, '... a script may change it';
is $got->{'highlight.comment'}, 'is x', '... quoted, with a variable';
is $got->{'highlight.string'}, 'from-admin', '... not over an admin value';
is $got->{'highlight.default'}, 'from-param', 'PHP_ADMIN_VALUE';
ok !$got->{'highlight.default set'}, '... it may not';

# --- what PHP will not take is in the log, once

like $server->since(0, qr/suite\.unknown/),
    qr/suite\.unknown\b.*ignored.*no such setting/,
    'a setting that PHP does not know is named in the log';
my $times = () = $server->logged =~ /suite\.unknown/g;
cmp_ok $times, '<=', 2, '... not at each request';
like $server->logged, qr/opcache\.memory_consumption\b.*ignored/,
    "... and one that is php.ini's alone";
like $server->logged,
    qr/disable_functions\b.*ignored: PHP obeys it in php\.ini alone/,
    '... and one that would only seem to be obeyed';

# --- a change, and a reload

$server->ini("highlight.default = from-changed-ini\n");
is ini('/ini/show.php', $all)->{'highlight.default'}, 'from-php-ini',
    'a change of php.ini waits for a reload';
ok $server->reload, 'a reload';
ok wait_until(sub {
    ini('/ini/show.php', $all)->{'highlight.default'} eq 'from-changed-ini';
}), '... which reads it';

$server->ends_well;
done_testing;
