<?php

// The page that ./dev soak asks for: it reads and writes the store, says what
// it found, and fills its answer up.  The keys of a client are a fixed number,
// the values of a fixed length.

declare(strict_types=1);

const KEYS = 64;

function value(int $client, int $number): string
{
    return sprintf('%04d:%010d:', $client, $number) . str_repeat(chr(97 + $number % 26), 200);
}

$client = (int) $_GET['client'];
$number = (int) $_GET['number'];
$key = "value:$client:" . $number % KEYS;

$all = ephpm_kv_incr('all');
$own = ephpm_kv_incr("own:$client");
$before = ephpm_kv_get($key);
$right = null === $before
    || (sscanf($before, '%04d:%010d:', $writer, $written) === 2
        && $writer === $client
        && $written < $number
        && $written % KEYS === $number % KEYS
        && value($writer, $written) === $before);
$right = ephpm_kv_set($key, value($client, $number)) && $right;
$right = ephpm_kv_get($key) === value($client, $number) && $right;

printf("client %d number %d all %d own %d %s\n", $client, $number, $all, $own, $right ? 'right' : 'wrong');
echo str_repeat(chr(97 + $number % 26), $number % 16 === 0 ? 40000 : 300), "\n";
