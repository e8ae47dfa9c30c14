/* wake_test.c - who is woken, and when; figures, facts and the names of
 * files.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* SCHED_BATCH, gettid */
#endif

#include "table.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

/* ------------------------------------------------------------------ */
/* Waking up                                                           */

typedef struct sleeper {
    ephpm_jobs_t *view;
    unsigned index;
    ephpm_task_t task;
    _Atomic int took;
    _Atomic int stop;
    bool gives_way;
    _Atomic int thread;         /* its number */
    _Atomic int insists;        /* after its last job */
} sleeper_t;

static void *sleep_for_a_job(void *argument)
{
    sleeper_t *sleeper = argument;
    kvt_assert(ephpm_runner_attach(sleeper->view, sleeper->index));
    while (atomic_load(&sleeper->took) == 0 &&
           atomic_load(&sleeper->stop) == 0) {
        if (ephpm_task_take(sleeper->view, &sleeper->task, 100)) {
            runt_serve(&sleeper->task);
            atomic_store(&sleeper->took, 1);
        }
    }
    ephpm_runner_detach(sleeper->view);
    return NULL;
}

static void wait_for_bell(unsigned index, uint32_t state)
{
    for (int i = 0; atomic_load(&jobs->bells[index]) != state; i++) {
        kvt_assert(i < 60000);
        kvt_sleep_ms(1);
    }
}

START_TEST(the_sleeping_runner_with_the_lowest_number_is_woken_alone)
{
    sleeper_t sleeper[RUNNERS];
    pthread_t thread[RUNNERS];
    ephpm_pulse_set(spawner, EPHPM_PULSE_READY);
    for (unsigned i = 0; i < RUNNERS; i++) {
        sleeper[i] = (sleeper_t){ .view = runner[i], .index = i };
        ck_assert_int_eq(pthread_create(&thread[i], NULL, sleep_for_a_job,
                                        &sleeper[i]), 0);
    }
    for (unsigned i = 0; i < RUNNERS; i++) {
        /* Both may look again at any time: tried until both slept. */
        bool both_slept = false;
        for (int tries = 0; !both_slept && tries < 200; tries++) {
            wait_for_bell(0, BELL_ASLEEP);
            wait_for_bell(1, BELL_ASLEEP);
            ephpm_jobs_ring_one(jobs);
            both_slept = atomic_load(&jobs->bells[1]) == BELL_ASLEEP;
        }
        ck_assert(both_slept);
    }
    submit(&job);
    runt_order_t order = small_order(orders);
    runt_expect(&heard, &order);
    ck_assert_int_eq(runt_listen(&job, &heard), EPHPM_READ_END);
    ck_assert_ptr_eq(runt_judge(&heard), NULL);
    ephpm_job_release(&job);
    for (unsigned i = 0; i < RUNNERS; i++) {
        atomic_store(&sleeper[i].stop, 1);
        pthread_join(thread[i], NULL);
    }
    ck_assert_int_eq(sleeper[0].took + sleeper[1].took, 1);
}
END_TEST

/* A runner that is woken and leaves passes it on. */
START_TEST(a_bell_that_rang_for_one_who_leaves_rings_for_another)
{
    submit(&job);
    atomic_store(&jobs->bells[1], BELL_ASLEEP);
    ephpm_runner_detach(runner[0]);
    ck_assert_uint_eq(jobs->bells[0], BELL_NOBODY);
    ck_assert_uint_eq(jobs->bells[1], BELL_AWAKE);
    /* So it is where he dies. */
    atomic_store(&jobs->bells[1], BELL_ASLEEP);
    atomic_store(&jobs->bells[0], BELL_AWAKE);
    ck_assert(!ephpm_runner_bury(spawner, 0, SIGKILL, NULL));
    ck_assert_uint_eq(jobs->bells[1], BELL_AWAKE);
    ephpm_job_release(&job);
}
END_TEST

START_TEST(who_looks_out_is_rung_for_before_who_sleeps)
{
    ephpm_job_t other = { 0 };
    atomic_store(&jobs->bells[0], BELL_ASLEEP);
    atomic_store(&jobs->bells[1], BELL_LOOKING);
    submit(&job);
    ck_assert_uint_eq(jobs->bells[0], BELL_ASLEEP);
    ck_assert_uint_eq(jobs->bells[1], BELL_AWAKE);
    submit(&other);
    ck_assert_uint_eq(jobs->bells[0], BELL_AWAKE);
    ephpm_job_release(&other);
    ephpm_job_release(&job);
}
END_TEST

