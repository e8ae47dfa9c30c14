#!/usr/bin/perl
# The status page: ephpm_status, written by a worker, which has no PHP.  What
# its forms are held against is tested by t/apache.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json encode_json);
use MIME::Base64 qw(encode_base64);
use NginxTest;
use StatusForms qw(ill_formed bad_metrics metric);
use Test::More;
use Time::HiRes qw(sleep);

my $zones = "ephpm_kv_zone zone=default:4m;\nephpm_kv_zone zone=second-1.b_C:4m"
    . " eviction=noeviction compression=zstd:3 min-compress=2k;\n"
    . "ephpm_kv default;\n";
my $server = NginxTest->new(
    processes => 3,
    http      => $zones,
    server    => <<'END',
include sample/status.conf;
location /status-denied { ephpm_status; deny all; }
location = /fill-second.php {
    ephpm on;
    php_admin_value ephpm.store second-1.b_C;
}
END
);
copy_tree("$NginxTest::top/conf/nginx", "$server->{dir}/sample");
my $page = '/ephpm-status';
$server->page('hello.txt', 'hello');
$server->page('do.php', <<'PHP');
<?php
foreach (json_decode(base64_decode($_GET['do'])) as [$name, $arguments]) {
    $name(...$arguments);
}
echo 'done';
PHP
my $release = "$server->{dir}/scratch/release";
$server->page('hold.php', "<?php for (\$i = 0; \$i < 6000 && "
    . "!file_exists('$release'); ++\$i) { usleep(10000); clearstatcache(); } "
    . 'echo "released";');
$server->page($_, '<?php for ($i = 0; $i < 200; ++$i) { '
    . 'ephpm_kv_set("k$i", random_bytes(50000)); } echo "full";')
    for 'fill.php', 'fill-second.php';
$server->page('facts.php', '<?php $o = opcache_get_status(false); '
    . 'echo json_encode(["version" => PHP_VERSION, "sapi" => PHP_SAPI, '
    . '"ini" => php_ini_loaded_file(), "limit" => ini_get("memory_limit"), '
    . '"extensions" => count(get_loaded_extensions()), '
    . '"keys_max" => $o ? $o["opcache_statistics"]["max_cached_keys"] : -1]);');

sub store {
    my ($name) = @_;
    my ($store) = grep { $_->{name} eq $name } @{ $server->status->{stores} };
    return $store // {};
}

# act([function, argument...], ...): in one script.
sub act {
    my $do = encode_base64(encode_json([ map {
        my ($name, @arguments) = @$_; [ $name, \@arguments ] } @_ ]), '');
    $do =~ s/\+/%2B/g;
    return get("/do.php?do=$do")->{body};
}

ok $server->start, 'a server with two stores and a status page starts'
    or diag $server->said;

# --- forms

for my $form (['', 'text/html; charset=utf-8'],
    [ '?refresh=5', 'text/html; charset=utf-8' ],
    [ '?json', 'application/json' ],
    [ '?metrics', 'text/plain; version=0.0.4; charset=utf-8' ],
    [ '?metrics=', 'text/plain; version=0.0.4; charset=utf-8' ])
{
    my ($query, $type) = @$form;
    my $got = get($page . $query);
    my $name = $query eq '' ? 'the page' : $query;
    is $got->{status}, 200, "$name is there before any script has run";
    is header($got, 'Content-Type'), $type, "$name: its type";
    is header($got, 'Cache-Control'), 'no-store', "$name: nobody keeps it";
    is header($got, 'X-Content-Type-Options'), 'nosniff',
        "$name: nobody guesses what it is";
    like header($got, 'Content-Security-Policy'), qr/^default-src 'none';/,
        "$name: nothing runs in it";
    my $head = get($page . $query, method => 'HEAD');
    is "$head->{status} $head->{body}", '200 ', "$name: HEAD";
    is header($head, 'Content-Type'), $type, "$name: ... with the type";
}
for my $method (qw(POST PUT DELETE OPTIONS PROPFIND)) {
    my $got = get($page, method => $method);
    is $got->{status}, 405, "$method is not allowed";
    like header($got, 'Allow') // '', qr/\bGET\b/, '... but GET is';
}
for my $query (qw(jsn json=1 json&metrics refresh=0 refresh=99999 x=y
    refresh=5&json %3Cscript%3E))
{
    my $got = get("$page?$query");
    is $got->{status}, 400, "?$query is refused";
    is header($got, 'Content-Type'), 'text/plain; charset=utf-8',
        '... as plain text';
    like $got->{body}, qr/^The status takes no such query.*metrics\.\n\z/,
        '... that says what there is';
}
is get('/status-denied')->{status}, 403, 'deny denies it';

