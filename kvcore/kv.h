/* kv.h - the store: a key/value cache in memory that processes share.
 *
 * The concept
 *
 * The host (a web server, the PHP command line, a test) obtains one stretch
 * of zeroed shared memory and hands it to kv_store_create() once.  Every
 * thread that wants to use the store then attaches and gets a kv_store_t, a
 * handle that lives in its own private memory and belongs to that thread
 * alone.  Nothing in the shared memory is an address, so each process may
 * map it elsewhere.
 *
 *      host memory (apr_shm, an nginx zone, mmap)
 *     +--------------------------------------------------+
 *     | header | threads | shards | index | segments ... |
 *     +--------------------------------------------------+
 *          ^                ^                ^
 *      kv_store_t       kv_store_t       kv_store_t
 *      (worker 1)       (worker 2)       (worker 3, killed at any time)
 *
 * - Reading (kv_read_*, kv_key_exists, kv_deadline_get) takes no lock and
 *   waits for nobody.
 * - Writing takes the lock of one of the store's shards, by the key's hash.
 *   Each change of one key becomes visible by one 8-byte store, so a writer
 *   that is killed has either done it or not done it.  The next writer sees
 *   from the kernel's own record that the owner of the lock is dead.
 * - The memory handed over is all that is ever used.  When it is full,
 *   expired keys go first, then keys are evicted by the policy, or under
 *   `noeviction` the write is refused with KV_NO_ROOM.
 *
 * Keys and values are any bytes, given as pointer and length; a key has 1 to
 * KV_KEY_MAX_BYTES bytes.  Times are milliseconds.  No function here
 * allocates memory but those that say so, and writing where values are
 * compressed; none calls back, none longjmps.
 *
 * A handle after fork(): the child's copy is detached by itself; reads go on
 * and the first write attaches it anew.
 */

#ifndef KV_H
#define KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The longest key. */
#define KV_KEY_MAX_BYTES 65535u

/** The smallest store that kv_store_create() takes, unless the geometry in
 * kv_config_t is smaller than the default too (as tests have it). */
#define KV_STORE_MIN_BYTES (4u << 20)

/** A handle: one thread's attachment to a store. */
typedef struct kv_store kv_store_t;

typedef enum kv_result {
    /** Done. */
    KV_OK = 0,
    /** No such key, or it has expired. */
    KV_MISSING,
    /** The key exists already (set with KV_SET_IF_ABSENT). */
    KV_EXISTS,
    /** The key's value is not the expected one. */
    KV_DIFFERENT,
    /** The value is not a canonical signed 64-bit decimal; it is kept. */
    KV_NOT_INTEGER,
    /** The sum leaves the signed 64-bit range; the value is kept. */
    KV_OVERFLOW,
    /** No memory left, and the policy allows no eviction. */
    KV_NO_ROOM,
    /** Empty key, or one longer than KV_KEY_MAX_BYTES. */
    KV_BAD_KEY,
    /** The value can never fit (see kv_store_value_max). */
    KV_TOO_LARGE,
    /** A live writer held the shard for longer than the wait limit, or in a
     * full store every other one that might have given room; or the caller
     * interrupted its own write (signal handler), or the table of attached
     * threads is full.  Nothing changed. */
    KV_BUSY,
    /** kv_read_copy: the record was recycled meanwhile; begin again. */
    KV_RETRY,
    /** A time-out ran down (kv_key_wait). */
    KV_TIMEOUT,
    /** An argument is out of its documented range. */
    KV_INVALID,
    /** The memory holds no store, or one of another version or layout. */
    KV_WRONG_LAYOUT,
    /** malloc failed. */
    KV_NO_MEMORY
} kv_result_t;

/** A sentence fragment for `result`, for logs: "no room", ... */
const char *kv_result_text(kv_result_t result);

/* ------------------------------------------------------------------ */
/* Configuration                                                       */

typedef enum kv_eviction {
    KV_NOEVICTION,     /* refuse writes when full */
    KV_ALLKEYS_LRU,    /* approximate: see kv_evict.c */
    KV_VOLATILE_LRU,   /* only keys that have a deadline */
    KV_ALLKEYS_RANDOM
} kv_eviction_t;

typedef enum kv_compression {
    KV_COMPRESS_NONE,
    KV_COMPRESS_ZSTD,
    KV_COMPRESS_GZIP,
    KV_COMPRESS_BROTLI
} kv_compression_t;

