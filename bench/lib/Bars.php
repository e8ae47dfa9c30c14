<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * What store and module are held to: ratios of one run.
 */
final class Bars
{
    /** Every case of bench/kv, with the peers that its rows have. */
    public const CASES = [
        'get-64' => ['apcu', 'str_repeat', 'phpredis'],
        'get-64-miss' => ['apcu', 'phpredis'],
        'get-64-10k' => ['apcu', 'str_repeat', 'phpredis'],
        'get-64-500k' => ['apcu', 'str_repeat', 'phpredis'],
        'get-64k' => ['apcu', 'phpredis'],
        'set-64' => ['apcu', 'phpredis'],
        'set-64-ttl' => ['apcu', 'phpredis'],
        'set-64k' => ['apcu', 'phpredis'],
        'incr' => ['apcu', 'phpredis'],
        'exists' => ['apcu', 'phpredis'],
        'mget-20' => ['apcu', 'phpredis', 'single-calls'],
        'mset-20' => ['apcu', 'phpredis', 'single-calls'],
        'overhead-bytes' => ['apcu'],
        'scale-2-read' => ['one-process', 'str_repeat', 'apcu', 'phpredis'],
        'scale-2-mixed' => ['one-process', 'str_repeat', 'apcu', 'phpredis'],
        'scan-500k' => ['apcu', 'phpredis'],
        'get-during-scan' => ['idle'],
        'hit-ratio-zipf' => ['lru'],
        'hit-ratio-scan' => ['lru'],
        'full-set' => ['with-room'],
    ];

    /** Ratios that are not to be exceeded. */
    private const AT_MOST = [
        'get-64' => ['apcu' => 0.40, 'str_repeat' => 2.0],
        'get-64-10k' => ['apcu' => 0.70],
        'get-64-500k' => ['apcu' => 0.70],
        'get-64-miss' => ['apcu' => 0.30],
        'set-64' => ['apcu' => 0.35],
        'set-64-ttl' => ['apcu' => 0.35],
        'incr' => ['apcu' => 0.5],
        'exists' => ['apcu' => 0.5],
        'get-64k' => ['apcu' => 1.1],
        'set-64k' => ['apcu' => 1.1],
        'mget-20' => ['single-calls' => 0.85],
        'mset-20' => ['single-calls' => 0.7],
        'get-during-scan' => ['idle' => 2.0],
        'full-set' => ['with-room' => 2.0],
        'apache-rss' => ['mod_php' => 1.05],
        'hit-20' => ['apcu' => 1.0, 'redis' => 0.25],
        'getitems-20' => ['redis' => 0.6],
        'session' => ['redis' => 0.3],
    ];

    private const AT_LEAST = [
        'scale-2-read' => ['one-process' => 1.85],
        'scale-2-mixed' => ['one-process' => 1.6],
        'hit-ratio-zipf' => ['lru' => 1.0],
        // Where both do the same work, what is missing to 1 is the noise.
        'apache-hello' => ['mod_php' => 0.98],
        'apache-page-1m' => ['mod_php' => 0.98],
        'apache-post-1m' => ['mod_php' => 0.98],
        'apache-symfony' => ['mod_php' => 0.98],
        'apache-symfony-20' => ['mod_php' => 1.0],
        'nginx-hello-2' => ['php-fpm' => 1.1],
        'nginx-hello-8' => ['php-fpm' => 1.5],
        'nginx-hello-32' => ['php-fpm' => 1.5],
        'nginx-page-1m-2' => ['php-fpm' => 1.2],
        'nginx-page-1m-8' => ['php-fpm' => 1.2],
        'nginx-page-1m-32' => ['php-fpm' => 1.2],
        'nginx-post-1m-2' => ['php-fpm' => 1.2],
        'nginx-post-1m-8' => ['php-fpm' => 1.2],
        'nginx-post-1m-32' => ['php-fpm' => 1.2],
        'nginx-symfony-2' => ['php-fpm' => 1.05],
        'nginx-symfony-8' => ['php-fpm' => 1.05],
        'nginx-symfony-32' => ['php-fpm' => 1.05],
        'nginx-symfony-redis-2' => ['php-fpm-redis' => 1.5],
        'nginx-symfony-redis-8' => ['php-fpm-redis' => 1.5],
        'nginx-symfony-redis-32' => ['php-fpm-redis' => 1.5],
        'event-hello-8' => ['php-fpm' => 1.3],
        'get-p16' => ['redis-server' => 1.0],
        'set-p16' => ['redis-server' => 1.0],
        'get-p16-tcp' => ['redis-server' => 1.0],
        'set-p16-tcp' => ['redis-server' => 1.0],
        'nitro-set' => ['published' => 1.0],
        'nitro-get' => ['published' => 1.0],
    ];

    private const ABOVE = ['hit-ratio-scan' => ['lru' => 1.0]];

    /** Bytes, not a ratio. */
    private const OVERHEAD_BYTES_AT_MOST = 40.0;

    /**
     * The bar as people read it, and whether the row meets it; null: there is
     * no bar for this peer.
     *
     * @return array{string, bool}|null
     */
    public static function of(Row $row): ?array
    {
        if (!$row->result) {
            return null;
        }
        if ('overhead-bytes' === $row->case) {
            return [
                \sprintf('at most %.0f bytes', self::OVERHEAD_BYTES_AT_MOST),
                $row->ours <= self::OVERHEAD_BYTES_AT_MOST,
            ];
        }
        $most = self::AT_MOST[$row->case][$row->peer] ?? null;
        if (null !== $most) {
            return [\sprintf('at most %.2f', $most), $row->ratio <= $most];
        }
        $least = self::AT_LEAST[$row->case][$row->peer] ?? null;
        if (null !== $least) {
            return [\sprintf('at least %.2f', $least), $row->ratio >= $least];
        }
        $above = self::ABOVE[$row->case][$row->peer] ?? null;

        return null === $above ? null : [\sprintf('above %.2f', $above), $row->ratio > $above];
    }
}
