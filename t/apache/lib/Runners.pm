package Runners;

# Servers of a threaded MPM whose runners can be held, counted and looked at.

use strict;
use warnings;
use EphpmTest;
use Exporter qw(import);
use JSON::PP qw(decode_json);
use OwnServer;

our @EXPORT = qw(runner_server figures hold release begin runner_pids);

# runner_server(config => TEXT, threads => 16): one child that has them all.
sub runner_server {
    my (%o) = @_;
    my $threads = $o{threads} // 16;
    my $server = OwnServer->new(%{ $o{own} // {} });
    $server->{runner_threads} = $threads;
    spew("$server->{dir}/php.ini", slurp("$ENV{EPHPM_SCRATCH}/../conf/php.ini")
        . ($o{ini} // ''));
    reconfigure($server, $o{config});
    $server->page('hello.php', '<?php echo "hello";');
    $server->page('pid.php', '<?php echo getmypid();');
    $server->page('hello.txt', 'file');
    $server->page('count.php', '<?php echo ephpm_kv_incr("n");');
    $server->page('hold.php', <<'PHP');
<?php
$n = $_GET['n'];
file_put_contents(__DIR__ . '/started', "$n\n", FILE_APPEND);
touch(__DIR__ . "/held-$n");
for ($i = 0; $i < 12000 && !file_exists(__DIR__ . '/release')
    && !file_exists(__DIR__ . "/release-$n"); ++$i) {
    usleep(5000);
    clearstatcache();
}
echo "released $n";
PHP
    return $server;
}

sub reconfigure {
    my ($server, $config) = @_;
    my $threads = $server->{runner_threads};
    $server->configure(<<"END" . ($config // ''));
StartServers 1
ServerLimit 4
ThreadLimit $threads
ThreadsPerChild $threads
MaxRequestWorkers $threads
PHPIniDir $server->{dir}/php.ini
EphpmStore default 4M
<FilesMatch "\\.php\$">
    SetHandler application/x-httpd-php
</FilesMatch>
<Location /status>
    SetHandler ephpm-status
</Location>
END
    return;
}

# What the status page says of runners.
sub figures {
    my ($server) = @_;
    my $answer = $server->get('/status?json');
    my $json = eval { decode_json($answer->{body}) };
    return $json && $json->{runners} ? $json->{runners}
        : { error => "$answer->{status} $answer->{body}" };
}

# A request under way.
sub begin {
    my ($server, $path, %r) = @_;
    return send_request(connect_to($server->{port}), path => $path, %r);
}

# A script that runs until it is released; its connection.
sub hold {
    my ($server, $n) = @_;
    my $socket = begin($server, "/hold.php?n=$n");
    wait_until(sub { -e "$server->{dir}/htdocs/held-$n" })
        or die "hold.php?n=$n did not start";
    return $socket;
}

sub release {
    my ($server, $n) = @_;
    spew("$server->{dir}/htdocs/release" . (defined $n ? "-$n" : ''), '');
    return;
}

# The processes below httpd's parent that run scripts, by what they are
# called.
sub runner_pids {
    my ($server) = @_;
    return grep { (slurp("/proc/$_/comm") =~ /^ephpm-runner/) } below(
        $server->{pid});
}

sub below {
    my ($parent) = @_;
    return map { ($_, below($_)) } children($parent);
}

1;
