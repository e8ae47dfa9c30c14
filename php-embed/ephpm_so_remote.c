/* ephpm_so_remote.c - ephpm.kv_socket: the functions act on the store of a
 * running server, through its listener (ephpm_socket.h).
 *
 * Each operation is a request or a few, and has the results that kvcore has
 * for the same call; the requests were chosen for that:
 *
 *     expire to "never"   PERSIST, and EXISTS, which says what kvcore says
 *     set with a TTL      SET PX, clamped to what Redis's times can hold
 *     mget, mset          single requests in one run: each key has its result
 *     scan                SCAN in steps, so that no answer grows past what
 *                         the listener lets wait
 *     del_prefix          SCAN and DEL
 *     stats               INFO's section "ephpm"
 *
 * A key that cannot be, and a value that can never fit, are told here and are
 * not sent: the listener would close the connection over 40 MB.
 *
 * One warning a request says that the server cannot be reached.  What it
 * answers beyond that is told each time.
 */

#include "ephpm_so.h"
#include "ephpm_socket.h"

#include <ext/standard/info.h>

#include <inttypes.h>

/* Any store takes a value of this size. */
#define SURELY_FITS_BYTES ((size_t)256 << 10)

/* What one step of SCAN examines; times the longest key is less than what a
 * listener lets wait for its client. */
#define SCAN_SLOTS 512u

/* A run of changes is sent when it is this long. */
#define RUN_BYTES ((size_t)1 << 20)

struct ephpm_remote {
    ephpm_socket_t *socket;
    char *address;
    char *password_file;
    zend_long timeout;
    kv_stats_t stats;          /* as of INFO */
    unsigned wait_limit_ms;
    unsigned limits_of;        /* the connection they are of; 0: none */
};

/* ------------------------------------------------------------------ */
/* The connection                                                      */

static const char *setting(const char *value)
{
    return value != NULL ? value : "";
}

void ephpm_remote_free(struct ephpm_remote *remote)
{
    if (remote != NULL) {
        ephpm_socket_destroy(remote->socket);
        free(remote->address);
        free(remote->password_file);
        free(remote);
    }
}

static bool is_current(const struct ephpm_remote *remote)
{
    return strcmp(remote->address, setting(EPHPM_G(kv_socket))) == 0
        && strcmp(remote->password_file,
                  setting(EPHPM_G(kv_password_file))) == 0
        && remote->timeout == EPHPM_G(kv_timeout);
}

/* This thread's, for the settings of this request: php-fpm may have others
 * for the next. */
static struct ephpm_remote *current(void)
{
    struct ephpm_remote *remote = EPHPM_G(remote);
    zend_long timeout = EPHPM_G(kv_timeout);

    if (EXPECTED(remote != NULL && is_current(remote))) {
        return remote;
    }
    EPHPM_G(remote) = NULL;
    ephpm_remote_free(remote);
    remote = calloc(1, sizeof(*remote));
    if (remote == NULL) {
        return NULL;
    }
    remote->address = strdup(setting(EPHPM_G(kv_socket)));
    remote->password_file = strdup(setting(EPHPM_G(kv_password_file)));
    remote->timeout = timeout;
    if (remote->address != NULL && remote->password_file != NULL) {
        remote->socket = ephpm_socket_create(
            remote->address, remote->password_file,
            timeout < 1 ? 1000u : timeout > 3600 ? 3600000u
                                : (unsigned)timeout * 1000);
    }
    if (remote->socket == NULL) {
        ephpm_remote_free(remote);
        return NULL;
    }
    EPHPM_G(remote) = remote;
    return remote;
}

/* What to do about it, for a warning. */
static const char *advice(ephpm_socket_result_t result)
{
    switch (result) {
    case EPHPM_SOCKET_NO_PASSWORD:
        return "set ephpm.kv_password_file to a file that this user can read";
    case EPHPM_SOCKET_DENIED:
        return "set ephpm.kv_password_file to the file of the listener's "
               "password";
    case EPHPM_SOCKET_FORBIDDEN:
        return "let this user use the socket, or run PHP as one who may";
    default:
        return "start the server, or set ephpm.kv_socket to where it listens "
               "(EphpmResp, ephpm_kv_resp)";
    }
}

