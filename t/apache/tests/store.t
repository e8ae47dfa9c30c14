# The store: one for all children, through restarts and deaths of processes.

use strict;
use warnings;
use Apache::Test ();
use EphpmTest;
use OwnServer;
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(sleep);

# Clients that count at once; each answer is "N PID".
sub count {
    my (%o) = @_;
    my (@pipes, @answers);
    for my $client (1 .. $o{clients}) {
        pipe my $read, my $write or die "pipe: $!";
        my $pid = fork() // die "fork: $!";
        if ($pid == 0) {
            close $read;
            my $socket;
            for (1 .. $o{each}) {
                my $answer;
                # A server that restarts may close an idle connection, and a
                # killed one any: the client asks again.
                for (1 .. 50) {
                    $socket = eval { connect_to($o{port}) } or next;
                    send_request($socket, path => "/count.php?key=$o{key}");
                    $answer = read_response($socket);
                    last if $answer && $answer->{status} == 200;
                    syswrite $write, "lost\n";
                    undef $answer;
                    sleep 0.02;
                }
                syswrite $write, $answer ? $answer->{body} : "none\n";
            }
            POSIX::_exit(0);
        }
        close $write;
        push @pipes, [ $read, $pid ];
    }
    $o{meanwhile}->() if $o{meanwhile};
    for my $pipe (@pipes) {
        my $read = $pipe->[0];
        push @answers, <$read>;
        waitpid $pipe->[1], 0;
    }
    my (@numbers, %pids);
    my $lost = grep { /^lost/ } @answers;
    for (@answers) {
        next unless /^(\d+) (\d+)$/;
        push @numbers, $1;
        $pids{$2}++;
    }
    return { numbers => [ sort { $a <=> $b } @numbers ],
        pids => [ sort { $a <=> $b } keys %pids ], lost => $lost,
        none => scalar(grep { /^none/ } @answers) };
}

sub gaps {
    my ($numbers) = @_;
    my @wrong;
    for my $i (1 .. $#$numbers) {
        push @wrong, "$numbers->[$i - 1]-$numbers->[$i]"
            if $numbers->[$i] != $numbers->[$i - 1] + 1;
    }
    return "@wrong";
}

my $run = count(clients => 4, each => 25, key => 'store:shared');
is "@{ $run->{numbers} }", join(' ', 1 .. 100),
    '100 requests count without a gap or a repeat';
cmp_ok scalar(@{ $run->{pids} }), '>=', 2, '... from several children';

# Hosts.
is php('ephpm_kv_set("k", "of default"); echo ephpm_kv_get("k");')->{body},
    'of default', 'the default host uses the default store';
is php('echo var_export(ephpm_kv_get("k"), true);', host => 'second.test')
    ->{body}, 'NULL', 'EphpmKv: another host, another store';
is php('ephpm_kv_set("k", "of second"); echo ephpm_kv_get("k");',
    host => 'second.test')->{body}, 'of second', '... which it can use';
is php('echo ephpm_kv_get("k");')->{body}, 'of default', '... by itself';
is php('echo ephpm_kv_get("k");', host => 'inherits.test')->{body},
    'of second', 'php_admin_value ephpm.store chooses another';
is php('echo var_export(@ephpm_kv_set("k", "v"), true), '
    . 'var_export(@ephpm_kv_get("k"), true);', host => 'off.test')->{body},
    'falseNULL', 'EphpmKv Off: no store';
my $offset = -s error_log();
php('ephpm_kv_get("k");', host => 'off.test');
like log_since($offset, qr/no store/), qr/There is no store for this host/,
    '... and a warning says so';

# Restarts.
my $pid = server_pid();
my $generations = () = slurp(error_log()) =~ /resuming normal operations/g;
$run = count(clients => 3, each => 60, key => 'store:graceful',
    meanwhile => sub {
        for my $n (1 .. 3) {
            sleep 0.15;
            kill 'USR1', $pid;
            wait_until(sub {
                my $now = () = slurp(error_log())
                    =~ /resuming normal operations/g;
                $now >= $generations + $n;
            });
        }
    });
is "@{ $run->{numbers} }", join(' ', 1 .. 180),
    'three graceful restarts in the middle: no gap, no repeat';
is $run->{lost} + $run->{none}, 0, '... and no request is lost';
is php('echo ephpm_kv_get("k");')->{body}, 'of default',
    '... and what was stored before is there';
is php('echo opcache_get_status(false)["opcache_enabled"] ? "on" : "off";')
    ->{body}, 'on', '... and opcache works';

# Deaths.
my $killed = 0;
$run = count(clients => 3, each => 60, key => 'store:killed',
    meanwhile => sub {
        for (1 .. 6) {
            sleep 0.1;
            my @victims = children($pid);
            $killed++ if @victims && kill 'KILL', $victims[rand @victims];
        }
    });
