/* kv_grow_test.c - an index that grows; kv_many_test.c enumerates one, and
 * kv_concurrency_test.c reads one, meanwhile. */

#include "kvt.h"

#include "kv_derive.h"
#include "kv_evict.h"
#include "kv_grow.h"
#include "kv_wait.h"

#include <stdatomic.h>

static kvt_t t;
static kv_store_t *s;

/* One shard of 16 blocks of 8 buckets. */
static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    kvt_open(&t, 60u << 10, &config);
    s = t.store;
    ck_assert_uint_eq(s->block_buckets, 8);
    ck_assert_uint_eq(s->buckets, 128);
}

static void tear_down(void)
{
    kvt_close(&t);
}

static uint64_t in_use(uint32_t shard)
{
    return s->extents[shard] >> KV_EXTENT_MASK_BITS;
}

static bool grow_once(uint32_t shard)
{
    kvt_assert_ok(kv_shard_lock(s, &s->shards[shard]));
    bool grown = kv_grow(s, &s->shards[shard]);
    kv_unlock(&s->shards[shard].lock);
    return grown;
}

/* Ghosts and all: nothing is left where it does not belong. */
static void assert_all_at_home(uint32_t shard)
{
    kv_bucket_t *buckets = kv_shard_buckets(s, shard);
    for (uint64_t home = 0; home < in_use(shard); home++) {
        for (kv_bucket_t *bucket = &buckets[home]; bucket != NULL;
             bucket = kv_bucket_next(s, buckets, bucket->tail)) {
            for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
                uint64_t slot = bucket->slot[i];
                kvt_assert(slot == 0 ||
                           kv_tag_bucket(s, home % s->block_buckets,
                                         slot >> KV_TAG_SHIFT,
                                         s->extents[shard]) == home);
            }
        }
    }
}

/* The next key "<number>", from *number on, of this bucket within a block,
 * whose tag's low `bits` bits are `tag`. */
static void key_in(uint64_t low, uint64_t tag, uint32_t bits, int *number,
                   char key[32])
{
    uint64_t hash;
    do {
        snprintf(key, 32, "%d", (*number)++);
        hash = kvt_hash(s, key);
    } while (kv_hash_low(s, hash) != low ||
             ((kv_hash_tag(hash) ^ tag) & ((UINT64_C(1) << bits) - 1)) != 0);
}

/* ------------------------------------------------------------------ */
/* When                                                                */

START_TEST(the_index_grows_at_nine_halves_of_a_key_a_bucket_and_goes_on)
{
    uint64_t keys = 0;
    int doublings = 0;
    ck_assert_uint_eq(s->extents[0], kv_extent(s->block_buckets, 0));
    while (in_use(0) < s->buckets) {
        uint64_t buckets = in_use(0);
        uint64_t blocks = (s->extents[0] & KV_EXTENT_MASK) + 1;
        bool midst = buckets != blocks * s->block_buckets;
        bool wanted = midst ? keys >= 2 * buckets : 2 * keys >= 9 * buckets;
        char key[32];
        snprintf(key, sizeof(key), "key %d", (int)keys);
        ck_assert(kv_grow_wanted(s, &s->shards[0]) == wanted);
        kvt_assert_ok(kvt_set(s, key, "value"));
        keys++;
        if (wanted) {
            ck_assert_uint_gt(in_use(0), buckets);
            ck_assert_uint_le(in_use(0), buckets + 8);
            doublings += !midst;
        } else {
            ck_assert_uint_eq(in_use(0), buckets);
        }
        kvt_assert_sound(s);
        assert_all_at_home(0);
        /* An update is no new key. */
        buckets = in_use(0);
        kvt_assert_ok(kvt_set(s, key, "other"));
        ck_assert_uint_eq(in_use(0), buckets);
    }
    ck_assert_int_eq(doublings, (int)s->geometry.doublings);
    ck_assert_uint_eq(s->extents[0], kv_extent(s->buckets, s->block_mask));
    ck_assert_uint_lt(2 * keys, 5 * s->buckets);
    ck_assert(!grow_once(0));
    kvt_assert_ok(kvt_set(s, "one more", "value"));
    kvt_assert_ok(kv_store_flush(s));
    ck_assert_uint_eq(s->extents[0], kv_extent(s->buckets, s->block_mask));
}
END_TEST

