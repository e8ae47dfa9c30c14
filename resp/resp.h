/* resp.h - Redis's protocol and commands over a store.
 *
 * The concept
 *
 * A service answers for one store with one set of settings; a connection is
 * one client of it.  Neither knows sockets: a server gives a connection the
 * bytes that came in and sends the bytes that it has to say.
 *
 *      socket --bytes--> resp_conn_feed()
 *                             |  checks lengths, parses, runs commands
 *                             v
 *      socket <--bytes-- resp_conn_output(), then resp_conn_sent()
 *
 * After each of feed and sent the state says what to do next:
 *
 *      RESP_READ     wait for input; send what there is
 *      RESP_PAUSED   do not read: the client must take its answers first
 *      RESP_MORE     do not read; send what there is, let others have their
 *                    turn, then call resp_conn_sent(conn, 0) or more
 *      RESP_CLOSING  do not read; send what there is, then close
 *      RESP_DROP     close now
 *
 * So a client that sends and never reads holds at most what it was allowed
 * (resp_settings_t), and nothing that a client does blocks: a command runs in
 * the time its store operations take.  How many of them are run in one go is
 * the service's turn, which is without end unless the server knows RESP_MORE
 * and says so (resp_service_set_turn).  An event loop fits, and so does a
 * thread for each connection; what may not be is two threads in one service,
 * for it has one thread's handle of the store.
 *
 * RESP2, and RESP3 after HELLO 3; requests as arrays of bulk strings or as
 * lines ("inline"); any number of them at once.  The commands are Redis's
 * with its replies and its words for errors (resp_command.c has the list),
 * and of Valkey's DELIFEQ and SET ... IFEQ.  There is one database, 0.
 *
 * Where Redis has no such case: a key over 64 KiB - 1 or an empty one is
 * never there, and cannot be set; a value that the store can never hold is
 * refused as a string over Redis's maximum is; a store that is full and
 * evicts nothing says OOM as Redis does at maxmemory.
 */

#ifndef RESP_H
#define RESP_H

#include "kv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct resp_service resp_service_t;
typedef struct resp_conn resp_conn_t;

typedef enum resp_state {
    RESP_READ,
    RESP_PAUSED,
    RESP_MORE,
    RESP_CLOSING,
    RESP_DROP
} resp_state_t;

typedef struct resp_settings {
    /* The store's name, for INFO; NULL: none.  Copied. */
    const char *name;
    /* What AUTH asks for; NULL: nothing.  Copied. */
    const void *password;
    size_t password_bytes;
    /* No more commands are run while more than this waits to be sent;
     * 0: 256 KiB. */
    size_t output_pause_bytes;
    /* An answer that makes the unsent ones longer than this drops the
     * connection; 0: 64 MiB and the store's largest value. */
    size_t output_max_bytes;
    /* Where the buffers of all connections hold more than this, one that
     * grows and has more than its share (this divided by the clients, at
     * least 256 KiB) is dropped; 0: the store's memory and 128 MiB. */
    size_t buffers_max_bytes;
} resp_settings_t;

typedef struct resp_stats {
    uint64_t connections;       /* ever opened */
    uint64_t clients;           /* open now */
    uint64_t commands;          /* run, or refused with an error */
    uint64_t errors;            /* of those, answered with an error */
    uint64_t protocol_errors;   /* connections closed for one */
    uint64_t auth_failures;     /* wrong passwords */
    uint64_t drops;             /* connections that hit output_max_bytes or
                                 * buffers_max_bytes, or for which there was
                                 * no memory */
    uint64_t input_bytes;
    uint64_t output_bytes;      /* sent */
} resp_stats_t;

/**
 * Make a service.
 *
 * @param store     the calling thread's handle; stays the caller's, and must
 *                  outlive the service
 * @param settings  NULL: no name, no password, the defaults
 * @return the service, or NULL: no memory
 */
resp_service_t *resp_service_create(kv_store_t *store,
                                    const resp_settings_t *settings);

/** Free it; every connection has been closed.  NULL is allowed. */
void resp_service_destroy(resp_service_t *service);

/**
 * Let one call of feed or sent run commands for about this long; the rest
 * waits (RESP_MORE).  Without it a client that sends many requests at once
 * that take long each is served to their end.
 *
 * @param turn_ms  milliseconds, as sharp as a scheduler's tick; 0: no end
 */
void resp_service_set_turn(resp_service_t *service, unsigned turn_ms);

void resp_service_stats(const resp_service_t *service, resp_stats_t *stats);

/** A new client. @return the connection, or NULL: no memory. */
resp_conn_t *resp_conn_open(resp_service_t *service);

/** Free it, with whatever was not sent.  NULL is allowed. */
void resp_conn_close(resp_conn_t *conn);

/**
 * What the client has sent.  All of it is taken: what cannot be run yet is
 * kept, so read no more than some 64 KiB at a time, and only in RESP_READ.
 *
 * Allocates: for a request that is not complete yet as much as has come of
 * it, at most the store's largest value twice (SET ... IFEQ) and 1 MiB.
 */
resp_state_t resp_conn_feed(resp_conn_t *conn, const void *bytes,
                            size_t length);

/**
 * What is to be sent; valid until the next call for this connection.
 *
 * @param bytes  receives where it begins
 * @return how much there is, in bytes; 0: nothing
 */
size_t resp_conn_output(const resp_conn_t *conn, const char **bytes);

/** The first `length` bytes of the output have been sent, 0 is allowed.  Goes
 * on with what was paused or left. */
resp_state_t resp_conn_sent(resp_conn_t *conn, size_t length);

/** The state, as feed and sent returned it. */
resp_state_t resp_conn_state(const resp_conn_t *conn);

/** Is the client between two requests, with no part of one here and no
 * answer to be sent?  So a server that is to end may close it. */
bool resp_conn_idle(const resp_conn_t *conn);

#endif
