<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * Single calls in one process.
 */
final class OneProcess
{
    private const VALUE_BYTES = 64;
    private const LARGE_BYTES = 65536;
    private const KEYS = 10_000;

    private readonly string $value;

    /** @var non-empty-list<string> */
    private readonly array $keys;

    /** @var non-empty-list<string> */
    private readonly array $oneKey;

    private readonly Rounds $timing;

    /**
     * @param non-empty-list<Backend> $backends ours first
     */
    public function __construct(
        Settings $settings,
        private readonly array $backends,
    ) {
        $this->timing = new Rounds($settings->rounds, $settings->batchNs, warm: true);
        $this->value = str_repeat('v', self::VALUE_BYTES);
        $this->oneKey = ['one:000000000001'];
        $keys = Keys::shuffled(Keys::make('k:', self::KEYS));
        if ([] === $keys) {
            throw new BenchError('there are no keys');
        }
        $this->keys = $keys;
        foreach ($backends as $backend) {
            $backend->fill($this->keys, $this->value);
            $backend->fill($this->oneKey, $this->value);
        }
    }

    /** @return list<Row> */
    public function get(string $case): array
    {
        $keys = 'get-64' === $case ? $this->oneKey : $this->keys;
        $subjects = [];
        foreach ($this->backends as $backend) {
            $subjects[$backend->name()] = static fn(int $calls, int $round): int
                => $backend->timeGet(Keys::cycle($keys, $calls, $round));
        }
        $subjects['str_repeat'] = static fn(int $calls, int $round): int
            => Floor::timeStrRepeat(Keys::cycle($keys, $calls, $round), self::VALUE_BYTES);
        $all = [];
        if (\count($keys) > 1) {
            $all = array_diff_key(array_fill_keys(array_keys($subjects), \count($keys)), ['phpredis' => 0]);
        }
        $rows = $this->rows($case, $subjects, $all);
        $this->mustHold($case, $keys, $this->value);

        return $rows;
    }

    /** @return list<Row> */
    public function miss(string $case): array
    {
        $absent = Keys::make('absent:', 1000);
        \assert([] !== $absent);
        $rows = $this->rows($case, $this->each(static fn(Backend $backend): \Closure
            => static fn(int $calls, int $round): int => $backend->timeGet(Keys::cycle($absent, $calls, $round))));
        foreach ($this->backends as $backend) {
            if (0 !== $backend->count($absent, $this->value)) {
                throw new BenchError("$case: {$backend->name()} found a key that was never set");
            }
        }

        return $rows;
    }

    /** @return list<Row> */
    public function getLarge(string $case): array
    {
        $keys = ['large:0000000001'];
        $value = str_repeat('w', self::LARGE_BYTES);
        foreach ($this->backends as $backend) {
            $backend->fill($keys, $value);
        }
        $rows = $this->rows($case, $this->each(static fn(Backend $backend): \Closure
            => static fn(int $calls, int $round): int => $backend->timeGet(Keys::cycle($keys, $calls, $round))));
        $this->mustHold($case, $keys, $value);

        return $rows;
    }

    /** @return list<Row> */
    public function set(string $case): array
    {
        $keys = ["$case:" . str_repeat('0', 15 - \strlen($case))];
        $value = 'set-64k' === $case ? str_repeat('w', self::LARGE_BYTES) : $this->value;
        $withTtl = 'set-64-ttl' === $case;
        $rows = $this->rows($case, $this->each(static fn(Backend $backend): \Closure
            => static fn(int $calls, int $round): int => $withTtl
                ? $backend->timeSetTtl(Keys::cycle($keys, $calls, $round), $value, 600)
                : $backend->timeSet(Keys::cycle($keys, $calls, $round), $value)));
        $this->mustHold($case, $keys, $value);

        return $rows;
    }

    /** @return list<Row> */
    public function incr(string $case): array
    {
        $keys = ['counter:00000001'];
        $done = [];
        $subjects = [];
        foreach ($this->backends as $backend) {
            $name = $backend->name();
            $done[$name] = 0;
            $subjects[$name] = static function (int $calls, int $round) use ($backend, $keys, $name, &$done): int {
                $done[$name] += $calls;

                return $backend->timeIncr(Keys::cycle($keys, $calls, $round));
            };
        }
        $rows = $this->rows($case, $subjects);
        foreach ($this->backends as $backend) {
            $name = $backend->name();
            if ($backend->counter($keys[0]) !== $done[$name]) {
                throw new BenchError("$case: $name has lost count");
            }
        }

        return $rows;
    }

