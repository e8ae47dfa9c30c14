/* ephpm_kv_many.c - the PHP functions over many keys.
 *
 * Each is a sequence of single-key operations, not one atomic step.  Those
 * that are given an array hand it to kvcore in batches.  No script runs
 * within a batch: what is to be warned about waits for its end, as an error
 * handler could change strings of the array that are references.  The array
 * itself cannot change, as the call holds it.
 */

#include "php_ephpm.h"

#define BATCH_ITEMS 32u

typedef struct batch {
    kv_item_t item[BATCH_ITEMS];
    uint32_t count;
    /* Integer keys as text: PHP makes integers of digits in array keys. */
    char digits[BATCH_ITEMS][MAX_LENGTH_OF_LONG + 1];
} batch_t;

static zend_always_inline kv_item_t *add_string(batch_t *batch,
                                                const zend_string *key)
{
    kv_item_t *item = &batch->item[batch->count++];

    item->key = ZSTR_VAL(key);
    item->key_len = ZSTR_LEN(key);
    return item;
}

static zend_never_inline kv_item_t *add_integer(batch_t *batch, zend_long key)
{
    char *end = batch->digits[batch->count] + MAX_LENGTH_OF_LONG;
    char *begin = zend_print_long_to_buf(end, key);
    kv_item_t *item = &batch->item[batch->count++];

    item->key = begin;
    item->key_len = (size_t)(end - begin);
    return item;
}

static ZEND_COLD void wrong_type(const char *wanted, const zval *given)
{
    zend_argument_type_error(1, "must be an array of %s, %s given", wanted,
                             zend_zval_type_name(given));
}

/* Warn of what went wrong in a batch. */
static ZEND_COLD void warn_batch(kv_store_t *store, const batch_t *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const kv_item_t *item = &batch->item[i];

        ephpm_warn(store, item->result, item->key_len, item->value_len);
        /* Those after a busy one were not tried. */
        if (EG(exception) != NULL || item->result == KV_BUSY) {
            return;
        }
    }
}

/* ------------------------------------------------------------------ */
/* Getting                                                             */

static ZEND_COLD void get_elsewhere(batch_t *batch, zval *to)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        batch->item[i].value_len = 0;
    }
    ephpm_ops()->get_items(batch->item, batch->count, to);
    warn_batch(NULL, batch);
}

/* The batch's values into `to`. */
static zend_always_inline void get_batch(kv_store_t *store, batch_t *batch,
                                         zval *to)
{
    bool good = true;

    if (store == NULL) {
        get_elsewhere(batch, to);
        return;
    }

    kv_items_prepare(store, batch->item, batch->count);
    for (uint32_t i = 0; i < batch->count; i++) {
        kv_item_t *item = &batch->item[i];
        kv_short_t found;
        kv_result_t result = kv_item_short_find(store, item, &found);

        if (EXPECTED(result == KV_OK)) {
            result = ephpm_short_string(&found, &to[i]);
        }
        if (EXPECTED(result == KV_MISSING)) {
            ZVAL_NULL(&to[i]);
        } else if (UNEXPECTED(result != KV_OK)) {
            result = ephpm_get_long(store, item->key, item->key_len, result,
                                    &to[i]);
            good = good && (result == KV_OK || result == KV_MISSING);
        }
        item->result = result;
        item->value_len = 0;
    }
    if (UNEXPECTED(!good)) {
        warn_batch(store, batch);
    }
}

/* The values of `keys` into `to`, which has room for all of them.  Returns
 * how many there are; fewer than keys where an exception was thrown. */
static zend_always_inline uint32_t get_all(kv_store_t *store, HashTable *keys,
                                           zval *to)
{
    uint32_t left = zend_hash_num_elements(keys);
    zval *begin = to;
    zval *key;
    batch_t batch;

    batch.count = 0;
    ZEND_HASH_FOREACH_VAL(keys, key) {
        ZVAL_DEREF(key);
        if (EXPECTED(Z_TYPE_P(key) == IS_STRING)) {
            add_string(&batch, Z_STR_P(key));
        } else if (EXPECTED(Z_TYPE_P(key) == IS_LONG)) {
            add_integer(&batch, Z_LVAL_P(key));
        } else {
            wrong_type("string keys", key);
            break;
        }
        if (batch.count == BATCH_ITEMS || batch.count == left) {
            get_batch(store, &batch, to);
            to += batch.count;
            left -= batch.count;
            batch.count = 0;
            if (UNEXPECTED(EG(exception) != NULL)) {
                break;
            }
        }
    } ZEND_HASH_FOREACH_END();
    return (uint32_t)(to - begin);
}

/* The same where there is no store: compiled by itself, so that the other need
 * not look at each batch. */
static ZEND_COLD zend_never_inline uint32_t get_all_elsewhere(HashTable *keys,
                                                              zval *to)
{
    return get_all(NULL, keys, to);
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
    list->nNumUsed = EXPECTED(store != NULL)
                         ? get_all(store, keys, list->arPacked)
                         : get_all_elsewhere(keys, list->arPacked);
    list->nNumOfElements = list->nNumUsed;
    list->nNextFreeElement = list->nNumUsed;
}

/* ------------------------------------------------------------------ */
/* Setting                                                             */

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

/* There warnings come within the batch, and a handler of the script's may let
 * go of the values. */
