/* linear.c - is each key linearizable, with processes killed in between?
 *
 *   linear [--rounds N] [--seconds N] [--seed N]
 *
 * In a round some processes make calls on a few keys and note in shared
 * memory when each began and returned and what it said.  Meanwhile they are
 * killed and started again, and others fill the log, so that the keys' records
 * move.  Then each key's history is checked (linear_check.h).
 */

#include "linear_check.h"

#include "kv_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAYERS 6u
#define NOISE 2u           /* processes that only fill the log */
#define SEATS (PLAYERS + NOISE)
#define KEYS 5u
#define EVENTS_MAX 20000u   /* of one player in a round */
#define STORE_BYTES (1u << 20)

typedef struct seat {
    _Atomic uint32_t events;
    event_t event[EVENTS_MAX];
} seat_t;

typedef struct ring {
    rig_store_t made;
    seat_t *seat;              /* shared */
    _Atomic uint32_t *stop;    /* shared */
    pid_t pid[SEATS];
    rig_random_t random;
    uint64_t kills;
} ring_t;

/* ------------------------------------------------------------------ */
/* The checker itself                                                  */

static event_t event(uint32_t seat, uint64_t begin, uint64_t end, call_t call,
                     kv_result_t result, int64_t argument, int64_t value)
{
    return (event_t){ .begin_ns = begin, .end_ns = end, .argument = argument,
                      .value = value, .call = (uint8_t)call,
                      .result = (uint8_t)result, .seat = seat };
}

static void test_checker(void)
{
    event_t stale[] = {
        event(0, 10, 20, CALL_SET, KV_OK, 1, 0),
        event(0, 30, 40, CALL_SET, KV_OK, 2, 0),
        event(1, 50, 60, CALL_GET, KV_OK, 0, 1),
    };
    event_t concurrent[] = {
        event(0, 10, 20, CALL_SET, KV_OK, 1, 0),
        event(0, 30, 70, CALL_SET, KV_OK, 2, 0),
        event(1, 50, 60, CALL_GET, KV_OK, 0, 1),
        event(1, 61, 62, CALL_GET, KV_OK, 0, 2),
    };
    event_t back[] = {
        event(0, 10, 20, CALL_SET, KV_OK, 1, 0),
        event(0, 30, 90, CALL_SET, KV_OK, 2, 0),
        event(1, 50, 60, CALL_GET, KV_OK, 0, 2),
        event(2, 61, 62, CALL_GET, KV_OK, 0, 1),
    };
    event_t lost_update[] = {
        event(0, 10, 30, CALL_ADD, KV_OK, 1, 1),
        event(1, 10, 30, CALL_ADD, KV_OK, 1, 1),
    };
    event_t killed[] = {
        event(0, 10, 40, CALL_SET, KV_OK, 7, 0),
        event(1, 50, 60, CALL_GET, KV_OK, 0, 7),
    };
    event_t killed_too_late[] = {
        event(0, 10, 40, CALL_SET, KV_OK, 7, 0),
        event(1, 50, 60, CALL_GET, KV_MISSING, 0, 0),
        event(1, 70, 80, CALL_GET, KV_OK, 0, 7),
    };
    killed[0].killed = killed_too_late[0].killed = 1;
    rig_ok(linear_check(stale, 3, ABSENT) == 2 &&
               linear_check(back, 4, ABSENT) == 3 &&
               linear_check(lost_update, 2, ABSENT) >= 0 &&
               linear_check(killed_too_late, 3, ABSENT) == 2,
           "the checker finds stale reads, reads that go back, lost updates "
           "and calls that happen after their process's death");
    rig_ok(linear_check(concurrent, 4, ABSENT) == -1 &&
               linear_check(killed, 2, ABSENT) == -1,
           "the checker accepts concurrent calls and killed ones");
}

/* ------------------------------------------------------------------ */
/* A player                                                            */

static size_t key_name(char *to, uint32_t key)
{
    return (size_t)sprintf(to, "key %u", key);
}

