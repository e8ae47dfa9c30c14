/* step_cases.c - the operations that are broken off; see step.h.
 *
 * Key 0 is the one the operation is about, where it is about one.  To have a
 * new operation of the store here, add a case to step_cases[].
 */

#include "step.h"

#include "kv_evict.h"
#include "kv_grow.h"
#include "kv_large.h"
#include "kv_lock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One full chunk is 4080 bytes: two, and a rest that is short enough. */
#define LARGE_BYTES 9000u
#define LARGE_WHOLE_BYTES (3u * 4080u)

/* ------------------------------------------------------------------ */
/* Measures: what an operation must change to have been the one meant   */

static kv_stats_t stats_of(scene_t *scene)
{
    kv_stats_t stats;
    kv_store_stats(scene->store, &stats);
    return stats;
}

static int64_t evictions(scene_t *scene)
{
    return (int64_t)stats_of(scene).evictions;
}

static int64_t expirations(scene_t *scene)
{
    return (int64_t)stats_of(scene).expirations;
}

static int64_t free_segments(scene_t *scene)
{
    return (int64_t)stats_of(scene).segments_free;
}

/* Raised by every segment that is recycled. */
static int64_t generations(scene_t *scene)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < scene->store->segments; i++) {
        sum += (int64_t)kv_word_generation(ld_rlx(&scene->store->words[i]));
    }
    return sum;
}

static int64_t overflow_buckets(scene_t *scene)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < scene->store->geometry.shards; i++) {
        sum += ld_rlx(&scene->store->shards[i].overflow_used);
    }
    return sum;
}

/* Bytes in the queue of what was copied forward, if nothing was evicted. */
static int64_t compacted(scene_t *scene)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < scene->store->segments; i++) {
        if (kv_word_state(ld_rlx(&scene->store->words[i])) ==
            KV_STATE_MAIN) {
            sum += ld_rlx(&scene->store->segment[i].write_off);
        }
    }
    return evictions(scene) == 0 ? sum : 0;
}

/* Copying forward and evicting in one operation. */
static int64_t copied_and_evicted(scene_t *scene)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < scene->store->segments; i++) {
        if (kv_word_state(ld_rlx(&scene->store->words[i])) ==
            KV_STATE_MAIN) {
            sum++;
        }
    }
    return evictions(scene) == 0 ? 0 : sum;
}

static int64_t large_segments(scene_t *scene)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < scene->store->segments; i++) {
        sum += kv_word_state(ld_rlx(&scene->store->words[i])) ==
               KV_STATE_LARGE;
    }
    return sum;
}

/* 1 while the main queue of key 0's shard has an open segment. */
static int64_t main_open(scene_t *scene)
{
    return ld_rlx(&scene->store->shards[0].open[KV_QUEUE_MAIN]) != 0;
}

static int64_t deletes(scene_t *scene)
{
    return (int64_t)stats_of(scene).deletes;
}

static int64_t watched(scene_t *scene)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < scene->store->geometry.shards; i++) {
        sum += ld_rlx(&scene->store->shards[i].watched_until_ms);
    }
    return sum;
}

static int64_t wakes(scene_t *scene)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < scene->store->geometry.shards; i++) {
        for (uint32_t j = 0; j < KV_WATCHES; j++) {
            sum += ld_rlx(&scene->store->shards[i].watch[j].sequence);
        }
    }
    return sum;
}

static int64_t steals(scene_t *scene)
{
    return (int64_t)stats_of(scene).steals;
}

/* ------------------------------------------------------------------ */
/* Stores to begin on                                                  */

/* A few keys of every kind, but not the key the operation is about. */
static void others(scene_t *scene)
{
    int64_t sum;

    scene_key(scene, 0);
    scene_fill(scene, 8, 60);
    scene_put(scene, scene_key(scene, 0), 30, HOUR_MS);
    scene_put(scene, scene_key(scene, 1), 1500, KV_NO_TTL);
    uint32_t counter = scene_key(scene, 0);
    kv_counter_add(scene->store, scene->key[counter].text,
                   scene->key[counter].bytes, 77, &sum);
    scene_put(scene, scene_key(scene, 1), LARGE_BYTES, KV_NO_TTL);
    scene_put(scene, scene_key_beside(scene, 0), 50, KV_NO_TTL);
}

