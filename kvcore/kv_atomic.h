/* kv_atomic.h - shared words and racing copies.
 *
 * Words that several processes touch are C11 atomics; the four accessors
 * below only shorten the standard names.  Bytes of records are copied while
 * their segment may be recycled: the copy is then thrown away, because the
 * segment's generation is checked afterwards (kv_read.c), but the language
 * calls the race undefined.  The copy is therefore made by a call that the
 * compiler cannot look into, and under the sanitizers by relaxed atomics.
 *
 * The memory order of each word, and what it is for:
 *
 *   slot        store release, by the lock's holder: the record it points to
 *               is complete for whoever loads it with acquire.  Readers raise
 *               its frequency by a relaxed compare-and-swap; that continues
 *               the writer's release sequence, so acquiring the raised value
 *               still acquires the record.
 *   tail        store release, load acquire: a linked overflow bucket is
 *               empty and complete; a removal's version is there before the
 *               slot is cleared.
 *   extent      store release, load acquire: the buckets it adds are filled.
 *               What was split off is cleared, with release, after it: who
 *               misses a key there passes an acquire fence, loads the extent
 *               again and sees that the key's home has moved (kv_grow.h).
 *   word        of a segment.  Recycling stores the new generation; whoever
 *               claims the segment reads it by a compare-and-swap and passes
 *               a release fence before the first byte of the refill.  A
 *               reader that has read such a byte passes an acquire fence and
 *               loads the word: the two fences order that load after the
 *               recycling, so it sees another generation and throws the
 *               bytes away.  (kv_read.c: steps 5 and 8)
 *   counter,    in a record: store release in this order; a reader loads the
 *   stamp       stamp, passes an acquire fence, loads the counter: it never
 *               sees a counter older than its version says.
 *   deadline    store release, load relaxed: it stands alone.
 *   lock        compare-and-swap acquire, store release; taken over by a
 *               compare-and-swap that is both.  All that is written under it
 *               alone is relaxed: counters, lists, maps, write offsets.
 *   incarnation store release when attaching, load acquire when judging.
 *   watch       under the lock; its sequence is stored with release before
 *               the futex call and loaded with acquire before the sleeper
 *               looks at the key.
 *   free map    hints: atomic because shards share its words.
 *   magic       store release when the store is made, load acquire when
 *               attaching.
 *
 * Counts of shards and segments are read without their lock too, for choosing
 * a rich shard and for statistics: relaxed, and good enough for that.
 */

#ifndef KV_ATOMIC_H
#define KV_ATOMIC_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ld_rlx(p) atomic_load_explicit((p), memory_order_relaxed)
#define ld_acq(p) atomic_load_explicit((p), memory_order_acquire)
#define st_rlx(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define st_rel(p, v) atomic_store_explicit((p), (v), memory_order_release)

static_assert(sizeof(_Atomic uint64_t) == 8, "lock-free 8-byte words");
#if !defined(ATOMIC_LLONG_LOCK_FREE) || ATOMIC_LLONG_LOCK_FREE != 2
#error "kvcore needs lock-free 64-bit atomics"
#endif

#if defined(__SANITIZE_THREAD__)
#define KV_RACE_BY_BYTES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KV_RACE_BY_BYTES 1
#endif
#endif

/* ThreadSanitizer does not model fences, and gcc warns of each.  It runs on
 * x86-64, where the compiler's order is all that these two add to the loads
 * and stores around them. */
#ifdef KV_RACE_BY_BYTES
static inline void kv_fence_acquire(void)
{
    atomic_signal_fence(memory_order_acquire);
}

static inline void kv_fence_release(void)
{
    atomic_signal_fence(memory_order_release);
}
#else
static inline void kv_fence_acquire(void)
{
    atomic_thread_fence(memory_order_acquire);
}

static inline void kv_fence_release(void)
{
    atomic_thread_fence(memory_order_release);
}
#endif

#ifndef KV_RACE_BY_BYTES

