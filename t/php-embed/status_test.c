/* status_test.c - the status page and the history that its graphs show. */

#include "ephpm_facts.h"
#include "ephpm_status.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_MS (EPHPM_HISTORY_PERIOD_S * 1000u)
#define LAST (EPHPM_HISTORY_SLOTS - 1)

/* Well into the clock's life, and the beginning of a period. */
static const uint64_t start_ms = UINT64_C(1000) * PERIOD_MS;

static ephpm_period_t periods[EPHPM_HISTORY_SLOTS];

static ephpm_history_t *new_history(void)
{
    void *memory = calloc(1, ephpm_history_bytes());

    ck_assert_ptr_nonnull(memory);
    return ephpm_history_make(memory);
}

static void add(ephpm_history_t *history, uint64_t at_ms, uint64_t hits)
{
    kv_stats_t stats = { .hits = hits, .used_bytes = 7, .rejections = hits };

    ephpm_history_add(history, at_ms, &stats);
}

/* ------------------------------------------------------------------ */
/* The history                                                         */

START_TEST(a_sample_is_due_once_a_second)
{
    ephpm_history_t *history = new_history();

    ck_assert(ephpm_history_due(history, start_ms));
    ck_assert(!ephpm_history_due(history, start_ms));
    ck_assert(!ephpm_history_due(history, start_ms + 999));
    ck_assert(ephpm_history_due(history, start_ms + 1000));
    ck_assert(!ephpm_history_due(history, start_ms + 1500));
    ck_assert(ephpm_history_due(history, start_ms + 3600000));
    free(history);
}
END_TEST

START_TEST(a_next_sample_that_is_absurdly_far_is_not_waited_for)
{
    ephpm_history_t *history = new_history();

    ck_assert(ephpm_history_due(history, start_ms + 3600000));
    ck_assert(ephpm_history_due(history, start_ms));
    ck_assert(!ephpm_history_due(history, start_ms + 500));
    free(history);
}
END_TEST

START_TEST(a_new_history_knows_nothing)
{
    ephpm_history_t *history = new_history();

    ephpm_history_read(history, start_ms, periods);
    for (unsigned i = 0; i < EPHPM_HISTORY_SLOTS; i++) {
        ck_assert(!periods[i].known);
        ck_assert(!periods[i].rated);
    }
    free(history);
}
END_TEST

START_TEST(rates_are_of_the_time_between_samples)
{
    ephpm_history_t *history = new_history();

    add(history, start_ms + 5000, 100);
    add(history, start_ms + PERIOD_MS + 1000, 120);
    /* The last sample of a period is the one that counts. */
    add(history, start_ms + PERIOD_MS + 5000, 400);
    ephpm_history_read(history, start_ms + PERIOD_MS + 6000, periods);
    ck_assert(periods[LAST - 1].known);
    ck_assert(!periods[LAST - 1].rated);
    ck_assert_uint_eq(periods[LAST - 1].figures[EPHPM_HITS], 100);
    ck_assert(periods[LAST].known);
    ck_assert(periods[LAST].rated);
    ck_assert_uint_eq(periods[LAST].figures[EPHPM_HITS], 400);
    ck_assert_uint_eq(periods[LAST].figures[EPHPM_USED_BYTES], 7);
    ck_assert_double_eq_tol(periods[LAST].rates[EPHPM_HITS], 300 / 15.0, 1e-9);
    ck_assert_double_eq_tol(periods[LAST].age_s, 1, 1e-9);
    free(history);
}
END_TEST

START_TEST(a_period_without_a_sample_is_a_gap)
{
    ephpm_history_t *history = new_history();

    add(history, start_ms, 1);
    add(history, start_ms + 2 * PERIOD_MS, 1000);
    add(history, start_ms + 3 * PERIOD_MS, 1015);
    ephpm_history_read(history, start_ms + 3 * PERIOD_MS, periods);
    ck_assert(periods[LAST - 3].known);
    ck_assert(!periods[LAST - 2].known);
    /* When in the gap it grew is not known. */
    ck_assert(periods[LAST - 1].known);
    ck_assert(!periods[LAST - 1].rated);
    ck_assert(periods[LAST].rated);
    ck_assert_double_eq_tol(periods[LAST].rates[EPHPM_HITS], 1, 1e-9);
    free(history);
}
END_TEST