/* Long enough on any machine. */
#define A_MINUTE_US 60000000

static void *sleep_for_jobs(void *argument)
{
    sleeper_t *sleeper = argument;
    kvt_assert(ephpm_runner_attach(sleeper->view, sleeper->index));
    if (sleeper->gives_way) {
        ephpm_runner_gives_way(sleeper->view);
    }
    atomic_store(&sleeper->thread, gettid());
    while (atomic_load(&sleeper->stop) == 0) {
        if (ephpm_task_take(sleeper->view, &sleeper->task, 100)) {
            kvt_assert(sched_getscheduler(0) == sched_getscheduler(getpid()));
            atomic_store(&sleeper->insists, (int)sleeper->view->insists);
            runt_serve(&sleeper->task);
        }
    }
    ephpm_runner_detach(sleeper->view);
    return NULL;
}

/* The first runner, whose jobs are short below `short_us` and come soon within
 * `look_us`. */
static pthread_t start_sleeper(sleeper_t *sleeper, uint64_t short_us,
                               uint64_t look_us)
{
    pthread_t thread;
    *sleeper = (sleeper_t){ .view = runner[0],
                            .gives_way = sleeper->gives_way };
    ephpm_pulse_set(spawner, EPHPM_PULSE_READY);
    runner[0]->look_us = look_us;
    runner[0]->short_us = short_us;
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_for_jobs, sleeper), 0);
    return thread;
}

static void exchange(void)
{
    submit(&job);
    runt_order_t order = small_order(orders);
    runt_expect(&heard, &order);
    ck_assert_int_eq(runt_listen(&job, &heard), EPHPM_READ_END);
    ck_assert_ptr_eq(runt_judge(&heard), NULL);
    ephpm_job_release(&job);
}

START_TEST(who_had_a_short_job_looks_out_for_the_next)
{
    sleeper_t sleeper = { .gives_way = false };
    pthread_t thread = start_sleeper(&sleeper, A_MINUTE_US, A_MINUTE_US);
    wait_for_bell(0, BELL_ASLEEP);
    for (int i = 0; i < 3; i++) {
        exchange();
        wait_for_bell(0, BELL_LOOKING);
    }
    atomic_store(&sleeper.stop, 1);
    exchange();
    pthread_join(thread, NULL);
    ck_assert_uint_eq(jobs->bells[0], BELL_NOBODY);
}
END_TEST

