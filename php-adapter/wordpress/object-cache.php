<?php

/**
 * Plugin Name: ephpm object cache
 * Description: WordPress's object cache in the web server's shared memory. Copy this file to wp-content/object-cache.php.
 * License: MIT
 *
 * A value is the store's key `wp:<salt>:<blog>:<group>:<key>`. The salt is
 * WP_CACHE_KEY_SALT or the database's host and name and the tables' prefix, so
 * that several sites share a store. What a request has read it keeps until its end.
 *
 * Without the store (wp-cli without ephpm.so) nothing is kept past the request,
 * as with WordPress's own cache.
 */

declare(strict_types=1);

defined('ABSPATH') || exit;

/**
 * Called by WordPress before anything else.
 */
function wp_cache_init(): void
{
    $GLOBALS['wp_object_cache'] = new WP_Object_Cache();
}

/**
 * Sets what is not there yet.
 *
 * @param mixed $expire in seconds, here and below; 0: for ever
 */
function wp_cache_add(mixed $key, mixed $data, mixed $group = '', mixed $expire = 0): bool
{
    return ephpm_wp_cache()->add($key, $data, $group, ephpm_wp_cache_int($expire));
}

/**
 * @param array<mixed> $data by key
 *
 * @return array<bool> by key
 */
function wp_cache_add_multiple(array $data, mixed $group = '', mixed $expire = 0): array
{
    return ephpm_wp_cache_each($data, static fn(int|string $key, mixed $value): bool => wp_cache_add($key, $value, $group, $expire));
}

/**
 * Sets what is there already.
 */
function wp_cache_replace(mixed $key, mixed $data, mixed $group = '', mixed $expire = 0): bool
{
    return ephpm_wp_cache()->replace($key, $data, $group, ephpm_wp_cache_int($expire));
}

/**
 * @return bool false: there is no room, and what was there is gone
 */
function wp_cache_set(mixed $key, mixed $data, mixed $group = '', mixed $expire = 0): bool
{
    return ephpm_wp_cache()->set($key, $data, $group, ephpm_wp_cache_int($expire));
}

/**
 * @param array<mixed> $data by key
 *
 * @return array<bool> by key
 */
function wp_cache_set_multiple(array $data, mixed $group = '', mixed $expire = 0): array
{
    return ephpm_wp_cache_each($data, static fn(int|string $key, mixed $value): bool => wp_cache_set($key, $value, $group, $expire));
}

/**
 * @param mixed $force true: from the store, whatever this request knows
 * @param mixed $found whether it is there, even as false
 *
 * @return mixed false: it is not there
 */
function wp_cache_get(mixed $key, mixed $group = '', mixed $force = false, mixed &$found = null): mixed
{
    return ephpm_wp_cache()->get($key, $group, (bool) $force, $found);
}

/**
 * @return array<mixed> by key; false: it is not there
 */
function wp_cache_get_multiple(mixed $keys, mixed $group = '', mixed $force = false): array
{
    return ephpm_wp_cache()->get_multiple((array) $keys, $group, (bool) $force);
}

/**
 * @return bool false: it was not there
 */
function wp_cache_delete(mixed $key, mixed $group = ''): bool
{
    return ephpm_wp_cache()->delete($key, $group);
}

/**
 * @param array<int|string> $keys
 *
 * @return array<bool> by key
 */
function wp_cache_delete_multiple(array $keys, mixed $group = ''): array
{
    return ephpm_wp_cache_each(array_flip($keys), static fn(int|string $key): bool => wp_cache_delete($key, $group));
}

/**
 * @return int|false false: there is none; never less than 0
 */
function wp_cache_incr(mixed $key, mixed $offset = 1, mixed $group = ''): int|false
{
    return ephpm_wp_cache()->incr($key, ephpm_wp_cache_int($offset), $group);
}

/**
 * @return int|false false: there is none; never less than 0
 */
function wp_cache_decr(mixed $key, mixed $offset = 1, mixed $group = ''): int|false
{
    return ephpm_wp_cache()->incr($key, -ephpm_wp_cache_int($offset), $group);
}