cmp_ok $killed, '>=', 1, 'children were killed';
is $run->{none}, 0, '... and every client is served in the end';
my $last = $run->{numbers}[-1] // 0;
is scalar(@{ $run->{numbers} }), keys %{ { map { $_ => 1 }
    @{ $run->{numbers} } } }, '... no number is given twice';
cmp_ok $last - @{ $run->{numbers} }, '<=', $run->{lost},
    '... and none is missing but those whose answer died with a child';
# Where runners serve, it may have been the one that starts them.
my $r;
ok wait_until(sub {
    $r = php('echo ephpm_kv_get("store:graceful");');
    return $r->{status} == 200;
}), '... the next is served';
is $r->{body}, 180, '... and other keys are untouched';

# A server of its own: what happens to stores over changes.
my $config = <<"END";
PHPIniDir $ENV{EPHPM_SCRATCH}/../conf/php.ini
EphpmStore one 4M
EphpmStore two 4M
EphpmKv one
<FilesMatch "\\.php\$">
    SetHandler application/x-httpd-php
</FilesMatch>
END
my $server = OwnServer->new(config => $config);
$server->page('count.php', slurp(Apache::Test::vars('documentroot')
    . '/count.php'));
ok $server->start, 'a server with two stores starts' or diag $server->said;
like $server->logged, qr/EphpmStore one is new: 4194304 bytes/,
    'the log says that a store is new';

# Shared memory of the parent: what is mapped, in KiB.
sub shared {
    my $sum = 0;
    for (split /\n/, slurp("/proc/$server->{pid}/maps")) {
        no warnings 'portable';
        $sum += hex($2) - hex($1)
            if m{^([0-9a-f]+)-([0-9a-f]+) rw-s .* /dev/zero};
    }
    return $sum / 1024;
}

sub resident {
    return slurp("/proc/$server->{pid}/status") =~ /VmRSS:\s+(\d+)/ ? $1 : 0;
}

is $server->get('/count.php?key=a')->{body} =~ /^1 /, 1, 'it counts';
$server->graceful for 1 .. 3;
my ($shared, $resident) = (shared(), resident());
my $descriptors = () = glob "/proc/$server->{pid}/fd/*";
$server->graceful for 1 .. 10;
is shared(), $shared, 'ten graceful restarts: no more shared memory';
is scalar(() = glob "/proc/$server->{pid}/fd/*"), $descriptors,
    '... no more descriptors';
SKIP: {
    skip 'valgrind keeps the names of all that was unloaded', 1
        if $ENV{EPHPM_VALGRIND};
    cmp_ok resident(), '<', $resident + 8192, '... and no growth to speak of';
    note sprintf 'parent: %d KiB before, %d KiB after', $resident, resident();
}
like $server->get('/count.php?key=a')->{body}, qr/^2 /, '... and it counts on';
like $server->logged, qr/EphpmStore one is kept/, '... as the log says';

$server->configure($config =~ s/one 4M/one 8M/r);
$server->graceful;
like $server->get('/count.php?key=a')->{body}, qr/^1 /,
    'another size: the store starts cold';
like $server->logged, qr/EphpmStore one starts cold: its size was 4194304/,
    '... and the log says why';
cmp_ok shared(), '>=', $shared + 4096, '... with the memory of its size';
$server->configure($config =~ s/one 4M/one 4M eviction=noeviction/r);
$server->graceful;
like $server->logged, qr/EphpmStore one starts cold: its size was 8388608/,
    'and back';
is shared(), $shared, '... which frees the larger one';
$server->configure($config);
$server->graceful;
like $server->logged, qr/EphpmStore one starts cold: its options were/,
    'other options: cold, and the log says why';
$server->configure($config =~ s/EphpmStore two 4M//r);
$server->graceful;
like $server->logged, qr/EphpmStore two is in the configuration no longer/,
    'a store that is configured no longer is freed';
cmp_ok shared(), '<', $shared, '... with its memory';
like $server->get('/count.php?key=a')->{body}, qr/^1 /, 'the other still works';
$server->configure($config =~ s/^EphpmKv.*\n//mr);
$server->graceful;
like php_body($server), qr/no store/i,
    'no EphpmKv and no store called default: none';
$server->configure($config =~ s/two/default/r =~ s/^EphpmKv.*\n//mr);
$server->graceful;
like $server->get('/count.php?key=b')->{body}, qr/^1 /,
    'no EphpmKv: the store called default';

sub php_body {
    my ($server) = @_;
    $server->page('none.php', '<?php ini_set("display_errors", "1"); '
        . 'ephpm_kv_get("x");');
    return $server->get('/none.php')->{body};
}

ok $server->stop, 'it stops';
ok $server->start, 'and starts';
like $server->get('/count.php?key=b')->{body}, qr/^1 /,
    'a full stop: the store starts cold';

done_testing;
