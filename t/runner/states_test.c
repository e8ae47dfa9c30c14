/* states_test.c - the states of a job, each change of them, and whose job it
 * is not any more.  What the dead leave behind is in deaths_test.c.
 */

#include "table.h"

#include <signal.h>
#include <unistd.h>

/* ------------------------------------------------------------------ */
/* The states of a job                                                 */

START_TEST(a_jobs_way_from_claim_to_release)
{
    runt_order_t order = small_order(++orders);
    ephpm_job_times_t times;
    runt_expect(&heard, &order);
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIMED);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_FILLING);
    ephpm_job_times(&job, &times);
    ck_assert_uint_eq(times.submitted_us, 0);
    assert_sound();
    ck_assert(!ephpm_task_take(runner[0], &task, 0));
    uint64_t before_us = ephpm_jobs_clock_us();
    runt_submit(&job, &order);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_READY);
    ck_assert_int_eq(ephpm_job_read(&job, runt_hear, &heard),
                     EPHPM_READ_MORE);
    assert_sound();
    kvt_sleep_ms(2);
    ck_assert(ephpm_task_take(runner[1], &task, 0));
    ck_assert(!ephpm_task_take(runner[0], &task, 0));
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_RUNNING);
    ephpm_job_times(&job, &times);
    ck_assert_uint_ge(times.submitted_us, before_us);
    ck_assert_uint_ge(times.taken_us, times.submitted_us + 2000);
    ck_assert_int_eq(times.pid, getpid());
    ck_assert_uint_ge(counted(EPHPM_COUNT_QUEUE_US), 2000);
    ck_assert(!ephpm_task_abandoned(&task));
    assert_sound();
    ck_assert(runt_serve(&task));
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_DONE);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), 1);
    assert_sound();
    ck_assert_int_eq(ephpm_job_read(&job, runt_hear, &heard), EPHPM_READ_END);
    ck_assert_ptr_eq(runt_judge(&heard), NULL);
    ck_assert_int_eq(ephpm_job_read(&job, runt_hear, &heard), EPHPM_READ_END);
    ephpm_job_t gone = job;
    ephpm_job_release(&job);
    ck_assert_int_eq(ephpm_job_state(&gone), EPHPM_JOB_FREE);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(what_has_become_of_a_slot_is_not_taken_for_the_old_job)
{
    ephpm_job_times_t times;
    begin();
    ck_assert(runt_serve(&task));
    ephpm_job_t old = job;
    ephpm_job_release(&job);
    submit(&job);
    ck_assert_uint_eq(job.slot, old.slot);
    ck_assert_int_eq(ephpm_job_state(&old), EPHPM_JOB_FREE);
    ephpm_job_times(&old, &times);
    ck_assert_uint_eq(times.submitted_us, 0);
    ck_assert_uint_eq(times.taken_us, 0);
    ck_assert(!ephpm_job_withdraw(&old));
    old.ended = false;
    ck_assert_int_eq(ephpm_job_read(&old, runt_hear, &heard),
                     EPHPM_READ_CRASHED);
    ephpm_job_release(&old);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_READY);
    ephpm_job_release(&job);
}
END_TEST

START_TEST(a_job_that_waits_can_be_withdrawn)
{
    submit(&job);
    ck_assert(ephpm_job_withdraw(&job));
    ck_assert(!ephpm_task_take(runner[0], &task, 0));
    assert_sound();
    ck_assert(!ephpm_job_withdraw(&job));
    ephpm_job_release(&job);
    begin();
    ck_assert(!ephpm_job_withdraw(&job));
    ck_assert(runt_serve(&task));
    ck_assert(!ephpm_job_withdraw(&job));
    ephpm_job_release(&job);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(who_lets_go_of_a_job_that_runs_aborts_it)
{
    begin();
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_BODY, "x", 1));
    ephpm_job_release(&job);
    ck_assert(ephpm_task_abandoned(&task));
    ck_assert(!ephpm_task_write(&task, EPHPM_FRAME_BODY, "x", 1));
    ck_assert(!ephpm_task_write(&task, EPHPM_FRAME_FLUSH, NULL, 0));
    ck_assert_uint_eq(in_use(), 1);
    assert_sound();
    /* Nobody gets the slot, nor the ring, while the script runs. */
    submit(&job);
    ck_assert_uint_ne(job.slot, task.slot);
    ephpm_job_release(&job);
    ephpm_task_finish(&task, NULL);
    ck_assert_uint_eq(in_use(), 0);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), 1);
}
END_TEST

