/* storm.c - the kill storm: many players on one store, killed with SIGKILL at
 * random instants and started again, and what they wrote compared with what
 * they intended.  See storm.h for the oracle.
 *
 *   storm MODE [--kills N] [--seconds N] [--calm PERCENT] [--audit N]
 *              [--players N] [--seed N]
 *
 *   roomy   nothing need be evicted: no key may be lost
 *   evict   keys may go at any time, but none may be torn, old or foreign;
 *           the store is also flushed
 *   full    noeviction with too little memory: writes are refused, and still
 *           no key may be lost
 *
 * It ends at so many kills or seconds of killing, whichever comes first; in
 * between the players are left alone for so many percent of that time, and
 * the longest call of these times is put beside the longest amid kills.
 */

#include "storm.h"

#include "kv_index.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURN_NS UINT64_C(3000000000)

typedef struct mode {
    const char *name;
    size_t store_bytes;
    uint32_t segment_bytes;
    uint32_t shards;
    const char *const *options;     /* one round with each */
    bool may_vanish;
    bool may_refuse;
    uint32_t more_max;              /* keys that each player adds */
} mode_t_;

static const char *const lru[] = { "eviction=allkeys-lru",
                                   "compression=zstd", NULL };
static const char *const every[] = { "eviction=allkeys-lru",
                                     "eviction=volatile-lru",
                                     "eviction=allkeys-random", NULL };
static const char *const none[] = { "eviction=noeviction", NULL };

static const mode_t_ modes[] = {
    { "roomy", 24u << 20, 16384, 8, lru, false, false,
      MORE_KEYS },
    { "evict", 2u << 20, 8192, 4, every, true, true, 1000 },
    { "full", 2560u << 10, 8192, 4, none, false, true, 100 },
};

typedef struct storm {
    const mode_t_ *mode;
    const char *option;
    rig_store_t made;
    kv_store_t *watch;
    board_t *board;
    uint32_t players;
    pid_t pid[PLAYERS_MAX];
    rig_random_t random;
    uint64_t kills;
    uint64_t kills_locked;    /* the dead one's word was still in a lock */
    uint64_t audits;
    uint64_t lost;
} storm_t;

/* ------------------------------------------------------------------ */
/* A player                                                            */

static const storm_op_t *choose(player_t *player)
{
    static uint32_t total;
    if (total == 0) {
        for (size_t i = 0; i < storm_ops_count; i++) {
            total += storm_ops[i].weight;
        }
    }
    for (;;) {
        uint32_t at = rig_below(&player->random, total);
        const storm_op_t *op = storm_ops;
        while (at >= op->weight) {
            at -= op->weight;
            op++;
        }
        if (!(op->flags & LOSES) || player->may_vanish) {
            return op;
        }
    }
}

static void play(const storm_t *storm, uint32_t number, uint64_t seed)
{
    static player_t player;
    board_t *board = storm->board;
    seat_t *seat = &board->seat[number];

    player = (player_t){ .board = board, .seat = seat, .number = number,
                         .players = storm->players, .made = storm->made,
                         .more_max = storm->mode->more_max,
                         .random = { seed },
                         .may_vanish = storm->mode->may_vanish,
                         .may_refuse = storm->mode->may_refuse };
    player.store = rig_attach(&storm->made);
    atomic_store(&seat->lock_word, player.store->lock_word);
    player_settle(&player);
    for (uint32_t burst = 0;; burst--) {
        if (burst == 0) {
            /* Leave the processors to the others: the dead need them too. */
            burst = 1 + rig_below(&player.random, 100);
            rig_sleep_us(rig_below(&player.random, 4000));
        }
        if (atomic_load(&board->pause)) {
            atomic_store(&seat->paused, 1);
            while (atomic_load(&board->pause)) {
                rig_sleep_us(300);
            }
            atomic_store(&seat->paused, 0);
        }
        const storm_op_t *op = choose(&player);
        uint32_t key = op->first + rig_below(&player.random, op->keys);
        uint64_t begin_ns = rig_now_ns();
        op->run(&player, key);
        uint64_t took_ns = rig_now_ns() - begin_ns;
        if (!(op->flags & LASTS) &&
            took_ns > atomic_load_explicit(&seat->longest_ns,
                                           memory_order_relaxed)) {
            atomic_store(&seat->longest_ns, took_ns);
            atomic_store(&seat->longest_op, (uint32_t)(op - storm_ops));
        }
        atomic_fetch_add_explicit(&seat->calls, 1, memory_order_relaxed);
    }
}

