/* kv_index_test.c - chains, overflow buckets, slots that stay. */

#include "kvt.h"

#include "kv_index.h"
#include "kv_lock.h"

#define SMALL_BYTES (128u << 10)

static kvt_t t;

static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kvt_open(&t, SMALL_BYTES, &config);
    kvt_grow_fully(t.store);
}

static void tear_down(void)
{
    kvt_close(&t);
}

static kv_bucket_t *home_of(kv_store_t *store, const char *key)
{
    return kv_hash_home(store, kvt_hash(store, key));
}

/* The next number n >= *n whose key "n" has this home. */
static void colliding_key(kv_store_t *store, const kv_bucket_t *home, int *n,
                          char key[32])
{
    do {
        snprintf(key, 32, "%d", (*n)++);
    } while (home_of(store, key) != home);
}

static _Atomic uint64_t *slot_of(kv_store_t *store, const char *key)
{
    kv_place_t place;
    kv_place_find(store, kvt_hash(store, key), key, strlen(key),
                  &place);
    return place.slot;
}

static uint32_t chain_length(kv_store_t *store, const kv_bucket_t *home)
{
    uint32_t length = 1;
    while ((home->tail & 0xffff) != 0) {
        home = kv_shard_buckets(store, 0) + store->buckets +
               (home->tail & 0xffff) - 1;
        length++;
    }
    return length;
}

START_TEST(hashes_spread_over_shards_buckets_and_tags)
{
    kvt_t many;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    uint32_t shard[4] = { 0 };
    uint64_t tags = 0;
    config.shards = 4;
    kvt_open(&many, 1u << 20, &config);
    kv_store_t *store = many.store;
    uint32_t *bucket = calloc(store->buckets, sizeof(*bucket));
    for (int i = 0; i < 100000; i++) {
        uint64_t hash = kv_hash(store, &i, sizeof(i));
        shard[kv_hash_shard(store, hash)]++;
        uint64_t at = kv_tag_bucket(
            store, kv_hash_low(store, hash), kv_hash_tag(hash),
            kv_extent(store->buckets, store->block_mask));
        kvt_assert(at < store->buckets);
        bucket[at]++;
        tags |= kv_hash_tag(hash);
    }
    ck_assert_uint_eq(tags, (UINT64_C(1) << 22) - 1);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_gt(shard[i], 24000);
        ck_assert_uint_lt(shard[i], 26000);
    }
    for (uint32_t i = 0; i < store->buckets; i++) {
        ck_assert_uint_gt(bucket[i], 100000 / store->buckets / 2);
        ck_assert_uint_lt(bucket[i], 100000 / store->buckets * 2);
    }
    free(bucket);
    kvt_close(&many);
}
END_TEST

START_TEST(a_live_keys_slot_does_not_move)
{
    static char large[9000];
    int64_t sum;
    kvt_assert_ok(kvt_set(t.store, "k", "1"));
    _Atomic uint64_t *slot = slot_of(t.store, "k");
    ck_assert_ptr_ne(slot, NULL);
    kvt_assert_ok(kvt_add(t.store, "k", 1, &sum));
    ck_assert_ptr_eq(slot_of(t.store, "k"), slot);
    kvt_assert_ok(kvt_expire(t.store, "k", 100000));
    ck_assert_ptr_eq(slot_of(t.store, "k"), slot);
    kvt_assert_ok(kv_value_set(t.store, "k", 1, large, sizeof(large), 0,
                               KV_SET_ALWAYS));
    ck_assert_ptr_eq(slot_of(t.store, "k"), slot);
    /* Copied forward as its segment is compacted and evicted from. */
    for (int i = 0; i < 5000; i++) {
        char key[32];
        kv_read_t read;
        snprintf(key, sizeof(key), "other%d", i % 200);
        kvt_assert_ok(kvt_set(t.store, key, "some value"));
        if (kv_read_begin(t.store, "k", 1, &read) == KV_OK) {
            kvt_assert(slot_of(t.store, "k") == slot);
        } else {
            kvt_assert_ok(kvt_set(t.store, "k", "again"));
            slot = slot_of(t.store, "k");
        }
    }
}
END_TEST

