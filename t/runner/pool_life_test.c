/* pool_life_test.c - the lives of runners, over real PHP: who is ended and
 * replaced, and what their clients and the log are told. */

#include "pool_host.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool begun(void)
{
    return is_set("begun");
}

static pid_t was;

static bool runner_is_another(void)
{
    return ephpm_runner_lives(host.jobs, 0) && runner_pid(0) != was;
}

/* It may have answered and not be done with its job. */
static bool runner_is_idle(void)
{
    ephpm_running_t running;

    return !ephpm_runner_task(host.jobs, 0, &running);
}

/* ------------------------------------------------------------------ */
/* Runners that die                                                    */

static const struct {
    const char *php;
    int signal;
    const char *logged;
} deaths[] = {
    { "<?php echo 'a'; flush(); posix_kill(getmypid(), SIGSEGV); sleep(9);",
      SIGSEGV, "was ended by SIGSEGV" },
    { "<?php posix_kill(getmypid(), SIGKILL); sleep(9);", SIGKILL,
      "was ended by SIGKILL" },
    { "<?php pcntl_exec('/bin/true');", 0, "exited with status 0" },
    { "<?php pcntl_exec('/bin/false');", 0, "exited with status 1" },
    { "<?php posix_kill(getmypid(), SIGABRT);", SIGABRT,
      "was ended by SIGABRT" },
};

START_TEST(a_death_costs_its_own_request)
{
    static const host_options_t options = { .store = true };
    ask_t ask = { .php = deaths[_i].php };
    answer_t answer;
    char *log, *body;

    host_start(&options);
    if (strstr(ask.php, "pcntl") != NULL) {
        body = run("<?php echo (int)function_exists('pcntl_exec');");
        bool there = strcmp(body, "1") == 0;

        free(body);
        if (!there) {
            return;
        }
    }
    set("kept");
    was = runner_pid(0);
    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.read, EPHPM_READ_CRASHED);
    ck_assert_int_eq(answer.times.signal, deaths[_i].signal);
    ck_assert_int_eq(answer.times.pid, was);
    ck_assert_str_eq(answer.body, _i == 0 ? "a" : "");
    ck_assert(host_logs(deaths[_i].logged));
    log = host_logged();
    has(log, "while it ran the script '");
    has(log, "/script-");
    free(log);
    ck_assert_uint_eq(host_log_count("while it ran"), 1);
    expect("<?php echo ephpm_kv_get('kept');", "1");
    ck_assert_int_ne(runner_pid(0), was);
    ck_assert_uint_eq(counted(EPHPM_COUNT_CRASHES), 1);
    answer_free(&answer);
}
END_TEST

START_TEST(a_runner_that_dies_idle_is_replaced)
{
    static const host_options_t options = { .store = true };

    host_start(&options);
    expect("<?php echo 1;", "1");
    ck_assert(host_wait(runner_is_idle));
    was = runner_pid(0);
    kill(was, SIGKILL);
    ck_assert(host_wait(runner_is_another));
    ck_assert(host_logs("was ended by SIGKILL while it had nothing to do"));
    expect("<?php echo 2;", "2");
}
END_TEST

/* Those that have worked were no failures to start, however often. */
START_TEST(one_that_has_worked_is_replaced_at_once)
{
    static const host_options_t options = { .store = true };

    host_start(&options);
    for (int i = 1; i <= 12; i++) {
        expect("<?php echo 1;", "1");
        ck_assert(host_wait(runner_is_idle));
        was = runner_pid(0);
        kill(was, SIGKILL);
        ck_assert(host_wait(runner_is_another));
        ck_assert_uint_eq(counted(EPHPM_COUNT_CRASHES), i);
    }
    ck_assert_uint_eq(host_log_count("there is another in 0.0 s"), 12);
}
END_TEST

static bool two_deaths_are_told(void)
{
    return host_log_count("while it had nothing to do") >= 2;
}

