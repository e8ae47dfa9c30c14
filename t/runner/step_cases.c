/* step_cases.c - what is broken off; see step.h. */

#include "step.h"

#include <pthread.h>
#include <string.h>

static const ephpm_job_end_t its_end = { .user = "somebody" };

/* ------------------------------------------------------------------ */
/* The rig's part                                                      */

static void ask_one(cast_t *cast)
{
    cast_ask(cast);
}

static void ask_two(cast_t *cast)
{
    cast_ask(cast);
    cast_ask(cast);
}

static void fill_queue(cast_t *cast)
{
    for (int i = 0; i < QUEUE + RUNNERS; i++) {
        cast_ask(cast);
    }
}

/* Runner 1 takes what waits. */
static void take(cast_t *cast)
{
    cast->has_task = ephpm_task_take(cast->runner[1], &cast->task, 0);
    if (!cast->has_task) {
        rig_die("there was nothing to take");
    }
}

static void answer(cast_t *cast)
{
    take(cast);
    if (!runt_serve(&cast->task)) {
        rig_die("a request that is not whole");
    }
    cast->has_task = false;
}

static void take_and_wait_for_room(cast_t *cast)
{
    take(cast);
    atomic_store(&cast->runner[1]->ring[cast->task.ring].wanted, 1);
}

static void runner_sleeps(cast_t *cast)
{
    atomic_store(&cast->runner[1]->bells[1], BELL_ASLEEP);
}

/* A job that the victim is at loses its submitter. */
static void let_go(cast_t *cast)
{
    ephpm_job_release(&cast->asked[0].job);
    cast->asked[0].there = false;
}

/* One who has died before: in a thread, which ends. */

static void *die_as_submitter(void *argument)
{
    cast_t *cast = argument;
    ephpm_jobs_t *view = cast->submitter[0];

    if (ephpm_submitter_attach(view, 0) != 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < 3; i++) {
        ephpm_job_t job;
        runt_order_t order = step_order(700 + i);
        if (i == 2 ? ephpm_job_claim(view, &job) != EPHPM_CLAIMED
                   : !runt_send(view, &job, &order)) {
            return NULL;
        }
    }
    return argument;
}

static void *die_as_runner(void *argument)
{
    cast_t *cast = argument;
    ephpm_task_t task;

    return ephpm_runner_attach(cast->runner[0], 0) &&
                   ephpm_task_take(cast->runner[0], &task, 0)
               ? argument
               : NULL;
}

static void die(cast_t *cast, void *(*how)(void *))
{
    pthread_t thread;
    void *died = NULL;

    if (pthread_create(&thread, NULL, how, cast) != 0 ||
        pthread_join(thread, &died) != 0 || died == NULL) {
        rig_die("somebody did not die");
    }
}

/* With one job that waits, one that runs and one that is being filled in. */
static void submitter_died(cast_t *cast)
{
    die(cast, die_as_submitter);
    take(cast);
}

static void runner_died(cast_t *cast)
{
    cast_ask(cast);
    die(cast, die_as_runner);
}

static void runner_died_killed(cast_t *cast)
{
    ephpm_running_t running;

    runner_died(cast);
    if (!ephpm_runner_task(cast->runner[1], 0, &running) ||
        !ephpm_running_kill(cast->runner[1], &running)) {
        rig_die("nobody to kill");
    }
}

static void ask_and_take(cast_t *cast)
{
    cast_ask(cast);
    take(cast);
}

/* ------------------------------------------------------------------ */
/* The victim as a submitter                                           */

static void s_attach(victim_t *victim)
{
    ephpm_submitter_attach(victim->view, 0);
}

static void s_claim(victim_t *victim)
{
    ephpm_job_claim(victim->view, &victim->job);
}

static void s_claimed(victim_t *victim)
{
    s_attach(victim);
    s_claim(victim);
    victim->order = step_order(500);
    runt_expect(&victim->heard, &victim->order);
}

static void s_submit(victim_t *victim)
{
    runt_submit(&victim->job, &victim->order);
}

static void s_submitted(victim_t *victim)
{
    s_claimed(victim);
    s_submit(victim);
}

