/* ephpm_jobs_submitter.c - the job table as its submitters use it.
 *
 * How many wait.  A job may be claimed if fewer wait before it than the queue
 * holds, beside one for each runner that has nothing to do.  For this to be
 * exact although several claim at a time, a claim first takes a slot, for all
 * to see, then draws its ticket, and then counts those that wait with lower
 * tickets.  A slot whose ticket is being drawn is waited for, a moment long:
 * its ticket may be the lower one.
 */

#include "ephpm_jobs_private.h"

#include "kv_futex.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_AGAIN_US ((uint64_t)EPHPM_LOOK_AGAIN_MS * 1000)

/* ------------------------------------------------------------------ */
/* The place                                                           */

static bool take_place(ephpm_jobs_t *jobs, uint32_t index)
{
    if (!kv_life_take(&submitter_life(jobs, index)->life,
                      &jobs->submitter_incarnation)) {
        return false;
    }
    ephpm_jobs_abandon(jobs, index);
    jobs->submitter = index;
    if (jobs->events != NULL) {
        ephpm_submitter_awake(jobs);
    }
    return true;
}

int ephpm_submitter_attach(ephpm_jobs_t *jobs, int index)
{
    struct timespec pause = { 0, 1000000 };

    ephpm_jobs_mine(jobs);
    if (jobs->submitter != NOBODY || index >= (int)jobs->config.submitters) {
        return -1;
    }
    uint32_t first = index < 0 ? 0 : (uint32_t)index;
    uint32_t last = index < 0 ? jobs->config.submitters - 1 : first;
    /* Somebody may just be looking whether a place's owner lives. */
    for (int tries = 0; tries < EPHPM_LOOK_AGAIN_MS; tries++) {
        for (uint32_t i = first; i <= last; i++) {
            if (take_place(jobs, i)) {
                return (int)i;
            }
        }
        nanosleep(&pause, NULL);
    }
    return -1;
}

void ephpm_submitter_detach(ephpm_jobs_t *jobs)
{
    ephpm_jobs_mine(jobs);
    if (jobs->submitter != NOBODY) {
        ephpm_jobs_abandon(jobs, jobs->submitter);
        kv_life_leave(&submitter_life(jobs, jobs->submitter)->life);
        jobs->submitter = NOBODY;
    }
}

int ephpm_submitter_fd(const ephpm_jobs_t *jobs)
{
    return jobs->events == NULL || jobs->submitter == NOBODY
               ? -1
               : jobs->events[jobs->submitter].read_fd;
}

/* Does anybody live, and what did the dead leave behind?  Where a spawner
 * lives it knows better, and says which signal it was. */
static bool anybody_lives(ephpm_jobs_t *jobs)
{
    bool anybody = ephpm_spawner_lives(jobs);

    if (!anybody) {
        for (uint32_t i = 0; i < jobs->config.runners; i++) {
            if (ephpm_runner_lives(jobs, i)) {
                anybody = true;
            } else if (ld_rlx(&jobs->bells[i]) != BELL_NOBODY) {
                ephpm_jobs_bury(jobs, i);
            }
        }
    }
    return anybody;
}

/* The same, once in a while. */
static void look_around(ephpm_jobs_t *jobs)
{
    uint64_t now_us = ephpm_jobs_clock_us();
    uint64_t looked_us = ld_rlx(&jobs->looked_us);

    if (now_us - looked_us >= LOOK_AGAIN_US &&
        atomic_compare_exchange_strong(&jobs->looked_us, &looked_us,
                                       now_us)) {
        st_rlx(&jobs->nobody, !anybody_lives(jobs));
    }
}

/* A no may be old: somebody has come since. */
static bool nobody_lives(ephpm_jobs_t *jobs)
{
    if (ld_rlx(&jobs->nobody)) {
        st_rlx(&jobs->nobody, !anybody_lives(jobs));
    }
    return ld_rlx(&jobs->nobody);
}

void ephpm_submitter_awake(ephpm_jobs_t *jobs)
{
    if (jobs->events == NULL || jobs->submitter == NOBODY) {
        return;
    }
    /* In this order: what comes after the second raises the event anew, and
     * what came before it is found by whoever looks after it. */
    ephpm_event_clear(&jobs->events[jobs->submitter]);
    atomic_store(&jobs->calls[jobs->submitter].pending, 0);
    look_around(jobs);
}

/* ------------------------------------------------------------------ */
/* Claiming                                                            */

