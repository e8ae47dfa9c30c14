/* threads_test.c - submitters, runners and a spawner as threads of one
 * process, so that ThreadSanitizer sees all of them.
 *
 * Each thread has a view of the table, as a process has.  The submitters of
 * one table wait for news, those of another for events; one of them is a
 * process with several threads.
 */

#include "kvt.h"
#include "runt.h"

#include <pthread.h>

enum { RUNNERS = 3, SUBMITTERS = 3, QUEUE = 2 };
enum { ORDERS = 3000 / RUNT_SLOWER + 40 };

static ephpm_jobs_t *jobs;
static _Atomic int stop;
static _Atomic int wrong;

typedef struct part {
    pthread_t thread;
    ephpm_jobs_t *view;
    unsigned number;
    unsigned done;
} part_t;

/* Say what, and let everybody end. */
static void complain(const part_t *part, const char *what)
{
    fprintf(stderr, "# %u: %s\n", part->number, what);
    atomic_store(&wrong, 1);
}

static void *run(void *argument)
{
    part_t *part = argument;
    if (!runt_run(part->view, part->number, &stop)) {
        complain(part, "a runner got a request that was not whole");
    }
    return NULL;
}

/* Most jobs to their end; some are withdrawn or let go in the middle. */
static void send_one(part_t *part, ephpm_jobs_t *view, runt_random_t *random,
                     unsigned i)
{
    runt_order_t order =
        runt_order(random, (uint64_t)part->number << 32 | i);
    ephpm_job_t job;
    runt_heard_t heard;

    if (runt_below(random, 8) != 0) {
        const char *what = runt_round(view, &order);
        if (what != NULL) {
            complain(part, what);
        }
        return;
    }
    if (!runt_send(view, &job, &order)) {
        complain(part, "no place for a job");
        return;
    }
    runt_expect(&heard, &order);
    if (runt_below(random, 2) == 0) {
        ephpm_job_withdraw(&job);
    } else {
        for (unsigned n = runt_below(random, 4); n > 0; n--) {
            ephpm_job_read(&job, runt_hear, &heard);
            ephpm_job_state(&job);
        }
        if (heard.wrong != NULL) {
            complain(part, heard.wrong);
        }
    }
    ephpm_job_release(&job);
}

static void *submit(void *argument)
{
    part_t *part = argument;
    runt_random_t random = { part->number };

    if (ephpm_submitter_attach(part->view, (int)part->number) !=
        (int)part->number) {
        complain(part, "no place for a submitter");
        return NULL;
    }
    for (unsigned i = 0; i < ORDERS && atomic_load(&wrong) == 0; i++) {
        send_one(part, part->view, &random, i);
        part->done++;
    }
    ephpm_submitter_detach(part->view);
    return NULL;
}

/* Looks at all that a spawner looks at, and kills nobody. */
static void *watch(void *argument)
{
    part_t *part = argument;
    char facts[1000];
    ephpm_running_t running;
    ephpm_jobs_stats_t stats;

    if (!ephpm_spawner_attach(part->view)) {
        complain(part, "no place for the spawner");
        return NULL;
    }
    ephpm_pulse_set(part->view, EPHPM_PULSE_READY);
    while (atomic_load(&stop) == 0) {
        ephpm_submitters_living(part->view);
        for (unsigned i = 0; i < RUNNERS; i++) {
            if (ephpm_runner_task(part->view, i, &running) &&
                strcmp(running.script, "/srv/script.php") != 0) {
                complain(part, "a script that nobody runs");
            }
            ephpm_runner_lives(part->view, i);
        }
        ephpm_jobs_stats(part->view, &stats);
        memset(facts, (int)part->done % 100, sizeof(facts));
        ephpm_facts_put(part->view, facts, sizeof(facts));
        part->done++;
        kvt_sleep_ms(1);
    }
    return NULL;
}

