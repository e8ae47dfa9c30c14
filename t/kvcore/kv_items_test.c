/* kv_items_test.c - several keys at a time: kv_items_set() does what as many
 * kv_value_set() do, kv_item_short_find() what kv_short_find() does. */

#include "kvt.h"

#include "kv_lock.h"

#define SMALL_BYTES (256u << 10)
#define STORE_BYTES (1u << 20)
#define COUNT 100

static kvt_t t;
static char keys[COUNT][16];

static void open_store(size_t size_bytes, kv_eviction_t eviction,
                       uint32_t shards, const char *option)
{
    char error[200];
    kv_config_t config = kvt_tiny(eviction);
    config.shards = shards;
    config.wait_limit_ms = 50;
    if (option != NULL) {
        kvt_assert_ok(kv_config_set(&config, option, error, sizeof(error)));
    }
    kvt_open(&t, size_bytes, &config);
}

static void set_up(void)
{
    open_store(STORE_BYTES, KV_NOEVICTION, 4, NULL);
}

static void tear_down(void)
{
    kvt_close(&t);
}

static kv_item_t item(const char *key, const char *value)
{
    return (kv_item_t){ .key = key, .key_len = strlen(key), .value = value,
                        .value_len = strlen(value), .result = KV_INVALID };
}

/* "key <i>", whose value is the same text. */
static void number_items(kv_item_t *items, int count)
{
    for (int i = 0; i < count; i++) {
        snprintf(keys[i], sizeof(keys[i]), "key %d", i);
        items[i] = item(keys[i], keys[i]);
    }
}

START_TEST(every_item_is_set_whatever_their_number)
{
    static const int counts[] = { 0, 1, 2, 31, 32, 33, 64, COUNT };
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        kv_item_t items[COUNT];
        kv_stats_t stats;
        kvt_assert_ok(kv_store_flush(t.store));
        number_items(items, counts[c]);
        kv_items_set(t.store, items, (size_t)counts[c], KV_NO_TTL);
        for (int i = 0; i < counts[c]; i++) {
            int64_t ttl_ms;
            kvt_assert_ok(items[i].result);
            kvt_assert_value(t.store, keys[i], keys[i]);
            kvt_assert_ok(kvt_ttl(t.store, keys[i], &ttl_ms));
            ck_assert_int_eq(ttl_ms, -1);
        }
        kv_store_stats(t.store, &stats);
        ck_assert_uint_eq(stats.entries, (uint64_t)counts[c]);
        kvt_assert_sound(t.store);
    }
}
END_TEST

START_TEST(the_deadline_is_that_of_all)
{
    kv_item_t items[COUNT];
    number_items(items, COUNT);
    kv_items_set(t.store, items, COUNT, 5000000);
    for (int i = 0; i < COUNT; i++) {
        int64_t ttl_ms;
        kvt_assert_ok(kvt_ttl(t.store, keys[i], &ttl_ms));
        ck_assert_int_gt(ttl_ms, 4000000);
        ck_assert_int_le(ttl_ms, 5000000);
    }
    kvt_assert_ok(kvt_expire(t.store, keys[7], 0));
    kv_items_set(t.store, items, COUNT, KV_KEEP_TTL);
    for (int i = 0; i < COUNT; i++) {
        int64_t ttl_ms;
        kvt_assert_ok(items[i].result);
        kvt_assert_ok(kvt_ttl(t.store, keys[i], &ttl_ms));
        ck_assert(i == 7 ? ttl_ms == -1 : ttl_ms > 4000000);
    }
}
END_TEST

START_TEST(each_has_its_own_result)
{
    static char long_key[KV_KEY_MAX_BYTES + 1];
    char *huge = calloc(1, STORE_BYTES);
    char *large = calloc(1, 20000);
    kvt_fill(large, 20000, 1);
    kv_item_t items[] = {
        item("first", "1"), item("", "no key"), item("long key", "x"),
        item("huge", "x"), item("large", "x"), item("last", "2"),
    };
    items[2].key = long_key;
    items[2].key_len = sizeof(long_key);
    items[3].value = huge;
    items[3].value_len = kv_store_value_max(t.store) + 1;
    items[4].value = large;
    items[4].value_len = 20000;
    kv_items_set(t.store, items, 6, KV_NO_TTL);
    kvt_assert_ok(items[0].result);
    kvt_assert_result(items[1].result, KV_BAD_KEY);
    kvt_assert_result(items[2].result, KV_BAD_KEY);
    kvt_assert_result(items[3].result, KV_TOO_LARGE);
    kvt_assert_ok(items[4].result);
    kvt_assert_ok(items[5].result);
    kvt_assert_value(t.store, "first", "1");
    kvt_assert_missing(t.store, "huge");
    kvt_assert_bytes(t.store, "large", 5, large, 20000u);
    kvt_assert_value(t.store, "last", "2");
    free(large);
    free(huge);
}
END_TEST

START_TEST(of_the_same_key_twice_the_last_counts)
{
    kv_item_t items[] = { item("k", "1"), item("other", "x"), item("k", "2"),
                          item("k", "3") };
    kv_items_set(t.store, items, 4, KV_NO_TTL);
    kvt_assert_value(t.store, "k", "3");
    kvt_assert_value(t.store, "other", "x");
}
END_TEST

