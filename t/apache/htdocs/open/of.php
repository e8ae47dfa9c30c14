<?php

echo @file_get_contents('/etc/passwd') === false ? 'restricted' : 'open';
