/* ephpm_jobs.h - the job table: requests on their way to a runner and back.
 *
 * A *submitter* (an nginx worker, a child of httpd's event or worker MPM) has
 * requests and wants answers; a *runner* is a process that runs one PHP
 * script at a time; a *spawner* starts and replaces runners.  They meet in
 * one table in shared memory, made before any of them is forked, one table
 * for each *cycle* (one loading of the server's configuration).
 *
 *     submitter                      table                        runner
 *     claim .. fill .. submit --> | slot | slot | ... | --> take (lowest
 *                                                            ticket first)
 *     read <----------------------- ring of the runner <---- write
 *     release                                                finish
 *
 *   +---------------+-------+-------+-------+-------+-------+-------+
 *   | header, facts | lives | calls | bells | words | slots | rings |
 *   +---------------+-------+-------+-------+-------+-------+-------+
 *     pulse, ticket,  spawner, a sub-  a     8 bytes 33 KiB  2 for each
 *     counters        runners, mitter's runner's     a slot  each    runner
 *                     submitters
 *
 * A slot's word
 *
 *    63        32 31      16 15      6     5          4       3     0
 *   +------------+----------+---------+-----------+-----------+-------+
 *   |   ticket   | submitter| runner  | R: runner | S: subm.  | state |
 *   +------------+----------+---------+-----------+-----------+-------+
 *
 * is the whole truth, and every change compares and swaps all of it.
 *
 *   FREE --claim--> FILLING --submit--> READY --take--> RUNNING --> ENDING
 *                                                       |    \ answered   |
 *                                            time-out   |     ANSWERED -> DONE
 *                                            KILLED <---+     (output dropped)
 *                                            CRASHED: the runner died in it
 *
 * ENDING is for a runner that has all of the answer and still gives back its
 * memory: the submitter need not wait for that, and a runner at it counts as
 * one that is free.
 *
 * J1  S is set by claim and cleared by the submitter's release (or, when it
 *     has died, by the spawner or by its successor); R is set by take and
 *     cleared when the runner has finished (or by the spawner, when it has
 *     died).  Whoever clears the last of the two stores FREE.
 * J2  While S or R is set nobody claims the slot: so output of one job never
 *     reaches another's client.
 * J3  A ring is written by its runner alone and read by the submitter alone
 *     whose slot and ticket it bears.  A runner begins a ring only if the
 *     slot that the ring bears has another ticket by now, or no S.
 * J4  Slots hold no pointers.  Every length and index from shared memory is
 *     copied once and then clamped.
 * J5  Tickets are dealt at claim, rise by one and are compared modulo 2^32.
 *     A runner takes the READY slot with the lowest.
 * J6  Nobody waits for longer than EPHPM_LOOK_AGAIN_MS without looking again
 *     at the word and at the other party's life.
 * ephpm_jobs_check() returns the first that is broken.
 *
 * A root parent makes the table and from then on neither locks nor follows
 * anything in it.
 *
 * Nothing here knows PHP or a server.  Linux's futexes and eventfds are
 * behind kv_futex.h and ephpm_event.h.
 */

#ifndef EPHPM_JOBS_H
#define EPHPM_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EPHPM_RUNNERS_MAX 1000u
#define EPHPM_SUBMITTERS_MAX 4096u
#define EPHPM_QUEUE_MAX 65536u
#define EPHPM_REQUEST_BYTES 32768u      /* a slot's request area */
#define EPHPM_RING_BYTES 65536u
#define EPHPM_LOOK_AGAIN_MS 100
#define EPHPM_LOG_LINE_BYTES 2048u      /* longer messages are split */
#define EPHPM_HEAD_BYTES_MAX (1u << 20) /* a response's headers together */

typedef enum ephpm_job_state {
    EPHPM_JOB_FREE,
    EPHPM_JOB_FILLING,
    EPHPM_JOB_READY,        /* waits for a runner */
    EPHPM_JOB_RUNNING,
    EPHPM_JOB_ANSWERED,     /* the response is complete, the script runs on */
    EPHPM_JOB_ENDING,       /* ... and so is the script */
    EPHPM_JOB_DONE,
    EPHPM_JOB_KILLED,       /* ran for longer than it may */
    EPHPM_JOB_CRASHED       /* its runner died */
} ephpm_job_state_t;

/** How large a table is to be. */
typedef struct ephpm_jobs_config {
    unsigned runners;       /* 1 to EPHPM_RUNNERS_MAX */
    unsigned queue;         /* jobs that may wait while every runner is busy;
                             * 0 to EPHPM_QUEUE_MAX */
    unsigned submitters;    /* 1 to EPHPM_SUBMITTERS_MAX */
    bool events;            /* submitters are woken by eventfds; else each
                             * waits with ephpm_job_wait() */
} ephpm_jobs_config_t;