typedef struct kv_config {
    kv_eviction_t eviction;            /* default KV_ALLKEYS_LRU */
    kv_compression_t compression;      /* default KV_COMPRESS_NONE */
    int compression_level;             /* 0: the library's default */
    uint32_t min_compress_bytes;       /* smaller values are kept plain */
    uint32_t threads_max;              /* attached at a time; default 512 */
    uint32_t wait_limit_ms;            /* before KV_BUSY; default 2000 */
    /* Geometry; 0 means the default for the size.  There must be room for a
     * segment for each shard, beside some (a 64th of all, 1 to 8) that are
     * kept free for moving records. */
    uint32_t segment_bytes;            /* power of two, 4 KiB to 1 MiB */
    uint32_t shards;                   /* power of two, 1 to 64 */
} kv_config_t;

/** Fill `config` with the defaults. */
void kv_config_init(kv_config_t *config);

/**
 * Apply one option as people write it: "eviction=allkeys-lru",
 * "compression=zstd:5", "min-compress=1K".
 *
 * @param error  receives, on KV_INVALID, one sentence that names what was
 *               wrong and what is allowed (at most error_bytes with NUL)
 * @return KV_OK, KV_INVALID (config unchanged)
 */
kv_result_t kv_config_set(kv_config_t *config, const char *option, char *error,
                          size_t error_bytes);

/** The name of a policy or method as kv_config_set() takes it. */
const char *kv_eviction_name(kv_eviction_t eviction);
const char *kv_compression_name(kv_compression_t compression);

/**
 * Parse a size: digits with an optional K, M, G, KB, MB or GB (any case),
 * powers of 1024.
 *
 * @return KV_OK, KV_INVALID (not a size, or more than size_t holds)
 */
kv_result_t kv_size_parse(const char *text, size_t *size_bytes);

/* ------------------------------------------------------------------ */
/* A store's life                                                      */

/**
 * The layout that this build of the store reads and writes, as a number.
 *
 * A host whose memory outlives its code (a server that is told to reload
 * after an upgrade) notes it beside the memory, and makes a new store where
 * it has changed.  Nothing in the memory need be looked at for that.
 */
uint64_t kv_layout_hash(void);

/**
 * Make a store in `memory`.  To be called once, by one thread, before anybody
 * attaches.  Writes every page, so that a full /dev/shm is found here.
 *
 * @param memory      aligned to 8 bytes at least; zeroed or not
 * @param size_bytes  all the memory the store will ever use
 * @param config      NULL: the defaults
 * @return KV_OK
 *         KV_INVALID  size_bytes below the minimum, or config out of range,
 *                     or more shards than segments (see kv_config_t)
 */
kv_result_t kv_store_create(void *memory, size_t size_bytes,
                            const kv_config_t *config);

/**
 * Attach the calling thread to the store in `memory`.
 *
 * Where every place in the table of threads is taken the handle is made all
 * the same: it reads, its writes say KV_BUSY until a place is free.
 *
 * @param size_bytes  as given to kv_store_create()
 * @return KV_OK
 *         KV_WRONG_LAYOUT  no store there, or not one of this version,
 *                          layout and size
 *         KV_NO_MEMORY
 * Allocates the handle.
 */
kv_result_t kv_store_attach(void *memory, size_t size_bytes,
                            kv_store_t **store);

/** Detach and free the handle, in the thread that attached it (or, for a
 * handle that came through fork(), in the child).  NULL is allowed.  Not in a
 * signal handler, as it frees memory; a process that ends need not detach. */
void kv_store_detach(kv_store_t *store);

/** The largest value in bytes that the store takes for any key: about a
 * quarter of its memory. */
size_t kv_store_value_max(const kv_store_t *store);

/** The configuration the store was created with, defaults filled in. */
void kv_store_config(const kv_store_t *store, kv_config_t *config);

/* ------------------------------------------------------------------ */
/* Reading: no lock, no waiting                                        */

/** A read under way.  Plain memory; needs no release. */
typedef struct kv_read {
    size_t value_bytes;    /* how much kv_read_copy() will write */
    uint64_t version;      /* of the key; see kv_key_wait */
    /* Private to kvcore. */
    uint64_t generation;
    uint64_t source;
    uint64_t chain_bytes;
    uint32_t stored_bytes;
    uint32_t kind;
    uint32_t segment;
    uint32_t key_len;
    char digits[20];       /* a counter's decimal text */
} kv_read_t;

/**
 * Find `key`.  Its size is known after this and the caller may allocate;
 * anything may happen between the two calls, a longjmp too.
 *
 * @return KV_OK       `read` is filled in
 *         KV_MISSING
 *         KV_BAD_KEY
 * Cost: one or two cache lines of the index and one of the record.
 */
