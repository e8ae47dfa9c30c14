#!/usr/bin/perl
# .user.ini files, and the sections of php.ini for a directory or a host, as
# php-fpm reads them.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;

my $server = NginxTest->new(
    processes => 1,
    server => <<'END',
php_value highlight.keyword from-server;
php_admin_value highlight.default from-admin;
location /off/ { ephpm_user_ini off; location ~ \.php$ { ephpm on; } }
location /outside/ {
    root %DIR%;
    location ~ \.php$ {
        ephpm on;
        ephpm_param DOCUMENT_ROOT %DIR%/htdocs;
    }
}
location /released/ {
    root %DIR%/current;
    location ~ \.php$ {
        ephpm on;
        ephpm_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;
        ephpm_param DOCUMENT_ROOT $realpath_root;
    }
}
END
    servers => <<'END',
server {
    listen 127.0.0.1:%PORT%;
    server_name Named.test;
    root %DIR%/htdocs;
    location ~ \.php$ { ephpm on; }
}
END
);
my $root = $server->{root};

sub php_ini {
    my (%o) = @_;
    my $ttl = $o{ttl} // 0;
    $server->ini(<<"END");
highlight.string = from-php-ini
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

my $show = '<?php foreach (["string", "comment", "keyword", "default", '
    . '"html"] as $n) { echo $n, "=", ini_get("highlight.$n"), " "; } '
    . 'echo ini_get("session.name"), var_export(ini_set("highlight.string", '
    . '"x") !== false, true), var_export(ini_set("highlight.comment", "x") '
    . '!== false, true), ini_get("post_max_size");';
$server->page("$_/page.php", $show) for '.', 'a', 'a/b', 'a/b/c', 'section',
    'section/inner', 'off';
mkdir "$server->{dir}/outside";
spew("$server->{dir}/outside/page.php", $show);
spew("$server->{dir}/.user.ini", "highlight.html = above-the-root\n");
spew("$root/.user.ini", "highlight.comment = from-root\n"
    . "highlight.keyword = from-user-ini\nhighlight.default = not-admin\n");
spew("$root/a/.user.ini", "highlight.comment = \"from;a\"\n"
    . "post_max_size = 1K\n");
spew("$root/a/b/.user.ini", "; empty\n");
spew("$root/a/b/c/.user.ini", "highlight.comment = from-c\n"
    . "[PATH=$root]\nhighlight.string = never\n");

sub page {
    my ($path, %r) = @_;
    my $r = get("$path/page.php", %r);
    my %got = $r->{body} =~ /(\w+)=(\S*) /g;
    $got{rest} = $r->{body} =~ / (\S+)$/ ? $1 : $r->{body};
    return \%got;
}

php_ini();
ok $server->start, 'a server starts' or diag $server->said;
my $got = page('');
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
isnt page('/off')->{comment}, 'from-root', 'ephpm_user_ini off';
like get('/a/page.php', body => 'x=' . 'y' x 2000, headers =>
    [ 'Content-Type' => 'application/x-www-form-urlencoded' ])->{body},
    qr/1K$/, 'a form over its post_max_size';
like $server->since(0, qr/exceeds the limit of 1024 bytes/),
    qr/exceeds the limit of 1024 bytes/, '... is refused as it says';

isnt page('/outside')->{html}, 'above-the-root',
    "ephpm_param DOCUMENT_ROOT: not nginx's root, but this";
mkdir "$server->{dir}/$_" for qw(release release/released);
symlink 'release', "$server->{dir}/current" or die "symlink: $!";
spew("$server->{dir}/release/.user.ini", "highlight.comment = released\n");
spew("$server->{dir}/release/released/page.php", $show);
is page('/released')->{comment}, 'released',
    '... as releases have it that a symbolic link names';

# --- sections

$got = page('/section');
is $got->{string}, 'from-path', '[PATH=]';
like $got->{rest}, qr/^PATHSfalsetrue/, '... which scripts cannot change';
$got = page('/section/inner');
is $got->{string}, 'from-inner-path', '... of the inner directory first';
like $got->{rest}, qr/^PATHS/, '... with the rest of the outer';
is page('', host => 'named.test')->{html}, 'from-host', '[HOST=]';
isnt page('', host => 'localhost')->{html}, 'from-host', '... of it alone';
is page('')->{string}, 'from-php-ini', 'elsewhere php.ini as it is';

# --- what is wrong

my $offset = $server->offset;
spew("$root/a/b/.user.ini", "no.such_setting = 1\nallow_url_include = 1\n"
    . "highlight.html = taken\n");
is page('/a/b')->{html}, 'taken', 'beside what is refused, the rest holds';
my $log = $server->since($offset, qr/allow_url_include/);
like $log, qr{\.user\.ini for \S+/a/b/page\.php: no\.such_setting = '1' is ignored: this PHP has no such setting},
    'the log names a setting that is none';
like $log, qr/allow_url_include = '1' is ignored: it is the administrator's: set it with php_admin_value or in php\.ini/,
    "... and one that is the administrator's";
page('/a/b') for 1 .. 3;
my $times = () = substr($server->logged, $offset) =~ /no\.such_setting/g;
is $times, 1, '... once';

# --- how often the files are looked at

unlink "$root/a/b/.user.ini";
is page('/a/b')->{html} eq 'taken', '', 'user_ini.cache_ttl = 0: a file that '
    . 'goes is gone';
php_ini(ttl => 3600);
ok $server->reload, 'user_ini.cache_ttl = 3600';
ok wait_until(sub { page('')->{comment} eq 'from-root' }), '... read once';
spew("$root/.user.ini", "highlight.comment = changed\n");
my $was = page('')->{comment};
ok $was eq 'from-root' || $was eq 'changed', '... and remembered';
is page('')->{comment}, $was, '... for as long';
php_ini(more => 'user_ini.filename = "other.ini"');
spew("$root/other.ini", "highlight.comment = from-other\n");
ok $server->reload, 'another user_ini.filename';
ok wait_until(sub { page('')->{comment} eq 'from-other' }), '... is read';
php_ini(more => 'user_ini.filename =');
ok $server->reload, 'no user_ini.filename';
ok wait_until(sub { page('')->{comment} !~ /changed|from-/ }),
    '... nothing is read';

$server->ends_well;
done_testing;