/** A process's own view of a table. */
typedef struct ephpm_jobs ephpm_jobs_t;

/**
 * Make a table: maps shared memory and, with `events`, opens an eventfd for
 * each submitter (close-on-exec).  Before the processes that use it are
 * forked; they inherit the view.
 *
 * @return NULL: errno says why (EINVAL: out of range)
 */
ephpm_jobs_t *ephpm_jobs_make(const ephpm_jobs_config_t *config);

/** Unmap it, in this process; it must have no place in it. */
void ephpm_jobs_free(ephpm_jobs_t *jobs);

/** Of its making. */
const ephpm_jobs_config_t *ephpm_jobs_config(const ephpm_jobs_t *jobs);

/** The first of J1-J5 that is broken ("J2: ..."), or NULL.  Nobody may change
 * the table meanwhile, or false alarms follow. */
const char *ephpm_jobs_check(const ephpm_jobs_t *jobs);

/* ------------------------------------------------------------------ */
/* Submitters                                                          */

/**
 * Take a submitter's place, for the calling thread's lifetime.  First
 * abandons the jobs of whoever died there.
 *
 * @param index  below config.submitters; -1: any that is free
 * @return the index, or -1: somebody alive has it, or none is free
 */
int ephpm_submitter_attach(ephpm_jobs_t *jobs, int index);

/** Release every job that is left, and the place. */
void ephpm_submitter_detach(ephpm_jobs_t *jobs);

/** The eventfd to wait for reading on, or -1. */
int ephpm_submitter_fd(const ephpm_jobs_t *jobs);

/** To be called when the eventfd is readable, before the jobs are looked at:
 * what comes afterwards makes it readable again.  And, with all jobs read
 * whatever ephpm_job_news() says, every EPHPM_LOOK_AGAIN_MS while there are
 * jobs (J6): it is here that a runner which died without a spawner is found.
 */
void ephpm_submitter_awake(ephpm_jobs_t *jobs);

typedef enum ephpm_claim {
    EPHPM_CLAIMED,
    EPHPM_CLAIM_FULL,       /* as many wait as the queue holds */
    EPHPM_CLAIM_STARTING,   /* no runner has been ready yet in this cycle:
                             * try again, after the next event at the latest
                             * after EPHPM_LOOK_AGAIN_MS */
    EPHPM_CLAIM_DOWN        /* no runner and no spawner, or PHP does not
                             * start */
} ephpm_claim_t;

/** A job, in its submitter's private memory.  Zero it before its use. */
typedef struct ephpm_job {
    ephpm_jobs_t *jobs;
    uint64_t word;              /* as claimed: slot's ticket and submitter */
    uint32_t slot;
    /* Reading: */
    uint32_t ring;              /* + 1; 0: not known yet */
    uint32_t tail;              /* read up to there */
    uint32_t frame_left;        /* bytes of the BODY frame in hand */
    uint32_t frame_pad;         /* that follow them */
    uint32_t seen_news;
    uint32_t gathered_type;
    char *gathered;             /* malloc: a frame that came in parts */
    size_t gathered_bytes;
    size_t gathered_room;
    bool ended;                 /* EPHPM_FRAME_END was passed on */
} ephpm_job_t;

/**
 * Claim a slot, of the calling process's submitter.  May be called by several
 * threads of it at a time.  The caller owes ephpm_job_release().
 */
ephpm_claim_t ephpm_job_claim(ephpm_jobs_t *jobs, ephpm_job_t *job);

/** The request area, EPHPM_REQUEST_BYTES to fill in. */
void *ephpm_job_request(const ephpm_job_t *job);

/** Hand it over.
 * @param request_bytes  how much of the area is filled
 * @param script         its path, for log lines; cut at 1023 bytes */
void ephpm_job_submit(ephpm_job_t *job, size_t request_bytes,
                      const char *script);

/** Take back a job that still waits.
 * @return true: nobody will run it.  false: a runner has it already. */
bool ephpm_job_withdraw(ephpm_job_t *job);

/** What happens to it now; a release by another (J1) shows as FREE. */
ephpm_job_state_t ephpm_job_state(const ephpm_job_t *job);

