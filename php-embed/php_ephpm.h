/* php_ephpm.h - what the extension's own sources share.
 *
 * The globals belong to one request at a time: one instance in a process, or
 * one in each thread of a thread-safe PHP.  `store` is the hot one: every
 * function loads it and finds the store; NULL sends it to
 * ephpm_store_find(), which asks the host.
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

ZEND_BEGIN_MODULE_GLOBALS(ephpm)
    kv_store_t *store;      /* this request's; NULL: not asked for, or none */
    bool store_missing;     /* asked for: there is none, and the script knows */
    char *store_name;       /* INI ephpm.store; empty: the host's choice */
    size_t cli_size_bytes;  /* INI ephpm.cli_size */
    kv_store_t *own_store;  /* ephpm.so: this thread's handle, kept */
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
 *         NULL: there is none, and the script has been warned (once)
 */
ZEND_COLD kv_store_t *ephpm_store_find(void);

/** The same without a warning, for phpinfo(). */
kv_store_t *ephpm_store_peek(void);

#endif
