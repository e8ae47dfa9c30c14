/* kv_write.c - storing values, under a shard's lock.
 *
 * Why a kill at any instruction is harmless: each function here
 * and in kv_change.c
 *
 *   1. makes room            moves or removes other keys, each by one store
 *   2. appends a record      that no slot points to: dead if we die now
 *   3. stores the slot       the change, whole, at this one instruction
 *   4. accounts              derived figures, computed anew by whoever takes
 *                            the lock over (kv_derive.c)
 *
 * A removal is step 3 and 4 alone; it stores its version in the bucket's tail
 * first, so that an absent key's version is never too old.  Changing a
 * counter or a deadline is one store into the record instead of 2 and 3.
 */

#include "kv_clock.h"
#include "kv_compress.h"
#include "kv_write.h"

/* Make room under the shard's lock, which is let go unless KV_OK. */
KV_NOINLINE kv_result_t kv_write_make_room(kv_store_t *store, kv_shard_t *shard,
                                           uint64_t bytes)
{
    kv_result_t result =
        kv_evict_for_record(store, shard, KV_QUEUE_SMALL, bytes);
    if (result == KV_NO_ROOM) {
        kv_unlock(&shard->lock);
        kv_count(store, KV_COUNT_REJECTIONS, 1);
    }
    return result;
}

/* Let the index grow, then find the key's new place. */
KV_NOINLINE bool kv_write_grow(kv_store_t *store, uint64_t hash,
                               const void *key, size_t key_len,
                               kv_place_t *place)
{
    bool grown = kv_grow(store, place->shard);

    kv_place_find(store, hash, key, key_len, place);
    return grown;
}

KV_NOINLINE _Atomic uint64_t *
kv_write_slot_in_full_chain(kv_store_t *store, uint64_t hash, const void *key,
                            size_t key_len, kv_place_t *place)
{
    _Atomic uint64_t *slot = NULL;

    while (slot == NULL && kv_write_grow(store, hash, key, key_len, place)) {
        slot = kv_chain_free_slot(store, place->shard, place->home);
    }
    if (slot == NULL) {
        slot = kv_evict_from_chain(store, place->shard, place->home);
    }
    if (slot == NULL) {
        kv_count(store, KV_COUNT_REJECTIONS, 1);
    }
    return slot;
}

/* What stands against storing under the key of `place`; KV_OK: nothing. */
static KV_INLINE kv_result_t may_set(const kv_store_t *store,
                                     const kv_place_t *place, bool present,
                                     kv_set_when_t when, uint64_t version)
{
    if (when == KV_SET_IF_ABSENT && present) {
        return KV_EXISTS;
    }
    if (when == KV_SET_IF_PRESENT && !present) {
        return KV_MISSING;
    }
    if (version != 0 && place->shape.version + store->epoch != version) {
        return KV_DIFFERENT;
    }
    return KV_OK;
}

/* kv_write_make_room() for a set: nobody is evicted for a value that will not
 * be stored. */
static KV_NOINLINE kv_result_t make_room_to_set(kv_store_t *store,
                                                uint64_t hash, const void *key,
                                                size_t key_len, uint64_t bytes,
                                                kv_set_when_t when,
                                                uint64_t version)
{
    kv_shard_t *shard = kv_write_shard(store, hash);

    if (when != KV_SET_ALWAYS) {
        kv_place_t place;
        kv_place_find(store, hash, key, key_len, &place);
        bool present = place.slot != NULL && !place.expired;
        kv_result_t result = may_set(store, &place, present, when, version);
        if (result != KV_OK) {
            kv_unlock(&shard->lock);
            return result;
        }
    }
    return kv_write_make_room(store, shard, bytes);
}

