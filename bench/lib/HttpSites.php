<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * What is served: copies that the servers' user can read, wherever the
 * checkout is, and what both servers are told.
 *
 *      FOLDER/pages            hello, 1 MiB to get, 1 MiB to post
 *      FOLDER/demo             the demo and its packages
 *      FOLDER/php-adapter      one of these packages is a link to it
 *      FOLDER/symfony-page     bench/symfony-page, on the demo's packages
 *      FOLDER/ours-1 ...       one for each server: configuration, php.ini and log
 */
final class HttpSites
{
    /** Of PHP, as far as they are not built in. */
    private const EXTENSIONS = ['opcache', 'ctype', 'iconv', 'mbstring', 'posix', 'tokenizer'];

    public readonly string $folder;

    private int $servers = 0;

    public function __construct(bool $symfony)
    {
        $this->folder = self::base() . '/ephpm-bench-' . bin2hex(random_bytes(6));
        if (!mkdir($this->folder)) {
            throw new BenchError("cannot make {$this->folder}");
        }
        chmod($this->folder, 0755);
        $top = (string) getenv('EPHPM_SRCDIR');
        self::must('cp', '-R', "$top/bench/pages", $this->folder);
        if ($symfony) {
            self::must('cp', '-R', "$top/bench/symfony-page", $this->folder);
            self::must('mkdir', "{$this->folder}/php-adapter", "{$this->folder}/demo");
            foreach (['src', 'composer.json'] as $part) {
                self::must('cp', '-R', "$top/php-adapter/$part", "{$this->folder}/php-adapter");
            }
            foreach (['bin', 'composer.json', 'config', 'public', 'src', 'templates'] as $part) {
                self::must('cp', '-R', "$top/demo/$part", "{$this->folder}/demo");
            }
            self::must('cp', '-R', (string) self::packages(), "{$this->folder}/demo");
            self::must(PHP_BINARY, "{$this->folder}/demo/bin/console", 'cache:warmup');
            foreach (['ephpm', 'apcu', 'redis'] as $pool) {
                self::must(PHP_BINARY, "{$this->folder}/symfony-page/warm.php", $pool);
            }
        }
        self::must('chmod', '-R', 'u+w,a+rX', $this->folder);
        if ('' !== $user = (string) getenv('EPHPM_SERVER_USER')) {
            self::must('chown', '-R', $user, $this->folder);
        }
    }

    public function remove(): void
    {
        self::must('rm', '-rf', $this->folder);
    }

    /** Where Composer has put the demo's packages. */
    public static function packages(): ?string
    {
        foreach ([getenv('EPHPM_SRCDIR') . '/demo', getenv('EPHPM_BUILDDIR') . '/t/symfony/demo'] as $folder) {
            if (is_file("$folder/vendor/autoload.php")) {
                return "$folder/vendor";
            }
        }

        return null;
    }

    /**
     * @return list<string> files, of what can be loaded
     */
    public static function extensions(string ...$more): array
    {
        $files = [];
        foreach ([...self::EXTENSIONS, ...$more] as $name) {
            $file = str_contains($name, '/') ? $name : \ini_get('extension_dir') . "/$name.so";
            if (is_file($file)) {
                $files[] = $file;
            }
        }

        return $files;
    }

    public function newFolder(string $name): string
    {
        $folder = "{$this->folder}/$name-" . ++$this->servers;
        mkdir($folder);

        return $folder;
    }

    /** A file with what is posted. */
    public function file(string $text): string
    {
        $file = "{$this->folder}/post";
        file_put_contents($file, $text);

        return $file;
    }

    private function phpIni(): string
    {
        // PHP keeps bodies of more than 16K in a temporary file.
        return <<<END
            sys_temp_dir = "{$this->folder}"
            display_errors = Off
            log_errors = On
            error_reporting = E_ALL
            output_buffering = 4096
            memory_limit = 128M
            post_max_size = 8M
            zend.assertions = -1
            date.timezone = UTC
            opcache.enable = 1
            opcache.memory_consumption = 128
            opcache.jit = disable
            apc.enabled = 1
            apc.shm_size = 64M
            ephpm.cli_size = 64M

            END;
    }

    /** php.ini and the extensions, in the folder and its conf.d. */
    public function writePhpIni(string $folder, string ...$extensions): void
    {
        mkdir("$folder/conf.d");
        file_put_contents("$folder/conf.d/extensions.ini", implode('', array_map(
            static fn(string $file): string
                => (str_ends_with($file, 'opcache.so') ? 'zend_extension' : 'extension') . "=$file\n",
            $extensions,
        )));
        file_put_contents("$folder/php.ini", $this->phpIni());
    }

    /** A temporary folder whose contents other users can be let read. */
    private static function base(): string
    {
        $base = sys_get_temp_dir();
        for ($folder = $base; '/' !== $folder; $folder = \dirname($folder)) {
            if (0 === (fileperms($folder) & 0001)) {
                return '/var/tmp';
            }
        }

        return $base;
    }

    private static function must(string ...$command): void
    {
        $process = proc_open(
            $command,
            [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]],
            $pipes,
        );
        $said = false === $process ? '' : (string) stream_get_contents($pipes[1]);
        if (false === $process || 0 !== proc_close($process)) {
            throw new BenchError(implode(' ', $command) . " failed\n$said");
        }
    }
}
