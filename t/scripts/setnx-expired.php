<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

$key = key_of('lock');
show('first', ephpm_kv_setnx($key, 'one', 1));
show('second', ephpm_kv_setnx($key, 'two', 1));
for ($tries = 0; !ephpm_kv_setnx($key, 'three') && $tries < 3000; ++$tries) {
    usleep(10_000);
}
show('had to wait', $tries > 0);
show('value', ephpm_kv_get($key));
show('ttl', ephpm_kv_ttl($key));
