<?php

@virtual("/sub/loop.php");