/**
 * Removes everything of this site; what others have in the store stays.
 */
function wp_cache_flush(): bool
{
    return ephpm_wp_cache()->flush();
}

/**
 * Forgets what this request knows.
 */
function wp_cache_flush_runtime(): bool
{
    return ephpm_wp_cache()->flush_runtime();
}

/**
 * Removes a group, of the present blog or of all where it is a global one.
 */
function wp_cache_flush_group(mixed $group): bool
{
    return ephpm_wp_cache()->flush_group($group);
}

/**
 * What WordPress asks before it uses it.
 */
function wp_cache_supports(mixed $feature): bool
{
    return in_array($feature, ['add_multiple', 'set_multiple', 'get_multiple', 'delete_multiple', 'flush_runtime', 'flush_group'], true);
}

/**
 * There is nothing to close.
 */
function wp_cache_close(): bool
{
    return true;
}

/**
 * Groups that all blogs of a network share.
 */
function wp_cache_add_global_groups(mixed $groups): void
{
    ephpm_wp_cache()->add_global_groups((array) $groups);
}

/**
 * Groups that end with the request.
 */
function wp_cache_add_non_persistent_groups(mixed $groups): void
{
    ephpm_wp_cache()->add_non_persistent_groups((array) $groups);
}

/**
 * Whose groups are meant from now on.
 */
function wp_cache_switch_to_blog(mixed $blog_id): void
{
    ephpm_wp_cache()->switch_to_blog(ephpm_wp_cache_int($blog_id));
}

/**
 * As wp_cache_flush_runtime(), for plugins that know this name.
 */
function wp_cache_reset(): void
{
    ephpm_wp_cache()->flush_runtime();
}

/**
 * @internal
 *
 * @return WP_Object_Cache
 */
function ephpm_wp_cache()
{
    /** @var WP_Object_Cache */
    return $GLOBALS['wp_object_cache'];
}

/** @internal */
function ephpm_wp_cache_int(mixed $number): int
{
    return is_scalar($number) ? (int) $number : 0;
}

/**
 * @internal
 *
 * @param array<mixed>                      $data
 * @param Closure(int|string, mixed): bool $do
 *
 * @return array<bool> by key
 */
function ephpm_wp_cache_each(array $data, Closure $do): array
{
    $done = [];
    foreach ($data as $key => $value) {
        $done[$key] = $do($key, $value);
    }

    return $done;
}

class WP_Object_Cache
{
    public int $cache_hits = 0;

    public int $cache_misses = 0;

    /** @var array<string, array{mixed}> what this request has, by the store's key */
    private array $runtime = [];

    /** @var array<int|string, true> */
    private array $global_groups = [];

    /** @var array<int|string, true> */
    private array $non_persistent_groups = [];

    private int $blog;

    private readonly string $prefix;

    private readonly bool $has_store;

    public function __construct()
    {
        $constant = static fn(string $name): string => defined($name) ? self::text(constant($name)) : '';
        $salt = $constant('WP_CACHE_KEY_SALT');
        if ('' === $salt) {
            $salt = $constant('DB_HOST') . '/' . $constant('DB_NAME') . '/' . self::text($GLOBALS['table_prefix'] ?? '');
        }
        $this->prefix = 'wp:' . self::escaped($salt) . ':';
        $this->blog = is_multisite() ? get_current_blog_id() : 0;
        // Where there is no store behind the functions it has no room.
        $this->has_store = function_exists('ephpm_kv_get') && 0 !== ephpm_kv_stats()['limit_bytes'];
    }

    public function add(mixed $key, mixed $data, mixed $group = 'default', int $expire = 0): bool
    {
        if (wp_suspend_cache_addition() || !self::is_valid($key)) {
            return false;
        }
        $id = $this->id($key, $group);
        if ($this->is_persistent($group)) {
            $bytes = self::encoded($data);
            if (null === $bytes || !ephpm_kv_setnx($id, $bytes, max(0, $expire))) {
                return false;
            }
        } elseif (isset($this->runtime[$id])) {
            return false;
        }
        $this->keep($id, $data);

        return true;
    }

