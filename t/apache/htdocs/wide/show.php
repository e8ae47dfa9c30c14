<?php

echo ini_get("open_basedir"), "|", ini_set("open_basedir", "/") === false ? "kept" : "widened";
