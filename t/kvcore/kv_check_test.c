/* kv_check_test.c - the audit finds each breakage, by its name. */

#include "kvt.h"

#include "kv_index.h"
#include "kv_large.h"

#define SMALL_BYTES (256u << 10)
#define KEYS 900

static kvt_t t;
static kv_store_t *s;

static kv_bucket_t *chained;        /* a home with an overflow bucket */
static kv_bucket_t *second_chained;
static unsigned char *counter;
static unsigned char *large;        /* three chunks and a rest */
static unsigned char *other_large;  /* the same, in the same shard */
static _Atomic uint64_t *plain;     /* the slot of a plain record */

static kv_place_t place_of(const char *key)
{
    kv_place_t place;
    kv_place_find(s, kvt_hash(s, key), key, strlen(key), &place);
    ck_assert_ptr_ne(place.slot, NULL);
    return place;
}

/* Keys of one home until its chain has an overflow bucket. */
static kv_bucket_t *overfill(kv_bucket_t *not_this)
{
    kv_bucket_t *home = NULL;
    char key[32];
    for (int i = 0; home == NULL || (home->tail & 0xffff) == 0; i++) {
        snprintf(key, sizeof(key), "c%p.%d", (void *)not_this, i);
        kv_bucket_t *its = kv_hash_home(s, kvt_hash(s, key));
        if (home == NULL && its != not_this) {
            home = its;
        }
        if (its == home) {
            kvt_assert_ok(kvt_set(s, key, "chained"));
        }
    }
    return home;
}

/* A store with a little of everything. */
static void set_up(void)
{
    static char value[12740];
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    int64_t sum;
    config.shards = 2;
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_ok(kvt_set_ttl(s, key, "value", i % 3 * 1000000));
    }
    for (int i = 0; i < KEYS; i += 7) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        kvt_assert_ok(kvt_delete(s, key));
    }
    kvt_assert_ok(kvt_add(s, "counter", 5, &sum));
    kvt_assert_ok(kv_value_set(s, "large", 5, value, sizeof(value), 0,
                               KV_SET_ALWAYS));
    /* Of the same shard, so that they may be mistaken for each other. */
    uint32_t shard = kv_hash_shard(s, kvt_hash(s, "large"));
    char other[32];
    for (int i = 0;; i++) {
        snprintf(other, sizeof(other), "other%d", i);
        if (kv_hash_shard(s, kvt_hash(s, other)) == shard) {
            break;
        }
    }
    kvt_assert_ok(kv_value_set(s, other, strlen(other), value,
                               sizeof(value), 0, KV_SET_ALWAYS));
    chained = overfill(NULL);
    second_chained = overfill(chained);
    counter = place_of("counter").record;
    large = place_of("large").record;
    other_large = place_of(other).record;
    plain = place_of("k3").slot;
    kvt_assert_sound(s);
}

static void tear_down(void)
{
    kv_store_detach(s);
}

/* ------------------------------------------------------------------ */
/* Finding things to break                                             */

static uint32_t segment_in(kv_state_t state)
{
    for (uint32_t i = 0; i < s->segments; i++) {
        if (kv_word_state(s->words[i]) == state) {
            return i;
        }
    }
    ck_abort_msg("no segment in that state");
    return 0;
}

static void set_state(uint32_t segment, kv_state_t state, uint32_t owner)
{
    s->words[segment] =
        kv_word(state, owner, kv_word_generation(s->words[segment]));
}

/* A log segment that is not open. */
static uint32_t closed_segment(void)
{
    for (uint32_t i = 0; i < s->segments; i++) {
        uint32_t owner = kv_word_owner(s->words[i]);
        if (kv_word_state(s->words[i]) == KV_STATE_SMALL &&
            s->shards[owner].open[KV_QUEUE_SMALL] != i + 1) {
            return i;
        }
    }
    ck_abort_msg("no closed segment");
    return 0;
}

static unsigned char *plain_record(void)
{
    return s->data + kv_slot_offset(*plain);
}

static kv_large_t *words_of(unsigned char *record)
{
    kv_shape_t shape;
    ck_assert(kv_record_shape(record, 4096, &shape));
    return (kv_large_t *)(void *)(record + shape.head_bytes - 24);
}

static uint64_t *link_of(uint64_t segment)
{
    return (uint64_t *)(void *)kv_segment_start(s, (uint32_t)segment);
}

static kv_bucket_t *overflow_of(kv_bucket_t *home)
{
    kv_bucket_t *buckets =
        kv_shard_buckets(s, (uint32_t)((home - s->shard_index[0]) /
                                       (s->buckets + s->overflow)));
    return kv_bucket_next(s, buckets, home->tail);
}