START_TEST(a_chain_grows_and_every_key_in_it_is_found)
{
    enum { KEYS = 30 };
    char key[KEYS][32];
    kv_bucket_t *home = home_of(t.store, "first");
    int n = 0;
    for (int i = 0; i < KEYS; i++) {
        colliding_key(t.store, home, &n, key[i]);
        kvt_assert_ok(kvt_set(t.store, key[i], key[i]));
        ck_assert_uint_eq(chain_length(t.store, home), 1u + (uint32_t)i / 7);
        for (int j = 0; j <= i; j++) {
            kvt_assert_value(t.store, key[j], key[j]);
        }
        kvt_assert_sound(t.store);
    }
}
END_TEST

START_TEST(a_chain_shrinks_from_its_end_and_grows_again)
{
    enum { KEYS = 28 };
    char key[KEYS][32];
    kv_bucket_t *home = home_of(t.store, "first");
    uint32_t free_before = t.store->shards[0].overflow_used;
    for (int round = 0; round < 4; round++) {
        int n = 0;
        for (int i = 0; i < KEYS; i++) {
            colliding_key(t.store, home, &n, key[i]);
            kvt_assert_ok(kvt_set(t.store, key[i], key[i]));
        }
        ck_assert_uint_eq(chain_length(t.store, home), 4);
        ck_assert_uint_eq(t.store->shards[0].overflow_used, free_before + 3);
        /* From the front, the back, the middle, and mixed. */
        for (int i = 0; i < KEYS; i++) {
            int which = round == 0   ? i
                        : round == 1 ? KEYS - 1 - i
                        : round == 2 ? (i + 10) % KEYS
                                     : i * 5 % KEYS;
            if (round == 3 && which % 2 == 0) {
                kvt_assert_ok(kvt_set(t.store, key[which], "changed"));
            }
            kvt_assert_ok(kvt_delete(t.store, key[which]));
            kvt_assert_missing(t.store, key[which]);
            kvt_assert_sound(t.store);
        }
        ck_assert_uint_eq(chain_length(t.store, home), 1);
        ck_assert_uint_eq(t.store->shards[0].overflow_used, free_before);
    }
}
END_TEST

START_TEST(a_hole_in_a_chain_is_used_before_an_overflow_bucket)
{
    enum { KEYS = 14 };
    char key[KEYS][32];
    char more[32];
    kv_bucket_t *home = home_of(t.store, "first");
    int n = 0;
    for (int i = 0; i < KEYS; i++) {
        colliding_key(t.store, home, &n, key[i]);
        kvt_assert_ok(kvt_set(t.store, key[i], key[i]));
    }
    _Atomic uint64_t *hole = slot_of(t.store, key[3]);
    kvt_assert_ok(kvt_delete(t.store, key[3]));
    colliding_key(t.store, home, &n, more);
    kvt_assert_ok(kvt_set(t.store, more, more));
    ck_assert_ptr_eq(slot_of(t.store, more), hole);
    ck_assert_uint_eq(chain_length(t.store, home), 2);
}
END_TEST

