# EphpmUserIni: .user.ini files, and the sections of php.ini for a directory
# or a host; off unless asked for, as under mod_php.

use strict;
use warnings;
use EphpmTest;
use OwnServer;
use Test::More;

my $server = OwnServer->new;
my $root = "$server->{dir}/htdocs";
my $ini = "$server->{dir}/php.ini";

sub php_ini {
    my (%o) = @_;
    my $ttl = $o{ttl} // 0;
    spew($ini, <<"END");
highlight.string = from-php-ini
log_errors = On
user_ini.cache_ttl = $ttl
@{[ $o{more} // '' ]}
[PATH=$root/section]
highlight.string = from-path
session.name = PATHS
[PATH=$root/section/inner]
highlight.string = from-inner-path
[HOST=named.test]
highlight.html = from-host
END
}

sub config {
    my ($user_ini, $more) = @_;
    return <<"END" . ($more // '');
LoadModule alias_module $ENV{HTTPD_MODULES_DIR}/mod_alias.so
PHPIniDir $ini
$user_ini
StartServers 1
MinSpareServers 1
MaxSpareServers 1
# Else a slow child has another beside it, which would also log.
<IfModule mpm_prefork_module>
    MaxRequestWorkers 1
</IfModule>
Alias /outside "$server->{dir}/outside"
<FilesMatch "\\.php\$">
    SetHandler application/x-httpd-php
</FilesMatch>
<Directory />
    Require all granted
    AllowOverride Options
</Directory>
php_value highlight.keyword from-server
php_admin_value highlight.default from-admin
<VirtualHost *:$server->{port}>
    ServerName first.test
</VirtualHost>
<VirtualHost *:$server->{port}>
    ServerName Named.test
</VirtualHost>
END
}

my $show = '<?php foreach (["string", "comment", "keyword", "default", '
    . '"html"] as $n) { echo $n, "=", ini_get("highlight.$n"), " "; } '
    . 'echo ini_get("session.name"), var_export(ini_set("highlight.string", '
    . '"x") !== false, true), var_export(ini_set("highlight.comment", "x") '
    . '!== false, true), ini_get("post_max_size");';
mkdir "$_" for "$server->{dir}/outside", map { "$root/$_" } qw(a a/b a/b/c
    section section/inner off ab);
spew("$_/page.php", $show) for $root, "$server->{dir}/outside",
    map { "$root/$_" } qw(a a/b a/b/c section section/inner off ab);
spew("$server->{dir}/.user.ini", "highlight.html = above-the-root\n");
spew("$server->{dir}/outside/.user.ini", "highlight.comment = outside\n");
spew("$root/.user.ini", "highlight.comment = from-root\n"
    . "highlight.keyword = from-user-ini\nhighlight.default = not-admin\n");
spew("$root/a/.user.ini", "highlight.comment = \"from;a\"\n"
    . "post_max_size = 1K\n");
spew("$root/a/b/.user.ini", "; empty\n");
spew("$root/a/b/c/.user.ini", "highlight.comment = from-c\n"
    . "[PATH=$root]\nhighlight.string = never\n");
spew("$root/ab/.htaccess", "php_value highlight.comment from-htaccess\n"
    . "php_value highlight.html from-htaccess\n");
spew("$root/ab/.user.ini", "highlight.comment = from-user-ini\n");

sub page {
    my ($path, %r) = @_;
    my $r = $server->get("$path/page.php", %r);
    my %got = $r->{body} =~ /(\w+)=(\S*) /g;
    $got{rest} = $r->{body} =~ / (\S+)$/ ? $1 : $r->{body};
    return \%got;
}

# Off.
php_ini();
$server->configure(config(''));
ok $server->start, 'a server starts' or diag $server->said . $server->logged;
my $got = page('/a');
isnt $got->{comment}, 'from;a', 'off by default: .user.ini is not read';
is page('/section')->{string}, 'from-php-ini', '... nor [PATH=]';
isnt page('', host => 'named.test')->{html}, 'from-host', '... nor [HOST=]';

# On.
$server->configure(config('EphpmUserIni On',
    "<Directory $root/off>\nEphpmUserIni Off\n</Directory>\n"));
ok $server->graceful, 'EphpmUserIni On';
$got = page('');
is $got->{comment}, 'from-root', '.user.ini of the document root';
is $got->{keyword}, 'from-user-ini', '... wins over php_value';
is $got->{default}, 'from-admin', '... but not over php_admin_value';
isnt $got->{html}, 'above-the-root', '... and nothing above is read';
$got = page('/a');
is $got->{comment}, 'from;a', 'the inner directory wins over the outer';
is $got->{keyword}, 'from-user-ini', '... beside it';
like $got->{rest}, qr/truetrue1K$/, '... and a script can change it';
is page('/a/b')->{comment}, 'from;a', 'an empty file changes nothing';
$got = page('/a/b/c');
is $got->{comment}, 'from-c', 'three directories deep';
is $got->{string}, 'from-php-ini', '... where sections are not obeyed';
is page('')->{comment}, 'from-root', 'and the next request has its own';
is page('/outside')->{comment}, 'outside',
    "outside of the document root: the script's own directory";
$got = page('/ab');
is $got->{comment}, 'from-user-ini', '.user.ini wins over .htaccess';
is $got->{html}, 'from-htaccess', '... beside it';
isnt page('/off')->{comment}, 'from-root', 'Off for a directory';
like $server->get('/a/page.php', body => 'x=' . 'y' x 2000, headers =>
    [ 'Content-Type' => 'application/x-www-form-urlencoded' ])->{body},
    qr/1K$/, 'a form over its post_max_size';
like log_since(0, qr/exceeds the limit of 1024 bytes/, $server->{log}),
    qr/exceeds the limit of 1024 bytes/, '... is refused as it says';

# Sections.
$got = page('/section');
is $got->{string}, 'from-path', '[PATH=]';
like $got->{rest}, qr/^PATHSfalsetrue/, '... which scripts cannot change';
$got = page('/section/inner');
is $got->{string}, 'from-inner-path', '... of the inner directory first';
like $got->{rest}, qr/^PATHS/, '... with the rest of the outer';
is page('', host => 'named.test')->{html}, 'from-host', '[HOST=]';
isnt page('', host => 'first.test')->{html}, 'from-host', '... of it alone';
is page('')->{string}, 'from-php-ini', 'elsewhere php.ini as it is';

# virtual(): the inner script's directory, and back.
if (!threaded()) {
    spew("$root/outer.php", '<?php virtual("/a/page.php"); echo "|", '
        . 'ini_get("highlight.comment");');
    like $server->get('/outer.php')->{body}, qr/comment=from;a .*\|from-root$/,
        'virtual(): each script has the settings of its directory';
}

# What is wrong.
my $offset = -s $server->{log};
spew("$root/a/b/.user.ini", "no.such_setting = 1\nallow_url_include = 1\n"
    . "highlight.html = taken\n");
is page('/a/b')->{html}, 'taken', 'beside what is refused, the rest holds';
my $log = log_since($offset, qr/allow_url_include/, $server->{log});
like $log, qr{\.user\.ini for \S+/a/b/page\.php: no\.such_setting = '1' is ignored: this PHP has no such setting},
    'the log names a setting that is none';
like $log, qr/allow_url_include = '1' is ignored: it is the administrator's: set it with php_admin_value or in php\.ini/,
    "... and one that is the administrator's";
page('/a/b') for 1 .. 3;
my $times = () = substr(slurp($server->{log}), $offset) =~ /no\.such_setting/g;
is $times, 1, '... once';
spew("$root/a/b/.user.ini", "highlight.html = before\nbroken = (\n"
    . "highlight.html = after\n");
$offset = -s $server->{log};
page('/a/b');
like log_since($offset, qr/cannot be read as a whole/, $server->{log}),
    qr{a/b/\.user\.ini cannot be read as a whole},
    'the log names a file with a fault in it';
like slurp($server->{log}) . $server->said,
    qr{syntax error.*a/b/\.user\.ini on line \d}, '... and a line';

# How often the files are looked at.
unlink "$root/a/b/.user.ini";
is page('/a/b')->{html} eq 'before', '', 'user_ini.cache_ttl = 0: a file that '
    . 'goes is gone';
php_ini(ttl => 3600);
ok $server->graceful, 'user_ini.cache_ttl = 3600';
# One after the other in one child.
my $socket = connect_to($server->{port});
my $ask = sub {
    send_request($socket, path => '/page.php', keep => 1);
    return read_response($socket)->{body} =~ /comment=(\S*)/ ? $1 : '';
};
is $ask->(), 'from-root', '... read once';
spew("$root/.user.ini", "highlight.comment = changed\n");
is $ask->(), 'from-root', '... and remembered';
close $socket;
php_ini(more => 'user_ini.filename = "other.ini"');
spew("$root/other.ini", "highlight.comment = from-other\n");
ok $server->graceful, 'another user_ini.filename';
is page('')->{comment}, 'from-other', '... is read';
php_ini(more => 'user_ini.filename =');
ok $server->graceful, 'no user_ini.filename';
unlike page('')->{comment}, qr/changed|from-/, '... nothing is read';
ok $server->stop, 'the server stops';

# Wrong.
for my $wrong ('EphpmUserIni maybe', 'EphpmUserIni') {
    $server->configure(config($wrong));
    my ($status, $said) = $server->check;
    isnt $status, 0, "$wrong: refused";
    like $said, qr/EphpmUserIni must be On or Off/, '... with a sentence';
}

done_testing;
