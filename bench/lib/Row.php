<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * One case beside one peer.
 */
final class Row
{
    public readonly float $ratio;

    /**
     * @param float      $ours      in $unit
     * @param float      $peerValue in $unit
     * @param list<float> $ratios   of single rounds; empty: not measured in rounds
     * @param bool       $result    false: for people, not one of the cases
     */
    public function __construct(
        public readonly string $case,
        public readonly float $ours,
        public readonly string $peer,
        public readonly float $peerValue,
        public readonly string $unit,
        public readonly array $ratios = [],
        public readonly bool $result = true,
    ) {
        if (!($peerValue > 0.0)) {
            throw new BenchError("$case: nothing was measured for $peer");
        }
        $this->ratio = $ours / $peerValue;
    }

    /**
     * The medians of both, and how far the ratios of single rounds lie apart.
     *
     * @param list<float> $ours  one figure a round
     * @param list<float> $peers the same rounds' figures
     */
    public static function ofRounds(
        string $case,
        array $ours,
        string $peer,
        array $peers,
        string $unit,
        bool $result = true,
    ): self {
        $ratios = [];
        foreach ($ours as $round => $figure) {
            if (isset($peers[$round]) && $peers[$round] > 0.0) {
                $ratios[] = $figure / $peers[$round];
            }
        }
        if ([] === $ratios) {
            throw new BenchError("$case: no round was measured");
        }

        return new self(
            $case,
            Statistics::median($ours),
            $peer,
            Statistics::median($peers),
            $unit,
            $ratios,
            $result,
        );
    }

    /**
     * @return array{case: string, ours: float, peer: string, peer_value: float, ratio: float, unit: string}
     */
    public function toArray(): array
    {
        return [
            'case' => $this->case,
            'ours' => $this->ours,
            'peer' => $this->peer,
            'peer_value' => $this->peerValue,
            'ratio' => $this->ratio,
            'unit' => $this->unit,
        ];
    }

    /**
     * One row a line; those that are not results are left out.
     *
     * @param list<self> $rows
     */
    public static function json(array $rows): string
    {
        $lines = [];
        foreach ($rows as $row) {
            if ($row->result) {
                $lines[] = json_encode($row->toArray(), JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
            }
        }

        return "[\n" . implode(",\n", $lines) . "\n]\n";
    }
}
