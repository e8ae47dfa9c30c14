/* kv_check.c - the audit: every invariant of the headers, by its name.
 *
 * Follows no offset without a check, so it can be let loose on a store that
 * something has scribbled over.  Needs no lock and takes none: nobody may
 * write meanwhile.
 */

#include "kv_index.h"
#include "kv_large.h"
#include "kv_lock.h"

#include <stdlib.h>

typedef struct sums {
    uint64_t live_bytes;
    uint64_t permanent_bytes;
    int64_t min_deadline_ms;
    uint32_t listed;      /* how often in a shard's list */
    bool reached;         /* a chunk that a live record leads to */
} sums_t;

typedef struct audit {
    const kv_store_t *store;
    sums_t *segment;
    unsigned char *overflow;   /* of one shard: reached */
    uint64_t entries;          /* of one shard */
    uint64_t live_bytes;
} audit_t;

static const char *check_header(const kv_store_t *store)
{
    const kv_header_t *header = store->header;

    if (ld_rlx(&header->magic) != KV_MAGIC ||
        header->layout_hash != kv_layout_hash()) {
        return "L1: magic or layout hash";
    }
    if (memcmp(&header->geometry, &store->geometry,
               sizeof(store->geometry)) != 0) {
        return "L2: geometry";
    }
    if (memcmp(header->secret, store->secret, KV_SECRET_BYTES) != 0) {
        return "L1: secret";
    }
    return NULL;
}

static const char *check_words(const kv_store_t *store)
{
    for (uint32_t i = 0; i < store->segments; i++) {
        uint64_t word = ld_rlx(&store->words[i]);
        kv_state_t state = kv_word_state(word);
        if (state > KV_STATE_LARGE || kv_word_generation(word) == 0) {
            return "S4: a segment's word";
        }
        if (state != KV_STATE_FREE && state != KV_STATE_BUILDING &&
            kv_word_owner(word) >= store->geometry.shards) {
            return "S4: a segment's owner";
        }
        if (state == KV_STATE_FREE &&
            !(ld_rlx(&store->free_map[i / 64]) >> (i % 64) & 1)) {
            return "S4: a free segment without its bit";
        }
    }
    return NULL;
}

static const char *check_log(const kv_store_t *store, uint32_t segment)
{
    uint32_t at = KV_SEGMENT_HEAD_BYTES;
    uint32_t end = ld_rlx(&store->segment[segment].write_off);
    kv_shape_t shape;

    if (end < at || end > store->geometry.segment_bytes || end % 8 != 0) {
        return "S1: write_off";
    }
    while (at < end) {
        unsigned char *record = kv_segment_start(store, segment) + at;
        if (end - at < KV_RECORD_MIN_BYTES ||
            !kv_record_shape(record, end - at, &shape)) {
            return "S1: a record leaves its segment";
        }
        if (shape.key_len == 0) {
            return "R1: a record without a key";
        }
        if ((shape.flags & ~KV_FLAGS_KNOWN) != 0 ||
            ((shape.flags & KV_FLAG_COUNTER) &&
             (shape.stored_bytes != 0 ||
              (shape.flags & (KV_FLAG_RAW | KV_FLAG_LARGE))))) {
            return "R2: flags";
        }
        at += shape.total_bytes;
    }
    return NULL;
}

static const char *check_chain(audit_t *audit, void *record,
                               const kv_shape_t *shape, uint32_t shard)
{
    const kv_store_t *store = audit->store;
    uint32_t chunk_bytes = kv_segment_chunk_bytes(store);
    kv_large_t large;

    kv_record_large(record, shape, &large);
    if (large.total_bytes < shape->stored_bytes ||
        large.first >= store->segments) {
        return "R3: a large record";
    }
    uint64_t left = large.total_bytes - shape->stored_bytes;
    uint32_t segment = (uint32_t)large.first;
    uint64_t generation = large.generation;
    for (;;) {
        uint64_t word = ld_rlx(&store->words[segment]);
        if (kv_word_state(word) != KV_STATE_LARGE ||
            kv_word_owner(word) != shard ||
            kv_word_generation(word) != generation) {
            return "R3: a chunk is not the record's";
        }
        if (audit->segment[segment].reached) {
            return "R3: a chunk of two records";
        }
        audit->segment[segment].reached = true;
        bool more = kv_large_next(store, &segment, &generation);
        if (left <= chunk_bytes) {
            return more ? "R3: a chain too long" : NULL;
        }
        if (!more) {
            return "R3: a chain too short";
        }
        left -= chunk_bytes;
    }
}

static bool key_is_before(const kv_store_t *store, kv_bucket_t *buckets,
                          kv_bucket_t *home, const _Atomic uint64_t *until,
                          const unsigned char *record,
                          const kv_shape_t *shape)
{
    kv_bucket_t *bucket = home;
    const unsigned char *key = record + shape->head_bytes;

    for (uint32_t depth = 0; bucket != NULL && depth < KV_CHAIN_MAX;
         depth++) {
        for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
            uint64_t room;
            kv_shape_t other;
            if (&bucket->slot[i] == until) {
                return false;
            }
            uint64_t slot = ld_rlx(&bucket->slot[i]);
            unsigned char *there =
                kv_slot_live(slot) ? kv_slot_record(store, slot, &room) : NULL;
            if (there != NULL && kv_record_shape(there, room, &other) &&
                other.key_len == shape->key_len &&
                memcmp(key, there + other.head_bytes, other.key_len) == 0) {
                return true;
            }
        }
        bucket = kv_bucket_next(store, buckets, ld_rlx(&bucket->tail));
    }
    return false;
}

