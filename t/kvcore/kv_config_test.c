/* kv_config_test.c - options, sizes and names as people write them. */

#include "kvt.h"

#include "kv_compress.h"

START_TEST(defaults_are_the_documented_ones)
{
    kv_config_t config;
    memset(&config, 0xff, sizeof(config));
    kv_config_init(&config);
    ck_assert_int_eq(config.eviction, KV_ALLKEYS_LRU);
    ck_assert_int_eq(config.compression, KV_COMPRESS_NONE);
    ck_assert_uint_eq(config.threads_max, 512);
    ck_assert_uint_eq(config.wait_limit_ms, 2000);
    ck_assert_uint_eq(config.segment_bytes, 0);
    ck_assert_uint_eq(config.shards, 0);
}
END_TEST

START_TEST(every_policy_is_set_by_its_name)
{
    for (int policy = KV_NOEVICTION; policy <= KV_ALLKEYS_RANDOM; policy++) {
        kv_config_t config;
        char option[64];
        char error[200];
        kv_config_init(&config);
        snprintf(option, sizeof(option), "eviction=%s",
                 kv_eviction_name((kv_eviction_t)policy));
        kvt_assert_ok(
            kv_config_set(&config, option, error, sizeof(error)));
        ck_assert_int_eq(config.eviction, policy);
    }
    ck_assert_str_eq(kv_eviction_name(KV_VOLATILE_LRU), "volatile-lru");
    ck_assert_str_eq(kv_eviction_name((kv_eviction_t)99), "unknown");
    ck_assert_str_eq(kv_compression_name(KV_COMPRESS_NONE), "none");
    ck_assert_str_eq(kv_compression_name((kv_compression_t)99), "unknown");
}
END_TEST

static const struct {
    const char *option;
    kv_compression_t method;
    int level;
} compressions[] = {
    { "compression=none", KV_COMPRESS_NONE, 0 },
    { "compression=zstd", KV_COMPRESS_ZSTD, 0 },
    { "compression=zstd:1", KV_COMPRESS_ZSTD, 1 },
    { "compression=zstd:19", KV_COMPRESS_ZSTD, 19 },
    { "compression=gzip", KV_COMPRESS_GZIP, 0 },
    { "compression=gzip:9", KV_COMPRESS_GZIP, 9 },
    { "compression=brotli", KV_COMPRESS_BROTLI, 0 },
    { "compression=brotli:11", KV_COMPRESS_BROTLI, 11 },
};

START_TEST(a_method_is_set_or_said_not_to_be_built_in)
{
    kv_config_t config;
    char error[200] = "";
    kv_config_init(&config);
    config.compression_level = 7;
    kv_result_t result = kv_config_set(&config, compressions[_i].option,
                                       error, sizeof(error));
    if (kv_compress_available(compressions[_i].method)) {
        kvt_assert_ok(result);
        ck_assert_int_eq(config.compression, compressions[_i].method);
        ck_assert_int_eq(config.compression_level, compressions[_i].level);
    } else {
        kvt_assert_result(result, KV_INVALID);
        ck_assert_ptr_ne(strstr(error, "is not built in"), NULL);
        ck_assert_int_eq(config.compression_level, 7);
    }
}
END_TEST

START_TEST(min_compress_takes_sizes)
{
    kv_config_t config;
    char error[200];
    kv_config_init(&config);
    kvt_assert_ok(
        kv_config_set(&config, "min-compress=0", error, sizeof(error)));
    ck_assert_uint_eq(config.min_compress_bytes, 0);
    kvt_assert_ok(
        kv_config_set(&config, "min-compress=3K", error, sizeof(error)));
    ck_assert_uint_eq(config.min_compress_bytes, 3072);
    kvt_assert_ok(kv_config_set(&config, "min-compress=4294967295", error,
                                sizeof(error)));
    ck_assert_uint_eq(config.min_compress_bytes, UINT32_MAX);
}
END_TEST

static const struct {
    const char *option;
    const char *said;   /* part of the sentence */
} wrong[] = {
    { "", "is no option" },
    { "eviction", "\"eviction\" is no option" },
    { "Eviction=allkeys-lru", "is no option" },
    { "eviction=", "volatile-lru" },
    { "eviction=lru", "eviction=lru is no policy: use noeviction" },
    { "eviction=allkeys-lru ", "allkeys-random" },
    { "compression=lzma", "compression=lzma is no method: use none, zstd" },
    { "compression=", "compression= is no method" },
    { "compression=zst", "is no method" },
    { "compression=zstd:", "zstd takes 1 to 19" },
    { "compression=zstd:0", "zstd takes 1 to 19" },
    { "compression=zstd:20", "compression=zstd:20 has no such level" },
    { "compression=zstd:-1", "zstd takes 1 to 19" },
    { "compression=zstd:3x", "zstd takes 1 to 19" },
    { "compression=zstd:99999999999999999999", "zstd takes 1 to 19" },
    { "min-compress=", "is not a size" },
    { "min-compress=-1", "is not a size" },
    { "min-compress=1x", "min-compress=1x is not a size" },
    { "min-compress=4G", "below 4G" },
    { "threads=5", "\"threads=5\" is no option" },
};

