/* kv_wait.h - waking those who wait for a key.
 *
 * Who waits says so under the shard's lock, for the next 200 ms, in the
 * shard and in one of its watches.  A writer holds the same lock: either it
 * had let go of it before, and then the waiter sees the change when it looks
 * once more after that, or it sees the waiter.  So neither needs a fence
 * beyond the lock's own, a writer that nobody waits for pays one load of a
 * line it has at hand, and a waiter that is killed is forgotten after 200 ms.
 * A writer that is killed before it wakes anybody delays them until they
 * look again by themselves, after 100 ms.
 */

#ifndef KV_WAIT_H
#define KV_WAIT_H

#include "kv_index.h"

static inline kv_watch_t *kv_watch_of(const kv_store_t *store,
                                      kv_shard_t *shard,
                                      const kv_bucket_t *home)
{
    const kv_bucket_t *buckets =
        kv_shard_buckets(store, kv_shard_number(store, shard));
    /* By the bucket within its block: the index may grow while one waits. */
    return &shard->watch[(uint64_t)(home - buckets) % store->block_buckets %
                         KV_WATCHES];
}

void kv_wake_slow(kv_store_t *store, kv_shard_t *shard,
                  const kv_bucket_t *home);

/** A key of the chain of `home` has changed; the shard's lock is held. */
static inline void kv_wake(kv_store_t *store, kv_shard_t *shard,
                           const kv_bucket_t *home)
{
    if (__builtin_expect(ld_rlx(&shard->watched_until_ms) != 0, 0)) {
        kv_wake_slow(store, shard, home);
    }
}

#endif
