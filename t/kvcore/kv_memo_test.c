/* kv_memo_test.c - what a handle notes of where it met its keys must not
 * show, whatever became of them since. */

#include "kvt.h"

#include "kv_grow.h"
#include "kv_memo.h"

#include <signal.h>
#include <sys/time.h>

#define KEY_ROOM 160u
#define SMALL_BYTES (256u << 10)

static kvt_t t;
static kv_store_t *s;
static kv_store_t *other;

static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_NOEVICTION);
    config.shards = 2;
    kvt_open(&t, SMALL_BYTES, &config);
    s = t.store;
    other = kvt_attach(&t);
}

static void tear_down(void)
{
    kv_store_detach(other);
    kvt_close(&t);
}

/* Keys of this length that are as alike as they can be: from 17 bytes on the
 * first and the last eight bytes are the same. */
static void make_key(char *key, size_t len, int number)
{
    memset(key, 'k', len);
    if (len < 17) {
        key[len - 1] = (char)number;
    } else {
        key[8 + (len - 16) / 2] = (char)number;
    }
}

/* ------------------------------------------------------------------ */
/* Two handles, beside a model                                         */

#define KEYS 24

static const size_t lengths[] = { 1, 7, 8, 9, 15, 16, 17, 18, 31, 127, 128,
                                  129, 150 };
#define LENGTHS ((int)(sizeof(lengths) / sizeof(lengths[0])))

typedef struct expected {
    bool there;
    bool counts;
    int64_t number;
} expected_t;

static expected_t model[LENGTHS][KEYS];

static void assert_expected(kv_store_t *store, int which, int number,
                            kvt_random_t *random)
{
    const expected_t *want = &model[which][number];
    kv_result_t result = want->there ? KV_OK : KV_MISSING;
    char key[KEY_ROOM];
    char text[32];
    char got[KV_SHORT_VALUE_BYTES];
    size_t bytes = 0;
    size_t len = lengths[which];
    int64_t ttl_ms;
    int text_bytes = snprintf(text, sizeof(text), "%lld",
                              (long long)want->number);

    make_key(key, len, number);
    switch (kvt_below(random, 3)) {
    case 0:
        kvt_assert_result(kv_key_exists(store, key, len), result);
        break;
    case 1:
        kvt_assert_result(kv_deadline_get(store, key, len, &ttl_ms), result);
        break;
    default:
        if (want->there && want->counts) {
            kvt_assert_bytes(store, key, len, text, (size_t)text_bytes);
            result = KV_TOO_LARGE; /* not plain */
        }
        kvt_assert_result(
            kvt_read_short(store, NULL, key, len, got, &bytes), result);
        kvt_assert(result != KV_OK ||
                   (bytes == (size_t)text_bytes &&
                    memcmp(got, text, bytes) == 0));
    }
}

static void change(kv_store_t *store, int which, int number,
                   kvt_random_t *random)
{
    expected_t *want = &model[which][number];
    char key[KEY_ROOM];
    char text[32];
    size_t len = lengths[which];
    uint32_t what = kvt_below(random, 8);

    make_key(key, len, number);
    if (what < 2) {
        kvt_assert_result(kv_key_delete(store, key, len),
                          want->there ? KV_OK : KV_MISSING);
        want->there = false;
    } else if (what == 2) {
        int64_t sum;
        kvt_assert_ok(kv_counter_add(store, key, len, 1, &sum));
        want->number = want->there ? want->number + 1 : 1;
        want->there = want->counts = true;
        kvt_assert(sum == want->number);
    } else if (what == 3) {
        kv_result_t result = kv_value_set(store, key, len, "77", 2, KV_NO_TTL,
                                          KV_SET_IF_ABSENT);
        kvt_assert(result == (want->there ? KV_EXISTS : KV_OK));
        if (!want->there) {
            *want = (expected_t){ .there = true, .number = 77 };
        }
    } else {
        *want = (expected_t){ .there = true,
                              .number = (int64_t)kvt_below(random, 1000) };
        int bytes =
            snprintf(text, sizeof(text), "%lld", (long long)want->number);
        kvt_assert_ok(kv_value_set(store, key, len, text, (size_t)bytes,
                                   KV_NO_TTL, KV_SET_ALWAYS));
    }
}

