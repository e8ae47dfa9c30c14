/* kv_lock.c - see kv_lock.h. */

#include "kv_lock.h"

#include "kv_clock.h"

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
        uint64_t incarnation;
        if (!kv_life_take(&thread->life, &incarnation)) {
            continue;
        }
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
    store->lock_word = 0;
    store->counts = store->own_counts;
    kv_life_leave(&store->threads[store->entry].life);
}

/* Dead?  With `lock` not NULL the lock word is taken over as K3 says. */
static bool owner_dead(kv_store_t *store, uint64_t word, kv_lock_t *lock,
                       bool *taken)
{
    uint64_t entry = (word >> 48) - 1;
    kv_life_state_t state = KV_LIFE_OTHER;

    if (entry < store->geometry.threads) {
        state = kv_life_catch(&store->threads[entry].life,
                              word & KV_INCARNATION_MASK);
        if (state == KV_LIFE_ALIVE) {
            return false;
        }
    }
    if (lock != NULL) {
        *taken = atomic_compare_exchange_strong_explicit(
            lock, &word, store->lock_word, memory_order_acq_rel,
            memory_order_relaxed);
    }
    if (state == KV_LIFE_CAUGHT) {
        kv_life_let_go(&store->threads[entry].life);
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
