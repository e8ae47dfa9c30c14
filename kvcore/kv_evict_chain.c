/* kv_evict_chain.c - a slot in a chain of buckets that is full.
 *
 * Not memory is missing then, but a place in the index: one key of the very
 * chain goes, an expired one or, if the policy allows it, the least used.
 */

#include "kv_evict.h"

#include "kv_clock.h"

_Atomic uint64_t *kv_evict_from_chain(kv_store_t *store, kv_shard_t *shard,
                                      kv_bucket_t *home)
{
    kv_bucket_t *buckets =
        kv_shard_buckets(store, kv_shard_number(store, shard));
    kv_bucket_t *bucket = home;
    _Atomic uint64_t *victim = NULL;
    void *victim_record = NULL;
    kv_shape_t victim_shape;
    uint64_t victim_rank = UINT64_MAX;
    int64_t now_ms = kv_now_ms();

    for (uint32_t depth = 0; bucket != NULL && depth < KV_CHAIN_MAX;
         depth++) {
        for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
            uint64_t slot = ld_rlx(&bucket->slot[i]);
            uint64_t room;
            kv_shape_t shape;
            unsigned char *record =
                slot == 0 ? NULL : kv_slot_record(store, slot, &room);
            if (record == NULL || !kv_record_shape(record, room, &shape)) {
                continue;
            }
            int64_t deadline_ms = kv_record_deadline_ms(record, shape.flags);
            bool expired = deadline_ms != 0 && deadline_ms <= now_ms;
            if (!expired &&
                (store->config.eviction == KV_NOEVICTION ||
                 (store->config.eviction == KV_VOLATILE_LRU &&
                  deadline_ms == 0))) {
                continue;
            }
            /* Expired, else least used, else longest unchanged. */
            uint64_t rank = expired ? 0
                            : 1 + (slot & KV_FREQUENCY_MASK) * 256 +
                                  shape.version;
            if (rank < victim_rank) {
                victim_rank = rank;
                victim = &bucket->slot[i];
                victim_record = record;
                victim_shape = shape;
            }
        }
        bucket = kv_bucket_next(store, buckets, ld_rlx(&bucket->tail));
    }
    if (victim == NULL) {
        return NULL;
    }
    kv_slot_clear(store, shard, home, victim, victim_record, &victim_shape, 0);
    kv_count(store, victim_rank == 0 ? KV_COUNT_EXPIRATIONS
                                     : KV_COUNT_EVICTIONS, 1);
    return victim;
}
