<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * Sets of new keys in a store that is full, beside the same sets in a store of
 * the same size that has room for them all: two PHP processes that take turns.
 */
final class FullStore
{
    private const SIZE = '128M';
    private const VALUE_BYTES = 64;
    /** What both of the processes set, so the size holds all of it. */
    private const KEYS_IN_ALL = 700_000;
    private const KEYS_PER_ROUND = 40_000;
    /** More than the size can hold. */
    private const KEYS_TO_FILL = 2_000_000;
    private const CHUNK = 10_000;

    /** @return list<Row> */
    public static function measure(Settings $settings, string $case): array
    {
        $rounds = $settings->longRounds();
        $count = min(self::KEYS_PER_ROUND, intdiv(self::KEYS_IN_ALL, $rounds));
        $room = new PhpProcess(['full-set'], ['ephpm.cli_size' => self::SIZE]);
        $full = new PhpProcess(['full-set'], ['ephpm.cli_size' => self::SIZE]);
        $full->ask('fill ' . self::KEYS_TO_FILL);
        $figures = ['room' => [], 'full' => []];
        $evictions = ['room' => 0, 'full' => 0];
        for ($round = 0; $round < $rounds; ++$round) {
            $first = $round * $count;
            $order = 0 === $round % 2 ? ['room', 'full'] : ['full', 'room'];
            foreach ($order as $which) {
                [$ns, $evicted] = explode(' ', ('room' === $which ? $room : $full)->ask("set $first $count"));
                $figures[$which][] = (int) $ns / $count;
                $evictions[$which] += (int) $evicted;
            }
        }
        // Whole segments are evicted, so not every round has its share.
        if ($evictions['room'] > 0 || $evictions['full'] < $rounds * $count / 2) {
            throw new BenchError(\sprintf(
                '%s: %d sets evicted %d keys with room and %d without',
                $case,
                $rounds * $count,
                $evictions['room'],
                $evictions['full'],
            ));
        }

        return [Row::ofRounds($case, $figures['full'], 'with-room', $figures['room'], 'ns')];
    }

    /**
     * One of the processes.
     *
     * @param resource $in
     * @param resource $out
     */
    public static function serve($in, $out): void
    {
        $ours = new Ours();
        $value = str_repeat('v', self::VALUE_BYTES);
        while (false !== ($line = fgets($in))) {
            $words = explode(' ', rtrim($line, "\n"));
            if ('fill' === $words[0]) {
                for ($first = 0; $first < (int) $words[1]; $first += self::CHUNK) {
                    $ours->fill(Keys::make('f:', self::CHUNK, $first), $value);
                }
                fwrite($out, "filled\n");
                continue;
            }
            $keys = Keys::make('k:', (int) $words[2], (int) $words[1]);
            $evictions = self::evictions();
            $ns = $ours->timeSet($keys, $value);
            fwrite($out, $ns . ' ' . self::evictions() - $evictions . "\n");
        }
    }

    private static function evictions(): int
    {
        $evictions = \ephpm_kv_stats()['evictions'] ?? null;
        if (!\is_int($evictions)) {
            throw new BenchError('ephpm_kv_stats() does not tell evictions');
        }

        return $evictions;
    }
}
