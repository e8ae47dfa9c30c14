/* kv_evict_test.c - what goes when the store is full, and what stays. */

#include "kvt.h"

#include "kv_evict.h"
#include "kv_lock.h"

#define SMALL_BYTES (160u << 10)

static kvt_t t;
static kv_store_t *s;
static char value[400];

static void set_up_with(kv_eviction_t eviction)
{
    kv_config_t config = kvt_tiny(eviction);
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
    kvt_fill(value, sizeof(value), 61);
}

static void set_up_noeviction(void)
{
    set_up_with(KV_NOEVICTION);
}

static void set_up_lru(void)
{
    set_up_with(KV_ALLKEYS_LRU);
}

static void set_up_volatile(void)
{
    set_up_with(KV_VOLATILE_LRU);
}

static void set_up_random(void)
{
    set_up_with(KV_ALLKEYS_RANDOM);
}

static void tear_down(void)
{
    kvt_close(&t);
}

static kv_result_t set(const char *prefix, int number, size_t len,
                       int64_t ttl_ms)
{
    char key[32];
    snprintf(key, sizeof(key), "%s%d", prefix, number);
    return kv_value_set(s, key, strlen(key), value, len, ttl_ms,
                        KV_SET_ALWAYS);
}

static bool has(const char *prefix, int number)
{
    char key[32];
    snprintf(key, sizeof(key), "%s%d", prefix, number);
    return kvt_exists(s, key) == KV_OK;
}

static bool use(const char *prefix, int number)
{
    char key[32];
    kv_read_t read;
    snprintf(key, sizeof(key), "%s%d", prefix, number);
    return kv_read_begin(s, key, strlen(key), &read) == KV_OK;
}

static int present(const char *prefix, int count)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        found += has(prefix, i);
    }
    return found;
}

static int fill_until_refused(size_t len)
{
    int stored = 0;
    while (set("k", stored, len, 0) == KV_OK) {
        stored++;
        kvt_assert(stored < 100000);
    }
    return stored;
}

static uint64_t evictions(void)
{
    kv_stats_t stats;
    kv_store_stats(s, &stats);
    return stats.evictions;
}

/* ------------------------------------------------------------------ */
/* noeviction                                                          */

START_TEST(a_full_store_refuses_and_keeps_everything)
{
    int stored = fill_until_refused(200);
    int tiny = 0;
    kv_stats_t stats;
    int64_t sum;
    ck_assert_int_gt(stored, 300);
    while (set("t", tiny, 0, 0) == KV_OK) {
        tiny++;
    }
    kvt_assert_result(set("k", stored, 200, 0), KV_NO_ROOM);
    kvt_assert_result(set("k", 5, 200, 0), KV_NO_ROOM);
    kvt_assert_result(kvt_add(s, "counter", 1, &sum), KV_NO_ROOM);
    kvt_assert_result(kvt_expire(s, "k7", 1000000), KV_NO_ROOM);
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.rejections, 6);
    ck_assert_uint_eq(stats.evictions, 0);
    ck_assert_uint_eq(stats.entries, (uint64_t)(stored + tiny));
    ck_assert_int_eq(present("t", tiny), tiny);
    for (int i = 0; i < stored; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_bytes(s, key, strlen(key), value, 200u);
    }
}
END_TEST