/* One that dies at once is not followed at once. */
START_TEST(deaths_at_once_are_no_storm)
{
    static const host_options_t options = { 0 };
    double begin;
    unsigned deaths_told;

    host_start(&options);
    begin = host_clock();
    for (was = 0; host_clock() < begin + 3;) {
        if (ephpm_runner_lives(host.jobs, 0)) {
            kill(runner_pid(0), SIGKILL);
        }
        host_sleep(2);
    }
    ck_assert(host_wait(two_deaths_are_told));
    deaths_told = host_log_count("while it had nothing to do");
    /* 0.1, 0.2, 0.4, 0.8, 1.6 s between them. */
    ck_assert_uint_le(deaths_told, 7);
    expect("<?php echo 1;", "1");
}
END_TEST

/* ------------------------------------------------------------------ */
/* Time-outs                                                           */

START_TEST(a_script_over_its_time_is_ended)
{
    static const host_options_t options = { .terminate_ms = 400,
                                            .store = true };
    static const char *const scripts[] = {
        "<?php echo 'a'; flush(); sleep(60);",
        "<?php echo 'a'; flush(); while (true) {}",
        "<?php echo 'a'; flush(); posix_kill(getmypid(), SIGSTOP);",
        "<?php echo 'a'; flush(); if (function_exists('pcntl_signal')) { "
        "pcntl_sigprocmask(SIG_BLOCK, [SIGTERM, SIGINT]); "
        "pcntl_signal(SIGTERM, SIG_IGN); } sleep(60);",
    };

    host_start(&options);
    for (unsigned i = 0; i < 4; i++) {
        ask_t ask = { .php = scripts[i] };
        double begin = host_clock();
        answer_t answer;

        was = runner_pid(0);
        ask_all(&ask, &answer);
        ck_assert_int_eq(answer.read, EPHPM_READ_KILLED);
        ck_assert_str_eq(answer.body, "a");
        ck_assert_double_ge(host_clock() - begin, 0.4);
        answer_free(&answer);
        expect("<?php echo 'next';", "next");
        ck_assert_int_ne(runner_pid(0), was);
    }
    ck_assert(host_logs("longer than the request terminate timeout (0.4 s)"));
    ck_assert_uint_eq(host_log_count("terminate timeout"), 4);
    ck_assert_uint_eq(host_log_count("was ended by"), 0);
    ck_assert_uint_eq(counted(EPHPM_COUNT_TIMEOUTS), 4);
    ck_assert_uint_eq(counted(EPHPM_COUNT_CRASHES), 0);

    /* As with php-fpm, the time is the response's. */
    expect("<?php echo 'answer'; fastcgi_finish_request(); "
           "ephpm_kv_set('begun', 1); sleep(1); ephpm_kv_set('end', 1);",
           "answer");
    expect("<?php echo ephpm_kv_get('end');", "1");
}
END_TEST

