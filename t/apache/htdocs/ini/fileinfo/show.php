<?php

declare(strict_types=1);

// The settings that the tests look at, and what ini_set() makes of them.

$answer = [];
foreach (explode(',', $_GET['names']) as $name) {
    $answer[$name] = ini_get($name);
}
foreach (array_filter(explode(',', $_GET['set'] ?? '')) as $name) {
    $answer["{$name} set"] = ini_set($name, 'from-script') !== false && ini_get($name) === 'from-script';
}
echo json_encode($answer);