START_TEST(samples_go_after_an_hour)
{
    ephpm_history_t *history = new_history();

    for (unsigned i = 0; i < 3 * EPHPM_HISTORY_SLOTS; i++) {
        add(history, start_ms + i * PERIOD_MS, i);
    }
    ephpm_history_read(history,
                       start_ms + (3 * EPHPM_HISTORY_SLOTS - 1) * PERIOD_MS,
                       periods);
    for (unsigned i = 0; i < EPHPM_HISTORY_SLOTS; i++) {
        ck_assert(periods[i].known);
        ck_assert_uint_eq(periods[i].figures[EPHPM_HITS],
                          2 * EPHPM_HISTORY_SLOTS + i);
    }
    /* An idle hour later. */
    ephpm_history_read(history,
                       start_ms + 4 * EPHPM_HISTORY_SLOTS * PERIOD_MS,
                       periods);
    for (unsigned i = 0; i < EPHPM_HISTORY_SLOTS; i++) {
        ck_assert(!periods[i].known);
    }
    free(history);
}
END_TEST

START_TEST(what_counts_up_has_no_rate_below_zero)
{
    ephpm_history_t *history = new_history();

    add(history, start_ms, 1000);
    add(history, start_ms + PERIOD_MS, 10);
    ephpm_history_read(history, start_ms + PERIOD_MS, periods);
    ck_assert(periods[LAST].rated);
    ck_assert_double_eq_tol(periods[LAST].rates[EPHPM_HITS], 0, 1e-9);
    free(history);
}
END_TEST

START_TEST(the_first_periods_of_the_clock_have_no_past)
{
    ephpm_history_t *history = new_history();

    add(history, 100, 1);
    ephpm_history_read(history, 200, periods);
    ck_assert(periods[LAST].known);
    ck_assert(!periods[LAST - 1].known);
    ck_assert(!periods[0].known);
    free(history);
}
END_TEST

START_TEST(scribbled_memory_is_a_gap_or_a_wrong_figure)
{
    ephpm_history_t *history = new_history();
    unsigned char *bytes = (unsigned char *)history;
    uint32_t random = 1;

    memset(bytes, 0xff, ephpm_history_bytes());
    ephpm_history_read(history, start_ms, periods);
    for (unsigned i = 0; i < EPHPM_HISTORY_SLOTS; i++) {
        ck_assert(!periods[i].known);
    }
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < ephpm_history_bytes(); i++) {
            random = random * 1103515245u + 12345u;
            bytes[i] = (unsigned char)(random >> 24);
        }
        for (unsigned i = 0; i < EPHPM_HISTORY_SLOTS; i += 2) {
            add(history, start_ms - i * PERIOD_MS, random);
        }
        ephpm_history_read(history, start_ms, periods);
        for (unsigned i = 0; i < EPHPM_HISTORY_SLOTS; i++) {
            ck_assert(periods[i].known == (i % 2 == 1));
        }
        ck_assert(ephpm_history_due(history, start_ms));
        ck_assert(!ephpm_history_due(history, start_ms + 999));
    }
    free(history);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Queries                                                             */

