/* pool_script_test.c - the ends of scripts, over real PHP, and what they leave
 * behind: nothing for the next one. */

#include "pool_host.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void start_one(void)
{
    static const host_options_t options = { .store = true };

    host_start(&options);
}

static bool script_is_done(void)
{
    return is_set("done");
}

/* ------------------------------------------------------------------ */
/* The ends of scripts                                                 */

START_TEST(a_script_may_end_as_it_likes)
{
    static const struct {
        const char *php;
        int status;
        const char *body;
        const char *log;
        int exit_status;
    } cases[] = {
        { "<?php echo 'a'; exit(3);", 200, "a", "", 3 },
        { "<?php register_shutdown_function(function () { echo 'b'; exit; })"
          "; echo 'a';", 200, "ab", "", 0 },
        { "<?php class D { function __destruct() { echo 'd'; } } "
          "$d = new D; echo 'a';", 200, "ad", "", 0 },
        { "<?php echo 'a'; nothing();", 200, "a",
          "Call to undefined function nothing()", 255 },
        { "<?php nothing();", 500, "", "Call to undefined function", 255 },
        { "<?php syntax error", 500, "", "PHP Parse error", 255 },
        { "<?php throw new Exception('thrown');", 500, "", "thrown", 255 },
        { "<?php ini_set('memory_limit', '4M'); $a = str_repeat('x', "
          "9000000);", 500, "", "Allowed memory size of 4194304 bytes", 255 },
        { "<?php set_time_limit(1); while (true) {}", 500, "",
          "Maximum execution time of 1 second", 255 },
        { "<?php error_log(str_repeat('long ', 1000)); echo 'logged';", 200,
          "logged", "long long", 0 },
        { "<?php ob_start(); echo 'buffered'; exit;", 200, "buffered", "",
          0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask_t ask = { .php = cases[i].php };
        answer_t answer;

        ask_all(&ask, &answer);
        ck_assert_int_eq(answer.read, EPHPM_READ_END);
        ck_assert_msg(answer.status == cases[i].status, "%s: %d, log: %s",
                      cases[i].php, answer.status, answer.log);
        ck_assert_str_eq(answer.body, cases[i].body);
        has(answer.log, cases[i].log);
        ck_assert_msg(answer.end.exit_status == cases[i].exit_status,
                      "%s: %d", cases[i].php, answer.end.exit_status);
        answer_free(&answer);
        expect("<?php echo 'next';", "next");
    }
    ck_assert_uint_eq(host_log_count("runner"), 0);
}
END_TEST

START_TEST(nothing_of_a_script_leaks_into_the_next)
{
    static const char shows[] = "<?php echo json_encode([getenv('LEAK'), "
        "decoct(umask()), setlocale(LC_ALL, '0'), getcwd() === __DIR__, "
        "ini_get('precision'), error_reporting(), http_response_code(), "
        "count(headers_list()), ob_get_level(), date_default_timezone_get(),"
        "sprintf('%.1f', 1.5), count(stream_get_wrappers()), "
        "ini_get('session.name')]);";
    char *before = run(shows), *after;

    free(run("<?php putenv('LEAK=1'); umask(0); setlocale(LC_ALL, "
             "'C.UTF-8', 'de_DE.UTF-8'); chdir('/'); ini_set('precision', "
             "3); error_reporting(0); http_response_code(404); "
             "header('X-Leak: 1'); ob_start(); "
             "date_default_timezone_set('Asia/Tokyo'); "
             "stream_wrapper_register('leak', 'stdClass'); "
             "set_error_handler(function () { return true; }); "
             "function leaked() {} class Leaked {} define('LEAKED', 1); "
             "$GLOBALS['leak'] = 1; echo 'leak';"));
    after = run(shows);
    ck_assert_str_eq(after, before);
    free(before);
    free(after);
    expect("<?php echo function_exists('leaked') + class_exists('Leaked') "
           "+ defined('LEAKED') + isset($GLOBALS['leak']);", "0");
}
END_TEST

/* The answer comes before PHP has given back its memory, but not before any
 * of what the script has begun: a file of gzopen() is whole once it is
 * closed. */
START_TEST(who_has_the_answer_finds_all_of_it_done)
{
    static const char php[] = "<?php class D { public $file; function "
        "__destruct() { ephpm_kv_set('destroyed', '1'); } } $d = new D; "
        "$d->file = $d; register_shutdown_function(function () { "
        "ephpm_kv_set('shut down', '1'); session_start(); "
        "$_SESSION['a'] = 'b'; }); ini_set('session.save_handler', 'ephpm'); "
        "ini_set('session.use_cookies', 0); session_id('whole'); "
        "$file = gzopen(__DIR__ . '/file.gz', 'w'); "
        "gzwrite($file, str_repeat('x', 70000)); $many = range(1, 300000);";
    char path[96];

    snprintf(path, sizeof(path), "%s/file.gz", host.folder);
    for (int i = 0; i < 50; i++) {
        ask_t ask = { .php = php };
        answer_t answer;
        uint32_t length = 0;
        uint64_t requests = counted(EPHPM_COUNT_REQUESTS);
        FILE *file;

        ask_all(&ask, &answer);
        file = fopen(path, "rb");
        ck_assert_int_eq(answer.read, EPHPM_READ_END);
        ck_assert_str_eq(answer.log, "");
        ck_assert_uint_eq(counted(EPHPM_COUNT_REQUESTS), requests + 1);
        ck_assert(is_set("destroyed"));
        ck_assert(is_set("shut down"));
        ck_assert_ptr_ne(file, NULL);
        ck_assert_int_eq(fseek(file, -4, SEEK_END), 0);
        ck_assert_uint_eq(fread(&length, 4, 1, file), 1);
        ck_assert_uint_eq(length, 70000);
        fclose(file);
        answer_free(&answer);
        expect("<?php ini_set('session.save_handler', 'ephpm'); "
               "ini_set('session.use_cookies', 0); session_id('whole'); "
               "session_start(); echo $_SESSION['a']; session_destroy(); "
               "ephpm_kv_del('destroyed'); ephpm_kv_del('shut down'); "
               "unlink(__DIR__ . '/file.gz');", "b");
    }
}
END_TEST

START_TEST(signals_and_alarms_of_a_script_end_with_it)
{
    char *body = run("<?php echo (int)function_exists('pcntl_signal');");
    bool there = strcmp(body, "1") == 0;

    free(body);
    if (!there) {
        return;
    }
    expect("<?php pcntl_signal(SIGTERM, SIG_IGN); pcntl_alarm(1); "
           "pcntl_sigprocmask(SIG_BLOCK, [SIGTERM]); echo 1;", "1");
    host_sleep(1500);
    expect("<?php pcntl_sigprocmask(SIG_BLOCK, [SIGUSR2], $old); "
           "echo count($old);", "0");
    ck_assert_int_eq(host_log_count("runner"), 0);
}
END_TEST

START_TEST(what_a_script_forks_has_no_part_in_the_job)
{
    static const char forks[] = "<?php echo 'a'; ob_start(); echo 'b'; "
        "$pid = pcntl_fork(); if ($pid === 0) { echo 'child'; ob_flush(); "
        "flush(); header('X-Child: 1'); error_log('of the child'); "
        "fastcgi_finish_request(); %s } pcntl_waitpid($pid, $status); "
        "echo pcntl_wifexited($status) ? pcntl_wexitstatus($status) : 'sig',"
        " 'c';";
    static const char *const ends[] = {
        "exit(7);", "nothing();", "posix_kill(getmypid(), SIGTERM);"
    };
    static const char *const wants[] = { "ab7c", "ab255c", "absigc" };
    char *body = run("<?php echo (int)function_exists('pcntl_fork');");
    bool there = strcmp(body, "1") == 0;

    free(body);
    for (int i = 0; there && i < 3; i++) {
        char php[1024];
        ask_t ask = { .php = php };
        answer_t answer;

        snprintf(php, sizeof(php), forks, ends[i]);
        ask_all(&ask, &answer);
        ck_assert_int_eq(answer.read, EPHPM_READ_END);
        ck_assert_str_eq(answer.body, wants[i]);
        has_not(answer.head, "X-Child");
        ck_assert(host_logs("of the child"));
        answer_free(&answer);
        expect("<?php echo 'next';", "next");
    }
    /* One that outlives the script, and the next ones. */
    if (there) {
        expect("<?php if (pcntl_fork() === 0) { usleep(300000); "
               "echo 'late'; ephpm_kv_set('done', '1'); exit; } echo 'p';",
               "p");
        for (int i = 0; i < 5; i++) {
            expect("<?php usleep(100000); echo 'next';", "next");
        }
        ck_assert(host_wait(script_is_done));
        expect("<?php usleep(100000); echo 'next';", "next");
        ck_assert_int_eq(host_child((pid_t)ephpm_runner_pid(host.jobs, 0)),
                         0);
    }
}
END_TEST

START_TEST(what_a_script_executes_inherits_nothing)
{
    char *body = run("<?php echo shell_exec('ls -l /proc/self/fd');");
    char log[128];

    snprintf(log, sizeof(log), "%s/log", host.folder);
    has(body, " 1 -> ");
    has_not(body, "eventfd");
    has_not(body, "socket");
    has_not(body, log);
    free(body);
    /* Children's ends are told. */
    expect("<?php exec('exit 3', $out, $status); echo $status;", "3");
    expect("<?php echo trim(shell_exec('trap - INT; kill -INT $$; "
           "echo alive'));", "");
}
END_TEST

/* ------------------------------------------------------------------ */
/* The store                                                           */

START_TEST(the_store_is_the_sites)
{
    ask_t ask = { .store = -1, .php = "<?php var_dump(@ephpm_kv_set('a', "
        "'b'), @ephpm_kv_get('found'));" };
    answer_t answer;

    ck_assert_int_eq(kv_value_set(host.kv, "found", 5, "yes", 3, 0,
                                  KV_SET_ALWAYS), KV_OK);
    expect("<?php echo ephpm_kv_get('found');", "yes");
    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.body, "bool(false)\nNULL\n");
    answer_free(&answer);
    ask.store = 7;
    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.body, "bool(false)\nNULL\n");
    answer_free(&answer);
}
END_TEST

/* ------------------------------------------------------------------ */

static Suite *make_suite(void)
{
    Suite *suite = suite_create("pool_script");
    TCase *tests = tcase_create("pool_script");

    tcase_add_checked_fixture(tests, start_one, host_end);
    tcase_add_test(tests, a_script_may_end_as_it_likes);
    tcase_add_test(tests, nothing_of_a_script_leaks_into_the_next);
    tcase_add_test(tests, who_has_the_answer_finds_all_of_it_done);
    tcase_add_test(tests, signals_and_alarms_of_a_script_end_with_it);
    tcase_add_test(tests, what_a_script_forks_has_no_part_in_the_job);
    tcase_add_test(tests, what_a_script_executes_inherits_nothing);
    tcase_add_test(tests, the_store_is_the_sites);
    tcase_set_timeout(tests, 4 * PATIENCE_S);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(make_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
