/* ephpm_socket.h - a client of a running server's store, through the listener
 * that speaks Redis's protocol (httpd's EphpmResp, nginx's ephpm_kv_resp).
 *
 * For who has no store but an address: ephpm.so with ephpm.kv_socket, and the
 * command `ephpm kv`.  Knows neither PHP nor a server.
 *
 *     ephpm_socket_put() ... ephpm_socket_put()    requests, kept
 *     ephpm_socket_run()                           sent together, answered
 *     ephpm_socket_reply(0), ...(1) ...            until the next run
 *
 * K1  There is one connection, made when it is first needed and kept.  A
 *     process that was forked makes its own and leaves its parent's alone.
 * K2  What may have been done is never asked for twice.  A run whose
 *     connection turns out to be lost is begun again, once, on a new one, if
 *     no request of it had gone out whole, or if all of them only read.
 * K3  Nothing waits longer than the time-out for the next byte to go or come,
 *     signals or not.  (Looking a host's name up is the C library's, and its
 *     time-outs; addresses are not looked up.)
 * K4  After a failure to connect, none is tried for a second, and for twice
 *     the time-out after one that had no answer: who goes on without a store
 *     is not slowed down at each call.
 *
 * Replies are hiredis's, and the socket's: they are freed by the next run, so
 * nothing is lost where a script is ended in the middle of reading them.
 */

#ifndef EPHPM_SOCKET_H
#define EPHPM_SOCKET_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ephpm_socket ephpm_socket_t;

typedef enum ephpm_socket_result {
    /** Each request has its reply, which may be an error. */
    EPHPM_SOCKET_DONE,
    /** The address is none. */
    EPHPM_SOCKET_BAD_ADDRESS,
    /** Nobody is there, or he takes no more clients. */
    EPHPM_SOCKET_GONE,
    /** The system does not let this user connect. */
    EPHPM_SOCKET_FORBIDDEN,
    /** The file with the password cannot be read. */
    EPHPM_SOCKET_NO_PASSWORD,
    /** The password is wrong, or one is asked for. */
    EPHPM_SOCKET_DENIED,
    /** The time-out is over. */
    EPHPM_SOCKET_SILENT,
    /** The connection was lost while the answer was waited for. */
    EPHPM_SOCKET_LOST,
    /** What answers does not speak the protocol. */
    EPHPM_SOCKET_GARBLED,
    EPHPM_SOCKET_NO_MEMORY
} ephpm_socket_result_t;

/** A part of a request: any bytes. */
typedef struct ephpm_word {
    const void *bytes;
    size_t length;
} ephpm_word_t;

/**
 * @param address        "unix:/run/ephpm/kv.sock", "/run/ephpm/kv.sock",
 *                       "127.0.0.1:6380", "[::1]:6380" or "localhost:6380"
 * @param password_file  the password, and the end of a line, read at each
 *                       connection; NULL or "": none
 * @param timeout_ms     see K3; at least 1
 * @return the socket, which is not connected yet, or NULL: no memory
 */
ephpm_socket_t *ephpm_socket_create(const char *address,
                                    const char *password_file,
                                    unsigned timeout_ms);

/** Close it.  NULL is allowed. */
void ephpm_socket_destroy(ephpm_socket_t *client);

/** Add a request to the next run; its words are copied.
 * @return false: no memory, and the next run says so */
bool ephpm_socket_put(ephpm_socket_t *client, const ephpm_word_t *words,
                      size_t count);

/** How many bytes the next run will send. */
size_t ephpm_socket_pending(const ephpm_socket_t *client);

/**
 * Send the requests, and wait for all replies.
 *
 * @param only_reads  they change nothing, whatever happens (K2)
 */
ephpm_socket_result_t ephpm_socket_run(ephpm_socket_t *client,
                                       bool only_reads);

/** The reply to request `index` of the last run; NULL: there was no answer,
 * which can only be where the run was not DONE. */
const redisReply *ephpm_socket_reply(const ephpm_socket_t *client,
                                     size_t index);

/** What went wrong in the last run, as half a sentence: "Connection refused",
 * "no answer in 5 s". */
const char *ephpm_socket_error(const ephpm_socket_t *client);

/** May the last run have been done all the same, in part or wholly? */
bool ephpm_socket_uncertain(const ephpm_socket_t *client);

/** The glob pattern of what begins with `prefix`, for SCAN's MATCH.
 * @return of malloc, or NULL: no memory */
char *ephpm_socket_pattern(const void *prefix, size_t prefix_bytes,
                           size_t *pattern_bytes);

/** How often a connection was made: another number, perhaps another store. */
unsigned ephpm_socket_connections(const ephpm_socket_t *client);

#ifdef __cplusplus
}
#endif

#endif
