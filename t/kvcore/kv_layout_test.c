/* kv_layout_test.c - the geometry: computed, bounded, inside the memory. */

#include "kvt.h"

#include "kv_layout.h"
#include "kv_segment.h"

/* L2, written down once more from the drawing in kv_layout.h. */
static void assert_inside(const kv_geometry_t *g)
{
    const struct {
        uint64_t at;
        uint64_t bytes;
    } regions[] = {
        { 0, sizeof(kv_header_t) },
        { g->threads_at, (uint64_t)g->threads * sizeof(kv_thread_t) },
        { g->shards_at, (uint64_t)g->shards * sizeof(kv_shard_t) },
        { g->free_map_at, (uint64_t)g->free_map_words * 8 },
        { g->words_at, (uint64_t)g->segments * 8 },
        { g->segments_at, (uint64_t)g->segments * sizeof(kv_segment_t) },
        { g->overflow_maps_at,
          (uint64_t)g->shards * g->overflow_map_words * 8 },
        { g->index_at, (uint64_t)g->shards * (g->buckets + g->overflow) *
                           sizeof(kv_bucket_t) },
        { g->data_at, (uint64_t)g->segments * g->segment_bytes },
    };
    uint64_t end = 0;
    for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
        kvt_assert(regions[i].at >= end);
        kvt_assert(regions[i].at % KV_LINE_BYTES == 0);
        end = regions[i].at + regions[i].bytes;
    }
    kvt_assert(end <= g->size_bytes);
    kvt_assert((uint64_t)g->free_map_words * 64 >= g->segments);
    kvt_assert((uint64_t)g->overflow_map_words * 64 >= g->overflow);
    kvt_assert(g->reserve > 0);
    kvt_assert(g->segments >= g->shards + g->reserve);
}

START_TEST(regions_follow_each_other_inside_the_memory)
{
    kvt_random_t random = { 2 };
    int made = 0;
    for (int i = 0; i < 20000 / KVT_SLOWER; i++) {
        kv_config_t config;
        kv_geometry_t g;
        kv_config_init(&config);
        config.threads_max = 1 + kvt_below(&random, 8000);
        config.segment_bytes = 4096u << kvt_below(&random, 9);
        config.shards = 1u << kvt_below(&random, 7);
        uint64_t size =
            kvt_random(&random) >> (30 + kvt_below(&random, 20));
        if (kv_geometry_make(size, &config, &g) == KV_OK) {
            kvt_assert(g.size_bytes == size);
            kvt_assert(g.shards == config.shards);
            kvt_assert(g.segment_bytes == config.segment_bytes);
            assert_inside(&g);
            made++;
        }
    }
    ck_assert_int_gt(made, 1000 / KVT_SLOWER);
}
END_TEST

static const struct {
    uint64_t mib;
    uint32_t shards;
} usual[] = {
    { 4, 1 },   { 7, 1 },    { 8, 2 },    { 15, 2 },   { 16, 4 },
    { 64, 16 }, { 128, 32 }, { 256, 64 }, { 512, 64 }, { 4096, 64 },
};

START_TEST(a_shard_for_each_4_mib_up_to_64)
{
    kv_config_t config;
    kv_geometry_t g;
    kv_config_init(&config);
    kvt_assert_ok(kv_geometry_make(usual[_i].mib << 20, &config, &g));
    ck_assert_uint_eq(g.shards, usual[_i].shards);
    ck_assert_uint_eq(g.segment_bytes, 128u << 10);
    assert_inside(&g);
    /* At most a fifth of the memory is not for records. */
    ck_assert_uint_ge((uint64_t)g.segments * g.segment_bytes,
                      (usual[_i].mib << 20) / 5 * 4);
}
END_TEST

