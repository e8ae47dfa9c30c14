/* kv_store_test.c - creating, attaching, detaching, figures. */

#include "kvt.h"

#include "kv_layout.h"

#include <sys/mman.h>
#include <unistd.h>

#define SMALL_BYTES (96u << 10)

START_TEST(a_new_store_is_empty)
{
    kvt_t t;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kv_stats_t stats;
    kvt_open(&t, SMALL_BYTES, &config);
    kv_store_stats(t.store, &stats);
    ck_assert_uint_eq(stats.entries, 0);
    ck_assert_uint_eq(stats.live_bytes, 0);
    ck_assert_uint_eq(stats.segments_free, stats.segments);
    ck_assert_uint_eq(stats.limit_bytes, SMALL_BYTES);
    ck_assert_uint_lt(stats.used_bytes, SMALL_BYTES);
    ck_assert_uint_eq(stats.threads, 1);
    ck_assert_uint_eq(stats.threads_max, 8);
    ck_assert_uint_eq(stats.segment_bytes, 4096);
    ck_assert_uint_eq(stats.shards, 1);
    kvt_assert_missing(t.store, "anything");
    kvt_close(&t);
}
END_TEST

START_TEST(defaults_make_a_store_in_4_mib)
{
    void *memory = kvt_shared(KV_STORE_MIN_BYTES);
    kv_store_t *store;
    kv_config_t config;
    kvt_assert_ok(kv_store_create(memory, KV_STORE_MIN_BYTES, NULL));
    kvt_assert_ok(kv_store_attach(memory, KV_STORE_MIN_BYTES, &store));
    kv_store_config(store, &config);
    ck_assert_int_eq(config.eviction, KV_ALLKEYS_LRU);
    ck_assert_uint_eq(config.segment_bytes, 128u << 10);
    ck_assert_uint_eq(config.shards, 1);
    ck_assert_uint_eq(config.threads_max, 512);
    ck_assert_uint_eq(config.wait_limit_ms, 2000);
    kvt_assert_ok(kvt_set(store, "a", "1"));
    kvt_assert_value(store, "a", "1");
    ck_assert_uint_gt(kv_store_value_max(store), KV_STORE_MIN_BYTES / 6);
    kvt_assert_sound(store);
    kv_store_detach(store);
    kvt_assert_result(kv_store_create(memory, KV_STORE_MIN_BYTES - 128, NULL),
                      KV_INVALID);
}
END_TEST

START_TEST(memory_need_not_be_zeroed_nor_aligned_to_a_line)
{
    for (size_t skip = 0; skip < 64; skip += 8) {
        kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
        unsigned char *memory = malloc(SMALL_BYTES + 64);
        kv_store_t *store;
        ck_assert_ptr_ne(memory, NULL);
        memset(memory, 0xa5, SMALL_BYTES + 64);
        kvt_assert_ok(kv_store_create(memory + skip, SMALL_BYTES, &config));
        kvt_assert_ok(kv_store_attach(memory + skip, SMALL_BYTES, &store));
        for (int i = 0; i < 3000; i++) {
            char key[32];
            snprintf(key, sizeof(key), "key %d", i);
            kvt_assert_ok(kvt_set(store, key, "value"));
        }
        kvt_assert_sound(store);
        kv_store_detach(store);
        /* Not one byte beside what was handed over. */
        for (size_t i = 0; i < skip; i++) {
            kvt_assert(memory[i] == 0xa5);
        }
        for (size_t i = skip + SMALL_BYTES; i < SMALL_BYTES + 64; i++) {
            kvt_assert(memory[i] == 0xa5);
        }
        free(memory);
    }
}
END_TEST

START_TEST(the_configuration_comes_back_when_attaching)
{
    kvt_t t;
    kv_config_t config = kvt_tiny(KV_VOLATILE_LRU);
    kv_config_t got;
    config.wait_limit_ms = 123;
    config.min_compress_bytes = 456;
    config.threads_max = 7;
    config.shards = 2;
    kvt_open(&t, SMALL_BYTES, &config);
    kv_store_config(t.store, &got);
    ck_assert_int_eq(got.eviction, KV_VOLATILE_LRU);
    ck_assert_uint_eq(got.wait_limit_ms, 123);
    ck_assert_uint_eq(got.min_compress_bytes, 456);
    ck_assert_uint_eq(got.threads_max, 7);
    ck_assert_uint_eq(got.segment_bytes, 4096);
    ck_assert_uint_eq(got.shards, 2);
    kvt_close(&t);
}
END_TEST

static void spoil_nothing(kv_header_t *header)
{
    (void)header;
}

static void spoil_magic(kv_header_t *header)
{
    header->magic = KV_MAGIC + 1;
}

static void spoil_hash(kv_header_t *header)
{
    header->layout_hash ^= 1;
}

static void spoil_segments(kv_header_t *header)
{
    header->geometry.segments++;
}