static KV_INLINE kv_result_t set_locked(kv_store_t *store, uint64_t hash,
                                        const void *key, size_t key_len,
                                        const kv_memo_t *memo,
                                        kv_change_t *change, int64_t ttl_ms,
                                        kv_set_when_t when, uint64_t version)
{
    kv_place_t place;

    kv_write_find(store, hash, key, key_len, memo, change->now_ms, &place);
    bool present = place.slot != NULL && !place.expired;
    kv_result_t result = may_set(store, &place, present, when, version);
    if (result != KV_OK) {
        return result;
    }
    if (ttl_ms == KV_KEEP_TTL) {
        change->deadline_ms =
            present ? kv_record_deadline_ms(place.record, place.shape.flags)
                    : 0;
    }
    _Atomic uint64_t *slot = kv_write_slot(store, hash, key, key_len, &place);
    if (slot == NULL) {
        return KV_NO_ROOM;
    }
    void *record = kv_write_record(store, &place, key, key_len, change);
    if (change->flags & KV_FLAG_LARGE) {
        kv_large_adopt(store, place.shard, change->build);
    }
    kv_count(store, KV_COUNT_SETS, 1);
    return kv_write_publish(
        store, &place, slot, record, change->flags,
        (uint32_t)kv_record_bytes(change->flags, key_len, change->stored_bytes),
        kv_shard_next_version(place.shard), key_len);
}

/* Lock the shard, with room for the record, and store it. */
static KV_INLINE kv_result_t lock_and_set(kv_store_t *store, uint64_t hash,
                                          const void *key, size_t key_len,
                                          const kv_memo_t *memo, uint64_t bytes,
                                          kv_change_t *change, int64_t ttl_ms,
                                          kv_set_when_t when, uint64_t version)
{
    kv_shard_t *shard = kv_write_shard(store, hash);
    kv_result_t result = kv_shard_lock(store, shard);

    if (result == KV_OK &&
        !kv_segment_has_room(store, shard, KV_QUEUE_SMALL, bytes)) {
        result =
            make_room_to_set(store, hash, key, key_len, bytes, when, version);
    }
    if (result == KV_OK) {
        result = set_locked(store, hash, key, key_len, memo, change, ttl_ms,
                            when, version);
        kv_unlock(&shard->lock);
    }
    return result;
}

static KV_NOINLINE kv_result_t set_large(kv_store_t *store, uint64_t hash,
                                         const void *key, size_t key_len,
                                         kv_change_t *change, int64_t ttl_ms,
                                         kv_set_when_t when, uint64_t version)
{
    kv_build_t build;
    const unsigned char *value = change->stored;
    size_t value_len = change->stored_bytes;

    /* Do not evict others for a value that will not be stored. */
    if (when != KV_SET_ALWAYS) {
        bool present = kv_key_exists(store, key, key_len) == KV_OK;
        if (present != (when == KV_SET_IF_PRESENT)) {
            return present ? KV_EXISTS : KV_MISSING;
        }
    }
    change->flags |= KV_FLAG_LARGE | KV_FLAG_DEADLINE;
    kv_result_t result =
        kv_large_build(store, value, value_len, key_len, change->flags, &build);
    if (result != KV_OK) {
        if (result == KV_NO_ROOM) {
            kv_count(store, KV_COUNT_REJECTIONS, 1);
        }
        return result;
    }
    change->build = &build;
    change->stored = value + (value_len - build.rest_bytes);
    change->stored_bytes = build.rest_bytes;
    result =
        lock_and_set(store, hash, key, key_len, NULL,
                     kv_record_bytes(change->flags, key_len, build.rest_bytes),
                     change, ttl_ms, when, version);
    if (result == KV_OK) {
        kv_large_done(store);
        return KV_OK;
    }
    kv_large_abandon(store, &build);
    return result;
}

/* A long key alone does not make a record large; what would leave no room
 * for a deadline's word in its segment (kv_deadline_set) does. */
