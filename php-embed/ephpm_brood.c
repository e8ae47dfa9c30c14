/* ephpm_brood.c - runners: forked, watched, ended, buried. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* WCOREDUMP, syscall */
#endif

#include "ephpm_brood.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 250
#define LOOK_CLOSELY_MS 100     /* where scripts are timed */
#define SECOND_US UINT64_C(1000000)
#define SWEEP_US (60 * SECOND_US)
/* Files of tables that nobody has any more. */
#define LEFT_ALONE_S (24 * 3600)
/* Whoever ends sooner, without a job, is not followed at once. */
#define TOO_SOON_US (2 * SECOND_US)
#define PAUSE_US UINT64_C(100000)
#define PAUSE_MAX_US (60 * SECOND_US)

/* A runner's place. */
typedef struct place {
    pid_t pid;                  /* of our child; 0: none */
    bool adopted;
    int pidfd;                  /* of an adopted one; -1 */
    uint64_t born_us;
    uint64_t not_before_us;     /* when it may be filled again */
    unsigned failures;          /* that ended too soon, in a row */
    bool ended_by_us;           /* the log has it already */
    uint64_t traced;            /* the last job's word */
} place_t;

typedef struct brood {
    const ephpm_pool_t *pool;
    ephpm_pool_shared_t *shared;
    place_t *places;
    unsigned count;
    pid_t spawner;              /* whose child this is */
    bool leaving;
    uint64_t leaving_us;
    uint64_t told_us;           /* when runners were last told to leave */
    uint64_t looked_us;         /* for dead submitters */
    uint64_t swept_us;
    unsigned submitters;
} brood_t;

void ephpm_brood_title(const ephpm_pool_t *pool)
{
    static const char runner[] = "runner";
    const char *title = pool->process_title, *at;
    char text[256];

    at = title != NULL ? strstr(title, runner) : NULL;
    if (at != NULL) {
        snprintf(text, sizeof(text), "%.*sspawner%s", (int)(at - title),
                 title, at + sizeof(runner) - 1);
        title = text;
    }
    ephpm_process_title(title, "ephpm-spawner");
}

/* ------------------------------------------------------------------ */
/* Signals                                                             */

/* An adopted runner's id comes from memory that a script can write, and may
 * be another process's by now; of a pidfd that was opened while the runner
 * lived that cannot be. */
static void adopt(brood_t *brood, unsigned index)
{
    place_t *place = &brood->places[index];
    int64_t pid = ephpm_runner_pid(brood->pool->jobs, index);

    place->adopted = true;
    place->pid = 0;
    place->pidfd = -1;
#ifdef SYS_pidfd_open
    if (pid > 1) {
        place->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    }
    if (place->pidfd >= 0
        && (!ephpm_runner_lives(brood->pool->jobs, index)
            || ephpm_runner_pid(brood->pool->jobs, index) != pid)) {
        close(place->pidfd);
        place->pidfd = -1;
    }
#endif
}

static void send_signal(const brood_t *brood, unsigned index, int number)
{
    const place_t *place = &brood->places[index];

    if (place->pid > 0) {
        kill(place->pid, number);
    } else if (place->adopted) {
#ifdef SYS_pidfd_send_signal
        if (place->pidfd >= 0) {
            syscall(SYS_pidfd_send_signal, place->pidfd, number, NULL, 0);
            return;
        }
#endif
        if (ephpm_runner_lives(brood->pool->jobs, index)) {
            int64_t pid = ephpm_runner_pid(brood->pool->jobs, index);

            if (pid > 1 && pid != getpid() && pid != getppid()) {
                kill((pid_t)pid, number);
            }
        }
    }
}

static bool occupied(const place_t *place)
{
    return place->pid > 0 || place->adopted;
}

/* ------------------------------------------------------------------ */
/* Birth                                                               */

static void vacate(place_t *place)
{
    if (place->adopted && place->pidfd >= 0) {
        close(place->pidfd);
    }
    place->pid = 0;
    place->adopted = false;
    place->pidfd = -1;
    place->ended_by_us = false;
}

/* @return how long nobody is to be born there */
static uint64_t put_off(place_t *place, uint64_t now_us)
{
    uint64_t pause_us = PAUSE_US << (place->failures < 10 ? place->failures
                                                          : 10);

    pause_us = pause_us < PAUSE_MAX_US ? pause_us : PAUSE_MAX_US;
    place->failures++;
    place->not_before_us = now_us + pause_us;
    return pause_us;
}