static void start(storm_t *storm, uint32_t number)
{
    seat_t *seat = &storm->board->seat[number];
    uint64_t seed = rig_next(&storm->random);

    atomic_store(&seat->lock_word, 0);
    atomic_store(&seat->paused, 0);
    atomic_fetch_add(&seat->life, 1);
    pid_t pid = rig_fork();
    if (pid == 0) {
        play(storm, number, seed);
    }
    storm->pid[number] = pid;
}

/* ------------------------------------------------------------------ */
/* The storm                                                           */

/* Written before the storm; no player writes them. */
static void write_still_keys(storm_t *storm)
{
    unsigned char value[400];
    char name[64];

    for (uint32_t i = 0; i < STILL_KEYS; i++) {
        size_t bytes = still_value(value, i);
        size_t name_bytes = still_name(name, i);
        kv_result_t result =
            kv_value_set(storm->watch, name, name_bytes, value, bytes,
                         KV_NO_TTL, KV_SET_ALWAYS);
        if (result != KV_OK) {
            rig_die("writing \"%s\": %s", name, kv_result_text(result));
        }
    }
    for (uint32_t i = 0; i < SHARED_COUNTERS; i++) {
        int64_t sum;
        size_t name_bytes = shared_name(name, i);
        if (kv_counter_add(storm->watch, name, name_bytes, 0, &sum) !=
            KV_OK) {
            rig_die("making a counter");
        }
    }
}

/* A player that ended by itself has found something. */
static void look_for_failures(storm_t *storm)
{
    if (atomic_load(&storm->board->failed) == 0) {
        return;
    }
    for (int i = 0; i < 1000 && atomic_load(&storm->board->failed) < 2; i++) {
        rig_sleep_us(1000);
    }
    for (uint32_t i = 0; i < storm->players; i++) {
        rig_kill(storm->pid[i]);
    }
    const char *broken = rig_audit(storm->watch);
    rig_note("audit: %s", broken == NULL ? "all invariants hold" : broken);
    rig_ok(false, "%s, %s: %s", storm->mode->name, storm->option,
           storm->board->failure);
    exit(rig_done());
}

static void pause_players(storm_t *storm)
{
    atomic_store(&storm->board->pause, 1);
    for (uint32_t i = 0; i < storm->players; i++) {
        while (!atomic_load(&storm->board->seat[i].paused)) {
            look_for_failures(storm);
            if (waitpid(storm->pid[i], NULL, WNOHANG) > 0) {
                /* Dead: killed by nobody here, or having failed. */
                rig_sleep_us(2000);
                look_for_failures(storm);
                rig_die("player %u ended by itself", i);
            }
            rig_sleep_us(500);
        }
    }
}

static void check_keys(storm_t *storm, player_t *reader)
{
    for (uint32_t number = 0; number < storm->players; number++) {
        for (uint32_t key = 0; key < OWN_KEYS; key++) {
            seat_t *seat = &storm->board->seat[number];
            const char *why = key_differs(reader, number, key,
                                          atomic_load(&seat->done[key]));
            if (why != NULL && storm->lost++ < 10) {
                rig_note("%s", why);
            }
        }
        uint32_t more = atomic_load(&storm->board->seat[number].more);
        uint32_t lost = more_lost(reader, number, more);
        if (lost != 0) {
            storm->lost += lost;
            rig_note("%u of %u keys of player %u are lost or another's", lost,
                     more, number);
        }
    }
    for (uint32_t i = 0; i < STILL_KEYS; i++) {
        unsigned char want[400];
        char name[64];
        size_t bytes = 0;
        size_t want_bytes = still_value(want, i);
        size_t name_bytes = still_name(name, i);
        kv_result_t result = rig_get(storm->watch, name, name_bytes,
                                     reader->got, VALUE_MAX, &bytes);
        if (result == KV_MISSING ? !storm->mode->may_vanish
                                 : bytes != want_bytes ||
                                       memcmp(reader->got, want, bytes)) {
            storm->lost++;
            rig_note("\"%s\" is lost or changed", name);
        }
    }
}

