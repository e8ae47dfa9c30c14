<?php

// 1 MiB, a line at a time, as templates write.
for ($i = 0, $line = str_repeat('x', 1023) . "\n"; $i < 1024; ++$i) {
    echo $line;
}
