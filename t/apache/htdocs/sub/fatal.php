<?php

echo "before";
no_such_function_of_ours();
