<?php

echo str_repeat("text ", 1000);
