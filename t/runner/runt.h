/* runt.h - what the tests of runners share: jobs that describe themselves.
 *
 * A request is an order {serial, seed, how much of what to answer} and bytes
 * that follow from its seed.  The answer is the order again, as its head, and
 * then bytes that follow from the seed.  So a byte of one job that reaches
 * another is found wherever it is.
 */

#ifndef RUNT_H
#define RUNT_H

#include "ephpm_jobs_private.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Sanitizers and valgrind make the same work take ten times as long. */
#if defined(__SANITIZE_THREAD__)
#define RUNT_SLOWER 20
#elif defined(__SANITIZE_ADDRESS__)
#define RUNT_SLOWER 4
#else
#define RUNT_SLOWER 1
#endif

/* ------------------------------------------------------------------ */
/* Bytes and numbers                                                   */

/** Fill `to` with bytes `at` and following of what `seed` gives. */
void runt_fill(void *to, size_t bytes, uint64_t seed, size_t at);

/** Are these bytes `at` and following of what `seed` gives? */
bool runt_filled(const void *bytes_at, size_t bytes, uint64_t seed,
                 size_t at);

typedef struct runt_random {
    uint64_t state;
} runt_random_t;

uint64_t runt_next(runt_random_t *random);

/** 0 to below - 1. */
static inline uint32_t runt_below(runt_random_t *random, uint32_t below)
{
    return (uint32_t)((runt_next(random) >> 32) * below >> 32);
}

/* ------------------------------------------------------------------ */
/* Views                                                               */

/** Let a view have its table at `to`, where there is a copy of it. */
void runt_move(ephpm_jobs_t *view, void *to);

/* ------------------------------------------------------------------ */
/* Orders                                                              */

#define RUNT_MAGIC UINT64_C(0x65706870746a6f62)

typedef enum runt_how {
    RUNT_ANSWER = 1,            /* answer, then run on and write in vain */
    RUNT_FLUSH = 2,             /* after each piece */
    RUNT_INTERIM = 4,
    RUNT_LOG = 8,
    RUNT_NOTES = 16             /* a note and a variable */
} runt_how_t;

typedef struct runt_order {
    uint64_t magic;
    uint64_t serial;
    uint64_t seed;
    uint32_t request_bytes;     /* all of the request, this included */
    uint32_t head_bytes;        /* all of the head, this included */
    uint32_t body_bytes;
    uint32_t piece_bytes;       /* of the body */
    uint32_t how;
    uint32_t padding;
} runt_order_t;

/** An order by chance. */
runt_order_t runt_order(runt_random_t *random, uint64_t serial);

/** Fill in the job's request area and hand the job over. */
void runt_submit(ephpm_job_t *job, const runt_order_t *order);

/** Claim, waiting while the queue is full; and hand over. */
bool runt_send(ephpm_jobs_t *jobs, ephpm_job_t *job,
               const runt_order_t *order);

/* ------------------------------------------------------------------ */
/* A runner's part                                                     */

/** Is the task's request whole?  Then its order. */
bool runt_ordered(const ephpm_task_t *task, runt_order_t *order);

/** Do what it asks for.
 * @return false: the request was not whole */
bool runt_serve(ephpm_task_t *task);

/** Serve until *stop; a process's or thread's whole work. */
bool runt_run(ephpm_jobs_t *jobs, unsigned index, const _Atomic int *stop);

/* ------------------------------------------------------------------ */
/* A submitter's part                                                  */

/** What has come of an answer. */
typedef struct runt_heard {
    runt_order_t order;
    size_t body_bytes;
    unsigned heads;
    unsigned interims;
    unsigned flushes;
    unsigned logs;
    unsigned notes;
    bool ended;
    const char *wrong;          /* the first thing that is, or NULL */
    size_t takes;               /* of a body at once at most; 0: all */
} runt_heard_t;

/** Expect the answer to this order. */
void runt_expect(runt_heard_t *heard, const runt_order_t *order);

/** An ephpm_frame_fn; `heard` is a runt_heard_t. */
size_t runt_hear(void *heard, ephpm_frame_type_t type, const void *data,
                 size_t bytes);

/** Read until the answer has ended.
 * @return what ephpm_job_read() said last */
ephpm_read_t runt_listen(ephpm_job_t *job, runt_heard_t *heard);

/** NULL: it has all come; or what is wrong. */
const char *runt_judge(const runt_heard_t *heard);

/** One job, from claim to release.  @return NULL, or what is wrong */
const char *runt_round(ephpm_jobs_t *jobs, const runt_order_t *order);

#endif