static void small_there(scene_t *scene)
{
    others(scene);
    scene_put(scene, 0, 64, KV_NO_TTL);
}

static void ttl_there(scene_t *scene)
{
    others(scene);
    scene_put(scene, 0, 64, HOUR_MS);
}

static void large_there(scene_t *scene)
{
    others(scene);
    scene_put(scene, 0, LARGE_BYTES + 100, KV_NO_TTL);
}

static void add_to_0(scene_t *scene, int64_t delta)
{
    int64_t sum;
    kv_result_t result =
        kv_counter_add(scene->store, scene->key[0].text, scene->key[0].bytes,
                       delta, &sum);
    if (result != KV_OK) {
        rig_die("%s: preparing: %s", scene->what->name,
                kv_result_text(result));
    }
}

static void counter_there(scene_t *scene)
{
    others(scene);
    add_to_0(scene, 41);
}

static void number_there(scene_t *scene)
{
    others(scene);
    if (kv_value_set(scene->store, scene->key[0].text, scene->key[0].bytes,
                     "-12345", 6, HOUR_MS, KV_SET_ALWAYS) != KV_OK) {
        rig_die("%s: preparing", scene->what->name);
    }
}

/* Somebody waits for every key there is. */
static void waited_for(scene_t *scene)
{
    const int64_t long_ms = INT64_MAX / 2;

    others(scene);
    for (uint32_t i = 0; i < scene->store->geometry.shards; i++) {
        kv_shard_t *shard = &scene->store->shards[i];
        st_rlx(&shard->watched_until_ms, long_ms);
        for (uint32_t j = 0; j < KV_WATCHES; j++) {
            st_rlx(&shard->watch[j].until_ms, long_ms);
        }
    }
}

static void sleep_a_tick(void)
{
    rig_sleep_us(25000);
}

static void expired_there(scene_t *scene)
{
    others(scene);
    scene_put(scene, 0, 64, 1);
    sleep_a_tick();
}

/* Eight keys in one bucket: the last one in an overflow bucket. */
static void chain(scene_t *scene, uint32_t count)
{
    scene_key(scene, 0);
    for (uint32_t i = 0; i < count; i++) {
        scene_put(scene, scene_key_beside(scene, 0), 20, KV_NO_TTL);
    }
}

static void full_bucket(scene_t *scene)
{
    chain(scene, KV_BUCKET_SLOTS);
}

static void long_chain(scene_t *scene)
{
    chain(scene, 2 * KV_BUCKET_SLOTS);
    scene_put(scene, 0, 20, KV_NO_TTL);
}

/* The chain takes every overflow bucket there is, and the index cannot grow
 * any more. */
static void longest_chain(scene_t *scene)
{
    kv_store_t *store = scene->store;

    for (uint32_t i = 0; i < store->geometry.shards; i++) {
        if (kv_shard_lock(store, &store->shards[i]) != KV_OK) {
            rig_die("%s: preparing: a shard is locked", scene->what->name);
        }
        while (kv_grow(store, &store->shards[i])) {
        }
        kv_unlock(&store->shards[i].lock);
    }
    chain(scene, (1 + scene->store->geometry.overflow) * KV_BUCKET_SLOTS);
}

static void everything(scene_t *scene)
{
    chain(scene, KV_BUCKET_SLOTS);
    scene_put(scene, 0, 20, HOUR_MS);
    scene_fill(scene, 40, 100);
    scene_put(scene, scene_key(scene, 1), LARGE_BYTES, KV_NO_TTL);
}

static void only_0(scene_t *scene)
{
    scene_key(scene, 0);
}

static void several(scene_t *scene)
{
    for (uint32_t i = 0; i < 8; i++) {
        scene_key(scene, i % 2);
    }
}

