/* cli_kv.c - `ephpm kv`. */

#define _GNU_SOURCE

#include "cli_kv.h"
#include "ephpm_socket.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* Where the manual's samples listen. */
#define DEFAULT_SOCKET "unix:/run/ephpm/kv.sock"
#define DEFAULT_TIMEOUT_S 5
#define TIMEOUT_MAX_S 3600
#define TTL_MAX_S (INT64_MAX / 2000)

#define EXIT_MISSING 1

/* What one step of SCAN examines. */
#define SCAN_SLOTS "512"

const char cli_kv_usage[] =
    "usage: ephpm kv [--socket ADDRESS] [--password-file FILE] "
    "[--timeout SECONDS]\n"
    "                get KEY | set [--ttl SECONDS] KEY [VALUE] | ttl KEY |\n"
    "                del KEY... | del --prefix PREFIX |\n"
    "                scan [--prefix PREFIX] [--null] | stats | flush\n"
    "       ephpm kv --help\n";

static const char help[] =
    "\n"
    "ephpm kv works on the store of a running server, through the listener "
    "that\n"
    "EphpmResp (Apache httpd) or ephpm_kv_resp (nginx) opens.\n"
    "\n"
    "  --socket ADDRESS      unix:/PATH, /PATH or HOST:PORT (default:\n"
    "                        " DEFAULT_SOCKET ")\n"
    "  --password-file FILE  the file of the listener's password\n"
    "  --timeout SECONDS     how long at most to wait for the server "
    "(default: 5)\n"
    "\n"
    "  get KEY               write the value, byte for byte; status 1 if "
    "there is none\n"
    "  set KEY [VALUE]       without VALUE it is what comes in on standard "
    "input\n"
    "  ttl KEY               seconds left, rounded up; -1: it does not "
    "expire;\n"
    "                        -2 and status 1: there is none\n"
    "  del KEY...            remove keys, and write how many there were; "
    "with\n"
    "                        --prefix all that begin so\n"
    "  scan                  write the keys, one a line, or with --null "
    "each with\n"
    "                        a NUL after it\n"
    "  stats                 write the store's figures\n"
    "  flush                 remove every key\n";

typedef struct kv {
    const char *address;
    ephpm_socket_t *socket;
} kv_t;

static int misused(const char *what, const char *which)
{
    fprintf(stderr, "ephpm: %s%s\n%s", what, which, cli_kv_usage);
    return EX_USAGE;
}

static int end(int rc)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "ephpm: standard output: %s\n", strerror(errno));
        return EX_IOERR;
    }
    return rc;
}

/* ------------------------------------------------------------------ */
/* Requests and replies                                                */

static ephpm_word_t word(const char *text)
{
    return (ephpm_word_t){ text, strlen(text) };
}

/* Why the server was not reached, and what to do. */
static int unreached(const kv_t *kv, ephpm_socket_result_t result)
{
    static const struct {
        int rc;
        const char *advice;
    } of[] = {
        [EPHPM_SOCKET_BAD_ADDRESS] = { EX_USAGE, "" },
        [EPHPM_SOCKET_GONE] = { EX_UNAVAILABLE,
            "; is the server running, and does EphpmResp (httpd) or "
            "ephpm_kv_resp (nginx) listen there?" },
        [EPHPM_SOCKET_FORBIDDEN] = { EX_NOPERM,
            "; run this as a user who may use the socket" },
        [EPHPM_SOCKET_NO_PASSWORD] = { EX_NOINPUT, "" },
        [EPHPM_SOCKET_DENIED] = { EX_NOPERM,
            "; --password-file names the file of the listener's password" },
        [EPHPM_SOCKET_SILENT] = { EX_TEMPFAIL,
            "; --timeout gives it longer" },
        [EPHPM_SOCKET_LOST] = { EX_UNAVAILABLE, "" },
        [EPHPM_SOCKET_GARBLED] = { EX_PROTOCOL, "" },
        [EPHPM_SOCKET_NO_MEMORY] = { EX_OSERR, "" }
    };

    fprintf(stderr, "ephpm: %s: %s%s%s\n", kv->address,
            ephpm_socket_error(kv->socket), of[result].advice,
            ephpm_socket_uncertain(kv->socket)
                ? "; the change may have been made" : "");
    return of[result].rc;
}

