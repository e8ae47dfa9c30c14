/* kv_grow.h - how a shard's index grows with its keys.
 *
 * The memory of the whole index is there from the start, but few keys spread
 * over all of it would each have a cache line and a page of their own.  So a
 * shard begins with one block of buckets and splits its buckets, one after
 * the other, whenever its keys have become too many for them: linear hashing
 * (Litwin 1980), over blocks.
 *
 *   blocks in use  0    1    2    3    4 ...     the tag's lowest bits
 *                +----+----+----+----+--
 *                |    |    |    |    |  <- buckets in use
 *                +----+----+----+----+--
 *                  `---------'  splitting bucket i of block b sends those of
 *                               its keys that have the next bit of the tag
 *                               set to bucket i of block b + 2
 *
 * The shard's extent, one word, says how far that has come: {buckets in use,
 * mask}.  A key's home is the bucket `low` of block `tag & mask` if that is
 * in use, else of block `tag & mask >> 1`.
 *
 * Splitting a group of buckets, under the shard's lock:
 *
 *   1. empty the new buckets, which nobody reads yet
 *   2. copy the slots that belong there; the keys are in two slots now
 *   3. store the extent: the new homes count, all at once
 *   4. clear the copied slots in the old homes
 *
 * Killed before 3: the new buckets are emptied again at the next attempt,
 * overflow buckets in their chains are free again (kv_derive.c).  Killed
 * after 3: the taker of the lock clears the slots that are not at home.
 *
 * Readers hold nothing.  A key that is found in its old home's slot is there,
 * as its only writer is still busy here until 4, and what is loaded from the
 * slot before 4 is as good as any slot loaded before an update.  A key that
 * is not found may have been missed: it was sought in its old home after 4.
 * But 4 comes after 3, so loading the extent once more, after an acquire
 * fence, tells (kv_home_moved).  An overflow bucket that an old home gives up
 * is like any other (I3).
 *
 * An index never shrinks: so a bucket's keys are in it or in buckets split
 * off from it, for ever, which is what enumeration builds on (kv_many.c).
 */

#ifndef KV_GROW_H
#define KV_GROW_H

#include "kv_index.h"

/* A doubling begins when there are so many keys for each two buckets, */
#define KV_GROW_KEYS_PER_TWO 9u
/* and goes on while there are so many. */
#define KV_GROW_ON_KEYS_PER_TWO 4u

/** Does the shard have more keys than its buckets in use are meant for? */
static inline bool kv_grow_wanted(const kv_store_t *store,
                                  const kv_shard_t *shard)
{
    uint64_t extent = ld_rlx(&store->extents[shard - store->shards]);
    uint64_t buckets = extent >> KV_EXTENT_MASK_BITS;
    uint64_t keys = ld_rlx(&shard->entries);
    /* In the midst of a doubling. */
    bool midst = buckets != ((extent & KV_EXTENT_MASK) + 1) *
                                store->block_buckets;

    return 2 * keys >= buckets * (midst ? KV_GROW_ON_KEYS_PER_TWO
                                        : KV_GROW_KEYS_PER_TWO) &&
           buckets < store->buckets;
}

/**
 * Split some buckets, if the index has not its full size yet.  The shard's
 * lock is held; places found before are void afterwards.
 *
 * @return false: nothing was done
 * Cost: bounded, some ten cache lines.
 */
bool kv_grow(kv_store_t *store, kv_shard_t *shard);

#endif
