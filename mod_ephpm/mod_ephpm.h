/* mod_ephpm.h - what the module's own sources share.
 *
 *   mod_ephpm.c        the module record, hooks, start and stop of PHP
 *   ephpm_config.c     directives, their merging and checking
 *   ephpm_handler.c    requests: the handler; scripts in line (prefork)
 *   ephpm_submit.c     requests that go to a runner (event, worker)
 *   ephpm_output.c     what a runner writes, on its way to the client
 *   ephpm_response.c   what both have in common: headers, status, body
 *   ephpm_runners.c    the job table, and the spawner
 *   ephpm_resp.c       EphpmResp: its lines and listeners
 *   ephpm_resp_helper.c  the process that serves them
 *   ephpm_watched.c    the lives of that one and of the spawner, in the parent
 *   ephpm_process.c    what the two leave of httpd's
 *   ephpm_store.c      stores: creation, keeping them over a restart
 *   ephpm_socache.c    httpd's own caches in a store
 *   ephpm_functions.c  the functions that scripts have under httpd alone
 *   ephpm_status_httpd.c  the status page
 *
 * Terms: the *parent* reads the configuration and creates the stores; its
 * *children* serve requests.  Under prefork the parent starts PHP, and
 * children run the scripts *in line*.  Under a threaded MPM the parent starts
 * a spawner instead (php-embed/ephpm_pool.h), and children hand requests to
 * its runners.  httpd reads its configuration twice when it starts and once
 * at each restart, and unloads the module before each reading; a *pass* is
 * one reading.
 */

#ifndef MOD_EPHPM_H
#define MOD_EPHPM_H

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <apr_thread_mutex.h>

#include "ephpm_ext.h"
#include "ephpm_history.h"
#include "ephpm_jobs.h"
#include "ephpm_sapi.h"

/* The one symbol that the module exports. */
extern __attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA ephpm_module;

/* ------------------------------------------------------------------ */
/* Configuration (ephpm_config.c)                                      */

/** Of a directory: the four php_ directives, EphpmUserIni, and how output of
 * runners is kept for clients. */
typedef struct ephpm_dir_config {
    apr_array_header_t *ini;    /* ephpm_ini_t, one for each name */
    enum { USER_INI_UNSAID, USER_INI_OFF, USER_INI_ON } user_ini;
    enum { BUFFERING_UNSAID, BUFFERING_OFF, BUFFERING_ON } buffering;
    apr_off_t temp_file_bytes;  /* EphpmMaxTempFileSize; -1: not said */
} ephpm_dir_config_t;

/** Of a virtual host: EphpmKv. */
typedef struct ephpm_server_config {
    const char *kv_name;        /* NULL: not said */
    const char *kv_where;       /* file and line, for messages */
    bool kv_off;
    int store;                  /* its index, or -1; set by the check */
} ephpm_server_config_t;

/** Of the runners: a threaded MPM's. */
typedef struct ephpm_runner_settings {
    unsigned processes;         /* EphpmProcesses */
    int queue;                  /* EphpmQueue; -1: not said */
    unsigned queue_ms;          /* EphpmQueueTimeout */
    unsigned terminate_ms;      /* EphpmRequestTerminateTimeout; 0: never */
    const char *slowlog;        /* EphpmSlowLog's file, or NULL ... */
    unsigned slowlog_ms;        /* ... and time */
    unsigned max_requests;      /* EphpmMaxRequests; 0: no end */
    const char *temp_path;      /* EphpmTempPath, or NULL */
    /** Where each of these directives is used (ephpm_said_t), for who has
     * prefork. */
    apr_array_header_t *said;
} ephpm_runner_settings_t;

typedef struct ephpm_said {
    const char *directive;
    const char *where;
} ephpm_said_t;

