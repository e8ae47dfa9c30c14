/* kv_write_test.c - set, delete, counters, flush. */

#include "kvt.h"

#include "kv_index.h"

#define SMALL_BYTES (96u << 10)

static kvt_t t;

static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kvt_open(&t, SMALL_BYTES, &config);
}

static void tear_down(void)
{
    kvt_close(&t);
}

static uint64_t entries(void)
{
    kv_stats_t stats;
    kv_store_stats(t.store, &stats);
    return stats.entries;
}

START_TEST(set_replaces_the_value_whatever_its_kind)
{
    static char large[5000];
    int64_t sum;
    kvt_fill(large, sizeof(large), 11);
    for (int from = 0; from < 4; from++) {
        for (int to = 0; to < 4; to++) {
            for (int step = 0; step < 2; step++) {
                switch (step == 0 ? from : to) {
                case 0:
                    kvt_assert_ok(kvt_set(t.store, "k", "short"));
                    kvt_assert_value(t.store, "k", "short");
                    break;
                case 1:
                    kvt_assert_ok(kvt_set(t.store, "k", "41"));
                    kvt_assert_ok(kvt_add(t.store, "k", 1, &sum));
                    kvt_assert_value(t.store, "k", "42");
                    break;
                case 2:
                    kvt_assert_ok(kv_value_set(t.store, "k", 1, large,
                                               sizeof(large), KV_NO_TTL,
                                               KV_SET_ALWAYS));
                    kvt_assert_bytes(t.store, "k", 1, large, sizeof(large));
                    break;
                default:
                    kvt_assert_ok(kvt_set_ttl(t.store, "k", "ttl", 99999));
                    kvt_assert_value(t.store, "k", "ttl");
                }
                ck_assert_uint_eq(entries(), 1);
                kvt_assert_sound(t.store);
            }
        }
    }
}
END_TEST

START_TEST(set_if_absent_and_if_present)
{
    kv_store_t *s = t.store;
    kvt_assert_result(kv_value_set(s, "k", 1, "1", 1, 0, KV_SET_IF_PRESENT),
                      KV_MISSING);
    kvt_assert_missing(s, "k");
    kvt_assert_ok(kv_value_set(s, "k", 1, "2", 1, 0, KV_SET_IF_ABSENT));
    kvt_assert_result(kv_value_set(s, "k", 1, "3", 1, 0, KV_SET_IF_ABSENT),
                      KV_EXISTS);
    kvt_assert_value(s, "k", "2");
    kvt_assert_ok(kv_value_set(s, "k", 1, "4", 1, 0, KV_SET_IF_PRESENT));
    kvt_assert_value(s, "k", "4");
}
END_TEST

START_TEST(large_set_if_absent_and_if_present)
{
    kv_store_t *s = t.store;
    static char large[9000];
    kv_stats_t before;
    kv_stats_t after;
    kvt_fill(large, sizeof(large), 12);
    kvt_assert_result(kv_value_set(s, "k", 1, large, sizeof(large), 0,
                                   KV_SET_IF_PRESENT),
                      KV_MISSING);
    kvt_assert_ok(kv_value_set(s, "k", 1, large, sizeof(large), 0,
                               KV_SET_IF_ABSENT));
    kv_store_stats(s, &before);
    kvt_assert_result(kv_value_set(s, "k", 1, "#", 1, 0, KV_SET_IF_ABSENT),
                      KV_EXISTS);
    kvt_assert_result(kv_value_set(s, "k", 1, large, 8000, 0,
                                   KV_SET_IF_ABSENT),
                      KV_EXISTS);
    kv_store_stats(s, &after);
    ck_assert_uint_eq(after.segments_free, before.segments_free);
    kvt_assert_bytes(s, "k", 1, large, sizeof(large));
    kvt_assert_ok(kv_value_set(s, "k", 1, large, 8000, 0,
                               KV_SET_IF_PRESENT));
    kvt_assert_bytes(s, "k", 1, large, 8000u);
}
END_TEST