static kv_result_t read_number(kv_store_t *store, const char *name,
                               size_t name_bytes, int64_t *value,
                               uint64_t *version)
{
    char text[32];
    kv_read_t read;
    kv_result_t result;

    do {
        result = kv_read_begin(store, name, name_bytes, &read);
        if (result != KV_OK) {
            return result;
        }
        if (read.value_bytes >= sizeof(text)) {
            rig_die("a value of %zu bytes", read.value_bytes);
        }
        result = kv_read_copy(store, &read, text);
    } while (result == KV_RETRY);
    text[read.value_bytes] = '\0';
    *value = strtoll(text, NULL, 10);
    *version = read.version;
    return result;
}

static kv_result_t call(kv_store_t *store, event_t *event)
{
    char name[16];
    char text[24];
    char other[24];
    size_t name_bytes = key_name(name, event->key);
    size_t bytes = (size_t)sprintf(text, "%" PRId64, event->argument);
    size_t other_bytes = (size_t)sprintf(other, "%" PRId64, event->second);
    uint64_t version;
    kv_result_t result = KV_INVALID;

    switch ((call_t)event->call) {
    case CALL_GET:
        return read_number(store, name, name_bytes, &event->value, &version);
    case CALL_EXISTS:
        return kv_key_exists(store, name, name_bytes);
    case CALL_SET:
        return kv_value_set(store, name, name_bytes, text, bytes, KV_NO_TTL,
                            KV_SET_ALWAYS);
    case CALL_SETNX:
        return kv_value_set(store, name, name_bytes, text, bytes, 3600000,
                            KV_SET_IF_ABSENT);
    case CALL_SETXX:
        return kv_value_set(store, name, name_bytes, text, bytes, KV_KEEP_TTL,
                            KV_SET_IF_PRESENT);
    case CALL_DELETE:
        return kv_key_delete(store, name, name_bytes);
    case CALL_GETDEL:
        do {
            result = read_number(store, name, name_bytes, &event->value,
                                 &version);
            if (result == KV_OK) {
                result = kv_key_delete_version(store, name, name_bytes,
                                               version);
            }
        } while (result == KV_DIFFERENT);
        return result;
    case CALL_DELETE_EQUAL:
        return kv_key_delete_equal(store, name, name_bytes, text, bytes);
    case CALL_SET_EQUAL:
        return kv_value_set_equal(store, name, name_bytes, text, bytes, other,
                                  other_bytes, KV_NO_TTL);
    case CALL_ADD:
        return kv_counter_add(store, name, name_bytes, event->argument,
                              &event->value);
    case CALLS:
        break;
    }
    return result;
}

static void play(ring_t *ring, uint32_t number, uint64_t seed)
{
    static const uint8_t often[] = {
        CALL_GET, CALL_GET, CALL_GET, CALL_GET, CALL_EXISTS, CALL_SET,
        CALL_SET, CALL_SETNX, CALL_SETXX, CALL_DELETE, CALL_GETDEL,
        CALL_DELETE_EQUAL, CALL_SET_EQUAL, CALL_SET_EQUAL, CALL_ADD, CALL_ADD,
    };
    seat_t *seat = &ring->seat[number];
    rig_random_t random = { seed };
    int64_t last = 0;
    kv_store_t *store = rig_attach(&ring->made);

    while (!atomic_load(ring->stop) &&
           atomic_load(&seat->events) < EVENTS_MAX) {
        uint32_t at = atomic_load(&seat->events);
        event_t *event = &seat->event[at];
        *event = (event_t){ .seat = number };
        event->call = often[rig_below(&random, COUNT(often))];
        event->key = (uint8_t)rig_below(&random, KEYS);
        event->argument = (int64_t)at * 100 + number + 1;
        if (event->call == CALL_ADD) {
            event->argument = 100000000;
        } else if (event->call == CALL_SET_EQUAL ||
                   event->call == CALL_DELETE_EQUAL) {
            event->second = event->argument;
            event->argument = last;
        }
        /* Reading the clock is no access to memory, so fences keep it outside
         * of the call: others can know of the return only by memory, and
         * when they do the call's stores have left the store buffer too. */
        event->begin_ns = rig_now_ns();
        atomic_store(&seat->events, at + 1);
        event->result = (uint8_t)call(store, event);
        atomic_thread_fence(memory_order_seq_cst);
        event->end_ns = rig_now_ns();
        if (event->call == CALL_GET && event->result == KV_OK) {
            last = event->value;
        }
        if (rig_below(&random, 100) == 0) {
            rig_sleep_us(rig_below(&random, 300));
        }
    }
    /* Stay attached: the parent still kills. */
    for (;;) {
        rig_sleep_us(1000);
    }
}