static const struct {
    const char *query;
    ephpm_status_format_t format;
    unsigned refresh_s;
} queries[] = {
    { NULL, EPHPM_STATUS_HTML, 0 },
    { "", EPHPM_STATUS_HTML, 0 },
    { "&", EPHPM_STATUS_HTML, 0 },
    { "json", EPHPM_STATUS_JSON, 0 },
    { "json=", EPHPM_STATUS_JSON, 0 },
    { "metrics", EPHPM_STATUS_METRICS, 0 },
    { "metrics=", EPHPM_STATUS_METRICS, 0 },
    { "&metrics&", EPHPM_STATUS_METRICS, 0 },
    { "refresh=1", EPHPM_STATUS_HTML, 1 },
    { "refresh=3600", EPHPM_STATUS_HTML, 3600 },
    { "refresh=0", EPHPM_STATUS_BAD_QUERY, 0 },
    { "refresh=3601", EPHPM_STATUS_BAD_QUERY, 0 },
    { "refresh=99999999999999999999", EPHPM_STATUS_BAD_QUERY, 0 },
    { "refresh=", EPHPM_STATUS_BAD_QUERY, 0 },
    { "refresh", EPHPM_STATUS_BAD_QUERY, 0 },
    { "refresh=-5", EPHPM_STATUS_BAD_QUERY, 0 },
    { "refresh=5s", EPHPM_STATUS_BAD_QUERY, 0 },
    { "refresh=5&refresh=6", EPHPM_STATUS_BAD_QUERY, 0 },
    { "refresh=5&json", EPHPM_STATUS_BAD_QUERY, 0 },
    { "json&refresh=5", EPHPM_STATUS_BAD_QUERY, 0 },
    { "json&metrics", EPHPM_STATUS_BAD_QUERY, 0 },
    { "metrics&json", EPHPM_STATUS_BAD_QUERY, 0 },
    { "json=1", EPHPM_STATUS_BAD_QUERY, 0 },
    { "jso", EPHPM_STATUS_BAD_QUERY, 0 },
    { "JSON", EPHPM_STATUS_BAD_QUERY, 0 },
    { "json&x", EPHPM_STATUS_BAD_QUERY, 0 },
    { "x&json", EPHPM_STATUS_BAD_QUERY, 0 },
    { "=", EPHPM_STATUS_BAD_QUERY, 0 },
};

START_TEST(a_query_is_one_of_those_documented)
{
    ephpm_status_query_t asked = ephpm_status_query(queries[_i].query);

    ck_assert_msg(asked.format == queries[_i].format, "%s: %d",
                  queries[_i].query ? queries[_i].query : "none",
                  (int)asked.format);
    if (asked.format != EPHPM_STATUS_BAD_QUERY) {
        ck_assert_uint_eq(asked.refresh_s, queries[_i].refresh_s);
    }
}
END_TEST

/* ------------------------------------------------------------------ */
/* What is written                                                     */

typedef struct page {
    char *text;
    size_t length;
} page_t;

static void append(void *to, const char *text, size_t bytes)
{
    page_t *page = to;

    page->text = realloc(page->text, page->length + bytes + 1);
    ck_assert_ptr_nonnull(page->text);
    memcpy(page->text + page->length, text, bytes);
    page->length += bytes;
    page->text[page->length] = '\0';
}

static void each_extension(const ephpm_status_t *status,
                           void (*pass)(void *to, const char *name,
                                        const char *version), void *to)
{
    (void)status;
    pass(to, "Core", "8.2.0");
    pass(to, "<ext>", NULL);
}

static char *written(const ephpm_status_store_t *stores, size_t count,
                     const char *query)
{
    ephpm_status_t status = {
        .version = "1.2.3", .server = "<server>", .site = "<site>\"",
        .own_store = NULL, .now_s = 1700000000, .restarted_s = 1699990000,
        .stores = stores, .store_count = count,
        .php = { "8.2.0", "<sapi>", NULL, "128M", "30" },
        .opcache = { .state = EPHPM_OPCACHE_OFF },
        .workers = { .limit = 10, .idle = 2, .working = 1, .keepalive = 3 },
        .each_extension = each_extension,
    };
    ephpm_status_query_t asked = ephpm_status_query(query);
    page_t page = { NULL, 0 };

    ck_assert_int_ne(asked.format, EPHPM_STATUS_BAD_QUERY);
    ephpm_status_write(&status, &asked, append, &page);
    ck_assert_ptr_nonnull(page.text);
    ck_assert_uint_eq(strlen(page.text), page.length);
    return page.text;
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in: %s", part,
                  text);
}

