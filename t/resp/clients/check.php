<?php

declare(strict_types=1);

// What the clients' scripts share.

error_reporting(E_ALL);
set_error_handler(static function (int $level, string $text, string $file, int $line): never {
    throw new ErrorException($text, 0, $level, $file, $line);
});

function check(string $what, mixed $got, mixed $wanted): void
{
    if ($got !== $wanted) {
        echo "$what: ", var_export($got, true), ', not ', var_export($wanted, true), "\n";
        exit(1);
    }
}

/** @return list<mixed> */
function sorted(array $list): array
{
    sort($list);

    return $list;
}