typedef enum ephpm_frame_type {
    EPHPM_FRAME_HEAD = 1,   /* status and headers, see ephpm_head_each() */
    EPHPM_FRAME_INTERIM,    /* the same, of a 1xx response */
    EPHPM_FRAME_BODY,
    EPHPM_FRAME_FLUSH,      /* empty: the script wants what it wrote sent */
    EPHPM_FRAME_LOG,        /* a byte, syslog's priority (255: unknown), and
                             * the text */
    EPHPM_FRAME_NOTE,       /* name NUL value NUL: a note for the request */
    EPHPM_FRAME_ENV,        /* the same, a variable of the request */
    EPHPM_FRAME_END         /* ephpm_job_end_t: the response is complete */
} ephpm_frame_type_t;

/** What EPHPM_FRAME_END carries. */
typedef struct ephpm_job_end {
    uint64_t memory_bytes;      /* the most that the script took */
    uint64_t cpu_us;            /* user and system time of the script */
    int32_t exit_status;
    char user[256];             /* PHP_AUTH_USER, or empty */
} ephpm_job_end_t;

/**
 * Takes a frame.  Those of EPHPM_FRAME_BODY come in pieces as they lie in the
 * ring, all others whole; `data` is good until the function returns.
 *
 * @return how much of `data` it took: less than `bytes` ends the reading, and
 *         the rest comes with the next call (EPHPM_FRAME_BODY alone: from
 *         others 0 or all of it)
 */
typedef size_t (*ephpm_frame_fn)(void *to, ephpm_frame_type_t type,
                                 const void *data, size_t bytes);

typedef enum ephpm_read {
    EPHPM_READ_MORE,        /* all that was there is read; more will come */
    EPHPM_READ_STOPPED,     /* the function did not take all */
    EPHPM_READ_END,         /* EPHPM_FRAME_END has been passed on */
    EPHPM_READ_KILLED,      /* all is read; no more will come: it ran too */
    EPHPM_READ_CRASHED,     /* long, or the runner died, in the middle */
    EPHPM_READ_BROKEN       /* what is in the ring is no frame */
} ephpm_read_t;

/**
 * Read what there is, without waiting; wakes a runner that waits for room.
 *
 * At most a ring's bytes at a time.  After EPHPM_READ_STOPPED it is the
 * caller who knows when the function takes more.  END is passed on only once
 * the runner is free for another job, or dead.  A job that another has
 * released (J1) reads as EPHPM_READ_CRASHED.
 */
ephpm_read_t ephpm_job_read(ephpm_job_t *job, ephpm_frame_fn take, void *to);

/** Wait until there may be something to read; without `events`.
 * @param ms  at most so long; it may be EPHPM_LOOK_AGAIN_MS at most */
void ephpm_job_wait(ephpm_job_t *job, int ms);

/** Wake a thread of this process that waits in ephpm_job_wait(). */
void ephpm_job_nudge(ephpm_job_t *job);

/** Has something come since ephpm_job_read() last returned MORE?  A load. */
bool ephpm_job_news(const ephpm_job_t *job);

/** Times in microseconds of CLOCK_MONOTONIC; 0: not yet. */
typedef struct ephpm_job_times {
    uint64_t submitted_us;
    uint64_t taken_us;
    int64_t pid;                /* of the runner; 0: none yet */
    int signal;                 /* that ended a crashed runner; 0: it left */
} ephpm_job_times_t;

void ephpm_job_times(const ephpm_job_t *job, ephpm_job_times_t *times);

/** Let go, whatever its state: a script that runs on sees an aborted client.
 * Frees what reading has gathered. */
void ephpm_job_release(ephpm_job_t *job);

/* ------------------------------------------------------------------ */
/* The head of a response                                              */

/* EPHPM_FRAME_HEAD and EPHPM_FRAME_INTERIM carry
 *
 *      status (4 bytes) | reason NUL | op (1 byte) name NUL value NUL | ...
 *
 * What the script did to the headers, in the order in which it did it, but
 * without what had no effect: a REPLACE or DELETE of a name takes away what
 * came before it of that name, whatever its case, and a DELETE_ALL all of it.
 * So a server that starts from nothing (nginx) has the headers' final list in
 * the names of ADD and REPLACE, and one that has set headers of its own
 * (httpd) carries the operations out on them.  `reason` is empty where the
 * script gives none; so are the value of DELETE, and both of DELETE_ALL. */

/** Takes a header's change; `op` as in ephpm_header_op_t.  Of DELETE `value`
 * is "", of DELETE_ALL `name` too. */
typedef void (*ephpm_head_fn)(void *to, int op, const char *name,
                              const char *value);

/**
 * Take a HEAD or INTERIM frame apart.
 *
 * @param status  receives the status
 * @param reason  receives the script's own reason phrase, or NULL
 * @return false: it is malformed (what was passed on before is good)
 */