/** Of the whole server, anew in each pass. */
typedef struct ephpm_settings {
    const char *ini_path;       /* PHPIniDir, or NULL */
    apr_array_header_t *stores; /* ephpm_store_t */
    apr_array_header_t *ini;    /* ephpm_ini_t: every one, for its check */
    apr_array_header_t *resp;   /* ephpm_resp_line_t (ephpm_resp.h) */
    ephpm_runner_settings_t runners;
} ephpm_settings_t;

extern ephpm_settings_t ephpm_settings;
extern const command_rec ephpm_directives[];

void *ephpm_dir_config_create(apr_pool_t *pool, char *directory);
void *ephpm_dir_config_merge(apr_pool_t *pool, void *base, void *add);
void *ephpm_server_config_create(apr_pool_t *pool, server_rec *server);
void *ephpm_server_config_merge(apr_pool_t *pool, void *base, void *add);

/** Forget the last pass. */
void ephpm_settings_reset(apr_pool_t *pconf);

/** Find what no single directive can: says why and returns false. */
bool ephpm_settings_check(server_rec *server);

/** Name in the log what PHP will not take.  PHP has been started. */
void ephpm_settings_check_ini(void);

/** A PHP setting that this directory has as a flag, or `otherwise`. */
bool ephpm_dir_flag(const ephpm_dir_config_t *config, const char *name,
                    bool otherwise);

/* ------------------------------------------------------------------ */
/* Stores (ephpm_store.c)                                              */

typedef struct ephpm_store {
    const char *name;
    const char *where;          /* file and line, for messages */
    size_t size_bytes;
    kv_config_t config;
    const char *user;           /* a host whose scripts use it, or NULL */
    void *memory;               /* since post_config */
    ephpm_history_t *history;   /* shared, since post_config */
    kv_store_t *handle;         /* in a child: see ephpm_stores_attach() */
    apr_thread_mutex_t *lock;   /* of the handle; NULL: one thread has it */
} ephpm_store_t;

/** EphpmStore. */
const char *ephpm_store_directive(cmd_parms *cmd, void *unused, int argc,
                                  char *const argv[]);

/** @return the index of a store, or -1 */
int ephpm_store_index(const char *name);

/**
 * Take over or create the memory of each store, in the parent.  One that has
 * the same name, size, options and layout as before is kept.
 *
 * @return OK, or an HTTP error: said why in the log
 */
int ephpm_stores_open(apr_pool_t *ptemp, server_rec *server);

/**
 * Attach a child to each store, in its main thread.
 *
 * A child has one handle of a store.  A handle belongs to the thread that
 * attached it, for its place in the store is free once that thread has ended;
 * the main thread lives as long as the child.  Under a threaded MPM other
 * threads use the handle too, for httpd's own caches: between
 * ephpm_store_lock() and ephpm_store_unlock().  A handle for each thread would
 * spare them the mutex, but takes as many places in the store as the server
 * has threads.  What only loads (kv_store_stats()) needs no lock.
 */
void ephpm_stores_attach(apr_pool_t *pchild, server_rec *server);
void ephpm_stores_detach(void);

/** The name of a host whose scripts use the store with that index, or NULL:
 * the store is httpd's own. */
const char *ephpm_store_user(int index);
void ephpm_store_set_user(int index, const char *host);

/** This child's handle of the store with that index; NULL: not attached. */
kv_store_t *ephpm_store_handle(int index);

/** The same, for this thread alone until ephpm_store_unlock(), which is due
 * if it is not NULL. */
kv_store_t *ephpm_store_lock(int index);
void ephpm_store_unlock(int index);

/** Offer httpd's modules a place for their caches (ephpm_socache.c). */
void ephpm_socache_register(apr_pool_t *pconf);

/** For the extension: see ephpm_store_lookup_fn. */
kv_store_t *ephpm_store_lookup(const char *name);

/* ------------------------------------------------------------------ */
/* Requests (ephpm_handler.c)                                          */

extern const ephpm_server_t ephpm_httpd;

int ephpm_handler(request_rec *r);

