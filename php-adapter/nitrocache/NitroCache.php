<?php

declare(strict_types=1);

class_alias(NitroCache\Client::class, 'NitroCache');

// For Composer, which looks for the class that a file declares.
// @phpstan-ignore if.alwaysFalse
if (false) {
    final class NitroCache {}
}
