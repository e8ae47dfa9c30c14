# Handlers: which files are scripts, and which are shown.

use strict;
use warnings;
use Apache::Test ();
use EphpmTest;
use Test::More;

is get('/typed/page.five')->{body}, 'five',
    'AddType application/x-httpd-php';
is header(get('/typed/page.five'), 'Content-Type'), 'text/html; charset=UTF-8',
    '... which is not the type of the answer';
is get('/typed/page.six')->{body}, 'six', 'AddHandler php-script';
is get('/typed/')->{body}, 'index', 'DirectoryIndex';
is get('/hello.txt')->{body}, "hello\n", 'other files are files';

my $r = get('/source.phps');
is header($r, 'Content-Type'), 'text/html; charset=UTF-8',
    'application/x-httpd-php-source: a page';
like $r->{body}, qr/<span style="color: .*&lt;\?php/, '... of coloured source';
unlike $r->{body}, qr/^source/, '... which is not run';
is get('/source.phps', method => 'HEAD')->{status}, 200, '... by HEAD too';

my $root = Apache::Test::vars('documentroot');
chmod 0644, "$root/hack/page.html";
like get('/hack/page.html')->{body}, qr/<\?php/,
    'xbithack: a page that may not be executed is a page';
chmod 0744, "$root/hack/page.html";
is get('/hack/page.html')->{body}, "4\n", '... one that may is a script';
mkdir "$root/nohack";
spew("$root/nohack/page.html", '<?php echo 2 + 2; ?>');
chmod 0744, "$root/nohack/page.html";
like get('/nohack/page.html')->{body}, qr/<\?php/, '... only where it is on';

my $mtime = 1_600_000_000;
utime $mtime, $mtime, "$root/modified/page.php";
is header(get('/modified/page.php'), 'Last-Modified'),
    'Sun, 13 Sep 2020 12:26:40 GMT', 'last_modified';
is header(get('/hello.php'), 'Last-Modified'), undef, '... only where it is on';
is php('echo getlastmod() === filemtime(__DIR__ . "/eval.php") ? 1 : 0;')
    ->{body}, 1, 'getlastmod()';
is php('echo get_included_files()[0];')->{body}, "$root/eval.php",
    'the script is known by its full name';

# A script that changes is run as it is.
my $changing = "$root/changing.php";
for my $n (1 .. 3) {
    spew($changing, "<?php echo $n;");
    utime $mtime + $n, $mtime + $n, $changing;
    php('opcache_invalidate($_SERVER["DOCUMENT_ROOT"] . "/changing.php", true);');
    is get('/changing.php')->{body}, $n, "a changed script, version $n";
}

done_testing;
