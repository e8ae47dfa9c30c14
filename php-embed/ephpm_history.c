/* ephpm_history.c - see ephpm_history.h. */

#include "ephpm_history.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define PERIOD_MS (EPHPM_HISTORY_PERIOD_S * UINT64_C(1000))
#define PAUSE_MS UINT64_C(1000)
/* A next sample that is farther away than this was not set by us. */
#define BELIEVABLE_MS (10 * PAUSE_MS)

typedef struct sample {
    _Atomic uint64_t stamp;
    _Atomic uint64_t at_ms;
    _Atomic uint64_t figures[EPHPM_FIGURES];
} sample_t;

struct ephpm_history {
    _Atomic uint64_t next_ms;
    _Atomic int64_t made_s;
    sample_t samples[EPHPM_HISTORY_SLOTS];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
               "processes share these: no lock can stand behind them");

size_t ephpm_history_bytes(void)
{
    return sizeof(ephpm_history_t);
}

uint64_t ephpm_history_layout(void)
{
    return ((uint64_t)sizeof(ephpm_history_t) << 32)
           | (uint64_t)EPHPM_HISTORY_PERIOD_S << 16 | EPHPM_FIGURES;
}

ephpm_history_t *ephpm_history_make(void *memory)
{
    ephpm_history_t *history = memory;

    atomic_store_explicit(&history->made_s, (int64_t)time(NULL),
                          memory_order_relaxed);
    return history;
}

int64_t ephpm_history_made(const ephpm_history_t *history)
{
    return atomic_load_explicit(&history->made_s, memory_order_relaxed);
}

uint64_t ephpm_history_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool ephpm_history_due(ephpm_history_t *history, uint64_t now_ms)
{
    uint64_t next = atomic_load_explicit(&history->next_ms,
                                         memory_order_relaxed);

    if (now_ms < next && next - now_ms <= BELIEVABLE_MS) {
        return false;
    }
    return atomic_compare_exchange_strong_explicit(
        &history->next_ms, &next, now_ms + PAUSE_MS, memory_order_relaxed,
        memory_order_relaxed);
}

void ephpm_history_add(ephpm_history_t *history, uint64_t now_ms,
                       const kv_stats_t *stats)
{
    const uint64_t figures[EPHPM_FIGURES] = {
        [EPHPM_USED_BYTES] = stats->used_bytes,
        [EPHPM_ENTRIES] = stats->entries,
        [EPHPM_HITS] = stats->hits,
        [EPHPM_MISSES] = stats->misses,
        [EPHPM_SETS] = stats->sets,
        [EPHPM_DELETES] = stats->deletes,
        [EPHPM_EVICTIONS] = stats->evictions,
        [EPHPM_EXPIRATIONS] = stats->expirations,
        [EPHPM_REJECTIONS] = stats->rejections,
    };
    uint64_t period = now_ms / PERIOD_MS;
    sample_t *sample = &history->samples[period % EPHPM_HISTORY_SLOTS];

    atomic_store_explicit(&sample->stamp, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&sample->at_ms, now_ms, memory_order_relaxed);
    for (int i = 0; i < EPHPM_FIGURES; i++) {
        atomic_store_explicit(&sample->figures[i], figures[i],
                              memory_order_relaxed);
    }
    atomic_store_explicit(&sample->stamp, period + 1, memory_order_release);
}

/* @return when it was taken, or 0: there is none */
static uint64_t read_sample(const ephpm_history_t *history, uint64_t period,
                            uint64_t figures[EPHPM_FIGURES])
{
    const sample_t *sample = &history->samples[period % EPHPM_HISTORY_SLOTS];
    uint64_t at_ms;

    if (atomic_load_explicit(&sample->stamp, memory_order_acquire)
        != period + 1) {
        return 0;
    }
    at_ms = atomic_load_explicit(&sample->at_ms, memory_order_relaxed);
    for (int i = 0; i < EPHPM_FIGURES; i++) {
        figures[i] = atomic_load_explicit(&sample->figures[i],
                                          memory_order_relaxed);
    }
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&sample->stamp, memory_order_relaxed)
            != period + 1
        || at_ms / PERIOD_MS != period) {
        return 0;
    }
    return at_ms;
}

void ephpm_history_read(const ephpm_history_t *history, uint64_t now_ms,
                        ephpm_period_t periods[EPHPM_HISTORY_SLOTS])
{
    uint64_t last = now_ms / PERIOD_MS;
    uint64_t before_ms = 0;

    memset(periods, 0, EPHPM_HISTORY_SLOTS * sizeof(periods[0]));
    for (unsigned i = 0; i < EPHPM_HISTORY_SLOTS; i++) {
        ephpm_period_t *period = &periods[i];
        uint64_t ago = EPHPM_HISTORY_SLOTS - 1 - i;
        uint64_t at_ms = last < ago
            ? 0 : read_sample(history, last - ago, period->figures);

        period->known = at_ms != 0;
        if (period->known) {
            period->age_s = now_ms > at_ms ? (double)(now_ms - at_ms) / 1000
                                           : 0;
            period->rated = before_ms != 0 && at_ms > before_ms;
        }
        for (int f = EPHPM_HITS; period->rated && f < EPHPM_FIGURES; f++) {
            uint64_t was = periods[i - 1].figures[f];
            uint64_t is = period->figures[f];

            /* What counts up does not go down. */
            period->rates[f] = is > was ? (double)(is - was) * 1000
                                          / (double)(at_ms - before_ms)
                                        : 0;
        }
        before_ms = at_ms;
    }
}