static uint32_t grab_slot(ephpm_jobs_t *jobs, uint64_t claiming)
{
    uint32_t at = ld_rlx(&jobs->hint);

    for (uint32_t i = 0; i < jobs->slots; i++, at++) {
        if (at >= jobs->slots) {
            at = 0;
        }
        uint64_t word = ld_rlx(&jobs->words[at]);
        if (word_state(word) == EPHPM_JOB_FREE &&
            (word & (WORD_S | WORD_R)) == 0 &&
            atomic_compare_exchange_strong(&jobs->words[at], &word,
                                           claiming)) {
            return at;
        }
    }
    return NOBODY;
}

static uint64_t word_with_ticket(const ephpm_jobs_t *jobs,
                                 const word_t *word)
{
    uint64_t now = atomic_load(word);

    for (uint32_t i = 0;
         word_state(now) == STATE_CLAIMING && i < jobs->ticket_spins; i++) {
        kv_pause();
        now = atomic_load(word);
    }
    return now;
}

/* Does the job with this ticket find room? */
static bool has_room(ephpm_jobs_t *jobs, uint32_t mine, uint32_t ticket)
{
    uint64_t busy[(EPHPM_RUNNERS_MAX + 63) / 64] = { 0 };
    uint32_t waiting = 0;
    uint32_t idle = 0;

    for (uint32_t i = 0; i < jobs->slots; i++) {
        uint64_t word =
            i == mine ? 0 : word_with_ticket(jobs, &jobs->words[i]);
        unsigned state = word_state(word);
        if (state == EPHPM_JOB_FILLING || state == EPHPM_JOB_READY) {
            waiting += ticket_before(word_ticket(word), ticket);
        } else if ((word & WORD_R) != 0 && state != EPHPM_JOB_ENDING) {
            uint32_t runner = word_runner(word) % EPHPM_RUNNERS_MAX;
            busy[runner / 64] |= UINT64_C(1) << runner % 64;
        }
    }
    for (uint32_t i = 0; i < jobs->config.runners; i++) {
        idle += ld_rlx(&jobs->bells[i]) != BELL_NOBODY &&
                (busy[i / 64] >> i % 64 & 1) == 0;
    }
    return waiting < jobs->config.queue + idle;
}

/* @return EPHPM_CLAIMED: somebody is there, or will be in a moment */
static ephpm_claim_t look_for_runners(ephpm_jobs_t *jobs)
{
    look_around(jobs);
    for (uint32_t i = 0; i < jobs->config.runners; i++) {
        if (ld_rlx(&jobs->bells[i]) != BELL_NOBODY) {
            return nobody_lives(jobs) ? EPHPM_CLAIM_DOWN : EPHPM_CLAIMED;
        }
    }
    ephpm_pulse_t pulse = ephpm_pulse_get(jobs);
    if (pulse == EPHPM_PULSE_FAILED) {
        return EPHPM_CLAIM_DOWN;
    }
    /* Before the first spawner has come. */
    if (pulse == EPHPM_PULSE_STARTING &&
        ld_rlx(&spawner_life(jobs)->life.incarnation) == 0) {
        return EPHPM_CLAIM_STARTING;
    }
    if (nobody_lives(jobs)) {
        return EPHPM_CLAIM_DOWN;
    }
    return pulse == EPHPM_PULSE_STARTING ? EPHPM_CLAIM_STARTING
                                         : EPHPM_CLAIMED;
}

ephpm_claim_t ephpm_job_claim(ephpm_jobs_t *jobs, ephpm_job_t *job)
{
    if (jobs->submitter == NOBODY) {
        return EPHPM_CLAIM_DOWN;
    }
    ephpm_claim_t claim = look_for_runners(jobs);
    if (claim != EPHPM_CLAIMED) {
        return claim;
    }
    uint64_t claiming = (uint64_t)jobs->submitter << WORD_SUBMITTER_SHIFT |
                        WORD_S | STATE_CLAIMING;
    uint32_t at = grab_slot(jobs, claiming);
    if (at == NOBODY) {
        ephpm_count_add(jobs, EPHPM_COUNT_REFUSED, 1);
        return EPHPM_CLAIM_FULL;
    }
    uint32_t ticket = atomic_fetch_add(&jobs->head->ticket, 1);
    uint64_t word = word_to(claiming, EPHPM_JOB_FILLING) |
                    (uint64_t)ticket << WORD_TICKET_SHIFT;
    if (!atomic_compare_exchange_strong(&jobs->words[at], &claiming, word)) {
        return EPHPM_CLAIM_DOWN;
    }
    if (!has_room(jobs, at, ticket)) {
        ephpm_jobs_let_go(jobs, at, word);
        ephpm_count_add(jobs, EPHPM_COUNT_REFUSED, 1);
        return EPHPM_CLAIM_FULL;
    }
    slot_t *slot = &jobs->slot[at];
    st_rlx(&slot->waiting, 0);
    st_rlx(&slot->ring, 0);
    st_rlx(&slot->request_bytes, 0);
    st_rlx(&slot->submitted_us, 0);
    st_rlx(&slot->taken_us, 0);
    st_rlx(&slot->pid, 0);
    st_rlx(&slot->signal, 0);
    *job = (ephpm_job_t){
        .jobs = jobs,
        .word = word,
        .slot = at,
        .seen_news = ld_rlx(&slot->news),
    };
    return EPHPM_CLAIMED;
}

