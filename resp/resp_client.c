/* resp_client.c - commands about the connection and the server. */

#include "resp_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What clients look at to know what the server can do. */
#define REDIS_VERSION "7.0.0"

RESP_HANDLER(ping)
{
    if (count > 2) {
        resp_reply_error(conn,
                         "ERR wrong number of arguments for 'ping' command");
    } else if (count == 2) {
        resp_reply_bulk(conn, args[1].bytes, args[1].length);
    } else {
        resp_reply_status(conn, "PONG");
    }
}

RESP_HANDLER(echo)
{
    (void)count;
    resp_reply_bulk(conn, args[1].bytes, args[1].length);
}

RESP_HANDLER(quit)
{
    (void)args;
    (void)count;
    resp_reply_ok(conn);
    conn->closing = true;
}

RESP_HANDLER(select)
{
    int64_t index;

    (void)count;
    if (!resp_want_integer(conn, &args[1], &index)) {
        return;
    }
    if (index < INT32_MIN || index > INT32_MAX) {
        resp_reply_error(conn, "ERR value is out of range, value must between "
                               "%d and %d", INT32_MIN, INT32_MAX);
    } else if (index != 0) {
        resp_reply_error(conn, "ERR DB index is out of range");
    } else {
        resp_reply_ok(conn);
    }
}

RESP_HANDLER(time)
{
    struct timespec now;
    char text[24];

    (void)args;
    (void)count;
    clock_gettime(CLOCK_REALTIME, &now);
    resp_reply_array(conn, 2);
    snprintf(text, sizeof(text), "%lld", (long long)now.tv_sec);
    resp_reply_text(conn, text);
    snprintf(text, sizeof(text), "%ld", now.tv_nsec / 1000);
    resp_reply_text(conn, text);
}

/* ------------------------------------------------------------------ */
/* The password                                                        */

/* Takes as long for a wrong password as for the right one; how long the right
 * one is does not show either. */
static bool is_password(const resp_service_t *service, const resp_arg_t *given)
{
    const volatile unsigned char *right =
        (const volatile unsigned char *)service->password;
    size_t length = service->password_bytes;
    volatile unsigned char wrong = given->length != length;

    for (size_t i = 0; i < given->length; i++) {
        wrong |= (unsigned char)given->bytes[i]
            ^ (length != 0 ? right[i % length] : 0);
    }
    return wrong == 0;
}

/* AUTH, or HELLO's.  false: answered with an error. */
static bool authenticate(resp_conn_t *conn, const resp_arg_t *user,
                         const resp_arg_t *password)
{
    static const resp_arg_t default_user = { "default", 7 };
    bool is_default;

    if (user == NULL) {
        if (conn->service->password == NULL) {
            resp_reply_error(conn, "ERR AUTH <password> called without any "
                "password configured for the default user. Are you sure your "
                "configuration is correct?");
            return false;
        }
        user = &default_user;
    }
    is_default = user->length == default_user.length
        && memcmp(user->bytes, default_user.bytes, user->length) == 0;
    /* As with Redis, any will do for a user without one. */
    if (is_default && (conn->service->password == NULL
                       || is_password(conn->service, password))) {
        conn->known = true;
        return true;
    }
    conn->service->stats.auth_failures++;
    resp_reply_error(conn, "WRONGPASS invalid username-password pair or user "
                           "is disabled.");
    return false;
}

RESP_HANDLER(auth)
{
    if (count > 3) {
        resp_reply_error(conn, RESP_SYNTAX);
    } else if (authenticate(conn, count == 3 ? &args[1] : NULL,
                            &args[count - 1])) {
        resp_reply_ok(conn);
    }
}

/* ------------------------------------------------------------------ */
/* HELLO and CLIENT                                                    */

static bool set_name(resp_conn_t *conn, const resp_arg_t *name)
{
    for (size_t i = 0; i < name->length; i++) {
        if (name->bytes[i] < '!' || name->bytes[i] > '~') {
            resp_reply_error(conn, "ERR Client names cannot contain spaces, "
                                   "newlines or special characters.");
            return false;
        }
    }
    if (name->length > RESP_NAME_MAX_BYTES) {
        resp_reply_error(conn, "ERR Client names have at most %d bytes here.",
                         RESP_NAME_MAX_BYTES);
        return false;
    }
    memcpy(conn->name, name->bytes, name->length);
    conn->name_bytes = name->length;
    return true;
}

