/* kv_read_test.c - reading, in one thread; kv_concurrency_test.c has the
 * races. */

#include "kvt.h"

#include "kv_index.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

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

START_TEST(a_missing_key_is_missing_for_each_question)
{
    int64_t ttl_ms = 42;
    kvt_assert_missing(t.store, "nothing");
    kvt_assert_result(kvt_ttl(t.store, "nothing", &ttl_ms), KV_MISSING);
    ck_assert_int_eq(ttl_ms, 42);
}
END_TEST

START_TEST(every_length_comes_back_byte_for_byte)
{
    static char value[9000];
    kvt_fill(value, sizeof(value), 3);
    for (size_t len = 0; len < sizeof(value); len += len < 300 ? 1 : 61) {
        kvt_assert_ok(kv_value_set(t.store, "key", 3, value, len, KV_NO_TTL,
                                   KV_SET_ALWAYS));
        kvt_assert_bytes(t.store, "key", 3, value, len);
    }
}
END_TEST

START_TEST(keys_of_every_byte_and_length_are_told_apart)
{
    static char key[3000];
    kvt_fill(key, sizeof(key), 4);
    for (size_t len = 1; len < sizeof(key); len = len * 3 / 2 + 1) {
        kvt_assert_ok(kv_value_set(t.store, key, len, &len, sizeof(len),
                                   KV_NO_TTL, KV_SET_ALWAYS));
    }
    for (size_t len = 1; len < sizeof(key); len = len * 3 / 2 + 1) {
        kvt_assert_bytes(t.store, key, len, &len, sizeof(len));
        char last = key[len - 1];
        key[len - 1] ^= 1;
        kvt_assert_result(kv_key_exists(t.store, key, len), KV_MISSING);
        key[len - 1] = last;
    }
    for (int byte = 0; byte < 256; byte++) {
        unsigned char c = (unsigned char)byte;
        kvt_assert_ok(kv_value_set(t.store, &c, 1, &c, 1, KV_NO_TTL,
                                   KV_SET_ALWAYS));
    }
    for (int byte = 0; byte < 256; byte++) {
        unsigned char c = (unsigned char)byte;
        kvt_assert_bytes(t.store, &c, 1, &c, 1);
    }
}
END_TEST

/* Ends of zeros are what memory is before anything was noted in it. */
START_TEST(a_key_of_zeros_is_a_key_like_any_other)
{
    static const size_t lengths[] = { 1, 7, 8, 9, 15, 16, 17, 64, 128, 129 };
    static const char key[129];
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t len = lengths[i];
        kv_store_t *fresh = kvt_attach(&t);
        char value[KV_SHORT_VALUE_BYTES];
        size_t bytes;
        kvt_assert_result(kv_key_exists(fresh, key, len), KV_MISSING);
        kvt_assert_result(
            kvt_read_short(fresh, NULL, key, len, value, &bytes), KV_MISSING);
        kvt_assert_ok(kv_value_set(fresh, key, len, "zeros", 5, KV_NO_TTL,
                                   KV_SET_ALWAYS));
        kvt_assert_ok(kvt_read_short(t.store, NULL, key, len, value, &bytes));
        ck_assert_uint_eq(bytes, 5);
        ck_assert_mem_eq(value, "zeros", 5);
        kv_store_detach(fresh);
    }
}
END_TEST

START_TEST(an_empty_value_is_not_a_missing_key)
{
    kvt_assert_ok(kv_value_set(t.store, "empty", 5, NULL, 0, KV_NO_TTL,
                               KV_SET_ALWAYS));
    kvt_assert_value(t.store, "empty", "");
    kvt_assert_ok(kvt_exists(t.store, "empty"));
}
END_TEST

