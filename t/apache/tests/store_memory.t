# A store's memory over changes of the configuration: who has it, and when it
# is gone.  Shared memory without a name lives as long as somebody maps it,
# so its inode in /proc/PID/maps tells.

use strict;
use warnings;
use EphpmTest;
use IO::Select;
use OwnServer;
use Test::More;

my $php = <<"END";
PHPIniDir $ENV{EPHPM_SCRATCH}/../conf/php.ini
<FilesMatch "\\.php\$">
    SetHandler application/x-httpd-php
</FilesMatch>
END

sub mapped {
    my ($pid) = @_;
    my %bytes;
    for (split /\n/, slurp("/proc/$pid/maps")) {
        my ($from, $to, $inode) =
            m{^([0-9a-f]+)-([0-9a-f]+) rw-s \S+ \S+ (\d+)\s+/dev/zero} or next;
        no warnings 'portable';
        $bytes{$inode} += hex($to) - hex($from);
    }
    return %bytes;
}

# The inode of the store with this many MiB; "" where there is none.
sub memory {
    my ($pid, $mib) = @_;
    my %bytes = mapped($pid);
    my $size = $mib << 20;
    return join ' ', sort grep { $bytes{$_} >= $size
        && $bytes{$_} < $size + 65536 } keys %bytes;
}

sub mapped_by {
    my ($inode) = @_;
    my @pids;
    for my $maps (glob '/proc/[0-9]*/maps') {
        my ($pid) = $maps =~ /(\d+)/;
        my %bytes = mapped($pid);
        push @pids, $pid if exists $bytes{$inode};
    }
    return @pids;
}

my $server;

# By whom else than the process that serves a request of before a restart.
# Where that is a runner its maps are not for everybody; then the child whose
# request it is has the memory too, and is not of now.
sub mapped_by_others {
    my ($inode, $old) = @_;
    my @pids = mapped_by($inode);
    @pids or return 'nobody';
    return grep { $_ != $old } @pids if !threaded();
    my %now;
    ok wait_until(sub {
        %now = map { $_ => 1 } children($server->{pid}), $server->{pid};
        return 1 < grep { !mapped_by_pid($_, $inode) } keys %now;
    }), '... there are new children';
    return grep { mapped_by_pid($_, $inode) } $server->{pid};
}

sub mapped_by_pid {
    my ($pid, $inode) = @_;
    my %bytes = mapped($pid);
    return exists $bytes{$inode};
}

$server = OwnServer->new(config => "EphpmStore one 5M\n$php");
my $go = "$server->{dir}/go";
$server->page('count.php', '<?php echo ephpm_kv_incr("n");');
# It tells its process, waits, and uses the store once more.
$server->page('long.php', <<"END");
<?php
ephpm_kv_set('long', 'kept');
echo getmypid(), "\\n";
flush();
while (!file_exists('$go')) {
    usleep(5000);
    clearstatcache();
}
echo ephpm_kv_get('long'), ephpm_kv_incr('n');
END

# A request that goes on until it is told; the process that serves it.
sub begin_long {
    unlink $go;
    my $socket = send_request(connect_to($server->{port}),
        path => '/long.php');
    my $got = '';
    while ($got !~ /^\d+\n/m) {
        IO::Select->new($socket)->can_read(60) or die "no answer: $got";
        sysread $socket, $got, 4096, length $got or die "it ended: $got";
    }
    my ($pid) = $got =~ /^(\d+)\n/m;
    return ($socket, $pid);
}

sub end_long {
    my ($socket) = @_;
    spew($go, '');
    local $/;
    return scalar(<$socket>) // '';
}

$server->configure("EphpmStore one 5M\nEphpmKv one\n$php");
ok $server->start, 'a server with a store starts' or diag $server->said;
is $server->get('/count.php')->{body}, 1, 'it is used';
my $one = memory($server->{pid}, 5);
like $one, qr/^\d+$/, 'its memory is known by an inode';