/* Once a request.  May longjmp. */
static ZEND_COLD void warn_gone(ephpm_socket_result_t result)
{
    const struct ephpm_remote *remote = EPHPM_G(remote);

    if (EPHPM_G(store_missing)) {
        return;
    }
    EPHPM_G(store_missing) = true;
    if (remote == NULL || result == EPHPM_SOCKET_NO_MEMORY) {
        php_error_docref(NULL, E_WARNING,
            "This process has no memory left to talk to the server with "
            "(ephpm.kv_socket)");
    } else if (ephpm_socket_uncertain(remote->socket)) {
        php_error_docref(NULL, E_WARNING,
            "The server behind ephpm.kv_socket = \"%s\" was lost (%s) before "
            "it said whether it has done what was asked; while it cannot be "
            "reached reads find nothing and writes are refused",
            remote->address, ephpm_socket_error(remote->socket));
    } else {
        php_error_docref(NULL, E_WARNING,
            "The server's store behind ephpm.kv_socket = \"%s\" cannot be "
            "reached (%s): %s; until then reads find nothing and writes are "
            "refused", remote->address, ephpm_socket_error(remote->socket),
            advice(result));
    }
}

/* Send what was put.  false: the script knows. */
static bool run(struct ephpm_remote *remote, bool only_reads)
{
    ephpm_socket_result_t result = ephpm_socket_run(remote->socket,
                                                    only_reads);

    if (EXPECTED(result == EPHPM_SOCKET_DONE)) {
        return true;
    }
    warn_gone(result);
    return false;
}

/* ------------------------------------------------------------------ */
/* Requests                                                            */

#define WORD(literal) { literal, sizeof(literal) - 1 }

typedef struct number {
    char digits[24];
} number_t;

static ephpm_word_t signed_word(number_t *number, int64_t value)
{
    int length = snprintf(number->digits, sizeof(number->digits), "%" PRId64,
                          value);

    return (ephpm_word_t){ number->digits, (size_t)length };
}

static ephpm_word_t unsigned_word(number_t *number, uint64_t value)
{
    int length = snprintf(number->digits, sizeof(number->digits), "%" PRIu64,
                          value);

    return (ephpm_word_t){ number->digits, (size_t)length };
}

/* Redis adds the time of the day. */
static int64_t clamped(int64_t ttl_ms)
{
    return ttl_ms > INT64_MAX / 2 ? INT64_MAX / 2 : ttl_ms;
}

static bool is_key(size_t key_bytes)
{
    return key_bytes >= 1 && key_bytes <= KV_KEY_MAX_BYTES;
}

/* A single request. @return its reply, or NULL: the script knows */
static const redisReply *ask(const ephpm_word_t *words, size_t count,
                             bool only_reads)
{
    struct ephpm_remote *remote = current();

    if (UNEXPECTED(remote == NULL)) {
        warn_gone(EPHPM_SOCKET_NO_MEMORY);
        return NULL;
    }
    ephpm_socket_put(remote->socket, words, count);
    return EXPECTED(run(remote, only_reads))
        ? ephpm_socket_reply(remote->socket, 0) : NULL;
}

#define ASK(only_reads, ...)                                                \
    ask((const ephpm_word_t[]){ __VA_ARGS__ },                              \
        sizeof((const ephpm_word_t[]){ __VA_ARGS__ })                       \
            / sizeof(ephpm_word_t), only_reads)

/* ------------------------------------------------------------------ */
/* Replies                                                             */

/* What the server says to a request that it does not fulfil. */
static kv_result_t refusal(const redisReply *reply)
{
    static const struct {
        const char *begins;
        kv_result_t result;
    } of[] = {
        { "ERR value is not an integer", KV_NOT_INTEGER },
        { "ERR increment or decrement would overflow", KV_OVERFLOW },
        { "OOM ", KV_NO_ROOM },
        { "ERR string exceeds maximum", KV_TOO_LARGE },
        { "ERR a key has ", KV_BAD_KEY },
        { "BUSY ", KV_BUSY }
    };

    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        if (strncmp(reply->str, of[i].begins, strlen(of[i].begins)) == 0) {
            return of[i].result;
        }
    }
    return KV_INVALID;
}

#define ANSWER_BYTES 200

/* What only a server can say. */
static ZEND_COLD void warn_answer(const char *text)
{
    php_error_docref(NULL, E_WARNING,
        "The server behind ephpm.kv_socket = \"%s\" answered: %s",
        setting(EPHPM_G(kv_socket)), text);
}