static void s_submitted_more(victim_t *victim)
{
    ephpm_job_t more;
    s_submitted(victim);
    ephpm_job_claim(victim->view, &more);
    runt_submit(&more, &victim->order);
    ephpm_job_claim(victim->view, &more);
}

static void s_withdraw(victim_t *victim)
{
    ephpm_job_withdraw(&victim->job);
}

static void s_read(victim_t *victim)
{
    ephpm_job_read(&victim->job, runt_hear, &victim->heard);
}

static void s_release(victim_t *victim)
{
    ephpm_job_release(&victim->job);
}

static void s_awake(victim_t *victim)
{
    ephpm_submitter_awake(victim->view);
}

static void s_detach(victim_t *victim)
{
    ephpm_submitter_detach(victim->view);
}

/* ------------------------------------------------------------------ */
/* ... as a runner                                                     */

static void r_attach(victim_t *victim)
{
    ephpm_runner_attach(victim->view, 0);
}

static void r_take(victim_t *victim)
{
    ephpm_task_take(victim->view, &victim->task, 1);
}

static void r_taken(victim_t *victim)
{
    r_attach(victim);
    r_take(victim);
    runt_ordered(&victim->task, &victim->order);
}

static void r_write_head(victim_t *victim)
{
    char head[100];

    memcpy(head, &victim->order, sizeof(victim->order));
    runt_fill(head + sizeof(victim->order),
              sizeof(head) - sizeof(victim->order), victim->order.seed + 1,
              0);
    ephpm_task_write(&victim->task, EPHPM_FRAME_HEAD, head, sizeof(head));
}

static void r_write_body(victim_t *victim)
{
    char body[150];

    for (size_t at = 0; at < 300; at += sizeof(body)) {
        runt_fill(body, sizeof(body), victim->order.seed, at);
        ephpm_task_write(&victim->task, EPHPM_FRAME_BODY, body,
                         sizeof(body));
    }
}

static void r_flush(victim_t *victim)
{
    ephpm_task_wake(&victim->task);
}

static void r_wrote(victim_t *victim)
{
    r_taken(victim);
    r_write_head(victim);
    r_write_body(victim);
}

static ephpm_job_end_t end_of(const victim_t *victim)
{
    ephpm_job_end_t end = its_end;
    end.memory_bytes = victim->order.serial;
    end.cpu_us = victim->order.seed;
    end.exit_status = (int32_t)victim->order.serial % 256;
    return end;
}

static void r_answer(victim_t *victim)
{
    ephpm_job_end_t end = end_of(victim);
    ephpm_task_answer(&victim->task, &end);
}

static void r_complete(victim_t *victim)
{
    ephpm_job_end_t end = end_of(victim);
    ephpm_task_complete(&victim->task, &end);
}

static void r_finish(victim_t *victim)
{
    ephpm_job_end_t end = end_of(victim);
    ephpm_task_finish(&victim->task, &end);
}

static void r_answered(victim_t *victim)
{
    r_wrote(victim);
    r_answer(victim);
}

static void r_completed(victim_t *victim)
{
    r_wrote(victim);
    r_complete(victim);
}

static void r_finished(victim_t *victim)
{
    r_wrote(victim);
    r_finish(victim);
}

static void r_facts(victim_t *victim)
{
    ephpm_facts_put(victim->view, "facts", 5);
}

static void r_detach(victim_t *victim)
{
    ephpm_runner_detach(victim->view);
}

/* ------------------------------------------------------------------ */
/* ... as the spawner                                                  */

static void w_attach(victim_t *victim)
{
    ephpm_spawner_attach(victim->view);
}

static void w_pulse(victim_t *victim)
{
    ephpm_pulse_set(victim->view, EPHPM_PULSE_READY);
}

static void w_living(victim_t *victim)
{
    ephpm_submitters_living(victim->view);
}

static void w_kill(victim_t *victim)
{
    ephpm_running_t running;

    if (ephpm_runner_task(victim->view, 1, &running)) {
        ephpm_running_kill(victim->view, &running);
    }
}

static void w_bury(victim_t *victim)
{
    ephpm_runner_bury(victim->view, 0, SIGSEGV, NULL);
}

