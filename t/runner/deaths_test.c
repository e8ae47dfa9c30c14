/* deaths_test.c - submitter, runner and spawner, killed and stopped in every
 * state of a job.
 *
 * Each party is a process that does one thing after the other as it is told.
 * A job is brought to a state, a victim is killed or stopped there, and
 * another submitter and another runner go on working meanwhile.  Then whoever
 * is left does what the design says, and there must be nothing left of the
 * job but its right answer, or that it crashed or ran too long.
 */

#include "kvt.h"
#include "runt.h"

#include "kv_futex.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNNERS = 2, QUEUE = 3, SUBMITTERS = 2 };
enum { SMALL = 10000, BIG = 3 * EPHPM_RING_BYTES };

typedef enum action {
    NOTHING,
    BE_SUBMITTER,       /* argument: index */
    CLAIM,              /* argument: bytes of the answer's body */
    SUBMIT,
    READ,               /* once: what ephpm_job_read() says */
    COMPLETE,           /* submit, if it was not; read to the end; release */
    ROUNDS,             /* argument: how many jobs, one after the other */
    BE_RUNNER,          /* argument: index */
    TAKE,
    WRITE,              /* head and body */
    ANSWER,
    END_SCRIPT,
    FINISH,
    CONTINUE,           /* write, if it was not, and finish its task */
    SERVE,              /* until `stop` */
    BE_SPAWNER,
    LIVING,             /* how many submitters live */
    TASK_STATE,         /* of the runner: argument */
    KILL_TASK,          /* ... is swapped to KILLED */
    BURY,               /* argument: runner */
} action_t;

/* An actor's orders and what came of them; shared. */
typedef struct mailbox {
    _Atomic uint32_t asked;     /* futex */
    _Atomic uint32_t answered;
    _Atomic uint32_t action;
    _Atomic int32_t argument;
    _Atomic int32_t result;
} mailbox_t;

typedef struct actor {
    pid_t pid;
    mailbox_t *mail;
} actor_t;

typedef enum part { S0, S1, R0, R1, W, W2, PARTS } part_t;

typedef struct shared {
    mailbox_t mail[PARTS + 2];
    _Atomic int stop;           /* SERVE */
} shared_t;

static ephpm_jobs_t *jobs;
static shared_t *shared;
static actor_t actor[PARTS];
static unsigned mailboxes;

/* ------------------------------------------------------------------ */
/* In the actors                                                       */

typedef struct self {
    ephpm_job_t job;
    bool submitted;
    runt_order_t order;
    runt_heard_t heard;
    ephpm_task_t task;
    bool has_task;
    bool written;
    runt_random_t random;
} self_t;

static runt_order_t some_order(uint64_t serial, uint32_t body_bytes)
{
    return (runt_order_t){
        .magic = RUNT_MAGIC,
        .serial = serial,
        .seed = serial << 32 | (uint64_t)getpid(),
        .request_bytes = 20000,
        .head_bytes = 500,
        .body_bytes = body_bytes,
        .piece_bytes = 1000,
    };
}

#define WRONG (-100)

static int32_t complete(self_t *self)
{
    if (!self->submitted) {
        runt_submit(&self->job, &self->order);
        self->submitted = true;
    }
    ephpm_read_t read = runt_listen(&self->job, &self->heard);
    ephpm_job_release(&self->job);
    const char *wrong = read == EPHPM_READ_END ? runt_judge(&self->heard)
                                               : self->heard.wrong;
    if (wrong != NULL) {
        fprintf(stderr, "# %s\n", wrong);
        return WRONG;
    }
    return (int32_t)read;
}

static int32_t rounds(self_t *self, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        runt_order_t order =
            runt_order(&self->random, (uint64_t)getpid() << 20 | (unsigned)i);
        const char *wrong = runt_round(jobs, &order);
        if (wrong != NULL) {
            fprintf(stderr, "# round %d: %s\n", i, wrong);
            return WRONG;
        }
    }
    return count;
}

static bool write_head(self_t *self)
{
    const runt_order_t *order = &self->order;
    char head[500];
    memcpy(head, order, sizeof(*order));
    runt_fill(head + sizeof(*order), order->head_bytes - sizeof(*order),
              order->seed + 1, 0);
    return ephpm_task_write(&self->task, EPHPM_FRAME_HEAD, head,
                            order->head_bytes);
}

