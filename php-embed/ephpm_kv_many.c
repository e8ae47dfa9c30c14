/* ephpm_kv_many.c - the PHP functions over many keys.
 *
 * Each is a sequence of single-key operations, not one atomic step.  Between
 * two of them a warning's error handler may run any script; the array that
 * was given cannot change meanwhile, as the call holds it, but strings in it
 * that are references can.  So a string is looked at anew in each step and
 * not after a warning.
 */

#include "php_ephpm.h"

/* A key from an array: a string, or an integer, which PHP makes of a string
 * of digits that is an array's key. */
typedef struct array_key {
    const char *bytes;
    size_t len;
    char digits[MAX_LENGTH_OF_LONG + 1];
} array_key_t;

static zend_always_inline void key_from_string(array_key_t *key,
                                               const zend_string *string)
{
    key->bytes = ZSTR_VAL(string);
    key->len = ZSTR_LEN(string);
}

static zend_never_inline void key_from_integer(array_key_t *key,
                                               zend_long integer)
{
    char *end = key->digits + sizeof(key->digits) - 1;

    key->bytes = zend_print_long_to_buf(end, integer);
    key->len = (size_t)(end - key->bytes);
}

static ZEND_COLD void wrong_type(const char *wanted, const zval *given)
{
    zend_argument_type_error(1, "must be an array of %s, %s given", wanted,
                             zend_zval_type_name(given));
}

/* The values of `keys` into `to`, which has room for them.  Returns how many
 * there are; fewer than keys where an exception was thrown. */
static zend_always_inline uint32_t get_each(kv_store_t *store, HashTable *keys,
                                            zval *to)
{
    uint32_t count = 0;
    zval *element;

    ZEND_HASH_FOREACH_VAL(keys, element) {
        array_key_t key;

        ZVAL_DEREF(element);
        if (EXPECTED(Z_TYPE_P(element) == IS_STRING)) {
            key_from_string(&key, Z_STR_P(element));
        } else if (Z_TYPE_P(element) == IS_LONG) {
            key_from_integer(&key, Z_LVAL_P(element));
        } else {
            wrong_type("string keys", element);
            break;
        }
        if (UNEXPECTED(store == NULL)) {
            ZVAL_NULL(&to[count++]);
            continue;
        }
        ephpm_get(store, key.bytes, key.len, &to[count++]);
        if (UNEXPECTED(EG(exception) != NULL)) {
            break;
        }
    } ZEND_HASH_FOREACH_END();
    return count;
}

PHP_FUNCTION(ephpm_kv_mget)
{
    HashTable *keys;
    HashTable *list;
    kv_store_t *store;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_ARRAY_HT(keys)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    if (UNEXPECTED(zend_hash_num_elements(keys) == 0)) {
        RETURN_EMPTY_ARRAY();
    }
    list = zend_new_array(zend_hash_num_elements(keys));
    RETVAL_ARR(list);
    zend_hash_real_init_packed(list);
    list->nNumUsed = get_each(store, keys, list->arPacked);
    list->nNumOfElements = list->nNumUsed;
    list->nNextFreeElement = list->nNumUsed;
}

/* Are all values strings?  Before any is set. */
static zend_always_inline bool are_strings(HashTable *values)
{
    zval *value;

    ZEND_HASH_FOREACH_VAL(values, value) {
        ZVAL_DEREF(value);
        if (UNEXPECTED(Z_TYPE_P(value) != IS_STRING)) {
            wrong_type("strings", value);
            return false;
        }
    } ZEND_HASH_FOREACH_END();
    return true;
}

