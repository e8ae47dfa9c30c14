/* kv_wait_test.c - waiting for a key to change.
 *
 * A change is made by a child that begins when the parent is about to wait;
 * the time-outs of waits that shall end early are so long that reaching one
 * is a failure, never a matter of speed.
 */

#include "kvt.h"

#include "kv_clock.h"
#include "kv_index.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define SMALL_BYTES (96u << 10)
#define FOREVER_MS 120000

static kvt_t t;
static kv_store_t *s;

static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
}

static void tear_down(void)
{
    kvt_close(&t);
}

static kv_result_t wait_for(const char *key, uint64_t last,
                            uint64_t timeout_ms, uint64_t *version)
{
    kv_read_t read;
    return kv_key_wait(s, key, strlen(key), last, timeout_ms, version, &read);
}

START_TEST(version_zero_answers_at_once)
{
    uint64_t version = 0;
    char got[8];
    kv_read_t read;
    kvt_assert_result(wait_for("nothing", 0, FOREVER_MS, &version),
                      KV_MISSING);
    ck_assert_uint_ge(version, 1);
    kvt_assert_ok(kvt_set(s, "k", "value"));
    version = 0;
    kvt_assert_ok(kv_key_wait(s, "k", 1, 0, FOREVER_MS, &version, &read));
    ck_assert_uint_eq(version, kvt_version(s, "k"));
    ck_assert_uint_eq(read.version, version);
    ck_assert_uint_eq(read.value_bytes, 5);
    kvt_assert_ok(kv_read_copy(s, &read, got));
    ck_assert_mem_eq(got, "value", 5);
}
END_TEST

START_TEST(no_timeout_never_blocks)
{
    uint64_t version = 42;
    kvt_assert_ok(kvt_set(s, "k", "value"));
    kvt_assert_result(wait_for("k", kvt_version(s, "k"), 0, &version),
                      KV_TIMEOUT);
    ck_assert_uint_eq(version, 42);
    kvt_assert_result(wait_for("k", UINT64_MAX, 0, &version), KV_TIMEOUT);
    kvt_assert_ok(wait_for("k", kvt_version(s, "k") - 1, 0, &version));
}
END_TEST

START_TEST(the_timeout_runs_its_time)
{
    uint64_t version;
    kvt_assert_ok(kvt_set(s, "k", "value"));
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    kvt_assert_result(wait_for("k", kvt_version(s, "k"), 250, &version),
                      KV_TIMEOUT);
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t ms = (int64_t)(after.tv_sec - before.tv_sec) * 1000 +
                 (after.tv_nsec - before.tv_nsec) / 1000000;
    ck_assert_int_ge(ms, 249);
}
END_TEST

START_TEST(bad_keys_are_told)
{
    static char key[KV_KEY_MAX_BYTES + 1];
    kv_read_t read;
    uint64_t version;
    kvt_assert_result(kv_key_wait(s, key, 0, 0, 0, &version, &read),
                      KV_BAD_KEY);
    kvt_assert_result(
        kv_key_wait(s, key, sizeof(key), 0, 0, &version, &read), KV_BAD_KEY);
}
END_TEST

/* ------------------------------------------------------------------ */
/* What ends a wait                                                    */

static bool change_set(kv_store_t *store)
{
    return kvt_set(store, "k", "new") == KV_OK;
}

static bool change_delete(kv_store_t *store)
{
    return kvt_delete(store, "k") == KV_OK;
}

static bool change_count(kv_store_t *store)
{
    int64_t sum;
    return kvt_add(store, "k", 1, &sum) == KV_OK;
}

static bool change_flush(kv_store_t *store)
{
    return kv_store_flush(store) == KV_OK;
}

static bool change_by_prefix(kv_store_t *store)
{
    uint64_t deleted;
    return kv_prefix_delete(store, "k", 1, &deleted) == KV_OK;
}

static bool change_by_comparing(kv_store_t *store)
{
    return kv_value_set_equal(store, "k", 1, "1", 1, "2", 1, KV_NO_TTL) ==
           KV_OK;
}

/* Others that are used more crowd it out of whichever queue it is in. */
static bool change_evict(kv_store_t *store)
{
    for (int i = 0; i < 100000 && kvt_exists(store, "k") == KV_OK; i++) {
        char key[32];
        snprintf(key, sizeof(key), "other%d", i);
        if (kvt_set(store, key, "value of some length, and more") != KV_OK) {
            return false;
        }
        for (int j = 0; j < 3; j++) {
            (void)kvt_version(store, key);
        }
    }
    return kvt_exists(store, "k") == KV_MISSING;
}

