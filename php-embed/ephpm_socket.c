/* ephpm_socket.c - requests out, replies in.
 *
 * The descriptor is never waited on but by poll(): each send and receive
 * takes what can be had at once.  While requests are still going out replies
 * are taken in already, so that a server that does not read on before its
 * answers are taken is no deadlock, however much is sent in one run.
 */

#include "ephpm_socket_private.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 1000

/* Buffers that are empty are kept up to this size. */
#define KEEP_BYTES ((size_t)64 << 10)

ephpm_socket_result_t ephpm_socket_fail(ephpm_socket_t *client,
                                        ephpm_socket_result_t result,
                                        const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(client->error, sizeof(client->error), format, arguments);
    va_end(arguments);
    return result;
}

int64_t ephpm_socket_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ */
/* Life                                                                */

ephpm_socket_t *ephpm_socket_create(const char *address,
                                    const char *password_file,
                                    unsigned timeout_ms)
{
    ephpm_socket_t *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return NULL;
    }
    client->fd = -1;
    client->timeout_ms = timeout_ms != 0 ? (int)timeout_ms : 1;
    client->address = strdup(address);
    client->password_file = strdup(password_file != NULL ? password_file
                                                         : "");
    if (client->address == NULL || client->password_file == NULL) {
        ephpm_socket_destroy(client);
        return NULL;
    }
    return client;
}

static void free_replies(ephpm_socket_t *client)
{
    for (size_t i = 0; i < client->replies; i++) {
        freeReplyObject(client->reply[i]);
    }
    client->replies = 0;
}

static void hang_up(ephpm_socket_t *client)
{
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
    if (client->reader != NULL) {
        redisReaderFree(client->reader);
        client->reader = NULL;
    }
}

void ephpm_socket_destroy(ephpm_socket_t *client)
{
    if (client == NULL) {
        return;
    }
    hang_up(client);
    free_replies(client);
    free(client->reply);
    free(client->out);
    free(client->address);
    free(client->password_file);
    free(client);
}

/* ------------------------------------------------------------------ */
/* Requests                                                            */

static bool reserve(ephpm_socket_t *client, size_t more)
{
    size_t room = client->out_room != 0 ? client->out_room : 256;
    char *out;

    if (more > SIZE_MAX / 2 - client->out_bytes) {
        return false;
    }
    while (room < client->out_bytes + more) {
        room *= 2;
    }
    if (room == client->out_room) {
        return true;
    }
    out = realloc(client->out, room);
    if (out == NULL) {
        return false;
    }
    client->out = out;
    client->out_room = room;
    return true;
}

static void write_header(ephpm_socket_t *client, char kind, size_t number)
{
    client->out_bytes += (size_t)sprintf(client->out + client->out_bytes,
                                         "%c%zu\r\n", kind, number);
}

bool ephpm_socket_put(ephpm_socket_t *client, const ephpm_word_t *words,
                      size_t count)
{
    enum { HEADER_MAX = 24 };
    size_t before = client->out_bytes;

    if (!reserve(client, HEADER_MAX)) {
        client->no_memory = true;
        return false;
    }
    write_header(client, '*', count);
    for (size_t i = 0; i < count; i++) {
        if (words[i].length > SIZE_MAX / 4
            || !reserve(client, HEADER_MAX + words[i].length + 2)) {
            client->out_bytes = before;
            client->no_memory = true;
            return false;
        }
        write_header(client, '$', words[i].length);
        if (words[i].length != 0) {
            memcpy(client->out + client->out_bytes, words[i].bytes,
                   words[i].length);
        }
        client->out_bytes += words[i].length;
        memcpy(client->out + client->out_bytes, "\r\n", 2);
        client->out_bytes += 2;
    }
    if (client->requests++ == 0) {
        client->first_bytes = client->out_bytes;
    }
    return true;
}