static const char *check_slot(audit_t *audit, uint32_t shard,
                              kv_bucket_t *home, _Atomic uint64_t *slot_at)
{
    const kv_store_t *store = audit->store;
    uint64_t slot = ld_rlx(slot_at);
    uint64_t room;
    kv_shape_t shape;

    if (!kv_slot_live(slot)) {
        return NULL;
    }
    unsigned char *record = kv_slot_record(store, slot, &room);
    if (record == NULL) {
        return "I2: a slot leads outside";
    }
    uint32_t segment = kv_segment_of(store, record);
    uint64_t word = ld_rlx(&store->words[segment]);
    uint64_t inside =
        (uint64_t)(record - kv_segment_start(store, segment));
    if ((kv_word_state(word) != KV_STATE_SMALL &&
         kv_word_state(word) != KV_STATE_MAIN) ||
        kv_word_owner(word) != shard) {
        return "I2: a slot leads into a segment that is not the shard's";
    }
    if (inside < KV_SEGMENT_HEAD_BYTES ||
        inside >= ld_rlx(&store->segment[segment].write_off)) {
        return "I2: a slot leads behind write_off";
    }
    if (!kv_record_shape(record, room, &shape) || shape.key_len == 0) {
        return "I2: a slot leads to no record";
    }
    uint64_t hash = kv_hash(store, record + shape.head_bytes, shape.key_len);
    if (kv_hash_tag(hash) != slot >> KV_TAG_SHIFT ||
        kv_hash_home(store, hash) != home) {
        return "I2: a slot leads to a key of another place";
    }
    if (key_is_before(store, kv_shard_buckets(store, shard), home, slot_at,
                      record, &shape)) {
        return "I1: a key in two slots";
    }
    audit->entries++;
    audit->live_bytes += shape.total_bytes;
    sums_t *sums = &audit->segment[segment];
    int64_t deadline_ms = kv_record_deadline_ms(record, shape.flags);
    sums->live_bytes += shape.total_bytes;
    if (deadline_ms == 0) {
        sums->permanent_bytes += shape.total_bytes;
    } else if (deadline_ms < sums->min_deadline_ms) {
        sums->min_deadline_ms = deadline_ms;
    }
    if (shape.version > ld_rlx(&store->shards[shard].version)) {
        return "I4: a record newer than its shard";
    }
    if (shape.flags & KV_FLAG_LARGE) {
        return check_chain(audit, record, &shape, shard);
    }
    return NULL;
}

static const char *check_overflow(audit_t *audit, uint32_t shard)
{
    const kv_store_t *store = audit->store;
    const _Atomic uint64_t *map = store->overflow_maps +
        (uint64_t)shard * store->geometry.overflow_map_words;
    kv_bucket_t *free_bucket =
        kv_shard_buckets(store, shard) + store->buckets;

    for (uint32_t i = 0; i < store->overflow; i++) {
        bool mapped = ld_rlx(&map[i / 64]) >> (i % 64) & 1;
        if (mapped != (audit->overflow[i] != 0)) {
            return "I3: the overflow map";
        }
        for (uint32_t j = 0; !mapped && j < KV_BUCKET_SLOTS; j++) {
            if (ld_rlx(&free_bucket[i].slot[j]) != 0) {
                return "I3: a key in a free overflow bucket";
            }
        }
    }
    return NULL;
}

static const char *check_list(audit_t *audit, uint32_t number)
{
    const kv_store_t *store = audit->store;
    const kv_shard_t *shard = &store->shards[number];
    uint32_t count[KV_QUEUES] = { 0, 0 };
    uint32_t large = 0;
    uint32_t at = ld_rlx(&shard->first);

    for (uint32_t steps = 0; at != 0; steps++) {
        if (at > store->segments || steps > store->segments) {
            return "S4: a shard's list";
        }
        uint64_t word = ld_rlx(&store->words[at - 1]);
        if (kv_word_owner(word) != number) {
            return "S4: a foreign segment in a shard's list";
        }
        switch (kv_word_state(word)) {
        case KV_STATE_SMALL:
            count[KV_QUEUE_SMALL]++;
            break;
        case KV_STATE_MAIN:
            count[KV_QUEUE_MAIN]++;
            break;
        case KV_STATE_LARGE:
            large++;
            break;
        default:
            return "S4: a free segment in a shard's list";
        }
        audit->segment[at - 1].listed++;
        at = ld_rlx(&store->segment[at - 1].next);
    }
    if (count[KV_QUEUE_SMALL] != ld_rlx(&shard->count[KV_QUEUE_SMALL]) ||
        count[KV_QUEUE_MAIN] != ld_rlx(&shard->count[KV_QUEUE_MAIN]) ||
        large != ld_rlx(&shard->large_count)) {
        return "S4: a shard's counts of segments";
    }
    return NULL;
}

