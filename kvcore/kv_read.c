/* kv_read.c - reading without a lock.
 *
 * Why a reader can never return torn or foreign bytes:
 *
 *   1. load the slot                   s
 *   2. load the segment's generation   g    (acquire)
 *   3. load the slot again: still s?        (else start over)
 *   4. read header and key, compare
 *   5. generation still g?                  (acquire fence before)
 *   6. the caller allocates
 *   7. copy the value
 *   8. generation still g?                  (acquire fence before)
 *
 * A record is never changed while a slot points to it (but for three words
 * that are stored whole).  After a slot moved on, the record's bytes stay
 * until its segment is recycled, and recycling changes the generation before
 * the first byte is written (kv_segment.h, S2).  At 3 the slot pointed to
 * the record while the generation was g, or a later one: if the segment was
 * recycled between 1 and 2 and the slot came to the same value again, g is
 * the generation of the new life.  If it was recycled between 2 and 3, 5
 * fails.  So at 5 and 8 an unchanged g means that all bytes read so far are
 * those of a record that was published under this very key: stale at worst
 * by the time of the call, never torn.
 *
 * Nothing of a torn header is used before 5 but to address bytes, and then
 * clamped to the segment; the size handed to the allocator comes after 5.
 *
 * A key that is there throughout is never missed: its slot does not move
 * (I1), an overflow bucket with keys does not change chains (I3), and a key
 * comparison that fails counts only if the generation still holds.
 *
 * Progress: a reader starts over only if a writer recycled a segment or
 * stored the slot meanwhile, so a stopped writer stops no reader.
 */

#include "kv_clock.h"
#include "kv_index.h"
#include "kv_large.h"
#include "kv_number.h"
#include "kv_compress.h"
#include "kv_read.h"

#define KV_INLINE inline __attribute__((always_inline))

typedef struct found {
    unsigned char *record;
    kv_shape_t shape;
    uint64_t generation;
    uint32_t segment;
    int64_t deadline_ms;   /* 0: none */
    bool expired;
} found_t;

typedef enum look {
    LOOK_FOUND,
    LOOK_OTHER,    /* another key */
    LOOK_AGAIN     /* recycled meanwhile */
} look_t;

static inline uint64_t generation_of(const kv_store_t *store, uint32_t segment)
{
    return kv_word_generation(ld_acq(&store->words[segment]));
}

static inline bool still(const kv_store_t *store, uint32_t segment,
                         uint64_t generation)
{
    kv_fence_acquire();
    return kv_word_generation(ld_rlx(&store->words[segment])) == generation;
}

/* Steps 2 to 5 for one slot whose tag matches. */
static KV_INLINE look_t look_at_slot(kv_store_t *store, _Atomic uint64_t *slot_at,
                                  uint64_t slot, const void *key,
                                  size_t key_len, found_t *found)
{
    uint64_t offset = kv_slot_offset(slot);
    uint64_t segment = offset >> store->segment_shift;
    uint64_t segment_bytes = UINT64_C(1) << store->segment_shift;
    uint64_t room = segment_bytes - (offset & (segment_bytes - 1));

    if (__builtin_expect(segment >= store->segments ||
                         room < KV_RECORD_MIN_BYTES, 0)) {
        return LOOK_OTHER; /* scribbled */
    }
    uint64_t generation = generation_of(store, (uint32_t)segment);
    if (((ld_acq(slot_at) ^ slot) & ~KV_FREQUENCY_MASK) != 0) {
        return LOOK_AGAIN;
    }
    unsigned char *record = store->data + offset;
    kv_shape_t *shape = &found->shape;
    bool same = kv_record_shape(record, room, shape) &&
                shape->key_len == key_len &&
                kv_same(key, record + shape->head_bytes, key_len);
    found->deadline_ms =
        same ? kv_record_deadline_ms(record, shape->flags) : 0;
    if (!still(store, (uint32_t)segment, generation)) {
        return LOOK_AGAIN;
    }
    found->record = record;
    found->generation = generation;
    found->segment = (uint32_t)segment;
    return same ? LOOK_FOUND : LOOK_OTHER;
}

