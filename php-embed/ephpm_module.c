/* ephpm_module.c - the module entry, its INI settings, phpinfo(), and how a
 * request comes by its store.
 */

#include "php_ephpm.h"

#include "ephpm_arginfo.h"

#include <ext/standard/info.h>

#include <inttypes.h>

ZEND_DECLARE_MODULE_GLOBALS(ephpm)

#if defined(ZTS) && defined(ZEND_ENABLE_STATIC_TSRMLS_CACHE)
ZEND_TSRMLS_CACHE_DEFINE()
#define CACHE_UPDATE() ZEND_TSRMLS_CACHE_UPDATE()
#else
#define CACHE_UPDATE() ((void)0)
#endif

static ephpm_store_lookup_fn store_lookup;
static const ephpm_ops_t *(*store_elsewhere)(void);

void ephpm_ext_set_lookup(ephpm_store_lookup_fn lookup)
{
    store_lookup = lookup;
}

void ephpm_set_elsewhere(const ephpm_ops_t *(*elsewhere)(void))
{
    store_elsewhere = elsewhere;
}

const ephpm_ops_t *ephpm_elsewhere(void)
{
    return store_elsewhere != NULL ? store_elsewhere() : NULL;
}

ZEND_COLD const ephpm_ops_t *ephpm_ops(void)
{
    const ephpm_ops_t *ops = ephpm_elsewhere();

    return ops != NULL ? ops : &ephpm_nowhere;
}

kv_store_t *ephpm_store_peek(void)
{
    const char *name = EPHPM_G(store_name);

    if (EPHPM_G(store) == NULL && store_lookup != NULL) {
        EPHPM_G(store) = store_lookup(name && *name ? name : NULL);
    }
    return EPHPM_G(store);
}

ZEND_COLD kv_store_t *ephpm_store_find(void)
{
    const char *name;

    if (EPHPM_G(store_missing) || ephpm_elsewhere() != NULL) {
        return NULL;
    }
    if (ephpm_store_peek() != NULL) {
        return EPHPM_G(store);
    }

    /* Before the warning: a script's error handler may call us again. */
    EPHPM_G(store_missing) = true;
    name = EPHPM_G(store_name);
    if (name && *name) {
        php_error_docref(NULL, E_WARNING,
            "There is no store named \"%s\" (INI ephpm.store); until the "
            "request ends reads find nothing and writes are refused", name);
    } else {
        php_error_docref(NULL, E_WARNING,
            "There is no store for this host; until the request ends reads "
            "find nothing and writes are refused");
    }
    return NULL;
}

/* The size is fixed once memory is mapped, so only start-up may set it. */
static PHP_INI_MH(on_update_cli_size)
{
    size_t size_bytes;
    const char *what;

    if (stage != ZEND_INI_STAGE_STARTUP) {
        return FAILURE;
    }
    if (kv_size_parse(ZSTR_VAL(new_value), &size_bytes) != KV_OK) {
        what = "is not a size";
    } else if (size_bytes < KV_STORE_MIN_BYTES) {
        what = "is too small";
    } else {
        EPHPM_G(cli_size_bytes) = size_bytes;
        return SUCCESS;
    }
    zend_error(E_CORE_WARNING,
        "ephpm.cli_size = \"%s\" %s: give a number with K, M or G, at least "
        "%uM; the default is used instead",
        ZSTR_VAL(new_value), what, KV_STORE_MIN_BYTES >> 20);
    return FAILURE;
}

PHP_INI_BEGIN()
    STD_PHP_INI_ENTRY("ephpm.store", "", PHP_INI_SYSTEM, OnUpdateString,
                      store_name, zend_ephpm_globals, ephpm_globals)
    PHP_INI_ENTRY("ephpm.cli_size", "32M", PHP_INI_SYSTEM, on_update_cli_size)
    STD_PHP_INI_ENTRY("ephpm.session_lock_wait", "30", PHP_INI_ALL,
                      OnUpdateLongGEZero, session_lock_wait,
                      zend_ephpm_globals, ephpm_globals)
    STD_PHP_INI_ENTRY("ephpm.session_lock_ttl", "0", PHP_INI_ALL,
                      OnUpdateLongGEZero, session_lock_ttl,
                      zend_ephpm_globals, ephpm_globals)