char *ephpm_socket_pattern(const void *prefix, size_t prefix_bytes,
                           size_t *pattern_bytes)
{
    const char *from = prefix;
    char *pattern = NULL;
    size_t at = 0;

    if (prefix_bytes <= SIZE_MAX / 4) {
        pattern = malloc(2 * prefix_bytes + 1);
    }
    if (pattern == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < prefix_bytes; i++) {
        if (from[i] != '\0' && strchr("*?[]\\", from[i]) != NULL) {
            pattern[at++] = '\\';
        }
        pattern[at++] = from[i];
    }
    pattern[at++] = '*';
    *pattern_bytes = at;
    return pattern;
}

size_t ephpm_socket_pending(const ephpm_socket_t *client)
{
    return client->out_bytes;
}

static void forget_requests(ephpm_socket_t *client)
{
    client->out_bytes = 0;
    client->requests = 0;
    client->first_bytes = 0;
    client->no_memory = false;
    if (client->out_room > KEEP_BYTES) {
        free(client->out);
        client->out = NULL;
        client->out_room = 0;
    }
}

/* ------------------------------------------------------------------ */
/* One exchange                                                        */

/* Room for `count` replies. */
static bool replies_reserve(ephpm_socket_t *client, size_t count)
{
    redisReply **reply;

    if (count <= client->replies_room) {
        return true;
    }
    reply = realloc(client->reply, count * sizeof(*reply));
    if (reply == NULL) {
        return false;
    }
    client->reply = reply;
    client->replies_room = count;
    return true;
}

/* What has come, as replies; no more than `wanted` in all. */
static ephpm_socket_result_t take_replies(ephpm_socket_t *client,
                                          size_t wanted)
{
    while (client->replies < wanted) {
        void *reply = NULL;

        if (redisReaderGetReply(client->reader, &reply) != REDIS_OK) {
            return client->reader->err == REDIS_ERR_OOM
                ? ephpm_socket_fail(client, EPHPM_SOCKET_NO_MEMORY,
                      "no memory for the answer")
                : ephpm_socket_fail(client, EPHPM_SOCKET_GARBLED,
                      "what answers does not speak Redis's protocol");
        }
        if (reply == NULL) {
            break;
        }
        client->reply[client->replies++] = reply;
    }
    return EPHPM_SOCKET_DONE;
}

/* Receive what is there.  `*lost` at the end of the connection. */
static ephpm_socket_result_t receive(ephpm_socket_t *client, size_t wanted,
                                     bool *progress, bool *lost)
{
    ssize_t got = recv(client->fd, client->in, sizeof(client->in),
                       MSG_DONTWAIT);

    if (got > 0) {
        *progress = true;
        if (redisReaderFeed(client->reader, client->in, (size_t)got)
            != REDIS_OK) {
            return ephpm_socket_fail(client, EPHPM_SOCKET_NO_MEMORY,
                                     "no memory for the answer");
        }
        return take_replies(client, wanted);
    }
    if (got == 0) {
        *lost = true;
        return ephpm_socket_fail(client, EPHPM_SOCKET_LOST,
                                 "the connection was closed without an "
                                 "answer");
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        *lost = true;
        return ephpm_socket_fail(client, EPHPM_SOCKET_LOST,
                                 "the connection was lost: %s",
                                 strerror(errno));
    }
    return EPHPM_SOCKET_DONE;
}

/* Send what can be sent. */
static bool send_more(ephpm_socket_t *client, const char *bytes, size_t length,
                      size_t *sent, bool *progress)
{
    while (*sent < length) {
        ssize_t went = send(client->fd, bytes + *sent, length - *sent,
                            MSG_DONTWAIT | MSG_NOSIGNAL);

        if (went < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        }
        *sent += (size_t)went;
        *progress = true;
    }
    return true;
}