START_TEST(two_handles_agree_whatever_either_has_noted)
{
    kvt_random_t random = { 900 + (uint64_t)_i };
    int more = 0;
    memset(model, 0, sizeof(model));
    for (int i = 0; i < 60000 / KVT_SLOWER; i++) {
        kv_store_t *store = kvt_below(&random, 2) ? s : other;
        int which = (int)kvt_below(&random, LENGTHS);
        int number = (int)kvt_below(&random, KEYS);
        if (kvt_below(&random, 4) == 0) {
            change(store, which, number, &random);
        }
        assert_expected(store, which, number, &random);
        if (i % (40 / (KVT_SLOWER > 4 ? 8 : KVT_SLOWER)) == 0 &&
            more < 1300) {
            char key[32];
            snprintf(key, sizeof(key), "more %d", more++);
            kvt_assert_ok(kvt_set(store, key, "lets the index grow"));
            kvt_assert_sound(s);
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_uint_gt(s->extents[i] >> KV_EXTENT_MASK_BITS,
                          8 * s->block_buckets);
    }
}
END_TEST

/* ------------------------------------------------------------------ */
/* One thing after the other                                           */

static const kv_memo_t *memo_of(kv_store_t *store, const char *key)
{
    return kv_memo_find(store, key, strlen(key));
}

static void assert_short(kv_store_t *store, const char *key,
                         const char *value)
{
    char got[KV_SHORT_VALUE_BYTES];
    size_t bytes = 0;
    kvt_assert_result(
        kvt_read_short(store, NULL, key, strlen(key), got, &bytes),
        value != NULL ? KV_OK : KV_MISSING);
    kvt_assert_result(kvt_exists(store, key),
                      value != NULL ? KV_OK : KV_MISSING);
    kvt_assert(value == NULL || (bytes == strlen(value) &&
                                 memcmp(got, value, bytes) == 0));
}

static _Atomic uint64_t *slot_of(const char *key)
{
    kv_place_t place;
    kv_place_find(s, kvt_hash(s, key), key, strlen(key), &place);
    return place.slot;
}

/* The next key "key number N" of this home. */
static void key_beside(const kv_bucket_t *home, int *number, char key[32])
{
    do {
        snprintf(key, 32, "key %d", 10000 + (*number)++);
    } while (kv_hash_home(s, kvt_hash(s, key)) != home);
}

START_TEST(a_noted_slot_that_holds_another_key_now)
{
    char first[32];
    char second[32];
    int number = 0;
    kv_bucket_t *home = kv_shard_buckets(s, 0) + 4;
    key_beside(home, &number, first);
    key_beside(home, &number, second);
    for (int writes = 0; writes < 2; writes++) {
        kvt_assert_ok(kvt_set(s, first, "first"));
        assert_short(other, first, "first");
        _Atomic uint64_t *slot = slot_of(first);
        ck_assert_ptr_ne(memo_of(other, first), NULL);
        ck_assert_ptr_eq(memo_of(other, first)->slot, slot);
        kvt_assert_ok(kvt_delete(s, first));
        assert_short(other, first, NULL);
        kvt_assert_ok(kvt_set(s, second, "second"));
        ck_assert_ptr_eq(slot_of(second), slot);
        if (writes) {
            kvt_assert_ok(kvt_set(other, first, "anew"));
        }
        assert_short(other, first, writes ? "anew" : NULL);
        assert_short(other, second, "second");
        assert_short(s, second, "second");
        assert_short(s, first, writes ? "anew" : NULL);
        kvt_assert_sound(s);
        kvt_assert_ok(kvt_delete(s, second));
    }
}
END_TEST

/* @return how many of 64 keys were split off */
static int split_off(void)
{
    int64_t sum;
    int moved = 0;
    for (int i = 0; i < 64; i++) {
        char key[32];
        char before[32];
        snprintf(key, sizeof(key), "key %d", 10000 + i);
        snprintf(before, sizeof(before), "%d", i);
        kvt_assert_ok(kvt_set(s, key, before));
    }
    /* One after the other: the places of a memo are few. */
    for (int i = 0; i < 64; i++) {
        char key[32];
        char before[32];
        snprintf(key, sizeof(key), "key %d", 10000 + i);
        snprintf(before, sizeof(before), "%d", i);
        assert_short(other, key, before);
        const kv_memo_t *memo = memo_of(other, key);
        if (memo == NULL || memo->slot != slot_of(key)) {
            continue; /* in an overflow bucket */
        }
        kv_memo_t noted = *memo;
        uint32_t shard = kv_hash_shard(s, kvt_hash(s, key));
        for (kvt_split_t *split;
             noted.slot == slot_of(key) &&
             (split = kvt_split_begin(s, shard)) != NULL;) {
            /* In both slots just now. */
            assert_short(other, key, before);
            assert_short(s, key, before);
            kvt_split_end(split);
        }
        if (noted.slot == slot_of(key)) {
            continue; /* it stays where it is */
        }
        moved++;
        assert_short(other, key, before);
        ck_assert_int_eq(memcmp(memo_of(other, key), &noted,
                                offsetof(kv_memo_t, check)), 0);
        kvt_assert_ok(kvt_add(other, key, 1000, &sum));
        ck_assert_int_eq(sum, i + 1000);
        kvt_assert_ok(kvt_set(other, key, "after"));
        assert_short(s, key, "after");
        assert_short(other, key, "after");
        kvt_assert_sound(s);
    }
    return moved;
}

START_TEST(a_key_that_was_split_off_from_its_noted_slot)
{
    int moved = split_off();
    /* Which keys are is up to the store's secret, and seldom there is none. */
    for (int tries = 0; moved == 0 && tries < 100; tries++) {
        tear_down();
        set_up();
        moved = split_off();
    }
    ck_assert_int_gt(moved, 0);
}
END_TEST

/* The next key of this home that finds no slot in it, after those that do. */
static void fill_and_overflow(kv_bucket_t *home, int *number, char key[32])
{
    for (uint32_t i = 0; i < KV_BUCKET_SLOTS; i++) {
        key_beside(home, number, key);
        kvt_assert_ok(kvt_set(s, key, "in the bucket"));
        ck_assert_ptr_eq(kv_memo_bucket(slot_of(key)), home);
    }
    key_beside(home, number, key);
    kvt_assert_ok(kvt_set(s, key, "overflow"));
    ck_assert_ptr_ne(kv_memo_bucket(slot_of(key)), home);
}

static void assert_noted(kv_store_t *store, const char *key,
                         const kv_bucket_t *home)
{
    const kv_memo_t *memo = memo_of(store, key);
    ck_assert_ptr_ne(memo, NULL);
    ck_assert_ptr_eq(memo->slot, slot_of(key));
    ck_assert_ptr_eq(memo->home, home);
}

START_TEST(a_key_in_an_overflow_bucket_is_noted_with_its_home)
{
    enum { BY_SHORT, BY_EXISTS, BY_SET, BY_ADD, WAYS };
    char got[KV_SHORT_VALUE_BYTES];
    char first[32];
    char second[32];
    size_t bytes;
    int64_t sum;
    int number = 0;
    kv_bucket_t *home = kv_shard_buckets(s, 0) + 4;
    kv_bucket_t *elsewhere = home + 1;
    fill_and_overflow(home, &number, first);
    _Atomic uint64_t *slot = slot_of(first);

    for (int way = 0; way < WAYS; way++) {
        kv_store_t *fresh = kvt_attach(&t);
        kvt_assert_ok(kvt_set(s, first, "1"));
        switch (way) {
        case BY_SHORT:
            kvt_assert_ok(kvt_read_short(fresh, NULL, first, strlen(first),
                                         got, &bytes));
            break;
        case BY_EXISTS:
            kvt_assert_ok(kvt_exists(fresh, first));
            break;
        case BY_SET:
            kvt_assert_ok(kvt_set(fresh, first, "2"));
            kvt_assert_ok(kvt_set(fresh, first, "3"));
            break;
        default:
            kvt_assert_ok(kvt_add(fresh, first, 1, &sum));
            kvt_assert_ok(kvt_add(fresh, first, 1, &sum));
            ck_assert_int_eq(sum, 3);
        }
        assert_noted(fresh, first, home);
        kvt_assert_sound(s);
        kv_store_detach(fresh);
    }

    /* Another chain gets the bucket. */
    kvt_assert_ok(kvt_set(s, first, "first"));
    assert_short(other, first, "first");
    kvt_assert_ok(kvt_delete(s, first));
    fill_and_overflow(elsewhere, &number, second);
    ck_assert_ptr_eq(slot_of(second), slot);
    assert_short(other, first, NULL);
    assert_short(s, first, NULL);
    assert_short(other, second, "overflow");
    assert_noted(other, second, elsewhere);
    kvt_assert_ok(kvt_set(other, first, "anew"));
    assert_short(s, first, "anew");
    assert_short(other, first, "anew");
    assert_short(s, second, "overflow");
    kvt_assert_sound(s);
}
END_TEST

START_TEST(a_key_that_was_deleted_and_set_in_another_slot)
{
    char first[32];
    char second[32];
    int number = 0;
    kv_bucket_t *home = kv_shard_buckets(s, 1) + 2;
    key_beside(home, &number, first);
    key_beside(home, &number, second);
    kvt_assert_ok(kvt_set(s, second, "second"));
    kvt_assert_ok(kvt_set(s, first, "first"));
    assert_short(other, first, "first");
    _Atomic uint64_t *slot = slot_of(first);
    kvt_assert_ok(kvt_delete(s, first));
    kvt_assert_ok(kvt_delete(s, second));
    kvt_assert_ok(kvt_set(s, first, "again"));
    ck_assert_ptr_ne(slot_of(first), slot);
    assert_short(other, first, "again");
    kvt_assert_ok(kvt_set(other, first, "changed"));
    assert_short(s, first, "changed");
    kvt_assert_sound(s);
}
END_TEST

/* One ends where the other does, and the first one's note is of its hash. */
START_TEST(keys_of_the_same_ends_and_other_lengths_or_middles)
{
    static const char *const keys[] = {
        "aaaaaaaa", "aaaaaaaaa", "aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaaa", "aaaaaaaabaaaaaaaa", "aaaaaaaabbaaaaaaaa",
        "aaaaaaaabcaaaaaaaa", "aaaaaaaacbaaaaaaaa",
    };
    const int count = (int)(sizeof(keys) / sizeof(keys[0]));
    for (int before = 0; before < count; before++) {
        for (int i = 0; i < count; i++) {
            assert_short(other, keys[before],
                         before < i ? keys[before] : NULL);
            assert_short(other, keys[i], NULL);
            kvt_assert_ok(kvt_set(other, keys[i], keys[i]));
            assert_short(s, keys[i], keys[i]);
            assert_short(other, keys[i], keys[i]);
            assert_short(other, keys[before],
                         before <= i ? keys[before] : NULL);
        }
        kvt_assert_sound(s);
        for (int i = 0; i < count; i++) {
            kvt_assert_ok(kvt_delete(other, keys[i]));
            assert_short(other, keys[i], NULL);
        }
    }
}
END_TEST

START_TEST(only_keys_of_eight_to_128_bytes_are_noted)
{
    char key[KEY_ROOM];
    char got[KV_SHORT_VALUE_BYTES];
    size_t bytes;
    for (size_t len = 1; len < KEY_ROOM; len++) {
        kv_store_t *fresh = kvt_attach(&t);
        make_key(key, len, 'n');
        kvt_assert_ok(kv_value_set(s, key, len, "value", 5, KV_NO_TTL,
                                   KV_SET_ALWAYS));
        for (int times = 0; times < 2; times++) {
            kvt_assert_ok(
                kvt_read_short(fresh, NULL, key, len, got, &bytes));
            ck_assert(bytes == 5 && memcmp(got, "value", 5) == 0);
        }
        const kv_memo_t *memo = kv_memo_find(fresh, key, len);
        ck_assert((memo != NULL) == (len >= 8 && len <= 128));
        uint64_t hash = 0;
        ck_assert((kv_memo_of(fresh, key, len, &hash) != NULL) ==
                  (len >= 8 && len <= 16));
        ck_assert(hash == 0 || hash == kv_hash(fresh, key, len));
        ck_assert(memo == NULL || memo->hash == kv_hash(fresh, key, len));
        kvt_assert_ok(kv_key_delete(s, key, len));
        kv_store_detach(fresh);
    }
}
END_TEST

/* ------------------------------------------------------------------ */
/* Signal handlers                                                     */

#define ALIKE 8
#define ALIKE_BYTES 16u

/* Keys with the same place for a note, of one length and with the same last
 * eight bytes, so that half of one's note and half of another's is a key. */
static char alike[ALIKE][ALIKE_BYTES + 1];
static kv_store_t *interrupted;
static volatile sig_atomic_t handled;
static volatile sig_atomic_t failed;

static void make_alike(kv_store_t *store)
{
    const kv_memo_t *place = NULL;
    int count = 0;
    for (int i = 0; count < ALIKE; i++) {
        snprintf(alike[count], sizeof(alike[0]), "%08uthe same",
                 (unsigned)i % 100000000u);
        const kv_memo_t *at =
            kv_memo_at(store, kv_memo_ends(alike[count], ALIKE_BYTES));
        place = place == NULL ? at : place;
        count += at == place;
    }
}

static void write_one(int signal_number)
{
    const char *key = alike[handled % ALIKE];
    kv_short_t found;
    (void)signal_number;
    kv_result_t result = kv_short_find(interrupted, key, ALIKE_BYTES, &found);
    failed |= result != KV_OK;
    result = kv_value_set(interrupted, key, ALIKE_BYTES, key, ALIKE_BYTES,
                          KV_NO_TTL, KV_SET_ALWAYS);
    failed |= result != KV_OK && result != KV_BUSY;
    handled = handled + 1;
}

START_TEST(a_signal_handler_uses_the_handle_amid_a_note)
{
    struct sigaction action = { .sa_handler = write_one };
    kvt_random_t random = { 77 };
    char got[KV_SHORT_VALUE_BYTES];
    size_t bytes;
    interrupted = s;
    make_alike(s);
    for (int i = 0; i < ALIKE; i++) {
        kvt_assert_ok(kvt_set(other, alike[i], alike[i]));
    }
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    for (int i = 0; i < 10000 / KVT_SLOWER; i++) {
        struct itimerval once = {
            .it_value = { 0, 5 + (suseconds_t)kvt_below(&random, 25) }
        };
        sig_atomic_t before = handled;
        ck_assert_int_eq(setitimer(ITIMER_REAL, &once, NULL), 0);
        for (int j = 0; handled == before; j = (j + 1) % ALIKE) {
            kvt_assert_ok(kvt_read_short(s, NULL, alike[j], ALIKE_BYTES, got,
                                         &bytes));
            if (i % 2 != 0) {
                kvt_assert_ok(kvt_set(s, alike[j], alike[j]));
            }
        }
        kvt_assert_msg(!failed, "a handler found or could set no key");
        kvt_assert_sound(s);
    }
    for (int i = 0; i < ALIKE; i++) {
        kvt_assert_value(other, alike[i], alike[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_memo");
    TCase *tcase = kvt_case(suite, "kv_memo");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, two_handles_agree_whatever_either_has_noted, 0,
                        3);
    tcase_add_test(tcase, a_signal_handler_uses_the_handle_amid_a_note);
    tcase_add_test(tcase, a_noted_slot_that_holds_another_key_now);
    tcase_add_test(tcase, a_key_that_was_split_off_from_its_noted_slot);
    tcase_add_test(tcase,
                   a_key_in_an_overflow_bucket_is_noted_with_its_home);
    tcase_add_test(tcase, a_key_that_was_deleted_and_set_in_another_slot);
    tcase_add_test(tcase,
                   keys_of_the_same_ends_and_other_lengths_or_middles);
    tcase_add_test(tcase, only_keys_of_eight_to_128_bytes_are_noted);
    return kvt_run(suite);
}