static int32_t write_all(self_t *self)
{
    static char body[BIG];
    self->written = true;
    runt_fill(body, self->order.body_bytes, self->order.seed, 0);
    if (!write_head(self) ||
        !ephpm_task_write(&self->task, EPHPM_FRAME_BODY, body,
                          self->order.body_bytes)) {
        return 0;
    }
    ephpm_task_wake(&self->task);
    return 1;
}

static ephpm_job_end_t end_of(const self_t *self)
{
    return (ephpm_job_end_t){
        .memory_bytes = self->order.serial,
        .cpu_us = self->order.seed,
        .exit_status = (int32_t)(self->order.serial % 256),
        .user = "somebody",
    };
}

static int32_t as_runner(self_t *self, action_t action, int32_t argument)
{
    ephpm_job_end_t end = end_of(self);
    ephpm_task_t *task = &self->task;

    switch (action) {
    case BE_RUNNER:
        return ephpm_runner_attach(jobs, (unsigned)argument);
    case TAKE:
        self->has_task = ephpm_task_take(jobs, task, 100);
        self->written = false;
        return self->has_task && runt_ordered(task, &self->order);
    case WRITE:
        return write_all(self);
    case ANSWER:
        ephpm_task_answer(task, &end);
        return 1;
    case END_SCRIPT:
        ephpm_task_complete(task, &end);
        return 1;
    case FINISH:
        ephpm_task_finish(task, &end);
        self->has_task = false;
        return 1;
    case CONTINUE:
        if (self->has_task) {
            if (!self->written) {
                write_all(self);
            }
            ephpm_task_finish(task, &end);
            self->has_task = false;
        }
        return 1;
    default: {
        ephpm_task_t one;
        int32_t served = 0;
        while (atomic_load(&shared->stop) == 0) {
            if (ephpm_task_take(jobs, &one, 100)) {
                if (!runt_serve(&one)) {
                    return WRONG;
                }
                served++;
            }
        }
        return served;
    }
    }
}

static int32_t as_spawner(action_t action, int32_t argument)
{
    ephpm_running_t running;

    switch (action) {
    case BE_SPAWNER:
        if (!ephpm_spawner_attach(jobs)) {
            return 0;
        }
        ephpm_pulse_set(jobs, EPHPM_PULSE_READY);
        return 1;
    case LIVING:
        return (int32_t)ephpm_submitters_living(jobs);
    case TASK_STATE:
        return ephpm_runner_task(jobs, (unsigned)argument, &running)
                   ? (int32_t)running.state
                   : -1;
    case KILL_TASK:
        return ephpm_runner_task(jobs, (unsigned)argument, &running) &&
               ephpm_running_kill(jobs, &running);
    default:
        return ephpm_runner_bury(jobs, (unsigned)argument, SIGKILL,
                                 &running)
                   ? (int32_t)running.state
                   : -1;
    }
}

static int32_t act(self_t *self, action_t action, int32_t argument)
{
    switch (action) {
    case BE_SUBMITTER:
        return ephpm_submitter_attach(jobs, argument);
    case CLAIM:
        self->order = some_order(7, (uint32_t)argument);
        runt_expect(&self->heard, &self->order);
        return ephpm_job_claim(jobs, &self->job) == EPHPM_CLAIMED;
    case SUBMIT:
        runt_submit(&self->job, &self->order);
        self->submitted = true;
        return 1;
    case READ:
        return (int32_t)ephpm_job_read(&self->job, runt_hear, &self->heard);
    case COMPLETE:
        return complete(self);
    case ROUNDS:
        return rounds(self, argument);
    default:
        return action < BE_SPAWNER ? as_runner(self, action, argument)
                                   : as_spawner(action, argument);
    }
}

