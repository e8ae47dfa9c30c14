/* kv_compress_test.c - values that are stored packed. */

#include "kvt.h"

#include "kv_compress.h"
#include "kv_index.h"

#define SMALL_BYTES (512u << 10)
#define VALUE_MAX 60000u

static kvt_t t;
static kv_store_t *s;
static char text[VALUE_MAX];    /* packs well */
static char noise[VALUE_MAX];   /* does not */

static void open_with(kv_compression_t method, int level)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    config.compression = method;
    config.compression_level = level;
    config.min_compress_bytes = 100;
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
    for (uint32_t i = 0; i < VALUE_MAX; i++) {
        text[i] = "the quick brown fox jumps over the lazy dog, "[i % 45];
        if (i % 997 == 0) {
            text[i] = (char)('0' + i % 10);
        }
    }
    kvt_fill(noise, sizeof(noise), 71);
}

static kv_result_t set(const char *key, const void *value, size_t len)
{
    return kv_value_set(s, key, strlen(key), value, len, KV_NO_TTL,
                        KV_SET_ALWAYS);
}

static kv_shape_t shape_of(const char *key)
{
    kv_place_t place;
    kv_place_find(s, kvt_hash(s, key), key, strlen(key), &place);
    ck_assert_ptr_ne(place.slot, NULL);
    return place.shape;
}

static const kv_compression_t methods[] = {
    KV_COMPRESS_ZSTD,
    KV_COMPRESS_GZIP,
    KV_COMPRESS_BROTLI,
};

/* Not every method need be built in; which are, configure says. */
START_TEST(each_method_brings_every_length_back)
{
    if (!kv_compress_available(methods[_i])) {
        kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
        void *memory = kvt_shared(SMALL_BYTES);
        config.compression = methods[_i];
        kvt_assert_result(kv_store_create(memory, SMALL_BYTES, &config),
                          KV_INVALID);
        return;
    }
    open_with(methods[_i], 0);
    for (uint32_t len = 0; len <= VALUE_MAX; len += len / 7 + 1) {
        kvt_assert_ok(set("text", text, len));
        kvt_assert_bytes(s, "text", 4, text, len);
        kvt_assert_ok(set("noise", noise, len));
        kvt_assert_bytes(s, "noise", 5, noise, len);
    }
    kvt_close(&t);
}
END_TEST

START_TEST(what_packs_well_takes_less_room)
{
    kv_stats_t plain;
    kv_stats_t packed;
    open_with(KV_COMPRESS_NONE, 0);
    kvt_assert_ok(set("k", text, 3500));
    kv_store_stats(s, &plain);
    kvt_close(&t);
    open_with(KV_COMPRESS_ZSTD, 0);
    kvt_assert_ok(set("k", text, 3500));
    ck_assert(shape_of("k").flags & KV_FLAG_RAW);
    kv_store_stats(s, &packed);
    ck_assert_uint_lt(packed.used_bytes, plain.used_bytes);
    kvt_assert_ok(set("k", noise, 1000));
    ck_assert(!(shape_of("k").flags & KV_FLAG_RAW));
    kvt_close(&t);
}
END_TEST

START_TEST(values_below_the_minimum_stay_plain)
{
    open_with(KV_COMPRESS_ZSTD, 0);
    kvt_assert_ok(set("k", text, 99));
    ck_assert(!(shape_of("k").flags & KV_FLAG_RAW));
    kvt_assert_ok(set("k", text, 100));
    ck_assert(shape_of("k").flags & KV_FLAG_RAW);
    kvt_close(&t);
}
END_TEST

START_TEST(an_integer_stays_one_whatever_the_minimum)
{
    int64_t sum;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    config.compression = KV_COMPRESS_ZSTD;
    config.min_compress_bytes = 0;
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
    kvt_assert_ok(kvt_set(s, "n", "1111111111111111111"));
    kvt_assert_ok(kvt_add(s, "n", 1, &sum));
    kvt_assert_value(s, "n", "1111111111111111112");
    kvt_close(&t);
}
END_TEST

START_TEST(a_packed_value_is_no_integer)
{
    int64_t sum = 42;
    char ones[500];
    open_with(KV_COMPRESS_ZSTD, 0);
    memset(ones, '1', sizeof(ones));
    kvt_assert_ok(set("n", ones, sizeof(ones)));
    kvt_assert_result(kvt_add(s, "n", 1, &sum), KV_NOT_INTEGER);
    kvt_assert_bytes(s, "n", 1, ones, sizeof(ones));
    kvt_close(&t);
}
END_TEST

