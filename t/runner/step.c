/* step.c - single-stepping what is done to a job table; see step.h.
 *
 *   step [--only TEXT]
 */

#include "step.h"
#include "step_trace.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_BYTES 4096u

typedef struct stage {
    const step_case_t *what;
    ephpm_jobs_t *jobs;
    control_t *control;
    cast_t cast;
    unsigned char *shadow;      /* the table as last seen */
    void *copy;                 /* for those who live on */
    pid_t victim;
    trace_t trace;
    uint32_t copies;
    char why[300];
} stage_t;

runt_order_t step_order(uint32_t serial)
{
    return (runt_order_t){
        .magic = RUNT_MAGIC,
        .serial = serial,
        .seed = serial * UINT64_C(0x9e3779b97f4a7c15),
        .request_bytes = 100,
        .head_bytes = 100,
        .body_bytes = 300,
        .piece_bytes = 150,
    };
}

void cast_ask(cast_t *cast)
{
    for (int i = 0; i < ASKED; i++) {
        asked_t *one = &cast->asked[i];
        if (!one->there) {
            runt_order_t order = step_order(++cast->orders);
            runt_expect(&one->heard, &order);
            one->there = runt_send(cast->submitter[1], &one->job, &order);
            if (!one->there) {
                rig_die("no place for a job");
            }
            return;
        }
    }
}

/* ------------------------------------------------------------------ */
/* Setting the stage                                                   */

static ephpm_jobs_t *view_of(const ephpm_jobs_t *jobs)
{
    ephpm_jobs_t *view = ephpm_jobs_view(jobs);
    if (view == NULL) {
        rig_die("out of memory");
    }
    return view;
}

static void set_stage(stage_t *stage, bool events)
{
    const step_case_t *what = stage->what;
    cast_t *cast = &stage->cast;
    ephpm_jobs_config_t config = {
        .runners = RUNNERS,
        .queue = QUEUE,
        .submitters = SUBMITTERS,
        .events = events,
    };

    stage->jobs = ephpm_jobs_make(&config);
    if (stage->jobs == NULL) {
        rig_die("no table: %s", strerror(errno));
    }
    stage->jobs->head->ticket = UINT32_MAX - 1;
    memset(cast, 0, sizeof(*cast));
    bool good = true;
    for (int i = 0; i < SUBMITTERS; i++) {
        cast->submitter[i] = view_of(stage->jobs);
        if (i == 1 || (what->role != SUBMITTER && !what->dead_submitter)) {
            good &= ephpm_submitter_attach(cast->submitter[i], i) == i;
        }
    }
    for (unsigned i = 0; i < RUNNERS; i++) {
        cast->runner[i] = view_of(stage->jobs);
        if (i == 1 || (what->role != RUNNER && !what->dead_runner)) {
            good &= ephpm_runner_attach(cast->runner[i], i);
        }
    }
    cast->spawner = view_of(stage->jobs);
    if (what->role != SPAWNER) {
        good &= ephpm_spawner_attach(cast->spawner);
    }
    if (!good) {
        rig_die("%s: no place", what->name);
    }
    ephpm_pulse_set(cast->spawner, EPHPM_PULSE_READY);
    if (what->prepare != NULL) {
        what->prepare(cast);
    }
    stage->shadow = malloc(stage->jobs->bytes);
    stage->copy = rig_shared(stage->jobs->bytes);
    if (stage->shadow == NULL) {
        rig_die("out of memory");
    }
    stage->copies = 0;
    stage->trace.steps = 0;
}

static void clear_stage(stage_t *stage)
{
    cast_t *cast = &stage->cast;

    free(stage->shadow);
    for (int i = 0; i < SUBMITTERS; i++) {
        ephpm_submitter_detach(cast->submitter[i]);
        ephpm_jobs_view_free(cast->submitter[i]);
    }
    for (int i = 0; i < RUNNERS; i++) {
        ephpm_runner_detach(cast->runner[i]);
        ephpm_jobs_view_free(cast->runner[i]);
    }
    /* A spawner never leaves: its life ends with the rig's thread, and so
     * must not its memory. */
}

static void play_victim(stage_t *stage)
{
    static victim_t victim;

    victim.view = view_of(stage->jobs);
    if (stage->what->begin != NULL) {
        stage->what->begin(&victim);
    }
    if (!trace_me()) {
        _exit(2);
    }
    stage->control->phase = 1;
    stage->what->run(&victim);
    stage->control->phase = 2;
    _exit(0);
}

