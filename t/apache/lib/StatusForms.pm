package StatusForms;

# What the forms of the status page must be: XML that is well-formed, and the
# text format 0.0.4 of Prometheus.  Each check returns the first mistake, or
# ''.

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(ill_formed bad_metrics metric);

my $name = qr/[A-Za-z][\w:.-]*/;
my $reference = qr/&(?:lt|gt|amp|quot|\#\d+|\#x[0-9a-fA-F]+);/;

# One element, `meta/` and the like included, with all in it that has to be.
sub ill_formed {
    my ($text) = @_;
    my (@open, $roots);

    utf8::decode(my $decoded = $text) or return 'not UTF-8';
    $decoded =~ /([\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\x{fffe}\x{ffff}])/
        and return sprintf 'character U+%04X', ord $1;
    $text =~ s/\A<!DOCTYPE html>\n// or return 'no DOCTYPE';
    while ($text =~ /\G(?:<([^>]*)>|([^<]+)|(<))/gc) {
        my ($tag, $words) = ($1, $2);
        defined $3 and return 'a < that begins nothing';
        if (defined $words) {
            $words =~ s/$reference//g;
            $words =~ /(&.{0,10})/s and return "a bare $1";
            $words =~ /\S/ && !@open and return "text outside: $words";
            next;
        }
        if ($tag =~ m{\A/($name)\z}) {
            my $last = pop(@open) // 'nothing';
            $last eq $1 or return "</$1> ends <$last>";
            next;
        }
        $tag =~ s{\A($name)}{} or return "<$tag> is no tag";
        my ($element, %seen) = $1;
        @open || !$roots++ or return "a second root, <$element>";
        while ($tag =~ s{\A\s+($name)="([^"<]*)"}{}) {
            my ($attribute, $value) = ($1, $2);
            $seen{$attribute}++ and return "<$element> has two $attribute";
            $value =~ s/$reference//g;
            $value =~ /&/ and return "<$element $attribute>: a bare &";
        }
        next if $tag eq '/';
        $tag eq '' or return "<$element> has '$tag'";
        push @open, $element;
    }
    @open and return "<$open[-1]> is not ended";
    return $roots ? '' : 'nothing';
}

my $metric_name = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $label = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"/;
my $value = qr/[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|Inf|NaN)/;

sub bad_metrics {
    my ($text) = @_;
    my (%help, %type, %seen, %once, %left, $family);

    $text =~ /\n\z/ or return 'no end of line at the end';
    for my $line (split /\n/, $text) {
        if ($line =~ /^# (HELP|TYPE) ($metric_name) (.+)$/) {
            my ($what, $of, $words) = ($1, $2, $3);
            my $known = $what eq 'HELP' ? \%help : \%type;
            $known->{$of} and return "a second $what: $line";
            $seen{$of} and return "$what after its samples: $line";
            $known->{$of} = $words;
            if ($what eq 'HELP') {
                $words =~ /\\(?![\\n])/ and return "escape: $line";
                next;
            }
            $words =~ /^(?:counter|gauge)$/ or return "type: $line";
            ($words eq 'counter') == ($of =~ /_total$/)
                or return "counters, and they alone, end in _total: $line";
            $of =~ /(?:_|^)(?:ms|milliseconds|kb|mb|kilobytes|percent)(?:_|$)/
                and return "not a base unit: $line";
            next;
        }
        $line =~ /^($metric_name)(\{$label(?:,$label)*\})? ($value)$/
            or return "not a sample: $line";
        my ($of, $labels) = ($1, $2 // '');
        $help{$of} && $type{$of} or return "no HELP or TYPE: $line";
        $of eq ($family // '') || !$left{$of} or return "apart: $line";
        $left{$family} = 1 if defined $family && $family ne $of;
        $family = $of;
        $seen{$of} = 1;
        $once{"$of$labels"}++ and return "twice: $line";
    }
    for my $of (sort keys %type) {
        $seen{$of} or return "$of has no sample";
    }
    return '';
}

# The value of NAME{LABELS}, or undef.
sub metric {
    my ($text, $of, $labels) = @_;
    $of .= "{$labels}" if $labels ne '';
    return $text =~ /^\Q$of\E (\S+)$/m ? $1 : undef;
}

1;
