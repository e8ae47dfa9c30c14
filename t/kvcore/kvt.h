/* kvt.h - what the tests of the store share.
 *
 * A test makes a store with kvt_open(), usually a tiny one, so that what is
 * rare in a large store happens in every run, and ends with kvt_close(),
 * which audits it.  Every test runs in a process of its own (libcheck forks),
 * and libcheck ends what that process may leave behind.
 *
 * The clock of deadlines can be moved and stopped: the programs that link
 * kvt_clock.c wrap clock_gettime().
 */

#ifndef KVT_H
#define KVT_H

#include "kv.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* Sanitizers and valgrind make the same work take ten times as long. */
#if defined(__SANITIZE_THREAD__)
#define KVT_SLOWER 20
#elif defined(__SANITIZE_ADDRESS__)
#define KVT_SLOWER 4
#else
#define KVT_SLOWER 1
#endif

typedef struct kvt {
    void *memory;
    size_t size_bytes;
    kv_config_t config;
    kv_store_t *store;
} kvt_t;

/** A configuration with 4 KiB segments and one shard, for 8 threads. */
kv_config_t kvt_tiny(kv_eviction_t eviction);

/** Map memory that children share, make a store in it and attach. */
void kvt_open(kvt_t *t, size_t size_bytes, const kv_config_t *config);

/** Map memory that children share: zeroed, ended with the process. */
void *kvt_shared(size_t size_bytes);

/** Let the index have its full size at once, so that it does not grow. */
void kvt_grow_fully(kv_store_t *store);

/* A shard as it is between steps 3 and 4 of a split (kv_grow.h): the new homes
 * count, and what moved there is in the old ones too. */
typedef struct kvt_split kvt_split_t;

/**
 * Let a shard's index grow once, up to there.  Nobody else writes, and
 * nothing may be written until kvt_split_end().
 * @return NULL: the index has its full size; else for kvt_split_end()
 */
kvt_split_t *kvt_split_begin(kv_store_t *store, uint32_t shard);

/** Step 4, and free `split`. */
void kvt_split_end(kvt_split_t *split);

/** Free `split` alone: the writer has died. */
void kvt_split_abandon(kvt_split_t *split);

/** Attach once more, as another thread does. */
kv_store_t *kvt_attach(const kvt_t *t);

/** Audit the store, detach and unmap it. */
void kvt_close(kvt_t *t);

/** ck_assert_msg() for loops: that one writes to its parent each time. */
#define kvt_assert_msg(condition, ...)                                       \
    do {                                                                     \
        if (!(condition)) {                                                  \
            ck_abort_msg(__VA_ARGS__);                                       \
        }                                                                    \
    } while (0)

