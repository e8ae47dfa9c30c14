/* ephpm_spawner.c - the spawner: PHP's parent, and who watches over it.
 *
 *     the server's parent
 *       `-- spawner          has the place; never runs PHP
 *             `-- brood      starts PHP, forks runners, buries them
 *                   |-- runner
 *                   `-- runner
 *
 * PHP that fails to start leaves its process half-made, and PHP that crashes
 * takes its process along.  So the spawner itself does next to nothing: it
 * holds the place, and forks the process that starts PHP, the brood's; when
 * that one ends it forks another, after a pause that grows while PHP does not
 * start.  Both know when to leave from each other: the spawner tells the
 * brood with SIGTERM; a brood whose spawner has died leaves at once, and its
 * runners serve on until the next one's are there.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* WCOREDUMP */
#endif

#include "ephpm_pool_private.h"
#include "ephpm_brood.h"

#include "ephpm_ext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 250
#define PAUSE_MAX_S 60
/* A brood that has lived for so long is not one that cannot live. */
#define SETTLED_US UINT64_C(10000000)
/* Beyond what the brood gives its runners. */
#define STOP_MORE_MS 5000

typedef struct spawner {
    const ephpm_pool_t *pool;
    ephpm_pool_shared_t *shared;
    sigset_t signals;
    pid_t brood;
    bool quitting;              /* SIGQUIT: once no submitter is left */
    bool leaving;
    uint64_t leaving_us;        /* since */
    uint64_t looked_us;         /* for whether anybody needs it */
    unsigned failures;          /* of PHP to start, one after the other */
} spawner_t;

/* ------------------------------------------------------------------ */
/* Leaving                                                             */

static void leave(spawner_t *spawner)
{
    if (!spawner->leaving) {
        spawner->leaving = true;
        spawner->leaving_us = ephpm_jobs_clock_us();
    }
    if (spawner->brood > 0) {
        kill(spawner->brood, SIGTERM);
    }
}

static bool supervisor_gone(const ephpm_pool_t *pool)
{
    return pool->supervisor != 0 && getppid() != pool->supervisor;
}

/* Wait for a signal, and do what is to be done about it. */
static void look_around(spawner_t *spawner)
{
    struct timespec at_most = { 0, LOOK_MS * 1000000L };
    const ephpm_pool_t *pool = spawner->pool;
    uint64_t now_us;

    switch (sigtimedwait(&spawner->signals, NULL, &at_most)) {
    case SIGTERM:
        leave(spawner);
        break;
    case SIGQUIT:
        spawner->quitting = true;
        break;
    default:
        break;
    }
    now_us = ephpm_jobs_clock_us();
    if (spawner->leaving) {
        if (spawner->brood > 0
            && now_us - spawner->leaving_us
                   > (pool->stop_ms + UINT64_C(1) * STOP_MORE_MS) * 1000) {
            kill(spawner->brood, SIGKILL);
        }
        return;
    }
    if (now_us - spawner->looked_us > LOOK_MS * 1000u) {
        spawner->looked_us = now_us;
        if ((spawner->quitting || supervisor_gone(pool))
            && ephpm_submitters_living(pool->jobs) == 0) {
            leave(spawner);
        }
    }
}

/* ------------------------------------------------------------------ */
/* The brood's process                                                 */

static _Noreturn void be_brood(spawner_t *spawner)
{
    const ephpm_pool_t *pool = spawner->pool;
    pid_t parent = getppid();

    /* Until there are runners SIGTERM may end it as it is. */
    ephpm_process_unblock();
    ephpm_ext_set_lookup(ephpm_runner_store);
    if (!ephpm_sapi_startup(ephpm_runner_server(pool), pool->ini_path,
                            pool->modules, pool->module_count)) {
        _exit(EPHPM_EXIT_PHP);
    }
    sigprocmask(SIG_BLOCK, &spawner->signals, NULL);
    atomic_store(&spawner->shared->started, 1);
    if (pool->started != NULL) {
        pool->started();
    }
    ephpm_brood_run(pool, spawner->shared, parent, &spawner->signals);
}

/* Fork it, and wait for its end.  @return its status, or -1: no fork */
static int raise_brood(spawner_t *spawner)
{
    pid_t pid;
    int status;

    atomic_store(&spawner->shared->started, 0);
    pid = fork();
    if (pid == 0) {
        be_brood(spawner);
    }
    if (pid < 0) {
        return -1;
    }
    spawner->brood = pid;
    for (;;) {
        pid_t ended = waitpid(pid, &status, WNOHANG);

        if (ended == pid || (ended < 0 && errno == ECHILD)) {
            break;
        }
        look_around(spawner);
    }
    spawner->brood = 0;
    return status;
}

