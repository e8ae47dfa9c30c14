<?php

// A form's field of 1 MiB.
echo strlen($_POST['text']), "\n";
