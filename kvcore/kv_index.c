/* kv_index.c - the writer's side of the index; see kv_index.h. */

#include "kv_index.h"

#include "kv_clock.h"
#include "kv_large.h"
#include "kv_wait.h"

void kv_place_find(kv_store_t *store, uint64_t hash, const void *key,
                   size_t key_len, kv_place_t *place)
{
    uint32_t number = kv_hash_shard(store, hash);
    kv_bucket_t *buckets = kv_shard_buckets(store, number);
    kv_bucket_t *bucket = kv_hash_home(store, hash);

    place->shard = &store->shards[number];
    place->home = bucket;
    place->tag = kv_hash_tag(hash);
    place->slot = NULL;
    place->slot_value = 0;
    place->record = NULL;
    place->expired = false;
    place->ghost = NULL;
    for (uint32_t depth = 0; bucket != NULL && depth < KV_CHAIN_MAX;
         depth++) {
        for (uint32_t bits = kv_bucket_match(bucket, place->tag); bits != 0;
             bits &= bits - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(bits);
            uint64_t slot = ld_rlx(&bucket->slot[i]);
            uint64_t room;
            if (!kv_slot_live(slot)) {
                place->ghost = slot == 0 ? place->ghost : &bucket->slot[i];
                continue;
            }
            unsigned char *record = kv_slot_record(store, slot, &room);
            if (record == NULL ||
                !kv_record_shape(record, room, &place->shape) ||
                place->shape.key_len != key_len ||
                !kv_same(key, record + place->shape.head_bytes, key_len)) {
                continue;
            }
            int64_t deadline =
                kv_record_deadline_ms(record, place->shape.flags);
            place->slot = &bucket->slot[i];
            place->slot_value = slot;
            place->record = record;
            place->expired = deadline != 0 && deadline <= kv_now_ms();
            return;
        }
        bucket = kv_bucket_next(store, buckets, ld_rlx(&bucket->tail));
    }
}

uint32_t kv_overflow_claim(kv_store_t *store, kv_shard_t *shard)
{
    uint32_t words = store->geometry.overflow_map_words;
    _Atomic uint64_t *map = store->overflow_maps +
        (uint64_t)kv_shard_number(store, shard) * words;
    uint32_t start = ld_rlx(&shard->overflow_hint);

    for (uint32_t i = 0; i < words; i++) {
        uint32_t at = (start + i) % words;
        uint64_t taken = ld_rlx(&map[at]);
        if (taken == UINT64_MAX) {
            continue;
        }
        uint32_t bit = (uint32_t)__builtin_ctzll(~taken);
        uint32_t number = at * 64 + bit;
        if (number >= store->overflow) {
            continue;
        }
        st_rlx(&map[at], taken | UINT64_C(1) << bit);
        st_rlx(&shard->overflow_hint, at);
        st_rlx(&shard->overflow_used, ld_rlx(&shard->overflow_used) + 1);
        return number + 1;
    }
    return 0;
}

static void overflow_return(kv_store_t *store, kv_shard_t *shard,
                            uint32_t number)
{
    _Atomic uint64_t *word = store->overflow_maps +
        (uint64_t)kv_shard_number(store, shard) *
        store->geometry.overflow_map_words + number / 64;

    st_rlx(word, ld_rlx(word) & ~(UINT64_C(1) << (number % 64)));
    st_rlx(&shard->overflow_used, ld_rlx(&shard->overflow_used) - 1);
}