START_TEST(only_the_one_over_its_time_is_ended)
{
    static const host_options_t options = { .terminate_ms = 700,
                                            .runners = 3, .store = true };
    ask_t slow = { .php = "<?php sleep(60);" };
    answer_t answer;

    host_start(&options);
    ask_begin(&slow, &answer);
    for (int i = 0; i < 30; i++) {
        expect("<?php usleep(30000); echo ephpm_kv_incr('n') > 0;", "1");
    }
    ask_end(&answer);
    ck_assert_int_eq(answer.read, EPHPM_READ_KILLED);
    answer_free(&answer);
    expect("<?php echo ephpm_kv_get('n');", "30");
    ck_assert_uint_eq(counted(EPHPM_COUNT_TIMEOUTS), 1);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Clients that go                                                     */

static answer_t left;

static bool has_a_body(void)
{
    ask_read(&left);
    return left.body_bytes > 0;
}

static bool ended(void)
{
    return is_set("shutdown");
}

START_TEST(a_client_that_goes_ends_its_script)
{
    static const host_options_t options = { .store = true };
    ask_t ask = { .php = "<?php register_shutdown_function(function () { "
        "ephpm_kv_set('shutdown', (string)connection_status()); }); "
        "while (true) { echo str_repeat('x', 1000); flush(); "
        "ephpm_kv_incr('turns'); usleep(1000); }" };

    host_start(&options);
    was = runner_pid(0);
    ask_begin(&ask, &left);
    ck_assert(host_wait(has_a_body));
    ephpm_job_release(&left.job);
    answer_free(&left);
    ck_assert(host_wait(ended));
    expect("<?php echo ephpm_kv_get('shutdown');", "1");
    /* The runner goes on. */
    ck_assert_int_eq(runner_pid(0), was);
}
END_TEST

START_TEST(a_client_that_goes_while_the_ring_is_full)
{
    static const host_options_t options = { .store = true };
    ask_t ask = { .php = "<?php ephpm_kv_set('begun', 1); "
        "register_shutdown_function(function () { "
        "ephpm_kv_set('shutdown', (string)connection_status()); }); "
        "echo str_repeat('x', 10000000); ephpm_kv_set('through', 1);" };

    host_start(&options);
    ask_begin(&ask, &left);
    ck_assert(host_wait(begun));
    host_sleep(50);
    ephpm_job_release(&left.job);
    answer_free(&left);
    ck_assert(host_wait(ended));
    expect("<?php var_dump(ephpm_kv_get('through'));", "NULL\n");
}
END_TEST

START_TEST(a_script_may_go_on_without_its_client)
{
    static const host_options_t options = { .store = true };
    ask_t ask = { .php = "<?php ignore_user_abort(true); echo 'x'; flush(); "
        "while (!ephpm_kv_exists('go')) usleep(1000); for ($i = 0; $i < 9; "
        "$i++) { echo str_repeat('y', 100000); flush(); } error_log('after');"
        "ephpm_kv_set('shutdown', (string)connection_status());" };

    host_start(&options);
    ask_begin(&ask, &left);
    ck_assert(host_wait(has_a_body));
    ephpm_job_release(&left.job);
    answer_free(&left);
    set("go");
    ck_assert(host_wait(ended));
    expect("<?php echo ephpm_kv_get('shutdown');", "1");
    /* Nobody else takes its log. */
    ck_assert(host_logs("after"));
}
END_TEST

/* ------------------------------------------------------------------ */
/* Many at a time                                                      */

START_TEST(counters_of_many_runners_have_no_gap)
{
    static const host_options_t options = { .runners = 4, .store = true,
                                            .queue = 16 };
    ask_t ask = { .php = NULL };
    answer_t answers[12];
    char path[256], seen[1201] = "";

    host_start(&options);
    snprintf(path, sizeof(path), "%s",
             host_script("count.php", "<?php echo ephpm_kv_incr('n');"));
    ask.script = path;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 12; i++) {
            ask_begin(&ask, &answers[i]);
        }
        for (int i = 0; i < 12; i++) {
            int n;

            ask_end(&answers[i]);
            ck_assert_int_eq(answers[i].read, EPHPM_READ_END);
            n = atoi(answers[i].body);
            ck_assert_int_ge(n, 1);
            ck_assert_int_le(n, 1200);
            ck_assert_int_eq(seen[n], 0);
            seen[n] = 1;
            answer_free(&answers[i]);
        }
    }
    ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), 1200);
}
END_TEST

START_TEST(the_store_outlives_its_killers)
{
    static const host_options_t options = { .runners = 3, .store = true,
                                            .queue = 16 };
    ask_t ask = { .php = NULL };
    answer_t answers[6];
    char path[256];
    int64_t sum;
    int good = 0, lost = 0;

    host_start(&options);
    snprintf(path, sizeof(path), "%s", host_script("work.php",
        "<?php for ($i = 0; $i < 200; $i++) { ephpm_kv_set(\"k$i\", "
        "str_repeat('v', $i * 50)); } echo ephpm_kv_incr('n');"));
    ask.script = path;
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 6; i++) {
            ask_begin(&ask, &answers[i]);
        }
        if (ephpm_runner_lives(host.jobs, (unsigned)round % 3)) {
            kill(runner_pid((unsigned)round % 3), SIGKILL);
        }
        for (int i = 0; i < 6; i++) {
            ask_end(&answers[i]);
            if (answers[i].read == EPHPM_READ_END) {
                good++;
            } else {
                ck_assert_int_eq(answers[i].read, EPHPM_READ_CRASHED);
                lost++;
            }
            answer_free(&answers[i]);
        }
    }
    ck_assert_int_le(lost, 60);
    ck_assert_int_eq(kv_counter_add(host.kv, "n", 1, 0, &sum), KV_OK);
    ck_assert_int_ge(sum, good);
    ck_assert_int_le(sum, good + lost);
    expect("<?php for ($i = 0; $i < 200; $i++) { if (ephpm_kv_get(\"k$i\") "
           "!== str_repeat('v', $i * 50)) echo $i; } echo 'intact';",
           "intact");
}
END_TEST