bool ephpm_head_each(const void *data, size_t bytes, int *status,
                     const char **reason, ephpm_head_fn pass, void *to);

/* ------------------------------------------------------------------ */
/* Temporary files of a job                                            */

#define EPHPM_FILE_NAME_BYTES 128u

/**
 * Name a file for a job that the caller has claimed:
 * "ephpm-TABLE-SUBMITTER-INCARNATION-TICKET-use", numbers in hexadecimal, TABLE
 * one of 64 bits that ephpm_jobs_make() has drawn.  The spawner removes what a
 * dead submitter has left (ephpm_file_left()).
 *
 * @param use   letters
 * @param name  EPHPM_FILE_NAME_BYTES
 */
void ephpm_job_file_name(const ephpm_job_t *job, const char *use, char *name);

typedef enum ephpm_file_left {
    EPHPM_FILE_NO_NAME,     /* no name that ephpm_job_file_name() gives */
    EPHPM_FILE_ELSEWHERE,   /* of another table: another cycle or server */
    EPHPM_FILE_IN_USE,      /* its submitter lives */
    EPHPM_FILE_LEFT         /* its submitter is dead */
} ephpm_file_left_t;

/** Whose file is it?  For the spawner. */
ephpm_file_left_t ephpm_file_left(ephpm_jobs_t *jobs, const char *name);

/* ------------------------------------------------------------------ */
/* Runners                                                             */

/**
 * Take the runner's place `index`, for the calling thread's lifetime.
 * @return false: somebody alive has it
 */
bool ephpm_runner_attach(ephpm_jobs_t *jobs, unsigned index);
void ephpm_runner_detach(ephpm_jobs_t *jobs);

/** A runner's job, in its private memory. */
typedef struct ephpm_task {
    ephpm_jobs_t *jobs;
    uint64_t word;
    uint32_t slot;
    uint32_t ring;
    char *request;              /* a private copy, NUL after it; the runner's
                                 * buffer, good until the next take */
    size_t request_bytes;
    uint64_t unseen_bytes;      /* written since the submitter was woken */
    bool answered;
    bool counted;               /* as a request */
} ephpm_task_t;

/**
 * Take the READY job with the lowest ticket.
 *
 * @param ms  wait so long at most (EPHPM_LOOK_AGAIN_MS at most)
 * @return false: there was none
 */
bool ephpm_task_take(ephpm_jobs_t *jobs, ephpm_task_t *task, int ms);

/**
 * From now on this runner, an attached one that is a process of its own, does
 * not take the processor from whoever wakes it for a job: he has more to do
 * before he comes to a pause.  While a job runs the process is scheduled as
 * ever, and for some time after a job that it was woken for late.  Nothing
 * where an administrator has chosen a policy of his own.
 *
 * Costs two system calls each time that the runner sleeps.
 */
void ephpm_runner_gives_way(ephpm_jobs_t *jobs);

/**
 * Write a frame; waits for room, at most EPHPM_LOOK_AGAIN_MS at a time.
 *
 * EPHPM_FRAME_BODY and HEAD may have any length (HEAD up to
 * EPHPM_HEAD_BYTES_MAX), others up to 16 KiB.
 *
 * @return false: the submitter has gone (its client has), or the response is
 *         complete: the frame was dropped
 */
bool ephpm_task_write(ephpm_task_t *task, ephpm_frame_type_t type,
                      const void *data, size_t bytes);

/** Wake the submitter, if there is anything that it was not woken for. */
void ephpm_task_wake(ephpm_task_t *task);

/** Is there nobody any more who wants the answer? */
bool ephpm_task_abandoned(const ephpm_task_t *task);

/** The response is complete, with END: RUNNING -> ANSWERED.  Later writes are
 * dropped. */
void ephpm_task_answer(ephpm_task_t *task, const ephpm_job_end_t *end);

/** The script has ended too, and ephpm_task_finish() follows soon: RUNNING ->
 * ENDING.  Nothing, if it was answered. */
void ephpm_task_complete(ephpm_task_t *task, const ephpm_job_end_t *end);

/** The runner is free: END, unless there was one, and DONE.  Where the
 * job was KILLED in the meantime this waits for the signal, and raises it
 * itself when no spawner lives (or none sends it within a minute).
 * @param end  NULL: all zero */
void ephpm_task_finish(ephpm_task_t *task, const ephpm_job_end_t *end);

/* ------------------------------------------------------------------ */
/* The spawner                                                         */