START_TEST(a_response_may_be_complete_before_the_script_is)
{
    begin();
    ephpm_job_end_t end = its_end();
    ephpm_task_answer(&task, &end);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_ANSWERED);
    ck_assert(!ephpm_task_write(&task, EPHPM_FRAME_BODY, "late", 4));
    ephpm_task_answer(&task, &end);
    assert_sound();
    ck_assert_int_eq(read_job(), EPHPM_READ_END);
    ck_assert(heard.ended);
    ck_assert_uint_eq(heard.body_bytes, 0);
    ephpm_job_release(&job);
    ck_assert_uint_eq(in_use(), 1);
    assert_sound();
    ck_assert(ephpm_runner_task(spawner, 0, &(ephpm_running_t){ 0 }));
    ephpm_task_finish(&task, &end);
    ck_assert_uint_eq(in_use(), 0);
    /* Or it ends before the answer was read. */
    orders = 0;
    begin();
    ephpm_task_answer(&task, &end);
    ephpm_task_finish(&task, NULL);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_DONE);
    ck_assert_int_eq(read_job(), EPHPM_READ_END);
    ephpm_job_release(&job);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), 2);
}
END_TEST

START_TEST(a_runner_that_ends_counts_as_free)
{
    ephpm_running_t at;
    ephpm_jobs_stats_t stats;
    begin();
    ephpm_job_end_t end = its_end();
    ephpm_task_complete(&task, &end);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_ENDING);
    ck_assert(!ephpm_task_write(&task, EPHPM_FRAME_BODY, "late", 4));
    ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), 1);
    ephpm_jobs_stats(jobs, &stats);
    ck_assert_uint_eq(stats.busy, 0);
    assert_sound();
    ck_assert_int_eq(read_job(), EPHPM_READ_END);
    ck_assert(heard.ended);
    ephpm_job_release(&job);
    /* It is the runner's still, and nobody gets its slot. */
    ck_assert_uint_eq(in_use(), 1);
    assert_sound();
    ck_assert(ephpm_runner_task(spawner, 0, &at));
    ck_assert_int_eq(at.state, EPHPM_JOB_ENDING);
    ephpm_task_complete(&task, &end);
    ephpm_task_answer(&task, &end);
    ephpm_task_finish(&task, &end);
    ck_assert_uint_eq(in_use(), 0);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), 1);
    /* What was answered before stays so: no time-out is for it. */
    begin();
    ephpm_task_answer(&task, NULL);
    ephpm_task_complete(&task, &end);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_ANSWERED);
    ephpm_task_finish(&task, NULL);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), 2);
    ephpm_job_release(&job);
    /* Should it not come to its end, it is killed like any other. */
    begin();
    ephpm_task_complete(&task, NULL);
    ck_assert(ephpm_runner_task(spawner, 0, &at));
    ck_assert(ephpm_running_kill(spawner, &at));
    ck_assert_int_eq(read_job(), EPHPM_READ_END);
    ck_assert(ephpm_runner_bury(spawner, 0, SIGKILL, NULL));
    ephpm_job_release(&job);
    ck_assert_uint_eq(in_use(), 0);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), 3);
}
END_TEST