static inline uint64_t kv_load8(const void *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

static inline uint32_t kv_load4(const void *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

/* A block of 16 bytes, in one register where the machine has such. */
typedef struct kv_block {
    uint64_t half[2];
} kv_block_t;

static inline void kv_copy16(unsigned char *to, const unsigned char *from)
{
    kv_block_t block;
    memcpy(&block, from, sizeof(block));
    memcpy(to, &block, sizeof(block));
}

/* Short ones in line and without a loop: the first half and the last half,
 * which overlap where the length is between two powers of two. */
static inline void kv_copy_short(unsigned char *to, const unsigned char *from,
                                 size_t bytes)
{
    const unsigned char *end = from + bytes;
    unsigned char *to_end = to + bytes;

    if (bytes > 64) {
        kv_copy16(to, from);
        kv_copy16(to + 16, from + 16);
        kv_copy16(to + 32, from + 32);
        kv_copy16(to + 48, from + 48);
        kv_copy16(to_end - 64, end - 64);
        kv_copy16(to_end - 48, end - 48);
        kv_copy16(to_end - 32, end - 32);
        kv_copy16(to_end - 16, end - 16);
    } else if (bytes > 32) {
        kv_copy16(to, from);
        kv_copy16(to + 16, from + 16);
        kv_copy16(to_end - 32, end - 32);
        kv_copy16(to_end - 16, end - 16);
    } else if (bytes >= 16) {
        kv_copy16(to, from);
        kv_copy16(to_end - 16, end - 16);
    } else if (bytes >= 8) {
        uint64_t first = kv_load8(from);
        uint64_t last = kv_load8(end - 8);
        memcpy(to, &first, 8);
        memcpy(to_end - 8, &last, 8);
    } else {
        while (from < end) {
            *to++ = *from++;
        }
    }
}

/* The bits in which 8 bytes at each differ. */
static inline uint64_t kv_differ8(const unsigned char *mine,
                                  const unsigned char *shared)
{
    return kv_load8(mine) ^ kv_load8(shared);
}

static inline bool kv_same_short(const unsigned char *mine,
                                 const unsigned char *shared, size_t bytes)
{
    const unsigned char *end = mine + bytes;
    const unsigned char *shared_end = shared + bytes;

    if (bytes > 16) {
        uint64_t differ = kv_differ8(end - 16, shared_end - 16) |
                          kv_differ8(end - 8, shared_end - 8);
        for (; mine < end - 16; mine += 16, shared += 16) {
            differ |= kv_differ8(mine, shared) |
                      kv_differ8(mine + 8, shared + 8);
        }
        return differ == 0;
    }
    if (bytes >= 8) {
        return (kv_differ8(mine, shared) |
                kv_differ8(end - 8, shared_end - 8)) == 0;
    }
    if (bytes >= 4) {
        return kv_load4(mine) == kv_load4(shared) &&
               kv_load4(end - 4) == kv_load4(shared_end - 4);
    }
    while (mine < end) {
        if (*mine++ != *shared++) {
            return false;
        }
    }
    return true;
}

#endif

/* What is longer goes to libc, which copies by the widest registers. */
#define KV_SHORT_BYTES 128u

/** memcpy from or to memory that another process may be rewriting. */
static inline void kv_copy(void *to, const void *from, size_t bytes)
{
#ifdef KV_RACE_BY_BYTES
    unsigned char *t = to;
    const unsigned char *f = from;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = __atomic_load_n(f + i, __ATOMIC_RELAXED);
        __atomic_store_n(t + i, c, __ATOMIC_RELAXED);
    }
#else
    __asm__ volatile("" : "+r"(from), "+r"(to) : : "memory");
    if (bytes <= KV_SHORT_BYTES) {
        kv_copy_short(to, from, bytes);
    } else {
        memcpy(to, from, bytes);
    }
    __asm__ volatile("" : : : "memory");
#endif
}

/** memcmp() == 0 against such memory; a wrong answer is possible only where
 * the generation changes. */
static inline bool kv_same(const void *mine, const void *shared, size_t bytes)
{
#ifdef KV_RACE_BY_BYTES
    const unsigned char *m = mine;
    const unsigned char *s = shared;
    for (size_t i = 0; i < bytes; i++) {
        if (m[i] != __atomic_load_n(s + i, __ATOMIC_RELAXED)) {
            return false;
        }
    }
    return true;
#else
    __asm__ volatile("" : "+r"(shared) : : "memory");
    return bytes <= KV_SHORT_BYTES ? kv_same_short(mine, shared, bytes)
                                   : memcmp(mine, shared, bytes) == 0;
#endif
}

static inline void kv_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" : : : "memory");
#endif
}

#endif
