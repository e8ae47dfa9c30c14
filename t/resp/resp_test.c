/* resp_test.c - what a client may send, and what comes back.  What the
 * commands answer is compared with Redis's own answers in differential.t.
 */

#include "respt.h"

#include <check.h>
#include <malloc.h>

static respt_t t;

static void begin(void)
{
    respt_begin(&t, NULL, NULL);
}

static void end(void)
{
    respt_end(&t);
}

START_TEST(requests_come_in_any_pieces)
{
    static const char text[] =
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nv\r\n v\r\n"
        "PING\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\n*0\r\n\r\nget k\n"
        "*1\r\n$4\r\nPING\r\n";
    static const char wanted[] =
        "+OK\r\n+PONG\r\n$5\r\nv\r\n v\r\n$5\r\nv\r\n v\r\n+PONG\r\n";

    for (size_t piece = 1; piece < sizeof(text); piece++) {
        char *answer;
        size_t length;

        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            size_t left = sizeof(text) - 1 - at;
            char *copy = malloc(piece);
            size_t count = left < piece ? left : piece;

            /* Of its own, so that nobody looks beside it. */
            memcpy(copy, text + at, count);
            ck_assert_int_eq(resp_conn_feed(t.conn, copy, count), RESP_READ);
            free(copy);
        }
        answer = respt_drain(&t, 7, &length);
        ck_assert_str_eq(answer, wanted);
        free(answer);
    }
}
END_TEST

static void refused(const char *request, const char *what)
{
    char wanted[128];
    const char *bytes;
    size_t length;

    respt_again(&t);
    resp_conn_feed(t.conn, request, strlen(request));
    ck_assert_int_eq(resp_conn_state(t.conn), RESP_CLOSING);
    length = resp_conn_output(t.conn, &bytes);
    snprintf(wanted, sizeof(wanted), "-ERR Protocol error: %s\r\n", what);
    ck_assert_uint_eq(length, strlen(wanted));
    ck_assert_int_eq(memcmp(bytes, wanted, length), 0);
    /* And nothing more is taken. */
    ck_assert_int_eq(resp_conn_feed(t.conn, "PING\r\n", 6), RESP_CLOSING);
    ck_assert_uint_eq(resp_conn_output(t.conn, &bytes), length);
    ck_assert_int_eq(resp_conn_sent(t.conn, length), RESP_CLOSING);
}

START_TEST(lengths_are_checked)
{
    resp_stats_t stats;

    refused("*2\r\n$3\r\nGET\r\n$1073741824\r\n", "invalid bulk length");
    refused("*1\r\n$99999999999999999999\r\n", "invalid bulk length");
    refused("*1\r\n$-1\r\n", "invalid bulk length");
    refused("*1\r\n$ 1\r\n", "invalid bulk length");
    refused("*1\r\n$1\n", "invalid bulk length");
    refused("*1\r\n$00000000000000000000000000000001\r\n",
            "invalid bulk length");
    refused("*2\r\n*1\r\n", "expected '$', got '*'");
    refused("*2\r\n%1\r\n", "expected '$', got '%'");
    refused("*2\r\n:1\r\n", "expected '$', got ':'");
    refused("*2\r\n\r\n", "expected '$', got ' '");
    refused("*1048577\r\n", "invalid multibulk length");
    refused("*2147483648\r\n", "invalid multibulk length");
    refused("*1 \r\n", "invalid multibulk length");
    refused("*11111111111111111111111111111111111111111",
            "invalid multibulk length");
    resp_service_stats(t.service, &stats);
    ck_assert_uint_eq(stats.protocol_errors, 14);
}
END_TEST

START_TEST(a_request_is_bounded_in_all)
{
    /* Each piece is fine; their number is not. */
    char piece[1024];
    size_t fed = 0;
    size_t limit = 2 * kv_store_value_max(t.store) + ((size_t)2 << 20);

    resp_conn_feed(t.conn, "*1000000\r\n", 10);
    memset(piece, 'x', sizeof(piece));
    memcpy(piece, "$1015\r\n", 7);
    memcpy(piece + sizeof(piece) - 2, "\r\n", 2);
    while (resp_conn_state(t.conn) == RESP_READ && fed < 4 * limit) {
        resp_conn_feed(t.conn, piece, sizeof(piece));
        fed += sizeof(piece);
    }
    ck_assert_int_eq(resp_conn_state(t.conn), RESP_CLOSING);
    ck_assert_uint_lt(fed, limit);
}
END_TEST

