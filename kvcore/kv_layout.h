/* kv_layout.h - how the shared memory is laid out.
 *
 *   memory handed over by the host
 *   +--------+---------+--------+----------+---------+-----------+
 *   | header | threads | shards | free map | words   | segments' |
 *   |        | (life   | (locks)| (pool)   | (state, | book-     |
 *   |        | mutexes)|        |          | gener.) | keeping   |
 *   +--------+---------+--------+----------+---------+-----------+
 *   | overflow maps | extents | index: shard 0 | shard 1 | ...   |
 *   +------------------------------------------------------------+
 *   | segment 0 | segment 1 | ...                                |
 *   +------------------------------------------------------------+
 *
 * Only offsets are stored.  The geometry is computed from the size and the
 * configuration alone; attaching computes it anew and compares, so nothing
 * that a stray write has put into the header is ever followed.
 *
 * L1  magic, layout hash, size and geometry are those of this build.
 * L2  every region lies inside the memory handed over.
 */

#ifndef KV_LAYOUT_H
#define KV_LAYOUT_H

#include "kv.h"
#include "kv_atomic.h"
#include "kv_compiler.h"
#include "kv_life.h"

#include <assert.h>

#define KV_MAGIC UINT64_C(0x31766b6d70687065) /* "ephpmkv1" */
#define KV_LAYOUT_VERSION 2u
#define KV_LINE_BYTES 64u
#define KV_SECRET_BYTES 192u
#define KV_BUCKET_SLOTS 7u
#define KV_SHARDS_MAX 64u
#define KV_OVERFLOW_MAX 65535u
/* Offsets in slots: 2^39 units of 8 bytes. */
#define KV_LAYOUT_OFFSET_BITS 39u
/* One index slot for each so many bytes of memory. */
#define KV_BYTES_PER_SLOT 66u
/* One overflow bucket for each so many buckets. */
#define KV_BUCKETS_PER_OVERFLOW 5u
/* A shard's index begins with at least so many buckets, one block of them,
 * and doubles at most so often (kv_grow.h). */
#define KV_BLOCK_BUCKETS_MIN 8u
#define KV_DOUBLINGS_MAX 12u
/* The part of a segment before its first record: a chunk's link. */
#define KV_SEGMENT_HEAD_BYTES 16u

/* Sizes and offsets in bytes from the aligned start of the memory. */
typedef struct kv_geometry {
    uint64_t size_bytes;
    uint64_t threads_at;
    uint64_t shards_at;
    uint64_t free_map_at;
    uint64_t words_at;
    uint64_t segments_at;
    uint64_t overflow_maps_at;
    uint64_t extents_at;
    uint64_t index_at;
    uint64_t data_at;
    uint32_t threads;          /* entries in the table of threads */
    uint32_t shards;
    uint32_t segments;
    uint32_t segment_bytes;
    uint32_t buckets;          /* of each shard, fully grown; no overflow */
    uint32_t doublings;        /* until it has all of them */
    uint32_t overflow;         /* overflow buckets of each shard */
    uint32_t free_map_words;
    uint32_t overflow_map_words; /* of each shard */
    uint32_t reserve;          /* free segments kept for copying forward */
} kv_geometry_t;

/* A lock word: 0, or {entry + 1 : 16, incarnation : 48} of its owner. */
typedef _Atomic uint64_t kv_lock_t;

typedef struct kv_header {
    _Atomic uint64_t magic;      /* stored last by kv_store_create() */
    uint64_t layout_hash;
    kv_geometry_t geometry;
    uint64_t epoch;              /* creation, microseconds of real time */
    uint32_t eviction;
    uint32_t compression;
    int32_t compression_level;
    uint32_t min_compress_bytes;
    uint32_t wait_limit_ms;
    uint32_t padding;
    unsigned char secret[KV_SECRET_BYTES];
    kv_lock_t build_lock;        /* of the large value being built */
} kv_header_t;

typedef enum kv_count {
    KV_COUNT_HITS,
    KV_COUNT_MISSES,
    KV_COUNT_SETS,
    KV_COUNT_DELETES,
    KV_COUNT_EVICTIONS,
    KV_COUNT_EXPIRATIONS,
    KV_COUNT_REJECTIONS,
    KV_COUNT_STEALS,
    KV_COUNTS
} kv_count_t;

/* One attached thread.  Counters stay when the entry changes hands. */
typedef struct kv_thread {
    kv_life_t life;                  /* held while attached */
    _Alignas(KV_LINE_BYTES) _Atomic uint64_t counts[KV_COUNTS];
} kv_thread_t;

typedef enum kv_queue {
    KV_QUEUE_SMALL,   /* new keys */
    KV_QUEUE_MAIN,    /* keys that were copied forward */
    KV_QUEUES
} kv_queue_t;

/* Where those who wait for a key sleep; chosen by the key's hash. */
#define KV_WATCHES 32u
typedef struct kv_watch {
    _Atomic int64_t until_ms;     /* somebody may sleep here until then */
    _Atomic uint32_t sequence;    /* the futex; raised by every change */
    uint32_t padding;
} kv_watch_t;

/* One shard.  Written under its lock only.  Its truth is in lock,
 * version and noted; entries, sums, lists and what is open are derived anew
 * after an owner's death (kv_derive.c), and any value of the others will do. */