static void check_sums(storm_t *storm)
{
    for (uint32_t i = 0; i < SHARED_COUNTERS; i++) {
        uint64_t least = 0;
        uint64_t most = 0;
        char name[64];
        int64_t sum;

        for (uint32_t j = 0; j < storm->players; j++) {
            seat_t *seat = &storm->board->seat[j];
            least += atomic_load(&seat->added[i]);
            most += atomic_load(&seat->unfinished[i]);
        }
        most += least;
        size_t name_bytes = shared_name(name, i);
        kv_result_t result =
            kv_counter_add(storm->watch, name, name_bytes, 0, &sum);
        if (!storm->mode->may_vanish &&
            (result != KV_OK || (uint64_t)sum < least ||
             (uint64_t)sum > most)) {
            storm->lost++;
            rig_note("\"%s\" is %" PRId64 ", and not %" PRIu64 " to %" PRIu64,
                     name, sum, least, most);
        }
    }
}

/* Everybody stops, and everything is compared. @return NULL or what is
 * broken */
static const char *audit(storm_t *storm)
{
    static player_t reader;

    pause_players(storm);
    const char *broken = rig_audit(storm->watch);
    reader = (player_t){ .board = storm->board, .store = storm->watch,
                         .may_vanish = storm->mode->may_vanish };
    check_keys(storm, &reader);
    check_sums(storm);
    storm->audits++;
    atomic_store(&storm->board->pause, 0);
    return broken;
}

/* Somebody who holds a lock just now; gives up soon. */
static uint32_t find_holder(storm_t *storm)
{
    const kv_store_t *watch = storm->watch;
    uint64_t until = rig_now_ns() + 500000;

    do {
        for (uint32_t i = 0; i < watch->geometry.shards; i++) {
            uint64_t word = ld_acq(&watch->shards[i].lock);
            for (uint32_t j = 0; word != 0 && j < storm->players; j++) {
                if (atomic_load(&storm->board->seat[j].lock_word) == word) {
                    return j;
                }
            }
        }
    } while (rig_now_ns() < until);
    return rig_below(&storm->random, storm->players);
}

static void wait_for(pid_t pid, int what, siginfo_t *info)
{
    while (waitid(P_PID, (id_t)pid, info, what) != 0 && errno == EINTR) {
    }
}

/* Kill `count` players at once, then start them again.  Half of the first
 * ones are aimed at: seen to hold a lock, and stopped before they are killed,
 * so that it is known whether they still hold it.  Of the others only those
 * are counted whose lock nobody has taken over before they are looked at. */
