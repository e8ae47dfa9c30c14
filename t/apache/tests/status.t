# The status page: the handler ephpm-status.

use strict;
use warnings;
use EphpmTest;
use JSON::PP qw(decode_json encode_json);
use MIME::Base64 qw(encode_base64);
use OwnServer;
use StatusForms qw(ill_formed bad_metrics metric);
use Test::More;
use Time::HiRes qw(sleep);

my $scripts = "<FilesMatch \"\\.php\$\">\nSetHandler application/x-httpd-php\n"
    . "</FilesMatch>\nStartServers 3\nMaxRequestWorkers 8\n";
my $sample = "$ENV{EPHPM_SCRATCH}/../sample/status.conf";
my $page = '/ephpm-status';
my $config = $scripts . "Include $sample\n"
    . "EphpmStore default 4M\nEphpmStore second-1.b_C 4M eviction=noeviction "
    . "compression=zstd:3 min-compress=2K\n"
    . "<Location /status-denied>\nSetHandler ephpm-status\n"
    . "Require all denied\n</Location>\n"
    . "<Location /status-elsewhere>\nSetHandler ephpm-status\n"
    . "Require ip 192.0.2.1\n</Location>\n";

my $server = OwnServer->new(config => $config);
spew("$server->{dir}/htdocs/hello.txt", 'hello');
$server->page('do.php', <<'PHP');
<?php
foreach (json_decode(base64_decode($_GET['do'])) as [$name, $arguments]) {
    $name(...$arguments);
}
echo 'done';
PHP
$server->page('hold.php', <<'PHP');
<?php
touch(__DIR__ . '/held-' . $_GET['n']);
for ($i = 0; $i < 6000 && !file_exists(__DIR__ . '/release'); ++$i) {
    usleep(10000);
}
echo 'released';
PHP
$server->page('inside.php', '<?php ephpm_kv_get("a"); echo "before "; '
    . 'virtual("/ephpm-status?json"); echo " after ", ephpm_kv_exists("a");');
$server->page('fill.php', '<?php for ($i = 0; $i < 200; ++$i) { '
    . 'ephpm_kv_set("k$i", random_bytes(50000)); } echo "full";');

sub json {
    my (%r) = @_;
    my $answer = $server->get("$page?json", %r);
    my $json = eval { decode_json($answer->{body}) };
    return $json // { error => "$answer->{status} $@ $answer->{body}" };
}

sub store {
    my ($name) = @_;
    my ($store) = grep { $_->{name} eq $name } @{ json()->{stores} };
    return $store;
}

# act([function, argument...], ...): in one script.
sub act {
    my @calls = map { my ($name, @arguments) = @$_; [ $name, \@arguments ] }
        @_;
    my $do = encode_base64(encode_json(\@calls), '');
    $do =~ s/\+/%2B/g;
    return $server->get("/do.php?do=$do")->{body};
}

ok $server->start, 'a server with two stores and a status page starts'
    or diag $server->said . $server->logged;

# --- what the forms are held against can fail

# On one line, which TAP wants.
sub quoted {
    my ($text) = @_;
    return $text =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
}

my $doctype = "<!DOCTYPE html>\n";
is ill_formed("$doctype<a b=\"&lt;\">&#39;<br/></a>\n"), '', 'well-formed';
isnt ill_formed($_), '', 'not well-formed: ' . quoted($_) for '<a/>', $doctype,
    map { $doctype . $_ } '<a>', '</a>', '<a></b>', '<a><b></a></b>',
    '<a>&</a>', '<a>&nbsp;</a>', '<a b=c/>', '<a b="<"/>', '<a b="&"/>',
    '<a b="" b=""/>', '<a/><b/>', '<a/>text', "<a>\xff</a>", "<a>\x01</a>",
    '<a>1 < 2</a>', '<a b/>';
my $family = "# HELP a_total A.\n# TYPE a_total counter\n";
is bad_metrics("${family}a_total{b=\"\\\\c\"} 1\na_total 2.5e3\n"), '',
    'metrics in their format';