_Noreturn static void actor_main(mailbox_t *mail)
{
    static self_t self;
    self.random.state = (uint64_t)getpid();
    for (;;) {
        uint32_t answered = atomic_load(&mail->answered);
        if (atomic_load(&mail->asked) == answered) {
            kv_futex_wait(&mail->asked, answered, 1000);
            continue;
        }
        int32_t result = act(&self, (action_t)atomic_load(&mail->action),
                             atomic_load(&mail->argument));
        atomic_store(&mail->result, result);
        atomic_store(&mail->answered, answered + 1);
    }
}

/* ------------------------------------------------------------------ */
/* In the test                                                         */

static void hire(part_t part)
{
    mailbox_t *mail = &shared->mail[mailboxes++];
    pid_t parent = getpid();
    ck_assert_uint_le(mailboxes, PARTS + 2);
    pid_t pid = kvt_fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        actor_main(mail);
    }
    actor[part] = (actor_t){ .pid = pid, .mail = mail };
}

static void order(part_t part, action_t action, int32_t argument)
{
    mailbox_t *mail = actor[part].mail;
    atomic_store(&mail->action, (uint32_t)action);
    atomic_store(&mail->argument, argument);
    atomic_fetch_add(&mail->asked, 1);
    kv_futex_wake(&mail->asked);
}

static bool idle(part_t part)
{
    mailbox_t *mail = actor[part].mail;
    return atomic_load(&mail->asked) == atomic_load(&mail->answered);
}

static int32_t answer(part_t part)
{
    for (int i = 0; !idle(part); i++) {
        kvt_assert_msg(i < 60000, "part %d does not answer", (int)part);
        kvt_sleep_ms(i < 20 ? 0 : 1);
    }
    return atomic_load(&actor[part].mail->result);
}

static int32_t tell(part_t part, action_t action, int32_t argument)
{
    order(part, action, argument);
    return answer(part);
}

static void end(part_t part)
{
    if (actor[part].pid != 0) {
        kill(actor[part].pid, SIGKILL);
        ck_assert_int_eq(kvt_wait(actor[part].pid), -SIGKILL);
        actor[part].pid = 0;
    }
}

