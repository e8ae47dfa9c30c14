/* kv_write.c - changing one key, under its shard's lock.
 *
 * Why a kill at any instruction is harmless: each function here
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
#include "kv_evict.h"
#include "kv_grow.h"
#include "kv_large.h"
#include "kv_lock.h"
#include "kv_memo.h"
#include "kv_number.h"
#include "kv_read.h"
#include "kv_wait.h"

#include <stdlib.h>

/* The key's hash, noted or computed. */
static KV_INLINE uint64_t hash_of(kv_store_t *store, const void *key,
                                  size_t key_len, const kv_memo_t *memo)
{
    return memo != NULL ? memo->hash : kv_hash(store, key, key_len);
}

/* kv_place_find() where the key was met, or else in line; and note that. */
static KV_INLINE void find_place(kv_store_t *store, uint64_t hash,
                                 const void *key, size_t key_len,
                                 const kv_memo_t *memo, int64_t now_ms,
                                 kv_place_t *place)
{
    uint64_t extent = ld_rlx(kv_hash_extent(store, hash));

    if (memo != NULL && memo->extent == extent &&
        LIKELY(kv_place_look(store, memo->slot, key, key_len, now_ms,
                             place))) {
        place->shard = &store->shards[kv_hash_shard(store, hash)];
        place->home = kv_memo_home(memo);
        place->tag = kv_hash_tag(hash);
        place->ghost = NULL;
        return;
    }
    kv_place_find_quick(store, hash, key, key_len, now_ms, place);
    if (place->slot >= place->home->slot &&
        place->slot < place->home->slot + KV_BUCKET_SLOTS) {
        kv_memo_note(store, hash, key, key_len, place->slot, extent);
    }
}

static inline kv_shard_t *shard_of(kv_store_t *store, uint64_t hash)
{
    return &store->shards[kv_hash_shard(store, hash)];
}

static KV_INLINE kv_result_t check_key(const kv_store_t *store, size_t key_len)
{
    if (key_len - 1 >= KV_KEY_MAX_BYTES) {
        return KV_BAD_KEY;
    }
    /* Only in segments smaller than the default can a key be too long. */
    if (key_len > store->geometry.segment_bytes - KV_SEGMENT_HEAD_BYTES -
                      KV_RECORD_HEAD_MAX_BYTES - 8) {
        return KV_TOO_LARGE;
    }
    return KV_OK;
}

