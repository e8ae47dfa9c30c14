<?php

// Uses the cache store in a request, as an application of Laravel does, and
// answers with lines of TAP.  ?step=second is asked in another request.

declare(strict_types=1);

use Ephpm\Cache\Laravel\EphpmCacheServiceProvider;
use Ephpm\Cache\Laravel\EphpmStore;
use Illuminate\Cache\CacheManager;
use Illuminate\Cache\Repository;

require 'Illuminate/Cache/autoload.php';
spl_autoload_register(static function (string $class): void {
    foreach (['Ephpm\\Cache\\Laravel\\' => 'laravel', 'Ephpm\\Cache\\Symfony\\' => 'src'] as $namespace => $folder) {
        if (str_starts_with($class, $namespace)) {
            require __DIR__ . "/php-adapter/$folder/" . substr($class, strlen($namespace)) . '.php';
        }
    }
});

header('Content-Type: text/plain');
function is(mixed $got, mixed $expected, string $what): void
{
    echo $got === $expected ? 'ok' : 'not ok', " - $what", $got === $expected ? '' : ' # ' . var_export($got, true), "\n";
}

$cache = new Repository(new EphpmStore('app'));
if ('second' === ($_GET['step'] ?? '')) {
    is($cache->get('kept'), ['a' => 1], 'another request reads the value');
    is($cache->increment('count'), 3, '... and counts on');
    is((new EphpmStore('app'))->lock('held', 60)->get(), false, '... and does not get the lock');
    exit;
}
$cache->flush();
is($cache->get('none', 'default'), 'default', 'a miss');
foreach ([1, -1, '1', 1.5, true, false, '', 'text', ['a' => [null]]] as $value) {
    is($cache->put('key', $value, 60), true, 'put');
    is($cache->get('key'), $value, '... ' . json_encode($value));
}
is($cache->add('key', 'other', 60), false, 'add finds the key');
is($cache->add('new', 'value', 60), true, '... or does not');
is($cache->pull('new'), 'value', 'pull');
is($cache->has('new'), false, '... takes it');
is($cache->remember('remembered', 60, static fn(): string => 'computed'), 'computed', 'remember computes');
is($cache->remember('remembered', 60, static fn(): string => 'again'), 'computed', '... once');
is($cache->putMany(['a' => 1, 'b' => 'two'], 60), true, 'putMany');
is($cache->many(['a', 'b', 'c']), ['a' => 1, 'b' => 'two', 'c' => null], '... and many');
is($cache->forever('kept', ['a' => 1]), true, 'forever');
is([$cache->increment('count'), $cache->increment('count', 3), $cache->decrement('count', 2)], [1, 4, 2], 'counting');
is($cache->increment('kept'), false, '... needs an integer');
is($cache->forget('a'), true, 'forget');
is($cache->forget('a'), false, '... once');
(new EphpmStore('app:b'))->forever('k', 'b');
(new EphpmStore(''))->forever('k', 'none');
(new EphpmStore('ap'))->flush();
(new EphpmStore(''))->flush();
is((new EphpmStore(''))->get('k'), null, 'flush without a prefix');
is($cache->get('kept'), ['a' => 1], '... leaves other applications alone');
is((new EphpmStore('app'))->get('b:k'), null, 'no prefix is the beginning of another');
ephpm_kv_set('laravel:app:corrupt', 'O:1:{');
is($cache->get('corrupt'), null, 'what is corrupt is a miss');

$cache->tags(['people', 'authors'])->put('anne', 'Anne', 60);
$cache->tags(['people'])->put('john', 'John', 60);
is($cache->tags(['people', 'authors'])->get('anne'), 'Anne', 'tags');
$cache->tags('authors')->flush();
is($cache->tags(['people', 'authors'])->get('anne'), null, '... are flushed');
is($cache->tags(['people'])->get('john'), 'John', '... alone');

$store = new EphpmStore('app');
$lock = $store->lock('held', 60);
is($lock->get(), true, 'a lock');
is($store->lock('held', 60)->get(), false, '... is held');
is($store->lock('held', 60)->release(), false, '... by its owner');
is($store->restoreLock('held', $lock->owner())->release(), true, '... who is known by name');
is($store->lock('held', 60)->get(), true, '... and is free then');

$other = new EphpmStore('other');
$other->forever('key', 'theirs');
(new EphpmStore('gone'))->forever('key', 'x');
(new EphpmStore('gone'))->flush();
is([$other->get('key'), $cache->get('kept')], ['theirs', ['a' => 1]], 'flush leaves other prefixes alone');

// As much of an application as the provider needs.
$app = new class (['config' => ['cache.default' => 'store', 'cache.prefix' => 'other', 'cache.stores.store' => ['driver' => 'ephpm']]]) extends ArrayObject {
    public ?CacheManager $cache = null;

    public function bound(string $name): bool
    {
        return false;
    }

    public function afterResolving(string $name, Closure $callback): void
    {
        $callback($this->cache);
    }

    public function resolved(string $name): bool
    {
        return false;
    }
};
$app->cache = new CacheManager($app);
(new EphpmCacheServiceProvider($app))->register();
is($app->cache->store()->get('key'), 'theirs', 'the driver ephpm, with the application\'s prefix');