PHP_INI_END()

/* Not PHP_GINIT_FUNCTION, whose parameter shadows the globals. */
static void globals_start(void *globals)
{
    CACHE_UPDATE();
    memset(globals, 0, sizeof(zend_ephpm_globals));
}

static void globals_end(void *globals)
{
    zend_ephpm_globals *ending = globals;

    kv_store_detach(ending->own_store);
    ending->own_store = NULL;
}

static PHP_MINIT_FUNCTION(ephpm)
{
    REGISTER_INI_ENTRIES();
    ephpm_session_start();
    return SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(ephpm)
{
    UNREGISTER_INI_ENTRIES();
    return SUCCESS;
}

/* At the very end: PHP writes sessions after our end of a request, and may
 * begin one before our start of the next. */
static void forget_store(void)
{
    EPHPM_G(store) = NULL;
    EPHPM_G(store_missing) = false;
}

static PHP_RINIT_FUNCTION(ephpm)
{
    CACHE_UPDATE();
    return SUCCESS;
}

static ZEND_MODULE_POST_ZEND_DEACTIVATE_D(ephpm)
{
    ephpm_session_end();
    forget_store();
    return SUCCESS;
}

static void info_number(const char *title, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    php_info_print_table_row(2, title, text);
}

static PHP_MINFO_FUNCTION(ephpm)
{
    const char *name = EPHPM_G(store_name);
    const ephpm_ops_t *elsewhere = ephpm_elsewhere();
    kv_store_t *store = elsewhere == NULL ? ephpm_store_peek() : NULL;
    kv_config_t config;
    kv_stats_t stats;

    php_info_print_table_start();
    php_info_print_table_row(2, "ephpm support", "enabled");
    php_info_print_table_row(2, "Version", EPHPM_VERSION);
    php_info_print_table_row(2, "Session handler",
                             ephpm_session_available()
                                 ? "ephpm" : "none: PHP has no sessions");
    if (store == NULL) {
        ephpm_ops()->info();
    } else {
        php_info_print_table_row(2, "Store",
                                 name && *name ? name : "the host's");
        kv_store_config(store, &config);
        kv_store_stats(store, &stats);
        php_info_print_table_row(2, "Eviction",
                                 kv_eviction_name(config.eviction));
        php_info_print_table_row(2, "Compression",
                                 kv_compression_name(config.compression));
        info_number("Entries", stats.entries);
        info_number("Bytes used", stats.used_bytes);
        info_number("Bytes at most", stats.limit_bytes);
        info_number("Longest key in bytes", KV_KEY_MAX_BYTES);
        info_number("Largest value in bytes", stats.value_max_bytes);
        info_number("Hits", stats.hits);
        info_number("Misses", stats.misses);
        info_number("Evictions", stats.evictions);
        info_number("Expirations", stats.expirations);
    }
    php_info_print_table_end();
    DISPLAY_INI_ENTRIES();
}

/* Sessions begin before us and end after us, where PHP has them. */
static const zend_module_dep dependencies[] = {
    ZEND_MOD_OPTIONAL("session")
    ZEND_MOD_END
};

zend_module_entry ephpm_module_entry = {
    STANDARD_MODULE_HEADER_EX,
    NULL,
    dependencies,
    "ephpm",
    ext_functions,
    PHP_MINIT(ephpm),
    PHP_MSHUTDOWN(ephpm),
    PHP_RINIT(ephpm),
    NULL,
    PHP_MINFO(ephpm),
    EPHPM_VERSION,
    PHP_MODULE_GLOBALS(ephpm),
    globals_start,
    globals_end,
    ZEND_MODULE_POST_ZEND_DEACTIVATE_N(ephpm),
    STANDARD_MODULE_PROPERTIES_EX
};
