/* kv_many_test.c - enumerating, and removing by prefix. */

#include "kvt.h"

#include "kv_evict.h"
#include "kv_grow.h"
#include "kv_index.h"
#include "kv_lock.h"

#define SMALL_BYTES (256u << 10)

static kvt_t t;
static kv_store_t *s;

static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    config.shards = 2;
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
}

static void tear_down(void)
{
    kvt_close(&t);
}

static void set_numbered(const char *prefix, int count)
{
    for (int i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof(key), "%s%d", prefix, i);
        kvt_assert_ok(kvt_set(s, key, "value"));
    }
}

/* Enumerate all; seen[number] counts "prefix<number>", the result all. */
static int enumerate(const char *prefix, uint64_t slots, int *seen)
{
    uint64_t cursor = 0;
    size_t prefix_len = strlen(prefix);
    int found = 0;
    do {
        kv_scan_t scan;
        size_t len;
        kv_scan_begin(s, &scan, cursor, prefix, prefix_len, slots);
        while (kv_scan_key(s, &scan, &len) == KV_OK) {
            char key[64] = { 0 };
            kvt_assert(len < sizeof(key));
            kvt_assert_ok(kv_scan_copy(s, &scan, key));
            kvt_assert(strlen(key) == len);
            kvt_assert(memcmp(key, prefix, prefix_len) == 0);
            if (seen != NULL) {
                seen[atoi(key + prefix_len)]++;
            }
            found++;
        }
        ck_assert(scan.cursor == 0 || scan.cursor > cursor);
        cursor = scan.cursor;
    } while (cursor != 0);
    return found;
}

START_TEST(an_empty_store_ends_at_once)
{
    kv_scan_t scan;
    size_t len;
    ck_assert_int_eq(enumerate("", 10, NULL), 0);
    kv_scan_begin(s, &scan, 0, "", 0, UINT64_MAX);
    kvt_assert_result(kv_scan_key(s, &scan, &len), KV_MISSING);
    ck_assert_uint_eq(scan.cursor, 0);
}
END_TEST

START_TEST(every_key_is_returned_once_whatever_the_step)
{
    static const uint64_t steps[] = { 0, 1, 7, 8, 100, 1u << 20,
                                      UINT64_MAX };
    set_numbered("key", 2000);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int seen[2000] = { 0 };
        ck_assert_int_eq(enumerate("key", steps[i], seen), 2000);
        for (int j = 0; j < 2000; j++) {
            kvt_assert(seen[j] == 1);
        }
    }
}
END_TEST

START_TEST(a_step_examines_about_as_many_slots_as_asked)
{
    kv_scan_t scan;
    size_t len;
    int found = 0;
    set_numbered("key", 2000);
    kv_scan_begin(s, &scan, 0, "", 0, 100);
    while (kv_scan_key(s, &scan, &len) == KV_OK) {
        char key[64];
        kvt_assert_ok(kv_scan_copy(s, &scan, key));
        found++;
    }
    ck_assert_int_gt(found, 0);
    ck_assert_int_lt(found, 300);
    ck_assert_uint_ne(scan.cursor, 0);
}
END_TEST

START_TEST(only_keys_with_the_prefix_are_returned)
{
    set_numbered("a", 100);
    set_numbered("ab", 100);
    set_numbered("b", 100);
    kvt_assert_ok(kvt_set(s, "a", "value"));
    ck_assert_int_eq(enumerate("a", 50, NULL), 201);
    ck_assert_int_eq(enumerate("ab", 50, NULL), 100);
    ck_assert_int_eq(enumerate("b", 50, NULL), 100);
    ck_assert_int_eq(enumerate("c", 50, NULL), 0);
    ck_assert_int_eq(enumerate("", 50, NULL), 301);
}
END_TEST

START_TEST(expired_keys_are_not_returned)
{
    set_numbered("a", 10);
    for (int i = 0; i < 10; i++) {
        char key[32];
        snprintf(key, sizeof(key), "b%d", i);
        kvt_assert_ok(kvt_set_ttl(s, key, "value", 100));
    }
    ck_assert_int_eq(enumerate("", 50, NULL), 20);
    kvt_clock_move(200);
    ck_assert_int_eq(enumerate("", 50, NULL), 10);
}
END_TEST

