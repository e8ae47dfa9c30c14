/* kv_futex.h - sleeping on a shared word; the part that is Linux's own. */

#ifndef KV_FUTEX_H
#define KV_FUTEX_H

#include "kv_atomic.h"

#include <time.h>

#ifdef __linux__

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/** Sleep while *word is `value`, at most `ms`; may return early. */
static inline void kv_futex_wait(_Atomic uint32_t *word, uint32_t value,
                                 int64_t ms)
{
    struct timespec timeout = { ms / 1000, ms % 1000 * 1000000 };
    syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL, 0);
}

/** Wake all who sleep on *word. */
static inline void kv_futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

#else

static inline void kv_futex_wait(_Atomic uint32_t *word, uint32_t value,
                                 int64_t ms)
{
    struct timespec pause = { 0, 2000000 };
    for (int64_t slept = 0; slept < ms && ld_acq(word) == value;
         slept += 2) {
        nanosleep(&pause, NULL);
    }
}

static inline void kv_futex_wake(_Atomic uint32_t *word)
{
    (void)word;
}

#endif

#endif
