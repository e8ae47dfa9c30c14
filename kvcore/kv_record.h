/* kv_record.h - a record: one key with its value, in a segment.
 *
 *   0        8        16
 *   +--------+--------+----------+---------+-----+----------------+-----+
 *   | stamp  | shape  | deadline | counter | raw | large: 3 words | key |
 *   +--------+--------+----------+---------+-----+----------------+-----+
 *                      `-- each there where shape's flag says so --'
 *   +-------+-----------+
 *   | value | 0-7 bytes |   the next record begins 8-aligned
 *   +-------+-----------+
 *
 *   stamp  {version : 48, key_len : 16}; the version counts from the epoch
 *   shape  {stored bytes of the value here : 32, flags : 32}
 *
 * An example, 48 bytes: key "visits", a counter at 7 with no deadline:
 *   stamp = version << 16 | 6, shape = COUNTER, counter = 7, "visits", 2 pad
 *
 * Immutable once a slot points to it, but for three aligned words that are
 * stored whole: stamp (only its version changes), deadline and counter.
 *
 * R1  stamp.key_len is 1 or more; the record ends inside its segment.
 * R2  flags are known; COUNTER has no stored bytes and no raw size.
 * R3  a LARGE record's chain has as many chunks as its size needs, each of
 *     the generation its link says, owned by the record's shard.
 */

#ifndef KV_RECORD_H
#define KV_RECORD_H

#include "kv_layout.h"

#define KV_FLAG_DEADLINE 1u
#define KV_FLAG_COUNTER 2u
#define KV_FLAG_RAW 4u         /* compressed; `raw` is the size unpacked */
#define KV_FLAG_LARGE 8u
#define KV_FLAG_METHOD_SHIFT 4u /* two bits: kv_compression_t */
#define KV_FLAGS_KNOWN 0x3fu

#define KV_RECORD_MIN_BYTES 16u
/* Every optional word at once. */
#define KV_RECORD_HEAD_MAX_BYTES (16u + 8u + 8u + 8u + 24u)

#define KV_VERSION_BITS 48u
#define KV_VERSION_MASK ((UINT64_C(1) << KV_VERSION_BITS) - 1)

/* Private copy of a record's header. */
typedef struct kv_shape {
    uint64_t version;
    uint32_t key_len;
    uint32_t stored_bytes;
    uint32_t flags;
    uint32_t head_bytes;   /* up to the key */
    uint32_t total_bytes;  /* multiple of 8 */
} kv_shape_t;

/* A LARGE record's three words, right before its key. */
typedef struct kv_large {
    uint64_t total_bytes;  /* stored bytes in chunks and here */
    uint64_t first;        /* segment of the first chunk */
    uint64_t generation;   /* of that segment */
} kv_large_t;

static inline uint32_t kv_flags_head_bytes(uint32_t flags)
{
    return 16u + 8u * (flags & 1u) + 8u * ((flags >> 1) & 1u) +
           8u * ((flags >> 2) & 1u) + 24u * ((flags >> 3) & 1u);
}

static inline uint64_t kv_record_bytes(uint32_t flags, size_t key_len,
                                       size_t stored_bytes)
{
    return ((uint64_t)kv_flags_head_bytes(flags) + key_len + stored_bytes +
            7u) & ~UINT64_C(7);
}

static inline _Atomic uint64_t *kv_record_word(void *record, uint32_t at)
{
    return (_Atomic uint64_t *)(void *)((unsigned char *)record + at);
}

static inline _Atomic uint64_t *kv_record_deadline(void *record)
{
    return kv_record_word(record, 16);
}

static inline _Atomic uint64_t *kv_record_counter(void *record, uint32_t flags)
{
    return kv_record_word(record, 16 + 8 * (flags & KV_FLAG_DEADLINE));
}

static inline _Atomic uint64_t *kv_record_raw(void *record, uint32_t flags)
{
    return kv_record_word(record, 16 + 8 * (flags & KV_FLAG_DEADLINE));
}

/**
 * Read the header of the record at `record`, which has `room_bytes` to the
 * end of its segment.  The caller checks the segment's generation.
 *
 * @return false: it would not fit (torn or broken)
 */
static inline bool kv_record_shape(void *record, uint64_t room_bytes,
                                   kv_shape_t *shape)
{
    uint64_t stamp = ld_rlx(kv_record_word(record, 0));
    uint64_t second = ld_rlx(kv_record_word(record, 8));
    shape->version = stamp >> 16;
    shape->key_len = (uint32_t)(stamp & 0xffff);
    shape->stored_bytes = (uint32_t)second;
    shape->flags = (uint32_t)(second >> 32);
    shape->head_bytes = kv_flags_head_bytes(shape->flags);
    uint64_t total = ((uint64_t)shape->head_bytes + shape->key_len +
                      shape->stored_bytes + 7u) & ~UINT64_C(7);
    if (total > room_bytes) {
        return false;
    }
    shape->total_bytes = (uint32_t)total;
    return true;
}

/** Stored bytes of a LARGE record, chunks included. */
void kv_record_large(void *record, const kv_shape_t *shape, kv_large_t *large);

static inline int64_t kv_record_deadline_ms(void *record, uint32_t flags)
{
    return (flags & KV_FLAG_DEADLINE)
               ? (int64_t)ld_rlx(kv_record_deadline(record))
               : 0;
}

#endif