/* Under noeviction a chain without room refuses, and loses nothing. */
START_TEST(without_overflow_buckets_a_full_chain_refuses)
{
    kvt_t full;
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    kvt_open(&full, SMALL_BYTES, &config);
    kvt_grow_fully(full.store);
    uint32_t overflow = full.store->overflow;
    uint32_t keys = (overflow + 1) * KV_BUCKET_SLOTS;
    kv_bucket_t *home = home_of(full.store, "first");
    char key[32];
    int n = 0;
    for (uint32_t i = 0; i < keys; i++) {
        colliding_key(full.store, home, &n, key);
        kvt_assert_ok(kvt_set(full.store, key, key));
    }
    ck_assert_uint_eq(full.store->shards[0].overflow_used, overflow);
    colliding_key(full.store, home, &n, key);
    kvt_assert_result(kvt_set(full.store, key, key), KV_NO_ROOM);
    kvt_assert_sound(full.store);
    n = 0;
    for (uint32_t i = 0; i < keys; i++) {
        colliding_key(full.store, home, &n, key);
        kvt_assert_value(full.store, key, key);
        kvt_assert_ok(kvt_set(full.store, key, "updates go on"));
    }
    /* Somebody elsewhere gives an overflow bucket back. */
    kvt_assert_ok(kvt_delete(full.store, key));
    colliding_key(full.store, home, &n, key);
    kvt_assert_ok(kvt_set(full.store, key, key));
    kvt_close(&full);
}
END_TEST

START_TEST(without_overflow_buckets_a_full_chain_evicts_the_oldest)
{
    uint32_t keys = (t.store->overflow + 1) * KV_BUCKET_SLOTS;
    kv_bucket_t *home = home_of(t.store, "first");
    char key[32];
    kv_stats_t stats;
    int n = 0;
    for (uint32_t i = 0; i < keys + 50; i++) {
        colliding_key(t.store, home, &n, key);
        kvt_assert_ok(kvt_set(t.store, key, key));
        kvt_assert_value(t.store, key, key);
    }
    kv_store_stats(t.store, &stats);
    ck_assert_uint_eq(stats.evictions, 50);
    ck_assert_uint_eq(stats.entries, keys);
}
END_TEST

START_TEST(a_chain_at_its_limit_takes_no_further_overflow_bucket)
{
    kvt_t big;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kvt_open(&big, 512u << 10, &config);
    kvt_grow_fully(big.store);
    ck_assert_uint_gt(big.store->overflow, KV_CHAIN_MAX);
    kv_bucket_t *home = home_of(big.store, "first");
    char key[32];
    int n = 0;
    for (uint32_t i = 0; i < KV_CHAIN_MAX * KV_BUCKET_SLOTS + 10; i++) {
        colliding_key(big.store, home, &n, key);
        kvt_assert_ok(kvt_set(big.store, key, key));
        kvt_assert_value(big.store, key, key);
    }
    ck_assert_uint_eq(chain_length(big.store, home), KV_CHAIN_MAX);
    ck_assert_uint_eq(big.store->shards[0].overflow_used, KV_CHAIN_MAX - 1);
    kvt_assert_sound(big.store);
    kvt_assert_ok(kv_store_flush(big.store));
    ck_assert_uint_eq(big.store->shards[0].overflow_used, 0);
    kvt_close(&big);
}
END_TEST

START_TEST(a_removal_is_stamped_in_the_tail_of_its_home)
{
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    kv_bucket_t *home = home_of(t.store, "k");
    uint64_t before = home->tail >> 16;
    uint64_t version = kvt_version(t.store, "k") - t.store->epoch;
    kvt_assert_ok(kvt_delete(t.store, "k"));
    ck_assert_uint_gt(home->tail >> 16, version);
    ck_assert_uint_gt(home->tail >> 16, before);
    ck_assert_uint_eq(home->tail >> 16, t.store->shards[0].version);
}
END_TEST

START_TEST(the_same_tag_in_one_chain_is_told_apart_by_the_key)
{
    /* Give the second key the first one's tag: the key decides. */
    char a[32];
    char b[32];
    kv_bucket_t *home = home_of(t.store, "first");
    int n = 0;
    colliding_key(t.store, home, &n, a);
    colliding_key(t.store, home, &n, b);
    kvt_assert_ok(kvt_set(t.store, a, "a"));
    kvt_assert_ok(kvt_set(t.store, b, "b"));
    _Atomic uint64_t *slot = slot_of(t.store, b);
    uint64_t saved = *slot;
    uint64_t low = (UINT64_C(1) << KV_TAG_SHIFT) - 1;
    *slot = (*slot_of(t.store, a) & ~low) | (saved & low);
    kvt_assert_value(t.store, a, "a");
    kvt_assert_ok(kvt_set(t.store, a, "A"));
    *slot = saved;
    kvt_assert_value(t.store, a, "A");
    kvt_assert_value(t.store, b, "b");
}
END_TEST

