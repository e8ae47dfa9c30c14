#!/usr/bin/perl

# WordPress on a MariaDB of its own: configured and installed by its own
# pages, written in by way of its REST API, as its editor does; all that with
# the drop-in of php-adapter/wordpress once it is installed.

use strict;
use warnings;
use utf8;
use FindBin qw($Bin);
use JSON::PP ();
use POSIX qw(:sys_wait_h);
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
use Site qw(run_command server_user slurp spew wait_until);

my $reason = absent(
    wordpress => '/usr/share/wordpress/index.php',
    'wordpress-theme-twentytwentythree' =>
        '/usr/share/wordpress/wp-content/themes/twentytwentythree/style.css',
    'mariadb-server-core' => '/usr/sbin/mariadbd',
) // (run_command(Site::php(), '-r', 'new mysqli;'))[0]
    && 'not installed: apt-get install php-mysql';
plan skip_all => $reason if $reason;

# A database server with nothing but a socket.
my $mariadb = folder() . '/mariadb';
my $socket = "$mariadb/socket";
my $database;

sub start_mariadb {
    mkdir $mariadb or die "$mariadb: $!";
    give_away($mariadb);
    my @user = map { "--user=$_" } server_user() // ();
    my ($code, $said) = run_command('/usr/bin/mariadb-install-db',
        '--no-defaults', "--datadir=$mariadb/data", '--skip-test-db',
        '--auth-root-authentication-method=normal', @user);
    die "mariadb-install-db: exit code $code\n$said" if $code != 0;
    spew("$mariadb/init.sql", <<'END');
CREATE DATABASE blog;
CREATE USER 'writer'@'localhost' IDENTIFIED BY 'horse battery';
GRANT ALL ON blog.* TO 'writer'@'localhost';
END
    chmod 0644, "$mariadb/init.sql";
    $database = fork() // die "fork: $!";
    if ($database == 0) {
        open STDIN, '<', '/dev/null' or POSIX::_exit(125);
        open STDOUT, '>', folder() . '/mariadb.log' or POSIX::_exit(125);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(125);
        { no warnings 'exec'; exec '/usr/sbin/mariadbd', '--no-defaults',
            "--datadir=$mariadb/data", "--socket=$socket", '--skip-networking',
            "--pid-file=$mariadb/pid", "--init-file=$mariadb/init.sql",
            '--innodb-buffer-pool-size=32M', '--innodb-log-file-size=8M',
            '--skip-log-bin', '--innodb-flush-log-at-trx-commit=0', @user; }
        POSIX::_exit(126);
    }
    my $ended = 0;
    # The first thing it does, then it opens its socket.
    wait_until(300, sub {
        $ended = waitpid($database, WNOHANG) == $database;
        return $ended || -S $socket;
    });
    return unless $ended;
    undef $database;
    die "mariadbd ended at once:\n" . slurp(folder() . '/mariadb.log');
}

sub stop_mariadb {
    return 1 unless defined $database;
    kill 'TERM', $database;
    my $ended = wait_until(300,
        sub { waitpid($database, WNOHANG) == $database });
    undef $database if $ended;
    return $ended;
}

my $owner = $$;
END {
    my $status = $?;
    stop_mariadb() if $$ == $owner;
    $? = $status;
}

start_mariadb();
my $root = copy_code('/usr/share/wordpress', 'wordpress');
# Debian's leads to /etc; without it WordPress asks for what it needs.
unlink "$root/wp-config.php", "$root/.htaccess";
mkdir "$root/wp-content/uploads" or die "$root/wp-content/uploads: $!";
give_away($root);

serve($root);
my $admin = browser();
my $secret = 'correct horse battery';

my $page = page($admin, '/wp-admin/setup-config.php?step=1', 200,
    qr/database connection details/, 'before there is a configuration');
my %database = (dbname => 'blog', uname => 'writer', pwd => 'horse battery',
    dbhost => "localhost:$socket");
submit($admin, form($page, keys %database), { %database, pwd => 'no' }, undef,
    500, qr/Error establishing a database connection/,
    '... another password of the database is refused');
