/* ephpm_so_remote.c - ephpm.kv_socket: the connection to a running server,
 * its replies in kvcore's terms, and what it tells of its store.
 *
 * One warning a request says that the server cannot be reached.  What it
 * answers beyond kvcore's results is told each time.
 */

#include "ephpm_so_remote.h"

#include <ext/standard/info.h>

#include <inttypes.h>

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

struct ephpm_remote *ephpm_remote_current(void)
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

ZEND_COLD void ephpm_remote_warn(ephpm_socket_result_t result)
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

bool ephpm_remote_run(struct ephpm_remote *remote, bool only_reads)
{
    ephpm_socket_result_t result = ephpm_socket_run(remote->socket,
                                                    only_reads);

    if (EXPECTED(result == EPHPM_SOCKET_DONE)) {
        return true;
    }
    ephpm_remote_warn(result);
    return false;
}

const redisReply *ephpm_remote_ask(const ephpm_word_t *words, size_t count,
                             bool only_reads)
{
    struct ephpm_remote *remote = ephpm_remote_current();

    if (UNEXPECTED(remote == NULL)) {
        ephpm_remote_warn(EPHPM_SOCKET_NO_MEMORY);
        return NULL;
    }
    ephpm_socket_put(remote->socket, words, count);
    return EXPECTED(ephpm_remote_run(remote, only_reads))
        ? ephpm_socket_reply(remote->socket, 0) : NULL;
}

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

void ephpm_remote_tell(const char *text)
{
    if (EXPECTED(text[0] == '\0')) {
        return;
    }
    php_error_docref(NULL, E_WARNING,
        "The server behind ephpm.kv_socket = \"%s\" answered: %s",
        setting(EPHPM_G(kv_socket)), text);
}

kv_result_t ephpm_remote_note(const redisReply *reply,
                              char text[EPHPM_ANSWER_BYTES])
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
        snprintf(text, EPHPM_ANSWER_BYTES, "%s", reply->str);
    }
    return result;
}

kv_result_t ephpm_remote_result(const redisReply *reply)
{
    char text[EPHPM_ANSWER_BYTES] = "";
    kv_result_t result = ephpm_remote_note(reply, text);

    ephpm_remote_tell(text);
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

    if (ephpm_remote_result(reply) != KV_OK
        || reply->type != REDIS_REPLY_STRING) {
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

bool ephpm_remote_is_too_large(size_t value_bytes)
{
    struct ephpm_remote *remote;

    if (EXPECTED(value_bytes <= EPHPM_SURELY_FITS_BYTES)) {
        return false;
    }
    remote = ephpm_remote_current();
    if (remote == NULL
        || ((remote->limits_of == 0
             || remote->limits_of != ephpm_socket_connections(remote->socket))
            && !fetch_info())) {
        return false;
    }
    return remote->stats.value_max_bytes != 0
        && value_bytes > remote->stats.value_max_bytes;
}

void ephpm_remote_limits(size_t *value_max_bytes, unsigned *wait_limit_ms)
{
    *value_max_bytes = 0;
    *wait_limit_ms = 0;
    if (fetch_info()) {
        *value_max_bytes = EPHPM_G(remote)->stats.value_max_bytes;
        *wait_limit_ms = EPHPM_G(remote)->wait_limit_ms;
    }
}

void ephpm_remote_stats(kv_stats_t *stats)
{
    memset(stats, 0, sizeof(*stats));
    if (fetch_info()) {
        *stats = EPHPM_G(remote)->stats;
    }
}

/* Tells, rather than warns: it is where people look what is wrong. */
void ephpm_remote_info(void)
{
    struct ephpm_remote *remote = ephpm_remote_current();
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
