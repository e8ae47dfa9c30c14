/* ephpm_kv.c - the PHP functions over one key each.
 *
 * They are thin: parse, call kvcore, turn its result into a PHP value.  What
 * a script should hear about (a key that is too long, a value that can never
 * fit, a busy store) becomes a warning in ephpm_warn(), out of the hot path;
 * every other outcome is told by the return value alone.  Nothing is held
 * while a warning is raised or memory is allocated, for both may longjmp.
 * Where there is no store at hand ephpm_ops() has the operation.
 */

#include "php_ephpm.h"

#include <assert.h>
#include <inttypes.h>

static_assert(sizeof(zend_long) == sizeof(int64_t),
              "ephpm needs a 64-bit PHP: counters are 64-bit integers");

ZEND_COLD void ephpm_warn(const kv_store_t *store, kv_result_t result,
                          size_t key_bytes, size_t value_bytes)
{
    size_t value_max_bytes = 0;
    unsigned wait_limit_ms = 0;
    kv_config_t config;

    if (store == NULL && (result == KV_TOO_LARGE || result == KV_BUSY)) {
        ephpm_ops()->limits(&value_max_bytes, &wait_limit_ms);
    } else if (result == KV_TOO_LARGE) {
        value_max_bytes = kv_store_value_max(store);
    } else if (result == KV_BUSY) {
        kv_store_config(store, &config);
        wait_limit_ms = config.wait_limit_ms;
    }
    switch (result) {
    case KV_BAD_KEY:
        if (key_bytes == 0) {
            php_error_docref(NULL, E_WARNING,
                "The key is empty; a key has 1 to %u bytes",
                KV_KEY_MAX_BYTES);
        } else {
            php_error_docref(NULL, E_WARNING,
                "The key has %zu bytes; the limit is %u bytes",
                key_bytes, KV_KEY_MAX_BYTES);
        }
        break;
    case KV_TOO_LARGE:
        php_error_docref(NULL, E_WARNING,
            "The value has %zu bytes; the limit of this store is %zu bytes",
            value_bytes, value_max_bytes);
        break;
    case KV_BUSY:
        php_error_docref(NULL, E_WARNING,
            "The store is busy: no turn to write in %u ms", wait_limit_ms);
        break;
    case KV_NO_MEMORY:
        php_error_docref(NULL, E_WARNING,
            "This process has no memory left to compress or decompress with");
        break;
    default:
        break;
    }
}

kv_result_t ephpm_get_long(kv_store_t *store, const char *key,
                           size_t key_bytes, kv_result_t result, zval *value)
{
    ZVAL_NULL(value);
    if (result != KV_TOO_LARGE && result != KV_RETRY) {
        return result;
    }
    do {
        zend_string *copy;
        kv_read_t read;

        result = kv_read_begin(store, key, key_bytes, &read);
        if (result != KV_OK) {
            break;
        }
        copy = zend_string_alloc(read.value_bytes, 0);
        result = kv_read_copy(store, &read, ZSTR_VAL(copy));
        if (result == KV_OK) {
            ZSTR_VAL(copy)[read.value_bytes] = '\0';
            ZVAL_NEW_STR(value, copy);
        } else {
            zend_string_efree(copy);
        }
    } while (result == KV_RETRY);
    return result;
}

/* What kv_short_find() did not find, or what moved since.  The arguments are
 * parsed already. */
static zend_never_inline void get_long(const zend_execute_data *execute_data,
                                       kv_result_t result, zval *value)
{
    kv_store_t *store = ephpm_current_store();
    const zend_string *key = Z_STR_P(ZEND_CALL_ARG(execute_data, 1));

    result = ephpm_get_long(store, ZSTR_VAL(key), ZSTR_LEN(key), result,
                            value);
    if (UNEXPECTED(result != KV_OK)) {
        ephpm_warn(store, result, ZSTR_LEN(key), 0);
    }
}

