/* pool_spawner_test.c - spawners and their broods, over real PHP: who follows
 * whom, PHP that does not start, the slow log, facts, files of the dead. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* SCHED_BATCH */
#endif

#include "pool_host.h"

#include "ephpm_facts.h"

#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* ------------------------------------------------------------------ */
/* Spawners                                                            */

START_TEST(a_second_spawner_finds_the_place_taken)
{
    static const host_options_t options = { 0 };
    pid_t first, second;
    int status;

    host_start(&options);
    first = host.spawner;
    host_spawn();
    second = host.spawner;
    host.spawner = first;
    ck_assert_int_eq(waitpid(second, &status, 0), second);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 69);
    expect("<?php echo 1;", "1");
}
END_TEST

static bool no_spawner(void)
{
    return !ephpm_spawner_lives(host.jobs);
}

static pid_t brood;

static bool brood_is_gone(void)
{
    return kill(brood, 0) != 0;
}

START_TEST(runners_outlive_their_spawner_and_make_room_for_the_next)
{
    static const host_options_t options = { .runners = 2, .store = true };
    ask_t slow = { .php = "<?php ephpm_kv_set('begun', 1); "
        "while (!ephpm_kv_exists('go')) usleep(1000); echo 'slow';" };
    pid_t before[2];
    answer_t answer;

    host_start(&options);
    expect("<?php echo 1;", "1");
    brood = host_child(host.spawner);
    ck_assert_int_gt(brood, 1);
    before[0] = runner_pid(0);
    before[1] = runner_pid(1);
    ask_begin(&slow, &answer);
    ck_assert(host_wait(begun));
    kill(host.spawner, SIGKILL);
    waitpid(host.spawner, NULL, 0);
    ck_assert(host_wait(no_spawner));
    ck_assert(host_wait(brood_is_gone));
    for (int i = 0; i < 20; i++) {
        expect("<?php usleep(20000); echo 'still';", "still");
    }
    ck_assert_int_eq(runner_pid(0), before[0]);
    ck_assert_int_eq(runner_pid(1), before[1]);

    host_spawn();
    for (int i = 0; i < 100; i++) {
        expect("<?php usleep(20000); echo 'again';", "again");
    }
    /* The one at work stays to its end. */
    ck_assert(kill(before[0], 0) == 0 || kill(before[1], 0) == 0);
    set("go");
    ask_end(&answer);
    ck_assert_str_eq(answer.body, "slow");
    answer_free(&answer);
    for (unsigned i = 0; i < 2; i++) {
        double until = host_clock() + PATIENCE_S;

        while (runner_pid(i) == before[0] || runner_pid(i) == before[1]) {
            ck_assert(host_clock() < until);
            host_sleep(20);
        }
    }
    expect("<?php echo 'new';", "new");
    ck_assert_uint_eq(counted(EPHPM_COUNT_CRASHES), 0);
}
END_TEST

START_TEST(an_adopted_runner_is_ended_and_buried)
{
    static const host_options_t options = { .terminate_ms = 1500,
                                            .store = true };
    ask_t slow = { .php = "<?php ephpm_kv_set('begun', 1); sleep(60);" };
    answer_t answer;

    host_start(&options);
    ask_begin(&slow, &answer);
    ck_assert(host_wait(begun));
    kill(host.spawner, SIGKILL);
    waitpid(host.spawner, NULL, 0);
    ck_assert(host_wait(no_spawner));
    host_spawn();
    ask_end(&answer);
    ck_assert_int_eq(answer.read, EPHPM_READ_KILLED);
    answer_free(&answer);
    expect("<?php echo 'next';", "next");
}
END_TEST

static bool brood_is_another(void)
{
    pid_t now = host_child(host.spawner);

    return now > 0 && now != brood;
}

