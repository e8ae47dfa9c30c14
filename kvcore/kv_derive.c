/* kv_derive.c - see kv_derive.h. */

#include "kv_derive.h"

#include "kv_large.h"

/* The owner died between storing a counter and stamping its record with the
 * version: stamp it, or somebody waiting for the key sleeps on. */
static void stamp_noted(kv_store_t *store, kv_shard_t *shard)
{
    uint64_t noted = ld_rlx(&shard->noted);
    uint64_t room;

    if (noted != 0) {
        unsigned char *record = kv_slot_record(store, noted >> 3, &room);
        kv_shape_t shape;
        if (record != NULL && kv_record_shape(record, room, &shape) &&
            (shape.flags & KV_FLAG_COUNTER)) {
            st_rel(kv_record_word(record, 0),
                   kv_shard_next_version(shard) << 16 | shape.key_len);
        }
        st_rel(&shard->noted, 0);
    }
}

static bool owned(kv_store_t *store, kv_shard_t *shard, uint32_t segment)
{
    uint64_t word = ld_rlx(&store->words[segment]);
    kv_state_t state = kv_word_state(word);
    return (state == KV_STATE_SMALL || state == KV_STATE_MAIN ||
            state == KV_STATE_LARGE) &&
           kv_word_owner(word) == kv_shard_number(store, shard);
}

/* Chunks that a live record leads to are marked by their (unused) write
 * offset: the segment's size instead of its head's. */
static void mark_chunks(kv_store_t *store, void *record,
                        const kv_shape_t *shape)
{
    kv_large_t large;
    kv_record_large(record, shape, &large);
    uint64_t generation = large.generation;
    uint32_t segment = (uint32_t)large.first;

    if (large.first >= store->segments) {
        return;
    }
    for (uint32_t steps = 0; steps < store->segments; steps++) {
        uint64_t word = ld_rlx(&store->words[segment]);
        if (kv_word_generation(word) != generation ||
            kv_word_state(word) != KV_STATE_LARGE) {
            return;
        }
        st_rlx(&store->segment[segment].write_off,
               store->geometry.segment_bytes);
        if (!kv_large_next(store, &segment, &generation)) {
            return;
        }
    }
}

/* A slot that was copied to where its bucket was split to (kv_grow.h). */
static bool moved_away(const kv_store_t *store, uint64_t home, uint64_t extent,
                       uint64_t slot)
{
    return kv_tag_bucket(store, home % store->block_buckets,
                         slot >> KV_TAG_SHIFT, extent) != home;
}

static void derive_bucket(kv_store_t *store, kv_shard_t *shard,
                          uint64_t home, uint64_t extent, kv_bucket_t *bucket)
{
    for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
        uint64_t slot = ld_rlx(&bucket->slot[i]);
        uint64_t room;
        kv_shape_t shape;
        if (slot != 0 && moved_away(store, home, extent, slot)) {
            st_rel(&bucket->slot[i], 0);
            continue;
        }
        if (!kv_slot_live(slot)) {
            continue;
        }
        unsigned char *record = kv_slot_record(store, slot, &room);
        if (record == NULL || !kv_record_shape(record, room, &shape)) {
            continue;
        }
        st_rlx(&shard->entries, ld_rlx(&shard->entries) + 1);
        kv_segment_add_live(store, shard, record, shape.flags,
                            shape.total_bytes);
        if (shape.flags & KV_FLAG_LARGE) {
            mark_chunks(store, record, &shape);
        }
    }
}

/* What a split that was cut short has left in overflow buckets. */
static void empty_free_overflow(kv_store_t *store, kv_bucket_t *buckets,
                                const _Atomic uint64_t *map)
{
    for (uint32_t i = 0; i < store->overflow; i++) {
        for (uint32_t j = 0; j < KV_BUCKET_SLOTS &&
                             !(ld_rlx(&map[i / 64]) >> (i % 64) & 1); j++) {
            st_rlx(&buckets[store->buckets + i].slot[j], 0);
        }
    }
}

void kv_shard_derive(kv_store_t *store, kv_shard_t *shard)
{
    uint32_t number = kv_shard_number(store, shard);
    kv_bucket_t *buckets = kv_shard_buckets(store, number);
    _Atomic uint64_t *map = store->overflow_maps +
        (uint64_t)number * store->geometry.overflow_map_words;
    uint64_t newest[KV_QUEUES] = { 0, 0 };
    uint64_t extent = ld_rlx(&store->extents[number]);
    uint64_t in_use = extent >> KV_EXTENT_MASK_BITS;

    stamp_noted(store, shard);

    st_rlx(&shard->entries, 0);
    st_rlx(&shard->live_bytes, 0);
    st_rlx(&shard->first, 0);
    st_rlx(&shard->large_count, 0);
    st_rlx(&shard->overflow_used, 0);
    for (int queue = 0; queue < KV_QUEUES; queue++) {
        st_rlx(&shard->open[queue], 0);
        st_rlx(&shard->count[queue], 0);
    }
    for (uint32_t i = 0; i < store->geometry.overflow_map_words; i++) {
        st_rlx(&map[i], 0);
    }
    for (uint32_t i = 0; i < store->segments; i++) {
        if (!owned(store, shard, i)) {
            continue;
        }
        kv_segment_t *books = &store->segment[i];
        st_rlx(&books->live_bytes, 0);
        st_rlx(&books->permanent_bytes, 0);
        st_rlx(&books->min_deadline_ms, INT64_MAX);
        if (kv_word_state(ld_rlx(&store->words[i])) == KV_STATE_LARGE) {
            st_rlx(&books->write_off, KV_SEGMENT_HEAD_BYTES);
        }
    }

    for (uint64_t i = 0; i < in_use && i < store->buckets; i++) {
        kv_bucket_t *bucket = &buckets[i];
        for (uint32_t depth = 0; bucket != NULL && depth < KV_CHAIN_MAX;
             depth++) {
            derive_bucket(store, shard, i, extent, bucket);
            bucket = kv_bucket_next(store, buckets, ld_rlx(&bucket->tail));
            if (bucket != NULL) {
                uint32_t at = (uint32_t)(bucket - buckets) - store->buckets;
                st_rlx(&map[at / 64],
                       ld_rlx(&map[at / 64]) | UINT64_C(1) << (at % 64));
                st_rlx(&shard->overflow_used,
                       ld_rlx(&shard->overflow_used) + 1);
            }
        }
    }

    empty_free_overflow(store, buckets, map);

    for (uint32_t i = 0; i < store->segments; i++) {
        if (!owned(store, shard, i)) {
            continue;
        }
        kv_segment_t *books = &store->segment[i];
        kv_state_t state = kv_word_state(ld_rlx(&store->words[i]));
        if (state == KV_STATE_LARGE) {
            bool marked = ld_rlx(&books->write_off) !=
                          KV_SEGMENT_HEAD_BYTES;
            st_rlx(&books->write_off, KV_SEGMENT_HEAD_BYTES);
            if (!marked) {
                kv_pool_return(store, i);
                continue;
            }
        } else {
            int queue = state == KV_STATE_MAIN ? KV_QUEUE_MAIN
                                               : KV_QUEUE_SMALL;
            uint64_t sequence = ld_rlx(&books->sequence);
            if (sequence > newest[queue] ||
                ld_rlx(&shard->open[queue]) == 0) {
                newest[queue] = sequence;
                st_rlx(&shard->open[queue], i + 1);
            }
            if (sequence > ld_rlx(&shard->sequence)) {
                st_rlx(&shard->sequence, sequence);
            }
        }
        kv_segment_link(store, shard, i);
    }
    kv_pool_repair(store);
}
