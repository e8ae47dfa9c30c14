/* ephpm_jobs_private.h - the job table's memory; for ephpm_jobs*.c and the
 * tests.
 *
 * What is computed from the configuration (where things are, how many there
 * are) is in each process's view, made before the forks, and never read from
 * the shared memory.
 *
 * Orders.  A slot's word, the bells, the calls, `news` and `waiting` are
 * sequentially consistent where somebody publishes and then looks for
 * sleepers, or says that he sleeps and then looks once more.  A ring's head
 * and tail are release and acquire; the word is what publishes a slot's other
 * fields: they are written before a change of the word and read after it.
 *
 * Reading the word before the ring's head is what makes "all is read, and no
 * more will come" true: whoever ends a job writes the ring first.
 */

#ifndef EPHPM_JOBS_PRIVATE_H
#define EPHPM_JOBS_PRIVATE_H

#include "ephpm_event.h"
#include "ephpm_jobs.h"

#include "kv_atomic.h"
#include "kv_life.h"

#include <assert.h>

#define LINE_BYTES 64
#define SCRIPT_BYTES 1024u
#define PIECE_BYTES 16384u              /* the most in one frame */
#define GATHER_BYTES 4096u              /* small writes become one frame */
#define NOBODY UINT32_MAX

/* ------------------------------------------------------------------ */
/* A slot's word                                                       */

#define WORD_STATE UINT64_C(0xf)
#define WORD_S UINT64_C(0x10)
#define WORD_R UINT64_C(0x20)
#define WORD_RUNNER_SHIFT 6
#define WORD_RUNNER_MASK UINT64_C(0x3ff)
#define WORD_SUBMITTER_SHIFT 16
#define WORD_TICKET_SHIFT 32

/* Before the ticket is dealt: no longer than two instructions take.  Whoever
 * counts those that wait has to know which came before him. */
#define STATE_CLAIMING 9u

static_assert(EPHPM_RUNNERS_MAX <= WORD_RUNNER_MASK + 1, "runners' bits");
static_assert(EPHPM_SUBMITTERS_MAX <= 65536, "submitters' bits");
static_assert(EPHPM_JOB_CRASHED < STATE_CLAIMING, "states' bits");

static inline unsigned word_state(uint64_t word)
{
    return (unsigned)(word & WORD_STATE);
}

static inline uint64_t word_to(uint64_t word, unsigned state)
{
    return (word & ~WORD_STATE) | state;
}

static inline uint32_t word_ticket(uint64_t word)
{
    return (uint32_t)(word >> WORD_TICKET_SHIFT);
}

static inline uint32_t word_submitter(uint64_t word)
{
    return (uint32_t)(word >> WORD_SUBMITTER_SHIFT & 0xffff);
}

static inline uint32_t word_runner(uint64_t word)
{
    return (uint32_t)(word >> WORD_RUNNER_SHIFT & WORD_RUNNER_MASK);
}

/* Of one job: ticket and submitter are the same. */
static inline bool word_same(uint64_t a, uint64_t b)
{
    return (a ^ b) >> WORD_SUBMITTER_SHIFT == 0;
}

/* Without the holder: FREE where it was the last one. */
static inline uint64_t word_without(uint64_t word, uint64_t holder)
{
    word &= ~holder;
    return (word & (WORD_S | WORD_R)) == 0 ? 0 : word;
}

static inline bool ticket_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

/* ------------------------------------------------------------------ */
/* Shared memory                                                       */

typedef _Atomic uint64_t word_t;

/* What a runner's bell says. */
#define BELL_NOBODY 0u
#define BELL_AWAKE 1u
#define BELL_ASLEEP 2u          /* wants a job */
#define BELL_NO_RING 3u         /* sleeps until one of its rings is free */
#define BELL_LOOKING 4u         /* wants a job, and looks at its bell */
typedef _Atomic uint32_t bell_t;

