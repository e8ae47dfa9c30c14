<?php

@header("X-Inner: 1");
echo "inner";