/* What would not be stored anyway needs no room: it is told why. */
START_TEST(a_full_store_tells_what_stands_against_a_set)
{
    static char large[9000];
    int64_t sum;
    uint64_t rejections;
    kv_stats_t stats;
    kvt_assert_ok(kvt_set(s, "text", "no number"));
    kvt_assert_ok(kvt_set(s, "most", "9223372036854775807"));
    int stored = fill_until_refused(200);
    while (set("t", stored, 0, 0) == KV_OK) {
        stored++;
    }
    kv_store_stats(s, &stats);
    rejections = stats.rejections;
    const size_t lengths[] = { 0, 200, sizeof(large) };
    for (int i = 0; i < 3; i++) {
        kvt_assert_result(kv_value_set(s, "k5", 2, large, lengths[i], 0,
                                       KV_SET_IF_ABSENT),
                          KV_EXISTS);
        kvt_assert_result(kv_value_set(s, "none", 4, large, lengths[i], 0,
                                       KV_SET_IF_PRESENT),
                          KV_MISSING);
    }
    kvt_assert_result(kv_value_set_equal(s, "k5", 2, "other", 5, value, 200,
                                         0),
                      KV_DIFFERENT);
    kvt_assert_result(kvt_add(s, "text", 1, &sum), KV_NOT_INTEGER);
    kvt_assert_result(kvt_add(s, "most", 1, &sum), KV_OVERFLOW);
    kvt_assert_result(kvt_expire(s, "none", 1000000), KV_MISSING);
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.rejections, rejections);

    kvt_assert_result(kv_value_set(s, "none", 4, value, 200, 0,
                                   KV_SET_IF_ABSENT),
                      KV_NO_ROOM);
    kvt_assert_result(kv_value_set(s, "k5", 2, value, 200, 0,
                                   KV_SET_IF_PRESENT),
                      KV_NO_ROOM);
    kvt_assert_result(kvt_add(s, "most", -1, &sum), KV_NO_ROOM);
    kvt_assert_bytes(s, "k5", 2, value, 200u);
    kvt_assert_value(s, "most", "9223372036854775807");
}
END_TEST

/* kvcore.md: noeviction refuses above 95 % live. */
START_TEST(it_refuses_only_when_nearly_all_is_live)
{
    kvt_t big;
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    kv_stats_t stats;
    kvt_random_t random = { 62 };
    config.segment_bytes = 16384;
    kvt_open(&big, 2u << 20, &config);
    s = big.store;
    /* Sets, changes and deletes, so that there is a lot of dead to find. */
    int refused = 0;
    for (int i = 0; refused < 50; i++) {
        int number = (int)kvt_below(&random, 8000);
        if (set("k", number, kvt_below(&random, 400), 0) == KV_NO_ROOM) {
            refused++;
        } else if (i % 20 == 0) {
            char key[32];
            snprintf(key, sizeof(key), "k%d",
                     (int)kvt_below(&random, 8000));
            (void)kvt_delete(s, key);
        }
        kvt_assert(i < 1000000);
    }
    kv_store_stats(s, &stats);
    ck_assert_uint_gt(stats.live_bytes * 100,
                      (uint64_t)stats.segments * stats.segment_bytes * 90);
    ck_assert_uint_eq(stats.evictions, 0);
    kvt_close(&big);
    s = t.store;
}
END_TEST

START_TEST(a_full_store_takes_in_what_was_deleted)
{
    int stored = fill_until_refused(200);
    for (int round = 0; round < 5; round++) {
        for (int i = round; i < stored; i += 5) {
            char key[32];
            snprintf(key, sizeof(key), "k%d", i);
            kvt_assert_ok(kvt_delete(s, key));
        }
        int again = 0;
        for (int i = round; i < stored; i += 5) {
            again += set("k", i, 200, 0) == KV_OK;
        }
        /* All but what the granularity of segments costs. */
        ck_assert_int_ge(again, stored / 5 - 4096 / 200 * 2);
        kvt_assert_sound(s);
        for (int i = round; i < stored; i += 5) {
            (void)set("k", i, 200, 0);
        }
    }
}
END_TEST

/* The segment that the key's record is in. */
static uint32_t segment_of(const char *key)
{
    kv_place_t place;
    kv_place_find(s, kvt_hash(s, key), key, strlen(key), &place);
    kvt_assert(place.slot != NULL);
    return kv_segment_of(s, place.record);
}

/* Delete each `step`th key of those that stand in the open segment where new
 * ones go; returns how many. */