static ZEND_COLD zend_never_inline void get_elsewhere(const zend_string *key,
                                                      zval *value)
{
    kv_result_t result = ephpm_ops()->get(ZSTR_VAL(key), ZSTR_LEN(key),
                                          value);

    if (UNEXPECTED(result > KV_MISSING)) {
        ephpm_warn(NULL, result, ZSTR_LEN(key), 0);
    }
}

PHP_FUNCTION(ephpm_kv_get)
{
    zend_string *key;
    kv_store_t *store;
    kv_short_t found;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        EPHPM_PARAM_STR(key)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    if (UNEXPECTED(store == NULL)) {
        get_elsewhere(key, return_value);
        return;
    }
    result = kv_short_find(store, ZSTR_VAL(key), ZSTR_LEN(key), &found);
    if (EXPECTED(result == KV_OK)) {
        result = ephpm_short_string(&found, return_value);
    } else {
        RETVAL_NULL();
    }
    if (UNEXPECTED(result > KV_MISSING)) {
        get_long(execute_data, result, return_value);
    }
}

static zend_always_inline void set(INTERNAL_FUNCTION_PARAMETERS,
                                   kv_set_when_t when)
{
    zend_string *key;
    zend_string *value;
    zend_long ttl = 0;
    kv_store_t *store;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_START(2, 3)
        EPHPM_PARAM_STR(key)
        EPHPM_PARAM_STR(value)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(ttl)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    if (EXPECTED(store != NULL)) {
        result = kv_value_set(store, ZSTR_VAL(key), ZSTR_LEN(key),
                              ZSTR_VAL(value), ZSTR_LEN(value),
                              ephpm_ttl_ms(ttl), when);
    } else {
        result = ephpm_ops()->set(ZSTR_VAL(key), ZSTR_LEN(key),
                                  ZSTR_VAL(value), ZSTR_LEN(value),
                                  ephpm_ttl_ms(ttl), when);
    }
    if (EXPECTED(result == KV_OK)) {
        RETURN_TRUE;
    }
    ephpm_warn(store, result, ZSTR_LEN(key), ZSTR_LEN(value));
    RETURN_FALSE;
}

PHP_FUNCTION(ephpm_kv_set)
{
    set(INTERNAL_FUNCTION_PARAM_PASSTHRU, KV_SET_ALWAYS);
}

PHP_FUNCTION(ephpm_kv_setnx)
{
    set(INTERNAL_FUNCTION_PARAM_PASSTHRU, KV_SET_IF_ABSENT);
}

PHP_FUNCTION(ephpm_kv_del)
{
    zend_string *key;
    kv_store_t *store;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        EPHPM_PARAM_STR(key)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    result = EXPECTED(store != NULL)
        ? kv_key_delete(store, ZSTR_VAL(key), ZSTR_LEN(key))
        : ephpm_ops()->remove(ZSTR_VAL(key), ZSTR_LEN(key));
    if (result == KV_OK) {
        RETURN_LONG(1);
    }
    if (UNEXPECTED(result != KV_MISSING)) {
        ephpm_warn(store, result, ZSTR_LEN(key), 0);
    }
    RETURN_LONG(0);
}

PHP_FUNCTION(ephpm_kv_exists)
{
    zend_string *key;
    kv_store_t *store;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        EPHPM_PARAM_STR(key)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    result = EXPECTED(store != NULL)
        ? kv_key_exists(store, ZSTR_VAL(key), ZSTR_LEN(key))
        : ephpm_ops()->exists(ZSTR_VAL(key), ZSTR_LEN(key));
    if (result == KV_OK) {
        RETURN_TRUE;
    }
    if (UNEXPECTED(result != KV_MISSING)) {
        ephpm_warn(store, result, ZSTR_LEN(key), 0);
    }
    RETURN_FALSE;
}

