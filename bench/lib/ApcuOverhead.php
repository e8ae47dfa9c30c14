<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * What APCu needs for an entry beyond its key and value, when it is full for
 * the first time.
 */
final class ApcuOverhead
{
    private const KEY_BYTES = 16;
    private const VALUE_BYTES = 64;
    private const CHUNK = 1000;

    public static function bytes(): float
    {
        $value = str_repeat('v', self::VALUE_BYTES);
        $entries = 0;
        for ($first = 0; ; $first += self::CHUNK) {
            foreach (Keys::make('k:', self::CHUNK, $first) as $key) {
                \apcu_store($key, $value);
            }
            $info = \apcu_cache_info(true);
            if (self::figure($info, 'expunges') > 0) {
                break;
            }
            $entries = self::figure($info, 'num_entries');
        }
        $memory = \apcu_sma_info(true);
        if (0 === $entries) {
            throw new BenchError('APCu was full at once');
        }
        $limit = self::figure($memory, 'num_seg') * self::figure($memory, 'seg_size');

        return $limit / $entries - self::KEY_BYTES - self::VALUE_BYTES;
    }

    /**
     * APCu tells some counts as floats.
     */
    private static function figure(mixed $figures, string $name): int
    {
        $figure = \is_array($figures) ? $figures[$name] ?? null : null;
        if (!\is_int($figure) && !\is_float($figure)) {
            throw new BenchError("APCu does not tell $name");
        }

        return (int) $figure;
    }
}