static void has_not(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "'%s' is in: %s", part, text);
}

/* What a file of the server's cannot name, another host perhaps can. */
static const char odd[] = "<odd>&\"'\\\n\x01\x7f\xff\xc0\xaf\xed\xa0\x80"
                          "\xe2\x82\xac";
#define FFFD "\xef\xbf\xbd"

static char *odd_store(const char *query)
{
    size_t size_bytes = KV_STORE_MIN_BYTES;
    void *memory = calloc(1, size_bytes);
    ephpm_history_t *history = new_history();
    ephpm_status_store_t store = { odd, NULL, history };
    kv_store_t *handle;
    char *text;

    ck_assert_int_eq(kv_store_create(memory, size_bytes, NULL), KV_OK);
    ck_assert_int_eq(kv_store_attach(memory, size_bytes, &handle), KV_OK);
    store.handle = handle;
    ck_assert_int_eq(kv_value_set(handle, "key", 3, "value", 5, 0,
                                  KV_SET_ALWAYS), KV_OK);
    add(history, ephpm_history_clock(), 0);
    text = written(&store, 1, query);
    kv_store_detach(handle);
    free(history);
    free(memory);
    return text;
}

START_TEST(the_page_escapes_what_it_is_given)
{
    char *page = odd_store(NULL);

    has(page, "Store &lt;odd&gt;&amp;&quot;&#39;\\" FFFD FFFD FFFD FFFD FFFD
              FFFD FFFD FFFD FFFD "\xe2\x82\xac<");
    has(page, "&lt;site&gt;&quot;");
    has(page, "&lt;server&gt;");
    has(page, "&lt;sapi&gt;");
    has(page, "&lt;ext&gt;");
    has_not(page, "<odd");
    has_not(page, "<site");
    has_not(page, "<server");
    has_not(page, "<sapi");
    has_not(page, "<ext");
    free(page);
}
END_TEST

START_TEST(json_escapes_what_it_is_given)
{
    char *json = odd_store("json");

    has(json, "\"name\": \"<odd>&\\\"'\\\\\\n" FFFD FFFD FFFD FFFD FFFD FFFD
              FFFD FFFD "\xe2\x82\xac\"");
    has(json, "\"entries\": 1,");
    has(json, "\"ini_file\": null");
    has(json, "\"<ext>\": null");
    has(json, "\"busy\": 4, \"idle\": 2");
    has(json, "\"site_store\": null");
    free(json);
}
END_TEST

START_TEST(metrics_escape_what_they_are_given)
{
    char *metrics = odd_store("metrics");

    has(metrics, "\nephpm_kv_sets_total{store=\"<odd>&\\\"'\\\\\\n" FFFD FFFD
                 FFFD FFFD FFFD FFFD FFFD FFFD "\xe2\x82\xac\"} 1\n");
    has(metrics, "\nephpm_workers{state=\"keepalive\"} 3\n");
    ck_assert_int_eq(metrics[strlen(metrics) - 1], '\n');
    free(metrics);
}
END_TEST

START_TEST(without_a_store_there_is_a_status)
{
    char *page = written(NULL, 0, NULL);
    char *json = written(NULL, 0, "json");
    char *metrics = written(NULL, 0, "metrics");

    has(page, "No store");
    has(json, "\"stores\": []");
    has_not(metrics, "ephpm_kv_");
    has(metrics, "\nephpm_opcache_enabled 0\n");
    free(page);
    free(json);
    free(metrics);
}
END_TEST

