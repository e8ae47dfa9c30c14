/* ephpm_jobs_runner.c - the job table as its runners use it. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* SCHED_BATCH */
#endif

#include "ephpm_jobs_private.h"

#include "kv_futex.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a runner whose job was killed waits for its own end. */
#define SIGNAL_WAITS 600
/* Being woken takes a tenth of it where a processor is free, and somebody
 * else's turn several times as long. */
#define LATE_US 500
#define INSISTS 100
/* Longer than that nobody has waited: it is no time. */
#define WAIT_US_MAX (UINT64_C(86400) * 1000000)

bool ephpm_runner_attach(ephpm_jobs_t *jobs, unsigned index)
{
    ephpm_jobs_mine(jobs);
    if (jobs->runner != NOBODY || index >= jobs->config.runners) {
        return false;
    }
    if (jobs->request == NULL) {
        jobs->request = malloc(EPHPM_REQUEST_BYTES + 1);
    }
    if (jobs->request == NULL ||
        !ephpm_life_take(&runner_life(jobs, index)->life,
                         &jobs->runner_incarnation)) {
        return false;
    }
    ephpm_jobs_crash(jobs, index, 0, NULL);
    jobs->runner = index;
    atomic_store(&jobs->bells[index], BELL_AWAKE);
    return true;
}

void ephpm_runner_detach(ephpm_jobs_t *jobs)
{
    ephpm_jobs_mine(jobs);
    if (jobs->runner == NOBODY) {
        return;
    }
    uint32_t index = jobs->runner;
    atomic_store(&jobs->bells[index], BELL_NOBODY);
    ephpm_jobs_crash(jobs, index, 0, NULL);
    kv_life_leave(&runner_life(jobs, index)->life);
    jobs->runner = NOBODY;
    /* He may have been woken for a job just now. */
    for (uint32_t i = 0; i < jobs->slots; i++) {
        if (word_state(atomic_load(&jobs->words[i])) == EPHPM_JOB_READY) {
            ephpm_jobs_ring_one(jobs);
            break;
        }
    }
}

/* ------------------------------------------------------------------ */
/* Taking                                                              */

/* @return the slot with the lowest ticket, NOBODY: none waits */
static uint32_t first_ready(const ephpm_jobs_t *jobs, uint64_t *word,
                            uint32_t *waiting)
{
    uint32_t first = NOBODY;

    *waiting = 0;
    for (uint32_t i = 0; i < jobs->slots; i++) {
        uint64_t here = atomic_load(&jobs->words[i]);
        if (word_state(here) != EPHPM_JOB_READY || (here & WORD_S) == 0) {
            continue;
        }
        ++*waiting;
        if (first == NOBODY ||
            ticket_before(word_ticket(here), word_ticket(*word))) {
            first = i;
            *word = here;
        }
    }
    return first;
}

/* @return NOBODY: both rings are being read */
static uint32_t free_ring(const ephpm_jobs_t *jobs)
{
    uint32_t bearer;

    for (uint32_t i = 0; i < 2; i++) {
        if (ephpm_ring_free(jobs, 2 * jobs->runner + i, &bearer)) {
            return 2 * jobs->runner + i;
        }
    }
    return NOBODY;
}

static void begin(ephpm_jobs_t *jobs, ephpm_task_t *task, uint32_t index,
                  uint64_t word, uint32_t ring)
{
    slot_t *slot = &jobs->slot[index];
    uint64_t now_us = ephpm_jobs_clock_us();
    uint64_t waited_us = now_us - ld_rlx(&slot->submitted_us);
    uint32_t bytes = ld_rlx(&slot->request_bytes);

    bytes = bytes > EPHPM_REQUEST_BYTES ? EPHPM_REQUEST_BYTES : bytes;
    st_rlx(&slot->taken_us, now_us);
    jobs->taken_us = now_us;
    jobs->waited_us = waited_us;
    st_rlx(&slot->pid, (uint64_t)jobs->pid);
    *task = (ephpm_task_t){
        .jobs = jobs,
        .word = word,
        .slot = index,
        .request = (char *)jobs->request,
        .request_bytes = bytes,
    };
    ephpm_ring_begin(task, ring);
    memcpy(jobs->request, slot->request, bytes);
    jobs->request[bytes] = '\0';
    if (waited_us < WAIT_US_MAX) {
        ephpm_count_add(jobs, EPHPM_COUNT_QUEUE_US, waited_us);
    }
}