START_TEST(a_copy_after_the_key_changed_is_whole_or_to_be_repeated)
{
    char before[200];
    char after[200];
    char got[200];
    kv_read_t read;
    kvt_fill(before, sizeof(before), 5);
    kvt_fill(after, sizeof(after), 6);
    kvt_assert_ok(kv_value_set(t.store, "key", 3, before, 200, KV_NO_TTL,
                               KV_SET_ALWAYS));
    kvt_assert_ok(kv_read_begin(t.store, "key", 3, &read));
    kvt_assert_ok(kv_value_set(t.store, "key", 3, after, 200, KV_NO_TTL,
                               KV_SET_ALWAYS));
    kvt_assert_ok(kv_read_copy(t.store, &read, got));
    ck_assert_mem_eq(got, before, 200);

    kvt_assert_ok(kv_read_begin(t.store, "key", 3, &read));
    kvt_assert_ok(kvt_delete(t.store, "key"));
    kvt_assert_ok(kv_read_copy(t.store, &read, got));
    ck_assert_mem_eq(got, after, 200);
}
END_TEST

START_TEST(a_copy_after_the_memory_was_reused_says_so)
{
    char value[500];
    char got[500];
    kv_read_t read;
    kv_result_t result = KV_OK;
    kvt_fill(value, sizeof(value), 7);
    kvt_assert_ok(kv_value_set(t.store, "key", 3, value, sizeof(value),
                               KV_NO_TTL, KV_SET_ALWAYS));
    kvt_assert_ok(kv_read_begin(t.store, "key", 3, &read));
    kvt_assert_ok(kvt_delete(t.store, "key"));
    for (int i = 0; i < 10000 && result == KV_OK; i++) {
        char key[32];
        snprintf(key, sizeof(key), "other %d", i);
        kvt_assert_ok(kv_value_set(t.store, key, strlen(key), "#", 1,
                                   KV_NO_TTL, KV_SET_ALWAYS));
        memset(got, 0, sizeof(got));
        result = kv_read_copy(t.store, &read, got);
        ck_assert(result == KV_RETRY ||
                  memcmp(got, value, sizeof(value)) == 0);
    }
    ck_assert_int_eq(result, KV_RETRY);
}
END_TEST

START_TEST(a_large_copy_after_the_memory_was_reused_says_so)
{
    size_t len = kv_store_value_max(t.store);
    char *value = malloc(len);
    char *got = malloc(len);
    kv_read_t read;
    kv_result_t result = KV_OK;
    kvt_fill(value, len, 8);
    kvt_assert_ok(kv_value_set(t.store, "key", 3, value, len, KV_NO_TTL,
                               KV_SET_ALWAYS));
    kvt_assert_ok(kv_read_begin(t.store, "key", 3, &read));
    ck_assert_uint_eq(read.value_bytes, len);
    kvt_assert_ok(kv_read_copy(t.store, &read, got));
    ck_assert_mem_eq(got, value, len);
    kvt_assert_ok(kvt_delete(t.store, "key"));
    for (int i = 0; i < 100 && result == KV_OK; i++) {
        char key[32];
        snprintf(key, sizeof(key), "other %d", i);
        kvt_assert_ok(kv_value_set(t.store, key, strlen(key), value, 3000,
                                   KV_NO_TTL, KV_SET_ALWAYS));
        result = kv_read_copy(t.store, &read, got);
        ck_assert(result == KV_RETRY || memcmp(got, value, len) == 0);
    }
    ck_assert_int_eq(result, KV_RETRY);
    free(value);
    free(got);
}
END_TEST

START_TEST(a_counter_that_changes_meanwhile_is_read_as_it_was)
{
    kv_read_t read;
    char got[20];
    int64_t sum;
    kvt_assert_ok(kvt_add(t.store, "n", 99, &sum));
    kvt_assert_ok(kv_read_begin(t.store, "n", 1, &read));
    kvt_assert_ok(kvt_add(t.store, "n", 1, &sum));
    ck_assert_uint_eq(read.value_bytes, 2);
    kvt_assert_ok(kv_read_copy(t.store, &read, got));
    ck_assert_mem_eq(got, "99", 2);
    kvt_assert_value(t.store, "n", "100");
}
END_TEST

START_TEST(bad_keys_are_told)
{
    static char key[KV_KEY_MAX_BYTES + 1];
    kv_read_t read;
    int64_t ttl_ms;
    const size_t bad[] = { 0, KV_KEY_MAX_BYTES + 1, SIZE_MAX };
    for (size_t i = 0; i < 3; i++) {
        kvt_assert_result(kv_read_begin(t.store, key, bad[i], &read),
                          KV_BAD_KEY);
        kvt_assert_result(kv_key_exists(t.store, key, bad[i]), KV_BAD_KEY);
        kvt_assert_result(kv_deadline_get(t.store, key, bad[i], &ttl_ms),
                          KV_BAD_KEY);
    }
    kvt_assert_result(kv_read_begin(t.store, key, KV_KEY_MAX_BYTES, &read),
                      KV_MISSING);
}
END_TEST