static void give_birth(brood_t *brood, unsigned index)
{
    place_t *place = &brood->places[index];
    pid_t self = getpid(), pid;
    uint64_t now_us = ephpm_jobs_clock_us();

    if (now_us < place->not_before_us) {
        return;
    }
    atomic_store(&brood->shared->places[index].worked, 0);
    pid = fork();
    if (pid == 0) {
        ephpm_runner_run(brood->pool, brood->shared, index, self);
    }
    if (pid < 0) {
        int error = errno;
        uint64_t pause_us = put_off(place, now_us);

        ephpm_pool_log(brood->pool, LOG_ERR, "runner %u cannot be forked: "
                       "%s; it is tried again in %.1f s", index,
                       strerror(error), (double)pause_us / 1e6);
        return;
    }
    place->pid = pid;
    place->born_us = now_us;
    place->ended_by_us = false;
}

static void fill_places(brood_t *brood)
{
    for (unsigned i = 0; i < brood->count && !brood->leaving; i++) {
        place_t *place = &brood->places[i];

        if (!occupied(place)) {
            if (ephpm_runner_lives(brood->pool->jobs, i)) {
                adopt(brood, i);
            } else {
                give_birth(brood, i);
            }
        }
    }
}

/* ------------------------------------------------------------------ */
/* Death                                                               */

static void describe(int status, char *text, size_t room)
{
    char name[32];

    if (WIFSIGNALED(status)) {
        snprintf(text, room, "was ended by %s%s",
                 ephpm_signal_name(WTERMSIG(status), name, sizeof(name)),
                 WCOREDUMP(status) ? " (core dumped)" : "");
    } else {
        snprintf(text, room, "exited with status %d", WEXITSTATUS(status));
    }
}

static double seconds_since(uint64_t then_us)
{
    uint64_t now_us = ephpm_jobs_clock_us();

    return now_us > then_us ? (double)(now_us - then_us) / 1e6 : 0;
}

/* One that was at work.  Its submitter has been told. */
static void mourn(brood_t *brood, unsigned index, pid_t pid, const char *how,
                  ephpm_running_t *running)
{
    if (running->state == EPHPM_JOB_KILLED
        || brood->places[index].ended_by_us) {
        return;
    }
    ephpm_text_tidy(running->script);
    ephpm_pool_log(brood->pool, LOG_CRIT, "runner %u (pid %ld) %s %s the "
                   "script '%s', after %.3f s", index, (long)pid, how,
                   running->state == EPHPM_JOB_ENDING
                       ? "when it had answered with" : "while it ran",
                   running->script, seconds_since(running->taken_us));
}

static void bury_child(brood_t *brood, unsigned index, int status)
{
    place_t *place = &brood->places[index];
    bool worked = atomic_load(&brood->shared->places[index].worked) != 0;
    uint64_t now_us = ephpm_jobs_clock_us(), pause_us = 0;
    ephpm_running_t running;
    pid_t pid = place->pid;
    char how[96];

    describe(status, how, sizeof(how));
    if (ephpm_runner_bury(brood->pool->jobs, index,
                          WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                          &running)) {
        mourn(brood, index, pid, how, &running);
        place->failures = 0;
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        place->failures = 0;
    } else if (!place->ended_by_us && !brood->leaving) {
        if (worked || now_us - place->born_us >= TOO_SOON_US) {
            place->failures = 0;
        }
        ephpm_count_add(brood->pool->jobs, EPHPM_COUNT_CRASHES, 1);
        if (!worked) {
            pause_us = put_off(place, now_us);
        }
        ephpm_pool_log(brood->pool, LOG_CRIT, "runner %u (pid %ld) %s while "
                       "it had nothing to do; there is another in %.1f s",
                       index, (long)pid, how, (double)pause_us / 1e6);
    }
    vacate(place);
}

static void bury_children(brood_t *brood)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (unsigned i = 0; i < brood->count; i++) {
            if (brood->places[i].pid == pid) {
                bury_child(brood, i, status);
                break;
            }
        }
    }
}

static void bury_adopted(brood_t *brood)
{
    for (unsigned i = 0; i < brood->count; i++) {
        place_t *place = &brood->places[i];
        ephpm_running_t running;

        if (!place->adopted || ephpm_runner_lives(brood->pool->jobs, i)) {
            continue;
        }
        if (ephpm_runner_bury(brood->pool->jobs, i, 0, &running)) {
            mourn(brood, i, (pid_t)ephpm_runner_pid(brood->pool->jobs, i),
                  "(of the spawner before) came to an end", &running);
        }
        vacate(place);
    }
}

