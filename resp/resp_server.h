/* resp_server.h - an event loop for connections of resp.h.
 *
 * For a process that has nothing else to do: httpd's helper, a test.  One
 * thread, one epoll, any number of listeners; each has a service of its own
 * (resp.h), so one loop can serve several stores.
 *
 *     listeners --accept--> clients --> resp_conn_feed(), resp_conn_sent()
 *                             |
 *                             +-- in the order of their last byte, so that
 *                                 the idle ones are at the front
 *
 * A client costs its own connection only: it is read in pieces and answered
 * without waiting, each turn is bounded, one that does not read its answers
 * is not read either, and one that neither sends nor takes a byte for the idle
 * time is closed, half a request or not.  One that ends its side of the
 * connection gets its answers, and is closed then.
 *
 * Where descriptors run out nobody is accepted until there are some again.
 */

#ifndef RESP_SERVER_H
#define RESP_SERVER_H

#include "resp.h"

#include <sys/types.h>

typedef struct resp_server resp_server_t;

typedef struct resp_server_settings {
    /* 0: 10000.  The process's limit of descriptors is raised to that many,
     * as far as it may be. */
    unsigned clients_max;
    unsigned idle_seconds;     /* 0: never closed for being idle */
    /* Called when it begins to serve and about once a second, with nothing
     * of a client's under way.  NULL: nobody. */
    void (*each_second)(void *context);
    void *context;
} resp_server_settings_t;

#define RESP_ADDRESS_BYTES 128

/**
 * Look at an address without opening anything.
 *
 * @param canonical  receives it in the one form that equal addresses have;
 *                   its size is RESP_ADDRESS_BYTES
 * @param error      receives one sentence
 * @return false: resp_listen() would refuse it, or it leaves the port open
 */
bool resp_address_check(const char *address, bool has_password,
                        char *canonical, char *error, size_t error_bytes);

/**
 * Open a listening socket, non-blocking and closed by exec.
 *
 * @param address       "127.0.0.1:6380", "[::1]:6380", "localhost:6380" or
 *                      "unix:/run/ephpm/kv.sock"; a socket file that nobody
 *                      listens to any more is replaced
 * @param mode          of a socket file
 * @param has_password  without one only addresses of this machine are opened
 * @param error         receives one sentence when it fails
 * @return the descriptor, or -1
 */
int resp_listen(const char *address, mode_t mode, bool has_password,
                char *error, size_t error_bytes);

/** @return the server, or NULL: no memory or no descriptor (errno). */
resp_server_t *resp_server_create(const resp_server_settings_t *settings);

/** Close every connection and listener, and free it. */
void resp_server_destroy(resp_server_t *server);

/** Accept clients of `service` from `listener`, which is the server's from
 * now on; the service's turn is set. @return false: no memory or no descriptor (errno), and it is not. */
bool resp_server_add(resp_server_t *server, int listener,
                     resp_service_t *service);

/** Serve until resp_server_stop(), or until resp_server_drain() has come to
 * its end. @return false: epoll failed (errno). */
bool resp_server_run(resp_server_t *server);

/** End resp_server_run().  May be called by a signal handler. */
void resp_server_stop(resp_server_t *server);

/**
 * Leave in good order: close the listeners, which others may have too, and
 * let the clients finish.  One that has its answers and is silent for a
 * second is closed, and after RESP_DRAIN_SECONDS every one is; then
 * resp_server_run() returns.  May be called by a signal handler.
 */
void resp_server_drain(resp_server_t *server);
#define RESP_DRAIN_SECONDS 30

#endif
