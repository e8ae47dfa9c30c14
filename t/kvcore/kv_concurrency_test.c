/* kv_concurrency_test.c - threads and processes at work in one store.
 *
 * Values describe themselves: {key's number, counter, length} and then bytes
 * that follow from these three, so a reader can check every byte of what it
 * got and that a key's counter never runs backwards.  How long a worker
 * works is a number of operations or the end of another's, never a time.
 */

#include "kvt.h"

#include "kv_index.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define WORKERS_MAX 12

typedef struct describes_itself {
    uint32_t key;
    uint32_t bytes;     /* of all of it */
    uint64_t counter;
} head_t;

/* Shared by the workers of one test, be they threads or processes. */
typedef struct shared {
    _Atomic int writers_left;
    _Atomic int readers_ready;
    _Atomic int failed;
    _Atomic uint64_t hits;
    _Atomic int64_t sum[8];
} shared_t;

typedef struct worker {
    int number;
    bool (*work)(struct worker *);
    kv_store_t *store;
} worker_t;

static kvt_t t;
static shared_t *shared;

/* Say what is wrong and end, and let the others end too. */
#define STOP_UNLESS(condition)                                               \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "# worker %d, line %d: %s\n", worker->number,    \
                    __LINE__, #condition);                                   \
            atomic_store(&shared->failed, 1);                                \
            return false;                                                    \
        }                                                                    \
    } while (0)

