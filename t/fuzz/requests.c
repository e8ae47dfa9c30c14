/* requests.c - see requests.h. */

#include "requests.h"

#include "resp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STORE_BYTES ((size_t)256 << 10)

typedef struct side {
    unsigned char *memory;
    kv_store_t *store;
    resp_service_t *service;
    resp_conn_t *conn;
    char *answer;
    size_t answer_bytes;
    size_t answer_room;
} side_t;

static side_t sides[2];
static unsigned char *pristine;

static void die(const char *what)
{
    fprintf(stderr, "requests: %s\n", what);
    abort();
}

static void fill(kv_store_t *store)
{
    static char value[30000];
    int64_t sum;
    char name[16];

    for (unsigned i = 0; i < 40; i++) {
        int length = snprintf(name, sizeof(name), "key:%u", i);

        memset(value, (int)('a' + i % 26), i * 20);
        kv_value_set(store, name, (size_t)length, value, i * 20,
                     i % 4 == 1 ? 1000000000 : 0, KV_SET_ALWAYS);
    }
    for (size_t i = 0; i < sizeof(value); i++) {
        value[i] = (char)(i * 2654435761u >> 13);
    }
    kv_value_set(store, "long", 4, value, sizeof(value), 0, KV_SET_ALWAYS);
    kv_counter_add(store, "n", 1, 41, &sum);
    kv_value_set(store, "a", 1, "1", 1, 0, KV_SET_ALWAYS);
    kv_value_set(store, "b", 1, "", 0, 0, KV_SET_ALWAYS);
    if (kv_store_check(store) != NULL) {
        die(kv_store_check(store));
    }
}

static void attach(side_t *side)
{
    if (kv_store_attach(side->memory, STORE_BYTES, &side->store) != KV_OK) {
        die("no store");
    }
}

static void keep(side_t *side, const char *bytes, size_t length)
{
    if (side->answer_room - side->answer_bytes <= length) {
        side->answer_room = 2 * (side->answer_bytes + length + 1);
        side->answer = realloc(side->answer, side->answer_room);
        if (side->answer == NULL) {
            die("no memory");
        }
    }
    memcpy(side->answer + side->answer_bytes, bytes, length);
    side->answer_bytes += length;
}

void requests_setup(void)
{
    kv_config_t config;

    for (int i = 0; i < 2; i++) {
        keep(&sides[i], "", 0);
        sides[i].memory = mmap(NULL, STORE_BYTES, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (sides[i].memory == MAP_FAILED) {
            die("no memory");
        }
    }
    kv_config_init(&config);
    config.segment_bytes = 8192;
    config.shards = 2;
    config.threads_max = 4;
    config.compression = KV_COMPRESS_ZSTD;
    config.min_compress_bytes = 500;
    pristine = malloc(STORE_BYTES);
    if (pristine == NULL || kv_store_create(sides[0].memory, STORE_BYTES,
                                            &config) != KV_OK) {
        die("no store");
    }
    attach(&sides[0]);
    fill(sides[0].store);
    kv_store_detach(sides[0].store);
    memcpy(pristine, sides[0].memory, STORE_BYTES);
}

static void begin(side_t *side, const resp_settings_t *settings)
{
    memcpy(side->memory, pristine, STORE_BYTES);
    attach(side);
    side->service = resp_service_create(side->store, settings);
    side->conn = side->service != NULL ? resp_conn_open(side->service) : NULL;
    if (side->conn == NULL) {
        die("no memory");
    }
    side->answer_bytes = 0;
}

static void end(side_t *side)
{
    const char *broken = kv_store_check(side->store);

    if (broken != NULL) {
        die(broken);
    }
    resp_conn_close(side->conn);
    resp_service_destroy(side->service);
    kv_store_detach(side->store);
}

/* In a buffer of its own size, so that no look beside it goes unseen. */
static void feed(side_t *side, const uint8_t *bytes, size_t length)
{
    char *copy = malloc(length != 0 ? length : 1);

    if (copy == NULL) {
        die("no memory");
    }
    if (length != 0) {
        memcpy(copy, bytes, length);
    }
    resp_conn_feed(side->conn, copy, length);
    free(copy);
}

/* Take what there is, some bytes at a time, and have the rest run. */
static void drain(side_t *side, size_t most)
{
    for (;;) {
        const char *bytes;
        size_t length = resp_conn_output(side->conn, &bytes);
        resp_state_t state = resp_conn_state(side->conn);

        if (state == RESP_DROP || (length == 0 && state != RESP_MORE)) {
            if (state == RESP_PAUSED) {
                die("paused with nothing to send");
            }
            break;
        }
        length = length < most ? length : most;
        if (length != 0) {
            keep(side, bytes, length);
        }
        resp_conn_sent(side->conn, length);
    }
}

/* ------------------------------------------------------------------ */
/* What was answered                                                   */

/* The number after the first letter; the line is taken. */
static long long header(const char **at, const char *end)
{
    const char *line = *at + 1;
    const char *stop = memchr(line, '\r', (size_t)(end - line));
    char *rest;
    long long number;

    if (stop == NULL || stop == line || stop + 1 == end || stop[1] != '\n') {
        die("a header that does not end");
    }
    number = strtoll(line, &rest, 10);
    if (rest != stop) {
        die("a header that is no number");
    }
    *at = stop + 2;
    return number;
}

static void skip_text(const char **at, const char *end, long long length)
{
    if (length < 0 || length > end - *at - 2
        || memcmp(*at + length, "\r\n", 2) != 0) {
        die("a string of another length");
    }
    *at += length + 2;
}

/* One reply, or what is in one. */
static void skip_reply(const char **at, const char *end, int depth)
{
    char kind = **at;
    long long number;

    if (depth > 4) {
        die("replies too deep in each other");
    }
    switch (kind) {
    case '+':
    case '-':
        *at = memchr(*at, '\r', (size_t)(end - *at));
        if (*at == NULL || *at + 1 == end || (*at)[1] != '\n') {
            die("a line that does not end");
        }
        *at += 2;
        break;
    case '_':
        if (end - *at < 3 || memcmp(*at, "_\r\n", 3) != 0) {
            die("a null that is none");
        }
        *at += 3;
        break;
    case ':':
        (void)header(at, end);
        break;
    case '$':
    case '=':
        number = header(at, end);
        if (number != -1 || kind == '=') {
            skip_text(at, end, number);
        }
        break;
    case '*':
    case '%':
        number = header(at, end);
        if (number < 0) {
            die("an array of no length");
        }
        for (number *= kind == '%' ? 2 : 1; number > 0; number--) {
            if (*at == end) {
                die("an array that does not end");
            }
            skip_reply(at, end, depth + 1);
        }
        break;
    default:
        die("no reply at all");
    }
}

static void read_answer(const side_t *side, requests_result_t *result)
{
    const char *at = side->answer;
    const char *end = at + side->answer_bytes;

    while (at < end) {
        result->errors += *at == '-';
        result->replies++;
        skip_reply(&at, end, 0);
    }
}

/* ------------------------------------------------------------------ */
/* One input                                                           */

static bool contains(const uint8_t *bytes, size_t length, const char *word)
{
    size_t letters = strlen(word);

    for (size_t at = 0; at + letters <= length; at++) {
        size_t same = 0;

        while (same < letters
               && (bytes[at + same] | 0x20) == (unsigned char)word[same]) {
            same++;
        }
        if (same == letters) {
            return true;
        }
    }
    return false;
}

/* Times and their ends, and how much came and went. */
static bool is_of_the_moment(const uint8_t *stream, size_t length)
{
    static const char *const word[] = { "time", "ttl", "ex", "px", "info" };

    for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++) {
        if (contains(stream, length, word[i])) {
            return true;
        }
    }
    return false;
}

