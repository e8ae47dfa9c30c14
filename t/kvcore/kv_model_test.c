/* kv_model_test.c - random operations against a model that is a plain array.
 *
 * The model knows of each key what it must be if it is there, and what the
 * policy may have done to it: under noeviction nothing, under volatile-lru
 * keys without a deadline stay, else any key may be gone.  Time is stopped
 * and moved by the test, so that expiry is exact.  Stores are tiny: every
 * few operations evict, compact, expire or recycle something.
 */

#include "kvt.h"

#include "kv_number.h"

#define KEYS 400
#define STEPS (60000 / KVT_SLOWER)

typedef struct model_key {
    bool present;         /* or evicted since, where the policy may */
    bool counter;         /* the value is `number` as text */
    int64_t number;
    uint64_t seed;        /* else what kvt_fill() makes of it */
    size_t len;
    int64_t deadline_ms;  /* 0: none */
    uint64_t version;     /* the newest seen */
} model_key_t;

typedef struct run {
    const char *name;
    kv_eviction_t eviction;
    kv_compression_t compression;
    uint32_t size_bytes;
    uint32_t segment_bytes;
    uint32_t shards;
    uint32_t value_max;   /* most are smaller than this */
    uint32_t large_every; /* one in so many is as large as the store takes */
} run_t;

static const run_t runs[] = {
    { "noeviction", KV_NOEVICTION, 0, 160u << 10, 4096, 1, 300, 0 },
    { "noeviction, two shards", KV_NOEVICTION, 0, 256u << 10, 4096, 2, 600,
      50 },
    { "noeviction, large", KV_NOEVICTION, 0, 1u << 20, 8192, 2, 3000, 10 },
    { "lru", KV_ALLKEYS_LRU, 0, 96u << 10, 4096, 1, 500, 0 },
    { "lru, two shards", KV_ALLKEYS_LRU, 0, 128u << 10, 4096, 2, 900, 50 },
    { "lru, large", KV_ALLKEYS_LRU, 0, 512u << 10, 8192, 2, 2000, 5 },
    { "lru, four shards", KV_ALLKEYS_LRU, 0, 1u << 20, 16384, 4, 9000, 20 },
    { "volatile", KV_VOLATILE_LRU, 0, 128u << 10, 4096, 1, 400, 0 },
    { "volatile, large", KV_VOLATILE_LRU, 0, 512u << 10, 4096, 2, 1500, 20 },
    { "random", KV_ALLKEYS_RANDOM, 0, 96u << 10, 4096, 1, 500, 30 },
    { "random, two shards", KV_ALLKEYS_RANDOM, 0, 256u << 10, 4096, 2, 2000,
      10 },
    { "lru, zstd", KV_ALLKEYS_LRU, KV_COMPRESS_ZSTD, 128u << 10, 4096, 2,
      3000, 20 },
    { "noeviction, zstd", KV_NOEVICTION, KV_COMPRESS_ZSTD, 512u << 10, 4096,
      1, 2000, 20 },
};

static kvt_t t;
static const run_t *run;
static kvt_random_t random_state;
static model_key_t model[KEYS];
static int64_t now_ms;          /* since the clock was stopped */
static char *value;             /* of value_max + 1 bytes */
static size_t value_max;
static unsigned long step;

