/* storm_ops.c - the calls of the kill storm; see storm.h. */

#include "storm.h"

#include "kv_clock.h"
#include "kv_layout.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 320
#define HOUR_MS INT64_C(3600000)

int64_t store_now_ms(void)
{
    return kv_now_ms();
}

void player_fail(player_t *player, const char *format, ...)
{
    board_t *board = player->board;
    uint32_t expected = 0;

    if (atomic_compare_exchange_strong(&board->failed, &expected, 1)) {
        va_list args;
        int at = snprintf(board->failure, sizeof(board->failure),
                          "player %u: ", player->number);
        va_start(args, format);
        vsnprintf(board->failure + at, sizeof(board->failure) - (size_t)at,
                  format, args);
        va_end(args);
        atomic_store(&board->failed, 2);
    }
    _exit(1);
}

/* ------------------------------------------------------------------ */
/* Names and values                                                    */

size_t key_name(char *to, uint32_t seat, uint32_t key)
{
    int at = sprintf(to, "player %u key %u", seat, key);
    if (key % 8 == 5) { /* some long ones */
        memset(to + at, '.', 250);
        at += 250;
    }
    return (size_t)at;
}

size_t shared_name(char *to, uint32_t counter)
{
    return (size_t)sprintf(to, "shared counter %u", counter);
}

size_t still_name(char *to, uint32_t number)
{
    return (size_t)sprintf(to, "still %u", number);
}

size_t still_value(unsigned char *to, uint32_t number)
{
    size_t bytes = 20 + rig_mix(number) % 200;
    rig_fill(to, bytes, (uint64_t)number << 20);
    return bytes;
}

static uint64_t value_seed(uint32_t seat, uint32_t key, uint64_t serial)
{
    return rig_mix((uint64_t)seat << 48 | (uint64_t)key << 40 | serial);
}

static size_t value_bytes(uint32_t key, uint64_t seed)
{
    uint64_t r = rig_mix(seed ^ 1);
    if (key >= LARGE_AT && key < COUNTER_AT) {
        return 8 + r % (VALUE_MAX - 8);
    }
    if (key >= MEDIUM_AT && key < LARGE_AT) {
        return 8 + r % 6000;
    }
    return 8 + r % (r >> 32 & 1 ? 300 : 40);
}

/* Every other long value repeats itself, so that it can be compressed. */
static size_t pattern_bytes(size_t bytes, uint64_t seed)
{
    return bytes > 1000 && seed % 2 == 0 ? 104 : bytes - 8;
}

/* A value begins with its serial number, so that a reader of another
 * player's key knows what it has found. */
static size_t value_make(unsigned char *to, uint32_t seat, uint32_t key,
                         uint64_t serial)
{
    uint64_t seed = value_seed(seat, key, serial);
    size_t bytes = value_bytes(key, seed);
    size_t pattern = pattern_bytes(bytes, seed);
    memcpy(to, &serial, 8);
    rig_fill(to + 8, pattern, seed);
    for (size_t at = 8 + pattern; at < bytes; at++) {
        to[at] = to[at - pattern];
    }
    return bytes;
}

/* The serial number of a whole value; 0: torn or foreign. */
static uint64_t value_serial(const unsigned char *value, size_t bytes,
                             uint32_t seat, uint32_t key)
{
    uint64_t serial;
    if (bytes < 8) {
        return 0;
    }
    memcpy(&serial, value, 8);
    uint64_t seed = value_seed(seat, key, serial);
    if (bytes != value_bytes(key, seed)) {
        return 0;
    }
    size_t pattern = pattern_bytes(bytes, seed);
    bool whole = rig_filled(value + 8, pattern, seed) &&
                 memcmp(value + 8, value + 8 + pattern,
                        bytes - 8 - pattern) == 0;
    return whole ? serial : 0;
}

static bool is_number(const unsigned char *value, size_t bytes, uint64_t want)
{
    char text[24];
    int length = sprintf(text, "%" PRIu64, want);
    return bytes == (size_t)length && memcmp(value, text, bytes) == 0;
}

/* ------------------------------------------------------------------ */
/* The oracle                                                          */

