/* kv_expiry_test.c - deadlines, with a clock that the tests move. */

#include "kvt.h"

#include "kv_clock.h"
#include "kv_evict.h"

#define SMALL_BYTES (96u << 10)

static kvt_t t;

static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    kvt_open(&t, SMALL_BYTES, &config);
    kvt_clock_stop();
}

static void set_up_running(void)
{
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    kvt_open(&t, SMALL_BYTES, &config);
}

static void tear_down(void)
{
    kvt_close(&t);
}

static void assert_ttl(const char *key, int64_t expected_ms)
{
    int64_t ttl_ms;
    kvt_assert_ok(kvt_ttl(t.store, key, &ttl_ms));
    ck_assert_int_eq(ttl_ms, expected_ms);
}

START_TEST(a_key_lives_to_its_last_millisecond)
{
    kvt_assert_ok(kvt_set_ttl(t.store, "k", "v", 1000));
    assert_ttl("k", 1000);
    kvt_clock_move(1);
    assert_ttl("k", 999);
    kvt_clock_move(998);
    assert_ttl("k", 1);
    kvt_assert_value(t.store, "k", "v");
    kvt_clock_move(1);
    kvt_assert_missing(t.store, "k");
    int64_t ttl_ms;
    kvt_assert_result(kvt_ttl(t.store, "k", &ttl_ms), KV_MISSING);
}
END_TEST

START_TEST(time_runs_by_itself)
{
    kv_store_t *s = t.store;
    int64_t start_ms = kv_now_ms();
    kvt_assert_ok(kvt_set_ttl(s, "short", "v", 50));
    kvt_assert_ok(kvt_set_ttl(s, "long", "v", 3600000));
    for (int i = 0; kvt_exists(s, "short") == KV_OK; i++) {
        ck_assert_int_lt(i, 60000);
        kvt_sleep_ms(1);
    }
    ck_assert_int_ge(kv_now_ms() - start_ms, 50);
    kvt_assert_ok(kvt_exists(s, "long"));
}
END_TEST

static const int64_t no_deadline[] = { 0, -1, -1000, -INT64_MAX };

START_TEST(zero_and_negative_mean_no_deadline)
{
    kvt_assert_ok(kvt_set_ttl(t.store, "k", "v", no_deadline[_i]));
    assert_ttl("k", -1);
    kvt_assert_ok(kvt_expire(t.store, "k", 500));
    assert_ttl("k", 500);
    kvt_assert_ok(kvt_expire(t.store, "k", no_deadline[_i]));
    assert_ttl("k", -1);
    kvt_clock_move(INT64_C(1) << 40);
    kvt_assert_value(t.store, "k", "v");
}
END_TEST

START_TEST(the_longest_ttl_is_saturated)
{
    kvt_assert_ok(kvt_set_ttl(t.store, "a", "v", INT64_MAX));
    kvt_assert_ok(kvt_set(t.store, "b", "v"));
    kvt_assert_ok(kvt_expire(t.store, "b", INT64_MAX));
    kvt_assert_ok(kvt_set_ttl(t.store, "c", "v", INT64_MAX - 1));
    kvt_clock_move(INT64_C(1) << 50);
    for (const char *key = "abc"; *key != '\0'; key++) {
        const char name[] = { *key, '\0' };
        int64_t ttl_ms;
        kvt_assert_ok(kvt_ttl(t.store, name, &ttl_ms));
        ck_assert_int_gt(ttl_ms, INT64_C(1) << 62);
        kvt_assert_value(t.store, name, "v");
    }
}
END_TEST

START_TEST(expiring_with_int64_min_clears_the_deadline)
{
    kvt_assert_ok(kvt_set_ttl(t.store, "k", "v", 100));
    kvt_assert_ok(kvt_expire(t.store, "k", INT64_MIN));
    assert_ttl("k", -1);
}
END_TEST

START_TEST(set_without_ttl_takes_the_deadline_away)
{
    kvt_assert_ok(kvt_set_ttl(t.store, "k", "v", 100));
    kvt_assert_ok(kvt_set(t.store, "k", "w"));
    assert_ttl("k", -1);
}
END_TEST

START_TEST(keep_ttl_keeps_what_is_there)
{
    static char large[5000];
    kvt_assert_ok(kvt_set_ttl(t.store, "new", "v", KV_KEEP_TTL));
    assert_ttl("new", -1);
    kvt_assert_ok(kvt_set_ttl(t.store, "k", "v", 1000));
    kvt_clock_move(300);
    kvt_assert_ok(kvt_set_ttl(t.store, "k", "w", KV_KEEP_TTL));
    assert_ttl("k", 700);
    kvt_assert_ok(kv_value_set(t.store, "k", 1, large, sizeof(large),
                               KV_KEEP_TTL, KV_SET_ALWAYS));
    assert_ttl("k", 700);
    kvt_assert_ok(kvt_set_ttl(t.store, "k", "x", KV_KEEP_TTL));
    assert_ttl("k", 700);
    kvt_clock_move(700);
    kvt_assert_ok(kvt_set_ttl(t.store, "k", "y", KV_KEEP_TTL));
    assert_ttl("k", -1);
    kvt_assert_value(t.store, "k", "y");
}
END_TEST

