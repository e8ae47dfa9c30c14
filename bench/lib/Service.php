<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A process that serves until it is told to end, in a session of its own: some
 * servers end their whole process group when they end.
 */
final class Service
{
    private const WAIT_S = 60.0;

    /** @var resource|null */
    private $process;

    /**
     * @param list<string>     $command
     * @param string           $said    file, for what it writes
     * @param string           $conf    PHP_INI_SCAN_DIR
     * @param \Closure(): bool $serves  whether it does by now
     */
    public function __construct(array $command, private readonly string $said, string $conf, \Closure $serves)
    {
        $process = proc_open(
            ['setpriv', '--pdeathsig', 'TERM', '--', 'setsid', ...$command],
            [['file', '/dev/null', 'r'], ['file', $said, 'w'], ['file', $said, 'a']],
            $pipes,
            '/',
            ['PHP_INI_SCAN_DIR' => $conf] + getenv(),
        );
        if (false === $process) {
            throw new BenchError("cannot start {$command[0]}");
        }
        $this->process = $process;
        $until = microtime(true) + self::WAIT_S;
        while (!$serves()) {
            if (!proc_get_status($process)['running'] || microtime(true) > $until) {
                $this->stop();
                throw new BenchError("{$command[0]} does not start: " . file_get_contents($this->said));
            }
            usleep(20_000);
        }
    }

    public function pid(): int
    {
        return null === $this->process ? 0 : proc_get_status($this->process)['pid'];
    }

    public function stop(): void
    {
        if (null === $this->process) {
            return;
        }
        proc_terminate($this->process, SIGTERM);
        $until = microtime(true) + self::WAIT_S;
        while (proc_get_status($this->process)['running']) {
            if (microtime(true) > $until) {
                proc_terminate($this->process, SIGKILL);
            }
            usleep(10_000);
        }
        proc_close($this->process);
        $this->process = null;
    }
}
