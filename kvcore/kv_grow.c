/* kv_grow.c - see kv_grow.h. */

#include "kv_grow.h"

/* Buckets split at a time. */
#define GROUP 8u

static bool next_split(const kv_store_t *store, uint64_t extent, uint64_t *from,
                       uint64_t *mask)
{
    uint64_t in_use = extent >> KV_EXTENT_MASK_BITS;

    *mask = extent & KV_EXTENT_MASK;
    uint64_t grown = (*mask + 1) * store->block_buckets;
    if (*mask > store->block_mask || ((*mask + 1) & *mask) != 0 ||
        in_use > grown || 2 * in_use < grown || in_use >= store->buckets) {
        return false; /* of full size, or scribbled over */
    }
    if (in_use == grown) {
        *mask = 2 * *mask + 1;
        *from = 0;
    } else {
        *from = in_use - grown / 2;
    }
    return true;
}

static uint32_t chain_links(const kv_store_t *store, kv_bucket_t *buckets,
                            const kv_bucket_t *home)
{
    uint32_t links = 0;

    while (links < KV_CHAIN_MAX &&
           (home = kv_bucket_next(store, buckets, ld_rlx(&home->tail))) !=
               NULL) {
        links++;
    }
    return links;
}

/* The next empty slot behind `*at` in a chain that is being filled.  There
 * are as many free overflow buckets as the old chain has. */
static _Atomic uint64_t *next_slot(kv_store_t *store, kv_shard_t *shard,
                                   kv_bucket_t *buckets, kv_bucket_t **bucket,
                                   uint32_t *at)
{
    if (*at == KV_BUCKET_SLOTS) {
        uint32_t link = kv_overflow_claim(store, shard);
        if (link == 0) {
            return NULL;
        }
        kv_bucket_t *next = buckets + store->buckets + (link - 1);
        st_rlx(&next->tail, 0);
        st_rel(&(*bucket)->tail, ld_rlx(&(*bucket)->tail) | link);
        *bucket = next;
        *at = 0;
    }
    return &(*bucket)->slot[(*at)++];
}

/* Steps 1 and 2 for one bucket.  false: the overflow map was wrong. */
static bool copy_moving(kv_store_t *store, kv_shard_t *shard,
                        kv_bucket_t *buckets, kv_bucket_t *old,
                        kv_bucket_t *fresh, uint64_t moves)
{
    kv_bucket_t *to = fresh;
    uint32_t at = 0;

    for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
        st_rlx(&fresh->slot[i], 0);
    }
    st_rlx(&fresh->tail, ld_rlx(&old->tail) & ~UINT64_C(0xffff));
    for (uint32_t depth = 0; old != NULL && depth < KV_CHAIN_MAX; depth++) {
        for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
            uint64_t slot = ld_rlx(&old->slot[i]);
            if (slot == 0 || (slot & moves) == 0) {
                continue;
            }
            /* No overflow bucket for ghosts. */
            if (at == KV_BUCKET_SLOTS && !kv_slot_live(slot)) {
                continue;
            }
            _Atomic uint64_t *slot_at =
                next_slot(store, shard, buckets, &to, &at);
            if (slot_at == NULL) {
                return false;
            }
            st_rel(slot_at, slot);
        }
        old = kv_bucket_next(store, buckets, ld_rlx(&old->tail));
    }
    return true;
}

/* Step 4 for one bucket. */
static void clear_moved(kv_store_t *store, kv_shard_t *shard,
                        kv_bucket_t *buckets, kv_bucket_t *home, uint64_t moves)
{
    kv_bucket_t *bucket = home;

    for (uint32_t depth = 0; bucket != NULL && depth < KV_CHAIN_MAX; depth++) {
        for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
            uint64_t slot = ld_rlx(&bucket->slot[i]);
            if (slot & moves) {
                st_rel(&bucket->slot[i], 0);
            }
        }
        bucket = kv_bucket_next(store, buckets, ld_rlx(&bucket->tail));
    }
    if (ld_rlx(&home->tail) & 0xffff) {
        kv_chain_trim(store, shard, home);
    }
}

bool kv_grow(kv_store_t *store, kv_shard_t *shard)
{
    uint32_t number = kv_shard_number(store, shard);
    kv_bucket_t *buckets = kv_shard_buckets(store, number);
    _Atomic uint64_t *extent_at = &store->extents[number];
    uint64_t extent = ld_rlx(extent_at);
    uint64_t in_use = extent >> KV_EXTENT_MASK_BITS;
    uint64_t from;
    uint64_t mask;

    if (!next_split(store, extent, &from, &mask)) {
        return false;
    }
    uint64_t blocks = (mask + 1) / 2;
    uint64_t moves = blocks << KV_TAG_SHIFT;
    uint32_t free = store->overflow - ld_rlx(&shard->overflow_used);
    uint64_t until = blocks * store->block_buckets;
    uint32_t count = 0;
    for (; count < GROUP && from + count < until; count++) {
        uint32_t links = chain_links(store, buckets, &buckets[from + count]);
        if (links > free) {
            break;
        }
        free -= links;
        if (!copy_moving(store, shard, buckets, &buckets[from + count],
                         &buckets[in_use + count], moves)) {
            break;
        }
    }
    if (count == 0) {
        return false;
    }
    st_rel(extent_at, kv_extent(in_use + count, mask));
    for (uint32_t i = 0; i < count; i++) {
        clear_moved(store, shard, buckets, &buckets[from + i], moves);
    }
    return true;
}
