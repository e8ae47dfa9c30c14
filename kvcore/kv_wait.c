/* kv_wait.c - see kv_wait.h. */

#include "kv_wait.h"

#include "kv_clock.h"
#include "kv_evict.h"
#include "kv_futex.h"
#include "kv_lock.h"
#include "kv_read.h"

/* How long at most a waiter sleeps before it looks again by itself. */
#define LOOK_AGAIN_MS 100
#define WATCH_MS (2 * LOOK_AGAIN_MS)

void kv_wake_slow(kv_store_t *store, kv_shard_t *shard,
                  const kv_bucket_t *home)
{
    kv_watch_t *watch = kv_watch_of(store, shard, home);
    int64_t now_ms = kv_now_ms();

    if (ld_rlx(&shard->watched_until_ms) < now_ms) {
        st_rlx(&shard->watched_until_ms, 0);
        return;
    }
    if (ld_rlx(&watch->until_ms) >= now_ms) {
        st_rel(&watch->sequence, ld_rlx(&watch->sequence) + 1);
        kv_futex_wake(&watch->sequence);
    }
}

/* Say that somebody waits here.  Where the lock cannot be had the waiter
 * looks again every 100 ms all the same. */
static void announce(kv_store_t *store, kv_shard_t *shard, kv_watch_t *watch)
{
    if (kv_shard_lock(store, shard) == KV_OK) {
        int64_t until_ms = kv_now_ms() + WATCH_MS;
        st_rlx(&watch->until_ms, until_ms);
        st_rlx(&shard->watched_until_ms, until_ms);
        kv_unlock(&shard->lock);
    }
}

static int64_t exact_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

kv_result_t kv_key_wait(kv_store_t *store, const void *key, size_t key_len,
                        uint64_t last_version, uint64_t timeout_ms,
                        uint64_t *version, kv_read_t *read)
{
    if (key_len - 1 >= KV_KEY_MAX_BYTES) {
        return KV_BAD_KEY;
    }
    uint64_t hash = kv_hash(store, key, key_len);
    kv_shard_t *shard = &store->shards[kv_hash_shard(store, hash)];
    kv_watch_t *watch =
        kv_watch_of(store, shard, kv_hash_home(store, hash));
    int64_t begin_ms = exact_now_ms();
    bool announced = false;

    for (;;) {
        uint32_t sequence = ld_acq(&watch->sequence);
        kv_peek_t peek;
        kv_result_t result = kv_read_peek(store, key, key_len, read, &peek);
        if (peek.expired) {
            kv_key_remove_expired(store, key, key_len);
            result = kv_read_peek(store, key, key_len, read, &peek);
        }
        if (peek.version > last_version) {
            *version = peek.version;
            return result;
        }
        int64_t waited_ms = exact_now_ms() - begin_ms;
        if (waited_ms < 0 || (uint64_t)waited_ms >= timeout_ms) {
            return KV_TIMEOUT;
        }
        if (!announced) {
            announce(store, shard, watch);
            announced = true;
            continue;
        }
        uint64_t left_ms = timeout_ms - (uint64_t)waited_ms;
        int64_t sleep_ms =
            left_ms < LOOK_AGAIN_MS ? (int64_t)left_ms : LOOK_AGAIN_MS;
        if (peek.deadline_ms != 0) {
            int64_t lives_ms = peek.deadline_ms - kv_now_ms();
            if (lives_ms < sleep_ms) {
                sleep_ms = lives_ms < 1 ? 1 : lives_ms;
            }
        }
        kv_futex_wait(&watch->sequence, sequence, sleep_ms);
        announced = false;
    }
}
