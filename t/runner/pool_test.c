/* pool_test.c - requests through a runner, over real PHP: what a script is
 * told, and what it says. */

#include "pool_host.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void start_one(void)
{
    static const host_options_t options = { .store = true };

    host_start(&options);
}

/* ------------------------------------------------------------------ */
/* Answers                                                             */

START_TEST(a_script_says_hello)
{
    ask_t ask = { .php = "Hello, <?php echo 'wor', 'ld', \"\\n\";" };
    answer_t answer;

    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.read, EPHPM_READ_END);
    ck_assert_str_eq(answer.frames, "hb.");
    ck_assert_int_eq(answer.status, 200);
    ck_assert_str_eq(answer.reason, "");
    ck_assert_str_eq(answer.body, "Hello, world\n");
    ck_assert_str_eq(answer.log, "");
    has(answer.head, "Content-type: text/html; charset=UTF-8\n");
    has(answer.head, "X-Powered-By: PHP/");
    ck_assert_uint_gt(answer.end.memory_bytes, 100000);
    ck_assert_uint_lt(answer.end.memory_bytes, 100 << 20);
    ck_assert_uint_gt(answer.end.cpu_us, 0);
    ck_assert_int_eq(answer.end.exit_status, 0);
    ck_assert_str_eq(answer.end.user, "");
    ck_assert_int_eq(answer.times.pid, ephpm_runner_pid(host.jobs, 0));
    answer_free(&answer);
}
END_TEST

START_TEST(headers_arrive_as_what_was_done_to_them)
{
    ask_t ask = { .php = "<?php header_remove('X-Powered-By');"
        "header('A: 1'); header('a: 2', false); header('B: 1');"
        "header('b: 2'); header('C: 1'); header_remove('c');"
        "header('D:3', false); setcookie('x', 'y'); setcookie('x2', 'y');"
        "header('Content-Type: text/plain'); echo implode('|', "
        "headers_list());" };
    answer_t answer;

    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.head,
        "-X-Powered-By: \n=A: 1\n+a: 2\n=b: 2\n-c: \n+D: 3\n"
        "+Set-Cookie: x=y\n+Set-Cookie: x2=y\n"
        "=Content-type: text/plain;charset=UTF-8\n");
    ck_assert_str_eq(answer.body, "A: 1|a: 2|b: 2|D:3|Set-Cookie: x=y|"
        "Set-Cookie: x2=y|Content-type: text/plain;charset=UTF-8");
    answer_free(&answer);

    ask.php = "<?php header('A: 1'); header_remove(); header('B: 2');";
    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.head, "--: \n=B: 2\n"
                     "+Content-type: text/html; charset=UTF-8\n");
    ck_assert_str_eq(answer.frames, "h.");
    answer_free(&answer);
}
END_TEST

START_TEST(a_status_is_the_scripts_or_the_servers)
{
    static const struct {
        const char *php;
        int before;
        int status;
        const char *reason;
    } cases[] = {
        { "<?php", 0, 200, "" },
        { "<?php", 404, 404, "" },
        { "<?php http_response_code(418);", 0, 418, "" },
        { "<?php http_response_code(201);", 404, 201, "" },
        { "<?php header('HTTP/1.1 404 Not here');", 0, 404, "Not here" },
        { "<?php header('HTTP/1.0 299  Odd one ');", 0, 299, "Odd one" },
        { "<?php header('Status: 503 Later');", 0, 503, "Later" },
        { "<?php header('Status: 410');", 404, 410, "" },
        { "<?php header('Status: none');", 0, 200, "" },
        { "<?php header('Status: 503 Later'); header('HTTP/1.1 404 Here');",
          0, 404, "Here" },
        { "<?php header('Location: /x');", 0, 302, "" },
        { "<?php header('Location: /x', true, 307);", 0, 307, "" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask_t ask = { .php = cases[i].php, .status = cases[i].before };
        answer_t answer;

        ask_all(&ask, &answer);
        ck_assert_msg(answer.status == cases[i].status, "%s: %d",
                      cases[i].php, answer.status);
        ck_assert_str_eq(answer.reason, cases[i].reason);
        has_not(answer.head, "Status:");
        answer_free(&answer);
    }
}
END_TEST

START_TEST(headers_without_end_are_refused_and_told_of)
{
    ask_t ask = { .php = "<?php for ($i = 0; $i < 200; $i++) "
        "header(\"X-$i: \" . str_repeat('x', 10000)); "
        "header('X-199: short'); echo 'body';" };
    answer_t answer;

    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.read, EPHPM_READ_END);
    ck_assert_str_eq(answer.body, "body");
    has(answer.head, "=X-99: xxxx");
    has_not(answer.head, "=X-150: xxxx");
    ck_assert(host_logs("sets more headers than fit"));
    ck_assert_uint_eq(host_log_count("sets more headers"), 1);
    answer_free(&answer);
    expect("<?php echo 1;", "1");
}
END_TEST

