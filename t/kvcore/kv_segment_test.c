/* kv_segment_test.c - the pool, the logs, their book-keeping. */

#include "kvt.h"

#include "kv_record.h"
#include "kv_segment.h"

#define SMALL_BYTES (96u << 10)

static kvt_t t;
static kv_store_t *s;
static kv_shard_t *shard;

static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
    shard = &s->shards[0];
}

static void tear_down(void)
{
    kvt_close(&t);
}

START_TEST(a_word_keeps_state_owner_and_generation)
{
    for (int state = KV_STATE_FREE; state <= KV_STATE_LARGE; state++) {
        uint64_t word =
            kv_word((kv_state_t)state, 8000, KV_GENERATION_MASK - 5);
        ck_assert_int_eq(kv_word_state(word), state);
        ck_assert_uint_eq(kv_word_owner(word), 8000);
        ck_assert_uint_eq(kv_word_generation(word), KV_GENERATION_MASK - 5);
    }
}
END_TEST

START_TEST(the_pool_gives_each_segment_once)
{
    uint32_t reserve = s->geometry.reserve;
    uint32_t given = 0;
    bool seen[256] = { false };
    uint32_t segment;
    ck_assert_uint_eq(kv_pool_count(s), s->segments);
    while ((segment = kv_pool_claim(s, KV_STATE_BUILDING, 3, false)) !=
           KV_NO_SEGMENT) {
        ck_assert_uint_lt(segment, s->segments);
        ck_assert(!seen[segment]);
        seen[segment] = true;
        given++;
        ck_assert_int_eq(kv_word_state(s->words[segment]),
                         KV_STATE_BUILDING);
        ck_assert_uint_eq(kv_word_owner(s->words[segment]), 3);
    }
    ck_assert_uint_eq(given, s->segments - reserve);
    ck_assert_uint_eq(kv_pool_count(s), reserve);
    for (uint32_t i = 0; i < reserve; i++) {
        segment = kv_pool_claim(s, KV_STATE_BUILDING, 3, true);
        ck_assert_uint_ne(segment, KV_NO_SEGMENT);
        ck_assert(!seen[segment]);
        seen[segment] = true;
    }
    ck_assert_uint_eq(kv_pool_claim(s, KV_STATE_BUILDING, 3, true),
                      KV_NO_SEGMENT);
    for (uint32_t i = 0; i < s->segments; i++) {
        kv_pool_return(s, i);
    }
    ck_assert_uint_eq(kv_pool_count(s), s->segments);
}
END_TEST

START_TEST(recycling_raises_the_generation)
{
    for (int i = 0; i < 50; i++) {
        uint32_t segment = kv_pool_claim(s, KV_STATE_SMALL, 0, true);
        uint64_t before = kv_word_generation(s->words[segment]);
        kv_pool_return(s, segment);
        ck_assert_uint_eq(kv_word_generation(s->words[segment]), before + 1);
        ck_assert_int_eq(kv_word_state(s->words[segment]), KV_STATE_FREE);
        ck_assert_uint_eq(s->segment[segment].write_off,
                          KV_SEGMENT_HEAD_BYTES);
    }
}
END_TEST

START_TEST(a_bit_of_a_segment_that_is_not_free_is_only_a_hint)
{
    uint32_t first = kv_pool_claim(s, KV_STATE_BUILDING, 0, true);
    s->free_map[first / 64] |= UINT64_C(1) << (first % 64);
    uint32_t second = kv_pool_claim(s, KV_STATE_BUILDING, 0, true);
    ck_assert_uint_ne(second, first);
    ck_assert_uint_eq(s->free_map[first / 64] >> (first % 64) & 1, 0);
    kv_pool_return(s, first);
    kv_pool_return(s, second);
}
END_TEST

START_TEST(bits_that_were_lost_are_put_back)
{
    for (uint32_t i = 0; i < s->geometry.free_map_words; i++) {
        s->free_map[i] = 0;
    }
    ck_assert_uint_eq(kv_pool_claim(s, KV_STATE_SMALL, 0, true),
                      KV_NO_SEGMENT);
    kv_pool_repair(s);
    ck_assert_uint_eq(kv_pool_count(s), s->segments);
}
END_TEST

START_TEST(records_follow_each_other_in_the_open_segment)
{
    ck_assert(kv_segment_open(s, shard, KV_QUEUE_SMALL, false));
    uint32_t segment = shard->open[KV_QUEUE_SMALL] - 1;
    unsigned char *expected =
        kv_segment_start(s, segment) + KV_SEGMENT_HEAD_BYTES;
    uint32_t records = 0;
    while (kv_segment_has_room(s, shard, KV_QUEUE_SMALL,
                               kv_record_bytes(0, 5, records % 30))) {
        kv_shape_t shape;
        unsigned char *record = kv_record_append(s, shard, KV_QUEUE_SMALL, 0,
                                                 5, records % 30);
        ck_assert_ptr_eq(record, expected);
        ck_assert_uint_eq((uintptr_t)record % 8, 0);
        ck_assert(kv_record_shape(record, 4096, &shape));
        ck_assert_uint_eq(shape.key_len, 5);
        ck_assert_uint_eq(shape.stored_bytes, records % 30);
        ck_assert_uint_eq(shape.total_bytes,
                          kv_record_bytes(0, 5, records % 30));
        expected += shape.total_bytes;
        ck_assert_uint_eq(s->segment[segment].write_off,
                          (uint32_t)(expected - kv_segment_start(s, segment)));
        records++;
        kvt_assert_sound(s); /* dead records parse as well */
    }
    ck_assert_uint_gt(records, 70);
    ck_assert_uint_le(s->segment[segment].write_off, 4096);
}
END_TEST

