/* kv_segment.c - see kv_segment.h. */

#include "kv_segment.h"

uint32_t kv_pool_count(const kv_store_t *store)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < store->geometry.free_map_words; i++) {
        count += (uint32_t)__builtin_popcountll(ld_rlx(&store->free_map[i]));
    }
    return count;
}

static void free_map_set(kv_store_t *store, uint32_t segment)
{
    atomic_fetch_or_explicit(&store->free_map[segment / 64],
                             UINT64_C(1) << (segment % 64),
                             memory_order_release);
}

/* Clear the bit of a segment that was claimed, or that was seen not to be
 * free: in the second case its owner may have freed it just now, so look
 * again afterwards. */
static void free_map_clear(kv_store_t *store, uint32_t segment)
{
    atomic_fetch_and_explicit(&store->free_map[segment / 64],
                              ~(UINT64_C(1) << (segment % 64)),
                              memory_order_seq_cst);
    if (kv_word_state(atomic_load(&store->words[segment])) == KV_STATE_FREE) {
        free_map_set(store, segment);
    }
}

uint32_t kv_pool_claim(kv_store_t *store, kv_state_t state, uint32_t owner,
                       bool reserve)
{
    uint32_t words = store->geometry.free_map_words;

    if (!reserve && kv_pool_count(store) <= store->geometry.reserve) {
        return KV_NO_SEGMENT;
    }
    for (uint32_t i = 0; i < words; i++) {
        uint64_t bits = ld_rlx(&store->free_map[i]);
        while (bits != 0) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits);
            uint32_t segment = i * 64 + bit;
            bits &= bits - 1;
            if (segment >= store->segments) {
                break;
            }
            uint64_t word = ld_acq(&store->words[segment]);
            if (kv_word_state(word) == KV_STATE_FREE &&
                atomic_compare_exchange_strong(
                    &store->words[segment], &word,
                    kv_word(state, owner, kv_word_generation(word)))) {
                free_map_clear(store, segment);
                return segment;
            }
            free_map_clear(store, segment);
        }
    }
    return KV_NO_SEGMENT;
}

void kv_pool_return(kv_store_t *store, uint32_t segment)
{
    uint64_t word = ld_rlx(&store->words[segment]);
    uint64_t next = kv_word(KV_STATE_FREE, 0, kv_word_generation(word) + 1);

    st_rlx(&store->segment[segment].live_bytes, 0);
    st_rlx(&store->segment[segment].permanent_bytes, 0);
    st_rel(&store->segment[segment].write_off, KV_SEGMENT_HEAD_BYTES);
    atomic_store(&store->words[segment], next);
    free_map_set(store, segment);
}

void kv_pool_repair(kv_store_t *store)
{
    for (uint32_t i = 0; i < store->segments; i++) {
        if (kv_word_state(ld_acq(&store->words[i])) == KV_STATE_FREE &&
            !(ld_rlx(&store->free_map[i / 64]) >> (i % 64) & 1)) {
            free_map_set(store, i);
        }
    }
}

void kv_segment_link(kv_store_t *store, kv_shard_t *shard, uint32_t segment)
{
    kv_state_t state = kv_word_state(ld_rlx(&store->words[segment]));

    st_rlx(&store->segment[segment].next, ld_rlx(&shard->first));
    st_rlx(&shard->first, segment + 1);
    if (state == KV_STATE_LARGE) {
        st_rlx(&shard->large_count, ld_rlx(&shard->large_count) + 1);
    } else {
        int queue = state == KV_STATE_MAIN ? KV_QUEUE_MAIN : KV_QUEUE_SMALL;
        st_rlx(&shard->count[queue], ld_rlx(&shard->count[queue]) + 1);
    }
}

void kv_segment_unlink(kv_store_t *store, kv_shard_t *shard, uint32_t segment)
{
    _Atomic uint32_t *link = &shard->first;
    kv_state_t state = kv_word_state(ld_rlx(&store->words[segment]));

    for (uint32_t steps = 0; steps < store->segments; steps++) {
        uint32_t at = ld_rlx(link);
        if (at == 0 || at > store->segments) {
            return;
        }
        if (at == segment + 1) {
            st_rlx(link, ld_rlx(&store->segment[segment].next));
            break;
        }
        link = &store->segment[at - 1].next;
    }
    if (state == KV_STATE_LARGE) {
        st_rlx(&shard->large_count, ld_rlx(&shard->large_count) - 1);
        return;
    }
    int queue = state == KV_STATE_MAIN ? KV_QUEUE_MAIN : KV_QUEUE_SMALL;
    st_rlx(&shard->count[queue], ld_rlx(&shard->count[queue]) - 1);
    if (ld_rlx(&shard->open[queue]) == segment + 1) {
        st_rlx(&shard->open[queue], 0);
    }
}

bool kv_segment_open(kv_store_t *store, kv_shard_t *shard, kv_queue_t queue,
                     bool reserve)
{
    uint32_t segment = kv_pool_claim(store, kv_queue_state(queue),
                                     kv_shard_number(store, shard), reserve);
    if (segment == KV_NO_SEGMENT) {
        return false;
    }
    kv_segment_t *books = &store->segment[segment];
    uint64_t sequence = ld_rlx(&shard->sequence) + 1;
    st_rlx(&shard->sequence, sequence);
    st_rlx(&books->sequence, sequence);
    st_rlx(&books->write_off, KV_SEGMENT_HEAD_BYTES);
    st_rlx(&books->min_deadline_ms, INT64_MAX);
    kv_segment_link(store, shard, segment);
    st_rlx(&shard->open[queue], segment + 1);
    /* A reader that sees a byte of the refill sees the new generation. */
    kv_fence_release();
    return true;
}

void kv_segment_move_deadline(kv_store_t *store, void *record,
                              uint32_t total_bytes, int64_t from_ms,
                              int64_t to_ms)
{
    kv_segment_t *books = &store->segment[kv_segment_of(store, record)];
    uint32_t permanent = ld_rlx(&books->permanent_bytes);

    if (from_ms == 0 && to_ms != 0) {
        st_rlx(&books->permanent_bytes, permanent - total_bytes);
    } else if (from_ms != 0 && to_ms == 0) {
        st_rlx(&books->permanent_bytes, permanent + total_bytes);
    }
    if (to_ms != 0 && to_ms < ld_rlx(&books->min_deadline_ms)) {
        st_rlx(&books->min_deadline_ms, to_ms);
    }
}