static ZEND_COLD void set_elsewhere(batch_t *batch, int64_t ttl_ms)
{
    zend_string *held[BATCH_ITEMS];
    uint32_t count = batch->count;

    for (uint32_t i = 0; i < count; i++) {
        const char *value = batch->item[i].value;
        held[i] = zend_string_copy(
            (zend_string *)(uintptr_t)(value - XtOffsetOf(zend_string, val)));
    }
    ephpm_ops()->set_items(batch->item, count, ttl_ms);
    for (uint32_t i = 0; i < count; i++) {
        zend_string_release(held[i]);
    }
}

typedef enum batch_end { BATCH_SET, BATCH_REFUSED, BATCH_STOP } batch_end_t;

static zend_always_inline batch_end_t set_batch(kv_store_t *store,
                                                batch_t *batch, int64_t ttl_ms)
{
    batch_end_t end = BATCH_SET;

    if (EXPECTED(store != NULL)) {
        kv_items_set(store, batch->item, batch->count, ttl_ms);
    } else {
        set_elsewhere(batch, ttl_ms);
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        if (UNEXPECTED(batch->item[i].result != KV_OK)) {
            end = batch->item[i].result == KV_BUSY ? BATCH_STOP
                                                   : BATCH_REFUSED;
            if (end == BATCH_STOP) {
                break;
            }
        }
    }
    if (UNEXPECTED(end != BATCH_SET)) {
        warn_batch(store, batch);
        end = EG(exception) != NULL ? BATCH_STOP : end;
    }
    batch->count = 0;
    return end;
}

PHP_FUNCTION(ephpm_kv_mset)
{
    HashTable *values;
    zend_long ttl = 0;
    kv_store_t *store;
    int64_t ttl_ms;
    uint32_t left;
    zend_ulong integer;
    zend_string *string;
    zval *value;
    batch_t batch;

    ZEND_PARSE_PARAMETERS_START(1, 2)
        Z_PARAM_ARRAY_HT(values)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(ttl)
    ZEND_PARSE_PARAMETERS_END();

    if (UNEXPECTED(!are_strings(values))) {
        RETURN_THROWS();
    }
    left = zend_hash_num_elements(values);
    store = ephpm_current_store();
    ttl_ms = ephpm_ttl_ms(ttl);
    batch.count = 0;
    RETVAL_TRUE;
    ZEND_HASH_FOREACH_KEY_VAL(values, integer, string, value) {
        kv_item_t *item = EXPECTED(string != NULL)
                              ? add_string(&batch, string)
                              : add_integer(&batch, (zend_long)integer);

        ZVAL_DEREF(value);
        if (UNEXPECTED(Z_TYPE_P(value) != IS_STRING)) {
            /* A handler of the batch before has changed it. */
            wrong_type("strings", value);
            RETURN_THROWS();
        }
        item->value = Z_STRVAL_P(value);
        item->value_len = Z_STRLEN_P(value);
        left--;
        if (batch.count == BATCH_ITEMS || left == 0) {
            batch_end_t end = set_batch(store, &batch, ttl_ms);

            if (UNEXPECTED(end != BATCH_SET)) {
                RETVAL_FALSE;
            }
            if (UNEXPECTED(end == BATCH_STOP)) {
                break;
            }
        }
    } ZEND_HASH_FOREACH_END();
}

/* ------------------------------------------------------------------ */
/* The whole store                                                     */

/* Appends to `keys`, and returns the next cursor. */
static uint64_t scan_step(kv_store_t *store, uint64_t cursor,
                          const zend_string *prefix, uint64_t slots,
                          HashTable *keys)
{
    kv_scan_t scan;
    size_t key_len;

    kv_scan_begin(store, &scan, cursor, ZSTR_VAL(prefix), ZSTR_LEN(prefix),
                  slots);
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
    return scan.cursor;
}

PHP_FUNCTION(ephpm_kv_scan)
{
    zend_long cursor;
    zend_string *prefix = ZSTR_EMPTY_ALLOC();
    zend_long count = 100;
    kv_store_t *store;
    HashTable *keys;
    uint64_t slots;
    uint64_t next;

    ZEND_PARSE_PARAMETERS_START(1, 3)
        Z_PARAM_LONG(cursor)
        Z_PARAM_OPTIONAL
        Z_PARAM_STR(prefix)
        Z_PARAM_LONG(count)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    keys = zend_new_array(0);
    array_init_size(return_value, 2);
    add_next_index_long(return_value, 0);
    add_next_index_array(return_value, keys);
    slots = count < 1 ? 1 : (uint64_t)count;
    next = EXPECTED(store != NULL)
        ? scan_step(store, (uint64_t)cursor, prefix, slots, keys)
        : ephpm_ops()->scan((uint64_t)cursor, ZSTR_VAL(prefix),
                            ZSTR_LEN(prefix), slots, keys);
    ZVAL_LONG(zend_hash_index_find(Z_ARRVAL_P(return_value), 0),
              (zend_long)next);
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
    result = EXPECTED(store != NULL)
        ? kv_prefix_delete(store, ZSTR_VAL(prefix), ZSTR_LEN(prefix),
                           &deleted)
        : ephpm_ops()->remove_prefix(ZSTR_VAL(prefix), ZSTR_LEN(prefix),
                                     &deleted);
    RETVAL_LONG((zend_long)deleted);
    if (UNEXPECTED(result != KV_OK)) {
        ephpm_warn(store, result, 0, 0);
    }
}

PHP_FUNCTION(ephpm_kv_stats)
{
    kv_store_t *store;
    kv_stats_t stats;

    ZEND_PARSE_PARAMETERS_NONE();

    store = ephpm_current_store();
    if (EXPECTED(store != NULL)) {
        kv_store_stats(store, &stats);
    } else {
        ephpm_ops()->stats(&stats);
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
