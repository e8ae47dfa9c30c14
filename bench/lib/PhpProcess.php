<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A PHP of its own with the settings that a store needs when PHP starts.
 */
final class PhpProcess
{
    /** @var resource */
    private $process;

    /** @var resource */
    private $in;

    /** @var resource */
    private $out;

    /**
     * @param list<string>          $arguments of group.php
     * @param array<string, string> $settings  of php.ini
     */
    public function __construct(array $arguments, array $settings)
    {
        $command = [PHP_BINARY, '-n'];
        foreach (self::extensions() as $name => $file) {
            array_push($command, '-d', ('opcache' === $name ? 'zend_extension=' : 'extension=') . $file);
        }
        $settings += [
            'memory_limit' => '-1',
            'zend.assertions' => '-1',
            'apc.enable_cli' => '1',
            'opcache.enable_cli' => '1',
            'opcache.jit' => 'disable',
        ];
        foreach ($settings as $name => $value) {
            array_push($command, '-d', "$name=$value");
        }
        array_push($command, __DIR__ . '/group.php', ...$arguments);
        $process = proc_open($command, [['pipe', 'r'], ['pipe', 'w']], $pipes);
        if (false === $process) {
            throw new BenchError('cannot start ' . PHP_BINARY);
        }
        $this->process = $process;
        [$this->in, $this->out] = $pipes;
    }

    public function __destruct()
    {
        proc_terminate($this->process, SIGKILL);
        fclose($this->in);
        fclose($this->out);
        proc_close($this->process);
    }

    /**
     * Whether an extension that is measured against is installed.
     */
    public static function has(string $extension): bool
    {
        return isset(self::extensions()[$extension]);
    }

    public function ask(string $command): string
    {
        fwrite($this->in, "$command\n");
        $line = fgets($this->out);
        if (false === $line) {
            throw new BenchError('PHP has ended in the middle of a measurement');
        }

        return rtrim($line, "\n");
    }

    /**
     * Everything it writes until it ends.
     */
    public function output(): string
    {
        return (string) stream_get_contents($this->out);
    }

    /**
     * The same for all that is measured in one process.
     *
     * @return array<string, string> files by name
     */
    private static function extensions(): array
    {
        $folder = \ini_get('extension_dir');
        $built = getenv('EPHPM_BUILDDIR') . '/php-embed/.libs/ephpm.so';
        if (!is_file($built)) {
            throw new BenchError("there is no $built: build it with ./dev build");
        }
        $files = ['ephpm' => $built];
        // phpredis may be linked against igbinary.
        foreach (['opcache', 'apcu', 'igbinary', 'redis'] as $name) {
            if (is_file("$folder/$name.so")) {
                $files[$name] = "$folder/$name.so";
            }
        }

        return $files;
    }
}
