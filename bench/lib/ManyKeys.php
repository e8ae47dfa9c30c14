<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A store of half a million keys: single calls, enumeration, and what a
 * reader notices of somebody else's scan.
 */
final class ManyKeys
{
    private const VALUE_BYTES = 64;
    /** A round takes so many of the keys at most, others in each round. */
    private const WINDOW = 20_000;
    /** Calls timed one by one, before it is asked whether there is an end. */
    private const SAMPLES = 4000;
    private const IDLE_SAMPLES = 40_000;

    private const TRIES = 100;
    /** NitroCache's own figures, calls a second with 500,000 keys. */
    private const NITROCACHE_SETS = 61_500;
    private const NITROCACHE_GETS = 57_400;

    private readonly string $value;

    /** @var non-empty-list<string> */
    private readonly array $keys;

    private readonly Rounds $timing;

    private int $turn = 0;

    /**
     * @param non-empty-list<Backend> $backends ours first
     */
    public function __construct(
        private readonly Settings $settings,
        private readonly array $backends,
    ) {
        $this->timing = new Rounds($settings->rounds, $settings->batchNs, warm: false);
        $this->value = str_repeat('v', self::VALUE_BYTES);
        $keys = Keys::make('k:', $settings->manyKeys);
        foreach ($backends as $backend) {
            $backend->fill($keys, $this->value);
        }
        $keys = Keys::shuffled($keys);
        if ([] === $keys) {
            throw new BenchError('there are no keys');
        }
        $this->keys = $keys;
    }

    /** @return list<Row> */
    public function get(string $case): array
    {
        $subjects = [];
        foreach ($this->backends as $backend) {
            $subjects[$backend->name()] = fn(int $calls, int $round): int
                => $backend->timeGet(Keys::cycle($this->keys, $calls, $round));
        }
        $subjects['str_repeat'] = fn(int $calls, int $round): int
            => Floor::timeStrRepeat(Keys::cycle($this->keys, $calls, $round), self::VALUE_BYTES);
        $figures = $this->timing->measure($subjects, self::WINDOW);
        $rows = [];
        foreach ($figures as $peer => $rounds) {
            if ('ours' !== $peer) {
                $rows[] = Row::ofRounds($case, $figures['ours'], $peer, $rounds, 'ns');
            }
        }
        $this->mustHold($case);
        $sets = $this->timing->measure(['set' => fn(int $calls, int $round): int
            => $this->backends[0]->timeSet(Keys::cycle($this->keys, $calls, $round), $this->value)], self::WINDOW);

        return [
            ...$rows,
            $this->published('gets with 500k', $figures['ours'], self::NITROCACHE_GETS),
            $this->published('sets with 500k', $sets['set'], self::NITROCACHE_SETS),
        ];
    }

    /** @return list<Row> */
    public function scan(string $case): array
    {
        $figures = [];
        for ($round = 0; $round < $this->settings->longRounds(); ++$round) {
            foreach ($this->backends as $backend) {
                $count = 0;
                $figures[$backend->name()][] = $backend->timeScan('k:', $count) / 1e6;
                // Redis may tell a key twice.
                if ($count < \count($this->keys) || ('ours' === $backend->name() && $count > \count($this->keys))) {
                    throw new BenchError(
                        \sprintf('%s: %s told %d of %d keys', $case, $backend->name(), $count, \count($this->keys)),
                    );
                }
            }
        }
        $rows = [];
        foreach ($this->backends as $backend) {
            if ('ours' !== $backend->name()) {
                $rows[] = Row::ofRounds($case, $figures['ours'], $backend->name(), $figures[$backend->name()], 'ms');
            }
        }

        return $rows;
    }