/* Send `length` bytes, which are `wanted` requests, and take the replies. */
static ephpm_socket_result_t exchange(ephpm_socket_t *client,
                                      const char *bytes, size_t length,
                                      size_t wanted)
{
    int64_t limit_ms = ephpm_socket_now_ms() + client->timeout_ms;
    ephpm_socket_result_t result = EPHPM_SOCKET_DONE;
    bool lost = false;

    client->sent = 0;
    free_replies(client);
    if (!replies_reserve(client, wanted)) {
        return ephpm_socket_fail(client, EPHPM_SOCKET_NO_MEMORY,
                                 "no memory for the answer");
    }
    while (result == EPHPM_SOCKET_DONE && client->replies < wanted && !lost) {
        bool progress = false;
        bool deaf = !send_more(client, bytes, length, &client->sent,
                               &progress);
        int64_t now_ms = ephpm_socket_now_ms();
        struct pollfd watched = {
            .fd = client->fd,
            .events = (short)(POLLIN | (client->sent < length && !deaf
                                            ? POLLOUT : 0))
        };
        int ready;

        if (progress) {
            limit_ms = now_ms + client->timeout_ms;
        }
        /* One that does not listen any more may have said why. */
        ready = deaf ? 1 : poll(&watched, 1, limit_ms > now_ms
                                                 ? (int)(limit_ms - now_ms)
                                                 : 0);
        if (ready == 0 && limit_ms <= ephpm_socket_now_ms()) {
            return ephpm_socket_silent(client);
        }
        if (ready > 0 && (deaf || (watched.revents & ~POLLOUT))) {
            progress = false;
            result = receive(client, wanted, &progress, &lost);
            if (progress) {
                limit_ms = ephpm_socket_now_ms() + client->timeout_ms;
            } else if (deaf && result == EPHPM_SOCKET_DONE) {
                result = ephpm_socket_fail(client, EPHPM_SOCKET_LOST,
                                           "the connection was lost");
            }
        }
    }
    return result;
}

/* ------------------------------------------------------------------ */
/* Connections                                                         */

/* Does the first reply say that this client is not wanted?  Then nothing was
 * done. */
static ephpm_socket_result_t refusal(ephpm_socket_t *client)
{
    static const struct {
        const char *begins;
        ephpm_socket_result_t result;
        const char *what;
    } of[] = {
        { "NOAUTH", EPHPM_SOCKET_DENIED, "a password is asked for" },
        { "WRONGPASS", EPHPM_SOCKET_DENIED, "the password is wrong" },
        { "ERR max number of clients", EPHPM_SOCKET_GONE,
          "it has as many clients as it takes" }
    };
    const redisReply *reply = ephpm_socket_reply(client, 0);

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
            if (strncmp(reply->str, of[i].begins, strlen(of[i].begins)) == 0) {
                return ephpm_socket_fail(client, of[i].result, "%s",
                                         of[i].what);
            }
        }
    }
    return EPHPM_SOCKET_DONE;
}

/* Give the password. */
static ephpm_socket_result_t authenticate(ephpm_socket_t *client)
{
    char password[EPHPM_SOCKET_PASSWORD_ROOM];
    char request[EPHPM_SOCKET_PASSWORD_ROOM + 64];
    ephpm_socket_result_t result;
    size_t password_bytes;
    int header;

    result = ephpm_socket_password(client, password, &password_bytes);
    if (result != EPHPM_SOCKET_DONE) {
        return result;
    }
    /* Of the default user's, any will do where none is asked for. */
    header = sprintf(request, "*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n"
                              "$%zu\r\n", password_bytes);
    memcpy(request + header, password, password_bytes);
    memcpy(request + header + password_bytes, "\r\n", 2);
    result = exchange(client, request, (size_t)header + password_bytes + 2,
                      1);
    explicit_bzero(password, sizeof(password));
    explicit_bzero(request, sizeof(request));
    if (result == EPHPM_SOCKET_DONE) {
        result = refusal(client);
    }
    if (result == EPHPM_SOCKET_DONE
        && client->reply[0]->type != REDIS_REPLY_STATUS) {
        result = ephpm_socket_fail(client, EPHPM_SOCKET_DENIED,
            "it did not take the password: %.150s",
            client->reply[0]->type == REDIS_REPLY_ERROR
                ? client->reply[0]->str : "a strange answer");
    }
    return result;
}

