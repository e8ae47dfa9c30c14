/* ephpm_pool_private.h - what spawner and runners share. */

#ifndef EPHPM_POOL_PRIVATE_H
#define EPHPM_POOL_PRIVATE_H

#include "ephpm_pool.h"
#include "ephpm_slowlog.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

/* How a process of the pool ends; a runner that leaves ends with 0. */
enum {
    EPHPM_EXIT_PLACE = 69,      /* EX_UNAVAILABLE: somebody has its place */
    EPHPM_EXIT_SYSTEM = 71,     /* EX_OSERR */
    EPHPM_EXIT_PHP = 78         /* EX_CONFIG: PHP does not start */
};

/* Shared by a spawner and its descendants. */
typedef struct ephpm_pool_shared {
    _Atomic uint32_t started;           /* PHP has */
    struct ephpm_pool_place {
        ephpm_bell_t bell;
        _Atomic uint32_t worked;        /* who is there has taken a job */
    } places[];                         /* one for each runner */
} ephpm_pool_shared_t;

/* ------------------------------------------------------------------ */
/* Processes (ephpm_pool_process.c)                                    */

/** Undo what the server has made of signals; which are blocked stays. */
void ephpm_process_signals(void);

/** Let all of them through, from now on. */
void ephpm_process_unblock(void);

/** SIGHUP, SIGINT, SIGUSR1 and SIGUSR2 are the server's; but programs that
 * this process executes hear them. */
void ephpm_process_deaf(void);

/** What it hears them with. */
void ephpm_process_hear_nothing(int number);

/** "SIGSEGV", or "signal 35". */
const char *ephpm_signal_name(int number, char *buffer, size_t room);

/** What comes from shared memory, or a client, is one line in a log. */
void ephpm_text_tidy(char *text);

/** Format, and log through pool->log. */
void ephpm_pool_log(const ephpm_pool_t *pool, int priority,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ------------------------------------------------------------------ */
/* Runners (ephpm_runner.c, ephpm_runner_host.c)                       */

/** Finds stores, for the extension `ephpm`. */
kv_store_t *ephpm_runner_store(const char *name);

/** The table of calls that PHP is started with. */
const ephpm_server_t *ephpm_runner_server(const ephpm_pool_t *pool);

/**
 * Be the runner at `index`: after the fork from the process that has started
 * PHP, `spawner`.
 */
_Noreturn void ephpm_runner_run(const ephpm_pool_t *pool,
                                ephpm_pool_shared_t *shared, unsigned index,
                                pid_t spawner);

/** A response's head on its way: what the script has done to headers. */
typedef struct ephpm_head {
    char *ops;                  /* op, name NUL, value NUL, ... */
    size_t bytes;
    size_t room;
    bool refused;               /* some were too many */
} ephpm_head_t;

/** A runner's request, from its taking to its end. */
typedef struct ephpm_run {
    const ephpm_pool_t *pool;
    ephpm_task_t task;
    ephpm_snapshot_t snapshot;
    bool active;                /* between taking and finishing */
    int64_t flags;
    struct stat script;
    bool script_known;
    /* Body: */
    size_t body_at;             /* how much of it was read */
    int body_file;              /* -1: it is in the snapshot */
    off_t body_offset;
    size_t body_bytes;
    /* Response: */
    ephpm_head_t head;
    ephpm_job_end_t end;
    uint64_t cpu_us;            /* the thread's, when it began */
    /* What the script has set: */
    ephpm_pair_t *sent;
    size_t sent_count;
    size_t sent_room;
} ephpm_run_t;

extern ephpm_run_t ephpm_run;

/** CPU time of this thread, in microseconds. */
uint64_t ephpm_thread_cpu_us(void);

/** Fill in `end`, as of now. */
void ephpm_run_end(ephpm_run_t *run);

/** Log a line with the request, or where it is without one. */
void ephpm_run_log(ephpm_run_t *run, int priority, const char *message);

/** Find the body. @return NULL, or what is wrong with it, for the log */
const char *ephpm_run_body(ephpm_run_t *run);

/** Forget response, body and pairs of the request that has ended. */
void ephpm_run_clear(ephpm_run_t *run);

/** Note a header's change, as ephpm_jobs.h has it for HEAD frames.
 * @return false: too many, or no memory */
bool ephpm_head_change(ephpm_head_t *head, ephpm_header_op_t op,
                       const char *name, const char *value);

/** Send them as a HEAD or INTERIM frame.  @return as ephpm_task_write() */
bool ephpm_head_send(const ephpm_head_t *head, ephpm_task_t *task,
                     ephpm_frame_type_t type, int status, const char *reason);

#endif