static zend_always_inline void add(zend_string *key, zend_long delta,
                                   zval *return_value)
{
    kv_store_t *store = ephpm_current_store();
    kv_result_t result;
    int64_t sum;

    result = EXPECTED(store != NULL)
        ? kv_counter_add(store, ZSTR_VAL(key), ZSTR_LEN(key), delta, &sum)
        : ephpm_ops()->add(ZSTR_VAL(key), ZSTR_LEN(key), delta, &sum);
    if (EXPECTED(result == KV_OK)) {
        RETURN_LONG(sum);
    }
    ephpm_warn(store, result, ZSTR_LEN(key), 0);
    RETURN_FALSE;
}

PHP_FUNCTION(ephpm_kv_incr)
{
    zend_string *key;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        EPHPM_PARAM_STR(key)
    ZEND_PARSE_PARAMETERS_END();

    add(key, 1, return_value);
}

PHP_FUNCTION(ephpm_kv_decr)
{
    zend_string *key;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        EPHPM_PARAM_STR(key)
    ZEND_PARSE_PARAMETERS_END();

    add(key, -1, return_value);
}

PHP_FUNCTION(ephpm_kv_incr_by)
{
    zend_string *key;
    zend_long delta;

    ZEND_PARSE_PARAMETERS_START(2, 2)
        EPHPM_PARAM_STR(key)
        Z_PARAM_LONG(delta)
    ZEND_PARSE_PARAMETERS_END();

    add(key, delta, return_value);
}

PHP_FUNCTION(ephpm_kv_expire)
{
    zend_string *key;
    zend_long ttl;
    kv_store_t *store;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_START(2, 2)
        EPHPM_PARAM_STR(key)
        Z_PARAM_LONG(ttl)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    result = EXPECTED(store != NULL)
        ? kv_deadline_set(store, ZSTR_VAL(key), ZSTR_LEN(key),
                          ephpm_ttl_ms(ttl))
        : ephpm_ops()->deadline_set(ZSTR_VAL(key), ZSTR_LEN(key),
                                    ephpm_ttl_ms(ttl));
    if (EXPECTED(result == KV_OK)) {
        RETURN_TRUE;
    }
    if (UNEXPECTED(result != KV_MISSING)) {
        ephpm_warn(store, result, ZSTR_LEN(key), 0);
    }
    RETURN_FALSE;
}

/* Milliseconds left, -1 without a deadline, -2 for a missing key. */
static zend_always_inline int64_t time_left(zend_string *key)
{
    kv_store_t *store = ephpm_current_store();
    kv_result_t result;
    int64_t ttl_ms;

    result = EXPECTED(store != NULL)
        ? kv_deadline_get(store, ZSTR_VAL(key), ZSTR_LEN(key), &ttl_ms)
        : ephpm_ops()->deadline_get(ZSTR_VAL(key), ZSTR_LEN(key), &ttl_ms);
    if (EXPECTED(result == KV_OK)) {
        return ttl_ms;
    }
    if (UNEXPECTED(result != KV_MISSING)) {
        ephpm_warn(store, result, ZSTR_LEN(key), 0);
    }
    return -2;
}

PHP_FUNCTION(ephpm_kv_ttl)
{
    zend_string *key;
    int64_t ttl_ms;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        EPHPM_PARAM_STR(key)
    ZEND_PARSE_PARAMETERS_END();

    ttl_ms = time_left(key);
    if (ttl_ms < 0) {
        RETURN_LONG(ttl_ms);
    }
    RETURN_LONG(ttl_ms / 1000 + (ttl_ms % 1000 != 0));
}

PHP_FUNCTION(ephpm_kv_pttl)
{
    zend_string *key;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        EPHPM_PARAM_STR(key)
    ZEND_PARSE_PARAMETERS_END();

    RETURN_LONG(time_left(key));
}

PHP_FUNCTION(ephpm_kv_flush_all)
{
    kv_store_t *store;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_NONE();

    store = ephpm_current_store();
    result = EXPECTED(store != NULL) ? kv_store_flush(store)
                                     : ephpm_ops()->flush();
    if (EXPECTED(result == KV_OK)) {
        RETURN_TRUE;
    }
    ephpm_warn(store, result, 0, 0);
    RETURN_FALSE;
}