/** Take the spawner's place, for the calling thread's lifetime.
 * @return false: one lives */
bool ephpm_spawner_attach(ephpm_jobs_t *jobs);

/** Does one live?  For looking only. */
bool ephpm_spawner_lives(ephpm_jobs_t *jobs);

/** Does a runner live at that place? */
bool ephpm_runner_lives(ephpm_jobs_t *jobs, unsigned index);

/** The process that has the place, or had it last; 0: nobody yet.  What
 * stands in shared memory: no child of the caller's need have that id. */
int64_t ephpm_runner_pid(const ephpm_jobs_t *jobs, unsigned index);

/** How many submitters live; abandons the jobs of the dead ones. */
unsigned ephpm_submitters_living(ephpm_jobs_t *jobs);

/** A job that a runner has. */
typedef struct ephpm_running {
    uint32_t slot;
    uint64_t word;
    ephpm_job_state_t state;
    uint64_t taken_us;
    char script[1024];
} ephpm_running_t;

/** What the runner at `index` is at. @return false: nothing */
bool ephpm_runner_task(const ephpm_jobs_t *jobs, unsigned index,
                       ephpm_running_t *running);

/** RUNNING, ANSWERED or ENDING -> KILLED, with the ticket that `running` has.
 * @return true: it is KILLED, perhaps by a spawner before; end the runner
 *         false: it has ended just now; do not kill the runner for it */
bool ephpm_running_kill(ephpm_jobs_t *jobs, const ephpm_running_t *running);

/**
 * The runner at `index` is dead, and no other has its place yet: its job, if
 * it had one, is CRASHED (or stays KILLED), and loses R; the submitter is
 * woken.
 *
 * @param signal    that ended it; 0: it exited
 * @param running   receives what it was at, unless NULL
 * @return true: it had one
 */
bool ephpm_runner_bury(ephpm_jobs_t *jobs, unsigned index, int signal,
                       ephpm_running_t *running);

/** What submitters are told about the pool as a whole. */
typedef enum ephpm_pulse {
    EPHPM_PULSE_STARTING,   /* no runner was ready yet */
    EPHPM_PULSE_READY,
    EPHPM_PULSE_FAILED      /* PHP does not start; it is tried again */
} ephpm_pulse_t;

/** Say so, and wake every submitter. */
void ephpm_pulse_set(ephpm_jobs_t *jobs, ephpm_pulse_t pulse);
ephpm_pulse_t ephpm_pulse_get(const ephpm_jobs_t *jobs);

/* ------------------------------------------------------------------ */
/* Figures                                                             */

/** Counters, of the whole table.  The table itself counts those marked *. */
typedef enum ephpm_count {
    EPHPM_COUNT_REQUESTS,       /* * whose script has ended */
    EPHPM_COUNT_CRASHES,        /* * of runners at a job; without one: whoever
                                 * buries them counts */
    EPHPM_COUNT_TIMEOUTS,       /* * runners ended for running too long */
    EPHPM_COUNT_RECYCLED,       /* runners that left after max_requests */
    EPHPM_COUNT_REFUSED,        /* * claims of a full queue */
    EPHPM_COUNT_EXPIRED,        /* jobs withdrawn after the queue time-out */
    EPHPM_COUNT_QUEUE_US,       /* * waited for a runner, together */
    EPHPM_COUNT_SLOW,           /* traces written to the slow log */
    EPHPM_COUNTS
} ephpm_count_t;

void ephpm_count_add(ephpm_jobs_t *jobs, ephpm_count_t count, uint64_t by);

typedef struct ephpm_jobs_stats {
    unsigned runners;           /* places */
    unsigned alive;
    unsigned busy;
    unsigned queued;            /* READY */
    unsigned queue_max;
    uint64_t counts[EPHPM_COUNTS];
} ephpm_jobs_stats_t;

/** Locks nothing: figures of about one moment. */
void ephpm_jobs_stats(const ephpm_jobs_t *jobs, ephpm_jobs_stats_t *stats);

/**
 * A place for facts about PHP, which a runner publishes and the status page
 * reads (ephpm_facts.h); at most 16 KiB.
 *
 * A reader never gets a torn one: false means that a writer was in the way.
 */
#define EPHPM_FACTS_BYTES 16384u
void ephpm_facts_put(ephpm_jobs_t *jobs, const void *facts, size_t bytes);
bool ephpm_facts_get(const ephpm_jobs_t *jobs, void *facts, size_t room,
                     size_t *bytes);

/** Microseconds of CLOCK_MONOTONIC. */
uint64_t ephpm_jobs_clock_us(void);

#endif
