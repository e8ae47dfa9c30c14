/* kv_lock.h - who is attached, and the locks that the dead let go of.
 *
 * A lock word holds {entry + 1, incarnation} of its owner in the table of
 * threads.  A thread attaches by taking the life of an entry (kv_life.h), so
 * the kernel itself says who is dead, at once and whatever killed them.
 * Nothing of it is on the path of a lock that is free.  A waiter looks only
 * when it has spun for a while.
 *
 * K1  A lock word is 0 or names an entry of the table.
 * K2  Nobody holds two shard locks.  Order: build lock, then one shard lock;
 *     a dead builder's lock alone is taken over under a shard's, as that
 *     never waits (kv_large_reap).
 * K3  A lock is taken over only from a dead owner, by one compare-and-swap
 *     while the taker holds the dead one's life; the taker of a shard
 *     then derives its counters anew before it does anything else.
 */

#ifndef KV_LOCK_H
#define KV_LOCK_H

#include "kv_layout.h"

/**
 * Take a place in the table of threads.
 * @return KV_OK, KV_BUSY (every place is taken)
 */
kv_result_t kv_thread_attach(kv_store_t *store);

/** Leave the place; store->lock_word is 0 afterwards. */
void kv_thread_detach(kv_store_t *store);

/** Is this lock word's owner dead?  Only for looking; see K3. */
bool kv_lock_owner_dead(kv_store_t *store, uint64_t word);

/**
 * Lock; the slow way of kv_shard_lock() and of the build lock.
 *
 * @param stolen  receives true: taken over from a dead owner
 * @return KV_OK
 *         KV_BUSY  a live owner held it for the wait limit, or the caller
 *                  itself holds it, or the caller could not attach
 */
kv_result_t kv_lock_slow(kv_store_t *store, kv_lock_t *lock, bool *stolen);

/** The same with a wait limit of the caller's; 0: spins, never sleeps. */
kv_result_t kv_lock_within(kv_store_t *store, kv_lock_t *lock,
                           int64_t limit_ms, bool *stolen);

/** Take the lock over if its owner is dead; never waits. */
bool kv_lock_steal(kv_store_t *store, kv_lock_t *lock);

static KV_INLINE kv_result_t kv_lock(kv_store_t *store, kv_lock_t *lock,
                                  bool *stolen)
{
    uint64_t expected = 0;
    *stolen = false;
    if (store->lock_word != 0 &&
        atomic_compare_exchange_strong_explicit(
            lock, &expected, store->lock_word, memory_order_acquire,
            memory_order_relaxed)) {
        return KV_OK;
    }
    return kv_lock_slow(store, lock, stolen);
}

static inline void kv_unlock(kv_lock_t *lock)
{
    st_rel(lock, 0);
}

#endif