    public function replace(mixed $key, mixed $data, mixed $group = 'default', int $expire = 0): bool
    {
        if (!self::is_valid($key)) {
            return false;
        }
        $id = $this->id($key, $group);
        $exists = $this->is_persistent($group) ? ephpm_kv_exists($id) : isset($this->runtime[$id]);

        return $exists && $this->set($key, $data, $group, $expire);
    }

    public function set(mixed $key, mixed $data, mixed $group = 'default', int $expire = 0): bool
    {
        if (!self::is_valid($key)) {
            return false;
        }
        $id = $this->id($key, $group);
        if ($this->is_persistent($group)) {
            $bytes = self::encoded($data);
            if (null === $bytes || !ephpm_kv_set($id, $bytes, max(0, $expire))) {
                // What is there is older than what was to be set.
                ephpm_kv_del($id);
                unset($this->runtime[$id]);

                return false;
            }
        }
        $this->keep($id, $data);

        return true;
    }

    public function get(mixed $key, mixed $group = 'default', bool $force = false, mixed &$found = null): mixed
    {
        $found = false;
        if (!self::is_valid($key)) {
            return false;
        }
        $id = $this->id($key, $group);
        if ($this->is_persistent($group) && ($force || !isset($this->runtime[$id]))) {
            $this->remember($id, ephpm_kv_get($id));
        }

        return $this->known($id, $found);
    }

    /**
     * @param array<mixed> $keys
     *
     * @return array<mixed> by key; false: it is not there
     */
    public function get_multiple(array $keys, mixed $group = 'default', bool $force = false): array
    {
        $ids = [];
        foreach ($keys as $key) {
            if (self::is_valid($key)) {
                $ids[$key] = $this->id($key, $group);
            }
        }
        if ($this->is_persistent($group)) {
            $wanted = $force ? $ids : array_filter($ids, fn(string $id): bool => !isset($this->runtime[$id]));
            /** @var list<string|null> */
            $values = ephpm_kv_mget($wanted);
            foreach (array_values($wanted) as $i => $id) {
                $this->remember($id, $values[$i] ?? null);
            }
        }

        return array_map(fn(string $id): mixed => $this->known($id, $found), $ids);
    }

    public function delete(mixed $key, mixed $group = 'default'): bool
    {
        if (!self::is_valid($key)) {
            return false;
        }
        $id = $this->id($key, $group);
        $was_here = isset($this->runtime[$id]);
        unset($this->runtime[$id]);

        return $this->is_persistent($group) ? 1 === ephpm_kv_del($id) : $was_here;
    }

    public function incr(mixed $key, int $offset = 1, mixed $group = 'default'): int|false
    {
        if (!self::is_valid($key)) {
            return false;
        }
        $id = $this->id($key, $group);
        $this->get($key, $group, true, $found);
        if (!$found) {
            return false;
        }
        if (!$this->is_persistent($group)) {
            $number = (is_numeric($this->runtime[$id][0]) ? (int) $this->runtime[$id][0] : 0) + $offset;
            $this->keep($id, max(0, $number));

            return max(0, $number);
        }
        $bytes = ephpm_kv_get($id);
        if (null === $bytes) {
            // It has expired this moment.
            unset($this->runtime[$id]);

            return false;
        }
        $number = (string) (int) $bytes === $bytes ? ephpm_kv_incr_by($id, $offset) : false;
        if (false === $number || $number < 0) {
            // Not counted by us so far, or below the 0 that WordPress ends at.
            $value = self::decoded($bytes, $found);
            $number = false === $number ? max(0, (is_numeric($value) ? (int) $value : 0) + $offset) : 0;
            $left = ephpm_kv_ttl($id);
            if (-2 !== $left) {
                ephpm_kv_set($id, (string) $number, max(0, $left));
            }
        }
        $this->keep($id, $number);

        return $number;
    }

