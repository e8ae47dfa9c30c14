/* php_ephpm.h - what the extension's own sources share.
 *
 * The globals belong to one request at a time: one instance in a process, or
 * one in each thread of a thread-safe PHP.  `store` is the hot one: every
 * function loads it and finds the store; NULL sends it to
 * ephpm_store_find(), which asks the host.
 *
 * Where there is none the functions go by a table of operations instead
 * (ephpm_ops_t): an empty store's that refuses writes, or in ephpm.so those
 * of a store that another process has.  So whoever has the store at hand pays
 * for one look at a pointer, which is there anyway.
 *
 * The handle is the host's.  It is asked for at the first call of a request
 * rather than at its start, because most requests that never use the store
 * should not pay for one, and is forgotten at the end, because the next
 * request may be another site's.
 */

#ifndef PHP_EPHPM_H
#define PHP_EPHPM_H

#include "ephpm_ext.h"

#include <php.h>
#include <php_ini.h>
#include <sys/types.h>

/* Is this PHP one whose sessions the store can keep?  Whether it has them
 * loaded is seen when it starts. */
#if defined(__has_include)
#if __has_include(<ext/session/php_session.h>)
#define EPHPM_HAVE_SESSION 1
#endif
#endif

/* PHP's own limit. */
#define EPHPM_SESSION_ID_MAX 256u
#define EPHPM_SESSION_TOKEN_BYTES 32u

/* The session that is open: see ephpm_session.c. */
typedef struct ephpm_session {
    kv_store_t *store;    /* where it is; NULL: none is open */
    zend_string *was;     /* its value in the store; NULL: none */
    pid_t owner;          /* the process that took its lock; 0: no lock */
    size_t id_bytes;
    char id[EPHPM_SESSION_ID_MAX];
    char token[EPHPM_SESSION_TOKEN_BYTES];
} ephpm_session_t;

ZEND_BEGIN_MODULE_GLOBALS(ephpm)
    kv_store_t *store;      /* this request's; NULL: not asked for, or none */
    bool store_missing;     /* asked for: there is none, and the script knows */
    char *store_name;       /* INI ephpm.store; empty: the host's choice */
    size_t cli_size_bytes;  /* INI ephpm.cli_size */
    kv_store_t *own_store;  /* ephpm.so: this thread's handle, kept */
    zend_long session_lock_wait;  /* INI, in seconds; 0: do not wait */
    zend_long session_lock_ttl;   /* INI, in seconds; 0: by the time limit */
    char *kv_socket;        /* ephpm.so, INI; empty: the private store */
    char *kv_password_file; /* ephpm.so, INI; empty: no password */
    zend_long kv_timeout;   /* ephpm.so, INI, in seconds */
    struct ephpm_remote *remote;  /* ephpm.so: the connection, kept */
    ephpm_session_t session;
ZEND_END_MODULE_GLOBALS(ephpm)

ZEND_EXTERN_MODULE_GLOBALS(ephpm)

#define EPHPM_G(v) ZEND_MODULE_GLOBALS_ACCESSOR(ephpm, v)

#if defined(ZTS) && defined(ZEND_ENABLE_STATIC_TSRMLS_CACHE)
ZEND_TSRMLS_CACHE_EXTERN()
#endif

/**
 * Ask the host for this request's store.
 *
 * @return the handle, kept in EPHPM_G(store) for the rest of the request, or
 *         NULL: it is elsewhere, or there is none, and the script has been
 *         warned (once)
 */
ZEND_COLD kv_store_t *ephpm_store_find(void);

/** The same without a warning, for phpinfo(). */
kv_store_t *ephpm_store_peek(void);

/* ------------------------------------------------------------------ */
/* Where there is no store at hand                                     */

/**
 * What the functions do where ephpm_current_store() is NULL.
 *
 * Each operation is kv.h's of that name, in its terms and with its results;
 * after one that it has warned of itself it answers KV_INVALID.  It may warn,
 * so a script's handler may run, throw and longjmp.
 */
