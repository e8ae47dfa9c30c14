<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A httpd of this run alone, with mod_ephpm or mod_php.  What it is told is
 * the same for both but for the line that loads the module.
 */
final class Httpd
{
    private const WAIT_S = 60.0;

    public readonly int $port;

    private readonly string $folder;

    /** @var resource|null */
    private $process;

    /**
     * @param string       $name       ours or mod_php
     * @param string       $module     the line that loads it
     * @param list<string> $extensions of PHP
     * @param int          $children   that it has from the first to the last
     */
    public function __construct(
        public readonly string $name,
        string $module,
        HttpSites $sites,
        string $root,
        array $extensions,
        int $children,
    ) {
        $this->folder = $sites->newFolder($name);
        mkdir("{$this->folder}/conf.d");
        file_put_contents("{$this->folder}/conf.d/extensions.ini", implode('', array_map(
            static fn(string $file): string
                => (str_ends_with($file, 'opcache.so') ? 'zend_extension' : 'extension') . "=$file\n",
            $extensions,
        )));
        file_put_contents("{$this->folder}/php.ini", $sites->phpIni());
        $this->port = self::freePort();
        $conf = $sites->configuration($this->folder, $this->port, $module, $root, $children);
        file_put_contents("{$this->folder}/httpd.conf", $conf);
        $httpd = (string) getenv('HTTPD');
        // httpd ends its whole process group when it ends.
        $process = proc_open(
            [
                'setpriv', '--pdeathsig', 'TERM', '--', 'setsid',
                $httpd, '-DFOREGROUND', '-f', "{$this->folder}/httpd.conf",
            ],
            [['file', '/dev/null', 'r'], ['file', "{$this->folder}/said", 'w'], ['file', "{$this->folder}/said", 'a']],
            $pipes,
            '/',
            ['PHP_INI_SCAN_DIR' => "{$this->folder}/conf.d"] + getenv(),
        );
        if (false === $process) {
            throw new BenchError("cannot start $httpd");
        }
        $this->process = $process;
        $until = microtime(true) + self::WAIT_S;
        while (!str_contains($this->log(), 'resuming normal operations')) {
            if (!proc_get_status($process)['running'] || microtime(true) > $until) {
                $this->stop();
                throw new BenchError("$name: httpd does not start: " . file_get_contents("{$this->folder}/said")
                    . $this->log());
            }
            usleep(20_000);
        }
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

    /**
     * What PHP or a child that died has left in the log fails the benchmark.
     */
    public function mustBeQuiet(): void
    {
        if (preg_match('/^.*(?:PHP [A-Z]|exit signal|\[critical\]).*$/m', $this->log(), $line)) {
            throw new BenchError("{$this->name} has logged: {$line[0]}");
        }
    }

    /**
     * Memory that its only child has for itself.
     *
     * @return float KiB
     */
    public function childsRssAnon(): float
    {
        $parent = $this->process ? proc_get_status($this->process)['pid'] : 0;
        preg_match_all('/\d+/', (string) @file_get_contents("/proc/$parent/task/$parent/children"), $found);
        $children = $found[0];
        $status = 1 === \count($children) ? (string) @file_get_contents("/proc/{$children[0]}/status") : '';
        if (!preg_match('/^RssAnon:\s+(\d+) kB$/m', $status, $match)) {
            throw new BenchError("{$this->name}: " . \count($children) . ' children, not one with memory to be read');
        }

        return (float) $match[1];
    }

    private function log(): string
    {
        return (string) @file_get_contents("{$this->folder}/error.log");
    }

    private static function freePort(): int
    {
        $socket = stream_socket_server('tcp://127.0.0.1:0');
        $name = false === $socket ? false : stream_socket_get_name($socket, false);
        if (false === $name) {
            throw new BenchError('there is no free port');
        }

        return (int) substr($name, (int) strrpos($name, ':') + 1);
    }
}
