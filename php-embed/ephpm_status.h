/* ephpm_status.h - the status page: HTML, JSON and Prometheus's text.
 *
 * The host collects facts into an ephpm_status_t and hands it over together
 * with a function that takes the text:
 *
 *      query --> ephpm_status_query()     which of the three, or none
 *                ephpm_status_ask_php()   what PHP and opcache say
 *                ephpm_status_write()     text, piece by piece
 *
 * None of it needs a PHP request, takes a lock or changes anything.  Writing
 * knows no PHP: only ephpm_status_php.c does.
 *
 * Nothing that comes from outside is trusted to be free of `<` or quotes:
 * every string is escaped for where it stands.  Keys and values of a store
 * are never shown.
 */

#ifndef EPHPM_STATUS_H
#define EPHPM_STATUS_H

#include "ephpm_history.h"
#include "kv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ephpm_status_format {
    EPHPM_STATUS_HTML,
    EPHPM_STATUS_JSON,
    EPHPM_STATUS_METRICS,
    EPHPM_STATUS_BAD_QUERY
} ephpm_status_format_t;

/** What a query asks for. */
typedef struct ephpm_status_query {
    ephpm_status_format_t format;
    unsigned refresh_s;         /* of the page; 0: it stays as it is */
} ephpm_status_query_t;

/** One store. */
typedef struct ephpm_status_store {
    const char *name;
    const kv_store_t *handle;   /* NULL: this process could not attach */
    const ephpm_history_t *history;     /* NULL: none is kept */
} ephpm_status_store_t;

/** PHP. */
typedef struct ephpm_status_php {
    const char *version;
    const char *sapi;
    const char *ini_file;       /* NULL: none was read */
    const char *memory_limit;   /* the settings, as they are written */
    const char *max_execution_time;
} ephpm_status_php_t;

typedef enum ephpm_opcache_state {
    EPHPM_OPCACHE_ON,
    EPHPM_OPCACHE_OFF,          /* not loaded, or switched off */
    EPHPM_OPCACHE_SILENT        /* opcache.restrict_api, disable_functions */
} ephpm_opcache_state_t;

/** opcache, by its own account. */
typedef struct ephpm_status_opcache {
    ephpm_opcache_state_t state;
    bool full;
    bool restart_pending;
    bool restart_in_progress;
    uint64_t used_bytes;
    uint64_t free_bytes;
    uint64_t wasted_bytes;
    uint64_t strings_limit_bytes;
    uint64_t strings_used_bytes;
    uint64_t strings;
    uint64_t scripts;
    uint64_t keys;
    uint64_t keys_max;
    uint64_t hits;
    uint64_t misses;
    uint64_t restarts_memory;
    uint64_t restarts_keys;
    uint64_t restarts_manual;
    bool jit_on;
    uint64_t jit_limit_bytes;
    uint64_t jit_free_bytes;
} ephpm_status_opcache_t;

/** The processes that serve requests.  All 0 beside runners: not told of. */
typedef struct ephpm_status_workers {
    unsigned limit;             /* at most so many at a time; 0: not known */
    unsigned idle;
    unsigned starting;
    /* Busy: */
    unsigned reading;           /* the request */
    unsigned working;           /* running a script, sending a response */
    unsigned keepalive;         /* waiting for the client's next request */
    unsigned closing;           /* logging, closing the connection */
    unsigned finishing;         /* a last request, before they end */
} ephpm_status_workers_t;

/** The processes that run scripts beside the server's. */
typedef struct ephpm_status_runners {
    unsigned limit;             /* so many there are to be */
    unsigned alive;
    unsigned busy;
    unsigned queued;            /* requests that wait for one */
    unsigned queue_limit;
    bool failed;                /* PHP does not start */
    /* Since the configuration was read: */
    uint64_t requests;
    uint64_t crashes;           /* runners that died */
    uint64_t timeouts;          /* were ended: a script ran for too long */
    uint64_t recycled;          /* left after their number of requests */
    uint64_t slow;              /* traces in the slow log */
    uint64_t refused;           /* requests: the queue was full */
    uint64_t expired;           /* waited for too long */
    uint64_t queue_us;          /* requests have waited, together */
} ephpm_status_runners_t;

/** A listener for Redis's protocol; figures since its process began. */
typedef struct ephpm_status_resp {
    const char *address;
    const char *store;          /* its name */
    uint64_t clients;           /* connected now */
    uint64_t connections;
    uint64_t commands;
    uint64_t errors;            /* commands answered with one */
    uint64_t protocol_errors;   /* connections closed for one */
    uint64_t auth_failures;     /* wrong passwords */
    uint64_t drops;             /* connections that left too much unread */
    uint64_t input_bytes;
    uint64_t output_bytes;
} ephpm_status_resp_t;

/** All that is told.  Strings are the host's and not NULL, but where that is
 * said. */
typedef struct ephpm_status {
    const char *version;        /* ours */
    const char *server;         /* "Apache/2.4.71 (Debian)" */
    const char *site;           /* the name that was asked for */
    const char *own_store;      /* of this site, or NULL */
    int64_t now_s;              /* since 1970 */
    int64_t restarted_s;        /* when the configuration was read */
    const ephpm_status_store_t *stores;
    size_t store_count;
    ephpm_status_php_t php;
    ephpm_status_opcache_t opcache;
    ephpm_status_workers_t workers;
    const ephpm_status_runners_t *runners;      /* NULL: PHP runs in line */
    const ephpm_status_resp_t *resp;
    size_t resp_count;
    /** Pass the PHP extensions that are loaded; `version` may be NULL. */
    void (*each_extension)(const struct ephpm_status *status,
                           void (*pass)(void *to, const char *name,
                                        const char *version), void *to);
    const void *extensions;     /* what it goes by, if it needs anything */
} ephpm_status_t;

/** Takes some text. */
typedef void (*ephpm_status_write_fn)(void *to, const char *text,
                                      size_t bytes);

/**
 * Read a query string.
 *
 *      (nothing)       the page
 *      refresh=N       the page, loaded anew every N seconds, 1 to 3600
 *      json, metrics   with nothing or `=` after it
 *
 * Parts stand between `&`; a part that is none of these, or two of them that
 * contradict each other, make it a bad query.
 *
 * @param query  NULL: none
 */
ephpm_status_query_t ephpm_status_query(const char *query);

/** What a bad query is answered, as text/plain. */
extern const char ephpm_status_bad_query[];

/** The value of Content-Type. */
const char *ephpm_status_type(ephpm_status_format_t format);

/** Content-Security-Policy for all of it: nothing is loaded, nothing runs. */
extern const char ephpm_status_policy[];

/** Write it.  Not for EPHPM_STATUS_BAD_QUERY. */
void ephpm_status_write(const ephpm_status_t *status,
                        const ephpm_status_query_t *query,
                        ephpm_status_write_fn write, void *to);

/* ------------------------------------------------------------------ */
/* What PHP says (ephpm_status_php.c)                                  */

/** Fill in `php`, `opcache` and `each_extension`.  In a process that runs
 * scripts, inside of a request or outside. */
void ephpm_status_ask_php(ephpm_status_t *status);

#endif
