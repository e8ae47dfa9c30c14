<?php

echo @file_get_contents(dirname(__DIR__) . '/allowed/file.txt') ?: 'refused', '|',
    @file_get_contents(dirname(__DIR__) . '/hello.txt') ?: 'refused', '|',
    ini_set('open_basedir', '/') === false ? 'kept' : 'widened';
