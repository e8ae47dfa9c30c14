/* kv_evict.h - making room: expiry, compaction and eviction are one thing.
 *
 * Each of them empties a segment: it walks the segment's records and either
 * clears a live record's slot, or copies the record forward into an open
 * segment and stores the new offset into the slot.  Then the segment holds
 * nothing live and goes back to the pool.
 */

#ifndef KV_EVICT_H
#define KV_EVICT_H

#include "kv_derive.h"
#include "kv_lock.h"

/** Was the key of this ghost evicted so recently that a store not much larger
 * would still have it? */
static inline bool kv_ghost_fresh(const kv_shard_t *shard, uint64_t ghost)
{
    uint64_t age = (ld_rlx(&shard->evicted) - ghost) & KV_GHOST_AGE_MASK;
    return age <= ld_rlx(&shard->entries);
}

/**
 * See that the queue's open segment has room for a record of `bytes`.  The
 * caller holds the shard's lock and has found nothing yet: slots may change,
 * and the lock may be let go and taken again meanwhile.
 *
 * @return KV_OK       there is room, the lock is held
 *         KV_NO_ROOM  the policy allows no eviction; the lock is held
 *         KV_BUSY     the lock could not be had again, or nothing was found
 *                     but in shards whose locks could not be had; the
 *                     lock is NOT held
 * Another shard that is stuck delays this by some ms; by the wait limit only
 * where nobody else has anything to give.
 */
kv_result_t kv_evict_for_record(kv_store_t *store, kv_shard_t *shard,
                                kv_queue_t queue, uint64_t bytes);

/**
 * Take a segment for a chunk of a large value.  The caller holds the build
 * lock and no other.
 * @return KV_OK, KV_NO_ROOM, KV_BUSY
 */
kv_result_t kv_evict_for_chunk(kv_store_t *store, uint32_t *segment);

/**
 * Evict one key of a chain that is full, by the policy.
 * @return its slot, now free, or NULL: the policy allows none
 */
_Atomic uint64_t *kv_evict_from_chain(kv_store_t *store, kv_shard_t *shard,
                                      kv_bucket_t *home);

/** Give back every log segment of the shard without a live record. */
void kv_evict_idle(kv_store_t *store, kv_shard_t *shard);

/** kv_lock() of a shard: after a takeover its counters are derived anew. */
static KV_INLINE kv_result_t kv_shard_lock(kv_store_t *store,
                                           kv_shard_t *shard)
{
    bool stolen;
    kv_result_t result = kv_lock(store, &shard->lock, &stolen);
    if (UNLIKELY(stolen)) {
        kv_shard_derive(store, shard);
    }
    return result;
}

/** The same with a wait limit of the caller's; see kv_lock_within(). */
static inline kv_result_t kv_shard_lock_within(kv_store_t *store,
                                               kv_shard_t *shard,
                                               int64_t limit_ms)
{
    bool stolen;
    kv_result_t result =
        kv_lock_within(store, &shard->lock, limit_ms, &stolen);
    if (stolen) {
        kv_shard_derive(store, shard);
    }
    return result;
}

#endif