START_TEST(a_chain_of_overflow_buckets_is_gone_through)
{
    kvt_grow_fully(s);
    kv_bucket_t *home = kv_hash_home(s, kvt_hash(s, "first"));
    int seen[200000] = { 0 };
    int set = 0;
    for (int i = 0; set < 40; i++) {
        char key[32];
        snprintf(key, sizeof(key), "c%d", i);
        if (kv_hash_home(s, kvt_hash(s, key)) == home) {
            kvt_assert_ok(kvt_set(s, key, "value"));
            set++;
        }
    }
    ck_assert_int_eq(enumerate("c", 1, seen), 40);
    for (int i = 0; i < 200000; i++) {
        kvt_assert(seen[i] <= 1);
    }
}
END_TEST

START_TEST(the_longest_key_and_binary_keys_are_copied_whole)
{
    char key[3000];
    char got[3000];
    kv_scan_t scan;
    size_t len;
    kvt_fill(key, sizeof(key), 81);
    kvt_assert_ok(kv_value_set(s, key, sizeof(key), "v", 1, 0,
                               KV_SET_ALWAYS));
    kv_scan_begin(s, &scan, 0, key, 1500, UINT64_MAX);
    kvt_assert_ok(kv_scan_key(s, &scan, &len));
    ck_assert_uint_eq(len, sizeof(key));
    kvt_assert_ok(kv_scan_copy(s, &scan, got));
    ck_assert_mem_eq(got, key, sizeof(key));
    kvt_assert_result(kv_scan_key(s, &scan, &len), KV_MISSING);
}
END_TEST

START_TEST(any_cursor_is_harmless)
{
    static const uint64_t cursors[] = { 1, 77, 1000000, UINT32_MAX,
                                        UINT64_MAX };
    set_numbered("key", 100);
    for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
        kv_scan_t scan;
        size_t len;
        int found = 0;
        kv_scan_begin(s, &scan, cursors[i], "", 0, UINT64_MAX);
        while (kv_scan_key(s, &scan, &len) == KV_OK) {
            char key[64];
            kvt_assert_ok(kv_scan_copy(s, &scan, key));
            found++;
        }
        ck_assert_int_le(found, 100);
        ck_assert_uint_eq(scan.cursor, 0);
    }
}
END_TEST

START_TEST(a_key_that_moved_between_finding_and_copying_is_told)
{
    kv_scan_t scan;
    size_t len;
    char key[64];
    kv_result_t result = KV_OK;
    kvt_assert_ok(kvt_set(s, "key", "value"));
    kv_scan_begin(s, &scan, 0, "key", 3, UINT64_MAX);
    kvt_assert_ok(kv_scan_key(s, &scan, &len));
    kv_scan_t saved = scan;
    for (int i = 0; i < 20000 && result == KV_OK; i++) {
        kvt_assert_ok(kvt_set(s, "key", "another value, and another"));
        scan = saved;
        result = kv_scan_copy(s, &scan, key);
        ck_assert(result == KV_RETRY || memcmp(key, "key", 3) == 0);
    }
    kvt_assert_result(result, KV_RETRY);
    kvt_assert_ok(kv_scan_key(s, &scan, &len));
    kvt_assert_ok(kv_scan_copy(s, &scan, key));
    ck_assert_mem_eq(key, "key", 3);
}
END_TEST

/* Set `count` keys "<letter><number>" of this home. */
static void set_in_chain(const kv_bucket_t *home, char letter, int count,
                         char key[][32])
{
    int set = 0;
    for (int i = 0; set < count; i++) {
        snprintf(key[set], 32, "%c%d", letter, i);
        if (kv_hash_home(s, kvt_hash(s, key[set])) == home) {
            kvt_assert_ok(kvt_set(s, key[set], "value"));
            set++;
        }
    }
}

/* The step is in an overflow bucket as that one comes to a later chain: the
 * later chain's keys have their own turn, and only that. */
