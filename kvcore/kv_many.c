/* kv_many.c - what goes over many keys: flush, prefix removal, enumeration.
 *
 * All of them go through the index bucket by bucket, each bucket with its
 * chain.  A live key stays in its slot, and an overflow bucket with keys in
 * its chain, so whoever visits every bucket once meets every key that stays
 * once, but for what a growing index moves (kv_grow.h).
 *
 * Removals hold a shard's lock for some buckets at a time, from the first
 * bucket in use to the last: what is moved meanwhile moves behind the last.
 *
 * Enumeration holds nothing and validates each key as a read does
 * (kv_read.c).  It goes from position to position; those of a shard are
 *
 *   {bucket in its block, block's bits in reverse}
 *
 * with as many bits as the grown index has blocks.  A bucket of an index with
 * fewer blocks stands for a whole span of neighbouring positions, and what is
 * split off from it for the latter half of that span, at any time; so what is
 * behind a position has been told and what is before it has not (the order of
 * Pieter Noordhuis's SCAN in Redis).  Where the very bucket that is being
 * examined is split, its span is examined once more, and the hashes of the
 * keys told already say which not to tell again.  So they do in overflow
 * buckets, which may have come to the chain that was split off.
 */

#include "kv_clock.h"
#include "kv_evict.h"
#include "kv_lock.h"

/* Buckets under one hold of the lock: some 300 keys, each a cache miss. */
#define BATCH_BUCKETS 64u

/* ------------------------------------------------------------------ */
/* Removing                                                            */

static bool has_prefix(const unsigned char *record, const kv_shape_t *shape,
                       const void *prefix, size_t prefix_len)
{
    return prefix_len == 0 ||
           (shape->key_len >= prefix_len &&
            kv_same(prefix, record + shape->head_bytes, prefix_len));
}

/* Clear the slots of one bucket whose keys have the prefix. */
static uint64_t clear_bucket(kv_store_t *store, kv_shard_t *shard,
                             kv_bucket_t *home, kv_bucket_t *bucket,
                             const void *prefix, size_t prefix_len)
{
    uint64_t cleared = 0;
    int64_t now_ms = kv_now_ms();

    for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
        uint64_t slot = ld_rlx(&bucket->slot[i]);
        uint64_t room;
        kv_shape_t shape;
        if (!kv_slot_live(slot)) {
            continue;
        }
        unsigned char *record = kv_slot_record(store, slot, &room);
        if (record == NULL || !kv_record_shape(record, room, &shape) ||
            !has_prefix(record, &shape, prefix, prefix_len)) {
            continue;
        }
        int64_t deadline_ms = kv_record_deadline_ms(record, shape.flags);
        bool expired = deadline_ms != 0 && deadline_ms <= now_ms;
        kv_count(store, expired ? KV_COUNT_EXPIRATIONS : KV_COUNT_DELETES, 1);
        cleared += expired ? 0 : 1;
        kv_slot_clear(store, shard, home, &bucket->slot[i], record, &shape,
                      0);
    }
    return cleared;
}

/* The chain's last bucket first, as clearing gives back emptied ones. */
static uint64_t clear_chain(kv_store_t *store, kv_shard_t *shard,
                            kv_bucket_t *home, const void *prefix,
                            size_t prefix_len)
{
    kv_bucket_t *buckets =
        kv_shard_buckets(store, kv_shard_number(store, shard));
    kv_bucket_t *chain[KV_CHAIN_MAX];
    uint32_t depth = 0;
    uint64_t cleared = 0;

    for (kv_bucket_t *bucket = home; bucket != NULL && depth < KV_CHAIN_MAX;
         bucket = kv_bucket_next(store, buckets, ld_rlx(&bucket->tail))) {
        chain[depth++] = bucket;
    }
    while (depth-- > 0) {
        cleared += clear_bucket(store, shard, home, chain[depth], prefix,
                                prefix_len);
    }
    return cleared;
}

static uint64_t buckets_in_use(const kv_store_t *store, uint32_t shard)
{
    uint64_t in_use = ld_acq(&store->extents[shard]) >> KV_EXTENT_MASK_BITS;
    return in_use < store->buckets ? in_use : store->buckets;
}

