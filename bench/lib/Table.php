<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * The results for people.
 */
final class Table
{
    private const FORMAT = "%-17s %10s  %-12s %10s %-9s %7s %-14s %-16s %s\n";

    /**
     * @param list<Row> $rows
     */
    public static function text(array $rows): string
    {
        $text = \sprintf(self::FORMAT, 'case', 'ours', 'peer', 'peer\'s', 'unit', 'ratio', 'min..max', 'bar', 'met');
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
                null === $row->lowest ? '' : \sprintf('%.3g..%.3g', $row->lowest, $row->highest),
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
            if (null !== Bars::of($row) && null !== $row->lowest && null !== $row->highest && $row->lowest > 0.0) {
                $spreads["{$row->case} beside {$row->peer}"] = $row->highest / $row->lowest;
            }
        }
        if ([] === $spreads) {
            return "\n";
        }
        arsort($spreads);

        return \sprintf(
            "\nNoise: the highest ratio of a round is %.1f times the lowest in the middle of the rows that have a bar,"
            . " and %.1f times at most (%s).\n",
            Statistics::median(array_values($spreads)),
            reset($spreads),
            key($spreads),
        );
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