START_TEST(short_values_have_a_way_of_their_own)
{
    char got[400];
    size_t bytes;
    static char noise[400];
    int64_t sum;
    kvt_fill(noise, sizeof(noise), 17);
    for (size_t len = 0; len < 300; len++) {
        kvt_assert_ok(kv_value_set(t.store, "key", 3, noise, len,
                                   len % 2 ? 100000 : 0, KV_SET_ALWAYS));
        memset(got, 0x55, sizeof(got));
        bytes = 42;
        if (len > KV_SHORT_VALUE_BYTES) {
            kvt_assert_result(
                kvt_read_short(t.store, NULL, "key", 3, got, &bytes),
                KV_TOO_LARGE);
            continue;
        }
        kvt_assert_ok(kvt_read_short(t.store, NULL, "key", 3, got, &bytes));
        ck_assert_uint_eq(bytes, len);
        ck_assert_msg(len == 0 || memcmp(got, noise, len) == 0,
                      "other bytes at length %zu", len);
        ck_assert_int_eq(got[len], 0x55);
    }
    kvt_assert_result(kvt_read_short(t.store, NULL, "no", 2, got, &bytes),
                      KV_MISSING);
    kvt_assert_result(kvt_read_short(t.store, NULL, "", 0, got, &bytes),
                      KV_BAD_KEY);
    kvt_assert_result(kvt_read_short(t.store, NULL, got,
                                     KV_KEY_MAX_BYTES + 1, got, &bytes),
                      KV_BAD_KEY);
    kvt_assert_ok(kvt_add(t.store, "n", 5, &sum));
    kvt_assert_result(kvt_read_short(t.store, NULL, "n", 1, got, &bytes),
                      KV_TOO_LARGE);
    static char large[9000];
    kvt_assert_ok(kv_value_set(t.store, "l", 1, large, sizeof(large), 0,
                               KV_SET_ALWAYS));
    kvt_assert_result(kvt_read_short(t.store, NULL, "l", 1, got, &bytes),
                      KV_TOO_LARGE);
}
END_TEST

START_TEST(reading_a_hot_key_writes_nothing_shared_but_own_counters)
{
    kv_read_t read;
    char got[8];
    int64_t ttl_ms;
    kvt_assert_ok(kvt_set(t.store, "hot", "value"));
    /* Four reads are as often as the slot can count. */
    for (int i = 0; i < 8; i++) {
        kvt_assert_ok(kv_read_begin(t.store, "hot", 3, &read));
    }
    char *before = malloc(t.size_bytes);
    memcpy(before, t.memory, t.size_bytes);
    for (int i = 0; i < 100; i++) {
        kvt_assert_ok(kv_read_begin(t.store, "hot", 3, &read));
        kvt_assert_ok(kv_read_copy(t.store, &read, got));
        kvt_assert_ok(kvt_exists(t.store, "hot"));
        kvt_assert_ok(kvt_ttl(t.store, "hot", &ttl_ms));
        kvt_assert_missing(t.store, "cold");
    }
    size_t own = (size_t)((char *)t.store->counts - (char *)t.memory);
    ck_assert_uint_lt(own, t.size_bytes);
    memcpy(before + own, (char *)t.memory + own,
           sizeof(t.store->threads[0].counts));
    ck_assert_mem_eq(before, t.memory, t.size_bytes);
    free(before);
}
END_TEST