static void spoil_data_at(kv_header_t *header)
{
    header->geometry.data_at += 64;
}

static void spoil_threads(kv_header_t *header)
{
    header->geometry.threads = UINT32_MAX;
}

static void spoil_shards(kv_header_t *header)
{
    header->geometry.shards = 0;
}

static void spoil_segment_bytes(kv_header_t *header)
{
    header->geometry.segment_bytes = 0;
}

static void spoil_policy(kv_header_t *header)
{
    header->eviction = 77;
}

static void spoil_all(kv_header_t *header)
{
    memset((void *)header, 0xff, sizeof(*header));
    header->magic = KV_MAGIC;
    header->layout_hash = kv_layout_hash();
}

static const struct {
    const char *what;
    void (*spoil)(kv_header_t *header);
    int bytes_less;
} strangers[] = {
    { "another size", spoil_nothing, 4096 },
    { "another magic", spoil_magic, 0 },
    { "another layout", spoil_hash, 0 },
    { "more segments", spoil_segments, 0 },
    { "records elsewhere", spoil_data_at, 0 },
    { "four billion threads", spoil_threads, 0 },
    { "no shards", spoil_shards, 0 },
    { "no segment size", spoil_segment_bytes, 0 },
    { "no policy", spoil_policy, 0 },
    { "ones", spoil_all, 0 },
};

START_TEST(a_stranger_is_refused_and_not_read)
{
    kvt_t t;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kv_store_t *store = NULL;
    kvt_open(&t, SMALL_BYTES, &config);
    kv_store_detach(t.store);
    strangers[_i].spoil(t.memory);
    ck_assert_msg(
        kv_store_attach(t.memory,
                        t.size_bytes - (size_t)strangers[_i].bytes_less,
                        &store) == KV_WRONG_LAYOUT,
        "%s: was taken", strangers[_i].what);
    ck_assert_ptr_eq(store, NULL);
}
END_TEST

START_TEST(zeroed_or_tiny_memory_is_no_store)
{
    void *memory = kvt_shared(SMALL_BYTES);
    kv_store_t *store = NULL;
    kvt_assert_result(kv_store_attach(memory, SMALL_BYTES, &store),
                      KV_WRONG_LAYOUT);
    memset(memory, 0xff, SMALL_BYTES);
    kvt_assert_result(kv_store_attach(memory, SMALL_BYTES, &store),
                      KV_WRONG_LAYOUT);
    for (size_t bytes = 0; bytes < 700; bytes += 7) {
        kvt_assert_result(kv_store_attach(memory, bytes, &store),
                          KV_WRONG_LAYOUT);
    }
    ck_assert_ptr_eq(store, NULL);
}
END_TEST

START_TEST(a_second_store_in_the_same_memory_is_empty)
{
    kvt_t t;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kvt_open(&t, SMALL_BYTES, &config);
    kvt_assert_ok(kvt_set(t.store, "old", "value"));
    kv_store_detach(t.store);
    kvt_assert_ok(kv_store_create(t.memory, t.size_bytes, &config));
    t.store = kvt_attach(&t);
    kvt_assert_missing(t.store, "old");
    kvt_close(&t);
}
END_TEST

START_TEST(each_store_has_a_secret_of_its_own)
{
    kvt_t a;
    kvt_t b;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kvt_open(&a, SMALL_BYTES, &config);
    kvt_open(&b, SMALL_BYTES, &config);
    ck_assert_mem_ne(a.store->secret, b.store->secret, KV_SECRET_BYTES);
    kvt_close(&a);
    kvt_close(&b);
}
END_TEST

START_TEST(one_memory_mapped_twice_is_one_store)
{
    kvt_t t;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    int fd = memfd_create("kvt", 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, SMALL_BYTES), 0);
    void *here = mmap(NULL, SMALL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                      fd, 0);
    void *there = mmap(NULL, SMALL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                       fd, 0);
    ck_assert_ptr_ne(here, there);
    t = (kvt_t){ here, SMALL_BYTES, config, NULL };
    kvt_assert_ok(kv_store_create(here, SMALL_BYTES, &config));
    t.store = kvt_attach(&t);
    t.memory = there;
    kv_store_t *other = kvt_attach(&t);
    for (int i = 0; i < 500; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_ok(kvt_set(i % 2 ? t.store : other, key, key));
        kvt_assert_value(i % 2 ? other : t.store, key, key);
    }
    kv_store_detach(other);
    kvt_close(&t);
}
END_TEST