START_TEST(opening_another_segment_closes_the_one_before)
{
    ck_assert(kv_segment_open(s, shard, KV_QUEUE_SMALL, false));
    uint32_t first = shard->open[KV_QUEUE_SMALL];
    uint64_t sequence = s->segment[first - 1].sequence;
    ck_assert(kv_segment_open(s, shard, KV_QUEUE_SMALL, false));
    uint32_t second = shard->open[KV_QUEUE_SMALL];
    ck_assert_uint_ne(first, second);
    ck_assert_uint_gt(s->segment[second - 1].sequence, sequence);
    ck_assert_uint_eq(shard->count[KV_QUEUE_SMALL], 2);
    ck_assert(kv_segment_open(s, shard, KV_QUEUE_MAIN, false));
    ck_assert_uint_eq(shard->open[KV_QUEUE_SMALL], second);
    ck_assert_int_eq(
        kv_word_state(s->words[shard->open[KV_QUEUE_MAIN] - 1]),
        KV_STATE_MAIN);
    kvt_assert_sound(s);
}
END_TEST

START_TEST(unlinking_works_anywhere_in_the_list)
{
    uint32_t segment[5];
    for (int i = 0; i < 5; i++) {
        ck_assert(kv_segment_open(s, shard, KV_QUEUE_SMALL, false));
        segment[i] = shard->open[KV_QUEUE_SMALL] - 1;
    }
    static const int order[] = { 2, 4, 0, 3, 1 };
    for (int i = 0; i < 5; i++) {
        kv_segment_unlink(s, shard, segment[order[i]]);
        kv_pool_return(s, segment[order[i]]);
        ck_assert_uint_eq(shard->count[KV_QUEUE_SMALL], 4 - i);
        kvt_assert_sound(s);
    }
    ck_assert_uint_eq(shard->first, 0);
    ck_assert_uint_eq(shard->open[KV_QUEUE_SMALL], 0);
}
END_TEST

START_TEST(record_sizes_are_what_the_layout_says)
{
    for (uint32_t flags = 0; flags < 16; flags++) {
        uint32_t head = 16;
        head += flags & KV_FLAG_DEADLINE ? 8 : 0;
        head += flags & KV_FLAG_COUNTER ? 8 : 0;
        head += flags & KV_FLAG_RAW ? 8 : 0;
        head += flags & KV_FLAG_LARGE ? 24 : 0;
        ck_assert_uint_eq(kv_flags_head_bytes(flags), head);
        ck_assert_uint_le(head, KV_RECORD_HEAD_MAX_BYTES);
        for (uint32_t key = 1; key < 20; key++) {
            ck_assert_uint_eq(kv_record_bytes(flags, key, 3),
                              (head + key + 3 + 7) / 8 * 8);
        }
    }
}
END_TEST

START_TEST(a_torn_header_is_not_believed)
{
    _Alignas(8) unsigned char record[64] = { 0 };
    kv_shape_t shape;
    uint64_t *word = (uint64_t *)(void *)record;
    word[0] = 5;
    word[1] = 20;
    ck_assert(kv_record_shape(record, 48, &shape));
    ck_assert_uint_eq(shape.total_bytes, 48);
    ck_assert(!kv_record_shape(record, 40, &shape));
    word[1] = UINT32_MAX;
    ck_assert(!kv_record_shape(record, 1 << 20, &shape));
    word[0] = UINT64_MAX;
    word[1] = UINT64_MAX;
    ck_assert(!kv_record_shape(record, 1 << 20, &shape));
}
END_TEST

/* At most 40 bytes an entry beyond key and value, index included. */
START_TEST(an_entry_costs_at_most_40_bytes_of_its_own)
{
    uint64_t record = kv_record_bytes(0, 16, 64) - 16 - 64;
    uint64_t dated = kv_record_bytes(KV_FLAG_DEADLINE, 16, 64) - 16 - 64;
    ck_assert_uint_le(record + sizeof(uint64_t), 40);
    ck_assert_uint_le(dated + sizeof(uint64_t), 40);
    /* With the padding at its worst. */
    ck_assert_uint_le(kv_record_bytes(KV_FLAG_DEADLINE, 16, 57) - 16 - 57 +
                          sizeof(uint64_t), 40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_segment");
    TCase *tcase = kvt_case(suite, "kv_segment");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_word_keeps_state_owner_and_generation);
    tcase_add_test(tcase, the_pool_gives_each_segment_once);
    tcase_add_test(tcase, recycling_raises_the_generation);
    tcase_add_test(tcase, a_bit_of_a_segment_that_is_not_free_is_only_a_hint);
    tcase_add_test(tcase, bits_that_were_lost_are_put_back);
    tcase_add_test(tcase, records_follow_each_other_in_the_open_segment);
    tcase_add_test(tcase, opening_another_segment_closes_the_one_before);
    tcase_add_test(tcase, unlinking_works_anywhere_in_the_list);

    tcase = kvt_case(suite, "kv_record");
    tcase_add_test(tcase, record_sizes_are_what_the_layout_says);
    tcase_add_test(tcase, a_torn_header_is_not_believed);
    tcase_add_test(tcase, an_entry_costs_at_most_40_bytes_of_its_own);
    return kvt_run(suite);
}
