package Memcheck;

# httpd under valgrind's memcheck: which of the suite's tests it is given, how
# it is started, and what is to be made of what valgrind has found.
#
# PHP's allocator, which valgrind cannot look into, is replaced in one of two
# ways:
#
#   malloc   each block is one of libc's: what a request leaves behind is a leak
#   tracked  as well, but PHP frees what is left at the end of a request, and
#            obeys memory_limit
#
# PHP leaves everything as it is when an error ends a request, for its own
# allocator forgets it all at once; so tests with such errors are `tracked`.
#
# In both turns httpd is one process (-X).  Tests that need more have a third,
# `forked`, with a parent and children, in servers of their own as well.
# Leaks are those of processes that end in good order: a child that is told to
# end at once, or one that a script has forked, drops everything as it is.

use strict;
use warnings;

# Tests that cannot be passed here.
our %left_out = (
    as_mod_php => 'it holds us against mod_php, and valgrind with it',
    config     => 'its servers end before they have begun',
    resp       => 'it kills servers and helpers, whose findings go with them',
    opcache    => 'valgrind would have to follow machine code that the JIT '
        . 'writes',
);

# Tests in which errors end requests.
our %tracked = map { $_ => 1 } qw(errors subrequests);

# Tests that need several processes.
our %forked = map { $_ => 1 } qw(compression output socache status store
    store_memory user_ini);

my %environment = (
    malloc  => { USE_ZEND_ALLOC => 0 },
    tracked => { USE_ZEND_ALLOC => 0, USE_TRACKED_ALLOC => 1 },
    forked  => { USE_ZEND_ALLOC => 0, USE_TRACKED_ALLOC => 1 },
);

# Where valgrind is, or undef.
sub valgrind {
    my ($found) = grep { -x } map { "$_/valgrind" } split /:/, $ENV{PATH};
    return $found;
}

# turns(NAME...) -> [TURN, NAME...], ...
sub turns {
    my (@names) = @_;
    my %turn;
    for my $name (grep { !$left_out{$_} } @names) {
        push @{ $turn{ $tracked{$name} ? 'tracked'
            : $forked{$name} ? 'forked' : 'malloc' } }, $name;
    }
    return map { $turn{$_} ? [ $_, @{ $turn{$_} } ] : () }
        qw(malloc tracked forked);
}

# The command in front of httpd's.  Names of functions are kept for what is
# unloaded before the end.  Pipes for a debugger would be left behind by who is
# killed, and in the way of whoever has its process id later.
sub command {
    my ($files, $suppressions) = @_;
    return (valgrind(), '--tool=memcheck', '--xml=yes',
        "--xml-file=$files-%p.xml", '--leak-check=full',
        '--show-leak-kinds=definite,indirect,possible', '--keep-debuginfo=yes',
        '--num-callers=50', '--error-limit=no', '--gen-suppressions=all',
        '--vgdb=no',
        defined $suppressions ? "--suppressions=$suppressions" : ());
}

# A script that runs PROGRAM so, and leaves TURN-PID-PID.xml in FOLDER, the
# first PID being its own and the second that or the one of a process that was
# forked.
sub script {
    my ($folder, $turn, $suppressions, $program) = @_;
    my %set = (%{ $environment{$turn} }, ZEND_DONT_UNLOAD_MODULES => 1);
    my @command = command("$folder/$turn-\$\$", $suppressions);
    return join "\n", '#!/bin/sh', (map { "export $_=$set{$_}" } sort keys %set),
        "exec @command $program \"\$@\"", '';
}

# files(FOLDER, TURN) -> what such scripts have left: those of their own, and
# those of processes that were forked
sub files {
    my ($folder, $turn) = @_;
    my @files = glob "$folder/$turn-*.xml";
    my @own = grep { /-(\d+)-\1\.xml$/ } @files;
    my %own = map { $_ => 1 } @own;
    return (\@own, [ grep { !$own{$_} } @files ]);
}

# --- what it has found

sub plain {
    my ($text) = @_;
    my %sign = (lt => '<', gt => '>', amp => '&', quot => '"', apos => "'");
    return $text =~ s/&(\w+);/$sign{$1} \/\/ "&$1;"/ger;
}

