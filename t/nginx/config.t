#!/usr/bin/perl
# What nginx refuses, and in which words; -t starts no PHP; the samples.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;

my $server = NginxTest->new;

sub check {
    my (%o) = @_;
    $server->configure(http => '', server => '', main => '', servers => '',
        processes => 4, php_ini => 1, %o);
    return $server->check;
}

sub accepted {
    my ($what, %o) = @_;
    my ($status, $said) = check(%o);
    is $status, 0, "$what: accepted" or diag $said;
}

# One line says what is wrong and where, and another that the test failed.
sub refused {
    my ($what, $sentence, %o) = @_;
    my ($status, $said) = check(%o);
    isnt $status, 0, "$what: refused";
    like $said, $sentence, '... with a sentence';
    my @lines = grep { /\[emerg\]/ } split /\n/, $said;
    is scalar(@lines), 1, '... one' or diag $said;
    like $lines[0] // '', qr/ in \S+nginx\.conf:\d+$/, '... that says where'
        if $o{where} // 1;
}

sub directive { return (http => "$_[0];\n") }

accepted('nothing of ours');
accepted('a store', directive("ephpm_kv_zone zone=default:4m;\nephpm_kv default"));
for my $size (qw(4m 4M 4096k 4194304 5m 1g)) {
    accepted("size $size", directive("ephpm_kv_zone zone=a:$size"));
}
for my $policy (qw(allkeys-lru volatile-lru allkeys-random noeviction)) {
    accepted("eviction=$policy",
        directive("ephpm_kv_zone zone=a:4m eviction=$policy"));
}
accepted('compression', directive('ephpm_kv_zone zone=a:4m compression=zstd:3 '
    . 'min-compress=2k'));
accepted('a store that is named before it is made',
    directive("ephpm_kv later;\nephpm_kv_zone zone=later:4m"));
accepted('all of it', http => <<'END', server => <<'END2');
ephpm_queue 100;
ephpm_queue_timeout 5s;
ephpm_request_terminate_timeout 30s;
ephpm_slowlog logs/slow.log 5s;
ephpm_max_requests 1000;
END
ephpm_param NAME value;
ephpm_index index.php;
ephpm_split_path_info ^(.+?\.php)(/.*)$;
ephpm_buffering off;
ephpm_max_temp_file_size 1m;
ephpm_ignore_client_abort on;
ephpm_pass_request_body off;
ephpm_intercept_errors on;
ephpm_hide_header X-Secret;
ephpm_pass_header X-Accel-Expires;
ephpm_user_ini off;
php_value memory_limit 64M;
php_flag display_errors on;
php_admin_value open_basedir /srv;
php_admin_flag log_errors off;
END2

# --- stores

refused('a size below the minimum', qr/3m is too small: a store has at least 4m/,
    directive('ephpm_kv_zone zone=a:3m'));
for my $size ('much', '12q', '-4m', '4.5m', '99999999999999999999m', '') {
    refused("the size \"$size\"",
        qr/store "a": "\Q$size\E" is not a size: write a number with k, m or g/,
        directive("ephpm_kv_zone zone=a:$size"));
}
refused('no size', qr/zone=a\b/, directive('ephpm_kv_zone zone=a'));
refused('no zone', qr/ephpm_kv_zone/,
    directive('ephpm_kv_zone eviction=allkeys-lru'));
refused('no argument', qr/ephpm_kv_zone/, directive('ephpm_kv_zone'));
refused('two stores of one name', qr/\ba\b.*(?:already|duplicate)/,
    directive("ephpm_kv_zone zone=a:4m;\nephpm_kv_zone zone=a:8m"));
refused('a store called off', qr/"?off"?/,
    directive('ephpm_kv_zone zone=off:4m'));
refused('a name of odd letters', qr{a/b},
    directive('ephpm_kv_zone zone=a/b:4m'));
accepted('a zone of another module with its name',
    directive("limit_req_zone \$uri zone=a:1m rate=1r/s;\n"
        . 'ephpm_kv_zone zone=a:4m'));
refused('an option that is none', qr/colour/,
    directive('ephpm_kv_zone zone=a:4m colour=red'));
refused('a policy that is none', qr/eviction.*allkeys-lru/,
    directive('ephpm_kv_zone zone=a:4m eviction=lru'));
refused('a compression that is none', qr/compression=rar/,
    directive('ephpm_kv_zone zone=a:4m compression=rar'));
refused('a store inside of a server', qr/"ephpm_kv_zone" directive is not allowed here/,
    server => "ephpm_kv_zone zone=a:4m;\n");
refused('a store that is not there', qr/nobody/,
    directive('ephpm_kv nobody'));
refused('the same in a server', qr/nobody/,
    http => "ephpm_kv_zone zone=default:4m;\n", server => "ephpm_kv nobody;\n");
refused('ephpm_kv twice', qr/"ephpm_kv" directive is duplicate/,
    directive("ephpm_kv off;\nephpm_kv off"));
refused('ephpm_kv without a name',
    qr/invalid number of arguments in "ephpm_kv"/, directive('ephpm_kv'));

# --- numbers, times, switches

