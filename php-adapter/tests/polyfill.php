<?php

/**
 * What the tests need of symfony/polyfill-php85 where it cannot be installed.
 */

declare(strict_types=1);

if (!function_exists('get_error_handler')) {
    function get_error_handler(): ?callable
    {
        $handler = set_error_handler(null);
        restore_error_handler();

        return $handler;
    }
}