static bool is_large(const kv_store_t *store, uint64_t record_bytes,
                     size_t value_len)
{
    uint32_t segment_bytes = store->geometry.segment_bytes;
    return record_bytes > store->large_record_bytes &&
           (value_len >= segment_bytes / 32 ||
            record_bytes + 8 > segment_bytes - KV_SEGMENT_HEAD_BYTES);
}

static KV_INLINE void set_deadline(kv_change_t *change, int64_t ttl_ms)
{
    if (ttl_ms > 0) {
        change->flags = KV_FLAG_DEADLINE;
        change->now_ms = kv_now_ms();
        change->deadline_ms = kv_deadline_after(change->now_ms, ttl_ms);
    } else if (ttl_ms == KV_KEEP_TTL) {
        change->flags = KV_FLAG_DEADLINE;
    }
}

/* kv_value_set(); with `version` not 0 only if the key has that version. */
static KV_INLINE kv_result_t set_value(kv_store_t *store, const void *key,
                                       size_t key_len, const void *value,
                                       size_t value_len, int64_t ttl_ms,
                                       kv_set_when_t when, uint64_t version)
{
    kv_result_t result = kv_write_check_key(store, key_len);
    if (result != KV_OK) {
        return result;
    }
    if (value_len > store->value_max_bytes) {
        return KV_TOO_LARGE;
    }
    kv_change_t change = {.stored = value, .stored_bytes = value_len};
    set_deadline(&change, ttl_ms);
    if (__builtin_expect(store->config.compression != KV_COMPRESS_NONE, 0)) {
        const void *packed;
        size_t bytes = kv_compress(store, value, value_len, &packed);
        if (bytes != 0) {
            change.flags |= KV_FLAG_RAW | (uint32_t)store->config.compression
                                              << KV_FLAG_METHOD_SHIFT;
            change.raw_bytes = value_len;
            change.stored = packed;
            change.stored_bytes = bytes;
        }
    }
    const kv_memo_t *memo;
    uint64_t hash = kv_write_hash(store, key, key_len, &memo);
    uint64_t bytes =
        kv_record_bytes(change.flags, key_len, change.stored_bytes);
    if (is_large(store, bytes, change.stored_bytes)) {
        return set_large(store, hash, key, key_len, &change, ttl_ms, when,
                         version);
    }
    return lock_and_set(store, hash, key, key_len, memo, bytes, &change, ttl_ms,
                        when, version);
}

kv_result_t kv_write_version(kv_store_t *store, const void *key, size_t key_len,
                             const void *value, size_t value_len,
                             int64_t ttl_ms, kv_set_when_t when,
                             uint64_t version)
{
    return set_value(store, key, key_len, value, value_len, ttl_ms, when,
                     version);
}

KV_FLATTEN kv_result_t kv_value_set(kv_store_t *store, const void *key,
                                    size_t key_len, const void *value,
                                    size_t value_len, int64_t ttl_ms,
                                    kv_set_when_t when)
{
    return set_value(store, key, key_len, value, value_len, ttl_ms, when, 0);
}

/* ------------------------------------------------------------------ */
/* Several at a time                                                   */

#define BATCH_ITEMS 32u
#define BATCH_END UINT8_MAX

static_assert(BATCH_ITEMS <= BATCH_END, "places in a batch fit its links");
static_assert(KV_SHARDS_MAX <= 64, "a batch's shards are the bits of a word");

/* The items of a batch by shard: lists in the order of the items. */
typedef struct batch {
    uint64_t shards; /* a bit for each that has items */
    uint8_t first[KV_SHARDS_MAX];
    uint8_t next[BATCH_ITEMS];
} batch_t;

/* Where the shard's next records will be written is fetched along with the
 * index: most of a set's time goes to waiting for these. */
