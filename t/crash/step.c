/* step.c - single-stepping each operation of the store; see step.h.
 *
 *   step [--part I/N] [--only TEXT] [--kills N] [--beyond N] [--seed N]
 *
 *   --part    every N-th case, from the I-th on
 *   --only    the cases whose name contains TEXT
 *   --kills   kills at so many steps chosen by chance; without it, at every
 *             step up to the 2,000th (from the first that changes the store
 *             on) ...
 *   --beyond  ... and at so many of those behind it (200)
 */

#include "step.h"
#include "step_trace.h"

#include "kv_lock.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORE_BYTES (80u << 10)
#define PAGE_BYTES 4096u
#define EVERY_STEP_UP_TO 2000u
#define ADVANCES_MAX 5000u
/* A kill may take so many stops of the victim, some 30 us each. */
#define STOPS_MAX 400u

typedef struct stage {
    scene_t scene;
    control_t *control;
    unsigned char *before;    /* the store's bytes when the case begins */
    unsigned char *shadow;    /* ... as last seen */
    void *copy;               /* for the survivors of phase 2 */
    course_t course;
    trace_t trace;
    pid_t victim;
    uint32_t first_change;    /* the step before which it was untouched */
    uint32_t copies;
    uint32_t kills;
    uint32_t astray;          /* kills elsewhere than at the step meant */
    char why[300];
} stage_t;

typedef struct options {
    uint32_t part;
    uint32_t parts;
    const char *only;
    uint32_t kills;           /* 0: every step up to the 2,000th */
    uint32_t beyond;
    uint64_t seed;
} options_t;

static const step_case_t *case_named(const char *name)
{
    for (size_t i = 0; i < step_cases_count; i++) {
        if (strcmp(step_cases[i].name, name) == 0) {
            return &step_cases[i];
        }
    }
    rig_die("there is no case \"%s\"", name);
}

/* ------------------------------------------------------------------ */
/* The victim                                                          */

static void victim(stage_t *stage, const step_case_t *what, bool traced)
{
    scene_t *scene = &stage->scene;

    if (!what->attaches) {
        scene->store = rig_attach(&scene->made);
    }
    if (traced && !trace_me()) {
        _exit(2);
    }
    stage->control->phase = 1;
    stage->control->result = (int32_t)what->run(scene);
    stage->control->phase = 2;
    if (scene->store != NULL) {
        kv_store_detach(scene->store);
    }
    _exit(0);
}

static void start_victim(stage_t *stage, const step_case_t *what, bool traced)
{
    stage->control->phase = 0;
    stage->victim = rig_fork();
    if (stage->victim == 0) {
        victim(stage, what, traced);
    }
}

static void restore(stage_t *stage)
{
    memcpy(stage->scene.made.memory, stage->before, stage->scene.made.bytes);
}