START_TEST(an_overflow_bucket_that_changes_chains_is_not_returned_twice)
{
    enum { IN_CHAIN = KV_BUCKET_SLOTS + 3 };
    kv_bucket_t *buckets = kv_shard_buckets(s, 0);
    char first[IN_CHAIN][32];
    char later[IN_CHAIN][32];
    int returned = 0;
    kv_scan_t scan;
    size_t len;
    kvt_grow_fully(s);
    set_in_chain(&buckets[5], 'f', IN_CHAIN, first);
    uint64_t link = buckets[5].tail & 0xffff;
    ck_assert_uint_ne(link, 0);
    kv_scan_begin(s, &scan, 0, "", 0, UINT64_MAX);
    for (int i = 0; i < (int)KV_BUCKET_SLOTS + 1; i++) {
        char key[32];
        kvt_assert_ok(kv_scan_key(s, &scan, &len));
        kvt_assert_ok(kv_scan_copy(s, &scan, key));
        ck_assert_int_eq(key[0], 'f');
    }
    for (int i = KV_BUCKET_SLOTS; i < IN_CHAIN; i++) {
        kvt_assert_ok(kvt_delete(s, first[i]));
    }
    ck_assert_uint_eq(buckets[5].tail & 0xffff, 0);
    set_in_chain(&buckets[6], 'l', IN_CHAIN, later);
    ck_assert_uint_eq(buckets[6].tail & 0xffff, link);
    while (kv_scan_key(s, &scan, &len) == KV_OK) {
        char key[32];
        kvt_assert_ok(kv_scan_copy(s, &scan, key));
        ck_assert_int_eq(key[0], 'l');
        returned++;
    }
    ck_assert_int_eq(returned, IN_CHAIN);
}
END_TEST

/* ------------------------------------------------------------------ */

START_TEST(a_prefix_is_removed_and_counted)
{
    uint64_t deleted = 42;
    set_numbered("user:1:", 300);
    set_numbered("user:12:", 300);
    set_numbered("user:", 300);
    kvt_assert_ok(kv_prefix_delete(s, "user:1:", 7, &deleted));
    ck_assert_uint_eq(deleted, 300);
    ck_assert_int_eq(enumerate("user:1:", 100, NULL), 0);
    ck_assert_int_eq(enumerate("user:12:", 100, NULL), 300);
    ck_assert_int_eq(enumerate("user:", 100, NULL), 600);
    kvt_assert_ok(kv_prefix_delete(s, "nothing", 7, &deleted));
    ck_assert_uint_eq(deleted, 0);
    kvt_assert_ok(kv_prefix_delete(s, NULL, 0, &deleted));
    ck_assert_uint_eq(deleted, 600);
}
END_TEST

START_TEST(expired_keys_do_not_count_as_removed)
{
    uint64_t deleted;
    kv_stats_t stats;
    set_numbered("a", 50);
    for (int i = 0; i < 50; i++) {
        char key[32];
        snprintf(key, sizeof(key), "ab%d", i);
        kvt_assert_ok(kvt_set_ttl(s, key, "value", 100));
    }
    kvt_clock_move(200);
    kvt_assert_ok(kv_prefix_delete(s, "a", 1, &deleted));
    ck_assert_uint_eq(deleted, 50);
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.entries, 0);
    ck_assert_uint_eq(stats.expirations, 50);
}
END_TEST

START_TEST(a_prefix_longer_than_every_key_removes_nothing)
{
    char prefix[2000];
    uint64_t deleted;
    memset(prefix, 'a', sizeof(prefix));
    set_numbered("a", 50);
    kvt_assert_ok(kv_prefix_delete(s, prefix, sizeof(prefix), &deleted));
    ck_assert_uint_eq(deleted, 0);
    ck_assert_int_eq(enumerate("a", 10, NULL), 50);
}
END_TEST

START_TEST(removing_gives_the_memory_back)
{
    static char large[9000];
    uint64_t deleted;
    kv_stats_t stats;
    for (int round = 0; round < 5; round++) {
        set_numbered("small", 1000);
        for (int i = 0; i < 5; i++) {
            char key[32];
            snprintf(key, sizeof(key), "large%d", i);
            kvt_assert_ok(kv_value_set(s, key, strlen(key), large,
                                       sizeof(large), 0, KV_SET_ALWAYS));
        }
        kvt_assert_ok(kv_prefix_delete(s, "large", 5, &deleted));
        ck_assert_uint_eq(deleted, 5);
        kvt_assert_ok(kv_prefix_delete(s, "small", 5, &deleted));
        ck_assert_uint_eq(deleted, 1000);
        kvt_assert_sound(s);
        kv_store_stats(s, &stats);
        ck_assert_uint_ge(stats.segments_free + 4, stats.segments);
    }
}
END_TEST

/* ------------------------------------------------------------------ */
/* Enumerating while the index grows                                   */

/* So many keys that the index is about to grow by itself, of them so many in
 * one bucket, whose chain has two overflow buckets. */
