# The scripts that every host of the extension answers alike.

use strict;
use warnings;
use EphpmTest;
use File::Basename qw(basename);
use Test::More;

my $folder = vars('documentroot') . '/scripts';
my @expected = glob "$folder/*.expect";
ok @expected > 20, 'the scripts are there';
for my $expect (@expected) {
    my $name = basename($expect, '.expect');
    # The second time from opcache, most likely in another process.
    for my $time (1, 2) {
        my $r = get("/scripts/$name.php");
        is $r->{body}, slurp($expect), "$name, time $time";
    }
}

done_testing;