/* `reply` as a result: KV_MISSING for a null, KV_OK for anything else but an
 * error.  An error that kvcore does not have gets into `text`, if that is
 * still empty: to be warned of when no reply is needed any more, since a
 * script's handler may use the connection. */
static kv_result_t note_result(const redisReply *reply,
                               char text[ANSWER_BYTES])
{
    kv_result_t result;

    if (UNEXPECTED(reply == NULL)) {
        return KV_INVALID;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        return KV_MISSING;
    }
    if (EXPECTED(reply->type != REDIS_REPLY_ERROR)) {
        return KV_OK;
    }
    result = refusal(reply);
    if (result == KV_INVALID && text[0] == '\0') {
        snprintf(text, ANSWER_BYTES, "%s", reply->str);
    }
    return result;
}

/* The same for a single reply, with the warning. */
static kv_result_t result_of(const redisReply *reply)
{
    char text[ANSWER_BYTES] = "";
    kv_result_t result = note_result(reply, text);

    if (UNEXPECTED(text[0] != '\0')) {
        warn_answer(text);
    }
    return result;
}

/* The same for a reply that says yes or no with a number. */
static kv_result_t yes_or(const redisReply *reply, kv_result_t no)
{
    kv_result_t result = result_of(reply);

    if (result == KV_OK
        && (reply->type != REDIS_REPLY_INTEGER || reply->integer == 0)) {
        return no;
    }
    return result;
}

static kv_result_t string_of(const redisReply *reply, zval *value)
{
    kv_result_t result = result_of(reply);

    if (EXPECTED(result == KV_OK) && reply->type == REDIS_REPLY_STRING) {
        ZVAL_STRINGL(value, reply->str, (size_t)reply->len);
    } else {
        ZVAL_NULL(value);
    }
    return result;
}

/* ------------------------------------------------------------------ */
/* INFO                                                                */

#define FIGURE(name) { #name, offsetof(kv_stats_t, name),                   \
                       sizeof(((kv_stats_t *)0)->name) }

static const struct {
    const char *name;
    size_t offset;
    size_t bytes;
} figures[] = {
    FIGURE(entries), FIGURE(used_bytes), FIGURE(limit_bytes),
    FIGURE(live_bytes), FIGURE(value_max_bytes), FIGURE(index_slots),
    FIGURE(hits), FIGURE(misses), FIGURE(sets), FIGURE(deletes),
    FIGURE(evictions), FIGURE(expirations), FIGURE(rejections),
    FIGURE(steals), FIGURE(threads), FIGURE(threads_max), FIGURE(segments),
    FIGURE(segments_free), FIGURE(segment_bytes), FIGURE(shards)
};

/* The number after "NAME:" at the beginning of a line of INFO's text. */
static bool info_figure(const char *text, const char *name, uint64_t *number)
{
    char wanted[48];
    size_t length = (size_t)snprintf(wanted, sizeof(wanted), "\nephpm_%s:",
                                     name);
    const char *line = strstr(text, wanted);

    if (line == NULL) {
        return false;
    }
    *number = strtoull(line + length, NULL, 10);
    return true;
}

static bool fetch_info(void)
{
    const redisReply *reply = ASK(true, WORD("INFO"), WORD("ephpm"));
    struct ephpm_remote *remote = EPHPM_G(remote);
    uint64_t number;

    if (result_of(reply) != KV_OK || reply->type != REDIS_REPLY_STRING) {
        return false;
    }
    memset(&remote->stats, 0, sizeof(remote->stats));
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        char *to = (char *)&remote->stats + figures[i].offset;

        if (!info_figure(reply->str, figures[i].name, &number)) {
            continue;
        }
        if (figures[i].bytes == sizeof(uint32_t)) {
            uint32_t small = (uint32_t)number;

            memcpy(to, &small, sizeof(small));
        } else {
            memcpy(to, &number, sizeof(number));
        }
    }
    remote->wait_limit_ms = info_figure(reply->str, "wait_limit_ms", &number)
        ? (unsigned)number : 0;
    remote->limits_of = ephpm_socket_connections(remote->socket);
    return true;
}

/* Can a value of this size never fit?  Only large ones need an answer, and
 * none is known of a server that is not ours. */