START_TEST(a_store_that_cannot_be_used_is_told_of)
{
    ephpm_status_store_t store = { "lost", NULL, NULL };
    char *page = written(&store, 1, "refresh=7");
    char *json = written(&store, 1, "json");
    char *metrics = written(&store, 1, "metrics");

    has(page, "Store lost cannot be used by the process that answers.");
    has(page, "<meta http-equiv=\"refresh\" content=\"7\"/>");
    has(json, "{\"name\": \"lost\", \"usable\": false}");
    has_not(metrics, "lost");
    free(page);
    free(json);
    free(metrics);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Runners                                                             */

static ephpm_status_t with_runners(const ephpm_status_runners_t *runners)
{
    ephpm_status_t status = {
        .version = "1.2.3", .server = "s", .site = "s", .now_s = 1,
        .php = { "8.2.0", "fpm-fcgi", "/etc/<php>.ini", "128M", "30" },
        .opcache = { .state = EPHPM_OPCACHE_ON, .full = true, .scripts = 12,
                     .jit_on = true, .jit_free_bytes = 99 },
        .runners = runners, .each_extension = each_extension,
    };

    return status;
}

static char *written_status(const ephpm_status_t *status, const char *query)
{
    ephpm_status_query_t asked = ephpm_status_query(query);
    page_t page = { NULL, 0 };

    ephpm_status_write(status, &asked, append, &page);
    return page.text;
}

START_TEST(runners_are_in_all_forms)
{
    ephpm_status_runners_t runners = {
        .limit = 8, .alive = 7, .busy = 3, .queued = 2, .queue_limit = 64,
        .requests = 1234, .crashes = 5, .timeouts = 6, .recycled = 9,
        .slow = 10, .refused = 11, .expired = 12, .queue_us = 12034567
    };
    ephpm_status_t status = with_runners(&runners);
    char *page = written_status(&status, NULL);
    char *json = written_status(&status, "json");
    char *metrics = written_status(&status, "metrics");

    has(page, "<h2>Runners</h2>");
    has(page, "<td>1,234</td>");
    has(page, "<td>2, at most 64</td>");
    has(page, "9.75\xc2\xa0ms");
    has(page, "5 runners have crashed");
    /* Nothing is told of workers. */
    has_not(page, "<h2>Workers</h2>");
    has(json, "\"runners\": {\"failed\": false, \"idle\": 4, "
              "\"queue_wait_seconds\": 12.034567,\n");
    has(json, "\"limit\": 8, \"alive\": 7, \"busy\": 3, \"queued\": 2,\n");
    has(json, "\"expired\": 12}\n}\n");
    has_not(json, "\"workers\"");
    has(metrics, "\nephpm_runners_busy 3\n");
    has(metrics, "\nephpm_runners_idle 4\n");
    has(metrics, "\nephpm_runner_crashes_total 5\n");
    has(metrics, "\nephpm_runner_queue_wait_seconds_total 12.034567\n");
    has_not(metrics, "ephpm_workers");
    free(page);
    free(json);
    free(metrics);
}
END_TEST

START_TEST(runners_that_cannot_be_are_told_of)
{
    ephpm_status_runners_t runners = { .limit = 8, .failed = true };
    ephpm_status_t status = with_runners(&runners);
    char *page, *json;

    status.workers.limit = 3;
    page = written_status(&status, NULL);
    json = written_status(&status, "json");
    has(page, "PHP does not start");
    has(page, "<h2>Workers</h2>");
    has(json, "\"failed\": true");
    has(json, "},\n  \"workers\": {\"limit\": 3,");
    free(page);
    free(json);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Facts on their way                                                  */

START_TEST(facts_come_out_as_they_went_in)
{
    ephpm_status_t status = with_runners(NULL), read;
    char room[EPHPM_FACTS_BYTES];
    size_t bytes = ephpm_facts_pack(&status, room);
    char *was, *is;

    read = status;
    ck_assert(ephpm_facts_unpack(room, bytes, &read));
    was = written_status(&status, "json");
    is = written_status(&read, "json");
    ck_assert_str_eq(is, was);
    has(is, "\"ini_file\": \"/etc/<php>.ini\"");
    has(is, "\"<ext>\": null");
    has(is, "\"state\": \"on\", \"full\": true");
    free(was);
    free(is);
}
END_TEST

START_TEST(facts_that_are_not_there_are_none)
{
    ephpm_status_t status = with_runners(NULL);
    char room[EPHPM_FACTS_BYTES];
    char *json;

    ck_assert(!ephpm_facts_unpack(room, 0, &status));
    json = written_status(&status, "json");
    has(json, "\"version\": \"\", \"sapi\": \"\"");
    has(json, "\"opcache\": {\"state\": \"off\"}");
    has(json, "\"extensions\": {}");
    free(json);
}
END_TEST

/* Many extensions: those that do not fit are left out, whole. */
static void too_many_extensions(const ephpm_status_t *status,
                                void (*pass)(void *to, const char *name,
                                             const char *version), void *to)
{
    char name[100];

    (void)status;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "extension-%d-with-a-long-name", i);
        pass(to, name, "1.2.3");
    }
}

