# Settings: php.ini, php_value and its siblings, .htaccess.

use strict;
use warnings;
use EphpmTest;
use JSON::PP qw(decode_json);
use Test::More;

sub ini {
    my ($path, $names, $set, %r) = @_;
    my $answer = get("$path?names=$names" . ($set ? "&set=$set" : ''), %r);
    return { status => $answer->{status} } if $answer->{status} != 200;
    return decode_json($answer->{body});
}

my $all = 'highlight.default,highlight.html,highlight.comment,'
    . 'highlight.string,html_errors,session.name,display_startup_errors';
my $got = ini('/ini/show.php', $all,
    'highlight.html,highlight.string,highlight.default');
is $got->{'highlight.default'}, 'from-php-ini', 'PHPIniDir: php.ini is read';
is $got->{'highlight.html'}, 'from-directory', 'php_value';
is $got->{'highlight.string'}, 'from-admin', 'php_admin_value';
is $got->{'html_errors'}, '1', 'php_flag on';
is $got->{'display_startup_errors'}, '0', 'php_admin_flag off';
is $got->{'session.name'}, 'SUITE', "a setting of an extension's";
ok $got->{'highlight.html set'}, 'a script can change a php_value';
ok !$got->{'highlight.string set'}, '... but no php_admin_value';
ok $got->{'highlight.default set'}, '... and what php.ini says';

for (1 .. 12) {
    $got = ini('/ini/show.php', $all);
    last if $got->{'highlight.html'} ne 'from-directory';
}
is $got->{'highlight.html'}, 'from-directory',
    'what a script changed is back at the next request';
is php('echo ini_get("highlight.string");')->{body} eq 'from-admin', '',
    "a directory's settings are no other's";
is php('echo var_export(ini_set("highlight.string", "x") !== false, true);')
    ->{body}, 'true', '... and are not locked elsewhere';
is php('echo var_export(ini_get("suite.unknown"), true);')->{body}, 'false',
    'a setting that PHP does not know is ignored';
like slurp(error_log()), qr{/suite\.conf:\d+: suite\.unknown = 'is-ignored' is ignored: this PHP has no such setting},
    '... and the log names it and its line when the server starts';

$got = ini('/ini/sub/show.php', "$all,session.use_cookies");
is $got->{'highlight.html'}, 'from-htaccess', '.htaccess: php_value';
is $got->{'html_errors'}, '0', '.htaccess: php_flag';
is $got->{'highlight.comment'}, 'from-directory', '... beside the directory';
is $got->{'highlight.string'}, 'from-admin', '... but not over the admin';
is $got->{'session.use_cookies'}, '0',
    '.htaccess: a flag that is neither On nor Off is Off, as under mod_php';
like slurp(error_log()), qr/session\.use_cookies: 'true' is neither On nor Off/,
    '... and the log says so';
is ini('/ini/none/show.php', $all)->{'highlight.html'}, 'from-directory',
    'AllowOverride None: .htaccess is not read';
is ini('/ini/fileinfo/show.php', $all)->{status}, 500,
    'AllowOverride FileInfo: php_value is not allowed';
is ini('/ini/admin/show.php', $all)->{status}, 500,
    'php_admin_value is not allowed in .htaccess';

$got = ini('/ini/flags/show.php', 'zend.exception_ignore_args,'
    . 'display_errors,log_errors,ignore_repeated_errors');
is join('', @$got{qw(zend.exception_ignore_args display_errors log_errors
    ignore_repeated_errors)}), '1100', 'On, 1, Off and 0';

is get('/open/read.php')->{body}, 'allowed|refused|kept',
    'php_admin_value open_basedir';
is get('/open/wider/read.php')->{body}, 'allowed|refused|kept',
    '.htaccess cannot widen it';
is get('/wide/show.php')->{body}, '/var/tmp|kept',
    '.htaccess can narrow it where there is none';
is php('echo var_export(ini_get("open_basedir"), true);')->{body}, "''",
    'and the next request has none';

# The engine.
like get('/off/page.php')->{body}, qr/<\?php/, 'php_flag engine off: no PHP';
is get('/hello.php')->{body}, 'hello', '... there alone';

done_testing;