static bool take_now(ephpm_jobs_t *jobs, ephpm_task_t *task, uint32_t ring)
{
    uint64_t word = 0;
    uint64_t mine;
    uint32_t waiting;
    uint32_t index;

    do {
        index = first_ready(jobs, &word, &waiting);
        if (index == NOBODY) {
            return false;
        }
        mine = word_to(word, EPHPM_JOB_RUNNING) & ~(WORD_RUNNER_MASK
                                                    << WORD_RUNNER_SHIFT);
        mine |= WORD_R | (uint64_t)jobs->runner << WORD_RUNNER_SHIFT;
    } while (!atomic_compare_exchange_strong(&jobs->words[index], &word,
                                             mine));
    begin(jobs, task, index, mine, ring);
    if (waiting > 1) {
        /* Whoever submitted them may have woken us for them. */
        ephpm_jobs_ring_one(jobs);
    }
    return true;
}

/* Both rings are being read, for long: by somebody who lives? */
static void look_at_readers(ephpm_jobs_t *jobs)
{
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t slot;
        if (!ephpm_ring_free(jobs, 2 * jobs->runner + i, &slot)) {
            ephpm_jobs_submitter_dead(
                jobs, word_submitter(atomic_load(&jobs->words[slot])));
        }
    }
}

/* Say that we are to be rung for, and look once more after that. */
static bool take_after(ephpm_jobs_t *jobs, ephpm_task_t *task, uint32_t state,
                       uint32_t *ring)
{
    bell_t *bell = &jobs->bells[jobs->runner];

    atomic_store(bell, state);
    *ring = free_ring(jobs);
    if (*ring == NOBODY || !take_now(jobs, task, *ring)) {
        return false;
    }
    if (atomic_exchange(bell, BELL_AWAKE) == BELL_AWAKE) {
        /* Rung, perhaps for another job. */
        ephpm_jobs_ring_one(jobs);
    }
    return true;
}

/* Being woken takes longer than many a script: where jobs are short and come
 * one upon the other the next one is waited for awake, without keeping the
 * processor from anybody. */
static bool look_out(ephpm_jobs_t *jobs, ephpm_task_t *task, uint64_t from_us)
{
    bell_t *bell = &jobs->bells[jobs->runner];
    uint32_t ring;

    if (take_after(jobs, task, BELL_LOOKING, &ring)) {
        return true;
    }
    while (atomic_load(bell) == BELL_LOOKING) {
        if (ephpm_jobs_clock_us() - from_us >= jobs->look_us) {
            return false;
        }
        sched_yield();
    }
    return ring != NOBODY && take_now(jobs, task, ring);
}

void ephpm_runner_gives_way(ephpm_jobs_t *jobs)
{
    jobs->gives_way = sched_getscheduler(0) == SCHED_OTHER;
}

/* The scheduler looks at the policy of who is woken.  SCHED_BATCH for good
 * would have a script wait for a processor after each answer of its database
 * as well. */
static void sleep_on(const ephpm_jobs_t *jobs, bell_t *bell, uint32_t state,
                     int ms)
{
    static const struct sched_param none;
    bool gives_way = jobs->gives_way && jobs->insists == 0;

    if (gives_way) {
        sched_setscheduler(0, SCHED_BATCH, &none);
    }
    kv_futex_wait(bell, state,
                  ms > EPHPM_LOOK_AGAIN_MS ? EPHPM_LOOK_AGAIN_MS : ms);
    if (gives_way) {
        sched_setscheduler(0, SCHED_OTHER, &none);
    }
}

/* Woken for a job: where the processors are others' for long, whoever gives
 * way waits for the end of their turns. */
static void judge_giving_way(ephpm_jobs_t *jobs)
{
    if (jobs->insists > 0) {
        jobs->insists--;
    } else if (jobs->gives_way && jobs->waited_us > LATE_US) {
        jobs->insists = INSISTS;
    }
}

