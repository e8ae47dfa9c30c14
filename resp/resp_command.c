/* resp_command.c - the table of commands, who may run them, and what their
 * handlers have in common.
 */

#include "resp_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* In the order of their names.  Arity and keys are Redis's. */
const resp_command_t resp_commands[] = {
    { "append", resp_cmd_append, 3, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "auth", resp_cmd_auth, -2, RESP_FAST | RESP_STRANGER, 0, 0, 0 },
    { "client", resp_cmd_client, -2, 0, 0, 0, 0 },
    { "command", resp_cmd_command, -1, 0, 0, 0, 0 },
    { "dbsize", resp_cmd_dbsize, 1, RESP_READONLY | RESP_FAST, 0, 0, 0 },
    { "decr", resp_cmd_decr, 2, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "decrby", resp_cmd_decrby, 3, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "del", resp_cmd_del, -2, RESP_WRITE, 1, -1, 1 },
    { "delifeq", resp_cmd_delifeq, 3, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "echo", resp_cmd_echo, 2, RESP_FAST, 0, 0, 0 },
    { "exists", resp_cmd_exists, -2, RESP_READONLY | RESP_FAST, 1, -1, 1 },
    { "expire", resp_cmd_expire, -3, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "expireat", resp_cmd_expireat, -3, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "flushall", resp_cmd_flush, -1, RESP_WRITE, 0, 0, 0 },
    { "flushdb", resp_cmd_flush, -1, RESP_WRITE, 0, 0, 0 },
    { "get", resp_cmd_get, 2, RESP_READONLY | RESP_FAST, 1, 1, 1 },
    { "getdel", resp_cmd_getdel, 2, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "getex", resp_cmd_getex, -2, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "getset", resp_cmd_getset, 3, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "hello", resp_cmd_hello, -1, RESP_FAST | RESP_STRANGER, 0, 0, 0 },
    { "incr", resp_cmd_incr, 2, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "incrby", resp_cmd_incrby, 3, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "info", resp_cmd_info, -1, 0, 0, 0, 0 },
    { "keys", resp_cmd_keys, 2, RESP_READONLY, 0, 0, 0 },
    { "mget", resp_cmd_mget, -2, RESP_READONLY | RESP_FAST, 1, -1, 1 },
    { "mset", resp_cmd_mset, -3, RESP_WRITE, 1, -1, 2 },
    { "persist", resp_cmd_persist, 2, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "pexpire", resp_cmd_pexpire, -3, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "ping", resp_cmd_ping, -1, RESP_FAST, 0, 0, 0 },
    { "psetex", resp_cmd_psetex, 4, RESP_WRITE, 1, 1, 1 },
    { "pttl", resp_cmd_pttl, 2, RESP_READONLY | RESP_FAST, 1, 1, 1 },
    { "quit", resp_cmd_quit, -1, RESP_FAST | RESP_STRANGER, 0, 0, 0 },
    { "rename", resp_cmd_rename, 3, RESP_WRITE, 1, 2, 1 },
    { "scan", resp_cmd_scan, -2, RESP_READONLY, 0, 0, 0 },
    { "select", resp_cmd_select, 2, RESP_FAST, 0, 0, 0 },
    { "set", resp_cmd_set, -3, RESP_WRITE, 1, 1, 1 },
    { "setex", resp_cmd_setex, 4, RESP_WRITE, 1, 1, 1 },
    { "setnx", resp_cmd_setnx, 3, RESP_WRITE | RESP_FAST, 1, 1, 1 },
    { "strlen", resp_cmd_strlen, 2, RESP_READONLY | RESP_FAST, 1, 1, 1 },
    { "time", resp_cmd_time, 1, RESP_FAST, 0, 0, 0 },
    { "ttl", resp_cmd_ttl, 2, RESP_READONLY | RESP_FAST, 1, 1, 1 },
    { "type", resp_cmd_type, 2, RESP_READONLY | RESP_FAST, 1, 1, 1 },
    { "unlink", resp_cmd_del, -2, RESP_WRITE | RESP_FAST, 1, -1, 1 },
};
const size_t resp_commands_count =
    sizeof(resp_commands) / sizeof(resp_commands[0]);

#define NAME_MAX_BYTES 8