/* A reply that is an error: its exit code after a sentence; else 0. */
static int refused(const kv_t *kv, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR) {
        return 0;
    }
    fprintf(stderr, "ephpm: %s: the server answered: %s\n", kv->address,
            reply->str);
    return strncmp(reply->str, "BUSY ", 5) == 0
        || strncmp(reply->str, "OOM ", 4) == 0 ? EX_TEMPFAIL : EX_DATAERR;
}

/* A single request: 0 with its reply, or the exit code. */
static int ask(const kv_t *kv, bool only_reads, const ephpm_word_t *words,
               size_t count, const redisReply **reply)
{
    ephpm_socket_result_t result;

    ephpm_socket_put(kv->socket, words, count);
    result = ephpm_socket_run(kv->socket, only_reads);
    if (result != EPHPM_SOCKET_DONE) {
        return unreached(kv, result);
    }
    *reply = ephpm_socket_reply(kv->socket, 0);
    return refused(kv, *reply);
}

static int unexpected(const kv_t *kv)
{
    fprintf(stderr, "ephpm: %s: a strange answer; is it a server's store?\n",
            kv->address);
    return EX_PROTOCOL;
}

/* ------------------------------------------------------------------ */
/* Commands                                                            */

static int get(const kv_t *kv, const char *key)
{
    const ephpm_word_t words[] = { word("GET"), word(key) };
    const redisReply *reply;
    int rc = ask(kv, true, words, 2, &reply);

    if (rc != 0) {
        return rc;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        return EXIT_MISSING;
    }
    if (reply->type != REDIS_REPLY_STRING) {
        return unexpected(kv);
    }
    fwrite(reply->str, 1, (size_t)reply->len, stdout);
    if (isatty(STDOUT_FILENO)) {
        putchar('\n');
    }
    return end(EX_OK);
}

/* All of standard input; of malloc, NULL with errno. */
static char *read_all(size_t *length)
{
    size_t room = 65536;
    char *text = malloc(room);

    *length = 0;
    while (text != NULL) {
        char *larger;

        *length += fread(text + *length, 1, room - *length, stdin);
        if (*length < room) {
            break;
        }
        room *= 2;
        larger = realloc(text, room);
        if (larger == NULL) {
            free(text);
        }
        text = larger;
    }
    if (text != NULL && ferror(stdin)) {
        free(text);
        text = NULL;
    }
    return text;
}

/* A whole number from `low` to `high`. */
static bool parse_number(const char *text, int64_t low, int64_t high,
                         int64_t *number)
{
    char *after;

    errno = 0;
    *number = strtoll(text, &after, 10);
    return errno == 0 && after != text && *after == '\0'
        && text[0] >= '0' && text[0] <= '9' && *number >= low
        && *number <= high;
}

/* Can the store never hold that much?  A listener would hang up over it. */
static int check_size(const kv_t *kv, size_t value_bytes)
{
    enum { SURELY_FITS = 256 << 10 };
    const ephpm_word_t words[] = { word("INFO"), word("ephpm") };
    static const char figure[] = "ephpm_value_max_bytes:";
    const redisReply *reply;
    const char *found;
    int rc;

    if (value_bytes <= SURELY_FITS) {
        return EX_OK;
    }
    rc = ask(kv, true, words, 2, &reply);
    if (rc != EX_OK) {
        return rc;
    }
    found = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, figure)
                                              : NULL;
    if (found != NULL
        && value_bytes > strtoull(found + sizeof(figure) - 1, NULL, 10)) {
        fprintf(stderr, "ephpm: %s: the value has %zu bytes; the limit of "
                "this store is %llu bytes\n", kv->address, value_bytes,
                strtoull(found + sizeof(figure) - 1, NULL, 10));
        return EX_DATAERR;
    }
    return EX_OK;
}