static KV_INLINE void fetch_for_write(kv_store_t *store, kv_shard_t *shard,
                                      uint64_t hash, uint64_t ahead_bytes)
{
    uint32_t open = ld_rlx(&shard->open[KV_QUEUE_SMALL]);

    __builtin_prefetch(kv_hash_home(store, hash), 1);
    __builtin_prefetch(shard, 1);
    if (open != 0 && open <= store->segments) {
        const unsigned char *next =
            kv_segment_start(store, open - 1) +
            ld_rlx(&store->segment[open - 1].write_off) + ahead_bytes;
        __builtin_prefetch(next, 1);
        __builtin_prefetch(next + 64, 1);
        __builtin_prefetch(next + 128, 1);
    }
}

/* Hash the items, sort them into lists. */
static void batch_begin(kv_store_t *store, kv_item_t *items, uint32_t count,
                        batch_t *batch)
{
    batch->shards = 0;
    for (uint32_t i = count; i-- > 0;) {
        kv_item_t *item = &items[i];
        item->result = kv_write_check_key(store, item->key_len);
        if (item->result != KV_OK) {
            continue;
        }
        item->hash = kv_hash(store, item->key, item->key_len);
        uint32_t number = kv_hash_shard(store, item->hash);
        bool more = (batch->shards >> number & 1) != 0;
        fetch_for_write(store, &store->shards[number], item->hash,
                        more ? 128 : 0);
        batch->next[i] = more ? batch->first[number] : BATCH_END;
        batch->first[number] = (uint8_t)i;
        batch->shards |= UINT64_C(1) << number;
    }
}

/* Set one item; `locked` tells whether the shard's lock is held, before and
 * after. */
static KV_INLINE void batch_set(kv_store_t *store, kv_shard_t *shard,
                                kv_item_t *item, kv_change_t *change,
                                int64_t ttl_ms, bool *locked)
{
    uint64_t bytes =
        kv_record_bytes(change->flags, item->key_len, item->value_len);

    if (UNLIKELY(item->value_len > store->value_max_bytes ||
                 is_large(store, bytes, item->value_len) ||
                 store->config.compression != KV_COMPRESS_NONE)) {
        if (*locked) {
            kv_unlock(&shard->lock);
            *locked = false;
        }
        item->result =
            kv_value_set(store, item->key, item->key_len, item->value,
                         item->value_len, ttl_ms, KV_SET_ALWAYS);
        return;
    }
    if (!*locked) {
        item->result = kv_shard_lock(store, shard);
        *locked = item->result == KV_OK;
    }
    if (*locked && !kv_segment_has_room(store, shard, KV_QUEUE_SMALL, bytes)) {
        item->result = kv_write_make_room(store, shard, bytes);
        *locked = item->result == KV_OK;
    }
    if (*locked) {
        change->stored = item->value;
        change->stored_bytes = item->value_len;
        item->result = set_locked(store, item->hash, item->key, item->key_len,
                                  NULL, change, ttl_ms, KV_SET_ALWAYS, 0);
    }
}

void kv_items_set(kv_store_t *store, kv_item_t *items, size_t count,
                  int64_t ttl_ms)
{
    kv_change_t change = {0};
    bool busy = false;

    set_deadline(&change, ttl_ms);
    for (size_t left = count; left > 0;) {
        uint32_t taken = left < BATCH_ITEMS ? (uint32_t)left : BATCH_ITEMS;
        batch_t batch;
        batch_begin(store, items, taken, &batch);
        while (batch.shards != 0) {
            uint32_t number = (uint32_t)__builtin_ctzll(batch.shards);
            kv_shard_t *shard = &store->shards[number];
            bool locked = false;
            batch.shards &= batch.shards - 1;
            for (uint8_t i = batch.first[number]; i != BATCH_END;
                 i = batch.next[i]) {
                if (UNLIKELY(busy)) {
                    items[i].result = KV_BUSY;
                    continue;
                }
                batch_set(store, shard, &items[i], &change, ttl_ms, &locked);
                busy = items[i].result == KV_BUSY;
            }
            if (locked) {
                kv_unlock(&shard->lock);
            }
        }
        items += taken;
        left -= taken;
    }
}
