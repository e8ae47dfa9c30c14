/* kv_index.h - the index: from a key to its record.
 *
 *   shard  -> bucket -> overflow bucket -> ...
 *             7 slots   7 slots
 *
 *   slot:  {tag : 22, frequency : 2, 0 : 1, offset in 8-byte units : 39}
 *   ghost: {tag : 22, 0 : 2, 1 : 1, when it was evicted : 39}, or 0
 *   tail:  {version of the last removal : 48, overflow bucket + 1 : 16}
 *
 * The memory of the whole index is set aside from the start; a shard uses
 * more and more of it as its keys grow in number (kv_grow.h).  An offset is
 * never 0, as a segment begins with its head.  The hash is XXH3 with the
 * store's secret: its lowest bits choose the shard, those below bit 32 the
 * bucket within a block, the top ones are the tag, whose lowest bits choose
 * the block.
 *
 * A ghost is what is left of a key that was evicted soon after it was set
 * (kv_evict.c).  It counts as free: whoever needs a slot takes the oldest
 * ghost of the chain when no slot is 0, and readers pass over it, as it
 * leads outside of the segments.
 *
 * I1  A live key is in exactly one slot, and stays in that slot as long as
 *     it lives and its bucket is not split: an update stores another offset
 *     into it.
 * I2  A slot that is neither 0 nor a ghost points to a record that begins
 *     before its segment's write_off, in a log segment of the bucket's shard,
 *     whose key has the slot's tag, bucket and shard.
 * I3  An overflow bucket belongs to one chain at most.  It leaves a chain only
 *     as its last and when it has no live key: a reader that is in it misses
 *     nothing.  The overflow map has its bit exactly then.
 * I4  A tail's version is no older than any removal from its chain: it is
 *     stored before the slot is cleared.
 * I5  The shard's entries and live_bytes are those of its slots.
 * I6  A shard's extent is one that kv_grow.h describes.
 */

#ifndef KV_INDEX_H
#define KV_INDEX_H

#include "kv_clock.h"
#include "kv_segment.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define KV_GHOST (UINT64_C(1) << KV_LAYOUT_OFFSET_BITS)
#define KV_GHOST_AGE_MASK (KV_GHOST - 1)
/* With the bit of ghosts, so that theirs are out of range. */
#define KV_OFFSET_MASK (KV_GHOST | (KV_GHOST - 1))
#define KV_FREQUENCY_SHIFT 40u
#define KV_FREQUENCY_ONE (UINT64_C(1) << KV_FREQUENCY_SHIFT)
#define KV_FREQUENCY_MASK (UINT64_C(3) << KV_FREQUENCY_SHIFT)
#define KV_TAG_SHIFT 42u

static_assert(XXH3_SECRET_SIZE_MIN <= KV_SECRET_BYTES, "secret long enough");

static inline uint64_t kv_hash(const kv_store_t *store, const void *key,
                               size_t key_len)
{
    return XXH3_64bits_withSecret(key, key_len, store->secret,
                                  KV_SECRET_BYTES);
}

/* The same for keys up to so long: without the registers and the stack that
 * the hashes of longer ones take. */
#define KV_HASH_SHORT_BYTES 16u

static KV_INLINE uint64_t kv_hash_short(const kv_store_t *store,
                                        const void *key, size_t key_len)
{
    if (key_len > KV_HASH_SHORT_BYTES) {
        __builtin_unreachable();
    }
    return kv_hash(store, key, key_len);
}

static inline uint32_t kv_hash_shard(const kv_store_t *store, uint64_t hash)
{
    return (uint32_t)hash & store->shard_mask;
}

static inline uint64_t kv_hash_tag(uint64_t hash)
{
    return hash >> KV_TAG_SHIFT;
}

/* How far a shard's index has grown: {buckets in use : 48, mask : 16}. */
#define KV_EXTENT_MASK_BITS 16u
#define KV_EXTENT_MASK UINT64_C(0xffff)

static_assert(KV_DOUBLINGS_MAX < KV_EXTENT_MASK_BITS, "an extent's mask fits");
static_assert(KV_DOUBLINGS_MAX <= 64 - KV_TAG_SHIFT - 10,
              "the blocks leave a bucket's tags bits to differ in");

static inline uint64_t kv_extent(uint64_t buckets, uint64_t mask)
{
    return buckets << KV_EXTENT_MASK_BITS | mask;
}

static inline _Atomic uint64_t *kv_hash_extent(const kv_store_t *store,
                                               uint64_t hash)
{
    return &store->extents[kv_hash_shard(store, hash)];
}

/* The bucket within a block. Multiply and shift: no division, any number. */
static inline uint64_t kv_hash_low(const kv_store_t *store, uint64_t hash)
{
    return ((uint64_t)(uint32_t)hash * store->block_buckets) >> 32;
}

/* The bucket of its shard, which has grown to `extent`; inside the index
 * whatever `extent` is. */