bool ephpm_task_take(ephpm_jobs_t *jobs, ephpm_task_t *task, int ms)
{
    if (jobs->runner == NOBODY) {
        return false;
    }
    bell_t *bell = &jobs->bells[jobs->runner];
    uint32_t ring = free_ring(jobs);
    if (ring != NOBODY && take_now(jobs, task, ring)) {
        jobs->soon = true;
        return true;
    }
    if (ms <= 0) {
        return false;
    }
    uint64_t from_us = ephpm_jobs_clock_us();
    if (ring != NOBODY && jobs->soon &&
        from_us - jobs->taken_us < jobs->short_us &&
        look_out(jobs, task, from_us)) {
        return true;
    }
    uint32_t sleep = ring == NOBODY ? BELL_NO_RING : BELL_ASLEEP;
    if (take_after(jobs, task, sleep, &ring)) {
        jobs->soon = true;
        return true;
    }
    if (ring == NOBODY || sleep == BELL_ASLEEP) {
        sleep_on(jobs, bell, sleep, ms);
    }
    atomic_store(bell, BELL_AWAKE);
    ring = free_ring(jobs);
    if (ring == NOBODY) {
        look_at_readers(jobs);
        ring = free_ring(jobs);
    }
    jobs->soon = ephpm_jobs_clock_us() - from_us < jobs->look_us;
    if (ring == NOBODY || !take_now(jobs, task, ring)) {
        return false;
    }
    judge_giving_way(jobs);
    return true;
}

/* ------------------------------------------------------------------ */
/* Ending                                                              */

/* The spawner has decided to end this process, and must not find it at
 * another job.  Should nobody be left who does it, so do we. */
static void wait_for_signal(ephpm_jobs_t *jobs)
{
    struct timespec pause = { 0, EPHPM_LOOK_AGAIN_MS * 1000000L };

    for (int i = 0; i < SIGNAL_WAITS && ephpm_spawner_lives(jobs); i++) {
        nanosleep(&pause, NULL);
    }
    kill(getpid(), SIGKILL);
}

/* @return the word as it was before, 0: the job is not ours any more */
static uint64_t change(ephpm_task_t *task, ephpm_job_state_t state,
                       uint64_t without)
{
    word_t *at = &task->jobs->words[task->slot];
    uint64_t word = atomic_load(at);

    do {
        if (!word_same(word, task->word) || (word & WORD_R) == 0 ||
            word_runner(word) != task->jobs->runner) {
            return 0;
        }
        if (word_state(word) == EPHPM_JOB_KILLED) {
            return word;
        }
    } while (!atomic_compare_exchange_weak(
        at, &word, word_without(word_to(word, state), without)));
    return word;
}

/* The same at the script's end.  Whoever sees the new state finds it counted.
 */
static uint64_t change_last(ephpm_task_t *task, ephpm_job_state_t state,
                            uint64_t without)
{
    bool counts = !task->counted;

    if (counts) {
        task->counted = true;
        ephpm_count_add(task->jobs, EPHPM_COUNT_REQUESTS, 1);
    }
    uint64_t word = change(task, state, without);
    if (counts && (word == 0 || word_state(word) == EPHPM_JOB_KILLED)) {
        ephpm_count_add(task->jobs, EPHPM_COUNT_REQUESTS, UINT64_MAX);
    }
    return word;
}

static void answer(ephpm_task_t *task, const ephpm_job_end_t *end,
                   ephpm_job_state_t state)
{
    if (task->answered) {
        return;
    }
    ephpm_ring_end(task, end);
    task->answered = true;
    task->unseen_bytes = 0;
    uint64_t word = state == EPHPM_JOB_ENDING ? change_last(task, state, 0)
                                              : change(task, state, 0);
    if ((word & WORD_S) != 0) {
        ephpm_jobs_notify(task->jobs, task->slot, word, false);
    }
}

void ephpm_task_answer(ephpm_task_t *task, const ephpm_job_end_t *end)
{
    answer(task, end, EPHPM_JOB_ANSWERED);
}

void ephpm_task_complete(ephpm_task_t *task, const ephpm_job_end_t *end)
{
    answer(task, end, EPHPM_JOB_ENDING);
}

void ephpm_task_finish(ephpm_task_t *task, const ephpm_job_end_t *end)
{
    ephpm_jobs_t *jobs = task->jobs;

    ephpm_ring_end(task, end);
    uint64_t word = change_last(task, EPHPM_JOB_DONE, WORD_R);
    if (word == 0) {
        return;
    }
    if (word_state(word) == EPHPM_JOB_KILLED) {
        wait_for_signal(jobs);
        return;
    }
    if ((word & WORD_S) != 0 && !task->answered) {
        ephpm_jobs_notify(jobs, task->slot, word, false);
    }
    task->answered = true;
}