static void in_pieces(side_t *side, const uint8_t *stream, size_t length,
                      unsigned cut)
{
    unsigned state = cut * 2654435761u + 1;

    for (size_t at = 0; at < length; ) {
        size_t piece;

        state = state * 1103515245u + 12345u;
        piece = 1 + (state >> 16) % ((cut & 1) != 0 ? 7 : 90);
        piece = piece < length - at ? piece : length - at;
        feed(side, stream + at, piece);
        at += piece;
        if ((state >> 28) % 3 == 0) {
            drain(side, 1 + (state >> 20) % 50);
        }
    }
    drain(side, 100);
}

static void is_unchanged(const side_t *side, const kv_stats_t *before)
{
    kv_stats_t after;

    kv_store_stats(side->store, &after);
    if (after.sets != before->sets || after.deletes != before->deletes
        || after.entries != before->entries || after.hits != before->hits) {
        die("a stranger was let in");
    }
}

requests_result_t requests_run(const uint8_t *input, size_t bytes)
{
    unsigned how = bytes > 0 ? input[0] : 0;
    unsigned cut = bytes > 1 ? input[1] : 0;
    const uint8_t *stream = input + 2;
    size_t length = bytes > 2 ? bytes - 2 : 0;
    resp_settings_t settings = { .name = "fuzz" };
    requests_result_t result = { 0 };
    kv_stats_t before;

    if ((how & 8) != 0) {
        settings.password = REQUESTS_PASSWORD;
        settings.password_bytes = strlen(REQUESTS_PASSWORD);
    }
    begin(&sides[0], &settings);
    settings.output_pause_bytes = (how & 2) != 0 ? 100 : 0;
    settings.output_max_bytes = (how & 4) != 0 ? 5000 : 0;
    settings.buffers_max_bytes = (how & 4) != 0 ? 1000 : 0;
    begin(&sides[1], &settings);
    resp_service_set_turn(sides[1].service, how & 1);
    kv_store_stats(sides[0].store, &before);
    feed(&sides[0], stream, length);
    drain(&sides[0], SIZE_MAX);
    in_pieces(&sides[1], stream, length, cut);
    read_answer(&sides[0], &result);
    if (resp_conn_state(sides[1].conn) != RESP_DROP) {
        requests_result_t second = { 0 };

        read_answer(&sides[1], &second);
    }
    result.closed = resp_conn_state(sides[0].conn) != RESP_READ;
    result.compared = (how & 4) == 0 && !is_of_the_moment(stream, length);
    if (result.compared
        && (sides[0].answer_bytes != sides[1].answer_bytes
            || memcmp(sides[0].answer, sides[1].answer,
                      sides[0].answer_bytes) != 0
            || resp_conn_state(sides[0].conn)
                != resp_conn_state(sides[1].conn))) {
        fprintf(stderr, "whole:  %.*s\npieces: %.*s\n",
                (int)sides[0].answer_bytes, sides[0].answer,
                (int)sides[1].answer_bytes, sides[1].answer);
        die("another answer in pieces");
    }
    if ((how & 8) != 0 && !contains(stream, length, REQUESTS_PASSWORD)) {
        is_unchanged(&sides[0], &before);
        is_unchanged(&sides[1], &before);
    }
    end(&sides[0]);
    end(&sides[1]);
    return result;
}