static int delete_in_open(const char *prefix, int count, int step)
{
    uint32_t open = s->shards[0].open[KV_QUEUE_SMALL] - 1;
    int found = 0;
    int deleted = 0;
    for (int i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof(key), "%s%d", prefix, i);
        if (segment_of(key) == open && found++ % step == 0) {
            kvt_assert_ok(kvt_delete(s, key));
            deleted++;
        }
    }
    return deleted;
}

START_TEST(the_newest_keys_make_room_too_when_deleted)
{
    int stored = fill_until_refused(200);
    int deleted = delete_in_open("k", stored, _i + 1);
    ck_assert_int_ge(deleted, 5);
    for (int i = 0; i < deleted; i++) {
        kvt_assert_ok(set("again", i, 200, 0));
    }
    ck_assert_int_eq(present("k", stored), stored - deleted);
    ck_assert_int_eq(present("again", deleted), deleted);
    kvt_assert_sound(s);
}
END_TEST

START_TEST(an_existing_counter_counts_on_in_a_full_store)
{
    int64_t sum;
    kvt_assert_ok(kvt_add(s, "counter", 1, &sum));
    fill_until_refused(30);
    for (int i = 0; i < 1000; i++) {
        kvt_assert_ok(kvt_add(s, "counter", 1, &sum));
    }
    ck_assert_int_eq(sum, 1001);
}
END_TEST

/* ------------------------------------------------------------------ */
/* allkeys-lru                                                         */

START_TEST(the_limit_is_the_limit_and_every_set_succeeds)
{
    kv_stats_t stats;
    for (int i = 0; i < 20000; i++) {
        kvt_assert_ok(set("k", i, (size_t)(i * 7 % 300), 0));
        kvt_assert(has("k", i));
    }
    kv_store_stats(s, &stats);
    ck_assert_uint_le(stats.used_bytes, SMALL_BYTES);
    ck_assert_uint_gt(stats.evictions, 10000);
    ck_assert_uint_eq(stats.rejections, 0);
    /* Full of live records, not wiped. */
    ck_assert_uint_gt(stats.live_bytes, SMALL_BYTES / 2);
}
END_TEST

START_TEST(what_is_read_outlives_what_is_not)
{
    enum { HOT = 40 };
    for (int i = 0; i < HOT; i++) {
        kvt_assert_ok(set("hot", i, 200, 0));
    }
    int lost = 0;
    for (int i = 0; i < 20000; i++) {
        kvt_assert_ok(set("cold", i, 200, 0));
        if (!use("hot", i % HOT)) {
            lost++;
            kvt_assert_ok(set("hot", i % HOT, 200, 0));
        }
    }
    ck_assert_uint_gt(evictions(), 15000);
    ck_assert_int_ge(present("hot", HOT), HOT - 2);
    /* A plain queue would lose each of them again and again. */
    ck_assert_int_lt(lost, 3 * HOT);
}
END_TEST

START_TEST(a_scan_does_not_wash_out_what_is_used)
{
    enum { HOT = 100 };
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < HOT; i++) {
            if (!use("hot", i)) {
                kvt_assert_ok(set("hot", i, 200, 0));
            }
        }
    }
    for (int i = 0; i < 2000; i++) {
        kvt_assert_ok(set("scan", i, 200, 0));
    }
    ck_assert_int_gt(present("hot", HOT), HOT / 2);
}
END_TEST

START_TEST(with_everything_in_use_each_set_still_finds_room)
{
    for (int i = 0; i < 1000 + 4000 / KVT_SLOWER; i++) {
        kvt_assert_ok(set("k", i, 200, 0));
        for (int j = 0; j < 4; j++) {
            use("k", i);
        }
        for (int j = i < 300 ? 0 : i - 300; j < i; j++) {
            use("k", j);
        }
    }
    kvt_assert_sound(s);
}
END_TEST