/* The status page's reader. */
static void *look_at_facts(void *argument)
{
    part_t *part = argument;
    char facts[1000];
    size_t bytes;

    while (atomic_load(&stop) == 0) {
        if (ephpm_facts_get(part->view, facts, sizeof(facts), &bytes)) {
            part->done++;
            for (size_t i = 1; i < bytes; i++) {
                if (facts[i] != facts[0]) {
                    complain(part, "facts that are torn");
                    return NULL;
                }
            }
        }
        kvt_sleep_ms(1);
    }
    return NULL;
}

static void start(part_t *part, unsigned number, void *(*what)(void *))
{
    *part = (part_t){ .view = ephpm_jobs_view(jobs), .number = number };
    ck_assert_ptr_ne(part->view, NULL);
    ck_assert_int_eq(pthread_create(&part->thread, NULL, what, part), 0);
}

static void join(part_t *part)
{
    pthread_join(part->thread, NULL);
    ephpm_jobs_view_free(part->view);
}

static void open_table(bool events)
{
    ephpm_jobs_config_t config = {
        .runners = RUNNERS,
        .queue = QUEUE,
        .submitters = SUBMITTERS,
        .events = events,
    };
    jobs = ephpm_jobs_make(&config);
    ck_assert_ptr_ne(jobs, NULL);
}

static void close_table(void)
{
    const char *broken = ephpm_jobs_check(jobs);
    ck_assert_msg(broken == NULL, "broken: %s", broken);
    for (uint32_t i = 0; i < jobs->slots; i++) {
        ck_assert_uint_eq(jobs->words[i], 0);
    }
    ck_assert_int_eq(wrong, 0);
    ephpm_jobs_free(jobs);
}

START_TEST(submitters_runners_and_spawner_share_a_table)
{
    part_t runner[RUNNERS];
    part_t submitter[SUBMITTERS];
    part_t spawner;
    part_t reader;

    open_table(_i == 1);
    start(&spawner, 100, watch);
    start(&reader, 200, look_at_facts);
    for (unsigned i = 0; i < RUNNERS; i++) {
        start(&runner[i], i, run);
    }
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        start(&submitter[i], i, submit);
    }
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        join(&submitter[i]);
        ck_assert_uint_eq(submitter[i].done, ORDERS);
    }
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < RUNNERS; i++) {
        join(&runner[i]);
    }
    join(&reader);
    join(&spawner);
    ck_assert_uint_gt(spawner.done, 0);
    close_table();
}
END_TEST

/* As in a child of httpd's event: one place, whose jobs are many threads'. */
static ephpm_jobs_t *childs_view;

static void *ask(void *argument)
{
    part_t *part = argument;
    runt_random_t random = { part->number };

    for (unsigned i = 0; i < ORDERS / 4 && atomic_load(&wrong) == 0; i++) {
        send_one(part, childs_view, &random, i);
        part->done++;
    }
    return NULL;
}

START_TEST(one_submitters_threads_have_jobs_of_their_own)
{
    enum { THREADS = 6 };
    part_t runner[RUNNERS];
    part_t thread[THREADS];
    part_t spawner;

    open_table(false);
    start(&spawner, 100, watch);
    childs_view = ephpm_jobs_view(jobs);
    ck_assert_int_eq(ephpm_submitter_attach(childs_view, -1), 0);
    for (unsigned i = 0; i < RUNNERS; i++) {
        start(&runner[i], i, run);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        start(&thread[i], i, ask);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        join(&thread[i]);
        ck_assert_uint_eq(thread[i].done, ORDERS / 4);
    }
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < RUNNERS; i++) {
        join(&runner[i]);
    }
    join(&spawner);
    ephpm_submitter_detach(childs_view);
    ephpm_jobs_view_free(childs_view);
    close_table();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threads");
    TCase *tcase = kvt_case(suite, "one process");
    tcase_add_loop_test(tcase, submitters_runners_and_spawner_share_a_table,
                        0, 2);
    tcase_add_test(tcase, one_submitters_threads_have_jobs_of_their_own);
    return kvt_run(suite);
}
