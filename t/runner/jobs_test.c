/* jobs_test.c - the job table: its making, places, claims and the order of
 * jobs.
 */

#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

/* ------------------------------------------------------------------ */
/* Making                                                              */

START_TEST(a_table_is_made_within_its_limits_only)
{
    static const ephpm_jobs_config_t wrong[] = {
        { .runners = 0, .queue = 1, .submitters = 1 },
        { .runners = EPHPM_RUNNERS_MAX + 1, .queue = 1, .submitters = 1 },
        { .runners = 1, .queue = EPHPM_QUEUE_MAX + 1, .submitters = 1 },
        { .runners = 1, .queue = 1, .submitters = 0 },
        { .runners = 1, .queue = 1, .submitters = EPHPM_SUBMITTERS_MAX + 1 },
    };
    for (size_t i = 0; i < 5; i++) {
        errno = 0;
        ck_assert_ptr_eq(ephpm_jobs_make(&wrong[i]), NULL);
        ck_assert_int_eq(errno, EINVAL);
    }
    ephpm_jobs_config_t most = {
        .runners = EPHPM_RUNNERS_MAX,
        .queue = EPHPM_QUEUE_MAX,
        .submitters = EPHPM_SUBMITTERS_MAX,
    };
    ephpm_jobs_t *large = ephpm_jobs_make(&most);
    ck_assert_ptr_ne(large, NULL);
    ck_assert_ptr_eq(ephpm_jobs_check(large), NULL);
    ck_assert_uint_eq(ephpm_jobs_config(large)->queue, EPHPM_QUEUE_MAX);
    ck_assert_int_eq(ephpm_submitter_attach(large, EPHPM_SUBMITTERS_MAX - 1),
                     EPHPM_SUBMITTERS_MAX - 1);
    ephpm_submitter_detach(large);
    ephpm_jobs_free(large);
    ephpm_jobs_free(NULL);
}
END_TEST

START_TEST(a_jobs_request_and_a_ring_are_apart_from_all_others)
{
    jobs = make(QUEUE, false);
    ck_assert_uint_eq(jobs->slots, 3 * RUNNERS + QUEUE);
    const void *ends[] = {
        jobs->head + 1, &jobs->lives[1 + RUNNERS + SUBMITTERS],
        &jobs->calls[SUBMITTERS], &jobs->bells[RUNNERS],
        &jobs->words[jobs->slots], &jobs->slot[jobs->slots],
        &jobs->ring[jobs->rings],
    };
    const void *begins[] = {
        jobs->lives, jobs->calls, jobs->bells, jobs->words, jobs->slot,
        jobs->ring, (const char *)jobs->head + jobs->bytes,
    };
    for (size_t i = 0; i < 7; i++) {
        ck_assert((uintptr_t)ends[i] <= (uintptr_t)begins[i]);
        ck_assert_uint_eq((uintptr_t)begins[i] % LINE_BYTES, 0);
    }
    ephpm_jobs_free(jobs);
}
END_TEST

START_TEST(without_events_there_is_no_descriptor)
{
    ck_assert_int_eq(ephpm_submitter_fd(jobs), -1);
    ephpm_submitter_awake(jobs);
}
END_TEST