static char small_letter(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

const resp_command_t *resp_command_find(const resp_arg_t *name)
{
    char small[NAME_MAX_BYTES + 1];
    size_t low = 0;
    size_t high = resp_commands_count;

    if (name->length > NAME_MAX_BYTES) {
        return NULL;
    }
    for (size_t i = 0; i < name->length; i++) {
        small[i] = small_letter(name->bytes[i]);
    }
    small[name->length] = '\0';
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(small, resp_commands[middle].name);

        if (order == 0) {
            /* Not what a NUL byte has cut short. */
            return strlen(small) == name->length ? &resp_commands[middle]
                                                 : NULL;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* With as much of the arguments as Redis shows. */
static void unknown_command(resp_conn_t *conn)
{
    enum { SHOWN = 128 };
    char text[SHOWN * 2];
    size_t used = 0;
    int name_bytes = conn->args[0].length < SHOWN
        ? (int)conn->args[0].length : SHOWN;

    text[0] = '\0';
    for (size_t i = 1; i < conn->args_count && used < SHOWN; i++) {
        size_t room = SHOWN - used;
        const resp_arg_t *arg = &conn->args[i];
        int written = snprintf(text + used, sizeof(text) - used, "'%.*s' ",
                               (int)(arg->length < room ? arg->length : room),
                               arg->bytes);

        if (written < 0 || (size_t)written >= sizeof(text) - used) {
            break;
        }
        used += (size_t)written;
    }
    resp_reply_error(conn, "ERR unknown command '%.*s', with args beginning "
                           "with: %s", name_bytes, conn->args[0].bytes, text);
}

void resp_command_run(resp_conn_t *conn)
{
    const resp_command_t *command = resp_command_find(&conn->args[0]);
    size_t count = conn->args_count;

    conn->service->stats.commands++;
    if (command == NULL) {
        unknown_command(conn);
        if (resp_arg_is(&conn->args[0], "post") ||
            resp_arg_is(&conn->args[0], "host:")) {
            /* HTTP: what a web page has a browser send is not to be run. */
            conn->closing = true;
            conn->service->stats.protocol_errors++;
        }
    } else if (command->arity > 0 ? count != (size_t)command->arity
                                  : count < (size_t)-command->arity) {
        resp_reply_error(conn,
            "ERR wrong number of arguments for '%s' command", command->name);
    } else if (!conn->known && !(command->flags & RESP_STRANGER)) {
        resp_reply_error(conn, "NOAUTH Authentication required.");
    } else {
        conn->last_command = command->name;
        command->run(conn, conn->args, count);
    }
    if (conn->scratch_room > RESP_KEEP_BYTES) {
        free(conn->scratch);
        conn->scratch = NULL;
        conn->scratch_room = 0;
    }
    if (conn->args_room > 1024) {
        free(conn->args);
        conn->args = NULL;
        conn->args_room = 0;
    }
}

/* ------------------------------------------------------------------ */
/* What handlers have in common                                        */

int64_t resp_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool resp_arg_is(const resp_arg_t *arg, const char *word)
{
    size_t length = strlen(word);

    if (arg->length != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (small_letter(arg->bytes[i]) != word[i]) {
            return false;
        }
    }
    return true;
}

bool resp_parse_integer(const resp_arg_t *arg, int64_t *number)
{
    const char *digit = arg->bytes;
    const char *end = arg->bytes + arg->length;
    bool negative = arg->length > 0 && *digit == '-';
    uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t sum = 0;

    digit += negative;
    if (digit == end || (*digit == '0' && (negative || end - digit > 1))) {
        return false;
    }
    for (; digit < end; digit++) {
        unsigned value = (unsigned)(*digit - '0');

        if (*digit < '0' || *digit > '9' || sum > limit / 10
            || sum * 10 > limit - value) {
            return false;
        }
        sum = sum * 10 + value;
    }
    *number = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

bool resp_want_integer(resp_conn_t *conn, const resp_arg_t *arg,
                       int64_t *number)
{
    if (resp_parse_integer(arg, number)) {
        return true;
    }
    resp_reply_error(conn, RESP_NOT_INTEGER);
    return false;
}

bool resp_want_expiry(resp_conn_t *conn, const resp_arg_t *command,
                      const resp_arg_t *arg, resp_unit_t unit, bool absolute,
                      int64_t *ttl_ms)
{
    int64_t now_ms = resp_now_ms();
    int64_t when;

    if (!resp_want_integer(conn, arg, &when)) {
        return false;
    }
    if (when > 0 && (unit == UNIT_MS || when <= INT64_MAX / 1000)) {
        int64_t time_ms = unit == UNIT_SECONDS ? when * 1000 : when;

        if (absolute) {
            *ttl_ms = time_ms - now_ms;
            return true;
        }
        if (time_ms <= INT64_MAX - now_ms) {
            *ttl_ms = time_ms;
            return true;
        }
    }
    resp_reply_error(conn, "ERR invalid expire time in '%s' command",
                     resp_command_find(command)->name);
    return false;
}

kv_result_t resp_value_read(resp_conn_t *conn, const resp_arg_t *key,
                            kv_read_t *read, size_t more)
{
    kv_store_t *store = conn->service->store;
    kv_result_t result;

    do {
        size_t wanted;

        result = kv_read_begin(store, key->bytes, key->length, read);
        if (result != KV_OK) {
            return KV_MISSING;
        }
        wanted = read->value_bytes + more + 1;
        if (wanted > conn->scratch_room) {
            char *scratch = malloc(wanted);

            if (scratch == NULL) {
                return KV_NO_MEMORY;
            }
            free(conn->scratch);
            conn->scratch = scratch;
            conn->scratch_room = wanted;
        }
        result = kv_read_copy(store, read, conn->scratch);
    } while (result == KV_RETRY);
    conn->scratch_bytes = read->value_bytes;
    return result;
}

size_t resp_glob_literal(const char *pattern, size_t length)
{
    size_t at = 0;

    while (at < length && pattern[at] != '*' && pattern[at] != '?'
           && pattern[at] != '[' && pattern[at] != '\\') {
        at++;
    }
    return at;
}

/* Does `c` match the class that begins after "["?  `*at` is moved to its last
 * character: "]", or the pattern's end where there is none. */
static bool class_match(const char *pattern, size_t length, size_t *at,
                        unsigned char c)
{
    size_t i = *at;
    bool negated = i < length && pattern[i] == '^';
    bool found = false;

    if (negated) {
        i++;
    }
    for (;; i++) {
        if (i < length && pattern[i] == '\\' && length - i >= 2) {
            i++;
            found = found || (unsigned char)pattern[i] == c;
        } else if (i < length && pattern[i] == ']') {
            break;
        } else if (i >= length) {
            i = length - 1;
            break;
        } else if (length - i >= 3 && pattern[i + 1] == '-') {
            unsigned char from = (unsigned char)pattern[i];
            unsigned char to = (unsigned char)pattern[i + 2];

            if (from > to) {
                unsigned char other = from;

                from = to;
                to = other;
            }
            i += 2;
            found = found || (c >= from && c <= to);
        } else {
            found = found || (unsigned char)pattern[i] == c;
        }
    }
    *at = i;
    return found != negated;
}

/* Goes back to the last "*" alone, so its cost is the product of the lengths
 * at most, whatever the pattern: for the longest ones hours, and so counted. */
bool resp_glob_match(const char *pattern, size_t pattern_length,
                     const char *text, size_t length, uint64_t *steps)
{
    size_t at = 0;
    size_t in = 0;
    size_t star = SIZE_MAX;    /* after the last "*" */
    size_t star_in = 0;        /* where it was tried to end */

    while (in < length || at < pattern_length) {
        if (*steps == 0 || --*steps == 0) {
            return false;
        }
        if (at < pattern_length && pattern[at] == '*') {
            star = ++at;
            star_in = in;
            continue;
        }
        if (in == length) {
            /* Further on there would be less of the text still. */
            return false;
        }
        if (at < pattern_length) {
            size_t last = at;
            bool match;

            if (pattern[at] == '?') {
                match = true;
            } else if (pattern[at] == '[') {
                last = at + 1;
                match = class_match(pattern, pattern_length, &last,
                                    (unsigned char)text[in]);
                if (last - at >= *steps) {
                    *steps = 0;
                    return false;
                }
                *steps -= last - at;
            } else {
                if (pattern[at] == '\\' && pattern_length - at >= 2) {
                    last = at + 1;
                }
                match = pattern[last] == text[in];
            }
            if (match) {
                at = last + 1;
                in++;
                continue;
            }
        }
        if (star == SIZE_MAX || star_in >= length) {
            return false;
        }
        in = ++star_in;
        at = star;
    }
    return true;
}
