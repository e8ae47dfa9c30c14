<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * A httpd of this run alone.  What it is told is the same for ours and for
 * the peer but for the lines that bring PHP.
 */
final class Httpd extends HttpServer
{
    private readonly Service $service;

    /**
     * @param string       $root       of the pages, in the folder of the sites
     * @param list<string> $extensions of PHP
     * @param string       $processes  lines: the MPM and how many there are of it
     * @param string       $php        lines: the modules and what makes .php files scripts
     * @param Fpm|null     $fpm        that runs the scripts; it ends with this server
     */
    public function __construct(
        string $name,
        HttpSites $sites,
        string $root,
        array $extensions,
        string $processes,
        string $php,
        private readonly ?Fpm $fpm = null,
    ) {
        parent::__construct($name, $sites->newFolder($name));
        $sites->writePhpIni($this->folder, ...$extensions);
        file_put_contents("{$this->folder}/httpd.conf", $this->configuration($sites->folder, $root, $processes, $php));
        try {
            $this->service = new Service(
                [(string) getenv('HTTPD'), '-DFOREGROUND', '-f', "{$this->folder}/httpd.conf"],
                "{$this->folder}/said",
                "{$this->folder}/conf.d",
                fn(): bool => str_contains($this->file('error.log'), 'resuming normal operations'),
            );
        } catch (BenchError $failure) {
            $fpm?->stop();
            throw new BenchError("$name: {$failure->getMessage()}{$this->file('error.log')}");
        }
    }

    public function stop(): void
    {
        $this->service->stop();
        $this->fpm?->stop();
    }

    /** A line for a module of httpd's own. */
    public static function load(string $module): string
    {
        $folder = (string) getenv('HTTPD_MODULES_DIR');

        return "<IfModule !{$module}_module>\nLoadModule {$module}_module \"$folder/mod_$module.so\"\n</IfModule>\n";
    }

    /** The handler of mod_php, and of ours. */
    public static function handler(string $handler = 'application/x-httpd-php'): string
    {
        return "<FilesMatch \"\\.php$\">\nSetHandler \"$handler\"\n</FilesMatch>\n";
    }

    /** Children that have a connection each. */
    public static function prefork(int $children): string
    {
        return self::load('mpm_prefork') . <<<END
            StartServers $children
            MinSpareServers 1
            MaxSpareServers $children
            ServerLimit $children
            MaxRequestWorkers $children

            END;
    }

    /**
     * Two children, of which each alone has more threads than there are connections: where all threads of one are
     * busy httpd closes connections that are kept.
     */
    public static function event(): string
    {
        return self::load('mpm_event') . <<<'END'
            StartServers 2
            MinSpareThreads 25
            MaxSpareThreads 192
            ThreadsPerChild 64
            MaxRequestWorkers 192

            END;
    }

    /**
     * Memory that its only child has for itself.
     *
     * @return float KiB
     */
    public function childsRssAnon(): float
    {
        $parent = $this->service->pid();
        preg_match_all('/\d+/', (string) @file_get_contents("/proc/$parent/task/$parent/children"), $found);
        $children = $found[0];
        $status = 1 === \count($children) ? (string) @file_get_contents("/proc/{$children[0]}/status") : '';
        if (!preg_match('/^RssAnon:\s+(\d+) kB$/m', $status, $match)) {
            throw new BenchError("{$this->name}: " . \count($children) . ' children, not one with memory to be read');
        }

        return (float) $match[1];
    }

    protected function log(): string
    {
        return $this->file('error.log') . $this->fpm?->log();
    }

    private function configuration(string $sites, string $root, string $processes, string $php): string
    {
        $loads = implode('', array_map(self::load(...), ['unixd', 'authz_core', 'dir', 'mime']));
        $user = (string) getenv('EPHPM_SERVER_USER');
        $as = '' === $user ? '' : "User $user\nGroup " . getenv('EPHPM_SERVER_GROUP') . "\n";

        return <<<END
            ServerRoot "{$this->folder}"
            DefaultRuntimeDir "{$this->folder}"
            PidFile "{$this->folder}/httpd.pid"
            ErrorLog "{$this->folder}/error.log"
            LogLevel notice
            ServerName 127.0.0.1
            Listen 127.0.0.1:{$this->port}
            {$processes}$loads
            $php
            {$as}TypesConfig /dev/null
            MaxConnectionsPerChild 0
            KeepAlive On
            KeepAliveTimeout 60
            MaxKeepAliveRequests 0
            <IfModule ephpm_module>
                EphpmStore default 64M eviction=allkeys-lru
                EphpmKv default
            </IfModule>
            <IfModule php_module>
                PHPIniDir "{$this->folder}"
            </IfModule>
            DocumentRoot "$sites/$root"
            DirectoryIndex index.php
            <Directory "$sites">
                Require all granted
                FallbackResource /index.php
            </Directory>

            END;
    }
}
