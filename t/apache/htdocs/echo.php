<?php

// What PHP has made of the request, as JSON.

declare(strict_types=1);

header('Content-Type: application/json');
$parts = explode(',', $_SERVER['HTTP_X_WANT'] ?? 'get');
$answer = [];
foreach ($parts as $part) {
    $answer[$part] = match ($part) {
        'get' => $_GET,
        'post' => $_POST,
        'cookie' => $_COOKIE,
        'files' => array_map(
            static fn (array $file): array => $file + (is_string($file['tmp_name'])
                ? ['sum' => is_uploaded_file($file['tmp_name']) ? md5_file($file['tmp_name']) : null]
                : ['sum' => array_map(static fn (string $name): ?string => $name === '' ? null : md5_file($name), $file['tmp_name'])]),
            $_FILES,
        ),
        'server' => $_SERVER,
        'input' => (static function (): array {
            $body = (string) file_get_contents('php://input');

            return ['length' => strlen($body), 'sum' => md5($body), 'start' => bin2hex(substr($body, 0, 16))];
        })(),
        'headers' => getallheaders(),
        'env' => getenv(),
        'argv' => [$_SERVER['argc'] ?? null, $_SERVER['argv'] ?? null],
        'errors' => error_get_last()['message'] ?? null,
    };
}
echo json_encode($answer, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