#define kvt_assert(condition)                                                \
    kvt_assert_msg(condition, "failed: %s", #condition)

/** Fail the test unless every invariant holds. */
#define kvt_assert_sound(store)                                              \
    do {                                                                     \
        const char *broken_ = kv_store_check(store);                         \
        kvt_assert_msg(broken_ == NULL, "broken invariant: %s", broken_);    \
    } while (0)

#define kvt_assert_result(call, expected)                                    \
    do {                                                                     \
        kv_result_t got_ = (call);                                           \
        kvt_assert_msg(got_ == (expected), "%s: \"%s\" instead of \"%s\"",   \
                       #call, kv_result_text(got_),                          \
                       kv_result_text(expected));                            \
    } while (0)

#define kvt_assert_ok(call) kvt_assert_result(call, KV_OK)

/* With keys and values that are C strings. */
static inline kv_result_t kvt_set(kv_store_t *store, const char *key,
                                  const char *value)
{
    return kv_value_set(store, key, strlen(key), value, strlen(value),
                        KV_NO_TTL, KV_SET_ALWAYS);
}

static inline kv_result_t kvt_set_ttl(kv_store_t *store, const char *key,
                                      const char *value, int64_t ttl_ms)
{
    return kv_value_set(store, key, strlen(key), value, strlen(value), ttl_ms,
                        KV_SET_ALWAYS);
}

static inline kv_result_t kvt_delete(kv_store_t *store, const char *key)
{
    return kv_key_delete(store, key, strlen(key));
}

static inline kv_result_t kvt_exists(kv_store_t *store, const char *key)
{
    return kv_key_exists(store, key, strlen(key));
}

static inline kv_result_t kvt_add(kv_store_t *store, const char *key,
                                  int64_t delta, int64_t *sum)
{
    return kv_counter_add(store, key, strlen(key), delta, sum);
}

static inline kv_result_t kvt_expire(kv_store_t *store, const char *key,
                                     int64_t ttl_ms)
{
    return kv_deadline_set(store, key, strlen(key), ttl_ms);
}

static inline kv_result_t kvt_ttl(kv_store_t *store, const char *key,
                                  int64_t *ttl_ms)
{
    return kv_deadline_get(store, key, strlen(key), ttl_ms);
}

/** The key's hash; not in line, or the compiler warns of what XXH3 does with
 * keys of other lengths than a literal has. */
uint64_t kvt_hash(const kv_store_t *store, const char *key);

/** The key's version, 0 if it is missing. */
uint64_t kvt_version(kv_store_t *store, const char *key);

/**
 * Read a key whole, starting over where kv_read_copy() says so.
 *
 * @param value  receives malloc'ed memory with a NUL behind the value; the
 *               caller frees it
 */
kv_result_t kvt_get(kv_store_t *store, const void *key, size_t key_len,
                    char **value, size_t *value_len);

/** Fail the test unless `key` holds exactly these bytes. */
#define kvt_assert_bytes(store, key, key_len, bytes, bytes_len)              \
    do {                                                                     \
        char *value_ = NULL;                                                 \
        size_t value_len_ = 0;                                               \
        kvt_assert_ok(                                                       \
            kvt_get(store, key, key_len, &value_, &value_len_));             \
        kvt_assert_msg(value_len_ == (bytes_len),                            \
                       "%zu bytes instead of %zu", value_len_,               \
                       (size_t)(bytes_len));                                 \
        kvt_assert_msg(value_len_ == 0 ||                                    \
                           memcmp(value_, bytes, value_len_) == 0,           \
                       "another value than was set");                        \
        free(value_);                                                        \
    } while (0)

#define kvt_assert_value(store, key, string)                                 \
    do {                                                                     \
        char *string_ = NULL;                                                \
        size_t string_len_;                                                  \
        kvt_assert_ok(                                                       \
            kvt_get(store, key, strlen(key), &string_, &string_len_));       \
        kvt_assert_msg(strcmp(string_, string) == 0 &&                       \
                           string_len_ == strlen(string),                    \
                       "\"%s\" instead of \"%s\"", string_, string);         \
        free(string_);                                                       \
    } while (0)

#define kvt_assert_missing(store, key)                                       \
    do {                                                                     \
        kv_read_t read_;                                                     \
        kvt_assert_result(kv_read_begin(store, key, strlen(key), &read_),    \
                          KV_MISSING);                                       \
        kvt_assert_result(kvt_exists(store, key), KV_MISSING);               \
    } while (0)

/* Numbers that are the same in every run. */
typedef struct kvt_random {
    uint64_t state;
} kvt_random_t;

uint64_t kvt_random(kvt_random_t *random);

static inline uint32_t kvt_below(kvt_random_t *random, uint32_t limit)
{
    return (uint32_t)((kvt_random(random) >> 32) % limit);
}

/** Fill `bytes` with what follows from `seed`. */
void kvt_fill(void *bytes, size_t count, uint64_t seed);

/** Are these the bytes that kvt_fill() makes? */
bool kvt_filled(const void *bytes, size_t count, uint64_t seed);

/* ------------------------------------------------------------------ */
/* Processes                                                           */

/** fork(), flushing first; the child ends with kvt_child_end(). */
pid_t kvt_fork(void);

/** _exit() with what the child found. */
_Noreturn void kvt_child_end(bool good);

/** In a child: say what is wrong and end, unless it holds. */
#define kvt_child_check(condition)                                           \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "# child, %s:%d: %s\n", __FILE__, __LINE__,      \
                    #condition);                                             \
            kvt_child_end(false);                                            \
        }                                                                    \
    } while (0)

/** Wait for a child: its exit status, or minus the signal that ended it. */
int kvt_wait(pid_t pid);

/** Wait until a shared word has a value; fails the test after a minute. */
void kvt_wait_word(_Atomic int *word, int value);

/** Sleep. */
void kvt_sleep_ms(int64_t ms);

/* ------------------------------------------------------------------ */
/* The clock of deadlines, in programs that link kvt_clock.c           */

/** Stop the clock where it is. */
void kvt_clock_stop(void);

/** Move the clock forward. */
void kvt_clock_move(int64_t ms);

/** Move the clock forward by itself after each look at it; 0: no more. */
void kvt_clock_tick(int64_t ms);

/* ------------------------------------------------------------------ */
/* Running                                                             */

/** A case in the suite, with a time limit nothing should ever reach. */
TCase *kvt_case(Suite *suite, const char *name);

/** Run the suite as CK_* in the environment say; the exit status. */
int kvt_run(Suite *suite);

/** kv_short_find() or, with `item`, kv_item_short_find(), and
 * kv_short_copy(), again where the memory was reused meanwhile. */
static inline kv_result_t kvt_read_short(kv_store_t *store,
                                         const kv_item_t *item,
                                         const void *key, size_t key_len,
                                         void *value, size_t *value_bytes)
{
    kv_short_t found;
    kv_result_t result;

    do {
        result = item != NULL ? kv_item_short_find(store, item, &found)
                              : kv_short_find(store, key, key_len, &found);
        if (result == KV_OK) {
            kvt_assert(found.bytes <= KV_SHORT_VALUE_BYTES);
            *value_bytes = found.bytes;
            result = kv_short_copy(&found, value);
        }
    } while (result == KV_RETRY);
    return result;
}

#endif