START_TEST(expired_keys_go_before_valid_ones)
{
    for (int i = 0; i < 250; i++) {
        kvt_assert_ok(set("keep", i, 200, 0));
    }
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 200; i++) {
            kvt_assert_ok(set("brief", round * 200 + i, 200, 1000));
        }
        kvt_clock_move(1000);
    }
    ck_assert_uint_eq(evictions(), 0);
    ck_assert_int_eq(present("keep", 250), 250);
}
END_TEST

static uint64_t dropped(void)
{
    kv_stats_t stats;
    kv_store_stats(s, &stats);
    return stats.evictions + stats.expirations;
}

/* With any policy that evicts at all. */
START_TEST(what_is_not_stored_evicts_nobody)
{
    int64_t sum;
    int no_room = 0;
    for (int i = 0; i < 3000; i++) {
        uint64_t bytes = kv_record_bytes(0, 8, 400);
        char key[32];
        kvt_assert_ok(set("k", i, 200, 100000000));
        if (!has("text", 0)) {
            kvt_assert_ok(kvt_set_ttl(s, "text0", "no number", 100000000));
        }
        kvt_assert(has("k", i));
        no_room += !kv_segment_has_room(s, &s->shards[0], KV_QUEUE_SMALL,
                                        bytes) &&
                   kv_pool_count(s) <= s->geometry.reserve;
        uint64_t before = dropped();
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_result(kv_value_set(s, key, strlen(key), value, 400, 0,
                                       KV_SET_IF_ABSENT),
                          KV_EXISTS);
        kvt_assert_result(kv_value_set(s, "none", 4, value, 400, 0,
                                       KV_SET_IF_PRESENT),
                          KV_MISSING);
        kvt_assert_result(kvt_add(s, "text0", 1, &sum), KV_NOT_INTEGER);
        kvt_assert_result(kvt_expire(s, "none", 1000000), KV_MISSING);
        kvt_assert_msg(dropped() == before, "evicted after %d sets", i);
    }
    ck_assert_int_gt(no_room, 100);
    /* But one that is stored does. */
    uint64_t before = evictions();
    for (int i = 0; i < 1000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "new%d", i);
        kvt_assert_ok(kv_value_set(s, key, strlen(key), value, 400, 100000000,
                                   KV_SET_IF_ABSENT));
    }
    ck_assert_uint_gt(evictions(), before + 500);
}
END_TEST

START_TEST(overwriting_alone_evicts_nothing)
{
    for (int i = 0; i < 50000 / KVT_SLOWER; i++) {
        kvt_assert_ok(set("k", i % 200, (size_t)(i * 13 % 300), 0));
    }
    ck_assert_uint_eq(evictions(), 0);
    ck_assert_int_eq(present("k", 200), 200);
}
END_TEST

/* Days of mixed sizes: what was stored last is always there, and the store
 * stays well used. */
START_TEST(mixed_sizes_do_not_fragment_the_store)
{
    kvt_random_t random = { 63 };
    static char large[12000];
    kv_stats_t stats;
    for (int i = 0; i < 40000 / KVT_SLOWER; i++) {
        char key[32];
        size_t len = kvt_below(&random, 20) == 0
                         ? kvt_below(&random, sizeof(large))
                         : kvt_below(&random, 300);
        snprintf(key, sizeof(key), "k%u", kvt_below(&random, 3000));
        kvt_assert_ok(kv_value_set(s, key, strlen(key), large, len, 0,
                                   KV_SET_ALWAYS));
        kvt_assert_ok(kvt_exists(s, key));
    }
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.rejections, 0);
    ck_assert_uint_lt(stats.segments_free, stats.segments / 3);
}
END_TEST