# findings(XML) -> { kind, text, frames => [ { fn, obj, at, ours } ] }, ...
sub findings {
    my ($xml) = @_;
    my @found;
    while ($xml =~ m{<error>(.*?)</error>}gs) {
        my $error = $1;
        my ($kind) = $error =~ m{<kind>(\w+)</kind>};
        my ($text) = $error =~ m{<(?:text|what)>(.*?)</(?:text|what)>};
        my ($stack) = $error =~ m{<stack>(.*?)</stack>}s;
        my @frames;
        while (($stack // '') =~ m{<frame>(.*?)</frame>}gs) {
            my %frame = $1 =~ m{<(\w+)>([^<]*)</}g;
            my $object = plain($frame{obj} // '');
            push @frames, { obj => $object, fn => plain($frame{fn} // '???'),
                at => defined $frame{file} ? "$frame{file}:$frame{line}"
                    : $object =~ s{.*/}{}r,
                ours => $object =~ m{/(?:mod_)?ephpm\.so$} ? 1 : 0 };
        }
        my ($rule) = $error =~ m{<rawtext>\s*(?:<!\[CDATA\[)?(.*?)(?:\]\]>)?\s*</rawtext>}s;
        push @found, { kind => $kind, text => plain($text // $kind),
            frames => \@frames, rule => $rule };
    }
    return @found;
}

# A finding in some lines, where `>` marks what is ours.
sub show {
    my ($finding) = @_;
    return join "\n", "$finding->{kind}: $finding->{text}",
        map { sprintf '  %s %s (%s)', $_->{ours} ? '>' : ' ', $_->{fn},
            $_->{at} } @{ $finding->{frames} };
}

# Whether valgrind came to its end and looked for leaks.
sub finished { return $_[0] =~ m{<state>FINISHED</state>.*</valgrindoutput>}s }

# Where a process was when a signal ended it, innermost first.
sub ended_in {
    my ($xml) = @_;
    my ($signal) = $xml =~ m{<fatal_signal>(.*?)</fatal_signal>}s or return;
    my ($name) = $signal =~ m{<signame>(.*?)</signame>};
    return ($name // 'a signal', map {
        my %frame = m{<(\w+)>([^<]*)</}g;
        '  ' . plain($frame{fn} // '???') . ' ('
            . (defined $frame{file} ? "$frame{file}:$frame{line}"
                : plain($frame{obj} // '?')) . ')';
    } $signal =~ m{<frame>(.*?)</frame>}gs);
}

# How often each suppression has been used: NAME => TIMES, ...
sub suppressed {
    my ($xml) = @_;
    my %times;
    while ($xml =~ m{<pair>\s*<count>(\d+)</count>\s*<name>(.*?)</name>}gs) {
        $times{ plain($2) } += $1;
    }
    return %times;
}

# --- what may be suppressed

# unsound(TEXT, NAME...) -> what is wrong with a file of suppressions.  What a
# suppression names is the innermost part of a stack: without a gap, and with
# nothing in it but other people's functions, it can hide no fault that begins
# in ours.  NAMEs are the functions of ours.
sub unsound {
    my ($text, @names) = @_;
    my %ours = map { $_ => 1 } @names;
    my (@wrong, $reason, $entry, @lines, %seen);
    for (split /\n/, $text) {
        if (/^\s*#/) {
            $reason = 1;
        } elsif (/^\s*$/) {
            undef $reason;
        } elsif (/^\{/) {
            @lines = ();
            $entry = 1;
        } elsif (!$entry) {
            push @wrong, "outside: $_";
        } elsif (!/^\}/) {
            push @lines, s/^\s+|\s+$//gr;
        } else {
            my ($name, $tool, @frames) = @lines;
            my $of = $name // 'an empty one';
            push @wrong, "$of: has no reason" unless $reason;
            push @wrong, "$of: there are two" if $seen{$of}++;
            push @wrong, "$of: is not of Memcheck"
                unless ($tool // '') =~ /^Memcheck:\w+$/;
            shift @frames if ($frames[0] // '') =~ /^match-leak-kinds:/;
            my $named = 0;
            for my $frame (@frames) {
                if ($frame =~ /^fun:([\w.@]+)$/) {
                    push @wrong, "$of: $1 is ours" if $ours{$1};
                    $named ||= $1 !~ /^(?:[mc]alloc|realloc|calloc|strn?dup|memcpy|strlen)$/;
                } elsif ($frame =~ m{^obj:\*/(?:lib[\w.+-]+\*?|apache2|httpd|ld-\*|opcache\.so|mod_(?!ephpm)\w+\.so)$}) {
                    $named = 1;
                } else {
                    push @wrong, "$of: '$frame' could be ours";
                }
            }
            push @wrong, "$of: names nobody" unless $named;
            undef $reason;
            undef $entry;
        }
    }
    push @wrong, 'the end is missing' if $entry;
    return @wrong;
}

1;
