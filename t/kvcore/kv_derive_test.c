/* kv_derive_test.c - all that is derived can be computed anew. */

#include "kvt.h"

#include "kv_derive.h"
#include "kv_large.h"
#include "kv_lock.h"

#define SMALL_BYTES (256u << 10)

static kvt_t t;
static kv_store_t *s;

static char value[9000];

static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    int64_t sum;
    config.shards = 2;
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
    kvt_fill(value, sizeof(value), 41);
    for (int i = 0; i < 2000; i++) {
        char key[32];
        kv_read_t read;
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_ok(kvt_set_ttl(s, key, "value", i % 3 * 1000000));
        snprintf(key, sizeof(key), "k%d", i / 2);
        for (int j = 0; j < 3; j++) {
            (void)kv_read_begin(s, key, strlen(key), &read);
        }
        if (i % 5 == 0) {
            (void)kvt_delete(s, key);
        }
    }
    for (int i = 0; i < 4; i++) {
        char key[32];
        snprintf(key, sizeof(key), "large%d", i);
        kvt_assert_ok(kv_value_set(s, key, strlen(key), value, sizeof(value),
                                   0, KV_SET_ALWAYS));
    }
    kvt_assert_ok(kvt_add(s, "n", 5, &sum));
    kvt_assert_sound(s);
}

static void tear_down(void)
{
    kvt_close(&t);
}

/* Every figure that kv_layout.h calls derived, spoiled. */
static void spoil(kv_shard_t *shard, kvt_random_t *random)
{
    uint32_t number = kv_shard_number(s, shard);
    shard->entries = kvt_random(random);
    shard->live_bytes = kvt_random(random);
    shard->first = kvt_below(random, s->segments + 1);
    shard->large_count = kvt_below(random, 100);
    shard->overflow_used = kvt_below(random, 100);
    for (int queue = 0; queue < KV_QUEUES; queue++) {
        shard->open[queue] = kvt_below(random, s->segments + 1);
        shard->count[queue] = kvt_below(random, 100);
    }
    for (uint32_t i = 0; i < s->geometry.overflow_map_words; i++) {
        s->overflow_maps[number * s->geometry.overflow_map_words + i] =
            kvt_random(random);
    }
    for (uint32_t i = 0; i < s->segments; i++) {
        uint64_t word = s->words[i];
        kv_state_t state = kv_word_state(word);
        if ((state == KV_STATE_SMALL || state == KV_STATE_MAIN ||
             state == KV_STATE_LARGE) && kv_word_owner(word) == number) {
            s->segment[i].live_bytes = kvt_below(random, 4096);
            s->segment[i].permanent_bytes = kvt_below(random, 4096);
            s->segment[i].next = kvt_below(random, s->segments + 1);
            s->segment[i].min_deadline_ms = (int64_t)kvt_random(random);
        }
    }
}

START_TEST(a_spoiled_shard_is_derived_to_what_it_was)
{
    kvt_random_t random = { 42 };
    kv_stats_t before;
    kv_store_stats(s, &before);
    for (int round = 0; round < 20; round++) {
        for (uint32_t number = 0; number < 2; number++) {
            spoil(&s->shards[number], &random);
            kv_shard_derive(s, &s->shards[number]);
        }
        kv_stats_t after;
        kvt_assert_sound(s);
        kv_store_stats(s, &after);
        ck_assert_uint_eq(after.entries, before.entries);
        ck_assert_uint_eq(after.live_bytes, before.live_bytes);
        ck_assert_uint_eq(after.segments_free, before.segments_free);
    }
    for (int i = 0; i < 4; i++) {
        char key[32];
        snprintf(key, sizeof(key), "large%d", i);
        kvt_assert_bytes(s, key, strlen(key), value, sizeof(value));
    }
    /* And it goes on. */
    for (int i = 0; i < 3000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "more%d", i);
        kvt_assert_ok(kvt_set(s, key, "value"));
    }
}
END_TEST

START_TEST(free_bits_that_were_lost_come_back)
{
    uint32_t free_before = kv_pool_count(s);
    for (uint32_t i = 0; i < s->geometry.free_map_words; i++) {
        s->free_map[i] = 0;
    }
    kv_shard_derive(s, &s->shards[0]);
    ck_assert_uint_eq(kv_pool_count(s), free_before);
}
END_TEST