isnt bad_metrics($_), '', 'not metrics: ' . quoted($_) for '', "a_total 1\n",
    "${family}a_total 1", $family, "${family}a_total one\n",
    "${family}a_total 1\na_total 2\n", "${family}a_total{b=c} 1\n",
    "${family}a_total{b=\"\\x\"} 1\n", "${family}a-total 1\n",
    "${family}${family}a_total 1\n", "${family}a_total 1\n\nx\n",
    "# HELP a A.\n# TYPE a counter\na 1\n",
    "# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n",
    "# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n",
    "${family}# HELP b B.\n# TYPE b gauge\na_total 1\nb 1\na_total{c=\"\"} 1\n";

# --- before any script has run in any process

for my $form (['', 'text/html; charset=utf-8'],
    [ '?refresh=5', 'text/html; charset=utf-8' ],
    [ '?json', 'application/json' ],
    [ '?metrics', 'text/plain; version=0.0.4; charset=utf-8' ],
    [ '?metrics=', 'text/plain; version=0.0.4; charset=utf-8' ])
{
    my ($query, $type) = @$form;
    my $got = $server->get($page . $query);
    my $name = $query eq '' ? 'the page' : $query;
    is $got->{status}, 200, "$name is there before any script has run";
    is header($got, 'Content-Type'), $type, "$name: its type";
    is header($got, 'Cache-Control'), 'no-store', "$name: nobody keeps it";
    is header($got, 'X-Content-Type-Options'), 'nosniff',
        "$name: nobody guesses what it is";
    like header($got, 'Content-Security-Policy'), qr/^default-src 'none';/,
        "$name: nothing runs in it";
    my $head = $server->get($page . $query, method => 'HEAD');
    is $head->{status}, 200, "$name: HEAD";
    is $head->{body}, '', "$name: ... has no body";
    is header($head, 'Content-Type'), $type, "$name: ... and the type";
}
for my $method (qw(POST PUT DELETE OPTIONS PROPFIND)) {
    my $got = $server->get($page, method => $method);
    is $got->{status}, 405, "$method is not allowed";
    like header($got, 'Allow'), qr/\bGET\b/, '... but GET is';
    unlike header($got, 'Allow'), qr/\b\Q$method\E\b/, '... as Allow says';
    is header($got, 'Cache-Control'), 'no-store', '... for this once';
}
for my $query (qw(jsn json=1 json&metrics refresh=0 refresh=99999 x=y
    refresh=5&json %3Cscript%3E))
{
    my $got = $server->get("$page?$query");
    is $got->{status}, 400, "?$query is refused";
    is header($got, 'Content-Type'), 'text/plain; charset=utf-8',
        '... as plain text';
    like $got->{body}, qr/^The status takes no such query.*metrics\.\n\z/,
        '... that says what there is';
}
is $server->get('/status-denied')->{status}, 403, 'Require denies it';
is $server->get('/status-elsewhere?json')->{status}, 403,
    '... to those of elsewhere';

# --- figures move

my $before = store('default');
my $second = store('second-1.b_C');
is_deeply [ sort keys %$before ], [ sort qw(name usable created eviction
    compression compression_level min_compress_bytes limit_bytes used_bytes
    live_bytes entries index_slots hits misses sets deletes evictions
    expirations rejections steals value_max_bytes attached attached_max
    segments segments_free segment_bytes shards history) ],
    'a store has the keys of the manual';
is_deeply [ sort keys %{ json() } ], [ sort(qw(version time server site
    site_store restarted stores php opcache workers),
    threaded() ? 'runners' : ()) ], '... and so has all';
is_deeply [ sort keys %{ json()->{workers} } ], [ sort qw(limit busy idle
    starting reading working keepalive closing finishing) ],
    '... and the workers';
is_deeply [ @$before{qw(eviction compression limit_bytes entries hits sets)} ],
    [ 'allkeys-lru', 'none', 4 << 20, 0, 0, 0 ], 'a store that is not used';
is_deeply [ @$second{qw(eviction compression compression_level
    min_compress_bytes)} ], [ 'noeviction', 'zstd', 3, 2048 ],
    'another one, with options';
cmp_ok $before->{attached}, '>=', 1, 'processes are attached';

