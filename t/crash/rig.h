/* rig.h - what the programs of t/crash share.
 *
 * They break a store from outside: processes that use it are killed, stopped
 * or single-stepped, and what the survivors find is compared with what they
 * must find.  A program prints TAP and ends with 0 only if all of it passed.
 *
 * Every process is ended by its id, by the program that started it; were the
 * program itself killed, the kernel ends them (PR_SET_PDEATHSIG).
 */

#ifndef RIG_H
#define RIG_H

#include "kv.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------ */
/* TAP                                                                 */

/* Everything is some times slower under AddressSanitizer. */
#ifdef __SANITIZE_ADDRESS__
#define RIG_SLOWER 5u
#else
#define RIG_SLOWER 1u
#endif

/** To be called first.  ThreadSanitizer sees one process only, and needs it
 * to end in an orderly way: with it the program skips its tests and ends. */
void rig_begin(void);

/** One test point; false is remembered for rig_done(). */
bool rig_ok(bool ok, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** A line for people. */
void rig_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** A test that cannot run here, with its reason. */
void rig_skip(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The program cannot go on: "Bail out!", exit. */
void rig_die(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/** Print the plan. @return the exit status */
int rig_done(void);

/** Should nothing end for `seconds`, say what was going on and exit. */
void rig_watchdog(unsigned seconds, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ */
/* Numbers                                                             */

typedef struct rig_random {
    uint64_t state;
} rig_random_t;

uint64_t rig_next(rig_random_t *random);

/** 0 to below - 1. */
static inline uint32_t rig_below(rig_random_t *random, uint32_t below)
{
    return (uint32_t)((rig_next(random) >> 32) * below >> 32);
}

/** Scrambles `number`: neighbours give unrelated results. */
uint64_t rig_mix(uint64_t number);

/** Fill `to` with bytes that follow from `seed`. */
void rig_fill(void *to, size_t bytes, uint64_t seed);

/** Are these the bytes that rig_fill() makes? */
bool rig_filled(const void *bytes_at, size_t bytes, uint64_t seed);

uint64_t rig_now_ns(void);
void rig_sleep_us(uint32_t us);

/* ------------------------------------------------------------------ */
/* Memory and processes                                                */

/** Zeroed memory that forked processes share. */
void *rig_shared(size_t bytes);

/** fork(); the child is killed when its parent dies. */
pid_t rig_fork(void);

/** kill(), if `pid` is a child that nobody has waited for yet: so it is
 * never another's process that has come by the same number. */
void rig_signal(pid_t pid, int signal_number);

/** SIGKILL and wait. */
void rig_kill(pid_t pid);

/* ------------------------------------------------------------------ */
/* The store                                                           */

typedef struct rig_store {
    void *memory;
    size_t bytes;
} rig_store_t;

/** Create a store, with options as in kv_config_t. */
rig_store_t rig_store_make(size_t bytes, const kv_config_t *config);

kv_store_t *rig_attach(const rig_store_t *made);

/**
 * Read a whole value, beginning again where it was recycled meanwhile.
 *
 * @param room  of `value`
 * @return KV_OK, KV_MISSING; anything else ends the program
 */
kv_result_t rig_get(kv_store_t *store, const void *key, size_t key_len,
                    void *value, size_t room, size_t *value_bytes);

/**
 * Take every lock in turn, and so take over what the dead left behind, then
 * audit.  Nobody may write meanwhile.
 *
 * @return NULL: all is well, or what is broken
 */
const char *rig_audit(kv_store_t *store);

/** How many of the store's locks hold this lock word. */
unsigned rig_locks_held(const kv_store_t *store, uint64_t lock_word);

#endif
