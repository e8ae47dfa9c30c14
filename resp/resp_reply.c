/* resp_reply.c - bytes out: the output buffer, and replies in it. */

#include "resp_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "$", twenty digits, "\r\n" */
#define HEADER_MAX 24

char *resp_reply_room(resp_conn_t *conn, size_t more)
{
    resp_buffer_t *output = &conn->output;

    if (conn->drop) {
        return NULL;
    }
    if (more > conn->service->output_max_bytes
        || output->end - output->begin
            > conn->service->output_max_bytes - more
        || !resp_buffer_reserve(output, more)) {
        conn->drop = true;
        return NULL;
    }
    return output->bytes + output->end;
}

static void put(resp_conn_t *conn, const char *bytes, size_t length)
{
    char *room = resp_reply_room(conn, length);

    if (room != NULL) {
        memcpy(room, bytes, length);
        conn->output.end += length;
    }
}

/* `kind`, a number and the line's end, at `room`; returns the length. */
static size_t write_header(char *room, char kind, int64_t number)
{
    char digits[20];
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    size_t count = 0;
    size_t at = 0;

    do {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    room[at++] = kind;
    if (number < 0) {
        room[at++] = '-';
    }
    while (count > 0) {
        room[at++] = digits[--count];
    }
    room[at++] = '\r';
    room[at++] = '\n';
    return at;
}

static void put_header(resp_conn_t *conn, char kind, int64_t number)
{
    char *room = resp_reply_room(conn, HEADER_MAX);

    if (room != NULL) {
        conn->output.end += write_header(room, kind, number);
    }
}

void resp_reply_status(resp_conn_t *conn, const char *text)
{
    put(conn, "+", 1);
    put(conn, text, strlen(text));
    put(conn, "\r\n", 2);
}

void resp_reply_ok(resp_conn_t *conn)
{
    put(conn, "+OK\r\n", 5);
}

void resp_reply_error(resp_conn_t *conn, const char *format, ...)
{
    char text[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length < 0) {
        length = 0;
    } else if ((size_t)length >= sizeof(text)) {
        length = (int)sizeof(text) - 1;
    }
    for (int i = 0; i < length; i++) {
        if (text[i] == '\r' || text[i] == '\n') {
            text[i] = ' ';
        }
    }
    put(conn, "-", 1);
    put(conn, text, (size_t)length);
    put(conn, "\r\n", 2);
    conn->service->stats.errors++;
}

void resp_reply_integer(resp_conn_t *conn, int64_t number)
{
    put_header(conn, ':', number);
}

void resp_reply_null(resp_conn_t *conn)
{
    if (conn->resp3) {
        put(conn, "_\r\n", 3);
    } else {
        put(conn, "$-1\r\n", 5);
    }
}

void resp_reply_bulk(resp_conn_t *conn, const void *bytes, size_t length)
{
    char *room = resp_reply_room(conn, HEADER_MAX + length + 2);

    if (room != NULL) {
        size_t at = write_header(room, '$', (int64_t)length);

        if (length != 0) {
            memcpy(room + at, bytes, length);
        }
        memcpy(room + at + length, "\r\n", 2);
        conn->output.end += at + length + 2;
    }
}

void resp_reply_text(resp_conn_t *conn, const char *text)
{
    resp_reply_bulk(conn, text, strlen(text));
}

void resp_reply_verbatim(resp_conn_t *conn, const char *text, size_t length)
{
    if (!conn->resp3) {
        resp_reply_bulk(conn, text, length);
        return;
    }
    put_header(conn, '=', (int64_t)length + 4);
    put(conn, "txt:", 4);
    put(conn, text, length);
    put(conn, "\r\n", 2);
}

void resp_reply_array(resp_conn_t *conn, size_t count)
{
    put_header(conn, '*', (int64_t)count);
}

void resp_reply_map(resp_conn_t *conn, size_t pairs)
{
    if (conn->resp3) {
        put_header(conn, '%', (int64_t)pairs);
    } else {
        put_header(conn, '*', (int64_t)pairs * 2);
    }
}

size_t resp_reply_begin(const resp_conn_t *conn)
{
    return conn->output.end - conn->output.begin;
}

void resp_reply_insert(resp_conn_t *conn, size_t began, const char *bytes,
                       size_t length)
{
    if (resp_reply_room(conn, length) != NULL) {
        resp_buffer_t *output = &conn->output;
        char *at = output->bytes + output->begin + began;

        memmove(at + length, at, (size_t)(output->bytes + output->end - at));
        memcpy(at, bytes, length);
        output->end += length;
    }
}

void resp_reply_end(resp_conn_t *conn, size_t began, size_t count)
{
    char header[HEADER_MAX];
    size_t length = write_header(header, '*', (int64_t)count);

    resp_reply_insert(conn, began, header, length);
}

/* Long values, counters, compressed ones. */
static void reply_long_value(resp_conn_t *conn, const resp_arg_t *key)
{
    kv_store_t *store = conn->service->store;
    kv_result_t result;

    do {
        kv_read_t read;
        char *room;
        size_t at;

        result = kv_read_begin(store, key->bytes, key->length, &read);
        if (result != KV_OK) {
            break;
        }
        room = resp_reply_room(conn, HEADER_MAX + read.value_bytes + 2);
        if (room == NULL) {
            return;
        }
        at = write_header(room, '$', (int64_t)read.value_bytes);
        result = kv_read_copy(store, &read, room + at);
        if (result == KV_OK) {
            memcpy(room + at + read.value_bytes, "\r\n", 2);
            conn->output.end += at + read.value_bytes + 2;
        }
    } while (result == KV_RETRY);
    if (result == KV_NO_MEMORY) {
        resp_reply_refusal(conn, result);
    } else if (result != KV_OK) {
        resp_reply_null(conn);
    }
}

void resp_reply_value(resp_conn_t *conn, const resp_arg_t *key)
{
    kv_short_t found;
    kv_result_t result = kv_short_find(conn->service->store, key->bytes,
                                       key->length, &found);

    if (result == KV_OK) {
        char *room = resp_reply_room(conn, HEADER_MAX + found.bytes + 2);
        size_t at;

        if (room == NULL) {
            return;
        }
        at = write_header(room, '$', (int64_t)found.bytes);
        result = kv_short_copy(&found, room + at);
        if (result == KV_OK) {
            memcpy(room + at + found.bytes, "\r\n", 2);
            conn->output.end += at + found.bytes + 2;
            return;
        }
    }
    if (result == KV_MISSING) {
        resp_reply_null(conn);
    } else {
        reply_long_value(conn, key);
    }
}

void resp_reply_refusal(resp_conn_t *conn, kv_result_t result)
{
    kv_config_t config;

    switch (result) {
    case KV_NOT_INTEGER:
        resp_reply_error(conn, RESP_NOT_INTEGER);
        break;
    case KV_OVERFLOW:
        resp_reply_error(conn, "ERR increment or decrement would overflow");
        break;
    case KV_NO_ROOM:
        resp_reply_error(conn, "OOM command not allowed when used memory > "
                               "'maxmemory'.");
        break;
    case KV_TOO_LARGE:
        resp_reply_error(conn, RESP_TOO_LARGE);
        break;
    case KV_BAD_KEY:
        resp_reply_error(conn, "ERR a key has 1 to %u bytes",
                         KV_KEY_MAX_BYTES);
        break;
    case KV_BUSY:
        kv_store_config(conn->service->store, &config);
        resp_reply_error(conn, "BUSY no turn to write in %u ms",
                         (unsigned)config.wait_limit_ms);
        break;
    case KV_RETRY:
        resp_reply_error(conn, "BUSY the value changes all the time, or its "
                               "bytes are damaged");
        break;
    default:
        resp_reply_error(conn, "ERR %s", kv_result_text(result));
        break;
    }
}