is act([ 'ephpm_kv_set', 'a', 'x' ], [ 'ephpm_kv_set', 'b', 'y' ],
    [ 'ephpm_kv_set', 'c', 'z' ], [ 'ephpm_kv_get', 'a' ],
    [ 'ephpm_kv_get', 'b' ], [ 'ephpm_kv_get', 'missing' ],
    [ 'ephpm_kv_del', 'c' ], [ 'ephpm_kv_set', 'old', 'x', 1 ]), 'done',
    'a script uses the store';
my $after = store('default');
is_deeply [ @$after{qw(entries sets hits misses deletes)} ],
    [ 3, 4, 2, 1, 1 ], '... and the figures say so';
is_deeply [ @{ store('second-1.b_C') }{qw(entries sets hits misses)} ],
    [ 0, 0, 0, 0 ], "... and the other store's do not";
ok wait_until(sub {
    act([ 'ephpm_kv_setnx', 'old', 'x' ]);
    return store('default')->{expirations} == 1;
}), 'a key that has expired is counted';
is $server->get('/fill.php')->{body}, 'full',
    'more than the store has room for';
$after = store('default');
cmp_ok $after->{evictions}, '>', 50, '... evicts';
is $after->{rejections}, 0, '... and refuses nothing';
cmp_ok $after->{used_bytes}, '<=', $after->{limit_bytes}, '... in its memory';
cmp_ok $after->{used_bytes}, '>', 2 << 20, '... which it uses';

# --- the same in all forms

my $metrics = $server->get("$page?metrics")->{body};
is bad_metrics($metrics), '', 'metrics: every line follows the format';
for my $pair ([ entries => 'entries' ], [ sets => 'sets_total' ],
    [ hits => 'hits_total' ], [ misses => 'misses_total' ],
    [ evictions => 'evictions_total' ], [ expirations => 'expirations_total' ],
    [ rejections => 'rejections_total' ], [ used_bytes => 'memory_used_bytes' ],
    [ limit_bytes => 'memory_limit_bytes' ])
{
    is metric($metrics, "ephpm_kv_$pair->[1]", 'store="default"'),
        $after->{ $pair->[0] }, "metrics: ephpm_kv_$pair->[1] is as in JSON";
}
is metric($metrics, 'ephpm_kv_entries', 'store="second-1.b_C"'), 0,
    'metrics: the other store';
SKIP: {
    my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};
    skip 'promtool is not installed: apt-get install prometheus', 1
        unless $promtool;
    my $file = spew("$server->{dir}/metrics", $metrics);
    my $said = `$promtool check metrics < $file 2>&1`;
    is $said, '', 'metrics: promtool finds nothing';
}
my $html = $server->get($page)->{body};
is ill_formed($html), '', 'the page is well-formed';
like $html, qr/Store default</, '... has the store';
like $html, qr/Store second-1\.b_C<.*noeviction, zstd:3 from 2\xc2\xa0KiB/s,
    '... and the other';
my $entries = $after->{entries};
like $html, qr{<dt>Keys</dt><dd>$entries<}, '... and its keys';
my $evicted = $after->{evictions};
like $html, qr{<dt>Evicted</dt><dd>$evicted<}, '... and evictions';
like $html, qr/<svg /, '... and graphs';
unlike $html, qr/<script|<link|<img|<iframe|url\(|\bon\w+=|javascript:/i,
    '... and nothing that runs or is loaded';
is_deeply [ grep { !/^\?(?:|json|metrics|refresh=\d+)$/ }
    $html =~ /(?:href|src|action)="([^"]*)"/g ], [],
    '... and no address but its own';
like $server->get("$page?refresh=5")->{body},
    qr{<meta http-equiv="refresh" content="5"/>}, 'refresh=5';
unlike $html, qr/http-equiv/, '... and else not';

# --- a store that refuses

$server->configure("$config<Files fill.php>\n"
    . "php_admin_value ephpm.store second-1.b_C\n</Files>\n");
