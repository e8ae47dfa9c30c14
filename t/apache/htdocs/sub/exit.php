<?php

echo "exits";
exit;
