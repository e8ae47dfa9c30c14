/* step_view.c - what survivors see and do; see step.h. */

#include "step.h"

#include "kv_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deadlines are hours apart. */
#define SAME_TTL_MS 600000

static unsigned char buffer[VALUE_ROOM];

/* ------------------------------------------------------------------ */
/* Keys                                                                */

static void make_name(scene_t *scene, name_t *name, uint32_t shard,
                      const kv_bucket_t *bucket)
{
    uint64_t hash;
    do {
        name->bytes = (uint32_t)snprintf(name->text, sizeof(name->text),
                                         "key %" PRIu64, scene->salt++);
        hash = kv_hash(scene->store, name->text, name->bytes);
        name->shard = kv_hash_shard(scene->store, hash);
    } while (name->shard != shard ||
             (bucket != NULL && kv_hash_home(scene->store, hash) != bucket));
}

uint32_t scene_key(scene_t *scene, uint32_t shard)
{
    if (scene->keys == KEYS_MAX) {
        rig_die("%s: more than %u keys", scene->what->name, KEYS_MAX);
    }
    make_name(scene, &scene->key[scene->keys], shard, NULL);
    return scene->keys++;
}

uint32_t scene_key_beside(scene_t *scene, uint32_t like)
{
    const name_t *name = &scene->key[like];
    uint32_t key = scene_key(scene, name->shard);

    make_name(scene, &scene->key[key], name->shard,
              kv_hash_home(scene->store,
                           kv_hash(scene->store, name->text, name->bytes)));
    return key;
}

void scene_value(void *to, uint32_t key, size_t bytes)
{
    rig_fill(to, bytes, rig_mix((uint64_t)key << 32 | bytes));
}

kv_result_t scene_set(scene_t *scene, uint32_t key, size_t bytes,
                      int64_t ttl_ms, kv_set_when_t when)
{
    const name_t *name = &scene->key[key];
    scene_value(buffer, key, bytes);
    return kv_value_set(scene->store, name->text, name->bytes, buffer, bytes,
                        ttl_ms, when);
}

void scene_put(scene_t *scene, uint32_t key, size_t bytes, int64_t ttl_ms)
{
    kv_result_t result = scene_set(scene, key, bytes, ttl_ms, KV_SET_ALWAYS);
    if (result != KV_OK) {
        rig_die("%s: preparing: %s", scene->what->name,
                kv_result_text(result));
    }
}

void scene_fill(scene_t *scene, uint32_t count, size_t bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        scene_put(scene, scene_key(scene, i % 2), bytes, KV_NO_TTL);
    }
}

/* ------------------------------------------------------------------ */
/* Views                                                               */

void view_take(const scene_t *scene, kv_store_t *store, view_t *view)
{
    kv_stats_t stats;

    for (uint32_t i = 0; i < scene->keys; i++) {
        const name_t *name = &scene->key[i];
        seen_t_ *seen = &view->key[i];
        kv_read_t read;
        *seen = (seen_t_){ 0 };
        kv_result_t result =
            kv_read_begin(store, name->text, name->bytes, &read);
        if (result == KV_MISSING) {
            continue;
        }
        if (result != KV_OK || read.value_bytes > VALUE_ROOM ||
            kv_read_copy(store, &read, buffer) != KV_OK ||
            kv_deadline_get(store, name->text, name->bytes, &seen->ttl_ms) !=
                KV_OK ||
            kv_key_exists(store, name->text, name->bytes) != KV_OK) {
            seen->version = UINT64_MAX; /* equals nothing */
        } else {
            seen->version = read.version;
        }
        seen->there = true;
        seen->bytes = read.value_bytes;
        seen->hash = XXH3_64bits(buffer, read.value_bytes);
    }
    kv_store_stats(store, &stats);
    view->evictions = stats.evictions;
}

static bool same(const seen_t_ *a, const seen_t_ *b)
{
    if (!a->there || !b->there) {
        return a->there == b->there;
    }
    return a->bytes == b->bytes && a->hash == b->hash &&
           (a->ttl_ms == -1) == (b->ttl_ms == -1) &&
           llabs(a->ttl_ms - b->ttl_ms) < SAME_TTL_MS &&
           a->version != UINT64_MAX;
}

static const char *describe(const scene_t *scene, uint32_t i,
                            const seen_t_ *now, const char *what)
{
    static char text[200];
    snprintf(text, sizeof(text),
             "key %u of %u: %s (%s, %zu bytes, TTL %" PRId64 ", version %"
             PRIu64 ")", i, scene->keys, what,
             now->there ? "there" : "missing", now->bytes, now->ttl_ms,
             now->version);
    return text;
}