    public function decr(mixed $key, int $offset = 1, mixed $group = 'default'): int|false
    {
        return $this->incr($key, -$offset, $group);
    }

    public function flush(): bool
    {
        $this->runtime = [];
        if ($this->has_store) {
            ephpm_kv_del_prefix($this->prefix);
        }

        return true;
    }

    public function flush_runtime(): bool
    {
        $this->runtime = [];

        return true;
    }

    public function flush_group(mixed $group): bool
    {
        $prefix = $this->id('', $group);
        $this->runtime = array_filter($this->runtime, static fn(string $id): bool => !str_starts_with($id, $prefix), ARRAY_FILTER_USE_KEY);
        if ($this->is_persistent($group)) {
            ephpm_kv_del_prefix($prefix);
        }

        return true;
    }

    /**
     * @param array<mixed> $groups
     */
    public function add_global_groups(array $groups): void
    {
        $this->global_groups += array_fill_keys(array_map(self::text(...), $groups), true);
    }

    /**
     * @param array<mixed> $groups
     */
    public function add_non_persistent_groups(array $groups): void
    {
        $this->non_persistent_groups += array_fill_keys(array_map(self::text(...), $groups), true);
    }

    public function switch_to_blog(int $blog_id): void
    {
        $this->blog = is_multisite() ? $blog_id : 0;
    }

    public function stats(): void
    {
        printf('<p><strong>Cache Hits:</strong> %d<br><strong>Cache Misses:</strong> %d</p>', $this->cache_hits, $this->cache_misses);
    }

    private function is_persistent(mixed $group): bool
    {
        return $this->has_store && !isset($this->non_persistent_groups[self::text($group)]);
    }

    private function id(int|string $key, mixed $group): string
    {
        $group = '' === self::text($group) ? 'default' : self::text($group);
        $id = $this->prefix . (isset($this->global_groups[$group]) ? 'all' : $this->blog) . ':' . self::escaped($group) . ':' . $key;

        return strlen($id) <= 65535 ? $id : substr($id, 0, 65471) . hash('sha256', $id);
    }

    private static function escaped(string $part): string
    {
        return str_replace(['%', ':'], ['%25', '%3A'], $part);
    }

    private static function text(mixed $text): string
    {
        return is_scalar($text) ? (string) $text : '';
    }

    /**
     * @phpstan-assert-if-true int|string $key
     */
    private static function is_valid(mixed $key): bool
    {
        if (is_int($key) || is_string($key) && '' !== trim($key)) {
            return true;
        }
        _doing_it_wrong('wp_cache', 'A key of the cache has to be an integer or a string that is not empty.', '6.1.0');

        return false;
    }

    private function keep(string $id, mixed $data): void
    {
        $this->runtime[$id] = [is_object($data) ? clone $data : $data];
    }

    private function remember(string $id, ?string $bytes): void
    {
        $value = self::decoded($bytes, $found);
        if ($found) {
            $this->runtime[$id] = [$value];
        } else {
            unset($this->runtime[$id]);
        }
    }

    private function known(string $id, mixed &$found): mixed
    {
        $found = isset($this->runtime[$id]);
        if (!$found) {
            ++$this->cache_misses;

            return false;
        }
        ++$this->cache_hits;
        $value = $this->runtime[$id][0];

        return is_object($value) ? clone $value : $value;
    }

    /** @return string|null null: it cannot be serialized */
    private static function encoded(mixed $data): ?string
    {
        try {
            return is_int($data) ? (string) $data : serialize($data);
        } catch (Throwable) {
            return null;
        }
    }

    private static function decoded(?string $bytes, mixed &$found): mixed
    {
        $found = null !== $bytes;
        if (null === $bytes || (string) (int) $bytes === $bytes) {
            return (int) $bytes;
        }
        $value = @unserialize($bytes);
        $found = false !== $value || 'b:0;' === $bytes;

        return $value;
    }
}
