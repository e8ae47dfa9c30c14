<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * How much more two processes do than one, on keys of their own.
 *
 * Every round has, for each subject, short slices of time with one process and
 * with both, in turn, so that all see the same load of the machine.  A slice
 * that began late for one of them, or in which the kernel took a processor
 * away, is repeated.  Even so the machine may have less than two whole
 * processors to give: str_repeat(), which shares nothing, tells how much two
 * processes can do now, and twice as much as one would be everything.
 */
final class TwoProcesses
{
    private const KEYS = 100;
    /** In a mixed chunk, each followed by one set. */
    private const READS = 100;
    private const VALUE_BYTES = 64;
    /** How long both need to get ready for a slice. */
    private const START_NS = 300_000;
    /** What does not count as a late beginning. */
    private const LATE_NS = 50_000;
    private const TRIES = 10;
    /** Slices of one subject that make up a round. */
    private const PASSES = 4;

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
        for ($round = 0; $round < $this->settings->longRounds(); ++$round) {
            /** @var array<string, array<string, array{list<Slice>, list<Slice>}>> $slices */
            $slices = [];
            for ($pass = 0; $pass < self::PASSES; ++$pass) {
                foreach ($modes as $mode => $names) {
                    foreach ($names as $name) {
                        $alone = ($round + $pass) % 2;
                        $slices[$mode][$name] ??= [[], []];
                        array_push($slices[$mode][$name][0], ...$this->slices($mode, $name, [$alone]));
                        array_push($slices[$mode][$name][1], ...$this->slices($mode, $name, [0, 1]));
                    }
                }
            }
            foreach ($slices as $mode => $names) {
                foreach ($names as $name => [$one, $two]) {
                    $this->figures[$mode][$name] ??= [[], []];
                    $this->figures[$mode][$name][0][] = Slice::perSecond($one);
                    $this->figures[$mode][$name][1][] = 2 * Slice::perSecond($two);
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
        $ratios = [];
        foreach ($one as $round => $figure) {
            $ratios[] = $two[$round] / $figure / ($floorTwo[$round] / $floorOne[$round] / 2);
        }
        $rows = [
            new Row(
                $case,
                Statistics::median($two) / $possible,
                'one-process',
                Statistics::median($one),
                'calls/s',
                $ratios,
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
     * What the forks did in a slice of time that begins for all at once.
     *
     * @param list<0|1> $forks
     *
     * @return list<Slice>
     */
    private function slices(string $mode, string $name, array $forks): array
    {
        $best = [];
        for ($try = $this->settings->quick ? self::TRIES - 1 : 0; $try < self::TRIES; ++$try) {
            $start = hrtime(true) + self::START_NS;
            foreach ($forks as $fork) {
                $this->forks[$fork]->tell(implode(' ', [$mode, $name, $start, $start + $this->settings->sliceNs]));
            }
            $slices = [];
            $disturbed = 0;
            foreach ($forks as $fork) {
                $answer = array_map(intval(...), explode(' ', $this->forks[$fork]->answer())) + [0, 0, 1];
                $slices[] = new Slice($answer[0], $answer[1]);
                $disturbed += $answer[2];
            }
            if (0 === $disturbed) {
                return $slices;
            }
            if ([] === $best || Slice::perSecond($slices) > Slice::perSecond($best)) {
                $best = $slices;
            }
        }

        return $best;
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
            $say($this->run($keys, 'mixed' === $mode, $name, (int) $start, (int) $end));
        });
    }

    /**
     * @param list<string> $keys
     *
     * @return string calls, nanoseconds, and how often it was disturbed
     */
    private function run(array $keys, bool $mixed, string $name, int $start, int $end): string
    {
        $value = self::value();
        $chunks = array_chunk($keys, self::READS);
        $of = null;
        foreach ($this->backends as $backend) {
            if ($backend->name() === $name) {
                $of = $backend;
            }
        }
        $of?->timeGet($keys);
        while (hrtime(true) < $start) {
        }
        $calls = 0;
        $interruptions = Rounds::interruptions();
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

        $ns = hrtime(true) - $began;
        // A call that waits for another process gives the processor away.
        $disturbed = $of instanceof PhpRedis
            ? 0
            : Rounds::interruptions() - $interruptions + (int) ($began > $start + self::LATE_NS);

        return "$calls $ns $disturbed";
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
