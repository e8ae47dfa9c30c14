<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * How much is measured.  The smoke test runs every case, but on so little that
 * its figures mean nothing.
 */
final class Settings
{
    private const LONG_ROUNDS = 15;

    /**
     * @param list<string> $only      cases
     * @param int          $rounds    of every timing; many and short, since a short batch is most likely to run
     *                                without a pause
     * @param int          $batchNs   about how long one call is repeated in a round
     * @param int          $sliceNs   the same where two processes run
     * @param int          $manyKeys  what the cases named 500k use
     * @param string       $redis     path of the redis-server's socket; empty: phpredis is not measured
     */
    public function __construct(
        public readonly bool $quick,
        public readonly array $only,
        public readonly int $rounds,
        public readonly int $batchNs,
        public readonly int $sliceNs,
        public readonly int $manyKeys,
        public readonly string $redis = '',
    ) {}

    /**
     * @param list<string> $only
     */
    public function withCases(array $only): self
    {
        return $this->with(only: $only);
    }

    /**
     * Rounds of what cannot be short.
     */
    public function longRounds(): int
    {
        return min($this->rounds, self::LONG_ROUNDS);
    }

    public function withRedis(string $socket): self
    {
        return $this->with(redis: $socket);
    }

    public function wants(string ...$cases): bool
    {
        return [] !== array_intersect($cases, $this->only);
    }

    /**
     * @param list<string>|null $only
     */
    private function with(?array $only = null, ?string $redis = null): self
    {
        return new self(
            $this->quick,
            $only ?? $this->only,
            $this->rounds,
            $this->batchNs,
            $this->sliceNs,
            $this->manyKeys,
            $redis ?? $this->redis,
        );
    }
}