/* Two keys in each shard that are read often, so that they are copied. */
static void only_0_and_read(scene_t *scene)
{
    unsigned char value[400];
    size_t bytes;

    scene_key(scene, 0);
    scene_fill(scene, 4, 300);
    for (uint32_t i = 1; i <= 4; i++) {
        for (int times = 0; times < 3; times++) {
            rig_get(scene->store, scene->key[i].text, scene->key[i].bytes,
                    value, sizeof(value), &bytes);
        }
    }
}

/* One shard owns nearly all, and the other, of key 0, nothing. */
static void other_shard_full(scene_t *scene)
{
    scene_key(scene, 0);
    for (uint32_t i = 0; i < 3; i++) {
        scene_put(scene, scene_key(scene, 1), 300, KV_NO_TTL);
    }
}

/* ------------------------------------------------------------------ */
/* Coming nearer                                                       */

static void add_small(scene_t *scene, uint32_t i)
{
    uint32_t key = scene->keys < KEYS_MAX ? scene_key(scene, i % 2)
                                          : 1 + i % (KEYS_MAX - 1);
    scene_set(scene, key, 400 + i % 32 * 8, KV_NO_TTL, KV_SET_ALWAYS);
}

static void add_ttl(scene_t *scene, uint32_t i)
{
    uint32_t key = scene->keys < KEYS_MAX ? scene_key(scene, i % 2)
                                          : 1 + i % (KEYS_MAX - 1);
    scene_set(scene, key, 400 + i % 32 * 8, HOUR_MS, KV_SET_ALWAYS);
}

static void add_mixed(scene_t *scene, uint32_t i)
{
    if (i % 3 == 0) {
        add_small(scene, i);
    } else {
        add_ttl(scene, i);
    }
}

static void add_expiring(scene_t *scene, uint32_t i)
{
    uint32_t key = scene->keys < KEYS_MAX ? scene_key(scene, i % 2)
                                          : 1 + i % (KEYS_MAX - 1);
    scene_set(scene, key, 400, i % 3 == 0 ? HOUR_MS : 1, KV_SET_ALWAYS);
    if (i % 8 == 7) {
        sleep_a_tick();
    }
}

/* The same keys again and again: every segment has dead and live ones. */
static void add_over(scene_t *scene, uint32_t i)
{
    uint32_t key = scene->keys < 100 ? scene_key(scene, i % 2)
                                     : 1 + (uint32_t)(rig_mix(i) % 99);
    scene_set(scene, key, 200 + i % 16 * 8, KV_NO_TTL, KV_SET_ALWAYS);
}

static void add_to_1(scene_t *scene, uint32_t i)
{
    uint32_t key = scene->keys < KEYS_MAX ? scene_key(scene, 1)
                                          : 1 + i % (KEYS_MAX - 1);
    scene_set(scene, key, 500, KV_NO_TTL, KV_SET_ALWAYS);
}

static void add_large(scene_t *scene, uint32_t i)
{
    uint32_t key = scene->keys < 24 ? scene_key(scene, i % 2) : 1 + i % 23;
    scene_set(scene, key, LARGE_BYTES + i, i % 2 ? HOUR_MS : KV_NO_TTL,
              KV_SET_ALWAYS);
}

/* Sooner or later over keys that are there, so that segments are compacted
 * and the main queue has an open one. */
static void add_with_main(scene_t *scene, uint32_t i)
{
    do {
        add_small(scene, i++);
    } while (main_open(scene) == 0);
}

static void add_deleted(scene_t *scene, uint32_t i)
{
    add_small(scene, i);
    const name_t *name = &scene->key[scene->keys - 1];
    if (i % 9 != 0) {
        kv_key_delete(scene->store, name->text, name->bytes);
    }
}

/* ------------------------------------------------------------------ */
/* Operations                                                          */

static kv_result_t set(scene_t *scene)
{
    return scene_set(scene, 0, 80, KV_NO_TTL, KV_SET_ALWAYS);
}

