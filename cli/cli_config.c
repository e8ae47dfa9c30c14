/* cli_config.c - defaults and the checks of single values. */

#define _GNU_SOURCE

#include "cli_config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

#define KV_DEFAULT_BYTES ((size_t)256 << 20)
#define KV_MIN_BYTES ((size_t)4 << 20)
#define REDIS_DEFAULT_PORT 6379
/* What a socket's address has room for. */
#define SOCKET_PATH_MAX_BYTES 107

static const char *const eviction_policies[] = {
    "noeviction", "allkeys-lru", "volatile-lru", "allkeys-random",
};

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("ephpm: out of memory\n", stderr);
        exit(EX_OSERR);
    }
    return memory;
}

static void replace(char **place, char *value)
{
    free(*place);
    *place = value;
}

bool cli_error(char error[CLI_ERROR_BYTES], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, CLI_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

/* Values end up on lines of a server's configuration.  Quoting takes care of
 * blanks, quotes and backslashes; no quoting stops a line end, or httpd's
 * replacement of ${NAME}. */
static bool check_text(const char *what, const char *value,
                       char error[CLI_ERROR_BYTES])
{
    const char *byte;

    if (*value == '\0') {
        return cli_error(error, "%s is empty", what);
    }
    for (byte = value; *byte != '\0'; byte++) {
        if (iscntrl((unsigned char)*byte)) {
            return cli_error(error,
                             "%s contains the control character 0x%02x",
                             what, (unsigned char)*byte);
        }
    }
    if (strstr(value, "${") != NULL) {
        return cli_error(error,
                         "%s contains \"${\", which httpd would replace: %s",
                         what, value);
    }
    return true;
}

static char **copy_list(const char *const *values, size_t count)
{
    char **copy = checked(calloc(count + 1, sizeof(*copy)));
    size_t i;

    for (i = 0; i < count; i++) {
        copy[i] = checked(strdup(values[i]));
    }
    return copy;
}

static void free_list(char **list)
{
    size_t i;

    if (list != NULL) {
        for (i = 0; list[i] != NULL; i++) {
            free(list[i]);
        }
        free(list);
    }
}

void cli_config_init(cli_config_t *config)
{
    static const char *const index_files[] = {"index.php", "index.html"};

    memset(config, 0, sizeof(*config));
    config->listen_address = checked(strdup("127.0.0.1"));
    config->listen_port = 8080;
    config->index_files = copy_list(index_files, 2);
    config->fallback.files = true;
    config->fallback.directories = true;
    config->fallback.script = checked(strdup("/index.php"));
    config->kv_memory_bytes = KV_DEFAULT_BYTES;
    config->kv_eviction_policy = checked(strdup("allkeys-lru"));
}

void cli_config_free(cli_config_t *config)
{
    free(config->listen_address);
    free(config->document_root);
    free_list(config->index_files);
    free(config->fallback.script);
    free(config->kv_eviction_policy);
    free(config->redis.listen_address);
    free(config->redis.socket);
    free(config->redis.password);
    memset(config, 0, sizeof(*config));
}

static bool is_ip_address(const char *text)
{
    struct in6_addr address;
    size_t length = strlen(text);
    char inner[INET6_ADDRSTRLEN];

    if (text[0] != '[') {
        return inet_pton(AF_INET, text, &address) == 1;
    }
    if (length < 4 || text[length - 1] != ']' ||
        length - 2 >= sizeof(inner)) {
        return false;
    }
    memcpy(inner, text + 1, length - 2);
    inner[length - 2] = '\0';
    return inet_pton(AF_INET6, inner, &address) == 1;
}

/* "ADDR:PORT", ":PORT" or "PORT".
 * @param address  receives an IP address, in brackets if it is of IPv6, or
 *                 "*"; of malloc */
static bool split_listen(const char *value, char **address, unsigned *number,
                         char error[CLI_ERROR_BYTES])
{
    const char *colon = strrchr(value, ':');
    const char *digits = colon == NULL ? value : colon + 1;
    char *end;
    long port;

    /* An IPv6 address without brackets has its last group taken for a port. */
    if (value[0] == '[' && value[strlen(value) - 1] == ']') {
        digits = "";
    }
    errno = 0;
    port = strtol(digits, &end, 10);
    if (!isdigit((unsigned char)digits[0]) || *end != '\0' || errno != 0 ||
        port < 1 || port > 65535) {
        return cli_error(error,
                         "listen: \"%s\" has no port from 1 to 65535 "
                         "(as in 127.0.0.1:8080)",
                         value);
    }
    if (colon == NULL || colon == value) {
        *address = checked(strdup("*"));
    } else {
        *address = checked(strndup(value, (size_t)(colon - value)));
        if (strcmp(*address, "localhost") == 0) {
            replace(address, checked(strdup("127.0.0.1")));
        }
        if (strcmp(*address, "*") != 0 && !is_ip_address(*address)) {
            free(*address);
            return cli_error(error,
                             "listen: \"%s\" does not begin with an IP "
                             "address (as in 127.0.0.1:8080 or [::1]:8080)",
                             value);
        }
    }
    *number = (unsigned)port;
    return true;
}

bool cli_listen_set(cli_config_t *config, const char *value,
                    char error[CLI_ERROR_BYTES])
{
    char *address;

    if (!split_listen(value, &address, &config->listen_port, error)) {
        return false;
    }
    replace(&config->listen_address, address);
    return true;
}

/* A path that may be relative to a folder. */
static bool absolute_path(const char *what, const char *value,
                          const char *base, char **path,
                          char error[CLI_ERROR_BYTES])
{
    char current[PATH_MAX];

    if (!check_text(what, value, error)) {
        return false;
    }
    if (value[0] == '/') {
        *path = checked(strdup(value));
    } else if (base == NULL || base[0] != '/') {
        if (getcwd(current, sizeof(current)) == NULL) {
            return cli_error(error, "%s: the current folder is unknown: %s",
                             what, strerror(errno));
        }
        if (asprintf(path, "%s/%s%s%s", current, base ? base : "",
                     base ? "/" : "", value) < 0) {
            *path = checked(NULL);
        }
    } else if (asprintf(path, "%s/%s", base, value) < 0) {
        *path = checked(NULL);
    }
    return true;
}

bool cli_document_root_set(cli_config_t *config, const char *value,
                           const char *base, char error[CLI_ERROR_BYTES])
{
    char *path = NULL;

    if (!absolute_path("document_root", value, base, &path, error)) {
        return false;
    }
    replace(&config->document_root, path);
    return true;
}

bool cli_index_files_set(cli_config_t *config, const char *const *values,
                         size_t count, char error[CLI_ERROR_BYTES])
{
    size_t i;

    if (count == 0) {
        return cli_error(error, "index_files is empty: name at least one "
                                "file, such as \"index.php\"");
    }
    for (i = 0; i < count; i++) {
        if (!check_text("a name in index_files", values[i], error)) {
            return false;
        }
        if (strchr(values[i], '/') != NULL) {
            return cli_error(error, "index_files: \"%s\" is not the name of "
                                    "a file in the folder itself",
                             values[i]);
        }
    }
    free_list(config->index_files);
    config->index_files = copy_list(values, count);
    return true;
}

bool cli_fallback_set(cli_config_t *config, const char *const *values,
                      size_t count, char error[CLI_ERROR_BYTES])
{
    cli_fallback_t fallback = {false, false, NULL};
    const char *last;
    const char *query;
    size_t i = 0;

    if (count > 0 && strcmp(values[i], "$uri") == 0) {
        fallback.files = true;
        i++;
    }
    if (i < count && strcmp(values[i], "$uri/") == 0) {
        fallback.directories = true;
        i++;
    }
    if (!fallback.files || i + 1 != count) {
        return cli_error(error, "fallback is not of the form [\"$uri\", "
                                "\"$uri/\", \"/index.php?$query_string\"] "
                                "(\"$uri/\" may be left out, the last may be "
                                "\"=404\")");
    }
    last = values[i];
    if (strcmp(last, "=404") != 0) {
        if (!check_text("fallback", last, error)) {
            return false;
        }
        query = strchr(last, '?');
        if (last[0] != '/' ||
            (query != NULL && strcmp(query, "?$query_string") != 0 &&
             strcmp(query, "?$args") != 0) ||
            memchr(last, '$', query ? (size_t)(query - last) : strlen(last))) {
            return cli_error(error, "fallback: \"%s\" is neither a script "
                                    "such as \"/index.php?$query_string\" "
                                    "nor \"=404\"",
                             last);
        }
        fallback.script = checked(
            strndup(last, query ? (size_t)(query - last) : strlen(last)));
    }
    free(config->fallback.script);
    config->fallback = fallback;
    return true;
}

bool cli_kv_memory_set(cli_config_t *config, const char *value,
                       char error[CLI_ERROR_BYTES])
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {
        {"", 0},    {"K", 10}, {"KB", 10}, {"M", 20},
        {"MB", 20}, {"G", 30}, {"GB", 30},
    };
    unsigned long long number;
    char *end;
    size_t i;

    errno = 0;
    number = strtoull(value, &end, 10);
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(end, units[i].name) == 0) {
            break;
        }
    }
    if (!isdigit((unsigned char)value[0]) || errno != 0 ||
        i == sizeof(units) / sizeof(units[0]) ||
        number > (SIZE_MAX >> units[i].shift)) {
        return cli_error(error, "memory_limit: \"%s\" is not a size: digits "
                                "and K, M, G, KB, MB or GB (as in 256MB)",
                         value);
    }
    if ((number << units[i].shift) < KV_MIN_BYTES) {
        return cli_error(error, "memory_limit: \"%s\" is too small: a store "
                                "has at least 4M",
                         value);
    }
    config->kv_memory_bytes = (size_t)number << units[i].shift;
    return true;
}

