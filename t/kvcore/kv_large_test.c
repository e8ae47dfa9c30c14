/* kv_large_test.c - values in chains of segments. */

#include "kvt.h"

#include "kv_evict.h"
#include "kv_large.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define SMALL_BYTES (128u << 10)

static kvt_t t;
static kv_store_t *s;
static char *value;

static void set_up_with(kv_eviction_t eviction)
{
    kv_config_t config = kvt_tiny(eviction);
    config.wait_limit_ms = 100;
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
    value = malloc(SMALL_BYTES);
    kvt_fill(value, SMALL_BYTES, 51);
}

static void set_up(void)
{
    set_up_with(KV_ALLKEYS_LRU);
}

static void set_up_noeviction(void)
{
    set_up_with(KV_NOEVICTION);
}

static void tear_down(void)
{
    free(value);
    kvt_close(&t);
}

static kv_result_t set(const char *key, size_t len)
{
    return kv_value_set(s, key, strlen(key), value, len, KV_NO_TTL,
                        KV_SET_ALWAYS);
}

static uint32_t segments_free(void)
{
    kv_stats_t stats;
    kv_store_stats(s, &stats);
    return stats.segments_free;
}

static uint32_t count_in_state(kv_state_t state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->segments; i++) {
        count += kv_word_state(s->words[i]) == state;
    }
    return count;
}

START_TEST(every_length_around_a_chunks_edge_comes_back)
{
    uint32_t chunk = kv_segment_chunk_bytes(s);
    ck_assert_uint_eq(chunk, 4080);
    for (uint32_t edge = chunk; edge <= 4 * chunk; edge += chunk) {
        for (uint32_t len = edge - 20; len <= edge + 20; len++) {
            kvt_assert_ok(set("k", len));
            kvt_assert_bytes(s, "k", 1, value, len);
        }
        kvt_assert_sound(s);
    }
    for (uint32_t len = 2000; len < 2200; len++) {
        kvt_assert_ok(set("k", len));
        kvt_assert_bytes(s, "k", 1, value, len);
    }
}
END_TEST

START_TEST(a_chain_has_no_more_chunks_than_it_needs)
{
    static const struct {
        uint32_t len;
        uint32_t chunks;
    } expected[] = {
        { 2000, 0 },  { 3000, 1 },  { 4080, 1 },      { 4081, 1 },
        { 5000, 1 },  { 7900, 2 },  { 8160, 2 },      { 8161, 2 },
        { 9000, 2 },  { 16320, 4 }, { 16320 + 900, 4 },
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        kvt_assert_ok(set("k", expected[i].len));
        ck_assert_uint_eq(count_in_state(KV_STATE_LARGE),
                          expected[i].chunks);
    }
}
END_TEST

START_TEST(replacing_and_deleting_gives_the_chunks_back)
{
    uint32_t before;
    kvt_assert_ok(set("k", 10));
    before = segments_free();
    for (int i = 0; i < 20; i++) {
        kvt_assert_ok(set("k", 12240));
        ck_assert_uint_eq(count_in_state(KV_STATE_LARGE), 3);
        kvt_assert_ok(set("k", 8160));
        ck_assert_uint_eq(count_in_state(KV_STATE_LARGE), 2);
        kvt_assert_ok(set("k", 10));
        ck_assert_uint_eq(count_in_state(KV_STATE_LARGE), 0);
        kvt_assert_ok(set("k", 12240));
        kvt_assert_ok(kvt_delete(s, "k"));
        ck_assert_uint_eq(count_in_state(KV_STATE_LARGE), 0);
    }
    ck_assert_uint_ge(segments_free() + 1, before);
}
END_TEST

START_TEST(large_values_evict_each_other_without_end)
{
    size_t max = kv_store_value_max(s);
    kv_stats_t stats;
    for (int i = 0; i < 300; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_ok(set(key, max - (size_t)(i * 37 % 9000)));
        kvt_assert_bytes(s, key, strlen(key), value,
                         max - (size_t)(i * 37 % 9000));
        kvt_assert_sound(s);
    }
    kv_store_stats(s, &stats);
    ck_assert_uint_gt(stats.evictions, 250);
    ck_assert_uint_eq(stats.rejections, 0);
}
END_TEST

