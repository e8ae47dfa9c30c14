#!/usr/bin/perl

# MediaWiki on SQLite: installed by its own installer, page by page.

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
use Site qw(run_command slurp spew);

my $reason = absent(mediawiki => '/usr/share/mediawiki/index.php')
    // (run_command(Site::php(), '-r', 'new SQLite3(":memory:");'))[0]
    && 'not installed: apt-get install php-sqlite3';
plan skip_all => $reason if $reason;

my @parts = grep { !-l "/usr/share/mediawiki/$_" && !/^extensions/ }
    map { s{.*/}{}r } glob '/usr/share/mediawiki/*';
my $root = copy_code('/usr/share/mediawiki', 'mediawiki', @parts);
mkdir "$root/$_" or die "$root/$_: $!" for qw(cache extensions images);
my $data = folder() . '/data';
mkdir $data or die "$data: $!";
give_away($data, "$root/cache", "$root/images");
spew("$root/.htaccess", <<'END');
RewriteEngine On
RewriteRule ^wiki/(.*)$ index.php [L,B]
END

serve($root);
my $admin = browser();
my $secret = 'correct horse battery';

my $page = page($admin, '/mw-config/index.php', 200, qr/MediaWiki 1\.\d+/,
    'the installer');
my $next = sub {
    my ($values, $pattern, $what, @fields) = @_;
    $page = submit($admin, form($page, @fields, keys %{$values}), $values,
        'submit-continue', 200, $pattern, $what);
};
$next->({ uselang => 'en', ContLang => 'en' },
    qr/environment.*you can install MediaWiki/si,
    '... finds all that it needs');
$next->({}, qr/Database type/i, '... asks for the database',
    'submit-continue');
$next->({ DBType => 'sqlite', sqlite_wgSQLiteDataDir => $data,
    sqlite_wgDBname => 'wiki' }, qr/Name of wiki/, '... takes SQLite');
$next->({ config_wgSitename => 'Wiki of tests', config__AdminName => 'Root',
    config__AdminPassword => $secret, config__AdminPasswordConfirm => $secret,
    config__SkipOptional => 'skip' }, qr/Install/,
    '... asks no more than it has to');
$next->({}, qr/Creating tables[^<]*done.*Creating administrator[^<]*done/si,
    '... makes the tables and the administrator', 'submit-continue');
$next->({}, qr/Congratulations/, '... and is done', 'submit-continue');
my $settings = page($admin, '/mw-config/index.php?localsettings=1', 200,
    qr/^<\?php.*wgSQLiteDataDir/s, 'the settings it has written');
like $settings->header('Content-Disposition') // '',
    qr/attachment; filename="?LocalSettings\.php/, '... to be saved';
spew("$root/LocalSettings.php", $settings->content . <<"END");
\$wgArticlePath = '/wiki/\$1';
\$wgUsePathInfo = true;
\$wgEnableUploads = true;
\$wgFileExtensions = ['png'];
\$wgCacheDirectory = '$root/cache';
\$wgJobRunRate = 0;
\$wgUseInstantCommons = false;
END

page($admin, '/', 200, qr/MediaWiki has been installed/, 'the wiki');
my $stranger = browser();
has page($stranger, '/wiki/Main_Page', 200, qr/MediaWiki has been installed/,
    'a URL that .htaccess rewrites'), qr{href="/wiki/Special:Search"|/wiki/},
    '... and its links';
page($stranger, '/index.php/Main_Page', 200, qr/MediaWiki has been installed/,
    'a URL with PATH_INFO');

my $login = page($stranger, '/wiki/Special:UserLogin', 200, qr/wpPassword/,
    'the login');
my $refused = submit($stranger, form($login, 'wpName', 'wpPassword'),
    { wpName => 'Root', wpPassword => 'wrong horse' }, 'wploginattempt', 200,
    qr/Incorrect username or password/, '... refuses a wrong password');
submit($stranger, form($refused, 'wpName', 'wpPassword'),
    { wpName => 'Root', wpPassword => $secret }, 'wploginattempt', 200,
    qr/"wgUserName":"Root"/, '... accepts the right one');
page($stranger, '/wiki/Special:Preferences', 200, qr/wpeditfont|Preferences/,
    'the administrator has preferences');

my $text = "== Häding ==\n'''bold''' & <script>none</script> "
    . '[[Main Page]] ' . 'x' x 20_000;
my $edit = page($stranger, '/index.php?title=Tests/Ä_first&action=edit', 200,
    qr/wpTextbox1/, 'an editor');
submit($stranger, form($edit, 'wpTextbox1', 'wpEditToken'),
    { wpTextbox1 => $text, wpSummary => 'begun' }, 'wpSave', 200,
    qr{<b>bold</b> &amp; &lt;script&gt;none}, '... saves');
my $shown = page($admin, '/wiki/Tests/%C3%84_first', 200, qr/x{20000}/,
    'others see the edit');
has $shown, qr{<span class="mw-headline"[^>]*>Häding</span>},
    '... with its characters';
has $shown, qr{<title>Tests/Ä first}, '... under its name';
page($admin, '/index.php?title=Tests/%C3%84_first&action=history', 200,
    qr/begun/, 'what was changed is listed');
page($admin, '/wiki/No_such_page', 404, qr/no text in this page/,
    'no such page');

my $upload = form(page($stranger, '/wiki/Special:Upload', 200,
    qr/wpUploadFile/, 'an upload'), 'wpUploadFile', 'wpDestFile');
my $png = slurp("$root/resources/assets/wiki.png");
$upload->find_input('wpUploadFile')->content($png);
$upload->find_input('wpUploadFile')->filename('logo.png');
submit($stranger, $upload, { wpDestFile => 'Test_logo.png',
    wpUploadDescription => 'a picture' }, 'wpUpload', 200,
    qr/Test logo\.png/, '... is shown');
my ($path) = page($admin, '/wiki/File:Test_logo.png', 200,
    qr{/images/\w/\w\w/Test_logo\.png}, '... on a page of its own')
    ->decoded_content =~ m{(/images/\w/\w\w/Test_logo\.png)};
is page($admin, $path // '/', 200, qr/^.PNG/, '... and comes back')->content,
    $png, '... as it was';

my $styles;
$styles = page($admin, '/load.php?lang=en&modules=site.styles'
    . '%7Cskins.vector.styles.legacy&only=styles&skin=vector', 200, qr/\{/, $_)
    for 'style sheets that PHP puts together', '... and keeps';
like $styles->header('Content-Type'), qr{^text/css}, '... with their type';
is $admin->get($styles->request->uri,
    'If-None-Match' => $styles->header('ETag'))->code, 304,
    '... are not sent twice';
is page($admin, '/resources/assets/wiki.png', 200, qr/^.PNG/,
    'a static file')->content, $png, '... as it is';
has page($admin, '/api.php?action=query&titles=Tests/%C3%84_first'
    . '&prop=info&format=json', 200, qr/"pageid":\d+/, 'the API'),
    qr/"length":\d{5}/, '... tells the length';
page($admin, '/rest.php/v1/page/Main_Page', 200, qr/"content_model":"wikitext"/,
    'the REST API, by PATH_INFO');

my $form = form(page($stranger, '/wiki/Special:UserLogout', 200,
    qr/log out/i, 'a logout'), 'wpEditToken');
submit($stranger, $form, {}, undef, 200, qr/now logged out/, '... succeeds');
lacks page($stranger, '/wiki/Main_Page', 200, qr/Log in/, '... so that'),
    qr/"wgUserName":"Root"/, '... the administrator is out';

stop();
log_is_clean();
done_testing;
