<?php

// The included script runs when httpd passes on what is here before "never".

echo str_repeat('x', 20000), ' <!--#include virtual="/sub/memory.php" --> ', str_repeat('y', 20000);
flush();
echo 'never';
