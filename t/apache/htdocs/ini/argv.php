<?php

require dirname(__DIR__) . '/echo.php';