const char *key_differs(player_t *player, uint32_t seat_number, uint32_t key,
                        mark_t m)
{
    static char why[200];
    seat_t *seat = &player->board->seat[seat_number];
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, seat_number, key);
    size_t bytes = 0;
    int64_t before_ms = kv_now_ms();
    kv_result_t result = rig_get(player->store, name, name_bytes, player->got,
                                 VALUE_MAX, &bytes);
    int64_t after_ms = kv_now_ms();

    if (result == KV_MISSING) {
        if (mark_kind(m) == ABSENT || player->may_vanish ||
            (mark_life(m) == SHORT &&
             after_ms >= atomic_load(&seat->from_ms[key]))) {
            return NULL;
        }
        snprintf(why, sizeof(why), "player %u key %u is lost (call %" PRIu64
                 ")", seat_number, key, mark_call(m));
        return why;
    }
    if (mark_kind(m) == ABSENT) {
        return "there, though deleted";
    }
    if (mark_life(m) == SHORT &&
        before_ms >= atomic_load(&seat->by_ms[key])) {
        return "there, though expired";
    }
    if (mark_kind(m) == COUNTER
            ? !is_number(player->got, bytes, mark_serial(m))
            : value_serial(player->got, bytes, seat_number, key) !=
                  mark_serial(m)) {
        snprintf(why, sizeof(why), "player %u key %u has another value "
                 "(%zu bytes, wanted serial %" PRIu64 ")", seat_number, key,
                 bytes, mark_serial(m));
        return why;
    }
    int64_t ttl_ms;
    result = kv_deadline_get(player->store, name, name_bytes, &ttl_ms);
    if (result == KV_OK && (ttl_ms == -1) != (mark_life(m) == FOREVER)) {
        snprintf(why, sizeof(why), "player %u key %u has the deadline of "
                 "another call (%" PRId64 " ms)", seat_number, key, ttl_ms);
        return why;
    }
    return NULL;
}

static mark_t done(const player_t *player, uint32_t key)
{
    return atomic_load_explicit(&player->seat->done[key],
                                memory_order_relaxed);
}

/* A state of `key` after one more call. */
static mark_t next(const player_t *player, uint32_t key, kind_t kind,
                   life_t life, uint64_t serial)
{
    return mark(kind, life, serial, mark_call(done(player, key)) + 1);
}

static void intend(player_t *player, uint32_t key, mark_t m)
{
    atomic_store(&player->seat->intended[key], m);
}

static void commit(player_t *player, uint32_t key)
{
    atomic_store(&player->seat->done[key],
                 atomic_load(&player->seat->intended[key]));
}

/* The call has changed nothing.  Its number stays used: others may have
 * read it. */
static void cancel(player_t *player, uint32_t key)
{
    mark_t m = done(player, key);
    mark_t kept = mark(mark_kind(m), mark_life(m), mark_serial(m),
                       mark_call(atomic_load(&player->seat->intended[key])));
    atomic_store(&player->seat->intended[key], kept);
    atomic_store(&player->seat->done[key], kept);
}

static void begin_anew(player_t *player, uint32_t key)
{
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, player->number, key);

    kv_key_delete(player->store, name, name_bytes);
    intend(player, key, next(player, key, ABSENT, FOREVER, 0));
    commit(player, key);
}

void player_settle(player_t *player)
{
    seat_t *seat = player->seat;

    for (uint32_t key = 0; key < OWN_KEYS; key++) {
        mark_t old = atomic_load(&seat->done[key]);
        mark_t new = atomic_load(&seat->intended[key]);
        if (old == new) {
            continue;
        }
        if (player->may_vanish && key >= COUNTER_AT && key < SHORT_AT) {
            /* Evicted before the call, it began anew: a third state. */
            begin_anew(player, key);
            continue;
        }
        if (key_differs(player, player->number, key, new) == NULL) {
            atomic_store(&seat->done[key], new);
            continue;
        }
        const char *why = key_differs(player, player->number, key, old);
        if (why != NULL) {
            player_fail(player, "after a kill, neither old nor new: %s", why);
        }
        cancel(player, key);
    }
    uint32_t adding = atomic_load(&seat->adding);
    if (adding != 0) {
        seat->unfinished[adding - 1]++;
        atomic_store(&seat->adding, 0);
    }
}

