<?php

echo 'ran ', $_POST['a'] ?? '-';