/* ------------------------------------------------------------------ */

const step_case_t step_cases[] = {
    { "a submitter attaches", SUBMITTER, NULL, NULL, NULL, s_attach, false,
      false },
    { "a submitter follows a dead one", SUBMITTER, submitter_died, NULL, NULL,
      s_attach, true, false },
    { "a job is claimed", SUBMITTER, ask_one, s_attach, NULL, s_claim, false,
      false },
    { "a claim is refused", SUBMITTER, fill_queue, s_attach, NULL, s_claim,
      false, false },
    { "a job is submitted", SUBMITTER, runner_sleeps, s_claimed, NULL,
      s_submit, false, false },
    { "a job is withdrawn", SUBMITTER, NULL, s_submitted, NULL, s_withdraw,
      false, false },
    { "an answer is read", SUBMITTER, NULL, s_submitted, answer, s_read,
      false, false },
    { "a submitter hears", SUBMITTER, NULL, s_submitted, answer, s_awake,
      false, false },
    { "a job that is filled in is released", SUBMITTER, NULL, s_claimed, NULL,
      s_release, false, false },
    { "a job that waits is released", SUBMITTER, NULL, s_submitted, NULL,
      s_release, false, false },
    { "a job that runs is released", SUBMITTER, NULL, s_submitted,
      take_and_wait_for_room, s_release, false, false },
    { "a job that is done is released", SUBMITTER, NULL, s_submitted, answer,
      s_release, false, false },
    { "a submitter leaves", SUBMITTER, NULL, s_submitted_more, take,
      s_detach, false, false },
    { "a runner attaches", RUNNER, ask_one, NULL, NULL, r_attach, false,
      false },
    { "a runner follows a dead one", RUNNER, runner_died, NULL, NULL,
      r_attach, false, true },
    { "a job is taken", RUNNER, ask_two, r_attach, NULL, r_take, false,
      false },
    { "a job is not there", RUNNER, NULL, r_attach, NULL, r_take, false,
      false },
    { "a head is written", RUNNER, ask_one, r_taken, NULL, r_write_head,
      false, false },
    { "a body is written", RUNNER, ask_one, r_taken, NULL, r_write_body,
      false, false },
    { "what was written is shown", RUNNER, ask_one, r_wrote, NULL, r_flush,
      false, false },
    { "a job is answered", RUNNER, ask_one, r_wrote, NULL, r_answer, false,
      false },
    { "a job is complete", RUNNER, ask_one, r_wrote, NULL, r_complete, false,
      false },
    { "a complete job is finished", RUNNER, ask_one, r_completed, NULL,
      r_finish, false, false },
    { "a job is finished", RUNNER, ask_one, r_wrote, NULL, r_finish, false,
      false },
    { "an answered job is finished", RUNNER, ask_one, r_answered, NULL,
      r_finish, false, false },
    { "an abandoned job is finished", RUNNER, ask_one, r_wrote, let_go,
      r_finish, false, false },
    { "a second job is taken", RUNNER, ask_two, r_finished, NULL, r_take,
      false, false },
    { "facts are put", RUNNER, NULL, r_attach, NULL, r_facts, false, false },
    { "a runner leaves", RUNNER, ask_one, r_attach, NULL, r_detach, false,
      false },
    { "a runner leaves amid a job", RUNNER, ask_one, r_wrote, NULL, r_detach,
      false, false },
    { "a spawner attaches", SPAWNER, ask_one, NULL, NULL, w_attach, false,
      false },
    { "the pulse is set", SPAWNER, ask_one, w_attach, NULL, w_pulse, false,
      false },
    { "dead submitters are looked for", SPAWNER, submitter_died, w_attach,
      NULL, w_living, true, false },
    { "a runner has run too long", SPAWNER, ask_and_take, w_attach, NULL,
      w_kill, false, false },
    { "a dead runner is buried", SPAWNER, runner_died, w_attach, NULL, w_bury,
      false, true },
    { "a killed runner is buried", SPAWNER, runner_died_killed, w_attach,
      NULL, w_bury, false, true },
};

const size_t step_cases_count = COUNT(step_cases);
