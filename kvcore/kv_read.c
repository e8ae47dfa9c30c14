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
 * Nor is one missed while the index grows: kv_grow.h.
 *
 * Progress: a reader starts over only if a writer recycled a segment, stored
 * the slot or split the bucket meanwhile, so a stopped writer stops no reader.
 */

#include "kv_clock.h"
#include "kv_index.h"
#include "kv_large.h"
#include "kv_memo.h"
#include "kv_number.h"
#include "kv_compress.h"
#include "kv_read.h"

typedef struct found {
    unsigned char *record;
    uint64_t version;
    uint64_t generation;
    uint32_t segment;
    uint32_t stored_bytes;
    uint32_t flags;
    uint32_t head_bytes;
    int64_t deadline_ms;   /* 0: none */
    bool expired;
    const _Atomic uint64_t *led_at; /* what led to the record, */
    uint64_t slot;                  /* and what it was then */
    /* For a note, not by look_at_slot(): */
    _Atomic uint64_t *slot_at;
    kv_bucket_t *home;
    uint64_t extent;
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
static KV_INLINE look_t look_at_slot(kv_store_t *store,
                                     _Atomic uint64_t *slot_at, uint64_t slot,
                                     const void *key, size_t key_len,
                                     found_t *found)
{
    uint64_t offset = kv_slot_offset(slot);
    uint64_t segment = offset >> store->segment_shift;
    uint64_t room = store->geometry.segment_bytes -
                    (offset & (store->geometry.segment_bytes - 1));

    if (UNLIKELY(segment >= store->segments || room < KV_RECORD_MIN_BYTES)) {
        return LOOK_OTHER; /* a ghost, or scribbled */
    }
    uint64_t generation = generation_of(store, (uint32_t)segment);
    if (UNLIKELY(((ld_acq(slot_at) ^ slot) & ~KV_FREQUENCY_MASK) != 0)) {
        return LOOK_AGAIN;
    }
    unsigned char *record = store->data + offset;
    uint64_t stamp = ld_rlx(kv_record_word(record, 0));
    uint64_t shape = ld_rlx(kv_record_word(record, 8));
    uint32_t flags = (uint32_t)(shape >> 32);
    uint32_t head_bytes = flags <= KV_FLAG_DEADLINE
                              ? 16 + 8 * flags : kv_flags_head_bytes(flags);
    bool same = (stamp & 0xffff) == key_len &&
                head_bytes + key_len + (uint32_t)shape <= room &&
                kv_same(key, record + head_bytes, key_len);
    found->deadline_ms = same ? kv_record_deadline_ms(record, flags) : 0;
    if (UNLIKELY(!still(store, (uint32_t)segment, generation))) {
        return LOOK_AGAIN;
    }
    found->record = record;
    found->version = stamp >> 16;
    found->stored_bytes = (uint32_t)shape;
    found->flags = flags;
    found->head_bytes = head_bytes;
    found->generation = generation;
    found->segment = (uint32_t)segment;
    found->led_at = slot_at;
    found->slot = slot;
    found->expired = found->deadline_ms != 0 &&
                     found->deadline_ms <= kv_now_ms();
    return same ? LOOK_FOUND : LOOK_OTHER;
}

/* The key was used: is that to be counted?  If the policy asks, up to 3. */
static KV_INLINE bool touches(const kv_store_t *store, uint64_t slot)
{
    return UNLIKELY((slot & KV_FREQUENCY_MASK) != KV_FREQUENCY_MASK) &&
           store->count_frequency;
}

static KV_INLINE void touch(_Atomic uint64_t *slot_at, uint64_t slot)
{
    atomic_compare_exchange_strong_explicit(
        slot_at, &slot, slot + KV_FREQUENCY_ONE, memory_order_relaxed,
        memory_order_relaxed);
}

static KV_INLINE void touch_slot(kv_store_t *store, _Atomic uint64_t *slot_at,
                                 uint64_t slot)
{
    if (touches(store, slot)) {
        touch(slot_at, slot);
    }
}

/* Find the key, though it be expired. */
static KV_NOINLINE look_t
find_in_chain(kv_store_t *store, uint64_t hash, const void *key,
              size_t key_len, found_t *found, bool touch)
{
    uint64_t tag = kv_hash_tag(hash);
    uint64_t extent;
    kv_bucket_t *bucket;

again:
    extent = ld_acq(kv_hash_extent(store, hash));
    bucket = kv_home(store, hash, extent);
    found->home = bucket;
    for (uint32_t depth = 0; bucket != NULL && depth < KV_CHAIN_MAX;
         depth++) {
        for (uint32_t bits = kv_bucket_match(bucket, tag); bits != 0;
             bits &= bits - 1) {
            _Atomic uint64_t *slot_at = &bucket->slot[__builtin_ctz(bits)];
            uint64_t slot = ld_acq(slot_at);
            if (slot >> KV_TAG_SHIFT != tag || !kv_slot_live(slot)) {
                continue;
            }
            look_t look =
                look_at_slot(store, slot_at, slot, key, key_len, found);
            if (look == LOOK_AGAIN) {
                goto again;
            }
            if (look == LOOK_FOUND) {
                found->slot_at = slot_at;
                found->extent = extent;
                if (touch) {
                    touch_slot(store, slot_at, slot);
                }
                return LOOK_FOUND;
            }
        }
        bucket = kv_bucket_next(
            store, kv_shard_buckets(store, kv_hash_shard(store, hash)),
            ld_acq(&bucket->tail));
    }
    if (kv_home_moved(store, hash, extent)) {
        goto again;
    }
    return LOOK_OTHER;
}

/* The same for what is usual, in a straight line: the key is the first of its
 * tag in its own bucket, or nothing of its tag is there.  LOOK_AGAIN: unsure.
 * `found` must not be handed on to a call, so that it stays in registers. */
static KV_INLINE look_t find_quick(kv_store_t *store, uint64_t hash,
                                   const void *key, size_t key_len,
                                   found_t *found, bool touch)
{
    uint64_t extent = ld_acq(kv_hash_extent(store, hash));
    kv_bucket_t *home = kv_home(store, hash, extent);
    uint32_t bits = kv_bucket_match(home, kv_hash_tag(hash));

    if (bits == 0) {
        return (ld_acq(&home->tail) & 0xffff) == 0 &&
                       !kv_extent_changed(store, hash, extent)
                   ? LOOK_OTHER : LOOK_AGAIN;
    }
    _Atomic uint64_t *slot_at = &home->slot[__builtin_ctz(bits)];
    uint64_t slot = ld_acq(slot_at);
    if (UNLIKELY(slot == 0) ||
        look_at_slot(store, slot_at, slot, key, key_len, found) !=
            LOOK_FOUND) {
        return LOOK_AGAIN;
    }
    found->slot_at = slot_at;
    found->home = home;
    found->extent = extent;
    if (touch) {
        touch_slot(store, slot_at, slot);
    }
    return LOOK_FOUND;
}

static inline bool bad_key(size_t key_len)
{
    return key_len - 1 >= KV_KEY_MAX_BYTES;
}

/* A large value's sizes.  Where chunks are missing it was replaced just now;
 * if the slot says that it was not, nobody need begin again for ever. */
static look_t describe_large(kv_store_t *store, const found_t *found,
                             kv_read_t *read)
{
    const kv_shape_t shape = { .head_bytes = found->head_bytes };
    kv_large_t large;

    kv_record_large(found->record, &shape, &large);
    read->chain_bytes = large.total_bytes - found->stored_bytes;
    read->value_bytes = large.total_bytes;
    if (!still(store, found->segment, found->generation)) {
        return LOOK_AGAIN;
    }
    if (read->chain_bytes > kv_store_value_max(store)) {
        return LOOK_OTHER;
    }
    if (kv_large_read(store, &large, read->chain_bytes, NULL) != KV_OK) {
        kv_fence_acquire();
        return ((ld_rlx(found->led_at) ^ found->slot) &
                ~KV_FREQUENCY_MASK) != 0 ? LOOK_AGAIN : LOOK_OTHER;
    }
    return LOOK_FOUND;
}

/* A counter's text, the sizes of large and compressed values.
 * LOOK_OTHER: scribbled over. */
static KV_NOINLINE look_t
describe_kind(kv_store_t *store, const found_t *found, kv_read_t *read)
{
    look_t look = LOOK_FOUND;

    if (found->flags & KV_FLAG_COUNTER) {
        read->value_bytes = kv_number_format(
            (int64_t)ld_rlx(kv_record_counter(found->record, found->flags)),
            read->digits);
    } else if (found->flags & (KV_FLAG_LARGE | KV_FLAG_RAW)) {
        if (found->flags & KV_FLAG_LARGE) {
            look = describe_large(store, found, read);
        }
        if (found->flags & KV_FLAG_RAW) {
            read->value_bytes =
                ld_rlx(kv_record_raw(found->record, found->flags));
        }
    } else {
        look = LOOK_OTHER;
    }
    if (!still(store, found->segment, found->generation)) {
        return LOOK_AGAIN;
    }
    return look == LOOK_FOUND &&
                   read->value_bytes > kv_store_value_max(store)
               ? LOOK_OTHER : look;
}

/* Describe the record to the caller. */
static KV_INLINE void describe_plain(const kv_store_t *store,
                                     const found_t *found, size_t key_len,
                                     kv_read_t *read)
{
    read->version = store->epoch + found->version;
    read->generation = found->generation;
    read->segment = found->segment;
    read->kind = found->flags;
    read->key_len = (uint32_t)key_len;
    read->stored_bytes = found->stored_bytes;
    read->source = (uint64_t)(found->record - store->data) +
                   found->head_bytes + key_len;
    read->value_bytes = found->stored_bytes;
}

static look_t describe(kv_store_t *store, const found_t *found, size_t key_len,
                       kv_read_t *read)
{
    describe_plain(store, found, key_len, read);
    return found->flags <= KV_FLAG_DEADLINE
               ? LOOK_FOUND : describe_kind(store, found, read);
}

static KV_NOINLINE kv_result_t read_begin_slow(kv_store_t *store,
                                               uint64_t hash, const void *key,
                                               size_t key_len,
                                               kv_read_t *read)
{
    found_t found;
    look_t look = find_in_chain(store, hash, key, key_len, &found, true);

    while (look == LOOK_FOUND && !found.expired) {
        look = describe(store, &found, key_len, read);
        if (look == LOOK_FOUND) {
            kv_count(store, KV_COUNT_HITS, 1);
            return KV_OK;
        }
        if (look == LOOK_AGAIN) {
            look = find_in_chain(store, hash, key, key_len, &found, true);
        }
    }
    kv_count(store, KV_COUNT_MISSES, 1);
    return KV_MISSING;
}

KV_FLATTEN kv_result_t kv_read_begin(kv_store_t *store, const void *key,
                                     size_t key_len, kv_read_t *read)
{
    found_t found;

    if (UNLIKELY(bad_key(key_len))) {
        return KV_BAD_KEY;
    }
    uint64_t hash = kv_hash(store, key, key_len);
    look_t look = find_quick(store, hash, key, key_len, &found, true);
    if (LIKELY(look == LOOK_FOUND) && !found.expired &&
        found.flags <= KV_FLAG_DEADLINE) {
        describe_plain(store, &found, key_len, read);
        kv_count(store, KV_COUNT_HITS, 1);
        return KV_OK;
    }
    if (look == LOOK_OTHER) {
        kv_count(store, KV_COUNT_MISSES, 1);
        return KV_MISSING;
    }
    return read_begin_slow(store, hash, key, key_len, read);
}

/* kv_short_find() where something is not as usual. */
static KV_NOINLINE kv_result_t find_short_slow(kv_store_t *store,
                                               const void *key, size_t key_len,
                                          kv_short_t *found_short)
{
    found_t found;

    if (UNLIKELY(bad_key(key_len))) {
        return KV_BAD_KEY;
    }
    uint64_t hash = kv_hash(store, key, key_len);
    if (find_in_chain(store, hash, key, key_len, &found, true) !=
            LOOK_FOUND || found.expired) {
        kv_count(store, KV_COUNT_MISSES, 1);
        return KV_MISSING;
    }
    if (found.flags > KV_FLAG_DEADLINE ||
        found.stored_bytes > KV_SHORT_VALUE_BYTES) {
        return KV_TOO_LARGE;
    }
    kv_memo_note(store, hash, key, key_len, found.slot_at, found.home,
                 found.extent);
    found_short->slot_at = NULL;
    found_short->bytes = found.stored_bytes;
    found_short->source = found.record + found.head_bytes + key_len;
    found_short->word_at = &store->words[found.segment];
    found_short->word = ld_rlx(&store->words[found.segment]);
    if (kv_word_generation(found_short->word) != found.generation) {
        return KV_RETRY;
    }
    kv_count(store, KV_COUNT_HITS, 1);
    return KV_OK;
}

/* Whether the record, which has a deadline, still lives.  `word` is its
 * segment's as loaded before. */
static KV_NOINLINE kv_result_t check_deadline(unsigned char *record,
                                              const _Atomic uint64_t *word_at,
                                              uint64_t word)
{
    int64_t deadline_ms = (int64_t)ld_rlx(kv_record_deadline(record));
    bool expired = deadline_ms != 0 && deadline_ms <= kv_now_ms();

    kv_fence_acquire();
    if (UNLIKELY(ld_rlx(word_at) != word)) {
        return KV_RETRY;
    }
    return expired ? KV_MISSING : KV_OK;
}

static KV_NOINLINE kv_result_t take_mortal(kv_store_t *store,
                                           unsigned char *record,
                                           const kv_short_t *found)
{
    kv_result_t result = check_deadline(
        record, (const _Atomic uint64_t *)found->word_at, found->word);

    if (result != KV_RETRY) {
        kv_count(store, result == KV_OK ? KV_COUNT_HITS : KV_COUNT_MISSES, 1);
    }
    return result;
}

/* What a slot of the key's tag leads to: steps 1 to 4. */
typedef struct led {
    unsigned char *record;
    unsigned char *value;
    _Atomic uint64_t *word_at;
    uint64_t word;
    uint64_t slot;
    uint64_t flags;
    uint64_t stored_bytes;
} led_t;

/* false: to another key, or something is not as usual.  The key is a short
 * one, so that nothing is called and kept in registers meanwhile. */
static KV_INLINE bool lead(const kv_store_t *store,
                           _Atomic uint64_t *slot_at, const void *key,
                           size_t key_len, size_t most_bytes, led_t *led)
{
    uint64_t slot = ld_acq(slot_at);
    uint64_t unit = slot & KV_OFFSET_MASK;
    if (UNLIKELY(unit - 1 >= store->last_unit)) {
        return false;
    }
    _Atomic uint64_t *word_at = &store->words[unit >> store->unit_shift];
    uint64_t word = ld_acq(word_at);
    if (UNLIKELY(ld_acq(slot_at) != slot)) {
        return false;
    }
    unsigned char *record = store->data + 8 * unit;
    __builtin_prefetch(record + 64);
    uint64_t stamp = ld_rlx(kv_record_word(record, 0));
    uint64_t shape = ld_rlx(kv_record_word(record, 8));
    uint64_t flags = shape >> 32;
    uint64_t stored_bytes = (uint32_t)shape;
    unsigned char *key_at = record + 16 + 8 * flags;
    if (UNLIKELY((uint16_t)stamp != key_len || flags > KV_FLAG_DEADLINE ||
                 stored_bytes > most_bytes ||
                 key_at + key_len + stored_bytes > store->data_end ||
                 !kv_same(key, key_at, key_len))) {
        return false;
    }
    led->record = record;
    led->value = key_at + key_len;
    led->word_at = word_at;
    led->word = word;
    led->slot = slot;
    led->flags = flags;
    led->stored_bytes = stored_bytes;
    return true;
}

/* kv_short_find() in a straight line, from a slot where the key may be.  A
 * size that was torn is a short one too, so it may reach the allocator, and
 * the look at the segment's word after copying does for steps 5 and 8. */
static KV_INLINE bool take(kv_store_t *store, _Atomic uint64_t *slot_at,
                           const void *key, size_t key_len, kv_short_t *found,
                           led_t *led)
{
    if (UNLIKELY(!lead(store, slot_at, key, key_len, KV_SHORT_VALUE_BYTES,
                       led))) {
        return false;
    }
    found->slot_at = touches(store, led->slot) ? slot_at : NULL;
    found->slot = led->slot;
    found->bytes = led->stored_bytes;
    found->source = led->value;
    found->word_at = led->word_at;
    found->word = led->word;
    return true;
}

/* found->word is the extent that `slot_at` was found by. */
static KV_NOINLINE kv_result_t note_and_take(kv_store_t *store,
                                             _Atomic uint64_t *slot_at,
                                             const void *key, size_t key_len,
                                             kv_short_t *found, uint64_t hash)
{
    led_t led;

    kv_memo_note(store, hash, key, key_len, slot_at, kv_memo_bucket(slot_at),
                 found->word);
    if (UNLIKELY(!take(store, slot_at, key, key_len, found, &led))) {
        return find_short_slow(store, key, key_len, found);
    }
    if (led.flags != 0) {
        return take_mortal(store, led.record, found);
    }
    kv_count(store, KV_COUNT_HITS, 1);
    return KV_OK;
}

static KV_INLINE kv_result_t find_short(kv_store_t *store, uint64_t hash,
                                        const void *key, size_t key_len,
                               kv_short_t *found)
{
    _Atomic uint64_t *extent_at = kv_hash_extent(store, hash);
    uint64_t extent = ld_acq(extent_at);
    kv_bucket_t *home = kv_home(store, hash, extent);
    uint32_t bits = kv_bucket_match(home, kv_hash_tag(hash));

    if (UNLIKELY(bits == 0)) {
        bool chained = (ld_acq(&home->tail) & 0xffff) != 0;
        kv_fence_acquire();
        if (LIKELY(!chained && ld_rlx(extent_at) == extent)) {
            kv_count(store, KV_COUNT_MISSES, 1);
            return KV_MISSING;
        }
        return find_short_slow(store, key, key_len, found);
    }
    found->word = extent;
    return note_and_take(store, &home->slot[__builtin_ctz(bits)], key,
                         key_len, found, hash);
}

/* For a key that is not noted; those that are long apart, since their hashes
 * take many registers. */
static KV_NOINLINE KV_FLATTEN kv_result_t
find_short_long_key(kv_store_t *store, const void *key, size_t key_len,
                               kv_short_t *found)
{
    if (UNLIKELY(key_len - 1 >= KV_SHORT_BYTES)) {
        return find_short_slow(store, key, key_len, found);
    }
    return find_short(store, kv_hash(store, key, key_len), key, key_len,
                      found);
}

static KV_NOINLINE KV_FLATTEN kv_result_t
find_short_anew(kv_store_t *store, const void *key, size_t key_len,
                               kv_short_t *found)
{
    if (UNLIKELY(key_len - 1 >= KV_HASH_SHORT_BYTES)) {
        return find_short_long_key(store, key, key_len, found);
    }
    return find_short(store, kv_hash_short(store, key, key_len), key, key_len,
                      found);
}

static KV_NOINLINE kv_result_t take_noted(kv_store_t *store,
                                          _Atomic uint64_t *slot_at,
                                          const void *key, size_t key_len,
                                          kv_short_t *found)
{
    led_t led;

    if (UNLIKELY(key_len > KV_SHORT_BYTES ||
                 !take(store, slot_at, key, key_len, found, &led))) {
        return find_short_anew(store, key, key_len, found);
    }
    if (led.flags != 0) {
        return take_mortal(store, led.record, found);
    }
    kv_count(store, KV_COUNT_HITS, 1);
    return KV_OK;
}

kv_result_t kv_short_find(kv_store_t *store, const void *key, size_t key_len,
                          kv_short_t *found)
{
    const kv_memo_t *memo = kv_memo_find(store, key, key_len);

    return memo != NULL ? take_noted(store, memo->slot, key, key_len, found)
                        : find_short_anew(store, key, key_len, found);
}

static KV_INLINE kv_result_t copy_short(const kv_short_t *found, void *value)
{
    kv_copy(value, found->source, found->bytes);
    kv_fence_acquire();
    if (UNLIKELY(ld_rlx((const _Atomic uint64_t *)found->word_at) !=
                 found->word)) {
        return KV_RETRY;
    }
    /* Not before: what follows a locked instruction waits for it. */
    if (UNLIKELY(found->slot_at != NULL)) {
        touch((_Atomic uint64_t *)found->slot_at, found->slot);
    }
    return KV_OK;
}

static KV_NOINLINE kv_result_t copy_short_by_libc(const kv_short_t *found,
                                                  void *value)
{
    return copy_short(found, value);
}

kv_result_t kv_short_copy(const kv_short_t *found, void *value)
{
    if (found->bytes > KV_SHORT_BYTES) {
        return copy_short_by_libc(found, value);
    }
    return copy_short(found, value);
}

void kv_items_prepare(kv_store_t *store, kv_item_t *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (LIKELY(!bad_key(items[i].key_len))) {
            items[i].hash = kv_hash(store, items[i].key, items[i].key_len);
            __builtin_prefetch(kv_hash_home(store, items[i].hash));
        }
    }
}

