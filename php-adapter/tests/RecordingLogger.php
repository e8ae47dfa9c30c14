<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests;

use Psr\Log\AbstractLogger;

final class RecordingLogger extends AbstractLogger
{
    /** @var list<array{string, string}> level and message */
    private array $lines = [];

    /**
     * @param mixed[] $context
     */
    public function log(mixed $level, string|\Stringable $message, array $context = []): void
    {
        $this->lines[] = [\is_string($level) ? $level : '', (string) $message];
    }

    /**
     * @return list<string>
     */
    public function levels(): array
    {
        return array_column($this->lines, 0);
    }

    public function messages(): string
    {
        return implode("\n", array_column($this->lines, 1));
    }
}