static void stop(part_t part)
{
    int status;
    ck_assert_int_eq(kill(actor[part].pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(actor[part].pid, &status, WUNTRACED),
                     actor[part].pid);
    ck_assert(WIFSTOPPED(status));
}

static void raise_curtain(bool events)
{
    ephpm_jobs_config_t config = {
        .runners = RUNNERS,
        .queue = QUEUE,
        .submitters = SUBMITTERS,
        .events = events,
    };
    jobs = ephpm_jobs_make(&config);
    ck_assert_ptr_ne(jobs, NULL);
    shared = kvt_shared(sizeof(*shared));
    mailboxes = 0;
    for (part_t part = S0; part < PARTS; part++) {
        hire(part);
    }
    ck_assert_int_eq(tell(W, BE_SPAWNER, 0), 1);
    ck_assert_int_eq(tell(R0, BE_RUNNER, 0), 1);
    ck_assert_int_eq(tell(R1, BE_RUNNER, 1), 1);
    ck_assert_int_eq(tell(S0, BE_SUBMITTER, 0), 0);
    ck_assert_int_eq(tell(S1, BE_SUBMITTER, 1), 1);
}

static void set_up(void)
{
    raise_curtain(false);
}

static void set_up_events(void)
{
    raise_curtain(true);
}

static void tear_down(void)
{
    for (part_t part = S0; part < PARTS; part++) {
        end(part);
    }
    ephpm_jobs_free(jobs);
}

static void assert_sound(void)
{
    const char *broken = ephpm_jobs_check(jobs);
    ck_assert_msg(broken == NULL, "broken: %s", broken);
}

static void assert_nothing_left(void)
{
    assert_sound();
    for (uint32_t i = 0; i < jobs->slots; i++) {
        kvt_assert_msg(jobs->words[i] == 0, "slot %u: %llx", i,
                       (unsigned long long)jobs->words[i]);
    }
}

/* ------------------------------------------------------------------ */
/* States, victims, ways                                               */

typedef enum stage {
    CLAIMED, READY, RUNNING, WRITTEN, WAITS_FOR_ROOM, ANSWERED, ENDING,
    DONE, END_READ, KILLED, CRASHED, STAGES
} stage_t;

static void bring_to(stage_t stage)
{
    ck_assert_int_eq(tell(S0, CLAIM, stage == WAITS_FOR_ROOM ? BIG : SMALL),
                     1);
    if (stage == CLAIMED) {
        return;
    }
    tell(S0, SUBMIT, 0);
    if (stage == READY) {
        return;
    }
    ck_assert_int_eq(tell(R0, TAKE, 0), 1);
    if (stage == WAITS_FOR_ROOM) {
        order(R0, WRITE, 0);
        while (atomic_load(&jobs->ring[0].wanted) == 0 &&
               atomic_load(&jobs->ring[1].wanted) == 0) {
            kvt_sleep_ms(1);
        }
        return;
    }
    if (stage > RUNNING) {
        ck_assert_int_eq(tell(R0, WRITE, 0), 1);
        ck_assert_int_eq(tell(S0, READ, 0), EPHPM_READ_MORE);
    }
    if (stage == ANSWERED) {
        tell(R0, ANSWER, 0);
    } else if (stage == ENDING) {
        tell(R0, END_SCRIPT, 0);
    } else if (stage == DONE || stage == END_READ) {
        tell(R0, FINISH, 0);
    } else if (stage == KILLED) {
        ck_assert_int_eq(tell(W, KILL_TASK, 0), 1);
    } else if (stage == CRASHED) {
        end(R0);
        ck_assert_int_eq(tell(W, BURY, 0), EPHPM_JOB_RUNNING);
    }
    if (stage == END_READ) {
        ck_assert_int_eq(tell(S0, READ, 0), EPHPM_READ_END);
    }
}

static void stop_serving(void)
{
    atomic_store(&shared->stop, 1);
    for (uint32_t i = 0; i < RUNNERS; i++) {
        ephpm_jobs_ring(jobs, i, BELL_ASLEEP); /* only so as not to wait */
    }
}

/* Everybody else goes on. */
static void others_work(void)
{
    atomic_store(&shared->stop, 0);
    order(R1, SERVE, 0);
    ck_assert_int_eq(tell(S1, ROUNDS, 4), 4);
    stop_serving();
    ck_assert_int_ge(answer(R1), 4);
}

/* The runner that has the job goes on, and nobody else is needed. */
static void runner_goes_on(stage_t stage)
{
    if (actor[R0].pid == 0) {
        return;
    }
    if (stage == KILLED) {
        /* As a spawner does that finds it so. */
        ck_assert_int_eq(tell(W, TASK_STATE, 0), EPHPM_JOB_KILLED);
        ck_assert_int_eq(tell(W, KILL_TASK, 0), 1);
        end(R0);
        ck_assert_int_eq(tell(W, BURY, 0), EPHPM_JOB_KILLED);
    } else {
        answer(R0);
        tell(R0, CONTINUE, 0);
    }
}

/* What the submitter may find, where the runner lives on. */
static int32_t usual_end(stage_t stage)
{
    return stage == KILLED    ? EPHPM_READ_KILLED
           : stage == CRASHED ? EPHPM_READ_CRASHED
                              : EPHPM_READ_END;
}

static void last_act(void)
{
    if (actor[R0].pid == 0) {
        hire(R0);
        ck_assert_int_eq(tell(R0, BE_RUNNER, 0), 1);
    }
    if (actor[S0].pid == 0) {
        hire(S0);
        ck_assert_int_eq(tell(S0, BE_SUBMITTER, 0), 0);
    }
    atomic_store(&shared->stop, 0);
    order(R0, SERVE, 0);
    order(R1, SERVE, 0);
    order(S0, ROUNDS, 3);
    ck_assert_int_eq(tell(S1, ROUNDS, 3), 3);
    ck_assert_int_eq(answer(S0), 3);
    stop_serving();
    ck_assert_int_ge(answer(R0) + answer(R1), 6);
    assert_nothing_left();
}

/* A job that was not taken is taken by whoever serves: the other runner. */
static int32_t complete_with(part_t runner)
{
    atomic_store(&shared->stop, 0);
    order(runner, SERVE, 0);
    int32_t result = tell(S0, COMPLETE, 0);
    stop_serving();
    ck_assert_int_ge(answer(runner), 0);
    return result;
}

START_TEST(a_submitter_is_killed)
{
    bring_to((stage_t)_i);
    end(S0);
    assert_sound();
    others_work();
    ck_assert_int_eq(tell(W, LIVING, 0), 1);
    runner_goes_on((stage_t)_i);
    assert_nothing_left();
    last_act();
}
END_TEST

/* No spawner abandons what it had: its successor does. */
START_TEST(a_submitter_is_killed_and_followed)
{
    bring_to((stage_t)_i);
    end(S0);
    hire(S0);
    ck_assert_int_eq(tell(S0, BE_SUBMITTER, 0), 0);
    assert_sound();
    others_work();
    runner_goes_on((stage_t)_i);
    assert_nothing_left();
    last_act();
}
END_TEST

START_TEST(a_runner_is_killed)
{
    stage_t stage = (stage_t)_i;
    bring_to(stage);
    end(R0);
    assert_sound();
    others_work();
    int32_t was = tell(W, BURY, 0);
    ck_assert_int_eq(was, stage == KILLED ? EPHPM_JOB_KILLED
                          : stage == ANSWERED ? EPHPM_JOB_ANSWERED
                          : stage == ENDING ? EPHPM_JOB_ENDING
                          : stage >= RUNNING && stage < ANSWERED
                              ? EPHPM_JOB_RUNNING : -1);
    ck_assert_int_eq(complete_with(R1),
                     stage >= RUNNING && stage < ANSWERED
                         ? EPHPM_READ_CRASHED : usual_end(stage));
    last_act();
}
END_TEST

START_TEST(a_spawner_is_killed)
{
    stage_t stage = (stage_t)_i;
    bring_to(stage);
    end(W);
    assert_sound();
    others_work();
    ck_assert_int_eq(tell(W2, BE_SPAWNER, 0), 1);
    actor[W] = actor[W2];
    actor[W2].pid = 0;
    if (stage == WAITS_FOR_ROOM) {
        order(S0, COMPLETE, 0);
        runner_goes_on(stage);
        ck_assert_int_eq(answer(S0), EPHPM_READ_END);
    } else {
        runner_goes_on(stage);
        ck_assert_int_eq(complete_with(R1), usual_end(stage));
    }
    last_act();
}
END_TEST

static void is_stopped(part_t victim, stage_t stage)
{
    bring_to(stage);
    if (actor[victim].pid == 0) {
        return; /* a crashed runner stops no more */
    }
    stop(victim);
    assert_sound();
    others_work();
    ck_assert_int_eq(kill(actor[victim].pid, SIGCONT), 0);
    ck_assert_int_eq(tell(W, LIVING, 0), 2);
    if (stage == WAITS_FOR_ROOM) {
        order(S0, COMPLETE, 0);
        runner_goes_on(stage);
        ck_assert_int_eq(answer(S0), EPHPM_READ_END);
    } else {
        runner_goes_on(stage);
        ck_assert_int_eq(complete_with(R1), usual_end(stage));
    }
    last_act();
}

START_TEST(a_submitter_is_stopped)
{
    is_stopped(S0, (stage_t)_i);
}
END_TEST

START_TEST(a_runner_is_stopped)
{
    is_stopped(R0, (stage_t)_i);
}
END_TEST

START_TEST(a_spawner_is_stopped)
{
    is_stopped(W, (stage_t)_i);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Two at a time                                                       */

/* Nobody is left to bury the runner but the one who waits for it. */
START_TEST(runner_and_spawner_are_killed)
{
    stage_t stage = (stage_t)_i;
    bring_to(stage);
    end(W);
    end(R0);
    others_work();
    ck_assert_int_eq(complete_with(R1),
                     stage >= RUNNING && stage < ANSWERED
                         ? EPHPM_READ_CRASHED : usual_end(stage));
    ck_assert_int_eq(tell(W2, BE_SPAWNER, 0), 1);
    actor[W] = actor[W2];
    actor[W2].pid = 0;
    last_act();
}
END_TEST

START_TEST(submitter_and_runner_are_killed)
{
    bring_to((stage_t)_i);
    end(S0);
    end(R0);
    others_work();
    if (_i % 2 == 0) {
        tell(W, BURY, 0);
        ck_assert_int_eq(tell(W, LIVING, 0), 1);
    } else {
        ck_assert_int_eq(tell(W, LIVING, 0), 1);
        tell(W, BURY, 0);
    }
    assert_nothing_left();
    last_act();
}
END_TEST

/* ... and their successors find what they have left. */
START_TEST(submitter_and_runner_are_killed_and_followed)
{
    bring_to((stage_t)_i);
    end(S0);
    end(R0);
    last_act();
}
END_TEST

START_TEST(all_are_killed_and_followed)
{
    bring_to((stage_t)_i);
    end(W);
    end(S0);
    end(R0);
    ck_assert_int_eq(tell(W2, BE_SPAWNER, 0), 1);
    last_act();
}
END_TEST

/* ------------------------------------------------------------------ */
/* A runner that was to be killed                                      */

START_TEST(a_runner_that_was_killed_takes_no_other_job)
{
    bring_to(KILLED);
    order(R0, FINISH, 0);
    kvt_sleep_ms(50);
    ck_assert(!idle(R0));
    ck_assert_int_eq(tell(W, TASK_STATE, 0), EPHPM_JOB_KILLED);
    ck_assert_int_eq(tell(S0, COMPLETE, 0), EPHPM_READ_KILLED);
    /* Its submitter has gone, and still it is the killed job's. */
    ck_assert_int_eq(tell(W, TASK_STATE, 0), EPHPM_JOB_KILLED);
    end(R0);
    ck_assert_int_eq(tell(W, BURY, 0), EPHPM_JOB_KILLED);
    assert_nothing_left();
    last_act();
}
END_TEST

START_TEST(a_runner_that_was_killed_ends_itself_if_nobody_does)
{
    bring_to(KILLED);
    end(W);
    order(R0, FINISH, 0);
    ck_assert_int_eq(kvt_wait(actor[R0].pid), -SIGKILL);
    actor[R0].pid = 0;
    ck_assert_int_eq(tell(S0, COMPLETE, 0), EPHPM_READ_KILLED);
    ck_assert_int_eq(tell(W2, BE_SPAWNER, 0), 1);
    actor[W] = actor[W2];
    actor[W2].pid = 0;
    ck_assert_int_eq(tell(W, BURY, 0), EPHPM_JOB_KILLED);
    last_act();
}
END_TEST

/* ------------------------------------------------------------------ */

int main(void)
{
    Suite *suite = suite_create("deaths");
    static const struct {
        const char *name;
        void (*before)(void);
    } ways[] = {
        { "waiting for news", set_up },
        { "waiting for events", set_up_events },
    };
    for (int i = 0; i < 2; i++) {
        TCase *tcase = kvt_case(suite, ways[i].name);
        tcase_add_checked_fixture(tcase, ways[i].before, tear_down);
        tcase_add_loop_test(tcase, a_submitter_is_killed, 0, STAGES);
        tcase_add_loop_test(tcase, a_submitter_is_killed_and_followed, 0,
                            STAGES);
        tcase_add_loop_test(tcase, a_runner_is_killed, 0, STAGES);
        tcase_add_loop_test(tcase, a_spawner_is_killed, 0, STAGES);
        tcase_add_loop_test(tcase, a_submitter_is_stopped, 0, STAGES);
        tcase_add_loop_test(tcase, a_runner_is_stopped, 0, STAGES);
        tcase_add_loop_test(tcase, a_spawner_is_stopped, 0, STAGES);
        tcase_add_loop_test(tcase, runner_and_spawner_are_killed, 0, STAGES);
        tcase_add_loop_test(tcase, submitter_and_runner_are_killed, 0,
                            STAGES);
        tcase_add_loop_test(tcase,
                            submitter_and_runner_are_killed_and_followed, 0,
                            STAGES);
        tcase_add_loop_test(tcase, all_are_killed_and_followed, 0, STAGES);
        tcase_add_test(tcase, a_runner_that_was_killed_takes_no_other_job);
        tcase_add_test(tcase,
                       a_runner_that_was_killed_ends_itself_if_nobody_does);
    }
    return kvt_run(suite);
}
