/* kv_lock.c - see kv_lock.h. */

#include "kv_lock.h"

#include "kv_clock.h"

#include <errno.h>
#include <unistd.h>

#define SPINS 200
#define SLEEP_FIRST_NS 20000L
#define SLEEP_LAST_NS 1000000L

kv_result_t kv_thread_attach(kv_store_t *store)
{
    uint32_t threads = store->geometry.threads;
    /* Begin at a place of one's own, so that a start with hundreds of
     * workers does not have each of them try every place. */
    uint32_t start = (uint32_t)getpid() % threads;

    for (uint32_t i = 0; i < threads; i++) {
        uint32_t entry = (start + i) % threads;
        kv_thread_t *thread = &store->threads[entry];
        int rc = pthread_mutex_trylock(&thread->life);
        if (rc == EOWNERDEAD) {
            rc = pthread_mutex_consistent(&thread->life);
        }
        if (rc != 0) {
            continue;
        }
        uint64_t incarnation =
            (ld_rlx(&thread->incarnation) + 1) & KV_INCARNATION_MASK;
        st_rel(&thread->incarnation, incarnation);
        st_rlx(&thread->pid, (uint64_t)getpid());
        store->entry = entry;
        store->counts = thread->counts;
        store->lock_word = (uint64_t)(entry + 1) << 48 | incarnation;
        return KV_OK;
    }
    return KV_BUSY;
}

void kv_thread_detach(kv_store_t *store)
{
    if (store->lock_word == 0) {
        return;
    }
    kv_thread_t *thread = &store->threads[store->entry];
    store->lock_word = 0;
    store->counts = store->own_counts;
    st_rlx(&thread->pid, 0);
    pthread_mutex_unlock(&thread->life);
}

/* Dead?  With `lock` not NULL the lock word is taken over as K3 says. */
static bool owner_dead(kv_store_t *store, uint64_t word, kv_lock_t *lock,
                       bool *taken)
{
    uint64_t entry = (word >> 48) - 1;
    kv_thread_t *thread = NULL;
    int rc = 0;

    if (entry < store->geometry.threads) {
        thread = &store->threads[entry];
        if (ld_acq(&thread->incarnation) == (word & KV_INCARNATION_MASK)) {
            rc = pthread_mutex_trylock(&thread->life);
            if (rc == EBUSY) {
                return false;
            }
        } else {
            thread = NULL;
        }
    }
    if (lock != NULL) {
        *taken = atomic_compare_exchange_strong_explicit(
            lock, &word, store->lock_word, memory_order_acq_rel,
            memory_order_relaxed);
    }
    if (thread != NULL && rc == EOWNERDEAD) {
        pthread_mutex_consistent(&thread->life);
        rc = 0;
    }
    if (thread != NULL && rc == 0) {
        pthread_mutex_unlock(&thread->life);
    }
    return true;
}

bool kv_lock_owner_dead(kv_store_t *store, uint64_t word)
{
    bool taken;
    return owner_dead(store, word, NULL, &taken);
}

bool kv_lock_steal(kv_store_t *store, kv_lock_t *lock)
{
    uint64_t word = ld_rlx(lock);
    bool taken = false;

    if (word == 0 || word == store->lock_word || store->lock_word == 0) {
        return false;
    }
    if (owner_dead(store, word, lock, &taken) && taken) {
        kv_count(store, KV_COUNT_STEALS, 1);
    }
    return taken;
}

kv_result_t kv_lock_slow(kv_store_t *store, kv_lock_t *lock, bool *stolen)
{
    return kv_lock_within(store, lock, store->config.wait_limit_ms, stolen);
}

kv_result_t kv_lock_within(kv_store_t *store, kv_lock_t *lock,
                           int64_t limit_ms, bool *stolen)
{
    int64_t give_up_ms = 0;
    struct timespec pause = { 0, SLEEP_FIRST_NS };

    *stolen = false;
    if (store->lock_word == 0 && kv_thread_attach(store) != KV_OK) {
        return KV_BUSY;
    }
    for (unsigned spin = 0;; spin++) {
        uint64_t word = ld_rlx(lock);
        if (word == 0) {
            if (atomic_compare_exchange_weak_explicit(
                    lock, &word, store->lock_word, memory_order_acquire,
                    memory_order_relaxed)) {
                return KV_OK;
            }
            continue;
        }
        if (word == store->lock_word) {
            return KV_BUSY;
        }
        if (spin < SPINS) {
            kv_pause();
            continue;
        }
        bool taken = false;
        if (owner_dead(store, word, lock, &taken)) {
            if (taken) {
                kv_count(store, KV_COUNT_STEALS, 1);
                *stolen = true;
                return KV_OK;
            }
            continue;
        }
        if (limit_ms <= 0) {
            return KV_BUSY;
        }
        int64_t now_ms = kv_now_ms();
        if (give_up_ms == 0) {
            give_up_ms = now_ms + limit_ms;
        } else if (now_ms > give_up_ms) {
            return KV_BUSY;
        }
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        if (pause.tv_nsec < SLEEP_LAST_NS) {
            pause.tv_nsec *= 2;
        }
    }
}
