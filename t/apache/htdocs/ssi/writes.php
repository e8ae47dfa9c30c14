<?php

echo 'before <<!--#include virtual="/hello.php" -->> after';