PHP_FUNCTION(ephpm_kv_mset)
{
    HashTable *values;
    zend_long ttl = 0;
    kv_store_t *store;
    int64_t ttl_ms;
    zend_ulong integer;
    zend_string *string;
    zval *value;

    ZEND_PARSE_PARAMETERS_START(1, 2)
        Z_PARAM_ARRAY_HT(values)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(ttl)
    ZEND_PARSE_PARAMETERS_END();

    if (UNEXPECTED(!are_strings(values))) {
        RETURN_THROWS();
    }
    store = ephpm_current_store();
    if (UNEXPECTED(store == NULL)) {
        RETURN_BOOL(zend_hash_num_elements(values) == 0);
    }
    ttl_ms = ephpm_ttl_ms(ttl);
    RETVAL_TRUE;
    ZEND_HASH_FOREACH_KEY_VAL(values, integer, string, value) {
        array_key_t key;
        size_t value_len;
        kv_result_t result;

        if (EXPECTED(string != NULL)) {
            key_from_string(&key, string);
        } else {
            key_from_integer(&key, (zend_long)integer);
        }
        ZVAL_DEREF(value);
        if (UNEXPECTED(Z_TYPE_P(value) != IS_STRING)) {
            wrong_type("strings", value);
            RETURN_THROWS();
        }
        value_len = Z_STRLEN_P(value);
        result = kv_value_set(store, key.bytes, key.len, Z_STRVAL_P(value),
                              value_len, ttl_ms, KV_SET_ALWAYS);
        if (EXPECTED(result == KV_OK)) {
            continue;
        }
        RETVAL_FALSE;
        ephpm_warn(store, result, key.len, value_len);
        /* To wait again for each of the others would take for ever. */
        if (result == KV_BUSY || EG(exception) != NULL) {
            break;
        }
    } ZEND_HASH_FOREACH_END();
}

PHP_FUNCTION(ephpm_kv_scan)
{
    zend_long cursor;
    zend_string *prefix = ZSTR_EMPTY_ALLOC();
    zend_long count = 100;
    kv_store_t *store;
    HashTable *keys;
    kv_scan_t scan;
    size_t key_len;

    ZEND_PARSE_PARAMETERS_START(1, 3)
        Z_PARAM_LONG(cursor)
        Z_PARAM_OPTIONAL
        Z_PARAM_STR(prefix)
        Z_PARAM_LONG(count)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    keys = zend_new_array(0);
    scan.cursor = 0;
    if (EXPECTED(store != NULL)) {
        kv_scan_begin(store, &scan, (uint64_t)cursor, ZSTR_VAL(prefix),
                      ZSTR_LEN(prefix), count < 1 ? 1 : (uint64_t)count);
        while (kv_scan_key(store, &scan, &key_len) == KV_OK) {
            zend_string *key = zend_string_alloc(key_len, 0);
            zval entry;

            if (kv_scan_copy(store, &scan, ZSTR_VAL(key)) != KV_OK) {
                zend_string_efree(key);
                continue;
            }
            ZSTR_VAL(key)[key_len] = '\0';
            ZVAL_NEW_STR(&entry, key);
            zend_hash_next_index_insert_new(keys, &entry);
        }
    }
    array_init_size(return_value, 2);
    add_next_index_long(return_value, (zend_long)scan.cursor);
    add_next_index_array(return_value, keys);
}

PHP_FUNCTION(ephpm_kv_del_prefix)
{
    zend_string *prefix;
    kv_store_t *store;
    kv_result_t result;
    uint64_t deleted;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        EPHPM_PARAM_STR(prefix)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    if (UNEXPECTED(store == NULL)) {
        RETURN_LONG(0);
    }
    result = kv_prefix_delete(store, ZSTR_VAL(prefix), ZSTR_LEN(prefix),
                              &deleted);
    RETVAL_LONG((zend_long)deleted);
    if (UNEXPECTED(result != KV_OK)) {
        ephpm_warn(store, result, 0, 0);
    }
}

PHP_FUNCTION(ephpm_kv_stats)
{
    kv_stats_t stats = { 0 };
    kv_store_t *store;

    ZEND_PARSE_PARAMETERS_NONE();

    store = ephpm_current_store();
    if (EXPECTED(store != NULL)) {
        kv_store_stats(store, &stats);
    }
    array_init_size(return_value, 20);
#define ADD(name) add_assoc_long(return_value, #name, (zend_long)stats.name)
    ADD(entries);
    ADD(used_bytes);
    ADD(limit_bytes);
    ADD(live_bytes);
    ADD(value_max_bytes);
    ADD(index_slots);
    ADD(hits);
    ADD(misses);
    ADD(sets);
    ADD(deletes);
    ADD(evictions);
    ADD(expirations);
    ADD(rejections);
    ADD(steals);
    ADD(threads);
    ADD(threads_max);
    ADD(segments);
    ADD(segments_free);
    ADD(segment_bytes);
    ADD(shards);
#undef ADD
}