/* ------------------------------------------------------------------ */
/* Every key is found                                                  */

static void assert_found(kv_store_t *store, const char *key,
                         const char *value)
{
    char got[KV_SHORT_VALUE_BYTES];
    size_t bytes = 0;
    int64_t ttl_ms;
    kv_read_t read;
    kv_item_t item = { .key = key, .key_len = strlen(key) };

    kvt_assert_ok(
        kvt_read_short(store, NULL, key, strlen(key), got, &bytes));
    kvt_assert(bytes == strlen(value) && memcmp(got, value, bytes) == 0);
    kv_items_prepare(store, &item, 1);
    kvt_assert_ok(
        kvt_read_short(store, &item, key, strlen(key), got, &bytes));
    kvt_assert(bytes == strlen(value) && memcmp(got, value, bytes) == 0);
    kvt_assert_ok(kv_read_begin(store, key, strlen(key), &read));
    kvt_assert_ok(kvt_exists(store, key));
    kvt_assert_ok(kvt_ttl(store, key, &ttl_ms));
}

START_TEST(every_key_is_found_after_every_insertion)
{
    kvt_t sharded;
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    config.shards = 4;
    kvt_open(&sharded, 256u << 10, &config);
    kv_store_t *mine = s;
    s = sharded.store;
    kv_store_t *other = kvt_attach(&sharded);
    int keys = 0;
    for (bool full = false; !full; keys++) {
        char key[32];
        snprintf(key, sizeof(key), "a key, %d", keys);
        kvt_assert_ok(kvt_set(s, key, key));
        /* One of so many under sanitizers, but each in its turn. */
        for (int i = keys % KVT_SLOWER; i <= keys; i += KVT_SLOWER) {
            snprintf(key, sizeof(key), "a key, %d", i);
            assert_found(i % 2 ? s : other, key, key);
        }
        kvt_assert_sound(s);
        full = true;
        for (uint32_t i = 0; i < 4; i++) {
            full = full && in_use(i) == s->buckets;
        }
    }
    ck_assert_int_gt(keys, 9 * 4 * (int)s->buckets / 4);
    kv_store_detach(other);
    kvt_close(&sharded);
    s = mine;
}
END_TEST

START_TEST(a_chain_is_split_with_its_overflow_buckets)
{
    enum { EACH = 16, KEYS = 2 * EACH };
    char key[KEYS][32];
    int number = 0;
    /* Half of them move at the first split, and then no more. */
    for (int i = 0; i < KEYS; i++) {
        key_in(5, i % 2, 4, &number, key[i]);
        kvt_assert_ok(kvt_set(s, key[i], key[i]));
    }
    kv_bucket_t *buckets = kv_shard_buckets(s, 0);
    ck_assert_uint_eq(s->extents[0], kv_extent(s->block_buckets, 0));
    ck_assert_uint_eq(s->shards[0].overflow_used, 4);
    ck_assert(grow_once(0));
    ck_assert_uint_eq(in_use(0), 16);
    ck_assert_uint_ne(buckets[5].tail & 0xffff, 0);
    ck_assert_uint_ne(buckets[8 + 5].tail & 0xffff, 0);
    for (int i = 0; i < KEYS; i++) {
        kv_place_t place;
        assert_found(s, key[i], key[i]);
        kv_place_find(s, kvt_hash(s, key[i]), key[i], strlen(key[i]), &place);
        ck_assert_ptr_eq(place.home, &buckets[i % 2 ? 8 + 5 : 5]);
    }
    kvt_assert_sound(s);
    assert_all_at_home(0);
    while (grow_once(0)) {
        for (int i = 0; i < KEYS; i++) {
            assert_found(s, key[i], key[i]);
        }
        kvt_assert_sound(s);
        assert_all_at_home(0);
    }
    for (int i = 0; i < KEYS; i++) {
        kvt_assert_ok(kvt_delete(s, key[i]));
    }
    ck_assert_uint_eq(s->shards[0].overflow_used, 0);
}
END_TEST