enum { STAY = 34, CHAIN = 18 };

static unsigned char *saved;

static void set_up_small_index(void)
{
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    kvt_open(&t, 64u << 10, &config);
    s = t.store;
    kv_bucket_t *chained = kv_shard_buckets(s, 0) + 3;
    int others = 0;
    int in_chain = 0;
    for (int i = 0; others + in_chain < STAY; i++) {
        char key[32];
        snprintf(key, sizeof(key), "stay%d", i);
        bool in = kv_hash_home(s, kvt_hash(s, key)) == chained;
        if (in ? in_chain < CHAIN : others < STAY - CHAIN) {
            kvt_assert_ok(kvt_set(s, key, "value"));
            in_chain += in;
            others += !in;
        }
    }
    ck_assert_uint_eq(s->extents[0], kv_extent(s->block_buckets, 0));
    ck_assert_uint_ge(s->shards[0].overflow_used, 2);
    saved = malloc(t.size_bytes);
    ck_assert_ptr_ne(saved, NULL);
    memcpy(saved, t.memory, t.size_bytes);
}

static void tear_down_small_index(void)
{
    free(saved);
    kvt_close(&t);
}

static void grow(int times)
{
    kvt_assert_ok(kv_shard_lock(s, &s->shards[0]));
    while (times-- > 0 && kv_grow(s, &s->shards[0])) {
    }
    kv_unlock(&s->shards[0].lock);
}

/* What happens amid an enumeration: at its `at`-th key, and again some keys
 * later. */
typedef struct amid {
    int at;
    bool before_copy;
    int later;            /* keys */
    int grow;             /* times, at either instant */
    int insert;           /* keys, at either instant */
    bool half;            /* grow once, and up to step 4 until later */
    kvt_split_t *split;
    int instants;
} amid_t;

static void happen(amid_t *amid, int told, bool before_copy)
{
    bool now = told == amid->at && amid->instants == 0;
    bool later = told == amid->at + amid->later && amid->instants == 1;

    if (before_copy != amid->before_copy || (!now && !later)) {
        return;
    }
    amid->instants++;
    if (amid->split != NULL) {
        kvt_split_end(amid->split);
        amid->split = NULL;
    } else if (amid->half && now) {
        amid->split = kvt_split_begin(s, 0);
    }
    if (amid->split == NULL) {
        grow(amid->grow);
        for (int i = 0; i < amid->insert; i++) {
            char key[32];
            snprintf(key, sizeof(key), "new%d.%d", amid->instants, i);
            kvt_assert_ok(kvt_set(s, key, "value"));
        }
    }
}

/* Every key that stays is told once, whatever happens. */
static void enumerate_amid(amid_t amid, uint64_t slots)
{
    uint64_t cursor = 0;
    char stay[STAY + 1][32];
    int stays = 0;
    int told = 0;

    memcpy(t.memory, saved, t.size_bytes);
    happen(&amid, 0, amid.before_copy);
    do {
        kv_scan_t scan;
        size_t len;
        kv_scan_begin(s, &scan, cursor, "", 0, slots);
        while (kv_scan_key(s, &scan, &len) == KV_OK) {
            char key[32] = { 0 };
            happen(&amid, told + 1, true);
            kvt_assert(len < sizeof(key));
            kvt_assert_ok(kv_scan_copy(s, &scan, key));
            told++;
            happen(&amid, told, false);
            if (strncmp(key, "stay", 4) != 0) {
                continue;
            }
            for (int i = 0; i < stays; i++) {
                kvt_assert_msg(strcmp(stay[i], key) != 0,
                               "%s twice: at %d, later %d, grow %d, insert "
                               "%d, half %d, slots %d", key, amid.at,
                               amid.later, amid.grow, amid.insert, amid.half,
                               (int)slots);
            }
            memcpy(stay[stays++], key, sizeof(key));
            kvt_assert(stays <= STAY);
        }
        kvt_assert(scan.cursor == 0 || scan.cursor > cursor);
        cursor = scan.cursor;
    } while (cursor != 0);
    if (amid.split != NULL) {
        kvt_split_end(amid.split);
    }
    kvt_assert_msg(stays == STAY, "%d of %d keys: at %d, later %d, grow %d, "
                   "insert %d, half %d, slots %d", stays, STAY, amid.at,
                   amid.later, amid.grow, amid.insert, amid.half, (int)slots);
    kvt_assert(amid.instants > 0 || told < amid.at);
    kvt_assert_sound(s);
}