static kv_result_t set_400(scene_t *scene)
{
    return scene_set(scene, 0, 400, KV_NO_TTL, KV_SET_ALWAYS);
}

static kv_result_t set_ttl(scene_t *scene)
{
    return scene_set(scene, 0, 200, 5 * HOUR_MS, KV_SET_ALWAYS);
}

static kv_result_t set_ttl_400(scene_t *scene)
{
    return scene_set(scene, 0, 400, 5 * HOUR_MS, KV_SET_ALWAYS);
}

static kv_result_t set_keep(scene_t *scene)
{
    return scene_set(scene, 0, 90, KV_KEEP_TTL, KV_SET_ALWAYS);
}

static kv_result_t setnx(scene_t *scene)
{
    return scene_set(scene, 0, 90, HOUR_MS, KV_SET_IF_ABSENT);
}

static kv_result_t setnx_400(scene_t *scene)
{
    return scene_set(scene, 0, 400, HOUR_MS, KV_SET_IF_ABSENT);
}

static kv_result_t setxx(scene_t *scene)
{
    return scene_set(scene, 0, 90, HOUR_MS, KV_SET_IF_PRESENT);
}

static kv_result_t set_large(scene_t *scene)
{
    return scene_set(scene, 0, LARGE_BYTES, KV_NO_TTL, KV_SET_ALWAYS);
}

static kv_result_t set_whole_chunks(scene_t *scene)
{
    return scene_set(scene, 0, LARGE_WHOLE_BYTES, HOUR_MS, KV_SET_ALWAYS);
}

static kv_result_t delete_0(scene_t *scene)
{
    return kv_key_delete(scene->store, scene->key[0].text,
                         scene->key[0].bytes);
}

static kv_result_t add(scene_t *scene)
{
    int64_t sum;
    return kv_counter_add(scene->store, scene->key[0].text,
                          scene->key[0].bytes, 1, &sum);
}

static kv_result_t add_most(scene_t *scene)
{
    int64_t sum;
    return kv_counter_add(scene->store, scene->key[0].text,
                          scene->key[0].bytes, INT64_MAX, &sum);
}

static kv_result_t expire(scene_t *scene)
{
    return kv_deadline_set(scene->store, scene->key[0].text,
                           scene->key[0].bytes, 9 * HOUR_MS);
}

static kv_result_t persist(scene_t *scene)
{
    return kv_deadline_set(scene->store, scene->key[0].text,
                           scene->key[0].bytes, 0);
}

static kv_result_t flush(scene_t *scene)
{
    return kv_store_flush(scene->store);
}

static kv_result_t get(scene_t *scene)
{
    unsigned char value[VALUE_ROOM];
    size_t bytes;
    return rig_get(scene->store, scene->key[0].text, scene->key[0].bytes,
                   value, sizeof(value), &bytes);
}

static kv_result_t look(scene_t *scene)
{
    int64_t ttl_ms;
    kv_result_t result = kv_deadline_get(
        scene->store, scene->key[0].text, scene->key[0].bytes, &ttl_ms);
    return result != KV_OK ? result
                           : kv_key_exists(scene->store, scene->key[0].text,
                                           scene->key[0].bytes);
}

static kv_result_t get_short(scene_t *scene)
{
    unsigned char value[KV_SHORT_VALUE_BYTES];
    kv_short_t found;
    kv_result_t result = kv_short_find(scene->store, scene->key[0].text,
                                       scene->key[0].bytes, &found);
    return result == KV_OK ? kv_short_copy(&found, value) : result;
}

/* getdel: read it, then delete what was read. */
static kv_result_t take_out(scene_t *scene)
{
    const name_t *name = &scene->key[0];
    unsigned char value[VALUE_ROOM];
    kv_read_t read;
    kv_result_t result =
        kv_read_begin(scene->store, name->text, name->bytes, &read);
    if (result == KV_OK) {
        result = kv_read_copy(scene->store, &read, value);
    }
    return result != KV_OK
               ? result
               : kv_key_delete_version(scene->store, name->text, name->bytes,
                                       read.version);
}