static void kill_some(storm_t *storm, uint32_t count)
{
    uint32_t victim[4];
    siginfo_t info;
    bool aim = rig_below(&storm->random, 2) == 0;
    bool stop = aim;
    bool locked = false;

    for (uint32_t i = 0; i < count; i++) {
        bool again = true;
        while (again) {
            victim[i] = aim ? find_holder(storm)
                            : rig_below(&storm->random, storm->players);
            aim = false;
            again = false;
            for (uint32_t j = 0; j < i; j++) {
                again = again || victim[j] == victim[i];
            }
        }
        if (stop) {
            uint64_t word =
                atomic_load(&storm->board->seat[victim[i]].lock_word);
            rig_signal(storm->pid[victim[i]], SIGSTOP);
            wait_for(storm->pid[victim[i]], WSTOPPED | WEXITED | WNOWAIT,
                     &info);
            locked = rig_locks_held(storm->watch, word) != 0;
            stop = false;
        }
        rig_signal(storm->pid[victim[i]], SIGKILL);
    }
    for (uint32_t i = 0; i < count; i++) {
        seat_t *seat = &storm->board->seat[victim[i]];
        uint64_t word = atomic_load(&seat->lock_word);
        /* Dead, and not yet waited for. */
        wait_for(storm->pid[victim[i]], WEXITED | WNOWAIT, &info);
        storm->kills++;
        locked = locked || rig_locks_held(storm->watch, word) != 0;
        storm->kills_locked += locked;
        locked = false;
        waitpid(storm->pid[victim[i]], NULL, 0);
        if (WIFEXITED(info.si_status) && info.si_code == CLD_EXITED) {
            look_for_failures(storm);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        start(storm, victim[i]);
    }
}

typedef struct figures {
    uint64_t calls;
    uint64_t longest_ns;
    const char *longest_op;
} figures_t;

/* Add what the players have counted since the last time. */
static void take_figures(storm_t *storm, figures_t *figures)
{
    for (uint32_t i = 0; i < storm->players; i++) {
        seat_t *seat = &storm->board->seat[i];
        figures->calls += atomic_exchange(&seat->calls, 0);
        uint64_t longest = atomic_exchange(&seat->longest_ns, 0);
        if (longest > figures->longest_ns) {
            figures->longest_ns = longest;
            figures->longest_op =
                storm_ops[atomic_load(&seat->longest_op)].name;
        }
    }
}

typedef struct limits {
    uint64_t kills;
    uint64_t calm_percent;
    uint64_t storm_ns;
    uint64_t audit_kills;
} limits_t;

/* Kill for `ns` at most. @return NULL, or what an audit has found broken */
static const char *kill_for(storm_t *storm, const limits_t *limits,
                            uint64_t ns)
{
    uint64_t end_ns = rig_now_ns() + ns;

    rig_watchdog(180, "storm %s after %" PRIu64 " kills", storm->mode->name,
                 storm->kills);
    while (storm->lost == 0 && storm->kills < limits->kills &&
           rig_now_ns() < end_ns) {
        rig_sleep_us(rig_below(&storm->random, 500));
        kill_some(storm, rig_below(&storm->random, 8) == 0
                             ? 2 + rig_below(&storm->random, 3) : 1);
        look_for_failures(storm);
        if (storm->kills / limits->audit_kills > storm->audits) {
            const char *broken = audit(storm);
            if (broken != NULL) {
                return broken;
            }
        }
    }
    return NULL;
}

static void leave_alone(storm_t *storm, uint64_t ns)
{
    for (uint64_t end_ns = rig_now_ns() + ns; rig_now_ns() < end_ns;) {
        rig_sleep_us(20000);
        look_for_failures(storm);
    }
}

static uint64_t buckets_in_use(const kv_store_t *store)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < store->geometry.shards; i++) {
        sum += ld_rlx(&store->extents[i]) >> KV_EXTENT_MASK_BITS;
    }
    return sum;
}