static bool is_too_large(size_t value_bytes)
{
    struct ephpm_remote *remote;

    if (EXPECTED(value_bytes <= SURELY_FITS_BYTES)) {
        return false;
    }
    remote = current();
    if (remote == NULL
        || ((remote->limits_of == 0
             || remote->limits_of != ephpm_socket_connections(remote->socket))
            && !fetch_info())) {
        return false;
    }
    return remote->stats.value_max_bytes != 0
        && value_bytes > remote->stats.value_max_bytes;
}

static void limits(size_t *value_max_bytes, unsigned *wait_limit_ms)
{
    *value_max_bytes = 0;
    *wait_limit_ms = 0;
    if (fetch_info()) {
        *value_max_bytes = EPHPM_G(remote)->stats.value_max_bytes;
        *wait_limit_ms = EPHPM_G(remote)->wait_limit_ms;
    }
}

static void stats(kv_stats_t *stats)
{
    memset(stats, 0, sizeof(*stats));
    if (fetch_info()) {
        *stats = EPHPM_G(remote)->stats;
    }
}

/* Tells, rather than warns: it is where people look what is wrong. */
static void info(void)
{
    struct ephpm_remote *remote = current();
    ephpm_word_t ping = WORD("PING");
    ephpm_socket_result_t result = EPHPM_SOCKET_NO_MEMORY;
    char text[512];

    if (remote != NULL) {
        ephpm_socket_put(remote->socket, &ping, 1);
        result = ephpm_socket_run(remote->socket, true);
    }
    snprintf(text, sizeof(text), "the server's, through %.200s",
             setting(EPHPM_G(kv_socket)));
    php_info_print_table_row(2, "Store", text);
    if (result == EPHPM_SOCKET_DONE) {
        php_info_print_table_row(2, "Connection", "made");
    } else {
        snprintf(text, sizeof(text), "%s: %s",
                 remote != NULL ? ephpm_socket_error(remote->socket)
                                : "no memory", advice(result));
        php_info_print_table_row(2, "Connection", text);
    }
}

/* ------------------------------------------------------------------ */
/* Reading                                                             */

static kv_result_t get(const char *key, size_t key_bytes, zval *value)
{
    ZVAL_NULL(value);
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    return string_of(ASK(true, WORD("GET"), { key, key_bytes }), value);
}

static kv_result_t getdel(const char *key, size_t key_bytes, zval *value)
{
    ZVAL_NULL(value);
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    return string_of(ASK(false, WORD("GETDEL"), { key, key_bytes }), value);
}

static void get_items(kv_item_t *items, uint32_t count, zval *values)
{
    struct ephpm_remote *remote = current();
    char text[ANSWER_BYTES] = "";
    size_t asked = 0;
    bool done;

    for (uint32_t i = 0; i < count; i++) {
        const ephpm_word_t words[] = { WORD("GET"),
                                       { items[i].key, items[i].key_len } };

        ZVAL_NULL(&values[i]);
        items[i].result = is_key(items[i].key_len) ? KV_OK : KV_BAD_KEY;
        if (items[i].result == KV_OK && remote != NULL) {
            ephpm_socket_put(remote->socket, words, 2);
            asked++;
        }
    }
    if (UNEXPECTED(remote == NULL)) {
        warn_gone(EPHPM_SOCKET_NO_MEMORY);
    }
    done = asked == 0 || run(remote, true);
    asked = 0;
    for (uint32_t i = 0; i < count; i++) {
        const redisReply *reply;

        if (items[i].result != KV_OK) {
            continue;
        }
        reply = done && remote != NULL
            ? ephpm_socket_reply(remote->socket, asked++) : NULL;
        items[i].result = note_result(reply, text);
        if (items[i].result == KV_OK && reply->type == REDIS_REPLY_STRING) {
            ZVAL_STRINGL(&values[i], reply->str, (size_t)reply->len);
        }
    }
    if (UNEXPECTED(text[0] != '\0')) {
        warn_answer(text);
    }
}

static kv_result_t exists(const char *key, size_t key_bytes)
{
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    return yes_or(ASK(true, WORD("EXISTS"), { key, key_bytes }), KV_MISSING);
}

static kv_result_t deadline_get(const char *key, size_t key_bytes,
                                int64_t *left_ms)
{
    const redisReply *reply;
    kv_result_t result;

    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    reply = ASK(true, WORD("PTTL"), { key, key_bytes });
    result = result_of(reply);
    if (result == KV_OK) {
        *left_ms = reply->integer;
        result = reply->integer == -2 ? KV_MISSING : KV_OK;
    }
    return result;
}

