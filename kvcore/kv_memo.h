/* kv_memo.h - where a handle has met its last keys in the index.
 *
 * Scripts ask for the same few keys again and again.  A handle notes, for
 * some of them, the slot where the key was found, so that the next time there
 * is no hashing, no bucket to find and no tag to match: some fifty cycles
 * less.  It is a hint that costs nothing to be wrong: what the slot points to
 * is compared with the key and validated like any other (kv_read.c), and a
 * key that has left the slot is sought anew.
 *
 * Only a key's hash is believed.  A signal handler that uses the handle may
 * find or make notes between any two instructions of its thread, so a sum
 * over key, length, hash and home says that they are of one note.  The slot
 * is always one of the index.
 */

#ifndef KV_MEMO_H
#define KV_MEMO_H

#include "kv_index.h"

/* Keys shorter than this have no eight bytes to compare at once. */
#define KV_MEMO_KEY_MIN_BYTES 8u
/* Keys up to this are nothing but their first and last eight bytes. */
#define KV_MEMO_KEY_WHOLE_BYTES 16u
/* Longer ones are rare, and comparing them is a call. */
#define KV_MEMO_KEY_MAX_BYTES KV_SHORT_BYTES

/* The key's first and last eight bytes; of a longer key the eight in the
 * middle are mixed in, for "user:1:profile" and "user:2:profile". */
typedef struct kv_memo_ends {
    uint64_t first;
    uint64_t last;
} kv_memo_ends_t;

static KV_INLINE kv_memo_ends_t kv_memo_ends(const void *key, size_t key_len)
{
    kv_memo_ends_t ends;

    memcpy(&ends.first, key, 8);
    memcpy(&ends.last, (const unsigned char *)key + key_len - 8, 8);
    if (key_len > KV_MEMO_KEY_WHOLE_BYTES) {
        uint64_t middle;
        memcpy(&middle, (const unsigned char *)key + key_len / 2 - 4, 8);
        ends.first ^= middle << 31 | middle >> 33;
    }
    return ends;
}

/** The place where such a key would be noted. */
static KV_INLINE kv_memo_t *kv_memo_at(kv_store_t *store, kv_memo_ends_t ends)
{
    /* Fibonacci hashing: the golden ratio, in 64 bits. */
    uint64_t mixed = (ends.first ^ (ends.last << 9 | ends.last >> 55)) *
                     UINT64_C(0x9e3779b97f4a7c15);
    return &store->memo[mixed >> (64 - KV_MEMO_BITS)];
}

/**
 * Note nothing in a new handle, whose bytes are 0.  Ends of zeros belong to
 * the first place: other ends are put there, which belong elsewhere.
 */
static inline void kv_memo_begin(kv_store_t *store)
{
    store->memo[0].first = 1;
    assert(kv_memo_at(store, (kv_memo_ends_t){0, 0}) == &store->memo[0] &&
           kv_memo_at(store, (kv_memo_ends_t){1, 0}) != &store->memo[0]);
}

/* What holds a key's ends, its length, its hash and its home together: where
 * a signal handler has made a note amid another one the parts are of two
 * keys. */
static KV_INLINE uint64_t kv_memo_check(kv_memo_ends_t ends, size_t key_len,
                                        uint64_t hash, const kv_bucket_t *home)
{
    return (ends.first * UINT64_C(0x9e3779b97f4a7c15) ^
            ends.last * UINT64_C(0xc2b2ae3d27d4eb4f)) +
           key_len * UINT64_C(0x165667b19e3779f9) + hash + (uintptr_t)home;
}

/**
 * What is noted of a key with these ends, or NULL.  A key of more than
 * KV_MEMO_KEY_WHOLE_BYTES may be another one.
 */
static KV_INLINE kv_memo_t *kv_memo_find(kv_store_t *store, const void *key,
                                         size_t key_len)
{
    if (UNLIKELY(key_len - KV_MEMO_KEY_MIN_BYTES >
                 KV_MEMO_KEY_MAX_BYTES - KV_MEMO_KEY_MIN_BYTES)) {
        return NULL;
    }
    kv_memo_ends_t ends = kv_memo_ends(key, key_len);
    kv_memo_t *memo = kv_memo_at(store, ends);
    return ((memo->first ^ ends.first) | (memo->last ^ ends.last)) == 0 ? memo
                                                                        : NULL;
}

/** What is noted of this very key, and its hash; or NULL. */
static KV_INLINE const kv_memo_t *kv_memo_of(kv_store_t *store,
                                             const void *key, size_t key_len,
                                             uint64_t *hash)
{
    if (UNLIKELY(key_len - KV_MEMO_KEY_MIN_BYTES >
                 KV_MEMO_KEY_WHOLE_BYTES - KV_MEMO_KEY_MIN_BYTES)) {
        return NULL;
    }
    kv_memo_ends_t ends = kv_memo_ends(key, key_len);
    const kv_memo_t *memo = kv_memo_at(store, ends);
    *hash = ld_rlx(&memo->hash);
    return ((memo->first ^ ends.first) | (memo->last ^ ends.last) |
            (memo->check ^
             kv_memo_check(ends, key_len, *hash, memo->home))) == 0
               ? memo : NULL;
}

/**
 * Note a slot of a key's chain where the key was met, or may have been.
 *
 * The slot may be in an overflow bucket, which another chain may have by the
 * time the note is read: what is in the slot then is another key's or nothing,
 * for the bucket was empty when it left the chain (I3).
 *
 * @param extent  the shard's, when the chain was that of the key's home
 */
static KV_INLINE void kv_memo_note(kv_store_t *store, uint64_t hash,
                                   const void *key, size_t key_len,
                                   _Atomic uint64_t *slot, kv_bucket_t *home,
                                   uint64_t extent)
{
    if (UNLIKELY(key_len - KV_MEMO_KEY_MIN_BYTES >
                 KV_MEMO_KEY_MAX_BYTES - KV_MEMO_KEY_MIN_BYTES)) {
        return;
    }
    kv_memo_ends_t ends = kv_memo_ends(key, key_len);
    kv_memo_t *memo = kv_memo_at(store, ends);
    memo->slot = slot;
    atomic_signal_fence(memory_order_seq_cst);
    memo->home = home;
    memo->extent = extent;
    memo->first = ends.first;
    memo->last = ends.last;
    st_rlx(&memo->hash, hash);
    memo->check = kv_memo_check(ends, key_len, hash, home);
}

/** The bucket that a slot is in: a bucket is a line. */
static KV_INLINE kv_bucket_t *kv_memo_bucket(const _Atomic uint64_t *slot)
{
    return (kv_bucket_t *)((uintptr_t)slot &
                           ~(uintptr_t)(KV_LINE_BYTES - 1));
}

#endif