/* Settle a call that has returned. */
static void returned(player_t *player, uint32_t key, kv_result_t result,
                     kv_result_t expected, const char *call)
{
    if (result == expected) {
        if (result == KV_OK) {
            commit(player, key);
        } else {
            cancel(player, key);
        }
    } else if ((result == KV_NO_ROOM && player->may_refuse) ||
               (player->may_vanish &&
                (result == KV_MISSING || result == KV_EXISTS))) {
        cancel(player, key);
    } else if (result == KV_OK && player->may_vanish) {
        commit(player, key);
    } else {
        player_fail(player, "%s of key %u: %s, expected: %s", call, key,
                    kv_result_text(result), kv_result_text(expected));
    }
}

/* ------------------------------------------------------------------ */
/* Calls on the player's own keys                                      */

/* @return whether it was stored */
static bool set(player_t *player, uint32_t key, int64_t ttl_ms, life_t life,
                kv_set_when_t when, const char *call)
{
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, player->number, key);
    bool present = mark_kind(done(player, key)) != ABSENT;
    uint64_t serial = mark_call(done(player, key)) + 1;
    size_t bytes = value_make(player->value, player->number, key, serial);

    intend(player, key, next(player, key, VALUE, life, serial));
    kv_result_t result = kv_value_set(player->store, name, name_bytes,
                                      player->value, bytes, ttl_ms, when);
    returned(player, key, result,
             when == KV_SET_IF_ABSENT && present ? KV_EXISTS
             : when == KV_SET_IF_PRESENT && !present ? KV_MISSING : KV_OK,
             call);
    return result == KV_OK;
}

static void op_set(player_t *player, uint32_t key)
{
    set(player, key, KV_NO_TTL, FOREVER, KV_SET_ALWAYS, "set");
}

static void op_set_ttl(player_t *player, uint32_t key)
{
    set(player, key, HOUR_MS, LONG, KV_SET_ALWAYS, "set with a TTL");
}

static void op_set_keep(player_t *player, uint32_t key)
{
    mark_t m = done(player, key);
    if (player->may_vanish) {
        return; /* whether there is a deadline to keep is not known */
    }
    set(player, key, KV_KEEP_TTL,
        mark_kind(m) == ABSENT ? FOREVER : mark_life(m), KV_SET_ALWAYS,
        "set that keeps the TTL");
}

static void op_setnx(player_t *player, uint32_t key)
{
    set(player, key, KV_NO_TTL, FOREVER, KV_SET_IF_ABSENT, "setnx");
}

static void op_setxx(player_t *player, uint32_t key)
{
    set(player, key, HOUR_MS, LONG, KV_SET_IF_PRESENT, "set if present");
}

static void op_delete(player_t *player, uint32_t key)
{
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, player->number, key);
    bool present = mark_kind(done(player, key)) != ABSENT;

    intend(player, key, next(player, key, ABSENT, FOREVER, 0));
    returned(player, key, kv_key_delete(player->store, name, name_bytes),
             present ? KV_OK : KV_MISSING, "delete");
}

static void expire(player_t *player, uint32_t key, int64_t ttl_ms)
{
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, player->number, key);
    mark_t m = done(player, key);
    life_t life = ttl_ms > 0 ? LONG : FOREVER;

    intend(player, key, next(player, key, mark_kind(m),
                             mark_kind(m) == ABSENT ? FOREVER : life,
                             mark_serial(m)));
    returned(player, key, kv_deadline_set(player->store, name, name_bytes,
                                          ttl_ms),
             mark_kind(m) == ABSENT ? KV_MISSING : KV_OK, "expire");
}

static void op_expire(player_t *player, uint32_t key)
{
    expire(player, key, HOUR_MS);
}

static void op_persist(player_t *player, uint32_t key)
{
    expire(player, key, 0);
}

