<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$count = 20_000;
$keys = [];
for ($at = 0; $at < $count; ++$at) {
    $keys[] = "many-keys:{$at}";
}
$refused = 0;
foreach ($keys as $at => $key) {
    $refused += ephpm_kv_set($key, "value {$at}") ? 0 : 1;
}
show('refused', $refused);
$wrong = 0;
foreach ($keys as $at => $key) {
    $wrong += ephpm_kv_get($key) === "value {$at}" ? 0 : 1;
}
show('wrong', $wrong);
foreach ($keys as $at => $key) {
    if ($at % 3 === 0) {
        ephpm_kv_del($key);
    } else {
        ephpm_kv_set($key, (string) $at);
    }
}
$wrong = 0;
foreach ($keys as $at => $key) {
    $wrong += ephpm_kv_get($key) === ($at % 3 === 0 ? null : (string) $at) ? 0 : 1;
}
show('wrong after changes', $wrong);
$deleted = 0;
foreach ($keys as $key) {
    $deleted += ephpm_kv_del($key);
}
show('deleted', $deleted);