static void set_value(const char *key, size_t bytes)
{
    char *value = malloc(bytes);

    memset(value, 'v', bytes);
    ck_assert_int_eq(kv_value_set(t.store, key, strlen(key), value, bytes,
                                  KV_NO_TTL, KV_SET_ALWAYS), KV_OK);
    free(value);
}

START_TEST(who_does_not_read_is_not_read)
{
    static const resp_settings_t settings = { .output_pause_bytes = 1000 };
    char request[] = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    size_t most = 0;
    size_t answered = 0;
    size_t count = 1000;
    const char *bytes;
    size_t length;

    respt_end(&t);
    respt_begin(&t, &settings, NULL);
    set_value("k", 100);
    for (size_t i = 0; i < count; i++) {
        /* A server would stop here; what comes all the same is kept. */
        resp_conn_feed(t.conn, request, sizeof(request) - 1);
    }
    ck_assert_int_eq(resp_conn_state(t.conn), RESP_PAUSED);
    while ((length = resp_conn_output(t.conn, &bytes)) != 0) {
        size_t taken = length < 333 ? length : 333;

        most = length > most ? length : most;
        answered += taken;
        resp_conn_sent(t.conn, taken);
    }
    ck_assert_int_eq(resp_conn_state(t.conn), RESP_READ);
    ck_assert_uint_eq(answered, count * (sizeof("$100\r\n\r\n") - 1 + 100));
    ck_assert_uint_le(most, 1000 + 108);
}
END_TEST

START_TEST(an_answer_is_bounded)
{
    static const resp_settings_t settings = { .output_max_bytes = 100000 };
    resp_stats_t stats;

    respt_end(&t);
    respt_begin(&t, &settings, NULL);
    set_value("k", 40000);
    resp_conn_feed(t.conn, "MGET k k\r\n", 10);
    ck_assert_int_eq(resp_conn_state(t.conn), RESP_READ);
    respt_again(&t);
    ck_assert_int_eq(resp_conn_feed(t.conn, "MGET k k k\r\n", 12), RESP_DROP);
    resp_service_stats(t.service, &stats);
    ck_assert_uint_eq(stats.drops, 1);
    /* What a store can hold goes through. */
    respt_end(&t);
    respt_begin(&t, NULL, NULL);
    set_value("k", kv_store_value_max(t.store));
    ck_assert_int_ne(resp_conn_feed(t.conn, "GET k\r\n", 7), RESP_DROP);
}
END_TEST

START_TEST(a_password)
{
    static const resp_settings_t settings = {
        .password = "open\0sesame", .password_bytes = 11
    };
    static const char wrong[] =
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    resp_stats_t stats;
    const char *bytes;

    respt_end(&t);
    respt_begin(&t, &settings, NULL);
    respt_is(&t, "PING\r\n", "-NOAUTH Authentication required.\r\n");
    respt_is(&t, "SET k v\r\n", "-NOAUTH Authentication required.\r\n");
    ck_assert_int_eq(kv_key_exists(t.store, "k", 1), KV_MISSING);
    for (int i = 0; i < 1000; i++) {
        respt_is(&t, i % 2 ? "AUTH \"open\\x00sesamE\"\r\n" : "AUTH open\r\n",
                 wrong);
    }
    respt_is(&t, "AUTH \"\"\r\n", wrong);
    respt_is(&t, "AUTH \"open\\x00sesameopen\\x00sesame\"\r\n", wrong);
    respt_is(&t, "AUTH root \"open\\x00sesame\"\r\n", wrong);
    respt_is(&t, "HELLO 3 AUTH default open\r\n", wrong);
    respt_is(&t, "PING\r\n", "-NOAUTH Authentication required.\r\n");
    resp_service_stats(t.service, &stats);
    ck_assert_uint_eq(stats.auth_failures, 1004);
    refused("*11\r\n", "unauthenticated multibulk length");
    refused("*2\r\n$4\r\nAUTH\r\n$16385\r\n",
            "unauthenticated bulk length");
    respt_again(&t);
    respt_is(&t, "AUTH \"open\\x00sesame\"\r\nPING\r\n", "+OK\r\n+PONG\r\n");
    respt_again(&t);
    respt_is(&t, "AUTH default \"open\\x00sesame\"\r\n", "+OK\r\n");
    respt_again(&t);
    resp_conn_feed(t.conn, "HELLO 3 AUTH default \"open\\x00sesame\"\r\n", 39);
    ck_assert_uint_gt(resp_conn_output(t.conn, &bytes), 2);
    ck_assert_int_eq(memcmp(bytes, "%7", 2), 0);
}
END_TEST