/* ------------------------------------------------------------------ */
/* On a copy                                                           */

/* The victim is dead: as the kernel says it the first time, as it is after
 * somebody has heard that, or as it is once somebody else has had the place.
 */
static void bury(stage_t *stage, life_t *lives, uint32_t how)
{
    for (uint32_t i = 0; i < 1 + RUNNERS + SUBMITTERS; i++) {
        pthread_mutex_t *mutex = &lives[i].life.mutex;
        unsigned lock = (unsigned)mutex->__data.__lock;
        if ((lock & FUTEX_TID_MASK) != (unsigned)stage->victim) {
            continue;
        }
        mutex->__data.__lock =
            (int)((lock & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
        if (how % 3 == 0) {
            continue;
        }
        if (pthread_mutex_trylock(mutex) == EOWNERDEAD) {
            pthread_mutex_consistent(mutex);
        }
        if (how % 3 == 2) {
            lives[i].life.incarnation++;
        }
        pthread_mutex_unlock(mutex);
    }
}

/* The cast, on the copy: the same parties, with the same in their hands. */
typedef struct copied {
    cast_t cast;
    ephpm_jobs_t view[SUBMITTERS + RUNNERS + 1];
    unsigned char request[RUNNERS][EPHPM_REQUEST_BYTES + 1];
} copied_t;

static ephpm_jobs_t *copy_view(const stage_t *stage, const ephpm_jobs_t *from,
                               ephpm_jobs_t *to)
{
    *to = *from;
    runt_move(to, stage->copy);
    return to;
}

static void copy_cast(const stage_t *stage, copied_t *copied)
{
    const cast_t *from = &stage->cast;
    cast_t *to = &copied->cast;
    ephpm_jobs_t *view = copied->view;

    *to = *from;
    for (int i = 0; i < SUBMITTERS; i++) {
        to->submitter[i] = copy_view(stage, from->submitter[i], view++);
    }
    for (int i = 0; i < RUNNERS; i++) {
        to->runner[i] = copy_view(stage, from->runner[i], view++);
        if (from->runner[i]->request != NULL) {
            memcpy(copied->request[i], from->runner[i]->request,
                   EPHPM_REQUEST_BYTES + 1);
            to->runner[i]->request = copied->request[i];
        }
    }
    to->spawner = copy_view(stage, from->spawner, view++);
    for (int i = 0; i < ASKED; i++) {
        to->asked[i].job.jobs = to->submitter[1];
    }
    to->task.jobs = to->runner[1];
    to->task.request = (char *)copied->request[1];
}

/* ------------------------------------------------------------------ */
/* Those who live on                                                   */

#define NEED(condition, what)                                                \
    do {                                                                     \
        if (!(condition)) {                                                  \
            return what;                                                     \
        }                                                                    \
    } while (0)

/* Runner 1 does what it has, and what waits. */
static const char *runner_works(cast_t *cast)
{
    ephpm_jobs_t *view = cast->runner[1];
    ephpm_task_t task;

    if (cast->has_task) {
        uint64_t word = view->words[cast->task.slot];
        cast->has_task = false;
        if (word_same(word, cast->task.word) &&
            word_state(word) == EPHPM_JOB_KILLED) {
            /* It would wait for its end now; there is another at once. */
            NEED(ephpm_runner_bury(cast->spawner, 1, SIGKILL, NULL),
                 "a killed runner had nothing");
            atomic_store(&view->bells[1], BELL_AWAKE);
        } else {
            NEED(runt_serve(&cast->task), "a request that is not whole");
        }
    }
    while (ephpm_task_take(view, &task, 0)) {
        NEED(runt_serve(&task), "a request that is not whole");
    }
    return NULL;
}

static const char *settle(cast_t *cast)
{
    for (int i = 0; i < ASKED; i++) {
        asked_t *one = &cast->asked[i];
        ephpm_read_t read = EPHPM_READ_MORE;
        for (int tries = 0;
             one->there && tries < 10 && read == EPHPM_READ_MORE; tries++) {
            const char *why = runner_works(cast);
            NEED(why == NULL, why);
            read = ephpm_job_read(&one->job, runt_hear, &one->heard);
        }
        if (!one->there) {
            continue;
        }
        NEED(one->heard.wrong == NULL, one->heard.wrong);
        NEED(read == EPHPM_READ_END || read == EPHPM_READ_CRASHED ||
                 read == EPHPM_READ_KILLED, "a job comes to no end");
        NEED(read != EPHPM_READ_END || runt_judge(&one->heard) == NULL,
             "an answer is not whole");
        ephpm_job_release(&one->job);
    }
    return runner_works(cast);
}

static const char *one_round(ephpm_jobs_t *submitter, ephpm_jobs_t *runner,
                             uint32_t serial)
{
    runt_order_t order = step_order(serial);
    runt_heard_t heard;
    ephpm_task_t task;
    ephpm_job_t job;

    runt_expect(&heard, &order);
    NEED(ephpm_job_claim(submitter, &job) == EPHPM_CLAIMED,
         "no place for another job");
    runt_submit(&job, &order);
    NEED(ephpm_task_take(runner, &task, 0), "another job is not taken");
    NEED(runt_serve(&task), "another request is not whole");
    NEED(ephpm_job_read(&job, runt_hear, &heard) == EPHPM_READ_END,
         "another job does not end");
    const char *wrong = runt_judge(&heard);
    ephpm_job_release(&job);
    return wrong;
}

static const char *facts_go_on(cast_t *cast)
{
    char facts[EPHPM_FACTS_BYTES];
    size_t bytes;

    ephpm_facts_put(cast->runner[1], "new facts", 9);
    NEED(ephpm_facts_get(cast->spawner, facts, sizeof(facts), &bytes),
         "no facts");
    NEED(bytes == 9 && memcmp(facts, "new facts", 9) == 0, "other facts");
    return NULL;
}

/* The dead one's successor comes, after the spawner or by himself. */
static const char *follow(const step_case_t *what, cast_t *cast,
                          bool spawner_first)
{
    bool no_submitter = what->role == SUBMITTER || what->dead_submitter;
    bool no_runner = what->role == RUNNER || what->dead_runner;

    if (what->role == SPAWNER) {
        NEED(ephpm_spawner_attach(cast->spawner),
             "a spawner cannot follow");
    }
    if (spawner_first) {
        NEED(ephpm_submitters_living(cast->spawner) ==
                 (no_submitter ? 1 : SUBMITTERS), "who lives is not known");
        if (no_runner) {
            NEED(!ephpm_runner_lives(cast->spawner, 0),
                 "a dead runner seems to live");
            ephpm_runner_bury(cast->spawner, 0, SIGKILL, NULL);
        }
    }
    if (no_submitter) {
        NEED(ephpm_submitter_attach(cast->submitter[0], 0) == 0,
             "a submitter cannot follow");
    }
    if (no_runner) {
        NEED(ephpm_runner_attach(cast->runner[0], 0),
             "a runner cannot follow");
    }
    return NULL;
}

static const char *live_on(const step_case_t *what, cast_t *cast,
                           bool spawner_first)
{
    ephpm_jobs_stats_t stats;
    ephpm_jobs_t *jobs = cast->submitter[1];
    const char *why = ephpm_jobs_check(jobs);

    if (why == NULL) {
        why = follow(what, cast, spawner_first);
    }
    if (why == NULL) {
        why = settle(cast);
    }
    for (uint32_t i = 0; why == NULL && i < 4; i++) {
        why = one_round(cast->submitter[i / 2], cast->runner[i % 2], 900 + i);
    }
    if (why == NULL) {
        why = facts_go_on(cast);
    }
    NEED(why == NULL, why);
    for (uint32_t i = 0; i < jobs->slots; i++) {
        NEED(jobs->words[i] == 0, "a slot is not free");
    }
    ephpm_jobs_stats(jobs, &stats);
    NEED(stats.alive == RUNNERS && stats.busy == 0 && stats.queued == 0,
         "the figures are wrong");
    return ephpm_jobs_check(jobs);
}

/* Whoever has attached in the copy leaves it: the thread's list of what it
 * holds goes through the copy's memory. */
static void leave(const step_case_t *what, cast_t *cast)
{
    if (what->role == SPAWNER && cast->spawner->spawner) {
        kv_life_leave(&spawner_life(cast->spawner)->life);
    }
    if (what->role == SUBMITTER || what->dead_submitter) {
        ephpm_submitter_detach(cast->submitter[0]);
    }
    if (what->role == RUNNER || what->dead_runner) {
        ephpm_runner_detach(cast->runner[0]);
        free(cast->runner[0]->request);
    }
}

static const char *audit_copy(stage_t *stage)
{
    static copied_t copied;
    const step_case_t *what = stage->what;

    memcpy(stage->copy, stage->shadow, stage->jobs->bytes);
    copy_cast(stage, &copied);
    if (what->role == RUNNER || what->dead_runner) {
        copied.cast.runner[0]->request = NULL;
    }
    /* A dead one of before had these; his successor has nothing. */
    if (what->dead_submitter) {
        copied.cast.submitter[0]->submitter = NOBODY;
    }
    if (what->dead_runner) {
        copied.cast.runner[0]->runner = NOBODY;
    }
    bury(stage, copied.cast.spawner->lives, stage->copies / 2);
    const char *why = live_on(what, &copied.cast, stage->copies % 2 == 0);
    leave(what, &copied.cast);
    stage->copies++;
    return why;
}

/* ------------------------------------------------------------------ */
/* Stepping                                                            */

static bool table_changed(stage_t *stage)
{
    const unsigned char *now = (const unsigned char *)stage->jobs->head;
    bool changed = false;

    for (size_t at = 0; at < stage->jobs->bytes; at += PAGE_BYTES) {
        size_t bytes = stage->jobs->bytes - at;
        bytes = bytes < PAGE_BYTES ? bytes : PAGE_BYTES;
        if (memcmp(now + at, stage->shadow + at, bytes) != 0) {
            memcpy(stage->shadow + at, now + at, bytes);
            changed = true;
        }
    }
    return changed;
}

static const char *step_through(stage_t *stage)
{
    const control_t *control = stage->control;
    uint64_t last = 0;
    uint32_t again = 0;
    bool behind = false;

    memcpy(stage->shadow, stage->jobs->head, stage->jobs->bytes);
    const char *why = audit_copy(stage);
    bool stopped = true;
    while (why == NULL && stopped && control->phase < 2) {
        stopped = trace_step(stage->victim);
        if (control->phase == 0) {
            continue;
        }
        trace_note(&stage->trace, stage->victim);
        behind |= table_changed(stage);
        /* Of a string instruction that moves byte by byte every sixteenth. */
        uint64_t at = stage->trace.at == NULL
                          ? stage->trace.steps
                          : stage->trace.at[stage->trace.steps - 1];
        again = at == last ? again + 1 : 0;
        last = at;
        if (behind && again % 16 == 0) {
            /* By way of the spawner, and by way of the successor. */
            why = audit_copy(stage);
            why = why == NULL ? audit_copy(stage) : why;
            behind = false;
        }
    }
    NEED(why != NULL || stopped, "it has died of itself");
    return why;
}

static void run_case(stage_t *stage, bool events)
{
    const char *how = events ? "events" : "news";
    uint64_t begin_ns = rig_now_ns();

    rig_watchdog(600, "%s (%s)", stage->what->name, how);
    set_stage(stage, events);
    stage->control->phase = 0;
    stage->victim = rig_fork();
    if (stage->victim == 0) {
        play_victim(stage);
    }
    if (!trace_wait(stage->victim)) {
        rig_die("%s: cannot be traced", stage->what->name);
    }
    if (stage->what->amid != NULL) {
        stage->what->amid(&stage->cast);
    }
    const char *why = step_through(stage);
    rig_kill(stage->victim);
    rig_ok(why == NULL, "%s (%s)", stage->what->name, how);
    if (why != NULL) {
        rig_note("step %u, copy %u: %s", stage->trace.steps, stage->copies,
                 why);
    }
    rig_note("  %u steps, %u copies, %.1f s", stage->trace.steps,
             stage->copies, (double)(rig_now_ns() - begin_ns) / 1e9);
    clear_stage(stage);
}

int main(int argc, char **argv)
{
    static stage_t stage;
    const char *only = argc == 3 && strcmp(argv[1], "--only") == 0 ? argv[2]
                                                                   : "";
    rig_begin();
    if (!trace_allowed()) {
        rig_skip("stepping", "ptrace is not allowed here");
        return rig_done();
    }
    stage.control = rig_shared(sizeof(*stage.control));
    for (size_t i = 0; i < step_cases_count; i++) {
        stage.what = &step_cases[i];
        if (strstr(stage.what->name, only) != NULL) {
            run_case(&stage, false);
            run_case(&stage, true);
        }
    }
    return rig_done();
}