START_TEST(descriptors_close_at_exec_and_do_not_block)
{
    int fd = ephpm_submitter_fd(jobs);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(ephpm_submitter_fd(runner[0]), -1);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Places                                                              */

START_TEST(a_submitters_place_is_one_processs)
{
    ephpm_jobs_t *other = ephpm_jobs_view(jobs);
    ephpm_jobs_t *third = ephpm_jobs_view(jobs);
    ephpm_jobs_t *fourth = ephpm_jobs_view(jobs);
    ck_assert_int_eq(ephpm_submitter_attach(jobs, 1), -1);
    ck_assert_int_eq(ephpm_submitter_attach(other, 0), -1);
    ck_assert_int_eq(ephpm_submitter_attach(other, SUBMITTERS), -1);
    ck_assert_int_eq(ephpm_submitter_attach(other, 2), 2);
    ck_assert_int_eq(ephpm_submitter_attach(third, -1), 1);
    ck_assert_int_eq(ephpm_submitter_attach(fourth, -1), -1);
    ck_assert_uint_eq(ephpm_submitters_living(spawner), 3);
    ephpm_submitter_detach(other);
    ck_assert_uint_eq(ephpm_submitters_living(spawner), 2);
    ck_assert_int_eq(ephpm_submitter_attach(fourth, -1), 2);
    ephpm_submitter_detach(third);
    ephpm_submitter_detach(third);
    ephpm_submitter_detach(fourth);
    ephpm_jobs_view_free(other);
    ephpm_jobs_view_free(third);
    ephpm_jobs_view_free(fourth);
}
END_TEST

START_TEST(a_runners_and_the_spawners_place_are_one_processs)
{
    ephpm_jobs_t *other = ephpm_jobs_view(jobs);
    ck_assert(!ephpm_runner_attach(other, 0));
    ck_assert(!ephpm_runner_attach(other, RUNNERS));
    ck_assert(!ephpm_runner_attach(runner[0], 1));
    ck_assert(!ephpm_spawner_attach(other));
    ck_assert(ephpm_spawner_lives(jobs));
    ck_assert(ephpm_runner_lives(jobs, 0));
    ck_assert(!ephpm_runner_lives(jobs, RUNNERS));
    ck_assert_int_eq(ephpm_runner_pid(jobs, 0), getpid());
    ck_assert_int_eq(ephpm_runner_pid(jobs, RUNNERS), 0);
    ephpm_runner_detach(runner[0]);
    ck_assert(!ephpm_runner_lives(jobs, 0));
    ck_assert(ephpm_runner_attach(other, 0));
    ephpm_runner_detach(other);
    ephpm_runner_detach(other);
    ephpm_jobs_view_free(other);
}
END_TEST

START_TEST(a_forked_child_has_none_of_its_parents_places)
{
    begin();
    pid_t pid = kvt_fork();
    if (pid == 0) {
        ephpm_submitter_detach(jobs);
        ephpm_runner_detach(runner[0]);
        kvt_child_check(ephpm_submitter_attach(jobs, 0) == -1);
        kvt_child_check(!ephpm_runner_attach(runner[0], 0));
        kvt_child_check(!ephpm_spawner_attach(spawner));
        kvt_child_check(ephpm_submitter_attach(jobs, -1) == 1);
        kvt_child_check(ephpm_job_claim(jobs, &job) == EPHPM_CLAIMED);
        kvt_child_end(true);
    }
    ck_assert_int_eq(kvt_wait(pid), 0);
    ck_assert_uint_eq(in_use(), 2);
    ck_assert_uint_eq(ephpm_submitters_living(spawner), 1);
    ck_assert_uint_eq(in_use(), 1);
    ck_assert_int_eq(ephpm_job_state(&job), EPHPM_JOB_RUNNING);
    ck_assert(runt_serve(&task));
    ck_assert_int_eq(read_job(), EPHPM_READ_END);
    ephpm_job_release(&job);
}
END_TEST

/* ------------------------------------------------------------------ */
/* May a job come in?                                                  */

START_TEST(without_a_place_there_are_no_claims)
{
    ck_assert_int_eq(ephpm_job_claim(runner[0], &job), EPHPM_CLAIM_DOWN);
    ephpm_job_release(&job);
}
END_TEST

START_TEST(before_anybody_has_come_it_is_starting)
{
    jobs = make(QUEUE, false);
    ck_assert_int_eq(ephpm_submitter_attach(jobs, 0), 0);
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_STARTING);
    /* That nobody lives was true a moment ago. */
    spawner = ephpm_jobs_view(jobs);
    ck_assert(ephpm_spawner_attach(spawner));
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_STARTING);
    ck_assert_uint_eq(in_use(), 0);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REFUSED), 0);
    ephpm_submitter_detach(jobs);
}
END_TEST