/* PHP's string hash: times 33. */
static uint64_t php_hash(const char *key, size_t key_len)
{
    uint64_t hash = 5381;
    for (size_t i = 0; i < key_len; i++) {
        hash = hash * 33 + (unsigned char)key[i];
    }
    return hash;
}

START_TEST(keys_that_share_phps_hash_spread_like_any_others)
{
    /* "Ez" and "FY" have one hash, so 20 of them in a row are 2^20 keys. */
    enum { PAIRS = 20, KEYS = (1 << PAIRS) / KVT_SLOWER };
    kvt_t big;
    kv_config_t config;
    kv_stats_t stats;
    char key[2 * PAIRS];
    uint64_t all_alike = 0;

    kv_config_init(&config);
    kvt_open(&big, 160u << 20, &config);
    kvt_grow_fully(big.store);
    for (uint32_t n = 0; n < KEYS; n++) {
        for (uint32_t i = 0; i < PAIRS; i++) {
            memcpy(key + 2 * i, n >> i & 1 ? "FY" : "Ez", 2);
        }
        all_alike = n == 0 ? php_hash(key, sizeof(key)) : all_alike;
        kvt_assert(php_hash(key, sizeof(key)) == all_alike);
        kvt_assert_ok(kv_value_set(big.store, key, sizeof(key), &n, sizeof(n),
                                   KV_NO_TTL, KV_SET_ALWAYS));
    }
    kv_store_stats(big.store, &stats);
    ck_assert_uint_eq(stats.entries, KEYS);
    ck_assert_uint_eq(stats.evictions, 0);
    /* No chain is longer than chance makes it. */
    uint32_t longest = 0;
    for (uint32_t s = 0; s < big.store->geometry.shards; s++) {
        kv_bucket_t *buckets = kv_shard_buckets(big.store, s);
        for (uint32_t b = 0; b < big.store->buckets; b++) {
            uint32_t length = 1;
            uint64_t tail = buckets[b].tail;
            while ((tail & 0xffff) != 0) {
                tail = buckets[big.store->buckets + (tail & 0xffff) - 1].tail;
                length++;
            }
            longest = length > longest ? length : longest;
        }
    }
    ck_assert_uint_le(longest, 4);
    kvt_close(&big);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_index");
    TCase *tcase = kvt_case(suite, "kv_index");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, hashes_spread_over_shards_buckets_and_tags);
    tcase_add_test(tcase, a_live_keys_slot_does_not_move);
    tcase_add_test(tcase, a_chain_grows_and_every_key_in_it_is_found);
    tcase_add_test(tcase, a_chain_shrinks_from_its_end_and_grows_again);
    tcase_add_test(tcase,
                   a_hole_in_a_chain_is_used_before_an_overflow_bucket);
    tcase_add_test(tcase, without_overflow_buckets_a_full_chain_refuses);
    tcase_add_test(tcase,
                   without_overflow_buckets_a_full_chain_evicts_the_oldest);
    tcase_add_test(tcase,
                   a_chain_at_its_limit_takes_no_further_overflow_bucket);
    tcase_add_test(tcase, a_removal_is_stamped_in_the_tail_of_its_home);
    tcase_add_test(tcase,
                   the_same_tag_in_one_chain_is_told_apart_by_the_key);
    tcase_add_test(tcase, keys_that_share_phps_hash_spread_like_any_others);
    return kvt_run(suite);
}