START_TEST(facts_never_leave_their_room)
{
    ephpm_status_t status = with_runners(NULL);
    char packed[EPHPM_FACTS_BYTES], room[EPHPM_FACTS_BYTES];
    uint32_t random = 1;
    size_t bytes;
    char *json;

    status.each_extension = too_many_extensions;
    bytes = ephpm_facts_pack(&status, packed);
    ck_assert_uint_le(bytes, sizeof(packed));
    memcpy(room, packed, sizeof(room));
    ck_assert(ephpm_facts_unpack(room, bytes, &status));
    json = written_status(&status, "json");
    has(json, "\"extension-99-with-a-long-name\": \"1.2.3\"");
    has_not(json, "\"extension-999-with-a-long-name\"");
    free(json);
    /* Whatever a script makes of them, at whatever length. */
    for (unsigned round = 0; round < 2000; round++) {
        char *exact;

        random = random * 1103515245u + 12345u;
        bytes = (random >> 8) % (sizeof(packed) + 1);
        exact = malloc(bytes + 1);
        memcpy(exact, packed, bytes);
        for (unsigned i = 0; bytes > 0 && i < 20; i++) {
            random = random * 1103515245u + 12345u;
            exact[(random >> 8) % bytes] = (char)(random >> 24);
        }
        exact = realloc(exact, bytes > 0 ? bytes : 1);
        ephpm_facts_unpack(exact, bytes, &status);
        json = written_status(&status, "json");
        has(json, "\"extensions\": {");
        free(json);
        free(exact);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tests = tcase_create("status");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, a_sample_is_due_once_a_second);
    tcase_add_test(tests, a_next_sample_that_is_absurdly_far_is_not_waited_for);
    tcase_add_test(tests, a_new_history_knows_nothing);
    tcase_add_test(tests, rates_are_of_the_time_between_samples);
    tcase_add_test(tests, a_period_without_a_sample_is_a_gap);
    tcase_add_test(tests, samples_go_after_an_hour);
    tcase_add_test(tests, what_counts_up_has_no_rate_below_zero);
    tcase_add_test(tests, the_first_periods_of_the_clock_have_no_past);
    tcase_add_test(tests, scribbled_memory_is_a_gap_or_a_wrong_figure);
    tcase_add_loop_test(tests, a_query_is_one_of_those_documented, 0,
                        sizeof(queries) / sizeof(queries[0]));
    tcase_add_test(tests, the_page_escapes_what_it_is_given);
    tcase_add_test(tests, json_escapes_what_it_is_given);
    tcase_add_test(tests, metrics_escape_what_they_are_given);
    tcase_add_test(tests, without_a_store_there_is_a_status);
    tcase_add_test(tests, a_store_that_cannot_be_used_is_told_of);
    tcase_add_test(tests, runners_are_in_all_forms);
    tcase_add_test(tests, runners_that_cannot_be_are_told_of);
    tcase_add_test(tests, facts_come_out_as_they_went_in);
    tcase_add_test(tests, facts_that_are_not_there_are_none);
    tcase_add_test(tests, facts_never_leave_their_room);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