START_TEST(deleted_keys_are_gone_once)
{
    kvt_assert_ok(kvt_set(t.store, "a", "1"));
    kvt_assert_ok(kvt_set(t.store, "b", "2"));
    kvt_assert_ok(kvt_delete(t.store, "a"));
    kvt_assert_missing(t.store, "a");
    kvt_assert_result(kvt_delete(t.store, "a"), KV_MISSING);
    kvt_assert_value(t.store, "b", "2");
    ck_assert_uint_eq(entries(), 1);
}
END_TEST

START_TEST(bad_keys_are_refused_by_each_change)
{
    static char key[KV_KEY_MAX_BYTES + 1];
    const size_t bad[] = { 0, KV_KEY_MAX_BYTES + 1, SIZE_MAX };
    for (size_t i = 0; i < 3; i++) {
        int64_t sum = 42;
        kvt_assert_result(kv_value_set(t.store, key, bad[i], "v", 1, 0,
                                       KV_SET_ALWAYS),
                          KV_BAD_KEY);
        kvt_assert_result(kv_key_delete(t.store, key, bad[i]), KV_BAD_KEY);
        kvt_assert_result(kv_counter_add(t.store, key, bad[i], 1, &sum),
                          KV_BAD_KEY);
        kvt_assert_result(kv_deadline_set(t.store, key, bad[i], 1),
                          KV_BAD_KEY);
        ck_assert_int_eq(sum, 42);
    }
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(the_longest_key_works_everywhere)
{
    void *memory = kvt_shared(KV_STORE_MIN_BYTES);
    char *key = malloc(KV_KEY_MAX_BYTES);
    kv_store_t *store;
    int64_t number;
    kvt_fill(key, KV_KEY_MAX_BYTES, 13);
    kvt_assert_ok(kv_store_create(memory, KV_STORE_MIN_BYTES, NULL));
    kvt_assert_ok(kv_store_attach(memory, KV_STORE_MIN_BYTES, &store));
    size_t value_max = kv_store_value_max(store);
    char *value = malloc(value_max);
    kvt_fill(value, value_max, 14);
    const size_t lengths[] = { 0, 1, 2047, 4095, 4096, 70000, 130000,
                               value_max };
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        kvt_assert_ok(kv_value_set(store, key, KV_KEY_MAX_BYTES, value,
                                   lengths[i], 0, KV_SET_ALWAYS));
        kvt_assert_bytes(store, key, KV_KEY_MAX_BYTES, value, lengths[i]);
        kvt_assert_ok(
            kv_deadline_set(store, key, KV_KEY_MAX_BYTES, 1000000));
        kvt_assert_bytes(store, key, KV_KEY_MAX_BYTES, value, lengths[i]);
        kvt_assert_ok(
            kv_deadline_get(store, key, KV_KEY_MAX_BYTES, &number));
        ck_assert_int_gt(number, 0);
    }
    kvt_assert_result(kv_counter_add(store, key, KV_KEY_MAX_BYTES, 1,
                                     &number),
                      KV_NOT_INTEGER);
    kvt_assert_ok(kv_key_delete(store, key, KV_KEY_MAX_BYTES));
    kvt_assert_ok(kv_counter_add(store, key, KV_KEY_MAX_BYTES, 7, &number));
    kvt_assert_bytes(store, key, KV_KEY_MAX_BYTES, "7", 1u);
    kvt_assert_sound(store);
    kv_store_detach(store);
    free(value);
    free(key);
}
END_TEST

START_TEST(a_key_too_long_for_tiny_segments_is_missing_and_too_large)
{
    char key[4096];
    kv_read_t read;
    int64_t sum;
    memset(key, 'k', sizeof(key));
    for (size_t len = 3900; len <= sizeof(key); len++) {
        kv_result_t result =
            kv_value_set(t.store, key, len, "v", 1, 0, KV_SET_ALWAYS);
        ck_assert(result == KV_OK || result == KV_TOO_LARGE);
        ck_assert_int_eq(kv_read_begin(t.store, key, len, &read),
                         result == KV_OK ? KV_OK : KV_MISSING);
        ck_assert_int_eq(kv_deadline_set(t.store, key, len, 100000),
                         result == KV_OK ? KV_OK : KV_MISSING);
        ck_assert_int_eq(kv_key_delete(t.store, key, len),
                         result == KV_OK ? KV_OK : KV_MISSING);
        ck_assert_int_eq(kv_counter_add(t.store, key, len, 1, &sum), result);
    }
}
END_TEST

