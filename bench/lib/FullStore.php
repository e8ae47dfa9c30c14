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
    private const FILL_CHUNK = 10_000;
    /** Sets that are timed together. */
    private const CHUNK = 2_000;

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
                [$each, $evicted] = explode(' ', ('room' === $which ? $room : $full)->ask("set $first $count"));
                $figures[$which][] = (float) $each;
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
                for ($first = 0; $first < (int) $words[1]; $first += self::FILL_CHUNK) {
                    $ours->fill(Keys::make('f:', self::FILL_CHUNK, $first), $value);
                }
                fwrite($out, "filled\n");
                continue;
            }
            $keys = Keys::make('k:', (int) $words[2], (int) $words[1]);
            $evictions = self::evictions();
            $each = self::timeEach($ours, $keys, $value);
            fwrite($out, $each . ' ' . self::evictions() - $evictions . "\n");
        }
    }

    /**
     * Nanoseconds a set, without those that the kernel interrupted; if it
     * interrupted all, with them.
     *
     * @param list<string> $keys
     */
    private static function timeEach(Ours $ours, array $keys, string $value): float
    {
        $whole = [];
        $all = [];
        foreach (array_chunk($keys, self::CHUNK) as $chunk) {
            $before = Rounds::interruptions();
            $slice = new Slice(\count($chunk), $ours->timeSet($chunk, $value));
            $all[] = $slice;
            if ($before === Rounds::interruptions()) {
                $whole[] = $slice;
            }
        }

        return 1e9 / Slice::perSecond([] === $whole ? $all : $whole);
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
