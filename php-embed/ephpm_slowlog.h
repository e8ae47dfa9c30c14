/* ephpm_slowlog.h - where a script is that takes long, without disturbing it.
 *
 * A signal would cut a script's sleep() short, and a process that is not
 * dumpable cannot be traced by another.  So where a slow log is configured
 * each runner has one small thread that sleeps on a word in memory which it
 * shares with its spawner.  The spawner rings; the thread reads PHP's frames
 * by a system call that fails where a pointer leads nowhere, for the script
 * goes on meanwhile, and appends them to the file:
 *
 *      [27-Nov-2026 10:15:01]  [pool ephpm] pid 4711
 *      script_filename = /srv/app/public/index.php
 *      [0x00007f2c4e614120] sleep() /srv/app/src/Report.php:12
 *      [0x00007f2c4e6140a0] Report::build() /srv/app/public/index.php:5
 *
 * (php-fpm's format; each line has the place of the call.)
 *
 * The thread takes no lock and allocates nothing: a script that forks while
 * it writes has no lock in its hands in the child.
 */

#ifndef EPHPM_SLOWLOG_H
#define EPHPM_SLOWLOG_H

#include "ephpm_pool.h"

#include <stdatomic.h>
#include <stdint.h>

/** One for each runner, in memory that spawner and runner share. */
typedef struct ephpm_bell {
    _Atomic uint32_t rung;          /* futex: raised with each question */
    _Atomic int32_t utc_offset_s;   /* of the local time, by the spawner */
    _Atomic uint64_t word;          /* which job is meant */
} ephpm_bell_t;

/**
 * In a runner, after its fork: make the thread.
 *
 * @param index  of the runner
 * @return 0, or errno
 */
int ephpm_slowlog_start(const ephpm_pool_t *pool, unsigned index,
                        ephpm_bell_t *bell);

/** In the spawner: have the job traced that `running` is. */
void ephpm_slowlog_ring(ephpm_bell_t *bell, const ephpm_running_t *running);

/**
 * Can it be written?
 * @return 0, or errno
 */
int ephpm_slowlog_check(const ephpm_pool_t *pool);

#endif
