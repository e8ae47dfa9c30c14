<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A second process with the same shared memory, which does what it is told a
 * line at a time and ends when this object does.
 */
final class Fork
{
    /** @var resource */
    private $socket;

    private readonly int $pid;

    /**
     * @param \Closure(string, \Closure(string): void): void $work is given a command and what says an answer
     */
    public function __construct(\Closure $work)
    {
        $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        if (false === $pair) {
            throw new BenchError('there are no sockets left');
        }
        $pid = pcntl_fork();
        if (-1 === $pid) {
            throw new BenchError('cannot fork: ' . pcntl_strerror(pcntl_get_last_error()));
        }
        if (0 === $pid) {
            fclose($pair[0]);
            exit(self::serve($pair[1], $work));
        }
        fclose($pair[1]);
        $this->pid = $pid;
        $this->socket = $pair[0];
    }

    public function __destruct()
    {
        fclose($this->socket);
        pcntl_waitpid($this->pid, $status);
    }

    public function tell(string $command): void
    {
        fwrite($this->socket, "$command\n");
    }

    public function answer(): string
    {
        $line = fgets($this->socket);
        if (false === $line) {
            throw new BenchError('the second process has ended before its time');
        }

        return rtrim($line, "\n");
    }

    public function hasAnswered(): bool
    {
        $read = [$this->socket];
        $none = null;

        return 1 === stream_select($read, $none, $none, 0);
    }

    public function ask(string $command): string
    {
        $this->tell($command);

        return $this->answer();
    }

    /**
     * @param resource                                       $socket
     * @param \Closure(string, \Closure(string): void): void $work
     */
    private static function serve($socket, \Closure $work): int
    {
        try {
            while (false !== ($line = fgets($socket))) {
                $work(rtrim($line, "\n"), static function (string $answer) use ($socket): void {
                    fwrite($socket, "$answer\n");
                });
            }
        } catch (\Throwable $failure) {
            fwrite(STDERR, "bench/kv: {$failure->getMessage()}\n");

            return 1;
        }

        return 0;
    }
}