START_TEST(who_had_a_long_job_sleeps_at_once)
{
    sleeper_t sleeper = { .gives_way = false };
    pthread_t thread = start_sleeper(&sleeper, 0, A_MINUTE_US);
    for (int i = 0; i < 100; i++) {
        exchange();
        while (atomic_load(&jobs->bells[0]) != BELL_ASLEEP) {
            kvt_assert(jobs->bells[0] != BELL_LOOKING);
        }
    }
    atomic_store(&sleeper.stop, 1);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(what_was_waited_for_long_did_not_come_soon)
{
    ck_assert(ephpm_runner_attach(runner[0], 0));
    runner[0]->soon = true;
    runner[0]->look_us = 0;
    ck_assert(!ephpm_task_take(runner[0], &task, 1));
    ck_assert(!runner[0]->soon);
    runner[0]->look_us = A_MINUTE_US;
    ck_assert(!ephpm_task_take(runner[0], &task, 1));
    ck_assert(runner[0]->soon);
    ephpm_runner_detach(runner[0]);
}
END_TEST

/* Where this test has a policy of its own there is nothing to see. */
static bool wait_for_policy(const sleeper_t *sleeper, int policy)
{
    wait_for_bell(0, BELL_ASLEEP);
    for (int i = 0; i < 100; i++) {
        if (sched_getscheduler(atomic_load(&sleeper->thread)) == policy) {
            return true;
        }
        kvt_sleep_ms(1);
    }
    return false;
}

START_TEST(who_gives_way_does_so_asleep_and_never_at_a_job)
{
    sleeper_t sleeper = { .gives_way = true };
    pthread_t thread = start_sleeper(&sleeper, 0, 0);
    bool usual = sched_getscheduler(0) == SCHED_OTHER;
    ck_assert(!usual || wait_for_policy(&sleeper, SCHED_BATCH));
    for (int i = 0; i < 20; i++) {
        exchange();
    }
    atomic_store(&sleeper.stop, 1);
    pthread_join(thread, NULL);
}
END_TEST

/* A job for a sleeper that nobody wakes. */
static void exchange_late(void)
{
    uint32_t asleep = BELL_ASLEEP;
    wait_for_bell(0, BELL_ASLEEP);
    atomic_compare_exchange_strong(&jobs->bells[0], &asleep, BELL_AWAKE);
    exchange();
}

START_TEST(who_was_woken_late_insists_for_some_time)
{
    sleeper_t sleeper = { .gives_way = true };
    pthread_t thread = start_sleeper(&sleeper, 0, 0);
    bool usual = sched_getscheduler(0) == SCHED_OTHER;
    for (int i = 0; i < 200 && atomic_load(&sleeper.insists) == 0; i++) {
        exchange_late();
        exchange();
    }
    ck_assert(!usual || atomic_load(&sleeper.insists) > 0);
    ck_assert(wait_for_policy(&sleeper, sched_getscheduler(0)));
    for (int i = 0; i < 2000 && atomic_load(&sleeper.insists) > 0; i++) {
        wait_for_bell(0, BELL_ASLEEP);
        exchange();
    }
    ck_assert_int_eq(atomic_load(&sleeper.insists), 0);
    atomic_store(&sleeper.stop, 1);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_free_ring_wakes_who_waits_for_it)
{
    begin();
    ck_assert(runt_serve(&task));
    atomic_store(&jobs->bells[0], BELL_NO_RING);
    ephpm_job_release(&job);
    ck_assert_uint_eq(jobs->bells[0], BELL_AWAKE);
}
END_TEST

static bool readable(void)
{
    struct pollfd event = { .fd = ephpm_submitter_fd(jobs),
                            .events = POLLIN };
    return poll(&event, 1, 0) == 1;
}

static uint64_t raised(void)
{
    uint64_t sum = 0;
    ssize_t bytes = read(ephpm_submitter_fd(jobs), &sum, sizeof(sum));
    return bytes == sizeof(sum) ? sum : 0;
}

START_TEST(an_event_is_raised_once_until_it_is_heard)
{
    ephpm_submitter_awake(jobs);
    ck_assert(!readable());
    begin();
    ck_assert(!readable());
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_BODY, "x", 1));
    ck_assert(!readable()); /* little is kept back */
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_FLUSH, NULL, 0));
    ck_assert(readable());
    ck_assert(ephpm_job_news(&job));
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_FLUSH, NULL, 0));
    ck_assert_uint_eq(raised(), 1);
    ck_assert(!readable());
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_FLUSH, NULL, 0));
    ck_assert(!readable()); /* said already, and not heard */
    ephpm_submitter_awake(jobs);
    ck_assert_int_eq(ephpm_job_read(&job, runt_hear, &heard),
                     EPHPM_READ_MORE);
    ck_assert(!ephpm_job_news(&job));
    ephpm_task_finish(&task, NULL);
    ck_assert(readable());
    ck_assert(ephpm_job_news(&job));
    ephpm_submitter_awake(jobs);
    ck_assert(!readable());
    ephpm_job_release(&job);
}
END_TEST

START_TEST(deaths_and_the_pulse_are_told_although_others_seem_to_have)
{
    begin();
    ephpm_submitter_awake(jobs);
    /* Its teller has died in between. */
    atomic_store(&jobs->calls[0].pending, 1);
    ck_assert(ephpm_runner_bury(spawner, 0, SIGKILL, NULL));
    ck_assert(readable());
    ephpm_submitter_awake(jobs);
    ck_assert(!readable());
    atomic_store(&jobs->calls[0].pending, 1);
    ephpm_pulse_set(spawner, EPHPM_PULSE_READY);
    ck_assert(readable());
    ephpm_job_release(&job);
}
END_TEST

typedef struct waiter {
    ephpm_job_t *job;
    _Atomic int waits;
} waiter_t;

static void *wait_for_news(void *argument)
{
    waiter_t *waiter = argument;
    while (!ephpm_job_news(waiter->job)) {
        ephpm_job_wait(waiter->job, 1000000);
        atomic_fetch_add(&waiter->waits, 1);
    }
    return NULL;
}

static void wait_until_it_waits(void)
{
    for (int i = 0; atomic_load(&jobs->slot[job.slot].waiting) == 0; i++) {
        kvt_assert(i < 60000);
        kvt_sleep_ms(1);
    }
}