START_TEST(deadlines_and_comparing_work_on_packed_values)
{
    int64_t ttl_ms;
    open_with(KV_COMPRESS_ZSTD, 0);
    const size_t lengths[] = { 3000, 50000 };
    for (size_t i = 0; i < 2; i++) {
        size_t len = lengths[i];
        kvt_assert_ok(set("k", text, len));
        kvt_assert_ok(kvt_expire(s, "k", 1000000));
        kvt_assert_bytes(s, "k", 1, text, len);
        kvt_assert_ok(kvt_ttl(s, "k", &ttl_ms));
        ck_assert_int_gt(ttl_ms, 900000);
        kvt_assert_result(kv_value_set_equal(s, "k", 1, noise, len, "v", 1,
                                             KV_NO_TTL),
                          KV_DIFFERENT);
        kvt_assert_ok(kv_value_set_equal(s, "k", 1, text, len, text, len - 1,
                                         KV_NO_TTL));
        kvt_assert_bytes(s, "k", 1, text, len - 1);
        kvt_assert_ok(kv_key_delete_equal(s, "k", 1, text, len - 1));
    }
    kvt_close(&t);
}
END_TEST

START_TEST(the_limit_is_on_the_unpacked_value)
{
    open_with(KV_COMPRESS_ZSTD, 0);
    size_t max = kv_store_value_max(s);
    char *zeros = calloc(1, max + 1);
    kvt_assert_ok(set("k", zeros, max));
    kvt_assert_bytes(s, "k", 1, zeros, max);
    kvt_assert_result(set("k", zeros, max + 1), KV_TOO_LARGE);
    free(zeros);
    kvt_close(&t);
}
END_TEST

START_TEST(every_level_brings_the_value_back)
{
    const int level[] = { -5, 1, 3, 9, 19, 1000 };
    open_with(KV_COMPRESS_ZSTD, level[_i]);
    kvt_assert_ok(set("k", text, 20000));
    kvt_assert_bytes(s, "k", 1, text, 20000u);
    kvt_close(&t);
}
END_TEST

START_TEST(a_broken_packed_value_is_missing_not_a_crash)
{
    kv_place_t place;
    kv_read_t read;
    char got[4000];
    kvt_random_t random = { 72 };
    open_with(KV_COMPRESS_ZSTD, 0);
    kvt_assert_ok(set("k", text, sizeof(got)));
    kv_place_find(s, kvt_hash(s, "k"), "k", 1, &place);
    unsigned char *stored = (unsigned char *)place.record +
                            place.shape.head_bytes + 1;
    for (int i = 0; i < 2000; i++) {
        uint32_t at = kvt_below(&random, place.shape.stored_bytes);
        unsigned char saved = stored[at];
        stored[at] ^= (unsigned char)(1 + kvt_below(&random, 255));
        kvt_assert_ok(kv_read_begin(s, "k", 1, &read));
        kv_result_t result = kv_read_copy(s, &read, got);
        ck_assert(result == KV_OK || result == KV_MISSING);
        stored[at] = saved;
    }
    kvt_assert_bytes(s, "k", 1, text, sizeof(got));
    kvt_close(&t);
}
END_TEST

START_TEST(the_scratch_buffer_grows_and_does_not_hoard)
{
    open_with(KV_COMPRESS_ZSTD, 0);
    void *small = kv_scratch(s, 1000);
    ck_assert_ptr_ne(small, NULL);
    ck_assert_ptr_eq(kv_scratch(s, 500), small);
    ck_assert_ptr_ne(kv_scratch(s, 4u << 20), NULL);
    ck_assert_uint_eq(s->scratch_bytes, 4u << 20);
    ck_assert_ptr_ne(kv_scratch(s, 1000), NULL);
    ck_assert_uint_lt(s->scratch_bytes, 4u << 20);
    kvt_close(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_compress");
    TCase *tcase = kvt_case(suite, "kv_compress");
    tcase_add_loop_test(tcase, each_method_brings_every_length_back, 0, 3);
    tcase_add_test(tcase, what_packs_well_takes_less_room);
    tcase_add_test(tcase, values_below_the_minimum_stay_plain);
    tcase_add_test(tcase, an_integer_stays_one_whatever_the_minimum);
    tcase_add_test(tcase, a_packed_value_is_no_integer);
    tcase_add_test(tcase, deadlines_and_comparing_work_on_packed_values);
    tcase_add_test(tcase, the_limit_is_on_the_unpacked_value);
    tcase_add_loop_test(tcase, every_level_brings_the_value_back, 0, 6);
    tcase_add_test(tcase, a_broken_packed_value_is_missing_not_a_crash);
    tcase_add_test(tcase, the_scratch_buffer_grows_and_does_not_hoard);
    return kvt_run(suite);
}