/* ------------------------------------------------------------------ */
/* Writing                                                             */

static bool put_set(ephpm_socket_t *socket, const kv_item_t *item,
                    int64_t ttl_ms, const ephpm_word_t *expected,
                    bool if_absent)
{
    number_t ttl;
    size_t count = 3;
    ephpm_word_t words[8] = { WORD("SET"), { item->key, item->key_len },
                              { item->value, item->value_len } };

    if (ttl_ms > 0) {
        words[count++] = (ephpm_word_t)WORD("PX");
        words[count++] = signed_word(&ttl, clamped(ttl_ms));
    }
    if (if_absent) {
        words[count++] = (ephpm_word_t)WORD("NX");
    }
    if (expected != NULL) {
        words[count++] = (ephpm_word_t)WORD("IFEQ");
        words[count++] = *expected;
    }
    return ephpm_socket_put(socket, words, count);
}

static kv_result_t set_one(const kv_item_t *item, int64_t ttl_ms,
                           const ephpm_word_t *expected, bool if_absent,
                           kv_result_t no)
{
    struct ephpm_remote *remote;
    kv_result_t result;

    if (!is_key(item->key_len)) {
        return KV_BAD_KEY;
    }
    if (is_too_large(item->value_len)) {
        return KV_TOO_LARGE;
    }
    if (expected != NULL && is_too_large(expected->length)) {
        return KV_DIFFERENT;
    }
    remote = current();
    if (UNEXPECTED(remote == NULL)) {
        warn_gone(EPHPM_SOCKET_NO_MEMORY);
        return KV_INVALID;
    }
    put_set(remote->socket, item, ttl_ms, expected, if_absent);
    if (!run(remote, false)) {
        return KV_INVALID;
    }
    result = result_of(ephpm_socket_reply(remote->socket, 0));
    return result == KV_MISSING ? no : result;
}

static kv_result_t set(const char *key, size_t key_bytes, const char *value,
                       size_t value_bytes, int64_t ttl_ms, kv_set_when_t when)
{
    kv_item_t item = { key, key_bytes, value, value_bytes, KV_OK, 0 };

    return set_one(&item, ttl_ms, NULL, when == KV_SET_IF_ABSENT, KV_EXISTS);
}

static kv_result_t set_equal(const char *key, size_t key_bytes,
                             const char *expected, size_t expected_bytes,
                             const char *value, size_t value_bytes,
                             int64_t ttl_ms)
{
    kv_item_t item = { key, key_bytes, value, value_bytes, KV_OK, 0 };
    ephpm_word_t was = { expected, expected_bytes };

    return set_one(&item, ttl_ms, &was, false, KV_DIFFERENT);
}

/* Send the items' requests that were put from `begin` on, and note the
 * results of those that have none yet.  false: the server is gone. */
static bool run_items(struct ephpm_remote *remote, kv_item_t *items,
                      uint32_t begin, uint32_t end)
{
    ephpm_socket_result_t done = ephpm_socket_run(remote->socket, false);
    char text[ANSWER_BYTES] = "";
    size_t asked = 0;

    for (uint32_t i = begin; i < end; i++) {
        if (items[i].result == KV_RETRY) {
            items[i].result = note_result(
                ephpm_socket_reply(remote->socket, asked++), text);
        }
    }
    if (UNEXPECTED(done != EPHPM_SOCKET_DONE)) {
        warn_gone(done);
    } else if (UNEXPECTED(text[0] != '\0')) {
        warn_answer(text);
    }
    return done == EPHPM_SOCKET_DONE;
}

