/* ephpm_brood.h - the process that has started PHP, and its runners.
 *
 * It forks a runner for each place that nobody has, and buries those that
 * end: with a line in the log where one died in the middle of a script.  It
 * ends those whose script runs for too long, rings for the slow log, removes
 * what dead submitters have left in the temporary directory, and lets go of
 * their jobs.
 *
 * Places may be held by runners of a brood before it.  Those are nobody's
 * children: whether they live is seen by their lives, and they are told to
 * leave once they have nothing to do, one after the other, so that all have
 * the same opcache.
 *
 *      vacant --fork--> ours --ended--> vacant, and not before a while if it
 *                                       ended without having done anything
 *      adopted --dead--> vacant
 */

#ifndef EPHPM_BROOD_H
#define EPHPM_BROOD_H

#include "ephpm_pool_private.h"

/**
 * Look after the runners until SIGTERM (then they are told to leave, and
 * after `stop_ms` killed), SIGQUIT (no submitter is left: the same) or the
 * death of `spawner`.
 *
 * @param signals  blocked: SIGCHLD, SIGTERM, SIGQUIT
 */
_Noreturn void ephpm_brood_run(const ephpm_pool_t *pool,
                               ephpm_pool_shared_t *shared, pid_t spawner,
                               const sigset_t *signals);

/** The name of spawner and brood: the pool's title, "runner" in it replaced
 * by "spawner". */
void ephpm_brood_title(const ephpm_pool_t *pool);

#endif