START_TEST(a_full_store)
{
    char request[300];

    respt_end(&t);
    respt_begin(&t, NULL, "eviction=noeviction");
    for (int i = 0; ; i++) {
        const char *bytes;
        size_t length;

        ck_assert_int_lt(i, 100000);
        snprintf(request, sizeof(request), "SET key:%d %0250d\r\n", i, 0);
        resp_conn_feed(t.conn, request, strlen(request));
        length = resp_conn_output(t.conn, &bytes);
        if (memcmp(bytes, "+OK\r\n", 5) != 0) {
            ck_assert_int_eq(memcmp(bytes, "-OOM ", 5), 0);
            resp_conn_sent(t.conn, length);
            break;
        }
        resp_conn_sent(t.conn, length);
    }
    respt_is(&t, "DEL key:0\r\n", ":1\r\n");
}
END_TEST

START_TEST(what_a_store_cannot_hold)
{
    size_t bytes = kv_store_value_max(t.store) + 1;
    char *value = malloc(bytes + 1);
    char header[80];

    memset(value, 'v', bytes);
    value[bytes] = '\0';
    snprintf(header, sizeof(header), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n",
             bytes);
    resp_conn_feed(t.conn, header, strlen(header));
    resp_conn_feed(t.conn, value, bytes);
    respt_is(&t, "\r\n", "-ERR string exceeds maximum allowed size "
                         "(proto-max-bulk-len)\r\n");
    memset(value, 'k', 65536);
    snprintf(header, sizeof(header), "*2\r\n$3\r\nGET\r\n$65536\r\n");
    resp_conn_feed(t.conn, header, strlen(header));
    resp_conn_feed(t.conn, value, 65536);
    respt_is(&t, "\r\n", "$-1\r\n");
    snprintf(header, sizeof(header), "*3\r\n$3\r\nSET\r\n$65536\r\n");
    resp_conn_feed(t.conn, header, strlen(header));
    resp_conn_feed(t.conn, value, 65536);
    respt_is(&t, "\r\n$1\r\nv\r\n", "-ERR a key has 1 to 65535 bytes\r\n");
    respt_is(&t, "SET \"\" v\r\n", "-ERR a key has 1 to 65535 bytes\r\n");
    free(value);
}
END_TEST

/* SET ... IFEQ has two values, each as long as can be; no argument is longer
 * than that. */
START_TEST(two_large_values)
{
    size_t bytes = kv_store_value_max(t.store);
    char *value = malloc(bytes + 1);
    char header[80];

    set_value("k", bytes);
    memset(value, 'v', bytes);
    value[bytes] = '\0';
    snprintf(header, sizeof(header), "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n",
             bytes);
    resp_conn_feed(t.conn, header, strlen(header));
    resp_conn_feed(t.conn, value, bytes);
    snprintf(header, sizeof(header), "\r\n$4\r\nIFEQ\r\n$%zu\r\n", bytes);
    resp_conn_feed(t.conn, header, strlen(header));
    resp_conn_feed(t.conn, value, bytes);
    respt_is(&t, "\r\n", "+OK\r\n");
    free(value);
    snprintf(header, sizeof(header), "*2\r\n$4\r\nECHO\r\n$%zu\r\n",
             bytes + ((size_t)1 << 20) + 1);
    respt_is(&t, header, "-ERR Protocol error: invalid bulk length\r\n");
    ck_assert_int_eq(resp_conn_state(t.conn), RESP_CLOSING);
}
END_TEST