/* ------------------------------------------------------------------ */
/* Recycling and memory                                                */

START_TEST(runners_are_recycled)
{
    static const host_options_t options = { .max_requests = 3 };
    int changes = 0;
    pid_t last = 0;

    host_start(&options);
    for (int i = 0; i < 12; i++) {
        char *body = run("<?php echo getmypid();");
        pid_t pid = (pid_t)atoi(body);

        free(body);
        changes += pid != last;
        last = pid;
    }
    ck_assert_int_eq(changes, 4);
    ck_assert_uint_ge(counted(EPHPM_COUNT_RECYCLED), 3);
    ck_assert_uint_eq(counted(EPHPM_COUNT_CRASHES), 0);
    ck_assert_uint_eq(host_log_count("runner"), 0);
}
END_TEST

START_TEST(thousands_of_requests_grow_nothing)
{
    static const host_options_t options = { .store = true };
    static const char *const headers[] = { "A", "1", "B", "2", NULL };
    ask_t ask = { .query = "a=1", .cookies = "b=2", .headers = headers,
                  .type = "application/x-www-form-urlencoded",
                  .body = "x=123", .settings = 1 };
    char path[256];
    long settled = 0, after;

    host_start(&options);
    snprintf(path, sizeof(path), "%s", host_script("page.php",
        "<?php header('X-A: 1'); setcookie('a', 'b'); $_POST['x']; "
        "ephpm_kv_set('k' . mt_rand(0, 50), str_repeat('v', 500)); "
        "error_log('line'); putenv('A=1'); class C {} function f() {} "
        "echo str_repeat('page ', 500);"));
    ask.script = path;
    for (int i = 0; i < 2400; i++) {
        answer_t answer;

        if (i == 400) {
            settled = host_memory(runner_pid(0), "RssAnon:");
        }
        ask_all(&ask, &answer);
        ck_assert_int_eq(answer.read, EPHPM_READ_END);
        answer_free(&answer);
    }
    after = host_memory(runner_pid(0), "RssAnon:");
    ck_assert_msg(after <= settled + 64, "%ld KiB have become %ld", settled,
                  after);
}
END_TEST

/* ------------------------------------------------------------------ */

int main(void)
{
    Suite *suite = suite_create("pool_life");
    TCase *tests = tcase_create("pool_life");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, NULL, host_end);
    tcase_add_loop_test(tests, a_death_costs_its_own_request, 0,
                        sizeof(deaths) / sizeof(deaths[0]));
    tcase_add_test(tests, a_runner_that_dies_idle_is_replaced);
    tcase_add_test(tests, one_that_has_worked_is_replaced_at_once);
    tcase_add_test(tests, deaths_at_once_are_no_storm);
    tcase_add_test(tests, a_script_over_its_time_is_ended);
    tcase_add_test(tests, only_the_one_over_its_time_is_ended);
    tcase_add_test(tests, a_client_that_goes_ends_its_script);
    tcase_add_test(tests, a_client_that_goes_while_the_ring_is_full);
    tcase_add_test(tests, a_script_may_go_on_without_its_client);
    tcase_add_test(tests, counters_of_many_runners_have_no_gap);
    tcase_add_test(tests, the_store_outlives_its_killers);
    tcase_add_test(tests, runners_are_recycled);
    tcase_add_test(tests, thousands_of_requests_grow_nothing);
    tcase_set_timeout(tests, 4 * PATIENCE_S);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
