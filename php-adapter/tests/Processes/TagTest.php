<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Processes;

use Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter;
use Ephpm\Cache\Symfony\SapiKvOps;
use PHPUnit\Framework\TestCase;

final class TagTest extends TestCase
{
    private const SECONDS = 1.0;

    /**
     * What was saved before an invalidation began is not found once it is over,
     * under either tag, whatever others save meanwhile.
     */
    public function testNothingOldIsFoundAfterAnInvalidation(): void
    {
        $ops = new SapiKvOps();
        $ops->flush();
        $end = microtime(true) + self::SECONDS;
        $said = Fork::all(4, static function (int $process) use ($ops, $end): string {
            $saved = static fn(int $writer): string => "saved:$writer";
            for ($round = 1; microtime(true) < $end; ++$round) {
                $pool = new EphpmKvTagAwareAdapter('race');
                if (0 !== $process) {
                    $pool->saveDeferred($pool->getItem('a')->set([$process, $round])->tag(['a']));
                    $pool->saveDeferred($pool->getItem('b')->set([$process, $round])->tag(['b', 'other']));
                    $pool->commit();
                    $ops->set($saved($process), (string) $round);
                    continue;
                }
                $before = array_map(static fn(int $writer): int => (int) $ops->get($saved($writer)), range(0, 3));
                $pool->invalidateTags(['a', 'b']);
                foreach ($pool->getItems(['a', 'b']) as $key => $item) {
                    if (!$item->isHit()) {
                        continue;
                    }
                    [$writer, $of] = (array) $item->get() + [0, 0];
                    if (!\is_int($writer) || !\is_int($of) || $of <= $before[$writer]) {
                        return "found an old $key in round $round";
                    }
                }
            }

            return "$round rounds";
        });

        foreach ($said as $line) {
            self::assertMatchesRegularExpression('/^[1-9]\d* rounds$/D', $line);
        }
    }
}