/* Find the key, though it be expired. */
static KV_INLINE bool find(kv_store_t *store, const void *key, size_t key_len,
                        found_t *found, bool touch)
{
    uint64_t hash = kv_hash(store, key, key_len);
    uint64_t tag = kv_hash_tag(hash);
    kv_bucket_t *home = kv_hash_home(store, hash);
    kv_bucket_t *bucket;

again:
    bucket = home;
    for (uint32_t depth = 0; depth < KV_CHAIN_MAX; depth++) {
        for (uint32_t bits = kv_bucket_match(bucket, tag); bits != 0;
             bits &= bits - 1) {
            _Atomic uint64_t *slot_at =
                &bucket->slot[__builtin_ctz(bits)];
            uint64_t slot = ld_acq(slot_at);
            if (slot >> KV_TAG_SHIFT != tag || slot == 0) {
                continue;
            }
            look_t look =
                look_at_slot(store, slot_at, slot, key, key_len, found);
            if (look == LOOK_OTHER) {
                continue;
            }
            if (look == LOOK_AGAIN) {
                goto again;
            }
            found->expired = found->deadline_ms != 0 &&
                             found->deadline_ms <= kv_now_ms();
            if (touch && store->count_frequency &&
                (slot & KV_FREQUENCY_MASK) != KV_FREQUENCY_MASK) {
                atomic_compare_exchange_strong_explicit(
                    slot_at, &slot, slot + KV_FREQUENCY_ONE,
                    memory_order_relaxed, memory_order_relaxed);
            }
            return true;
        }
        uint64_t tail = ld_acq(&bucket->tail);
        if ((tail & 0xffff) == 0) {
            return false;
        }
        bucket = kv_bucket_next(
            store, kv_shard_buckets(store, kv_hash_shard(store, hash)), tail);
        if (bucket == NULL) {
            return false;
        }
    }
    return false;
}

static inline bool bad_key(size_t key_len)
{
    return key_len - 1 >= KV_KEY_MAX_BYTES;
}

/* Describe the record to the caller.  LOOK_OTHER: scribbled over. */
static KV_INLINE look_t fill(kv_store_t *store, const found_t *found,
                             kv_read_t *read)
{
    const kv_shape_t *shape = &found->shape;

    read->version = store->epoch + shape->version;
    read->generation = found->generation;
    read->segment = found->segment;
    read->kind = shape->flags;
    read->key_len = shape->key_len;
    read->stored_bytes = shape->stored_bytes;
    read->source = (uint64_t)(found->record - store->data) +
                   shape->head_bytes + shape->key_len;
    read->value_bytes = shape->stored_bytes;
    if (__builtin_expect((shape->flags & ~KV_FLAG_DEADLINE) == 0, 1)) {
        return LOOK_FOUND;
    }
    if (shape->flags & KV_FLAG_COUNTER) {
        read->value_bytes = kv_number_format(
            (int64_t)ld_rlx(kv_record_counter(found->record, shape->flags)),
            read->digits);
    } else {
        if (shape->flags & KV_FLAG_LARGE) {
            kv_large_t large;
            kv_record_large(found->record, shape, &large);
            read->chain_bytes = large.total_bytes - shape->stored_bytes;
            read->value_bytes = large.total_bytes;
        }
        if (shape->flags & KV_FLAG_RAW) {
            read->value_bytes =
                ld_rlx(kv_record_raw(found->record, shape->flags));
        }
    }
    if (!still(store, found->segment, found->generation)) {
        return LOOK_AGAIN;
    }
    if (read->value_bytes > kv_store_value_max(store) ||
        ((shape->flags & KV_FLAG_LARGE) &&
         read->chain_bytes > kv_store_value_max(store))) {
        return LOOK_OTHER;
    }
    return LOOK_FOUND;
}

kv_result_t kv_read_begin(kv_store_t *store, const void *key, size_t key_len,
                          kv_read_t *read)
{
    found_t found;

    if (bad_key(key_len)) {
        return KV_BAD_KEY;
    }
    for (;;) {
        if (!find(store, key, key_len, &found, true) ||
            found.expired) {
            kv_count(store, KV_COUNT_MISSES, 1);
            return KV_MISSING;
        }
        look_t look = fill(store, &found, read);
        if (__builtin_expect(look == LOOK_FOUND, 1)) {
            kv_count(store, KV_COUNT_HITS, 1);
            return KV_OK;
        }
        if (look == LOOK_OTHER) {
            return KV_MISSING;
        }
    }
}