kv_result_t kv_item_short_find(kv_store_t *store, const kv_item_t *item,
                               kv_short_t *found)
{
    if (UNLIKELY(bad_key(item->key_len))) {
        return KV_BAD_KEY;
    }
    return find_short(store, item->hash, item->key, item->key_len,
                      found);
}

kv_result_t kv_read_peek(kv_store_t *store, const void *key, size_t key_len,
                         kv_read_t *read, kv_peek_t *peek)
{
    found_t found;
    uint64_t hash = kv_hash(store, key, key_len);

    for (;;) {
        /* The tail before the slots: whatever is set after the slots were
         * searched is newer than this. */
        uint64_t extent = ld_acq(kv_hash_extent(store, hash));
        uint64_t tail = ld_acq(&kv_home(store, hash, extent)->tail);
        look_t look =
            find_in_chain(store, hash, key, key_len, &found, false);
        if (look == LOOK_FOUND) {
            look = describe(store, &found, key_len, read);
        }
        if (look == LOOK_OTHER && kv_home_moved(store, hash, extent)) {
            continue;
        }
        if (look == LOOK_OTHER) {
            peek->version = store->epoch + (tail >> 16);
            peek->deadline_ms = 0;
            peek->expired = false;
            return KV_MISSING;
        }
        if (look == LOOK_FOUND) {
            peek->version = store->epoch + found.version;
            peek->deadline_ms = found.deadline_ms;
            peek->expired = found.expired;
            return found.expired ? KV_MISSING : KV_OK;
        }
    }
}