/* Whatever fits without a deadline fits with one. */
START_TEST(a_record_that_fills_its_segment_can_get_a_deadline)
{
    char key[4000];
    char value[200];
    memset(key, 'k', sizeof(key));
    memset(value, 'v', sizeof(value));
    for (size_t len = 0; len < sizeof(value); len++) {
        int64_t ttl_ms;
        kvt_assert_ok(kv_value_set(t.store, key, sizeof(key), value, len, 0,
                                   KV_SET_ALWAYS));
        kvt_assert_ok(kv_deadline_set(t.store, key, sizeof(key), 1000000));
        kvt_assert_ok(kv_deadline_get(t.store, key, sizeof(key), &ttl_ms));
        ck_assert_int_gt(ttl_ms, 0);
        kvt_assert_bytes(t.store, key, sizeof(key), value, len);
    }
}
END_TEST

START_TEST(the_largest_value_fits_and_one_byte_more_never)
{
    size_t max = kv_store_value_max(t.store);
    char *value = malloc(max + 1);
    kvt_fill(value, max + 1, 15);
    kvt_assert_ok(kvt_set(t.store, "small", "value"));
    for (size_t less = 0; less < 100; less++) {
        kvt_assert_ok(kv_value_set(t.store, "big", 3, value, max - less, 0,
                                   KV_SET_ALWAYS));
        kvt_assert_bytes(t.store, "big", 3, value, max - less);
    }
    kv_stats_t before;
    kv_stats_t after;
    kv_store_stats(t.store, &before);
    kvt_assert_result(kv_value_set(t.store, "big", 3, value, max + 1, 0,
                                   KV_SET_ALWAYS),
                      KV_TOO_LARGE);
    kvt_assert_result(kv_value_set(t.store, "other", 5, value, SIZE_MAX, 0,
                                   KV_SET_ALWAYS),
                      KV_TOO_LARGE);
    kv_store_stats(t.store, &after);
    ck_assert_uint_eq(after.evictions, before.evictions);
    kvt_assert_bytes(t.store, "big", 3, value, max - 99);
    free(value);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Counters                                                            */

START_TEST(an_absent_counter_starts_at_zero)
{
    int64_t sum = 42;
    kvt_assert_ok(kvt_add(t.store, "n", 0, &sum));
    ck_assert_int_eq(sum, 0);
    kvt_assert_value(t.store, "n", "0");
    kvt_assert_ok(kvt_add(t.store, "m", -3, &sum));
    ck_assert_int_eq(sum, -3);
    kvt_assert_value(t.store, "m", "-3");
    ck_assert_uint_eq(entries(), 2);
}
END_TEST

START_TEST(counters_stay_canonical)
{
    int64_t sum;
    int64_t expected = 0;
    kvt_random_t random = { 16 };
    for (int i = 0; i < 2000; i++) {
        char text[32];
        int64_t delta = (int64_t)(kvt_random(&random) >>
                                  (1 + kvt_below(&random, 63)));
        delta = expected > 0 ? -delta : delta;
        expected += delta;
        kvt_assert_ok(kvt_add(t.store, "n", delta, &sum));
        ck_assert_int_eq(sum, expected);
        snprintf(text, sizeof(text), "%lld", (long long)expected);
        kvt_assert_value(t.store, "n", text);
    }
}
END_TEST

START_TEST(text_that_is_a_number_is_counted_on)
{
    int64_t sum;
    kvt_assert_ok(kvt_set(t.store, "n", "-9223372036854775808"));
    kvt_assert_ok(kvt_add(t.store, "n", INT64_MAX, &sum));
    ck_assert_int_eq(sum, -1);
    kvt_assert_ok(kvt_add(t.store, "n", 1, &sum));
    kvt_assert_value(t.store, "n", "0");
}
END_TEST

static const char *const not_integers[] = {
    "", "x", "1 ", " 1", "01", "-0", "+5", "1.0", "9223372036854775808",
    "-9223372036854775809", "123456789012345678901234567890",
};

START_TEST(what_is_no_integer_is_kept)
{
    int64_t sum = 42;
    uint64_t version;
    kvt_assert_ok(kvt_set_ttl(t.store, "n", not_integers[_i], 100000));
    version = kvt_version(t.store, "n");
    kvt_assert_result(kvt_add(t.store, "n", 1, &sum), KV_NOT_INTEGER);
    ck_assert_int_eq(sum, 42);
    kvt_assert_value(t.store, "n", not_integers[_i]);
    ck_assert_uint_eq(kvt_version(t.store, "n"), version);
}
END_TEST

START_TEST(a_large_value_is_no_integer)
{
    static char value[5000];
    int64_t sum;
    memset(value, '1', sizeof(value));
    kvt_assert_ok(kv_value_set(t.store, "n", 1, value, sizeof(value), 0,
                               KV_SET_ALWAYS));
    kvt_assert_result(kvt_add(t.store, "n", 1, &sum), KV_NOT_INTEGER);
    kvt_assert_bytes(t.store, "n", 1, value, sizeof(value));
}
END_TEST

static const struct {
    const char *from;
    int64_t delta;
} overflowing[] = {
    { "9223372036854775807", 1 },
    { "9223372036854775807", INT64_MAX },
    { "1", INT64_MAX },
    { "-1", INT64_MIN },
    { "-9223372036854775808", -1 },
    { "-9223372036854775808", INT64_MIN },
};

START_TEST(an_overflow_keeps_the_value)
{
    int64_t sum = 42;
    uint64_t version;
    /* As text, and as a counter. */
    for (int counted = 0; counted < 2; counted++) {
        kvt_assert_ok(kvt_set(t.store, "n", overflowing[_i].from));
        if (counted) {
            kvt_assert_ok(kvt_add(t.store, "n", 0, &sum));
            sum = 42;
        }
        version = kvt_version(t.store, "n");
        kvt_assert_result(kvt_add(t.store, "n", overflowing[_i].delta, &sum),
                          KV_OVERFLOW);
        ck_assert_int_eq(sum, 42);
        kvt_assert_value(t.store, "n", overflowing[_i].from);
        ck_assert_uint_eq(kvt_version(t.store, "n"), version);
    }
}
END_TEST

START_TEST(counting_in_place_takes_no_memory)
{
    kv_stats_t before;
    kv_stats_t after;
    int64_t sum;
    kvt_assert_ok(kvt_add(t.store, "n", 1, &sum));
    kv_store_stats(t.store, &before);
    for (int i = 0; i < 20000; i++) {
        kvt_assert_ok(kvt_add(t.store, "n", 1, &sum));
    }
    kv_store_stats(t.store, &after);
    ck_assert_int_eq(sum, 20001);
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
    ck_assert_uint_eq(after.live_bytes, before.live_bytes);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Versions, flush                                                     */

START_TEST(versions_grow_with_each_change)
{
    uint64_t version = 0;
    int64_t sum;
    kv_store_t *s = t.store;
    for (int i = 0; i < 300; i++) {
        uint64_t next;
        kvt_assert_ok(kvt_set(s, "k", "1"));
        next = kvt_version(s, "k");
        ck_assert_uint_gt(next, version);
        version = next;
        kvt_assert_ok(kvt_add(s, "k", 1, &sum));
        next = kvt_version(s, "k");
        ck_assert_uint_gt(next, version);
        version = next;
        kvt_assert_ok(kvt_add(s, "k", 1, &sum));
        next = kvt_version(s, "k");
        ck_assert_uint_gt(next, version);
        version = next;
        kvt_assert_ok(kvt_delete(s, "k"));
    }
}
END_TEST

START_TEST(a_deadline_does_not_change_the_version)
{
    uint64_t version;
    kvt_assert_ok(kvt_set(t.store, "k", "1"));
    version = kvt_version(t.store, "k");
    kvt_assert_ok(kvt_expire(t.store, "k", 100000));
    kvt_assert_ok(kvt_expire(t.store, "k", 200000));
    kvt_assert_ok(kvt_expire(t.store, "k", 0));
    ck_assert_uint_eq(kvt_version(t.store, "k"), version);
}
END_TEST

START_TEST(flush_empties_the_store_and_it_goes_on)
{
    static char large[12000];
    kv_stats_t stats;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1500; i++) {
            char key[32];
            snprintf(key, sizeof(key), "k%d", i);
            kvt_assert_ok(kvt_set_ttl(t.store, key, key, i % 3 * 100000));
        }
        kvt_assert_ok(kv_value_set(t.store, "large", 5, large, sizeof(large),
                                   0, KV_SET_ALWAYS));
        kvt_assert_ok(kv_store_flush(t.store));
        kvt_assert_sound(t.store);
        kv_store_stats(t.store, &stats);
        ck_assert_uint_eq(stats.entries, 0);
        ck_assert_uint_eq(stats.live_bytes, 0);
        ck_assert_uint_eq(stats.segments_free, stats.segments);
        for (int i = 0; i < 1500; i++) {
            char key[32];
            snprintf(key, sizeof(key), "k%d", i);
            kvt_assert_missing(t.store, key);
        }
    }
    kvt_assert_ok(kv_store_flush(t.store));
}
END_TEST