START_TEST(a_poor_shard_lives_off_the_rich_one)
{
    kvt_t two;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    config.shards = 2;
    kvt_open(&two, SMALL_BYTES, &config);
    kv_store_t *store = two.store;
    int n = 0;
    /* Shard 0 takes everything, then shard 1 wants some. */
    for (int wanted = 0; wanted < 2; wanted++) {
        for (int i = 0; i < 3000; n++) {
            char key[32];
            snprintf(key, sizeof(key), "k%d", n);
            uint64_t hash = kvt_hash(store, key);
            if ((int)kv_hash_shard(store, hash) != wanted) {
                continue;
            }
            i++;
            kvt_assert_ok(kv_value_set(store, key, strlen(key), value, 200, 0,
                                       KV_SET_ALWAYS));
            kvt_assert_ok(kvt_exists(store, key));
        }
        ck_assert_uint_gt(store->shards[wanted].entries, 30);
    }
    kvt_close(&two);
}
END_TEST

/* ------------------------------------------------------------------ */
/* volatile-lru, allkeys-random                                        */

START_TEST(only_keys_with_a_deadline_are_evicted)
{
    for (int i = 0; i < 200; i++) {
        kvt_assert_ok(set("permanent", i, 200, 0));
    }
    for (int i = 0; i < 5000; i++) {
        kvt_assert_ok(set("dated", i, 200, 100000000));
        kvt_assert(has("dated", i));
    }
    ck_assert_uint_gt(evictions(), 4000);
    ck_assert_int_eq(present("permanent", 200), 200);
}
END_TEST

START_TEST(full_of_permanent_keys_it_refuses)
{
    int stored = fill_until_refused(200);
    kvt_assert_result(set("dated", 1, 200, 100000000), KV_NO_ROOM);
    ck_assert_int_eq(present("k", stored), stored);
    ck_assert_uint_eq(evictions(), 0);
    /* A key that gets a deadline becomes one that may go. */
    for (int i = 0; i < 100; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_ok(kvt_delete(s, key));
    }
    for (int i = 0; i < 80; i++) {
        (void)set("dated", i, 200, 100000000);
    }
    for (int i = 0; i < 500; i++) {
        kvt_assert_ok(set("more", i, 200, 100000000));
    }
    for (int i = 100; i < stored; i++) {
        kvt_assert(has("k", i));
    }
}
END_TEST

START_TEST(clearing_a_deadline_saves_a_key)
{
    for (int i = 0; i < 100; i++) {
        kvt_assert_ok(set("saved", i, 200, 100000000));
    }
    for (int i = 0; i < 100; i++) {
        char key[32];
        snprintf(key, sizeof(key), "saved%d", i);
        kvt_assert_ok(kvt_expire(s, key, 0));
    }
    for (int i = 0; i < 3000; i++) {
        kvt_assert_ok(set("dated", i, 200, 100000000));
    }
    ck_assert_int_eq(present("saved", 100), 100);
}
END_TEST

/* Full of permanent keys but for the segment that is written to. */
START_TEST(keys_that_may_go_do_so_wherever_they_are)
{
    int stored = fill_until_refused(200);
    stored -= delete_in_open("k", stored, 1);
    for (int i = 0; i < 500; i++) {
        kvt_assert_ok(set("dated", i, 200, 100000000));
        kvt_assert(has("dated", i));
    }
    ck_assert_int_eq(present("k", stored), stored);
    ck_assert_uint_gt(evictions(), 450);
}
END_TEST

START_TEST(at_random_nothing_stays_for_ever)
{
    for (int i = 0; i < 300; i++) {
        kvt_assert_ok(set("old", i, 200, 0));
    }
    for (int i = 0; i < 300; i++) {
        char key[32];
        snprintf(key, sizeof(key), "old%d", i);
        if (i % 3 != 0) {
            kvt_assert_ok(kvt_delete(s, key));
        }
    }
    /* What is left is copied forward, and nothing after that. */
    for (int i = 0; i < 20000; i++) {
        kvt_assert_ok(set("new", i, 200, 0));
        kvt_assert(i != 300 || s->shards[0].count[KV_QUEUE_MAIN] > 0);
    }
    ck_assert_int_eq(present("old", 300), 0);
}
END_TEST

