/* ephpm_kv_nowhere.c - what the PHP functions do where there is no store: as
 * an empty one that refuses writes.  The script has been warned already.
 */

#include "php_ephpm.h"

#include <ext/standard/info.h>

#include <time.h>

/* An empty store's version of every key. */
#define EMPTY_VERSION 1u

static kv_result_t get(const char *key, size_t key_bytes, zval *value)
{
    ZVAL_NULL(value);
    return KV_MISSING;
}

static void get_items(kv_item_t *items, uint32_t count, zval *values)
{
    for (uint32_t i = 0; i < count; i++) {
        ZVAL_NULL(&values[i]);
        items[i].result = KV_MISSING;
    }
}

static kv_result_t exists(const char *key, size_t key_bytes)
{
    return KV_MISSING;
}

static kv_result_t deadline_get(const char *key, size_t key_bytes,
                                int64_t *left_ms)
{
    return KV_MISSING;
}

static kv_result_t set(const char *key, size_t key_bytes, const char *value,
                       size_t value_bytes, int64_t ttl_ms, kv_set_when_t when)
{
    return KV_NO_ROOM;
}

static kv_result_t set_equal(const char *key, size_t key_bytes,
                             const char *expected, size_t expected_bytes,
                             const char *value, size_t value_bytes,
                             int64_t ttl_ms)
{
    return KV_MISSING;
}

static void set_items(kv_item_t *items, uint32_t count, int64_t ttl_ms)
{
    for (uint32_t i = 0; i < count; i++) {
        items[i].result = KV_NO_ROOM;
    }
}

static kv_result_t add(const char *key, size_t key_bytes, int64_t delta,
                       int64_t *sum)
{
    return KV_NO_ROOM;
}

static kv_result_t deadline_set(const char *key, size_t key_bytes,
                                int64_t ttl_ms)
{
    return KV_MISSING;
}

static kv_result_t remove_equal(const char *key, size_t key_bytes,
                                const char *expected, size_t expected_bytes)
{
    return KV_MISSING;
}

static kv_result_t remove_prefix(const char *prefix, size_t prefix_bytes,
                                 uint64_t *removed)
{
    *removed = 0;
    return KV_OK;
}

static kv_result_t flush(void)
{
    return KV_NO_ROOM;
}

static kv_result_t wait(const char *key, size_t key_bytes,
                        uint64_t last_version, uint64_t timeout_ms,
                        uint64_t *version)
{
    struct timespec pause = { (time_t)(timeout_ms / 1000),
                              (long)(timeout_ms % 1000) * 1000000 };

    *version = EMPTY_VERSION;
    if (last_version < EMPTY_VERSION) {
        return KV_MISSING;
    }
    if (timeout_ms != 0) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    return KV_TIMEOUT;
}

static uint64_t scan(uint64_t cursor, const char *prefix, size_t prefix_bytes,
                     uint64_t slots, HashTable *keys)
{
    return 0;
}

static void stats(kv_stats_t *stats)
{
    memset(stats, 0, sizeof(*stats));
}

static void limits(size_t *value_max_bytes, unsigned *wait_limit_ms)
{
    *value_max_bytes = 0;
    *wait_limit_ms = 0;
}

static void info(void)
{
    php_info_print_table_row(2, "Store", "none for this host");
}

const ephpm_ops_t ephpm_nowhere = {
    .get = get,
    .getdel = get,
    .get_items = get_items,
    .exists = exists,
    .deadline_get = deadline_get,
    .set = set,
    .set_equal = set_equal,
    .set_items = set_items,
    .add = add,
    .deadline_set = deadline_set,
    .remove = exists,
    .remove_equal = remove_equal,
    .remove_prefix = remove_prefix,
    .flush = flush,
    .wait = wait,
    .scan = scan,
    .stats = stats,
    .limits = limits,
    .info = info,
};