static void round_of(storm_t *storm, const limits_t *limits)
{
    const mode_t_ *mode = storm->mode;
    const char *broken = NULL;
    figures_t wild = { 0, 0, "nothing" };
    figures_t calm = { 0, 0, "nothing" };
    uint64_t stormed_ns = 0;
    kv_config_t config;
    char error[200];
    kv_stats_t stats;

    kv_config_init(&config);
    if (kv_config_set(&config, storm->option, error, sizeof(error)) !=
        KV_OK) {
        rig_die("%s", error);
    }
    config.threads_max = storm->players + 4;
    config.wait_limit_ms = 60000;
    config.segment_bytes = mode->segment_bytes;
    config.shards = mode->shards;
    storm->made = rig_store_make(mode->store_bytes, &config);
    storm->watch = rig_attach(&storm->made);
    storm->board = rig_shared(sizeof(board_t));
    storm->kills = storm->kills_locked = storm->audits = storm->lost = 0;
    write_still_keys(storm);
    uint64_t buckets = buckets_in_use(storm->watch);
    for (uint32_t i = 0; i < storm->players; i++) {
        start(storm, i);
    }

    /* Turn by turn, so that whatever else the machine does falls on both. */
    while (broken == NULL && storm->lost == 0 &&
           storm->kills < limits->kills && stormed_ns < limits->storm_ns) {
        uint64_t begin_ns = rig_now_ns();
        broken = kill_for(storm, limits, TURN_NS);
        take_figures(storm, &wild);
        uint64_t took_ns = rig_now_ns() - begin_ns;
        stormed_ns += took_ns;
        leave_alone(storm, took_ns / 100 * limits->calm_percent);
        take_figures(storm, &calm);
    }
    if (broken == NULL) {
        broken = audit(storm);
    }
    for (uint32_t i = 0; i < storm->players; i++) {
        rig_kill(storm->pid[i]);
    }
    kv_store_stats(storm->watch, &stats);

    rig_note("%s, %s: kills survived: %" PRIu64 ", kills under a lock: %"
             PRIu64 ", locks taken over: %" PRIu64 ", keys lost: %" PRIu64,
             mode->name, storm->option, storm->kills, storm->kills_locked,
             stats.steals, storm->lost);
    rig_note("  in %.1f s, %" PRIu64 " calls, %" PRIu64 " audits, %" PRIu64
             " evictions, %" PRIu64 " refused", (double)stormed_ns / 1e9,
             wild.calls, storm->audits, stats.evictions, stats.rejections);
    rig_note("  the index grew from %" PRIu64 " to %" PRIu64 " buckets of %"
             PRIu64, buckets, buckets_in_use(storm->watch),
             (uint64_t)storm->watch->geometry.shards * storm->watch->buckets);
    rig_note("  longest wait: %.1f ms (%s); without kills: %.1f ms (%s)",
             (double)wild.longest_ns / 1e6, wild.longest_op,
             (double)calm.longest_ns / 1e6, calm.longest_op);

    rig_ok(broken == NULL, "%s, %s: every invariant holds%s%s", mode->name,
           storm->option, broken == NULL ? "" : ": ",
           broken == NULL ? "" : broken);
    rig_ok(storm->lost == 0, "%s, %s: no key is lost, old, torn or foreign",
           mode->name, storm->option);
    rig_ok(storm->kills_locked > 0 && stats.steals > 0,
           "%s, %s: some were killed under a lock", mode->name,
           storm->option);
    rig_ok(mode->may_vanish ? stats.evictions > 0 : stats.evictions == 0,
           "%s, %s: keys were %sevicted", mode->name, storm->option,
           mode->may_vanish ? "" : "not ");
    rig_ok((strcmp(mode->name, "full") == 0) <= (stats.rejections > 0),
           "%s, %s: writes were refused where they had to be", mode->name,
           storm->option);
    /* Where keys are evicted there may never be more of them. */
    rig_ok(mode->may_vanish || buckets_in_use(storm->watch) > buckets,
           "%s, %s: the index grew meanwhile", mode->name, storm->option);
    kv_store_detach(storm->watch);
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text) {
        fprintf(stderr, "storm: %s is not a number\n", text);
        exit(64);
    }
    return value;
}

int main(int argc, char **argv)
{
    static storm_t storm;
    limits_t limits = { 2000, 20, 20 * UINT64_C(1000000000), 500 };
    uint64_t seed = rig_now_ns();

    storm.players = 32;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (option[0] != '-') {
            for (size_t j = 0; j < COUNT(modes); j++) {
                if (strcmp(option, modes[j].name) == 0) {
                    storm.mode = &modes[j];
                }
            }
        } else if (i + 1 < argc) {
            uint64_t value = number(argv[++i]);
            if (strcmp(option, "--kills") == 0) {
                limits.kills = value;
            } else if (strcmp(option, "--seconds") == 0) {
                limits.storm_ns = value * 1000000000u;
            } else if (strcmp(option, "--calm") == 0) {
                limits.calm_percent = value;
            } else if (strcmp(option, "--audit") == 0 && value > 0) {
                limits.audit_kills = value;
            } else if (strcmp(option, "--players") == 0 && value > 0 &&
                       value <= PLAYERS_MAX) {
                storm.players = (uint32_t)value;
            } else if (strcmp(option, "--seed") == 0) {
                seed = value;
            } else {
                storm.mode = NULL;
                break;
            }
        }
    }
    if (storm.mode == NULL) {
        fprintf(stderr, "usage: storm roomy|evict|full [--kills N] "
                "[--seconds N] [--calm PERCENT] [--audit N] "
                "[--players 1-%u] [--seed N]\n", PLAYERS_MAX);
        return 64;
    }
    rig_begin();
    rig_note("seed %" PRIu64 ", %u players", seed, storm.players);
    storm.random.state = seed;
    uint32_t rounds = 0;
    while (storm.mode->options[rounds] != NULL) {
        rounds++;
    }
    limits.kills = (limits.kills + rounds - 1) / rounds;
    limits.storm_ns /= rounds;
    for (uint32_t i = 0; i < rounds; i++) {
        storm.option = storm.mode->options[i];
        round_of(&storm, &limits);
    }
    return rig_done();
}
