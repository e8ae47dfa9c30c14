<?php

declare(strict_types=1);

namespace Ephpm\Cache\Laravel;

use Ephpm\Cache\Symfony\AtomicKvOpsInterface;
use Ephpm\Cache\Symfony\KvOpsInterface;
use Illuminate\Cache\Lock;

/**
 * A lock of Laravel's: its owner's name under the lock's.
 */
final class EphpmLock extends Lock
{
    public function __construct(private readonly KvOpsInterface&AtomicKvOpsInterface $ops, string $name, int $seconds, ?string $owner = null)
    {
        parent::__construct($name, $seconds, $owner);
    }

    public function acquire(): bool
    {
        return $this->ops->setnx($this->name, $this->owner, (int) $this->seconds);
    }

    public function release(): bool
    {
        return $this->ops->delIfEq($this->name, $this->owner);
    }

    public function forceRelease(): void
    {
        $this->ops->del($this->name);
    }

    protected function getCurrentOwner(): ?string
    {
        return $this->ops->get($this->name);
    }
}
