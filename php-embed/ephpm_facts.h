/* ephpm_facts.h - what a runner publishes about PHP, for a status page that
 * is written by a process without PHP.
 *
 * Plain data with its strings inside, put into the job table by
 * ephpm_facts_put() at most once a second, after a request.  Knows no PHP.
 *
 *      | state, flags | opcache's figures | text NUL text NUL ... |
 *
 * Texts begin with a byte that says whether they are there.  Whoever reads
 * them clamps all of it: a script can write the table.
 */

#ifndef EPHPM_FACTS_H
#define EPHPM_FACTS_H

#include "ephpm_jobs.h"
#include "ephpm_status.h"

/**
 * In any process: fill in `php`, `opcache` and `each_extension` of `status`
 * from what was published.
 *
 * @param room  EPHPM_FACTS_BYTES of the caller's, which the strings point
 *              into
 * @return false: nothing was published yet (the fields then say so:
 *         version "", opcache off)
 */
bool ephpm_facts_fill(const ephpm_jobs_t *jobs, ephpm_status_t *status,
                      void *room);

/** Fill in the figures of a status' runners. */
void ephpm_facts_runners(const ephpm_jobs_t *jobs,
                         ephpm_status_runners_t *runners);

/**
 * For a runner: pack what `status` says of PHP.
 *
 * @param room  EPHPM_FACTS_BYTES
 * @return how many of them are used
 */
size_t ephpm_facts_pack(const ephpm_status_t *status, void *room);

/** ephpm_facts_fill() without a table. */
bool ephpm_facts_unpack(void *facts, size_t bytes, ephpm_status_t *status);

#endif