START_TEST(php_that_does_not_start_is_down_unless_runners_live)
{
    ephpm_pulse_set(spawner, EPHPM_PULSE_FAILED);
    ck_assert_int_eq(ephpm_pulse_get(jobs), EPHPM_PULSE_FAILED);
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_DOWN);
    ck_assert(ephpm_runner_attach(runner[1], 1));
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIMED);
    ephpm_job_release(&job);
    ephpm_runner_detach(runner[1]);
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_DOWN);
}
END_TEST

START_TEST(while_all_runners_are_being_replaced_jobs_wait)
{
    ephpm_job_t waits[QUEUE];
    ephpm_pulse_set(spawner, EPHPM_PULSE_READY);
    for (unsigned i = 0; i < QUEUE; i++) {
        submit(&waits[i]);
    }
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_FULL);
    for (unsigned i = 0; i < QUEUE; i++) {
        ephpm_job_release(&waits[i]);
    }
}
END_TEST

static void *spawn_and_die(void *view)
{
    return ephpm_spawner_attach(view) ? view : NULL;
}

START_TEST(nobody_at_all_is_down_until_somebody_comes)
{
    pthread_t thread;
    void *attached;
    jobs = make(QUEUE, false);
    ck_assert_int_eq(ephpm_submitter_attach(jobs, 0), 0);
    spawner = ephpm_jobs_view(jobs);
    pthread_create(&thread, NULL, spawn_and_die, spawner);
    pthread_join(thread, &attached);
    ck_assert_ptr_ne(attached, NULL);
    ck_assert(!ephpm_spawner_lives(jobs));
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_DOWN);
    ephpm_pulse_set(spawner, EPHPM_PULSE_READY);
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_DOWN);
    runner[0] = ephpm_jobs_view(jobs);
    ck_assert(ephpm_runner_attach(runner[0], 0));
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIMED);
    ephpm_job_release(&job);
    ephpm_runner_detach(runner[0]);
    ephpm_submitter_detach(jobs);
}
END_TEST

START_TEST(as_many_wait_as_the_queue_holds_and_no_more)
{
    ephpm_job_t runs[RUNNERS];
    ephpm_job_t waits[QUEUE];
    ephpm_task_t at[RUNNERS];
    /* Idle runners: one job for each, beside the queue. */
    for (unsigned i = 0; i < RUNNERS; i++) {
        submit(&runs[i]);
    }
    for (unsigned i = 0; i < QUEUE; i++) {
        submit(&waits[i]);
    }
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_FULL);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REFUSED), 1);
    /* They take them, and no place has become free. */
    for (unsigned i = 0; i < RUNNERS; i++) {
        ck_assert(ephpm_task_take(runner[i], &at[i], 0));
    }
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_FULL);
    ck_assert_uint_eq(counted(EPHPM_COUNT_REFUSED), 2);
    /* One ends: there is one place, though nobody has read the answer. */
    ck_assert(runt_serve(&at[0]));
    submit(&job);
    ephpm_job_t more = { 0 };
    ck_assert_int_eq(ephpm_job_claim(jobs, &more), EPHPM_CLAIM_FULL);
    ephpm_jobs_stats_t stats;
    ephpm_jobs_stats(jobs, &stats);
    ck_assert_uint_eq(stats.queued, QUEUE + 1);
    ck_assert_uint_eq(stats.busy, 1);
    ck_assert_uint_eq(stats.alive, RUNNERS);
    ck_assert_uint_eq(stats.runners, RUNNERS);
    ck_assert_uint_eq(stats.queue_max, QUEUE);
    ck_assert(runt_serve(&at[1]));
    assert_sound();
    ephpm_job_release(&job);
    for (unsigned i = 0; i < RUNNERS; i++) {
        ephpm_job_release(&runs[i]);
    }
    for (unsigned i = 0; i < QUEUE; i++) {
        ephpm_job_release(&waits[i]);
    }
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(no_queue_is_one_job_for_each_idle_runner)
{
    ephpm_job_t two[RUNNERS];
    start_runners(RUNNERS);
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < RUNNERS; i++) {
            submit(&two[i]);
        }
        ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_FULL);
        for (unsigned i = 0; i < RUNNERS; i++) {
            ck_assert(ephpm_task_take(runner[i], &task, 0));
            ck_assert(runt_serve(&task));
        }
        for (unsigned i = 0; i < RUNNERS; i++) {
            ephpm_job_release(&two[i]);
        }
    }
}
END_TEST

