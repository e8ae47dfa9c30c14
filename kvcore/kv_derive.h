/* kv_derive.h - a shard's counters, computed anew.
 *
 * After the death of an owner nothing derived can be trusted.  The truth is
 * in the extent, the slots, the records, the segments' words, sequences and
 * write offsets, and the tails' links; everything else follows from them.
 */

#ifndef KV_DERIVE_H
#define KV_DERIVE_H

#include "kv_index.h"

/** Stamp the record a dead owner noted, clear what a split has left in old
 * homes (kv_grow.h), and derive the shard's counters, lists and maps.  The
 * shard's lock is held.  O(the shard's memory). */
void kv_shard_derive(kv_store_t *store, kv_shard_t *shard);

#endif
