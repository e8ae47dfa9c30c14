<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * What redis-benchmark asks: a command, so many of them sent at once by each
 * client, over a unix socket or TCP.
 */
enum RespCase: string
{
    case GetP16 = 'get-p16';
    case SetP16 = 'set-p16';
    case GetP1 = 'get-p1';
    case GetP16Tcp = 'get-p16-tcp';
    case SetP16Tcp = 'set-p16-tcp';
    case GetP1Tcp = 'get-p1-tcp';

    public function command(): string
    {
        return strstr($this->value, '-', true) ?: '';
    }

    public function pipeline(): int
    {
        return str_contains($this->value, '-p16') ? 16 : 1;
    }

    public function tcp(): bool
    {
        return str_ends_with($this->value, '-tcp');
    }
}