static void op_read_own(player_t *player, uint32_t key)
{
    const char *why =
        key_differs(player, player->number, key, done(player, key));
    if (why != NULL) {
        player_fail(player, "own key: %s", why);
    }
}

static void op_add(player_t *player, uint32_t key)
{
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, player->number, key);
    mark_t m = done(player, key);
    uint64_t sum = mark_kind(m) == ABSENT ? 1 : mark_serial(m) + 1;
    int64_t got = 0;

    intend(player, key, next(player, key, COUNTER, mark_life(m), sum));
    kv_result_t result =
        kv_counter_add(player->store, name, name_bytes, 1, &got);
    if (result == KV_OK && (uint64_t)got != sum) {
        if (!player->may_vanish || got != 1) {
            player_fail(player, "counter %u: %" PRId64 ", expected %" PRIu64,
                        key, got, sum);
        }
        /* It was evicted and begins anew, without a deadline. */
        intend(player, key, next(player, key, COUNTER, FOREVER, 1));
    }
    returned(player, key, result, KV_OK, "add");
}

/* Text that the next call of op_add turns into a counter. */
static void op_set_number(player_t *player, uint32_t key)
{
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, player->number, key);
    char text[24];
    uint64_t number = mark_serial(done(player, key)) + 100;
    int bytes = sprintf(text, "%" PRIu64, number);

    intend(player, key, next(player, key, COUNTER, LONG, number));
    returned(player, key,
             kv_value_set(player->store, name, name_bytes, text,
                          (size_t)bytes, HOUR_MS, KV_SET_ALWAYS),
             KV_OK, "set of a number");
}

static void op_delete_counter(player_t *player, uint32_t key)
{
    op_delete(player, key);
}

static void op_set_short(player_t *player, uint32_t key)
{
    seat_t *seat = player->seat;
    int64_t ttl_ms = 1 + rig_below(&player->random, 40);

    if (mark_kind(done(player, key)) != ABSENT &&
        kv_now_ms() < atomic_load(&seat->from_ms[key])) {
        op_read_own(player, key);
        return;
    }
    /* Until the call has returned either deadline may have been the last. */
    int64_t now_ms = kv_now_ms();
    atomic_store(&seat->by_ms[key], INT64_MAX);
    atomic_store(&seat->from_ms[key], 0);
    if (set(player, key, ttl_ms, SHORT, KV_SET_ALWAYS, "set for a moment")) {
        atomic_store(&seat->from_ms[key], now_ms + ttl_ms);
        atomic_store(&seat->by_ms[key], kv_now_ms() + ttl_ms);
    }
}

/* ------------------------------------------------------------------ */
/* Calls on what others write                                          */

static void op_read_other(player_t *player, uint32_t key)
{
    uint32_t other = rig_below(&player->random, player->players);
    seat_t *seat = &player->board->seat[other];
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, other, key);
    size_t bytes = 0;
    uint64_t serial = 0;

    mark_t before = atomic_load(&seat->done[key]);
    kv_result_t result = rig_get(player->store, name, name_bytes, player->got,
                                 VALUE_MAX, &bytes);
    mark_t after = atomic_load(&seat->intended[key]);

    if (result == KV_MISSING) {
        if (before == after && mark_kind(before) != ABSENT &&
            mark_life(before) != SHORT && !player->may_vanish) {
            player_fail(player, "key %u of player %u is lost", key, other);
        }
        return;
    }
    if (key < COUNTER_AT || key >= SHORT_AT) {
        serial = value_serial(player->got, bytes, other, key);
        if (serial == 0) {
            player_fail(player, "key %u of player %u: %zu bytes, torn or of "
                        "another key", key, other, bytes);
        }
        if (serial > mark_call(after) ||
            (serial != mark_serial(before) && serial <= mark_call(before)) ||
            (before == after && mark_kind(before) == VALUE &&
             serial != mark_serial(before)) ||
            (before == after && mark_kind(before) == ABSENT)) {
            player_fail(player, "key %u of player %u: serial %" PRIu64
                        " while it is between calls %" PRIu64 " and %" PRIu64,
                        key, other, serial, mark_call(before),
                        mark_call(after));
        }
    } else if (before == after && mark_kind(before) == COUNTER &&
               !is_number(player->got, bytes, mark_serial(before))) {
        player_fail(player, "counter %u of player %u is not %" PRIu64, key,
                    other, mark_serial(before));
    }
}

