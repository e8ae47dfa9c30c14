/* kv_life.c - see kv_life.h. */

#include "kv_life.h"

#include "kv_atomic.h"

#include <errno.h>
#include <unistd.h>

bool kv_life_init(kv_life_t *life)
{
    pthread_mutexattr_t attributes;

    if (pthread_mutexattr_init(&attributes) != 0) {
        return false;
    }
    bool made =
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) ==
            0 &&
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
        pthread_mutex_init(&life->mutex, &attributes) == 0;
    pthread_mutexattr_destroy(&attributes);
    return made;
}

/* 0: the caller holds it.  EBUSY: somebody does.  Anything else: memory that
 * was scribbled over. */
static int try_lock(kv_life_t *life)
{
    int rc = pthread_mutex_trylock(&life->mutex);
    if (rc == EOWNERDEAD) {
        rc = pthread_mutex_consistent(&life->mutex);
    }
    return rc;
}

bool kv_life_take(kv_life_t *life, uint64_t *incarnation)
{
    if (try_lock(life) != 0) {
        return false;
    }
    *incarnation = (ld_rlx(&life->incarnation) + 1) & KV_INCARNATION_MASK;
    st_rel(&life->incarnation, *incarnation);
    st_rlx(&life->pid, (uint64_t)getpid());
    return true;
}

void kv_life_leave(kv_life_t *life)
{
    st_rlx(&life->pid, 0);
    pthread_mutex_unlock(&life->mutex);
}

kv_life_state_t kv_life_catch(kv_life_t *life, uint64_t incarnation)
{
    if (ld_acq(&life->incarnation) != incarnation) {
        return KV_LIFE_OTHER;
    }
    int rc = try_lock(life);
    return rc == 0       ? KV_LIFE_CAUGHT
           : rc == EBUSY ? KV_LIFE_ALIVE
                         : KV_LIFE_OTHER;
}

void kv_life_let_go(kv_life_t *life)
{
    pthread_mutex_unlock(&life->mutex);
}

bool kv_life_dead(kv_life_t *life, uint64_t incarnation)
{
    kv_life_state_t state = kv_life_catch(life, incarnation);

    if (state == KV_LIFE_CAUGHT) {
        kv_life_let_go(life);
    }
    return state != KV_LIFE_ALIVE;
}

bool kv_life_vacant(kv_life_t *life)
{
    if (try_lock(life) != 0) {
        return false;
    }
    kv_life_let_go(life);
    return true;
}