START_TEST(a_full_table_of_threads_reads_and_is_busy_to_write)
{
    kvt_t t;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kv_stats_t stats;
    int64_t number;
    config.threads_max = 2;
    kvt_open(&t, SMALL_BYTES, &config);
    kvt_assert_ok(kvt_set(t.store, "a", "1"));
    kv_store_t *second = kvt_attach(&t);
    kv_store_t *third = kvt_attach(&t);
    kvt_assert_ok(kvt_set(second, "b", "2"));

    kvt_assert_value(third, "a", "1");
    kvt_assert_value(third, "b", "2");
    kvt_assert_ok(kvt_exists(third, "a"));
    kvt_assert_ok(kvt_ttl(third, "a", &number));
    kvt_assert_missing(third, "c");
    kvt_assert_result(kvt_set(third, "c", "3"), KV_BUSY);
    kvt_assert_result(kvt_add(third, "a", 1, &number), KV_BUSY);
    kvt_assert_result(kvt_delete(third, "a"), KV_BUSY);
    kvt_assert_result(kvt_expire(third, "a", 5), KV_BUSY);
    kvt_assert_result(kv_store_flush(third), KV_BUSY);
    kvt_assert_value(t.store, "a", "1");
    kv_store_stats(t.store, &stats);
    ck_assert_uint_eq(stats.threads, 2);

    kv_store_detach(second);
    kvt_assert_ok(kvt_set(third, "c", "3"));
    kvt_assert_value(t.store, "c", "3");
    kv_store_detach(third);
    kvt_close(&t);
}
END_TEST

START_TEST(detaching_nothing_is_allowed)
{
    kv_store_detach(NULL);
}
END_TEST

START_TEST(handles_may_go_in_any_order)
{
    kvt_t t;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kv_store_t *handle[6];
    kv_stats_t stats;
    static const int order[] = { 3, 0, 5, 1, 4, 2 };
    kvt_open(&t, SMALL_BYTES, &config);
    for (int i = 0; i < 6; i++) {
        handle[i] = kvt_attach(&t);
    }
    for (int i = 0; i < 6; i++) {
        kv_store_detach(handle[order[i]]);
        kv_store_stats(t.store, &stats);
        ck_assert_uint_eq(stats.threads, 6 - i);
    }
    kvt_close(&t);
}
END_TEST

START_TEST(figures_count_what_happened)
{
    kvt_t t;
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kv_stats_t stats;
    int64_t sum;
    char *value;
    size_t len;
    kvt_open(&t, SMALL_BYTES, &config);
    kvt_assert_ok(kvt_set(t.store, "a", "1"));
    kvt_assert_ok(kvt_set(t.store, "a", "2"));
    kvt_assert_ok(kvt_set(t.store, "b", "3"));
    kvt_assert_ok(kvt_add(t.store, "n", 5, &sum));
    kvt_assert_ok(kvt_get(t.store, "a", 1, &value, &len));
    free(value);
    kvt_assert_result(kvt_get(t.store, "x", 1, &value, &len), KV_MISSING);
    kvt_assert_ok(kvt_delete(t.store, "b"));
    kvt_assert_result(kvt_delete(t.store, "b"), KV_MISSING);
    kv_store_stats(t.store, &stats);
    ck_assert_uint_eq(stats.entries, 2);
    ck_assert_uint_eq(stats.hits, 1);
    ck_assert_uint_eq(stats.misses, 1);
    ck_assert_uint_ge(stats.sets, 3);
    ck_assert_uint_eq(stats.deletes, 1);
    ck_assert_uint_eq(stats.evictions, 0);
    ck_assert_uint_eq(stats.expirations, 0);
    ck_assert_uint_eq(stats.steals, 0);
    ck_assert_uint_gt(stats.live_bytes, 0);
    ck_assert_uint_eq(stats.value_max_bytes, kv_store_value_max(t.store));

    /* They stay when the one who counted has gone. */
    kv_store_detach(t.store);
    t.store = kvt_attach(&t);
    kv_store_stats(t.store, &stats);
    ck_assert_uint_eq(stats.hits, 1);
    ck_assert_uint_eq(stats.deletes, 1);
    kvt_close(&t);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
    Suite *suite = suite_create("kv_store");
    TCase *tcase = kvt_case(suite, "kv_store");
    tcase_add_test(tcase, a_new_store_is_empty);
    tcase_add_test(tcase, defaults_make_a_store_in_4_mib);
    tcase_add_test(tcase, memory_need_not_be_zeroed_nor_aligned_to_a_line);
    tcase_add_test(tcase, the_configuration_comes_back_when_attaching);
    tcase_add_loop_test(tcase, a_stranger_is_refused_and_not_read, 0,
                        COUNT(strangers));
    tcase_add_test(tcase, zeroed_or_tiny_memory_is_no_store);
    tcase_add_test(tcase, a_second_store_in_the_same_memory_is_empty);
    tcase_add_test(tcase, each_store_has_a_secret_of_its_own);
    tcase_add_test(tcase, one_memory_mapped_twice_is_one_store);
    tcase_add_test(tcase, a_full_table_of_threads_reads_and_is_busy_to_write);
    tcase_add_test(tcase, detaching_nothing_is_allowed);
    tcase_add_test(tcase, handles_may_go_in_any_order);
    tcase_add_test(tcase, figures_count_what_happened);
    return kvt_run(suite);
}
