<?php

/** @generate-function-entries */

function getallheaders(): array {}

/** @alias getallheaders */
function apache_request_headers(): array {}

function apache_response_headers(): array {}

function fastcgi_finish_request(): bool {}

function headers_send(int $status = 200): int|false {}
