/* kv-hits.c - what of the store's worth is not time: how many entries fit,
 * and how many gets hit when not all of them do.
 *
 * Each trace is played to the store as a cache is used (get; on a miss, set)
 * and to an exact LRU of entries.  The LRU holds as many entries as the store
 * did when it evicted for the first time, so both have the same bytes an
 * entry and only the policies differ.
 *
 * Writes a line for each figure, for bench/lib/Hits.php:
 *
 *      overhead BYTES
 *      zipf ALPHA OURS LRU
 *      scan ALPHA OURS LRU
 */

#include "kv.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KEY_BYTES 16u
#define VALUE_BYTES 64u
#define NOBODY UINT32_MAX
/* Sets between two looks at the statistics, which take a while. */
#define LOOK_EVERY 200u

/* Of the scan-mixed trace: after so many requests comes a scan of keys that
 * nobody asks for again. */
#define CALM_REQUESTS 80000u
#define SCAN_REQUESTS 20000u

typedef struct shape {
    size_t overhead_store_bytes;
    size_t trace_store_bytes;
    uint32_t keys;             /* that a trace's Zipf distribution has */
    uint32_t warm_requests;    /* before hits are counted */
    uint32_t counted_requests;
} shape_t;

static const shape_t full_shape = {
    120000000, (size_t)16 << 20, 1000000, 2000000, 2000000
};
static const shape_t quick_shape = {
    (size_t)8 << 20, (size_t)4 << 20, 200000, 200000, 200000
};

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("kv-hits: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

static void *allocate(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (memory == NULL) {
        die("no memory for %zu items of %zu bytes", count, bytes);
    }
    return memory;
}

/* ------------------------------------------------------------------ */
/* The store                                                           */

typedef struct cache {
    void *memory;
    size_t bytes;
    kv_store_t *store;
} cache_t;

static cache_t cache_open(size_t bytes)
{
    cache_t cache = {.bytes = bytes};
    kv_result_t result;

    cache.memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (cache.memory == MAP_FAILED) {
        die("no memory for a store of %zu bytes", bytes);
    }
    result = kv_store_create(cache.memory, bytes, NULL);
    if (result == KV_OK) {
        result = kv_store_attach(cache.memory, bytes, &cache.store);
    }
    if (result != KV_OK) {
        die("cannot make a store of %zu bytes: %s", bytes,
            kv_result_text(result));
    }
    return cache;
}

static void cache_close(cache_t *cache)
{
    const char *broken = kv_store_check(cache->store);
    if (broken != NULL) {
        die("the store is broken: %s", broken);
    }
    kv_store_detach(cache->store);
    munmap(cache->memory, cache->bytes);
}

static void cache_set(cache_t *cache, uint32_t id)
{
    static const char value[VALUE_BYTES] = "value";
    char key[KEY_BYTES + 1];
    kv_result_t result;

    snprintf(key, sizeof key, "key:%012u", id);
    result = kv_value_set(cache->store, key, KEY_BYTES, value, VALUE_BYTES,
                          KV_NO_TTL, KV_SET_ALWAYS);
    if (result != KV_OK) {
        die("a set was refused: %s", kv_result_text(result));
    }
}

/* A whole get, as the extension does it. */
static bool cache_get(cache_t *cache, uint32_t id)
{
    char key[KEY_BYTES + 1];
    char value[VALUE_BYTES];
    kv_read_t read;
    kv_result_t result;

    snprintf(key, sizeof key, "key:%012u", id);
    do {
        result = kv_read_begin(cache->store, key, KEY_BYTES, &read);
        if (result == KV_OK) {
            if (read.value_bytes != VALUE_BYTES) {
                die("key %u came back with %zu bytes", id, read.value_bytes);
            }
            result = kv_read_copy(cache->store, &read, value);
        }
    } while (result == KV_RETRY);
    if (result != KV_OK && result != KV_MISSING) {
        die("a get failed: %s", kv_result_text(result));
    }
    return result == KV_OK;
}

/* How many entries a new store of `bytes` holds before it evicts. */
static uint32_t entries_at_first_eviction(size_t bytes)
{
    cache_t cache = cache_open(bytes);
    kv_stats_t stats;
    uint32_t entries = 0, set = 0;

    for (;;) {
        do {
            cache_set(&cache, set++);
        } while (set % LOOK_EVERY != 0);
        kv_store_stats(cache.store, &stats);
        if (stats.evictions > 0) {
            break;
        }
        entries = set;
    }
    cache_close(&cache);
    if (entries == 0) {
        die("a store of %zu bytes was full at once", bytes);
    }
    return entries;
}

/* ------------------------------------------------------------------ */
/* An exact LRU of entries                                             */

typedef struct lru {
    uint32_t *newer;   /* by id: the neighbours in order of use */
    uint32_t *older;
    unsigned char *present;
    uint32_t newest;
    uint32_t oldest;
    uint32_t entries;
    uint32_t entries_max;
} lru_t;

static lru_t lru_open(uint32_t ids, uint32_t entries_max)
{
    lru_t lru = {.newest = NOBODY, .oldest = NOBODY,
                 .entries_max = entries_max};
    lru.newer = allocate(ids, sizeof *lru.newer);
    lru.older = allocate(ids, sizeof *lru.older);
    lru.present = allocate(ids, sizeof *lru.present);
    return lru;
}

static void lru_close(lru_t *lru)
{
    free(lru->newer);
    free(lru->older);
    free(lru->present);
}

static void lru_unlink(lru_t *lru, uint32_t id)
{
    uint32_t newer = lru->newer[id], older = lru->older[id];

    *(newer == NOBODY ? &lru->newest : &lru->older[newer]) = older;
    *(older == NOBODY ? &lru->oldest : &lru->newer[older]) = newer;
}

static void lru_put_first(lru_t *lru, uint32_t id)
{
    lru->newer[id] = NOBODY;
    lru->older[id] = lru->newest;
    *(lru->newest == NOBODY ? &lru->oldest : &lru->newer[lru->newest]) = id;
    lru->newest = id;
}

/* Get, and on a miss set. */
static bool lru_use(lru_t *lru, uint32_t id)
{
    bool hit = lru->present[id] != 0;

    if (hit) {
        lru_unlink(lru, id);
    } else if (lru->entries == lru->entries_max) {
        lru->present[lru->oldest] = 0;
        lru_unlink(lru, lru->oldest);
    } else {
        lru->entries++;
    }
    lru->present[id] = 1;
    lru_put_first(lru, id);
    return hit;
}

/* ------------------------------------------------------------------ */
/* Traces                                                              */

/* Marsaglia's xorshift64*: the same trace in every run. */
static uint64_t random_state;

static uint64_t random_bits(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

/* Walker's alias method: a key is drawn in O(1). */
typedef struct zipf {
    double *stay;
    uint32_t *other;
    uint32_t keys;
} zipf_t;

static zipf_t zipf_open(uint32_t keys, double alpha)
{
    zipf_t zipf = {.keys = keys};
    uint32_t *small = allocate(keys, sizeof *small);
    uint32_t *large = allocate(keys, sizeof *large);
    uint32_t smalls = 0, larges = 0;
    double sum = 0;

    zipf.stay = allocate(keys, sizeof *zipf.stay);
    zipf.other = allocate(keys, sizeof *zipf.other);
    for (uint32_t at = 0; at < keys; at++) {
        zipf.stay[at] = pow(at + 1, -alpha);
        sum += zipf.stay[at];
    }
    for (uint32_t at = 0; at < keys; at++) {
        zipf.stay[at] *= keys / sum;
        if (zipf.stay[at] < 1) {
            small[smalls++] = at;
        } else {
            large[larges++] = at;
        }
    }
    while (smalls > 0 && larges > 0) {
        uint32_t poor = small[--smalls], rich = large[larges - 1];
        zipf.other[poor] = rich;
        zipf.stay[rich] -= 1 - zipf.stay[poor];
        if (zipf.stay[rich] < 1) {
            larges--;
            small[smalls++] = rich;
        }
    }
    /* What is left over is 1 but for rounding. */
    while (larges > 0) {
        zipf.stay[large[--larges]] = 1;
    }
    while (smalls > 0) {
        zipf.stay[small[--smalls]] = 1;
    }
    free(small);
    free(large);
    return zipf;
}

static void zipf_close(zipf_t *zipf)
{
    free(zipf->stay);
    free(zipf->other);
}

static uint32_t zipf_draw(const zipf_t *zipf)
{
    uint64_t bits = random_bits();
    uint32_t at = (uint32_t)((bits >> 32) * zipf->keys >> 32);
    double toss = (double)(uint32_t)bits / 4294967296.0;

    return toss < zipf->stay[at] ? at : zipf->other[at];
}

static void play(const shape_t *shape, double alpha, bool scans,
                 uint32_t lru_entries)
{
    uint32_t requests = shape->warm_requests + shape->counted_requests;
    uint32_t next_scanned = shape->keys;
    uint32_t cycle = CALM_REQUESTS + SCAN_REQUESTS;
    uint32_t ours = 0, theirs = 0;
    cache_t cache = cache_open(shape->trace_store_bytes);
    lru_t lru = lru_open(shape->keys + requests, lru_entries);
    zipf_t zipf = zipf_open(shape->keys, alpha);

    random_state = UINT64_C(88172645463325252);
    for (uint32_t at = 0; at < requests; at++) {
        uint32_t id = scans && at % cycle >= CALM_REQUESTS
                          ? next_scanned++ : zipf_draw(&zipf);
        bool hit = cache_get(&cache, id);
        bool lru_hit = lru_use(&lru, id);

        if (!hit) {
            cache_set(&cache, id);
        }
        if (at >= shape->warm_requests) {
            ours += hit;
            theirs += lru_hit;
        }
    }
    printf("%s %.1f %.6f %.6f\n", scans ? "scan" : "zipf", alpha,
           (double)ours / shape->counted_requests,
           (double)theirs / shape->counted_requests);
    fflush(stdout);
    cache_close(&cache);
    lru_close(&lru);
    zipf_close(&zipf);
}

int main(int argc, char **argv)
{
    static const double alphas[] = {0.8, 0.9, 1.0};
    bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
    const shape_t *shape = quick ? &quick_shape : &full_shape;
    uint32_t entries;

    if (argc > 1 && !quick) {
        fprintf(stderr, "usage: kv-hits [--quick]\n");
        return EXIT_FAILURE;
    }
    entries = entries_at_first_eviction(shape->overhead_store_bytes);
    printf("overhead %.3f\n", (double)shape->overhead_store_bytes / entries -
                                  KEY_BYTES - VALUE_BYTES);
    entries = entries_at_first_eviction(shape->trace_store_bytes);
    for (size_t at = 0; at < sizeof alphas / sizeof *alphas; at++) {
        play(shape, alphas[at], false, entries);
    }
    for (size_t at = 0; at < sizeof alphas / sizeof *alphas; at++) {
        play(shape, alphas[at], true, entries);
    }
    return EXIT_SUCCESS;
}