static kv_result_t delete_equal(scene_t *scene)
{
    unsigned char expected[64];
    scene_value(expected, 0, sizeof(expected));
    return kv_key_delete_equal(scene->store, scene->key[0].text,
                               scene->key[0].bytes, expected,
                               sizeof(expected));
}

static kv_result_t set_equal(scene_t *scene)
{
    unsigned char expected[64];
    unsigned char value[700];
    scene_value(expected, 0, sizeof(expected));
    scene_value(value, 0, sizeof(value));
    return kv_value_set_equal(scene->store, scene->key[0].text,
                              scene->key[0].bytes, expected,
                              sizeof(expected), value, sizeof(value),
                              HOUR_MS);
}

static kv_result_t set_large_equal(scene_t *scene)
{
    unsigned char expected[LARGE_BYTES + 100];
    unsigned char value[LARGE_BYTES + 200];
    scene_value(expected, 0, sizeof(expected));
    scene_value(value, 0, sizeof(value));
    return kv_value_set_equal(scene->store, scene->key[0].text,
                              scene->key[0].bytes, expected,
                              sizeof(expected), value, sizeof(value),
                              KV_NO_TTL);
}

/* Ten keys or so. */
static kv_result_t delete_prefix(scene_t *scene)
{
    const name_t *name = &scene->key[scene->keys - 10];
    uint64_t deleted;
    kv_result_t result = kv_prefix_delete(scene->store, name->text,
                                          name->bytes - 1, &deleted);
    return result != KV_OK ? result : deleted > 0 ? KV_OK : KV_MISSING;
}

static kv_result_t scan(scene_t *scene)
{
    uint64_t cursor = 0;
    uint64_t found = 0;
    do {
        kv_scan_t step;
        size_t bytes;
        char name[200];
        kv_scan_begin(scene->store, &step, cursor, "key", 3, 30);
        while (kv_scan_key(scene->store, &step, &bytes) == KV_OK) {
            found += bytes <= sizeof(name) &&
                     kv_scan_copy(scene->store, &step, name) == KV_OK;
        }
        cursor = step.cursor;
    } while (cursor != 0);
    return found > 0 ? KV_OK : KV_MISSING;
}

/* In both shards, one of them large. */
#define MANY 8u

static kv_result_t set_many(scene_t *scene)
{
    static const size_t bytes[MANY] = { 80, 90, 100, 1200, LARGE_BYTES,
                                        110, 0, 130 };
    static unsigned char value[MANY][LARGE_BYTES];
    kv_item_t item[MANY];
    kv_result_t result = KV_OK;

    for (uint32_t i = 0; i < MANY; i++) {
        scene_value(value[i], i, bytes[i]);
        item[i] = (kv_item_t){ .key = scene->key[i].text,
                               .key_len = scene->key[i].bytes,
                               .value = value[i],
                               .value_len = bytes[i] };
    }
    kv_items_set(scene->store, item, MANY, HOUR_MS);
    for (uint32_t i = 0; i < MANY; i++) {
        result = item[i].result != KV_OK ? item[i].result : result;
    }
    return result;
}

/* More than the store takes at a time. */
#define BATCHES 34u

static void batches_there(scene_t *scene)
{
    scene_fill(scene, BATCHES, 30);
}

static kv_result_t set_batches(scene_t *scene)
{
    static unsigned char value[BATCHES][40];
    kv_item_t item[BATCHES];
    kv_result_t result = KV_OK;

    for (uint32_t i = 0; i < BATCHES; i++) {
        scene_value(value[i], i, sizeof(value[i]));
        item[i] = (kv_item_t){ .key = scene->key[i].text,
                               .key_len = scene->key[i].bytes,
                               .value = value[i],
                               .value_len = sizeof(value[i]) };
    }
    kv_items_set(scene->store, item, BATCHES, KV_NO_TTL);
    for (uint32_t i = 0; i < BATCHES; i++) {
        result = item[i].result != KV_OK ? item[i].result : result;
    }
    return result;
}