static int set(const kv_t *kv, const char *ttl, const char *key,
               const char *value)
{
    ephpm_word_t words[5] = { word("SET"), word(key) };
    const redisReply *reply;
    char *input = NULL;
    int rc;

    if (value != NULL) {
        words[2] = word(value);
    } else {
        input = read_all(&words[2].length);
        if (input == NULL) {
            fprintf(stderr, "ephpm: standard input: %s\n", strerror(errno));
            return EX_IOERR;
        }
        words[2].bytes = input;
    }
    if (ttl != NULL) {
        words[3] = word("EX");
        words[4] = word(ttl);
    }
    rc = check_size(kv, words[2].length);
    if (rc == EX_OK) {
        rc = ask(kv, false, words, ttl != NULL ? 5 : 3, &reply);
    }
    free(input);
    if (rc == EX_OK && reply->type != REDIS_REPLY_STATUS) {
        return unexpected(kv);
    }
    return rc;
}

static int ttl(const kv_t *kv, const char *key)
{
    const ephpm_word_t words[] = { word("PTTL"), word(key) };
    const redisReply *reply;
    int rc = ask(kv, true, words, 2, &reply);
    long long left;

    if (rc != 0) {
        return rc;
    }
    if (reply->type != REDIS_REPLY_INTEGER) {
        return unexpected(kv);
    }
    left = reply->integer;
    printf("%lld\n", left < 0 ? left : left / 1000 + (left % 1000 != 0));
    return end(left == -2 ? EXIT_MISSING : EX_OK);
}

/* Remove keys, each by a request of its own. */
static int del(const kv_t *kv, const ephpm_word_t *keys, size_t count,
               int64_t *removed)
{
    ephpm_socket_result_t result;

    for (size_t i = 0; i < count; i++) {
        const ephpm_word_t words[] = { word("DEL"), keys[i] };

        ephpm_socket_put(kv->socket, words, 2);
    }
    result = count == 0 ? EPHPM_SOCKET_DONE
                        : ephpm_socket_run(kv->socket, false);
    if (result != EPHPM_SOCKET_DONE) {
        return unreached(kv, result);
    }
    for (size_t i = 0; i < count; i++) {
        const redisReply *reply = ephpm_socket_reply(kv->socket, i);
        int rc = refused(kv, reply);

        if (rc != 0) {
            return rc;
        }
        if (reply->type != REDIS_REPLY_INTEGER) {
            return unexpected(kv);
        }
        *removed += reply->integer;
    }
    return EX_OK;
}

static int del_keys(const kv_t *kv, char **keys, size_t count)
{
    ephpm_word_t *words = calloc(count, sizeof(*words));
    int64_t removed = 0;
    int rc = EX_OSERR;

    if (words != NULL) {
        for (size_t i = 0; i < count; i++) {
            words[i] = word(keys[i]);
        }
        rc = del(kv, words, count, &removed);
        free(words);
    }
    if (rc == EX_OK) {
        printf("%" PRId64 "\n", removed);
        rc = end(EX_OK);
    }
    return rc;
}

/* What to do with the keys of a step; the reply is the socket's. */
typedef int (*found_fn)(const kv_t *kv, const redisReply *keys, void *data);

/* Every key that begins with `prefix`, step by step. */
static int each_key(const kv_t *kv, const char *prefix, found_fn found,
                    void *data)
{
    char cursor[24] = "0";
    size_t pattern_bytes;
    char *pattern = ephpm_socket_pattern(prefix, strlen(prefix),
                                         &pattern_bytes);
    int rc = EX_OK;

    if (pattern == NULL) {
        fputs("ephpm: no memory\n", stderr);
        return EX_OSERR;
    }
    do {
        const ephpm_word_t words[] = {
            word("SCAN"), word(cursor), word("MATCH"),
            { pattern, pattern_bytes }, word("COUNT"), word(SCAN_SLOTS)
        };
        const redisReply *reply;

        rc = ask(kv, true, words, 6, &reply);
        if (rc != 0) {
            break;
        }
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
            || reply->element[0]->type != REDIS_REPLY_STRING
            || reply->element[1]->type != REDIS_REPLY_ARRAY) {
            rc = unexpected(kv);
            break;
        }
        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        rc = found(kv, reply->element[1], data);
    } while (rc == EX_OK && strcmp(cursor, "0") != 0);
    free(pattern);
    return rc;
}