    /**
     * The 99th percentile of single gets while another process scans all the
     * keys, or deletes as many others by their prefix; the worse of the two.
     *
     * @return list<Row>
     */
    public function getDuringScan(string $case): array
    {
        $doomed = Keys::make('d:', $this->settings->manyKeys);
        $other = new Fork(function (string $command, \Closure $say) use ($doomed): void {
            $begin = static function () use ($say): void {
                $say('begun');
            };
            match ($command) {
                'fill' => $this->backends[0]->fill($doomed, $this->value),
                'scan' => self::scanOnce($begin),
                default => self::deleteOnce($begin, \count($doomed)),
            };
            $say((string) hrtime(true));
        });
        $idle = ['scan' => [], 'delete' => []];
        $during = $idle;
        for ($round = 0; $round < $this->settings->longRounds(); ++$round) {
            foreach (['scan', 'delete'] as $what) {
                $samples = $samplesDuring = [];
                // On a busy machine the other process may be done before this one has a turn.
                for ($try = 0; [] === $samplesDuring && $try < self::TRIES; ++$try) {
                    if ('delete' === $what) {
                        $other->ask('fill');
                    }
                    [, $samples] = $this->sample(self::IDLE_SAMPLES);
                    $other->ask($what);
                    $samplesDuring = $this->samplesUntilAnswer($other);
                }
                $idle[$what][] = Statistics::percentile($samples, 0.99);
                $during[$what][] = Statistics::percentile($samplesDuring, 0.99);
            }
        }
        $rows = [];
        foreach ($during as $what => $figures) {
            $rows[$what] = Row::ofRounds($case, $figures, 'idle', $idle[$what], 'ns');
        }
        [$worse, $better] = $rows['scan']->ratio >= $rows['delete']->ratio ? ['scan', 'delete'] : ['delete', 'scan'];
        $also = "during the $better";

        return [$rows[$worse], Row::ofRounds($also, $during[$better], 'idle', $idle[$better], 'ns', false)];
    }

    /**
     * @return list<int> how many nanoseconds each call took
     */
    private function samplesUntilAnswer(Fork $other): array
    {
        $ends = [];
        $samples = [];
        do {
            [$newEnds, $newSamples] = $this->sample(self::SAMPLES);
            array_push($ends, ...$newEnds);
            array_push($samples, ...$newSamples);
        } while (!$other->hasAnswered());
        $until = (int) $other->answer();
        $during = [];
        foreach ($samples as $at => $ns) {
            if ($ends[$at] < $until) {
                $during[] = $ns;
            }
        }

        return $during;
    }

    /**
     * @return array{list<int>, list<int>} when each call ended, and how many nanoseconds it took
     */
    private function sample(int $count): array
    {
        $keys = Keys::cycle($this->keys, $count, $this->turn++);
        $ends = [];
        $samples = [];
        foreach ($keys as $key) {
            $start = hrtime(true);
            $value = \ephpm_kv_get($key);
            $end = hrtime(true);
            $ends[] = $end;
            $samples[] = $end - $start;
        }

        return [$ends, $samples];
    }

    /**
     * @param \Closure(): void $begin
     */
    private static function scanOnce(\Closure $begin): void
    {
        $begin();
        $cursor = 0;
        do {
            /** @var array{int, list<string>} $step */
            $step = \ephpm_kv_scan($cursor, 'k:', 1000);
            [$cursor] = $step;
        } while (0 !== $cursor);
    }

    /**
     * @param \Closure(): void $begin
     */
    private static function deleteOnce(\Closure $begin, int $expected): void
    {
        $begin();
        $deleted = \ephpm_kv_del_prefix('d:');
        if ($deleted !== $expected) {
            throw new BenchError("ephpm_kv_del_prefix() deleted $deleted of $expected keys");
        }
    }

    private function mustHold(string $case): void
    {
        foreach ($this->backends as $backend) {
            $count = $backend->count($this->keys, $this->value);
            if ($count !== \count($this->keys)) {
                throw new BenchError(
                    \sprintf('%s: %s holds %d of %d keys', $case, $backend->name(), $count, \count($this->keys)),
                );
            }
        }
    }

    /**
     * @param list<float> $ns a call
     */
    private function published(string $case, array $ns, int $perSecond): Row
    {
        return new Row($case, 1e9 / Statistics::median($ns), 'nitrocache', $perSecond, 'calls/s', result: false);
    }
}