kv_result_t kv_read_begin(kv_store_t *store, const void *key, size_t key_len,
                          kv_read_t *read);

/**
 * Copy the value found by kv_read_begin() to `value`, which has room for
 * read->value_bytes.
 *
 * @return KV_OK
 *         KV_RETRY      the memory was reused since; what `value` holds is
 *                       undefined; begin again
 *         KV_NO_MEMORY  no memory to decompress with
 *         KV_MISSING    what is there does not decompress: scribbled over
 * Allocates a scratch buffer, kept with the handle, for compressed values.
 */
kv_result_t kv_read_copy(kv_store_t *store, const kv_read_t *read,
                         void *value);

/** Values up to this are short. */
#define KV_SHORT_VALUE_BYTES 256u

/** A short value that was found. */
typedef struct kv_short {
    size_t bytes;          /* its length */
    /* Private to kvcore. */
    const void *source;
    const void *word_at;
    uint64_t word;
    void *slot_at;         /* NULL: the use need not be counted */
    uint64_t slot;
} kv_short_t;

/**
 * Find `key`, if its value is a short plain one: kv_read_begin() for the
 * usual case.  The caller may allocate after it.
 *
 * @return KV_OK         `found` is filled in
 *         KV_MISSING, KV_BAD_KEY
 *         KV_TOO_LARGE  there, but it is longer than KV_SHORT_VALUE_BYTES, a
 *                       counter or compressed: kv_read_begin() can tell
 *         KV_RETRY      the memory was reused: call again
 * Cost: one cache line of the index, mostly, and one of the record.
 */
kv_result_t kv_short_find(kv_store_t *store, const void *key, size_t key_len,
                          kv_short_t *found);

/**
 * Copy the value found to `value`, which has room for found->bytes.
 *
 * @return KV_OK
 *         KV_RETRY  the memory was reused since; what `value` holds is
 *                   undefined, and so was found->bytes; find it again
 */
kv_result_t kv_short_copy(const kv_short_t *found, void *value);

/** One of several keys that are used together. */
typedef struct kv_item {
    const void *key;
    size_t key_len;
    const void *value;     /* for kv_items_set() */
    size_t value_len;
    kv_result_t result;    /* of kv_items_set() */
    /* Private to kvcore. */
    uint64_t hash;
} kv_item_t;

/**
 * Begin reading several keys, some tens at most: hashes them and has the
 * processor fetch their places in the index at the same time, instead of
 * waiting for one after the other.
 */
void kv_items_prepare(kv_store_t *store, kv_item_t *items, size_t count);

/** kv_short_find() for an item that was prepared. */
kv_result_t kv_item_short_find(kv_store_t *store, const kv_item_t *item,
                               kv_short_t *found);

/** @return KV_OK, KV_MISSING or KV_BAD_KEY. */
kv_result_t kv_key_exists(kv_store_t *store, const void *key, size_t key_len);

/**
 * How long `key` still lives.
 *
 * @param ttl_ms  receives the milliseconds left (at least 1), or -1 for a
 *                key without a deadline
 * @return KV_OK, KV_MISSING, KV_BAD_KEY
 */
kv_result_t kv_deadline_get(kv_store_t *store, const void *key,
                            size_t key_len, int64_t *ttl_ms);

/* ------------------------------------------------------------------ */
/* Writing: one shard's lock                                           */

typedef enum kv_set_when {
    KV_SET_ALWAYS,
    KV_SET_IF_ABSENT,   /* else KV_EXISTS */
    KV_SET_IF_PRESENT   /* else KV_MISSING */
} kv_set_when_t;

/** A time to live meaning: no deadline. */
#define KV_NO_TTL INT64_C(0)
/** A time to live meaning: the one the key has now (none if absent). */
#define KV_KEEP_TTL INT64_MIN

/**
 * Store `value` under `key`.
 *
 * @param ttl_ms  milliseconds from now; 0 or negative: no deadline, but
 *                KV_KEEP_TTL keeps the present one
 * @return KV_OK
 *         KV_EXISTS, KV_MISSING  by `when`, whether there is room or not;
 *                                nothing changed
 *         KV_NO_ROOM, KV_BAD_KEY, KV_TOO_LARGE, KV_BUSY, KV_NO_MEMORY
 *
 * O(1); every hundredth to thousandth call empties a segment besides
 * (bounded by the segment's size).
 */
