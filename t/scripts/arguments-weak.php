<?php

// Without strict_types: PHP converts, as for any function.

require_once __DIR__ . '/lib.php';

ephpm_kv_del('12345678901');
ephpm_kv_del('1');

final class ArgumentsWeakText
{
    public function __toString(): string
    {
        return 'arguments-weak:object';
    }
}

attempt('int for a key', fn() => ephpm_kv_set(12345678901, 'a'));
attempt('the same as its text', fn() => ephpm_kv_get('12345678901'));
attempt('float for a value', fn() => ephpm_kv_set(12345678901, 1.5));
attempt('get', fn() => ephpm_kv_get(12345678901));
attempt('true for a key', fn() => ephpm_kv_set(true, 'b'));
attempt('get', fn() => ephpm_kv_get('1'));
attempt('object for a key', fn() => ephpm_kv_set(new ArgumentsWeakText(), 'c'));
attempt('get', fn() => ephpm_kv_get('arguments-weak:object'));
attempt('object for a value', fn() => ephpm_kv_set('1', new ArgumentsWeakText()));
attempt('get', fn() => ephpm_kv_get('1'));
attempt('text for a ttl', fn() => ephpm_kv_set('1', 'd', '100'));
attempt('ttl', fn() => ephpm_kv_ttl('1'));
attempt('text for a delta', fn() => ephpm_kv_incr_by(12345678901, 'x'));
attempt('float for a delta', fn() => ephpm_kv_incr_by('1', 1.5));
attempt('null for a key', fn() => ephpm_kv_get(null));
attempt('array for a key', fn() => ephpm_kv_get([]));
attempt('a delta past the integers', fn() => ephpm_kv_incr_by('1', 1e19));
ephpm_kv_del('12345678901');
ephpm_kv_del('1');