START_TEST(a_brood_that_dies_is_followed_by_another)
{
    static const host_options_t options = { .store = true };

    host_start(&options);
    brood = host_child(host.spawner);
    was = runner_pid(0);
    kill(brood, SIGSEGV);
    ck_assert(host_wait(brood_is_another));
    ck_assert(host_logs("the process that starts runners has come to an "
                        "end"));
    ck_assert(host_wait(runner_is_another));
    expect("<?php echo 1;", "1");
}
END_TEST

START_TEST(orphans_leave_once_nobody_wants_them)
{
    static const host_options_t options = { .runners = 2 };
    pid_t pids[2];

    host_start(&options);
    expect("<?php echo 1;", "1");
    pids[0] = runner_pid(0);
    pids[1] = runner_pid(1);
    kill(host.spawner, SIGKILL);
    waitpid(host.spawner, NULL, 0);
    host.spawner = 0;
    host_sleep(600);
    ck_assert(ephpm_runner_lives(host.jobs, 0));
    ck_assert(ephpm_runner_lives(host.jobs, 1));
    ephpm_submitter_detach(host.jobs);
    for (int i = 0; i < 2; i++) {
        double until = host_clock() + PATIENCE_S;

        while (kill(pids[i], 0) == 0) {
            ck_assert(host_clock() < until);
            host_sleep(20);
        }
    }
    ck_assert_int_eq(ephpm_submitter_attach(host.jobs, -1), 0);
}
END_TEST

START_TEST(told_to_stop_a_spawner_waits_for_scripts)
{
    static const host_options_t options = { .store = true,
                                            .stop_ms = 60000 };
    ask_t ask = { .php = "<?php ephpm_kv_set('begun', 1); "
        "while (!ephpm_kv_exists('go')) usleep(1000); echo 'whole';" };
    answer_t answer;

    host_start(&options);
    ask_begin(&ask, &answer);
    ck_assert(host_wait(begun));
    kill(host.spawner, SIGTERM);
    host_sleep(500);
    ck_assert_int_eq(waitpid(host.spawner, NULL, WNOHANG), 0);
    set("go");
    ask_end(&answer);
    ck_assert_int_eq(answer.read, EPHPM_READ_END);
    ck_assert_str_eq(answer.body, "whole");
    answer_free(&answer);
    ck_assert_int_eq(host_stop(), 0);
}
END_TEST

START_TEST(told_to_stop_a_spawner_does_not_wait_for_ever)
{
    static const host_options_t options = { .store = true, .stop_ms = 300 };
    ask_t ask = { .php = "<?php ephpm_kv_set('begun', 1); while (true) {}" };
    answer_t answer;

    host_start(&options);
    ask_begin(&ask, &answer);
    ck_assert(host_wait(begun));
    ck_assert_int_eq(host_stop(), 0);
    ask_end(&answer);
    ck_assert_int_eq(answer.read, EPHPM_READ_CRASHED);
    answer_free(&answer);
    ck_assert(host_logs("is ended, for the server stops"));
    ck_assert_uint_eq(host_log_count("while it ran"), 0);
}
END_TEST

START_TEST(told_to_quit_a_spawner_serves_its_submitters_out)
{
    static const host_options_t options = { 0 };

    host_start(&options);
    kill(host.spawner, SIGQUIT);
    for (int i = 0; i < 20; i++) {
        expect("<?php usleep(50000); echo 1;", "1");
    }
    ck_assert_int_eq(waitpid(host.spawner, NULL, WNOHANG), 0);
    ephpm_submitter_detach(host.jobs);
    ck_assert_int_eq(waitpid(host.spawner, NULL, 0), host.spawner);
    host.spawner = 0;
    ck_assert_int_eq(ephpm_submitter_attach(host.jobs, -1), 0);
}
END_TEST

