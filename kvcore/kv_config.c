/* kv_config.c - options as people write them. */

#include "kv_compress.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const eviction_names[] = {
    [KV_NOEVICTION] = "noeviction",
    [KV_ALLKEYS_LRU] = "allkeys-lru",
    [KV_VOLATILE_LRU] = "volatile-lru",
    [KV_ALLKEYS_RANDOM] = "allkeys-random",
};

static const char *const compression_names[] = {
    [KV_COMPRESS_NONE] = "none",
    [KV_COMPRESS_ZSTD] = "zstd",
    [KV_COMPRESS_GZIP] = "gzip",
    [KV_COMPRESS_BROTLI] = "brotli",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *kv_result_text(kv_result_t result)
{
    switch (result) {
    case KV_OK:
        return "done";
    case KV_MISSING:
        return "no such key";
    case KV_EXISTS:
        return "the key exists already";
    case KV_DIFFERENT:
        return "the value is another one";
    case KV_NOT_INTEGER:
        return "the value is not an integer";
    case KV_OVERFLOW:
        return "the sum is outside the 64-bit range";
    case KV_NO_ROOM:
        return "no room, and the policy allows no eviction";
    case KV_BAD_KEY:
        return "the key is empty or longer than 65535 bytes";
    case KV_TOO_LARGE:
        return "the value can never fit";
    case KV_BUSY:
        return "busy: another process held the lock for too long";
    case KV_RETRY:
        return "recycled while being read";
    case KV_TIMEOUT:
        return "time is up";
    case KV_INVALID:
        return "an argument is out of range";
    case KV_WRONG_LAYOUT:
        return "not a store of this version and layout";
    case KV_NO_MEMORY:
        return "out of memory";
    }
    return "unknown result";
}

void kv_config_init(kv_config_t *config)
{
    memset(config, 0, sizeof(*config));
    config->eviction = KV_ALLKEYS_LRU;
    config->compression = KV_COMPRESS_NONE;
    config->min_compress_bytes = 1024;
    config->threads_max = 512;
    config->wait_limit_ms = 2000;
}

const char *kv_eviction_name(kv_eviction_t eviction)
{
    return (size_t)eviction < COUNT(eviction_names) ? eviction_names[eviction]
                                                    : "unknown";
}

const char *kv_compression_name(kv_compression_t compression)
{
    return (size_t)compression < COUNT(compression_names)
               ? compression_names[compression] : "unknown";
}

kv_result_t kv_size_parse(const char *text, size_t *size_bytes)
{
    unsigned long long number;
    char *end;
    int shift = 0;

    if (!isdigit((unsigned char)text[0])) {
        return KV_INVALID;
    }
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0) {
        return KV_INVALID;
    }
    switch (tolower((unsigned char)*end)) {
    case 'k':
        shift = 10;
        break;
    case 'm':
        shift = 20;
        break;
    case 'g':
        shift = 30;
        break;
    }
    if (shift != 0) {
        end++;
        if (tolower((unsigned char)*end) == 'b') {
            end++;
        }
    }
    if (*end != '\0' || number > SIZE_MAX >> shift) {
        return KV_INVALID;
    }
    *size_bytes = (size_t)number << shift;
    return KV_OK;
}

static kv_result_t set_eviction(kv_config_t *config, const char *value,
                                char *error, size_t error_bytes)
{
    for (size_t i = 0; i < COUNT(eviction_names); i++) {
        if (strcmp(value, eviction_names[i]) == 0) {
            config->eviction = (kv_eviction_t)i;
            return KV_OK;
        }
    }
    snprintf(error, error_bytes,
             "eviction=%s is no policy: use noeviction, allkeys-lru, "
             "volatile-lru or allkeys-random", value);
    return KV_INVALID;
}

/* "method" or "method:level". */
static kv_result_t set_compression(kv_config_t *config, const char *value,
                                   char *error, size_t error_bytes)
{
    static const int level_max[] = { 0, 19, 9, 11 };
    size_t name_bytes = strcspn(value, ":");

    for (size_t i = 0; i < COUNT(compression_names); i++) {
        long level = 0;
        if (strlen(compression_names[i]) != name_bytes ||
            strncmp(value, compression_names[i], name_bytes) != 0) {
            continue;
        }
        if (!kv_compress_available((kv_compression_t)i)) {
            snprintf(error, error_bytes,
                     "compression=%s is not built in: use none or zstd, or "
                     "build with its library", compression_names[i]);
            return KV_INVALID;
        }
        if (value[name_bytes] == ':') {
            char *end;
            level = strtol(value + name_bytes + 1, &end, 10);
            if (end == value + name_bytes + 1 || *end != '\0' || level < 1 ||
                level > level_max[i]) {
                snprintf(error, error_bytes,
                         "compression=%s has no such level: %s takes 1 to %d",
                         value, compression_names[i], level_max[i]);
                return KV_INVALID;
            }
        }
        config->compression = (kv_compression_t)i;
        config->compression_level = (int)level;
        return KV_OK;
    }
    snprintf(error, error_bytes,
             "compression=%s is no method: use none, zstd, gzip or brotli",
             value);
    return KV_INVALID;
}

static kv_result_t set_min_compress(kv_config_t *config, const char *value,
                                    char *error, size_t error_bytes)
{
    size_t bytes;
    if (kv_size_parse(value, &bytes) != KV_OK || bytes > UINT32_MAX) {
        snprintf(error, error_bytes,
                 "min-compress=%s is not a size: write bytes, or a number "
                 "with K or M, below 4G", value);
        return KV_INVALID;
    }
    config->min_compress_bytes = (uint32_t)bytes;
    return KV_OK;
}

kv_result_t kv_config_set(kv_config_t *config, const char *option, char *error,
                          size_t error_bytes)
{
    static const struct {
        const char *prefix;
        kv_result_t (*set)(kv_config_t *, const char *, char *, size_t);
    } options[] = {
        { "eviction=", set_eviction },
        { "compression=", set_compression },
        { "min-compress=", set_min_compress },
    };

    for (size_t i = 0; i < COUNT(options); i++) {
        size_t bytes = strlen(options[i].prefix);
        if (strncmp(option, options[i].prefix, bytes) == 0) {
            return options[i].set(config, option + bytes, error, error_bytes);
        }
    }
    snprintf(error, error_bytes,
             "\"%s\" is no option of a store: use eviction=, compression= or "
             "min-compress=", option);
    return KV_INVALID;
}
