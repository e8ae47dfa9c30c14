/* resp_random_test.c - random bytes that look like requests, whole and in
 * pieces.
 *
 *   resp_random_test [ROUNDS [SEED]]
 *
 * Each round makes a stream out of good requests, damages some of it, gives it
 * to one connection at once and to another, of a store like the first, in
 * random pieces with random pauses in reading.  Both answer the same, and
 * neither store is damaged.
 */

#include "respt.h"

#define STREAM_MAX 4096

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static size_t put_word(char *to, const char *word, size_t length)
{
    size_t at = (size_t)sprintf(to, "$%zu\r\n", length);

    memcpy(to + at, word, length);
    memcpy(to + at + length, "\r\n", 2);
    return at + length + 2;
}

/* No commands whose answers are of the moment. */
static size_t put_request(char *to)
{
    static const char *const word[] = {
        "GET", "SET", "MGET", "MSET", "APPEND", "INCR", "DEL", "EXISTS",
        "GETSET", "GETDEL", "RENAME", "SCAN", "KEYS", "STRLEN", "SETEX",
        "DELIFEQ", "IFEQ", "NX", "EX", "100", "0", "a", "b", "key:1", "-1",
        "*", "[a-", "PING", "ECHO", "HELLO", "3", "COMMAND", "COUNT", "DOCS",
        "AUTH", "x", "SELECT", "CLIENT", "SETNAME", "TYPE", "", "TTL", "QUIT"
    };
    uint32_t words = sizeof(word) / sizeof(word[0]);
    uint32_t count = 1 + draw(5);
    size_t at;

    if (draw(6) == 0) {
        at = 0;
        for (uint32_t i = 0; i < count; i++) {
            at += (size_t)sprintf(to + at, "%s ", word[draw(words)]);
        }
        return at + (size_t)sprintf(to + at, "\r\n");
    }
    at = (size_t)sprintf(to, "*%u\r\n", count);
    for (uint32_t i = 0; i < count; i++) {
        const char *chosen = word[i == 0 ? draw(16) : draw(words)];

        if (draw(20) == 0) {
            char noise[40];
            size_t length = draw(sizeof(noise));

            for (size_t n = 0; n < length; n++) {
                noise[n] = (char)draw(256);
            }
            at += put_word(to + at, noise, length);
        } else {
            at += put_word(to + at, chosen, strlen(chosen));
        }
    }
    return at;
}

static size_t make_stream(char *stream)
{
    static const char odd[] = "*$\r\n-0129:%\"' \\x";
    size_t length = 0;
    uint32_t damage = draw(4) == 0 ? 1 + draw(6) : 0;

    while (length < STREAM_MAX - 600 && draw(30) != 0) {
        length += put_request(stream + length);
    }
    for (; damage > 0 && length > 1; damage--) {
        size_t at = draw((uint32_t)length);

        switch (draw(3)) {
        case 0:
            stream[at] = odd[draw(sizeof(odd) - 1)];
            break;
        case 1:
            memmove(stream + at, stream + at + 1, length - at - 1);
            length--;
            break;
        default:
            stream[at] = (char)draw(256);
            break;
        }
    }
    return length;
}

/* In a buffer of its own size, so that no look beside it goes unseen. */
static void feed(respt_t *t, const char *bytes, size_t length)
{
    char *copy = malloc(length != 0 ? length : 1);

    memcpy(copy, bytes, length);
    resp_conn_feed(t->conn, copy, length);
    free(copy);
}

static void append(char **text, size_t *length, char *more, size_t count)
{
    *text = realloc(*text, *length + count + 1);
    memcpy(*text + *length, more, count + 1);
    *length += count;
    free(more);
}

static void one_round(respt_t *whole, respt_t *pieces)
{
    char stream[STREAM_MAX];
    size_t length = make_stream(stream);
    char *first;
    char *second = calloc(1, 1);
    size_t first_length;
    size_t second_length = 0;
    size_t count;

    feed(whole, stream, length);
    first = respt_drain(whole, SIZE_MAX, &first_length);
    for (size_t at = 0; at < length; ) {
        size_t piece = 1 + draw(draw(4) == 0 ? 200 : 10);

        piece = piece < length - at ? piece : length - at;
        feed(pieces, stream + at, piece);
        at += piece;
        if (draw(3) == 0) {
            char *more = respt_drain(pieces, 1 + draw(50), &count);

            append(&second, &second_length, more, count);
        }
    }
    {
        char *more = respt_drain(pieces, 100, &count);

        append(&second, &second_length, more, count);
    }
    if (first_length != second_length
        || memcmp(first, second, first_length) != 0
        || resp_conn_state(whole->conn) != resp_conn_state(pieces->conn)) {
        fprintf(stderr, "# whole (%zu): %s\n# pieces (%zu): %s\n",
                first_length, first, second_length, second);
        exit(1);
    }
    free(first);
    free(second);
    if (resp_conn_state(whole->conn) != RESP_READ || draw(10) == 0) {
        respt_again(whole);
        respt_again(pieces);
    }
}

/* The order in which keys are enumerated is each store's own. */
static void copy_store(const respt_t *from, respt_t *to)
{
    kv_store_detach(to->store);
    memcpy(to->memory, from->memory, STORE_BYTES);
    RESPT_MUST(kv_store_attach(to->memory, STORE_BYTES, &to->store) == KV_OK);
}

int main(int argc, char **argv)
{
    static const resp_settings_t settings = { .output_pause_bytes = 300 };
    long rounds = argc > 1 ? atol(argv[1]) : 3000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    respt_t whole;
    respt_t pieces;

    state = seed * 0x9e3779b97f4a7c15u + 1;
    respt_begin(&whole, NULL, NULL);
    respt_begin(&pieces, NULL, NULL);
    resp_conn_close(pieces.conn);
    resp_service_destroy(pieces.service);
    copy_store(&whole, &pieces);
    pieces.service = resp_service_create(pieces.store, &settings);
    pieces.conn = resp_conn_open(pieces.service);
    for (long round = 0; round < rounds; round++) {
        one_round(&whole, &pieces);
    }
    respt_end(&whole);
    respt_end(&pieces);
    printf("1..1\nok 1 - %ld streams, seed %llu\n", rounds,
           (unsigned long long)seed);
    return 0;
}