static ephpm_socket_result_t dial(ephpm_socket_t *client)
{
    ephpm_socket_result_t result;

    if (ephpm_socket_now_ms() < client->not_before_ms) {
        /* The error is still that of the last time. */
        return client->failure;
    }
    result = ephpm_socket_dial(client);
    if (result == EPHPM_SOCKET_DONE) {
        client->reader = redisReaderCreate();
        if (client->reader == NULL) {
            result = ephpm_socket_fail(client, EPHPM_SOCKET_NO_MEMORY,
                                       "no memory");
        }
    }
    if (result == EPHPM_SOCKET_DONE && *client->password_file != '\0') {
        result = authenticate(client);
    }
    if (result == EPHPM_SOCKET_DONE) {
        client->owner = getpid();
        client->connections++;
    }
    return result;
}

/* Is the connection there, this process's own, and not closed meanwhile? */
static bool is_usable(const ephpm_socket_t *client)
{
    char byte;

    return client->fd >= 0 && client->owner == getpid()
        && recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0
        && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

static ephpm_socket_result_t run(ephpm_socket_t *client, bool only_reads)
{
    ephpm_socket_result_t result;
    bool kept = is_usable(client);

    /* Those of the run before. */
    free_replies(client);
    client->sent = 0;
    client->uncertain = false;
    if (client->no_memory) {
        return ephpm_socket_fail(client, EPHPM_SOCKET_NO_MEMORY,
                                 "no memory for the request");
    }
    for (;;) {
        if (!kept) {
            hang_up(client);
            client->sent = 0;
            free_replies(client);
            result = dial(client);
            if (result != EPHPM_SOCKET_DONE) {
                client->sent = 0;
                free_replies(client);
                break;
            }
        }
        result = exchange(client, client->out, client->out_bytes,
                          client->requests);
        if (result != EPHPM_SOCKET_LOST || !kept
            || (!only_reads && (client->sent >= client->first_bytes
                                || client->replies != 0))) {
            break;
        }
        kept = false;
    }
    if (result == EPHPM_SOCKET_DONE || result == EPHPM_SOCKET_LOST) {
        ephpm_socket_result_t refused = refusal(client);

        if (refused != EPHPM_SOCKET_DONE) {
            client->sent = 0;
            result = refused;
        }
    }
    client->uncertain = result != EPHPM_SOCKET_DONE && !only_reads
        && client->sent != 0 && client->sent >= client->first_bytes;
    return result;
}

ephpm_socket_result_t ephpm_socket_run(ephpm_socket_t *client,
                                       bool only_reads)
{
    ephpm_socket_result_t result = run(client, only_reads);

    if (result != EPHPM_SOCKET_DONE) {
        int64_t now_ms = ephpm_socket_now_ms();

        hang_up(client);
        if (now_ms >= client->not_before_ms
            && result != EPHPM_SOCKET_NO_MEMORY
            && result != EPHPM_SOCKET_LOST) {
            client->failure = result;
            client->not_before_ms = now_ms
                + (result == EPHPM_SOCKET_SILENT ? 2 * client->timeout_ms
                                                 : PAUSE_MS);
        }
    } else if (client->sent < client->out_bytes ||
               client->reader->pos < client->reader->len) {
        /* Out of step: what is left would be the next request's. */
        hang_up(client);
    }
    forget_requests(client);
    return result;
}

const redisReply *ephpm_socket_reply(const ephpm_socket_t *client,
                                     size_t index)
{
    return index < client->replies ? client->reply[index] : NULL;
}

const char *ephpm_socket_error(const ephpm_socket_t *client)
{
    return client->error;
}

bool ephpm_socket_uncertain(const ephpm_socket_t *client)
{
    return client->uncertain;
}

unsigned ephpm_socket_connections(const ephpm_socket_t *client)
{
    return client->connections;
}