static const char *check_extent(const kv_store_t *store, uint32_t number,
                                uint64_t *in_use)
{
    uint64_t extent = ld_rlx(&store->extents[number]);
    uint64_t mask = extent & KV_EXTENT_MASK;
    uint64_t grown = (mask + 1) * store->block_buckets;

    *in_use = extent >> KV_EXTENT_MASK_BITS;
    if (mask > store->block_mask || ((mask + 1) & mask) != 0 ||
        *in_use > grown || (mask != 0 && *in_use <= grown / 2) ||
        (mask == 0 && *in_use != grown)) {
        return "I6: a shard's extent";
    }
    return NULL;
}

static const char *check_shard(audit_t *audit, uint32_t number)
{
    const kv_store_t *store = audit->store;
    kv_shard_t *shard = &store->shards[number];
    kv_bucket_t *buckets = kv_shard_buckets(store, number);
    const char *broken;
    uint64_t in_use;

    if (ld_rlx(&shard->noted) != 0) {
        return "I4: a noted counter without a writer";
    }
    audit->entries = 0;
    audit->live_bytes = 0;
    memset(audit->overflow, 0, store->overflow);
    broken = check_extent(store, number, &in_use);
    if (broken != NULL) {
        return broken;
    }
    for (uint64_t i = 0; i < in_use; i++) {
        kv_bucket_t *bucket = &buckets[i];
        for (uint32_t depth = 0; bucket != NULL; depth++) {
            if (depth == KV_CHAIN_MAX) {
                return "I3: a chain too long";
            }
            for (uint32_t j = 0; j < KV_BUCKET_SLOTS; j++) {
                broken = check_slot(audit, number, &buckets[i],
                                    &bucket->slot[j]);
                if (broken != NULL) {
                    return broken;
                }
            }
            uint64_t tail = ld_rlx(&bucket->tail);
            if ((tail & 0xffff) > store->overflow) {
                return "I3: a link leads outside";
            }
            if (tail >> 16 > ld_rlx(&shard->version)) {
                return "I4: a removal newer than its shard";
            }
            bucket = kv_bucket_next(store, buckets, tail);
            if (bucket != NULL &&
                audit->overflow[bucket - buckets - store->buckets]++ != 0) {
                return "I3: an overflow bucket in two chains";
            }
        }
    }
    if (audit->entries != ld_rlx(&shard->entries) ||
        audit->live_bytes != ld_rlx(&shard->live_bytes)) {
        return "I5: a shard's entries or live bytes";
    }
    broken = check_overflow(audit, number);
    return broken != NULL ? broken : check_list(audit, number);
}

static const char *check_segment(const audit_t *audit, uint32_t segment)
{
    const kv_store_t *store = audit->store;
    const kv_segment_t *books = &store->segment[segment];
    const sums_t *sums = &audit->segment[segment];
    kv_state_t state = kv_word_state(ld_rlx(&store->words[segment]));
    bool log = state == KV_STATE_SMALL || state == KV_STATE_MAIN;

    if (sums->listed != (log || state == KV_STATE_LARGE ? 1u : 0u)) {
        return "S4: a segment not in its shard's list";
    }
    if ((state == KV_STATE_LARGE) != sums->reached) {
        return "R3: a chunk without a record";
    }
    if (log && (ld_rlx(&books->live_bytes) != sums->live_bytes ||
                ld_rlx(&books->permanent_bytes) != sums->permanent_bytes)) {
        return "S5: a segment's live bytes";
    }
    if (log && ld_rlx(&books->min_deadline_ms) > sums->min_deadline_ms) {
        return "S5: a segment's next deadline";
    }
    return NULL;
}

static const char *check_all(audit_t *audit)
{
    const kv_store_t *store = audit->store;
    const char *broken = check_header(store);

    if (broken == NULL) {
        broken = check_words(store);
    }
    for (uint32_t i = 0; broken == NULL && i < store->segments; i++) {
        kv_state_t state = kv_word_state(ld_rlx(&store->words[i]));
        audit->segment[i].min_deadline_ms = INT64_MAX;
        if (state == KV_STATE_SMALL || state == KV_STATE_MAIN) {
            broken = check_log(store, i);
        }
    }
    for (uint32_t i = 0; broken == NULL && i < store->geometry.shards; i++) {
        broken = check_shard(audit, i);
    }
    for (uint32_t i = 0; broken == NULL && i < store->segments; i++) {
        broken = check_segment(audit, i);
    }
    return broken;
}

const char *kv_store_check(const kv_store_t *store)
{
    audit_t audit = { .store = store };
    const char *broken = "out of memory: not checked";

    audit.segment = calloc(store->segments, sizeof(*audit.segment));
    audit.overflow = calloc(store->overflow, 1);
    if (audit.segment != NULL && audit.overflow != NULL) {
        broken = check_all(&audit);
    }
    free(audit.segment);
    free(audit.overflow);
    return broken;
}
