/* storm.c - submitters, runners and a spawner at work, and killed at random.
 *
 *   storm [--kills N] [--seconds N] [--seed N] [--events]
 *
 * Every so often all are stopped wherever they are, and the table is audited.
 * Every byte of every answer is checked against the job that it is for
 * (runt.h).  At the end nobody is killed any more, and everybody must get on.
 */

#include "rig.h"
#include "runt.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNNERS = 4, SUBMITTERS = 3, QUEUE = 4, AT_ONCE = 3 };
enum { PARTS = RUNNERS + SUBMITTERS + 1, SPAWNER = PARTS - 1 };
enum { AUDIT_EVERY = 25, CALM_JOBS = 25 };

typedef struct tally {
    _Atomic uint64_t done;
    _Atomic uint64_t crashed;
    _Atomic uint64_t killed;
    _Atomic uint64_t refused;
    _Atomic uint64_t let_go;
    _Atomic uint64_t withdrawn;
} tally_t;

typedef struct shared {
    _Atomic int stop;
    _Atomic int bury[RUNNERS];      /* to the spawner: it is dead */
    _Atomic uint32_t end[RUNNERS];  /* to the rig: that life ran too long */
    _Atomic uint32_t life[PARTS];
    tally_t tally[SUBMITTERS];
    _Atomic uint64_t timeouts;
    _Atomic uint64_t burials;
    _Atomic int failed;
    char why[200];
} shared_t;

static ephpm_jobs_t *jobs;
static shared_t *shared;
static pid_t part_pid[PARTS];
static bool stopped[PARTS];

/* The first says why. */
static void fail(const char *who, unsigned number, const char *why)
{
    if (atomic_exchange(&shared->failed, 1) == 0) {
        snprintf(shared->why, sizeof(shared->why), "%s %u: %s", who, number,
                 why);
    }
}

/* ------------------------------------------------------------------ */
/* Submitters                                                          */

typedef struct asked {
    bool there;
    ephpm_job_t job;
    runt_heard_t heard;
} asked_t;

typedef struct asker {
    unsigned number;
    tally_t *tally;
    runt_random_t random;
    uint64_t serial;
    asked_t asked[AT_ONCE];
} asker_t;

static void ask(asker_t *me, asked_t *one)
{
    runt_order_t order = runt_order(&me->random, me->serial);
    ephpm_claim_t claim = ephpm_job_claim(jobs, &one->job);

    if (claim == EPHPM_CLAIMED) {
        me->serial++;
        one->there = true;
        runt_expect(&one->heard, &order);
        if (runt_below(&me->random, 4) == 0) {
            one->heard.takes = 1 + runt_below(&me->random, 20000);
        }
        runt_submit(&one->job, &order);
    } else if (claim == EPHPM_CLAIM_FULL) {
        atomic_fetch_add(&me->tally->refused, 1);
    }
}

static void let_go(asked_t *one)
{
    ephpm_job_release(&one->job);
    one->there = false;
}

/* @return true: something has happened */
static bool look_at(asker_t *me, asked_t *one)
{
    uint32_t mood = runt_below(&me->random, 100);

    if (mood == 0) {
        atomic_fetch_add(&me->tally->let_go, 1);
        let_go(one);
        return true;
    }
    if (mood == 1 && ephpm_job_withdraw(&one->job)) {
        atomic_fetch_add(&me->tally->withdrawn, 1);
        let_go(one);
        return true;
    }
    ephpm_read_t read = ephpm_job_read(&one->job, runt_hear, &one->heard);
    const char *wrong = one->heard.wrong;
    switch (read) {
    case EPHPM_READ_MORE:
        break;
    case EPHPM_READ_STOPPED:
        return true;
    case EPHPM_READ_END:
        wrong = runt_judge(&one->heard);
        atomic_fetch_add(&me->tally->done, 1);
        break;
    case EPHPM_READ_KILLED:
        atomic_fetch_add(&me->tally->killed, 1);
        break;
    case EPHPM_READ_CRASHED:
        atomic_fetch_add(&me->tally->crashed, 1);
        break;
    default:
        wrong = "what is in the ring is no frame";
    }
    if (wrong != NULL) {
        fail("submitter", me->number, wrong);
    }
    if (read != EPHPM_READ_MORE) {
        let_go(one);
    }
    return read != EPHPM_READ_MORE;
}