static uint32_t shard_of_home(const kv_bucket_t *home)
{
    return (uint32_t)((home - s->shard_index[0]) / (s->buckets + s->overflow));
}

/* ------------------------------------------------------------------ */
/* The breakages                                                       */

static void magic(void)
{
    s->header->magic ^= 1;
}

static void layout_hash(void)
{
    s->header->layout_hash ^= 1;
}

static void secret(void)
{
    s->header->secret[100] ^= 1;
}

static void geometry(void)
{
    s->header->geometry.index_at += 64;
}

static void write_off_behind_its_segment(void)
{
    s->segment[closed_segment()].write_off = 4096 + 8;
}

static void write_off_before_the_head(void)
{
    s->segment[closed_segment()].write_off = 8;
}

static void write_off_not_aligned(void)
{
    s->segment[closed_segment()].write_off -= 4;
}

static void a_record_longer_than_its_segment(void)
{
    *(uint32_t *)(void *)(plain_record() + 8) = 4096;
}

static void write_off_within_a_record(void)
{
    s->segment[closed_segment()].write_off -= 8;
}

static void a_record_without_a_key(void)
{
    *(uint16_t *)(void *)plain_record() = 0;
}

static void an_unknown_flag(void)
{
    *(uint32_t *)(void *)(plain_record() + 12) |= 0x40;
}

static void a_counter_with_bytes(void)
{
    *(uint32_t *)(void *)(counter + 8) = 1;
}

static void a_word_in_no_state(void)
{
    s->words[segment_in(KV_STATE_FREE)] |= UINT64_C(7) << 61;
}

static void a_word_of_generation_zero(void)
{
    s->words[segment_in(KV_STATE_FREE)] &= ~KV_GENERATION_MASK;
}

static void a_segment_of_no_shard(void)
{
    set_state(closed_segment(), KV_STATE_SMALL, 2);
}

static void a_free_segment_without_its_bit(void)
{
    uint32_t segment = segment_in(KV_STATE_FREE);
    s->free_map[segment / 64] &= ~(UINT64_C(1) << (segment % 64));
}

static void a_list_that_leads_outside(void)
{
    s->shards[1].first = s->segments + 1;
}

static void a_list_that_runs_in_a_circle(void)
{
    uint32_t first = s->shards[0].first;
    uint32_t last = first;
    while (s->segment[last - 1].next != 0) {
        last = s->segment[last - 1].next;
    }
    s->segment[last - 1].next = first;
}

static void a_list_that_leads_to_another_shard(void)
{
    uint32_t last = s->shards[0].first;
    while (s->segment[last - 1].next != 0) {
        last = s->segment[last - 1].next;
    }
    s->segment[last - 1].next = s->shards[1].first;
}

static void a_free_segment_in_a_list(void)
{
    uint32_t segment = segment_in(KV_STATE_FREE);
    s->segment[segment].next = s->shards[0].first;
    s->shards[0].first = segment + 1;
}

static void a_segment_that_is_in_no_list(void)
{
    kv_segment_unlink(s, &s->shards[kv_word_owner(
                             s->words[closed_segment()])],
                      closed_segment());
}

static void a_wrong_count_of_segments(void)
{
    s->shards[0].count[KV_QUEUE_SMALL]++;
}

static void a_wrong_count_of_chunks(void)
{
    s->shards[1].large_count++;
}

static void wrong_live_bytes_of_a_segment(void)
{
    s->segment[closed_segment()].live_bytes += 8;
}

static void wrong_permanent_bytes_of_a_segment(void)
{
    s->segment[closed_segment()].permanent_bytes -= 8;
}

static void a_deadline_before_its_segments_next(void)
{
    s->segment[closed_segment()].min_deadline_ms = INT64_MAX;
}

static void a_large_size_less_than_its_rest(void)
{
    words_of(large)->total_bytes = 0;
}

static void a_chain_that_begins_outside(void)
{
    words_of(large)->first = s->segments;
}

static void a_chunk_of_another_generation(void)
{
    words_of(large)->generation++;
}

static void a_link_of_another_generation(void)
{
    link_of(words_of(large)->first)[1]++;
}

static void a_chunk_of_another_shard(void)
{
    uint64_t first = words_of(large)->first;
    uint32_t owner = kv_word_owner(s->words[first]);
    set_state((uint32_t)first, KV_STATE_LARGE, 1 - owner);
}

static void a_chain_too_short(void)
{
    link_of(words_of(large)->first)[0] = 0;
}

