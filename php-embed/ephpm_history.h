/* ephpm_history.h - how a store's figures went in the last hour.
 *
 * A ring in memory that the host's processes share, one for each store.  Time
 * is cut into periods; a period's sample is the last one taken in it.  Nobody
 * is there to take them but the processes that serve requests, each after its
 * request and all of them together about once a second: where nothing is
 * served there are no samples, and readers are told so.
 *
 *      period   ... 4711    4712    4713    4714   ...
 *     +-----------+-------+-------+-------+-------+------+
 *     | next, made|   0   |   1   | none  |   3   | ...  |   period % SLOTS
 *     +-----------+-------+-------+-------+-------+------+
 *
 * H1  Nobody waits.  Whoever moves `next` on, by one compare-and-swap, takes
 *     the sample.
 * H2  A sample counts only while its `stamp` is its period's number plus one,
 *     before and after it was read.  It is 0 while the sample is written.
 * H3  Memory that was scribbled over makes wrong figures or gaps, and nothing
 *     worse: no index or length is taken from it.
 *
 * Two writers meet in a slot only if one of them has stood still for a second
 * in the middle of a sample.  What a reader then gets are figures of both.
 */

#ifndef EPHPM_HISTORY_H
#define EPHPM_HISTORY_H

#include "kv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EPHPM_HISTORY_SLOTS 240u
#define EPHPM_HISTORY_PERIOD_S 15u

/** What is kept of kv_stats_t. */
typedef enum ephpm_figure {
    EPHPM_USED_BYTES,
    EPHPM_ENTRIES,
    /* From here on they count up. */
    EPHPM_HITS,
    EPHPM_MISSES,
    EPHPM_SETS,
    EPHPM_DELETES,
    EPHPM_EVICTIONS,
    EPHPM_EXPIRATIONS,
    EPHPM_REJECTIONS,
    EPHPM_FIGURES
} ephpm_figure_t;

typedef struct ephpm_history ephpm_history_t;

/** The memory that one takes, aligned as for uint64_t. */
size_t ephpm_history_bytes(void);

/** Changes with its layout: a host that keeps the memory for longer than the
 * code makes it anew then. */
uint64_t ephpm_history_layout(void);

/** Make one in zeroed memory, before others use it. */
ephpm_history_t *ephpm_history_make(void *memory);

/** When it was made, in seconds since 1970. */
int64_t ephpm_history_made(const ephpm_history_t *history);

/** Milliseconds of the clock that histories go by. */
uint64_t ephpm_history_clock(void);

/**
 * Is it time for a sample, and the caller's to take it?
 *
 * @param now_ms  ephpm_history_clock()
 * One load where it is not time.
 */
bool ephpm_history_due(ephpm_history_t *history, uint64_t now_ms);

/** Put a sample in. */
void ephpm_history_add(ephpm_history_t *history, uint64_t now_ms,
                       const kv_stats_t *stats);

/** A period, for readers. */
typedef struct ephpm_period {
    bool known;                 /* there is a sample */
    bool rated;                 /* and one of the period before */
    double age_s;               /* of the sample */
    uint64_t figures[EPHPM_FIGURES];
    double rates[EPHPM_FIGURES];    /* a second; of what counts up */
} ephpm_period_t;

/** Read it all, the oldest period first; the last one is now's. */
void ephpm_history_read(const ephpm_history_t *history, uint64_t now_ms,
                        ephpm_period_t periods[EPHPM_HISTORY_SLOTS]);

#endif
