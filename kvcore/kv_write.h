/* kv_write.h - what the changes of one key share; private to kv_write.c and
 * kv_change.c.  See kv_write.c for the order of things. */

#ifndef KV_WRITE_H
#define KV_WRITE_H

#include "kv_evict.h"
#include "kv_grow.h"
#include "kv_large.h"
#include "kv_lock.h"
#include "kv_memo.h"
#include "kv_wait.h"

/* The key's hash, noted or computed; the note, or NULL. */
static KV_INLINE uint64_t kv_write_hash(kv_store_t *store, const void *key,
                                        size_t key_len, const kv_memo_t **memo)
{
    uint64_t hash;

    *memo = kv_memo_of(store, key, key_len, &hash);
    return *memo != NULL ? hash : kv_hash(store, key, key_len);
}

/* kv_place_find() where the key was met, or else in line; and note that. */
static KV_INLINE void kv_write_find(kv_store_t *store, uint64_t hash,
                                    const void *key, size_t key_len,
                                    const kv_memo_t *memo, int64_t now_ms,
                                    kv_place_t *place)
{
    uint64_t extent = ld_rlx(kv_hash_extent(store, hash));

    if (memo != NULL && memo->extent == extent &&
        LIKELY(kv_place_look(store, memo->slot, key, key_len, now_ms, place))) {
        place->shard = &store->shards[kv_hash_shard(store, hash)];
        place->home = memo->home;
        place->tag = kv_hash_tag(hash);
        place->ghost = NULL;
        return;
    }
    kv_place_find_quick(store, hash, key, key_len, now_ms, place);
    if (place->slot != NULL) {
        kv_memo_note(store, hash, key, key_len, place->slot, place->home,
                     extent);
    }
}

static inline kv_shard_t *kv_write_shard(kv_store_t *store, uint64_t hash)
{
    return &store->shards[kv_hash_shard(store, hash)];
}

static KV_INLINE kv_result_t kv_write_check_key(const kv_store_t *store,
                                                size_t key_len)
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

/* Steps 3 and 4 for a record in place; its stamp is stored here too. */
static KV_INLINE kv_result_t kv_write_publish(
    kv_store_t *store, kv_place_t *place, _Atomic uint64_t *slot, void *record,
    uint32_t flags, uint32_t total_bytes, uint64_t version, size_t key_len)
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
        kv_segment_remove_live(store, shard, place->record, place->shape.flags,
                               place->shape.total_bytes);
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

/** Let the index grow, then find the key's new place; was there more? */
bool kv_write_grow(kv_store_t *store, uint64_t hash, const void *key,
                   size_t key_len, kv_place_t *place);

/** A slot where the chain is full: grow, evict, or NULL. */
_Atomic uint64_t *kv_write_slot_in_full_chain(kv_store_t *store, uint64_t hash,
                                              const void *key, size_t key_len,
                                              kv_place_t *place);

/* The key's slot, or a free one. */
static KV_INLINE _Atomic uint64_t *kv_write_slot(kv_store_t *store,
                                                 uint64_t hash, const void *key,
                                                 size_t key_len,
                                                 kv_place_t *place)
{
    if (place->slot != NULL) {
        return place->slot;
    }
    if (UNLIKELY(kv_grow_wanted(store, place->shard))) {
        kv_write_grow(store, hash, key, key_len, place);
    }
    if (place->ghost != NULL) {
        return place->ghost;
    }
    _Atomic uint64_t *slot =
        kv_chain_free_slot(store, place->shard, place->home);
    return LIKELY(slot != NULL)
               ? slot
               : kv_write_slot_in_full_chain(store, hash, key, key_len, place);
}

/** Make room under the shard's lock, which is let go unless KV_OK. */
kv_result_t kv_write_make_room(kv_store_t *store, kv_shard_t *shard,
                               uint64_t bytes);

typedef struct kv_change {
    uint32_t flags;
    int64_t now_ms;      /* if the time is known; else 0 */
    int64_t deadline_ms; /* if DEADLINE */
    uint64_t raw_bytes;  /* if RAW */
    const void *stored;
    size_t stored_bytes;     /* in the record */
    const kv_build_t *build; /* if LARGE */
} kv_change_t;

/* The queue for the key's new record: the one it is in, and the main one for
 * a key that was evicted not long ago and is wanted again. */
static KV_INLINE kv_queue_t kv_write_queue(kv_store_t *store,
                                           const kv_place_t *place,
                                           uint64_t bytes)
{
    kv_shard_t *shard = place->shard;
    bool main_queue;

    if (place->slot != NULL) {
        uint64_t word =
            ld_rlx(&store->words[kv_segment_of(store, place->record)]);
        main_queue = kv_word_state(word) == KV_STATE_MAIN;
    } else {
        main_queue =
            place->ghost != NULL && kv_ghost_fresh(shard, ld_rlx(place->ghost));
    }
    return main_queue &&
                   (kv_segment_has_room(store, shard, KV_QUEUE_MAIN, bytes) ||
                    kv_segment_open(store, shard, KV_QUEUE_MAIN, false))
               ? KV_QUEUE_MAIN
               : KV_QUEUE_SMALL;
}

/* Append and fill a record.  There is room in the small queue. */
static KV_INLINE unsigned char *kv_write_record(kv_store_t *store,
                                                const kv_place_t *place,
                                                const void *key, size_t key_len,
                                                const kv_change_t *change)
{
    kv_queue_t queue = kv_write_queue(
        store, place,
        kv_record_bytes(change->flags, key_len, change->stored_bytes));
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

/** kv_value_set(); with `version` not 0 only if the key has that version,
 * else KV_DIFFERENT. */
kv_result_t kv_write_version(kv_store_t *store, const void *key, size_t key_len,
                             const void *value, size_t value_len,
                             int64_t ttl_ms, kv_set_when_t when,
                             uint64_t version);

#endif