static kv_result_t get_many(scene_t *scene)
{
    unsigned char value[KV_SHORT_VALUE_BYTES];
    kv_item_t item[MANY];
    kv_result_t result = KV_OK;

    for (uint32_t i = 0; i < MANY; i++) {
        item[i] = (kv_item_t){ .key = scene->key[i].text,
                               .key_len = scene->key[i].bytes };
    }
    kv_items_prepare(scene->store, item, MANY);
    for (uint32_t i = 0; i < MANY && result == KV_OK; i++) {
        kv_short_t found;
        result = kv_item_short_find(scene->store, &item[i], &found);
        if (result == KV_OK) {
            result = kv_short_copy(&found, value);
        }
    }
    return result;
}

static kv_result_t wait_a_moment(scene_t *scene)
{
    uint64_t version;
    kv_read_t read;
    return kv_key_wait(scene->store, scene->key[0].text, scene->key[0].bytes,
                       UINT64_MAX, 1, &version, &read);
}

static kv_result_t wait_not(scene_t *scene)
{
    uint64_t version;
    kv_read_t read;
    return kv_key_wait(scene->store, scene->key[0].text, scene->key[0].bytes,
                       0, 1000, &version, &read);
}

static kv_result_t set_packed(scene_t *scene)
{
    unsigned char value[3000];
    memset(value, 'x', sizeof(value));
    return kv_value_set(scene->store, scene->key[0].text,
                        scene->key[0].bytes, value, sizeof(value), HOUR_MS,
                        KV_SET_ALWAYS);
}

static kv_result_t attach(scene_t *scene)
{
    return kv_store_attach(scene->made.memory, scene->made.bytes,
                           &scene->store);
}

static kv_result_t detach(scene_t *scene)
{
    kv_store_detach(scene->store);
    scene->store = NULL;
    return KV_OK;
}

