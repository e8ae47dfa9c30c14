/* resp_key.c - commands about keys. */

#include "resp_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key with nothing to be said about it: removed, or not there. */
static bool is_done(kv_result_t result)
{
    return result == KV_OK || result == KV_MISSING || result == KV_BAD_KEY;
}

RESP_HANDLER(del)
{
    int64_t deleted = 0;

    for (size_t i = 1; i < count; i++) {
        kv_result_t result = kv_key_delete(conn->service->store,
                                           args[i].bytes, args[i].length);

        if (!is_done(result)) {
            resp_reply_refusal(conn, result);
            return;
        }
        deleted += result == KV_OK;
    }
    resp_reply_integer(conn, deleted);
}

RESP_HANDLER(delifeq)
{
    kv_result_t result = kv_key_delete_equal(
        conn->service->store, args[1].bytes, args[1].length, args[2].bytes,
        args[2].length);

    (void)count;
    if (is_done(result) || result == KV_DIFFERENT) {
        resp_reply_integer(conn, result == KV_OK);
    } else {
        resp_reply_refusal(conn, result);
    }
}

RESP_HANDLER(exists)
{
    int64_t found = 0;

    for (size_t i = 1; i < count; i++) {
        found += kv_key_exists(conn->service->store, args[i].bytes,
                               args[i].length) == KV_OK;
    }
    resp_reply_integer(conn, found);
}

RESP_HANDLER(type)
{
    (void)count;
    resp_reply_status(conn, kv_key_exists(conn->service->store, args[1].bytes,
                                          args[1].length) == KV_OK
                                ? "string" : "none");
}

RESP_HANDLER(dbsize)
{
    kv_stats_t stats;

    (void)args;
    (void)count;
    kv_store_stats(conn->service->store, &stats);
    resp_reply_integer(conn, (int64_t)stats.entries);
}

RESP_HANDLER(flush)
{
    kv_result_t result;

    if (count > 2 || (count == 2 && !resp_arg_is(&args[1], "sync")
                      && !resp_arg_is(&args[1], "async"))) {
        resp_reply_error(conn, RESP_SYNTAX);
        return;
    }
    result = kv_store_flush(conn->service->store);
    if (result == KV_OK) {
        resp_reply_ok(conn);
    } else {
        resp_reply_refusal(conn, result);
    }
}

/* Again until a value was moved that did not change meanwhile. */
RESP_HANDLER(rename)
{
    kv_store_t *store = conn->service->store;
    const resp_arg_t *from = &args[1];
    const resp_arg_t *to = &args[2];
    bool same = from->length == to->length
        && memcmp(from->bytes, to->bytes, to->length) == 0;
    kv_result_t result = KV_RETRY;

    (void)count;
    for (int tries = RESP_TRIES; tries > 0; tries--) {
        int64_t ttl_ms;
        kv_read_t read;

        result = resp_value_read(conn, from, &read, 0);
        if (result != KV_OK || same) {
            break;
        }
        result = kv_deadline_get(store, from->bytes, from->length, &ttl_ms);
        if (result != KV_OK) {
            break;
        }
        result = kv_value_set(store, to->bytes, to->length, conn->scratch,
                              conn->scratch_bytes,
                              ttl_ms > 0 ? ttl_ms : KV_NO_TTL,
                              KV_SET_ALWAYS);
        if (result == KV_OK) {
            result = kv_key_delete_version(store, from->bytes, from->length,
                                           read.version);
            /* Deleted by another just now: it has moved all the same. */
            if (result == KV_MISSING) {
                result = KV_OK;
            }
        }
        if (result != KV_DIFFERENT) {
            break;
        }
        result = KV_RETRY;
    }
    if (result == KV_OK) {
        resp_reply_ok(conn);
    } else if (result == KV_MISSING) {
        resp_reply_error(conn, "ERR no such key");
    } else {
        resp_reply_refusal(conn, result);
    }
}

/* ------------------------------------------------------------------ */
/* Deadlines                                                           */

typedef struct conditions {
    bool none;         /* NX: it has no deadline */
    bool some;         /* XX */
    bool later;        /* GT */
    bool earlier;      /* LT */
} conditions_t;

static bool want_conditions(resp_conn_t *conn, const resp_arg_t *args,
                            size_t count, conditions_t *conditions)
{
    memset(conditions, 0, sizeof(*conditions));
    for (size_t i = 0; i < count; i++) {
        if (resp_arg_is(&args[i], "nx")) {
            conditions->none = true;
        } else if (resp_arg_is(&args[i], "xx")) {
            conditions->some = true;
        } else if (resp_arg_is(&args[i], "gt")) {
            conditions->later = true;
        } else if (resp_arg_is(&args[i], "lt")) {
            conditions->earlier = true;
        } else {
            resp_reply_error(conn, "ERR Unsupported option %.*s",
                             args[i].length < 128 ? (int)args[i].length : 128,
                             args[i].bytes);
            return false;
        }
    }
    if (conditions->none && (conditions->some || conditions->later
                             || conditions->earlier)) {
        resp_reply_error(conn, "ERR NX and XX, GT or LT options at the same "
                               "time are not compatible");
        return false;
    }
    if (conditions->later && conditions->earlier) {
        resp_reply_error(conn, "ERR GT and LT options at the same time are "
                               "not compatible");
        return false;
    }
    return true;
}

