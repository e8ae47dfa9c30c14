/* kv_large.c - see kv_large.h. */

#include "kv_large.h"

#include "kv_evict.h"
#include "kv_lock.h"

void kv_record_large(void *record, const kv_shape_t *shape, kv_large_t *large)
{
    uint32_t at = shape->head_bytes - 24;
    large->total_bytes = ld_rlx(kv_record_word(record, at));
    large->first = ld_rlx(kv_record_word(record, at + 8));
    large->generation = ld_rlx(kv_record_word(record, at + 16));
}

uint64_t kv_large_max_bytes(const kv_store_t *store)
{
    /* A quarter of the segments: the shards have to be left with room for
     * records. */
    uint64_t chunks = store->segments / 4;
    uint64_t max = (chunks ? chunks : 1) * kv_segment_chunk_bytes(store);
    return max > UINT32_MAX ? UINT32_MAX : max;
}

static _Atomic uint64_t *chunk_word(const kv_store_t *store, uint32_t segment,
                                    uint32_t at)
{
    return (_Atomic uint64_t *)(void *)(kv_segment_start(store, segment) + at);
}

bool kv_large_next(const kv_store_t *store, uint32_t *segment,
                   uint64_t *generation)
{
    uint64_t next = ld_rlx(chunk_word(store, *segment, 0));
    uint64_t next_generation = ld_rlx(chunk_word(store, *segment, 8));
    if (next == 0 || next > store->segments) {
        return false;
    }
    *segment = (uint32_t)next - 1;
    *generation = next_generation;
    return true;
}

static void free_chain(kv_store_t *store, kv_shard_t *shard, kv_state_t state,
                       const kv_large_t *large)
{
    uint32_t segment = (uint32_t)large->first;
    uint64_t generation = large->generation;

    if (large->first >= store->segments) {
        return;
    }
    for (uint32_t steps = 0; steps < store->segments; steps++) {
        uint64_t word = ld_rlx(&store->words[segment]);
        uint32_t next = segment;
        if (kv_word_generation(word) != generation ||
            kv_word_state(word) != state) {
            return;
        }
        bool more = kv_large_next(store, &next, &generation);
        if (shard != NULL) {
            kv_segment_unlink(store, shard, segment);
        }
        kv_pool_return(store, segment);
        if (!more) {
            return;
        }
        segment = next;
    }
}

void kv_large_free(kv_store_t *store, kv_shard_t *shard,
                   const kv_large_t *large)
{
    free_chain(store, shard, KV_STATE_LARGE, large);
}

/* Segments that a dead builder left behind. */
static void free_dead_builds(kv_store_t *store)
{
    for (uint32_t i = 0; i < store->segments; i++) {
        if (kv_word_state(ld_rlx(&store->words[i])) == KV_STATE_BUILDING) {
            kv_pool_return(store, i);
        }
    }
    kv_pool_repair(store);
}

void kv_large_reap(kv_store_t *store)
{
    if (kv_lock_steal(store, &store->header->build_lock)) {
        free_dead_builds(store);
        kv_unlock(&store->header->build_lock);
    }
}

kv_result_t kv_large_build(kv_store_t *store, const void *value,
                           uint64_t value_bytes, size_t key_len,
                           uint32_t flags, kv_build_t *build)
{
    uint32_t chunk_bytes = kv_segment_chunk_bytes(store);
    uint64_t rest = value_bytes % chunk_bytes;
    uint64_t chunks = value_bytes / chunk_bytes;
    const unsigned char *from = value;
    bool stolen;

    if (rest != 0 && kv_record_bytes(flags, key_len, (size_t)rest) >
                         store->large_record_bytes) {
        chunks++;
        rest = 0;
    }
    build->rest_bytes = (uint32_t)rest;
    build->large.total_bytes = value_bytes;
    build->large.first = store->segments;
    build->large.generation = 0;
    build->chunks = 0;

    kv_result_t result = kv_lock(store, &store->header->build_lock, &stolen);
    if (result != KV_OK) {
        return result;
    }
    if (stolen) {
        free_dead_builds(store);
    }
    uint64_t left = value_bytes - rest;
    uint32_t last = KV_NO_SEGMENT;
    for (uint64_t i = 0; i < chunks; i++) {
        uint32_t segment;
        result = kv_evict_for_chunk(store, &segment);
        if (result != KV_OK) {
            kv_large_abandon(store, build);
            return result;
        }
        uint64_t generation =
            kv_word_generation(ld_rlx(&store->words[segment]));
        kv_fence_release();
        st_rlx(chunk_word(store, segment, 0), 0);
        st_rlx(chunk_word(store, segment, 8), 0);
        if (last == KV_NO_SEGMENT) {
            build->large.first = segment;
            build->large.generation = generation;
        } else {
            st_rlx(chunk_word(store, last, 8), generation);
            st_rlx(chunk_word(store, last, 0), (uint64_t)segment + 1);
        }
        build->chunks++;
        uint64_t bytes = left < chunk_bytes ? left : chunk_bytes;
        kv_copy(kv_segment_start(store, segment) + KV_SEGMENT_HEAD_BYTES,
                from, (size_t)bytes);
        from += bytes;
        left -= bytes;
        last = segment;
    }
    return KV_OK;
}

void kv_large_adopt(kv_store_t *store, kv_shard_t *shard,
                    const kv_build_t *build)
{
    uint32_t segment = (uint32_t)build->large.first;
    uint64_t generation = build->large.generation;

    for (uint32_t i = 0; i < build->chunks; i++) {
        st_rel(&store->words[segment],
               kv_word(KV_STATE_LARGE, kv_shard_number(store, shard),
                       generation));
        kv_segment_link(store, shard, segment);
        kv_large_next(store, &segment, &generation);
    }
}

void kv_large_done(kv_store_t *store)
{
    kv_unlock(&store->header->build_lock);
}

void kv_large_abandon(kv_store_t *store, const kv_build_t *build)
{
    free_chain(store, NULL, KV_STATE_BUILDING, &build->large);
    kv_unlock(&store->header->build_lock);
}

kv_result_t kv_large_read(kv_store_t *store, const kv_large_t *large,
                          uint64_t chain_bytes, unsigned char *to)
{
    uint32_t chunk_bytes = kv_segment_chunk_bytes(store);
    uint64_t segment_number = large->first;
    uint64_t generation = large->generation;

    while (chain_bytes > 0) {
        if (segment_number >= store->segments) {
            return KV_RETRY;
        }
        uint32_t segment = (uint32_t)segment_number;
        _Atomic uint64_t *word = &store->words[segment];
        if (kv_word_generation(ld_acq(word)) != generation) {
            return KV_RETRY;
        }
        uint32_t next = segment;
        uint64_t next_generation = 0;
        bool more = kv_large_next(store, &next, &next_generation);
        uint64_t bytes = chain_bytes < chunk_bytes ? chain_bytes : chunk_bytes;
        if (to != NULL) {
            kv_copy(to,
                    kv_segment_start(store, segment) + KV_SEGMENT_HEAD_BYTES,
                    (size_t)bytes);
            to += bytes;
        }
        kv_fence_acquire();
        if (kv_word_generation(ld_rlx(word)) != generation) {
            return KV_RETRY;
        }
        chain_bytes -= bytes;
        if (chain_bytes > 0 && !more) {
            return KV_RETRY;
        }
        segment_number = next;
        generation = next_generation;
    }
    return KV_OK;
}
