/* resp_private.h - what the files of this folder share.
 *
 *   resp_conn.c     bytes in: lengths, hiredis's reader, inline requests
 *   resp_reply.c    bytes out: the output buffer, replies of RESP2 and RESP3
 *   resp_command.c  the table of commands, and who may run them
 *   resp_client.c   commands about the connection and the server
 *   resp_string.c   commands about values
 *   resp_key.c      commands about keys
 *
 * A command's handler gets its arguments, the name first, with their number
 * checked already, and writes one reply.  Its arguments lie in the reader's
 * buffer and stay there until it returns.
 */

#ifndef RESP_PRIVATE_H
#define RESP_PRIVATE_H

#include "resp.h"

#include <hiredis/hiredis.h>

/* Redis's own limits. */
#define RESP_ARGS_MAX (1024 * 1024)
#define RESP_INLINE_MAX_BYTES (64u * 1024)
/* Before the password was given. */
#define RESP_STRANGER_ARGS_MAX 10
#define RESP_STRANGER_BULK_MAX_BYTES 16384

/* Beside the largest value, for a request's other arguments. */
#define RESP_REQUEST_EXTRA_BYTES ((size_t)1 << 20)

/* Buffers that are empty are kept up to this size. */
#define RESP_KEEP_BYTES ((size_t)32 << 10)

/* Nobody is lost for holding less. */
#define RESP_SHARE_LEAST_BYTES ((size_t)256 << 10)

/* How often a command that must act on a value as it is just now begins again
 * before it gives up. */
#define RESP_TRIES 1000

#define RESP_NAME_MAX_BYTES 64

typedef struct resp_arg {
    const char *bytes;
    size_t length;
} resp_arg_t;

struct resp_service {
    kv_store_t *store;
    char *name;
    char *password;            /* NULL: none */
    size_t password_bytes;
    size_t output_pause_bytes;
    size_t output_max_bytes;
    size_t arg_max_bytes;      /* one of a request's */
    size_t request_max_bytes;  /* two values, for SET ... IFEQ, and others */
    size_t held_bytes;         /* in all connections' buffers */
    size_t held_max_bytes;
    unsigned turn_ms;          /* 0: without end */
    uint64_t next_id;
    int64_t began_ms;
    resp_stats_t stats;
};

typedef struct resp_buffer {
    char *bytes;
    size_t begin;              /* taken already */
    size_t end;
    size_t room;
} resp_buffer_t;

/* Where in a request the next byte belongs. */
typedef enum resp_place {
    PLACE_NEW,                 /* a request's first byte */
    PLACE_ARRAY,               /* in "*2\r\n" */
    PLACE_BULK,                /* in "$3\r\n" */
    PLACE_DATA,                /* in a bulk string and its "\r\n" */
    PLACE_INLINE
} resp_place_t;

#define RESP_LINE_MAX 32

struct resp_conn {
    resp_service_t *service;
    redisReader *reader;       /* NULL: no array came yet */

    resp_place_t place;
    char line[RESP_LINE_MAX];  /* PLACE_ARRAY, PLACE_BULK */
    size_t line_length;
    long long bulks_left;      /* of the request, this one included */
    size_t data_left;          /* PLACE_DATA */
    size_t request_bytes;      /* of the request, so far */
    resp_buffer_t text;        /* PLACE_INLINE, and its arguments */
    resp_buffer_t rest;        /* came while paused, or is left of a turn */

    resp_arg_t *args;
    size_t args_room;
    size_t args_count;

    resp_buffer_t output;
    char *scratch;             /* a value on its way, for one command */
    size_t scratch_bytes;
    size_t scratch_room;
    size_t held_bytes;         /* as the service knows it */

    uint64_t id;
    int64_t began_ms;
    size_t name_bytes;
    char name[RESP_NAME_MAX_BYTES];
    const char *last_command;
    bool resp3;
    bool known;                /* the password was given, or none is asked */
    bool closing;
    bool drop;
};

/* ------------------------------------------------------------------ */
/* resp_conn.c                                                         */

/** Room for `more` bytes at the end of `buffer`; false: no memory. */
bool resp_buffer_reserve(resp_buffer_t *buffer, size_t more);

/** Free it, or keep it for the next use where it is small. */
void resp_buffer_empty(resp_buffer_t *buffer);

/** Make room in conn->args; false: no memory, and the connection is lost. */
bool resp_args_reserve(resp_conn_t *conn, size_t count);

/** Split a line as Redis does. @return false: unbalanced quotes, or no memory
 * (then conn->drop).  Arguments are written over the line. */
bool resp_inline_split(resp_conn_t *conn, char *line, size_t length);

/* ------------------------------------------------------------------ */
/* resp_reply.c                                                        */

/** Room for `more` bytes of output, or NULL: the connection is lost. */
char *resp_reply_room(resp_conn_t *conn, size_t more);