/* Its script has ended, and it gives back what the script took. */
START_TEST(a_runner_that_ends_is_one_that_is_idle)
{
    ephpm_job_t second;
    start_runners(1);
    begin();
    ephpm_job_end_t end = its_end();
    ephpm_job_t refused = { 0 };
    ck_assert_int_eq(ephpm_job_claim(jobs, &refused), EPHPM_CLAIM_FULL);
    ephpm_task_complete(&task, &end);
    ck_assert_int_eq(read_job(), EPHPM_READ_END);
    ephpm_job_release(&job);
    submit(&second);
    ck_assert_int_eq(ephpm_job_claim(jobs, &refused), EPHPM_CLAIM_FULL);
    assert_sound();
    ephpm_task_finish(&task, &end);
    ck_assert(ephpm_task_take(runner[0], &task, 0));
    ck_assert(runt_serve(&task));
    ephpm_job_release(&second);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

/* However slowly its last answer but one is read. */
START_TEST(a_job_is_read_another_ends_and_the_next_waits)
{
    ephpm_job_t unread, second;
    start_runners(1);
    submit(&unread);
    ck_assert(ephpm_task_take(runner[0], &task, 0));
    ck_assert(runt_serve(&task));
    begin();
    ephpm_task_complete(&task, NULL);
    ephpm_job_release(&job);
    ck_assert_uint_eq(in_use(), 2);
    submit(&second);
    assert_sound();
    ephpm_task_finish(&task, NULL);
    ephpm_job_release(&unread);
    ck_assert(ephpm_task_take(runner[0], &task, 0));
    ck_assert(runt_serve(&task));
    ephpm_job_release(&second);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

/* An answer that has been read to its end has a runner that is free. */
START_TEST(who_reads_the_end_finds_the_runner_free)
{
    start_runners(1);
    begin();
    ephpm_job_end_t end = its_end();
    ck_assert(ephpm_ring_end(&task, &end));
    /* END is in the ring, and the job still runs. */
    ck_assert_int_eq(read_job(), EPHPM_READ_MORE);
    ck_assert(!heard.ended);
    ephpm_job_t second = { 0 };
    ck_assert_int_eq(ephpm_job_claim(jobs, &second), EPHPM_CLAIM_FULL);
    /* The runner is dead before it says so: the answer is complete. */
    ck_assert(ephpm_runner_bury(spawner, 0, SIGSEGV, NULL));
    ck_assert_int_eq(read_job(), EPHPM_READ_END);
    ck_assert(heard.ended);
    ck_assert_int_eq(ephpm_job_read(&job, runt_hear, &heard),
                     EPHPM_READ_END);
    ephpm_job_release(&job);
}
END_TEST

typedef struct rush {
    pthread_barrier_t start;
    _Atomic int claimed;
    _Atomic int full;
    _Atomic int other;
} rush_t;

static void *claim_in_a_rush(void *argument)
{
    rush_t *rush = argument;
    ephpm_job_t mine = { 0 };
    pthread_barrier_wait(&rush->start);
    ephpm_claim_t claim = ephpm_job_claim(jobs, &mine);
    atomic_fetch_add(claim == EPHPM_CLAIMED      ? &rush->claimed
                     : claim == EPHPM_CLAIM_FULL ? &rush->full
                                                 : &rush->other, 1);
    pthread_barrier_wait(&rush->start);
    ephpm_job_release(&mine);
    return NULL;
}

/* Exactly: neither one too many, nor one refused for whom there was room. */
START_TEST(a_rush_of_claims_fills_the_queue_exactly)
{
    enum { THREADS = 8, ROUNDS = 400 / RUNT_SLOWER + 20 };
    ephpm_job_t runs[RUNNERS];
    for (unsigned i = 0; i < RUNNERS; i++) {
        ephpm_task_t at;
        submit(&runs[i]);
        ck_assert(ephpm_task_take(runner[i], &at, 0));
    }
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread[THREADS];
        rush_t rush = { 0 };
        pthread_barrier_init(&rush.start, NULL, THREADS);
        for (int i = 0; i < THREADS; i++) {
            kvt_assert(pthread_create(&thread[i], NULL, claim_in_a_rush,
                                      &rush) == 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(thread[i], NULL);
        }
        pthread_barrier_destroy(&rush.start);
        kvt_assert_msg(rush.claimed == QUEUE && rush.full == THREADS - QUEUE,
                       "round %d: %d claimed, %d refused, %d otherwise",
                       round, rush.claimed, rush.full, rush.other);
        assert_sound();
    }
    for (unsigned i = 0; i < RUNNERS; i++) {
        ck_assert(ephpm_runner_bury(spawner, i, 0, NULL));
        ephpm_job_release(&runs[i]);
    }
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

/* Those who come later do not count. */
START_TEST(a_claim_is_refused_for_lower_tickets_only)
{
    ephpm_job_t later[QUEUE + RUNNERS];
    for (unsigned i = 0; i < QUEUE + RUNNERS; i++) {
        submit(&later[i]);
    }
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIM_FULL);
    jobs->head->ticket = word_ticket(later[0].word) - 2;
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIMED);
    ephpm_job_release(&job);
    jobs->head->ticket = word_ticket(later[0].word) + 100;
    for (unsigned i = 0; i < QUEUE + RUNNERS; i++) {
        ephpm_job_release(&later[i]);
    }
}
END_TEST

typedef struct slow_claim {
    word_t *word;
    uint64_t claiming;
    uint32_t ticket;            /* that it draws */
    _Atomic int round;          /* it has taken its slot */
} slow_claim_t;

enum { SLOW_ROUNDS = 20 };

/* Has taken a slot and drawn its ticket, and says so when another has drawn
 * the next one. */
static void *claim_slowly(void *argument)
{
    slow_claim_t *slow = argument;
    for (int round = 1; round <= SLOW_ROUNDS; round++) {
        while (atomic_load(&slow->round) != round ||
               atomic_load(&jobs->head->ticket) == slow->ticket + 1) {
            sched_yield();
        }
        atomic_store(slow->word,
                     word_to(slow->claiming, EPHPM_JOB_FILLING) |
                         (uint64_t)slow->ticket << WORD_TICKET_SHIFT);
    }
    return NULL;
}

/* The other's ticket is the lower one, and his the last place. */
START_TEST(a_claim_waits_for_the_ticket_that_another_is_drawing)
{
    ephpm_job_t waits[QUEUE + RUNNERS];
    pthread_t thread;
    for (unsigned i = 0; i < QUEUE + RUNNERS; i++) {
        submit(&waits[i]);
    }
    slow_claim_t slow = {
        .word = &jobs->words[waits[0].slot],
        .claiming = word_to(waits[0].word, STATE_CLAIMING) & UINT32_MAX,
        .ticket = word_ticket(waits[QUEUE + RUNNERS - 1].word) + 1,
    };
    jobs->ticket_spins = UINT32_MAX;
    ck_assert_int_eq(pthread_create(&thread, NULL, claim_slowly, &slow), 0);
    for (int round = 1; round <= SLOW_ROUNDS; round++) {
        jobs->head->ticket = slow.ticket + 1;
        atomic_store(slow.word, slow.claiming);
        atomic_store(&slow.round, round);
        kvt_assert(ephpm_job_claim(jobs, &job) == EPHPM_CLAIM_FULL);
    }
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < QUEUE + RUNNERS; i++) {
        ephpm_job_release(&waits[i]);
    }
    jobs->words[waits[0].slot] = 0;
}
END_TEST

