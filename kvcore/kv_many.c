/* kv_many.c - what goes over many keys: flush, prefix removal, enumeration.
 *
 * All of them go through the index bucket by bucket, each bucket with its
 * chain.  A live key stays in its slot, and an overflow bucket with keys in
 * its chain, so whoever visits every bucket once meets every key that stays
 * once.  Removals hold a shard's lock for some buckets at a time; enumeration
 * holds nothing and validates each key as a read does (kv_read.c).
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

kv_result_t kv_prefix_delete(kv_store_t *store, const void *prefix,
                             size_t prefix_len, uint64_t *deleted)
{
    *deleted = 0;
    for (uint32_t number = 0; number < store->geometry.shards; number++) {
        kv_shard_t *shard = &store->shards[number];
        kv_bucket_t *buckets = kv_shard_buckets(store, number);
        for (uint32_t at = 0; at < store->buckets; at += BATCH_BUCKETS) {
            uint32_t left = store->buckets - at;
            uint32_t batch = left < BATCH_BUCKETS ? left : BATCH_BUCKETS;
            kv_result_t result = kv_shard_lock(store, shard);
            if (result != KV_OK) {
                return result;
            }
            for (uint32_t i = 0; i < batch; i++) {
                *deleted += clear_chain(store, shard, &buckets[at + i],
                                        prefix, prefix_len);
            }
            if (left == batch) {
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

static uint64_t all_buckets(const kv_store_t *store)
{
    return (uint64_t)store->geometry.shards * store->buckets;
}

void kv_scan_begin(kv_store_t *store, kv_scan_t *scan, uint64_t cursor,
                   const void *prefix, size_t prefix_len, uint64_t slots)
{
    uint64_t buckets = slots / KV_BUCKET_SLOTS + 1;
    uint64_t total = all_buckets(store);

    *scan = (kv_scan_t){ 0 };
    scan->prefix = prefix;
    scan->prefix_len = prefix_len;
    scan->bucket = cursor < total ? cursor : total;
    scan->end = buckets < total - scan->bucket ? scan->bucket + buckets
                                               : total;
    scan->cursor = scan->end == total ? 0 : scan->end;
}

static kv_bucket_t *home_of(kv_store_t *store, const kv_scan_t *scan)
{
    return kv_shard_buckets(store,
                            (uint32_t)(scan->bucket / store->buckets)) +
           scan->bucket % store->buckets;
}

/* The bucket the step is in; its chain is remembered by its link. */
static kv_bucket_t *bucket_of(kv_store_t *store, const kv_scan_t *scan)
{
    kv_bucket_t *buckets = kv_shard_buckets(
        store, (uint32_t)(scan->bucket / store->buckets));
    return scan->chained == 0
               ? home_of(store, scan)
               : buckets + store->buckets + (scan->chained - 1);
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
    /* An overflow bucket may have come to another chain since it was reached
     * (I3); that chain's keys have their own turn. */
    wanted = wanted && (scan->chained == 0 ||
                        kv_hash_home(store,
                                     kv_hash(store, record + shape.head_bytes,
                                             shape.key_len)) ==
                            home_of(store, scan));
    int64_t deadline_ms =
        wanted ? kv_record_deadline_ms(record, shape.flags) : 0;
    kv_fence_acquire();
    if (kv_word_generation(ld_rlx(&store->words[segment])) != generation) {
        return LOOK_AGAIN;
    }
    if (!wanted || (deadline_ms != 0 && deadline_ms <= kv_now_ms())) {
        return LOOK_NO;
    }
    scan->segment = segment;
    scan->generation = generation;
    scan->offset = (uint64_t)(record - store->data) + shape.head_bytes;
    scan->key_len = shape.key_len;
    return LOOK_YES;
}

kv_result_t kv_scan_key(kv_store_t *store, kv_scan_t *scan, size_t *key_len)
{
    while (scan->bucket < scan->end) {
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
            scan->chained = 0;
            scan->depth = 0;
            scan->bucket++;
        }
    }
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
    scan->slot++;
    return KV_OK;
}
