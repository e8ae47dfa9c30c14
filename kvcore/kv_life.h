/* kv_life.h - who is alive, by the kernel's own word.
 *
 * A thread that others must know to be alive holds a robust, process-shared
 * mutex for as long as it is attached, its *life*; the kernel lets go of it
 * at the thread's death, whatever killed it.  An incarnation counts who has
 * held it.  So "{place, incarnation} is dead" can be answered at once:
 *
 *   dead if the place's incarnation is another by now, or
 *   if the mutex can be had: pthread_mutex_trylock gives EOWNERDEAD (said
 *   once only) or 0.
 *
 * Immune to the reuse of process and thread ids, true for zombies nobody
 * waits for, false for stopped processes.
 *
 * L1  The incarnation is raised by the holder of the mutex alone, after it
 *     has locked it.
 * L2  A life is initialised once, and neither destroyed nor unmapped while
 *     anybody may hold it.
 * L3  Memory that was scribbled over makes wrong answers; a process that must
 *     not be steered by scripts (a server's root parent) calls nothing here
 *     but kv_life_init().
 */

#ifndef KV_LIFE_H
#define KV_LIFE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Incarnations are numbers of 48 bits. */
#define KV_INCARNATION_MASK ((UINT64_C(1) << 48) - 1)

typedef struct kv_life {
    pthread_mutex_t mutex;
    _Atomic uint64_t incarnation;
    _Atomic uint64_t pid;       /* for messages only; 0: nobody */
} kv_life_t;

/** What kv_life_catch() found. */
typedef enum kv_life_state {
    KV_LIFE_ALIVE,      /* it lives */
    KV_LIFE_OTHER,      /* dead: somebody else has the place by now (or the
                         * memory was scribbled over) */
    KV_LIFE_CAUGHT      /* dead or gone, and the caller holds the mutex: it
                         * owes kv_life_let_go() */
} kv_life_state_t;

/**
 * Make one in zeroed shared memory, before anybody uses it.
 * @return false: the system has no robust process-shared mutexes
 */
bool kv_life_init(kv_life_t *life);

/**
 * Take the place for the calling thread, if nobody has it.  Never waits.
 *
 * @param incarnation  receives the thread's own
 * @return false: somebody alive has it
 */
bool kv_life_take(kv_life_t *life, uint64_t *incarnation);

/** Leave it, in the thread that took it. */
void kv_life_leave(kv_life_t *life);

/**
 * Look for whether `incarnation` is alive; if it is not and nobody else has
 * the place, hold the place so that nobody takes it meanwhile.  Never waits.
 */
kv_life_state_t kv_life_catch(kv_life_t *life, uint64_t incarnation);

/** After KV_LIFE_CAUGHT. */
void kv_life_let_go(kv_life_t *life);

/** Is `incarnation` dead, or gone?  For looking only: it may change. */
bool kv_life_dead(kv_life_t *life, uint64_t incarnation);

/** Does nobody alive have the place?  For looking only. */
bool kv_life_vacant(kv_life_t *life);

#endif