kv_result_t kv_prefix_delete(kv_store_t *store, const void *prefix,
                             size_t prefix_len, uint64_t *deleted)
{
    *deleted = 0;
    for (uint32_t number = 0; number < store->geometry.shards; number++) {
        kv_shard_t *shard = &store->shards[number];
        kv_bucket_t *buckets = kv_shard_buckets(store, number);
        bool more = true;
        for (uint64_t at = 0; more; at += BATCH_BUCKETS) {
            kv_result_t result = kv_shard_lock(store, shard);
            if (result != KV_OK) {
                return result;
            }
            uint64_t end = buckets_in_use(store, number);
            more = at + BATCH_BUCKETS < end;
            end = more ? at + BATCH_BUCKETS : end;
            for (uint64_t i = at; i < end; i++) {
                *deleted += clear_chain(store, shard, &buckets[i], prefix,
                                        prefix_len);
            }
            if (!more) {
                kv_evict_idle(store, shard);
            }
            kv_unlock(&shard->lock);
        }
    }
    return KV_OK;
}

kv_result_t kv_store_flush(kv_store_t *store)
{
    uint64_t deleted;
    return kv_prefix_delete(store, "", 0, &deleted);
}

/* ------------------------------------------------------------------ */
/* Enumerating                                                         */

static uint64_t all_positions(const kv_store_t *store)
{
    return (uint64_t)store->geometry.shards * store->buckets;
}

static uint32_t shard_at(const kv_store_t *store, uint64_t at)
{
    return (uint32_t)(at / store->buckets);
}

/* The `count` lowest bits, in reverse. */
static uint64_t reverse(uint64_t bits, uint32_t count)
{
    uint64_t reversed = 0;
    for (uint32_t i = 0; i < count; i++) {
        reversed |= (bits >> i & 1) << (count - 1 - i);
    }
    return reversed;
}

/* The bucket for a position, and how many positions it stands for. */
static kv_bucket_t *home_at(const kv_store_t *store, uint64_t at,
                            uint64_t extent, uint64_t *span)
{
    uint32_t doublings = store->geometry.doublings;
    uint64_t position = at % store->buckets;
    uint64_t low = position >> doublings;
    uint64_t block = reverse(position & store->block_mask, doublings);
    uint64_t mask = extent & store->block_mask;
    uint64_t split_to = low + ((block & mask) | (mask + 1) / 2) *
                                  store->block_buckets;

    if (split_to >= extent >> KV_EXTENT_MASK_BITS) {
        mask >>= 1; /* not split yet */
    }
    *span = (store->block_mask + UINT64_C(1)) / (mask + 1);
    return kv_shard_buckets(store, shard_at(store, at)) + low +
           (block & mask) * store->block_buckets;
}

void kv_scan_begin(kv_store_t *store, kv_scan_t *scan, uint64_t cursor,
                   const void *prefix, size_t prefix_len, uint64_t slots)
{
    uint64_t total = all_positions(store);

    scan->cursor = 0;
    scan->prefix = prefix;
    scan->prefix_len = prefix_len;
    scan->buckets = slots / KV_BUCKET_SLOTS + 1;
    scan->at = cursor < total ? cursor : total;
    scan->span = 0;
    scan->told_until = 0;
    scan->told = 0;
    scan->split = false;
}

/* The position's bucket, and have the processor fetch what is next. */
static void enter_bucket(kv_store_t *store, kv_scan_t *scan)
{
    uint32_t shard = shard_at(store, scan->at);
    uint64_t extent = ld_acq(&store->extents[shard]);
    kv_bucket_t *home = home_at(store, scan->at, extent, &scan->span);
    uint64_t ahead = scan->at + 2 * scan->span;
    uint64_t span;

    scan->extent = extent;
    scan->shard = shard;
    scan->home = (uint64_t)(home - kv_shard_buckets(store, shard));
    scan->chained = 0;
    scan->depth = 0;
    scan->slot = 0;
    if (ahead < all_positions(store)) {
        __builtin_prefetch(home_at(store, ahead, extent, &span));
    }
    for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
        uint64_t slot = ld_rlx(&home->slot[i]);
        if (kv_slot_live(slot)) {
            __builtin_prefetch(store->data + kv_slot_offset(slot));
        }
    }
}

static kv_bucket_t *home_of(const kv_store_t *store, const kv_scan_t *scan)
{
    return kv_shard_buckets(store, scan->shard) + scan->home;
}

/* The bucket the step is in; its chain is remembered by its link. */
static kv_bucket_t *bucket_of(const kv_store_t *store, const kv_scan_t *scan)
{
    return kv_shard_buckets(store, scan->shard) +
           (scan->chained == 0 ? scan->home
                               : store->buckets + (scan->chained - 1));
}

/* Behind the chain's end: on to the next position, or once more to this one
 * where the bucket was split meanwhile. */