START_TEST(a_wrong_option_is_one_sentence_and_changes_nothing)
{
    kv_config_t config;
    kv_config_t before;
    char error[300] = "";
    kv_config_init(&config);
    config.eviction = KV_VOLATILE_LRU;
    config.min_compress_bytes = 77;
    before = config;
    kvt_assert_result(kv_config_set(&config, wrong[_i].option, error,
                                    sizeof(error)),
                      KV_INVALID);
    ck_assert_mem_eq(&config, &before, sizeof(config));
    ck_assert_msg(strstr(error, wrong[_i].said) != NULL,
                  "\"%s\" is not said in: %s", wrong[_i].said, error);
    ck_assert_ptr_eq(strchr(error, '\n'), NULL);
}
END_TEST

START_TEST(a_long_error_is_cut_to_its_buffer)
{
    kv_config_t config;
    char option[500];
    char error[40];
    kv_config_init(&config);
    memset(option, 'x', sizeof(option));
    option[sizeof(option) - 1] = '\0';
    memset(error, '#', sizeof(error));
    kvt_assert_result(kv_config_set(&config, option, error, 20), KV_INVALID);
    ck_assert_uint_eq(strlen(error), 19);
    ck_assert_int_eq(error[20], '#');
}
END_TEST

static const struct {
    const char *text;
    size_t bytes;
} sizes[] = {
    { "0", 0 },
    { "1", 1 },
    { "4096", 4096 },
    { "1k", 1024 },
    { "1K", 1024 },
    { "2kb", 2048 },
    { "2KB", 2048 },
    { "2Kb", 2048 },
    { "64M", (size_t)64 << 20 },
    { "64mB", (size_t)64 << 20 },
    { "3G", (size_t)3 << 30 },
    { "3gb", (size_t)3 << 30 },
    { "007", 7 },
    { "18446744073709551615", SIZE_MAX },
    { "17179869183G", (size_t)17179869183u << 30 },
};

START_TEST(sizes_are_powers_of_1024)
{
    size_t bytes = 42;
    kvt_assert_ok(kv_size_parse(sizes[_i].text, &bytes));
    ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

static const char *const no_sizes[] = {
    "", " ", "K", "-1", "+1", " 1", "1 ", "1 K", "1T", "1B", "1kk", "1kbb",
    "1.5M", "0x10", "1e3", "M1", "18446744073709551616",
    "18014398509481984K", "17179869184G", "99999999999999999999999",
};

START_TEST(what_is_no_size_is_refused)
{
    size_t bytes = 42;
    kvt_assert_result(kv_size_parse(no_sizes[_i], &bytes), KV_INVALID);
    ck_assert_uint_eq(bytes, 42);
}
END_TEST

START_TEST(every_result_has_a_text_of_its_own)
{
    for (int i = KV_OK; i <= KV_NO_MEMORY; i++) {
        const char *text = kv_result_text((kv_result_t)i);
        ck_assert_str_ne(text, "");
        ck_assert_str_ne(text, kv_result_text((kv_result_t)9999));
        for (int j = KV_OK; j < i; j++) {
            ck_assert_str_ne(text, kv_result_text((kv_result_t)j));
        }
    }
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
    Suite *suite = suite_create("kv_config");
    TCase *tcase = kvt_case(suite, "kv_config");
    tcase_add_test(tcase, defaults_are_the_documented_ones);
    tcase_add_test(tcase, every_policy_is_set_by_its_name);
    tcase_add_loop_test(tcase, a_method_is_set_or_said_not_to_be_built_in, 0,
                        COUNT(compressions));
    tcase_add_test(tcase, min_compress_takes_sizes);
    tcase_add_loop_test(tcase,
                        a_wrong_option_is_one_sentence_and_changes_nothing, 0,
                        COUNT(wrong));
    tcase_add_test(tcase, a_long_error_is_cut_to_its_buffer);
    tcase_add_loop_test(tcase, sizes_are_powers_of_1024, 0, COUNT(sizes));
    tcase_add_loop_test(tcase, what_is_no_size_is_refused, 0,
                        COUNT(no_sizes));
    tcase_add_test(tcase, every_result_has_a_text_of_its_own);
    return kvt_run(suite);
}
