/* requests_test.c - streams by the thousand, from a seeded random number
 * generator that changes good ones.
 *
 *   requests_test [SECONDS [SEED]]
 */

#include "requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STREAM_MAX 2000

static uint64_t state;

static size_t draw(size_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state >> 20) % below;
}

/* Whole requests, one after another, are what is changed.  The last ones have
 * answers of the moment, which are not compared. */
#define MOMENTARY 8
static const char *const seed[] = {
    "*1\r\n$4\r\nPING\r\n", "PING\r\n", "*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nv\r\n v\r\n",
    "SET k v KEEPTTL NX GET\r\n", "SET k v GET\r\n", "SET n v XX\r\n",
    "SET a 2 IFEQ 1\r\n", "DELIFEQ a 2\r\n", "MGET a b n key:1 long none\r\n",
    "MSET k 1 l 2 m 3\r\n", "*3\r\n$6\r\nAPPEND\r\n$1\r\nb\r\n$0\r\n\r\n",
    "APPEND long x\r\n", "INCR n\r\n", "DECRBY n 9223372036854775807\r\n",
    "INCRBY b -1\r\n", "GETSET long short\r\n", "GETDEL key:3\r\n",
    "STRLEN long\r\n", "DEL a b n none\r\n", "UNLINK key:1 key:2\r\n",
    "RENAME long other\r\n", "KEYS key:[0-9]\r\n", "KEYS *[^a-b]\\*\r\n",
    "SCAN 0 MATCH k* COUNT 20 TYPE string\r\n", "SCAN 12345678901 COUNT 3\r\n",
    "DBSIZE\r\n", "TYPE a\r\n", "FLUSHALL ASYNC\r\n", "SELECT 0\r\n",
    "ECHO \"a\\x41\\n\\\"b\" 'it\\'s'\r\n", "HELLO 3\r\n", "HELLO 2\r\n",
    "HELLO 3 AUTH default pw SETNAME me\r\n", "AUTH pw\r\n", "AUTH x pw\r\n",
    "CLIENT SETNAME me\r\n", "CLIENT ID\r\n", "COMMAND DOCS\r\n",
    "COMMAND\r\n", "PERSIST key:1\r\n", "*0\r\n", "*-1\r\n", "\r\n",
    "QUIT\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\n",
    "*1048577\r\n", "*2\r\n*1\r\n$1\r\na\r\n", "*1\r\n$-1\r\n",
    "ECHO \"open\r\n",
    "CLIENT INFO\r\n", "INFO everything\r\n", "TIME\r\n", "PTTL key:1\r\n",
    "SETEX k 100 v\r\n", "EXPIRE a 100 GT\r\n",
    "EXPIREAT a 4102444800 XX\r\n", "GETEX a PX 100000\r\n"
};

static const char *const word[] = {
    "0", "1", "-1", "9223372036854775807", "-9223372036854775808", "2147483648",
    "4294967296", "\r\n", "\n", "\r", "*", "$", "\"", "'", "\\x", " ", "%", ":",
    "a", "long", "none", "NX", "XX", "GET", "IFEQ", "COUNT", "MATCH", "*1\r\n",
    "$1\r\n", "$0\r\n\r\n", "[", "]", "^"
};

static size_t put(uint8_t *stream, size_t length, const char *text)
{
    size_t bytes = strlen(text);

    if (length + bytes > STREAM_MAX) {
        return length;
    }
    memcpy(stream + length, text, bytes);
    return length + bytes;
}

static size_t change(uint8_t *stream, size_t length)
{
    size_t at = draw(length);

    switch (draw(5)) {
    case 0:
        stream[at] = (uint8_t)draw(256);
        return length;
    case 1:
        stream[at] ^= (uint8_t)(1u << draw(8));
        return length;
    case 2: {
        /* Less. */
        size_t bytes = 1 + draw(length - at < 8 ? length - at : 8);

        memmove(stream + at, stream + at + bytes, length - at - bytes);
        return length - bytes;
    }
    case 3: {
        /* A piece of it once more, somewhere else. */
        size_t from = draw(length);
        size_t bytes = 1 + draw(20);

        bytes = bytes < length - from ? bytes : length - from;
        bytes = bytes < length - at ? bytes : length - at;
        memmove(stream + at, stream + from, bytes);
        return length;
    }
    default: {
        const char *text = word[draw(sizeof(word) / sizeof(word[0]))];
        size_t bytes = strlen(text);

        if (length + bytes > STREAM_MAX) {
            return length;
        }
        memmove(stream + at + bytes, stream + at, length - at);
        memcpy(stream + at, text, bytes);
        return length + bytes;
    }
    }
}

static size_t make_input(uint8_t *input)
{
    uint8_t *stream = input + 2;
    size_t seeds = sizeof(seed) / sizeof(seed[0])
        - (draw(2) == 0 ? MOMENTARY : 0);
    size_t length = 0;

    input[0] = (uint8_t)draw(256);
    input[1] = (uint8_t)draw(256);
    for (size_t i = 1 + draw(12); i > 0; i--) {
        length = put(stream, length, seed[draw(seeds)]);
    }
    for (size_t i = draw(3) == 0 ? 0 : draw(12); i > 0 && length > 1; i--) {
        length = change(stream, length);
    }
    return 2 + length;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
    uint8_t input[2 + STREAM_MAX];
    unsigned long runs = 0;
    unsigned long replies = 0;
    unsigned long errors = 0;
    unsigned long closed = 0;
    unsigned long compared = 0;
    bool all_kinds;
    time_t end;

    state = argc > 2 ? strtoull(argv[2], NULL, 0) | 1
                     : UINT64_C(0x9e3779b97f4a7c15);
    requests_setup();
    end = time(NULL) + (time_t)seconds;
    while (runs < 300 || time(NULL) < end) {
        requests_result_t result;
        size_t bytes = make_input(input);

        /* One that hangs is as wrong as one that crashes. */
        alarm(120);
        result = requests_run(input, bytes);
        runs++;
        replies += result.replies;
        errors += result.errors;
        closed += result.closed;
        compared += result.compared;
    }
    alarm(0);
    all_kinds = replies > runs && errors > runs / 10 && errors < replies
        && closed > runs / 20 && compared > runs / 20;
    printf("1..2\nok 1 - %lu streams, and every answer is well formed\n",
           runs);
    printf("%sok 2 - of all kinds\n# %lu replies, of them %lu errors; %lu "
           "connections closed; %lu compared\n", all_kinds ? "" : "not ",
           replies, errors, closed, compared);
    return all_kinds ? 0 : 1;
}