void *ephpm_job_request(const ephpm_job_t *job)
{
    return job->jobs->slot[job->slot].request;
}

void ephpm_job_submit(ephpm_job_t *job, size_t request_bytes,
                      const char *script)
{
    ephpm_jobs_t *jobs = job->jobs;
    slot_t *slot = &jobs->slot[job->slot];
    char path[SCRIPT_BYTES];
    size_t length = script == NULL ? 0 : strnlen(script, SCRIPT_BYTES - 1);

    memcpy(path, script == NULL ? "" : script, length);
    path[length] = '\0';
    kv_copy(slot->script, path, length + 1);
    st_rlx(&slot->request_bytes, request_bytes > EPHPM_REQUEST_BYTES
                                     ? EPHPM_REQUEST_BYTES
                                     : (uint32_t)request_bytes);
    st_rlx(&slot->submitted_us, ephpm_jobs_clock_us());
    uint64_t word = job->word;
    if (atomic_compare_exchange_strong(&jobs->words[job->slot], &word,
                                       word_to(word, EPHPM_JOB_READY))) {
        ephpm_jobs_ring_one(jobs);
    }
}

bool ephpm_job_withdraw(ephpm_job_t *job)
{
    word_t *at = &job->jobs->words[job->slot];
    uint64_t word = atomic_load(at);

    do {
        if (!word_same(word, job->word) ||
            (word_state(word) != EPHPM_JOB_READY &&
             word_state(word) != EPHPM_JOB_FILLING)) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(at, &word,
                                           word_to(word, EPHPM_JOB_DONE)));
    return true;
}

ephpm_job_state_t ephpm_job_state(const ephpm_job_t *job)
{
    uint64_t word = atomic_load(&job->jobs->words[job->slot]);

    return word_same(word, job->word) && (word & WORD_S) != 0 &&
                   word_state(word) <= EPHPM_JOB_CRASHED
               ? (ephpm_job_state_t)word_state(word)
               : EPHPM_JOB_FREE;
}

/* ------------------------------------------------------------------ */
/* Waiting                                                             */

void ephpm_job_wait(ephpm_job_t *job, int ms)
{
    slot_t *slot = &job->jobs->slot[job->slot];

    if (ms > EPHPM_LOOK_AGAIN_MS) {
        ms = EPHPM_LOOK_AGAIN_MS;
    }
    atomic_store(&slot->waiting, 1);
    if (atomic_load(&slot->news) == job->seen_news && ms > 0) {
        kv_futex_wait(&slot->news, job->seen_news, ms);
    }
    atomic_store(&slot->waiting, 0);
    if (atomic_load(&slot->news) == job->seen_news) {
        look_around(job->jobs);
    }
}

void ephpm_job_nudge(ephpm_job_t *job)
{
    slot_t *slot = &job->jobs->slot[job->slot];

    atomic_fetch_add(&slot->news, 1);
    kv_futex_wake(&slot->news);
}

bool ephpm_job_news(const ephpm_job_t *job)
{
    return ld_acq(&job->jobs->slot[job->slot].news) != job->seen_news;
}

void ephpm_job_times(const ephpm_job_t *job, ephpm_job_times_t *times)
{
    const slot_t *slot = &job->jobs->slot[job->slot];

    *times = (ephpm_job_times_t){
        .submitted_us = ld_rlx(&slot->submitted_us),
        .taken_us = ld_rlx(&slot->taken_us),
        .pid = (int64_t)ld_rlx(&slot->pid),
        .signal = (int)ld_rlx(&slot->signal),
    };
    kv_fence_acquire();
    if (!word_same(ld_acq(&job->jobs->words[job->slot]), job->word)) {
        *times = (ephpm_job_times_t){ 0 };
    }
}

void ephpm_job_release(ephpm_job_t *job)
{
    free(job->gathered);
    job->gathered = NULL;
    if (job->jobs != NULL) {
        ephpm_jobs_let_go(job->jobs, job->slot, job->word);
        st_rlx(&job->jobs->hint, job->slot);
        job->jobs = NULL;
    }
}

void ephpm_job_file_name(const ephpm_job_t *job, const char *use, char *name)
{
    ephpm_jobs_t *jobs = job->jobs;

    ephpm_file_name(name, jobs->table, word_submitter(job->word),
                    jobs->submitter_incarnation, word_ticket(job->word), use);
}
