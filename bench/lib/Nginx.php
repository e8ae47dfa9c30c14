<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * An nginx of this run alone.  What it is told is the same for ours and for
 * the peer but for the lines that bring PHP.
 */
final class Nginx extends HttpServer
{
    private readonly Service $service;

    /**
     * @param string       $root       of the pages, in the folder of the sites
     * @param list<string> $extensions of PHP
     * @param string       $main       lines outside of http { }
     * @param string       $http       lines in http { }
     * @param string       $script     what is in the location of scripts
     * @param Fpm|null     $fpm        that runs the scripts; it ends with this server
     */
    public function __construct(
        string $name,
        HttpSites $sites,
        string $root,
        array $extensions,
        string $main,
        string $http,
        string $script,
        private readonly ?Fpm $fpm = null,
    ) {
        parent::__construct($name, $sites->newFolder($name));
        $sites->writePhpIni($this->folder, ...$extensions);
        mkdir("{$this->folder}/tmp");
        $conf = strtr($this->configuration("{$sites->folder}/$root", $main, $http, $script), [
            '%FOLDER%' => $this->folder,
        ]);
        file_put_contents("{$this->folder}/nginx.conf", $conf);
        try {
            $this->service = new Service(
                [
                    self::program(), '-p', "{$this->folder}/", '-c', "{$this->folder}/nginx.conf",
                    '-e', "{$this->folder}/error.log", '-g', 'daemon off;',
                ],
                "{$this->folder}/said",
                "{$this->folder}/conf.d",
                fn(): bool => '' !== $this->file('nginx.pid')
                    && false !== @stream_socket_client("tcp://127.0.0.1:{$this->port}", timeout: 1.0),
            );
        } catch (BenchError $failure) {
            $fpm?->stop();
            throw new BenchError("$name: {$failure->getMessage()}{$this->file('error.log')}");
        }
    }

    public static function program(): string
    {
        return RedisServer::program('nginx') ?? throw new BenchError('nginx is needed: apt-get install nginx');
    }

    public function stop(): void
    {
        $this->service->stop();
        $this->fpm?->stop();
    }

    protected function log(): string
    {
        return $this->file('error.log') . $this->fpm?->log();
    }

    private function configuration(string $root, string $main, string $http, string $script): string
    {
        $user = (string) getenv('EPHPM_SERVER_USER');
        $as = '' === $user ? '' : "user $user " . getenv('EPHPM_SERVER_GROUP') . ";\n";
        $paths = implode('', array_map(
            static fn(string $one): string => "    {$one}_temp_path %FOLDER%/tmp/$one;\n",
            ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'],
        ));

        return <<<END
            $main
            {$as}pid %FOLDER%/nginx.pid;
            error_log %FOLDER%/error.log notice;
            worker_processes auto;
            events { worker_connections 1024; }
            http {
                access_log off;
            $paths
                types { text/html html; text/css css; }
                keepalive_requests 1000000000;
                client_max_body_size 8m;
                $http
                server {
                    listen 127.0.0.1:{$this->port};
                    root "$root";
                    index index.php;
                    location / { try_files \$uri \$uri/ /index.php\$is_args\$args; }
                    location ~ \\.php$ {
                        $script
                    }
                }
            }

            END;
    }
}
