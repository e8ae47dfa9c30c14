/* kv_segment.h - segments: the logs that records live in, and their pool.
 *
 *   segment: [ head | record | record | ... | free ]
 *                                           ^ write_off
 *   word:    {state : 3, owner : 13, generation : 48}
 *
 *            claim (CAS)                    recycle (one store)
 *   FREE ------------------> SMALL, MAIN ---------------------> FREE, gen + 1
 *     \--> BUILDING --> LARGE -----------------------------------^
 *
 * The word is the whole truth about a segment.  The owner is a shard, or for
 * BUILDING the entry of a thread.  The free map has a bit for each segment
 * that may be free; it is a hint that claiming verifies, and the spare bits
 * that a killed process leaves behind or takes along are put right by
 * kv_derive.c.
 *
 * S1  Bytes before write_off parse as records, whoever died while writing:
 *     a record's header is written before write_off passes it.
 * S2  The generation changes before any byte of a recycled segment is reused,
 *     and no slot points into a segment when it is recycled.
 * S3  A record is live exactly when an index slot points to it.
 * S4  A segment is in its shard's list exactly once; every FREE segment has
 *     its bit in the free map.
 * S5  live_bytes and permanent_bytes are the sums over live records;
 *     min_deadline_ms is no later than any live record's deadline.
 *
 * Every function that takes a shard wants its lock held.
 */

#ifndef KV_SEGMENT_H
#define KV_SEGMENT_H

#include "kv_record.h"

typedef enum kv_state {
    KV_STATE_FREE,
    KV_STATE_SMALL,
    KV_STATE_MAIN,
    KV_STATE_BUILDING,
    KV_STATE_LARGE
} kv_state_t;

#define KV_GENERATION_MASK ((UINT64_C(1) << 48) - 1)
#define KV_NO_SEGMENT UINT32_MAX

static inline uint64_t kv_word(kv_state_t state, uint32_t owner,
                               uint64_t generation)
{
    return (uint64_t)state << 61 | (uint64_t)(owner & 0x1fff) << 48 |
           (generation & KV_GENERATION_MASK);
}

static inline kv_state_t kv_word_state(uint64_t word)
{
    return (kv_state_t)(word >> 61);
}

static inline uint32_t kv_word_owner(uint64_t word)
{
    return (uint32_t)(word >> 48) & 0x1fff;
}

static inline uint64_t kv_word_generation(uint64_t word)
{
    return word & KV_GENERATION_MASK;
}

static inline kv_state_t kv_queue_state(kv_queue_t queue)
{
    return queue == KV_QUEUE_MAIN ? KV_STATE_MAIN : KV_STATE_SMALL;
}

static inline unsigned char *kv_segment_start(const kv_store_t *store,
                                              uint32_t segment)
{
    return store->data + ((uint64_t)segment << store->segment_shift);
}

/** Bytes of a large value that one segment holds. */
static inline uint32_t kv_segment_chunk_bytes(const kv_store_t *store)
{
    return store->geometry.segment_bytes - KV_SEGMENT_HEAD_BYTES;
}

static inline uint32_t kv_segment_of(const kv_store_t *store,
                                     const void *record)
{
    return (uint32_t)((uint64_t)((const unsigned char *)record - store->data)
                      >> store->segment_shift);
}

static inline uint32_t kv_shard_number(const kv_store_t *store,
                                       const kv_shard_t *shard)
{
    return (uint32_t)(shard - store->shards);
}

/** Free segments in the pool, counted in the free map. */
uint32_t kv_pool_count(const kv_store_t *store);

/**
 * Take a segment from the pool and give it to `owner` in `state`.
 *
 * @param reserve  true: may take the last ones, kept for copying forward
 * @return the segment, or KV_NO_SEGMENT
 */
uint32_t kv_pool_claim(kv_store_t *store, kv_state_t state, uint32_t owner,
                       bool reserve);

/** Recycle a segment that no slot points into: one store. */
void kv_pool_return(kv_store_t *store, uint32_t segment);

/** Set the free map's bit of every FREE segment. */
void kv_pool_repair(kv_store_t *store);