static const struct {
    const char *what;
    bool (*change)(kv_store_t *store);
    kv_result_t result;
} changes[] = {
    { "set", change_set, KV_OK },
    { "delete", change_delete, KV_MISSING },
    { "counter", change_count, KV_OK },
    { "flush", change_flush, KV_MISSING },
    { "prefix", change_by_prefix, KV_MISSING },
    { "compare and set", change_by_comparing, KV_OK },
    { "eviction", change_evict, KV_MISSING },
};

START_TEST(every_change_ends_the_wait)
{
    _Atomic int *word = kvt_shared(4096);
    int64_t sum;
    /* Twice: as text, then as a counter where it is one. */
    for (int counted = 0; counted < 2; counted++) {
        uint64_t version = 0;
        kvt_assert_ok(kvt_set(s, "k", "1"));
        if (counted == 1 && changes[_i].change != change_by_comparing) {
            kvt_assert_ok(kvt_add(s, "k", 0, &sum));
        }
        uint64_t last = kvt_version(s, "k");
        atomic_store(word, 0);
        pid_t pid = kvt_fork();
        if (pid == 0) {
            while (atomic_load(word) == 0) {
                kvt_sleep_ms(1);
            }
            kvt_sleep_ms(30);
            kvt_child_end(changes[_i].change(s));
        }
        atomic_store(word, 1);
        ck_assert_msg(wait_for("k", last, FOREVER_MS, &version) ==
                          changes[_i].result,
                      "%s: another result", changes[_i].what);
        ck_assert_uint_gt(version, last);
        ck_assert_int_eq(kvt_wait(pid), 0);
    }
}
END_TEST

START_TEST(a_deadline_ends_the_wait_when_it_comes)
{
    uint64_t version = 0;
    kvt_assert_ok(kvt_set_ttl(s, "k", "value", 80));
    uint64_t last = kvt_version(s, "k");
    kvt_assert_result(wait_for("k", last, FOREVER_MS, &version), KV_MISSING);
    ck_assert_uint_gt(version, last);
    kv_stats_t stats;
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.expirations, 1);
    ck_assert_uint_eq(stats.entries, 0);
}
END_TEST

START_TEST(setting_a_deadline_does_not_end_the_wait)
{
    uint64_t version = 0;
    pid_t pid;
    kvt_assert_ok(kvt_set(s, "k", "value"));
    uint64_t last = kvt_version(s, "k");
    pid = kvt_fork();
    if (pid == 0) {
        kvt_sleep_ms(30);
        kvt_child_end(kvt_expire(s, "k", FOREVER_MS) == KV_OK);
    }
    kvt_assert_result(wait_for("k", last, 300, &version), KV_TIMEOUT);
    ck_assert_int_eq(kvt_wait(pid), 0);
}
END_TEST

START_TEST(an_absent_key_is_waited_for_until_it_is_there)
{
    uint64_t version = 0;
    kvt_assert_result(wait_for("k", 0, 0, &version), KV_MISSING);
    pid_t pid = kvt_fork();
    if (pid == 0) {
        kvt_sleep_ms(30);
        kvt_child_end(kvt_set(s, "k", "value") == KV_OK);
    }
    uint64_t last = version;
    kv_result_t result;
    /* A removal from the same bucket may end it early. */
    do {
        result = wait_for("k", last, FOREVER_MS, &version);
        ck_assert(result == KV_OK || result == KV_MISSING);
        ck_assert_uint_gt(version, last);
        last = version;
    } while (result != KV_OK);
    ck_assert_int_eq(kvt_wait(pid), 0);
}
END_TEST

START_TEST(all_who_wait_are_woken)
{
    enum { WAITERS = 5 };
    pid_t pid[WAITERS];
    _Atomic int *word = kvt_shared(4096);
    kvt_assert_ok(kvt_set(s, "k", "value"));
    uint64_t last = kvt_version(s, "k");
    for (int i = 0; i < WAITERS; i++) {
        pid[i] = kvt_fork();
        if (pid[i] == 0) {
            uint64_t version;
            atomic_fetch_add(word, 1);
            kvt_child_end(wait_for("k", last, FOREVER_MS, &version) == KV_OK);
        }
    }
    kvt_wait_word(word, WAITERS);
    kvt_sleep_ms(30);
    kvt_assert_ok(kvt_set(s, "k", "new"));
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(kvt_wait(pid[i]), 0);
    }
}
END_TEST