START_TEST(a_flush_of_many_shards_reaches_each)
{
    kvt_t many;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kv_stats_t stats;
    config.shards = 16;
    kvt_open(&many, 1u << 20, &config);
    for (int i = 0; i < 3000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_ok(kvt_set(many.store, key, "value"));
    }
    kv_store_stats(many.store, &stats);
    ck_assert_uint_eq(stats.entries, 3000);
    kvt_assert_ok(kv_store_flush(many.store));
    kv_store_stats(many.store, &stats);
    ck_assert_uint_eq(stats.entries, 0);
    kvt_close(&many);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
    Suite *suite = suite_create("kv_write");
    TCase *tcase = kvt_case(suite, "set and delete");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, set_replaces_the_value_whatever_its_kind);
    tcase_add_test(tcase, set_if_absent_and_if_present);
    tcase_add_test(tcase, large_set_if_absent_and_if_present);
    tcase_add_test(tcase, deleted_keys_are_gone_once);
    tcase_add_test(tcase, bad_keys_are_refused_by_each_change);
    tcase_add_test(tcase, the_longest_key_works_everywhere);
    tcase_add_test(
        tcase, a_key_too_long_for_tiny_segments_is_missing_and_too_large);
    tcase_add_test(tcase,
                   a_record_that_fills_its_segment_can_get_a_deadline);
    tcase_add_test(tcase, the_largest_value_fits_and_one_byte_more_never);

    tcase = kvt_case(suite, "counters");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_absent_counter_starts_at_zero);
    tcase_add_test(tcase, counters_stay_canonical);
    tcase_add_test(tcase, text_that_is_a_number_is_counted_on);
    tcase_add_loop_test(tcase, what_is_no_integer_is_kept, 0,
                        COUNT(not_integers));
    tcase_add_test(tcase, a_large_value_is_no_integer);
    tcase_add_loop_test(tcase, an_overflow_keeps_the_value, 0,
                        COUNT(overflowing));
    tcase_add_test(tcase, counting_in_place_takes_no_memory);

    tcase = kvt_case(suite, "versions and flush");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, versions_grow_with_each_change);
    tcase_add_test(tcase, a_deadline_does_not_change_the_version);
    tcase_add_test(tcase, flush_empties_the_store_and_it_goes_on);
    tcase_add_test(tcase, a_flush_of_many_shards_reaches_each);
    return kvt_run(suite);
}
