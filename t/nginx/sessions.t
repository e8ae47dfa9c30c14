#!/usr/bin/perl
# Sessions, in PHP's own files and in the store: what t/apache asks for.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use NginxTest;
use Test::More;

my $suite = NginxTest->suite;
my $own;

# Sessions are in its store; who waits for one keeps a runner.
sub sessions_server {
    my $ini = $suite->ini_text;
    $own = NginxTest->new(processes => 24, ini => $ini, http => <<'END',
ephpm_kv_zone zone=default:16m;
ephpm_kv_zone zone=second:4m;
ephpm_kv default;
php_value session.save_handler ephpm;
php_value session.use_strict_mode 1;
php_value ephpm.session_lock_wait 120;
END
        servers => <<'END');
server {
    listen 127.0.0.1:%PORT%;
    server_name first.test;
    root %DIR%/htdocs;
    php_admin_flag session.auto_start on;
    location ~ \.php$ { ephpm on; }
}
server {
    listen 127.0.0.1:%PORT%;
    server_name second.test;
    root %DIR%/htdocs;
    php_admin_flag session.auto_start on;
    ephpm_kv second;
    location ~ \.php$ { ephpm on; }
}
END
    $own->page('eval.php', slurp("$suite->{root}/eval.php"));
    return $own;
}

shared('sessions');
$own->ends_well(except => qr/was ended by SIGKILL/);
$suite->ends_well;

done_testing;