static void leave_bucket(kv_store_t *store, kv_scan_t *scan)
{
    uint64_t next = (scan->at | (scan->span - 1)) + 1;
    uint64_t span;

    kv_fence_acquire();
    uint64_t extent = ld_rlx(&store->extents[scan->shard]);
    home_at(store, scan->at, extent, &span);
    if (UNLIKELY(span != scan->span)) {
        scan->told_until = scan->split && scan->told_until > next
                               ? scan->told_until : next;
        scan->split = true;
    } else {
        scan->at = next;
        scan->split = scan->split && next < scan->told_until;
        /* A step that ended amid the span would forget what is told. */
        if (!scan->split) {
            scan->told = 0;
            scan->buckets--;
        }
    }
    scan->span = 0;
}

static bool told_already(const kv_scan_t *scan, uint64_t hash)
{
    for (uint32_t i = 0; i < scan->told; i++) {
        if (scan->told_hash[i] == hash) {
            return true;
        }
    }
    return false;
}

typedef enum look { LOOK_YES, LOOK_NO, LOOK_AGAIN } look_t;

/* Is there a key to return in this slot?  As kv_read.c, steps 1 to 5. */
static look_t look_at(kv_store_t *store, kv_scan_t *scan,
                      _Atomic uint64_t *slot_at)
{
    uint64_t slot = ld_acq(slot_at);
    uint64_t room;
    kv_shape_t shape;

    if (!kv_slot_live(slot)) {
        return LOOK_NO;
    }
    unsigned char *record = kv_slot_record(store, slot, &room);
    if (record == NULL) {
        return LOOK_NO;
    }
    uint32_t segment = kv_segment_of(store, record);
    uint64_t generation =
        kv_word_generation(ld_acq(&store->words[segment]));
    if (((ld_acq(slot_at) ^ slot) & ~KV_FREQUENCY_MASK) != 0) {
        return LOOK_AGAIN;
    }
    bool wanted = kv_record_shape(record, room, &shape) &&
                  shape.key_len != 0 &&
                  has_prefix(record, &shape, scan->prefix, scan->prefix_len);
    uint64_t hash =
        wanted ? kv_hash(store, record + shape.head_bytes, shape.key_len) : 0;
    /* An overflow bucket may have come to another chain since it was reached
     * (I3), and a key of a bucket that has just been split may be in its old
     * home still (kv_grow.h): they have their own turn. */
    wanted = wanted &&
             kv_home(store, hash, scan->extent) == home_of(store, scan);
    int64_t deadline_ms =
        wanted ? kv_record_deadline_ms(record, shape.flags) : 0;
    kv_fence_acquire();
    if (kv_word_generation(ld_rlx(&store->words[segment])) != generation) {
        return LOOK_AGAIN;
    }
    if (!wanted || (deadline_ms != 0 && deadline_ms <= kv_now_ms()) ||
        (UNLIKELY(scan->split || scan->chained != 0) &&
         told_already(scan, hash))) {
        return LOOK_NO;
    }
    scan->hash = hash;
    scan->segment = segment;
    scan->generation = generation;
    scan->offset = (uint64_t)(record - store->data) + shape.head_bytes;
    scan->key_len = shape.key_len;
    return LOOK_YES;
}

kv_result_t kv_scan_key(kv_store_t *store, kv_scan_t *scan, size_t *key_len)
{
    uint64_t total = all_positions(store);

    while (scan->at < total && scan->buckets > 0) {
        if (scan->span == 0) {
            enter_bucket(store, scan);
        }
        kv_bucket_t *bucket = bucket_of(store, scan);
        while (scan->slot < KV_BUCKET_SLOTS) {
            look_t look = look_at(store, scan, &bucket->slot[scan->slot]);
            if (look == LOOK_YES) {
                *key_len = scan->key_len;
                return KV_OK;
            }
            if (look == LOOK_NO) {
                scan->slot++;
            }
        }
        uint64_t link = ld_acq(&bucket->tail) & 0xffff;
        scan->slot = 0;
        if (link != 0 && link <= store->overflow &&
            scan->depth < KV_CHAIN_MAX) {
            scan->chained = link;
            scan->depth++;
        } else {
            leave_bucket(store, scan);
        }
    }
    scan->cursor = scan->at < total ? scan->at : 0;
    return KV_MISSING;
}

kv_result_t kv_scan_copy(kv_store_t *store, kv_scan_t *scan, void *key)
{
    kv_copy(key, store->data + scan->offset, scan->key_len);
    kv_fence_acquire();
    if (kv_word_generation(ld_rlx(&store->words[scan->segment])) !=
        scan->generation) {
        return KV_RETRY;
    }
    if (LIKELY(scan->told < KV_SCAN_TOLD)) {
        scan->told_hash[scan->told++] = scan->hash;
    }
    scan->slot++;
    return KV_OK;
}