START_TEST(a_long_page_comes_through_a_slow_reader)
{
    ask_t ask = { .slow = true, .php = "<?php ini_set('memory_limit', '9M');"
        "for ($i = 0; $i < 5 * 1024; $i++) "
        "echo str_pad((string)$i, 1023, '.'), \"\\n\";" };
    answer_t answer;
    int wrong = 0;

    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.read, EPHPM_READ_END);
    ck_assert_uint_eq(answer.body_bytes, 5 << 20);
    for (int i = 0; i < 5 * 1024; i++) {
        char want[16];

        snprintf(want, sizeof(want), "%d.", i);
        wrong += strncmp(answer.body + i * 1024, want, strlen(want)) != 0;
    }
    answer_free(&answer);

    ask.slow = false;
    ask.php = "<?php echo str_repeat('0123456789', 500000);";
    ask_all(&ask, &answer);
    ck_assert_uint_eq(answer.body_bytes, 5000000);
    for (int i = 0; i < 5000000; i++) {
        wrong += answer.body[i] != '0' + i % 10;
    }
    ck_assert_int_eq(wrong, 0);
    answer_free(&answer);
}
END_TEST

static answer_t open_answer;

static bool something_of_a_body(void)
{
    ask_read(&open_answer);
    return open_answer.body_bytes > 0;
}

START_TEST(flush_passes_on_what_there_is)
{
    ask_t ask = { .php = "<?php echo 'first'; flush(); "
        "while (!ephpm_kv_exists('go')) usleep(1000); echo 'second';" };

    ask_begin(&ask, &open_answer);
    ck_assert(host_wait(something_of_a_body));
    host_sleep(20);
    ask_read(&open_answer);
    ck_assert_str_eq(open_answer.body, "first");
    ck_assert_str_eq(open_answer.frames, "hbf");
    set("go");
    ask_end(&open_answer);
    ck_assert_str_eq(open_answer.body, "firstsecond");
    ck_assert_str_eq(open_answer.frames, "hbfb.");
    answer_free(&open_answer);

    /* A flush sends the head even if there is nothing else. */
    ask.php = "<?php flush(); header('X-Late: 1');";
    ask_all(&ask, &open_answer);
    ck_assert_str_eq(open_answer.frames, "hfl.");
    has(open_answer.log, "headers already sent");
    answer_free(&open_answer);
}
END_TEST

START_TEST(without_buffering_each_write_is_passed_on)
{
    ask_t ask = { .flags = EPHPM_SNAPSHOT_FLUSH, .php = "<?php echo 'first';"
        "while (!ephpm_kv_exists('go')) usleep(1000); echo 'second';" };

    ask_begin(&ask, &open_answer);
    ck_assert(host_wait(something_of_a_body));
    ck_assert_str_eq(open_answer.body, "first");
    set("go");
    ask_end(&open_answer);
    ck_assert_str_eq(open_answer.body, "firstsecond");
    answer_free(&open_answer);
}
END_TEST

START_TEST(a_head_request_runs_the_script_and_has_no_body)
{
    ask_t ask = { .method = "HEAD", .flags = EPHPM_SNAPSHOT_HEAD,
        .php = "<?php header('X-A: 1'); echo str_repeat('x', 100000);"
               "flush(); ephpm_kv_set('head', 'was here');" };
    answer_t answer;

    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.status, 200);
    has(answer.head, "=X-A: 1\n");
    ck_assert_ptr_null(strchr(answer.frames, 'b'));
    answer_free(&answer);
    expect("<?php echo ephpm_kv_get('head');", "was here");

    /* Whatever the method is called. */
    ask.method = "GET";
    ask_all(&ask, &answer);
    ck_assert_uint_eq(answer.body_bytes, 0);
    answer_free(&answer);
}
END_TEST