START_TEST(the_newest_segment_of_each_queue_is_open_again)
{
    uint32_t open[2][KV_QUEUES];
    for (uint32_t number = 0; number < 2; number++) {
        for (int queue = 0; queue < KV_QUEUES; queue++) {
            open[number][queue] = s->shards[number].open[queue];
        }
        kv_shard_derive(s, &s->shards[number]);
        for (int queue = 0; queue < KV_QUEUES; queue++) {
            if (open[number][queue] != 0) {
                ck_assert_uint_eq(s->shards[number].open[queue],
                                  open[number][queue]);
            }
        }
    }
}
END_TEST

/* A counter was stored, its record not yet stamped. */
START_TEST(a_noted_counter_is_stamped_with_a_new_version)
{
    kv_place_t place;
    uint64_t before = kvt_version(s, "n");
    uint64_t hash = kvt_hash(s, "n");
    kv_shard_t *shard = &s->shards[kv_hash_shard(s, hash)];
    kv_place_find(s, hash, "n", 1, &place);
    shard->noted = (uint64_t)((unsigned char *)place.record - s->data);
    *kv_record_counter(place.record, place.shape.flags) = 6;
    kv_shard_derive(s, shard);
    ck_assert_uint_eq(shard->noted, 0);
    ck_assert_uint_gt(kvt_version(s, "n"), before);
    kvt_assert_value(s, "n", "6");
}
END_TEST

START_TEST(a_note_that_leads_nowhere_is_dropped)
{
    static const uint64_t nowhere[] = { 8, 16, UINT64_MAX, UINT64_C(1) << 40 };
    for (size_t i = 0; i < 4; i++) {
        s->shards[0].noted = nowhere[i];
        kv_shard_derive(s, &s->shards[0]);
        ck_assert_uint_eq(s->shards[0].noted, 0);
        kvt_assert_sound(s);
    }
}
END_TEST

/* The writer died between giving a chain to the shard and publishing. */
START_TEST(chunks_no_record_leads_to_are_freed)
{
    kv_build_t build;
    kv_stats_t before;
    kv_stats_t after;
    kv_store_stats(s, &before);
    kvt_assert_ok(kv_large_build(s, value, sizeof(value), 3,
                                 KV_FLAG_LARGE | KV_FLAG_DEADLINE, &build));
    kv_large_adopt(s, &s->shards[1], &build);
    kv_large_done(s);
    ck_assert_ptr_ne(kv_store_check(s), NULL);
    kv_shard_derive(s, &s->shards[1]);
    kvt_assert_sound(s);
    kv_store_stats(s, &after);
    ck_assert_uint_eq(after.segments_free, before.segments_free);
}
END_TEST

/* It died having taken overflow buckets that it did not link yet. */
START_TEST(overflow_buckets_follow_the_links)
{
    kv_shard_t *shard = &s->shards[0];
    uint32_t used = shard->overflow_used;
    s->overflow_maps[0] = UINT64_MAX;
    shard->overflow_used += 9;
    kv_shard_derive(s, shard);
    ck_assert_uint_eq(shard->overflow_used, used);
    kvt_assert_sound(s);
}
END_TEST

START_TEST(a_takeover_derives_before_anything_else)
{
    kvt_random_t random = { 43 };
    for (uint32_t number = 0; number < 2; number++) {
        s->shards[number].lock = UINT64_C(0xffff) << 48 | 1; /* nobody */
        spoil(&s->shards[number], &random);
    }
    for (int i = 0; i < 50; i++) {
        char key[32];
        snprintf(key, sizeof(key), "new%d", i);
        kvt_assert_ok(kvt_set(s, key, "value"));
    }
    kv_stats_t stats;
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.steals, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_derive");
    TCase *tcase = kvt_case(suite, "kv_derive");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_spoiled_shard_is_derived_to_what_it_was);
    tcase_add_test(tcase, free_bits_that_were_lost_come_back);
    tcase_add_test(tcase, the_newest_segment_of_each_queue_is_open_again);
    tcase_add_test(tcase, a_noted_counter_is_stamped_with_a_new_version);
    tcase_add_test(tcase, a_note_that_leads_nowhere_is_dropped);
    tcase_add_test(tcase, chunks_no_record_leads_to_are_freed);
    tcase_add_test(tcase, overflow_buckets_follow_the_links);
    tcase_add_test(tcase, a_takeover_derives_before_anything_else);
    return kvt_run(suite);
}
