<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * One page that both servers answer with, and who these are.
 */
final class HttpCase
{
    public const PREFORK = 'apache';
    public const EVENT = 'event';
    public const NGINX = 'nginx';

    /** Of the cases that are measured with more than one number of them. */
    private const CONNECTIONS = [2, 8, 32];

    /**
     * @param string       $host        server: one of the constants above
     * @param string       $root        folder of HttpSites that is served
     * @param string       $path        that is asked for
     * @param string|null  $body        the whole answer; null: it tells of the moment
     * @param string       $begins      how such an answer begins
     * @param string|null  $post        what is posted; null: nothing is
     * @param bool         $symfony     whether it wants Composer's packages
     * @param string       $peer        the other server's name
     * @param list<string> $peers       extensions that it has beside those of both: names, or files
     * @param int          $connections that clients keep
     */
    private function __construct(
        public readonly string $host,
        public readonly string $root,
        public readonly string $path,
        public readonly ?string $body,
        public readonly string $begins = '',
        public readonly ?string $post = null,
        public readonly bool $symfony = false,
        public readonly string $peer = 'mod_php',
        public readonly array $peers = [],
        public readonly int $connections = 2,
    ) {}

    /**
     * Those that are measured in requests a second.
     *
     * @return array<string, self>
     */
    public static function all(): array
    {
        $titles = array_map(static fn(int $id): string => \sprintf(
            'Article number %02d: %d',
            $id,
            20 * \strlen("What article $id says. "),
        ), range(1, 20));
        $twenty = json_encode(['titles' => $titles], JSON_THROW_ON_ERROR);
        $megabyte = str_repeat(str_repeat('x', 1023) . "\n", 1024);
        $form = 'text=' . str_repeat('x', 1 << 20);
        $hello = "Hello, world!\n";
        $shared = getenv('EPHPM_BUILDDIR') . '/php-embed/.libs/ephpm.so';
        $apache = self::PREFORK;
        $cases = [
            'apache-hello' => new self($apache, 'pages', '/hello.php', $hello),
            'apache-page-1m' => new self($apache, 'pages', '/page-1m.php', $megabyte),
            'apache-post-1m' => new self($apache, 'pages', '/post-1m.php', "1048576\n", post: $form),
            'apache-symfony' => new self(
                $apache,
                'demo/public',
                '/',
                null,
                '<!DOCTYPE html>',
                symfony: true,
                peers: [$shared],
            ),
            'apache-symfony-20' => new self($apache, 'symfony-page', '/', $twenty, symfony: true, peers: ['apcu']),
        ];
        foreach (self::CONNECTIONS as $n) {
            $fpm = [self::NGINX, 'php-fpm', $n];
            $cases += [
                "nginx-hello-$n" => self::beside($fpm, 'pages', '/hello.php', $hello),
                "nginx-page-1m-$n" => self::beside($fpm, 'pages', '/page-1m.php', $megabyte),
                "nginx-post-1m-$n" => self::beside($fpm, 'pages', '/post-1m.php', "1048576\n", $form),
                "nginx-symfony-$n" => self::beside($fpm, 'symfony-page', '/', $twenty, null, 'apcu'),
                "nginx-symfony-redis-$n" => self::beside(
                    [self::NGINX, 'php-fpm-redis', $n],
                    'symfony-page',
                    '/',
                    $twenty,
                    null,
                    'igbinary',
                    'redis',
                ),
                "event-hello-$n" => self::beside([self::EVENT, 'php-fpm', $n], 'pages', '/hello.php', $hello),
            ];
        }

        return $cases;
    }

    /**
     * Names that stand for a case with each of its numbers of connections.
     *
     * @return array<string, list<string>>
     */
    public static function groups(): array
    {
        $groups = [];
        foreach (self::all() as $name => $case) {
            if (self::PREFORK !== $case->host) {
                $groups[substr($name, 0, (int) strrpos($name, '-'))][] = $name;
            }
        }

        return $groups;
    }

    public function redis(): bool
    {
        return \in_array('redis', $this->peers, true);
    }

    /**
     * The same page where the folder above its root is served, by one child.
     */
    public function fromAbove(): self
    {
        return new self(
            $this->host,
            '',
            "/{$this->root}{$this->path}",
            $this->body,
            $this->begins,
            $this->post,
            $this->symfony,
            peers: ['apcu'],
            connections: 1,
        );
    }

    /**
     * Why this is not the page that was asked for; null: it is.
     */
    public function fault(HttpAnswer $answer): ?string
    {
        $length = \strlen($answer->body);

        return match (true) {
            200 !== $answer->status => "status {$answer->status}: " . substr($answer->body, 0, 400),
            null === $this->body && stripos($answer->body, $this->begins) !== 0,
            null !== $this->body && $answer->body !== $this->body => "another page, $length bytes: "
                . substr($answer->body, 0, 400),
            default => null,
        };
    }

    /**
     * @param array{string, string, int} $with server, peer and connections
     * @param string                     ...$peers
     */
    private static function beside(
        array $with,
        string $root,
        string $path,
        string $body,
        ?string $post = null,
        string ...$peers,
    ): self {
        [$host, $peer, $connections] = $with;

        return new self(
            $host,
            $root,
            $path,
            $body,
            '',
            $post,
            [] !== $peers,
            $peer,
            array_values($peers),
            $connections,
        );
    }
}
