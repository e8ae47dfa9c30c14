<?php

/**
 * The functions of the `ephpm` extension.  ephpm_arginfo.h is generated from
 * this file with PHP's build/gen_stub.php and committed; `make` never
 * generates it.
 *
 * Keys are 1 to 65535 bytes, values any number of bytes up to about a quarter
 * of the store; both are any bytes.  TTLs are seconds; 0 or less means: no
 * expiry.
 *
 * @generate-function-entries
 */

function ephpm_kv_get(string $key): ?string {}

function ephpm_kv_set(string $key, string $value, int $ttl = 0): bool {}

function ephpm_kv_setnx(string $key, string $value, int $ttl = 0): bool {}

function ephpm_kv_del(string $key): int {}

function ephpm_kv_exists(string $key): bool {}

function ephpm_kv_incr(string $key): int|false {}

function ephpm_kv_decr(string $key): int|false {}

function ephpm_kv_incr_by(string $key, int $delta): int|false {}

function ephpm_kv_expire(string $key, int $ttl): bool {}

function ephpm_kv_ttl(string $key): int {}

function ephpm_kv_pttl(string $key): int {}

function ephpm_kv_flush_all(): bool {}

/**
 * Wait until the key's version exceeds `$last_version`, and return
 * array{version: int, value: ?string}; false when `$timeout_ms` milliseconds
 * are over.  Versions grow with every change of the value and every removal,
 * so 0 answers at once, with the version to go on waiting from; an absent key
 * may be answered once more though it is still absent.  Signal handlers run
 * meanwhile.
 */
function ephpm_kv_wait(string $key, int $last_version, int $timeout_ms): array|false {}

/** list<?string> in the order of `$keys`, which are strings or integers. */
function ephpm_kv_mget(array $keys): array {}

/**
 * Set each key of the array to its value, a string, one after the other;
 * false if any was refused (the others are stored all the same).
 */
function ephpm_kv_mset(array $values, int $ttl = 0): bool {}

/** Get and remove: of several who call, one gets the value. */
function ephpm_kv_getdel(string $key): ?string {}

function ephpm_kv_setifeq(string $key, string $expected, string $value, int $ttl = 0): bool {}

function ephpm_kv_delifeq(string $key, string $expected): bool {}

/**
 * A step of an enumeration: array{int, list<string>}, the cursor of the next
 * step (0: that was all) and the keys that begin with `$prefix` among about
 * `$count` places of the index (less than 1 counts as 1).
 */
function ephpm_kv_scan(int $cursor, string $prefix = '', int $count = 100): array {}

/** How many keys were removed. */
function ephpm_kv_del_prefix(string $prefix): int {}

/** array<string, int> */
function ephpm_kv_stats(): array {}