START_TEST(an_interim_response_goes_to_whom_can_take_it)
{
    ask_t ask = { .flags = EPHPM_SNAPSHOT_INTERIM, .php =
        "<?php header('Link: </a.css>; rel=preload'); "
        "$sent = headers_send(103); header('X-B: 1'); var_dump($sent);" };
    answer_t answer;

    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.frames, "ihb.");
    ck_assert_int_eq(answer.interim, 103);
    ck_assert_str_eq(answer.body, "int(103)\n");
    ck_assert_ptr_nonnull(strstr(answer.head, "=Link: </a.css>; rel=preload\n"
                                 "(interim)\n"));
    answer_free(&answer);
    ask.flags = 0;
    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.frames, "hb.");
    ck_assert_str_eq(answer.body, "bool(false)\n");
    answer_free(&answer);
}
END_TEST

static bool script_is_done(void)
{
    return is_set("done");
}

START_TEST(a_finished_response_does_not_wait_for_the_script)
{
    ask_t ask = { .php = "<?php echo 'answer'; "
        "var_dump(fastcgi_finish_request()); echo str_repeat('x', 1000000);"
        "flush(); header('X: y'); error_log('to nobody'); "
        "echo connection_status(), connection_aborted();"
        "var_dump(fastcgi_finish_request());"
        "while (!ephpm_kv_exists('go')) usleep(1000); "
        "ephpm_kv_set('done', '1');" };
    answer_t answer;

    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.frames, "hb.");
    ck_assert_str_eq(answer.body, "answer");
    ck_assert_str_eq(answer.log, "");
    ck_assert(!script_is_done());
    answer_free(&answer);
    ck_assert(host_logs("to nobody"));
    set("go");
    ck_assert(host_wait(script_is_done));
    expect("<?php echo 'next';", "next");
}
END_TEST

/* ------------------------------------------------------------------ */
/* What a script is told                                               */

START_TEST(a_script_sees_its_request)
{
    static const char *const pairs[] = {
        "HTTP_HOST", "example.org", "GATEWAY_INTERFACE", "CGI/1.1",
        "REPEATED", "first", "REPEATED", "second", NULL
    };
    static const char *const headers[] = {
        "Host", "example.org", "X-Two", "1", "X-Empty", "", NULL
    };
    ask_t ask = { .query = "a=1&b[]=2", .cookies = "c=3; d=4",
        .authorization = "Basic dXNlcjpwYXNz", .pairs = pairs,
        .headers = headers, .php = "<?php echo json_encode(["
        "$_GET, $_COOKIE, $_SERVER['PHP_AUTH_USER'], "
        "$_SERVER['PHP_AUTH_PW'], getallheaders(), $_SERVER['HTTP_HOST'], "
        "$_SERVER['REPEATED'], getenv('REPEATED'), "
        "var_export(getenv('HOST'), true), $_SERVER['PHP_SELF'], PHP_SAPI, "
        "$_SERVER['REQUEST_TIME_FLOAT'] > microtime(true) - 100, "
        "$_SERVER['REQUEST_TIME_FLOAT'] <= microtime(true), "
        "$_SERVER['REQUEST_TIME'] === (int)$_SERVER['REQUEST_TIME_FLOAT']"
        "], JSON_UNESCAPED_SLASHES);" };
    answer_t answer;

    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.body, "[{\"a\":\"1\",\"b\":[\"2\"]},"
        "{\"c\":\"3\",\"d\":\"4\"},\"user\",\"pass\",{\"Host\":"
        "\"example.org\",\"X-Two\":\"1\",\"X-Empty\":\"\"},\"example.org\","
        "\"second\",\"second\",\"false\",\"/uri.php\",\"fpm-fcgi\",true,"
        "true,true]");
    ck_assert_str_eq(answer.end.user, "user");
    answer_free(&answer);

    ask = (ask_t){ .user = "server's", .php =
        "<?php echo $_SERVER['PHP_AUTH_USER'];" };
    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.body, "server's");
    ck_assert_str_eq(answer.end.user, "server's");
    answer_free(&answer);
    expect("<?php echo count($_GET), count($_COOKIE), "
           "isset($_SERVER['PHP_AUTH_USER']) ? 1 : 0, "
           "count(getallheaders());", "0000");
}
END_TEST