START_TEST(a_waiting_thread_is_woken_by_news_and_by_a_nudge)
{
    for (int how = 0; how < 3; how++) {
        pthread_t thread;
        waiter_t waiter = { .job = &job };
        begin();
        ck_assert_int_eq(ephpm_job_read(&job, runt_hear, &heard),
                         EPHPM_READ_MORE);
        ck_assert_int_eq(
            pthread_create(&thread, NULL, wait_for_news, &waiter), 0);
        wait_until_it_waits();
        if (how == 0) {
            ephpm_job_nudge(&job);
        } else if (how == 1) {
            ck_assert(ephpm_task_write(&task, EPHPM_FRAME_FLUSH, NULL, 0));
        } else {
            ck_assert(ephpm_runner_bury(spawner, 0, SIGKILL, NULL));
            ephpm_runner_detach(runner[0]);
            ck_assert(ephpm_runner_attach(runner[0], 0));
        }
        pthread_join(thread, NULL);
        if (how < 2) {
            ephpm_task_finish(&task, NULL);
        }
        ephpm_job_release(&job);
    }
}
END_TEST

START_TEST(a_wait_ends_by_itself)
{
    begin();
    uint64_t from_us = ephpm_jobs_clock_us();
    ephpm_job_wait(&job, 20);
    ck_assert_uint_ge(ephpm_jobs_clock_us() - from_us, 19000);
    ephpm_job_wait(&job, 0);
    ephpm_job_wait(&job, -1);
    ck_assert_uint_eq(jobs->slot[job.slot].waiting, 0);
    ephpm_task_finish(&task, NULL);
    ephpm_job_release(&job);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Figures and facts                                                   */

START_TEST(counters_add_up)
{
    ephpm_count_add(jobs, EPHPM_COUNT_SLOW, 2);
    ephpm_count_add(spawner, EPHPM_COUNT_SLOW, 3);
    ephpm_count_add(spawner, EPHPM_COUNTS, 3);
    ck_assert_uint_eq(counted(EPHPM_COUNT_SLOW), 5);
    ck_assert_uint_eq(counted(EPHPM_COUNT_RECYCLED), 0);
}
END_TEST

START_TEST(facts_come_back_whole_or_not_at_all)
{
    static char facts[EPHPM_FACTS_BYTES];
    static char got[EPHPM_FACTS_BYTES];
    size_t bytes = 77;
    ck_assert(!ephpm_facts_get(jobs, got, sizeof(got), &bytes));
    ephpm_facts_put(jobs, "a submitter", 11); /* has no say in it */
    ck_assert(!ephpm_facts_get(jobs, got, sizeof(got), &bytes));
    runt_fill(facts, sizeof(facts), 5, 0);
    ephpm_facts_put(runner[0], facts, sizeof(facts));
    ck_assert(ephpm_facts_get(jobs, got, sizeof(got), &bytes));
    ck_assert_uint_eq(bytes, sizeof(facts));
    ck_assert_mem_eq(got, facts, sizeof(facts));
    ck_assert(!ephpm_facts_get(jobs, got, sizeof(got) - 1, &bytes));
    ephpm_facts_put(runner[0], facts, sizeof(facts) + 1);
    ephpm_facts_put(spawner, "short", 5);
    ck_assert(ephpm_facts_get(jobs, got, 5, &bytes));
    ck_assert_uint_eq(bytes, 5);
    ck_assert_mem_eq(got, "short", 5);
}
END_TEST

START_TEST(who_died_while_writing_facts_is_followed)
{
    char got[16];
    size_t bytes;
    ephpm_facts_put(runner[1], "old", 3);
    /* Runner 0 has begun, and is alive: nobody else writes, nobody reads. */
    jobs->head->facts_writer = UINT64_C(2) << 48 |
                               runner[0]->runner_incarnation;
    jobs->head->facts_sequence++;
    ephpm_facts_put(runner[1], "new", 3);
    ck_assert(!ephpm_facts_get(jobs, got, sizeof(got), &bytes));
    /* He has been dead for an incarnation. */
    jobs->head->facts_writer--;
    ephpm_facts_put(runner[1], "new", 3);
    ck_assert(ephpm_facts_get(jobs, got, sizeof(got), &bytes));
    ck_assert_mem_eq(got, "new", 3);
    /* Nonsense is nobody. */
    jobs->head->facts_writer = UINT64_MAX;
    ephpm_facts_put(runner[1], "newer", 5);
    ck_assert(ephpm_facts_get(jobs, got, sizeof(got), &bytes));
    ck_assert_uint_eq(bytes, 5);
    jobs->head->facts_bytes = EPHPM_FACTS_BYTES + 1;
    ck_assert(!ephpm_facts_get(jobs, got, sizeof(got), &bytes));
}
END_TEST

/* ------------------------------------------------------------------ */
/* Names of files                                                      */

START_TEST(a_jobs_file_is_known_by_its_name)
{
    char name[EPHPM_FILE_NAME_BYTES];
    char next[EPHPM_FILE_NAME_BYTES];
    jobs->head->ticket = UINT32_MAX;
    submit(&job);
    ephpm_job_file_name(&job, "request", name);
    ck_assert_str_eq(name + strlen(name) - 8, "-request");
    ephpm_job_file_name(&job, "body", next);
    ck_assert_str_ne(name, next);
    ck_assert_int_eq(ephpm_file_left(spawner, name), EPHPM_FILE_IN_USE);
    ephpm_job_release(&job);
    submit(&job);
    ephpm_job_file_name(&job, "request", next);
    ck_assert_str_ne(name, next);
    ephpm_job_release(&job);
    ck_assert_int_eq(ephpm_file_left(spawner, name), EPHPM_FILE_IN_USE);
    ephpm_submitter_detach(jobs);
    ck_assert_int_eq(ephpm_file_left(spawner, name), EPHPM_FILE_LEFT);
    ck_assert_int_eq(ephpm_submitter_attach(jobs, 0), 0);
    ck_assert_int_eq(ephpm_file_left(spawner, name), EPHPM_FILE_LEFT);
    ephpm_jobs_t *other = make(1, false);
    ck_assert_int_eq(ephpm_file_left(other, name), EPHPM_FILE_ELSEWHERE);
    ephpm_jobs_free(other);
}
END_TEST

START_TEST(other_names_are_no_files_of_jobs)
{
    static const char *const names[] = {
        "", "ephpm-", "ephpm-1", "ephpm-1-2-3-4", "ephpm-1-2-3-4-",
        "ephpm-1-2-3-4-a1", "ephpm-1-2-3-4-a/../b", "ephpm-1-2-3-4-A",
        "ephpm--2-3-4-a", "ephpm-1-2-3-123456789-a",
        "ephpm-1-1000-3-4-a", "ephpm-1-2-1000000000000-4-a",
        "ephpm-00000000000000001-2-3-4-a", "ephpm-1-2-3-4-a.b",
        "ephpm-1x2-3-4-a", "0000000001", "ephpm-g-2-3-4-a",
        "ephpm-ffffffffffffffffffffffffffffff-2-3-4-a",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        kvt_assert_msg(ephpm_file_left(spawner, names[i]) ==
                           EPHPM_FILE_NO_NAME, "%s", names[i]);
    }
    ck_assert_int_eq(ephpm_file_left(spawner, "ephpm-1-2-3-4-a"),
                     EPHPM_FILE_ELSEWHERE);
    /* And a name cut short anywhere is another, or none. */
    char name[EPHPM_FILE_NAME_BYTES];
    submit(&job);
    ephpm_job_file_name(&job, "body", name);
    ephpm_job_release(&job);
    for (size_t bytes = strlen(name) - 5; bytes > 0; bytes--) {
        name[bytes] = '\0';
        kvt_assert(ephpm_file_left(spawner, name) == EPHPM_FILE_NO_NAME);
    }
}
END_TEST

/* ------------------------------------------------------------------ */

int main(void)
{
    Suite *suite = suite_create("wake");

    WITH(suite, "runners that sleep", set_up_empty,
         the_sleeping_runner_with_the_lowest_number_is_woken_alone,
         who_had_a_short_job_looks_out_for_the_next,
         who_had_a_long_job_sleeps_at_once,
         what_was_waited_for_long_did_not_come_soon,
         who_gives_way_does_so_asleep_and_never_at_a_job,
         who_was_woken_late_insists_for_some_time);
    WITH(suite, "events", set_up_events,
         an_event_is_raised_once_until_it_is_heard,
         deaths_and_the_pulse_are_told_although_others_seem_to_have);
    WITH(suite, "waking up", set_up,
         a_bell_that_rang_for_one_who_leaves_rings_for_another,
         who_looks_out_is_rung_for_before_who_sleeps,
         a_free_ring_wakes_who_waits_for_it,
         a_waiting_thread_is_woken_by_news_and_by_a_nudge,
         a_wait_ends_by_itself);
    WITH(suite, "figures and names", set_up, counters_add_up,
         facts_come_back_whole_or_not_at_all,
         who_died_while_writing_facts_is_followed,
         a_jobs_file_is_known_by_its_name,
         other_names_are_no_files_of_jobs);
    return kvt_run(suite);
}
