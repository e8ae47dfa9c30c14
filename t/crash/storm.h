/* storm.h - the kill storm: players, and the oracle that outlives them.
 *
 * Every player has keys that it alone writes.  Beside the store, in memory
 * of its own (`board`), it notes for each of them
 *
 *   intended   what the key will be after the call that is about to be made
 *   done       what it is since the last call that returned
 *
 * so once a player is killed the key must be what `done` or `intended` says,
 * whole, and nothing else.  Whoever reads the key of another player knows
 * `done` from before its read and `intended` from after it: what it finds
 * must not be older than the one nor newer than the other.
 *
 * A value follows from player, key and serial number: each byte is checked.
 */

#ifndef STORM_H
#define STORM_H

#include "rig.h"

#include <stdatomic.h>

#define PLAYERS_MAX 64u
#define SMALL_KEYS 40u
#define MEDIUM_KEYS 8u
#define LARGE_KEYS 2u
#define COUNTER_KEYS 4u
#define SHORT_KEYS 4u          /* that live a few milliseconds */
#define MEDIUM_AT SMALL_KEYS
#define LARGE_AT (MEDIUM_AT + MEDIUM_KEYS)
#define COUNTER_AT (LARGE_AT + LARGE_KEYS)
#define SHORT_AT (COUNTER_AT + COUNTER_KEYS)
#define OWN_KEYS (SHORT_AT + SHORT_KEYS)

#define SHARED_COUNTERS 8u
#define STILL_KEYS 1100u       /* written once, before the storm; some more
                                * and the index grows, in every mode */
#define MORE_KEYS 2000u        /* of each player, at most; for good */
#define VALUE_MAX (48u << 10)

typedef enum kind {
    ABSENT,
    VALUE,
    COUNTER
} kind_t;

typedef enum life {
    FOREVER,
    LONG,      /* an hour or so */
    SHORT      /* milliseconds */
} life_t;

/* What a key is, in one word: {kind : 4, life : 4, value's serial : 28,
 * number of the call : 28}. */
typedef uint64_t mark_t;

static inline mark_t mark(kind_t kind, life_t life, uint64_t serial,
                          uint64_t call)
{
    return (uint64_t)kind << 60 | (uint64_t)life << 56 |
           (serial & 0xfffffff) << 28 | (call & 0xfffffff);
}

static inline kind_t mark_kind(mark_t m)
{
    return (kind_t)(m >> 60);
}

static inline life_t mark_life(mark_t m)
{
    return (life_t)(m >> 56 & 0xf);
}

static inline uint64_t mark_serial(mark_t m)
{
    return m >> 28 & 0xfffffff;
}

static inline uint64_t mark_call(mark_t m)
{
    return m & 0xfffffff;
}

typedef struct seat {
    _Atomic mark_t done[OWN_KEYS];
    _Atomic mark_t intended[OWN_KEYS];
    /* Of SHORT keys, milliseconds of the store's clock: there until `from`
     * at least, gone from `by` on. */
    _Atomic int64_t from_ms[OWN_KEYS];
    _Atomic int64_t by_ms[OWN_KEYS];
    _Atomic uint64_t added[SHARED_COUNTERS];
    _Atomic uint64_t unfinished[SHARED_COUNTERS];
    _Atomic uint32_t adding;      /* shared counter + 1 */
    _Atomic uint32_t more;        /* keys added, which let the index grow */
    _Atomic uint32_t paused;
    _Atomic uint64_t lock_word;
    _Atomic uint64_t calls;
    _Atomic uint64_t longest_ns;
    _Atomic uint32_t longest_op;
    _Atomic uint32_t life;        /* how often restarted */
} seat_t;

typedef struct board {
    _Atomic uint32_t pause;
    _Atomic uint32_t failed;
    char failure[400];
    seat_t seat[PLAYERS_MAX];
} board_t;

typedef struct player {
    board_t *board;
    seat_t *seat;
    uint32_t number;
    uint32_t players;
    uint32_t more_max;    /* of MORE_KEYS */
    rig_store_t made;
    kv_store_t *store;
    rig_random_t random;
    bool may_vanish;      /* keys may be evicted at any time */
    bool may_refuse;      /* KV_NO_ROOM is an answer */
    unsigned char value[VALUE_MAX];
    unsigned char got[VALUE_MAX];
} player_t;

#define LOSES 1u          /* only where keys may vanish */
#define LASTS 2u          /* goes over many keys or sleeps: not timed */

/* One kind of call.  To have a new operation of the store in the storm, add
 * one to storm_ops[]. */
typedef struct storm_op {
    const char *name;
    uint32_t weight;
    uint32_t first;       /* the keys it is for */
    uint32_t keys;
    void (*run)(player_t *player, uint32_t key);
    uint32_t flags;
} storm_op_t;

extern const storm_op_t storm_ops[];
extern const size_t storm_ops_count;

/** Note what went wrong and end this player. */
void player_fail(player_t *player, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/** After a start: settle each key that a killed call was about. */
void player_settle(player_t *player);

/**
 * Is the player's key what `m` says?
 * @return NULL, or what is wrong with it
 */
const char *key_differs(player_t *player, uint32_t seat, uint32_t key,
                        mark_t m);

size_t key_name(char *to, uint32_t seat, uint32_t key);
size_t shared_name(char *to, uint32_t counter);
size_t still_name(char *to, uint32_t number);
size_t still_value(unsigned char *to, uint32_t number);

/** A call: one key more, whose value is its name; and look at another one. */
void storm_more(player_t *player, uint32_t unused);

/**
 * Are the first `count` keys there that the player has added?
 * @return how many are lost or another's
 */
uint32_t more_lost(player_t *player, uint32_t seat, uint32_t count);

/** The store's clock, milliseconds. */
int64_t store_now_ms(void);

#endif