for my $case (
    [ 'ephpm_processes 0'       => qr/ephpm_processes|0/ ],
    [ 'ephpm_processes -1'      => qr/-1|invalid/ ],
    [ 'ephpm_processes 1001'    => qr/1000/ ],
    [ 'ephpm_processes many'    => qr/many|invalid/ ],
    [ 'ephpm_queue 65537'       => qr/65536/ ],
    [ 'ephpm_queue -1'          => qr/-1|invalid/ ],
    [ 'ephpm_queue_timeout 5x'  => qr/5x|invalid/ ],
    [ 'ephpm_request_terminate_timeout soon' => qr/soon|invalid/ ],
    [ 'ephpm_slowlog /no/such/log 1s' => qr{there is no directory for "/no/such/log"; make one} ],
    [ 'ephpm_max_requests few'  => qr/few|invalid/ ],
    [ 'ephpm_buffering maybe'   => qr/maybe/ ],
    [ 'ephpm_intercept_errors'  => qr/invalid number of arguments/ ],
    [ 'ephpm_split_path_info ^(.+)$' => qr/ephpm_split_path_info|two|capture/i ],
    [ 'ephpm_split_path_info ^((.+)$' => qr/pcre|regex|parenthes|missing/i ],
    [ 'ephpm_php_ini /no/such/folder' => qr{/no/such/folder} ],
    [ 'php_value name'          => qr/invalid number of arguments in "php_value"/ ],
    [ 'php_flag name maybe'     => qr/maybe/ ],
    [ 'ephpm_param NAME $no_such_variable' => qr/unknown "no_such_variable"/ ],
    [ 'ephpm_kvs on'            => qr/unknown directive "ephpm_kvs"/ ],
    [ "ephpm_php_ini %DIR%;\nephpm_php_ini %DIR%" => qr/"ephpm_php_ini" directive is duplicate/ ],
) {
    my ($directive, $sentence) = @$case;
    # nginx says of a variable that is none no place.
    refused($directive =~ s{\n}{ }r, $sentence, directive($directive),
        processes => 0,
        php_ini => 0, where => $directive !~ /variable/);
}
refused('ephpm maybe', qr/maybe/,
    server => "location /a/ { ephpm maybe; }\n");
refused('ephpm on in a server', qr/"ephpm" directive is not allowed here/,
    server => "ephpm on;\n");
refused('a second ephpm', qr/"ephpm" directive is duplicate/,
    server => "location /a/ { ephpm on; ephpm on; }\n");
refused("ephpm on after $_->[0]", $_->[1],
    server => "location /a/ { $_->[0]; ephpm on; }\n")
    for [ 'fastcgi_pass unix:/run/none.sock', qr/answers for already/ ];
refused("ephpm on before $_", qr{"ephpm on" is in location "/a/", for which another},
    server => "location /a/ { ephpm on; $_; }\n")
    for 'fastcgi_pass unix:/run/none.sock', 'proxy_pass http://127.0.0.1:1';
accepted("ephpm on, and $_ in an if",
    server => "location /a/ { ephpm on; if (\$arg_a) { $_; } }\n")
    for 'fastcgi_pass unix:/run/none.sock', 'return 403';
accepted('ephpm on in an if, and fastcgi_pass beside it',
    server => "location /a/ { fastcgi_pass unix:/run/none.sock; "
        . "if (\$arg_a) { ephpm on; } }\n");
refused('ephpm off in an if', qr/"ephpm" directive cannot be off in an "if"/,
    server => "location /a/ { ephpm on; if (\$arg_a) { ephpm off; } }\n");
refused('ephpm_status with an argument',
    qr/invalid number of arguments in "ephpm_status"/,
    server => "location /a/ { ephpm_status on; }\n");
refused('ephpm_processes in a server', qr/not allowed here/,
    server => "ephpm_processes 2;\n");
refused('master_process off', qr/master_process/,
    main => "master_process off;\n", where => 0);

# --- a library that says that it is another PHP

SKIP: {
    my $cc = $ENV{CC} || 'cc';
    my $stranger = "$server->{dir}/scratch/stranger";
    spew("$stranger.c",
        "const char *php_version(void) { return \"7.4.33\"; }\n");
    skip 'what is preloaded is what watches the memory', 4
        if NginxTest::watched();
    skip 'there is no C compiler', 4
        if system("$cc -shared -fPIC -o $stranger.so $stranger.c") != 0;
    local $ENV{LD_PRELOAD} = "$stranger.so";
    refused('another PHP than it was built for',
        qr/built for PHP \d\.\d, but the PHP library that was loaded is 7\.4\.33/,
        where => 0);
}

# --- -t does not start PHP, and a start does

spew($server->{log}, '');
$server->ini("extension=no_such_extension_of_ours\n");
$server->configure(processes => 4, php_ini => 1, http => '', server => '', main => '');
my ($status, $said) = $server->check;
is $status, 0, '-t with a php.ini that makes PHP complain' or diag $said;
unlike $said . $server->logged, qr/no_such_extension_of_ours/,
    '... does not start PHP';
is join(' ', map { $_->{pid} } $server->processes), '',
    '... nor anything that stays';
$server->page('a.php', '<?php echo "answer ", '
    . 'function_exists("ephpm_kv_get"), var_export(@ephpm_kv_get("a"), true);');
ok $server->start, 'the server starts' or diag $server->said;
is get('/a.php')->{body}, 'answer 1NULL', '... and serves, without a store';
like $server->since(0, qr/no_such_extension_of_ours/),
    qr/no_such_extension_of_ours/, "... and PHP's complaint can be read";

# --- a reload with a mistake

$server->configure(http => "ephpm_processes many;\n");
ok !$server->reload, 'a reload with a mistake: refused';
is get('/a.php')->{status}, 200, '... and the server goes on as it was';
$server->configure(http => '');
ok $server->reload, '... and reloads when it is mended';

$server->ends_well(except => qr/\[emerg\].*(?:many|ephpm_processes)|invalid number/);
done_testing;
