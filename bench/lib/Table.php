<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * The results for people.
 */
final class Table
{
    private const FORMAT = "%-22s %10s  %-13s %10s %-8s %8s  %-16s %-16s %-16s %s\n";

    /**
     * @param list<Row> $rows
     */
    public static function text(array $rows): string
    {
        $text = \sprintf(
            self::FORMAT,
            'case',
            'ours',
            'peer',
            "peer's",
            'unit',
            'ratio',
            'half of them',
            'min..max',
            'bar',
            'met',
        );
        $met = 0;
        $missed = [];
        $case = '';
        foreach ($rows as $row) {
            $bar = Bars::of($row);
            if (null !== $bar) {
                $met += (int) $bar[1];
                if (!$bar[1]) {
                    $missed[] = "{$row->case} beside {$row->peer}";
                }
            }
            $text .= rtrim(\sprintf(
                self::FORMAT,
                $row->case === $case ? '' : $row->case,
                self::figure($row->ours),
                $row->peer,
                self::figure($row->peerValue),
                $row->unit,
                \sprintf('%.3g', $row->ratio),
                self::range($row->ratios, 0.25),
                self::range($row->ratios, 0.0),
                $bar[0] ?? '',
                null === $bar ? '' : ($bar[1] ? 'yes' : 'NO'),
            )) . "\n";
            $case = $row->case;
        }

        return $text . self::noise($rows) . \sprintf("%d of %d bars are met", $met, $met + \count($missed))
            . ([] === $missed ? ".\n" : '; missed: ' . implode(', ', $missed) . ".\n");
    }

    /**
     * How far the ratios of single rounds lie apart where there is a bar.
     *
     * @param list<Row> $rows
     */
    private static function noise(array $rows): string
    {
        $spreads = [];
        foreach ($rows as $row) {
            if (null !== Bars::of($row) && \count($row->ratios) > 1) {
                $spreads["{$row->case} beside {$row->peer}"] = max($row->ratios) / min($row->ratios);
            }
        }
        if ([] === $spreads) {
            return "\n";
        }
        arsort($spreads);

        return \sprintf(
            "\nThe load average is %.1f.  Noise: the highest ratio of a round is %.1f times the lowest in the middle of"
            . " the rows that have a bar, and %.1f times at most (%s).\n",
            (sys_getloadavg() ?: [0.0])[0],
            Statistics::median(array_values($spreads)),
            reset($spreads),
            key($spreads),
        );
    }

    /**
     * @param list<float> $ratios
     * @param float       $leave  the share at either end that does not count
     */
    private static function range(array $ratios, float $leave): string
    {
        if ([] === $ratios) {
            return '';
        }
        sort($ratios);
        $skipped = (int) (\count($ratios) * $leave);

        return \sprintf('%.2g..%.2g', $ratios[$skipped], $ratios[\count($ratios) - 1 - $skipped]);
    }

    private static function figure(float $figure): string
    {
        return match (true) {
            abs($figure) >= 1000 => number_format($figure),
            abs($figure) >= 100 => \sprintf('%.0f', $figure),
            abs($figure) >= 10 => \sprintf('%.1f', $figure),
            default => \sprintf('%.3f', $figure),
        };
    }
}