const char *course_check(const scene_t *scene, course_t *course,
                         const view_t *now_view, when_t when)
{
    bool settled = when == STEP_AFTER_STEP;
    bool evicts = course->after.evictions != course->before.evictions;

    for (uint32_t i = 0; i < scene->keys; i++) {
        const seen_t_ *before = &course->before.key[i];
        const seen_t_ *after = &course->after.key[i];
        const seen_t_ *now = &now_view->key[i];
        bool changes = !same(before, after);

        if (changes && same(now, after)) {
            course->changed[i] = settled;
            /* A live writer stamps a counter only after it has changed it. */
            if (when != OWNER_ALIVE && before->there && now->there &&
                (now->bytes != before->bytes || now->hash != before->hash) &&
                now->version <= before->version) {
                return describe(scene, i, now, "a new value, an old version");
            }
            continue;
        }
        if (same(now, before)) {
            if (course->changed[i] && settled) {
                return describe(scene, i, now, "back to its old value");
            }
            if (now->version < before->version) {
                return describe(scene, i, now, "an older version");
            }
            continue;
        }
        /* To make room the old value may have been evicted first. */
        if (changes && evicts && !now->there) {
            continue;
        }
        return describe(scene, i, now,
                        changes ? "neither old nor new"
                                : "none of the operation's, and not the same");
    }
    return NULL;
}

/* ------------------------------------------------------------------ */
/* Survivors                                                           */

static const char *wrote(const char *call, kv_result_t result, bool refuses)
{
    static char text[120];
    if (result == KV_OK || (result == KV_NO_ROOM && refuses)) {
        return NULL;
    }
    snprintf(text, sizeof(text), "survivor's %s: %s", call,
             kv_result_text(result));
    return text;
}

static const char *works_with(kv_store_t *store, const name_t *name,
                              size_t bytes, bool refuses)
{
    static unsigned char got[VALUE_ROOM];
    size_t got_bytes = 0;
    int64_t sum;
    int64_t ttl_ms;

    rig_fill(buffer, bytes, bytes);
    kv_result_t result = kv_value_set(store, name->text, name->bytes, buffer,
                                      bytes, KV_NO_TTL, KV_SET_ALWAYS);
    const char *why = wrote("set", result, refuses);
    if (why != NULL || result == KV_NO_ROOM) {
        return why;
    }
    if (rig_get(store, name->text, name->bytes, got, sizeof(got),
                &got_bytes) != KV_OK ||
        got_bytes != bytes || memcmp(got, buffer, bytes) != 0) {
        return "the survivor reads another value than it has written";
    }
    result = kv_deadline_set(store, name->text, name->bytes, 7200000);
    why = wrote("expire", result, refuses);
    if (why != NULL) {
        return why;
    }
    if (result == KV_OK &&
        (kv_deadline_get(store, name->text, name->bytes, &ttl_ms) != KV_OK ||
         ttl_ms <= 0)) {
        return "the survivor's deadline is not there";
    }
    result = kv_key_delete(store, name->text, name->bytes);
    if (result != KV_OK ||
        kv_key_exists(store, name->text, name->bytes) != KV_MISSING) {
        return "the survivor cannot delete";
    }
    for (int64_t i = 1; i <= 2; i++) {
        result = kv_counter_add(store, name->text, name->bytes, 1, &sum);
        why = wrote("add", result, refuses);
        if (why != NULL) {
            return why;
        }
        if (result == KV_OK && sum != i) {
            return "the survivor counts wrong";
        }
    }
    return NULL;
}

static bool may_refuse(const kv_store_t *store)
{
    kv_config_t config;
    kv_store_config(store, &config);
    return config.eviction == KV_NOEVICTION ||
           config.eviction == KV_VOLATILE_LRU;
}

const char *survivor_works(const scene_t *scene, kv_store_t *store)
{
    bool refuses = may_refuse(store);
    const char *why = NULL;

    for (uint32_t i = 0; why == NULL && i < scene->work_shards; i++) {
        why = works_with(store, &scene->work[2 * i], 100, refuses);
    }
    if (why == NULL) {
        why = works_with(store, &scene->work[1], 9000, refuses);
    }
    return why;
}

/* What the victim was about is like any other key. */
const char *survivor_works_on(const scene_t *scene, kv_store_t *store,
                              uint32_t key)
{
    return works_with(store, &scene->key[key], 60, may_refuse(store));
}