# --- figures

my $before = store('default');
is_deeply [ sort keys %{ $server->status } ], [ sort qw(version time server
    site site_store restarted stores php opcache runners) ], 'all keys';
is_deeply [ @$before{qw(eviction compression limit_bytes entries hits sets)} ],
    [ 'allkeys-lru', 'none', 4 << 20, 0, 0, 0 ], 'a store that is not used';
is_deeply [ @{ store('second-1.b_C') }{qw(eviction compression
    compression_level min_compress_bytes)} ],
    [ 'noeviction', 'zstd', 3, 2048 ], 'another one, with options';
is act([ 'ephpm_kv_set', 'a', 'x' ], [ 'ephpm_kv_set', 'b', 'y' ],
    [ 'ephpm_kv_set', 'c', 'z' ], [ 'ephpm_kv_get', 'a' ],
    [ 'ephpm_kv_get', 'b' ], [ 'ephpm_kv_get', 'missing' ],
    [ 'ephpm_kv_del', 'c' ]), 'done', 'a script uses the store';
is_deeply [ @{ store('default') }{qw(entries sets hits misses deletes)} ],
    [ 2, 3, 2, 1, 1 ], '... and the figures say so';
is_deeply [ @{ store('second-1.b_C') }{qw(entries sets hits misses)} ],
    [ 0, 0, 0, 0 ], "... and the other store's do not";
is get('/fill.php')->{body}, 'full', 'more than the store has room for';
my $after = store('default');
cmp_ok $after->{evictions}, '>', 50, '... evicts';
is get('/fill-second.php')->{body}, 'full', '... and the other';
cmp_ok store('second-1.b_C')->{rejections}, '>', 50, '... refuses';

# --- the same in all forms

my $metrics = get("$page?metrics")->{body};
is bad_metrics($metrics), '', 'metrics: every line follows the format';
for my $pair ([ entries => 'entries' ], [ sets => 'sets_total' ],
    [ evictions => 'evictions_total' ], [ used_bytes => 'memory_used_bytes' ],
    [ limit_bytes => 'memory_limit_bytes' ])
{
    is metric($metrics, "ephpm_kv_$pair->[1]", 'store="default"'),
        store('default')->{ $pair->[0] },
        "metrics: ephpm_kv_$pair->[1] is as in JSON";
}
my $html = get($page)->{body};
is ill_formed($html), '', 'the page is well-formed';
like $html, qr/Store default</, '... has the store';
like $html, qr/Store second-1\.b_C<.*noeviction, zstd:3/s, '... and the other';
like $html, qr/Store second-1\.b_C has refused [\d,]+ writes/,
    '... which it points at';
