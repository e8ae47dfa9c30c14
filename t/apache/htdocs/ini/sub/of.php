<?php

echo ini_get('highlight.comment'), ',', ini_get('highlight.string'), ',',
    ini_set('highlight.string', 'x') === false ? 'fixed' : 'free';