static void enumerate_amid_each(amid_t amid)
{
    static const uint64_t slots[] = { 0, 20, UINT64_MAX };
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        for (amid.at = 0; amid.at <= STAY; amid.at++) {
            for (int before = 0; before < 2; before++) {
                amid.before_copy = before;
                enumerate_amid(amid, slots[i]);
            }
        }
    }
}

START_TEST(keys_that_stay_are_told_once_though_the_index_grows_meanwhile)
{
    static const int times[] = { 1, 2, 3, 5, 1000 };
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        for (int later = 1; later < 12; later += 1 + later / 2) {
            enumerate_amid_each((amid_t){ .grow = times[i], .later = later });
        }
    }
}
END_TEST

START_TEST(keys_that_stay_are_told_once_though_others_let_the_index_grow)
{
    static const int keys[] = { 1, 3, 40, 250 };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        enumerate_amid_each((amid_t){ .insert = keys[i], .later = 3 });
    }
}
END_TEST

/* A writer is slow, or dead, between two steps of a split. */
START_TEST(keys_that_stay_are_told_once_amid_a_split)
{
    for (int later = 1; later <= STAY + 1; later += 1 + later / 3) {
        enumerate_amid_each((amid_t){ .half = true, .later = later });
        enumerate_amid_each(
            (amid_t){ .half = true, .later = later, .grow = 1 });
    }
}
END_TEST

/* Keys of the chain come and go, and the index grows, at any time. */
START_TEST(keys_that_stay_are_told_once_whatever_comes_and_goes)
{
    enum { PASS = 24 };
    char pass[PASS][32];
    kvt_random_t random = { 950 };
    kvt_split_t *split = NULL;
    for (int i = 0, number = 0; i < PASS; number++) {
        snprintf(pass[i], sizeof(pass[i]), "pass%d", number);
        i += kv_hash_low(s, kvt_hash(s, pass[i])) == 3;
    }
    for (int round = 0; round < 6000 / KVT_SLOWER; round++) {
        uint64_t cursor = 0;
        uint64_t slots = kvt_below(&random, 3) * 15;
        uint32_t often = 1 + kvt_below(&random, 8);
        char told[STAY][32];
        int stays = 0;
        memcpy(t.memory, saved, t.size_bytes);
        do {
            kv_scan_t scan;
            size_t len;
            kv_scan_begin(s, &scan, cursor, "", 0, slots);
            while (kv_scan_key(s, &scan, &len) == KV_OK) {
                char key[32] = { 0 };
                kvt_assert_ok(kv_scan_copy(s, &scan, key));
                if (key[0] == 's') {
                    kvt_assert(stays < STAY);
                    for (int i = 0; i < stays; i++) {
                        kvt_assert_msg(strcmp(told[i], key) != 0,
                                       "%s twice, round %d", key, round);
                    }
                    memcpy(told[stays++], key, sizeof(key));
                }
                for (uint32_t i = kvt_below(&random, often); i-- > 0;) {
                    const char *name = pass[kvt_below(&random, PASS)];
                    uint32_t what = kvt_below(&random, 16);
                    if (split != NULL && what < 4) {
                        kvt_split_end(split);
                        split = NULL;
                    } else if (split != NULL) {
                        continue;
                    } else if (what == 0) {
                        split = kvt_split_begin(s, 0);
                    } else if (what == 1) {
                        grow(1);
                    } else if (what < 8) {
                        kvt_assert_ok(kvt_set(s, name, "passes"));
                    } else {
                        (void)kvt_delete(s, name);
                    }
                }
            }
            cursor = scan.cursor;
        } while (cursor != 0);
        kvt_assert_msg(stays == STAY, "%d of %d keys in round %d", stays,
                       (int)STAY, round);
        if (split != NULL) {
            kvt_split_end(split);
            split = NULL;
        }
        kvt_assert_sound(s);
    }
}
END_TEST

/* The step is in an overflow bucket as that one comes to the chain that is
 * split off, with keys told already. */