START_TEST(small_values_come_in_where_large_ones_fill_everything)
{
    for (int i = 0; i < 20; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_ok(set(key, kv_store_value_max(s)));
    }
    for (int i = 0; i < 2000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "small%d", i);
        kvt_assert_ok(set(key, 100));
        kvt_assert_bytes(s, key, strlen(key), value, 100u);
    }
    kvt_assert_ok(set("k", kv_store_value_max(s)));
}
END_TEST

START_TEST(without_eviction_a_value_that_does_not_fit_now_is_refused_whole)
{
    int stored = 0;
    kv_result_t result;
    char key[32];
    uint32_t before;
    kv_stats_t stats;
    for (;; stored++) {
        snprintf(key, sizeof(key), "k%d", stored);
        before = segments_free();
        result = set(key, 12240);
        if (result != KV_OK) {
            break;
        }
    }
    kvt_assert_result(result, KV_NO_ROOM);
    ck_assert_int_ge(stored, 4);
    kvt_assert_missing(s, key);
    kvt_assert_sound(s);
    ck_assert_uint_eq(count_in_state(KV_STATE_BUILDING), 0);
    ck_assert_uint_eq(segments_free(), before);
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.rejections, 1);
    for (int i = 0; i < stored; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_bytes(s, key, strlen(key), value, 12240u);
    }
    kvt_assert_ok(kvt_delete(s, "k0"));
    kvt_assert_ok(set("again", 12240));
}
END_TEST

/* ------------------------------------------------------------------ */
/* The build lock                                                      */

START_TEST(one_value_is_built_at_a_time)
{
    kv_store_t *other = kvt_attach(&t);
    kv_build_t build;
    kvt_assert_ok(kv_large_build(other, value, 8160, 1,
                                 KV_FLAG_LARGE | KV_FLAG_DEADLINE, &build));
    kvt_assert_result(set("k", 8160), KV_BUSY);
    kvt_assert_ok(set("k", 100)); /* small ones do not care */
    ck_assert_uint_eq(count_in_state(KV_STATE_BUILDING), 2);
    kvt_assert_sound(s);
    kv_large_abandon(other, &build);
    ck_assert_uint_eq(count_in_state(KV_STATE_BUILDING), 0);
    kvt_assert_ok(set("k", 8160));
    kv_store_detach(other);
}
END_TEST

static void die_while_building(bool adopted)
{
    _Atomic int *word = kvt_shared(4096);
    pid_t pid = kvt_fork();
    if (pid == 0) {
        kv_store_t *store;
        kv_build_t build;
        kvt_child_check(
            kv_store_attach(t.memory, t.size_bytes, &store) == KV_OK);
        kvt_child_check(kv_large_build(store, value, 12240, 1,
                                       KV_FLAG_LARGE | KV_FLAG_DEADLINE,
                                       &build) == KV_OK);
        if (adopted) {
            kvt_child_check(kv_shard_lock(store, &store->shards[0]) ==
                            KV_OK);
            kv_large_adopt(store, &store->shards[0], &build);
        }
        atomic_store(word, 1);
        for (;;) {
            pause();
        }
    }
    kvt_wait_word(word, 1);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
}

START_TEST(what_a_dead_builder_left_is_freed_by_the_next_builder)
{
    kvt_assert_ok(set("k", 8160));
    die_while_building(false);
    ck_assert_uint_eq(count_in_state(KV_STATE_BUILDING), 3);
    kvt_assert_sound(s);
    kvt_assert_ok(set("other", 8160));
    ck_assert_uint_eq(count_in_state(KV_STATE_BUILDING), 0);
    ck_assert_uint_eq(count_in_state(KV_STATE_LARGE), 4);
    kvt_assert_bytes(s, "k", 1, value, 8160u);
}
END_TEST

