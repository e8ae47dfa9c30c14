<?php

declare(strict_types=1);

// Times the pools within this request, in turn, and answers with nanoseconds:
// {case: {pool: [one a round]}}.
//
//      adapters.php?redis=SOCKET&rounds=N&cases=CASE,...

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter;
use Symfony\Component\Cache\Adapter\ApcuAdapter;
use Symfony\Component\Cache\Adapter\RedisAdapter;
use Symfony\Component\Cache\Adapter\RedisTagAwareAdapter;
use Symfony\Component\Cache\Adapter\TagAwareAdapter;
use Symfony\Contracts\Cache\ItemInterface;

require dirname(__DIR__) . '/demo/vendor/autoload.php';

const ITEMS = 20;

$redis = new Redis();
$redis->connect((string) $_GET['redis']);
$pools = ['ours' => new EphpmKvAdapter('plain'), 'apcu' => new ApcuAdapter('plain'), 'redis' => new RedisAdapter($redis, 'plain')];
$tagged = [
    'ours' => new EphpmKvTagAwareAdapter('tagged'),
    'apcu' => new TagAwareAdapter(new ApcuAdapter('tagged')),
    'redis' => new RedisTagAwareAdapter($redis, 'tagged'),
];
$keys = array_map(static fn(int $i): string => "article.$i", range(1, ITEMS));
$article = static fn(string $key): array => [
    'title' => "What is under $key",
    'tags' => ['cache', 'shared memory', 'benchmark'],
    'text' => str_repeat("What $key says. ", 20),
];
$missed = static fn(ItemInterface $item): never => throw new LogicException("{$item->getKey()} is a miss");
$timed = static function (callable $do): int {
    $start = hrtime(true);
    $do();

    return hrtime(true) - $start;
};
foreach ($pools as $pool) {
    foreach ($keys as $key) {
        $pool->save($pool->getItem($key)->set($article($key)));
    }
    $pool->get('report', static function (ItemInterface $item) use ($article): array {
        $item->expiresAfter(3600);

        return $article('report');
    });
}

// One session for each handler, of the size of one that has somebody logged in.
// Its id is given, as by a browser's cookie, and headers are left out: they are
// no handler's.
$handlers = ['ours' => ['ephpm', ''], 'redis' => ['redis', 'unix://' . $_GET['redis'] . '?persistent=1']];
$useHandler = static function (string $name) use ($handlers): void {
    ini_set('session.save_handler', $handlers[$name][0]);
    ini_set('session.save_path', $handlers[$name][1]);
    session_id('0123456789abcdefghijklmnop');
};
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
ini_set('session.gc_probability', '0');
foreach (array_keys($handlers) as $name) {
    $useHandler($name);
    session_start() || throw new LogicException("no session in $name");
    $_SESSION = ['n' => 0, 'user' => ['id' => 17, 'roles' => ['USER', 'EDITOR']], 'basket' => array_fill(0, 10, $article('basket')['title']), '_csrf' => str_repeat('x', 43)];
    session_write_close();
}

// Each case is one entry: what is timed, once what comes before it is done.
$cases = [
    'hit-20' => static function (string $name) use ($pools, $keys, $missed, $timed): int {
        $pool = $pools[$name];

        return $timed(static function () use ($pool, $keys, $missed): void {
            foreach ($keys as $key) {
                $pool->get($key, $missed);
            }
        });
    },
    'getitems-20' => static function (string $name) use ($pools, $keys, $timed): int {
        $pool = $pools[$name];

        return $timed(static function () use ($pool, $keys): void {
            foreach ($pool->getItems($keys) as $item) {
                $item->isHit() || throw new LogicException("{$item->getKey()} is a miss");
                $item->get();
            }
        });
    },
    'save' => static function (string $name) use ($pools, $article, $timed): int {
        $pool = $pools[$name];
        $item = $pool->getItem('article.1')->set($article('article.1'));

        return $timed(static fn(): bool => $pool->save($item) || throw new LogicException('not saved'));
    },
    'callback-hit' => static function (string $name) use ($pools, $missed, $timed): int {
        $pool = $pools[$name];

        return $timed(static fn(): mixed => $pool->get('report', $missed));
    },
    'tag-invalidate' => static function (string $name) use ($tagged, $keys, $article, $timed): int {
        $pool = $tagged[$name];
        foreach ($keys as $key) {
            $pool->saveDeferred($pool->getItem($key)->set($article($key))->tag(['articles', $key]));
        }
        $pool->commit();
        $ns = $timed(static fn(): bool => $pool->invalidateTags(['articles']));
        $pool->hasItem($keys[0]) && throw new LogicException("{$keys[0]} is still there");

        return $ns;
    },
    'session' => static function (string $name) use ($useHandler, $timed): int {
        static $opened = [];
        $useHandler($name);
        $ns = $timed(static function (): void {
            session_start();
            ++$_SESSION['n'];
            session_write_close();
        });
        $opened[$name] = 1 + ($opened[$name] ?? 0);
        $opened[$name] === $_SESSION['n'] || throw new LogicException("the session in $name has lost a change");

        return $ns;
    },
];
$of = ['session' => array_keys($handlers)];
$figures = [];
foreach (array_intersect_key($cases, array_flip(explode(',', (string) $_GET['cases']))) as $case => $timing) {
    $names = $of[$case] ?? array_keys($pools);
    // The first ones find nothing in the processor's caches.
    for ($round = -10; $round < (int) $_GET['rounds']; ++$round) {
        shuffle($names);
        foreach ($names as $name) {
            $timing($name);
            $ns = $timing($name);
            if ($round >= 0) {
                $figures[$case][$name][] = $ns;
            }
        }
    }
}
header('Content-Type: application/json');
echo json_encode($figures, JSON_THROW_ON_ERROR);