START_TEST(a_random_policy_evicts_old_and_new_alike)
{
    enum { SETS = 20000 };
    int fits = 0;
    int missed = 0;
    for (int i = 0; i < SETS; i++) {
        kvt_assert_ok(set("k", i, 200, 0));
        kvt_assert(has("k", i));
        if (i % 500 != 499) {
            continue;
        }
        /* Of the newest quarter of what fits, all would be there if the
         * oldest went first. */
        kv_stats_t stats;
        kv_store_stats(s, &stats);
        fits = (int)stats.entries;
        for (int j = i - fits / 4; j < i; j++) {
            missed += j >= 0 && !has("k", j);
        }
    }
    ck_assert_int_gt(fits, 300);
    ck_assert_int_gt(missed, 0);
    /* And some that an order of age would have evicted are there. */
    int old = 0;
    for (int i = 0; i < SETS - fits; i++) {
        old += has("k", i);
    }
    ck_assert_int_gt(old, 0);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Other shards                                                        */

/* Four shards; nothing here is slow enough for the patient. */
#define PATIENT_MS 3600000u
#define SHARDS 4

static void set_up_shards(kv_eviction_t eviction, uint32_t wait_limit_ms)
{
    kv_config_t config = kvt_tiny(eviction);
    config.shards = SHARDS;
    config.wait_limit_ms = wait_limit_ms;
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
    kvt_fill(value, sizeof(value), 61);
}

static void set_up_patient(void)
{
    set_up_shards(KV_ALLKEYS_LRU, PATIENT_MS);
}

static void set_up_impatient(void)
{
    set_up_shards(KV_ALLKEYS_LRU, 60);
}

/* Store `len` bytes under a new key of the shard. */
static kv_result_t set_in(uint32_t shard, size_t len)
{
    static char large[9000];
    static int number;
    char key[32];
    do {
        snprintf(key, sizeof(key), "k%d", number++);
    } while (kv_hash_shard(s, kvt_hash(s, key)) != shard);
    return kv_value_set(s, key, strlen(key), large, len, 0, KV_SET_ALWAYS);
}

/* Nothing but shard 0 has anything to give, or shards 0 and 1. */
static void fill_shards(uint32_t shards)
{
    for (int i = 0; i < 3000; i++) {
        kvt_assert_ok(set_in(i % 3 == 0 ? shards - 1 : 0, 200));
    }
    kvt_assert(s->shards[0].count[KV_QUEUE_SMALL] > 3);
    kvt_assert(s->shards[3].count[KV_QUEUE_SMALL] == 0);
}

START_TEST(a_stuck_shard_is_not_waited_for_if_another_gives)
{
    kv_store_t *other = kvt_attach(&t);
    fill_shards(2);
    kvt_assert_ok(kv_shard_lock(other, &other->shards[_i]));
    for (int i = 0; i < 20; i++) {
        kvt_assert_ok(set_in(3, 200));
    }
    kvt_assert_ok(set_in(3, 9000));
    kv_unlock(&other->shards[_i].lock);
    kv_store_detach(other);
}
END_TEST

START_TEST(with_room_in_a_stuck_shard_alone_it_is_busy)
{
    kv_store_t *other = kvt_attach(&t);
    kv_stats_t stats;
    fill_shards(1);
    kvt_assert_ok(kv_shard_lock(other, &other->shards[0]));
    kvt_assert_result(set_in(3, 200), KV_BUSY);
    kvt_assert_result(set_in(3, 9000), KV_BUSY);
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.rejections, 0);
    kv_unlock(&other->shards[0].lock);
    kvt_assert_ok(set_in(3, 200));
    kvt_assert_ok(set_in(3, 9000));
    kv_store_detach(other);
}
END_TEST