/* Make room under the shard's lock, which is let go unless KV_OK. */
static KV_NOINLINE kv_result_t make_room(kv_store_t *store, kv_shard_t *shard,
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

/* make_room() for a set: nobody is evicted for a value that will not be
 * stored. */
static KV_NOINLINE kv_result_t make_room_to_set(kv_store_t *store,
                                                uint64_t hash,
                                                const void *key,
                                                size_t key_len,
                                                uint64_t bytes,
                                                kv_set_when_t when,
                                                uint64_t version)
{
    kv_shard_t *shard = shard_of(store, hash);

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
    return make_room(store, shard, bytes);
}

/* Steps 3 and 4 for a record in place; its stamp is stored here too. */
static KV_INLINE kv_result_t publish(kv_store_t *store, kv_place_t *place,
                           _Atomic uint64_t *slot, void *record,
                           uint32_t flags, uint32_t total_bytes,
                           uint64_t version, size_t key_len)
{
    uint64_t frequency = 0;
    kv_large_t old_large;
    bool had_large = false;

    if (place->slot != NULL) {
        frequency = ld_rlx(place->slot) & KV_FREQUENCY_MASK;
        if (place->shape.flags & KV_FLAG_LARGE) {
            kv_record_large(place->record, &place->shape, &old_large);
            had_large = true;
        }
    }
    st_rlx(kv_record_word(record, 0), version << 16 | key_len);
    st_rel(slot,
           kv_slot_make(place->tag, frequency,
                        (uint64_t)((unsigned char *)record - store->data)));

    kv_shard_t *shard = place->shard;
    if (place->slot != NULL) {
        kv_segment_remove_live(store, shard, place->record,
                               place->shape.flags, place->shape.total_bytes);
        if (place->expired) {
            kv_count(store, KV_COUNT_EXPIRATIONS, 1);
        }
    } else {
        st_rlx(&shard->entries, ld_rlx(&shard->entries) + 1);
    }
    kv_segment_add_live(store, shard, record, flags, total_bytes);
    if (had_large) {
        kv_large_free(store, shard, &old_large);
    }
    kv_wake(store, shard, place->home);
    return KV_OK;
}

/* Let the index grow, then find the key's new place. */
static KV_NOINLINE bool grow(kv_store_t *store, uint64_t hash,
                             const void *key, size_t key_len,
                             kv_place_t *place)
{
    bool grown = kv_grow(store, place->shard);

    kv_place_find(store, hash, key, key_len, place);
    return grown;
}

static KV_NOINLINE _Atomic uint64_t *
slot_in_full_chain(kv_store_t *store, uint64_t hash, const void *key,
                   size_t key_len, kv_place_t *place)
{
    _Atomic uint64_t *slot = NULL;

    while (slot == NULL && grow(store, hash, key, key_len, place)) {
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

/* The key's slot, or a free one. */
static KV_INLINE _Atomic uint64_t *slot_for(kv_store_t *store, uint64_t hash,
                                            const void *key, size_t key_len,
                                            kv_place_t *place)
{
    if (place->slot != NULL) {
        return place->slot;
    }
    if (UNLIKELY(kv_grow_wanted(store, place->shard))) {
        grow(store, hash, key, key_len, place);
    }
    if (place->ghost != NULL) {
        return place->ghost;
    }
    _Atomic uint64_t *slot =
        kv_chain_free_slot(store, place->shard, place->home);
    return LIKELY(slot != NULL)
               ? slot : slot_in_full_chain(store, hash, key, key_len, place);
}

typedef struct change {
    uint32_t flags;
    int64_t now_ms;            /* if the time is known; else 0 */
    int64_t deadline_ms;       /* if DEADLINE */
    uint64_t raw_bytes;        /* if RAW */
    const void *stored;
    size_t stored_bytes;       /* in the record */
    const kv_build_t *build;   /* if LARGE */
} change_t;

/* The queue for the key's new record: the one it is in, and the main one for
 * a key that was evicted not long ago and is wanted again. */
static KV_INLINE kv_queue_t queue_for(kv_store_t *store,
                                      const kv_place_t *place, uint64_t bytes)
{
    kv_shard_t *shard = place->shard;
    bool main_queue;

    if (place->slot != NULL) {
        uint64_t word =
            ld_rlx(&store->words[kv_segment_of(store, place->record)]);
        main_queue = kv_word_state(word) == KV_STATE_MAIN;
    } else {
        main_queue = place->ghost != NULL &&
                     kv_ghost_fresh(shard, ld_rlx(place->ghost));
    }
    return main_queue &&
                   (kv_segment_has_room(store, shard, KV_QUEUE_MAIN, bytes) ||
                    kv_segment_open(store, shard, KV_QUEUE_MAIN, false))
               ? KV_QUEUE_MAIN : KV_QUEUE_SMALL;
}

/* Append and fill a record.  There is room in the small queue. */
static KV_INLINE unsigned char *write_record(kv_store_t *store,
                                             const kv_place_t *place,
                                             const void *key, size_t key_len,
                                             const change_t *change)
{
    kv_queue_t queue =
        queue_for(store, place,
                  kv_record_bytes(change->flags, key_len,
                                  change->stored_bytes));
    unsigned char *record =
        kv_record_append(store, place->shard, queue, change->flags, key_len,
                         change->stored_bytes);
    uint32_t head = kv_flags_head_bytes(change->flags);

    if (change->flags & KV_FLAG_DEADLINE) {
        st_rlx(kv_record_deadline(record), (uint64_t)change->deadline_ms);
    }
    if (change->flags & KV_FLAG_RAW) {
        st_rlx(kv_record_raw(record, change->flags), change->raw_bytes);
    }
    if (change->flags & KV_FLAG_LARGE) {
        const kv_large_t *large = &change->build->large;
        st_rlx(kv_record_word(record, head - 24), large->total_bytes);
        st_rlx(kv_record_word(record, head - 16), large->first);
        st_rlx(kv_record_word(record, head - 8), large->generation);
    }
    kv_copy(record + head, key, key_len);
    kv_copy(record + head + key_len, change->stored, change->stored_bytes);
    return record;
}

static KV_INLINE kv_result_t set_locked(kv_store_t *store, uint64_t hash,
                              const void *key, size_t key_len,
                              const kv_memo_t *memo, change_t *change,
                              int64_t ttl_ms, kv_set_when_t when,
                              uint64_t version)
{
    kv_place_t place;

    find_place(store, hash, key, key_len, memo, change->now_ms, &place);
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
    _Atomic uint64_t *slot = slot_for(store, hash, key, key_len, &place);
    if (slot == NULL) {
        return KV_NO_ROOM;
    }
    void *record = write_record(store, &place, key, key_len, change);
    if (change->flags & KV_FLAG_LARGE) {
        kv_large_adopt(store, place.shard, change->build);
    }
    kv_count(store, KV_COUNT_SETS, 1);
    return publish(store, &place, slot, record, change->flags,
                   (uint32_t)kv_record_bytes(change->flags, key_len,
                                             change->stored_bytes),
                   kv_shard_next_version(place.shard), key_len);
}

/* Lock the shard, with room for the record, and store it. */
static KV_INLINE kv_result_t lock_and_set(kv_store_t *store, uint64_t hash,
                                          const void *key, size_t key_len,
                                          const kv_memo_t *memo,
                                          uint64_t bytes, change_t *change,
                                          int64_t ttl_ms, kv_set_when_t when,
                                          uint64_t version)
{
    kv_shard_t *shard = shard_of(store, hash);
    kv_result_t result = kv_shard_lock(store, shard);

    if (result == KV_OK &&
        !kv_segment_has_room(store, shard, KV_QUEUE_SMALL, bytes)) {
        result = make_room_to_set(store, hash, key, key_len, bytes, when,
                                  version);
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
                                         change_t *change, int64_t ttl_ms,
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
    kv_result_t result = kv_large_build(store, value, value_len, key_len,
                                        change->flags, &build);
    if (result != KV_OK) {
        if (result == KV_NO_ROOM) {
            kv_count(store, KV_COUNT_REJECTIONS, 1);
        }
        return result;
    }
    change->build = &build;
    change->stored = value + (value_len - build.rest_bytes);
    change->stored_bytes = build.rest_bytes;
    result = lock_and_set(store, hash, key, key_len, NULL,
                          kv_record_bytes(change->flags, key_len,
                                          build.rest_bytes),
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

static KV_INLINE void set_deadline(change_t *change, int64_t ttl_ms)
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
    kv_result_t result = check_key(store, key_len);
    if (result != KV_OK) {
        return result;
    }
    if (value_len > store->value_max_bytes) {
        return KV_TOO_LARGE;
    }
    change_t change = { .stored = value, .stored_bytes = value_len };
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
    const kv_memo_t *memo = kv_memo_of(store, key, key_len);
    uint64_t hash = hash_of(store, key, key_len, memo);
    uint64_t bytes =
        kv_record_bytes(change.flags, key_len, change.stored_bytes);
    if (is_large(store, bytes, change.stored_bytes)) {
        return set_large(store, hash, key, key_len, &change, ttl_ms, when,
                         version);
    }
    return lock_and_set(store, hash, key, key_len, memo, bytes, &change,
                        ttl_ms, when, version);
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
    uint64_t shards;   /* a bit for each that has items */
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
        item->result = check_key(store, item->key_len);
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
                                kv_item_t *item, change_t *change,
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
    if (*locked &&
        !kv_segment_has_room(store, shard, KV_QUEUE_SMALL, bytes)) {
        item->result = make_room(store, shard, bytes);
        *locked = item->result == KV_OK;
    }
    if (*locked) {
        change->stored = item->value;
        change->stored_bytes = item->value_len;
        item->result =
            set_locked(store, item->hash, item->key, item->key_len, NULL,
                       change, ttl_ms, KV_SET_ALWAYS, 0);
    }
}

void kv_items_set(kv_store_t *store, kv_item_t *items, size_t count,
                  int64_t ttl_ms)
{
    change_t change = { 0 };
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

typedef enum remove {
    REMOVE_LIVE,
    REMOVE_VERSION,   /* only of this version */
    REMOVE_EXPIRED    /* only if it has expired */
} remove_t;

static kv_result_t remove_key(kv_store_t *store, const void *key,
                              size_t key_len, remove_t which,
                              uint64_t version)
{
    kv_place_t place;
    kv_result_t result = check_key(store, key_len);

    if (result != KV_OK) {
        return result == KV_TOO_LARGE ? KV_MISSING : result;
    }
    uint64_t hash = kv_hash(store, key, key_len);
    kv_shard_t *shard = shard_of(store, hash);
    result = kv_shard_lock(store, shard);
    if (result != KV_OK) {
        return result;
    }
    kv_place_find(store, hash, key, key_len, &place);
    if (place.slot == NULL) {
        result = KV_MISSING;
    } else if (place.expired) {
        result = KV_MISSING;
        kv_count(store, KV_COUNT_EXPIRATIONS, 1);
    } else if (which == REMOVE_EXPIRED ||
               (which == REMOVE_VERSION &&
                place.shape.version + store->epoch != version)) {
        result = KV_DIFFERENT;
    } else {
        kv_count(store, KV_COUNT_DELETES, 1);
    }
    if (place.slot != NULL && result != KV_DIFFERENT) {
        kv_slot_clear(store, shard, place.home, place.slot, place.record,
                      &place.shape, 0);
    }
    kv_unlock(&shard->lock);
    return result;
}

kv_result_t kv_key_delete(kv_store_t *store, const void *key, size_t key_len)
{
    return remove_key(store, key, key_len, REMOVE_LIVE, 0);
}

kv_result_t kv_key_delete_version(kv_store_t *store, const void *key,
                                  size_t key_len, uint64_t version)
{
    return remove_key(store, key, key_len, REMOVE_VERSION, version);
}

void kv_key_remove_expired(kv_store_t *store, const void *key, size_t key_len)
{
    (void)remove_key(store, key, key_len, REMOVE_EXPIRED, 0);
}

/* Is the value `expected`?  Its version, if so. */
static kv_result_t read_equal(kv_store_t *store, const void *key,
                              size_t key_len, const void *expected,
                              size_t expected_len, uint64_t *version)
{
    kv_result_t result;

    do {
        kv_read_t read;
        char small[256];
        void *value = small;
        result = kv_read_begin(store, key, key_len, &read);
        if (result != KV_OK) {
            return result;
        }
        if (read.value_bytes != expected_len) {
            return KV_DIFFERENT;
        }
        /* Not the scratch buffer, which unpacking uses. */
        if (expected_len > sizeof(small)) {
            value = malloc(expected_len);
            if (value == NULL) {
                return KV_NO_MEMORY;
            }
        }
        result = kv_read_copy(store, &read, value);
        if (result == KV_OK && memcmp(value, expected, expected_len) != 0) {
            result = KV_DIFFERENT;
        }
        if (value != small) {
            free(value);
        }
        *version = read.version;
    } while (result == KV_RETRY);
    return result;
}

kv_result_t kv_key_delete_equal(kv_store_t *store, const void *key,
                                size_t key_len, const void *expected,
                                size_t expected_len)
{
    for (;;) {
        uint64_t version;
        kv_result_t result = read_equal(store, key, key_len, expected,
                                        expected_len, &version);
        if (result == KV_OK) {
            result = kv_key_delete_version(store, key, key_len, version);
            if (result == KV_DIFFERENT) {
                continue; /* changed since: compare anew */
            }
        }
        return result;
    }
}

kv_result_t kv_value_set_equal(kv_store_t *store, const void *key,
                               size_t key_len, const void *expected,
                               size_t expected_len, const void *value,
                               size_t value_len, int64_t ttl_ms)
{
    for (;;) {
        uint64_t version;
        kv_result_t result = read_equal(store, key, key_len, expected,
                                        expected_len, &version);
        if (result == KV_OK) {
            result = set_value(store, key, key_len, value, value_len, ttl_ms,
                               KV_SET_IF_PRESENT, version);
            if (result == KV_DIFFERENT) {
                continue;
            }
        }
        return result;
    }
}

/* Add in place: the record is a counter already. */
static KV_INLINE kv_result_t add_in_place(kv_store_t *store, kv_place_t *place,
                                int64_t delta, int64_t *sum)
{
    _Atomic uint64_t *counter =
        kv_record_counter(place->record, place->shape.flags);
    int64_t next;

    if (__builtin_add_overflow((int64_t)ld_rlx(counter), delta, &next)) {
        return KV_OVERFLOW;
    }
    kv_shard_t *shard = place->shard;
    uint64_t version = kv_shard_next_version(shard);
    st_rel(&shard->noted,
           (uint64_t)((unsigned char *)place->record - store->data));
    st_rel(counter, (uint64_t)next);
    st_rel(kv_record_word(place->record, 0),
           version << 16 | place->shape.key_len);
    st_rel(&shard->noted, 0);
    kv_wake(store, shard, place->home);
    *sum = next;
    return KV_OK;
}

/* Add to the number that the key's value is in writing. */
static KV_INLINE kv_result_t add_to_text(const kv_place_t *place,
                                         int64_t delta, int64_t *sum)
{
    const kv_shape_t *shape = &place->shape;
    int64_t now;

    if ((shape->flags & (KV_FLAG_RAW | KV_FLAG_LARGE)) ||
        !kv_number_parse((const char *)place->record + shape->head_bytes +
                             shape->key_len,
                         shape->stored_bytes, &now)) {
        return KV_NOT_INTEGER;
    }
    return __builtin_add_overflow(now, delta, sum) ? KV_OVERFLOW : KV_OK;
}

static KV_INLINE kv_result_t add_locked(kv_store_t *store, uint64_t hash,
                              const void *key, size_t key_len,
                              const kv_memo_t *memo, int64_t delta,
                              int64_t *sum)
{
    kv_place_t place;
    int64_t next = delta;
    int64_t deadline_ms = 0;

    find_place(store, hash, key, key_len, memo, 0, &place);
    if (place.slot != NULL && !place.expired) {
        if (place.shape.flags & KV_FLAG_COUNTER) {
            return add_in_place(store, &place, delta, sum);
        }
        kv_result_t result = add_to_text(&place, delta, &next);
        if (result != KV_OK) {
            return result;
        }
        deadline_ms = kv_record_deadline_ms(place.record, place.shape.flags);
    }
    _Atomic uint64_t *slot = slot_for(store, hash, key, key_len, &place);
    if (slot == NULL) {
        return KV_NO_ROOM;
    }
    change_t change = { .flags = KV_FLAG_COUNTER, .deadline_ms = deadline_ms,
                        .stored = "" };
    if (deadline_ms != 0) {
        change.flags |= KV_FLAG_DEADLINE;
    }
    void *record = write_record(store, &place, key, key_len, &change);
    st_rlx(kv_record_counter(record, change.flags), (uint64_t)next);
    *sum = next;
    return publish(store, &place, slot, record, change.flags,
                   (uint32_t)kv_record_bytes(change.flags, key_len, 0),
                   kv_shard_next_version(place.shard), key_len);
}

/* make_room(), unless the counter is there already and needs none, or
 * nothing can be added to what is there. */
static KV_NOINLINE kv_result_t make_room_to_add(kv_store_t *store,
                                                uint64_t hash,
                                                const void *key,
                                                size_t key_len,
                                                uint64_t bytes, int64_t delta)
{
    kv_shard_t *shard = shard_of(store, hash);
    kv_place_t place;

    kv_place_find(store, hash, key, key_len, &place);
    if (place.slot != NULL && !place.expired) {
        int64_t sum;
        if (place.shape.flags & KV_FLAG_COUNTER) {
            return KV_OK;
        }
        kv_result_t result = add_to_text(&place, delta, &sum);
        if (result != KV_OK) {
            kv_unlock(&shard->lock);
            return result;
        }
    }
    return make_room(store, shard, bytes);
}

KV_FLATTEN kv_result_t kv_counter_add(kv_store_t *store, const void *key,
                                      size_t key_len, int64_t delta,
                                      int64_t *sum)
{
    kv_result_t result = check_key(store, key_len);
    if (result != KV_OK) {
        return result;
    }
    const kv_memo_t *memo = kv_memo_of(store, key, key_len);
    uint64_t hash = hash_of(store, key, key_len, memo);
    kv_shard_t *shard = shard_of(store, hash);
    uint64_t bytes =
        kv_record_bytes(KV_FLAG_COUNTER | KV_FLAG_DEADLINE, key_len, 0);
    result = kv_shard_lock(store, shard);
    if (result != KV_OK) {
        return result;
    }
    if (!kv_segment_has_room(store, shard, KV_QUEUE_SMALL, bytes)) {
        result = make_room_to_add(store, hash, key, key_len, bytes, delta);
    }
    if (result == KV_OK) {
        result = add_locked(store, hash, key, key_len, memo, delta,
                            sum);
        kv_unlock(&shard->lock);
    }
    return result;
}

/* A record that has no place for a deadline: copy it into one that has.  The
 * record keeps its version.  There is room. */
static kv_result_t copy_with_deadline(kv_store_t *store, kv_place_t *place,
                                      const void *key, int64_t deadline_ms)
{
    const kv_shape_t *shape = &place->shape;
    const unsigned char *old = place->record;
    uint32_t flags = shape->flags | KV_FLAG_DEADLINE;
    uint32_t words = shape->head_bytes - 16;

    unsigned char *record =
        kv_record_append(store, place->shard, KV_QUEUE_SMALL, flags,
                         shape->key_len, shape->stored_bytes);
    st_rlx(kv_record_deadline(record), (uint64_t)deadline_ms);
    kv_copy(record + 24, old + 16, words);
    kv_copy(record + 24 + words, key, shape->key_len);
    kv_copy(record + 24 + words + shape->key_len,
            old + shape->head_bytes + shape->key_len, shape->stored_bytes);
    return publish(store, place, place->slot, record, flags,
                   (uint32_t)kv_record_bytes(flags, shape->key_len,
                                             shape->stored_bytes),
                   shape->version, shape->key_len);
}

kv_result_t kv_deadline_set(kv_store_t *store, const void *key, size_t key_len,
                            int64_t ttl_ms)
{
    kv_place_t place;
    kv_result_t result = check_key(store, key_len);

    if (result != KV_OK) {
        return result == KV_TOO_LARGE ? KV_MISSING : result;
    }
    int64_t deadline_ms =
        ttl_ms > 0 ? kv_deadline_after(kv_now_ms(), ttl_ms) : 0;
    uint64_t hash = kv_hash(store, key, key_len);
    kv_shard_t *shard = shard_of(store, hash);
    result = kv_shard_lock(store, shard);
    if (result != KV_OK) {
        return result;
    }
    for (;;) {
        kv_place_find(store, hash, key, key_len, &place);
        const kv_shape_t *shape = &place.shape;
        if (place.slot == NULL || place.expired) {
            result = KV_MISSING;
            break;
        }
        if (shape->flags & KV_FLAG_DEADLINE) {
            _Atomic uint64_t *word = kv_record_deadline(place.record);
            kv_segment_move_deadline(store, place.record, shape->total_bytes,
                                     (int64_t)ld_rlx(word), deadline_ms);
            st_rel(word, (uint64_t)deadline_ms);
            break;
        }
        if (deadline_ms == 0) {
            break;
        }
        uint64_t bytes = kv_record_bytes(shape->flags | KV_FLAG_DEADLINE,
                                         shape->key_len, shape->stored_bytes);
        if (kv_segment_has_room(store, shard, KV_QUEUE_SMALL, bytes)) {
            result = copy_with_deadline(store, &place, key, deadline_ms);
            break;
        }
        result = make_room(store, shard, bytes);
        if (result != KV_OK) {
            return result;
        }
    }
    kv_unlock(&shard->lock);
    return result;
}
