<?php

declare(strict_types=1);

echo ephpm_kv_incr($_GET['key']), ' ', getmypid(), "\n";