    /** @return list<Row> */
    public function exists(string $case): array
    {
        $keys = $this->oneKey;
        $rows = $this->rows($case, $this->each(static fn(Backend $backend): \Closure
            => static fn(int $calls, int $round): int => $backend->timeExists(Keys::cycle($keys, $calls, $round))));
        $this->mustHold($case, $keys, $this->value);

        return $rows;
    }

    /** @return list<Row> */
    public function getMany(string $case): array
    {
        $batches = array_chunk(\array_slice($this->keys, 0, 1000), 20);
        $subjects = $this->each(static fn(Backend $backend): \Closure
            => static fn(int $calls, int $round): int => $backend->timeGetMany(Keys::cycle($batches, $calls, $round)));
        $subjects['single-calls'] = static function (int $calls, int $round) use ($batches): int {
            $taken = Keys::cycle($batches, $calls, $round);
            $start = hrtime(true);
            foreach ($taken as $keys) {
                foreach ($keys as $key) {
                    $value = \ephpm_kv_get($key);
                }
            }

            return hrtime(true) - $start;
        };
        $rows = $this->rows($case, $subjects);
        if (\ephpm_kv_mget($batches[0]) !== array_fill(0, 20, $this->value)) {
            throw new BenchError("$case: a key was lost");
        }

        return $rows;
    }

    /** @return list<Row> */
    public function setMany(string $case): array
    {
        $keys = Keys::make('many:', 1000);
        $batches = [];
        foreach (array_chunk($keys, 20) as $chunk) {
            $batches[] = array_fill_keys($chunk, $this->value);
        }
        \assert([] !== $batches);
        foreach ($this->backends as $backend) {
            $backend->timeSetMany($batches);
        }
        $subjects = $this->each(static fn(Backend $backend): \Closure
            => static fn(int $calls, int $round): int => $backend->timeSetMany(Keys::cycle($batches, $calls, $round)));
        $subjects['single-calls'] = static function (int $calls, int $round) use ($batches): int {
            $taken = Keys::cycle($batches, $calls, $round);
            $start = hrtime(true);
            foreach ($taken as $values) {
                foreach ($values as $key => $value) {
                    \ephpm_kv_set($key, $value);
                }
            }

            return hrtime(true) - $start;
        };
        $rows = $this->rows($case, $subjects);
        $this->mustHold($case, $keys, $this->value);

        return $rows;
    }

    /**
     * The loop that is part of every figure here.
     */
    public function emptyLoop(): Row
    {
        $keys = $this->oneKey;
        $figures = $this->timing->measure([
            'loop' => static fn(int $calls, int $round): int
                => Floor::timeLoop(Keys::cycle($keys, $calls, $round)),
            'str_repeat' => static fn(int $calls, int $round): int
                => Floor::timeStrRepeat(Keys::cycle($keys, $calls, $round), self::VALUE_BYTES),
        ]);

        return Row::ofRounds('the empty loop', $figures['loop'], 'str_repeat', $figures['str_repeat'], 'ns', false);
    }

    /**
     * @param \Closure(Backend): (\Closure(int, int): int) $subject
     *
     * @return array<string, \Closure(int, int): int>
     */
    private function each(\Closure $subject): array
    {
        $subjects = [];
        foreach ($this->backends as $backend) {
            $subjects[$backend->name()] = $subject($backend);
        }

        return $subjects;
    }

    /**
     * @param array<string, \Closure(int, int): int> $subjects
     * @param array<string, int>                     $fixed    calls in a batch
     *
     * @return list<Row>
     */
    private function rows(string $case, array $subjects, array $fixed = []): array
    {
        $figures = $this->timing->measure($subjects, fixed: $fixed);
        $rows = [];
        foreach ($figures as $peer => $rounds) {
            if ('ours' !== $peer) {
                $rows[] = Row::ofRounds($case, $figures['ours'], $peer, $rounds, 'ns');
            }
        }

        return $rows;
    }

    /**
     * A get of a key that is gone, or a set that is refused, is quick; so what
     * was timed is looked at.
     *
     * @param list<string> $keys
     */
    private function mustHold(string $case, array $keys, string $value): void
    {
        foreach ($this->backends as $backend) {
            $count = $backend->count($keys, $value);
            if ($count !== \count($keys)) {
                throw new BenchError(
                    \sprintf('%s: %s holds %d of %d keys', $case, $backend->name(), $count, \count($keys)),
                );
            }
        }
    }
}