/** The request that the script that runs in line talks to, or NULL. */
request_rec *ephpm_current_request(void);

/** Under which of httpd's modules PHP's own log lines go: `php`, which
 * LogLevel and those who read logs know. */
int ephpm_php_log_index(void);
#define EPHPM_PHP_LOG_MARK __FILE__, __LINE__, ephpm_php_log_index()

/** Log a message of PHP's.
 * @param r         NULL: outside of requests
 * @param priority  as syslog's; -1 unknown */
void ephpm_php_log(request_rec *r, int priority, const char *message);

/** The server, for log lines outside of requests. */
extern server_rec *ephpm_main_server;

/* ------------------------------------------------------------------ */
/* Responses and bodies (ephpm_response.c)                             */

/** A script's response. */
typedef struct ephpm_response {
    request_rec *r;
    const char *content_type;
} ephpm_response_t;

/** Forget what is not this response's (ETag, ...). */
void ephpm_response_begin(ephpm_response_t *response, request_rec *r);

/** What the script does to a header. */
void ephpm_response_header(ephpm_response_t *response, ephpm_header_op_t op,
                           const char *name, const char *value);

/** The headers are complete.
 * @param reason  the script's own reason phrase, or NULL */
void ephpm_response_status(ephpm_response_t *response, int status,
                           const char *reason);

/** Send an interim response with the headers so far.
 * @return false: not to this client */
bool ephpm_response_interim(request_rec *r, int status);
bool ephpm_response_takes_interim(const request_rec *r);

/** Pass the end of the response on. */
void ephpm_response_end(request_rec *r);

/** A request's body.  Zero all but `r`. */
typedef struct ephpm_body {
    request_rec *r;
    apr_bucket_brigade *brigade;
    apr_size_t bytes;           /* read so far */
    apr_status_t error;         /* why it ended too early */
    int answer;                 /* what httpd wants to answer to that; or OK */
    bool ended;
    bool in_script;             /* a refusal may run an ErrorDocument */
} ephpm_body_t;

/** Read, waiting for the client.
 * @return fewer than asked for only at the body's end */
size_t ephpm_body_read(ephpm_body_t *body, char *buffer, size_t size_bytes);

/** @return an HTTP status to refuse the request with, or OK */
int ephpm_body_refused(const ephpm_body_t *body);

/** What Content-Length says; 0: nothing, or nothing sensible. */
int64_t ephpm_body_length(const request_rec *r);

/** Is it beyond LimitRequestBody, by what it says itself?  Logged. */
bool ephpm_body_too_large(const request_rec *r);

/* ------------------------------------------------------------------ */
/* Runners (ephpm_runners.c)                                           */

/** Is this a threaded MPM? */
bool ephpm_threaded(void);

/** This cycle's job table; NULL where scripts run in line. */
extern ephpm_jobs_t *ephpm_jobs;

/** Where temporary files go. */
const char *ephpm_temp_path(void);

/** Is the server about to end this process at once? */
bool ephpm_child_stopping(void);

/**
 * Make the job table, in the parent.
 * @return OK, or an HTTP error: said why in the log
 */
int ephpm_runners_make(apr_pool_t *pconf, server_rec *server);

/** Start the spawner, in the parent, when nothing can fail any more. */
int ephpm_runners_start(apr_pool_t *pconf);

/** In the parent, every few seconds (httpd's monitor hook). */
void ephpm_runners_look(void);

/** Take the child's place as a submitter, in its main thread. */
void ephpm_runners_attach(server_rec *server);
void ephpm_runners_detach(void);

void ephpm_runners_child_stopping(apr_pool_t *pchild, int graceful);

/** What php.ini says of `engine` or `xbithack`; waits for PHP to start. */
bool ephpm_runners_flag(const char *name);

/* ------------------------------------------------------------------ */
/* Redis's protocol (ephpm_resp.c, ephpm_resp_helper.c)                */

