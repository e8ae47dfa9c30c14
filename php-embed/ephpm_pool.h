/* ephpm_pool.h - runners and their spawner: the processes.
 *
 *     the server's parent
 *       `-- spawner             holds the place; no listeners
 *             `-- brood         starts PHP, forks, replaces
 *                   |-- runner  one script at a time
 *                   `-- runner
 *
 * The host forks a process, drops its privileges there and calls
 * ephpm_spawner_run(), which does not return.  It forks the process that
 * starts PHP, and runners are forked from that one: PHP has been started
 * once, and opcache's memory is one for all of them.
 *
 * The spawner leaves when its supervisor and all submitters of its cycle are
 * gone, or when it is told to (SIGTERM: at once, runners end after their
 * script, at the latest after `stop_ms`; SIGQUIT: once no submitter is left).
 * Runners outlive a dead spawner, and serve until a new one's are there or no
 * submitter lives.
 *
 * What a script gets is the response's END; what the server gets besides:
 *
 *      HEAD 500 without a header, and a LOG line: the job could not be run
 *          (a broken snapshot, a body's file that is gone)
 *      READ_CRASHED, READ_KILLED: see ephpm_jobs.h
 */

#ifndef EPHPM_POOL_H
#define EPHPM_POOL_H

#include "ephpm_jobs.h"
#include "ephpm_sapi.h"
#include "ephpm_snapshot.h"

#include "kv.h"

#include <sys/types.h>

/** A store that scripts may use; attached by each runner. */
typedef struct ephpm_pool_store {
    const char *name;
    void *memory;
    size_t size_bytes;
} ephpm_pool_store_t;

/** What the host says of its runners.  Made before the fork; lives as long as
 * the processes. */
typedef struct ephpm_pool {
    ephpm_jobs_t *jobs;
    const char *sapi_name;              /* "fpm-fcgi", "apache2handler" */
    const char *sapi_title;
    const char *ini_path;               /* php.ini or its directory; NULL */
    zend_module_entry *const *modules;
    int module_count;
    const ephpm_pool_store_t *stores;
    unsigned store_count;
    const char *process_title;          /* "nginx: ephpm runner"; "runner" in
                                         * it becomes "spawner" for those */
    bool php_answers;                   /* to a script that is not there or
                                         * may not be read: PHP's own errors
                                         * (httpd has looked before); else
                                         * 404 and 403 as php-fpm's */
    const char *temp_path;              /* swept by the spawner; NULL: none */
    /* The two time-outs are for responses, as with php-fpm: what a script
     * does after fastcgi_finish_request() may take its time. */
    const char *slowlog;                /* file; NULL: none.  Written by the
                                         * runners' user, 0600 */
    unsigned slowlog_ms;                /* 0: none */
    unsigned terminate_ms;              /* request_terminate_timeout; 0 */
    unsigned max_requests;              /* of a runner; 0: no end */
    unsigned stop_ms;                   /* how long scripts may run on when
                                         * the spawner leaves */
    pid_t supervisor;                   /* getppid() of the spawner while its
                                         * supervisor lives; 0: none */
    /** The settings with that number, in a runner; NULL: by value only.
     * Those by value come after them, and .user.ini's last.
     * @return NULL: no such number, and the job is refused */
    const ephpm_ini_t *(*settings)(uint32_t number, size_t *count);
    /** Log a line outside of requests, in spawner and runners; at times in
     * another thread.
     * @param priority  syslog's */
    void (*log)(int priority, const char *message);
    /** In the spawner, and again in each runner, after the fork: close what
     * is the server's.  NULL: nothing. */
    void (*after_fork)(void);
    /** Called once PHP has started, in the spawner: INI checks.  NULL. */
    void (*started)(void);
} ephpm_pool_t;

/**
 * Be the spawner.  Privileges are dropped already, signals are as the server
 * left them.  Never returns: ends the process with 0 when it was told to
 * leave, 69 when another spawner lives.
 *
 * Where PHP does not start the reason is in the log, the pulse says FAILED
 * and it is tried again, after 1, 2, 4 ... 60 seconds, in a fresh child each
 * time: a half-started PHP is not started twice.
 */
_Noreturn void ephpm_spawner_run(const ephpm_pool_t *pool);

/** Of the runner that calls it: the request, for the functions of a host's own extension.  NULL outside of
 * requests and outside of runners. */
const ephpm_snapshot_t *ephpm_runner_snapshot(void);

/** Send a note (EPHPM_FRAME_NOTE) or variable (EPHPM_FRAME_ENV) home, and
 * remember it for ephpm_runner_pair(). */
bool ephpm_runner_send_pair(ephpm_frame_type_t type, const char *name,
                            const char *value);

/** A note, variable or header of the request by its name (headers: whatever
 * its case), as it is by now, or NULL. */
const char *ephpm_runner_pair(ephpm_item_t kind, const char *name);

/* ------------------------------------------------------------------ */
/* What a host's other processes may want as well (ephpm_pool_process.c) */

/** No core of ours is anybody else's to read, whatever the server wanted. */
void ephpm_process_private(void);

/**
 * Call the process so, for ps and top.
 *
 * @param title  its command line, as far as there is room for it without
 *               touching the environment; NULL: stays
 * @param name   at most 15 characters
 */
void ephpm_process_title(const char *title, const char *name);

#endif