#define STOP_UNLESS_OK(call)                                                 \
    do {                                                                     \
        kv_result_t got_ = (call);                                           \
        if (got_ != KV_OK) {                                                 \
            fprintf(stderr, "# worker %d, line %d: %s: %s\n",                \
                    worker->number, __LINE__, #call, kv_result_text(got_));  \
        }                                                                    \
        STOP_UNLESS(got_ == KV_OK);                                          \
    } while (0)

/* ------------------------------------------------------------------ */
/* Workers                                                             */

static bool attach_and_work(worker_t *worker)
{
    if (kv_store_attach(t.memory, t.size_bytes, &worker->store) != KV_OK) {
        return false;
    }
    bool good = worker->work(worker);
    kv_store_detach(worker->store);
    return good;
}

static void *in_thread(void *argument)
{
    worker_t *worker = argument;
    return attach_and_work(worker) ? argument : NULL;
}

static void run_workers(worker_t *workers, int count, bool processes)
{
    pthread_t thread[WORKERS_MAX];
    pid_t pid[WORKERS_MAX];
    int failed = 0;

    for (int i = 0; i < count; i++) {
        workers[i].number = i;
        if (!processes) {
            ck_assert_int_eq(
                pthread_create(&thread[i], NULL, in_thread, &workers[i]), 0);
            continue;
        }
        pid[i] = kvt_fork();
        if (pid[i] == 0) {
            kvt_child_end(attach_and_work(&workers[i]));
        }
    }
    for (int i = 0; i < count; i++) {
        if (processes) {
            failed += kvt_wait(pid[i]) != 0;
        } else {
            void *result;
            ck_assert_int_eq(pthread_join(thread[i], &result), 0);
            failed += result == NULL;
        }
    }
    ck_assert_int_eq(failed, 0);
    kvt_assert_sound(t.store);
}

static void open_store(size_t size_bytes, kv_eviction_t eviction,
                       uint32_t segment_bytes, uint32_t shards)
{
    kv_config_t config = kvt_tiny(eviction);
    config.segment_bytes = segment_bytes;
    config.shards = shards;
    config.threads_max = WORKERS_MAX + 1;
    config.wait_limit_ms = 120000;
    kvt_open(&t, size_bytes, &config);
    shared = kvt_shared(sizeof(*shared));
}

static bool writers_at_work(void)
{
    return atomic_load(&shared->writers_left) > 0 &&
           atomic_load(&shared->failed) == 0;
}

/* ------------------------------------------------------------------ */
/* Values                                                              */

static size_t name_of(uint32_t key, char name[24])
{
    return (size_t)snprintf(name, 24, "key %u", key);
}

static void describe(char *value, uint32_t key, uint64_t counter,
                     uint32_t bytes)
{
    head_t head = { key, bytes, counter };
    memcpy(value, &head, sizeof(head));
    kvt_fill(value + sizeof(head), bytes - sizeof(head),
             (uint64_t)key << 40 ^ counter);
}

static bool describes(const char *value, size_t bytes, uint32_t key,
                      uint64_t *counter)
{
    head_t head;
    if (bytes < sizeof(head)) {
        return false;
    }
    memcpy(&head, value, sizeof(head));
    *counter = head.counter;
    return head.key == key && head.bytes == bytes &&
           kvt_filled(value + sizeof(head), bytes - sizeof(head),
                      (uint64_t)key << 40 ^ head.counter);
}

/* Mostly short, now and then as long as the test wants it. */
static uint32_t some_length(kvt_random_t *random, uint32_t usual,
                            uint32_t longest)
{
    return (uint32_t)sizeof(head_t) +
           kvt_below(random, kvt_below(random, 16) ? usual : longest);
}

/* ------------------------------------------------------------------ */
/* Readers and writers on the same keys                                */

typedef struct load {
    const char *name;
    bool processes;
    kv_eviction_t eviction;
    uint32_t size_bytes;
    uint32_t segment_bytes;
    uint32_t shards;
    uint32_t keys;        /* of each writer, its own */
    uint32_t usual;       /* length of most values */
    uint32_t longest;
    int writers;
    int readers;
    int writes;           /* of each writer */
} load_t;

static const load_t loads[] = {
    { "threads", false, KV_ALLKEYS_LRU, 96u << 10, 4096, 1, 400, 300, 3000,
      2, 2, 60000 },
    { "threads, shards", false, KV_ALLKEYS_LRU, 512u << 10, 4096, 4, 300, 400,
      20000, 3, 3, 30000 },
    { "threads, few keys", false, KV_ALLKEYS_RANDOM, 96u << 10, 4096, 1, 3,
      600, 9000, 2, 3, 40000 },
    { "processes", true, KV_ALLKEYS_LRU, 96u << 10, 4096, 1, 400, 300, 3000,
      2, 2, 60000 },
    { "processes, shards", true, KV_ALLKEYS_RANDOM, 512u << 10, 4096, 4, 300,
      400, 20000, 3, 3, 30000 },
    { "processes, default segments", true, KV_VOLATILE_LRU, 8u << 20,
      128u << 10, 2, 2000, 1000, 300000, 2, 2, 15000 },
};

static const load_t *load;

static bool write_own_keys(worker_t *worker)
{
    kvt_random_t random = { 100 + (uint64_t)worker->number };
    uint32_t first = (uint32_t)worker->number * load->keys;
    char *value = malloc(sizeof(head_t) + load->longest);
    int writes = load->writes / KVT_SLOWER;

    while (atomic_load(&shared->readers_ready) < load->readers &&
           writers_at_work()) {
        kvt_sleep_ms(1);
    }
    for (int i = 1; i <= writes; i++) {
        char name[24];
        uint32_t key = first + kvt_below(&random, load->keys);
        size_t len = name_of(key, name);
        uint32_t bytes = some_length(&random, load->usual, load->longest);
        /* All may be evicted under volatile-lru too. */
        describe(value, key, (uint64_t)i, bytes);
        STOP_UNLESS_OK(kv_value_set(worker->store, name, len, value, bytes,
                                 100000000, KV_SET_ALWAYS));
        switch (kvt_below(&random, 12)) {
        case 0: {
            kv_result_t result = kv_key_delete(worker->store, name, len);
            STOP_UNLESS(result == KV_OK || result == KV_MISSING);
            STOP_UNLESS(kv_key_exists(worker->store, name, len) ==
                        KV_MISSING);
            break;
        }
        case 1: {
            kv_result_t result =
                kv_deadline_set(worker->store, name, len, 200000000);
            STOP_UNLESS(result == KV_OK || result == KV_MISSING);
            break;
        }
        default: {
            /* Nobody else writes it: it is this one or evicted. */
            char *got;
            size_t got_bytes;
            uint64_t counter;
            kv_result_t result =
                kvt_get(worker->store, name, len, &got, &got_bytes);
            STOP_UNLESS(result == KV_OK || result == KV_MISSING);
            if (result == KV_OK) {
                STOP_UNLESS(describes(got, got_bytes, key, &counter));
                STOP_UNLESS(counter == (uint64_t)i);
                free(got);
            }
        }
        }
    }
    free(value);
    atomic_fetch_sub(&shared->writers_left, 1);
    return true;
}

static bool read_all_keys(worker_t *worker)
{
    kvt_random_t random = { 200 + (uint64_t)worker->number };
    uint32_t keys = load->keys * (uint32_t)load->writers;
    uint64_t *newest = calloc(keys, sizeof(*newest));
    uint64_t hits = 0;

    atomic_fetch_add(&shared->readers_ready, 1);
    do {
        for (int i = 0; i < 50; i++) {
            char name[24];
            uint32_t key = kvt_below(&random, keys);
            size_t len = name_of(key, name);
            char *got = NULL;
            char room[512];
            size_t bytes;
            uint64_t counter;
            kv_result_t result = kvt_read_short(worker->store, NULL, name, len,
                                                room, &bytes);
            const char *value = room;
            if (result == KV_TOO_LARGE || i % 2 == 0) {
                result = kvt_get(worker->store, name, len, &got, &bytes);
                value = got;
            }
            STOP_UNLESS(result == KV_OK || result == KV_MISSING);
            if (result == KV_OK) {
                STOP_UNLESS(describes(value, bytes, key, &counter));
                STOP_UNLESS(counter >= newest[key]);
                newest[key] = counter;
                hits++;
            }
            free(got);
        }
    } while (writers_at_work());
    free(newest);
    atomic_fetch_add(&shared->hits, hits);
    return true;
}

START_TEST(readers_get_whole_values_of_their_key_in_order)
{
    worker_t workers[WORKERS_MAX] = { 0 };
    kv_stats_t stats;
    load = &loads[_i];
    open_store(load->size_bytes, load->eviction, load->segment_bytes,
               load->shards);
    atomic_store(&shared->writers_left, load->writers);
    for (int i = 0; i < load->writers + load->readers; i++) {
        workers[i].work = i < load->writers ? write_own_keys : read_all_keys;
    }
    run_workers(workers, load->writers + load->readers, load->processes);
    kv_store_stats(t.store, &stats);
    ck_assert_uint_gt(atomic_load(&shared->hits), 0);
    ck_assert_uint_eq(stats.steals, 0);
    if (load->keys > 3) {
        ck_assert_uint_gt(stats.evictions, 0);
    }
    kvt_close(&t);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Counters                                                            */

#define COUNTERS 8
#define ADDS (40000 / KVT_SLOWER)

static bool add_everywhere(worker_t *worker)
{
    kvt_random_t random = { 300 + (uint64_t)worker->number };
    int64_t own[COUNTERS] = { 0 };

    for (int i = 0; i < ADDS; i++) {
        int which = (int)kvt_below(&random, COUNTERS);
        int64_t delta = (int64_t)kvt_below(&random, 2001) - 1000;
        int64_t sum;
        char name[24];
        size_t len = name_of((uint32_t)which, name);
        STOP_UNLESS_OK(kv_counter_add(worker->store, name, len, delta, &sum));
        own[which] += delta;
        if (i % 16 == 0) {
            /* Other keys come and go and move the counters about. */
            len = (size_t)snprintf(name, sizeof(name), "x%u",
                                   kvt_below(&random, 500));
            STOP_UNLESS_OK(kv_value_set(worker->store, name, len, "12345678", 8,
                                     KV_NO_TTL, KV_SET_ALWAYS));
        }
        if (i % 64 == 0) {
            /* A deadline changes the record, not the count. */
            len = name_of((uint32_t)which, name);
            STOP_UNLESS_OK(kv_deadline_set(worker->store, name, len,
                                        i % 128 ? 0 : 100000000));
        }
    }
    for (int i = 0; i < COUNTERS; i++) {
        atomic_fetch_add(&shared->sum[i], own[i]);
    }
    return true;
}

START_TEST(counters_of_many_add_up_exactly)
{
    worker_t workers[6] = { 0 };
    open_store(128u << 10, KV_NOEVICTION, 4096, 2);
    for (int i = 0; i < 6; i++) {
        workers[i].work = add_everywhere;
    }
    run_workers(workers, 6, _i == 1);
    for (int i = 0; i < COUNTERS; i++) {
        char name[24];
        char expected[32];
        size_t len = name_of((uint32_t)i, name);
        int bytes = snprintf(expected, sizeof(expected), "%lld",
                             (long long)atomic_load(&shared->sum[i]));
        kvt_assert_bytes(t.store, name, len, expected, (size_t)bytes);
    }
    kvt_close(&t);
}
END_TEST

/* Each sum is handed out once: what makes incr a ticket machine. */
static bool draw_tickets(worker_t *worker)
{
    int64_t before = 0;
    int64_t total = 0;
    for (int i = 0; i < ADDS; i++) {
        int64_t ticket;
        STOP_UNLESS_OK(kvt_add(worker->store, "ticket", 1, &ticket));
        STOP_UNLESS(ticket > before);
        before = ticket;
        total += ticket;
    }
    atomic_fetch_add(&shared->sum[0], total);
    return true;
}

START_TEST(no_ticket_is_drawn_twice)
{
    enum { DRAWERS = 4 };
    worker_t workers[DRAWERS] = { 0 };
    int64_t tickets = (int64_t)DRAWERS * ADDS;
    open_store(96u << 10, KV_ALLKEYS_LRU, 4096, 1);
    for (int i = 0; i < DRAWERS; i++) {
        workers[i].work = draw_tickets;
    }
    run_workers(workers, DRAWERS, _i == 1);
    ck_assert_int_eq(atomic_load(&shared->sum[0]),
                     tickets * (tickets + 1) / 2);
    kvt_close(&t);
}
END_TEST

/* ------------------------------------------------------------------ */
/* One wins                                                            */

#define ROUNDS (3000 / KVT_SLOWER)

static bool try_to_be_first(worker_t *worker)
{
    for (int i = 0; i < ROUNDS; i++) {
        char name[24];
        size_t len = name_of((uint32_t)i, name);
        kv_result_t result =
            kv_value_set(worker->store, name, len, &worker->number,
                         sizeof(worker->number), KV_NO_TTL, KV_SET_IF_ABSENT);
        STOP_UNLESS(result == KV_OK || result == KV_EXISTS);
        if (result == KV_OK) {
            atomic_fetch_add(&shared->sum[worker->number], 1);
        }
    }
    return true;
}

START_TEST(one_of_many_sets_an_absent_key)
{
    worker_t workers[4] = { 0 };
    int64_t won[4] = { 0 };
    int64_t total = 0;
    open_store(1u << 20, KV_NOEVICTION, 4096, 2);
    for (int i = 0; i < 4; i++) {
        workers[i].work = try_to_be_first;
    }
    run_workers(workers, 4, _i == 1);
    for (int i = 0; i < ROUNDS; i++) {
        char name[24];
        int winner = -1;
        size_t len = name_of((uint32_t)i, name);
        kv_read_t read;
        kvt_assert_ok(kv_read_begin(t.store, name, len, &read));
        ck_assert_uint_eq(read.value_bytes, sizeof(winner));
        kvt_assert_ok(kv_read_copy(t.store, &read, &winner));
        ck_assert_int_ge(winner, 0);
        ck_assert_int_lt(winner, 4);
        won[winner]++;
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(won[i], atomic_load(&shared->sum[i]));
        total += won[i];
    }
    ck_assert_int_eq(total, ROUNDS);
    kvt_close(&t);
}
END_TEST

/* A lock made of set-if-absent and delete-if-equal, as sessions have it. */
static bool lock_and_count(worker_t *worker)
{
    for (int i = 0; i < ROUNDS; i++) {
        char token[24];
        size_t len = (size_t)snprintf(token, sizeof(token), "%d.%d",
                                      worker->number, i);
        while (kv_value_set(worker->store, "lock", 4, token, len, 100000000,
                            KV_SET_IF_ABSENT) != KV_OK) {
            STOP_UNLESS(atomic_load(&shared->failed) == 0);
            sched_yield();
        }
        /* Not atomic at all: exact only if the lock is one. */
        int64_t now = atomic_load_explicit(&shared->sum[0],
                                           memory_order_relaxed);
        if (i % 8 == 0) {
            sched_yield();
        }
        atomic_store_explicit(&shared->sum[0], now + 1, memory_order_relaxed);
        STOP_UNLESS(kv_key_delete_equal(worker->store, "lock", 4, "another",
                                        7) == KV_DIFFERENT);
        STOP_UNLESS_OK(kv_key_delete_equal(worker->store, "lock", 4, token,
                                        len));
    }
    return true;
}

START_TEST(a_lock_of_set_if_absent_and_delete_if_equal_holds)
{
    worker_t workers[4] = { 0 };
    open_store(128u << 10, KV_ALLKEYS_LRU, 4096, 1);
    for (int i = 0; i < 4; i++) {
        workers[i].work = lock_and_count;
    }
    run_workers(workers, 4, _i == 1);
    ck_assert_int_eq(atomic_load(&shared->sum[0]), 4 * ROUNDS);
    kvt_assert_missing(t.store, "lock");
    kvt_close(&t);
}
END_TEST

/* A counter kept by compare-and-set. */
static bool count_by_comparing(worker_t *worker)
{
    for (int i = 0; i < ROUNDS; i++) {
        for (;;) {
            char *now;
            char next[40];
            size_t len;
            STOP_UNLESS_OK(kvt_get(worker->store, "n", 1, &now, &len));
            /* With a tail, so that no counter record is made of it. */
            int bytes = snprintf(next, sizeof(next), "%ld of many",
                                 strtol(now, NULL, 10) + 1);
            kv_result_t result =
                kv_value_set_equal(worker->store, "n", 1, now, len, next,
                                   (size_t)bytes, KV_NO_TTL);
            free(now);
            if (result == KV_OK) {
                break;
            }
            STOP_UNLESS(result == KV_DIFFERENT);
        }
    }
    return true;
}

START_TEST(compare_and_set_loses_no_update)
{
    worker_t workers[4] = { 0 };
    char expected[40];
    open_store(128u << 10, KV_ALLKEYS_LRU, 4096, 1);
    kvt_assert_ok(kvt_set(t.store, "n", "0 of many"));
    for (int i = 0; i < 4; i++) {
        workers[i].work = count_by_comparing;
    }
    run_workers(workers, 4, _i == 1);
    snprintf(expected, sizeof(expected), "%d of many", 4 * ROUNDS);
    kvt_assert_value(t.store, "n", expected);
    kvt_close(&t);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Enumerating and flushing while others write                         */

#define PERMANENT 300

static bool write_beside(worker_t *worker)
{
    kvt_random_t random = { 400 + (uint64_t)worker->number };
    for (int i = 0; i < 30000 / KVT_SLOWER; i++) {
        char name[24];
        snprintf(name, sizeof(name), "passing %u", kvt_below(&random, 800));
        kv_result_t result = kvt_below(&random, 2)
                                 ? kvt_set(worker->store, name, "value")
                                 : kvt_delete(worker->store, name);
        STOP_UNLESS(result == KV_OK || result == KV_MISSING);
        if (i % 100 == 0) {
            /* An update moves the record, not the key. */
            snprintf(name, sizeof(name), "stays %u",
                     kvt_below(&random, PERMANENT));
            STOP_UNLESS_OK(kvt_set(worker->store, name, "changed"));
        }
    }
    atomic_fetch_sub(&shared->writers_left, 1);
    return true;
}

static bool enumerate(worker_t *worker)
{
    do {
        int seen[PERMANENT] = { 0 };
        uint64_t cursor = 0;
        do {
            kv_scan_t scan;
            size_t len;
            kv_scan_begin(worker->store, &scan, cursor, "stays ", 6, 100);
            while (kv_scan_key(worker->store, &scan, &len) == KV_OK) {
                char name[24] = { 0 };
                STOP_UNLESS(len < sizeof(name));
                if (kv_scan_copy(worker->store, &scan, name) == KV_RETRY) {
                    continue;
                }
                STOP_UNLESS(memcmp(name, "stays ", 6) == 0);
                unsigned long number = strtoul(name + 6, NULL, 10);
                STOP_UNLESS(number < PERMANENT);
                seen[number]++;
            }
            cursor = scan.cursor;
        } while (cursor != 0);
        for (int i = 0; i < PERMANENT; i++) {
            STOP_UNLESS(seen[i] == 1);
        }
        atomic_fetch_add(&shared->hits, 1);
    } while (writers_at_work());
    return true;
}

START_TEST(what_stays_is_enumerated_once_while_others_come_and_go)
{
    worker_t workers[4] = { { .work = write_beside },
                            { .work = write_beside },
                            { .work = enumerate },
                            { .work = enumerate } };
    open_store(256u << 10, KV_NOEVICTION, 4096, 2);
    for (int i = 0; i < PERMANENT; i++) {
        char name[24];
        snprintf(name, sizeof(name), "stays %d", i);
        kvt_assert_ok(kvt_set(t.store, name, "value"));
    }
    atomic_store(&shared->writers_left, 2);
    run_workers(workers, 4, _i == 1);
    ck_assert_uint_gt(atomic_load(&shared->hits), 0);
    kvt_close(&t);
}
END_TEST

/* ------------------------------------------------------------------ */
/* While the index grows                                               */

#define PASSING 40

static bool let_the_index_grow(worker_t *worker)
{
    const kv_store_t *store = worker->store;
    kvt_random_t random = { 500 };

    while (atomic_load(&shared->readers_ready) < 3 && writers_at_work()) {
        kvt_sleep_ms(1);
    }
    for (int i = 0; store->extents[0] !=
                    kv_extent(store->buckets, store->block_mask); i++) {
        char name[24];
        snprintf(name, sizeof(name), "more %d", i);
        STOP_UNLESS_OK(kvt_set(worker->store, name, "value"));
        if (i % 16 == 0) {
            snprintf(name, sizeof(name), "stays %u",
                     kvt_below(&random, PERMANENT));
            STOP_UNLESS_OK(kvt_set(worker->store, name, "changed"));
            snprintf(name, sizeof(name), "passing %u",
                     kvt_below(&random, PASSING));
            STOP_UNLESS_OK(kvt_set(worker->store, name, "value"));
            STOP_UNLESS_OK(kvt_delete(worker->store, name));
        }
    }
    atomic_fetch_sub(&shared->writers_left, 1);
    return true;
}

static bool never_miss(worker_t *worker)
{
    kvt_random_t random = { 600 + (uint64_t)worker->number };
    uint64_t newest[PERMANENT + PASSING] = { 0 };
    kv_store_t *store = worker->store;

    atomic_fetch_add(&shared->readers_ready, 1);
    do {
        for (int i = 0; i < 50; i++) {
            char name[24];
            char value[KV_SHORT_VALUE_BYTES];
            size_t bytes;
            int64_t ttl_ms;
            uint64_t version;
            kv_read_t read;
            uint32_t number = kvt_below(&random, PERMANENT + PASSING);
            bool stays = number < PERMANENT;
            int len = snprintf(name, sizeof(name), "%s %u",
                               stays ? "stays" : "passing",
                               stays ? number : number - PERMANENT);
            kv_item_t item = { .key = name, .key_len = (size_t)len };
            if (stays) {
                STOP_UNLESS_OK(kvt_read_short(store, NULL, name, (size_t)len,
                                              value, &bytes));
                STOP_UNLESS_OK(kvt_exists(store, name));
                STOP_UNLESS_OK(kvt_ttl(store, name, &ttl_ms));
                kv_items_prepare(store, &item, 1);
                STOP_UNLESS_OK(kvt_read_short(store, &item, name, (size_t)len,
                                              value, &bytes));
                STOP_UNLESS_OK(
                    kv_read_begin(store, name, (size_t)len, &read));
            }
            kv_result_t result = kv_key_wait(store, name, (size_t)len, 0, 0,
                                             &version, &read);
            STOP_UNLESS(result == KV_OK ||
                        (result == KV_MISSING && !stays));
            STOP_UNLESS(version >= newest[number]);
            newest[number] = version;
        }
    } while (writers_at_work());
    return true;
}

static bool enumerate_amid_growth(worker_t *worker)
{
    atomic_fetch_add(&shared->readers_ready, 1);
    return enumerate(worker);
}

START_TEST(what_stays_is_never_missed_while_the_index_grows)
{
    for (int round = 0; round < 5; round++) {
        worker_t workers[4] = { { .work = let_the_index_grow },
                                { .work = never_miss },
                                { .work = enumerate_amid_growth },
                                { .work = enumerate_amid_growth } };
        open_store((4u << 20) / (KVT_SLOWER > 4 ? 8 : KVT_SLOWER),
                   KV_NOEVICTION, 4096, 1);
        for (int i = 0; i < PERMANENT; i++) {
            char name[24];
            snprintf(name, sizeof(name), "stays %d", i);
            kvt_assert_ok(kvt_set(t.store, name, "value"));
        }
        uint64_t before = t.store->extents[0];
        atomic_store(&shared->writers_left, 1);
        run_workers(workers, 4, _i == 1);
        ck_assert_uint_gt(t.store->extents[0] - before,
                          kv_extent(8 * t.store->block_buckets, 0));
        ck_assert_uint_gt(atomic_load(&shared->hits), 0);
        kvt_close(&t);
    }
}
END_TEST

static bool flush_again_and_again(worker_t *worker)
{
    while (writers_at_work()) {
        uint64_t deleted;
        STOP_UNLESS_OK(kv_store_flush(worker->store));
        STOP_UNLESS_OK(kv_prefix_delete(worker->store, "key 1", 5, &deleted));
        kvt_sleep_ms(1);
    }
    return true;
}

START_TEST(a_flush_amid_writers_and_readers_harms_nobody)
{
    static const load_t flushed = { "flushed", false, KV_ALLKEYS_LRU,
                                    128u << 10, 4096, 2, 100, 300, 9000, 2,
                                    1, 30000 };
    worker_t workers[4] = { { .work = write_own_keys },
                            { .work = write_own_keys },
                            { .work = read_all_keys },
                            { .work = flush_again_and_again } };
    load = &flushed;
    open_store(load->size_bytes, load->eviction, load->segment_bytes,
               load->shards);
    atomic_store(&shared->writers_left, 2);
    run_workers(workers, 4, _i == 1);
    kvt_close(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_concurrency");
    TCase *tcase = kvt_case(suite, "readers and writers");
    tcase_add_loop_test(tcase,
                        readers_get_whole_values_of_their_key_in_order, 0,
                        (int)(sizeof(loads) / sizeof(loads[0])));

    /* 0: threads, 1: processes. */
    tcase = kvt_case(suite, "threads, then processes");
    tcase_add_loop_test(tcase, counters_of_many_add_up_exactly, 0, 2);
    tcase_add_loop_test(tcase, no_ticket_is_drawn_twice, 0, 2);
    tcase_add_loop_test(tcase, one_of_many_sets_an_absent_key, 0, 2);
    tcase_add_loop_test(
        tcase, a_lock_of_set_if_absent_and_delete_if_equal_holds, 0, 2);
    tcase_add_loop_test(tcase, compare_and_set_loses_no_update, 0, 2);
    tcase_add_loop_test(
        tcase, what_stays_is_enumerated_once_while_others_come_and_go, 0, 2);
    tcase_add_loop_test(
        tcase, what_stays_is_never_missed_while_the_index_grows, 0, 2);
    tcase_add_loop_test(tcase, a_flush_amid_writers_and_readers_harms_nobody,
                        0, 2);
    return kvt_run(suite);
}