static void op_exists_other(player_t *player, uint32_t key)
{
    uint32_t other = rig_below(&player->random, player->players);
    seat_t *seat = &player->board->seat[other];
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, other, key);

    mark_t before = atomic_load(&seat->done[key]);
    bool there =
        kv_key_exists(player->store, name, name_bytes) == KV_OK;
    mark_t after = atomic_load(&seat->intended[key]);
    bool should = mark_kind(before) != ABSENT;
    if (before == after && there != should && mark_life(before) != SHORT &&
        !(should && player->may_vanish)) {
        player_fail(player, "exists says %d of key %u of player %u", there,
                    key, other);
    }
}

static void op_read_still(player_t *player, uint32_t key)
{
    char name[NAME_MAX_BYTES];
    uint32_t number = rig_below(&player->random, STILL_KEYS);
    size_t name_bytes = still_name(name, number);
    size_t want = still_value(player->value, number);
    size_t bytes = 0;

    (void)key;
    kv_result_t result = rig_get(player->store, name, name_bytes, player->got,
                                 VALUE_MAX, &bytes);
    if (result == KV_MISSING ? !player->may_vanish
                             : bytes != want ||
                                   memcmp(player->got, player->value, want)) {
        player_fail(player, "a key that nobody writes, \"%s\", is %s", name,
                    result == KV_MISSING ? "lost" : "another value");
    }
}

static void op_add_shared(player_t *player, uint32_t key)
{
    char name[NAME_MAX_BYTES];
    uint32_t counter = rig_below(&player->random, SHARED_COUNTERS);
    size_t name_bytes = shared_name(name, counter);
    int64_t sum;

    (void)key;
    atomic_store(&player->seat->adding, counter + 1);
    kv_result_t result =
        kv_counter_add(player->store, name, name_bytes, 1, &sum);
    if (result == KV_OK) {
        /* Between these two a kill counts the call twice, which the bound
         * on the sum allows. */
        player->seat->added[counter]++;
    } else if (result != KV_NO_ROOM || !player->may_refuse) {
        player_fail(player, "shared counter: %s", kv_result_text(result));
    }
    atomic_store(&player->seat->adding, 0);
}

/* ------------------------------------------------------------------ */
/* Compare and set, take out, enumerate, wait                           */

/* What the key's last call has written; returns its size, 0: not there. */
static size_t value_now(player_t *player, uint32_t key, unsigned char *to)
{
    mark_t m = done(player, key);
    return mark_kind(m) == VALUE
               ? value_make(to, player->number, key, mark_serial(m)) : 0;
}

static void op_set_equal(player_t *player, uint32_t key)
{
    static unsigned char expected[VALUE_MAX];
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, player->number, key);
    size_t expected_bytes = value_now(player, key, expected);
    bool present = expected_bytes != 0;
    bool other = present && rig_below(&player->random, 4) == 0;
    uint64_t serial = mark_call(done(player, key)) + 1;
    size_t bytes = value_make(player->value, player->number, key, serial);

    if (other) {
        expected[expected_bytes - 1] ^= 1;
    }
    intend(player, key, next(player, key, VALUE, LONG, serial));
    returned(player, key,
             kv_value_set_equal(player->store, name, name_bytes, expected,
                                expected_bytes, player->value, bytes,
                                HOUR_MS),
             !present ? KV_MISSING : other ? KV_DIFFERENT : KV_OK,
             "set if equal");
}

static void op_delete_equal(player_t *player, uint32_t key)
{
    static unsigned char expected[VALUE_MAX];
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, player->number, key);
    size_t expected_bytes = value_now(player, key, expected);

    intend(player, key, next(player, key, ABSENT, FOREVER, 0));
    returned(player, key,
             kv_key_delete_equal(player->store, name, name_bytes, expected,
                                 expected_bytes),
             expected_bytes != 0 ? KV_OK : KV_MISSING, "delete if equal");
}

