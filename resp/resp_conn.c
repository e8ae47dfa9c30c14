/* resp_conn.c - bytes in: from what a client sends to the next command.
 *
 * hiredis's reader parses requests.  It believes what a header says, so each
 * byte goes past a check of ours first, which knows only the frame: a request
 * is "*N", then N times "$length" and so many bytes.  Anything else (a nested
 * array, a length out of bounds, a request longer in all than the store could
 * ever hold) ends the connection before the reader has seen it whole, and it
 * is asked for a request only when the check has seen the last byte of one.
 *
 * The reader gets one request at a time and no byte of the next.  So its
 * buffer stays as it is from the parsing to the next feed, and arguments are
 * pointers into it.
 */

#include "resp_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ------------------------------------------------------------------ */
/* Buffers                                                             */

bool resp_buffer_reserve(resp_buffer_t *buffer, size_t more)
{
    size_t used = buffer->end - buffer->begin;
    size_t room;
    char *bytes;

    if (more <= buffer->room - buffer->end) {
        return true;
    }
    if (used <= buffer->room / 2 && more <= buffer->room - used) {
        memmove(buffer->bytes, buffer->bytes + buffer->begin, used);
        buffer->begin = 0;
        buffer->end = used;
        return true;
    }
    if (more > SIZE_MAX / 4 || used > SIZE_MAX / 4) {
        return false;
    }
    /* Half of it is free then, or what is there is moved at each append. */
    room = 512;
    while (room < used + more || room / 2 < used) {
        room *= 2;
    }
    bytes = malloc(room);
    if (bytes == NULL) {
        return false;
    }
    if (used != 0) {
        memcpy(bytes, buffer->bytes + buffer->begin, used);
    }
    free(buffer->bytes);
    buffer->bytes = bytes;
    buffer->begin = 0;
    buffer->end = used;
    buffer->room = room;
    return true;
}

void resp_buffer_empty(resp_buffer_t *buffer)
{
    buffer->begin = buffer->end = 0;
    if (buffer->room > RESP_KEEP_BYTES) {
        free(buffer->bytes);
        buffer->bytes = NULL;
        buffer->room = 0;
    }
}

static bool append(resp_buffer_t *buffer, const char *bytes, size_t length)
{
    if (length == 0) {
        return true;
    }
    if (!resp_buffer_reserve(buffer, length)) {
        return false;
    }
    memcpy(buffer->bytes + buffer->end, bytes, length);
    buffer->end += length;
    return true;
}

bool resp_args_reserve(resp_conn_t *conn, size_t count)
{
    size_t room = conn->args_room != 0 ? conn->args_room : 8;
    resp_arg_t *args;

    if (count <= conn->args_room) {
        return true;
    }
    while (room < count) {
        room *= 2;
    }
    args = realloc(conn->args, room * sizeof(*args));
    if (args == NULL) {
        conn->drop = true;
        return false;
    }
    conn->args = args;
    conn->args_room = room;
    return true;
}

/* ------------------------------------------------------------------ */
/* hiredis's reader                                                    */

/* An object for the reader to carry; what it stands for is in conn->args. */
#define SEEN ((void *)&seen)
static char seen;

static void *reader_string(const redisReadTask *task, char *bytes,
                           size_t length)
{
    resp_conn_t *conn = task->privdata;

    if (!resp_args_reserve(conn, conn->args_count + 1)) {
        return NULL;
    }
    conn->args[conn->args_count].bytes = bytes;
    conn->args[conn->args_count].length = length;
    conn->args_count++;
    return SEEN;
}

#if HIREDIS_MAJOR >= 1
static void *reader_array(const redisReadTask *task, size_t elements)
#else
static void *reader_array(const redisReadTask *task, int elements)
#endif
{
    (void)task;
    (void)elements;
    return SEEN;
}

static void *reader_integer(const redisReadTask *task, long long number)
{
    (void)task;
    (void)number;
    return NULL;
}

static void *reader_nil(const redisReadTask *task)
{
    (void)task;
    return NULL;
}

static void reader_forget(void *object)
{
    (void)object;
}

static redisReplyObjectFunctions reader_functions = {
    .createString = reader_string,
    .createArray = reader_array,
    .createInteger = reader_integer,
    .createNil = reader_nil,
    .freeObject = reader_forget
};

static void reader_free(resp_conn_t *conn)
{
    if (conn->reader != NULL) {
        redisReaderFree(conn->reader);
        conn->reader = NULL;
    }
}

