/* ephpm_jobs.c - the job table as a whole; see ephpm_jobs.h.
 *
 * ephpm_jobs_submitter.c, _runner.c and _spawner.c have what each party does,
 * ephpm_jobs_ring.c the frames, ephpm_jobs_check.c the audit.
 */

#include "ephpm_jobs_private.h"

#include "kv_futex.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

/* How often a place is tried that somebody may just be looking at. */
#define TAKE_TRIES 100
#define TAKE_PAUSE_NS 1000000L
/* Some twenty microseconds, where two instructions are waited for. */
#define TICKET_SPINS 1000u
/* ARCHITECTURE.md has what this was measured to gain. */
#define LOOK_US 300
#define SHORT_US 2000

uint64_t ephpm_jobs_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ------------------------------------------------------------------ */
/* Making                                                              */

static size_t place(size_t *at, size_t count, size_t bytes)
{
    size_t here = *at;
    *at = (here + count * bytes + LINE_BYTES - 1) & ~(size_t)(LINE_BYTES - 1);
    return here;
}

static size_t lay_out(ephpm_jobs_t *jobs, unsigned char *base)
{
    const ephpm_jobs_config_t *config = &jobs->config;
    size_t at = 0;
    size_t lives;
    size_t calls;
    size_t bells;
    size_t words;
    size_t slots;
    size_t rings;

    jobs->rings = 2 * config->runners;
    /* For each runner one that is being read, one that is ending, and one that
     * waits for it already. */
    jobs->slots = 3 * config->runners + config->queue;
    place(&at, 1, sizeof(head_t));
    lives = place(&at, 1 + config->runners + config->submitters,
                  sizeof(life_t));
    calls = place(&at, config->submitters, sizeof(call_t));
    bells = place(&at, config->runners, sizeof(bell_t));
    words = place(&at, jobs->slots, sizeof(word_t));
    slots = place(&at, jobs->slots, sizeof(slot_t));
    rings = place(&at, jobs->rings, sizeof(ring_t));
    if (base != NULL) {
        jobs->head = (head_t *)(void *)base;
        jobs->lives = (life_t *)(void *)(base + lives);
        jobs->calls = (call_t *)(void *)(base + calls);
        jobs->bells = (bell_t *)(void *)(base + bells);
        jobs->words = (word_t *)(void *)(base + words);
        jobs->slot = (slot_t *)(void *)(base + slots);
        jobs->ring = (ring_t *)(void *)(base + rings);
    }
    return at;
}

static bool make_lives(const ephpm_jobs_t *jobs)
{
    unsigned lives = 1 + jobs->config.runners + jobs->config.submitters;

    for (unsigned i = 0; i < lives; i++) {
        if (!kv_life_init(&jobs->lives[i].life)) {
            errno = ENOTSUP;
            return false;
        }
    }
    return true;
}

static bool make_events(ephpm_jobs_t *jobs)
{
    jobs->events = malloc(jobs->config.submitters * sizeof(*jobs->events));
    if (jobs->events == NULL) {
        return false;
    }
    for (unsigned i = 0; i < jobs->config.submitters; i++) {
        jobs->events[i] = (ephpm_event_t){ -1, -1 };
    }
    for (unsigned i = 0; i < jobs->config.submitters; i++) {
        if (!ephpm_event_make(&jobs->events[i])) {
            return false;
        }
    }
    return true;
}

static void forget_places(ephpm_jobs_t *jobs)
{
    jobs->submitter = NOBODY;
    jobs->runner = NOBODY;
    jobs->gives_way = false;
    jobs->spawner = false;
    jobs->writing = (writing_t){ 0 };
}

ephpm_jobs_t *ephpm_jobs_make(const ephpm_jobs_config_t *config)
{
    if (config->runners == 0 || config->runners > EPHPM_RUNNERS_MAX ||
        config->queue > EPHPM_QUEUE_MAX || config->submitters == 0 ||
        config->submitters > EPHPM_SUBMITTERS_MAX) {
        errno = EINVAL;
        return NULL;
    }
    ephpm_jobs_t *jobs = calloc(1, sizeof(*jobs));
    if (jobs == NULL) {
        return NULL;
    }
    jobs->config = *config;
    jobs->ticket_spins = TICKET_SPINS;
    jobs->look_us = LOOK_US;
    jobs->short_us = SHORT_US;
    forget_places(jobs);
    if (getrandom(&jobs->table, sizeof(jobs->table), 0) !=
        sizeof(jobs->table)) {
        free(jobs);
        return NULL;
    }
    jobs->bytes = lay_out(jobs, NULL);
    /* Most of a table is never touched: no page of it is asked for. */
    void *memory = mmap(NULL, jobs->bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        free(jobs);
        return NULL;
    }
    lay_out(jobs, memory);
    if (!make_lives(jobs) || (config->events && !make_events(jobs))) {
        int why = errno;
        ephpm_jobs_free(jobs);
        errno = why;
        return NULL;
    }
    return jobs;
}