/* A server's parent and its workers, ended without a word. */
START_TEST(without_supervisor_and_submitters_all_leave)
{
    static const host_options_t options = { .runners = 2 };
    pid_t middle, pids[2];
    int ends[2];

    host_start(&options);
    ck_assert_int_eq(host_stop(), 0);
    ck_assert_int_eq(pipe(ends), 0);
    middle = fork();
    if (middle == 0) {
        host_spawn();
        if (write(ends[1], &host.spawner, sizeof(pid_t)) < 0) {
            _exit(1);
        }
        pause();
    }
    ck_assert_int_eq(read(ends[0], &pids[0], sizeof(pid_t)), sizeof(pid_t));
    for (was = 0; !runner_is_another();) {
        host_sleep(10);
    }
    expect("<?php echo 1;", "1");
    kill(middle, SIGKILL);
    waitpid(middle, NULL, 0);
    host_sleep(600);
    expect("<?php echo 'served';", "served");
    ephpm_submitter_detach(host.jobs);
    for (double until = host_clock() + PATIENCE_S; kill(pids[0], 0) == 0;) {
        ck_assert(host_clock() < until);
        host_sleep(20);
    }
    ck_assert(!ephpm_runner_lives(host.jobs, 0));
    ck_assert(!ephpm_runner_lives(host.jobs, 1));
    ck_assert_int_eq(ephpm_submitter_attach(host.jobs, -1), 0);
}
END_TEST

/* ------------------------------------------------------------------ */
/* PHP that does not start                                             */

static bool pulse_is_failed(void)
{
    return ephpm_pulse_get(host.jobs) == EPHPM_PULSE_FAILED;
}

static bool pulse_is_ready(void)
{
    return ephpm_pulse_get(host.jobs) == EPHPM_PULSE_READY;
}

static const struct {
    const char *preload;
    const char *why;
} broken[] = {
    { "<?php nothing_of_that_name();", "nothing_of_that_name" },
    { "<?php posix_kill(getmypid(), SIGSEGV); sleep(5);", "SIGSEGV" },
    { "<?php syntax error", "syntax error" },
};

START_TEST(php_that_does_not_start_is_tried_again)
{
    host_options_t options = { .preload = broken[_i].preload, .late = true };
    ephpm_job_t job = { 0 };
    ephpm_status_runners_t figures;

    host_start(&options);
    ck_assert(host_wait(pulse_is_failed));
    ck_assert(host_logs("PHP does not start"));
    /* As root PHP preloads in a process of its own, and tells no more. */
    if (geteuid() != 0 || strcmp(broken[_i].why, "SIGSEGV") != 0) {
        ck_assert(host_logs(broken[_i].why));
    }
    ck_assert_int_eq(ephpm_job_claim(host.jobs, &job), EPHPM_CLAIM_DOWN);
    ephpm_facts_runners(host.jobs, &figures);
    ck_assert(figures.failed);
    ck_assert_int_eq(waitpid(host.spawner, NULL, WNOHANG), 0);
    ck_assert(host_logs("tried again in 1 s"));
    ck_assert(host_logs("tried again in 2 s"));
    host_script("preload.php", "<?php function preloaded() { return 1; }");
    ck_assert(host_wait(pulse_is_ready));
    expect("<?php echo preloaded();", "1");
}
END_TEST

START_TEST(a_spawner_without_php_can_be_ended)
{
    host_options_t options = { .preload = "<?php nothing();", .late = true };

    host_start(&options);
    ck_assert(host_wait(pulse_is_failed));
    ck_assert_int_eq(host_stop(), 0);
}
END_TEST

/* ------------------------------------------------------------------ */
/* The slow log                                                        */

static bool slow_is_written(void)
{
    char *text = host_file(host.slowlog);
    bool written = strstr(text, "script_filename = ") != NULL;

    free(text);
    return written;
}