kv_result_t kv_value_set(kv_store_t *store, const void *key, size_t key_len,
                         const void *value, size_t value_len, int64_t ttl_ms,
                         kv_set_when_t when);

/**
 * Store each item's value under its key, as kv_value_set() with
 * KV_SET_ALWAYS does; a sequence of single-key changes, not one atomic step.
 * Of the same key twice the last counts.
 *
 * @param items  each receives its own result; once one is KV_BUSY, those not
 *               yet tried are too
 * O(count); takes the lock of each shard in turn for at most 32 short values.
 */
void kv_items_set(kv_store_t *store, kv_item_t *items, size_t count,
                  int64_t ttl_ms);

/**
 * Remove `key`.
 * @return KV_OK, KV_MISSING, KV_BAD_KEY, KV_BUSY
 */
kv_result_t kv_key_delete(kv_store_t *store, const void *key, size_t key_len);

/**
 * Add `delta` to the integer under `key`; an absent key counts as 0.  The
 * deadline stays.
 *
 * @param sum  receives the new value
 * @return KV_OK
 *         KV_NOT_INTEGER, KV_OVERFLOW  nothing changed
 *         KV_NO_ROOM, KV_BAD_KEY, KV_BUSY
 */
kv_result_t kv_counter_add(kv_store_t *store, const void *key, size_t key_len,
                           int64_t delta, int64_t *sum);

/**
 * Make `key` expire `ttl_ms` from now.  Does not change its version.
 *
 * @param ttl_ms  milliseconds; 0 or negative clears the deadline
 * @return KV_OK, KV_MISSING, KV_BAD_KEY, KV_BUSY, KV_NO_ROOM (a key that had
 *         never had a deadline needs a new record)
 */
kv_result_t kv_deadline_set(kv_store_t *store, const void *key,
                            size_t key_len, int64_t ttl_ms);

/**
 * Remove every key, shard by shard in bounded steps; a sequence of single-key
 * removals, not one atomic step.
 * @return KV_OK, KV_BUSY (what was not reached is still there)
 */
kv_result_t kv_store_flush(kv_store_t *store);

/**
 * Remove `key` if it still has the version that a kv_read_begin() told.
 *
 * With kv_read_copy() in between this takes a value out atomically: the
 * version names one value of the key.
 *
 * @return KV_OK, KV_DIFFERENT (it has another version by now), KV_MISSING,
 *         KV_BAD_KEY, KV_BUSY
 */
kv_result_t kv_key_delete_version(kv_store_t *store, const void *key,
                                  size_t key_len, uint64_t version);

/**
 * Remove `key` if its value is `expected`.
 *
 * @return KV_OK, KV_DIFFERENT, KV_MISSING, KV_BAD_KEY, KV_BUSY, KV_NO_MEMORY
 * Compares outside of the lock, a copy of the value; allocates room for it if
 * it is a long one.  O(value).
 */
kv_result_t kv_key_delete_equal(kv_store_t *store, const void *key,
                                size_t key_len, const void *expected,
                                size_t expected_len);

/**
 * Store `value` if the present value is `expected`; else as kv_value_set().
 *
 * @return KV_OK, KV_DIFFERENT, KV_MISSING, and what kv_value_set() returns
 * Compares as kv_key_delete_equal() does.
 */
kv_result_t kv_value_set_equal(kv_store_t *store, const void *key,
                               size_t key_len, const void *expected,
                               size_t expected_len, const void *value,
                               size_t value_len, int64_t ttl_ms);

/**
 * Remove every key that begins with `prefix`, in short steps; a sequence of
 * single-key removals.
 *
 * @param prefix_len  0 removes every key
 * @param deleted     receives how many keys were removed
 * @return KV_OK, KV_BUSY (what was not reached is still there)
 * O(the index); holds a shard's lock for some 64 buckets at a time.
 */
kv_result_t kv_prefix_delete(kv_store_t *store, const void *prefix,
                             size_t prefix_len, uint64_t *deleted);

/* ------------------------------------------------------------------ */
/* Waiting for a change                                                */

/**
 * Wait until the version of `key` exceeds `last_version`.
 *
 * Versions grow with every set, removal, counter change, expiry, eviction
 * and flush of the key, not with kv_deadline_set().  An absent key has the
 * version of the last removal from its bucket, at least 1, so that a wait
 * for an absent key may return early though it is still absent.
 *
 * @param last_version  0: answer at once
 * @param timeout_ms    0: do not wait
 * @param version       receives the key's version, on KV_OK and KV_MISSING
 * @param read          receives the value to copy, on KV_OK
 * @return KV_OK       newer, and there
 *         KV_MISSING  newer, and absent
 *         KV_TIMEOUT  not newer within timeout_ms
 *         KV_BAD_KEY
 * Takes the shard's lock for an instant every 100 ms while it waits.
 */
