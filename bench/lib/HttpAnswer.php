<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * An answer of a server, read byte by byte as wrk reads it.
 */
final class HttpAnswer
{
    private const WAIT_S = 120;

    /**
     * @param int $bytes of head and body, as they came
     */
    private function __construct(
        public readonly int $status,
        public readonly string $body,
        public readonly int $bytes,
    ) {}

    /**
     * @return resource a connection to be kept
     */
    public static function connection(int $port)
    {
        $connection = @stream_socket_client("tcp://127.0.0.1:$port", $code, $reason, self::WAIT_S);
        if (false === $connection) {
            throw new BenchError("port $port: $reason");
        }
        stream_set_timeout($connection, self::WAIT_S);

        return $connection;
    }

    /** One request on a connection of its own. */
    public static function get(int $port, string $path): self
    {
        return self::of(self::connection($port), $path, null);
    }

    /**
     * @param resource $connection
     */
    public static function to($connection, HttpCase $case): self
    {
        return self::of($connection, $case->path, $case->post);
    }

    /**
     * @param resource $connection
     */
    private static function of($connection, string $path, ?string $post): self
    {
        $head = (null === $post ? 'GET' : 'POST') . " $path HTTP/1.1\r\nHost: "
            . stream_socket_get_name($connection, true) . "\r\nUser-Agent: bench/http\r\n";
        if (null !== $post) {
            $head .= "Content-Type: application/x-www-form-urlencoded\r\n"
                . 'Content-Length: ' . \strlen($post) . "\r\n";
        }
        fwrite($connection, "$head\r\n$post");
        $bytes = 0;
        $line = static function () use ($connection, &$bytes): string {
            $line = fgets($connection);
            if (false === $line || !str_ends_with($line, "\r\n")) {
                throw new BenchError('the server has closed a connection in the middle of an answer');
            }
            $bytes += \strlen($line);

            return substr($line, 0, -2);
        };
        $read = static function (int $length) use ($connection, &$bytes): string {
            $text = $length > 0 ? stream_get_contents($connection, $length) : '';
            if (false === $text || \strlen($text) !== $length) {
                throw new BenchError('the server has closed a connection in the middle of a body');
            }
            $bytes += $length;

            return $text;
        };
        if (!preg_match('~^HTTP/1\.1 (\d{3})~', $first = $line(), $match)) {
            throw new BenchError("the server said \"$first\"");
        }
        $length = null;
        $chunked = false;
        while ('' !== ($header = $line())) {
            if (preg_match('/^Content-Length: *(\d+)$/i', $header, $value)) {
                $length = (int) $value[1];
            }
            $chunked = $chunked || 1 === preg_match('/^Transfer-Encoding: *chunked$/i', $header);
        }
        if (!$chunked) {
            $body = $read($length ?? throw new BenchError('an answer without a length does not keep its connection'));
        } else {
            for ($body = ''; 0 !== $size = (int) hexdec($line());) {
                $body .= $read($size);
                $line();
            }
            $line();
        }

        return new self((int) $match[1], $body, $bytes);
    }
}