START_TEST(a_slow_script_is_traced_and_not_disturbed)
{
    static const host_options_t options = { .slowlog_ms = 300 };
    ask_t ask = { .php = "<?php\nclass Report\n{\n    static function "
        "build()\n    {\n        $t = microtime(true);\n"
        "        $left = sleep(2);\n        return microtime(true) - $t >= 2 "
        "&& $left === 0;\n    }\n}\nfunction outer()\n{\n    return "
        "Report::build();\n}\necho outer() ? 'whole' : 'cut';\n" };
    answer_t answer;
    struct stat status;
    char *text, line[256];

    host_start(&options);
    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.body, "whole");
    answer_free(&answer);
    ck_assert(host_wait(slow_is_written));
    text = host_file(host.slowlog);
    ck_assert_int_eq(stat(host.slowlog, &status), 0);
    ck_assert_int_eq(status.st_mode & 07777, 0600);
    snprintf(line, sizeof(line), "  [pool ephpm] pid %d\n"
             "script_filename = %s/script-", (int)runner_pid(0), host.folder);
    has(text, line);
    has(text, "] sleep() ");
    has(text, ".php:7\n");
    has(text, "] Report::build() ");
    has(text, ".php:13\n");
    has(text, "] outer() ");
    has(text, ".php:15\n");
    ck_assert_uint_eq(counted(EPHPM_COUNT_SLOW), 1);
    ck_assert(host_logs("gets a backtrace"));
    ck_assert_uint_eq(host_log_count("gets a backtrace"), 1);
    free(text);

    /* One that is busy, in a file that it includes. */
    unlink(host.slowlog);
    host_script("busy.inc", "<?php\n\nfunction busy($until) {\n"
                "    while (microtime(true) < $until) {}\n}\n"
                "busy(microtime(true) + 1);\n");
    free(run("<?php\ninclude __DIR__ . '/busy.inc';"));
    ck_assert(host_wait(slow_is_written));
    text = host_file(host.slowlog);
    has(text, "] busy() ");
    has(text, "busy.inc:6\n");
    has(text, "] [INCLUDE_OR_EVAL]() ");
    free(text);
    /* What is fast is not in it. */
    ck_assert_uint_eq(counted(EPHPM_COUNT_SLOW), 2);
    expect("<?php echo 'fast';", "fast");
    host_sleep(500);
    ck_assert_uint_eq(counted(EPHPM_COUNT_SLOW), 2);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Facts and names                                                     */

START_TEST(facts_are_published)
{
    static const host_options_t options = { 0 };
    char room[EPHPM_FACTS_BYTES];
    ephpm_status_t status;
    ephpm_status_runners_t figures;
    char *version;

    host_start(&options);
    memset(&status, 0, sizeof(status));
    version = run("<?php echo PHP_VERSION;");
    host_sleep(1100);
    expect("<?php echo 1;", "1");
    expect("<?php echo 1;", "1");
    ck_assert(ephpm_facts_fill(host.jobs, &status, room));
    ck_assert_str_eq(status.php.version, version);
    ck_assert_str_eq(status.php.sapi, "fpm-fcgi");
    ck_assert_str_eq(status.php.ini_file, host.ini);
    ck_assert_int_eq(status.opcache.state, EPHPM_OPCACHE_ON);
    ck_assert_uint_ge(status.opcache.scripts, 1);
    ephpm_facts_runners(host.jobs, &figures);
    ck_assert_uint_eq(figures.limit, 1);
    ck_assert_uint_eq(figures.alive, 1);
    ck_assert_uint_eq(figures.requests, 3);
    free(version);
}
END_TEST

START_TEST(processes_have_names_and_keep_their_environment)
{
    static const host_options_t options = { 0 };
    char *body;

    setenv("POOL_TEST_VARIABLE", "kept", 1);
    host_start(&options);
    body = run("<?php echo getenv('POOL_TEST_VARIABLE'), ' ', "
               "strtr(file_get_contents('/proc/self/cmdline'), \"\\0\", "
               "'|'), ' ', trim(file_get_contents('/proc/self/comm'));");
    /* As much of the title as the command line had room for. */
    ck_assert_int_eq(strncmp(body, "kept test: ephpm", 16), 0);
    has(body, " ephpm-runner");
    free(body);
}
END_TEST

