/* ephpm_status_php.c - what PHP and opcache say of themselves.
 *
 * opcache keeps its figures where only its own functions find them.  A
 * function of an extension is C: it is called here as it is, with a frame of
 * our own that has one argument, and no need for PHP's stack.  That works
 * between requests, where the interpreter is not set up to call anything.
 */

#include "ephpm_sapi.h"
#include "ephpm_status.h"

#include <php.h>
#include <SAPI.h>
#include <zend_modules.h>

#include <string.h>

/* Exported, but in no header. */
extern PHPAPI char *php_ini_opened_path;

static const char *setting(const char *name, const char *otherwise)
{
    zend_ini_entry *entry = zend_hash_str_find_ptr(EG(ini_directives), name,
                                                   strlen(name));

    /* As php.ini and the server have it, whatever a script makes of it. */
    if (entry == NULL) {
        return otherwise;
    }
    if (entry->modified) {
        return entry->orig_value ? ZSTR_VAL(entry->orig_value) : "";
    }
    return entry->value ? ZSTR_VAL(entry->value) : "";
}

static void each_extension(const ephpm_status_t *status,
                           void (*pass)(void *to, const char *name,
                                        const char *version), void *to)
{
    zend_module_entry *module;

    (void)status;
    ZEND_HASH_FOREACH_PTR(&module_registry, module) {
        pass(to, module->name, module->version);
    } ZEND_HASH_FOREACH_END();
}

/* ------------------------------------------------------------------ */
/* opcache                                                             */

static const zval *member(const zval *array, const char *name)
{
    return array != NULL && Z_TYPE_P(array) == IS_ARRAY
        ? zend_hash_str_find(Z_ARRVAL_P(array), name, strlen(name)) : NULL;
}

static uint64_t count_of(const zval *array, const char *name)
{
    const zval *value = member(array, name);

    return value != NULL && Z_TYPE_P(value) == IS_LONG && Z_LVAL_P(value) > 0
        ? (uint64_t)Z_LVAL_P(value) : 0;
}

static bool truth_of(const zval *array, const char *name)
{
    const zval *value = member(array, name);

    return value != NULL && Z_TYPE_P(value) == IS_TRUE;
}

static void read_status(ephpm_status_opcache_t *to, const zval *status)
{
    const zval *memory = member(status, "memory_usage");
    const zval *strings = member(status, "interned_strings_usage");
    const zval *statistics = member(status, "opcache_statistics");
    const zval *jit = member(status, "jit");

    to->full = truth_of(status, "cache_full");
    to->restart_pending = truth_of(status, "restart_pending");
    to->restart_in_progress = truth_of(status, "restart_in_progress");
    to->used_bytes = count_of(memory, "used_memory");
    to->free_bytes = count_of(memory, "free_memory");
    to->wasted_bytes = count_of(memory, "wasted_memory");
    to->strings_limit_bytes = count_of(strings, "buffer_size");
    to->strings_used_bytes = count_of(strings, "used_memory");
    to->strings = count_of(strings, "number_of_strings");
    to->scripts = count_of(statistics, "num_cached_scripts");
    to->keys = count_of(statistics, "num_cached_keys");
    to->keys_max = count_of(statistics, "max_cached_keys");
    to->hits = count_of(statistics, "hits");
    to->misses = count_of(statistics, "misses");
    to->restarts_memory = count_of(statistics, "oom_restarts");
    to->restarts_keys = count_of(statistics, "hash_restarts");
    to->restarts_manual = count_of(statistics, "manual_restarts");
    to->jit_on = truth_of(jit, "on");
    to->jit_limit_bytes = count_of(jit, "buffer_size");
    to->jit_free_bytes = count_of(jit, "buffer_free");
}

/* opcache_get_status(false) */
static void call_status(zend_function *function, zval *status)
{
    union {
        zend_execute_data frame;
        zval slots[ZEND_CALL_FRAME_SLOT + 1];
    } call;

    memset(&call, 0, sizeof(call));
    call.frame.func = function;
    call.frame.prev_execute_data = EG(current_execute_data);
    ZEND_CALL_NUM_ARGS(&call.frame) = 1;
    ZVAL_FALSE(ZEND_CALL_ARG(&call.frame, 1));
    ZVAL_NULL(status);
    EG(current_execute_data) = &call.frame;
    function->internal_function.handler(&call.frame, status);
}

static void ask_opcache(ephpm_status_opcache_t *opcache)
{
    static const char name[] = "opcache_get_status";
    zend_execute_data *current = EG(current_execute_data);
    zend_function *function;
    zval status;

    memset(opcache, 0, sizeof(*opcache));
    opcache->state = EPHPM_OPCACHE_OFF;
    if (zend_hash_str_find(&module_registry, "zend opcache",
                           strlen("zend opcache")) == NULL) {
        return;
    }
    /* It would complain of us in the log. */
    opcache->state = EPHPM_OPCACHE_SILENT;
    function = zend_hash_str_find_ptr(CG(function_table), name,
                                      sizeof(name) - 1);
    if (function == NULL || function->type != ZEND_INTERNAL_FUNCTION
        || *setting("opcache.restrict_api", "") != '\0') {
        return;
    }
    ZVAL_UNDEF(&status);
    zend_try {
        call_status(function, &status);
        EG(current_execute_data) = current;
        opcache->state = EPHPM_OPCACHE_OFF;
        if (member(&status, "memory_usage") != NULL) {
            opcache->state = EPHPM_OPCACHE_ON;
            read_status(opcache, &status);
        }
        zval_ptr_dtor(&status);
    } zend_catch {
        EG(current_execute_data) = current;
    } zend_end_try();
}

void ephpm_status_ask_php(ephpm_status_t *status)
{
    static const char *version;

    /* Finding it is a search in the whole library. */
    if (version == NULL) {
        version = ephpm_php_version();
    }
    status->php.version = version ? version : ephpm_php_series;
    status->php.sapi = sapi_module.name;
    status->php.ini_file = php_ini_opened_path;
    status->php.memory_limit = setting("memory_limit", "");
    status->php.max_execution_time = setting("max_execution_time", "");
    status->each_extension = each_extension;
    ask_opcache(&status->opcache);
}