typedef struct kv_shard {
    _Alignas(KV_LINE_BYTES) kv_lock_t lock;
    _Atomic uint64_t version;     /* the newest, relative to the epoch */
    _Atomic uint64_t noted;       /* the record whose counter is changing */
    _Atomic uint64_t entries;
    _Atomic uint64_t live_bytes;
    _Atomic int64_t watched_until_ms; /* somebody may wait for a key */
    _Atomic uint32_t open[KV_QUEUES];   /* segment + 1, or 0 */
    _Atomic uint64_t evicted;     /* keys, as the clock of ghosts */
    _Alignas(KV_LINE_BYTES) _Atomic uint32_t first; /* own segments + 1 */
    _Atomic uint32_t count[KV_QUEUES];  /* of log segments */
    _Atomic uint32_t large_count;       /* of segments in chains */
    _Atomic uint32_t overflow_used;
    _Atomic uint32_t overflow_hint;
    _Atomic uint64_t sequence;    /* the newest segment's */
    _Atomic uint64_t random;
    kv_watch_t watch[KV_WATCHES];
} kv_shard_t;

/* Seven slots, and a tail: {version of the last removal : 48,
 * overflow bucket + 1 : 16}. */
typedef struct kv_bucket {
    _Atomic uint64_t slot[KV_BUCKET_SLOTS];
    _Atomic uint64_t tail;
} kv_bucket_t;

static_assert(sizeof(kv_bucket_t) == KV_LINE_BYTES, "a bucket is a line");

/* Book-keeping of one segment; its truth is its word (kv_segment.h).  All
 * derived but sequence and write_off. */
typedef struct kv_segment {
    _Atomic uint32_t write_off;      /* bytes from the segment's start */
    _Atomic uint32_t live_bytes;
    _Atomic uint32_t permanent_bytes; /* of them, without a deadline */
    _Atomic uint32_t next;           /* of the same shard, + 1 */
    _Atomic uint64_t sequence;       /* order of opening in the shard */
    _Atomic int64_t min_deadline_ms; /* no record expires before this */
} kv_segment_t;

static_assert(sizeof(kv_segment_t) == 32, "two segments' books in a line");

typedef struct kv_counts {
    _Atomic uint64_t counts[KV_COUNTS];
} kv_counts_t;

/* Where a key was met (kv_memo.h).  Belongs to a handle. */
#define KV_MEMO_BITS 6u
typedef struct kv_memo {
    _Alignas(KV_LINE_BYTES) uint64_t first;
    uint64_t last;
    _Atomic uint64_t hash;
    uint64_t check;
    _Atomic uint64_t *slot;
    kv_bucket_t *home;
    uint64_t extent;
} kv_memo_t;

/* The handle. */
struct kv_store {
    /* What a read needs. */
    unsigned char *data;
    _Atomic uint64_t *words;
    _Atomic uint64_t *counts;        /* the entry's, or own_counts */
    _Atomic uint64_t *extents;
    const unsigned char *data_end;
    uint64_t last_unit;              /* slots' offsets are up to this */
    uint32_t shard_mask;
    uint32_t block_buckets;
    uint32_t block_mask;             /* blocks of the grown index - 1 */
    uint32_t buckets;
    uint32_t segments;
    uint32_t segment_bytes;
    uint32_t segment_shift;          /* log2 of segment_bytes */
    uint32_t unit_shift;             /* of a segment's units of 8 bytes */
    uint32_t count_frequency;        /* bool: the policy wants it */
    uint32_t overflow;
    uint64_t lock_word;              /* 0: not attached */
    unsigned char secret[KV_SECRET_BYTES];
    kv_bucket_t *shard_index[KV_SHARDS_MAX];
    kv_memo_t memo[1u << KV_MEMO_BITS];

    kv_header_t *header;
    kv_thread_t *threads;
    kv_shard_t *shards;
    _Atomic uint64_t *free_map;
    kv_segment_t *segment;
    _Atomic uint64_t *overflow_maps;
    uint64_t epoch;
    uint64_t large_record_bytes;     /* records up to this are not split */
    uint64_t value_max_bytes;
    kv_geometry_t geometry;
    kv_config_t config;
    uint32_t entry;                  /* in the table of threads */
    _Atomic uint64_t own_counts[KV_COUNTS];
    unsigned char *scratch;
    size_t scratch_bytes;
    kv_store_t *list_next;           /* every handle of this process */
    kv_store_t **list_link;
};

/**
 * Compute the geometry of a store of `size_bytes` aligned bytes.
 * @return KV_OK, KV_INVALID (too small, or config out of range)
 */
kv_result_t kv_geometry_make(uint64_t size_bytes, const kv_config_t *config,
                             kv_geometry_t *geometry);


/** The first line boundary in `memory`; the size left is `*size_bytes`. */
static inline unsigned char *kv_layout_align(void *memory, size_t *size_bytes)
{
    uintptr_t at = (uintptr_t)memory;
    uintptr_t aligned =
        (at + KV_LINE_BYTES - 1) & ~(uintptr_t)(KV_LINE_BYTES - 1);
    size_t skipped = (size_t)(aligned - at);
    *size_bytes = *size_bytes > skipped ? *size_bytes - skipped : 0;
    return (unsigned char *)aligned;
}

static inline void kv_count(kv_store_t *store, kv_count_t which, uint64_t by)
{
    st_rlx(&store->counts[which], ld_rlx(&store->counts[which]) + by);
}

#endif