const step_case_t step_cases[] = {
    { .name = "set",
      .run = set, .prepare = others },
    { .name = "set over a value",
      .run = set, .prepare = small_there },
    { .name = "set with a TTL",
      .run = set_ttl, .prepare = others },
    { .name = "set with a TTL over a counter",
      .run = set_ttl, .prepare = counter_there },
    { .name = "set that keeps the TTL",
      .run = set_keep, .prepare = ttl_there },
    { .name = "set over an expired value",
      .run = set, .prepare = expired_there, .measure = expirations },
    { .name = "setnx",
      .run = setnx, .prepare = others },
    { .name = "setnx of a key that is there",
      .run = setnx, .prepare = small_there, .expect = KV_EXISTS },
    { .name = "set if present",
      .run = setxx, .prepare = small_there },
    { .name = "setnx of a key that is there, in a full store",
      .run = setnx_400, .prepare = scene_full_and_there, .expect = KV_EXISTS,
      .options = "eviction=noeviction" },
    { .name = "setnx in a full store",
      .run = setnx_400, .prepare = scene_full, .expect = KV_NO_ROOM,
      .options = "eviction=noeviction" },
    { .name = "set if present of a key that is not there, in a full store",
      .run = setxx, .prepare = scene_full, .expect = KV_MISSING,
      .options = "eviction=noeviction" },
    { .name = "delete",
      .run = delete_0, .prepare = small_there },
    { .name = "delete of a key that is not there",
      .run = delete_0, .prepare = others, .expect = KV_MISSING },
    { .name = "delete of an expired key",
      .run = delete_0, .prepare = expired_there, .expect = KV_MISSING,
      .measure = expirations },
    { .name = "counter made",
      .run = add, .prepare = others },
    { .name = "counter changed",
      .run = add, .prepare = counter_there },
    { .name = "counter from text",
      .run = add, .prepare = number_there },
    { .name = "counter that would overflow",
      .run = add_most, .prepare = counter_there, .expect = KV_OVERFLOW },
    { .name = "expire in place",
      .run = expire, .prepare = ttl_there },
    { .name = "expire with a copy",
      .run = expire, .prepare = small_there },
    { .name = "expire of a counter",
      .run = expire, .prepare = counter_there },
    { .name = "expire of a large value",
      .run = expire, .prepare = large_there },
    { .name = "persist",
      .run = persist, .prepare = ttl_there },

    { .name = "large set",
      .run = set_large, .prepare = others, .measure = large_segments },
    { .name = "large set of whole chunks",
      .run = set_whole_chunks, .prepare = others, .measure = large_segments },
    { .name = "large set over a large value",
      .run = set_large, .prepare = large_there, .measure = generations },
    { .name = "large set over a small value",
      .run = set_large, .prepare = small_there, .measure = large_segments },
    { .name = "set over a large value",
      .run = set, .prepare = large_there, .measure = large_segments },
    { .name = "delete of a large value",
      .run = delete_0, .prepare = large_there, .measure = large_segments },

    { .name = "set in a full bucket",
      .run = set, .prepare = full_bucket, .measure = overflow_buckets },
    { .name = "delete that empties an overflow bucket",
      .run = delete_0, .prepare = long_chain, .measure = overflow_buckets },
    { .name = "set in a full chain",
      .run = set, .prepare = longest_chain, .measure = evictions },
    { .name = "set in a full chain, noeviction",
      .run = set, .prepare = longest_chain, .expect = KV_NO_ROOM,
      .options = "eviction=noeviction" },
    { .name = "set that begins to double the index",
      .run = set, .prepare = about_to_grow, .measure = buckets_in_use },
    { .name = "set that splits a chain",
      .run = set, .prepare = chain_about_to_split,
      .measure = chains_split_off },
    { .name = "flush",
      .run = flush, .prepare = everything, .measure = generations },

    { .name = "set that opens a segment",
      .run = set_400, .prepare = only_0, .measure = free_segments,
      .advance = add_small },
    { .name = "set that recycles a segment",
      .run = set_400, .prepare = only_0, .measure = generations,
      .advance = add_deleted },
    { .name = "set that drops what has expired",
      .run = set_400, .prepare = only_0, .measure = expirations,
      .advance = add_expiring },
    { .name = "set that compacts",
      .run = set_400, .prepare = only_0, .measure = compacted,
      .advance = add_over },
    { .name = "set that compacts, noeviction",
      .run = set_400, .prepare = only_0, .measure = compacted,
      .advance = add_over, .options = "eviction=noeviction" },
    { .name = "set that evicts",
      .run = set_400, .prepare = only_0, .measure = evictions,
      .advance = add_small },
    { .name = "setnx that evicts",
      .run = setnx_400, .prepare = only_0, .measure = evictions,
      .advance = add_small },
    { .name = "set that renews the open segment",
      .run = set_400, .prepare = scene_full_with_dead, .measure = generations,
      .options = "eviction=noeviction" },
    { .name = "set that evicts what is in the open segment",
      .run = set_ttl_400, .prepare = scene_full_but_for_open,
      .measure = evictions, .options = "eviction=volatile-lru" },
    { .name = "set that evicts the main queue's open segment",
      .run = set_400, .prepare = only_0, .measure = main_open,
      .advance = add_with_main, .options = "eviction=allkeys-random" },
    { .name = "set that evicts and copies forward",
      .run = set_400, .prepare = only_0_and_read,
      .measure = copied_and_evicted, .advance = add_small },
    { .name = "set that evicts at random",
      .run = set_400, .prepare = only_0, .measure = evictions,
      .advance = add_small, .options = "eviction=allkeys-random" },
    { .name = "set that evicts by deadline",
      .run = set_400, .prepare = only_0, .measure = evictions,
      .advance = add_mixed, .options = "eviction=volatile-lru" },
    { .name = "set that evicts in another shard",
      .run = set_400, .prepare = other_shard_full, .measure = evictions,
      .advance = add_to_1 },
    { .name = "set that evicts large values",
      .run = set_400, .prepare = only_0, .measure = evictions,
      .advance = add_large },
    { .name = "large set that evicts",
      .run = set_large, .prepare = only_0, .measure = evictions,
      .advance = add_small },
    { .name = "add that evicts",
      .run = add, .prepare = only_0, .measure = evictions,
      .advance = add_small },

    { .name = "get",
      .run = get, .prepare = small_there },
    { .name = "get of a large value",
      .run = get, .prepare = large_there },
    { .name = "exists and ttl",
      .run = look, .prepare = ttl_there },
    { .name = "get of a short value",
      .run = get_short, .prepare = small_there },
    { .name = "get of several",
      .run = get_many, .prepare = small_there },
    { .name = "set of several",
      .run = set_many, .prepare = others, .measure = large_segments },
    { .name = "set of several that evicts",
      .run = set_many, .prepare = several, .measure = evictions,
      .advance = add_small },
    { .name = "set of several in two batches",
      .run = set_batches, .prepare = batches_there },
    { .name = "set of several in a full store",
      .run = set_many, .prepare = scene_full, .expect = KV_NO_ROOM,
      .options = "eviction=noeviction" },
    { .name = "getdel",
      .run = take_out, .prepare = small_there },
    { .name = "getdel of a counter",
      .run = take_out, .prepare = counter_there },
    { .name = "delete if equal",
      .run = delete_equal, .prepare = small_there },
    { .name = "delete if equal, another value",
      .run = delete_equal, .prepare = counter_there, .expect = KV_DIFFERENT },
    { .name = "set if equal",
      .run = set_equal, .prepare = small_there },
    { .name = "set if equal, another value",
      .run = set_equal, .prepare = large_there, .expect = KV_DIFFERENT },
    { .name = "large set if equal",
      .run = set_large_equal, .prepare = large_there },
    { .name = "delete of a prefix",
      .run = delete_prefix, .prepare = everything, .measure = deletes },
    { .name = "scan",
      .run = scan, .prepare = everything },
    { .name = "wait",
      .run = wait_a_moment, .prepare = others, .expect = KV_TIMEOUT,
      .measure = watched },
    { .name = "wait that removes what has expired",
      .run = wait_not, .prepare = expired_there, .expect = KV_MISSING,
      .measure = expirations },
    { .name = "set that somebody waits for",
      .run = set, .prepare = waited_for, .measure = wakes },
    { .name = "add that somebody waits for",
      .run = add, .prepare = waited_for, .measure = wakes },
    { .name = "set of a compressed value",
      .run = set_packed, .prepare = others, .options = "compression=zstd" },
    { .name = "attach",
      .run = attach, .prepare = others, .attaches = true },
    { .name = "detach",
      .run = detach, .prepare = others },

    /* With another process dead in the middle of something. */
    { .name = "set after a death in set",
      .run = set, .measure = steals, .after = "set over a value" },
    { .name = "add after a death in add",
      .run = add, .measure = steals, .after = "counter changed" },
    { .name = "set after a death in delete of a large value",
      .run = set, .measure = steals, .after = "delete of a large value" },
    { .name = "set after a death in an overflow bucket's allocation",
      .run = set, .measure = steals, .after = "set in a full bucket" },
    { .name = "set after a death in splitting a chain",
      .run = set, .measure = steals, .after = "set that splits a chain" },
    { .name = "large set after a death in a large set",
      .run = set_large, .measure = steals, .after = "large set" },
    { .name = "set after a death in flush",
      .run = set, .measure = steals, .after = "flush" },
    { .name = "set after a death in compaction",
      .run = set_400, .measure = steals, .after = "set that compacts" },
    { .name = "set after a death in eviction",
      .run = set_400, .measure = steals,
      .after = "set that evicts and copies forward" },
    { .name = "attach after a death",
      .run = attach, .after = "set over a value", .attaches = true },
};

const size_t step_cases_count = COUNT(step_cases);