/* But not for ever. */
START_TEST(a_claim_does_not_wait_for_one_who_died_while_drawing)
{
    jobs->words[3] = UINT64_C(1) << WORD_SUBMITTER_SHIFT | WORD_S |
                     STATE_CLAIMING;
    ck_assert_int_eq(ephpm_job_claim(jobs, &job), EPHPM_CLAIMED);
    ephpm_job_release(&job);
    assert_sound();
    ephpm_jobs_abandon(spawner, 1);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

/* ------------------------------------------------------------------ */
/* The order of jobs                                                   */

static void tickets_from(uint32_t first)
{
    enum { ALL = QUEUE + RUNNERS };
    ephpm_job_t waits[ALL];
    jobs->head->ticket = first;
    for (uint32_t i = 0; i < 40; i++) {
        /* The slots are others in each round: a claim begins with the one
         * that was free last. */
        for (unsigned j = 0; j < ALL; j++) {
            submit(&waits[j]);
        }
        uint64_t serial = orders - ALL;
        for (unsigned j = 0; j < ALL; j++) {
            runt_order_t order = small_order(++serial);
            runt_expect(&heard, &order);
            kvt_assert(ephpm_task_take(runner[j % RUNNERS], &task, 0));
            kvt_assert(task.slot == waits[j].slot);
            kvt_assert(word_ticket(task.word) == first + i * ALL + j);
            kvt_assert(runt_serve(&task));
            kvt_assert(ephpm_job_read(&waits[j], runt_hear, &heard) ==
                       EPHPM_READ_END);
            kvt_assert(runt_judge(&heard) == NULL);
            ephpm_job_release(&waits[j]);
            assert_sound();
        }
    }
}

START_TEST(jobs_are_taken_in_the_order_of_their_claims)
{
    tickets_from(0);
}
END_TEST

START_TEST(tickets_wrap)
{
    tickets_from(UINT32_MAX - 90);
}
END_TEST

START_TEST(submitting_later_than_another_does_not_lose_the_turn)
{
    ephpm_job_t first = { 0 };
    ephpm_job_t second = { 0 };
    runt_order_t order = small_order(1);
    ck_assert_int_eq(ephpm_job_claim(jobs, &first), EPHPM_CLAIMED);
    ck_assert_int_eq(ephpm_job_claim(jobs, &second), EPHPM_CLAIMED);
    runt_submit(&second, &order);
    runt_submit(&first, &order);
    ck_assert(ephpm_task_take(runner[0], &task, 0));
    ck_assert_uint_eq(task.slot, first.slot);
    ck_assert(runt_serve(&task));
    ephpm_job_release(&first);
    ephpm_job_release(&second);
}
END_TEST

/* ------------------------------------------------------------------ */

int main(void)
{
    Suite *suite = suite_create("jobs");

    WITH(suite, "by itself", NULL, a_table_is_made_within_its_limits_only,
         a_jobs_request_and_a_ring_are_apart_from_all_others,
         before_anybody_has_come_it_is_starting,
         nobody_at_all_is_down_until_somebody_comes);
    WITH(suite, "no runners", set_up_empty,
         php_that_does_not_start_is_down_unless_runners_live,
         while_all_runners_are_being_replaced_jobs_wait);
    WITH(suite, "no queue", set_up_no_queue,
         no_queue_is_one_job_for_each_idle_runner,
         a_runner_that_ends_is_one_that_is_idle,
         a_job_is_read_another_ends_and_the_next_waits,
         who_reads_the_end_finds_the_runner_free);
    WITH(suite, "events", set_up_events,
         descriptors_close_at_exec_and_do_not_block);
    WITH(suite, "places and claims", set_up,
         without_events_there_is_no_descriptor,
         a_submitters_place_is_one_processs,
         a_runners_and_the_spawners_place_are_one_processs,
         a_forked_child_has_none_of_its_parents_places,
         without_a_place_there_are_no_claims,
         as_many_wait_as_the_queue_holds_and_no_more,
         a_rush_of_claims_fills_the_queue_exactly,
         a_claim_is_refused_for_lower_tickets_only,
         a_claim_waits_for_the_ticket_that_another_is_drawing,
         a_claim_does_not_wait_for_one_who_died_while_drawing,
         jobs_are_taken_in_the_order_of_their_claims, tickets_wrap,
         submitting_later_than_another_does_not_lose_the_turn);
    return kvt_run(suite);
}