static inline uint64_t kv_tag_bucket(const kv_store_t *store, uint64_t low,
                                     uint64_t tag, uint64_t extent)
{
    uint64_t mask = extent & store->block_mask;
    uint64_t bucket = low + (tag & mask) * store->block_buckets;
    uint64_t unsplit = low + (tag & mask >> 1) * store->block_buckets;

    return bucket < extent >> KV_EXTENT_MASK_BITS ? bucket : unsplit;
}

/** Buckets of a shard: the main ones, then the overflow buckets. */
static inline kv_bucket_t *kv_shard_buckets(const kv_store_t *store,
                                            uint32_t shard)
{
    return store->shard_index[shard];
}

static inline kv_bucket_t *kv_home(const kv_store_t *store, uint64_t hash,
                                   uint64_t extent)
{
    return kv_shard_buckets(store, kv_hash_shard(store, hash)) +
           kv_tag_bucket(store, kv_hash_low(store, hash), kv_hash_tag(hash),
                         extent);
}

/** The key's home as it is now; the shard's lock is held, or it is a hint. */
static inline kv_bucket_t *kv_hash_home(const kv_store_t *store,
                                        uint64_t hash)
{
    return kv_home(store, hash, ld_rlx(kv_hash_extent(store, hash)));
}

static inline bool kv_extent_changed(const kv_store_t *store, uint64_t hash,
                                     uint64_t extent)
{
    kv_fence_acquire();
    return ld_rlx(kv_hash_extent(store, hash)) != extent;
}

/**
 * Has a key's home moved since its shard's extent was `extent`?  A reader who
 * did not find a key asks; where it did find it, it does not matter
 * (kv_grow.h).
 */
static inline bool kv_home_moved(const kv_store_t *store, uint64_t hash,
                                 uint64_t extent)
{
    kv_fence_acquire();
    uint64_t now = ld_rlx(kv_hash_extent(store, hash));
    return UNLIKELY(now != extent) &&
           kv_home(store, hash, now) != kv_home(store, hash, extent);
}

/** The bucket behind `bucket` in its chain, or NULL. */
static inline kv_bucket_t *kv_bucket_next(const kv_store_t *store,
                                          kv_bucket_t *shard_buckets,
                                          uint64_t tail)
{
    uint32_t link = (uint32_t)tail & 0xffff;
    if (link == 0 || link > store->overflow) {
        return NULL;
    }
    return shard_buckets + store->buckets + (link - 1);
}

/* Chains longer than this are broken ones. */
#define KV_CHAIN_MAX 64u

static inline uint64_t kv_slot_make(uint64_t tag, uint64_t frequency_bits,
                                    uint64_t offset_bytes)
{
    return tag << KV_TAG_SHIFT | frequency_bits | offset_bytes >> 3;
}

static inline bool kv_slot_live(uint64_t slot)
{
    return slot != 0 && (slot & KV_GHOST) == 0;
}

static inline uint64_t kv_slot_offset(uint64_t slot)
{
    return (slot & KV_OFFSET_MASK) << 3;
}

/**
 * The record a slot points to, or NULL if that is outside of the segments
 * (a broken store).
 *
 * @param room_bytes  receives the bytes from there to its segment's end
 */
static inline unsigned char *kv_slot_record(const kv_store_t *store,
                                            uint64_t slot,
                                            uint64_t *room_bytes)
{
    uint64_t offset = kv_slot_offset(slot);
    uint64_t segment = offset >> store->segment_shift;
    uint64_t segment_bytes = UINT64_C(1) << store->segment_shift;
    uint64_t inside = offset & (segment_bytes - 1);

    if (segment >= store->segments ||
        inside > segment_bytes - KV_RECORD_MIN_BYTES) {
        return NULL;
    }
    *room_bytes = segment_bytes - inside;
    return store->data + offset;
}

/**
 * The slots of a bucket whose tag is `tag`, as bits 0 to 6; may name empty
 * slots where the tag is 0.  A hint: load the slot and look again.
 */
static inline uint32_t kv_bucket_match(const kv_bucket_t *bucket, uint64_t tag)
{
#if defined(__SSE2__) && !defined(KV_RACE_BY_BYTES)
    /* The tags are the top bits of the slots' upper halves: gather those of
     * four slots in a register, twice. */
    const __m128 *quads = (const __m128 *)(const void *)bucket;
    const __m128i want = _mm_set1_epi32((int)tag);
    __m128i low = _mm_castps_si128(
        _mm_shuffle_ps(quads[0], quads[1], _MM_SHUFFLE(3, 1, 3, 1)));
    __m128i high = _mm_castps_si128(
        _mm_shuffle_ps(quads[2], quads[3], _MM_SHUFFLE(3, 1, 3, 1)));
    low = _mm_cmpeq_epi32(_mm_srli_epi32(low, KV_TAG_SHIFT - 32), want);
    high = _mm_cmpeq_epi32(_mm_srli_epi32(high, KV_TAG_SHIFT - 32), want);
    uint32_t bits = (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(low)) |
                    (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(high)) << 4;
    return bits & ((1u << KV_BUCKET_SLOTS) - 1);
#else
    uint32_t bits = 0;
    for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
        bits |= (uint32_t)(ld_rlx(&bucket->slot[i]) >> KV_TAG_SHIFT == tag)
                << i;
    }
    return bits;
