<?php

echo "source";
