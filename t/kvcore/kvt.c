/* kvt.c - see kvt.h. */

#include "kvt.h"

#include "kv_evict.h"
#include "kv_grow.h"
#include "kv_lock.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CASE_LIMIT_S 600

kv_config_t kvt_tiny(kv_eviction_t eviction)
{
    kv_config_t config;

    kv_config_init(&config);
    config.eviction = eviction;
    config.threads_max = 8;
    config.segment_bytes = 4096;
    config.shards = 1;
    return config;
}

void *kvt_shared(size_t size_bytes)
{
    void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    return memory;
}

void kvt_open(kvt_t *t, size_t size_bytes, const kv_config_t *config)
{
    t->size_bytes = size_bytes;
    t->config = *config;
    t->memory = kvt_shared(size_bytes);
    kvt_assert_ok(kv_store_create(t->memory, size_bytes, config));
    t->store = kvt_attach(t);
    kvt_assert_sound(t->store);
}

kv_store_t *kvt_attach(const kvt_t *t)
{
    kv_store_t *store = NULL;
    kvt_assert_ok(kv_store_attach(t->memory, t->size_bytes, &store));
    return store;
}

void kvt_grow_fully(kv_store_t *store)
{
    for (uint32_t i = 0; i < store->geometry.shards; i++) {
        kv_shard_t *shard = &store->shards[i];
        kvt_assert_ok(kv_shard_lock(store, shard));
        while (kv_grow(store, shard)) {
        }
        kv_unlock(&shard->lock);
        kvt_assert(store->extents[i] ==
                   kv_extent(store->buckets, store->block_mask));
    }
}

struct kvt_split {
    kv_store_t *store;
    uint32_t shard;
    size_t buckets_bytes;     /* of the shard's buckets, overflow and all */
    size_t map_bytes;
    unsigned char *buckets;   /* as they are after step 4 */
    unsigned char *map;
    uint32_t overflow_used;
};

static unsigned char *copy_of(const void *bytes, size_t count)
{
    unsigned char *copy = malloc(count);
    ck_assert_ptr_ne(copy, NULL);
    memcpy(copy, bytes, count);
    return copy;
}

kvt_split_t *kvt_split_begin(kv_store_t *store, uint32_t number)
{
    kv_shard_t *shard = &store->shards[number];
    kv_bucket_t *buckets = kv_shard_buckets(store, number);
    uint32_t words = store->geometry.overflow_map_words;
    uint64_t *map =
        (uint64_t *)(void *)(store->overflow_maps + (uint64_t)number * words);
    size_t buckets_bytes =
        sizeof(*buckets) * (store->buckets + store->overflow);
    uint64_t in_use = store->extents[number] >> KV_EXTENT_MASK_BITS;
    kv_bucket_t *before =
        (kv_bucket_t *)(void *)copy_of(buckets, buckets_bytes);
    uint64_t *map_before =
        (uint64_t *)(void *)copy_of(map, words * sizeof(*map));

    kvt_assert_ok(kv_shard_lock(store, shard));
    bool grown = kv_grow(store, shard);
    kv_unlock(&shard->lock);
    kvt_split_t *split = NULL;
    if (grown) {
        split = malloc(sizeof(*split));
        ck_assert_ptr_ne(split, NULL);
        *split = (kvt_split_t){
            .store = store,
            .shard = number,
            .buckets_bytes = buckets_bytes,
            .map_bytes = words * sizeof(*map),
            .buckets = copy_of(buckets, buckets_bytes),
            .map = copy_of(map, words * sizeof(*map)),
            .overflow_used = shard->overflow_used,
        };
        memcpy(buckets, before, in_use * sizeof(*buckets));
        for (uint32_t i = 0; i < store->overflow; i++) {
            uint64_t bit = UINT64_C(1) << (i % 64);
            if (map_before[i / 64] & bit) {
                memcpy(&buckets[store->buckets + i],
                       &before[store->buckets + i], sizeof(*buckets));
                shard->overflow_used += !(map[i / 64] & bit);
                map[i / 64] |= bit;
            }
        }
    }
    free(map_before);
    free(before);
    return split;
}

void kvt_split_end(kvt_split_t *split)
{
    kv_store_t *store = split->store;

    memcpy(kv_shard_buckets(store, split->shard), split->buckets,
           split->buckets_bytes);
    memcpy(store->overflow_maps + (uint64_t)split->shard *
                                      store->geometry.overflow_map_words,
           split->map, split->map_bytes);
    store->shards[split->shard].overflow_used = split->overflow_used;
    kvt_split_abandon(split);
}

void kvt_split_abandon(kvt_split_t *split)
{
    free(split->buckets);
    free(split->map);
    free(split);
}

void kvt_close(kvt_t *t)
{
    kvt_assert_sound(t->store);
    kv_store_detach(t->store);
    ck_assert_int_eq(munmap(t->memory, t->size_bytes), 0);
}

uint64_t kvt_hash(const kv_store_t *store, const char *key)
{
    return kv_hash(store, key, strlen(key));
}

uint64_t kvt_version(kv_store_t *store, const char *key)
{
    kv_read_t read;
    return kv_read_begin(store, key, strlen(key), &read) == KV_OK
               ? read.version : 0;
}

kv_result_t kvt_get(kv_store_t *store, const void *key, size_t key_len,
                    char **value, size_t *value_len)
{
    for (;;) {
        kv_read_t read;
        kv_result_t result = kv_read_begin(store, key, key_len, &read);
        if (result != KV_OK) {
            return result;
        }
        char *copy = malloc(read.value_bytes + 1);
        if (copy == NULL) {
            return KV_NO_MEMORY;
        }
        result = kv_read_copy(store, &read, copy);
        if (result == KV_OK) {
            copy[read.value_bytes] = '\0';
            *value = copy;
            *value_len = read.value_bytes;
            return KV_OK;
        }
        free(copy);
        if (result != KV_RETRY) {
            return result;
        }
    }
}

uint64_t kvt_random(kvt_random_t *random)
{
    /* splitmix64 (Steele, Lea, Flood 2014). */
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void kvt_fill(void *bytes, size_t count, uint64_t seed)
{
    unsigned char *at = bytes;
    kvt_random_t random = { seed };

    for (size_t i = 0; i < count; i += 8) {
        uint64_t word = kvt_random(&random);
        memcpy(at + i, &word, count - i < 8 ? count - i : 8);
    }
}

bool kvt_filled(const void *bytes, size_t count, uint64_t seed)
{
    const unsigned char *at = bytes;
    kvt_random_t random = { seed };

    for (size_t i = 0; i < count; i += 8) {
        uint64_t word = kvt_random(&random);
        if (memcmp(at + i, &word, count - i < 8 ? count - i : 8) != 0) {
            return false;
        }
    }
    return true;
}

pid_t kvt_fork(void)
{
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_msg(pid >= 0, "fork: %s", strerror(errno));
    return pid;
}

void kvt_child_end(bool good)
{
    _exit(good ? 0 : 1);
}

int kvt_wait(pid_t pid)
{
    int status = 0;
    pid_t got;

    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    ck_assert_int_eq(got, pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void kvt_sleep_ms(int64_t ms)
{
    struct timespec left = { (time_t)(ms / 1000),
                             (long)(ms % 1000) * 1000000 };
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
}

void kvt_wait_word(_Atomic int *word, int value)
{
    for (int i = 0; atomic_load(word) != value; i++) {
        ck_assert_msg(i < 60000, "the other process did not get there");
        kvt_sleep_ms(1);
    }
}

TCase *kvt_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, CASE_LIMIT_S);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int kvt_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