START_TEST(notes_and_variables_go_home)
{
    static const char *const pairs[] = { "VAR", "server", NULL };
    static const char *const headers[] = { "X-One", "1", "x-one", "2", NULL };
    char php[512];
    ask_t ask = { .php = php, .pairs = pairs, .headers = headers };
    answer_t answer;

    snprintf(php, sizeof(php), "<?php $note = %d; $env = %d; $v = %d; "
        "$h = %d; $n = %d; echo json_encode([host_pair($v, 'VAR'), "
        "host_pair($v, 'var'), host_pair($h, 'X-ONE'), host_pair($n, 'n'), "
        "host_send($note, 'n', 'one'), host_send($note, 'N', 'two'), "
        "host_pair($n, 'n'), host_send($env, 'VAR', 'script'), "
        "host_pair($v, 'VAR'), getenv('VAR'), $_SERVER['VAR']]);",
        EPHPM_FRAME_NOTE, EPHPM_FRAME_ENV, EPHPM_ITEM_VARIABLE,
        EPHPM_ITEM_HEADER, EPHPM_ITEM_NOTE);
    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.body, "[\"server\",null,\"1\",null,true,true,"
        "\"two\",true,\"script\",\"script\",\"server\"]");
    ck_assert_str_eq(answer.notes, "n=one\nN=two\nVAR=script\n");
    answer_free(&answer);
    /* And are gone with the request. */
    ask.pairs = NULL;
    ask_all(&ask, &answer);
    ck_assert_int_eq(strncmp(answer.body, "[null,null,\"1\",null,true", 24),
                     0);
    answer_free(&answer);
}
END_TEST

static char *million(void)
{
    char *body = malloc((1 << 20) + 1);

    ck_assert_ptr_nonnull(body);
    for (int i = 0; i < 1 << 20; i++) {
        body[i] = (char)('a' + i % 23);
    }
    body[1 << 20] = '\0';
    return body;
}

/* A body that fits the request area, one that does not, one in a file. */
START_TEST(a_body_comes_from_memory_or_a_file)
{
    static const char echoes[] = "<?php $in = file_get_contents("
        "'php://input'); echo strlen($in), ' ', md5($in), ' ', "
        "strlen($_POST['x'] ?? '');";
    char *body = million(), *first = NULL;

    body[0] = 'x';
    body[1] = '=';
    for (int in_file = 0; in_file < 2; in_file++) {
        ask_t ask = { .body = body, .php = echoes, .body_in_file = in_file,
                      .type = "application/x-www-form-urlencoded" };
        answer_t answer;

        ask_all(&ask, &answer);
        ck_assert_int_eq(strncmp(answer.body, "1048576 ", 8), 0);
        has(answer.body, " 1048574");
        ck_assert(first == NULL || strcmp(answer.body, first) == 0);
        free(first);
        first = answer.body;
        answer.body = NULL;
        answer_free(&answer);

        ask.body = "x=12345";
        ask_all(&ask, &answer);
        has(answer.body, "7 ");
        has(answer.body, " 5");
        answer_free(&answer);
    }
    free(first);
    free(body);
    expect("<?php echo strlen(file_get_contents('php://input'));", "0");
    rmdir(host.temp);
    ck_assert_int_eq(mkdir(host.temp, 0700), 0);
}
END_TEST

START_TEST(a_file_is_uploaded)
{
    static const char begin[] = "--XX\r\nContent-Disposition: form-data; "
        "name=\"f\"; filename=\"a.bin\"\r\n\r\n";
    static const char end[] = "\r\n--XX\r\nContent-Disposition: form-data; "
        "name=\"v\"\r\n\r\nvalue\r\n--XX--\r\n";
    char *content = million();
    char *body = calloc(1, sizeof(begin) + sizeof(end) + (1 << 20));
    ask_t ask = { .type = "multipart/form-data; boundary=XX", .body = body,
        .body_in_file = true, .php = "<?php $f = $_FILES['f']; echo "
        "$f['error'], ' ', $f['size'], ' ', "
        "is_uploaded_file($f['tmp_name']) ? 'up' : 'no', ' ', "
        "filesize($f['tmp_name']), ' ', $_POST['v'], ' ', "
        "md5_file($f['tmp_name']) === md5(str_repeat("
        "'abcdefghijklmnopqrstuvw', 45590) . 'abcdef') ? 'same' : 'other', "
        "' ', $f['tmp_name'];"
        };
    answer_t answer;
    char name[128] = "";

    strcpy(body, begin);
    strcat(body, content);
    strcat(body, end);
    for (int i = 0; i < 20; i++) {
        ask_all(&ask, &answer);
        ck_assert_int_eq(sscanf(answer.body, "0 1048576 up 1048576 value "
                                "same %127s", name), 1);
        /* Nobody has moved it: it goes with the request. */
        ck_assert_int_ne(access(name, F_OK), 0);
        answer_free(&answer);
    }
    free(content);
    free(body);
}
END_TEST