/* Follow a counter from change to change; none may be slept through for
 * good, however the two interleave. */
START_TEST(no_change_is_slept_through)
{
    enum { CHANGES = 3000 / KVT_SLOWER };
    int64_t sum;
    kvt_assert_ok(kvt_add(s, "n", 0, &sum));
    pid_t pid = kvt_fork();
    if (pid == 0) {
        for (int i = 0; i < CHANGES; i++) {
            kvt_child_check(kvt_add(s, "n", 1, &sum) == KV_OK);
            if (i % 16 == 0) {
                usleep(100);
            }
        }
        kvt_child_end(true);
    }
    uint64_t last = 0;
    char digits[21] = "";
    while (atoi(digits) != CHANGES) {
        uint64_t version;
        kv_read_t read;
        kvt_assert_ok(
            kv_key_wait(s, "n", 1, last, FOREVER_MS, &version, &read));
        ck_assert_uint_gt(version, last);
        last = version;
        memset(digits, 0, sizeof(digits));
        kvt_assert_ok(kv_read_copy(s, &read, digits));
    }
    ck_assert_int_eq(kvt_wait(pid), 0);
}
END_TEST

START_TEST(a_killed_waiter_matters_to_nobody)
{
    _Atomic int *word = kvt_shared(4096);
    kvt_assert_ok(kvt_set(s, "k", "value"));
    uint64_t last = kvt_version(s, "k");
    pid_t pid = kvt_fork();
    if (pid == 0) {
        uint64_t version;
        atomic_store(word, 1);
        (void)wait_for("k", last, FOREVER_MS, &version);
        kvt_child_end(false);
    }
    kvt_wait_word(word, 1);
    kvt_sleep_ms(30);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
    kvt_assert_ok(kvt_set(s, "k", "new"));
    kvt_sleep_ms(250);
    kvt_assert_ok(kvt_set(s, "k", "newer"));
    ck_assert_int_eq(s->shards[0].watched_until_ms, 0);
}
END_TEST

START_TEST(a_waiter_without_a_place_in_the_table_is_served_too)
{
    kvt_t full;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kv_read_t read;
    uint64_t version;
    config.threads_max = 1;
    kvt_open(&full, SMALL_BYTES, &config);
    kvt_assert_ok(kvt_set(full.store, "k", "value"));
    uint64_t last = kvt_version(full.store, "k");
    _Atomic int *word = kvt_shared(4096);
    pid_t pid = kvt_fork();
    if (pid == 0) {
        atomic_store(word, 1);
        kvt_child_end(kv_key_wait(full.store, "k", 1, last, FOREVER_MS,
                                  &version, &read) == KV_OK);
    }
    kvt_wait_word(word, 1);
    kvt_sleep_ms(30);
    kvt_assert_ok(kvt_set(full.store, "k", "new"));
    ck_assert_int_eq(kvt_wait(pid), 0);
    kvt_close(&full);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_wait");
    TCase *tcase = kvt_case(suite, "kv_wait");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, version_zero_answers_at_once);
    tcase_add_test(tcase, no_timeout_never_blocks);
    tcase_add_test(tcase, the_timeout_runs_its_time);
    tcase_add_test(tcase, bad_keys_are_told);
    tcase_add_loop_test(tcase, every_change_ends_the_wait, 0,
                        (int)(sizeof(changes) / sizeof(changes[0])));
    tcase_add_test(tcase, a_deadline_ends_the_wait_when_it_comes);
    tcase_add_test(tcase, setting_a_deadline_does_not_end_the_wait);
    tcase_add_test(tcase, an_absent_key_is_waited_for_until_it_is_there);
    tcase_add_test(tcase, all_who_wait_are_woken);
    tcase_add_test(tcase, no_change_is_slept_through);
    tcase_add_test(tcase, a_killed_waiter_matters_to_nobody);
    tcase_add_test(tcase,
                   a_waiter_without_a_place_in_the_table_is_served_too);
    return kvt_run(suite);
}
