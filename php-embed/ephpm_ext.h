/* ephpm_ext.h - what the `ephpm` extension and its host say to each other.
 *
 * The extension is compiled into each server module and, by itself, into
 * ephpm.so for the command line and php-fpm.  The host decides which store a
 * request uses; the extension never looks for one, except in ephpm.so, where
 * it makes a private one (INI ephpm.cli_size) when no host has spoken.
 */

#ifndef EPHPM_EXT_H
#define EPHPM_EXT_H

#include "kv.h"

#include <php.h>

extern zend_module_entry ephpm_module_entry;

/**
 * Finds a store by name.
 *
 * @param name  the store's name (ephpm.store); NULL: the host's choice for
 *              the current request
 * @return the calling thread's handle, or NULL: there is none (the functions
 *         then warn once a request and behave as an empty store that refuses
 *         writes)
 */
typedef kv_store_t *(*ephpm_store_lookup_fn)(const char *name);

/** Say who finds stores.  Called by the host before php_module_startup(). */
void ephpm_ext_set_lookup(ephpm_store_lookup_fn lookup);

#endif
