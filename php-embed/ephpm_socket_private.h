/* ephpm_socket_private.h - what the two files of the client share.
 *
 *   ephpm_socket.c       requests out, replies in
 *   ephpm_socket_dial.c  addresses, connecting, the password's file
 */

#ifndef EPHPM_SOCKET_PRIVATE_H
#define EPHPM_SOCKET_PRIVATE_H

#include "ephpm_socket.h"

#include <sys/types.h>

/* As the listeners have it; room for its line's end, and to see that it is
 * longer. */
#define EPHPM_SOCKET_PASSWORD_MAX 4096
#define EPHPM_SOCKET_PASSWORD_ROOM (EPHPM_SOCKET_PASSWORD_MAX + 3)

struct ephpm_socket {
    char *address;
    char *password_file;
    int timeout_ms;

    int fd;                    /* -1: not connected */
    pid_t owner;               /* who connected (K1) */
    unsigned connections;
    redisReader *reader;

    int64_t not_before_ms;     /* K4 */
    ephpm_socket_result_t failure;

    char *out;                 /* requests */
    size_t out_bytes;
    size_t out_room;
    size_t requests;
    size_t first_bytes;        /* the first of them */
    size_t sent;               /* of the last exchange, in bytes */
    bool no_memory;
    bool uncertain;

    redisReply **reply;
    size_t replies;
    size_t replies_room;

    char error[256];
    char in[16384];
};

/** Note the error, and return `result`. */
ephpm_socket_result_t ephpm_socket_fail(ephpm_socket_t *client,
                                        ephpm_socket_result_t result,
                                        const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** "no answer in 5 s" */
ephpm_socket_result_t ephpm_socket_silent(ephpm_socket_t *client);

/** Milliseconds of a clock that is never set. */
int64_t ephpm_socket_now_ms(void);

/** Connect client->fd. */
ephpm_socket_result_t ephpm_socket_dial(ephpm_socket_t *client);

/** Read the password: its file, without the end of the last line. */
ephpm_socket_result_t ephpm_socket_password(
    ephpm_socket_t *client, char password[EPHPM_SOCKET_PASSWORD_ROOM],
    size_t *password_bytes);

#endif