START_TEST(a_shard_that_is_let_go_gives_to_who_waits)
{
    _Atomic int *word = kvt_shared(4096);
    fill_shards(1);
    for (int i = 0; i < 2; i++) {
        pid_t pid = kvt_fork();
        if (pid == 0) {
            kv_store_t *store;
            kvt_child_check(kv_store_attach(t.memory, t.size_bytes, &store) ==
                            KV_OK);
            kvt_child_check(kv_shard_lock(store, &store->shards[0]) == KV_OK);
            *word = 1;
            kvt_sleep_ms(100);
            kv_unlock(&store->shards[0].lock);
            kvt_child_end(true);
        }
        kvt_wait_word(word, 1);
        *word = 0;
        kvt_assert_ok(set_in(3, i == 0 ? 200 : 9000));
        ck_assert_int_eq(kvt_wait(pid), 0);
    }
}
END_TEST

/* As few segments for its shards as a store can have, and some more: most
 * shards have none but the one they write to. */
START_TEST(with_few_segments_every_shard_still_takes_keys)
{
    static const kv_eviction_t policies[] = { KV_ALLKEYS_LRU,
                                              KV_VOLATILE_LRU,
                                              KV_ALLKEYS_RANDOM };
    kv_config_t config = kvt_tiny(policies[_i % 3]);
    kv_geometry_t g = { 0 };
    size_t size_bytes = 40000;
    uint32_t segments = 9 + (uint32_t)_i / 3 * 4;
    kvt_t few;
    kv_stats_t stats;
    config.shards = 8;
    while (g.segments < segments) {
        size_bytes += 512;
        if (kv_geometry_make(size_bytes, &config, &g) != KV_OK) {
            g.segments = 0;
        }
    }
    ck_assert_uint_eq(g.segments, segments);
    kvt_open(&few, size_bytes, &config);
    s = few.store;
    for (int i = 0; i < 3000; i++) {
        kvt_assert_ok(set("k", i, 200, 100000000));
        kvt_assert(has("k", i));
        for (int j = 0; j < 4; j++) {
            use("k", i - i % 7);
        }
        if (i % 5 == 0) {
            (void)set("k", i / 2, 100 + i % 200, 100000000);
        }
    }
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.rejections, 0);
    ck_assert_uint_gt(stats.evictions, 1000);
    kvt_close(&few);
    s = t.store;
}
END_TEST

/* As in a signal handler. */
START_TEST(a_shard_of_its_own_is_not_waited_for)
{
    fill_shards(1);
    kvt_assert_ok(kv_shard_lock(s, &s->shards[0]));
    kvt_assert_result(set_in(3, 200), KV_BUSY);
    kvt_assert_result(set_in(3, 9000), KV_BUSY);
    kv_unlock(&s->shards[0].lock);
    kvt_assert_ok(set_in(3, 200));
}
END_TEST

/* ------------------------------------------------------------------ */

START_TEST(idle_segments_are_given_back_at_once)
{
    for (int i = 0; i < 300; i++) {
        kvt_assert_ok(set("k", i, 200, 0));
    }
    uint32_t before = kv_pool_count(s);
    for (int i = 0; i < 300; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_ok(kvt_delete(s, key));
    }
    kvt_assert_ok(kv_shard_lock(s, &s->shards[0]));
    kv_evict_idle(s, &s->shards[0]);
    kv_unlock(&s->shards[0].lock);
    ck_assert_uint_gt(kv_pool_count(s), before + 10);
    kvt_assert_sound(s);
}
END_TEST

START_TEST(eviction_leaves_counters_and_deadlines_as_they_are)
{
    int64_t sum;
    int64_t ttl_ms;
    for (int i = 0; i < 3000; i++) {
        if (!use("n", 0)) {
            (void)kvt_delete(s, "n0");
            kvt_assert_ok(kvt_set_ttl(s, "n0", "0", 100000));
            for (int j = 0; j < i; j++) {
                kvt_assert_ok(kvt_add(s, "n0", 1, &sum));
            }
        }
        kvt_assert_ok(kvt_add(s, "n0", 1, &sum));
        kvt_assert(sum == i + 1);
        kvt_assert_ok(kvt_ttl(s, "n0", &ttl_ms));
        kvt_assert(ttl_ms == 100000);
        for (int j = 0; j < 4; j++) {
            use("n", 0);
        }
        kvt_assert_ok(set("cold", i, 200, 0));
    }
}
END_TEST