static void make_noise(ring_t *ring, uint32_t number, uint64_t seed)
{
    unsigned char value[3000];
    rig_random_t random = { seed };
    kv_store_t *store = rig_attach(&ring->made);

    for (;;) {
        char name[32];
        int bytes = sprintf(name, "noise %u %u", number,
                            rig_below(&random, 60));
        uint32_t value_bytes = rig_below(&random, sizeof(value));
        rig_fill(value, value_bytes, 1);
        kv_value_set(store, name, (size_t)bytes, value, value_bytes,
                     KV_NO_TTL, KV_SET_ALWAYS);
        if (rig_below(&random, 20) == 0) {
            rig_sleep_us(rig_below(&random, 500));
        }
    }
}

static void start(ring_t *ring, uint32_t number)
{
    uint64_t seed = rig_next(&ring->random);
    pid_t pid = rig_fork();
    if (pid == 0) {
        if (number < PLAYERS) {
            play(ring, number, seed);
        } else {
            make_noise(ring, number, seed);
        }
        _exit(0);
    }
    ring->pid[number] = pid;
}

/* Kill, and end the call it was in. */
static void end(ring_t *ring, uint32_t number)
{
    seat_t *seat = &ring->seat[number];

    rig_kill(ring->pid[number]);
    uint64_t now_ns = rig_now_ns();
    uint32_t events = number < PLAYERS ? atomic_load(&seat->events) : 0;
    if (events > 0 && seat->event[events - 1].end_ns == 0) {
        seat->event[events - 1].end_ns = now_ns;
        seat->event[events - 1].killed = 1;
    }
    ring->kills++;
}

/* ------------------------------------------------------------------ */
/* A round                                                             */

static void show(const event_t *event, uint32_t events, int64_t wrong)
{
    int64_t from = wrong > 12 ? wrong - 12 : 0;
    for (int64_t i = from; i < (int64_t)events && i <= wrong + 6; i++) {
        const event_t *e = &event[i];
        rig_note("%s player %u, %" PRIu64 " to %" PRIu64 ": %s %" PRId64
                 " %" PRId64 ": %s, %" PRId64 "%s", i == wrong ? ">" : " ",
                 e->seat, e->begin_ns, e->end_ns, call_name(e->call),
                 e->argument, e->second,
                 kv_result_text((kv_result_t)e->result), e->value,
                 e->killed ? " (killed)" : "");
    }
}

static bool check_key(ring_t *ring, uint32_t key, event_t *history,
                      int64_t state, uint64_t *killed)
{
    uint32_t events = 0;
    for (uint32_t i = 0; i < PLAYERS; i++) {
        const seat_t *seat = &ring->seat[i];
        for (uint32_t j = 0; j < atomic_load(&seat->events); j++) {
            if (seat->event[j].key == key) {
                *killed += seat->event[j].killed;
                history[events++] = seat->event[j];
            }
        }
    }
    int64_t wrong = linear_check(history, events, state);
    if (wrong >= 0) {
        rig_note("key %u, event %" PRId64 " of %u:", key, wrong, events);
        show(history, events, wrong);
    }
    return wrong < 0;
}

static bool full(const ring_t *ring)
{
    uint32_t at_end = 0;
    for (uint32_t i = 0; i < PLAYERS; i++) {
        at_end += atomic_load(&ring->seat[i].events) >= EVENTS_MAX;
    }
    return at_end == PLAYERS;
}

