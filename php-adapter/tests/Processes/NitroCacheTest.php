<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Processes;

use Ephpm\Cache\Symfony\SapiKvOps;
use NitroCache\Client;
use PHPUnit\Framework\TestCase;

final class NitroCacheTest extends TestCase
{
    private const SECONDS = 2.5;

    private const LIMIT_MB = 0.1;

    public function testTheCountIsRightWhenAllIsOver(): void
    {
        $ops = new SapiKvOps();
        $ops->flush();
        $end = microtime(true) + self::SECONDS;
        $said = Fork::all(4, static function (int $process) use ($end): string {
            mt_srand($process);
            $cache = new Client(self::LIMIT_MB);
            for ($refused = 0; microtime(true) < $end;) {
                $key = 'key' . mt_rand(0, 99);
                if (0 === mt_rand(0, 9)) {
                    $cache->remove($key);
                } elseif (0 === mt_rand(0, 999)) {
                    $cache->getStats();
                } else {
                    $refused += (int) !$cache->set($key, str_repeat('x', mt_rand(1, 3000)), mt_rand(0, 1));
                }
            }

            return "$refused refused";
        });
        foreach ($said as $line) {
            self::assertMatchesRegularExpression('/^[1-9]\d* refused$/D', $line);
        }

        // Once a second at most.
        usleep(2_100_000);
        $cache = new Client(self::LIMIT_MB);
        $counted = $cache->getStats()['usage_bytes'];
        $there = 0;
        for ($i = 0; $i < 100; ++$i) {
            $value = $cache->get("key$i");
            $there += null === $value ? 0 : \strlen("key$i") + \strlen($value);
        }
        self::assertSame($there, $counted);
        self::assertLessThanOrEqual(self::LIMIT_MB * 1024 ** 2, $there);
        self::assertGreaterThan(0, $there);
    }
}