static void a_chain_too_long(void)
{
    words_of(large)->total_bytes -= 4096;
}

static void a_chunk_of_two_records(void)
{
    words_of(other_large)->first = words_of(large)->first;
    words_of(other_large)->generation = words_of(large)->generation;
}

static void a_chunk_without_a_record(void)
{
    uint32_t segment = segment_in(KV_STATE_FREE);
    set_state(segment, KV_STATE_LARGE, 0);
    kv_segment_link(s, &s->shards[0], segment);
}

static void a_key_in_two_slots(void)
{
    kv_bucket_t *last = overflow_of(chained);
    last->slot[6] = chained->slot[0];
}

static void a_slot_that_leads_outside(void)
{
    *plain = (*plain & ~((UINT64_C(1) << KV_LAYOUT_OFFSET_BITS) - 1)) |
             ((uint64_t)s->segments * 4096 >> 3);
}

static void a_slot_that_leads_to_a_free_segment(void)
{
    uint64_t inside = kv_slot_offset(*plain) % 4096;
    uint64_t offset =
        ((uint64_t)segment_in(KV_STATE_FREE) << 12) + inside;
    *plain = (*plain & ~((UINT64_C(1) << KV_LAYOUT_OFFSET_BITS) - 1)) |
             offset >> 3;
}

static void a_slot_that_leads_to_another_shard(void)
{
    uint32_t segment = (uint32_t)(kv_slot_offset(*plain) >> 12);
    uint32_t owner = kv_word_owner(s->words[segment]);
    uint64_t offset =
        ((uint64_t)s->shards[1 - owner].open[KV_QUEUE_SMALL] - 1) << 12;
    *plain = (*plain & ~((UINT64_C(1) << KV_LAYOUT_OFFSET_BITS) - 1)) |
             (offset + KV_SEGMENT_HEAD_BYTES) >> 3;
}

static void a_slot_that_leads_behind_write_off(void)
{
    uint32_t segment = (uint32_t)(kv_slot_offset(*plain) >> 12);
    uint32_t open =
        s->shards[kv_word_owner(s->words[segment])].open[KV_QUEUE_SMALL] - 1;
    uint64_t offset = ((uint64_t)open << 12) + s->segment[open].write_off;
    *plain = (*plain & ~((UINT64_C(1) << KV_LAYOUT_OFFSET_BITS) - 1)) |
             offset >> 3;
}

static void a_slot_with_another_tag(void)
{
    *plain ^= UINT64_C(1) << KV_TAG_SHIFT;
}

static void a_slot_in_another_bucket(void)
{
    kv_bucket_t *bucket =
        (kv_bucket_t *)((uintptr_t)plain & ~(uintptr_t)(KV_LINE_BYTES - 1));
    kv_bucket_t *buckets = kv_shard_buckets(s, shard_of_home(bucket));
    uint64_t room = 0;
    kv_shape_t shape;
    unsigned char *record = kv_slot_record(s, *plain, &room);
    ck_assert(record != NULL && kv_record_shape(record, room, &shape));
    kv_bucket_t *home = kv_hash_home(
        s, kv_hash(s, record + shape.head_bytes, shape.key_len));
    for (kv_bucket_t *other = buckets; other < buckets + s->block_buckets;
         other++) {
        for (uint32_t i = 0; other != home && i < KV_BUCKET_SLOTS; i++) {
            if (other->slot[i] == 0) {
                other->slot[i] = *plain;
                *plain = 0;
                return;
            }
        }
    }
    ck_abort_msg("the other buckets are full");
}

static void a_link_that_leads_outside(void)
{
    chained->tail |= 0xffff;
}

static _Atomic uint64_t *overflow_map(const kv_bucket_t *home)
{
    return s->overflow_maps +
           (uint64_t)shard_of_home(home) * s->geometry.overflow_map_words;
}

/* An empty one, as keys would be found in a foreign chain first. */
static void an_overflow_bucket_in_two_chains(void)
{
    uint32_t number = s->overflow - 1;
    kv_bucket_t *bucket = kv_shard_buckets(s, shard_of_home(chained));
    overflow_map(chained)[number / 64] |= UINT64_C(1) << (number % 64);
    for (int linked = 0; linked < 2; bucket++) {
        if ((bucket->tail & 0xffff) == 0) {
            bucket->tail |= number + 1;
            linked++;
        }
    }
}

static void a_chain_that_runs_in_a_circle(void)
{
    kv_bucket_t *last = overflow_of(chained);
    last->tail = (last->tail & ~UINT64_C(0xffff)) | (chained->tail & 0xffff);
}