START_TEST(a_chain_gives_back_the_overflow_buckets_its_keys_have_left)
{
    enum { STAY = 16, KEYS = 36 };
    char key[KEYS][32];
    int number = 0;
    for (int i = 0; i < KEYS; i++) {
        key_in(2, i >= STAY, 1, &number, key[i]);
        kvt_assert_ok(kvt_set(s, key[i], key[i]));
    }
    ck_assert_uint_eq(in_use(0), s->block_buckets);
    ck_assert_uint_eq(s->shards[0].overflow_used, 5);
    ck_assert(grow_once(0));
    ck_assert_uint_eq(s->shards[0].overflow_used, 4);
    for (int i = 0; i < KEYS; i++) {
        assert_found(s, key[i], key[i]);
        kvt_assert_ok(kvt_delete(s, key[i]));
    }
    ck_assert_uint_eq(s->shards[0].overflow_used, 0);
}
END_TEST

/* Every overflow bucket is in one chain that moves whenever its bucket is
 * split, and needs as many again for that. */
START_TEST(growth_without_overflow_buckets_is_refused_and_harms_nothing)
{
    enum { KEYS_MAX = 400 };
    static char key[KEYS_MAX][32];
    int number = 0;
    int keys = 0;
    kv_result_t result = KV_OK;
    while (result == KV_OK) {
        ck_assert_int_lt(keys, KEYS_MAX);
        key_in(5, 15, 4, &number, key[keys]);
        result = kvt_set(s, key[keys], key[keys]);
        keys += result == KV_OK;
        kvt_assert_sound(s);
    }
    kvt_assert_result(result, KV_NO_ROOM);
    ck_assert_int_eq(keys, (1 + (int)s->overflow) * (int)KV_BUCKET_SLOTS);
    uint64_t stuck = in_use(0);
    ck_assert_uint_lt(stuck, s->buckets);
    ck_assert(kv_grow_wanted(s, &s->shards[0]));
    ck_assert(!grow_once(0));
    kvt_assert_sound(s);
    for (int i = 0; i < keys; i++) {
        assert_found(s, key[i], key[i]);
    }
    char another[32];
    key_in(6, 0, 4, &number, another);
    kvt_assert_ok(kvt_set(s, another, "value"));
    ck_assert_uint_eq(in_use(0), stuck);
    /* Once there are as many free ones as the chain has, it goes on. */
    while (2 * s->shards[0].overflow_used > s->overflow) {
        kvt_assert_ok(kvt_delete(s, key[--keys]));
    }
    while (grow_once(0)) {
        kvt_assert_sound(s);
    }
    ck_assert_uint_eq(in_use(0), s->buckets);
    for (int i = 0; i < keys; i++) {
        assert_found(s, key[i], key[i]);
    }
}
END_TEST

/* ------------------------------------------------------------------ */
/* What else is in a bucket                                            */

static uint64_t absent_version(const char *key)
{
    kv_read_t read;
    uint64_t version = 0;
    kvt_assert_result(kv_key_wait(s, key, strlen(key), 0, 0, &version, &read),
                      KV_MISSING);
    return version;
}

START_TEST(an_absent_key_keeps_the_version_of_its_removal)
{
    enum { KEYS = 200 };
    uint64_t version[KEYS];
    char key[32];
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "gone %d", i);
        kvt_assert_ok(kvt_set(s, key, "value"));
        uint64_t lived = kvt_version(s, key);
        kvt_assert_ok(kvt_delete(s, key));
        ck_assert_uint_gt(absent_version(key), lived);
    }
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "gone %d", i);
        version[i] = absent_version(key);
    }
    ck_assert_uint_eq(in_use(0), s->block_buckets);
    for (kvt_split_t *split; (split = kvt_split_begin(s, 0)) != NULL;) {
        for (int end = 0; end < 2; end++) {
            for (int i = 0; i < KEYS; i++) {
                snprintf(key, sizeof(key), "gone %d", i);
                kvt_assert(absent_version(key) == version[i]);
            }
            if (end == 0) {
                kvt_split_end(split);
            }
        }
    }
}
END_TEST