START_TEST(a_runner_that_dies_crashes_its_job)
{
    ephpm_running_t was;
    ephpm_job_times_t times;
    begin();
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_LOG, "\377last words", 11));
    ck_assert(ephpm_runner_bury(spawner, 0, SIGSEGV, &was));
    ck_assert_int_eq(was.state, EPHPM_JOB_RUNNING);
    ck_assert_str_eq(was.script, "/srv/script.php");
    ck_assert_uint_eq(was.slot, job.slot);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_CRASHED);
    assert_sound();
    ephpm_job_times(&job, &times);
    ck_assert_int_eq(times.signal, SIGSEGV);
    ck_assert_int_eq(read_job(), EPHPM_READ_CRASHED);
    ck_assert_uint_eq(heard.logs, 1);
    ck_assert(!ephpm_runner_bury(spawner, 0, SIGSEGV, NULL));
    ck_assert(!ephpm_runner_bury(spawner, 1, SIGSEGV, NULL));
    ck_assert(!ephpm_runner_bury(spawner, RUNNERS, SIGSEGV, NULL));
    ck_assert_uint_eq(counted(EPHPM_COUNT_CRASHES), 1);
    /* What the dead one still believes does nothing. */
    ck_assert(!ephpm_task_write(&task, EPHPM_FRAME_BODY, "x", 1));
    ephpm_task_finish(&task, NULL);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), 0);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_CRASHED);
    ephpm_job_release(&job);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(a_runner_that_ran_too_long_is_killed_with_its_ticket)
{
    ephpm_running_t at;
    ephpm_running_t was;
    ck_assert(!ephpm_runner_task(spawner, 0, &at));
    ck_assert(!ephpm_runner_task(spawner, RUNNERS, &at));
    begin();
    ck_assert(ephpm_runner_task(spawner, 0, &at));
    ck_assert(!ephpm_runner_task(spawner, 1, &was));
    ck_assert_int_eq(at.state, EPHPM_JOB_RUNNING);
    ck_assert_uint_eq(at.slot, job.slot);
    ck_assert_uint_ne(at.taken_us, 0);
    ck_assert_str_eq(at.script, "/srv/script.php");
    ck_assert(ephpm_running_kill(spawner, &at));
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_KILLED);
    ck_assert_int_eq(read_job(), EPHPM_READ_KILLED);
    ck_assert(!ephpm_task_write(&task, EPHPM_FRAME_BODY, "x", 1));
    assert_sound();
    /* A second spawner finds it so, and goes on. */
    ck_assert(ephpm_runner_task(spawner, 0, &was));
    ck_assert_int_eq(was.state, EPHPM_JOB_KILLED);
    ck_assert(ephpm_running_kill(spawner, &was));
    ck_assert_uint_eq(counted(EPHPM_COUNT_TIMEOUTS), 1);
    ck_assert(ephpm_runner_bury(spawner, 0, SIGKILL, &was));
    ck_assert_int_eq(was.state, EPHPM_JOB_KILLED);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_KILLED);
    ck_assert_int_eq(read_job(), EPHPM_READ_KILLED);
    ck_assert_uint_eq(counted(EPHPM_COUNT_CRASHES), 0);
    assert_sound();
    ephpm_job_release(&job);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(a_killed_job_may_lose_its_submitter_first)
{
    ephpm_running_t at;
    begin();
    ck_assert(ephpm_runner_task(spawner, 0, &at));
    ck_assert(ephpm_running_kill(spawner, &at));
    ephpm_job_release(&job);
    ck_assert_uint_eq(in_use(), 1);
    assert_sound();
    ck_assert(ephpm_runner_bury(spawner, 0, SIGKILL, NULL));
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(a_time_out_never_hits_the_next_job)
{
    ephpm_running_t at;
    begin();
    ck_assert(ephpm_runner_task(spawner, 0, &at));
    ck_assert(runt_serve(&task));
    ck_assert(!ephpm_running_kill(spawner, &at));
    ephpm_job_release(&job);
    ck_assert(!ephpm_running_kill(spawner, &at));
    begin(); /* the same runner, the same slot */
    ck_assert_uint_eq(job.slot, at.slot);
    ck_assert(!ephpm_running_kill(spawner, &at));
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_RUNNING);
    at.slot = jobs->slots;
    ck_assert(!ephpm_running_kill(spawner, &at));
    ck_assert_uint_eq(counted(EPHPM_COUNT_TIMEOUTS), 0);
    ck_assert(runt_serve(&task));
    ephpm_job_release(&job);
}
END_TEST

START_TEST(an_answered_job_can_time_out_and_crash)
{
    ephpm_job_end_t end = { .memory_bytes = 1, .cpu_us = 1000,
                            .exit_status = 1, .user = "somebody" };
    ephpm_running_t at;
    orders = 0;
    begin();
    ephpm_task_answer(&task, &end);
    ck_assert(ephpm_runner_task(spawner, 0, &at));
    ck_assert_int_eq(at.state, EPHPM_JOB_ANSWERED);
    ck_assert(ephpm_running_kill(spawner, &at));
    ck_assert(ephpm_runner_bury(spawner, 0, SIGKILL, NULL));
    ck_assert_int_eq(read_job(), EPHPM_READ_END); /* it was complete */
    ephpm_job_release(&job);
    ephpm_runner_detach(runner[0]);
    ck_assert(ephpm_runner_attach(runner[0], 0));
    orders = 0;
    begin();
    ephpm_task_answer(&task, &end);
    ck_assert(ephpm_runner_bury(spawner, 0, SIGSEGV, NULL));
    ck_assert_int_eq(read_job(), EPHPM_READ_END);
    ephpm_job_release(&job);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(a_runner_that_leaves_in_the_middle_has_crashed)
{
    begin();
    ephpm_runner_detach(runner[0]);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_CRASHED);
    ephpm_job_release(&job);
}
END_TEST