submit($admin, form($page, keys %database), \%database, undef, 200,
    qr/All right, sparky/, '... the right one is taken');
my $config = slurp("$root/wp-config.php");
like $config, qr/'DB_HOST', "?'?localhost:\Q$socket\E/, '... and written down';
unlike $config, qr/put your unique phrase here/, '... with new secrets';
# WordPress would like to talk to its makers.
$config =~ s{^(?=/\* That's all)}{define('WP_HTTP_BLOCK_EXTERNAL', true);
define('WP_ACCESSIBLE_HOSTS', '127.0.0.1');
define('AUTOMATIC_UPDATER_DISABLED', true);\n}m or die "no place in $config\n";
spew("$root/wp-config.php", $config);

$page = page($admin, '/wp-admin/install.php?language=en_US', 200,
    qr/famous five-minute/, 'the installation');
my $installed = submit($admin,
    form($page, qw(weblog_title user_name admin_email)), {
        weblog_title => 'Blög of tests', user_name => 'root',
        admin_password => $secret, admin_password2 => $secret,
        admin_email => 'root@example.org' },
    undef, 200, qr/WordPress has been installed/, '... succeeds');
page($admin, '/', 200, qr/Blög of tests/, 'the site');

# From here on with the object cache, which several requests share.
spew("$root/wp-content/object-cache.php",
    slurp("$ENV{EPHPM_SRCDIR}/php-adapter/wordpress/object-cache.php"));
spew("$root/probe.php", <<'END');
<?php
require __DIR__ . '/wp-load.php';
header('Content-Type: text/plain');
function is($got, $expected, $what) {
    echo $got === $expected ? 'ok' : 'not ok', " - $what",
        $got === $expected ? '' : ' # ' . json_encode($got), "\n";
}
if (isset($_GET['second'])) {
    is(wp_cache_get('kept', 'probe'), ['a' => 1], 'another request reads the value');
    is(wp_cache_incr('count', 1, 'probe'), 6, '... and counts on');
    is(wp_cache_get('mine', 'private'), false, '... but not what is not persistent');
    is(wp_cache_get('short', 'probe'), false, '... nor what has expired');
    is(wp_cache_flush_group('probe'), true, 'a group is flushed');
    is(wp_cache_get_multiple(['kept', 'count'], 'probe', true), ['kept' => false, 'count' => false], '... wholly');
    is(wp_cache_get('kept', 'other'), 'other', '... and alone');
    is(wp_cache_flush(), true, 'all is flushed');
    is(wp_cache_get('kept', 'other', true), false, '... of this site');
    is(ephpm_kv_get('not:wordpress'), 'kept', '... alone');
    exit;
}
is(wp_using_ext_object_cache(), true, 'WordPress uses the drop-in');
ephpm_kv_set('not:wordpress', 'kept');
is(count(ephpm_kv_scan(0, 'wp:', 1 << 24)[1]) > 10, true, '... for its own');
wp_cache_add_non_persistent_groups(['private']);
is(wp_cache_get('none', 'probe', false, $found), false, 'a miss');
is($found, false, '... is told');
foreach ([1, '1', 1.5, false, null, '', [], ['x' => null]] as $value) {
    is(wp_cache_set('key', $value, 'probe'), true, 'set');
    wp_cache_flush_runtime();
    is(wp_cache_get('key', 'probe', false, $found), $value, '... ' . json_encode($value));
    is($found, true, '... is found');
}
is(wp_cache_set('key', static function () {}, 'probe'), false, 'what cannot be serialized is refused');
is(wp_cache_get('key', 'probe'), false, '... and what was there is gone');
is(wp_cache_add('none', static function () {}, 'probe'), false, '... by add too');
is(wp_cache_set('key', [], 'probe'), true, '... until it can be');
is(ephpm_kv_scan(0, 'wp:' . str_replace(['%', ':'], ['%25', '%3A'], DB_HOST . '/' . DB_NAME . '/'), 1 << 24)[1] === [], false, 'its prefix names host and database');
$object = (object) ['a' => 1];
wp_cache_set('object', $object, 'probe');
$object->a = 2;
is(wp_cache_get('object', 'probe')->a, 1, 'an object is a copy');
is(wp_cache_add('key', 'x', 'probe'), false, 'add finds the key');
is(wp_cache_add('new', 'x', 'probe'), true, '... or does not');
is(wp_cache_replace('gone', 'x', 'probe'), false, 'replace misses the key');
is(wp_cache_replace('new', 'y', 'probe'), true, '... or does not');
is(wp_cache_delete('new', 'probe'), true, 'delete');
is(wp_cache_delete('new', 'probe'), false, '... once');
is(wp_cache_set_multiple(['a' => 1, 'b' => 'two'], 'probe'), ['a' => true, 'b' => true], 'many');
is(wp_cache_get_multiple(['a', 'b', 'c'], 'probe', true), ['a' => 1, 'b' => 'two', 'c' => false], '... at once');
is(wp_cache_delete_multiple(['a', 'c'], 'probe'), ['a' => true, 'c' => false], '... are deleted');
is(wp_cache_incr('count', 1, 'probe'), false, 'what is not there is not counted');
wp_cache_set('count', 3, 'probe', 100);
is([wp_cache_incr('count', 4, 'probe'), wp_cache_decr('count', 2, 'probe')], [7, 5], '... what is there is');
wp_cache_set('down', '3', 'probe');
is([wp_cache_incr('down', 1, 'probe'), wp_cache_decr('down', 9, 'probe')], [4, 0], '... down to 0');
is(wp_cache_set('kept', ['a' => 1], 'probe'), true, 'a value is kept');
is(wp_cache_set('kept', 'other', 'other'), true, '... for each group');
is(wp_cache_set('short', 'x', 'probe', 1), true, '... for a second');
is(wp_cache_set('mine', 'x', 'private'), true, '... for this request');
is(wp_cache_get('mine', 'private'), 'x', '... which finds it');
sleep(2);
END
for my $path ('/probe.php', '/probe.php?second') {
    page($admin, '/', 200, qr/Blög of tests/, 'the site, with the object cache');
    for my $line (split /\n/, page($admin, $path, 200, qr/^ok /, $path)->content) {
        my ($not, $what) = $line =~ /^(not )?ok - (.*)/;
        ok defined $what && !$not, $what // "no TAP: $line";
    }
}

my $login = page($admin, '/wp-login.php', 200, qr/user_login/, 'the login');
my $refused = submit($admin, form($login, 'log', 'pwd'),
    { log => 'root', pwd => 'wrong horse' }, undef, 200,
    qr/The password you entered for the username .* is incorrect/,
    '... refuses a wrong password');
lacks page($admin, '/wp-admin/profile.php', 200, qr/user_login/,
    '... leads back'), qr/id="your-profile"/, '... and shows nothing';
submit($admin, form($refused, 'log', 'pwd'),
    { log => 'root', pwd => $secret }, undef, 200, qr/Dashboard/,
    '... accepts the right one');

# WordPress writes .htaccess itself where apache_get_modules() has mod_rewrite.
$page = page($admin, '/wp-admin/options-permalink.php', 200,
    qr/permalink_structure/, 'the settings of URLs');
submit($admin, form($page, 'permalink_structure'),
    { selection => '/%postname%/', permalink_structure => '/%postname%/' },
    'submit', 200, qr/Permalink structure updated\./, '... are changed');
like slurp("$root/.htaccess"), qr{^RewriteRule \. /index\.php \[L\]}m,
    '... in .htaccess';

my ($nonce) = page($admin, '/wp-admin/post-new.php', 200,
    qr/createNonceMiddleware\(\s*"\w+"/, 'the editor')->decoded_content
    =~ /createNonceMiddleware\(\s*"(\w+)"/;

sub api {
    my ($browser, $method, $path, $values) = @_;
    my $request = HTTP::Request->new($method,
        "http://127.0.0.1:$port/wp-json/wp/v2/$path", [
            'Content-Type' => 'application/json', 'X-WP-Nonce' => $nonce // '',
        ], JSON::PP->new->utf8->encode($values));
    my $response = $browser->request($request);
    return ($response->code, eval { JSON::PP->new->utf8->decode(
        $response->content) } // { raw => $response->decoded_content });
}

my $text = '<p>Umläute &amp; ' . 'x' x 20_000 . '</p>';
my ($code, $post) = api($admin, 'POST', 'posts', { title => 'Frst',
    content => $text, status => 'publish' });
is $code, 201, '... creates a post' or diag explain $post;
my $id = $post->{id} // 0;
($code, $post) = api($admin, 'PUT', "posts/$id", { title => 'First “words”',
    slug => 'first-words' });
is $code, 200, '... which is edited' or diag explain $post;
my $stranger = browser();
my $shown = page($stranger, '/first-words/', 200, qr/First “words”/,
    'others see the edit, under its URL');
has $shown, qr{<p>Umläute &#038; x{20000}|<p>Umläute &amp; x{20000}},
    '... with its characters';
($code, $post) = api($stranger, 'PUT', "posts/$id", { title => 'Defaced' });
is $code, 403, '... and cannot change it';
has page($stranger, '/wp-json/wp/v2/posts', 200, qr/first-words/,
    'the REST API'), qr/First \\u201cwords\\u201d/, '... has the title';

submit($stranger, form($shown, 'comment', 'author', 'email'),
    { comment => 'A remark of a stranger', author => 'Stranger',
    email => 'stranger@example.org' }, undef, 200,
    qr/awaiting moderation/, 'a comment');
my $listed = page($admin, '/wp-admin/edit-comments.php', 200,
    qr/A remark of a stranger/, '... is listed for the administrator');
my ($approve) = $listed->decoded_content
    =~ m{href=["'](comment\.php\?[^"']*action=approvecomment[^"']*)};
page($admin, '/wp-admin/' . ($approve // '') =~ s/&#038;|&amp;/&/gr, 200,
    qr/1 comment approved/, '... who approves it');
page(browser(), '/first-words/', 200, qr/A remark of a stranger/,
    '... and everybody reads it');

my $png = slurp("$root/wp-includes/images/media/default.png");
my $upload = form(page($admin, '/wp-admin/media-new.php?browser-uploader', 200,
    qr/async-upload/, 'an upload'), 'async-upload');
$upload->find_input('async-upload')->content($png);
$upload->find_input('async-upload')->filename('picture.png');
submit($admin, $upload, {}, 'html-upload', 200, qr/Media Library/,
    '... is taken');
my ($file) = glob "$root/wp-content/uploads/*/*/picture.png";
ok defined $file, '... stored' or $file = "$root/none";
is page($stranger, substr($file, length $root), 200, qr/^.PNG/,
    '... and comes back')->content, $png, '... as it was';

page($stranger, '/wp-includes/css/dist/block-library/style.min.css', 200,
    qr/wp-block/, 'a static file');
like page($stranger, '/wp-admin/load-styles.php?c=0&load%5B%5D=dashicons', 200,
    qr/dashicons/, 'style sheets that PHP puts together')
    ->header('Content-Type'), qr{^text/css}, '... with their type';
page($stranger, '/no-such-page/', 404, qr/could not be found/,
    'no such page');
page($stranger, '/feed/', 200, qr{<rss .*<title>First}s, 'the feed');

my ($out) = page($admin, '/wp-admin/', 200, qr/action=logout/, 'a page')
    ->decoded_content =~ m{(wp-login\.php\?action=logout[^"']*)};
page($admin, '/' . ($out // '') =~ s/&amp;|&#038;/&/gr, 200,
    qr/You are now logged out/, '... that the administrator leaves');
page($admin, '/wp-admin/profile.php', 200, qr/user_login/, '... and is out');

stop();
ok stop_mariadb(), 'the database stops';
log_is_clean(
    qr{Undefined variable \$upload_\w*path in \S+/wp-admin/install\.php},
    qr{Something may be wrong with WordPress\.org.* in \S+/update\.php},
);
done_testing;