static bool play_round(ring_t *ring, event_t *history, uint64_t *calls,
                       uint64_t *killed)
{
    int64_t before[KEYS];
    bool good = true;

    kv_store_t *store = rig_attach(&ring->made);
    for (uint32_t key = 0; key < KEYS; key++) {
        char name[16];
        uint64_t version;
        size_t name_bytes = key_name(name, key);
        if (read_number(store, name, name_bytes, &before[key], &version) !=
            KV_OK) {
            before[key] = ABSENT;
        }
    }
    kv_store_detach(store);
    for (uint32_t i = 0; i < PLAYERS; i++) {
        atomic_store(&ring->seat[i].events, 0);
    }
    atomic_store(ring->stop, 0);
    for (uint32_t i = 0; i < SEATS; i++) {
        start(ring, i);
    }
    uint64_t begin_ns = rig_now_ns();
    while (!full(ring) && rig_now_ns() - begin_ns < UINT64_C(3000000000)) {
        rig_sleep_us(rig_below(&ring->random, 200));
        uint32_t victim = rig_below(&ring->random, SEATS);
        end(ring, victim);
        start(ring, victim);
    }
    atomic_store(ring->stop, 1);
    for (uint32_t i = 0; i < SEATS; i++) {
        end(ring, i);
    }
    for (uint32_t i = 0; i < PLAYERS; i++) {
        *calls += atomic_load(&ring->seat[i].events);
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        good = check_key(ring, key, history, before[key], killed) && good;
    }
    store = rig_attach(&ring->made);
    const char *broken = rig_audit(store);
    kv_store_detach(store);
    if (broken != NULL) {
        rig_note("audit: %s", broken);
    }
    return good && broken == NULL;
}

int main(int argc, char **argv)
{
    uint64_t rounds = 100;
    uint64_t seconds = 60;
    uint64_t seed = rig_now_ns();
    ring_t ring = { .kills = 0 };

    for (int i = 1; i < argc; i += 2) {
        uint64_t value = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
        if (strcmp(argv[i], "--rounds") == 0 && value > 0) {
            rounds = value;
        } else if (strcmp(argv[i], "--seconds") == 0 && value > 0) {
            seconds = value;
        } else if (strcmp(argv[i], "--seed") == 0) {
            seed = value;
        } else {
            fprintf(stderr, "usage: linear [--rounds N] [--seconds N] "
                    "[--seed N]\n");
            return 64;
        }
    }
    rig_begin();
    rig_note("seed %" PRIu64, seed);
    test_checker();

    kv_config_t config;
    kv_config_init(&config);
    config.segment_bytes = 4096;
    config.shards = 2;
    config.threads_max = SEATS + 2;
    config.wait_limit_ms = 60000;
    ring.made = rig_store_make(STORE_BYTES, &config);
    ring.seat = rig_shared(SEATS * sizeof(seat_t));
    ring.stop = rig_shared(sizeof(uint32_t));
    ring.random.state = seed;
    event_t *history = malloc(PLAYERS * EVENTS_MAX * sizeof(event_t));
    if (history == NULL) {
        rig_die("out of memory");
    }
    uint64_t begin_ns = rig_now_ns();
    uint64_t calls = 0;
    uint64_t killed = 0;
    uint64_t round = 0;
    bool good = true;
    while (good && round < rounds &&
           rig_now_ns() - begin_ns < seconds * 1000000000u) {
        rig_watchdog(120, "linear, round %" PRIu64, round);
        good = play_round(&ring, history, &calls, &killed);
        round++;
    }
    kv_stats_t stats;
    kv_store_t *store = rig_attach(&ring.made);
    kv_store_stats(store, &stats);
    kv_store_detach(store);
    rig_note("%" PRIu64 " rounds, %" PRIu64 " calls, %" PRIu64 " kills, %"
             PRIu64 " of them amid a call, %" PRIu64 " locks taken over, %"
             PRIu64 " evictions", round, calls, ring.kills, killed,
             stats.steals, stats.evictions);
    rig_ok(good, "every key's history is linearizable");
    rig_ok(stats.evictions == 0, "nothing was evicted meanwhile");
    rig_ok(killed > 0, "some were killed amid a call");
    free(history);
    return rig_done();
}