START_TEST(a_reader_does_not_wait_for_a_locked_shard)
{
    kv_store_t *other = kvt_attach(&t);
    int64_t ttl_ms;
    kvt_assert_ok(kvt_set_ttl(t.store, "key", "value", 1000000));
    t.store->shards[0].lock = other->lock_word;
    kvt_assert_value(t.store, "key", "value");
    kvt_assert_ok(kvt_exists(t.store, "key"));
    kvt_assert_ok(kvt_ttl(t.store, "key", &ttl_ms));
    kvt_assert_missing(t.store, "other");
    t.store->shards[0].lock = 0;
    kv_store_detach(other);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Interrupted reads                                                   */

/* A timer's signal breaks a read off between any two instructions, and its
 * handler writes, through a handle of its own, until every segment was
 * recycled at least once.  Under noeviction each key is there all the time:
 * whatever the read goes on with, it must find the key, with the value of
 * before or of after. */

#define BROKEN_KEYS 24
#define BROKEN_LARGE 2      /* of them, chains of segments */
#define BURST_BYTES (96u << 10)

static kvt_t broken;
static kv_store_t *writer;
static volatile sig_atomic_t bursts;
static volatile sig_atomic_t burst_failed;
static uint64_t rounds[BROKEN_KEYS];

static size_t broken_length(int key)
{
    return key < BROKEN_LARGE ? 5000 : 40 + (size_t)key * 20;
}

static void write_round(int key)
{
    char name[8] = { 'k', (char)('a' + key) };
    static char value[5000];
    size_t len = broken_length(key);
    uint64_t round = rounds[key] + 1;

    kvt_fill(value, len, (uint64_t)key << 40 | round);
    memcpy(value, &round, sizeof(round));
    if (kv_value_set(writer, name, 2, value, len,
                     round % 3 ? KV_NO_TTL : 100000000, KV_SET_ALWAYS) !=
        KV_OK) {
        burst_failed = 1;
    }
    rounds[key] = round;
}

static void write_a_burst(int signal_number)
{
    (void)signal_number;
    for (size_t bytes = 0; bytes < BURST_BYTES;) {
        for (int key = 0; key < BROKEN_KEYS; key++) {
            write_round(key);
            bytes += broken_length(key);
        }
    }
    bursts = bursts + 1;
}

static void assert_of_round(int key, char *value, size_t len,
                            uint64_t from_round)
{
    uint64_t round;
    uint64_t first;
    kvt_random_t random;

    kvt_assert(len == broken_length(key));
    memcpy(&round, value, sizeof(round));
    kvt_assert(round >= from_round && round <= rounds[key]);
    random.state = (uint64_t)key << 40 | round;
    first = kvt_random(&random);
    memcpy(value, &first, sizeof(first));
    kvt_assert(kvt_filled(value, len, (uint64_t)key << 40 | round));
}

/* One read; its bytes are looked at only if it was broken off, so that the
 * signal comes within reads nearly always. */
static void read_one(kv_store_t *store, int key, int way)
{
    char name[8] = { 'k', (char)('a' + key) };
    static char room[5000];
    uint64_t from_round = rounds[key];
    sig_atomic_t before = bursts;
    size_t len = 0;
    int64_t ttl_ms;
    kv_read_t read;
    kv_scan_t scan;
    kv_result_t result;
    bool copied = false;

    switch (way) {
    case 0:
        kvt_assert_ok(kv_key_exists(store, name, 2));
        break;
    case 1:
        result = kvt_read_short(store, NULL, name, 2, room, &len);
        kvt_assert(result == (key < BROKEN_LARGE ||
                                      broken_length(key) >
                                          KV_SHORT_VALUE_BYTES
                                  ? KV_TOO_LARGE : KV_OK));
        copied = result == KV_OK;
        break;
    case 2:
        kvt_assert_ok(kv_deadline_get(store, name, 2, &ttl_ms));
        kvt_assert(ttl_ms == -1 || ttl_ms > 1000000);
        break;
    case 3:
        do {
            kvt_assert_ok(kv_read_begin(store, name, 2, &read));
            kvt_assert(read.value_bytes == broken_length(key));
            result = kv_read_copy(store, &read, room);
            kvt_assert(result == KV_OK || result == KV_RETRY);
        } while (result == KV_RETRY);
        copied = true;
        len = read.value_bytes;
        break;
    default: {
        int found = 0;
        kv_scan_begin(store, &scan, 0, "k", 1, UINT64_MAX);
        while (kv_scan_key(store, &scan, &len) == KV_OK) {
            kvt_assert(len == 2);
            if (kv_scan_copy(store, &scan, room) == KV_OK) {
                kvt_assert(room[0] == 'k');
                found++;
            }
        }
        kvt_assert(found == BROKEN_KEYS);
    }
    }
    if (copied && bursts != before) {
        assert_of_round(key, room, len, from_round);
    }
}

START_TEST(a_read_that_is_broken_off_anywhere_is_right)
{
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    kvt_random_t random = { 18 };
    struct sigaction action = { .sa_handler = write_a_burst };
    kvt_open(&broken, 96u << 10, &config);
    writer = kvt_attach(&broken);
    for (int key = 0; key < BROKEN_KEYS; key++) {
        write_round(key);
    }
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    for (int i = 0; i < 10000 / KVT_SLOWER; i++) {
        struct itimerval once = {
            .it_value = { 0, 5 + (suseconds_t)kvt_below(&random, 25) }
        };
        sig_atomic_t before = bursts;
        int way = i % 100 == 0 ? 4 : i % 4;
        int key = (int)kvt_below(&random, BROKEN_KEYS);
        ck_assert_int_eq(setitimer(ITIMER_REAL, &once, NULL), 0);
        while (bursts == before) {
            read_one(broken.store, key, way);
        }
    }
    ck_assert_int_eq(burst_failed, 0);
    kv_store_detach(writer);
    kvt_close(&broken);
}
END_TEST

START_TEST(scribbled_flags_are_read_without_harm)
{
    char *value = malloc(kv_store_value_max(t.store));
    kv_place_t place;
    kvt_assert_ok(kvt_set(t.store, "k", "a value with some more than a few "
                                        "bytes"));
    kv_place_find(t.store, kvt_hash(t.store, "k"), "k", 1, &place);
    _Atomic uint64_t *shape = kv_record_word(place.record, 8);
    uint64_t saved = ld_rlx(shape);
    for (uint64_t flags = 0; flags < 1024; flags++) {
        kv_read_t read;
        memset(&read, 0xff, sizeof(read));
        st_rlx(shape, (saved & UINT32_MAX) | flags << 32);
        if (kv_read_begin(t.store, "k", 1, &read) == KV_OK) {
            kvt_assert(read.value_bytes <= kv_store_value_max(t.store));
            kv_result_t result = kv_read_copy(t.store, &read, value);
            kvt_assert_msg(result == KV_OK || result == KV_MISSING,
                           "flags %x: %s", (unsigned)flags,
                           kv_result_text(result));
        }
    }
    st_rlx(shape, saved);
    free(value);
}
END_TEST

START_TEST(scribbled_memory_is_read_without_harm)
{
    char *saved = malloc(t.size_bytes);
    char *value = malloc(kv_store_value_max(t.store));
    kvt_random_t random = { 9 };
    uint64_t shared_from = t.store->geometry.shards_at;
    int64_t sum;
    for (int i = 0; i < 300; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key %d", i);
        kvt_assert_ok(kvt_set_ttl(t.store, key, key, i % 2 * 100000));
    }
    kvt_assert_ok(kvt_add(t.store, "key 7", -5, &sum) == KV_NOT_INTEGER
                      ? KV_OK : KV_BUSY);
    kvt_assert_ok(kvt_add(t.store, "key 300", 5, &sum));
    kvt_fill(value, 9000, 10);
    kvt_assert_ok(kv_value_set(t.store, "key 301", 7, value, 9000, KV_NO_TTL,
                               KV_SET_ALWAYS));
    memcpy(saved, t.memory, t.size_bytes);
    for (int round = 0; round < 400; round++) {
        uint32_t holes = 1u << kvt_below(&random, 13);
        for (uint32_t i = 0; i < holes; i++) {
            uint64_t at = shared_from +
                (kvt_random(&random) >> 8) % (t.size_bytes - shared_from - 8);
            uint64_t word = kvt_random(&random) >> kvt_below(&random, 60);
            memcpy((char *)t.memory + at, &word, 1 + kvt_below(&random, 8));
        }
        for (int i = 0; i < 302; i++) {
            char key[32];
            kv_read_t read;
            int64_t ttl_ms;
            int len = snprintf(key, sizeof(key), "key %d", i);
            (void)kv_deadline_get(t.store, key, (size_t)len, &ttl_ms);
            if (kv_read_begin(t.store, key, (size_t)len, &read) == KV_OK) {
                kvt_assert(read.value_bytes <=
                           kv_store_value_max(t.store));
                (void)kv_read_copy(t.store, &read, value);
            }
        }
        (void)kv_store_check(t.store);
        memcpy((char *)t.memory + shared_from, saved + shared_from,
               t.size_bytes - shared_from);
    }
    free(value);
    free(saved);
}
END_TEST

/* The store's last byte is the last before what may not be read. */
static void open_before_a_wall(kvt_t *at_wall)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    kv_geometry_t geometry;
    size_t bytes = SMALL_BYTES;
    size_t room = 2 * SMALL_BYTES;
    char *memory = kvt_shared(room);

    do {
        bytes += KV_LINE_BYTES;
        kvt_assert_ok(kv_geometry_make(bytes, &config, &geometry));
    } while (geometry.data_at +
                 (uint64_t)geometry.segments * geometry.segment_bytes !=
             bytes);
    ck_assert_uint_lt(bytes, SMALL_BYTES + SMALL_BYTES / 2);
    ck_assert_int_eq(mprotect(memory + room - 4096, 4096, PROT_NONE), 0);
    at_wall->size_bytes = bytes;
    at_wall->config = config;
    at_wall->memory = memory + room - 4096 - bytes;
    kvt_assert_ok(kv_store_create(at_wall->memory, bytes, &config));
    at_wall->store = kvt_attach(at_wall);
}