void ephpm_jobs_free(ephpm_jobs_t *jobs)
{
    if (jobs == NULL) {
        return;
    }
    for (unsigned i = 0; jobs->events != NULL && i < jobs->config.submitters;
         i++) {
        ephpm_event_close(&jobs->events[i]);
    }
    free(jobs->events);
    free(jobs->request);
    munmap(jobs->head, jobs->bytes);
    free(jobs);
}

ephpm_jobs_t *ephpm_jobs_view(const ephpm_jobs_t *jobs)
{
    ephpm_jobs_t *view = malloc(sizeof(*view));

    if (view != NULL) {
        *view = *jobs;
        view->request = NULL;
        forget_places(view);
    }
    return view;
}

void ephpm_jobs_view_free(ephpm_jobs_t *view)
{
    if (view != NULL) {
        free(view->request);
        free(view);
    }
}

const ephpm_jobs_config_t *ephpm_jobs_config(const ephpm_jobs_t *jobs)
{
    return &jobs->config;
}

/* ------------------------------------------------------------------ */
/* Places                                                              */

void ephpm_jobs_mine(ephpm_jobs_t *jobs)
{
    int64_t pid = (int64_t)getpid();

    if (jobs->pid != pid) {
        forget_places(jobs);
        jobs->pid = pid;
    }
}