RESP_HANDLER(hello)
{
    const resp_arg_t *name = NULL;
    int64_t version = conn->resp3 ? 3 : 2;

    if (count >= 2) {
        if (!resp_parse_integer(&args[1], &version)) {
            resp_reply_error(conn, "ERR Protocol version is not an integer "
                                   "or out of range");
            return;
        }
        if (version < 2 || version > 3) {
            resp_reply_error(conn, "NOPROTO unsupported protocol version");
            return;
        }
    }
    for (size_t i = 2; i < count; i++) {
        if (resp_arg_is(&args[i], "auth") && count - i > 2) {
            if (!authenticate(conn, &args[i + 1], &args[i + 2])) {
                return;
            }
            i += 2;
        } else if (resp_arg_is(&args[i], "setname") && count - i > 1) {
            name = &args[++i];
        } else {
            resp_reply_error(conn, "ERR Syntax error in HELLO option '%.*s'",
                             args[i].length < 128 ? (int)args[i].length : 128,
                             args[i].bytes);
            return;
        }
    }
    if (!conn->known) {
        resp_reply_error(conn, "NOAUTH HELLO must be called with the client "
            "already authenticated, otherwise the HELLO <proto> AUTH <user> "
            "<pass> option can be used to authenticate the client and select "
            "the RESP protocol version at the same time");
        return;
    }
    if (name != NULL && !set_name(conn, name)) {
        return;
    }
    conn->resp3 = version == 3;
    resp_reply_map(conn, 7);
    resp_reply_text(conn, "server");
    resp_reply_text(conn, "ephpm");
    resp_reply_text(conn, "version");
    resp_reply_text(conn, REDIS_VERSION);
    resp_reply_text(conn, "proto");
    resp_reply_integer(conn, version);
    resp_reply_text(conn, "id");
    resp_reply_integer(conn, (int64_t)conn->id);
    resp_reply_text(conn, "mode");
    resp_reply_text(conn, "standalone");
    resp_reply_text(conn, "role");
    resp_reply_text(conn, "master");
    resp_reply_text(conn, "modules");
    resp_reply_array(conn, 0);
}

static void reply_client(resp_conn_t *conn)
{
    char text[256 + RESP_NAME_MAX_BYTES];
    int length = snprintf(text, sizeof(text),
        "id=%" PRIu64 " name=%.*s age=%" PRId64 " db=0 resp=%d cmd=%s\n",
        conn->id, (int)conn->name_bytes, conn->name,
        (resp_now_ms() - conn->began_ms) / 1000, conn->resp3 ? 3 : 2,
        conn->last_command);

    resp_reply_verbatim(conn, text, length > 0 ? (size_t)length : 0);
}

typedef struct subcommand {
    const char *name;
    size_t arity;
} subcommand_t;

/* The one that args[1] names, with its number of arguments (0: any) checked,
 * or -1: the error was answered. */
static int find_subcommand(resp_conn_t *conn, const char *command,
                           const subcommand_t *of, int of_count,
                           const resp_arg_t *args, size_t count)
{
    for (int i = 0; i < of_count; i++) {
        if (!resp_arg_is(&args[1], of[i].name)) {
            continue;
        }
        if (of[i].arity != 0 && of[i].arity != count) {
            resp_reply_error(conn, "ERR wrong number of arguments for "
                                   "'%s|%s' command", command, of[i].name);
            return -1;
        }
        return i;
    }
    resp_reply_error(conn, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                     args[1].length < 128 ? (int)args[1].length : 128,
                     args[1].bytes,
                     strcmp(command, "client") == 0 ? "CLIENT" : "COMMAND");
    return -1;
}