_Atomic uint64_t *kv_chain_free_slot(kv_store_t *store, kv_shard_t *shard,
                                     kv_bucket_t *home)
{
    kv_bucket_t *buckets =
        kv_shard_buckets(store, kv_shard_number(store, shard));
    kv_bucket_t *bucket = home;
    _Atomic uint64_t *oldest = NULL;
    uint64_t oldest_age = UINT64_MAX;

    for (uint32_t depth = 0; depth < KV_CHAIN_MAX; depth++) {
        for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
            uint64_t slot = ld_rlx(&bucket->slot[i]);
            if (slot == 0) {
                return &bucket->slot[i];
            }
            if ((slot & KV_GHOST) && (slot & KV_GHOST_AGE_MASK) < oldest_age) {
                oldest = &bucket->slot[i];
                oldest_age = slot & KV_GHOST_AGE_MASK;
            }
        }
        uint64_t tail = ld_rlx(&bucket->tail);
        kv_bucket_t *next = kv_bucket_next(store, buckets, tail);
        if (next == NULL && oldest != NULL) {
            return oldest;
        }
        if (next == NULL) {
            if (depth + 1 == KV_CHAIN_MAX) {
                return NULL;
            }
            uint32_t link = kv_overflow_claim(store, shard);
            if (link == 0) {
                return NULL;
            }
            next = buckets + store->buckets + (link - 1);
            st_rel(&next->tail, 0);
            st_rel(&bucket->tail, (tail & ~UINT64_C(0xffff)) | link);
        }
        bucket = next;
    }
    return NULL;
}

void kv_chain_trim(kv_store_t *store, kv_shard_t *shard, kv_bucket_t *home)
{
    kv_bucket_t *buckets =
        kv_shard_buckets(store, kv_shard_number(store, shard));

    for (;;) {
        kv_bucket_t *before = NULL;
        kv_bucket_t *last = home;
        kv_bucket_t *next;
        uint32_t depth = 0;
        while ((next = kv_bucket_next(store, buckets,
                                      ld_rlx(&last->tail))) != NULL &&
               depth++ < KV_CHAIN_MAX) {
            before = last;
            last = next;
        }
        if (before == NULL) {
            return;
        }
        for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
            if (kv_slot_live(ld_rlx(&last->slot[i]))) {
                return;
            }
        }
        for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
            st_rlx(&last->slot[i], 0);
        }
        uint64_t tail = ld_rlx(&before->tail);
        st_rel(&before->tail, tail & ~UINT64_C(0xffff));
        overflow_return(store, shard,
                        (uint32_t)(last - buckets - store->buckets));
    }
}

void kv_slot_clear(kv_store_t *store, kv_shard_t *shard, kv_bucket_t *home,
                   _Atomic uint64_t *slot, void *record,
                   const kv_shape_t *shape, uint64_t leave)
{
    uint64_t version = kv_shard_next_version(shard);
    kv_large_t large;

    st_rel(&home->tail,
           version << 16 | (ld_rlx(&home->tail) & 0xffff));
    if (shape->flags & KV_FLAG_LARGE) {
        kv_record_large(record, shape, &large);
    }
    st_rel(slot, leave);

    st_rlx(&shard->entries, ld_rlx(&shard->entries) - 1);
    kv_segment_remove_live(store, shard, record, shape->flags,
                           shape->total_bytes);
    if (shape->flags & KV_FLAG_LARGE) {
        kv_large_free(store, shard, &large);
    }
    if (ld_rlx(&home->tail) & 0xffff) {
        kv_chain_trim(store, shard, home);
    }
    kv_wake(store, shard, home);
}

_Atomic uint64_t *kv_chain_slot_of(kv_store_t *store, uint64_t hash,
                                   uint64_t offset_bytes)
{
    kv_bucket_t *buckets =
        kv_shard_buckets(store, kv_hash_shard(store, hash));
    kv_bucket_t *bucket = kv_hash_home(store, hash);

    for (uint32_t depth = 0; bucket != NULL && depth < KV_CHAIN_MAX;
         depth++) {
        for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
            if ((ld_rlx(&bucket->slot[i]) & KV_OFFSET_MASK) ==
                offset_bytes >> 3) {
                return &bucket->slot[i];
            }
        }
        bucket = kv_bucket_next(store, buckets, ld_rlx(&bucket->tail));
    }
    return NULL;
}
