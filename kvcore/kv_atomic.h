/* kv_atomic.h - shared words and racing copies.
 *
 * Words that several processes touch are C11 atomics; the four accessors
 * below only shorten the standard names.  Bytes of records are copied while
 * their segment may be recycled: the copy is then thrown away, because the
 * segment's generation is checked afterwards (kv_read.c), but the language
 * calls the race undefined.  The copy is therefore made by a call that the
 * compiler cannot look into, and under the sanitizers by relaxed atomics.
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

/* ThreadSanitizer does not model fences (and gcc warns of each): there the
 * words around the fence are ordered by sequential consistency instead. */
#ifdef KV_RACE_BY_BYTES
#define KV_FENCE_ORDER memory_order_seq_cst
static inline void kv_fence_acquire(void) {}
static inline void kv_fence_release(void) {}
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
    memcpy(to, from, bytes);
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
    return memcmp(mine, shared, bytes) == 0;
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
