/* table.c - see table.h. */

#include "table.h"

ephpm_jobs_t *jobs;          /* the submitter's */
ephpm_jobs_t *runner[RUNNERS];
ephpm_jobs_t *spawner;
ephpm_job_t job;
ephpm_task_t task;

ephpm_jobs_t *make(unsigned queue, bool events)
{
    ephpm_jobs_config_t config = {
        .runners = RUNNERS,
        .queue = queue,
        .submitters = SUBMITTERS,
        .events = events,
    };
    ephpm_jobs_t *made = ephpm_jobs_make(&config);
    ck_assert_ptr_ne(made, NULL);
    return made;
}

/* A table with a spawner and a submitter, and no runner yet. */
void open_table(unsigned queue, bool events)
{
    jobs = make(queue, events);
    spawner = ephpm_jobs_view(jobs);
    ck_assert(ephpm_spawner_attach(spawner));
    ck_assert_int_eq(ephpm_submitter_attach(jobs, 0), 0);
    for (unsigned i = 0; i < RUNNERS; i++) {
        runner[i] = ephpm_jobs_view(jobs);
    }
    assert_sound();
}

void start_runners(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ck_assert(ephpm_runner_attach(runner[i], i));
    }
    ephpm_pulse_set(spawner, EPHPM_PULSE_READY);
}

void set_up(void)
{
    open_table(QUEUE, false);
    start_runners(RUNNERS);
}

void set_up_events(void)
{
    open_table(QUEUE, true);
    start_runners(RUNNERS);
}

void tear_down(void)
{
    assert_sound();
    for (unsigned i = 0; i < RUNNERS; i++) {
        ephpm_runner_detach(runner[i]);
        ephpm_jobs_view_free(runner[i]);
    }
    ephpm_submitter_detach(jobs);
    assert_sound();
    ephpm_jobs_view_free(spawner);
    ephpm_jobs_free(jobs);
}

runt_order_t small_order(uint64_t serial)
{
    return (runt_order_t){
        .magic = RUNT_MAGIC,
        .serial = serial,
        .seed = serial * 1000,
        .request_bytes = 500,
        .head_bytes = 100,
        .body_bytes = 700,
        .piece_bytes = 300,
    };
}

uint32_t orders;

void submit(ephpm_job_t *to)
{
    runt_order_t order = small_order(++orders);
    memset(to, 0, sizeof(*to));
    ck_assert_int_eq(ephpm_job_claim(jobs, to), EPHPM_CLAIMED);
    runt_submit(to, &order);
}

/* A job that runner 0 is at. */
void begin(void)
{
    submit(&job);
    ck_assert(ephpm_task_take(runner[0], &task, 0));
    ck_assert_uint_eq(task.slot, job.slot);
}

runt_heard_t heard;

ephpm_read_t read_job(void)
{
    runt_order_t order = small_order(orders);
    runt_expect(&heard, &order);
    return ephpm_job_read(&job, runt_hear, &heard);
}

unsigned in_use(void)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < jobs->slots; i++) {
        count += jobs->words[i] != 0;
    }
    return count;
}

ephpm_job_end_t its_end(void)
{
    return (ephpm_job_end_t){
        .memory_bytes = orders,
        .cpu_us = orders * 1000,
        .exit_status = (int32_t)orders % 256,
        .user = "somebody",
    };
}

uint64_t counted(ephpm_count_t count)
{
    ephpm_jobs_stats_t stats;
    ephpm_jobs_stats(jobs, &stats);
    return stats.counts[count];
}

void set_up_empty(void)
{
    open_table(QUEUE, false);
}

void set_up_no_queue(void)
{
    open_table(0, false);
}

void with_tests(Suite *suite, const char *name, void (*before)(void),
                const TTest *const *tests, size_t count)
{
    TCase *tcase = kvt_case(suite, name);

    if (before != NULL) {
        tcase_add_checked_fixture(tcase, before, tear_down);
    }
    for (size_t i = 0; i < count; i++) {
        tcase_add_test(tcase, tests[i]);
    }
}