START_TEST(expire_works_on_every_kind_of_record)
{
    static char large[9000];
    int64_t sum;
    kvt_fill(large, sizeof(large), 21);
    kvt_assert_ok(kvt_set(t.store, "plain", "v"));
    kvt_assert_ok(kvt_set_ttl(t.store, "dated", "v", 5));
    kvt_assert_ok(kvt_add(t.store, "count", 41, &sum));
    kvt_assert_ok(kv_value_set(t.store, "large", 5, large, sizeof(large), 0,
                               KV_SET_ALWAYS));
    const char *const keys[] = { "plain", "dated", "count", "large" };
    for (int i = 0; i < 4; i++) {
        kvt_assert_ok(kvt_expire(t.store, keys[i], 1000));
        assert_ttl(keys[i], 1000);
        kvt_assert_ok(kvt_expire(t.store, keys[i], 2000));
        assert_ttl(keys[i], 2000);
        kvt_assert_ok(kvt_expire(t.store, keys[i], 0));
        assert_ttl(keys[i], -1);
        kvt_assert_ok(kvt_expire(t.store, keys[i], 1500));
        assert_ttl(keys[i], 1500);
        kvt_assert_sound(t.store);
    }
    kvt_assert_value(t.store, "plain", "v");
    kvt_assert_value(t.store, "dated", "v");
    kvt_assert_ok(kvt_add(t.store, "count", 1, &sum));
    kvt_assert_value(t.store, "count", "42");
    kvt_assert_bytes(t.store, "large", 5, large, sizeof(large));
    kvt_clock_move(1500);
    for (int i = 0; i < 4; i++) {
        kvt_assert_missing(t.store, keys[i]);
        kvt_assert_result(kvt_expire(t.store, keys[i], 1000), KV_MISSING);
        kvt_assert_result(kvt_delete(t.store, keys[i]), KV_MISSING);
    }
}
END_TEST

START_TEST(a_counter_keeps_its_deadline)
{
    int64_t sum;
    kvt_assert_ok(kvt_set_ttl(t.store, "n", "41", 1000));
    kvt_clock_move(400);
    kvt_assert_ok(kvt_add(t.store, "n", 1, &sum));
    assert_ttl("n", 600);
    kvt_assert_ok(kvt_add(t.store, "n", 1, &sum));
    assert_ttl("n", 600);
    ck_assert_int_eq(sum, 43);
    kvt_clock_move(600);
    kvt_assert_ok(kvt_add(t.store, "n", 1, &sum));
    ck_assert_int_eq(sum, 1);
    assert_ttl("n", -1);
}
END_TEST

START_TEST(an_expired_key_counts_as_absent)
{
    kvt_assert_ok(kvt_set_ttl(t.store, "k", "v", 10));
    kvt_clock_move(10);
    kvt_assert_result(kv_value_set(t.store, "k", 1, "w", 1, 0,
                                   KV_SET_IF_PRESENT),
                      KV_MISSING);
    kvt_assert_ok(kv_value_set(t.store, "k", 1, "w", 1, 0,
                               KV_SET_IF_ABSENT));
    kvt_assert_value(t.store, "k", "w");
    kv_stats_t stats;
    kv_store_stats(t.store, &stats);
    ck_assert_uint_eq(stats.expirations, 1);
    ck_assert_uint_eq(stats.entries, 1);
}
END_TEST

START_TEST(expired_large_values_are_absent_and_give_back_their_memory)
{
    static char large[9000];
    kv_stats_t stats;
    kvt_fill(large, sizeof(large), 22);
    kvt_assert_ok(kv_value_set(t.store, "k", 1, large, sizeof(large), 10,
                               KV_SET_ALWAYS));
    kvt_clock_move(10);
    kvt_assert_ok(kv_value_set(t.store, "k", 1, large, 8500, 0,
                               KV_SET_IF_ABSENT));
    kvt_assert_bytes(t.store, "k", 1, large, 8500u);
    kvt_assert_ok(kvt_delete(t.store, "k"));
    kv_store_stats(t.store, &stats);
    ck_assert_uint_ge(stats.segments_free + 2, stats.segments);
}
END_TEST

/* Under noeviction nothing but expiry can make room. */
START_TEST(expired_records_make_room)
{
    char value[300];
    kv_stats_t stats;
    memset(value, 'v', sizeof(value));
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 120; i++) {
            char key[32];
            snprintf(key, sizeof(key), "%d.%d", round, i);
            kvt_assert_ok(kv_value_set(t.store, key, strlen(key), value,
                                       sizeof(value), 1000, KV_SET_ALWAYS));
        }
        kvt_clock_move(1000);
    }
    kv_store_stats(t.store, &stats);
    ck_assert_uint_eq(stats.evictions, 0);
    ck_assert_uint_eq(stats.rejections, 0);
    ck_assert_uint_gt(stats.expirations, 1800);
}
END_TEST