my $restarted = json()->{restarted};
ok $server->graceful, 'a restart';
is $server->get('/fill.php')->{body}, 'full', 'a script fills it';
cmp_ok store('second-1.b_C')->{rejections}, '>', 50, 'refused writes';
is store('second-1.b_C')->{evictions}, 0, '... and none evicted';
like $server->get($page)->{body},
    qr/Store second-1\.b_C has refused [\d,]+ writes/,
    '... which the page points at';

# --- history

my $history = store('default')->{history};
is $history->{period_seconds}, 15, 'history has periods';
is_deeply $history->{columns}, [ qw(age_ms used_bytes entries hits misses sets
    deletes evictions expirations rejections) ], '... and columns';
cmp_ok scalar @{ $history->{rows} }, '>=', 1, '... and rows';
cmp_ok scalar @{ $history->{rows} }, '<=', 240, '... and not too many';
is_deeply [ grep { @$_ != @{ $history->{columns} } } @{ $history->{rows} } ],
    [], '... with a figure for each column';
is_deeply [ map { $_->[0] } @{ $history->{rows} } ],
    [ sort { $b <=> $a } map { $_->[0] } @{ $history->{rows} } ],
    '... from the oldest on';
# The status takes a sample only where nobody has for a second.
act([ 'ephpm_kv_get', 'nothing' ]);
my $misses = store('default')->{misses};
ok wait_until(sub {
    sleep 1.1;
    $server->get('/hello.txt');
    sleep 0.3;
    my $row = store('default')->{history}{rows}[-1];
    return $row->[0] >= 200 && $row->[4] == $misses;
}), '... up to the last request, of a file too';

# --- PHP and opcache

$server->page('facts.php', '<?php $o = function_exists("opcache_get_status") '
    . '? opcache_get_status(false) : false; echo json_encode(['
    . '"version" => PHP_VERSION, "sapi" => PHP_SAPI, '
    . '"ini" => php_ini_loaded_file(), "limit" => ini_get("memory_limit"), '
    . '"extensions" => count(get_loaded_extensions()), '
    . '"scripts" => $o ? $o["opcache_statistics"]["num_cached_scripts"] : -1, '
    . '"keys_max" => $o ? $o["opcache_statistics"]["max_cached_keys"] : -1]);');
$server->get('/facts.php');
my $facts = decode_json($server->get('/facts.php')->{body});
my $json = json();
is $json->{php}{version}, $facts->{version}, 'PHP: version';
is $json->{php}{sapi}, $facts->{sapi}, 'PHP: SAPI';
is $json->{php}{ini_file} // 'none', $facts->{ini} || 'none', 'PHP: php.ini';
is $json->{php}{memory_limit}, $facts->{limit}, 'PHP: memory_limit';
is scalar keys %{ $json->{php}{extensions} }, $facts->{extensions},
    'PHP: extensions';
is $json->{php}{extensions}{ephpm}, $json->{version}, '... ours with them';
if ($facts->{scripts} >= 0) {
    is $json->{opcache}{state}, 'on', 'opcache is on';
    is $json->{opcache}{scripts}, $facts->{scripts}, '... and its scripts';
    is $json->{opcache}{keys_max}, $facts->{keys_max}, '... and its keys';
} else {
    is $json->{opcache}{state}, 'off', 'opcache is off';
}

# --- inside of a script

if (!threaded()) {
    my $inside = $server->get('/inside.php')->{body};
    like $inside, qr/\Abefore \{.*\}\n after /s, 'virtual() shows it in a script';
    my ($inner) = $inside =~ /(\{.*\})/s;
    is eval { decode_json($inner)->{site_store} }, 'default', '... whole'
        or diag $@;
    is act([ 'ephpm_kv_set', 'again', 'x' ]), 'done', '... and PHP goes on';
}

# --- workers, and a restart in the middle

my @held = map { send_request(connect_to($server->{port}),
    path => "/hold.php?n=$_") } 1, 2;
ok wait_until(sub { 2 == grep { -e "$server->{dir}/htdocs/held-$_" } 1, 2 }),
    'two scripts run';
