/* ephpm_snapshot.h - a request as bytes, from a submitter to a runner.
 *
 * A runner never sees the server's own request.  What PHP may ask for goes
 * along with the job, as a sequence of items:
 *
 *      | kind (1 byte) | 3 zero bytes | bytes (4) | ... | padded to 4
 *
 * Kinds stand for single texts (the method), numbers, pairs of two texts
 * (each with its NUL), and the body's bytes.  What does not fit the job's
 * request area goes to a temporary file, whose name goes along.
 *
 * The reader works on a private copy, trusts no length, and takes texts that
 * have no NUL at their end for a broken snapshot.
 *
 * Knows neither PHP nor a server.
 */

#ifndef EPHPM_SNAPSHOT_H
#define EPHPM_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ephpm_item {
    /* Texts; one that is not there counts as NULL. */
    EPHPM_ITEM_METHOD = 1,
    EPHPM_ITEM_URI,             /* without the query */
    EPHPM_ITEM_QUERY,
    EPHPM_ITEM_CONTENT_TYPE,
    EPHPM_ITEM_COOKIES,
    EPHPM_ITEM_AUTHORIZATION,
    EPHPM_ITEM_USER,            /* whom the server has authenticated */
    EPHPM_ITEM_SCRIPT,          /* the file */
    EPHPM_ITEM_HOST_NAME,       /* for [HOST=] and [PATH=] of php.ini */
    EPHPM_ITEM_USER_INI_ROOT,   /* where .user.ini files begin; none: unread */
    EPHPM_ITEM_BODY_FILE,       /* the body is this file */
    EPHPM_ITEM_MORE_FILE,       /* the rest of the items is this file, which
                                 * the reader unlinks */
    EPHPM_ITEM_TEXT_LAST = 31,
    /* Numbers, signed, 8 bytes; one that is not there counts as 0. */
    EPHPM_ITEM_CONTENT_LENGTH,
    EPHPM_ITEM_PROTOCOL,        /* 1001: HTTP/1.1 */
    EPHPM_ITEM_STATUS,
    EPHPM_ITEM_TIME_US,         /* when the request arrived, since 1970 */
    EPHPM_ITEM_STORE,           /* index in the pool's list + 1; 0: none of
                                 * its own, a name finds one; -1: off */
    EPHPM_ITEM_SETTINGS,        /* the host's number for its settings */
    EPHPM_ITEM_FLAGS,           /* ephpm_snapshot_flag_t */
    EPHPM_ITEM_BODY_OFFSET,     /* in BODY_FILE */
    EPHPM_ITEM_BODY_BYTES,      /* in BODY_FILE; less in it: cut short */
    EPHPM_ITEM_NUMBER_LAST = 63,
    /* Pairs. */
    EPHPM_ITEM_VARIABLE,        /* of $_SERVER */
    EPHPM_ITEM_HEADER,          /* of the request */
    EPHPM_ITEM_RESPONSE_HEADER, /* that the server has set already */
    EPHPM_ITEM_NOTE,
    EPHPM_ITEM_INI,             /* a setting: ephpm_snapshot_setting() */
    EPHPM_ITEM_INI_FILE,        /* where the settings after it are written */
    EPHPM_ITEM_PAIR_LAST = 95,
    /* Bytes. */
    EPHPM_ITEM_BODY,            /* all of it */
    EPHPM_ITEM_LAST = 96
} ephpm_item_t;

typedef enum ephpm_snapshot_flag {
    EPHPM_SNAPSHOT_SHOW = 1,            /* the source, coloured */
    EPHPM_SNAPSHOT_HEAD = 2,            /* no body is wanted */
    EPHPM_SNAPSHOT_INTERIM = 4,         /* the client takes 1xx responses */
    EPHPM_SNAPSHOT_LAST_MODIFIED = 8,
    EPHPM_SNAPSHOT_FLUSH = 16           /* write() is to be passed on at once
                                         * (no buffering) */
} ephpm_snapshot_flag_t;

/* ------------------------------------------------------------------ */
/* Writing                                                             */

