<?php

declare(strict_types=1);

namespace App;

use Ephpm\Cache\Symfony\SapiKvOps;

/**
 * Counters in the store, and which worker answered the last requests.
 *
 * The store is one for all workers and incrBy() is atomic, so the numbers have
 * no gap and no repeat whoever answers.
 */
final class Visits
{
    public const PAGE = 'demo:page-visits';
    public const API = 'demo:visits';

    private const ANSWERS = 'demo:answers';
    private const ANSWER = 'demo:answer:';
    private const ANSWERS_KEPT = 72;

    public function __construct(private readonly SapiKvOps $kv) {}

    /**
     * @return int the number of this visit, from 1
     */
    public function count(string $counter): int
    {
        $place = $this->kv->incrBy(self::ANSWERS, 1) % self::ANSWERS_KEPT;
        $this->kv->set(self::ANSWER . $place, (string) getmypid());

        return $this->kv->incrBy($counter, 1);
    }

    /**
     * @return list<int> process ids, the oldest answer first
     */
    public function answers(): array
    {
        $last = (int) $this->kv->get(self::ANSWERS);
        $pids = [];
        for ($i = max(1, $last - self::ANSWERS_KEPT + 1); $i <= $last; ++$i) {
            if (null !== $pid = $this->kv->get(self::ANSWER . $i % self::ANSWERS_KEPT)) {
                $pids[] = (int) $pid;
            }
        }

        return $pids;
    }
}