/* ------------------------------------------------------------------ */
/* Scripts that run for long                                           */

static void end_overdue(brood_t *brood, unsigned index,
                        const ephpm_running_t *running)
{
    const ephpm_pool_t *pool = brood->pool;

    if (!ephpm_running_kill(pool->jobs, running)) {
        return;
    }
    brood->places[index].ended_by_us = true;
    send_signal(brood, index, SIGKILL);
    ephpm_pool_log(pool, LOG_ERR, "script '%s' has run for %.1f s, longer "
                   "than the request terminate timeout (%.1f s) allows: "
                   "runner %u is ended", running->script,
                   seconds_since(running->taken_us),
                   (double)pool->terminate_ms / 1e3, index);
}

static void trace_slow(brood_t *brood, unsigned index,
                       const ephpm_running_t *running)
{
    const ephpm_pool_t *pool = brood->pool;
    place_t *place = &brood->places[index];

    /* One of before has another's memory. */
    if (place->traced == running->word || place->adopted) {
        return;
    }
    place->traced = running->word;
    ephpm_slowlog_ring(&brood->shared->places[index].bell, running);
    ephpm_pool_log(pool, LOG_WARNING, "script '%s' has run for %.1f s: %s "
                   "gets a backtrace of runner %u", running->script,
                   seconds_since(running->taken_us), pool->slowlog, index);
}

/* As with php-fpm both are for responses: what a script does after
 * fastcgi_finish_request() may take its time. */
static void time_scripts(brood_t *brood)
{
    const ephpm_pool_t *pool = brood->pool;
    bool traces = pool->slowlog != NULL && pool->slowlog_ms > 0;

    for (unsigned i = 0; i < brood->count; i++) {
        ephpm_running_t running;
        double ran_ms;

        if (!occupied(&brood->places[i])
            || !ephpm_runner_task(pool->jobs, i, &running)) {
            continue;
        }
        if (running.state == EPHPM_JOB_KILLED) {
            /* Whoever killed it may have died before the signal. */
            send_signal(brood, i, SIGKILL);
            continue;
        }
        if (running.state != EPHPM_JOB_RUNNING
            && running.state != EPHPM_JOB_ENDING) {
            continue;
        }
        ephpm_text_tidy(running.script);
        ran_ms = seconds_since(running.taken_us) * 1e3;
        if (pool->terminate_ms > 0 && ran_ms >= pool->terminate_ms) {
            end_overdue(brood, i, &running);
        } else if (traces && ran_ms >= pool->slowlog_ms
                   && running.state == EPHPM_JOB_RUNNING) {
            trace_slow(brood, i, &running);
        }
    }
}

/* ------------------------------------------------------------------ */
/* What the dead have left                                             */

static bool left_alone(int folder, const char *name)
{
    struct stat status;

    return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0
           && S_ISREG(status.st_mode)
           && time(NULL) - status.st_mtime > LEFT_ALONE_S;
}