START_TEST(what_a_dead_builder_left_is_freed_for_small_values_too)
{
    kv_stats_t stats;
    die_while_building(false);
    for (int i = 0; i < 2000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "small%d", i);
        kvt_assert_ok(set(key, 100));
    }
    ck_assert_uint_eq(count_in_state(KV_STATE_BUILDING), 0);
    kv_store_stats(s, &stats);
    ck_assert_uint_eq(stats.steals, 1);
}
END_TEST

START_TEST(a_death_between_adopting_and_publishing_leaves_no_chunks)
{
    kvt_assert_ok(set("k", 8160));
    die_while_building(true);
    ck_assert_uint_eq(count_in_state(KV_STATE_LARGE), 5);
    kvt_assert_ok(set("small", 10));
    ck_assert_uint_eq(count_in_state(KV_STATE_LARGE), 2);
    kvt_assert_sound(s);
    kvt_assert_ok(set("other", 8160));
    kvt_assert_bytes(s, "k", 1, value, 8160u);
    kvt_assert_bytes(s, "other", 5, value, 8160u);
}
END_TEST

/* A read that had begun before says so; one that begins finds no value, or it
 * would be told to begin again for ever. */
static void assert_broken(const kv_read_t *begun, char *got)
{
    kv_read_t read;
    kvt_assert_result(kv_read_copy(s, begun, got), KV_RETRY);
    kvt_assert_result(kv_read_begin(s, "k", 1, &read), KV_MISSING);
    kvt_assert_result(kv_key_delete_equal(s, "k", 1, value, 12240),
                      KV_MISSING);
}

START_TEST(a_broken_chain_is_never_read_past_its_end)
{
    char *got = malloc(SMALL_BYTES);
    kv_place_t place;
    kv_large_t large;
    kv_read_t read;
    kvt_assert_ok(set("k", 12240));
    kvt_assert_ok(kv_read_begin(s, "k", 1, &read));
    kv_place_find(s, kvt_hash(s, "k"), "k", 1, &place);
    kv_record_large(place.record, &place.shape, &large);
    uint64_t *link = (uint64_t *)(void *)kv_segment_start(
        s, (uint32_t)large.first);
    uint64_t saved = link[0];
    link[0] = 0;
    assert_broken(&read, got);
    link[0] = s->segments + 1;
    assert_broken(&read, got);
    link[0] = saved;
    link[1]++;
    assert_broken(&read, got);
    link[1]--;
    kvt_assert_ok(kv_read_copy(s, &read, got));
    kvt_assert_bytes(s, "k", 1, value, 12240u);
    free(got);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_large");
    TCase *tcase = kvt_case(suite, "chains");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, every_length_around_a_chunks_edge_comes_back);
    tcase_add_test(tcase, a_chain_has_no_more_chunks_than_it_needs);
    tcase_add_test(tcase, replacing_and_deleting_gives_the_chunks_back);
    tcase_add_test(tcase, large_values_evict_each_other_without_end);
    tcase_add_test(tcase,
                   small_values_come_in_where_large_ones_fill_everything);
    tcase_add_test(tcase, a_broken_chain_is_never_read_past_its_end);

    tcase = kvt_case(suite, "noeviction");
    tcase_add_checked_fixture(tcase, set_up_noeviction, tear_down);
    tcase_add_test(
        tcase,
        without_eviction_a_value_that_does_not_fit_now_is_refused_whole);

    tcase = kvt_case(suite, "building");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, one_value_is_built_at_a_time);
    tcase_add_test(tcase,
                   what_a_dead_builder_left_is_freed_by_the_next_builder);
    tcase_add_test(tcase,
                   what_a_dead_builder_left_is_freed_for_small_values_too);
    tcase_add_test(tcase,
                   a_death_between_adopting_and_publishing_leaves_no_chunks);
    return kvt_run(suite);
}
