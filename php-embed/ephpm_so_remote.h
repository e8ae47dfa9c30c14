/* ephpm_so_remote.h - what the two files about ephpm.kv_socket share.
 *
 *   ephpm_so_remote.c      the connection, replies, what INFO tells
 *   ephpm_so_remote_ops.c  an operation each
 */

#ifndef EPHPM_SO_REMOTE_H
#define EPHPM_SO_REMOTE_H

#include "ephpm_so.h"
#include "ephpm_socket.h"

/* Any store takes a value of this size. */
#define EPHPM_SURELY_FITS_BYTES ((size_t)256 << 10)

/* What is kept of an answer that is warned of. */
#define EPHPM_ANSWER_BYTES 200

/* A thread's connection, and what it knows of the store behind it. */
struct ephpm_remote {
    ephpm_socket_t *socket;
    char *address;
    char *password_file;
    zend_long timeout;
    kv_stats_t stats;          /* as of INFO */
    unsigned wait_limit_ms;
    unsigned limits_of;        /* the connection they are of; 0: none */
};

/**
 * This thread's, for the settings of this request: php-fpm may have others
 * for the next.
 *
 * @return NULL: no memory
 */
struct ephpm_remote *ephpm_remote_current(void);

/** Warn that the server was not reached, once a request.  May longjmp. */
ZEND_COLD void ephpm_remote_warn(ephpm_socket_result_t result);

/** Send what was put.  @return false: the script knows */
bool ephpm_remote_run(struct ephpm_remote *remote, bool only_reads);

/** A single request.  @return its reply, or NULL: the script knows */
const redisReply *ephpm_remote_ask(const ephpm_word_t *words, size_t count,
                                   bool only_reads);

#define WORD(literal) { literal, sizeof(literal) - 1 }

#define ASK(only_reads, ...)                                                \
    ephpm_remote_ask((const ephpm_word_t[]){ __VA_ARGS__ },                 \
                     sizeof((const ephpm_word_t[]){ __VA_ARGS__ })          \
                         / sizeof(ephpm_word_t), only_reads)

/**
 * `reply` as a result: KV_MISSING for a null, KV_OK for anything else but an
 * error.  An error that kvcore does not have gets into `text`, if that is
 * still empty: to be warned of when no reply is needed any more, since a
 * script's handler may use the connection.
 */
kv_result_t ephpm_remote_note(const redisReply *reply,
                              char text[EPHPM_ANSWER_BYTES]);

/** Warn of what was noted, if anything was.  May longjmp. */
void ephpm_remote_tell(const char *text);

/** Both for a single reply. */
kv_result_t ephpm_remote_result(const redisReply *reply);

/** Can a value of this size never fit?  Only large ones need an answer, and
 * none is known of a server that is not ours. */
bool ephpm_remote_is_too_large(size_t value_bytes);

/* Operations of ephpm_ops_t that INFO answers. */
void ephpm_remote_limits(size_t *value_max_bytes, unsigned *wait_limit_ms);
void ephpm_remote_stats(kv_stats_t *stats);
void ephpm_remote_info(void);

#endif
