/* step.h - one operation of the store, broken off after every instruction.
 *
 * A case is an operation and the store it begins on.  The rig runs it three
 * times over, each time from the same bytes:
 *
 *   1. to its end, to know what every key is before and after;
 *   2. under ptrace, one instruction at a time: after each that has changed
 *      the store a copy is made in which the process counts as dead, and a
 *      survivor attaches to the copy;
 *   3. killed with SIGKILL after the N-th instruction, for many N, where the
 *      survivors are on the very store: one reads while the victim is
 *      stopped at N, and writes once it is dead.
 *
 * A survivor takes over every lock and audits.  Each key must be exactly what
 * it was before or what it is at the end, and must not go back.  Then it
 * reads and writes, and audits again.
 *
 * The store is tiny (segments of 4 KiB, thirteen or so of them), which makes
 * rare paths common; where a case is about one of those (`measure`), keys are
 * added until the operation takes it.
 */

#ifndef STEP_H
#define STEP_H

#include "rig.h"

#include "kv_layout.h"

#define KEYS_MAX 160u
#define NAME_ROOM 24u
#define VALUE_ROOM 32768u
#define THREADS 6u
#define HOUR_MS INT64_C(3600000)

typedef struct scene scene_t;

typedef struct step_case {
    const char *name;
    kv_result_t (*run)(scene_t *scene);   /* the operation */
    void (*prepare)(scene_t *scene);      /* the store it begins on, if not
                                             that of `after` */
    kv_result_t expect;                   /* its result */

    /* What the operation must change besides, and how to come nearer to
     * that: called with 0, 1, 2 ... until it does. */
    int64_t (*measure)(scene_t *scene);
    void (*advance)(scene_t *scene, uint32_t i);

    const char *options;                  /* as kv_config_set() takes them */
    const char *after;                    /* NULL, or the case another
                                             process has just died in */
    bool attaches;                        /* the operation attaches itself */
} step_case_t;

extern const step_case_t step_cases[];
extern const size_t step_cases_count;

typedef struct name {
    char text[NAME_ROOM];
    uint32_t bytes;
    uint32_t shard;
} name_t;

struct scene {
    const step_case_t *what;
    rig_store_t made;
    kv_store_t *store;       /* attached, or NULL */
    uint64_t salt;           /* for names */
    uint32_t keys;
    name_t key[KEYS_MAX];    /* the keys that are compared */
    uint32_t work_shards;
    name_t work[8];          /* for the survivors, two a shard */
};

/* ------------------------------------------------------------------ */
/* For prepare(): keys of the scene                                    */

/** A new key in `shard`; returns its number. */
uint32_t scene_key(scene_t *scene, uint32_t shard);

/** A new key in the same bucket as key `like`. */
uint32_t scene_key_beside(scene_t *scene, uint32_t like);

/** The value of `bytes` bytes that scene_set() stores for the key. */
void scene_value(void *to, uint32_t key, size_t bytes);

/** Store scene_value(). */
kv_result_t scene_set(scene_t *scene, uint32_t key, size_t bytes,
                      int64_t ttl_ms, kv_set_when_t when);

/** scene_set() that must succeed. */
void scene_put(scene_t *scene, uint32_t key, size_t bytes, int64_t ttl_ms);

/** Make `count` keys of `bytes`, in alternating shards. */
void scene_fill(scene_t *scene, uint32_t count, size_t bytes);

/* Full stores, where the policy evicts nothing that has no deadline. */

/** Key 0 and seven more are not there. */
void scene_full(scene_t *scene);

/** Key 0 is there. */
void scene_full_and_there(scene_t *scene);

/** Where shard 0 writes new keys half is dead. */
void scene_full_with_dead(scene_t *scene);

/** What stands where shard 0 writes new keys, and nothing else, has a
 * deadline. */
void scene_full_but_for_open(scene_t *scene);

/* ------------------------------------------------------------------ */
/* Stores whose index grows (step_grow.c)                              */

/** A measure: buckets of all shards. */
int64_t buckets_in_use(scene_t *scene);

/** A measure: chains of overflow buckets that a split has made. */
int64_t chains_split_off(scene_t *scene);

/** prepare(): the next key in shard 0 begins a doubling. */
void about_to_grow(scene_t *scene);

/** prepare(): the same, and a chain is among what is split first. */
void chain_about_to_split(scene_t *scene);

/* ------------------------------------------------------------------ */
/* What a reader sees                                                  */

typedef struct seen {
    bool there;
    int64_t ttl_ms;
    size_t bytes;
    uint64_t hash;
    uint64_t version;
} seen_t_;

typedef struct view {
    seen_t_ key[KEYS_MAX];
    uint64_t evictions;
} view_t;

void view_take(const scene_t *scene, kv_store_t *store, view_t *view);

/** The keys before and after, and which have changed so far. */
typedef struct course {
    view_t before;
    view_t after;
    bool changed[KEYS_MAX];
} course_t;

typedef enum when {
    STEP_AFTER_STEP,   /* keys that have changed must not go back */
    ANY_STEP,
    OWNER_ALIVE        /* any step, and nobody has taken anything over */
} when_t;

/**
 * Is every key of `now` one of the two?
 * @return NULL, or what is wrong
 */
const char *course_check(const scene_t *scene, course_t *course,
                         const view_t *now, when_t when);

/** Reads and writes in every shard, with keys of the survivors' own.
 * @return NULL, or what went wrong */
const char *survivor_works(const scene_t *scene, kv_store_t *store);

/** The same with a key of the scene. */
const char *survivor_works_on(const scene_t *scene, kv_store_t *store,
                              uint32_t key);

#endif
