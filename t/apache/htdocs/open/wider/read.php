<?php

echo @file_get_contents(dirname(__DIR__, 2) . '/allowed/file.txt') ?: 'refused', '|',
    @file_get_contents(dirname(__DIR__, 2) . '/hello.txt') ?: 'refused', '|',
    ini_set('open_basedir', '/') === false ? 'kept' : 'widened';