static void an_overflow_bucket_not_in_the_map(void)
{
    uint32_t number = (uint32_t)(chained->tail & 0xffff) - 1;
    overflow_map(chained)[number / 64] &= ~(UINT64_C(1) << (number % 64));
}

static void a_map_bit_without_its_overflow_bucket(void)
{
    uint32_t number = s->overflow - 1;
    overflow_map(chained)[number / 64] |= UINT64_C(1) << (number % 64);
}

static void a_key_in_a_free_overflow_bucket(void)
{
    kv_bucket_t *buckets = kv_shard_buckets(s, 0);
    buckets[s->buckets + s->overflow - 1].slot[3] = *plain;
}

static void a_record_newer_than_its_shard(void)
{
    uint64_t stamp = *(uint64_t *)(void *)plain_record();
    *(uint64_t *)(void *)plain_record() =
        (KV_VERSION_MASK << 16) | (stamp & 0xffff);
}

static void a_removal_newer_than_its_shard(void)
{
    chained->tail |= KV_VERSION_MASK << 16;
}

static void a_counter_noted_by_nobody(void)
{
    s->shards[1].noted = (uint64_t)(counter - s->data);
}

static void a_wrong_number_of_entries(void)
{
    s->shards[0].entries++;
}

static void wrong_live_bytes_of_a_shard(void)
{
    s->shards[1].live_bytes -= 8;
}

static void a_slot_forgotten(void)
{
    *plain = 0;
}

static void a_mask_that_is_none(void)
{
    s->extents[1] = kv_extent(3 * s->block_buckets, 2);
}

static void more_blocks_than_there_are(void)
{
    s->extents[1] = kv_extent(2 * s->buckets, 2 * s->block_mask + 1);
}

static void more_buckets_than_blocks(void)
{
    uint64_t mask = s->extents[0] & KV_EXTENT_MASK;
    s->extents[0] = kv_extent((mask + 1) * s->block_buckets + 1, mask);
}

static void a_mask_before_its_first_bucket(void)
{
    uint64_t mask = s->extents[0] & KV_EXTENT_MASK;
    s->extents[0] = kv_extent((mask + 1) / 2 * s->block_buckets, mask);
}

static void a_first_block_not_whole(void)
{
    s->extents[1] = kv_extent(s->block_buckets - 1, 0);
}

static void an_index_of_nothing(void)
{
    s->extents[0] = 0;
}

static void a_slot_that_a_split_has_left(void)
{
    kvt_split_t *split = kvt_split_begin(s, 0);
    ck_assert_ptr_ne(split, NULL);
    kvt_split_abandon(split);
}

