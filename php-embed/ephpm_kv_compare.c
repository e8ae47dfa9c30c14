/* ephpm_kv_compare.c - the PHP functions that several processes agree by:
 * those that act on the value a key has just now, and waiting for another.
 *
 * kvcore compares outside of its locks and acts only if the key's version is
 * still the same, so nothing here holds a lock while PHP allocates.
 */

#include "php_ephpm.h"

#include <time.h>
#include <zend_atomic.h>

PHP_FUNCTION(ephpm_kv_getdel)
{
    zend_string *key;
    kv_store_t *store;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        EPHPM_PARAM_STR(key)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    if (UNEXPECTED(store == NULL)) {
        result = ephpm_ops()->getdel(ZSTR_VAL(key), ZSTR_LEN(key),
                                     return_value);
        if (UNEXPECTED(result > KV_MISSING)) {
            ephpm_warn(NULL, result, ZSTR_LEN(key), 0);
        }
        return;
    }
    do {
        zend_string *value;
        kv_read_t read;

        result = kv_read_begin(store, ZSTR_VAL(key), ZSTR_LEN(key), &read);
        if (result != KV_OK) {
            break;
        }
        value = zend_string_alloc(read.value_bytes, 0);
        result = kv_read_copy(store, &read, ZSTR_VAL(value));
        if (EXPECTED(result == KV_OK)) {
            result = kv_key_delete_version(store, ZSTR_VAL(key),
                                           ZSTR_LEN(key), read.version);
        }
        if (EXPECTED(result == KV_OK)) {
            ZSTR_VAL(value)[read.value_bytes] = '\0';
            RETURN_NEW_STR(value);
        }
        zend_string_efree(value);
    } while (result == KV_RETRY || result == KV_DIFFERENT);
    RETVAL_NULL();
    if (UNEXPECTED(result != KV_MISSING)) {
        ephpm_warn(store, result, ZSTR_LEN(key), 0);
    }
}

PHP_FUNCTION(ephpm_kv_setifeq)
{
    zend_string *key;
    zend_string *expected;
    zend_string *value;
    zend_long ttl = 0;
    kv_store_t *store;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_START(3, 4)
        EPHPM_PARAM_STR(key)
        EPHPM_PARAM_STR(expected)
        EPHPM_PARAM_STR(value)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(ttl)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    /* What can never fit is told whether or not the values are equal. */
    if (UNEXPECTED(store == NULL)) {
        result = ephpm_ops()->set_equal(ZSTR_VAL(key), ZSTR_LEN(key),
                                        ZSTR_VAL(expected),
                                        ZSTR_LEN(expected), ZSTR_VAL(value),
                                        ZSTR_LEN(value), ephpm_ttl_ms(ttl));
    } else if (UNEXPECTED(ZSTR_LEN(value) > kv_store_value_max(store))) {
        result = KV_TOO_LARGE;
    } else {
        result = kv_value_set_equal(store, ZSTR_VAL(key), ZSTR_LEN(key),
                                    ZSTR_VAL(expected), ZSTR_LEN(expected),
                                    ZSTR_VAL(value), ZSTR_LEN(value),
                                    ephpm_ttl_ms(ttl));
    }
    if (result == KV_OK) {
        RETURN_TRUE;
    }
    ephpm_warn(store, result, ZSTR_LEN(key), ZSTR_LEN(value));
    RETURN_FALSE;
}

PHP_FUNCTION(ephpm_kv_delifeq)
{
    zend_string *key;
    zend_string *expected;
    kv_store_t *store;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_START(2, 2)
        EPHPM_PARAM_STR(key)
        EPHPM_PARAM_STR(expected)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    result = EXPECTED(store != NULL)
        ? kv_key_delete_equal(store, ZSTR_VAL(key), ZSTR_LEN(key),
                              ZSTR_VAL(expected), ZSTR_LEN(expected))
        : ephpm_ops()->remove_equal(ZSTR_VAL(key), ZSTR_LEN(key),
                                    ZSTR_VAL(expected), ZSTR_LEN(expected));
    if (result == KV_OK) {
        RETURN_TRUE;
    }
    ephpm_warn(store, result, ZSTR_LEN(key), 0);
    RETURN_FALSE;
}

/* ------------------------------------------------------------------ */
/* Waiting                                                             */

/* How long at most a signal handler has to wait for its turn. */
#define SLICE_MS 100u

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Do what a signal or a timer has asked PHP for, as PHP itself does after
 * every call: run the script's handlers, or end it by its time limit. */
static void handle_interrupt(void)
{
    if (EXPECTED(!zend_atomic_bool_load_ex(&EG(vm_interrupt)))) {
        return;
    }
    zend_atomic_bool_store_ex(&EG(vm_interrupt), false);
    if (zend_atomic_bool_load_ex(&EG(timed_out))) {
        zend_timeout();
    } else if (zend_interrupt_function != NULL) {
        zend_interrupt_function(EG(current_execute_data));
    }
}

static void answer(zval *return_value, uint64_t version, zend_string *value)
{
    array_init_size(return_value, 2);
    add_assoc_long(return_value, "version", (zend_long)version);
    if (value == NULL) {
        add_assoc_null(return_value, "value");
    } else {
        add_assoc_str(return_value, "value", value);
    }
}

PHP_FUNCTION(ephpm_kv_wait)
{
    zend_string *key;
    zend_long last_version;
    zend_long timeout_ms;
    kv_store_t *store;
    uint64_t begin_ms;
    uint64_t limit_ms;
    kv_result_t result;

    ZEND_PARSE_PARAMETERS_START(3, 3)
        EPHPM_PARAM_STR(key)
        Z_PARAM_LONG(last_version)
        Z_PARAM_LONG(timeout_ms)
    ZEND_PARSE_PARAMETERS_END();

    store = ephpm_current_store();
    limit_ms = timeout_ms < 0 ? 0 : (uint64_t)timeout_ms;
    begin_ms = now_ms();
    do {
        uint64_t waited_ms = now_ms() - begin_ms;
        uint64_t left_ms = waited_ms < limit_ms ? limit_ms - waited_ms : 0;
        uint64_t slice_ms = left_ms < SLICE_MS ? left_ms : SLICE_MS;
        uint64_t last = last_version < 0 ? 0 : (uint64_t)last_version;
        uint64_t version;
        kv_read_t read;

        result = EXPECTED(store != NULL)
            ? kv_key_wait(store, ZSTR_VAL(key), ZSTR_LEN(key), last, slice_ms,
                          &version, &read)
            : ephpm_ops()->wait(ZSTR_VAL(key), ZSTR_LEN(key), last, slice_ms,
                                &version);
        if (result == KV_MISSING) {
            answer(return_value, version, NULL);
            return;
        }
        if (result == KV_OK) {
            zend_string *value = zend_string_alloc(read.value_bytes, 0);

            result = kv_read_copy(store, &read, ZSTR_VAL(value));
            if (EXPECTED(result == KV_OK)) {
                ZSTR_VAL(value)[read.value_bytes] = '\0';
                answer(return_value, version, value);
                return;
            }
            zend_string_efree(value);
        } else if (result == KV_TIMEOUT && left_ms != 0) {
            handle_interrupt();
            if (UNEXPECTED(EG(exception) != NULL)) {
                RETURN_THROWS();
            }
            result = KV_RETRY;
        }
    } while (result == KV_RETRY);
    RETVAL_FALSE;
    if (UNEXPECTED(result != KV_TIMEOUT)) {
        ephpm_warn(store, result, ZSTR_LEN(key), 0);
    }
}
