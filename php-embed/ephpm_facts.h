/* ephpm_facts.h - what a runner publishes about PHP, for a status page that
 * is written by a process without PHP.
 *
 * Plain data with its strings inside, put into the job table by
 * ephpm_facts_put() at most once a second, after a request.
 */

#ifndef EPHPM_FACTS_H
#define EPHPM_FACTS_H

#include "ephpm_jobs.h"
#include "ephpm_status.h"

/** In a runner: publish, if the last time is a second ago. */
void ephpm_facts_publish(ephpm_jobs_t *jobs);

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

#endif