like $html, qr/<svg /, '... and graphs';
unlike $html, qr/<script|<link|<img|<iframe|url\(|\bon\w+=|javascript:/i,
    '... and nothing that runs or is loaded';
like get("$page?refresh=5")->{body},
    qr{<meta http-equiv="refresh" content="5"/>}, 'refresh=5';

# --- history: a sample about once a second

act([ 'ephpm_kv_get', 'nothing' ]);
my $misses = store('default')->{misses};
ok wait_until(sub {
    sleep 1.1;
    get('/facts.php');
    my $row = store('default')->{history}{rows}[-1] // [ 0 ];
    return ($row->[4] // -1) == $misses;
}), 'history is kept';

# --- PHP and opcache, as a runner has told

get('/facts.php');
my $facts = decode_json(get('/facts.php')->{body});
my $json;
ok wait_until(sub {
    get('/facts.php');
    $json = $server->status;
    return ($json->{php}{version} // '') eq $facts->{version};
}), 'PHP: version';
is $json->{php}{sapi}, $facts->{sapi}, 'PHP: SAPI';
is $json->{php}{ini_file}, $facts->{ini}, 'PHP: php.ini';
is $json->{php}{memory_limit}, $facts->{limit}, 'PHP: memory_limit';
is scalar keys %{ $json->{php}{extensions} }, $facts->{extensions},
    'PHP: extensions';
is $json->{php}{extensions}{ephpm}, $json->{version}, '... ours with them';
is $json->{opcache}{state}, 'on', 'opcache is on';
is $json->{opcache}{keys_max}, $facts->{keys_max}, '... and its keys';

# --- runners

my @held = map { send_request(connect_to(), path => "/hold.php?$_") } 1, 2;
ok wait_until(sub { $server->status->{runners}{busy} == 2 }),
    'two scripts run';
my $runners = $server->status->{runners};
is_deeply [ @$runners{qw(limit alive busy idle queued crashes)} ],
    [ 3, 3, 2, 1, 0, 0 ], '... the runners say';
ok !$runners->{failed}, '... and that PHP has started';
cmp_ok $runners->{requests}, '>=', 5, '... with what was before';
$metrics = get("$page?metrics")->{body};
is bad_metrics($metrics), '', 'metrics meanwhile';
is metric($metrics, 'ephpm_runners_busy', ''), 2, '... the busy';
is metric($metrics, 'ephpm_runners_max', ''), 3, '... of all';
is ill_formed(get($page)->{body}), '', 'the page meanwhile';
my $third = send_request(connect_to(), path => '/hold.php?3');
ok wait_until(sub { $server->status->{runners}{busy} == 3 }),
    'with all runners busy';
my $fourth = send_request(connect_to(), path => '/hold.php?4');
ok wait_until(sub { $server->status->{runners}{queued} == 1 }),
    '... and one that waits the status is there';
like get($page)->{body}, qr/All 3 runners are busy/, '... and says so';

# --- over a reload

my $made = store('default')->{created};
my $sets = store('default')->{sets};
my ($answers, @bad) = (0);
ok $server->reload, 'a reload';
for (1 .. 10) {
    for my $query ('', '?json', '?metrics') {
        my $got = get($page . $query);
        my $wrong = $got->{status} != 200 ? $got->{status}
            : $query eq '' ? ill_formed($got->{body})
            : $query eq '?metrics' ? bad_metrics($got->{body})
            : eval { decode_json($got->{body}); '' } // $@;
        push @bad, "$query: $wrong" if $wrong ne '';
    }
}
is "@bad", '', '... the status answers';
$after = store('default');
is $after->{created}, $made, '... the store is the same';
is $after->{sets}, $sets, '... with its figures';
spew($release, '');
is join(' ', map { read_response($_)->{body} } @held, $third, $fourth),
    'released released released released', '... and the scripts end well';

# --- no store; opcache that is off

$server->configure(http => '', server => "include sample/status.conf;\n");
$server->ini("opcache.enable = 0\n");
ok $server->reload, 'no store, no opcache';
ok wait_until(sub { get('/facts.php');
    my $json = $server->status;
    !@{ $json->{stores} } && ($json->{php}{version} // '') ne '' }),
    '... JSON: no store' or diag explain $server->status;
$json = $server->status;
is $json->{site_store}, undef, '... not for this site';
is $json->{opcache}{state}, 'off', '... opcache: off';
$html = get($page)->{body};
is ill_formed($html), '', '... the page';
like $html, qr/No store/, '... says so';
$metrics = get("$page?metrics")->{body};
is bad_metrics($metrics), '', '... metrics';
unlike $metrics, qr/ephpm_kv_/, '... none of stores';

$server->ends_well;
done_testing;