/** Put a segment that the shard owns into the shard's list. */
void kv_segment_link(kv_store_t *store, kv_shard_t *shard, uint32_t segment);

/** Take a segment out of the shard's list, and close it if it is open. */
void kv_segment_unlink(kv_store_t *store, kv_shard_t *shard,
                       uint32_t segment);

/** Room for one more record of `bytes` in the queue's open segment? */
static KV_INLINE bool kv_segment_has_room(const kv_store_t *store,
                                          const kv_shard_t *shard,
                                          kv_queue_t queue, uint64_t bytes)
{
    uint32_t open = ld_rlx(&shard->open[queue]);
    if (open == 0 || open > store->segments) {
        return false;
    }
    /* One that was scribbled over is full: nothing is written outside. */
    uint64_t write_off = ld_rlx(&store->segment[open - 1].write_off);
    return write_off + bytes <= store->geometry.segment_bytes &&
           write_off >= KV_SEGMENT_HEAD_BYTES && (write_off & 7) == 0;
}

/** Take a fresh segment from the pool and open it for the queue.
 * @return false: the pool has none to give */
bool kv_segment_open(kv_store_t *store, kv_shard_t *shard, kv_queue_t queue,
                     bool reserve);

/**
 * Reserve a record in the queue's open segment, which has room for it (the
 * caller has asked), and write its header; stamp's version is 0 until the
 * caller stores it.
 *
 * @return the record
 */
static KV_INLINE void *kv_record_append(kv_store_t *store, kv_shard_t *shard,
                                        kv_queue_t queue, uint32_t flags,
                                        size_t key_len, size_t stored_bytes)
{
    uint32_t segment = ld_rlx(&shard->open[queue]) - 1;
    kv_segment_t *books = &store->segment[segment];
    uint32_t at = ld_rlx(&books->write_off);
    unsigned char *record = kv_segment_start(store, segment) + at;
    uint32_t bytes = (uint32_t)kv_record_bytes(flags, key_len, stored_bytes);

    st_rlx(kv_record_word(record, 0), (uint64_t)key_len);
    st_rlx(kv_record_word(record, 8),
           (uint64_t)flags << 32 | (uint32_t)stored_bytes);
    st_rel(&books->write_off, at + bytes);
    return record;
}

/** Account for a record that a slot now points to. */
static KV_INLINE void kv_segment_add_live(kv_store_t *store, kv_shard_t *shard,
                                          void *record, uint32_t flags,
                                          uint32_t total_bytes)
{
    kv_segment_t *books = &store->segment[kv_segment_of(store, record)];
    int64_t deadline_ms = kv_record_deadline_ms(record, flags);

    st_rlx(&shard->live_bytes, ld_rlx(&shard->live_bytes) + total_bytes);
    st_rlx(&books->live_bytes, ld_rlx(&books->live_bytes) + total_bytes);
    if (deadline_ms == 0) {
        st_rlx(&books->permanent_bytes,
               ld_rlx(&books->permanent_bytes) + total_bytes);
    } else if (deadline_ms < ld_rlx(&books->min_deadline_ms)) {
        st_rlx(&books->min_deadline_ms, deadline_ms);
    }
}

/** Account for a record that a slot no longer points to. */
static KV_INLINE void kv_segment_remove_live(kv_store_t *store,
                                             kv_shard_t *shard, void *record,
                                             uint32_t flags,
                                             uint32_t total_bytes)
{
    kv_segment_t *books = &store->segment[kv_segment_of(store, record)];

    st_rlx(&shard->live_bytes, ld_rlx(&shard->live_bytes) - total_bytes);
    st_rlx(&books->live_bytes, ld_rlx(&books->live_bytes) - total_bytes);
    if (kv_record_deadline_ms(record, flags) == 0) {
        st_rlx(&books->permanent_bytes,
               ld_rlx(&books->permanent_bytes) - total_bytes);
    }
}

/** Account for a deadline that changes in place. */
void kv_segment_move_deadline(kv_store_t *store, void *record,
                              uint32_t total_bytes, int64_t from_ms,
                              int64_t to_ms);

#endif
