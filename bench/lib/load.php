<?php

declare(strict_types=1);

// Classes of Ephpm\Bench live beside this file.
spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/' . substr($class, \strlen('Ephpm\\Bench\\')) . '.php';
    if (str_starts_with($class, 'Ephpm\\Bench\\') && is_file($file)) {
        require $file;
    }
});