RESP_HANDLER(client)
{
    enum { GETNAME, ID, INFO, SETINFO, SETNAME, COUNT };
    static const subcommand_t of[COUNT] = {
        [GETNAME] = { "getname", 2 }, [ID] = { "id", 2 },
        [INFO] = { "info", 2 }, [SETINFO] = { "setinfo", 4 },
        [SETNAME] = { "setname", 3 }
    };

    switch (find_subcommand(conn, "client", of, COUNT, args, count)) {
    case GETNAME:
        if (conn->name_bytes == 0) {
            resp_reply_null(conn);
        } else {
            resp_reply_bulk(conn, conn->name, conn->name_bytes);
        }
        break;
    case ID:
        resp_reply_integer(conn, (int64_t)conn->id);
        break;
    case INFO:
        reply_client(conn);
        break;
    case SETINFO:
        if (resp_arg_is(&args[2], "lib-name")
            || resp_arg_is(&args[2], "lib-ver")) {
            resp_reply_ok(conn);
        } else {
            resp_reply_error(conn, "ERR Unrecognized option '%.*s'",
                             args[2].length < 128 ? (int)args[2].length : 128,
                             args[2].bytes);
        }
        break;
    case SETNAME:
        if (set_name(conn, &args[2])) {
            resp_reply_ok(conn);
        }
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------ */
/* COMMAND                                                             */

static void reply_command(resp_conn_t *conn, const resp_command_t *command)
{
    static const char *const flag[RESP_FLAGS] = { "write", "readonly", "fast",
                                                  "no_auth" };
    size_t flags = 0;

    for (unsigned i = 0; i < RESP_FLAGS; i++) {
        flags += command->flags >> i & 1;
    }
    resp_reply_array(conn, 6);
    resp_reply_text(conn, command->name);
    resp_reply_integer(conn, command->arity);
    resp_reply_array(conn, flags);
    for (unsigned i = 0; i < RESP_FLAGS; i++) {
        if (command->flags >> i & 1) {
            resp_reply_status(conn, flag[i]);
        }
    }
    resp_reply_integer(conn, command->first_key);
    resp_reply_integer(conn, command->last_key);
    resp_reply_integer(conn, command->key_step);
}

RESP_HANDLER(command)
{
    enum { LIST_ALL, NUMBER, DOCS, INFO, LIST, COUNT };
    static const subcommand_t of[COUNT] = {
        [LIST_ALL] = { "", 0 }, [NUMBER] = { "count", 2 },
        [DOCS] = { "docs", 0 }, [INFO] = { "info", 0 }, [LIST] = { "list", 2 }
    };
    int which = LIST_ALL;

    if (count > 1) {
        which = find_subcommand(conn, "command", of, COUNT, args, count);
    }
    if (which == INFO && count > 2) {
        resp_reply_array(conn, count - 2);
        for (size_t i = 2; i < count; i++) {
            const resp_command_t *command = resp_command_find(&args[i]);

            if (command != NULL) {
                reply_command(conn, command);
            } else {
                resp_reply_null(conn);
            }
        }
    } else if (which == LIST_ALL || which == INFO || which == LIST) {
        resp_reply_array(conn, resp_commands_count);
        for (size_t i = 0; i < resp_commands_count; i++) {
            if (which == LIST) {
                resp_reply_text(conn, resp_commands[i].name);
            } else {
                reply_command(conn, &resp_commands[i]);
            }
        }
    } else if (which == NUMBER) {
        resp_reply_integer(conn, (int64_t)resp_commands_count);
    } else if (which == DOCS) {
        resp_reply_map(conn, 0);
    }
}

/* ------------------------------------------------------------------ */
/* INFO                                                                */

typedef struct info {
    char *text;
    size_t room;
    size_t length;
} info_t;

static void add(info_t *info, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(info_t *info, const char *format, ...)
{
    va_list arguments;
    int written;

    va_start(arguments, format);
    written = vsnprintf(info->text + info->length, info->room - info->length,
                        format, arguments);
    va_end(arguments);
    if (written > 0) {
        info->length += (size_t)written;
        if (info->length >= info->room) {
            info->length = info->room - 1;
        }
    }
}

static void info_server(const resp_conn_t *conn, info_t *info)
{
    add(info, "# Server\r\nredis_version:" REDIS_VERSION "\r\n"
        "redis_mode:standalone\r\nserver_name:ephpm\r\n"
        "ephpm_version:" EPHPM_VERSION "\r\nephpm_store:%.200s\r\n"
        "process_id:%ld\r\nuptime_in_seconds:%" PRId64 "\r\n",
        conn->service->name, (long)getpid(),
        (resp_now_ms() - conn->service->began_ms) / 1000);
}

static void info_clients(const resp_conn_t *conn, info_t *info)
{
    add(info, "# Clients\r\nconnected_clients:%" PRIu64 "\r\n",
        conn->service->stats.clients);
}

static void info_memory(const resp_conn_t *conn, info_t *info)
{
    kv_config_t config;
    kv_stats_t stats;

    kv_store_config(conn->service->store, &config);
    kv_store_stats(conn->service->store, &stats);
    add(info, "# Memory\r\nused_memory:%" PRIu64 "\r\nmaxmemory:%" PRIu64
        "\r\nmaxmemory_policy:%s\r\n", stats.used_bytes, stats.limit_bytes,
        kv_eviction_name(config.eviction));
}

static void info_stats(const resp_conn_t *conn, info_t *info)
{
    const resp_stats_t *own = &conn->service->stats;
    kv_stats_t stats;

    kv_store_stats(conn->service->store, &stats);
    add(info, "# Stats\r\ntotal_connections_received:%" PRIu64
        "\r\ntotal_commands_processed:%" PRIu64
        "\r\ntotal_net_input_bytes:%" PRIu64
        "\r\ntotal_net_output_bytes:%" PRIu64
        "\r\ntotal_error_replies:%" PRIu64 "\r\nexpired_keys:%" PRIu64
        "\r\nevicted_keys:%" PRIu64 "\r\nkeyspace_hits:%" PRIu64
        "\r\nkeyspace_misses:%" PRIu64 "\r\n", own->connections,
        own->commands, own->input_bytes, own->output_bytes, own->errors,
        stats.expirations, stats.evictions, stats.hits, stats.misses);
}

static void info_replication(const resp_conn_t *conn, info_t *info)
{
    (void)conn;
    add(info, "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n");
}

static void info_cluster(const resp_conn_t *conn, info_t *info)
{
    (void)conn;
    add(info, "# Cluster\r\ncluster_enabled:0\r\n");
}

static void info_keyspace(const resp_conn_t *conn, info_t *info)
{
    kv_stats_t stats;

    kv_store_stats(conn->service->store, &stats);
    add(info, "# Keyspace\r\n");
    if (stats.entries != 0) {
        add(info, "db0:keys=%" PRIu64 ",expires=0,avg_ttl=0\r\n",
            stats.entries);
    }
}

/* What ephpm_kv_stats() has, for those who ask through here. */
static void info_ephpm(const resp_conn_t *conn, info_t *info)
{
    kv_config_t config;
    kv_stats_t stats;

    kv_store_config(conn->service->store, &config);
    kv_store_stats(conn->service->store, &stats);
    add(info, "# Ephpm\r\n");
#define FIGURE(name)                                                        \
    add(info, "ephpm_" #name ":%" PRIu64 "\r\n", (uint64_t)stats.name)
    FIGURE(entries);
    FIGURE(used_bytes);
    FIGURE(limit_bytes);
    FIGURE(live_bytes);
    FIGURE(value_max_bytes);
    FIGURE(index_slots);
    FIGURE(hits);
    FIGURE(misses);
    FIGURE(sets);
    FIGURE(deletes);
    FIGURE(evictions);
    FIGURE(expirations);
    FIGURE(rejections);
    FIGURE(steals);
    FIGURE(threads);
    FIGURE(threads_max);
    FIGURE(segments);
    FIGURE(segments_free);
    FIGURE(segment_bytes);
    FIGURE(shards);
#undef FIGURE
    add(info, "ephpm_compression:%s\r\nephpm_wait_limit_ms:%u\r\n",
        kv_compression_name(config.compression),
        (unsigned)config.wait_limit_ms);
}

RESP_HANDLER(info)
{
    static const struct {
        const char *name;
        void (*add)(const resp_conn_t *, info_t *);
    } section[] = {
        { "server", info_server }, { "clients", info_clients },
        { "memory", info_memory }, { "stats", info_stats },
        { "replication", info_replication }, { "cluster", info_cluster },
        { "keyspace", info_keyspace }, { "ephpm", info_ephpm }
    };
    char text[4096];
    info_t info = { text, sizeof(text), 0 };

    for (size_t i = 0; i < sizeof(section) / sizeof(section[0]); i++) {
        bool wanted = count == 1;

        for (size_t at = 1; at < count && !wanted; at++) {
            wanted = resp_arg_is(&args[at], section[i].name)
                || resp_arg_is(&args[at], "all")
                || resp_arg_is(&args[at], "default")
                || resp_arg_is(&args[at], "everything");
        }
        if (wanted) {
            if (info.length != 0) {
                add(&info, "\r\n");
            }
            section[i].add(conn, &info);
        }
    }
    resp_reply_verbatim(conn, text, info.length);
}