START_TEST(a_full_store_refuses_or_evicts)
{
    static char value[200];
    static const kv_eviction_t evictions[] = { KV_NOEVICTION,
                                               KV_ALLKEYS_LRU };
    kvt_close(&t);
    for (int e = 0; e < 2; e++) {
        int stored = 0;
        open_store(SMALL_BYTES, evictions[e], 2, NULL);
        for (int round = 0; round < 100; round++) {
            char names[COUNT][32];
            kv_item_t items[COUNT];
            for (int i = 0; i < COUNT; i++) {
                snprintf(names[i], sizeof(names[i]), "%d of %d", i, round);
                items[i] = item(names[i], "");
                items[i].value = value;
                items[i].value_len = sizeof(value);
            }
            kv_items_set(t.store, items, COUNT, KV_NO_TTL);
            for (int i = 0; i < COUNT; i++) {
                ck_assert(items[i].result == KV_OK ||
                          (e == 0 && items[i].result == KV_NO_ROOM));
                stored += items[i].result == KV_OK;
                if (e == 0) {
                    ck_assert_int_eq(kvt_exists(t.store, names[i]) == KV_OK,
                                     items[i].result == KV_OK);
                }
            }
            kvt_assert_sound(t.store);
        }
        ck_assert(e == 0 ? stored > 100 && stored < 100 * COUNT
                         : stored == 100 * COUNT);
        if (e == 0) {
            kvt_close(&t);
        }
    }
}
END_TEST

START_TEST(compressed_values_come_back)
{
    kv_item_t items[40];
    char texts[40][1000];
    kvt_close(&t);
    open_store(STORE_BYTES, KV_NOEVICTION, 2, "compression=zstd");
    number_items(items, 40);
    for (int i = 0; i < 40; i++) {
        memset(texts[i], 'a' + i % 26, sizeof(texts[i]));
        items[i].value = texts[i];
        items[i].value_len = i % 3 == 0 ? 10 : sizeof(texts[i]);
    }
    kv_items_set(t.store, items, 40, KV_NO_TTL);
    for (int i = 0; i < 40; i++) {
        kvt_assert_ok(items[i].result);
        kvt_assert_bytes(t.store, keys[i], strlen(keys[i]), texts[i],
                         items[i].value_len);
    }
}
END_TEST

START_TEST(nobody_waits_again_once_it_is_busy)
{
    kv_item_t items[COUNT];
    kv_store_t *other = kvt_attach(&t);
    int set = 0;
    bool stolen;
    kvt_assert_ok(kv_lock(other, &other->shards[1].lock, &stolen));
    number_items(items, COUNT);
    kv_items_set(t.store, items, COUNT, KV_NO_TTL);
    for (int i = 0; i < COUNT; i++) {
        ck_assert(items[i].result == KV_OK || items[i].result == KV_BUSY);
        ck_assert_int_eq(kvt_exists(t.store, keys[i]) == KV_OK,
                         items[i].result == KV_OK);
        set += items[i].result == KV_OK;
    }
    ck_assert_int_lt(set, COUNT / 2);
    kv_unlock(&other->shards[1].lock);
    kv_items_set(t.store, items, COUNT, KV_NO_TTL);
    for (int i = 0; i < COUNT; i++) {
        kvt_assert_ok(items[i].result);
    }
    kv_store_detach(other);
}
END_TEST

START_TEST(prepared_items_are_read)
{
    char buffer[64];
    size_t bytes;
    int64_t sum;
    static char long_key[KV_KEY_MAX_BYTES + 1];
    kv_item_t items[] = { item("there", ""), item("absent", ""),
                          item("counter", ""), item("longer", ""),
                          item("", ""), item("x", "") };
    items[5].key = long_key;
    items[5].key_len = sizeof(long_key);
    kvt_assert_ok(kvt_set(t.store, "there", "value"));
    kvt_assert_ok(kvt_add(t.store, "counter", 5, &sum));
    kvt_assert_ok(kv_value_set(t.store, "longer", 6, long_key,
                               KV_SHORT_VALUE_BYTES + 1, 0, KV_SET_ALWAYS));
    kv_items_prepare(t.store, items, 6);
    kvt_assert_ok(kvt_read_short(t.store, &items[0], NULL, 0, buffer,
                                 &bytes));
    ck_assert_uint_eq(bytes, 5);
    ck_assert_mem_eq(buffer, "value", 5);
    static const kv_result_t results[] = { KV_MISSING, KV_TOO_LARGE,
                                           KV_TOO_LARGE, KV_BAD_KEY,
                                           KV_BAD_KEY };
    for (int i = 0; i < 5; i++) {
        kvt_assert_result(kvt_read_short(t.store, &items[1 + i], NULL, 0, buffer,
                                 &bytes),
                          results[i]);
    }
    /* What was prepared is the key, not its value. */
    kvt_assert_ok(kvt_set(t.store, "absent", "now"));
    kvt_assert_ok(kvt_delete(t.store, "there"));
    kvt_assert_ok(kvt_read_short(t.store, &items[1], NULL, 0, buffer,
                                 &bytes));
    ck_assert_mem_eq(buffer, "now", 3);
    kvt_assert_result(kvt_read_short(t.store, &items[0], NULL, 0, buffer,
                                 &bytes),
                      KV_MISSING);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_items");
    TCase *tcase = kvt_case(suite, "several keys at a time");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, every_item_is_set_whatever_their_number);
    tcase_add_test(tcase, the_deadline_is_that_of_all);
    tcase_add_test(tcase, each_has_its_own_result);
    tcase_add_test(tcase, of_the_same_key_twice_the_last_counts);
    tcase_add_test(tcase, a_full_store_refuses_or_evicts);
    tcase_add_test(tcase, compressed_values_come_back);
    tcase_add_test(tcase, nobody_waits_again_once_it_is_busy);
    tcase_add_test(tcase, prepared_items_are_read);
    return kvt_run(suite);
}