static int print_keys(const kv_t *kv, const redisReply *keys, void *data)
{
    const char *after = data;

    (void)kv;
    for (size_t i = 0; i < keys->elements; i++) {
        fwrite(keys->element[i]->str, 1, (size_t)keys->element[i]->len,
               stdout);
        putchar(*after);
    }
    return ferror(stdout) ? end(EX_OK) : EX_OK;
}

static int del_found(const kv_t *kv, const redisReply *keys, void *data)
{
    ephpm_word_t *words = calloc(keys->elements + 1, sizeof(*words));
    int rc;

    if (words == NULL) {
        fputs("ephpm: no memory\n", stderr);
        return EX_OSERR;
    }
    for (size_t i = 0; i < keys->elements; i++) {
        words[i] = (ephpm_word_t){ keys->element[i]->str,
                                   (size_t)keys->element[i]->len };
    }
    rc = del(kv, words, keys->elements, data);
    free(words);
    return rc;
}

static int del_prefix(const kv_t *kv, const char *prefix)
{
    int64_t removed = 0;
    int rc = each_key(kv, prefix, del_found, &removed);

    if (rc == EX_OK) {
        printf("%" PRId64 "\n", removed);
        rc = end(EX_OK);
    }
    return rc;
}

static int stats(const kv_t *kv)
{
    static const char prefix[] = "ephpm_";
    const ephpm_word_t words[] = { word("INFO"), word("ephpm") };
    const redisReply *reply;
    int rc = ask(kv, true, words, 2, &reply);
    size_t printed = 0;

    if (rc != 0) {
        return rc;
    }
    for (const char *line = reply->str; line != NULL;
         line = strstr(line, "\r\n")) {
        const char *name = line + strspn(line, "\r\n");
        const char *colon = name + strcspn(name, ":\r");

        line = name;
        if (strncmp(name, prefix, sizeof(prefix) - 1) == 0
            && *colon == ':') {
            name += sizeof(prefix) - 1;
            printf("%-16.*s %.*s\n", (int)(colon - name), name,
                   (int)strcspn(colon + 1, "\r"), colon + 1);
            printed++;
        }
    }
    return printed != 0 ? end(EX_OK) : unexpected(kv);
}

static int flush(const kv_t *kv)
{
    const ephpm_word_t words[] = { word("FLUSHALL") };
    const redisReply *reply;

    return ask(kv, false, words, 1, &reply);
}

/* ------------------------------------------------------------------ */
/* The command line                                                    */

enum { SOCKET = 1, PASSWORD_FILE, TIMEOUT, TTL, PREFIX, NUL, HELP };

/* A command with its options and arguments checked. */
typedef struct order {
    const char *command;
    const char *ttl;       /* digits */
    const char *prefix;
    bool null;
    char **args;
    size_t count;
} order_t;

static const struct {
    const char *name;
    size_t least;
    size_t most;
    bool ttl;
    bool prefix;
    bool null;
} commands[] = {
    { "get", 1, 1, false, false, false },
    { "set", 1, 2, true, false, false },
    { "ttl", 1, 1, false, false, false },
    { "del", 1, SIZE_MAX, false, true, false },
    { "scan", 0, 0, false, true, true },
    { "stats", 0, 0, false, false, false },
    { "flush", 0, 0, false, false, false }
};

static int run(const kv_t *kv, const order_t *order)
{
    char after = order->null ? '\0' : '\n';
    int rc;

    switch (order->command[0]) {
    case 'g':
        return get(kv, order->args[0]);
    case 't':
        return ttl(kv, order->args[0]);
    case 'd':
        return order->prefix != NULL
            ? del_prefix(kv, order->prefix)
            : del_keys(kv, order->args, order->count);
    case 'f':
        return flush(kv);
    default:
        break;
    }
    if (strcmp(order->command, "set") == 0) {
        return set(kv, order->ttl, order->args[0],
                   order->count == 2 ? order->args[1] : NULL);
    }
    if (strcmp(order->command, "stats") == 0) {
        return stats(kv);
    }
    rc = each_key(kv, order->prefix != NULL ? order->prefix : "", print_keys,
                  &after);
    return rc == EX_OK ? end(EX_OK) : rc;
}