typedef struct head {
    _Alignas(LINE_BYTES) _Atomic uint32_t ticket;  /* the next */
    _Alignas(LINE_BYTES) _Atomic uint64_t counts[EPHPM_COUNTS];
    _Alignas(LINE_BYTES) _Atomic uint32_t pulse;
    _Atomic uint32_t facts_sequence;    /* odd: being written */
    _Atomic uint32_t facts_bytes;
    _Atomic uint64_t facts_writer;      /* {life + 1 : 16, incarnation : 48},
                                         * or 0 */
    _Alignas(LINE_BYTES) unsigned char facts[EPHPM_FACTS_BYTES];
} head_t;

/* A life on a line of its own. */
typedef struct life {
    _Alignas(LINE_BYTES) kv_life_t life;
} life_t;

/* A submitter's. */
typedef struct call {
    _Alignas(LINE_BYTES) _Atomic uint32_t pending; /* its event is raised */
} call_t;

typedef struct slot {
    _Alignas(LINE_BYTES) _Atomic uint32_t news; /* futex; raised with each
                                         * change the submitter is to see */
    _Atomic uint32_t waiting;           /* it sleeps on `news` */
    _Atomic uint32_t ring;              /* + 1, or 0 */
    _Atomic uint32_t request_bytes;
    _Atomic uint64_t submitted_us;
    _Atomic uint64_t taken_us;
    _Atomic uint64_t pid;
    _Atomic uint32_t signal;
    char script[SCRIPT_BYTES];
    _Alignas(LINE_BYTES) unsigned char request[EPHPM_REQUEST_BYTES];
} slot_t;

/*
 *   ring: | frame | frame | ...             offsets modulo 2^32
 *   frame: | type : 7, more : 1, bytes : 24 | data | padded to 4 |
 *
 * Whole frames are published, so that whatever the reader finds is one.
 */
typedef struct ring {
    _Alignas(LINE_BYTES) _Atomic uint64_t bearer; /* {slot + 1, ticket}, 0 */
    _Atomic uint32_t head;              /* the runner's */
    _Alignas(LINE_BYTES) _Atomic uint32_t tail; /* the submitter's */
    _Alignas(LINE_BYTES) _Atomic uint32_t wanted; /* futex: 1 while the
                                         * runner waits for room */
    _Alignas(LINE_BYTES) unsigned char data[EPHPM_RING_BYTES];
} ring_t;

#define RING_MASK (EPHPM_RING_BYTES - 1)
#define FRAME_HEAD_BYTES 4u
#define FRAME_MORE 0x80u
static_assert((EPHPM_RING_BYTES & RING_MASK) == 0, "a power of two");

static inline uint32_t frame_padded(uint32_t bytes)
{
    return (bytes + 3) & ~UINT32_C(3);
}

static inline uint32_t frame_head(unsigned type, bool more, uint32_t bytes)
{
    return bytes << 8 | (more ? FRAME_MORE : 0) | type;
}

/* ------------------------------------------------------------------ */
/* A process's view                                                    */

/* Where a runner is in the ring of its task. */
typedef struct writing {
    ring_t *ring;
    uint32_t head;              /* written up to there */
    uint32_t tail;              /* read up to there, when last looked at */
    uint32_t open_at;           /* of the frame that may still grow */
    uint32_t open_bytes;        /* in it; 0: none */
} writing_t;

struct ephpm_jobs {
    ephpm_jobs_config_t config;
    uint32_t slots;
    uint32_t rings;
    head_t *head;
    life_t *lives;              /* spawner, runners, submitters */
    call_t *calls;
    bell_t *bells;
    word_t *words;
    slot_t *slot;
    ring_t *ring;
    size_t bytes;               /* mapped at `head` */
    ephpm_event_t *events;      /* NULL: none */
    uint64_t table;             /* in the names of files */

    /* The process's own places, which its children do not have. */
    int64_t pid;                /* getpid() of the process that has them */
    uint32_t submitter;         /* NOBODY: none */
    uint32_t runner;
    bool spawner;
    uint64_t submitter_incarnation;
    uint64_t runner_incarnation;
    uint64_t spawner_incarnation;