# New.
$server->configure("EphpmStore one 5M\nEphpmStore two 7M\nEphpmKv two\n$php");
ok $server->graceful, 'a graceful restart with one more store';
like $server->logged, qr/EphpmStore two is new: 7340032 bytes/,
    '... which is made, as the log says';
is $server->get('/count.php')->{body}, 1, '... and used';
is memory($server->{pid}, 5), $one, '... beside the other, which is the same';
my $two = memory($server->{pid}, 7);
like $two, qr/^\d+$/, '... with memory of its own';

# Another size, while a child of the generation before uses it.
my ($socket, $old) = begin_long();
$server->configure("EphpmStore one 5M\nEphpmStore two 9M\nEphpmKv two\n$php");
ok $server->graceful, 'another size, in the middle of a request';
like $server->logged,
    qr/EphpmStore two starts cold: its size was 7340032 bytes and is now 9437184/,
    '... the log says what is different';
is $server->get('/count.php')->{body}, 1, '... new requests find it empty';
is memory($server->{pid}, 7), '', '... the parent has let the old one go';
is join(' ', mapped_by_others($two, $old)), '',
    '... which the old child alone still has';
like end_long($socket), qr/^kept2/m, '... and works with to its end';
ok wait_until(sub { !mapped_by($two) }), '... and then nobody has it: gone';
is $server->get('/count.php')->{body}, 2, '... and the new one is as it was';

# Removed.
my $nine = memory($server->{pid}, 9);
($socket, $old) = begin_long();
$server->configure("EphpmStore one 5M\nEphpmKv one\n$php");
ok $server->graceful, 'a store is removed, in the middle of a request';
like $server->logged, qr/EphpmStore two is in the configuration no longer/,
    '... the log says so';
is join(' ', mapped_by_others($nine, $old)), '',
    '... the old child alone still has it';
like end_long($socket), qr/^kept3/m, '... and works with it to its end';
ok wait_until(sub { !mapped_by($nine) }), '... and then nobody has it: gone';
is memory($server->{pid}, 5), $one, 'the other store was never touched';
is $server->get('/count.php')->{body}, 2, '... and counts on';
ok $server->stop, 'the server stops';
is join(' ', mapped_by($one)), '', '... and its memory is gone too';

# Which host has which store.
my $hosts = "EphpmStore default 4M\nEphpmStore other 4M\n";
for my $case (
    [ 'nothing is said: the store called default', '', '', 'default' ],
    [ 'the server says which', "EphpmKv other\n", '', 'other' ],
    [ 'the host says which', "EphpmKv other\n", "EphpmKv default\n",
        'default' ],
    [ 'the server says Off', "EphpmKv Off\n", '', 'none' ],
    [ 'the server says Off, the host has one', "EphpmKv off\n",
        "EphpmKv other\n", 'other' ],
    [ 'the host says Off', '', "EphpmKv Off\n", 'none' ],
) {
    my ($what, $main, $host, $expected) = @$case;
    my $own = OwnServer->new;
    $own->configure("$hosts$main$php<VirtualHost *:$own->{port}>\n$host"
        . "</VirtualHost>\n<VirtualHost *:$own->{port}>\nServerName by.name\n"
        . "php_admin_value ephpm.store \"\${STORE}\"\n</VirtualHost>\n"
        =~ s/\$\{STORE\}/$expected eq 'none' ? 'other' : $expected/er);
    $own->page('name.php', '<?php echo json_encode(@ephpm_kv_set("name", '
        . '"host")), @ephpm_kv_get("name");');
    ok $own->start, "$what: it starts" or diag $own->said;
    is $own->get('/name.php')->{body}, $expected eq 'none' ? 'false'
        : 'truehost', '... and that is so';
    my $named = '<?php echo json_encode(@ephpm_kv_get("name"));';
    $own->page('read.php', $named);
    is $own->get('/read.php', host => 'by.name')->{body},
        "$main$expected" =~ /off|none/i ? 'null' : '"host"',
        '... and a host that inherits it can name another store, but for Off';
    $own->stop;
}

done_testing;