START_TEST(who_waits_is_woken_though_the_index_has_grown)
{
    const int64_t long_ms = INT64_MAX / 2;
    kv_shard_t *shard = &s->shards[0];
    char key[32];
    int number = 0;
    do {
        key_in(3, 15, 4, &number, key);
        kv_watch_t *watch = kv_watch_of(
            s, shard, kv_hash_home(s, kvt_hash(s, key)));
        uint32_t sequence = watch->sequence;
        watch->until_ms = long_ms;
        shard->watched_until_ms = long_ms;
        kvt_assert_ok(kvt_set(s, key, "value"));
        ck_assert_uint_eq(watch->sequence, ++sequence);
        bool grown = grow_once(0);
        kvt_assert_ok(kvt_set(s, key, "another"));
        ck_assert_uint_eq(watch->sequence, ++sequence);
        grown = grow_once(0) && grown;
        kvt_assert_ok(kvt_delete(s, key));
        ck_assert_uint_eq(watch->sequence, ++sequence);
        if (!grown) {
            break;
        }
    } while (true);
    ck_assert_uint_eq(in_use(0), s->buckets);
}
END_TEST

START_TEST(a_process_that_waits_sees_what_is_set_after_the_index_has_grown)
{
    uint64_t before = absent_version("waited for");
    pid_t child = kvt_fork();
    if (child == 0) {
        kv_store_t *store = NULL;
        kv_read_t read;
        uint64_t version;
        kvt_child_check(
            kv_store_attach(t.memory, t.size_bytes, &store) == KV_OK);
        kvt_child_check(kv_key_wait(store, "waited for", 10, before, 120000,
                                    &version, &read) == KV_OK);
        kv_store_detach(store);
        kvt_child_end(true);
    }
    for (int i = 0; s->shards[0].watched_until_ms == 0; i++) {
        ck_assert_int_lt(i, 60000);
        kvt_sleep_ms(1);
    }
    kvt_grow_fully(s);
    kvt_assert_ok(kvt_set(s, "waited for", "value"));
    ck_assert_int_eq(kvt_wait(child), 0);
}
END_TEST

static _Atomic uint64_t *plant_ghost(kv_bucket_t *bucket, const char *key,
                                     uint64_t age)
{
    for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
        if (bucket->slot[i] == 0) {
            bucket->slot[i] = kv_hash_tag(kvt_hash(s, key)) << KV_TAG_SHIFT |
                              KV_GHOST | age;
            return &bucket->slot[i];
        }
    }
    ck_abort_msg("the bucket is full");
    return NULL;
}

START_TEST(ghosts_move_with_their_tags)
{
    enum { GHOSTS = KV_BUCKET_SLOTS };
    char key[GHOSTS][32];
    int number = 0;
    for (int i = 0; i < GHOSTS; i++) {
        key_in(6, (uint64_t)i * 5, 4, &number, key[i]);
        plant_ghost(&kv_shard_buckets(s, 0)[6], key[i], 100u + (uint64_t)i);
    }
    while (grow_once(0)) {
        for (int i = 0; i < GHOSTS; i++) {
            kv_place_t place;
            kv_place_find(s, kvt_hash(s, key[i]), key[i], strlen(key[i]),
                          &place);
            kvt_assert(place.slot == NULL && place.ghost != NULL);
            kvt_assert((*place.ghost & KV_GHOST_AGE_MASK) ==
                       100u + (uint64_t)i);
        }
        assert_all_at_home(0);
        kvt_assert_sound(s);
    }
}
END_TEST

START_TEST(no_overflow_bucket_is_taken_for_a_ghost)
{
    char key[32];
    int number = 0;
    for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
        key_in(1, 1, 4, &number, key);
        kvt_assert_ok(kvt_set(s, key, "moves"));
    }
    key_in(1, 0, 4, &number, key);
    kvt_assert_ok(kvt_set(s, key, "stays"));
    kv_bucket_t *home = &kv_shard_buckets(s, 0)[1];
    kv_bucket_t *behind =
        kv_bucket_next(s, kv_shard_buckets(s, 0), home->tail);
    ck_assert_ptr_ne(behind, NULL);
    key_in(1, 1, 4, &number, key);
    plant_ghost(behind, key, 7);
    ck_assert(grow_once(0));
    ck_assert_uint_eq(home[s->block_buckets].tail & 0xffff, 0);
    ck_assert_uint_eq(s->shards[0].overflow_used, 1);
    assert_all_at_home(0);
    kvt_assert_sound(s);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Cut short                                                           */

