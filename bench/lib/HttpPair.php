<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * The two servers that a case is measured with.
 *
 *      apache-...  httpd prefork: mod_ephpm      beside mod_php
 *      event-...   httpd event:   mod_ephpm      beside proxy_fcgi and php-fpm
 *      nginx-...   nginx:         ngx_ephpm      beside fastcgi_pass and php-fpm
 *
 * php-fpm has as many children as there are runners, and both have the same
 * php.ini.
 */
final class HttpPair
{
    /** What ngx_ephpm and mod_ephpm take by themselves. */
    public static function processes(): int
    {
        return max(4, 2 * (int) shell_exec('getconf _NPROCESSORS_ONLN'));
    }

    /** Why such a case cannot be measured here; null: it can. */
    public static function missing(HttpCase $case): ?string
    {
        $build = getenv('EPHPM_BUILDDIR');
        $version = PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;

        return match (true) {
            HttpCase::NGINX !== $case->host && !is_file(self::httpdModule())
                => 'mod_ephpm is not built: ./dev build',
            HttpCase::NGINX === $case->host && null === self::nginxModule()
                => "ngx_http_ephpm_module.so is not in $build: ./dev build",
            HttpCase::NGINX === $case->host && null === RedisServer::program('nginx')
                => 'nginx is not installed: apt-get install nginx',
            HttpCase::PREFORK === $case->host && !is_file(self::modPhp())
                => 'there is no ' . self::modPhp() . ": apt-get install libapache2-mod-php$version",
            HttpCase::PREFORK !== $case->host && null === Fpm::program()
                => "php-fpm is not installed: apt-get install php$version-fpm",
            $case->symfony && null === HttpSites::packages()
                => 'the packages of the demo are missing (composer install in demo/, as ./dev bench does)',
            \in_array('apcu', $case->peers, true) && [] === preg_grep('/apcu/', HttpSites::extensions('apcu'))
                => 'APCu is not installed (apt-get install php-apcu)',
            $case->redis() && [] === preg_grep('/redis/', HttpSites::extensions('redis'))
                => 'phpredis is not installed (apt-get install php-redis)',
            $case->redis() && null === RedisServer::program()
                => 'Redis is not installed (apt-get install redis-server)',
            default => null,
        };
    }

    /**
     * @return array<string, HttpServer> ours, and the peer's by its name
     */
    public static function started(HttpCase $case, HttpSites $sites, string $redis): array
    {
        $ours = HttpSites::extensions();
        $peers = HttpSites::extensions(...$case->peers);
        $servers = [];
        try {
            $servers['ours'] = match ($case->host) {
                HttpCase::PREFORK => new Httpd(
                    'ours',
                    $sites,
                    $case->root,
                    $ours,
                    Httpd::prefork($case->connections),
                    'LoadModule ephpm_module "' . self::httpdModule() . "\"\n" . Httpd::handler(),
                ),
                HttpCase::EVENT => new Httpd(
                    'ours',
                    $sites,
                    $case->root,
                    $ours,
                    Httpd::event(),
                    'LoadModule ephpm_module "' . self::httpdModule() . "\"\n"
                        . 'EphpmProcesses ' . self::processes() . "\n" . Httpd::handler(),
                ),
                HttpCase::NGINX => new Nginx(
                    'ours',
                    $sites,
                    $case->root,
                    $ours,
                    // nginx keeps no more of its environment than it is told to.
                    'env PHP_INI_SCAN_DIR; load_module "' . self::nginxModule() . '";',
                    'ephpm_php_ini "%FOLDER%"; ephpm_temp_path "%FOLDER%/tmp/ephpm"; '
                        . 'ephpm_kv_zone zone=default:64m eviction=allkeys-lru; ephpm_kv default; '
                        . 'ephpm_processes ' . self::processes() . ';',
                    'ephpm on;',
                ),
            };
            $servers[$case->peer] = match ($case->host) {
                HttpCase::PREFORK => new Httpd(
                    $case->peer,
                    $sites,
                    $case->root,
                    $peers,
                    Httpd::prefork($case->connections),
                    'LoadModule php_module "' . self::modPhp() . "\"\n" . Httpd::handler(),
                ),
                HttpCase::EVENT => self::proxied($case, $sites, new Fpm($sites, $peers, self::processes())),
                HttpCase::NGINX => self::passed($case, $sites, new Fpm($sites, $peers, self::processes()), $redis),
            };
        } catch (\Throwable $failure) {
            array_map(static fn(HttpServer $server) => $server->stop(), $servers);
            throw $failure;
        }

        return $servers;
    }

    private static function httpdModule(): string
    {
        return getenv('EPHPM_BUILDDIR') . '/mod_ephpm/.libs/mod_ephpm.so';
    }

    private static function modPhp(): string
    {
        return getenv('HTTPD_MODULES_DIR') . '/libphp' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION . '.so';
    }

    private static function nginxModule(): ?string
    {
        $folder = getenv('EPHPM_BUILDDIR') . '/ngx_ephpm';
        $found = [...glob("$folder/*/ngx_http_ephpm_module.so") ?: [], ...glob("$folder/ngx_http_ephpm_module.so") ?: []];

        return $found[0] ?? null;
    }

    private static function proxied(HttpCase $case, HttpSites $sites, Fpm $fpm): Httpd
    {
        return new Httpd(
            $case->peer,
            $sites,
            $case->root,
            [],
            Httpd::event(),
            Httpd::load('proxy') . Httpd::load('proxy_fcgi') . Httpd::handler("proxy:unix:{$fpm->socket}|fcgi://fpm/"),
            $fpm,
        );
    }

    /**
     * Connections to php-fpm are kept, as many as it has children: a child
     * that is kept waits for its worker alone.
     */
    private static function passed(HttpCase $case, HttpSites $sites, Fpm $fpm, string $redis): Nginx
    {
        $parameters = [
            'QUERY_STRING' => '$query_string',
            'REQUEST_METHOD' => '$request_method',
            'CONTENT_TYPE' => '$content_type',
            'CONTENT_LENGTH' => '$content_length',
            'SCRIPT_FILENAME' => '$document_root$fastcgi_script_name',
            'SCRIPT_NAME' => '$fastcgi_script_name',
            'REQUEST_URI' => '$request_uri',
            'DOCUMENT_URI' => '$document_uri',
            'DOCUMENT_ROOT' => '$document_root',
            'SERVER_PROTOCOL' => '$server_protocol',
            'REQUEST_SCHEME' => '$scheme',
            'GATEWAY_INTERFACE' => 'CGI/1.1',
            'SERVER_SOFTWARE' => 'nginx/$nginx_version',
            'REMOTE_ADDR' => '$remote_addr',
            'REMOTE_PORT' => '$remote_port',
            'SERVER_ADDR' => '$server_addr',
            'SERVER_PORT' => '$server_port',
            'SERVER_NAME' => '$server_name',
            'REDIRECT_STATUS' => '200',
        ];
        if ($case->redis()) {
            $parameters['BENCH_REDIS'] = "redis://$redis?persistent=1";
        }
        $script = "fastcgi_pass fpm; fastcgi_keep_conn on;\n";
        foreach ($parameters as $name => $value) {
            $script .= "fastcgi_param $name \"$value\";\n";
        }
        $keep = max(1, intdiv(self::processes(), (int) shell_exec('getconf _NPROCESSORS_ONLN')));

        return new Nginx(
            $case->peer,
            $sites,
            $case->root,
            [],
            '',
            "upstream fpm { server unix:{$fpm->socket}; keepalive $keep; keepalive_requests 1000000000; }",
            $script,
            $fpm,
        );
    }
}