START_TEST(an_overflow_bucket_that_a_split_has_taken_is_not_told_again)
{
    enum { IN_CHAIN = 2 * KV_BUCKET_SLOTS, MOVE = KV_BUCKET_SLOTS + 4 };
    kv_bucket_t *home = kv_shard_buckets(s, 0) + 3;
    char passing[2][32];
    int in_half[2] = { 0, 0 };
    int number = 0;
    kv_scan_t scan;
    size_t len;
    kvt_assert_ok(kv_store_flush(s));
    while (in_half[0] + in_half[1] < IN_CHAIN) {
        char key[32];
        snprintf(key, sizeof(key), "%d", number++);
        uint64_t hash = kvt_hash(s, key);
        bool moves = kv_hash_tag(hash) & 1;
        if (kv_hash_home(s, hash) == home &&
            in_half[moves] < (moves ? MOVE : IN_CHAIN - MOVE)) {
            kvt_assert_ok(kvt_set(s, key, "stays"));
            in_half[moves]++;
        }
    }
    set_in_chain(home, 'p', 2, passing);
    ck_assert_uint_eq(s->shards[0].overflow_used, 2);
    uint64_t last =
        kv_bucket_next(s, kv_shard_buckets(s, 0), home->tail)->tail & 0xffff;
    kv_scan_begin(s, &scan, 0, "", 0, UINT64_MAX);
    for (int i = 0; i <= IN_CHAIN; i++) {
        char key[32];
        kvt_assert_ok(kv_scan_key(s, &scan, &len));
        kvt_assert_ok(kv_scan_copy(s, &scan, key));
        ck_assert((key[0] == 'p') == (i == IN_CHAIN));
    }
    kvt_assert_ok(kvt_delete(s, passing[0]));
    kvt_assert_ok(kvt_delete(s, passing[1]));
    ck_assert_uint_eq(s->shards[0].overflow_used, 1);
    grow(1);
    ck_assert_uint_eq(home[s->block_buckets].tail & 0xffff, last);
    /* Every key that stays is told already. */
    kvt_assert_result(kv_scan_key(s, &scan, &len), KV_MISSING);
}
END_TEST

START_TEST(a_prefix_is_removed_whole_amid_a_growing_index)
{
    uint64_t deleted;
    for (int times = 0; times < 20; times++) {
        memcpy(t.memory, saved, t.size_bytes);
        grow(times);
        kvt_assert_ok(kv_prefix_delete(s, "stay", 4, &deleted));
        ck_assert_uint_eq(deleted, STAY);
        ck_assert_int_eq(enumerate("stay", 10, NULL), 0);
        kvt_assert_sound(s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_many");
    TCase *tcase = kvt_case(suite, "enumerating");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_empty_store_ends_at_once);
    tcase_add_test(tcase, every_key_is_returned_once_whatever_the_step);
    tcase_add_test(tcase, a_step_examines_about_as_many_slots_as_asked);
    tcase_add_test(tcase, only_keys_with_the_prefix_are_returned);
    tcase_add_test(tcase, expired_keys_are_not_returned);
    tcase_add_test(tcase, a_chain_of_overflow_buckets_is_gone_through);
    tcase_add_test(tcase,
                   the_longest_key_and_binary_keys_are_copied_whole);
    tcase_add_test(tcase, any_cursor_is_harmless);
    tcase_add_test(tcase,
                   a_key_that_moved_between_finding_and_copying_is_told);
    tcase_add_test(
        tcase, an_overflow_bucket_that_changes_chains_is_not_returned_twice);

    tcase = kvt_case(suite, "while the index grows");
    tcase_add_checked_fixture(tcase, set_up_small_index,
                              tear_down_small_index);
    tcase_add_test(
        tcase, keys_that_stay_are_told_once_though_the_index_grows_meanwhile);
    tcase_add_test(
        tcase, keys_that_stay_are_told_once_though_others_let_the_index_grow);
    tcase_add_test(tcase, keys_that_stay_are_told_once_amid_a_split);
    tcase_add_test(tcase,
                   keys_that_stay_are_told_once_whatever_comes_and_goes);
    tcase_add_test(
        tcase, an_overflow_bucket_that_a_split_has_taken_is_not_told_again);
    tcase_add_test(tcase, a_prefix_is_removed_whole_amid_a_growing_index);

    tcase = kvt_case(suite, "removing by prefix");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_prefix_is_removed_and_counted);
    tcase_add_test(tcase, expired_keys_do_not_count_as_removed);
    tcase_add_test(tcase, a_prefix_longer_than_every_key_removes_nothing);
    tcase_add_test(tcase, removing_gives_the_memory_back);
    return kvt_run(suite);
}