kv_result_t kv_key_wait(kv_store_t *store, const void *key, size_t key_len,
                        uint64_t last_version, uint64_t timeout_ms,
                        uint64_t *version, kv_read_t *read);

/* ------------------------------------------------------------------ */
/* Enumerating                                                         */

#define KV_SCAN_TOLD 512u

/** A step of an enumeration.  Plain memory; needs no release. */
typedef struct kv_scan {
    uint64_t cursor;       /* after KV_MISSING: where the next step begins;
                            * 0: the end */
    /* Private to kvcore. */
    const void *prefix;
    size_t prefix_len;
    uint64_t buckets;      /* to examine */
    uint64_t at;           /* position, kv_many.c */
    uint64_t span;         /* positions that the bucket stands for */
    uint64_t extent;
    uint64_t home;         /* bucket of the shard */
    uint64_t chained;      /* overflow bucket + 1, or 0 */
    uint32_t shard;
    uint32_t slot;
    uint32_t depth;
    uint32_t key_len;
    uint32_t segment;
    uint64_t generation;
    uint64_t offset;
    uint64_t hash;
    uint64_t told_until;
    uint32_t told;
    uint32_t split;        /* bool: the bucket was, while it was examined */
    uint64_t told_hash[KV_SCAN_TOLD];
} kv_scan_t;

/**
 * Begin a step of an enumeration of the keys that begin with `prefix`.
 *
 * A key that is there from the first step to the last is returned exactly
 * once (twice only if it was removed and set again), others may be.
 *
 * @param cursor  0 begins; then scan->cursor of the step before
 * @param prefix  stays the caller's; must live until the step ends
 * @param slots   about how many index slots the step examines, at least 1
 */
void kv_scan_begin(kv_store_t *store, kv_scan_t *scan, uint64_t cursor,
                   const void *prefix, size_t prefix_len, uint64_t slots);

/**
 * Find the step's next key.  Locks nothing.
 * @return KV_OK (its length is in *key_len), KV_MISSING (the step is over;
 *         scan->cursor tells where to go on)
 */
kv_result_t kv_scan_key(kv_store_t *store, kv_scan_t *scan, size_t *key_len);

/**
 * Copy that key to `key`, which has room for it.
 * @return KV_OK, KV_RETRY (it moved: call kv_scan_key() again)
 */
kv_result_t kv_scan_copy(kv_store_t *store, kv_scan_t *scan, void *key);

/* ------------------------------------------------------------------ */
/* Looking at a store                                                  */

typedef struct kv_stats {
    uint64_t limit_bytes;       /* the memory handed over */
    uint64_t used_bytes;        /* segments in use and what is laid out */
    uint64_t live_bytes;        /* records that an index slot points to */
    uint64_t entries;           /* expired ones included until dropped */
    uint64_t index_slots;       /* places in the index */
    uint64_t hits;
    uint64_t misses;
    uint64_t sets;
    uint64_t deletes;
    uint64_t evictions;         /* keys evicted while still valid */
    uint64_t expirations;       /* keys dropped after their deadline */
    uint64_t rejections;        /* writes refused: KV_NO_ROOM */
    uint64_t steals;            /* locks taken over from dead owners */
    uint64_t value_max_bytes;
    uint32_t threads;           /* attached now, dead ones not counted */
    uint32_t threads_max;
    uint32_t segments;
    uint32_t segments_free;
    uint32_t segment_bytes;
    uint32_t shards;
} kv_stats_t;

/** Sum up the statistics.  Locks nothing: figures of one moment only where
 * nobody writes.  O(threads + shards + segments). */
void kv_store_stats(const kv_store_t *store, kv_stats_t *stats);

/**
 * Audit the store: every invariant of kv_layout.h, kv_index.h, kv_segment.h
 * and kv_record.h.  Nobody may write meanwhile, or false alarms follow.
 *
 * @return the invariant that is broken first, by its name ("S1: ..."), or
 *         NULL: all hold; or that there was no memory to look
 * Allocates some bytes for each segment while it runs.
 * Follows no offset without a check; safe on a scribbled store.
 */
const char *kv_store_check(const kv_store_t *store);

#ifdef __cplusplus
}
#endif

#endif