START_TEST(a_slot_scribbled_to_the_last_bytes_is_read_without_harm)
{
    static const char *const keys[] = { "a key", "a key that is noted" };
    for (size_t i = 0; i < 2; i++) {
        const char *key = keys[i];
        kvt_t at_wall;
        kv_place_t place;
        char value[KV_SHORT_VALUE_BYTES];
        size_t bytes;
        open_before_a_wall(&at_wall);
        kv_store_t *s = at_wall.store;
        kvt_assert_ok(kvt_set(s, key, "value"));
        kvt_assert_ok(
            kvt_read_short(s, NULL, key, strlen(key), value, &bytes));
        kv_place_find(s, kvt_hash(s, key), key, strlen(key), &place);
        uint64_t end = (uint64_t)s->segments * s->segment_bytes;
        for (uint64_t back = 8; back <= 32; back += 8) {
            *place.slot = kv_slot_make(place.tag, 0, end - back);
            kvt_assert_result(
                kvt_read_short(s, NULL, key, strlen(key), value, &bytes),
                KV_MISSING);
            kvt_assert_result(kvt_exists(s, key), KV_MISSING);
            kvt_assert_result(kvt_delete(s, key), KV_MISSING);
            kvt_assert(kv_store_check(s) != NULL);
        }
        kv_store_detach(s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_read");
    TCase *tcase = kvt_case(suite, "kv_read");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_missing_key_is_missing_for_each_question);
    tcase_add_test(tcase, every_length_comes_back_byte_for_byte);
    tcase_add_test(tcase, keys_of_every_byte_and_length_are_told_apart);
    tcase_add_test(tcase, a_key_of_zeros_is_a_key_like_any_other);
    tcase_add_test(tcase, an_empty_value_is_not_a_missing_key);
    tcase_add_test(tcase,
                   a_copy_after_the_key_changed_is_whole_or_to_be_repeated);
    tcase_add_test(tcase, a_copy_after_the_memory_was_reused_says_so);
    tcase_add_test(tcase, a_large_copy_after_the_memory_was_reused_says_so);
    tcase_add_test(tcase, a_counter_that_changes_meanwhile_is_read_as_it_was);
    tcase_add_test(tcase, short_values_have_a_way_of_their_own);
    tcase_add_test(tcase, bad_keys_are_told);
    tcase_add_test(tcase,
                   reading_a_hot_key_writes_nothing_shared_but_own_counters);
    tcase_add_test(tcase, a_reader_does_not_wait_for_a_locked_shard);
    tcase_add_test(tcase, a_read_that_is_broken_off_anywhere_is_right);
    tcase_add_test(tcase, scribbled_flags_are_read_without_harm);
    tcase_add_test(tcase, scribbled_memory_is_read_without_harm);
    tcase_add_test(tcase,
                   a_slot_scribbled_to_the_last_bytes_is_read_without_harm);
    return kvt_run(suite);
}
