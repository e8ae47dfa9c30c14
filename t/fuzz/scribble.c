/* scribble.c - see scribble.h. */

#include "scribble.h"

#include "kv_index.h"
#include "kv_large.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define STORE_BYTES (256u << 10)
#define KEYS 200u
#define VALUE_ROOM (128u << 10)

static unsigned char *memory;
static unsigned char *pristine;
static unsigned char *value;
static kv_store_t *store;

static void die(const char *what)
{
    fprintf(stderr, "scribble: %s\n", what);
    abort();
}

static size_t name_of(unsigned number, char *name)
{
    return (size_t)sprintf(name, "key-%u%s", number,
                           number % 5 == 0 ? "-with-a-longer-name" : "");
}

static void fill(void)
{
    char name[64];
    int64_t sum;

    for (unsigned i = 0; i < KEYS; i++) {
        size_t bytes = i % 40 == 3 ? 20000 + i * 13 : i * 7 % 700;
        size_t name_len = name_of(i, name);
        memset(value, (int)('a' + i % 26), bytes);
        if (i % 9 == 4) {
            kv_counter_add(store, name, name_len, (int64_t)i - 90, &sum);
        } else if (kv_value_set(store, name, name_len, value, bytes,
                                i % 4 == 1 ? 1000000000 : 0,
                                KV_SET_ALWAYS) != KV_OK) {
            die("the store to begin with cannot be filled");
        }
    }
    for (unsigned i = 7; i < KEYS; i += 11) {
        kv_key_delete(store, name, name_of(i, name));
    }
    const char *broken = kv_store_check(store);
    if (broken != NULL) {
        die(broken);
    }
}

void scribble_setup(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    kv_config_t config;
    unsigned char *around =
        mmap(NULL, STORE_BYTES + 2 * page, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (around == MAP_FAILED) {
        die("no memory");
    }
    memory = mmap(around + page, STORE_BYTES, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    pristine = malloc(STORE_BYTES);
    value = malloc(VALUE_ROOM);
    if (memory == MAP_FAILED || pristine == NULL || value == NULL) {
        die("no memory");
    }
    kv_config_init(&config);
    config.segment_bytes = 8192;
    config.shards = 2;
    config.threads_max = 4;
    config.wait_limit_ms = 1;
    config.compression = KV_COMPRESS_ZSTD;
    config.min_compress_bytes = 500;
    if (kv_store_create(memory, STORE_BYTES, &config) != KV_OK ||
        kv_store_attach(memory, STORE_BYTES, &store) != KV_OK) {
        die("no store");
    }
    fill();
    memcpy(pristine, memory, STORE_BYTES);
}

/* {offset : 3 bytes, length : 1, bytes} again and again.  The first byte of
 * the length's upper half chooses a region, so that the few bytes that steer
 * everything are hit as often as the many that are values. */
static void scribble(const uint8_t *input, size_t bytes, bool spare_threads)
{
    const kv_geometry_t *g = &store->geometry;
    const uint64_t regions[][2] = {
        { 0, g->size_bytes },
        { g->shards_at, g->free_map_at },
        { g->free_map_at, g->words_at },
        { g->words_at, g->segments_at },
        { g->segments_at, g->overflow_maps_at },
        { g->overflow_maps_at, g->index_at },
        { g->index_at, g->data_at },
        { g->data_at, g->size_bytes },
    };

    while (bytes >= 5) {
        uint64_t offset = input[0] | (uint64_t)input[1] << 8 |
                          (uint64_t)input[2] << 16;
        size_t length = (input[3] & 15u) + 1;
        const uint64_t *region = regions[input[3] >> 4 & 7];
        input += 4;
        bytes -= 4;
        if (length > bytes) {
            length = bytes;
        }
        offset = region[0] + offset % (region[1] - region[0]);
        for (size_t i = 0; i < length; i++) {
            uint64_t at = offset + i;
            if (at >= g->size_bytes ||
                (spare_threads && at >= g->threads_at &&
                 at < g->shards_at)) {
                break;
            }
            ((unsigned char *)store->header)[at] = input[i];
        }
        input += length;
        bytes -= length;
    }
}

static unsigned read_all(void)
{
    unsigned hits = 0;
    char name[64];

    for (unsigned i = 0; i < KEYS; i++) {
        size_t name_len = name_of(i, name);
        int64_t ttl_ms;
        kv_read_t read;
        kv_short_t found;
        kv_result_t result = kv_short_find(store, name, name_len, &found);
        if (result == KV_OK && found.bytes > KV_SHORT_VALUE_BYTES) {
            die("a short value longer than any can be");
        }
        if (result == KV_OK) {
            result = kv_short_copy(&found, value);
        }
        if (result == KV_TOO_LARGE) {
            result = kv_read_begin(store, name, name_len, &read);
            if (result == KV_OK && read.value_bytes > VALUE_ROOM) {
                die("a value longer than any can be");
            }
            if (result == KV_OK) {
                result = kv_read_copy(store, &read, value);
            }
        }
        hits += result == KV_OK;
        kv_key_exists(store, name, name_len);
        kv_deadline_get(store, name, name_len, &ttl_ms);
    }
    return hits;
}

static void scan_all(void)
{
    uint64_t cursor = 0;
    unsigned steps = 0;

    do {
        kv_scan_t scan;
        size_t key_len;
        unsigned keys = 0;
        kv_scan_begin(store, &scan, cursor, "key", 3, 100);
        while (kv_scan_key(store, &scan, &key_len) == KV_OK) {
            if (key_len > KV_KEY_MAX_BYTES || ++keys > 100000) {
                die("a scan without end, or a key too long");
            }
            if (kv_scan_copy(store, &scan, value) != KV_OK) {
                break;
            }
        }
        cursor = scan.cursor;
    } while (cursor != 0 && ++steps < 10000);
}

static void write_all(void)
{
    char name[64];
    int64_t sum;
    uint64_t deleted;

    for (unsigned i = 0; i < 60; i++) {
        size_t name_len = name_of(i * 3, name);
        memset(value, 'w', 2000);
        switch (i % 6) {
        case 0:
        case 1:
            kv_value_set(store, name, name_len, value, i * 20, 0,
                         KV_SET_ALWAYS);
            break;
        case 2:
            kv_counter_add(store, name, name_len, 1, &sum);
            break;
        case 3:
            kv_deadline_set(store, name, name_len, 5000);
            break;
        case 4:
            kv_key_delete(store, name, name_len);
            break;
        case 5:
            /* Not compressible, and of several chunks. */
            for (unsigned j = 0; j < 20000; j++) {
                value[j] = (unsigned char)(j * 2654435761u >> 13);
            }
            kv_value_set(store, name, name_len, value, 20000, 1000,
                         KV_SET_ALWAYS);
            break;
        }
    }
    kv_prefix_delete(store, "key-1", 5, &deleted);
    kv_store_flush(store);
}

scribble_result_t scribble_run(const uint8_t *input, size_t bytes,
                               bool writers)
{
    scribble_result_t result;
    kv_stats_t stats;

    memcpy(memory, pristine, STORE_BYTES);
    scribble(input, bytes, writers);
    result.found_broken = kv_store_check(store) != NULL;
    result.hits = read_all();
    scan_all();
    kv_store_stats(store, &stats);
    if (writers) {
        write_all();
        (void)kv_store_check(store);
    }
    return result;
}
