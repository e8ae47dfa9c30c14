/* ephpm_so.h - what the sources of ephpm.so share, beside the extension.
 *
 * ephpm.so has a store of its own (ephpm_so.c), unless ephpm.kv_socket says
 * where a running server listens; then the functions act on that server's
 * (ephpm_so_remote.c).
 */

#ifndef EPHPM_SO_H
#define EPHPM_SO_H

#include "php_ephpm.h"

/** The operations of the store behind ephpm.kv_socket, or NULL: it is not
 * set. */
const ephpm_ops_t *ephpm_remote_ops(void);

/** Hang up and free what a thread has of it; NULL is allowed. */
void ephpm_remote_free(struct ephpm_remote *remote);

#endif
