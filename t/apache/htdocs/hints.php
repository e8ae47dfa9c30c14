<?php

header('Link: </a.css>; rel=preload');
headers_send(103);
echo 'final';