START_TEST(a_body_that_is_not_there_is_no_empty_one)
{
    char path[128], logged[200];
    ask_t ask = { .method = "POST", .php = "<?php ephpm_kv_set('ran', '1');",
                  .body_file = path, .body_file_bytes = 100 };
    answer_t answer;

    for (int round = 0; round < 4; round++) {
        const char *why = "is gone";

        snprintf(path, sizeof(path), "%s/body-%d", host.folder, round);
        if (round == 1) {
            FILE *file = fopen(path, "w");

            fputs("too short", file);
            fclose(file);
            why = "is cut short";
        } else if (round == 2) {
            ck_assert_int_eq(symlink(host.ini, path), 0);
            why = "cannot be opened";
        } else if (round == 3) {
            snprintf(path, sizeof(path), "%s", host.folder);
            why = "is cut short";
        }
        ask_all(&ask, &answer);
        ck_assert_int_eq(answer.read, EPHPM_READ_END);
        ck_assert_str_eq(answer.frames, "lh.");
        ck_assert_int_eq(answer.status, 500);
        ck_assert_str_eq(answer.head, "");
        snprintf(logged, sizeof(logged), "was not run: the file with the "
                 "request's body %s", why);
        has(answer.log, logged);
        answer_free(&answer);
    }
    ck_assert_int_eq(kv_key_exists(host.kv, "ran", 3), KV_MISSING);
    expect("<?php echo 'next';", "next");
}
END_TEST

START_TEST(a_request_too_large_for_its_slot_arrives_whole)
{
    char *cookie = calloc(1, 100001);
    ask_t ask = { .cookies = cookie,
                  .php = "<?php echo strlen($_COOKIE['long']);" };
    answer_t answer;

    memset(cookie, 'x', 100000);
    memcpy(cookie, "long=", 5);
    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.body, "99995");
    answer_free(&answer);
    free(cookie);
    /* Its file is gone: the reader removes it. */
    ck_assert_int_eq(rmdir(host.temp), 0);
    ck_assert_int_eq(mkdir(host.temp, 0700), 0);
}
END_TEST

START_TEST(a_script_that_is_not_there_or_not_to_be_read)
{
    char path[200];
    ask_t ask = { .script = path };
    answer_t answer;

    snprintf(path, sizeof(path), "%s/none.php", host.folder);
    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.status, 404);
    ck_assert_str_eq(answer.body, "File not found.\n");
    has(answer.log, "none.php' not found or unable to stat");
    answer_free(&answer);

    host_script("image.jpg", "<?php echo 'evil';");
    snprintf(path, sizeof(path), "%s/image.jpg/evil.php", host.folder);
    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.status, 404);
    ck_assert_str_eq(answer.body, "File not found.\n");
    answer_free(&answer);

    snprintf(path, sizeof(path), "%s", host.folder);
    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.status, 403);
    ck_assert_str_eq(answer.body, "Access denied.\n");
    has(answer.log, "attempt to invoke directory");
    answer_free(&answer);

    if (geteuid() != 0) {
        snprintf(path, sizeof(path), "%s",
                 host_script("secret.php", "<?php echo 'secret';"));
        ck_assert_int_eq(chmod(path, 0), 0);
        ask_all(&ask, &answer);
        ck_assert_int_eq(answer.status, 403);
        ck_assert_str_eq(answer.body, "Access denied.\n");
        answer_free(&answer);
    }
}
END_TEST

START_TEST(a_source_is_shown)
{
    ask_t ask = { .flags = EPHPM_SNAPSHOT_SHOW, .php = "<?php echo 'x';" };
    answer_t answer;

    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.status, 200);
    has(answer.body, "<span style=\"color:");
    has(answer.body, "echo");
    answer_free(&answer);
}
END_TEST