/* The part of the command line from the command's name on. */
static int read_order(int argc, char **argv, order_t *order)
{
    static const struct option options[] = {
        { "ttl", required_argument, NULL, TTL },
        { "prefix", required_argument, NULL, PREFIX },
        { "null", no_argument, NULL, NUL },
        { NULL, 0, NULL, 0 }
    };
    size_t which = 0;
    int64_t number;
    int option;

    while (strcmp(argv[0], commands[which].name) != 0) {
        if (++which == sizeof(commands) / sizeof(commands[0])) {
            return misused("kv has no command ", argv[0]);
        }
    }
    order->command = argv[0];
    optind = 0;
    while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        if (option == TTL && commands[which].ttl) {
            order->ttl = optarg;
        } else if (option == PREFIX && commands[which].prefix) {
            order->prefix = optarg;
        } else if (option == NUL && commands[which].null) {
            order->null = true;
        } else if (option == ':') {
            return misused("a value is missing after ", argv[optind - 1]);
        } else {
            fprintf(stderr, "ephpm: kv %s has no option %s\n%s", argv[0],
                    option == TTL || option == PREFIX
                        ? option == TTL ? "--ttl" : "--prefix"
                        : argv[optind - 1], cli_kv_usage);
            return EX_USAGE;
        }
    }
    order->args = argv + optind;
    order->count = (size_t)(argc - optind);
    if (order->ttl != NULL
        && !parse_number(order->ttl, 1, TTL_MAX_S, &number)) {
        return misused("--ttl is a number of seconds, at least 1, not ",
                       order->ttl);
    }
    if (order->prefix != NULL && order->count != 0) {
        return misused("--prefix stands for the keys; it goes without ",
                       order->args[0]);
    }
    if (order->prefix == NULL && order->count < commands[which].least) {
        return misused("a key is missing after ", argv[0]);
    }
    if (order->count > commands[which].most) {
        return misused("too many arguments: ",
                       order->args[commands[which].most]);
    }
    return EX_OK;
}

int cli_kv(int argc, char **argv)
{
    static const struct option options[] = {
        { "socket", required_argument, NULL, SOCKET },
        { "password-file", required_argument, NULL, PASSWORD_FILE },
        { "timeout", required_argument, NULL, TIMEOUT },
        { "help", no_argument, NULL, HELP },
        { NULL, 0, NULL, 0 }
    };
    kv_t kv = { DEFAULT_SOCKET, NULL };
    int64_t timeout_s = DEFAULT_TIMEOUT_S;
    const char *password_file = NULL;
    order_t order = { 0 };
    int option;
    int rc;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        switch (option) {
        case SOCKET:
            kv.address = optarg;
            break;
        case PASSWORD_FILE:
            password_file = optarg;
            break;
        case TIMEOUT:
            if (!parse_number(optarg, 1, TIMEOUT_MAX_S, &timeout_s)) {
                return misused("--timeout is a number of seconds, 1 to 3600, "
                               "not ", optarg);
            }
            break;
        case HELP:
            printf("%s%s", cli_kv_usage, help);
            return end(EX_OK);
        case ':':
            return misused("a value is missing after ", argv[optind - 1]);
        default:
            return misused("unknown option ", argv[optind - 1]);
        }
    }
    if (optind == argc) {
        return misused("say what to do", "");
    }
    rc = read_order(argc - optind, argv + optind, &order);
    if (rc != EX_OK) {
        return rc;
    }
    kv.socket = ephpm_socket_create(kv.address, password_file,
                                    (unsigned)timeout_s * 1000);
    if (kv.socket == NULL) {
        fputs("ephpm: no memory\n", stderr);
        return EX_OSERR;
    }
    rc = run(&kv, &order);
    ephpm_socket_destroy(kv.socket);
    return rc;
}