/** No lines yet. */
apr_array_header_t *ephpm_resp_lines(apr_pool_t *pconf);

/** EphpmResp. */
const char *ephpm_resp_directive(cmd_parms *cmd, void *unused, int argc,
                                 char *const argv[]);

/** Find each line's store: says why not and returns false. */
bool ephpm_resp_check(server_rec *server);

/**
 * Open the listeners, or take over those of before, in the parent.
 * @return OK, or an HTTP error: said why in the log
 */
int ephpm_resp_open(apr_pool_t *pconf, server_rec *server);

/** Start the helper, in the parent, when nothing can fail any more. */
int ephpm_resp_start(apr_pool_t *pconf);

/** In the parent, every few seconds (httpd's monitor hook). */
void ephpm_resp_look(void);

/** In other processes: close the listeners, wipe the passwords. */
void ephpm_resp_forget(void);

/* ------------------------------------------------------------------ */
/* Processes of the parent's (ephpm_watched.c, ephpm_process.c)        */

/** A kind of process, of which each cycle has one. */
typedef struct ephpm_watched {
    const char *name;           /* "the spawner of PHP's processes" */
    const char *retained_key;   /* of httpd's; its number is its layout's */
    /* So many deaths in a row, each within five seconds, are followed by
     * another process at once; then it pauses, up to 32 seconds. */
    unsigned deaths_at_once;
    bool signals_count;         /* a death by a signal is one of these */
    /* In the process; does not return.
     * @param pause_s  to be spent before anything else */
    void (*run)(apr_pool_t *pconf, server_rec *server, pid_t parent,
                unsigned pause_s);
    /* Of this cycle; 0 at first. */
    struct ephpm_watched_place *place;
    apr_pool_t *pconf;
    pid_t parent;
    apr_time_t started_at;      /* its pause included */
    unsigned early_deaths;
    bool missing;               /* it could not be forked */
} ephpm_watched_t;

/** A cycle begins; to be called before the others. */
void ephpm_watched_begin(ephpm_watched_t *watched, apr_pool_t *pconf);

/** Start this cycle's, and watch it until pconf is cleared.
 * @return OK, or an HTTP error: said why in the log */
int ephpm_watched_start(ephpm_watched_t *watched);

/** Now and then: try again to start what could not be forked. */
void ephpm_watched_look(ephpm_watched_t *watched);

/** Have those of earlier cycles leave when their work is done (SIGQUIT). */
void ephpm_watched_dismiss(ephpm_watched_t *watched);

/**
 * After the fork, in a process that is none of httpd's children: leave
 * signals, session, descriptors, scoreboard and the privileges of root behind.
 *
 * @param kept  descriptors to keep, beside the error log's
 * @return false: the privileges cannot be dropped
 */
bool ephpm_process_leave(apr_pool_t *pconf, server_rec *server,
                         const int *kept, int count);

/* ------------------------------------------------------------------ */
/* Requests to runners (ephpm_submit.c)                                */

/** Have a runner serve the request.
 * @param show  the source, coloured
 * @return as a handler does */
int ephpm_submit(request_rec *r, const ephpm_dir_config_t *config, bool show);

/* ------------------------------------------------------------------ */
/* The status page (ephpm_status_httpd.c)                              */

int ephpm_status_handler(request_rec *r);

/** After each request: look at the stores for the page's graphs, once a
 * second. */
int ephpm_status_sample(request_rec *r);

/* ------------------------------------------------------------------ */
/* Functions (ephpm_functions.c)                                       */

/** PHP's view of the module: functions and INI settings. */
extern zend_module_entry ephpm_apache_entry;

/** What php.ini says of these, where PHP runs in this process; in the midst of
 * a script, what they are there. */
typedef struct ephpm_flags {
    bool engine;
    bool xbithack;
    bool last_modified;
} ephpm_flags_t;

extern ephpm_flags_t ephpm_flags;

#endif
