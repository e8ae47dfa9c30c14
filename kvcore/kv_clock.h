/* kv_clock.h - the clock of deadlines: milliseconds since boot.
 *
 * Monotonic, so that setting the wall clock expires nothing; coarse, as a
 * deadline need not be sharper than a scheduler tick and the coarse clock
 * costs a fifth of the exact one.
 */

#ifndef KV_CLOCK_H
#define KV_CLOCK_H

#include <stdint.h>
#include <time.h>

#ifdef CLOCK_MONOTONIC_COARSE
#define KV_CLOCK CLOCK_MONOTONIC_COARSE
#else
#define KV_CLOCK CLOCK_MONOTONIC
#endif

static inline int64_t kv_now_ms(void)
{
    struct timespec now;
    clock_gettime(KV_CLOCK, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** The deadline `ttl_ms` (positive) after now_ms, saturated. */
static inline int64_t kv_deadline_after(int64_t now_ms, int64_t ttl_ms)
{
    return ttl_ms > INT64_MAX - 1 - now_ms ? INT64_MAX - 1 : now_ms + ttl_ms;
}

#endif
