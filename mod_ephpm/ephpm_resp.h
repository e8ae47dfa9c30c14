/* ephpm_resp.h - what the two sources of EphpmResp share.
 *
 *   parent   directives      an address, a store, a password from its file
 *            post_config     ephpm_resp.c: a listener for each line, before
 *                            privileges are dropped; those of before are
 *                            kept.  ephpm_resp_helper.c, last of all: one
 *                            helper for all lines; then that of before is
 *                            told to leave
 *              helper          no privileges; accepts, runs commands
 *                              (resp/resp_server.h)
 *            (it dies)       another one, after a pause if it did so at once
 *            restart         pconf is cleared; the listeners stay open, so
 *                            that nobody is refused meanwhile
 *   child    child_init      listeners closed, passwords wiped
 *
 * Invariants:
 *   1. Whoever runs scripts has neither a listener nor a password.
 *   2. A listener that is in the configuration is open in the parent, so that
 *      a helper that dies refuses nobody.
 *   3. One that is not is shut down, whatever helpers still have it.
 */

#ifndef EPHPM_RESP_H
#define EPHPM_RESP_H

#include "mod_ephpm.h"

#include "ephpm_status.h"
#include "resp_server.h"

/** A line of the configuration. */
typedef struct ephpm_resp_line {
    const char *address;        /* in its one form */
    const char *where;          /* file and line, for messages */
    const char *store_name;
    int store;                  /* its index; set by the check */
    mode_t mode;                /* of a socket file */
    char *password;             /* NULL: none */
    apr_size_t password_bytes;
    int listener;               /* since post_config; -1: its socket's file
                                 * was replaced while the server ran */
    resp_service_t *service;    /* in the helper */
} ephpm_resp_line_t;

/** What the helper says of each line, for the status page.
 * @param count  receives their number */
const ephpm_status_resp_t *ephpm_resp_status(apr_pool_t *pool, size_t *count);

#define EPHPM_RESP_LINE(i)                                                  \
    (&APR_ARRAY_IDX(ephpm_settings.resp, i, ephpm_resp_line_t))

#endif