static void wait_for_more(asker_t *me)
{
    struct pollfd event = { .fd = ephpm_submitter_fd(jobs),
                            .events = POLLIN };

    if (event.fd >= 0) {
        poll(&event, 1, EPHPM_LOOK_AGAIN_MS);
        ephpm_submitter_awake(jobs);
        return;
    }
    for (int i = 0; i < AT_ONCE; i++) {
        if (me->asked[i].there) {
            ephpm_job_wait(&me->asked[i].job, 10);
            return;
        }
    }
    rig_sleep_us(1000);
}

static void be_submitter(unsigned number)
{
    static asker_t me;
    uint32_t life = atomic_load(&shared->life[RUNNERS + number]);
    me = (asker_t){
        .number = number,
        .tally = &shared->tally[number],
        .random = { (uint64_t)number << 32 | life },
        .serial = (uint64_t)number << 56 | (uint64_t)life << 32,
    };
    if (ephpm_submitter_attach(jobs, (int)number) != (int)number) {
        fail("submitter", number, "no place");
        return;
    }
    while (atomic_load(&shared->stop) == 0 &&
           atomic_load(&shared->failed) == 0) {
        bool happened = false;
        for (int i = 0; i < AT_ONCE; i++) {
            if (!me.asked[i].there && runt_below(&me.random, 3) != 0) {
                ask(&me, &me.asked[i]);
            }
            if (me.asked[i].there) {
                happened |= look_at(&me, &me.asked[i]);
            }
        }
        if (!happened) {
            wait_for_more(&me);
        }
    }
    if (number % 2 == 0) {
        for (int i = 0; i < AT_ONCE; i++) {
            ephpm_job_release(&me.asked[i].job);
        }
    }
    ephpm_submitter_detach(jobs);
}

/* ------------------------------------------------------------------ */
/* Runners and spawner                                                 */

static void be_runner(unsigned number)
{
    uint32_t life = atomic_load(&shared->life[number]);
    ephpm_task_t task;

    if (!ephpm_runner_attach(jobs, number)) {
        fail("runner", number, "no place");
        return;
    }
    /* Some leave in between, as after max_requests. */
    unsigned left = life % 3 == 0 ? 20 : UINT32_MAX;
    while (atomic_load(&shared->stop) == 0 && left > 0) {
        if (ephpm_task_take(jobs, &task, EPHPM_LOOK_AGAIN_MS)) {
            left--;
            if (!runt_serve(&task)) {
                fail("runner", number, "a request that is not whole");
            }
        }
    }
    ephpm_runner_detach(jobs);
}

static void bury_dead(void)
{
    for (unsigned i = 0; i < RUNNERS; i++) {
        if (atomic_load(&shared->bury[i]) != 0) {
            ephpm_runner_bury(jobs, i, SIGKILL, NULL);
            atomic_fetch_add(&shared->burials, 1);
            atomic_store(&shared->bury[i], 0);
        }
    }
}

/* What a spawner before may have left undone is done as well. */
static void end_overdue(runt_random_t *random)
{
    ephpm_running_t running;

    for (unsigned i = 0; i < RUNNERS; i++) {
        uint32_t life = atomic_load(&shared->life[i]);
        if (atomic_load(&shared->bury[i]) == 0 &&
            ephpm_runner_task(jobs, i, &running) &&
            (running.state == EPHPM_JOB_KILLED ||
             runt_below(random, 300) == 0) &&
            ephpm_running_kill(jobs, &running)) {
            atomic_fetch_add(&shared->timeouts, 1);
            atomic_store(&shared->end[i], life);
        }
    }
}

static void be_spawner(void)
{
    runt_random_t random = { atomic_load(&shared->life[SPAWNER]) };
    unsigned char facts[2000];
    size_t bytes;

    if (!ephpm_spawner_attach(jobs)) {
        fail("spawner", 0, "no place");
        return;
    }
    ephpm_pulse_set(jobs, EPHPM_PULSE_READY);
    while (atomic_load(&shared->stop) == 0) {
        bury_dead();
        ephpm_submitters_living(jobs);
        end_overdue(&random);
        memset(facts, (int)runt_below(&random, 256), sizeof(facts));
        ephpm_facts_put(jobs, facts, 1 + runt_below(&random, 2000));
        if (ephpm_facts_get(jobs, facts, sizeof(facts), &bytes)) {
            for (size_t i = 1; i < bytes; i++) {
                if (facts[i] != facts[0]) {
                    fail("spawner", 0, "facts that are torn");
                }
            }
        }
        rig_sleep_us(500);
    }
}

/* ------------------------------------------------------------------ */
/* The rig                                                             */