/* The store knows what is left of a deadline by a clock that ticks, not the
 * time of the day it was set to: the same one comes back this far off. */
#define TICK_MS 10

/* `left_ms` is -1 without a deadline, which counts as the latest of all. */
static bool hold(const conditions_t *conditions, int64_t left_ms,
                 int64_t ttl_ms, bool absolute)
{
    int64_t same_ms = absolute ? TICK_MS : 0;

    if ((conditions->none && left_ms >= 0)
        || (conditions->some && left_ms < 0)) {
        return false;
    }
    if (conditions->later) {
        return left_ms >= 0 && ttl_ms > left_ms + same_ms;
    }
    return !conditions->earlier || left_ms < 0
        || ttl_ms < left_ms - same_ms;
}

static void expire(resp_conn_t *conn, const resp_arg_t *args, size_t count,
                   resp_unit_t unit, bool absolute)
{
    kv_store_t *store = conn->service->store;
    int64_t now_ms = resp_now_ms();
    conditions_t conditions;
    kv_result_t result;
    int64_t left_ms;
    int64_t when;

    if (!want_conditions(conn, args + 3, count - 3, &conditions)
        || !resp_want_integer(conn, &args[2], &when)) {
        return;
    }
    if ((unit == UNIT_SECONDS
         && (when > INT64_MAX / 1000 || when < INT64_MIN / 1000))
        || (when *= unit == UNIT_SECONDS ? 1000 : 1,
            !absolute && when > INT64_MAX - now_ms)) {
        resp_reply_error(conn, "ERR invalid expire time in '%s' command",
                         resp_command_find(&args[0])->name);
        return;
    }
    if (absolute) {
        when = when < INT64_MIN + now_ms ? INT64_MIN : when - now_ms;
    }
    result = kv_deadline_get(store, args[1].bytes, args[1].length, &left_ms);
    if (result == KV_OK && hold(&conditions, left_ms, when, absolute)) {
        result = when <= 0
            ? kv_key_delete(store, args[1].bytes, args[1].length)
            : kv_deadline_set(store, args[1].bytes, args[1].length, when);
    } else {
        result = KV_MISSING;
    }
    if (is_done(result)) {
        resp_reply_integer(conn, result == KV_OK);
    } else {
        resp_reply_refusal(conn, result);
    }
}

RESP_HANDLER(expire)
{
    expire(conn, args, count, UNIT_SECONDS, false);
}

RESP_HANDLER(pexpire)
{
    expire(conn, args, count, UNIT_MS, false);
}

RESP_HANDLER(expireat)
{
    expire(conn, args, count, UNIT_SECONDS, true);
}

RESP_HANDLER(persist)
{
    kv_store_t *store = conn->service->store;
    int64_t left_ms;
    kv_result_t result = kv_deadline_get(store, args[1].bytes,
                                         args[1].length, &left_ms);

    (void)count;
    if (result == KV_OK && left_ms >= 0) {
        result = kv_deadline_set(store, args[1].bytes, args[1].length, 0);
    } else {
        result = KV_MISSING;
    }
    if (is_done(result)) {
        resp_reply_integer(conn, result == KV_OK);
    } else {
        resp_reply_refusal(conn, result);
    }
}

/* Milliseconds left, -1 without a deadline, -2 for a missing key. */
static int64_t time_left(const resp_conn_t *conn, const resp_arg_t *key)
{
    int64_t left_ms;

    return kv_deadline_get(conn->service->store, key->bytes, key->length,
                           &left_ms) == KV_OK ? left_ms : -2;
}

RESP_HANDLER(ttl)
{
    int64_t left_ms = time_left(conn, &args[1]);

    (void)count;
    if (left_ms > 0) {
        left_ms = left_ms / 1000 + (left_ms % 1000 >= 500);
    }
    resp_reply_integer(conn, left_ms);
}

RESP_HANDLER(pttl)
{
    (void)count;
    resp_reply_integer(conn, time_left(conn, &args[1]));
}

/* ------------------------------------------------------------------ */
/* Enumerating                                                         */

#define KEYS_SLOTS 4096u
#define SCAN_SLOTS_MAX (1u << 20)

/* What matching a pattern may cost: enough for any that people write, and no
 * more than a multiple of what is read. */
#define MATCH_STEPS ((uint64_t)1 << 22)
#define MATCH_STEPS_OF_BYTE 16u

static bool key_room(resp_conn_t *conn, size_t length)
{
    char *scratch;

    if (length <= conn->scratch_room) {
        return true;
    }
    scratch = malloc(length < 256 ? 256 : length);
    if (scratch == NULL) {
        conn->drop = true;
        return false;
    }
    free(conn->scratch);
    conn->scratch = scratch;
    conn->scratch_room = length < 256 ? 256 : length;
    return true;
}

/* One step; answers the keys that match `pattern` (NULL: all), and adds to
 * *found how many.  false: `steps` were not enough. */