/* The stored bytes of a large value, plain or compressed. */
static KV_NOINLINE kv_result_t
copy_large(kv_store_t *store, const kv_read_t *read, unsigned char *to)
{
    const kv_shape_t shape = { .head_bytes = 24 };
    kv_large_t large;

    kv_record_large(store->data + read->source - read->key_len - 24, &shape,
                    &large);
    if (!still(store, read->segment, read->generation)) {
        return KV_RETRY;
    }
    kv_result_t result = kv_large_read(store, &large, read->chain_bytes, to);
    if (result != KV_OK) {
        return result;
    }
    kv_copy(to + read->chain_bytes, store->data + read->source,
            read->stored_bytes);
    return still(store, read->segment, read->generation) ? KV_OK : KV_RETRY;
}

static KV_INLINE kv_result_t copy_plain(kv_store_t *store,
                                        const kv_read_t *read, void *to)
{
    kv_copy(to, store->data + read->source, read->stored_bytes);
    return LIKELY(still(store, read->segment, read->generation)) ? KV_OK
                                                                 : KV_RETRY;
}

static KV_NOINLINE kv_result_t copy_compressed(kv_store_t *store,
                                               const kv_read_t *read,
                                               void *value)
{
    bool large = (read->kind & KV_FLAG_LARGE) != 0;
    size_t bytes = read->stored_bytes + (large ? read->chain_bytes : 0);
    unsigned char *packed = kv_scratch(store, bytes);
    if (packed == NULL) {
        return KV_NO_MEMORY;
    }
    kv_result_t result = large ? copy_large(store, read, packed)
                               : copy_plain(store, read, packed);
    if (result != KV_OK) {
        return result;
    }
    return kv_decompress(store, read->kind >> KV_FLAG_METHOD_SHIFT & 3,
                         packed, bytes, value, read->value_bytes);
}