#define at_step(condition)                                                   \
    kvt_assert_msg(condition, "%s, step %lu: %s", run->name, step, #condition)

static uint32_t below(uint32_t limit)
{
    return kvt_below(&random_state, limit);
}

static size_t key_of(uint32_t number, char key[64])
{
    /* Lengths from 2 to 40, the shorter ones prefixes of longer ones. */
    int len = snprintf(key, 64, "%u:", number);
    for (uint32_t i = 0; i < number * 7 % 37; i++) {
        key[len++] = '#';
    }
    return (size_t)len;
}

static bool compressible(const model_key_t *key)
{
    return key->seed % 2 == 0;
}

/* The bytes of a value: noise, or a short piece again and again; never an
 * integer. */
static void make_value(const model_key_t *key, char *to)
{
    char piece[16];

    if (!compressible(key)) {
        kvt_fill(to, key->len, key->seed);
    } else {
        kvt_fill(piece, sizeof(piece), key->seed);
        for (size_t i = 0; i < key->len; i++) {
            to[i] = piece[i % sizeof(piece)];
        }
    }
    if (key->len > 0) {
        to[0] = '#';
    }
}

static bool expired(const model_key_t *key)
{
    return key->deadline_ms != 0 && key->deadline_ms <= now_ms;
}

static void forget_expired(model_key_t *key)
{
    if (key->present && expired(key)) {
        key->present = false;
    }
}

static bool may_be_gone(const model_key_t *key)
{
    return run->eviction == KV_ALLKEYS_LRU ||
           run->eviction == KV_ALLKEYS_RANDOM ||
           (run->eviction == KV_VOLATILE_LRU && key->deadline_ms != 0);
}

/* The store says the key is there, or that it is not. */
static void told(model_key_t *key, bool present)
{
    if (present) {
        at_step(key->present);
    } else if (key->present) {
        at_step(may_be_gone(key));
        key->present = false;
    }
}

static bool refused(kv_result_t result)
{
    if (result != KV_NO_ROOM) {
        return false;
    }
    at_step(run->eviction == KV_NOEVICTION ||
            run->eviction == KV_VOLATILE_LRU);
    return true;
}

static int64_t some_ttl(void)
{
    switch (below(6)) {
    case 0:
        return 1 + below(50);
    case 1:
        return 1 + below(5000);
    case 2:
        return 1000000000;
    case 3:
        return -5;
    default:
        return KV_NO_TTL;
    }
}

static int64_t deadline_after(int64_t ttl_ms)
{
    return ttl_ms > 0 ? now_ms + ttl_ms : 0;
}

static void newer(model_key_t *key, const char *name, size_t len)
{
    kv_read_t read;
    if (kv_read_begin(t.store, name, len, &read) == KV_OK) {
        at_step(read.version > key->version);
        key->version = read.version;
    } else {
        at_step(may_be_gone(key));
    }
}

/* ------------------------------------------------------------------ */
/* Operations                                                          */

static void do_set(model_key_t *key, const char *name, size_t len)
{
    model_key_t next = { .present = true, .version = key->version };
    kv_set_when_t when = below(4) ? KV_SET_ALWAYS
                                  : (kv_set_when_t)below(3);
    int64_t ttl_ms = below(5) ? some_ttl() : KV_KEEP_TTL;

    if (below(10) == 0) {
        next.counter = true;
        next.number = (int64_t)kvt_random(&random_state) >> below(64);
        next.len = kv_number_format(next.number, value);
    } else {
        next.seed = kvt_random(&random_state);
        next.len = run->large_every != 0 && below(run->large_every) == 0
                       ? below((uint32_t)value_max + 1)
                       : below(run->value_max);
        make_value(&next, value);
    }
    kv_result_t result = kv_value_set(t.store, name, len, value, next.len,
                                      ttl_ms, when);
    if (refused(result)) {
        return;
    }
    if (when == KV_SET_IF_ABSENT) {
        told(key, result == KV_EXISTS);
        if (result == KV_EXISTS) {
            return;
        }
    } else if (when == KV_SET_IF_PRESENT) {
        told(key, result != KV_MISSING);
        if (result == KV_MISSING) {
            return;
        }
    }
    at_step(result == KV_OK);
    if (ttl_ms != KV_KEEP_TTL) {
        next.deadline_ms = deadline_after(ttl_ms);
    } else if (key->present) {
        /* Absent by now is possible, and then there was none to keep. */
        int64_t left_ms;
        result = kv_deadline_get(t.store, name, len, &left_ms);
        if (result == KV_OK) {
            next.deadline_ms = left_ms < 0 ? 0 : now_ms + left_ms;
            at_step(next.deadline_ms == key->deadline_ms ||
                    (next.deadline_ms == 0 && may_be_gone(key)));
        }
    }
    *key = next;
    newer(key, name, len);
}

static void do_get(model_key_t *key, const char *name, size_t len)
{
    char *got;
    size_t got_len;
    kv_result_t result = kvt_get(t.store, name, len, &got, &got_len);

    at_step(result == KV_OK || result == KV_MISSING);
    told(key, result == KV_OK);
    if (result != KV_OK) {
        return;
    }
    if (key->counter) {
        key->len = kv_number_format(key->number, value);
    } else {
        make_value(key, value);
    }
    at_step(got_len == key->len);
    at_step(memcmp(got, value, got_len) == 0);
    /* The usual case has a way of its own. */
    size_t short_len = 0;
    char short_value[KV_SHORT_VALUE_BYTES];
    result = kvt_read_short(t.store, NULL, name, len, short_value, &short_len);
    at_step(result == KV_OK || result == KV_TOO_LARGE);
    if (result == KV_OK) {
        at_step(short_len == key->len);
        at_step(memcmp(short_value, value, short_len) == 0);
    }
    free(got);
}

static void do_add(model_key_t *key, const char *name, size_t len)
{
    int64_t delta = (int64_t)kvt_random(&random_state) >> below(64);
    int64_t sum = 0;
    int64_t expected = 0;
    kv_result_t result = kv_counter_add(t.store, name, len, delta, &sum);

    if (refused(result)) {
        return;
    }
    if (result == KV_NOT_INTEGER) {
        told(key, true);
        at_step(!key->counter);
        return;
    }
    bool overflow = key->present && key->counter &&
                    __builtin_add_overflow(key->number, delta, &expected);
    if (result == KV_OVERFLOW) {
        at_step(overflow);
        return;
    }
    at_step(result == KV_OK);
    if (key->present && (overflow || !key->counter || sum != expected)) {
        told(key, false);
    }
    if (!key->present) {
        at_step(sum == delta);
        *key = (model_key_t){ .version = key->version };
    }
    key->present = true;
    key->counter = true;
    key->number = sum;
    newer(key, name, len);
    /* It was evicted, and its deadline went too. */
    int64_t left_ms;
    if (key->deadline_ms != 0 && sum == delta &&
        kv_deadline_get(t.store, name, len, &left_ms) == KV_OK &&
        left_ms == -1) {
        at_step(may_be_gone(key));
        key->deadline_ms = 0;
    }
}

static void do_delete(model_key_t *key, const char *name, size_t len)
{
    kv_result_t result = kv_key_delete(t.store, name, len);
    at_step(result == KV_OK || result == KV_MISSING);
    told(key, result == KV_OK);
    key->present = false;
    at_step(kv_key_exists(t.store, name, len) == KV_MISSING);
}

static void do_expire(model_key_t *key, const char *name, size_t len)
{
    int64_t ttl_ms = some_ttl();
    kv_result_t result = kv_deadline_set(t.store, name, len, ttl_ms);
    kv_read_t read;

    if (refused(result)) {
        return;
    }
    at_step(result == KV_OK || result == KV_MISSING);
    told(key, result == KV_OK);
    if (result == KV_OK) {
        key->deadline_ms = deadline_after(ttl_ms);
        if (kv_read_begin(t.store, name, len, &read) == KV_OK) {
            at_step(read.version == key->version);
        }
    }
}

static void do_ttl(model_key_t *key, const char *name, size_t len)
{
    int64_t left_ms = 0;
    kv_result_t result = kv_deadline_get(t.store, name, len, &left_ms);
    at_step(result == KV_OK || result == KV_MISSING);
    told(key, result == KV_OK);
    if (result == KV_OK) {
        at_step(left_ms == (key->deadline_ms == 0
                                ? -1 : key->deadline_ms - now_ms));
    }
}

/* Compare and set, compare and delete. */
static void do_equal(model_key_t *key, const char *name, size_t len)
{
    model_key_t expected = *key;
    bool same = below(3) != 0;

    if (key->counter) {
        expected.len = kv_number_format(key->number, value);
    } else {
        make_value(&expected, value);
    }
    if (!same) {
        value[expected.len++] = 'x';
    }
    kv_result_t result;
    model_key_t next = { .present = true, .seed = kvt_random(&random_state),
                         .len = below(run->value_max),
                         .version = key->version };
    bool set = below(2) != 0;
    if (set) {
        char *other = malloc(next.len + 1);
        make_value(&next, other);
        result = kv_value_set_equal(t.store, name, len, value, expected.len,
                                    other, next.len, KV_NO_TTL);
        free(other);
    } else {
        result = kv_key_delete_equal(t.store, name, len, value,
                                     expected.len);
    }
    if (refused(result)) {
        return;
    }
    told(key, result != KV_MISSING);
    if (result == KV_MISSING) {
        return;
    }
    at_step(result == (same ? KV_OK : KV_DIFFERENT));
    if (same && set) {
        *key = next;
        newer(key, name, len);
    } else if (same) {
        key->present = false;
    }
}

static void do_prefix_delete(void)
{
    char prefix[32];
    uint64_t deleted = 0;
    uint64_t expected = 0;
    size_t len = (size_t)snprintf(prefix, sizeof(prefix), "%u", 1 + below(39));

    at_step(kv_prefix_delete(t.store, prefix, len, &deleted) == KV_OK);
    for (uint32_t i = 0; i < KEYS; i++) {
        char name[64];
        size_t name_len = key_of(i, name);
        if (name_len < len || memcmp(name, prefix, len) != 0) {
            continue;
        }
        forget_expired(&model[i]);
        expected += model[i].present;
        model[i].present = false;
        at_step(kv_key_exists(t.store, name, name_len) == KV_MISSING);
    }
    at_step(deleted <= expected);
    at_step(deleted == expected || run->eviction != KV_NOEVICTION);
}

/* Every key that is there is enumerated once, and no other. */
static void do_scan(void)
{
    uint32_t seen[KEYS] = { 0 };
    uint64_t cursor = 0;

    do {
        kv_scan_t scan;
        size_t len;
        kv_scan_begin(t.store, &scan, cursor, "", 0, 1 + below(200));
        while (kv_scan_key(t.store, &scan, &len) == KV_OK) {
            char name[64] = { 0 };
            char expected[64];
            at_step(len < sizeof(name));
            at_step(kv_scan_copy(t.store, &scan, name) == KV_OK);
            unsigned long number = strtoul(name, NULL, 10);
            at_step(number < KEYS);
            at_step(key_of((uint32_t)number, expected) == len);
            at_step(memcmp(name, expected, len) == 0);
            seen[number]++;
        }
        cursor = scan.cursor;
    } while (cursor != 0);
    for (uint32_t i = 0; i < KEYS; i++) {
        at_step(seen[i] <= 1);
        forget_expired(&model[i]);
        told(&model[i], seen[i] != 0);
    }
}

static void do_flush(void)
{
    kv_stats_t stats;
    at_step(kv_store_flush(t.store) == KV_OK);
    for (uint32_t i = 0; i < KEYS; i++) {
        model[i].present = false;
    }
    kv_store_stats(t.store, &stats);
    at_step(stats.entries == 0);
    at_step(stats.live_bytes == 0);
}

static void audit(void)
{
    uint64_t present = 0;
    kv_stats_t stats;
    const char *broken = kv_store_check(t.store);

    kvt_assert_msg(broken == NULL, "%s, step %lu: %s", run->name, step,
                   broken);
    for (uint32_t i = 0; i < KEYS; i++) {
        char name[64];
        size_t len = key_of(i, name);
        forget_expired(&model[i]);
        do_get(&model[i], name, len);
        present += model[i].present;
    }
    kv_store_stats(t.store, &stats);
    at_step(stats.entries >= present);
    at_step(stats.used_bytes <= stats.limit_bytes);
}

START_TEST(random_operations_agree_with_the_model)
{
    run = &runs[_i];
    random_state.state = 1000 + (uint64_t)_i;
    kv_config_t config = kvt_tiny(run->eviction);
    config.compression = run->compression;
    config.min_compress_bytes = 100;
    config.segment_bytes = run->segment_bytes;
    config.shards = run->shards;
    kvt_open(&t, run->size_bytes, &config);
    kvt_clock_stop();
    value_max = kv_store_value_max(t.store);
    value = malloc(value_max + 64);

    for (step = 0; step < STEPS; step++) {
        uint32_t number = below(below(2) ? KEYS : KEYS / 10);
        model_key_t *key = &model[number];
        char name[64];
        size_t len = key_of(number, name);
        uint32_t dice = below(1000);

        forget_expired(key);
        if (dice < 330) {
            do_set(key, name, len);
        } else if (dice < 600) {
            do_get(key, name, len);
        } else if (dice < 700) {
            do_add(key, name, len);
        } else if (dice < 760) {
            do_delete(key, name, len);
        } else if (dice < 860) {
            do_expire(key, name, len);
        } else if (dice < 900) {
            do_ttl(key, name, len);
        } else if (dice < 940) {
            do_equal(key, name, len);
        } else if (dice < 942) {
            do_prefix_delete();
        } else if (dice < 944) {
            do_scan();
        } else if (dice < 998) {
            uint32_t ms = below(below(30) ? 5 : 2000);
            kvt_clock_move(ms);
            now_ms += ms;
        } else if (dice < 999) {
            kv_store_detach(t.store);
            t.store = kvt_attach(&t);
        } else if (below(10) == 0) {
            do_flush();
        }
        if (step % 500 == 0) {
            audit();
        }
    }
    audit();
    free(value);
    kvt_close(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_model");
    TCase *tcase = kvt_case(suite, "kv_model");
    tcase_add_loop_test(tcase, random_operations_agree_with_the_model, 0,
                        (int)(sizeof(runs) / sizeof(runs[0])));
    return kvt_run(suite);
}