static void start(unsigned part)
{
    atomic_fetch_add(&shared->life[part], 1);
    part_pid[part] = rig_fork();
    stopped[part] = false;
    if (part_pid[part] == 0) {
        if (part < RUNNERS) {
            be_runner(part);
        } else if (part < SPAWNER) {
            be_submitter(part - RUNNERS);
        } else {
            be_spawner();
        }
        _exit(0);
    }
}

/* Who has ended, and who begins again. */
static void reap(rig_random_t *random)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (unsigned part = 0; part < PARTS; part++) {
            if (part_pid[part] != pid) {
                continue;
            }
            part_pid[part] = 0;
            bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
            if (!killed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
                fail("part", part, "came to an end of its own");
            }
            /* A runner's successor buries it, or the spawner does. */
            if (part < RUNNERS && killed && rig_below(random, 2) == 0) {
                atomic_store(&shared->bury[part], 1);
            }
        }
    }
    for (unsigned part = 0; part < PARTS; part++) {
        if (part_pid[part] == 0 &&
            (part >= RUNNERS || atomic_load(&shared->bury[part]) == 0)) {
            start(part);
        }
    }
}

static void end_overdue_runners(void)
{
    for (unsigned i = 0; i < RUNNERS; i++) {
        uint32_t life = atomic_exchange(&shared->end[i], 0);
        if (life != 0 && life == atomic_load(&shared->life[i])) {
            rig_signal(part_pid[i], SIGKILL);
        }
    }
}

/* All stand still; what the dead have left is audited with it. */
static bool audit(void)
{
    siginfo_t info;

    for (unsigned part = 0; part < PARTS; part++) {
        if (part_pid[part] > 0) {
            rig_signal(part_pid[part], SIGSTOP);
        }
    }
    for (unsigned part = 0; part < PARTS; part++) {
        while (part_pid[part] > 0 &&
               waitid(P_PID, (id_t)part_pid[part], &info,
                      WSTOPPED | WEXITED | WNOWAIT) != 0 &&
               errno == EINTR) {
        }
    }
    const char *broken = ephpm_jobs_check(jobs);
    if (broken != NULL) {
        fail("audit", 0, broken);
    }
    for (unsigned part = 0; part < PARTS; part++) {
        if (part_pid[part] > 0 && !stopped[part]) {
            rig_signal(part_pid[part], SIGCONT);
        }
    }
    return broken == NULL;
}

static uint64_t sum(size_t at)
{
    uint64_t all = 0;
    for (int i = 0; i < SUBMITTERS; i++) {
        const _Atomic uint64_t *count =
            (const _Atomic uint64_t *)(const void *)
            ((const char *)&shared->tally[i] + at);
        all += atomic_load(count);
    }
    return all;
}

#define SUM(field) sum(offsetof(tally_t, field))

static void blow(rig_random_t *random, unsigned *kills)
{
    unsigned part = rig_below(random, PARTS);

    if (part_pid[part] <= 0) {
        return;
    }
    if (stopped[part]) {
        /* On with it; or killed as it stands. */
        rig_signal(part_pid[part],
                   rig_below(random, 3) == 0 ? SIGKILL : SIGCONT);
        stopped[part] = false;
    } else if (rig_below(random, 5) == 0) {
        rig_signal(part_pid[part], SIGSTOP);
        stopped[part] = true;
        return;
    } else {
        rig_signal(part_pid[part], SIGKILL);
    }
    ++*kills;
}

static void go_on_all(void)
{
    for (unsigned part = 0; part < PARTS; part++) {
        if (stopped[part] && part_pid[part] > 0) {
            rig_signal(part_pid[part], SIGCONT);
            stopped[part] = false;
        }
    }
}

static unsigned blow_for(rig_random_t *random, unsigned kills_max,
                         unsigned seconds)
{
    uint64_t end_ns = rig_now_ns() + UINT64_C(1000000000) * seconds;
    unsigned kills = 0;
    unsigned audited = 0;

    while (kills < kills_max && rig_now_ns() < end_ns &&
           atomic_load(&shared->failed) == 0) {
        reap(random);
        end_overdue_runners();
        blow(random, &kills);
        if (kills - audited >= AUDIT_EVERY) {
            audited = kills;
            audit();
        }
        rig_sleep_us(rig_below(random, 5000));
    }
    return kills;
}