kv_result_t kv_read_copy(kv_store_t *store, const kv_read_t *read, void *value)
{
    if (LIKELY(read->kind <= KV_FLAG_DEADLINE)) {
        return copy_plain(store, read, value);
    }
    if (read->kind & KV_FLAG_COUNTER) {
        memcpy(value, read->digits, read->value_bytes);
        return KV_OK;
    }
    return read->kind & KV_FLAG_RAW ? copy_compressed(store, read, value)
                                    : copy_large(store, read, value);
}

static KV_NOINLINE kv_result_t exists_slow(kv_store_t *store, uint64_t hash,
                                           const void *key, size_t key_len)
{
    found_t found;

    if (find_in_chain(store, hash, key, key_len, &found, false) !=
            LOOK_FOUND || found.expired) {
        return KV_MISSING;
    }
    kv_memo_note(store, hash, key, key_len, found.slot_at, found.home,
                 found.extent);
    return KV_OK;
}

static KV_INLINE kv_result_t exists(kv_store_t *store, uint64_t hash,
                                    const void *key, size_t key_len)
{
    found_t found;

    switch (find_quick(store, hash, key, key_len, &found, false)) {
    case LOOK_FOUND:
        kv_memo_note(store, hash, key, key_len, found.slot_at, found.home,
                     found.extent);
        return found.expired ? KV_MISSING : KV_OK;
    case LOOK_OTHER:
        return KV_MISSING;
    default:
        return exists_slow(store, hash, key, key_len);
    }
}

