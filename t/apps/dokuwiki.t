#!/usr/bin/perl

# DokuWiki, which keeps its pages in files: installed, edited and looked at
# through its own pages.

use strict;
use warnings;
use utf8;
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
use Apps qw(absent folder give_away copy_code serve stop browser page has
    lacks form submit log_is_clean $port);
use Site qw(slurp spew);

my $reason = absent(dokuwiki => '/usr/share/dokuwiki/doku.php');
plan skip_all => $reason if defined $reason;

# Debian's preload.php leads to /etc and /var; without it everything is where
# DokuWiki itself has it.
my $root = copy_code('/usr/share/dokuwiki', 'dokuwiki');
unlink "$root/inc/preload.php" or die "preload.php: $!";
copy_code('/etc/dokuwiki', 'dokuwiki/conf');
unlink map { "$root/conf/$_" } qw(local.php acl.auth.php users.auth.php);
copy_code('/var/lib/dokuwiki/data', 'dokuwiki/data');
my $defaults = slurp("$root/conf/dokuwiki.php");
$defaults =~ s{'/var/lib/dokuwiki/data'}{'./data'}
    or die "$root/conf/dokuwiki.php has changed\n";
spew("$root/conf/dokuwiki.php", $defaults);
# .htaccess as DokuWiki brings it, with its rules for URLs switched on.
my $rules = slurp("$root/.htaccess.dist");
my $switched = $rules
    =~ s/^#(?=Rewrite(?:Engine|Cond %\{REQUEST|Rule \^?[_$(i]))//gm;
die "$root/.htaccess.dist has changed\n" if $switched != 9;
spew("$root/.htaccess", $rules);
give_away("$root/$_") for qw(conf data lib/plugins);

serve($root);
my $admin = browser();

my $install = page($admin, '/install.php', 200, qr/DokuWiki Installer/,
    'the installer');
my %answers = ('d[title]' => 'Wiki of tests', 'd[superuser]' => 'root',
    'd[fullname]' => 'The Administrator', 'd[email]' => 'root@example.org',
    'd[password]' => 'correct horse', 'd[confirm]' => 'another');
my $asked = submit($admin, form($install, keys %answers), \%answers, 'submit',
    200, qr/class="error"|illegal or empty/,
    '... refuses two different passwords');
$answers{'d[confirm]'} = $answers{'d[password]'};
submit($admin, form($asked, keys %answers),
    { %answers, 'd[policy]' => '0', 'd[pop]' => undef }, 'submit', 200,
    qr/configuration was finished successfully/, '... installs');
ok -s "$root/conf/$_", "... and writes conf/$_"
    for qw(local.php acl.auth.php users.auth.php);
spew("$root/conf/local.protected.php", 
    "<?php\n\$conf['userewrite'] = 1;\n\$conf['send404'] = 1;\n");

my $text = 'Umlaut ä, <b>no HTML</b>, **bold** and ' . 'x' x 5000;
my $edit = page($admin, '/tests:first?do=edit', 200, qr/name="wikitext"/,
    'everybody may edit in an open wiki');
submit($admin, form($edit, 'wikitext', 'sectok'),
    { wikitext => "====== First ======\n$text\n", summary => 'begun' },
    'do[save]', 200, qr{<h1[^>]*>First</h1>}, '... and save');

my $stranger = browser();
my $shown = page($stranger, '/tests:first', 200,
    qr{<strong>bold</strong> and x{5000}}, 'others see the edit');
has $shown, qr{Umlaut ä, &lt;b&gt;no <abbr[^>]*>HTML</abbr>&lt;/b&gt;},
    '... with its characters';
like slurp("$root/data/pages/tests/first.txt"), qr/^====== First ======$/m,
    'the page is a file';

my $login = page($stranger, '/start?do=login', 200, qr/name="p"/, 'the login');
my $refused = submit($stranger, form($login, 'u', 'p'),
    { u => 'root', p => 'wrong horse' }, undef, 403,
    qr/username or password was wrong/, '... refuses a wrong password');
lacks $refused, qr/Logged in as/, '... and does not log in';
lacks page($stranger, '/start?do=admin', 200, qr/do=login/, '... nor'),
    qr/Configuration Settings/, '... show administration';
submit($stranger, form($refused, 'u', 'p'),
    { u => 'root', p => 'correct horse' }, undef, 404,
    qr/Logged in as:.*The Administrator/s, '... accepts the right one');
page($stranger, '/start?do=admin', 200, qr/Configuration Settings/,
    'the administrator sees administration');

# A file, by a form of several parts.
my $media = page($stranger, '/lib/exe/mediamanager.php?ns=tests', 200,
    qr/type="file"/, 'the media manager');
my $upload = form($media, 'upload', 'mediaid');
my $png = slurp("$root/lib/images/blank.gif");
$upload->find_input('upload')->content($png);
$upload->find_input('upload')->filename('dot.gif');
submit($stranger, $upload, { mediaid => 'dot.gif' }, undef, 200,
    qr/Upload successful/, '... takes a file');
my $fetched = page($admin, '/_media/tests:dot.gif', 200, qr/^GIF8/,
    '... which comes back');
is $fetched->content, $png, '... as it was';
is $fetched->header('Content-Type'), 'image/gif', '... with its type';

# DokuWiki makes it anew for as long as what it kept is of the second in which
# the settings have changed.
sleep 2;
my $css;
$css = page($admin, '/lib/exe/css.php?t=dokuwiki', 200, qr/\{/, $_)
    for 'the style sheet that PHP puts together', '... and keeps';
like $css->header('Content-Type'), qr{^text/css}, '... with its type';
is $admin->get("http://127.0.0.1:$port/lib/exe/css.php?t=dokuwiki",
    'If-None-Match' => $css->header('ETag'))->code, 304,
    '... is not sent twice';
page($admin, '/lib/images/blank.gif', 200, qr/^GIF8/, 'a static file');
page($admin, '/conf/local.php', 403, qr/Forbidden/, 'conf/ is closed');
page($admin, '/data/pages/tests/first.txt', 403, qr/Forbidden/,
    'data/ is closed');
page($admin, '/no:such:page', 404, qr/does not exist/, 'no such page');
page($admin, '/doku.php?id=tests:first&do=revisions', 200, qr/begun/,
    'what was changed is listed');
my ($token) = page($stranger, '/tests:first', 200, qr/do=logout/, 'a page')
    ->decoded_content =~ /do=logout&amp;sectok=(\w+)/;
page($stranger, "/tests:first?do=logout&sectok=$token", 200, qr/do=login/,
    '... that the administrator leaves');
lacks page($stranger, '/start?do=admin', 200, qr/do=login/, '... and'),
    qr/Configuration Settings/, '... is out';

stop();
log_is_clean(
    qr{AH01630: client denied by server configuration: \S+/(?:conf|data)/},
    qr{Undefined variable \$fullscreen in \S+/lib/exe/mediamanager\.php},
);
done_testing;