/* Let the operation run to its end in a process of its own. */
static kv_result_t run_whole(stage_t *stage, const step_case_t *what)
{
    int status;

    start_victim(stage, what, false);
    while (waitpid(stage->victim, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        rig_die("%s: ended with status %d", what->name, status);
    }
    return (kv_result_t)stage->control->result;
}

/* ------------------------------------------------------------------ */
/* Setting the stage                                                   */

/* Everything by chance in a store follows from its secret. */
static void make_store(stage_t *stage, const char *options, uint64_t seed)
{
    scene_t *scene = &stage->scene;
    kv_config_t config;
    char error[200];

    kv_config_init(&config);
    if (options != NULL &&
        kv_config_set(&config, options, error, sizeof(error)) != KV_OK) {
        rig_die("%s", error);
    }
    config.segment_bytes = 4096;
    config.shards = 2;
    config.threads_max = THREADS;
    if (kv_store_create(scene->made.memory, scene->made.bytes, &config) !=
        KV_OK) {
        rig_die("kv_store_create");
    }
    kv_header_t *header = scene->made.memory;
    rig_fill(header->secret, KV_SECRET_BYTES, seed);
    kv_shard_t *shards =
        (kv_shard_t *)(void *)((unsigned char *)scene->made.memory +
                               header->geometry.shards_at);
    for (uint32_t i = 0; i < 2; i++) {
        shards[i].random = rig_mix(seed + i);
    }
}

/* Add keys until the operation does what it is about: tried each time on the
 * very store, whose bytes are put back. */
static void come_near(stage_t *stage, const step_case_t *what)
{
    scene_t *scene = &stage->scene;

    for (uint32_t i = 0; i < ADVANCES_MAX; i++) {
        memcpy(stage->shadow, scene->made.memory, scene->made.bytes);
        int64_t from = what->measure(scene);
        what->run(scene);
        bool reached = what->measure(scene) != from;
        memcpy(scene->made.memory, stage->shadow, scene->made.bytes);
        if (reached) {
            return;
        }
        what->advance(scene, i);
    }
    rig_die("%s: does not come to what it is about", what->name);
}

static const kv_shard_t *shard_0(const stage_t *stage)
{
    const unsigned char *base = stage->scene.made.memory;
    const kv_header_t *header = stage->scene.made.memory;
    return (const kv_shard_t *)(const void *)(base +
                                              header->geometry.shards_at);
}

/* Let a process die amid the steps at which it holds a lock. */
static void die_amid(stage_t *stage, const step_case_t *what)
{
    const kv_header_t *header = stage->scene.made.memory;
    uint32_t held = 0;
    uint32_t amid = UINT32_MAX;

    for (int round = 0; round < 2; round++) {
        uint32_t at = 0;
        restore(stage);
        start_victim(stage, what, true);
        bool stopped = trace_wait(stage->victim);
        while (stopped && stage->control->phase < 2 && at < amid) {
            stopped = trace_step(stage->victim);
            at += ld_acq(&shard_0(stage)->lock) != 0 ||
                  ld_acq(&header->build_lock) != 0;
        }
        if (!stopped) {
            rig_die("%s: cannot be stepped", what->name);
        }
        rig_kill(stage->victim);
        held = at;
        amid = held / 2;
    }
    memcpy(stage->before, stage->scene.made.memory, stage->scene.made.bytes);
}

static void set_stage(stage_t *stage, const step_case_t *what, uint64_t seed)
{
    scene_t *scene = &stage->scene;
    const step_case_t *first =
        what->after != NULL ? case_named(what->after) : what;

    scene->what = what;
    scene->salt = 0;
    scene->keys = 0;
    stage->copies = stage->kills = stage->astray = 0;
    stage->trace.steps = 0;
    stage->trace.complete = false;
    memset(&stage->course, 0, sizeof(stage->course));
    make_store(stage, first->options, seed);
    scene->store = rig_attach(&scene->made);
    first->prepare(scene);
    if (first->advance != NULL) {
        come_near(stage, first);
    }
    uint32_t compared = scene->keys;
    scene->work_shards = scene->store->geometry.shards;
    for (uint32_t i = 0; i < 2 * scene->work_shards; i++) {
        scene->keys = KEYS_MAX - 1; /* a place for a moment */
        name_t kept = scene->key[KEYS_MAX - 1];
        scene_key(scene, i / 2);
        scene->work[i] = scene->key[KEYS_MAX - 1];
        scene->key[KEYS_MAX - 1] = kept;
    }
    scene->keys = compared;
    kv_store_detach(scene->store);
    scene->store = NULL;
    rig_sleep_us(25000); /* what lives for a moment is gone from here on */
    memcpy(stage->before, scene->made.memory, scene->made.bytes);
    if (what->after != NULL) {
        die_amid(stage, first);
    }
}

static bool wrong(stage_t *stage, const char *where, uint32_t step,
                  const char *why)
{
    snprintf(stage->why, sizeof(stage->why), "%s, step %u of %u: %s", where,
             step, stage->trace.steps, why);
    return false;
}

/* ------------------------------------------------------------------ */
/* 1. To its end                                                       */

static bool whole(stage_t *stage)
{
    scene_t *scene = &stage->scene;
    const step_case_t *what = scene->what;
    int64_t from = 0;

    scene->store = rig_attach(&scene->made);
    if (what->measure != NULL) {
        from = what->measure(scene);
    }
    view_take(scene, scene->store, &stage->course.before);
    kv_store_detach(scene->store);
    scene->store = NULL;

    restore(stage); /* reading has counted */
    kv_result_t result = run_whole(stage, what);

    scene->store = rig_attach(&scene->made);
    bool reached = what->measure == NULL || what->measure(scene) != from;
    const char *broken = rig_audit(scene->store);
    view_take(scene, scene->store, &stage->course.after);
    kv_store_detach(scene->store);
    scene->store = NULL;
    restore(stage);
    if (result != what->expect) {
        return wrong(stage, "whole", 0, kv_result_text(result));
    }
    if (!reached) {
        return wrong(stage, "whole", 0, "not what the case is about");
    }
    return broken == NULL || wrong(stage, "whole", 0, broken);
}

/* ------------------------------------------------------------------ */
/* 2. Step by step, on copies                                          */

static bool store_changed(stage_t *stage)
{
    unsigned char *now = stage->scene.made.memory;
    bool changed = false;

    for (size_t at = 0; at < stage->scene.made.bytes; at += PAGE_BYTES) {
        size_t bytes = stage->scene.made.bytes - at;
        bytes = bytes < PAGE_BYTES ? bytes : PAGE_BYTES;
        if (memcmp(now + at, stage->shadow + at, bytes) != 0) {
            memcpy(stage->shadow + at, now + at, bytes);
            changed = true;
        }
    }
    return changed;
}

/* In the copy the victim is dead: as the kernel says it the first time, as
 * it is after somebody has heard that, or as it is once somebody else has
 * taken the place. */
static void bury(stage_t *stage, uint32_t how)
{
    kv_header_t *header = stage->copy;
    kv_thread_t *thread = (kv_thread_t *)(void *)
        ((unsigned char *)stage->copy + header->geometry.threads_at);

    for (uint32_t i = 0; i < header->geometry.threads; i++) {
        pthread_mutex_t *life = &thread[i].life.mutex;
        unsigned lock = (unsigned)life->__data.__lock;
        if ((lock & FUTEX_TID_MASK) != (unsigned)stage->victim) {
            continue;
        }
        life->__data.__lock =
            (int)((lock & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
        if (how % 3 == 0) {
            continue;
        }
        if (pthread_mutex_trylock(life) == EOWNERDEAD) {
            pthread_mutex_consistent(life);
        }
        if (how % 3 == 2) {
            thread[i].life.incarnation++;
        }
        pthread_mutex_unlock(life);
    }
}

/* What survivors find, and that they can go on.  Every other time they go
 * on before anybody has audited: then it is a set that takes over. */
static const char *survive(stage_t *stage, kv_store_t *store, when_t when,
                           bool work_first)
{
    static view_t now;
    const scene_t *scene = &stage->scene;
    const char *why = NULL;
    seen_t_ key_0;

    view_take(scene, store, &now);
    uint64_t evictions = now.evictions;
    if (work_first) {
        why = survivor_works(scene, store);
    }
    if (why == NULL) {
        why = rig_audit(store);
    }
    view_take(scene, store, &now);
    key_0 = now.key[0];
    if (why == NULL && now.evictions == evictions) {
        why = course_check(scene, &stage->course, &now, when);
    }
    if (why == NULL && !work_first) {
        why = survivor_works(scene, store);
    }
    if (why == NULL && scene->keys > 0) {
        why = survivor_works_on(scene, store, 0);
    }
    if (why == NULL) {
        why = rig_audit(store);
    }
    if (why == NULL) {
        view_take(scene, store, &now);
        now.key[0] = key_0;
        if (now.evictions == evictions) {
            why = course_check(scene, &stage->course, &now, ANY_STEP);
        }
    }
    return why;
}

static const char *audit_copy(stage_t *stage)
{
    kv_store_t *store;

    memcpy(stage->copy, stage->shadow, stage->scene.made.bytes);
    bury(stage, stage->copies++);
    if (kv_store_attach(stage->copy, stage->scene.made.bytes, &store) !=
        KV_OK) {
        return "the survivor cannot attach";
    }
    const char *why = survive(stage, store, STEP_AFTER_STEP,
                              stage->copies % 2 == 0);
    kv_store_detach(store);
    return why;
}

static bool step_by_step(stage_t *stage)
{
    trace_t *trace = &stage->trace;
    const control_t *control = stage->control;
    const char *why = NULL;
    uint64_t last = 0;
    uint32_t again = 0;
    bool behind = false;

    stage->first_change = 0;
    start_victim(stage, stage->scene.what, true);
    bool stopped = trace_wait(stage->victim);
    while (stopped && control->phase == 0) {
        stopped = trace_step(stage->victim);
    }
    memcpy(stage->shadow, stage->scene.made.memory, stage->scene.made.bytes);
    trace_note(trace, stage->victim);
    why = audit_copy(stage);
    while (why == NULL && stopped && control->phase == 1) {
        stopped = trace_step(stage->victim);
        trace_note(trace, stage->victim);
        if (store_changed(stage)) {
            behind = true;
            if (stage->first_change == 0) {
                stage->first_change = trace->steps;
            }
        }
        /* A string instruction stops after each byte it has moved: every
         * sixteenth of these will do. */
        uint64_t at = trace->complete || trace->at == NULL
                          ? trace->steps : trace->at[trace->steps - 1];
        again = at == last ? again + 1 : 0;
        last = at;
        if (behind && again % 16 == 0) {
            why = audit_copy(stage);
            behind = false;
        }
    }
    if (why == NULL && behind) {
        why = audit_copy(stage);
    }
    if (why == NULL && !stopped) {
        why = "it has died of itself";
    }
    if (why != NULL) {
        rig_kill(stage->victim);
        return wrong(stage, "a copy", trace->steps, why);
    }
    trace_finish(trace);
    trace_let_go(stage->victim);

    static view_t end;
    kv_store_t *store = rig_attach(&stage->scene.made);
    why = rig_audit(store);
    view_take(&stage->scene, store, &end);
    kv_store_detach(store);
    if (why == NULL) {
        stage->course.before = stage->course.after;
        why = course_check(&stage->scene, &stage->course, &end, ANY_STEP);
    }
    return why == NULL || wrong(stage, "at the end", trace->steps, why);
}

/* ------------------------------------------------------------------ */
/* 3. Killed                                                           */

static bool kill_at(stage_t *stage, uint32_t n)
{
    static view_t now;
    siginfo_t info;

    restore(stage);
    start_victim(stage, stage->scene.what, true);
    if (!trace_wait(stage->victim)) {
        rig_die("%s: cannot be traced", stage->scene.what->name);
    }
    bool there = trace_goto(&stage->trace, stage->victim, stage->control, n);
    kv_store_t *store = rig_attach(&stage->scene.made);
    if (!there) {
        /* Another way than the trace (another place in the table of
         * threads): it is killed wherever it is. */
        stage->astray++;
    }
    /* It is stopped and not dead: reading goes on. */
    view_take(&stage->scene, store, &now);
    const char *why =
        course_check(&stage->scene, &stage->course, &now, OWNER_ALIVE);
    rig_signal(stage->victim, SIGKILL);
    while (waitid(P_PID, (id_t)stage->victim, &info, WEXITED | WNOWAIT) != 0 &&
           errno == EINTR) {
    }
    /* Nobody has waited for it yet: a zombie is dead enough. */
    if (why == NULL) {
        why = survive(stage, store, ANY_STEP, stage->kills % 2 == 0);
    }
    kv_store_detach(store);
    rig_kill(stage->victim);
    stage->kills++;
    return why == NULL || wrong(stage, "killed", n, why);
}

/* By chance, but not where it takes long to get to (deep in a string
 * instruction that moves a chunk byte by byte) if there are others. */
static uint32_t some_step(const stage_t *stage, rig_random_t *random,
                          uint32_t from, uint32_t count)
{
    uint32_t n = from;
    for (int tries = 0; tries < 20; tries++) {
        n = from + rig_below(random, count);
        if (trace_cost(&stage->trace, n) < STOPS_MAX) {
            break;
        }
    }
    return n;
}

static bool killed(stage_t *stage, const options_t *options)
{
    rig_random_t random = { options->seed };
    uint32_t steps = stage->trace.steps;
    /* Before the first change one step is as good as another. */
    uint32_t from = stage->first_change > 20 ? stage->first_change - 20 : 0;
    uint32_t every = steps - from < EVERY_STEP_UP_TO ? steps - from
                                                     : EVERY_STEP_UP_TO;
    bool good = true;

    if (options->kills != 0) {
        uint32_t kills = (options->kills + RIG_SLOWER - 1) / RIG_SLOWER;
        for (uint32_t i = 0; good && i < kills; i++) {
            good = kill_at(stage,
                           some_step(stage, &random, from, steps - from));
        }
        return good;
    }
    for (uint32_t n = from; good && n < from + every; n++) {
        good = kill_at(stage, n);
    }
    uint32_t left = steps - from - every;
    for (uint32_t i = 0; good && left > 0 && i < options->beyond; i++) {
        good = kill_at(stage,
                       some_step(stage, &random, from + every, left));
    }
    return good;
}

/* ------------------------------------------------------------------ */

static void run_case(stage_t *stage, const step_case_t *what,
                     const options_t *options)
{
    uint64_t begin = rig_now_ns();

    rig_watchdog(600, "%s (seed %" PRIu64 ")", what->name, options->seed);
    set_stage(stage, what, options->seed);
    bool good = whole(stage);
    course_t course = stage->course;
    good = good && step_by_step(stage);
    stage->course = course;
    good = good && killed(stage, options);
    rig_ok(good, "%s", what->name);
    if (!good) {
        rig_note("%s", stage->why);
    }
    rig_note("  %u steps, %u copies, %u kills (%u astray), %.1f s",
             stage->trace.steps, stage->copies, stage->kills, stage->astray,
             (double)(rig_now_ns() - begin) / 1e9);
    alarm(0);
}

static uint64_t number(const char *text, char end_at)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || (*end != '\0' && *end != end_at)) {
        fprintf(stderr, "step: %s is not a number\n", text);
        exit(64);
    }
    return value;
}

int main(int argc, char **argv)
{
    static stage_t stage;
    options_t options = { .part = 1, .parts = 1, .beyond = 200,
                          .seed = rig_now_ns() };

    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--part") == 0 && strchr(value, '/') != NULL) {
            options.part = (uint32_t)number(value, '/');
            options.parts = (uint32_t)number(strchr(value, '/') + 1, 0);
        } else if (strcmp(argv[i], "--only") == 0) {
            options.only = value;
        } else if (strcmp(argv[i], "--kills") == 0) {
            options.kills = (uint32_t)number(value, 0);
        } else if (strcmp(argv[i], "--beyond") == 0) {
            options.beyond = (uint32_t)number(value, 0);
        } else if (strcmp(argv[i], "--seed") == 0) {
            options.seed = number(value, 0);
        } else {
            fprintf(stderr, "usage: step [--part I/N] [--only TEXT] "
                    "[--kills N] [--beyond N] [--seed N]\n");
            return 64;
        }
    }
    rig_begin();
    if (!trace_allowed()) {
        rig_skip("single-stepping", "ptrace is not allowed here (a container "
                 "without CAP_SYS_PTRACE?)");
        return rig_done();
    }
    rig_note("seed %" PRIu64, options.seed);
    stage.control = rig_shared(sizeof(control_t));
    stage.scene.made.memory = rig_shared(STORE_BYTES);
    stage.scene.made.bytes = STORE_BYTES;
    stage.copy = rig_shared(STORE_BYTES);
    stage.before = malloc(STORE_BYTES);
    stage.shadow = malloc(STORE_BYTES);
    if (stage.before == NULL || stage.shadow == NULL) {
        rig_die("out of memory");
    }
    for (size_t i = 0; i < step_cases_count; i++) {
        if ((options.only == NULL ||
             strstr(step_cases[i].name, options.only) != NULL) &&
            i % options.parts == options.part - 1) {
            run_case(&stage, &step_cases[i], &options);
        }
    }
    return rig_done();
}