typedef struct ephpm_ops {
    /* The string, or null unless KV_OK. */
    kv_result_t (*get)(const char *key, size_t key_bytes, zval *value);
    kv_result_t (*getdel)(const char *key, size_t key_bytes, zval *value);
    /* Into `values`, one for each of `items`; null where its result, which is
     * set too, is not KV_OK. */
    void (*get_items)(kv_item_t *items, uint32_t count, zval *values);
    kv_result_t (*exists)(const char *key, size_t key_bytes);
    kv_result_t (*deadline_get)(const char *key, size_t key_bytes,
                                int64_t *left_ms);

    kv_result_t (*set)(const char *key, size_t key_bytes, const char *value,
                       size_t value_bytes, int64_t ttl_ms,
                       kv_set_when_t when);
    kv_result_t (*set_equal)(const char *key, size_t key_bytes,
                             const char *expected, size_t expected_bytes,
                             const char *value, size_t value_bytes,
                             int64_t ttl_ms);
    void (*set_items)(kv_item_t *items, uint32_t count, int64_t ttl_ms);
    kv_result_t (*add)(const char *key, size_t key_bytes, int64_t delta,
                       int64_t *sum);
    kv_result_t (*deadline_set)(const char *key, size_t key_bytes,
                                int64_t ttl_ms);
    kv_result_t (*remove)(const char *key, size_t key_bytes);
    kv_result_t (*remove_equal)(const char *key, size_t key_bytes,
                                const char *expected, size_t expected_bytes);
    kv_result_t (*remove_prefix)(const char *prefix, size_t prefix_bytes,
                                 uint64_t *removed);
    kv_result_t (*flush)(void);

    kv_result_t (*wait)(const char *key, size_t key_bytes,
                        uint64_t last_version, uint64_t timeout_ms,
                        uint64_t *version);
    /* A step: appends to `keys`, and returns the next cursor. */
    uint64_t (*scan)(uint64_t cursor, const char *prefix, size_t prefix_bytes,
                     uint64_t slots, HashTable *keys);
    void (*stats)(kv_stats_t *stats);
    /* For warnings: the largest value, and the wait limit. */
    void (*limits)(size_t *value_max_bytes, unsigned *wait_limit_ms);
    /* Rows of phpinfo(). */
    void (*info)(void);
} ephpm_ops_t;

/** Those of an empty store that refuses writes. */
extern const ephpm_ops_t ephpm_nowhere;

/** Say where a store that is not at hand may be: `elsewhere` returns its
 * operations for the current request, or NULL.  Before PHP starts. */
void ephpm_set_elsewhere(const ephpm_ops_t *(*elsewhere)(void));

/** The operations of a store elsewhere, or NULL. */
const ephpm_ops_t *ephpm_elsewhere(void);

/** What to do without a store: its operations, or ephpm_nowhere. */
ZEND_COLD const ephpm_ops_t *ephpm_ops(void);

/* ------------------------------------------------------------------ */
/* Sessions                                                            */

/** Register the session handler, when PHP starts, if it has sessions. */
void ephpm_session_start(void);

/** Has it been registered? */
bool ephpm_session_available(void);

/** Close the session that is open, if one is, and let go of its lock; the
 * last thing in a request. */
void ephpm_session_end(void);

/* ------------------------------------------------------------------ */
/* What the functions have in common                                   */

/* Z_PARAM_STR, but with a `dest` whose address is not taken where the argument
 * is a string: it stays in a register, and every function here gets one. */
#define EPHPM_PARAM_STR(dest)                                               \
    Z_PARAM_PROLOGUE(0, 0);                                                 \
    if (EXPECTED(Z_TYPE_P(_arg) == IS_STRING)) {                            \
        dest = Z_STR_P(_arg);                                               \
    } else {                                                                \
        zend_string *converted;                                             \
        if (!zend_parse_arg_str_slow(_arg, &converted, _i)) {               \
            _expected_type = Z_EXPECTED_STRING;                             \
            _error_code = ZPP_ERROR_WRONG_ARG;                              \
            break;                                                          \
        }                                                                   \
        dest = converted;                                                   \
    }

/** This request's store, or NULL: ephpm_ops() says what to do, and if there is
 * none the script knows. */
static zend_always_inline kv_store_t *ephpm_current_store(void)
{
    kv_store_t *store = EPHPM_G(store);

    return EXPECTED(store != NULL) ? store : ephpm_store_find();
}

static zend_always_inline int64_t ephpm_ttl_ms(zend_long ttl)
{
    if (ttl <= 0) {
        return KV_NO_TTL;
    }
    return ttl > INT64_MAX / 1000 ? INT64_MAX : (int64_t)ttl * 1000;
}

/**
 * Warn where `result` is a thing to warn about: a bad key, a value that can
 * never fit, a busy store, no memory.  The error handler may run scripts,
 * throw and longjmp.
 *
 * @param store  NULL: that of ephpm_ops()
 */
ZEND_COLD void ephpm_warn(const kv_store_t *store, kv_result_t result,
                          size_t key_bytes, size_t value_bytes);

/** The string that was found; KV_OK or KV_RETRY.  May longjmp. */
static zend_always_inline kv_result_t ephpm_short_string(
    const kv_short_t *found, zval *value)
{
    zend_string *string = zend_string_alloc(found->bytes, 0);

    ZSTR_VAL(string)[found->bytes] = '\0';
    if (UNEXPECTED(kv_short_copy(found, ZSTR_VAL(string)) != KV_OK)) {
        zend_string_efree(string);
        return KV_RETRY;
    }
    ZVAL_NEW_STR(value, string);
    return KV_OK;
}

/**
 * Read what kv_short_find() did not: long values, counters, compressed ones.
 *
 * @param result  kv_short_find()'s, neither KV_OK nor KV_MISSING
 * @param value   receives the string, or null unless KV_OK
 * @return KV_OK, KV_MISSING or a result to warn about
 */
kv_result_t ephpm_get_long(kv_store_t *store, const char *key,
                           size_t key_bytes, kv_result_t result, zval *value);

#endif
