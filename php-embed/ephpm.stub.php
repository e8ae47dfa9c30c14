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