#endif
}

/* A writer's view of one key.  The shard's lock is held. */
typedef struct kv_place {
    kv_shard_t *shard;
    kv_bucket_t *home;
    uint64_t tag;
    _Atomic uint64_t *slot;    /* the key's, or NULL */
    uint64_t slot_value;
    void *record;
    kv_shape_t shape;
    bool expired;              /* there, but past its deadline */
    _Atomic uint64_t *ghost;   /* of this key, most likely, or NULL */
} kv_place_t;

/** Find `key` as the writer that holds its shard's lock. */
void kv_place_find(kv_store_t *store, uint64_t hash, const void *key,
                   size_t key_len, kv_place_t *place);

/**
 * Is the key in this slot?  Fills in the place but for its home, shard, tag
 * and ghost.
 *
 * @param now_ms  the time, if the caller knows it already; else 0
 */
static KV_INLINE bool kv_place_look(kv_store_t *store, _Atomic uint64_t *slot,
                                    const void *key, size_t key_len,
                                    int64_t now_ms, kv_place_t *place)
{
    uint64_t slot_value = ld_rlx(slot);
    uint64_t room;
    unsigned char *record = kv_slot_record(store, slot_value, &room);

    if (UNLIKELY(record == NULL || !kv_slot_live(slot_value) ||
                 !kv_record_shape(record, room, &place->shape) ||
                 place->shape.key_len != key_len ||
                 !kv_same(key, record + place->shape.head_bytes, key_len))) {
        return false;
    }
    int64_t deadline_ms = kv_record_deadline_ms(record, place->shape.flags);
    place->expired = deadline_ms != 0 &&
                     deadline_ms <= (now_ms != 0 ? now_ms : kv_now_ms());
    place->slot = slot;
    place->slot_value = slot_value;
    place->record = record;
    return true;
}

/**
 * kv_place_find() in line for what is usual: the key is in its own bucket, or
 * nothing of its tag is there.
 */
static KV_INLINE void kv_place_find_quick(kv_store_t *store, uint64_t hash,
                                          const void *key, size_t key_len,
                                          int64_t now_ms, kv_place_t *place)
{
    kv_bucket_t *home = kv_hash_home(store, hash);
    uint32_t bits = kv_bucket_match(home, kv_hash_tag(hash));

    place->shard = &store->shards[kv_hash_shard(store, hash)];
    place->home = home;
    place->tag = kv_hash_tag(hash);
    place->expired = false;
    place->ghost = NULL;
    if (bits != 0) {
        if (LIKELY(kv_place_look(store, &home->slot[__builtin_ctz(bits)], key,
                                 key_len, now_ms, place))) {
            return;
        }
    } else if ((ld_rlx(&home->tail) & 0xffff) == 0) {
        place->slot = NULL;
        return;
    }
    kv_place_find(store, hash, key, key_len, place);
}

/**
 * Take a free overflow bucket.
 * @return its number + 1; 0: none is left
 */
uint32_t kv_overflow_claim(kv_store_t *store, kv_shard_t *shard);

/**
 * A free slot in the chain of `home`: an empty one, else the oldest ghost's,
 * else one in an overflow bucket that is taken for it.
 * @return NULL: the chain is full and no overflow bucket is left
 */
_Atomic uint64_t *kv_chain_free_slot(kv_store_t *store, kv_shard_t *shard,
                                     kv_bucket_t *home);

/** The next version of the shard. */
static inline uint64_t kv_shard_next_version(kv_shard_t *shard)
{
    uint64_t version = (ld_rlx(&shard->version) + 1) & KV_VERSION_MASK;
    st_rel(&shard->version, version);
    return version;
}

/**
 * Clear a slot: the removal of one key.  Stores the removal's version, then
 * clears, accounts, frees a large value's chunks and an emptied overflow
 * bucket.
 *
 * @param leave  what the slot holds afterwards: 0 or a ghost
 */
void kv_slot_clear(kv_store_t *store, kv_shard_t *shard, kv_bucket_t *home,
                   _Atomic uint64_t *slot, void *record,
                   const kv_shape_t *shape, uint64_t leave);

/** Give back the chain's last buckets while they are empty. */
void kv_chain_trim(kv_store_t *store, kv_shard_t *shard, kv_bucket_t *home);

/**
 * The slot of the chain that points to the record at `offset_bytes`.
 * @return NULL: none, the record is dead
 */
_Atomic uint64_t *kv_chain_slot_of(kv_store_t *store, uint64_t hash,
                                   uint64_t offset_bytes);

#endif