static KV_NOINLINE KV_FLATTEN kv_result_t exists_anew(kv_store_t *store,
                                                      const void *key,
                                                      size_t key_len)
{
    return UNLIKELY(bad_key(key_len))
               ? KV_BAD_KEY
               : exists(store, kv_hash(store, key, key_len), key, key_len);
}

kv_result_t kv_key_exists(kv_store_t *store, const void *key, size_t key_len)
{
    const kv_memo_t *memo = kv_memo_find(store, key, key_len);
    kv_result_t result = KV_RETRY;
    led_t led;

    if (memo != NULL &&
        lead(store, memo->slot, key, key_len, UINT32_MAX, &led)) {
        if (led.flags != 0) {
            result = check_deadline(led.record, led.word_at, led.word);
        } else {
            kv_fence_acquire();
            result = ld_rlx(led.word_at) == led.word ? KV_OK : KV_RETRY;
        }
    }
    return LIKELY(result != KV_RETRY) ? result
                                      : exists_anew(store, key, key_len);
}

kv_result_t kv_deadline_get(kv_store_t *store, const void *key,
                            size_t key_len, int64_t *ttl_ms)
{
    found_t found;

    if (bad_key(key_len)) {
        return KV_BAD_KEY;
    }
    if (find_in_chain(store, kv_hash(store, key, key_len), key, key_len,
                      &found, false) != LOOK_FOUND || found.expired) {
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