static bool scan_step(resp_conn_t *conn, kv_scan_t *scan,
                      const resp_arg_t *pattern, uint64_t *steps,
                      size_t *found)
{
    kv_store_t *store = conn->service->store;
    size_t length;

    while (!conn->drop && kv_scan_key(store, scan, &length) == KV_OK) {
        if (!key_room(conn, length)
            || kv_scan_copy(store, scan, conn->scratch) != KV_OK) {
            continue;
        }
        *steps += MATCH_STEPS_OF_BYTE * length;
        if (pattern == NULL
            || resp_glob_match(pattern->bytes, pattern->length,
                               conn->scratch, length, steps)) {
            resp_reply_bulk(conn, conn->scratch, length);
            ++*found;
        }
        if (*steps == 0) {
            return false;
        }
    }
    return true;
}

/* Instead of what was answered since `began`. */
static void refuse_pattern(resp_conn_t *conn, size_t began)
{
    if (!conn->drop) {
        conn->output.end = conn->output.begin + began;
        resp_reply_error(conn, "ERR the pattern takes too long to match");
    }
}

RESP_HANDLER(keys)
{
    const resp_arg_t *pattern = &args[1];
    size_t prefix = resp_glob_literal(pattern->bytes, pattern->length);
    size_t began = resp_reply_begin(conn);
    uint64_t steps = MATCH_STEPS;
    uint64_t cursor = 0;
    size_t found = 0;

    (void)count;
    do {
        kv_scan_t scan;

        kv_scan_begin(conn->service->store, &scan, cursor, pattern->bytes,
                      prefix, KEYS_SLOTS);
        if (!scan_step(conn, &scan, pattern, &steps, &found)) {
            refuse_pattern(conn, began);
            return;
        }
        cursor = scan.cursor;
    } while (cursor != 0 && !conn->drop);
    resp_reply_end(conn, began, found);
}

/* Redis takes any unsigned number. */
static bool parse_cursor(const resp_arg_t *arg, uint64_t *cursor)
{
    *cursor = 0;
    for (size_t i = 0; i < arg->length; i++) {
        unsigned digit = (unsigned)(arg->bytes[i] - '0');

        if (digit > 9 || *cursor > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *cursor = *cursor * 10 + digit;
    }
    return arg->length != 0;
}

typedef struct scan_options {
    const resp_arg_t *pattern;     /* NULL: every key */
    uint64_t slots;
    bool strings;                  /* TYPE: there is nothing else */
} scan_options_t;

static bool want_scan_options(resp_conn_t *conn, const resp_arg_t *args,
                              size_t count, scan_options_t *options)
{
    int64_t slots;

    options->pattern = NULL;
    options->slots = 10;
    options->strings = true;
    for (size_t i = 0; i < count; i += 2) {
        if (i + 1 == count) {
            resp_reply_error(conn, RESP_SYNTAX);
            return false;
        }
        if (resp_arg_is(&args[i], "count")) {
            if (!resp_want_integer(conn, &args[i + 1], &slots)) {
                return false;
            }
            if (slots < 1) {
                resp_reply_error(conn, RESP_SYNTAX);
                return false;
            }
            options->slots = slots < SCAN_SLOTS_MAX ? (uint64_t)slots
                                                    : SCAN_SLOTS_MAX;
        } else if (resp_arg_is(&args[i], "match")) {
            options->pattern = &args[i + 1];
        } else if (resp_arg_is(&args[i], "type")) {
            options->strings = resp_arg_is(&args[i + 1], "string");
        } else {
            resp_reply_error(conn, RESP_SYNTAX);
            return false;
        }
    }
    return true;
}

RESP_HANDLER(scan)
{
    uint64_t steps = MATCH_STEPS;
    scan_options_t options;
    uint64_t cursor;
    kv_scan_t scan;
    size_t began;
    size_t found = 0;
    char digits[24];
    char head[48];
    int length;

    if (!parse_cursor(&args[1], &cursor)) {
        resp_reply_error(conn, "ERR invalid cursor");
        return;
    }
    if (!want_scan_options(conn, args + 2, count - 2, &options)) {
        return;
    }
    kv_scan_begin(conn->service->store, &scan, cursor,
                  options.pattern != NULL ? options.pattern->bytes : NULL,
                  options.pattern != NULL
                      ? resp_glob_literal(options.pattern->bytes,
                                          options.pattern->length) : 0,
                  options.slots);
    began = resp_reply_begin(conn);
    if (!scan_step(conn, &scan, options.pattern, &steps, &found)) {
        refuse_pattern(conn, began);
        return;
    }
    if (!options.strings && !conn->drop) {
        conn->output.end = conn->output.begin + began;
        found = 0;
    }
    resp_reply_end(conn, began, found);
    /* It shows when the step is over, and is answered first. */
    length = snprintf(digits, sizeof(digits), "%" PRIu64, scan.cursor);
    length = snprintf(head, sizeof(head), "*2\r\n$%d\r\n%s\r\n", length,
                      digits);
    resp_reply_insert(conn, began, head, (size_t)length);
}