static void sweep(brood_t *brood)
{
    DIR *folder = opendir(brood->pool->temp_path);
    const struct dirent *entry;

    if (folder == NULL) {
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        ephpm_file_left_t left = ephpm_file_left(brood->pool->jobs,
                                                 entry->d_name);

        if (left == EPHPM_FILE_LEFT
            || (left == EPHPM_FILE_ELSEWHERE
                && left_alone(dirfd(folder), entry->d_name))) {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    closedir(folder);
}

static void look_after_submitters(brood_t *brood, uint64_t now_us)
{
    unsigned living;

    if (now_us - brood->looked_us < SECOND_US) {
        return;
    }
    brood->looked_us = now_us;
    living = ephpm_submitters_living(brood->pool->jobs);
    if (brood->pool->temp_path != NULL
        && (living < brood->submitters
            || now_us - brood->swept_us >= SWEEP_US)) {
        brood->swept_us = now_us;
        sweep(brood);
    }
    brood->submitters = living;
}

/* ------------------------------------------------------------------ */
/* Leaving                                                             */

static unsigned occupied_count(const brood_t *brood)
{
    unsigned occupied_places = 0;

    for (unsigned i = 0; i < brood->count; i++) {
        occupied_places += occupied(&brood->places[i]);
    }
    return occupied_places;
}

/* Once a second: a script may have put a handler of its own in our place. */
static void tell_to_leave(brood_t *brood, uint64_t now_us)
{
    bool kill_them = now_us - brood->leaving_us
                     > brood->pool->stop_ms * UINT64_C(1000);

    if (now_us - brood->told_us < SECOND_US && !kill_them) {
        return;
    }
    brood->told_us = now_us;
    for (unsigned i = 0; i < brood->count; i++) {
        place_t *place = &brood->places[i];
        ephpm_running_t running;

        if (!occupied(place)) {
            continue;
        }
        send_signal(brood, i, kill_them ? SIGKILL : SIGTERM);
        if (kill_them && !place->ended_by_us
            && ephpm_runner_task(brood->pool->jobs, i, &running)) {
            ephpm_text_tidy(running.script);
            ephpm_pool_log(brood->pool, LOG_WARNING, "script '%s' has run "
                           "for %.1f s and is ended, for the server stops",
                           running.script, seconds_since(running.taken_us));
        }
        place->ended_by_us |= kill_them;
    }
}

/* The ones of before make room once ours are there to take over. */
static void replace_adopted(brood_t *brood, uint64_t now_us)
{
    ephpm_running_t running;

    if (now_us - brood->told_us < SECOND_US) {
        return;
    }
    brood->told_us = now_us;
    for (unsigned i = 0; i < brood->count; i++) {
        if (brood->places[i].adopted
            && !ephpm_runner_task(brood->pool->jobs, i, &running)) {
            send_signal(brood, i, SIGTERM);
        }
    }
}

static _Noreturn void leave(brood_t *brood)
{
    if (brood->pool->temp_path != NULL) {
        sweep(brood);
    }
    /* An extension that does not come to its end is not waited for. */
    signal(SIGALRM, SIG_DFL);
    alarm(10);
    ephpm_sapi_shutdown();
    _exit(0);
}

/* ------------------------------------------------------------------ */

static void look_around(brood_t *brood, const sigset_t *signals)
{
    bool closely = brood->leaving || brood->pool->terminate_ms > 0
                   || brood->pool->slowlog_ms > 0;
    struct timespec at_most = {
        0, (closely ? LOOK_CLOSELY_MS : LOOK_MS) * 1000000L
    };
    int number = sigtimedwait(signals, NULL, &at_most);

    if ((number == SIGTERM || number == SIGQUIT) && !brood->leaving) {
        brood->leaving = true;
        brood->leaving_us = ephpm_jobs_clock_us();
        brood->told_us = 0;
    }
    if (getppid() != brood->spawner) {
        _exit(0);
    }
}

_Noreturn void ephpm_brood_run(const ephpm_pool_t *pool,
                               ephpm_pool_shared_t *shared, pid_t spawner,
                               const sigset_t *signals)
{
    brood_t brood = { .pool = pool, .shared = shared, .spawner = spawner,
                      .count = ephpm_jobs_config(pool->jobs)->runners };

    brood.places = calloc(brood.count, sizeof(*brood.places));
    if (brood.places == NULL) {
        _exit(EPHPM_EXIT_SYSTEM);
    }
    for (unsigned i = 0; i < brood.count; i++) {
        brood.places[i].pidfd = -1;
        if (!ephpm_runner_lives(pool->jobs, i)) {
            ephpm_running_t running;

            if (ephpm_runner_bury(pool->jobs, i, 0, &running)) {
                mourn(&brood, i, (pid_t)ephpm_runner_pid(pool->jobs, i),
                      "(of the spawner before) came to an end", &running);
            }
        }
    }
    if (pool->slowlog != NULL && pool->slowlog_ms > 0) {
        int error = ephpm_slowlog_check(pool);

        if (error != 0) {
            ephpm_pool_log(pool, LOG_ERR, "the slow log %s cannot be "
                           "written: %s", pool->slowlog, strerror(error));
        }
    }
    for (;;) {
        uint64_t now_us = ephpm_jobs_clock_us();

        bury_children(&brood);
        bury_adopted(&brood);
        time_scripts(&brood);
        look_after_submitters(&brood, now_us);
        if (brood.leaving) {
            if (occupied_count(&brood) == 0) {
                leave(&brood);
            }
            tell_to_leave(&brood, now_us);
        } else {
            fill_places(&brood);
            replace_adopted(&brood, now_us);
        }
        look_around(&brood, signals);
    }
}