# One that has answered may be at its end still.
my $workers;
ok wait_until(sub {
    $workers = json()->{workers};
    return $workers->{working} == 3;
}), 'workers: those at work, the one that answers too';
is $workers->{limit}, 8, '... the limit';
is $workers->{finishing}, 0, '... none of before a restart';
cmp_ok $workers->{busy}, '>=', 3, '... busy';
my $made = store('default')->{created};
my $sets = store('default')->{sets};
my $rows = @{ store('default')->{history}{rows} };
my $cycles = $server->cycles;
kill 'USR1', $server->{pid};
my ($answers, @bad) = (0);
ok wait_until(sub {
    for my $query ('', '?json', '?metrics') {
        my $got = $server->get($page . $query);
        my $wrong = $got->{status} != 200 ? $got->{status}
            : $query eq '' ? ill_formed($got->{body})
            : $query eq '?metrics' ? bad_metrics($got->{body})
            : eval { decode_json($got->{body}); '' } // $@;
        push @bad, "$query: $wrong" if $wrong ne '';
        $answers++;
    }
    return $server->cycles > $cycles;
}), 'a graceful restart';
is_deeply \@bad, [], "... answers all the while ($answers times)";
# The worker MPM wakes a leaving child's idle threads before it notes that the
# child is dying; one that is fast then says, until its process has gone, that
# it finishes (worker.c, ap_queue_term() and `dying`).
my $ended = ($ENV{EPHPM_MPM} // 'prefork') eq 'worker' ? 2 : 0;
ok wait_until(sub {
    $workers = json()->{workers};
    return $workers->{finishing} >= 2 && $workers->{finishing} <= 2 + $ended
        && $workers->{working} == 1;
}), '... the two scripts finish, and one of after it is at work'
    or diag explain $workers;
$after = store('default');
is $after->{created}, $made, '... the store is the same';
is $after->{sets}, $sets, '... with its figures';
cmp_ok scalar @{ $after->{history}{rows} }, '>=', $rows, '... and its history';
cmp_ok json()->{restarted}, '>=', $restarted, '... and the restart has a time';
spew("$server->{dir}/htdocs/release", '');
is_deeply [ map { read_response($_)->{body} } @held ],
    [ 'released', 'released' ], '... and the scripts end well';
ok wait_until(sub { json()->{workers}{finishing} == 0 }),
    '... and their processes';
unlike $server->logged, qr/exit signal/, 'no process has crashed';
$server->stop;

# --- no store; opcache that does not answer, or is off

my %words = (silent => 'It may not be asked', off => 'Off: not loaded');
for my $case ([ 'opcache.restrict_api=/nowhere', 'silent' ],
    [ 'disable_functions=opcache_get_status', 'silent' ],
    [ 'opcache.enable=0', 'off' ])
{
    my ($ini, $state) = @$case;
    my $folder = "$ENV{EPHPM_SCRATCH}/status-ini";
    mkdir $folder;
    spew("$folder/php.ini", "$ini\nlog_errors=On\n");
    $server = OwnServer->new(
        config => "${scripts}PHPIniDir $folder\nInclude $sample\n");
    $server->page('facts.php',
        '<?php echo extension_loaded("Zend OPcache") ? 1 : 0;');
    ok $server->start, "$ini, and no store: the server starts";
    # Where PHP is beside the server it starts beside it too.
    ok wait_until(sub { ($json = json())->{php}{version} ne '' }),
        '... and PHP';
    is_deeply $json->{stores}, [], '... JSON: no store';
    is $json->{site_store}, undef, '... not for this site';
    $state = 'off' unless $server->get('/facts.php')->{body};
    is $json->{opcache}{state}, $state, "... opcache: $state";
    is $json->{php}{ini_file}, "$folder/php.ini", '... its php.ini';
    $html = $server->get($page)->{body};
    is ill_formed($html), '', '... the page';
    like $html, qr/No store/, '... says so';
    like $html, qr/\Q$words{$state}\E/, '... and of opcache';
    $metrics = $server->get("$page?metrics")->{body};
    is bad_metrics($metrics), '', '... metrics';
    unlike $metrics, qr/ephpm_kv_/, '... none of stores';
    is metric($metrics, 'ephpm_opcache_enabled', ''), 0, '... nor of opcache';
    unlike $server->logged, qr/opcache|exit signal/i, '... and a quiet log';
    $server->stop;
}

done_testing;