static bool reader_feed(resp_conn_t *conn, const char *bytes, size_t length)
{
    if (conn->reader == NULL) {
        conn->reader = redisReaderCreateWithFunctions(&reader_functions);
        if (conn->reader == NULL) {
            conn->drop = true;
            return false;
        }
        conn->reader->privdata = conn;
    }
    if (length != 0
        && redisReaderFeed(conn->reader, bytes, length) != REDIS_OK) {
        conn->drop = true;
        return false;
    }
    return true;
}

/* The request that the check has seen whole. */
static bool reader_parse(resp_conn_t *conn)
{
    void *request = NULL;

    conn->args_count = 0;
    if (redisReaderGetReply(conn->reader, &request) != REDIS_OK
        || request == NULL) {
        conn->drop = true;
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ */
/* The check                                                           */

static void protocol_error(resp_conn_t *conn, const char *what)
{
    resp_reply_error(conn, "ERR Protocol error: %s", what);
    conn->closing = true;
    conn->service->stats.protocol_errors++;
}

/* Take bytes of a header line up to its end.  Returns how many; the line is
 * whole where *whole.  A longer line cannot be right. */
static size_t take_line(resp_conn_t *conn, const char *bytes, size_t length,
                        bool *whole)
{
    size_t taken = 0;

    *whole = false;
    while (taken < length && conn->line_length < RESP_LINE_MAX) {
        char byte = bytes[taken++];

        conn->line[conn->line_length++] = byte;
        if (byte == '\n') {
            *whole = true;
            break;
        }
    }
    return taken;
}

/* The number of a header line, without its first letter and its end. */
static bool line_number(const resp_conn_t *conn, int64_t *number)
{
    resp_arg_t digits = { conn->line + 1, 0 };

    if (conn->line_length < 4
        || conn->line[conn->line_length - 2] != '\r') {
        return false;
    }
    digits.length = conn->line_length - 3;
    return resp_parse_integer(&digits, number);
}

static void check_array(resp_conn_t *conn)
{
    int64_t count;

    if (!line_number(conn, &count) || count > RESP_ARGS_MAX) {
        protocol_error(conn, "invalid multibulk length");
    } else if (!conn->known && count > RESP_STRANGER_ARGS_MAX) {
        protocol_error(conn, "unauthenticated multibulk length");
    } else {
        conn->bulks_left = count;
        conn->place = count > 0 ? PLACE_BULK : PLACE_NEW;
    }
}

static void check_bulk(resp_conn_t *conn)
{
    size_t left = conn->service->request_max_bytes - conn->request_bytes;
    int64_t length;

    if (conn->line[0] != '$') {
        char what[] = "expected '$', got '?'";

        what[sizeof(what) - 3] = conn->line[0];
        protocol_error(conn, what);
    } else if (!line_number(conn, &length) || length < 0
               || (uint64_t)length > left
               || (uint64_t)length > conn->service->arg_max_bytes) {
        protocol_error(conn, "invalid bulk length");
    } else if (!conn->known && length > RESP_STRANGER_BULK_MAX_BYTES) {
        protocol_error(conn, "unauthenticated bulk length");
    } else {
        conn->data_left = (size_t)length + 2;
        conn->place = PLACE_DATA;
    }
}

/* Look at `bytes` up to the end of the request they belong to.  Returns how
 * many belong to it; it is whole where conn->bulks_left is 0 after that. */
static size_t check_request(resp_conn_t *conn, const char *bytes,
                            size_t length)
{
    size_t at = 0;

    while (at < length && !conn->closing) {
        size_t taken;
        bool whole;

        if (conn->place == PLACE_DATA) {
            taken = length - at < conn->data_left ? length - at
                                                  : conn->data_left;
            conn->data_left -= taken;
            if (conn->data_left == 0) {
                conn->place = PLACE_BULK;
                conn->line_length = 0;
                conn->bulks_left--;
            }
        } else {
            taken = take_line(conn, bytes + at, length - at, &whole);
            if (whole && conn->place == PLACE_ARRAY) {
                check_array(conn);
                conn->line_length = 0;
            } else if (whole) {
                check_bulk(conn);
            } else if (conn->line_length == RESP_LINE_MAX) {
                protocol_error(conn, conn->place == PLACE_ARRAY
                               ? "invalid multibulk length"
                               : conn->line[0] == '$' ? "invalid bulk length"
                               : "expected '$'");
            }
        }
        at += taken;
        conn->request_bytes += taken;
        if (conn->request_bytes > conn->service->request_max_bytes) {
            /* Many small arguments. */
            protocol_error(conn, "too big request");
        } else if (conn->place == PLACE_NEW
                   || (conn->place == PLACE_BULK && conn->bulks_left == 0)) {
            break;
        }
    }
    return at;
}

/* ------------------------------------------------------------------ */
/* Requests                                                            */

static size_t take_array(resp_conn_t *conn, const char *bytes, size_t length)
{
    size_t taken = check_request(conn, bytes, length);

    if (conn->closing) {
        return taken;
    }
    if (conn->place == PLACE_NEW) {
        /* "*0": no request.  All of it may be in this piece or not. */
        if (conn->request_bytes != taken) {
            reader_free(conn);
        }
        return taken;
    }
    if (!reader_feed(conn, bytes, taken)) {
        return taken;
    }
    if (conn->place == PLACE_BULK && conn->bulks_left == 0) {
        conn->place = PLACE_NEW;
        if (reader_parse(conn)) {
            resp_command_run(conn);
        }
        if (conn->request_bytes > RESP_KEEP_BYTES) {
            /* It keeps its buffer until the next request, which may be the
             * last one for an hour. */
            reader_free(conn);
        }
    }
    return taken;
}

static size_t take_inline(resp_conn_t *conn, const char *bytes, size_t length)
{
    const char *end = memchr(bytes, '\n', length);
    size_t taken = end != NULL ? (size_t)(end - bytes) + 1 : length;
    resp_buffer_t *text = &conn->text;

    if (text->end - text->begin + taken > RESP_INLINE_MAX_BYTES) {
        protocol_error(conn, "too big inline request");
        return taken;
    }
    if (!append(text, bytes, taken)) {
        conn->drop = true;
        return taken;
    }
    if (end != NULL) {
        size_t line = text->end - text->begin - 1;

        if (line > 0 && text->bytes[text->begin + line - 1] == '\r') {
            line--;
        }
        conn->place = PLACE_NEW;
        conn->args_count = 0;
        if (resp_inline_split(conn, text->bytes + text->begin, line)) {
            if (conn->args_count > 0) {
                resp_command_run(conn);
            }
        } else if (!conn->drop) {
            protocol_error(conn, "unbalanced quotes in request");
        }
        resp_buffer_empty(text);
    }
    return taken;
}

/* Milliseconds since boot, as sharp as a scheduler's tick and cheaper than a
 * command. */
static int64_t coarse_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_paused(const resp_conn_t *conn)
{
    return conn->output.end - conn->output.begin
        > conn->service->output_pause_bytes;
}

/* Run what can be run, for a turn.  Returns how much was taken. */
static size_t take(resp_conn_t *conn, const char *bytes, size_t length)
{
    unsigned turn_ms = conn->service->turn_ms;
    int64_t until_ms = turn_ms != 0 ? coarse_ms() + turn_ms : INT64_MAX;
    size_t at = 0;

    while (at < length && !conn->closing && !conn->drop
           && !is_paused(conn)
           && (turn_ms == 0 || coarse_ms() < until_ms)) {
        if (conn->place == PLACE_NEW) {
            conn->place = bytes[at] == '*' ? PLACE_ARRAY : PLACE_INLINE;
            conn->line_length = 0;
            conn->request_bytes = 0;
        }
        if (conn->place == PLACE_INLINE) {
            at += take_inline(conn, bytes + at, length - at);
        } else {
            at += take_array(conn, bytes + at, length - at);
        }
    }
    return at;
}

/* ------------------------------------------------------------------ */
/* What a server calls                                                 */

resp_state_t resp_conn_state(const resp_conn_t *conn)
{
    if (conn->drop) {
        return RESP_DROP;
    }
    if (conn->closing) {
        return RESP_CLOSING;
    }
    if (is_paused(conn)) {
        return RESP_PAUSED;
    }
    return conn->rest.end != conn->rest.begin ? RESP_MORE : RESP_READ;
}

/* Who holds more than its share where all hold more than they may is lost. */
static void weigh(resp_conn_t *conn)
{
    resp_service_t *service = conn->service;
    size_t held = conn->text.room + conn->rest.room + conn->output.room
        + conn->scratch_room;

    if (conn->place != PLACE_NEW && conn->place != PLACE_INLINE) {
        held += conn->request_bytes;
    }
    service->held_bytes += held - conn->held_bytes;
    conn->held_bytes = held;
    if (service->held_bytes > service->held_max_bytes
        && held > RESP_SHARE_LEAST_BYTES
        && held > service->held_max_bytes / service->stats.clients) {
        conn->drop = true;
    }
}

bool resp_conn_idle(const resp_conn_t *conn)
{
    return conn->place == PLACE_NEW && conn->rest.begin == conn->rest.end
        && conn->output.begin == conn->output.end;
}

/* A connection that is lost is told of once. */
static resp_state_t settle(resp_conn_t *conn, bool was_lost)
{
    weigh(conn);
    if (conn->drop && !was_lost) {
        conn->service->stats.drops++;
    }
    return resp_conn_state(conn);
}

resp_state_t resp_conn_feed(resp_conn_t *conn, const void *bytes,
                            size_t length)
{
    bool was_lost = conn->drop;
    size_t taken = 0;

    conn->service->stats.input_bytes += length;
    if (conn->rest.end == conn->rest.begin) {
        taken = take(conn, bytes, length);
    }
    if (!conn->closing && !conn->drop
        && !append(&conn->rest, (const char *)bytes + taken,
                   length - taken)) {
        conn->drop = true;
    }
    return settle(conn, was_lost);
}

size_t resp_conn_output(const resp_conn_t *conn, const char **bytes)
{
    size_t length = conn->output.end - conn->output.begin;

    *bytes = length != 0 ? conn->output.bytes + conn->output.begin : NULL;
    return length;
}

resp_state_t resp_conn_sent(resp_conn_t *conn, size_t length)
{
    bool was_lost = conn->drop;
    resp_buffer_t *output = &conn->output;
    resp_buffer_t *rest = &conn->rest;

    assert(length <= output->end - output->begin);
    conn->service->stats.output_bytes += length;
    output->begin += length;
    if (output->begin == output->end) {
        resp_buffer_empty(output);
    }
    if (rest->end != rest->begin) {
        rest->begin += take(conn, rest->bytes + rest->begin,
                            rest->end - rest->begin);
        if (rest->begin == rest->end) {
            resp_buffer_empty(rest);
        }
    }
    return settle(conn, was_lost);
}

resp_conn_t *resp_conn_open(resp_service_t *service)
{
    resp_conn_t *conn = calloc(1, sizeof(*conn));

    if (conn != NULL) {
        conn->service = service;
        conn->id = ++service->next_id;
        conn->began_ms = resp_now_ms();
        conn->known = service->password == NULL;
        service->stats.connections++;
        service->stats.clients++;
    }
    return conn;
}

void resp_conn_close(resp_conn_t *conn)
{
    if (conn == NULL) {
        return;
    }
    conn->service->stats.clients--;
    conn->service->held_bytes -= conn->held_bytes;
    reader_free(conn);
    free(conn->text.bytes);
    free(conn->rest.bytes);
    free(conn->output.bytes);
    free(conn->scratch);
    free(conn->args);
    free(conn);
}

resp_service_t *resp_service_create(kv_store_t *store,
                                    const resp_settings_t *settings)
{
    static const resp_settings_t defaults;
    resp_service_t *service = calloc(1, sizeof(*service));
    size_t value_max = kv_store_value_max(store);
    kv_stats_t stats;
    bool good;

    if (service == NULL) {
        return NULL;
    }
    if (settings == NULL) {
        settings = &defaults;
    }
    service->store = store;
    service->output_pause_bytes = settings->output_pause_bytes != 0
        ? settings->output_pause_bytes : (size_t)256 << 10;
    service->output_max_bytes = settings->output_max_bytes != 0
        ? settings->output_max_bytes : value_max + ((size_t)64 << 20);
    service->arg_max_bytes = value_max + RESP_REQUEST_EXTRA_BYTES;
    service->request_max_bytes = value_max + service->arg_max_bytes;
    kv_store_stats(store, &stats);
    service->held_max_bytes = settings->buffers_max_bytes != 0
        ? settings->buffers_max_bytes
        : stats.limit_bytes + ((size_t)128 << 20);
    service->began_ms = resp_now_ms();
    service->name = strdup(settings->name != NULL ? settings->name : "");
    good = service->name != NULL;
    if (settings->password != NULL) {
        service->password_bytes = settings->password_bytes;
        service->password = malloc(settings->password_bytes + 1);
        if (service->password != NULL) {
            memcpy(service->password, settings->password,
                   settings->password_bytes);
        }
        good = good && service->password != NULL;
    }
    if (!good) {
        resp_service_destroy(service);
        return NULL;
    }
    return service;
}

void resp_service_destroy(resp_service_t *service)
{
    if (service != NULL) {
        free(service->name);
        free(service->password);
        free(service);
    }
}

void resp_service_set_turn(resp_service_t *service, unsigned turn_ms)
{
    service->turn_ms = turn_ms;
}

void resp_service_stats(const resp_service_t *service, resp_stats_t *stats)
{
    *stats = service->stats;
}
