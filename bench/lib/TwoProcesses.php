<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * How much more two processes do than one, on keys of their own.
 *
 * Every round has, for each subject, a slice of time with one process and one
 * with both.  The machine may have less than two whole processors to give, so
 * str_repeat(), which shares nothing, tells how much two processes can do
 * now: twice as much as one would be everything.
 */
final class TwoProcesses
{
    private const KEYS = 1000;
    /** In a mixed chunk, each followed by one set. */
    private const READS = 100;
    private const VALUE_BYTES = 64;
    /** How long both need to get ready for a slice. */
    private const START_NS = 1_000_000;

    private const FLOOR = 'str_repeat';

    /** @var array{Fork, Fork} */
    private readonly array $forks;

    /** @var array<string, array<string, array{list<float>, list<float>}>> calls a second, by mode and subject */
    private array $figures = [];

    /**
     * @param non-empty-list<Backend> $backends ours first
     */
    public function __construct(
        private readonly Settings $settings,
        private readonly array $backends,
    ) {
        foreach ($backends as $backend) {
            for ($fork = 0; $fork < 2; ++$fork) {
                $backend->fill(self::keysOf($fork), self::value());
            }
        }
        $this->forks = [$this->forked(0), $this->forked(1)];
    }

    public function measure(bool $mixed): void
    {
        $modes = ['read' => [self::FLOOR]];
        if ($mixed) {
            $modes['mixed'] = [];
        }
        foreach (array_keys($modes) as $mode) {
            foreach ($this->backends as $backend) {
                $modes[$mode][] = $backend->name();
            }
        }
        for ($round = 0; $round < $this->settings->rounds; ++$round) {
            foreach ($modes as $mode => $names) {
                foreach ($names as $name) {
                    $this->figures[$mode][$name] ??= [[], []];
                    $this->figures[$mode][$name][0][] = $this->slice($mode, $name, [$this->forks[$round % 2]]);
                    $this->figures[$mode][$name][1][] = $this->slice($mode, $name, $this->forks);
                }
            }
        }
        foreach ($this->backends as $backend) {
            for ($fork = 0; $fork < 2; ++$fork) {
                if (self::KEYS !== $backend->count(self::keysOf($fork), self::value())) {
                    throw new BenchError("two processes: {$backend->name()} has lost keys");
                }
            }
        }
    }

    /** @return list<Row> */
    public function rows(string $case, string $mode): array
    {
        [$one, $two] = $this->figures[$mode]['ours'];
        [$floorOne, $floorTwo] = $this->figures['read'][self::FLOOR];
        $possible = Statistics::median($floorTwo) / Statistics::median($floorOne) / 2;
        // What both would do with two whole processors, beside what one does.
        $lowest = INF;
        $highest = 0.0;
        foreach ($one as $round => $figure) {
            $ratio = $two[$round] / $figure / ($floorTwo[$round] / $floorOne[$round] / 2);
            $lowest = min($lowest, $ratio);
            $highest = max($highest, $ratio);
        }
        $rows = [
            new Row(
                $case,
                Statistics::median($two) / $possible,
                'one-process',
                Statistics::median($one),
                'calls/s',
                $lowest,
                $highest,
            ),
            new Row(
                $case,
                Statistics::median($two) / Statistics::median($one),
                self::FLOOR,
                2 * $possible,
                'times one',
            ),
        ];
        foreach ($this->backends as $backend) {
            if ('ours' !== $backend->name()) {
                $peer = $this->figures[$mode][$backend->name()][1];
                $rows[] = Row::ofRounds($case, $two, $backend->name(), $peer, 'calls/s');
            }
        }

        return $rows;
    }

    /**
     * @param list<Fork> $forks
     *
     * @return float calls a second
     */
    private function slice(string $mode, string $name, array $forks): float
    {
        $start = hrtime(true) + self::START_NS;
        foreach ($forks as $fork) {
            $fork->tell(implode(' ', [$mode, $name, $start, $start + $this->settings->sliceNs]));
        }
        $sum = 0.0;
        foreach ($forks as $fork) {
            $sum += (float) $fork->answer();
        }

        return $sum;
    }

    private function forked(int $number): Fork
    {
        $keys = self::keysOf($number);
        $ready = false;

        return new Fork(function (string $command, \Closure $say) use ($keys, &$ready): void {
            if (!$ready) {
                foreach ($this->backends as $backend) {
                    $backend->reopen();
                }
                $ready = true;
            }
            [$mode, $name, $start, $end] = explode(' ', $command);
            $say((string) $this->run($keys, 'mixed' === $mode, $name, (int) $start, (int) $end));
        });
    }

    /**
     * @param list<string> $keys
     *
     * @return float calls a second
     */
    private function run(array $keys, bool $mixed, string $name, int $start, int $end): float
    {
        $value = self::value();
        $chunks = array_chunk($keys, self::READS);
        $of = null;
        foreach ($this->backends as $backend) {
            if ($backend->name() === $name) {
                $of = $backend;
            }
        }
        while (hrtime(true) < $start) {
        }
        $calls = 0;
        $began = hrtime(true);
        do {
            foreach ($chunks as $chunk) {
                if (null === $of) {
                    Floor::timeStrRepeat($chunk, self::VALUE_BYTES);
                } else {
                    $of->timeGet($chunk);
                }
                $calls += self::READS;
                if ($mixed) {
                    $of?->timeSet([$chunk[$calls % self::READS]], $value);
                    ++$calls;
                }
                if (hrtime(true) >= $end) {
                    break;
                }
            }
        } while (hrtime(true) < $end);

        return $calls * 1e9 / max(1, hrtime(true) - $began);
    }

    /** @return list<string> */
    private static function keysOf(int $fork): array
    {
        return Keys::shuffled(Keys::make("process$fork:", self::KEYS));
    }

    private static function value(): string
    {
        return str_repeat('v', self::VALUE_BYTES);
    }
}