static void set_items(kv_item_t *items, uint32_t count, int64_t ttl_ms)
{
    struct ephpm_remote *remote = current();
    uint32_t begin = 0;
    bool good = remote != NULL;

    if (UNEXPECTED(!good)) {
        warn_gone(EPHPM_SOCKET_NO_MEMORY);
    }
    for (uint32_t i = 0; i < count; i++) {
        kv_item_t *item = &items[i];

        if (!is_key(item->key_len)) {
            item->result = KV_BAD_KEY;
        } else if (item->value_len > SURELY_FITS_BYTES && good) {
            /* Alone, and the others before it: INFO may be asked. */
            if (begin < i && ephpm_socket_pending(remote->socket) != 0) {
                good = run_items(remote, items, begin, i);
            }
            item->result = good ? set_one(item, ttl_ms, NULL, false,
                                          KV_INVALID)
                                : KV_INVALID;
            begin = i + 1;
        } else if (good) {
            item->result = KV_RETRY;
            put_set(remote->socket, item, ttl_ms, NULL, false);
            if (ephpm_socket_pending(remote->socket) > RUN_BYTES) {
                good = run_items(remote, items, begin, i + 1);
                begin = i + 1;
            }
        } else {
            item->result = KV_INVALID;
        }
    }
    if (good && ephpm_socket_pending(remote->socket) != 0) {
        run_items(remote, items, begin, count);
    }
}

static kv_result_t add(const char *key, size_t key_bytes, int64_t delta,
                       int64_t *sum)
{
    const redisReply *reply;
    kv_result_t result;
    number_t number;

    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    reply = ASK(false, WORD("INCRBY"), { key, key_bytes },
                signed_word(&number, delta));
    result = result_of(reply);
    if (result == KV_OK) {
        *sum = reply->integer;
    }
    return result;
}

static kv_result_t deadline_set(const char *key, size_t key_bytes,
                                int64_t ttl_ms)
{
    const ephpm_word_t persist[] = { WORD("PERSIST"), { key, key_bytes } };
    const ephpm_word_t there[] = { WORD("EXISTS"), { key, key_bytes } };
    struct ephpm_remote *remote;
    kv_result_t result;
    number_t number;

    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    if (ttl_ms > 0) {
        return yes_or(ASK(false, WORD("PEXPIRE"), { key, key_bytes },
                          signed_word(&number, clamped(ttl_ms))),
                      KV_MISSING);
    }
    remote = current();
    if (UNEXPECTED(remote == NULL)) {
        warn_gone(EPHPM_SOCKET_NO_MEMORY);
        return KV_INVALID;
    }
    ephpm_socket_put(remote->socket, persist, 2);
    ephpm_socket_put(remote->socket, there, 2);
    /* It does no harm twice. */
    if (!run(remote, true)) {
        return KV_INVALID;
    }
    result = result_of(ephpm_socket_reply(remote->socket, 0));
    return result != KV_OK ? result
        : yes_or(ephpm_socket_reply(remote->socket, 1), KV_MISSING);
}

static kv_result_t remove_key(const char *key, size_t key_bytes)
{
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    return yes_or(ASK(false, WORD("DEL"), { key, key_bytes }), KV_MISSING);
}

static kv_result_t remove_equal(const char *key, size_t key_bytes,
                                const char *expected, size_t expected_bytes)
{
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    if (is_too_large(expected_bytes)) {
        return KV_DIFFERENT;
    }
    return yes_or(ASK(false, WORD("DELIFEQ"), { key, key_bytes },
                      { expected, expected_bytes }), KV_DIFFERENT);
}

static kv_result_t flush(void)
{
    return result_of(ASK(false, WORD("FLUSHALL")));
}

/* ------------------------------------------------------------------ */
/* Enumerating                                                         */

/* One step of SCAN.  @return the array of keys, or NULL: the script knows */
static const redisReply *scan_step(uint64_t *cursor, const char *prefix,
                                   size_t prefix_bytes, uint64_t slots)
{
    const redisReply *reply;
    ephpm_word_t words[6] = { WORD("SCAN") };
    size_t pattern_bytes = 0;
    size_t count = 2;
    number_t where;
    number_t step;
    char *pattern = NULL;

    words[1] = unsigned_word(&where, *cursor);
    *cursor = 0;
    if (prefix_bytes != 0) {
        pattern = ephpm_socket_pattern(prefix, prefix_bytes, &pattern_bytes);
        if (pattern == NULL) {
            warn_gone(EPHPM_SOCKET_NO_MEMORY);
            return NULL;
        }
        words[count++] = (ephpm_word_t)WORD("MATCH");
        words[count++] = (ephpm_word_t){ pattern, pattern_bytes };
    }
    words[count++] = (ephpm_word_t)WORD("COUNT");
    words[count++] = unsigned_word(&step, slots);
    {
        struct ephpm_remote *remote = current();

        if (remote != NULL) {
            ephpm_socket_put(remote->socket, words, count);
        }
        free(pattern);
        if (UNEXPECTED(remote == NULL)) {
            warn_gone(EPHPM_SOCKET_NO_MEMORY);
            return NULL;
        }
        if (!run(remote, true)) {
            return NULL;
        }
        reply = ephpm_socket_reply(remote->socket, 0);
    }
    if (result_of(reply) != KV_OK || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_ARRAY) {
        return NULL;
    }
    *cursor = strtoull(reply->element[0]->str, NULL, 10);
    return reply->element[1];
}