kv_result_t kv_read_peek(kv_store_t *store, const void *key, size_t key_len,
                         kv_read_t *read, kv_peek_t *peek)
{
    found_t found;
    uint64_t hash = kv_hash(store, key, key_len);
    kv_bucket_t *home = kv_hash_home(store, hash);

    for (;;) {
        /* The tail before the slots: whatever is set after the slots were
         * searched is newer than this. */
        uint64_t tail = ld_acq(&home->tail);
        if (!find(store, key, key_len, &found, false)) {
            peek->version = store->epoch + (tail >> 16);
            peek->deadline_ms = 0;
            peek->expired = false;
            return KV_MISSING;
        }
        peek->version = store->epoch + found.shape.version;
        peek->deadline_ms = found.deadline_ms;
        peek->expired = found.expired;
        look_t look = fill(store, &found, read);
        if (look == LOOK_FOUND) {
            return found.expired ? KV_MISSING : KV_OK;
        }
        if (look == LOOK_OTHER) {
            peek->expired = false;
            return KV_MISSING;
        }
    }
}

/* The stored bytes, plain or compressed. */
static KV_INLINE kv_result_t copy_stored(kv_store_t *store,
                                         const kv_read_t *read,
                                         unsigned char *to)
{
    kv_result_t result = KV_OK;

    if (__builtin_expect((read->kind & KV_FLAG_LARGE) != 0, 0)) {
        const kv_shape_t shape = { .head_bytes = 24 };
        kv_large_t large;
        kv_record_large(store->data + read->source - read->key_len - 24,
                        &shape, &large);
        if (!still(store, read->segment, read->generation)) {
            return KV_RETRY;
        }
        result = kv_large_read(store, &large, read->chain_bytes, to);
        to += read->chain_bytes;
    }
    if (result == KV_OK) {
        kv_copy(to, store->data + read->source, read->stored_bytes);
    }
    return still(store, read->segment, read->generation) ? result : KV_RETRY;
}

static kv_result_t copy_compressed(kv_store_t *store, const kv_read_t *read,
                                   void *value)
{
    size_t bytes = read->stored_bytes;
    if (read->kind & KV_FLAG_LARGE) {
        bytes += read->chain_bytes;
    }
    unsigned char *packed = kv_scratch(store, bytes);
    if (packed == NULL) {
        return KV_NO_MEMORY;
    }
    kv_result_t result = copy_stored(store, read, packed);
    if (result != KV_OK) {
        return result;
    }
    return kv_decompress(store, read->kind >> KV_FLAG_METHOD_SHIFT & 3,
                         packed, bytes, value, read->value_bytes);
}

kv_result_t kv_read_copy(kv_store_t *store, const kv_read_t *read, void *value)
{
    if (__builtin_expect((read->kind & (KV_FLAG_COUNTER | KV_FLAG_RAW)) == 0,
                         1)) {
        return copy_stored(store, read, value);
    }
    if (read->kind & KV_FLAG_COUNTER) {
        memcpy(value, read->digits, read->value_bytes);
        return KV_OK;
    }
    return copy_compressed(store, read, value);
}

kv_result_t kv_key_exists(kv_store_t *store, const void *key, size_t key_len)
{
    found_t found;

    if (bad_key(key_len)) {
        return KV_BAD_KEY;
    }
    return find(store, key, key_len, &found, false) && !found.expired
               ? KV_OK : KV_MISSING;
}

kv_result_t kv_deadline_get(kv_store_t *store, const void *key,
                            size_t key_len, int64_t *ttl_ms)
{
    found_t found;

    if (bad_key(key_len)) {
        return KV_BAD_KEY;
    }
    if (!find(store, key, key_len, &found, false) || found.expired) {
        return KV_MISSING;
    }
    if (found.deadline_ms == 0) {
        *ttl_ms = -1;
        return KV_OK;
    }
    int64_t left_ms = found.deadline_ms - kv_now_ms();
    if (left_ms <= 0) {
        return KV_MISSING;
    }
    *ttl_ms = left_ms;
    return KV_OK;
}