bool cli_kv_eviction_set(cli_config_t *config, const char *value,
                         char error[CLI_ERROR_BYTES])
{
    size_t i;

    for (i = 0; i < sizeof(eviction_policies) / sizeof(char *); i++) {
        if (strcmp(value, eviction_policies[i]) == 0) {
            replace(&config->kv_eviction_policy, checked(strdup(value)));
            return true;
        }
    }
    return cli_error(error, "eviction_policy: \"%s\" is none of noeviction, "
                            "allkeys-lru, volatile-lru, allkeys-random",
                     value);
}

bool cli_redis_listen_set(cli_config_t *config, const char *value,
                          char error[CLI_ERROR_BYTES])
{
    char *address;
    unsigned port;

    if (!split_listen(value, &address, &port, error)) {
        return false;
    }
    if (strcmp(address, "*") == 0) {
        free(address);
        return cli_error(error, "listen: \"%s\" has no IP address (as in "
                                "127.0.0.1:6379)", value);
    }
    replace(&config->redis.listen_address, address);
    config->redis.listen_port = port;
    return true;
}

bool cli_redis_socket_set(cli_config_t *config, const char *value,
                          const char *base, char error[CLI_ERROR_BYTES])
{
    char *path = NULL;

    if (!absolute_path("socket", value, base, &path, error)) {
        return false;
    }
    if (strlen(path) > SOCKET_PATH_MAX_BYTES) {
        cli_error(error, "socket: the path of a socket has at most %d bytes: "
                         "%s", SOCKET_PATH_MAX_BYTES, path);
        free(path);
        return false;
    }
    replace(&config->redis.socket, path);
    return true;
}

/* It goes to the server in a file of its own: only a line's end would not
 * come back. */
bool cli_redis_password_set(cli_config_t *config, const char *value,
                            char error[CLI_ERROR_BYTES])
{
    if (*value == '\0') {
        return cli_error(error, "password is empty: leave it out for none");
    }
    if (strpbrk(value, "\r\n") != NULL) {
        return cli_error(error, "password contains a line's end");
    }
    replace(&config->redis.password, checked(strdup(value)));
    return true;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "[::1]") == 0;
}

bool cli_config_complete(cli_config_t *config, char error[CLI_ERROR_BYTES])
{
    cli_redis_t *redis = &config->redis;

    if (!redis->enabled) {
        return true;
    }
    if (redis->listen_address == NULL && redis->socket == NULL) {
        redis->listen_address = checked(strdup("127.0.0.1"));
        redis->listen_port = REDIS_DEFAULT_PORT;
    }
    if (redis->listen_address != NULL && redis->password == NULL &&
        !is_loopback(redis->listen_address)) {
        return cli_error(error,
                         "[kv.redis_compat] listens on %s, which other "
                         "machines may reach, and has no password: give one, "
                         "or listen on 127.0.0.1", redis->listen_address);
    }
    return true;
}