enum { MANY = 36 };

static void set_many(void)
{
    char key[32];
    int number = 0;
    for (int i = 0; i < MANY; i++) {
        key_in(i < 20 ? 3 : (uint64_t)i % 8, (uint64_t)i, 1, &number, key);
        kvt_assert_ok(kvt_set(s, key, key));
    }
    ck_assert_uint_eq(in_use(0), s->block_buckets);
}

/* The same keys as set_many(). */
static void assert_many(kv_store_t *store)
{
    char key[32];
    int number = 0;
    for (int i = 0; i < MANY; i++) {
        key_in(i < 20 ? 3 : (uint64_t)i % 8, (uint64_t)i, 1, &number, key);
        assert_found(store, key, key);
    }
}

static void take_over(void)
{
    kvt_assert_ok(kv_shard_lock(s, &s->shards[0]));
    kv_shard_derive(s, &s->shards[0]);
    kv_unlock(&s->shards[0].lock);
    kvt_assert_sound(s);
    assert_all_at_home(0);
    ck_assert_uint_eq(s->shards[0].entries, MANY);
}

START_TEST(every_key_is_found_between_publishing_and_clearing)
{
    set_many();
    kv_store_t *other = kvt_attach(&t);
    for (kvt_split_t *split; (split = kvt_split_begin(s, 0)) != NULL;) {
        kv_store_t *fresh = kvt_attach(&t);
        assert_many(s);
        assert_many(other);
        assert_many(fresh);
        kvt_split_end(split);
        assert_many(s);
        assert_many(fresh);
        kvt_assert_sound(s);
        kv_store_detach(fresh);
    }
    assert_many(other);
    kv_store_detach(other);
}
END_TEST

START_TEST(what_was_not_cleared_is_cleared_by_who_takes_over)
{
    set_many();
    for (kvt_split_t *split; (split = kvt_split_begin(s, 0)) != NULL;) {
        kvt_split_abandon(split);
        /* The first split moves ten of a chain. */
        ck_assert(in_use(0) != 2 * s->block_buckets ||
                  kv_store_check(s) != NULL);
        take_over();
        assert_many(s);
    }
    ck_assert_uint_eq(in_use(0), s->buckets);
}
END_TEST

START_TEST(what_was_not_published_is_done_anew)
{
    set_many();
    for (;;) {
        uint64_t extent = s->extents[0];
        kvt_split_t *split = kvt_split_begin(s, 0);
        if (split == NULL) {
            break;
        }
        kvt_split_abandon(split);
        s->extents[0] = extent;
        assert_many(s);
        take_over();
        assert_many(s);
        ck_assert_uint_eq(s->extents[0], extent);
        ck_assert(grow_once(0));
        assert_many(s);
        kvt_assert_sound(s);
    }
    ck_assert_uint_eq(in_use(0), s->buckets);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_grow");
    TCase *tcase = kvt_case(suite, "kv_grow");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(
        tcase, the_index_grows_at_nine_halves_of_a_key_a_bucket_and_goes_on);
    tcase_add_test(tcase, every_key_is_found_after_every_insertion);
    tcase_add_test(tcase, a_chain_is_split_with_its_overflow_buckets);
    tcase_add_test(tcase, a_chain_gives_back_the_overflow_buckets_its_keys_have_left);
    tcase_add_test(
        tcase, growth_without_overflow_buckets_is_refused_and_harms_nothing);
    tcase_add_test(tcase, an_absent_key_keeps_the_version_of_its_removal);
    tcase_add_test(tcase, who_waits_is_woken_though_the_index_has_grown);
    tcase_add_test(
        tcase,
        a_process_that_waits_sees_what_is_set_after_the_index_has_grown);
    tcase_add_test(tcase, ghosts_move_with_their_tags);
    tcase_add_test(tcase, no_overflow_bucket_is_taken_for_a_ghost);

    tcase = kvt_case(suite, "cut short");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, every_key_is_found_between_publishing_and_clearing);
    tcase_add_test(tcase, what_was_not_cleared_is_cleared_by_who_takes_over);
    tcase_add_test(tcase, what_was_not_published_is_done_anew);
    return kvt_run(suite);
}