/* How it ended; "": PHP has said that it does not start. */
static void describe(int status, char *text, size_t room)
{
    char name[32];

    if (status == -1) {
        snprintf(text, room, "no process could be forked: %s",
                 strerror(errno));
    } else if (WIFSIGNALED(status)) {
        snprintf(text, room, "it was ended by %s%s",
                 ephpm_signal_name(WTERMSIG(status), name, sizeof(name)),
                 WCOREDUMP(status) ? ", core dumped" : "");
    } else if (WEXITSTATUS(status) != EPHPM_EXIT_PHP) {
        snprintf(text, room, "exit status %d", WEXITSTATUS(status));
    } else {
        *text = '\0';
    }
}

/* Nobody may wait for what does not come; but old runners still serve. */
static void tell_failure(const ephpm_pool_t *pool)
{
    ephpm_jobs_stats_t stats;

    ephpm_jobs_stats(pool->jobs, &stats);
    if (stats.alive == 0
        && ephpm_pulse_get(pool->jobs) != EPHPM_PULSE_FAILED) {
        ephpm_pulse_set(pool->jobs, EPHPM_PULSE_FAILED);
    }
}

static void pause_for(spawner_t *spawner, unsigned seconds)
{
    uint64_t until_us = ephpm_jobs_clock_us() + seconds * UINT64_C(1000000);

    while (!spawner->leaving && ephpm_jobs_clock_us() < until_us) {
        if (spawner->failures > 0) {
            tell_failure(spawner->pool);
        }
        look_around(spawner);
    }
}

/* What a brood's end means for the next one. */
static void judge(spawner_t *spawner, int status, uint64_t lived_us)
{
    const ephpm_pool_t *pool = spawner->pool;
    bool started = atomic_load(&spawner->shared->started) != 0;
    char how[128];
    unsigned pause_s = 0;

    describe(status, how, sizeof(how));
    if (status == -1 || !started) {
        pause_s = spawner->failures < 6 ? 1u << spawner->failures
                                        : PAUSE_MAX_S;
        spawner->failures++;
        tell_failure(pool);
        ephpm_pool_log(pool, LOG_CRIT, "PHP does not start%s%s%s: lines "
            "before this one say why (if there are none: log_errors=On in "
            "php.ini); it is tried again in %u s", *how ? " (" : "", how,
            *how ? ")" : "", pause_s);
    } else {
        spawner->failures = 0;
        pause_s = lived_us < SETTLED_US ? 1 : 0;
        ephpm_pool_log(pool, LOG_CRIT, "the process that starts runners has "
            "come to an end (%s): PHP is started anew", how);
    }
    pause_for(spawner, pause_s);
}

_Noreturn void ephpm_spawner_run(const ephpm_pool_t *pool)
{
    unsigned runners = ephpm_jobs_config(pool->jobs)->runners;
    spawner_t spawner = { .pool = pool };

    ephpm_process_signals();
    ephpm_process_deaf();
    sigemptyset(&spawner.signals);
    sigaddset(&spawner.signals, SIGCHLD);
    sigaddset(&spawner.signals, SIGTERM);
    sigaddset(&spawner.signals, SIGQUIT);
    sigprocmask(SIG_SETMASK, &spawner.signals, NULL);
    if (pool->after_fork != NULL) {
        pool->after_fork();
    }
    ephpm_process_private();
    if (!ephpm_spawner_attach(pool->jobs)) {
        _exit(EPHPM_EXIT_PLACE);
    }
    ephpm_brood_title(pool);
    spawner.shared = mmap(NULL, sizeof(*spawner.shared)
                                    + runners * sizeof(*spawner.shared->places),
                          PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                          -1, 0);
    if (spawner.shared == MAP_FAILED) {
        ephpm_pool_log(pool, LOG_CRIT, "no memory for runners: %s",
                       strerror(errno));
        _exit(EPHPM_EXIT_SYSTEM);
    }
    while (!spawner.leaving) {
        uint64_t born_us = ephpm_jobs_clock_us();
        int status = raise_brood(&spawner);
        bool told = status != -1 && WIFEXITED(status)
                    && WEXITSTATUS(status) == 0
                    && atomic_load(&spawner.shared->started) != 0;

        /* It leaves by itself when somebody has told it to. */
        if (spawner.leaving || told) {
            break;
        }
        judge(&spawner, status, ephpm_jobs_clock_us() - born_us);
    }
    _exit(0);
}