bool ephpm_life_take(kv_life_t *life, uint64_t *incarnation)
{
    struct timespec pause = { 0, TAKE_PAUSE_NS };

    for (int i = 0; !kv_life_take(life, incarnation); i++) {
        if (i == TAKE_TRIES) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

/* ------------------------------------------------------------------ */
/* Waking up                                                           */

/* Without waking him, should he sleep. */
static bool set_awake(ephpm_jobs_t *jobs, uint32_t index, uint32_t state)
{
    bell_t *bell = &jobs->bells[index];

    return atomic_load(bell) == state &&
           atomic_compare_exchange_strong(bell, &state, BELL_AWAKE);
}

bool ephpm_jobs_ring(ephpm_jobs_t *jobs, uint32_t index, uint32_t state)
{
    if (!set_awake(jobs, index, state)) {
        return false;
    }
    kv_futex_wake(&jobs->bells[index]);
    return true;
}

void ephpm_jobs_ring_one(ephpm_jobs_t *jobs)
{
    for (uint32_t i = 0; i < jobs->config.runners; i++) {
        if (set_awake(jobs, i, BELL_LOOKING)) {
            return;
        }
    }
    for (uint32_t i = 0; i < jobs->config.runners; i++) {
        if (ephpm_jobs_ring(jobs, i, BELL_ASLEEP)) {
            return;
        }
    }
}

void ephpm_jobs_notify(ephpm_jobs_t *jobs, uint32_t index, uint64_t word,
                       bool surely)
{
    slot_t *slot = &jobs->slot[index];
    uint32_t submitter = word_submitter(word);

    atomic_fetch_add(&slot->news, 1);
    if (jobs->events == NULL) {
        if (atomic_load(&slot->waiting) != 0 || surely) {
            kv_futex_wake(&slot->news);
        }
    } else if (submitter < jobs->config.submitters &&
               (atomic_exchange(&jobs->calls[submitter].pending, 1) == 0 ||
                surely)) {
        ephpm_event_raise(&jobs->events[submitter]);
    }
}

/* ------------------------------------------------------------------ */
/* Letting go of a job                                                 */

/* Whoever waits for the submitter, in vain. */
static void wake_runner(ephpm_jobs_t *jobs, uint32_t slot, uint64_t word)
{
    uint32_t runner = word_runner(word);
    uint32_t number = ld_rlx(&jobs->slot[slot].ring);

    if (number != 0 && number <= jobs->rings) {
        ring_t *ring = &jobs->ring[number - 1];
        if (atomic_load(&ring->wanted) != 0) {
            st_rlx(&ring->wanted, 0);
            kv_futex_wake(&ring->wanted);
        }
    }
    if (runner < jobs->config.runners) {
        ephpm_jobs_ring(jobs, runner, BELL_NO_RING);
    }
}

bool ephpm_jobs_let_go(ephpm_jobs_t *jobs, uint32_t slot, uint64_t job)
{
    uint64_t word = atomic_load(&jobs->words[slot]);

    do {
        if (!word_same(word, job) || (word & WORD_S) == 0) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&jobs->words[slot], &word,
                                           word_without(word, WORD_S)));
    if (word_state(word) >= EPHPM_JOB_RUNNING &&
        word_state(word) != STATE_CLAIMING) {
        wake_runner(jobs, slot, word);
    }
    return true;
}

void ephpm_jobs_abandon(ephpm_jobs_t *jobs, uint32_t submitter)
{
    for (uint32_t i = 0; i < jobs->slots; i++) {
        uint64_t word = atomic_load(&jobs->words[i]);
        if ((word & WORD_S) != 0 && word_submitter(word) == submitter) {
            ephpm_jobs_let_go(jobs, i, word);
        }
    }
}

bool ephpm_jobs_submitter_dead(ephpm_jobs_t *jobs, uint32_t submitter)
{
    if (submitter >= jobs->config.submitters) {
        return true;
    }
    kv_life_t *life = &submitter_life(jobs, submitter)->life;
    if (kv_life_catch(life, ld_acq(&life->incarnation)) != KV_LIFE_CAUGHT) {
        return false;
    }
    if (ld_rlx(&life->pid) != 0) {
        ephpm_jobs_abandon(jobs, submitter);
        st_rlx(&life->pid, 0);
    }
    kv_life_let_go(life);
    return true;
}

/* ------------------------------------------------------------------ */
/* The pulse                                                           */

void ephpm_pulse_set(ephpm_jobs_t *jobs, ephpm_pulse_t pulse)
{
    atomic_store(&jobs->head->pulse, (uint32_t)pulse);
    for (unsigned i = 0; jobs->events != NULL && i < jobs->config.submitters;
         i++) {
        atomic_store(&jobs->calls[i].pending, 1);
        ephpm_event_raise(&jobs->events[i]);
    }
}

ephpm_pulse_t ephpm_pulse_get(const ephpm_jobs_t *jobs)
{
    uint32_t pulse = ld_acq(&jobs->head->pulse);
    return pulse <= EPHPM_PULSE_FAILED ? (ephpm_pulse_t)pulse
                                       : EPHPM_PULSE_FAILED;
}

/* ------------------------------------------------------------------ */
/* Figures                                                             */

void ephpm_count_add(ephpm_jobs_t *jobs, ephpm_count_t count, uint64_t by)
{
    if ((unsigned)count < EPHPM_COUNTS) {
        atomic_fetch_add_explicit(&jobs->head->counts[count], by,
                                  memory_order_relaxed);
    }
}

void ephpm_jobs_stats(const ephpm_jobs_t *jobs, ephpm_jobs_stats_t *stats)
{
    *stats = (ephpm_jobs_stats_t){
        .runners = jobs->config.runners,
        .queue_max = jobs->config.queue,
    };
    for (unsigned i = 0; i < jobs->config.runners; i++) {
        stats->alive += ld_rlx(&jobs->bells[i]) != BELL_NOBODY;
    }
    for (uint32_t i = 0; i < jobs->slots; i++) {
        uint64_t word = ld_rlx(&jobs->words[i]);
        stats->busy += (word & WORD_R) != 0 &&
                       word_state(word) != EPHPM_JOB_ENDING;
        stats->queued += word_state(word) == EPHPM_JOB_READY;
    }
    if (stats->busy > stats->alive) {
        stats->busy = stats->alive;
    }
    for (int i = 0; i < EPHPM_COUNTS; i++) {
        stats->counts[i] = ld_rlx(&jobs->head->counts[i]);
    }
}

/* ------------------------------------------------------------------ */
/* Facts                                                               */

/* Of whoever calls, as in facts_writer; 0: he has no place that tells the
 * others when he is dead. */
static uint64_t writer_name(const ephpm_jobs_t *jobs)
{
    if (jobs->runner != NOBODY) {
        return (uint64_t)(jobs->runner + 2) << 48 | jobs->runner_incarnation;
    }
    return jobs->spawner ? UINT64_C(1) << 48 | jobs->spawner_incarnation : 0;
}

static bool writer_dead(const ephpm_jobs_t *jobs, uint64_t name)
{
    uint64_t life = name >> 48;
    return life == 0 || life > 1 + jobs->config.runners ||
           kv_life_dead(&jobs->lives[life - 1].life,
                        name & KV_INCARNATION_MASK);
}

void ephpm_facts_put(ephpm_jobs_t *jobs, const void *facts, size_t bytes)
{
    head_t *head = jobs->head;
    uint64_t me = writer_name(jobs);
    uint64_t writer = 0;

    if (me == 0 || bytes > EPHPM_FACTS_BYTES) {
        return;
    }
    if (!atomic_compare_exchange_strong(&head->facts_writer, &writer, me) &&
        (!writer_dead(jobs, writer) ||
         !atomic_compare_exchange_strong(&head->facts_writer, &writer, me))) {
        return;
    }
    uint32_t sequence = ld_rlx(&head->facts_sequence) | 1;
    st_rlx(&head->facts_sequence, sequence);
    kv_fence_release();
    st_rlx(&head->facts_bytes, (uint32_t)bytes);
    kv_copy(head->facts, facts, bytes);
    st_rel(&head->facts_sequence, sequence + 1);
    writer = me;
    atomic_compare_exchange_strong(&head->facts_writer, &writer, 0);
}

bool ephpm_facts_get(const ephpm_jobs_t *jobs, void *facts, size_t room,
                     size_t *bytes)
{
    const head_t *head = jobs->head;

    for (int i = 0; i < 100; i++) {
        uint32_t sequence = ld_acq(&head->facts_sequence);
        if (sequence == 0) {
            return false;
        }
        if ((sequence & 1) != 0) {
            kv_pause();
            continue;
        }
        size_t there = ld_rlx(&head->facts_bytes);
        if (there > EPHPM_FACTS_BYTES || there > room) {
            return false;
        }
        kv_copy(facts, head->facts, there);
        kv_fence_acquire();
        if (ld_rlx(&head->facts_sequence) == sequence) {
            *bytes = there;
            return true;
        }
    }
    return false;
}
