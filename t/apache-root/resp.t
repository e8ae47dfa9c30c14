#!/usr/bin/perl
# EphpmResp where root has started the server: who the helper is, whose its
# sockets are, and who does not get to know a password.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use FindBin;
use IO::Socket::UNIX;
use Test::More;

my $module;

BEGIN {
    my $top = $ENV{EPHPM_SRCDIR} // "$FindBin::Bin/../..";
    $module = ($ENV{EPHPM_BUILDDIR} // '.') . '/mod_ephpm/.libs/mod_ephpm.so';
    unshift @INC, "$top/t/apache/lib", "$top/t/lib";
    plan skip_all => 'configured --without-apache' unless -f $module;
    plan skip_all => 'not root: nothing here can be shown' if $> != 0;
    eval { require Apache::Test; 1 } or plan skip_all =>
        'Apache::Test is not installed: apt-get install libapache2-mod-perl2';
    $ENV{EPHPM_MODULE} = abs_path($module);
    $ENV{EPHPM_SCRATCH} = tempdir('ephpm-root-XXXXXX', DIR => '/var/tmp',
        CLEANUP => 1);
    chmod 0755, $ENV{EPHPM_SCRATCH};
}

use EphpmTest qw(children slurp spew wait_until);
use OwnServer;
use Runners ();

my ($nobody, $nogroup) = (scalar getpwnam('nobody'), scalar getgrnam('nogroup'));
my $dir = tempdir('sockets-XXXXXX', DIR => $ENV{EPHPM_SCRATCH});
chmod 0755, $dir;
# Unlike anything else in a process.
my $password = 'Ukulele-Quagmire-7381';
my $file = spew("$dir/password", "$password\n");
chmod 0600, $file;
my $common = "User nobody\nGroup nogroup\nEphpmStore default 4M\n"
    . "<FilesMatch \"\\.php\$\">\nSetHandler application/x-httpd-php\n"
    . "</FilesMatch>\nStartServers 2\nMaxRequestWorkers 4\n";
my $line = "EphpmResp unix:$dir/kv.sock password-file=$file\n";

sub answers {
    my ($ask) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => "$dir/kv.sock") or return '';
    print {$socket} "$ask\r\nQUIT\r\n";
    $socket->flush;
    return join '', <$socket>;
}

# Is it somewhere in what a process can write?
sub knows {
    my ($pid) = @_;
    open my $memory, '<:raw', "/proc/$pid/mem" or return undef;
    for (split /\n/, slurp("/proc/$pid/maps")) {
        my ($from, $to) = /^(\w+)-(\w+) rw/ or next;
        no warnings 'portable';    # more than 32 bits
        ($from, $to) = (hex $from, hex $to);
        next if $to - $from > 1 << 28;
        sysseek $memory, $from, 0 or next;
        my ($before, $piece) = ('');
        while ($from < $to && sysread $memory, $piece,
            $to - $from > 1 << 20 ? 1 << 20 : $to - $from) {
            $from += length $piece;
            return 1 if index("$before$piece", $password) >= 0;
            $before = substr $piece, -length $password;
        }
    }
    return 0;
}

for my $mpm (grep { -e "$ENV{HTTPD_MODULES_DIR}/mod_mpm_$_.so" }
    qw(prefork event)) {
    my $server = OwnServer->new(mpm => $mpm, config => $common . $line
        . "EphpmProcesses 2\nThreadsPerChild 2\n" x ($mpm ne 'prefork'));
    $server->page('set.php', '<?php var_dump(ephpm_kv_set("a", "1"));');
    ok $server->start, "$mpm: a server of root with a line" or diag
        $server->said . $server->logged;
    like $server->get('/set.php')->{body}, qr/true/, '... runs scripts';
    is answers("AUTH $password\r\nGET a"), "+OK\r\n\$1\r\n1\r\n+OK\r\n",
        '... and serves clients, with a password that only root can read';
    my ($helper) = grep { slurp("/proc/$_/comm") eq "ephpm-resp\n" }
        children($server->{pid});
    my $status = slurp("/proc/$helper/status");
    like $status, qr/^Uid:\s+($nobody)\s+\1\s+\1\s+\1$/m, '... its helper is User';
    like $status, qr/^Gid:\s+($nogroup)\s+\1\s+\1\s+\1$/m, '... and Group';
    like $status, qr/^CapEff:\s+0+$/m, '... and can do nothing of root\'s';
    is +(stat "/proc/$helper/mem")[4], 0,
        '... nor can others of that user look into it';
    my @file = stat "$dir/kv.sock";
    is "@file[4, 5]", "$nobody $nogroup", '... the socket is theirs';
    is sprintf('%04o', $file[2] & 07777), '0660', '... and closed to others';

    is knows($helper), 1, 'the helper knows the password';
    my @others = grep { $_ != $helper } Runners::below($server->{pid});
    cmp_ok scalar(@others), '>=', 2, '... of others';
    is join(' ', grep { knows($_) } @others), '', '... none does';

    ok $server->graceful, 'a graceful restart';
    is answers("AUTH $password"), "+OK\r\n+OK\r\n", '... keeps it all';
    is +(stat "$dir/kv.sock")[1], $file[1], '... and the socket';
    ok $server->stop, 'it stops';
    ok !-e "$dir/kv.sock", '... and takes the socket along';
}

# In a folder that is somebody else's.
chown $nobody, $nogroup, $dir;
my $precious = spew("$ENV{EPHPM_SCRATCH}/precious", 'mine');
chmod 0600, $precious;
my $server = OwnServer->new(config => $common . $line);
for my $make (sub { symlink $precious, "$dir/kv.sock" },
    sub { link $precious, "$dir/kv.sock" }) {
    $make->();
    ok !$server->start, 'the socket\'s name leads to a file of root\'s: no start';
    my @file = stat $precious;
    is sprintf('%04o %d', $file[2] & 07777, $file[4]), '0600 0',
        '... and it stays root\'s';
    is slurp($precious), 'mine', '... as it was';
    unlink "$dir/kv.sock";
}

# The socket that is kept is exchanged before a restart.
ok $server->start, 'a start there';
rename "$dir/kv.sock", "$dir/away";
symlink $precious, "$dir/kv.sock";
my $cycles = $server->cycles;
kill 'USR1', $server->{pid};
ok wait_until(sub { $server->cycles > $cycles }),
    'the socket exchanged for a link before a restart: httpd lives';
like $server->logged, qr/EphpmResp unix:\S+: Address already in use: .*clients are not served there/,
    '... and says who cannot be served';
my @file = stat $precious;
is sprintf('%04o %d', $file[2] & 07777, $file[4]), '0600 0',
    '... the file that the link leads to stays root\'s';
is slurp($precious), 'mine', '... as it was';
ok -l "$dir/kv.sock", '... and the link is not taken away';
ok $server->graceful, '... another restart, and httpd lives';
unlink "$dir/kv.sock";
ok $server->graceful, '... until it is gone, and a restart';
is answers("AUTH $password"), "+OK\r\n+OK\r\n", '... opens the socket again';
$server->stop;

done_testing;