static uint64_t scan(uint64_t cursor, const char *prefix, size_t prefix_bytes,
                     uint64_t slots, HashTable *keys)
{
    do {
        uint64_t step = slots < SCAN_SLOTS ? slots : SCAN_SLOTS;
        const redisReply *found = scan_step(&cursor, prefix, prefix_bytes,
                                            step);

        if (found == NULL) {
            return 0;
        }
        for (size_t i = 0; i < found->elements; i++) {
            const redisReply *key = found->element[i];
            zval entry;

            if (key->type == REDIS_REPLY_STRING) {
                ZVAL_STRINGL(&entry, key->str, (size_t)key->len);
                zend_hash_next_index_insert_new(keys, &entry);
            }
        }
        slots -= step;
    } while (slots != 0 && cursor != 0);
    return cursor;
}

/* Remove what a step has found. */
static kv_result_t remove_found(const redisReply *found, uint64_t *removed)
{
    struct ephpm_remote *remote = EPHPM_G(remote);
    ephpm_socket_result_t done = EPHPM_SOCKET_DONE;
    kv_result_t result = KV_OK;
    char text[ANSWER_BYTES] = "";
    size_t asked = 0;

    for (size_t i = 0; i < found->elements; i++) {
        const redisReply *key = found->element[i];
        const ephpm_word_t words[] = { WORD("DEL"),
                                       { key->str, (size_t)key->len } };

        if (key->type == REDIS_REPLY_STRING) {
            ephpm_socket_put(remote->socket, words, 2);
            asked++;
        }
    }
    if (asked != 0) {
        done = ephpm_socket_run(remote->socket, false);
    }
    for (size_t i = 0; i < asked; i++) {
        const redisReply *reply = ephpm_socket_reply(remote->socket, i);
        kv_result_t one = note_result(reply, text);

        if (one == KV_OK && reply->type == REDIS_REPLY_INTEGER) {
            *removed += (uint64_t)reply->integer;
        } else if (result == KV_OK) {
            result = one;
        }
    }
    if (UNEXPECTED(done != EPHPM_SOCKET_DONE)) {
        warn_gone(done);
        result = KV_INVALID;
    } else if (UNEXPECTED(text[0] != '\0')) {
        warn_answer(text);
    }
    return result;
}

static kv_result_t remove_prefix(const char *prefix, size_t prefix_bytes,
                                 uint64_t *removed)
{
    kv_result_t result;
    uint64_t cursor = 0;

    *removed = 0;
    do {
        const redisReply *found = scan_step(&cursor, prefix, prefix_bytes,
                                            SCAN_SLOTS);

        result = found != NULL ? remove_found(found, removed) : KV_INVALID;
    } while (result == KV_OK && cursor != 0);
    return result;
}

/* ------------------------------------------------------------------ */
/* Waiting                                                             */

static kv_result_t wait_for(const char *key, size_t key_bytes,
                            uint64_t last_version, uint64_t timeout_ms,
                            uint64_t *version)
{
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    php_error_docref(NULL, E_WARNING,
        "There is no waiting for a change through ephpm.kv_socket; ask for "
        "the value again after a while");
    return KV_INVALID;
}

static const ephpm_ops_t remote_ops = {
    .get = get,
    .getdel = getdel,
    .get_items = get_items,
    .exists = exists,
    .deadline_get = deadline_get,
    .set = set,
    .set_equal = set_equal,
    .set_items = set_items,
    .add = add,
    .deadline_set = deadline_set,
    .remove = remove_key,
    .remove_equal = remove_equal,
    .remove_prefix = remove_prefix,
    .flush = flush,
    .wait = wait_for,
    .scan = scan,
    .stats = stats,
    .limits = limits,
    .info = info,
};

const ephpm_ops_t *ephpm_remote_ops(void)
{
    const char *address = EPHPM_G(kv_socket);

    return address != NULL && *address != '\0' ? &remote_ops : NULL;
}
