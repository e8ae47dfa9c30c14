<?php

declare(strict_types=1);

namespace Ephpm\Bench;

/**
 * One page that both servers answer with.
 */
final class HttpCase
{
    /**
     * @param string      $root    folder of HttpSites that is served
     * @param string      $path    that is asked for
     * @param string|null $body    the whole answer; null: it tells of the moment
     * @param string      $begins  how such an answer begins
     * @param string|null $post    what is posted; null: nothing is
     * @param bool        $symfony whether it wants Composer's packages
     * @param bool        $store   whether it wants ephpm_kv_get() and its siblings: the peer then has ephpm.so
     * @param bool        $apcu    whether the peer wants APCu
     */
    private function __construct(
        public readonly string $root,
        public readonly string $path,
        public readonly ?string $body,
        public readonly string $begins = '',
        public readonly ?string $post = null,
        public readonly bool $symfony = false,
        public readonly bool $store = false,
        public readonly bool $apcu = false,
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

        return [
            'apache-hello' => new self('pages', '/hello.php', "Hello, world!\n"),
            'apache-page-1m' => new self('pages', '/page-1m.php', str_repeat(str_repeat('x', 1023) . "\n", 1024)),
            'apache-post-1m' => new self(
                'pages',
                '/post-1m.php',
                "1048576\n",
                post: 'text=' . str_repeat('x', 1 << 20),
            ),
            'apache-symfony' => new self('demo/public', '/', null, '<!DOCTYPE html>', symfony: true, store: true),
            'apache-symfony-20' => new self(
                'symfony',
                '/',
                json_encode(['titles' => $titles], JSON_THROW_ON_ERROR),
                symfony: true,
                apcu: true,
            ),
        ];
    }

    /**
     * The same page where the folder above its root is served.
     */
    public function fromAbove(): self
    {
        return new self('', "/{$this->root}{$this->path}", $this->body, $this->begins, $this->post, $this->symfony);
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
}