static void op_take_out(player_t *player, uint32_t key)
{
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, player->number, key);
    kv_read_t read;
    kv_result_t result;

    intend(player, key, next(player, key, ABSENT, FOREVER, 0));
    do {
        result = kv_read_begin(player->store, name, name_bytes, &read);
        if (result == KV_OK) {
            result = kv_read_copy(player->store, &read, player->got);
        }
    } while (result == KV_RETRY);
    if (result == KV_OK) {
        mark_t m = done(player, key);
        if (value_serial(player->got, read.value_bytes, player->number,
                         key) != mark_serial(m)) {
            player_fail(player, "getdel of key %u finds another value", key);
        }
        result = kv_key_delete_version(player->store, name, name_bytes,
                                       read.version);
    }
    returned(player, key, result,
             mark_kind(done(player, key)) != ABSENT ? KV_OK : KV_MISSING,
             "getdel");
}

/* Some of the player's own keys in one call. */
static void op_set_many(player_t *player, uint32_t unused)
{
    enum { MOST = 40 };
    static unsigned char value[MOST][VALUE_MAX];
    char name[MOST][NAME_MAX_BYTES];
    kv_item_t item[MOST];
    uint32_t count = 1 + rig_below(&player->random, MOST);
    uint32_t key = rig_below(&player->random, COUNTER_AT - MOST + 1);

    (void)unused;
    for (uint32_t i = 0; i < count; i++, key++) {
        uint64_t serial = mark_call(done(player, key)) + 1;
        item[i] = (kv_item_t){ .key = name[i], .value = value[i] };
        item[i].key_len = key_name(name[i], player->number, key);
        item[i].value_len = value_make(value[i], player->number, key, serial);
        intend(player, key, next(player, key, VALUE, LONG, serial));
    }
    kv_items_set(player->store, item, count, HOUR_MS);
    for (uint32_t i = count; i-- > 0;) {
        returned(player, --key, item[i].result, KV_OK, "set of several");
    }
}

/* All of the player's own keys: one removal after the other. */
static void op_delete_prefix(player_t *player, uint32_t unused)
{
    char prefix[32];
    uint64_t deleted;

    (void)unused;
    int prefix_bytes = sprintf(prefix, "player %u ", player->number);
    for (uint32_t key = 0; key < OWN_KEYS; key++) {
        atomic_store(&player->seat->from_ms[key], 0);
        intend(player, key, next(player, key, ABSENT, FOREVER, 0));
    }
    kv_result_t result = kv_prefix_delete(player->store, prefix,
                                          (size_t)prefix_bytes, &deleted);
    if (result != KV_OK) {
        player_fail(player, "delete of a prefix: %s", kv_result_text(result));
    }
    for (uint32_t key = 0; key < OWN_KEYS; key++) {
        commit(player, key);
    }
}

/* Each of the player's own keys exactly once, and no other. */
static void op_scan(player_t *player, uint32_t unused)
{
    uint32_t seen[OWN_KEYS] = { 0 };
    char prefix[32];
    char name[NAME_MAX_BYTES];
    uint64_t cursor = 0;

    (void)unused;
    int prefix_bytes = sprintf(prefix, "player %u ", player->number);
    do {
        kv_scan_t step;
        size_t bytes;
        kv_scan_begin(player->store, &step, cursor, prefix,
                      (size_t)prefix_bytes, 500);
        while (kv_scan_key(player->store, &step, &bytes) == KV_OK) {
            unsigned key;
            if (bytes >= sizeof(name)) {
                player_fail(player, "scan: a key of %zu bytes", bytes);
            }
            if (kv_scan_copy(player->store, &step, name) != KV_OK) {
                continue;
            }
            name[bytes] = '\0';
            if (sscanf(name + prefix_bytes, "key %u", &key) != 1 ||
                key >= OWN_KEYS || seen[key]++ != 0) {
                player_fail(player, "scan: \"%.40s\" once more", name);
            }
        }
        cursor = step.cursor;
    } while (cursor != 0);
    for (uint32_t key = 0; key < SHORT_AT; key++) {
        bool should = mark_kind(done(player, key)) != ABSENT;
        if (seen[key] != 0 ? !should : should && !player->may_vanish) {
            player_fail(player, "scan: key %u is %sthere", key,
                        should ? "not " : "");
        }
    }
}

