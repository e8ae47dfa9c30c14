/* kv_large.h - values too large for the log: chains of whole segments.
 *
 *   record (in the log)          segment           segment
 *   +--------------------+      +------+------+   +------+------+
 *   | total, first, gen. | ---> | link | data | ->| link | data |
 *   | key | the rest     |      +------+------+   +------+------+
 *   +--------------------+
 *   link: {segment of the next chunk + 1, its generation}; 0 in the last
 *
 * The value's beginning fills whole segments; what is left over stands in
 * the record, if it is short enough, or in one more chunk.  A chain is built
 * without the shard's lock, by one thread at a time (the build lock), in
 * segments in state BUILDING; they become the shard's, LARGE, under its lock
 * and right before the record is published.  Links carry full generations,
 * so a reader notices a chunk that was recycled whatever happened in between.
 */

#ifndef KV_LARGE_H
#define KV_LARGE_H

#include "kv_segment.h"

/* A value being written. */
typedef struct kv_build {
    kv_large_t large;
    uint32_t chunks;
    uint32_t rest_bytes;   /* of the value, to stand in the record */
} kv_build_t;

/** The largest stored value that can ever fit. */
uint64_t kv_large_max_bytes(const kv_store_t *store);

/**
 * Take segments, evicting where the policy allows, and fill them.
 * Holds the build lock on KV_OK, until kv_large_done or kv_large_abandon.
 * @return KV_OK, KV_NO_ROOM, KV_BUSY
 */
kv_result_t kv_large_build(kv_store_t *store, const void *value,
                           uint64_t value_bytes, size_t key_len,
                           uint32_t flags, kv_build_t *build);

/** Give the chain to the shard, whose lock is held.  Publish right after. */
void kv_large_adopt(kv_store_t *store, kv_shard_t *shard,
                    const kv_build_t *build);

/** Let go of the build lock after kv_large_adopt(). */
void kv_large_done(kv_store_t *store);

/** Free the chunks of a build that is not wanted, and the build lock. */
void kv_large_abandon(kv_store_t *store, const kv_build_t *build);

/** Free what a dead builder left behind, if there is one; never waits. */
void kv_large_reap(kv_store_t *store);

/** Free the chain of a record that no slot points to any more. */
void kv_large_free(kv_store_t *store, kv_shard_t *shard,
                   const kv_large_t *large);

/**
 * Copy the chain's bytes.
 *
 * @param to  NULL: only look whether every chunk is there
 * @return KV_OK, KV_RETRY (a chunk was recycled; or the chain is broken)
 */
kv_result_t kv_large_read(kv_store_t *store, const kv_large_t *large,
                          uint64_t chain_bytes, unsigned char *to);

/** The chunk after `segment`: *segment becomes it, *generation its own.
 * @return false: `segment` is the last */
bool kv_large_next(const kv_store_t *store, uint32_t *segment,
                   uint64_t *generation);

#endif