/* Nobody dies; does everybody get on? */
static bool calm(rig_random_t *random)
{
    uint64_t aims[SUBMITTERS];
    bool there = false;

    go_on_all();
    for (int i = 0; i < SUBMITTERS; i++) {
        aims[i] = atomic_load(&shared->tally[i].done) + CALM_JOBS;
    }
    while (!there && atomic_load(&shared->failed) == 0) {
        reap(random);
        end_overdue_runners();
        rig_sleep_us(1000);
        there = true;
        for (int i = 0; i < SUBMITTERS; i++) {
            there = there && atomic_load(&shared->tally[i].done) >= aims[i];
        }
    }
    return there;
}

/* All leave.  @return NULL: nothing is left; or what is */
static const char *clear_away(void)
{
    atomic_store(&shared->stop, 1);
    for (int tries = 0; tries < 2; tries++) {
        for (unsigned part = 0; part < PARTS; part++) {
            uint64_t give_up_ns = rig_now_ns() + UINT64_C(20000000000);
            while (part_pid[part] > 0 && rig_now_ns() < give_up_ns &&
                   waitpid(part_pid[part], NULL, WNOHANG) == 0) {
                end_overdue_runners();
                rig_sleep_us(500);
            }
            if (part_pid[part] > 0 && rig_now_ns() >= give_up_ns) {
                rig_kill(part_pid[part]);
                return "somebody does not leave";
            }
            part_pid[part] = 0;
        }
    }
    for (unsigned i = 0; i < RUNNERS; i++) {
        ephpm_runner_bury(jobs, i, SIGKILL, NULL);
    }
    ephpm_submitters_living(jobs);
    for (uint32_t i = 0; i < jobs->slots; i++) {
        if (jobs->words[i] != 0) {
            return "a slot is not free";
        }
    }
    return ephpm_jobs_check(jobs);
}

static void storm(unsigned kills_max, unsigned seconds, uint64_t seed,
                  bool events)
{
    ephpm_jobs_config_t config = {
        .runners = RUNNERS,
        .queue = QUEUE,
        .submitters = SUBMITTERS,
        .events = events,
    };
    rig_random_t random = { seed };
    const char *how = events ? "events" : "news";

    jobs = ephpm_jobs_make(&config);
    if (jobs == NULL) {
        rig_die("no table: %s", strerror(errno));
    }
    /* Tickets wrap on the way. */
    jobs->head->ticket = UINT32_MAX - 500;
    memset(shared, 0, sizeof(*shared));
    rig_watchdog(300 + seconds, "storm, seed %" PRIu64, seed);
    for (unsigned part = 0; part < PARTS; part++) {
        start(part);
    }
    unsigned kills = blow_for(&random, kills_max, seconds);
    bool sound = atomic_load(&shared->failed) == 0 && audit();
    rig_ok(sound, "%s: %u deaths, and each byte was its job's", how, kills);
    bool on = calm(&random);
    rig_ok(on, "%s: then everybody gets on", how);
    const char *left = clear_away();
    rig_ok(left == NULL, "%s: nothing is left", how);
    if (left != NULL) {
        rig_note("%s", left);
    }
    if (atomic_load(&shared->failed) != 0) {
        rig_note("%s", shared->why);
    }
    rig_note("  %" PRIu64 " done, %" PRIu64 " crashed, %" PRIu64
             " ran too long, %" PRIu64 " refused, %" PRIu64
             " let go, %" PRIu64 " withdrawn; %" PRIu64 " burials",
             SUM(done), SUM(crashed), SUM(killed), SUM(refused),
             SUM(let_go), SUM(withdrawn), atomic_load(&shared->burials));
    rig_ok(SUM(done) > 0 && SUM(crashed) > 0 && SUM(let_go) > 0 &&
               atomic_load(&shared->burials) > 0,
           "%s: all of it happened", how);
    ephpm_jobs_free(jobs);
}

int main(int argc, char **argv)
{
    unsigned kills = 2000;
    unsigned seconds = 10;
    uint64_t seed = rig_now_ns() ^ (uint64_t)getpid() << 40;

    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--kills") == 0) {
            kills = (unsigned)number;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            seconds = (unsigned)number;
        } else if (strcmp(argv[i], "--seed") == 0) {
            seed = number;
        } else {
            fprintf(stderr, "storm [--kills N] [--seconds N] [--seed N]\n");
            return 64;
        }
    }
    rig_begin();
    rig_note("--seed %" PRIu64, seed);
    shared = rig_shared(sizeof(*shared));
    storm(kills, seconds, seed, false);
    storm(kills, seconds, seed + 1, true);
    return rig_done();
}