/* Another's key, until it changes or some milliseconds. */
static void op_wait(player_t *player, uint32_t key)
{
    static uint64_t known[PLAYERS_MAX][OWN_KEYS];
    uint32_t other = rig_below(&player->random, player->players);
    char name[NAME_MAX_BYTES];
    size_t name_bytes = key_name(name, other, key);
    uint64_t version = 0;
    kv_read_t read;

    kv_result_t result =
        kv_key_wait(player->store, name, name_bytes, known[other][key],
                    rig_below(&player->random, 4), &version, &read);
    if (result == KV_TIMEOUT) {
        return;
    }
    if ((result != KV_OK && result != KV_MISSING) ||
        version <= known[other][key]) {
        player_fail(player, "wait: %s, version %" PRIu64 " after %" PRIu64,
                    kv_result_text(result), version, known[other][key]);
    }
    known[other][key] = version;
}

static void op_attach_anew(player_t *player, uint32_t key)
{
    (void)key;
    atomic_store(&player->seat->lock_word, 0);
    kv_store_detach(player->store);
    player->store = rig_attach(&player->made);
    atomic_store(&player->seat->lock_word, player->store->lock_word);
}

static void op_flush(player_t *player, uint32_t key)
{
    (void)key;
    kv_result_t result = kv_store_flush(player->store);
    if (result != KV_OK) {
        player_fail(player, "flush: %s", kv_result_text(result));
    }
}

const storm_op_t storm_ops[] = {
    { "set", 300, 0, COUNTER_AT, op_set, 0 },
    { "set with a TTL", 100, 0, COUNTER_AT, op_set_ttl, 0 },
    { "set that keeps the TTL", 50, 0, COUNTER_AT, op_set_keep, 0 },
    { "setnx", 60, 0, COUNTER_AT, op_setnx, 0 },
    { "set if present", 40, 0, COUNTER_AT, op_setxx, 0 },
    { "set of a large value", 6, LARGE_AT, LARGE_KEYS, op_set, 0 },
    { "set for a moment", 60, SHORT_AT, SHORT_KEYS, op_set_short, 0 },
    { "delete", 120, 0, COUNTER_AT, op_delete, 0 },
    { "expire", 60, 0, COUNTER_AT, op_expire, 0 },
    { "persist", 40, 0, COUNTER_AT, op_persist, 0 },
    { "add", 150, COUNTER_AT, COUNTER_KEYS, op_add, 0 },
    { "set of a number", 10, COUNTER_AT, COUNTER_KEYS, op_set_number, 0 },
    { "delete a counter", 10, COUNTER_AT, COUNTER_KEYS, op_delete_counter, 0 },
    { "add to a shared counter", 80, 0, 1, op_add_shared, 0 },
    { "read own", 150, 0, SHORT_AT, op_read_own, 0 },
    { "read another's", 250, 0, OWN_KEYS, op_read_other, 0 },
    { "exists", 60, 0, OWN_KEYS, op_exists_other, 0 },
    { "read a still key", 100, 0, 1, op_read_still, 0 },
    { "one key more", 20, 0, 1, storm_more, 0 },
    { "set if equal", 60, 0, COUNTER_AT, op_set_equal, 0 },
    { "delete if equal", 30, 0, COUNTER_AT, op_delete_equal, 0 },
    { "getdel", 40, 0, COUNTER_AT, op_take_out, 0 },
    { "set of several", 6, 0, 1, op_set_many, LASTS },
    { "delete of a prefix", 2, 0, 1, op_delete_prefix, LASTS },
    { "scan", 4, 0, 1, op_scan, LASTS },
    { "wait", 20, 0, OWN_KEYS, op_wait, LASTS },
    { "detach and attach", 2, 0, 1, op_attach_anew, 0 },
    { "flush", 1, 0, 1, op_flush, LASTS | LOSES },
};

const size_t storm_ops_count = COUNT(storm_ops);