START_TEST(a_deadline_brought_forward_makes_room_too)
{
    char value[300];
    int stored = 0;
    kv_result_t result = KV_OK;
    memset(value, 'v', sizeof(value));
    while (result == KV_OK) {
        char key[32];
        snprintf(key, sizeof(key), "%d", stored);
        result = kv_value_set(t.store, key, strlen(key), value, sizeof(value),
                              1000000, KV_SET_ALWAYS);
        stored += result == KV_OK;
    }
    kvt_assert_result(result, KV_NO_ROOM);
    for (int i = 0; i < stored; i++) {
        char key[32];
        snprintf(key, sizeof(key), "%d", i);
        kvt_assert_ok(kvt_expire(t.store, key, 50));
    }
    kvt_clock_move(50);
    for (int i = 0; i < stored; i++) {
        char key[32];
        snprintf(key, sizeof(key), "new %d", i % (stored / 2));
        kvt_assert_ok(kv_value_set(t.store, key, strlen(key), value,
                                   sizeof(value), 0, KV_SET_ALWAYS));
    }
}
END_TEST

START_TEST(a_missing_key_gets_no_deadline)
{
    kvt_assert_result(kvt_expire(t.store, "nothing", 100), KV_MISSING);
    kvt_assert_result(kvt_expire(t.store, "nothing", 0), KV_MISSING);
}
END_TEST

/* Let the open segment have no byte left. */
static void fill_open_segment(kv_store_t *s)
{
    static const char value[1024];
    const kv_shard_t *shard = &s->shards[0];

    for (int i = 0;; i++) {
        const kv_segment_t *books =
            &s->segment[ld_rlx(&shard->open[KV_QUEUE_SMALL]) - 1];
        uint32_t left = s->segment_bytes - ld_rlx(&books->write_off);
        char key[8];
        size_t key_len = (size_t)snprintf(key, sizeof(key), "f%d", i);
        if (left < kv_record_bytes(0, key_len, 0)) {
            return;
        }
        uint32_t bytes = left > 2 * sizeof(value) ? sizeof(value) : left / 2;
        bytes = left < 512 ? left : bytes;
        kvt_assert_ok(kv_value_set(s, key, key_len, value,
                                   bytes / 8 * 8 - 16 - key_len, KV_NO_TTL,
                                   KV_SET_ALWAYS));
    }
}

START_TEST(a_counter_may_expire_at_any_moment_of_an_addition)
{
    kv_store_t *s = t.store;
    int64_t sum;
    kvt_assert_ok(kvt_add(s, "c", 41, &sum));
    kvt_assert_ok(kvt_expire(s, "c", _i));
    fill_open_segment(s);
    ck_assert(!kv_segment_has_room(
        s, &s->shards[0], KV_QUEUE_SMALL,
        kv_record_bytes(KV_FLAG_COUNTER | KV_FLAG_DEADLINE, 1, 0)));
    kvt_clock_tick(1);
    kvt_assert_ok(kvt_add(s, "c", 1, &sum));
    kvt_clock_tick(0);
    ck_assert(sum == 42 || sum == 1);
    kvt_assert_sound(s);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
    Suite *suite = suite_create("kv_expiry");
    TCase *tcase = kvt_case(suite, "kv_expiry");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_key_lives_to_its_last_millisecond);
    tcase_add_loop_test(tcase, zero_and_negative_mean_no_deadline, 0,
                        COUNT(no_deadline));
    tcase_add_test(tcase, the_longest_ttl_is_saturated);
    tcase_add_test(tcase, expiring_with_int64_min_clears_the_deadline);
    tcase_add_test(tcase, set_without_ttl_takes_the_deadline_away);
    tcase_add_test(tcase, keep_ttl_keeps_what_is_there);
    tcase_add_test(tcase, expire_works_on_every_kind_of_record);
    tcase_add_test(tcase, a_counter_keeps_its_deadline);
    tcase_add_loop_test(tcase,
                        a_counter_may_expire_at_any_moment_of_an_addition, 1,
                        8);
    tcase_add_test(tcase, an_expired_key_counts_as_absent);
    tcase_add_test(tcase,
                   expired_large_values_are_absent_and_give_back_their_memory);
    tcase_add_test(tcase, expired_records_make_room);
    tcase_add_test(tcase, a_deadline_brought_forward_makes_room_too);
    tcase_add_test(tcase, a_missing_key_gets_no_deadline);

    tcase = kvt_case(suite, "the real clock");
    tcase_add_checked_fixture(tcase, set_up_running, tear_down);
    tcase_add_test(tcase, time_runs_by_itself);
    return kvt_run(suite);
}