START_TEST(a_submitter_that_leaves_lets_go_of_all)
{
    ephpm_job_t more[3];
    begin();
    for (int i = 0; i < 3; i++) {
        submit(&more[i]);
    }
    ck_assert(ephpm_job_withdraw(&more[2]));
    ephpm_submitter_detach(jobs);
    ck_assert_uint_eq(in_use(), 1); /* what runs */
    ck_assert(ephpm_task_abandoned(&task));
    ephpm_task_finish(&task, NULL);
    ck_assert_uint_eq(in_use(), 0);
    for (int i = 0; i < 3; i++) {
        ephpm_job_release(&more[i]);
    }
}
END_TEST

START_TEST(a_script_of_any_length_is_cut)
{
    static char path[3000];
    ephpm_running_t at;
    memset(path, 'p', sizeof(path) - 1);
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIMED);
    ephpm_job_submit(&job, SIZE_MAX, path);
    ck_assert(ephpm_task_take(runner[0], &task, 0));
    ck_assert_uint_eq(task.request_bytes, EPHPM_REQUEST_BYTES);
    ck_assert(ephpm_runner_task(spawner, 0, &at));
    ck_assert_uint_eq(strlen(at.script), 1023);
    ephpm_task_finish(&task, NULL);
    ephpm_job_release(&job);
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIMED);
    ephpm_job_submit(&job, 0, NULL);
    ck_assert(ephpm_task_take(runner[0], &task, 0));
    ck_assert_uint_eq(task.request_bytes, 0);
    ck_assert_int_eq(task.request[0], '\0');
    ck_assert(ephpm_runner_task(spawner, 0, &at));
    ck_assert_str_eq(at.script, "");
    ephpm_task_finish(&task, NULL);
    ephpm_job_release(&job);
}
END_TEST

/* J3: two answers that nobody has read, and a third cannot begin. */
START_TEST(a_runner_without_a_free_ring_takes_no_job)
{
    ephpm_job_t unread[2];
    ephpm_runner_detach(runner[1]);
    for (int i = 0; i < 2; i++) {
        submit(&unread[i]);
        ck_assert(ephpm_task_take(runner[0], &task, 0));
        ck_assert(runt_serve(&task));
    }
    submit(&job);
    ck_assert(!ephpm_task_take(runner[0], &task, 0));
    ck_assert(!ephpm_task_take(runner[0], &task, 20));
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_READY);
    ephpm_job_release(&unread[0]);
    ck_assert(ephpm_task_take(runner[0], &task, 0));
    ck_assert(runt_serve(&task));
    /* The other answer is untouched. */
    runt_order_t order = small_order(orders - 1);
    runt_expect(&heard, &order);
    ck_assert_int_eq(ephpm_job_read(&unread[1], runt_hear, &heard),
                     EPHPM_READ_END);
    ck_assert_ptr_eq(runt_judge(&heard), NULL);
    ephpm_job_release(&unread[1]);
    ck_assert_int_eq(read_job(), EPHPM_READ_END);
    ck_assert_ptr_eq(runt_judge(&heard), NULL);
    ephpm_job_release(&job);
}
END_TEST

/* ------------------------------------------------------------------ */

int main(void)
{
    Suite *suite = suite_create("states");

    WITH(suite, "states", set_up, a_jobs_way_from_claim_to_release,
         what_has_become_of_a_slot_is_not_taken_for_the_old_job,
         a_job_that_waits_can_be_withdrawn,
         who_lets_go_of_a_job_that_runs_aborts_it,
         a_response_may_be_complete_before_the_script_is,
         a_runner_that_ends_counts_as_free,
         a_runner_that_dies_crashes_its_job,
         a_runner_that_ran_too_long_is_killed_with_its_ticket,
         a_killed_job_may_lose_its_submitter_first,
         a_time_out_never_hits_the_next_job,
         an_answered_job_can_time_out_and_crash,
         a_runner_that_leaves_in_the_middle_has_crashed,
         a_submitter_that_leaves_lets_go_of_all,
         a_script_of_any_length_is_cut,
         a_runner_without_a_free_ring_takes_no_job);
    return kvt_run(suite);
}