static void set_up_stopped(void)
{
    set_up_lru();
    kvt_clock_stop();
}

int main(void)
{
    Suite *suite = suite_create("kv_evict");
    TCase *tcase = kvt_case(suite, "noeviction");
    tcase_add_checked_fixture(tcase, set_up_noeviction, tear_down);
    tcase_add_test(tcase, a_full_store_refuses_and_keeps_everything);
    tcase_add_test(tcase, a_full_store_tells_what_stands_against_a_set);
    tcase_add_test(tcase, it_refuses_only_when_nearly_all_is_live);
    tcase_add_test(tcase, a_full_store_takes_in_what_was_deleted);
    tcase_add_loop_test(tcase, the_newest_keys_make_room_too_when_deleted, 0,
                        3);
    tcase_add_test(tcase, an_existing_counter_counts_on_in_a_full_store);

    tcase = kvt_case(suite, "allkeys-lru");
    tcase_add_checked_fixture(tcase, set_up_stopped, tear_down);
    tcase_add_test(tcase, the_limit_is_the_limit_and_every_set_succeeds);
    tcase_add_test(tcase, what_is_read_outlives_what_is_not);
    tcase_add_test(tcase, a_scan_does_not_wash_out_what_is_used);
    tcase_add_test(tcase, with_everything_in_use_each_set_still_finds_room);
    tcase_add_test(tcase, expired_keys_go_before_valid_ones);
    tcase_add_test(tcase, what_is_not_stored_evicts_nobody);
    tcase_add_test(tcase, overwriting_alone_evicts_nothing);
    tcase_add_test(tcase, mixed_sizes_do_not_fragment_the_store);
    tcase_add_test(tcase, a_poor_shard_lives_off_the_rich_one);
    tcase_add_test(tcase, idle_segments_are_given_back_at_once);
    tcase_add_test(tcase, eviction_leaves_counters_and_deadlines_as_they_are);

    tcase = kvt_case(suite, "other shards, patient");
    tcase_add_checked_fixture(tcase, set_up_patient, tear_down);
    tcase_add_loop_test(tcase, a_stuck_shard_is_not_waited_for_if_another_gives,
                        0, 2);
    tcase_add_test(tcase, a_shard_that_is_let_go_gives_to_who_waits);
    tcase_add_loop_test(tcase, with_few_segments_every_shard_still_takes_keys,
                        0, 12);
    tcase_add_test(tcase, a_shard_of_its_own_is_not_waited_for);

    tcase = kvt_case(suite, "other shards, impatient");
    tcase_add_checked_fixture(tcase, set_up_impatient, tear_down);
    tcase_add_test(tcase, with_room_in_a_stuck_shard_alone_it_is_busy);

    tcase = kvt_case(suite, "volatile-lru");
    tcase_add_checked_fixture(tcase, set_up_volatile, tear_down);
    tcase_add_test(tcase, only_keys_with_a_deadline_are_evicted);
    tcase_add_test(tcase, full_of_permanent_keys_it_refuses);
    tcase_add_test(tcase, clearing_a_deadline_saves_a_key);
    tcase_add_test(tcase, keys_that_may_go_do_so_wherever_they_are);
    tcase_add_test(tcase, what_is_not_stored_evicts_nobody);

    tcase = kvt_case(suite, "allkeys-random");
    tcase_add_checked_fixture(tcase, set_up_random, tear_down);
    tcase_add_test(tcase, a_random_policy_evicts_old_and_new_alike);
    tcase_add_test(tcase, at_random_nothing_stays_for_ever);
    tcase_add_test(tcase, what_is_not_stored_evicts_nobody);
    return kvt_run(suite);
}