void resp_reply_status(resp_conn_t *conn, const char *text);   /* +OK */
void resp_reply_ok(resp_conn_t *conn);
/** `format` without "-" and "\r\n"; line breaks become spaces. */
void resp_reply_error(resp_conn_t *conn, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void resp_reply_integer(resp_conn_t *conn, int64_t number);
void resp_reply_null(resp_conn_t *conn);
void resp_reply_bulk(resp_conn_t *conn, const void *bytes, size_t length);
void resp_reply_text(resp_conn_t *conn, const char *text);     /* as a bulk */
void resp_reply_verbatim(resp_conn_t *conn, const char *text, size_t length);
void resp_reply_array(resp_conn_t *conn, size_t count);
void resp_reply_map(resp_conn_t *conn, size_t pairs);

/** An array whose length shows later: begin, the elements, end. */
size_t resp_reply_begin(const resp_conn_t *conn);
void resp_reply_end(resp_conn_t *conn, size_t began, size_t count);
/** More in front of what came after `began`. */
void resp_reply_insert(resp_conn_t *conn, size_t began, const char *bytes,
                       size_t length);

/** The value under `key` as a bulk string, or null. */
void resp_reply_value(resp_conn_t *conn, const resp_arg_t *key);

/** What the store says to a change that it did not make. */
void resp_reply_refusal(resp_conn_t *conn, kv_result_t result);

#define RESP_NOT_INTEGER "ERR value is not an integer or out of range"
#define RESP_SYNTAX "ERR syntax error"
#define RESP_TOO_LARGE                                                      \
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)"

/* ------------------------------------------------------------------ */
/* resp_command.c                                                      */

typedef void (*resp_handler_t)(resp_conn_t *conn, const resp_arg_t *args,
                               size_t count);

typedef struct resp_command {
    const char *name;          /* in small letters */
    resp_handler_t run;
    int arity;                 /* with the name; negative: at least */
    unsigned flags;
    int first_key;
    int last_key;              /* negative: counted from the end */
    int key_step;
} resp_command_t;

#define RESP_WRITE 1u
#define RESP_READONLY 2u
#define RESP_FAST 4u
#define RESP_STRANGER 8u       /* without the password too */
#define RESP_FLAGS 4

extern const resp_command_t resp_commands[];
extern const size_t resp_commands_count;

/** Find a command by its name in any case; NULL: none. */
const resp_command_t *resp_command_find(const resp_arg_t *name);

/** Run the request in conn->args. */
void resp_command_run(resp_conn_t *conn);

/* What handlers have in common. */

int64_t resp_now_ms(void);     /* of the day */

/** Is `arg` the word `word` (small letters), in any case? */
bool resp_arg_is(const resp_arg_t *arg, const char *word);

/** A canonical decimal; false: it is none, or leaves 64 bits. */
bool resp_parse_integer(const resp_arg_t *arg, int64_t *number);

/** The same, or RESP_NOT_INTEGER is answered. */
bool resp_want_integer(resp_conn_t *conn, const resp_arg_t *arg,
                       int64_t *number);

/**
 * Redis's glob: * ? [a-z] [^a] and \.
 *
 * @param steps  how many characters may be looked at, which are taken from
 *               it; 0 after a call: there were not enough, and no match
 */
bool resp_glob_match(const char *pattern, size_t pattern_length,
                     const char *text, size_t length, uint64_t *steps);

/** The letters at the beginning of a pattern that stand for themselves. */
size_t resp_glob_literal(const char *pattern, size_t length);

/**
 * Read a value to conn->scratch, conn->scratch_bytes long.
 *
 * @param more  so many bytes beside it can be appended there
 * @return KV_OK, KV_MISSING, KV_NO_MEMORY
 */
kv_result_t resp_value_read(resp_conn_t *conn, const resp_arg_t *key,
                            kv_read_t *read, size_t more);

/* Times */

typedef enum resp_unit {
    UNIT_NONE,
    UNIT_SECONDS,
    UNIT_MS
} resp_unit_t;

/**
 * The expiry that a command was given, as Redis checks it.
 *
 * @param absolute  is it a time of the day?
 * @param ttl_ms    receives the milliseconds from now; 0 or less: over
 * @return false: the error was answered
 */
bool resp_want_expiry(resp_conn_t *conn, const resp_arg_t *command,
                      const resp_arg_t *arg, resp_unit_t unit, bool absolute,
                      int64_t *ttl_ms);

/* The handlers, by their commands' names. */
#define RESP_HANDLER(name)                                                  \
    void resp_cmd_##name(resp_conn_t *conn, const resp_arg_t *args,         \
                         size_t count)
RESP_HANDLER(append);
RESP_HANDLER(auth);
RESP_HANDLER(client);
RESP_HANDLER(command);
RESP_HANDLER(dbsize);
RESP_HANDLER(decr);
RESP_HANDLER(decrby);
RESP_HANDLER(del);
RESP_HANDLER(delifeq);
RESP_HANDLER(echo);
RESP_HANDLER(exists);
RESP_HANDLER(expire);
RESP_HANDLER(expireat);
RESP_HANDLER(flush);
RESP_HANDLER(get);
RESP_HANDLER(getdel);
RESP_HANDLER(getex);
RESP_HANDLER(getset);
RESP_HANDLER(hello);
RESP_HANDLER(incr);
RESP_HANDLER(incrby);
RESP_HANDLER(info);
RESP_HANDLER(keys);
RESP_HANDLER(mget);
RESP_HANDLER(mset);
RESP_HANDLER(persist);
RESP_HANDLER(pexpire);
RESP_HANDLER(ping);
RESP_HANDLER(psetex);
RESP_HANDLER(pttl);
RESP_HANDLER(quit);
RESP_HANDLER(rename);
RESP_HANDLER(scan);
RESP_HANDLER(select);
RESP_HANDLER(set);
RESP_HANDLER(setex);
RESP_HANDLER(setnx);
RESP_HANDLER(strlen);
RESP_HANDLER(time);
RESP_HANDLER(ttl);
RESP_HANDLER(type);

#endif