static const struct {
    const char *name;
    void (*plant)(void);
} breakages[] = {
    { "L1: magic or layout hash", magic },
    { "L1: magic or layout hash", layout_hash },
    { "L1: secret", secret },
    { "L2: geometry", geometry },
    { "S1: write_off", write_off_behind_its_segment },
    { "S1: write_off", write_off_before_the_head },
    { "S1: write_off", write_off_not_aligned },
    { "S1: a record leaves its segment", a_record_longer_than_its_segment },
    { "S1: a record leaves its segment", write_off_within_a_record },
    { "R1: a record without a key", a_record_without_a_key },
    { "R2: flags", an_unknown_flag },
    { "R2: flags", a_counter_with_bytes },
    { "S4: a segment's word", a_word_in_no_state },
    { "S4: a segment's word", a_word_of_generation_zero },
    { "S4: a segment's owner", a_segment_of_no_shard },
    { "S4: a free segment without its bit", a_free_segment_without_its_bit },
    { "S4: a shard's list", a_list_that_leads_outside },
    { "S4: a shard's list", a_list_that_runs_in_a_circle },
    { "S4: a foreign segment in a shard's list",
      a_list_that_leads_to_another_shard },
    { "S4: a free segment in a shard's list", a_free_segment_in_a_list },
    { "S4: a segment not in its shard's list", a_segment_that_is_in_no_list },
    { "S4: a shard's counts of segments", a_wrong_count_of_segments },
    { "S4: a shard's counts of segments", a_wrong_count_of_chunks },
    { "S5: a segment's live bytes", wrong_live_bytes_of_a_segment },
    { "S5: a segment's live bytes", wrong_permanent_bytes_of_a_segment },
    { "S5: a segment's next deadline", a_deadline_before_its_segments_next },
    { "R3: a large record", a_large_size_less_than_its_rest },
    { "R3: a large record", a_chain_that_begins_outside },
    { "R3: a chunk is not the record's", a_chunk_of_another_generation },
    { "R3: a chunk is not the record's", a_link_of_another_generation },
    { "R3: a chunk is not the record's", a_chunk_of_another_shard },
    { "R3: a chain too short", a_chain_too_short },
    { "R3: a chain too long", a_chain_too_long },
    { "R3: a chunk of two records", a_chunk_of_two_records },
    { "R3: a chunk without a record", a_chunk_without_a_record },
    { "I1: a key in two slots", a_key_in_two_slots },
    { "I2: a slot leads outside", a_slot_that_leads_outside },
    { "I2: a slot leads into a segment that is not the shard's",
      a_slot_that_leads_to_a_free_segment },
    { "I2: a slot leads into a segment that is not the shard's",
      a_slot_that_leads_to_another_shard },
    { "I2: a slot leads behind write_off",
      a_slot_that_leads_behind_write_off },
    { "I2: a slot leads to a key of another place", a_slot_with_another_tag },
    { "I2: a slot leads to a key of another place",
      a_slot_in_another_bucket },
    { "I2: a slot leads to a key of another place",
      a_slot_that_a_split_has_left },
    { "I3: a link leads outside", a_link_that_leads_outside },
    { "I3: an overflow bucket in two chains",
      an_overflow_bucket_in_two_chains },
    { "I3: an overflow bucket in two chains",
      a_chain_that_runs_in_a_circle },
    { "I3: the overflow map", an_overflow_bucket_not_in_the_map },
    { "I3: the overflow map", a_map_bit_without_its_overflow_bucket },
    { "I3: a key in a free overflow bucket",
      a_key_in_a_free_overflow_bucket },
    { "I4: a record newer than its shard", a_record_newer_than_its_shard },
    { "I4: a removal newer than its shard", a_removal_newer_than_its_shard },
    { "I4: a noted counter without a writer", a_counter_noted_by_nobody },
    { "I5: a shard's entries or live bytes", a_wrong_number_of_entries },
    { "I5: a shard's entries or live bytes", wrong_live_bytes_of_a_shard },
    { "I5: a shard's entries or live bytes", a_slot_forgotten },
    { "I6: a shard's extent", a_mask_that_is_none },
    { "I6: a shard's extent", more_blocks_than_there_are },
    { "I6: a shard's extent", more_buckets_than_blocks },
    { "I6: a shard's extent", a_mask_before_its_first_bucket },
    { "I6: a shard's extent", a_first_block_not_whole },
    { "I6: a shard's extent", an_index_of_nothing },
};

START_TEST(a_breakage_is_found_and_named)
{
    breakages[_i].plant();
    const char *found = kv_store_check(s);
    ck_assert_msg(found != NULL, "not found: %s", breakages[_i].name);
    ck_assert_str_eq(found, breakages[_i].name);
}
END_TEST

START_TEST(a_sound_store_stays_as_it_is)
{
    char *before = malloc(t.size_bytes);
    memcpy(before, t.memory, t.size_bytes);
    ck_assert_ptr_eq(kv_store_check(s), NULL);
    ck_assert_mem_eq(before, t.memory, t.size_bytes);
    free(before);
}
END_TEST

/* Whatever is scribbled: an answer, no crash. */
START_TEST(scribbled_memory_is_audited_without_harm)
{
    char *saved = malloc(t.size_bytes);
    kvt_random_t random = { 31 };
    uint64_t from = s->geometry.shards_at;
    int broken = 0;
    memcpy(saved, t.memory, t.size_bytes);
    for (int round = 0; round < 1000 / KVT_SLOWER; round++) {
        uint32_t holes = 1u << kvt_below(&random, 12);
        for (uint32_t i = 0; i < holes; i++) {
            uint64_t at =
                from + (kvt_random(&random) >> 8) % (t.size_bytes - from - 8);
            uint64_t word = kvt_random(&random) >> kvt_below(&random, 60);
            memcpy((char *)t.memory + at, &word, 1 + kvt_below(&random, 8));
        }
        broken += kv_store_check(s) != NULL;
        memcpy((char *)t.memory + from, saved + from, t.size_bytes - from);
    }
    ck_assert_int_gt(broken, 500 / KVT_SLOWER);
    kvt_assert_sound(s);
    free(saved);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_check");
    TCase *tcase = kvt_case(suite, "kv_check");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, a_breakage_is_found_and_named, 0,
                        (int)(sizeof(breakages) / sizeof(breakages[0])));
    tcase_add_test(tcase, a_sound_store_stays_as_it_is);
    tcase_add_test(tcase, scribbled_memory_is_audited_without_harm);
    return kvt_run(suite);
}