START_TEST(the_figures_of_the_store)
{
    char wanted[64];
    size_t length;
    char *answer;

    set_value("k", 100);
    resp_conn_feed(t.conn, "INFO ephpm\r\n", 12);
    answer = respt_drain(&t, SIZE_MAX, &length);
    ck_assert_ptr_nonnull(strstr(answer, "\r\n# Ephpm\r\n"));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nephpm_entries:1\r\n"));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nephpm_sets:1\r\n"));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nephpm_wait_limit_ms:2000\r\n"));
    snprintf(wanted, sizeof(wanted), "\r\nephpm_value_max_bytes:%zu\r\n",
             kv_store_value_max(t.store));
    ck_assert_ptr_nonnull(strstr(answer, wanted));
    free(answer);
    /* All sections fit. */
    resp_conn_feed(t.conn, "INFO\r\n", 6);
    answer = respt_drain(&t, SIZE_MAX, &length);
    ck_assert_ptr_nonnull(strstr(answer, "\r\nephpm_wait_limit_ms:2000\r\n"));
    free(answer);
}
END_TEST

START_TEST(resp3)
{
    respt_is(&t, "GET k\r\n", "$-1\r\n");
    respt_is(&t, "COMMAND DOCS\r\n", "*0\r\n");
    resp_conn_feed(t.conn, "HELLO 3\r\n", 9);
    {
        size_t length;
        char *answer = respt_drain(&t, SIZE_MAX, &length);

        ck_assert_ptr_nonnull(strstr(answer, "$5\r\nproto\r\n:3\r\n"));
        free(answer);
    }
    respt_is(&t, "GET k\r\n", "_\r\n");
    respt_is(&t, "MGET k k\r\n", "*2\r\n_\r\n_\r\n");
    respt_is(&t, "COMMAND DOCS\r\n", "%0\r\n");
    respt_is(&t, "INFO cluster\r\n",
             "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
    respt_is(&t, "CLIENT SETINFO LIB-NAME test\r\n", "+OK\r\n");
}
END_TEST

START_TEST(quitting)
{
    respt_is(&t, "QUIT\r\nSET k v\r\n", "+OK\r\n");
    ck_assert_int_eq(resp_conn_state(t.conn), RESP_CLOSING);
    ck_assert_int_eq(kv_key_exists(t.store, "k", 1), KV_MISSING);
}
END_TEST

/* In linear time, or this does not end. */
START_TEST(patterns_that_go_back)
{
    char key[2001];

    memset(key, 'a', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    set_value(key, 1);
    respt_is(&t, "KEYS *a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b\r\n",
             "*0\r\n");
}
END_TEST

/* Every character of the key is compared with all of the pattern's. */
START_TEST(patterns_without_end)
{
    static const char refusal[] =
        "-ERR the pattern takes too long to match\r\n";
    size_t bytes = (size_t)1 << 20;
    char *request = malloc(bytes + 100);
    char key[60001];
    int head;

    memset(key, 'b', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    set_value(key, 1);
    set_value("a-key", 1);
    head = sprintf(request, "*2\r\n$4\r\nKEYS\r\n$%zu\r\n*[", bytes + 2);
    memset(request + head, 'a', bytes);
    strcpy(request + head + bytes, "\r\n");
    respt_is(&t, request, refusal);
    head = sprintf(request, "*4\r\n$4\r\nSCAN\r\n$1\r\n0\r\n$5\r\nMATCH\r\n"
                            "$%zu\r\n*", (size_t)60001);
    memset(request + head, 'b', 59999);
    strcpy(request + head + 59999, "a\r\n");
    /* One pass over the key, and it cannot match further on. */
    {
        char *answer;
        size_t length;

        resp_conn_feed(t.conn, request, strlen(request));
        answer = respt_drain(&t, SIZE_MAX, &length);
        ck_assert_ptr_nonnull(strstr(answer, "*0\r\n"));
        free(answer);
    }
    respt_is(&t, "KEYS *-*\r\n", "*1\r\n$5\r\na-key\r\n");
    free(request);
}
END_TEST

/* What comes at once is run in turns, if the server wants that. */
START_TEST(turns)
{
    static const char request[] = "KEYS x*\r\n";
    enum { COUNT = 400 };
    char *text = malloc(COUNT * sizeof(request));
    resp_state_t state;
    size_t answered = 0;
    size_t length;
    int more = 0;

    for (size_t i = 0; i < 4000; i++) {
        char key[20];

        snprintf(key, sizeof(key), "key:%zu", i);
        set_value(key, 8);
    }
    for (size_t i = 0; i < COUNT; i++) {
        memcpy(text + i * (sizeof(request) - 1), request,
               sizeof(request) - 1);
    }
    ck_assert_int_eq(resp_conn_feed(t.conn, text,
                                    COUNT * (sizeof(request) - 1)),
                     RESP_READ);
    free(respt_drain(&t, SIZE_MAX, &length));
    ck_assert_uint_eq(length, COUNT * 4);
    resp_service_set_turn(t.service, 1);
    state = resp_conn_feed(t.conn, text, COUNT * (sizeof(request) - 1));
    ck_assert_int_eq(state, RESP_MORE);
    while (state == RESP_MORE) {
        const char *bytes;

        more++;
        length = resp_conn_output(t.conn, &bytes);
        answered += length;
        state = resp_conn_sent(t.conn, length);
    }
    ck_assert_int_eq(state, RESP_READ);
    free(respt_drain(&t, SIZE_MAX, &length));
    ck_assert_uint_eq(answered + length, COUNT * 4);
    ck_assert_int_ge(more, 2);
    free(text);
}
END_TEST

/* `bytes` of a value that is never whole. */
static resp_state_t feed_half(resp_conn_t *conn, size_t bytes)
{
    char *half = calloc(1, bytes);
    char header[80];
    resp_state_t state;

    snprintf(header, sizeof(header), "*3\r\n$3\r\nSET\r\n$1\r\nh\r\n$%zu\r\n",
             bytes + 100);
    resp_conn_feed(conn, header, strlen(header));
    state = resp_conn_feed(conn, half, bytes);
    free(half);
    return state;
}

START_TEST(buffers_are_bounded_in_all)
{
    static const resp_settings_t settings = {
        .buffers_max_bytes = (size_t)2 << 20
    };
    resp_conn_t *many[8];
    resp_stats_t stats;
    size_t lost = 0;

    respt_end(&t);
    respt_begin(&t, &settings, NULL);
    /* Alone it may have all of them. */
    ck_assert_int_eq(feed_half(t.conn, 1900000), RESP_READ);
    for (size_t i = 0; i < 8; i++) {
        many[i] = resp_conn_open(t.service);
        ck_assert_ptr_nonnull(many[i]);
        lost += feed_half(many[i], 500000) == RESP_DROP;
    }
    ck_assert_uint_ge(lost, 5);
    resp_service_stats(t.service, &stats);
    ck_assert_uint_eq(stats.drops, lost);
    /* Little is always possible, and what was lost is free again. */
    respt_again(&t);
    respt_is(&t, "SET k v\r\n", "+OK\r\n");
    for (size_t i = 0; i < 8; i++) {
        resp_conn_close(many[i]);
    }
    ck_assert_int_eq(feed_half(t.conn, 1900000), RESP_READ);
}
END_TEST

static size_t in_use(void)
{
    struct mallinfo2 all = mallinfo2();

    return all.uordblks + all.hblkhd;
}

/* Nothing of a large request is kept by one that is idle after it. */
START_TEST(who_is_idle_holds_little)
{
    enum { BYTES = 1000000 };
    char *value = malloc(BYTES + 1);
    char header[80];
    resp_conn_t *many[16];
    size_t before;
    size_t after;

    memset(value, 'v', BYTES);
    snprintf(header, sizeof(header), "*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$%d\r\n",
             BYTES);
    before = in_use();
    for (size_t i = 0; i < 16; i++) {
        const char *bytes;
        size_t length;

        many[i] = resp_conn_open(t.service);
        resp_conn_feed(many[i], "DEL k\r\n", 7);
        resp_conn_feed(many[i], header, strlen(header));
        resp_conn_feed(many[i], value, BYTES);
        ck_assert_int_eq(resp_conn_feed(many[i], "\r\nGET k\r\n", 9),
                         RESP_PAUSED);
        length = resp_conn_output(many[i], &bytes);
        ck_assert_uint_gt(length, BYTES);
        ck_assert_int_eq(resp_conn_sent(many[i], length), RESP_READ);
    }
    after = in_use();
    ck_assert_uint_lt(after - before, 16 * 100000);
    for (size_t i = 0; i < 16; i++) {
        resp_conn_close(many[i]);
    }
    free(value);
}
END_TEST

/* A key that is there and cannot be read: no command goes on for ever. */
START_TEST(bytes_that_are_damaged)
{
    static const char key[] = "the-only-key-of-that-name";
    static const char damaged[] =
        "-BUSY the value changes all the time, or its bytes are damaged\r\n";
    char request[100];
    char value[2000];
    char *at;

    respt_end(&t);
    respt_begin(&t, NULL, "compression=zstd");
    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(kv_value_set(t.store, key, strlen(key), value,
                                  sizeof(value), KV_NO_TTL, KV_SET_ALWAYS),
                     KV_OK);
    at = memmem(t.memory, STORE_BYTES, key, strlen(key));
    ck_assert_ptr_nonnull(at);
    memset(at + strlen(key), 0xff, 8);
    snprintf(request, sizeof(request), "GET %s\r\n", key);
    respt_is(&t, request, "$-1\r\n");
    snprintf(request, sizeof(request), "GETSET %s v\r\n", key);
    respt_is(&t, request, damaged);
    snprintf(request, sizeof(request), "APPEND %s v\r\n", key);
    respt_is(&t, request, damaged);
    snprintf(request, sizeof(request), "RENAME %s other\r\n", key);
    respt_is(&t, request, "-ERR no such key\r\n");
    snprintf(request, sizeof(request), "SET %s v\r\n", key);
    respt_is(&t, request, "+OK\r\n");
    snprintf(request, sizeof(request), "GETSET %s w\r\n", key);
    respt_is(&t, request, "$1\r\nv\r\n");
}
END_TEST

START_TEST(statistics)
{
    resp_stats_t stats;

    respt_is(&t, "SET k v\r\n", "+OK\r\n");
    respt_is(&t, "INCR k\r\n",
             "-ERR value is not an integer or out of range\r\n");
    resp_service_stats(t.service, &stats);
    ck_assert_uint_eq(stats.connections, 1);
    ck_assert_uint_eq(stats.clients, 1);
    ck_assert_uint_eq(stats.commands, 2);
    ck_assert_uint_eq(stats.errors, 1);
    ck_assert_uint_eq(stats.input_bytes, 17);
    ck_assert_uint_eq(stats.output_bytes, 51);
    respt_again(&t);
    resp_service_stats(t.service, &stats);
    ck_assert_uint_eq(stats.connections, 2);
    ck_assert_uint_eq(stats.clients, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resp");
    TCase *tests = tcase_create("requests");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, requests_come_in_any_pieces);
    tcase_add_test(tests, lengths_are_checked);
    tcase_add_test(tests, a_request_is_bounded_in_all);
    tcase_add_test(tests, who_does_not_read_is_not_read);
    tcase_add_test(tests, an_answer_is_bounded);
    tcase_add_test(tests, a_password);
    tcase_add_test(tests, a_full_store);
    tcase_add_test(tests, what_a_store_cannot_hold);
    tcase_add_test(tests, two_large_values);
    tcase_add_test(tests, the_figures_of_the_store);
    tcase_add_test(tests, resp3);
    tcase_add_test(tests, quitting);
    tcase_add_test(tests, patterns_that_go_back);
    tcase_add_test(tests, patterns_without_end);
    tcase_add_test(tests, turns);
    tcase_add_test(tests, buffers_are_bounded_in_all);
    tcase_add_test(tests, who_is_idle_holds_little);
    tcase_add_test(tests, bytes_that_are_damaged);
    tcase_add_test(tests, statistics);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