typedef struct ephpm_snapshot_writer {
    char *area;
    size_t room;
    size_t bytes;               /* filled in */
    const char *folder;         /* of the temporary file */
    const char *name;           /* its name there, unique */
    int file;                   /* -1: none yet */
    char *file_path;            /* malloc; NULL: none yet */
    int error;                  /* errno of the first failure, or 0 */
    /* Private. */
    size_t kept;                /* of `room`, for MORE_FILE */
    void *body;                 /* malloc: for the file */
    size_t body_bytes;
    const char *ini_file;       /* of the last setting, */
    int ini_line;
} ephpm_snapshot_writer_t;

/**
 * Begin.
 *
 * @param area    ephpm_job_request(), `room` bytes
 * @param folder  where a temporary file may be made: 0600, O_EXCL, O_NOFOLLOW
 * @param name    its name
 */
void ephpm_snapshot_begin(ephpm_snapshot_writer_t *writer, void *area,
                          size_t room, const char *folder, const char *name);

/** NULL is not written. */
void ephpm_snapshot_text(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                         const char *text);
/** The same with a length; a NUL within is an error (EILSEQ). */
void ephpm_snapshot_text_n(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                           const char *text, size_t length);
void ephpm_snapshot_number(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                           int64_t number);
void ephpm_snapshot_pair(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                         const char *name, const char *value);
void ephpm_snapshot_pair_n(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                           const char *name, size_t name_length,
                           const char *value, size_t value_length);

/** A setting of PHP for this request; as ephpm_ini_t of ephpm_sapi.h. */
typedef struct ephpm_setting {
    const char *name;
    const char *value;
    bool admin;
    bool htaccess;
    const char *file;           /* NULL: nowhere */
    int line;
} ephpm_setting_t;

void ephpm_snapshot_setting(ephpm_snapshot_writer_t *writer,
                            const ephpm_setting_t *setting);

/**
 * A body in memory: to be filled in, before ephpm_snapshot_end(), with
 * exactly `bytes`.  At most one.
 *
 * @return NULL: no memory, or over EPHPM_SNAPSHOT_BODY_MAX; ephpm_snapshot_end
 *         says so too
 */
#define EPHPM_SNAPSHOT_BODY_MAX (128u << 20)
void *ephpm_snapshot_body(ephpm_snapshot_writer_t *writer, size_t bytes);

/** How much of a body would still fit the area; what is longer goes to the
 * temporary file. */
size_t ephpm_snapshot_room(const ephpm_snapshot_writer_t *writer);

/**
 * End.
 * @return 0, or errno of what failed (a full disk): the job must not be
 *         submitted, and no file is left
 */
int ephpm_snapshot_end(ephpm_snapshot_writer_t *writer);

/** Due once the job is over, or when it was not submitted: removes the
 * temporary file if it is still there, and frees the rest. */
void ephpm_snapshot_discard(ephpm_snapshot_writer_t *writer);

/* ------------------------------------------------------------------ */
/* Reading                                                             */

typedef struct ephpm_pair {
    ephpm_item_t kind;
    const char *name;
    const char *value;
} ephpm_pair_t;

/** A request as it was read.  Strings point into the private copy. */
typedef struct ephpm_snapshot {
    const char *texts[EPHPM_ITEM_TEXT_LAST + 1];
    int64_t numbers[EPHPM_ITEM_NUMBER_LAST - EPHPM_ITEM_TEXT_LAST];
    ephpm_pair_t *pairs;        /* in their order */
    size_t pair_count;
    const char *body;
    size_t body_bytes;
    /* Private; kept between requests. */
    size_t pair_room;
    char *more;                 /* of MORE_FILE */
} ephpm_snapshot_t;

/** The number of that kind. */
int64_t ephpm_snapshot_get(const ephpm_snapshot_t *snapshot,
                           ephpm_item_t kind);

/** The next setting among the pairs.
 * @param at       0 to begin with
 * @param setting  zeroed to begin with
 * @return false: there is none */
bool ephpm_snapshot_setting_next(const ephpm_snapshot_t *snapshot, size_t *at,
                                 ephpm_setting_t *setting);

/**
 * Take it apart.
 *
 * @param snapshot  zeroed before its first use; reused afterwards
 * @param area      a private copy; it is changed by no one while `snapshot`
 *                  is used
 * @return NULL, or what is wrong, for the log
 */
const char *ephpm_snapshot_read(ephpm_snapshot_t *snapshot, const char *area,
                                size_t bytes);

/** Free what it keeps. */
void ephpm_snapshot_clear(ephpm_snapshot_t *snapshot);

#endif