    /* Of a submitter; several threads. */
    _Atomic uint32_t hint;      /* a slot that was free */
    _Atomic uint64_t looked_us; /* whether anybody lives */
    _Atomic uint32_t nobody;    /* and that nobody does */
    uint32_t ticket_spins;      /* how long another's ticket is waited for:
                                 * he may be stopped or dead there */

    /* Of a runner. */
    unsigned char *request;
    writing_t writing;
    uint64_t taken_us;          /* when it took its last job */
    uint64_t look_us;           /* how long the next one is waited for awake,
                                 * where the last one was not waited for
                                 * longer */
    uint64_t short_us;          /* ... and took no longer than this */
    bool soon;                  /* the last one came within look_us */
    uint64_t waited_us;         /* how long the last one was waiting */
    bool gives_way;             /* SCHED_BATCH while it sleeps */
    uint32_t insists;           /* but not for so many jobs to come */
};

static inline life_t *spawner_life(const ephpm_jobs_t *jobs)
{
    return &jobs->lives[0];
}

static inline life_t *runner_life(const ephpm_jobs_t *jobs, uint32_t index)
{
    return &jobs->lives[1 + index];
}

static inline life_t *submitter_life(const ephpm_jobs_t *jobs, uint32_t index)
{
    return &jobs->lives[1 + jobs->config.runners + index];
}

/* Another view of the same table, as another process has it; for threads. */
ephpm_jobs_t *ephpm_jobs_view(const ephpm_jobs_t *jobs);
void ephpm_jobs_view_free(ephpm_jobs_t *view);

/* After a fork the view is a child's, and its places are the parent's. */
void ephpm_jobs_mine(ephpm_jobs_t *jobs);

/* Take a life, although somebody may just be looking at it. */
bool ephpm_life_take(kv_life_t *life, uint64_t *incarnation);

/* Tell the job's submitter that something has changed.
 * @param surely  although it seems to have been told: who was to tell it may
 *                be dead */
void ephpm_jobs_notify(ephpm_jobs_t *jobs, uint32_t slot, uint64_t word,
                       bool surely);

/* Ring one runner that wants a job; the lowest. */
void ephpm_jobs_ring_one(ephpm_jobs_t *jobs);

/* Wake the runner at `index` if its bell says `state`. */
bool ephpm_jobs_ring(ephpm_jobs_t *jobs, uint32_t index, uint32_t state);

/* Clear S in a slot's word, whose job `word` is one of; wakes the runner that
 * waits for the submitter.  @return false: it was cleared already */
bool ephpm_jobs_let_go(ephpm_jobs_t *jobs, uint32_t slot, uint64_t word);

/* Clear S of all of a submitter's jobs.  Its life is the caller's, or held by
 * the caller. */
void ephpm_jobs_abandon(ephpm_jobs_t *jobs, uint32_t submitter);

/* Is the submitter dead?  Then its jobs are abandoned. */
bool ephpm_jobs_submitter_dead(ephpm_jobs_t *jobs, uint32_t submitter);

/* Clear R of a dead runner's jobs.  @return true: it had one */
bool ephpm_jobs_crash(ephpm_jobs_t *jobs, uint32_t runner, int signal_number,
                      ephpm_running_t *running);

/* Bury the runner at `index`, unless somebody lives there. */
void ephpm_jobs_bury(ephpm_jobs_t *jobs, uint32_t index);

/* As ephpm_job_file_name() does. */
void ephpm_file_name(char *name, uint64_t table, uint32_t submitter,
                     uint64_t incarnation, uint32_t ticket, const char *use);

/* Is the ring of that number free for a new job (J3)?
 * @param bearer  receives its bearer's slot, or NOBODY */
bool ephpm_ring_free(const ephpm_jobs_t *jobs, uint32_t ring,
                     uint32_t *bearer);

/* Begin the ring for the task. */
void ephpm_ring_begin(ephpm_task_t *task, uint32_t ring);

/* Write END and publish it.  @return false: it is not wanted any more */
bool ephpm_ring_end(ephpm_task_t *task, const ephpm_job_end_t *end);

#endif