static const struct {
    const char *what;
    uint64_t size_bytes;
    kv_config_t config;
} refused[] = {
#define USUAL .threads_max = 8, .wait_limit_ms = 1
    { "no memory", 0, { USUAL } },
    { "less than 4 MiB", (4u << 20) - 65, { USUAL } },
    { "8 segments do not fit", 40000, { USUAL, .segment_bytes = 4096 } },
    { "segments of 2 KiB", 8u << 20, { USUAL, .segment_bytes = 2048 } },
    { "segments of 2 MiB", 64u << 20, { USUAL, .segment_bytes = 2u << 20 } },
    { "no power of two", 8u << 20, { USUAL, .segment_bytes = 5000 } },
    { "three shards", 64u << 20, { USUAL, .shards = 3 } },
    { "128 shards", 1u << 30, { USUAL, .shards = 128 } },
    { "16 segments for 64 shards", 4u << 20, { USUAL, .shards = 64,
                                               .segment_bytes = 256u << 10 } },
    { "no threads", 8u << 20, { .threads_max = 0 } },
    { "too many threads", 64u << 20, { .threads_max = 8001 } },
    { "threads alone fill it", 4u << 20, { .threads_max = 8000,
                                           .segment_bytes = 1u << 20 } },
    { "a policy that is none", 8u << 20, { USUAL, .eviction = 4 } },
    { "a method that is none", 8u << 20, { USUAL, .compression = 4 } },
    { "beyond 40 bits of offset", UINT64_C(1) << 43, { USUAL } },
};

START_TEST(what_is_out_of_range_is_refused)
{
    kv_geometry_t g;
    ck_assert_msg(kv_geometry_make(refused[_i].size_bytes,
                                   &refused[_i].config, &g) == KV_INVALID,
                  "%s: was taken", refused[_i].what);
}
END_TEST

START_TEST(there_is_a_segment_for_each_shard)
{
    kv_config_t config = { USUAL, .segment_bytes = 4096 };
    for (config.shards = 8; config.shards <= KV_SHARDS_MAX;
         config.shards *= 2) {
        kv_geometry_t g;
        uint64_t size = 0;
        /* What is refused is the smaller size, not this many shards. */
        while (kv_geometry_make(size, &config, &g) != KV_OK) {
            size += 512;
            kvt_assert(size < 4u << 20);
        }
        ck_assert_uint_eq(g.segments, config.shards + 1);
        ck_assert_uint_eq(g.reserve, 1);
        assert_inside(&g);
    }
}
END_TEST

START_TEST(the_smallest_store_is_4_mib)
{
    kv_config_t config;
    kv_geometry_t g;
    kv_config_init(&config);
    kvt_assert_ok(kv_geometry_make(KV_STORE_MIN_BYTES, &config, &g));
    /* Aligning may take up to a line of it. */
    kvt_assert_ok(kv_geometry_make(KV_STORE_MIN_BYTES - 64, &config, &g));
}
END_TEST

START_TEST(an_unaligned_start_is_moved_to_a_line)
{
    _Alignas(64) static unsigned char memory[256];
    for (size_t skip = 0; skip < 64; skip += 8) {
        size_t bytes = 128;
        unsigned char *at = kv_layout_align(memory + skip, &bytes);
        ck_assert_uint_eq((uintptr_t)at % KV_LINE_BYTES, 0);
        ck_assert_ptr_eq(at + bytes, memory + skip + 128);
    }
    size_t bytes = 8;
    kv_layout_align(memory + 8, &bytes);
    ck_assert_uint_eq(bytes, 0);
}
END_TEST

START_TEST(the_layout_hash_is_the_same_each_time)
{
    ck_assert_uint_eq(kv_layout_hash(), kv_layout_hash());
    ck_assert_uint_ne(kv_layout_hash(), 0);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
    Suite *suite = suite_create("kv_layout");
    TCase *tcase = kvt_case(suite, "kv_layout");
    tcase_add_test(tcase, regions_follow_each_other_inside_the_memory);
    tcase_add_loop_test(tcase, a_shard_for_each_4_mib_up_to_64, 0,
                        COUNT(usual));
    tcase_add_loop_test(tcase, what_is_out_of_range_is_refused, 0,
                        COUNT(refused));
    tcase_add_test(tcase, there_is_a_segment_for_each_shard);
    tcase_add_test(tcase, the_smallest_store_is_4_mib);
    tcase_add_test(tcase, an_unaligned_start_is_moved_to_a_line);
    tcase_add_test(tcase, the_layout_hash_is_the_same_each_time);
    return kvt_run(suite);
}
