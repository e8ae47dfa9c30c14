/* kvt_clock.c - a clock of deadlines that tests move.  Programs that contain
 * it are linked with --wrap=clock_gettime. */

#include "kvt.h"

#include "kv_clock.h"

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

static int64_t moved_ms;
static int64_t stopped_ms;
static int64_t ticks_ms;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int rc = __real_clock_gettime(clock, now);

    if (rc == 0 && clock == KV_CLOCK) {
        int64_t ms = stopped_ms != 0
                         ? stopped_ms
                         : (int64_t)now->tv_sec * 1000 +
                               now->tv_nsec / 1000000;
        ms += moved_ms;
        moved_ms += ticks_ms;
        now->tv_sec = (time_t)(ms / 1000);
        now->tv_nsec = (long)(ms % 1000) * 1000000;
    }
    return rc;
}

void kvt_clock_stop(void)
{
    stopped_ms = kv_now_ms() - moved_ms;
}

void kvt_clock_move(int64_t ms)
{
    moved_ms += ms;
}

void kvt_clock_tick(int64_t ms)
{
    ticks_ms = ms;
}