/* Before the first job, which may find the processors taken; see wake_test. */
START_TEST(runners_give_way_while_they_sleep)
{
    static const host_options_t options = { 0 };

    host_start(&options);
    int wanted = sched_getscheduler(0);
    if (wanted == SCHED_OTHER) {
        wanted = SCHED_BATCH;
    }
    for (double until = host_clock() + PATIENCE_S;
         !ephpm_runner_lives(host.jobs, 0) ||
         sched_getscheduler(runner_pid(0)) != wanted;) {
        ck_assert(host_clock() < until);
        host_sleep(1);
    }
}
END_TEST

static void write_name(const char *name)
{
    char path[512];
    int file;

    snprintf(path, sizeof(path), "%s/%s", host.temp, name);
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    close(file);
}

static bool there(const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", host.temp, name);
    return access(path, F_OK) == 0;
}

static char dead_name[EPHPM_FILE_NAME_BYTES];

static bool dead_file_is_gone(void)
{
    return !there(dead_name);
}

START_TEST(files_of_dead_submitters_are_removed)
{
    static const host_options_t options = { 0 };
    char live_name[EPHPM_FILE_NAME_BYTES];
    ephpm_job_t job = { 0 };
    int ends[2];
    pid_t pid;

    host_start(&options);
    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        ephpm_job_t its = { 0 };
        char name[EPHPM_FILE_NAME_BYTES] = "";

        if (ephpm_submitter_attach(host.jobs, -1) < 0
            || ephpm_job_claim(host.jobs, &its) != EPHPM_CLAIMED) {
            _exit(1);
        }
        ephpm_job_file_name(&its, "more", name);
        write_name(name);
        if (write(ends[1], name, sizeof(name)) < 0) {
            _exit(1);
        }
        pause();
    }
    ck_assert_int_eq(read(ends[0], dead_name, sizeof(dead_name)),
                     sizeof(dead_name));
    ck_assert_int_eq(ephpm_job_claim(host.jobs, &job), EPHPM_CLAIMED);
    ephpm_job_file_name(&job, "more", live_name);
    write_name(live_name);
    write_name("somebody-elses");
    write_name("ephpm-0123456789abcdef-0-1-1-more");
    host_sleep(1500);
    ck_assert(there(dead_name));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert(host_wait(dead_file_is_gone));
    ck_assert(there(live_name));
    ck_assert(there("somebody-elses"));
    ck_assert(there("ephpm-0123456789abcdef-0-1-1-more"));
    ephpm_job_release(&job);
}
END_TEST

/* ------------------------------------------------------------------ */

int main(void)
{
    Suite *suite = suite_create("pool_spawner");
    TCase *tests = tcase_create("pool_spawner");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, NULL, host_end);
    tcase_add_test(tests, a_second_spawner_finds_the_place_taken);
    tcase_add_test(tests,
                   runners_outlive_their_spawner_and_make_room_for_the_next);
    tcase_add_test(tests, an_adopted_runner_is_ended_and_buried);
    tcase_add_test(tests, a_brood_that_dies_is_followed_by_another);
    tcase_add_test(tests, orphans_leave_once_nobody_wants_them);
    tcase_add_test(tests, told_to_stop_a_spawner_waits_for_scripts);
    tcase_add_test(tests, told_to_stop_a_spawner_does_not_wait_for_ever);
    tcase_add_test(tests, told_to_quit_a_spawner_serves_its_submitters_out);
    tcase_add_test(tests, without_supervisor_and_submitters_all_leave);
    tcase_add_loop_test(tests, php_that_does_not_start_is_tried_again, 0,
                        sizeof(broken) / sizeof(broken[0]));
    tcase_add_test(tests, a_spawner_without_php_can_be_ended);
    tcase_add_test(tests, a_slow_script_is_traced_and_not_disturbed);
    tcase_add_test(tests, facts_are_published);
    tcase_add_test(tests, processes_have_names_and_keep_their_environment);
    tcase_add_test(tests, runners_give_way_while_they_sleep);
    tcase_add_test(tests, files_of_dead_submitters_are_removed);
    tcase_set_timeout(tests, 4 * PATIENCE_S);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
