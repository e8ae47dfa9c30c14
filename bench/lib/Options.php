<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * What a benchmark is told on the command line; a mistake there ends it.
 */
final class Options
{
    /** Fewer say nothing about the noise. */
    public const ROUNDS_LEAST = 9;

    /**
     * @param list<string> $only cases
     */
    private function __construct(
        public readonly bool $quick,
        public readonly ?int $rounds,
        public readonly array $only,
        public readonly ?string $json,
    ) {}

    /**
     * @param string       $name      of the benchmark, as in ./dev bench NAME
     * @param list<string> $cases     all there are
     * @param list<string> $arguments
     * @param array<string, list<string>> $groups names that stand for several cases
     */
    public static function parsed(string $name, array $cases, array $arguments, array $groups = []): self
    {
        $usage = "usage: ./dev bench $name [--json FILE] [--quick] [--rounds N] [--only CASE,...]";
        $refuse = static function (string $sentence) use ($name): never {
            fwrite(STDERR, "bench/$name: $sentence\n");
            exit(64);
        };
        $json = null;
        $quick = false;
        $rounds = null;
        $only = $cases;
        while (null !== ($argument = array_shift($arguments))) {
            [$option, $value] = explode('=', $argument, 2) + [1 => null];
            if ('--quick' === $argument) {
                $quick = true;
                continue;
            }
            if ('--help' === $argument) {
                echo $usage, "\n";
                exit(0);
            }
            if (!\in_array($option, ['--json', '--rounds', '--only'], true)) {
                $refuse("$argument is not an option; $usage");
            }
            $value ??= array_shift($arguments) ?? $refuse("$option wants a value");
            if ('--json' === $option) {
                $json = $value;
            } elseif ('--rounds' === $option) {
                if (!preg_match('/^[1-9]\d{0,2}$/D', $value) || (int) $value < self::ROUNDS_LEAST) {
                    $refuse("--rounds $value: " . self::ROUNDS_LEAST . ' to 999 are possible');
                }
                $rounds = (int) $value;
            } else {
                $only = [];
                foreach (explode(',', $value) as $case) {
                    array_push($only, ...$groups[$case] ?? [$case]);
                }
                $unknown = array_diff($only, $cases);
                if ([] !== $unknown) {
                    $refuse('there is no case ' . implode(', ', $unknown) . '; there are: '
                        . implode(', ', [...array_diff($cases, ...array_values($groups)), ...array_keys($groups)]));
                }
            }
        }

        return new self($quick, $rounds, $only, $json);
    }
}