START_TEST(last_modified_is_the_scripts_age_if_that_is_wanted)
{
    ask_t ask = { .flags = EPHPM_SNAPSHOT_LAST_MODIFIED, .php =
        "<?php header('X-Is: ' . gmdate('D, d M Y H:i:s ', "
        "filemtime(__FILE__)) . 'GMT');" };
    answer_t answer;
    const char *is, *said;

    ask_all(&ask, &answer);
    is = strstr(answer.head, "=X-Is: ");
    said = strstr(answer.head, "=Last-Modified: ");
    ck_assert_ptr_nonnull(is);
    ck_assert_ptr_nonnull(said);
    ck_assert_int_eq(strncmp(is + 7, said + 16, 29), 0);
    answer_free(&answer);
    ask.flags = 0;
    ask_all(&ask, &answer);
    has_not(answer.head, "Last-Modified");
    answer_free(&answer);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Settings                                                            */

START_TEST(settings_come_by_number_by_value_and_from_files)
{
    static const ephpm_setting_t ini[] = {
        { .name = "date.timezone", .value = "Asia/Tokyo" },
        { .name = "upload_max_filesize", .value = "7M", .admin = true },
        { .name = "no.such_thing", .value = "1", .file = "/etc/site.conf",
          .line = 12 },
        { .name = NULL }
    };
    static const char shows[] = "<?php echo ini_get('memory_limit'), ' ', "
        "ini_get('date.timezone'), ' ', ini_get('upload_max_filesize'), ' ',"
        "ini_get('arg_separator.output'), ' ', "
        "var_export(ini_set('memory_limit', '64M'), true);";
    ask_t ask = { .php = shows, .settings = 1 };
    answer_t answer;

    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.body, "24M Europe/Vienna 2M & false");
    answer_free(&answer);

    ask.ini = ini;
    ask.user_ini_root = host.folder;
    host_script(".user.ini", "arg_separator.output=user\nmemory_limit=1M\n");
    ask_all(&ask, &answer);
    ck_assert_str_eq(answer.body, "24M Asia/Tokyo 7M user false");
    has(answer.log, "/etc/site.conf:12: no.such_thing = '1' is ignored");
    answer_free(&answer);

    /* None of it is the next request's. */
    expect(shows, "128M UTC 2M & '128M'");

    ask = (ask_t){ .php = shows, .settings = 99 };
    ask_all(&ask, &answer);
    ck_assert_int_eq(answer.status, 500);
    has(answer.log, "settings that the server does not know");
    answer_free(&answer);
}
END_TEST

/* ------------------------------------------------------------------ */

static Suite *make_suite(void)
{
    Suite *suite = suite_create("pool");
    TCase *tests = tcase_create("pool");

    tcase_add_checked_fixture(tests, start_one, host_end);
    tcase_add_test(tests, a_script_says_hello);
    tcase_add_test(tests, headers_arrive_as_what_was_done_to_them);
    tcase_add_test(tests, a_status_is_the_scripts_or_the_servers);
    tcase_add_test(tests, headers_without_end_are_refused_and_told_of);
    tcase_add_test(tests, a_long_page_comes_through_a_slow_reader);
    tcase_add_test(tests, flush_passes_on_what_there_is);
    tcase_add_test(tests, without_buffering_each_write_is_passed_on);
    tcase_add_test(tests, a_head_request_runs_the_script_and_has_no_body);
    tcase_add_test(tests, an_interim_response_goes_to_whom_can_take_it);
    tcase_add_test(tests, a_finished_response_does_not_wait_for_the_script);
    tcase_add_test(tests, a_script_sees_its_request);
    tcase_add_test(tests, notes_and_variables_go_home);
    tcase_add_test(tests, a_body_comes_from_memory_or_a_file);
    tcase_add_test(tests, a_file_is_uploaded);
    tcase_add_test(tests, a_body_that_is_not_there_is_no_empty_one);
    tcase_add_test(tests, a_request_too_large_for_its_slot_arrives_whole);
    tcase_add_test(tests, a_script_that_is_not_there_or_not_to_be_read);
    tcase_add_test(tests, a_source_is_shown);
    tcase_add_test(tests, last_modified_is_the_scripts_age_if_that_is_wanted);
    tcase_add_test(tests, settings_come_by_number_by_value_and_from_files);
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
