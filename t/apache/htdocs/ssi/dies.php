<?php

echo str_repeat('x', 20000), ' <!--#include virtual="/sub/memory.php" --> ', str_repeat('y', 20000);
