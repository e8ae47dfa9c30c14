/* kv_store.c - making a store, attaching to it, looking at it. */

#include "kv_compress.h"
#include "kv_index.h"
#include "kv_large.h"
#include "kv_lock.h"
#include "kv_memo.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Every handle of this process, for fork(). */
static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER;
static kv_store_t *handles;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    pthread_mutex_lock(&handles_lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&handles_lock);
}

/* The life stays with the parent's thread. */
static void after_fork_in_child(void)
{
    for (kv_store_t *store = handles; store != NULL;
         store = store->list_next) {
        store->lock_word = 0;
        store->counts = store->own_counts;
    }
    pthread_mutex_init(&handles_lock, NULL);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static kv_result_t make_secret(unsigned char *secret)
{
    size_t got = 0;
    while (got < KV_SECRET_BYTES) {
        ssize_t bytes = getrandom(secret + got, KV_SECRET_BYTES - got, 0);
        if (bytes < 0) {
            if (errno == EINTR) {
                continue;
            }
            return KV_INVALID;
        }
        got += (size_t)bytes;
    }
    return KV_OK;
}

kv_result_t kv_store_create(void *memory, size_t size_bytes,
                            const kv_config_t *config)
{
    kv_config_t defaults;
    kv_geometry_t geometry;
    unsigned char *base = kv_layout_align(memory, &size_bytes);

    if (config == NULL) {
        kv_config_init(&defaults);
        config = &defaults;
    }
    if (!kv_compress_available(config->compression)) {
        return KV_INVALID;
    }
    kv_result_t result = kv_geometry_make(size_bytes, config, &geometry);
    if (result != KV_OK) {
        return result;
    }
    memset(base, 0, size_bytes);

    kv_header_t *header = (kv_header_t *)(void *)base;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    header->layout_hash = kv_layout_hash();
    header->geometry = geometry;
    header->epoch =
        (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    header->eviction = config->eviction;
    header->compression = config->compression;
    header->compression_level = config->compression_level;
    header->min_compress_bytes = config->min_compress_bytes;
    header->wait_limit_ms = config->wait_limit_ms;
    if (make_secret(header->secret) != KV_OK) {
        return KV_INVALID;
    }
    kv_thread_t *threads = (kv_thread_t *)(void *)(base + geometry.threads_at);
    for (uint32_t i = 0; i < geometry.threads; i++) {
        if (!kv_life_init(&threads[i].life)) {
            return KV_INVALID;
        }
    }
    _Atomic uint64_t *words =
        (_Atomic uint64_t *)(void *)(base + geometry.words_at);
    kv_segment_t *segment =
        (kv_segment_t *)(void *)(base + geometry.segments_at);
    _Atomic uint64_t *free_map =
        (_Atomic uint64_t *)(void *)(base + geometry.free_map_at);
    for (uint32_t i = 0; i < geometry.segments; i++) {
        st_rlx(&words[i], kv_word(KV_STATE_FREE, 0, 1));
        st_rlx(&segment[i].write_off, KV_SEGMENT_HEAD_BYTES);
        st_rlx(&free_map[i / 64],
               ld_rlx(&free_map[i / 64]) | UINT64_C(1) << (i % 64));
    }
    kv_shard_t *shards = (kv_shard_t *)(void *)(base + geometry.shards_at);
    for (uint32_t i = 0; i < geometry.shards; i++) {
        memcpy(&shards[i].random, header->secret + i % 16 * 8, 8);
    }
    _Atomic uint64_t *extents =
        (_Atomic uint64_t *)(void *)(base + geometry.extents_at);
    for (uint32_t i = 0; i < geometry.shards; i++) {
        st_rlx(&extents[i],
               kv_extent(geometry.buckets >> geometry.doublings, 0));
    }
    st_rel(&header->magic, KV_MAGIC);
    return KV_OK;
}

static bool same_geometry(const kv_header_t *header, size_t size_bytes,
                          kv_config_t *config)
{
    kv_geometry_t stored = header->geometry;
    kv_geometry_t made;

    kv_config_init(config);
    config->eviction = (kv_eviction_t)header->eviction;
    config->compression = (kv_compression_t)header->compression;
    config->compression_level = header->compression_level;
    config->min_compress_bytes = header->min_compress_bytes;
    config->wait_limit_ms = header->wait_limit_ms;
    config->threads_max = stored.threads;
    config->shards = stored.shards;
    config->segment_bytes = stored.segment_bytes;
    return header->layout_hash == kv_layout_hash() &&
           kv_geometry_make(size_bytes, config, &made) == KV_OK &&
           memcmp(&made, &stored, sizeof(made)) == 0;
}

kv_result_t kv_store_attach(void *memory, size_t size_bytes, kv_store_t **out)
{
    unsigned char *base = kv_layout_align(memory, &size_bytes);
    kv_header_t *header = (kv_header_t *)(void *)base;
    kv_config_t config;

    if (size_bytes < sizeof(kv_header_t) ||
        ld_acq(&header->magic) != KV_MAGIC ||
        !same_geometry(header, size_bytes, &config)) {
        return KV_WRONG_LAYOUT;
    }
    pthread_once(&fork_once, watch_forks);
    kv_store_t *store;
    if (posix_memalign((void **)&store, KV_LINE_BYTES,
                       sizeof(*store) + KV_LINE_BYTES) != 0) {
        return KV_NO_MEMORY;
    }
    memset(store, 0, sizeof(*store));
    kv_geometry_make(size_bytes, &config, &store->geometry);
    const kv_geometry_t *g = &store->geometry;
    store->config = config;
    store->data = base + g->data_at;
    store->data_end =
        store->data + (uint64_t)g->segments * g->segment_bytes;
    store->last_unit =
        ((uint64_t)g->segments * g->segment_bytes - KV_RECORD_MIN_BYTES) / 8;
    for (uint32_t i = 0; i < g->shards; i++) {
        store->shard_index[i] =
            (kv_bucket_t *)(void *)(base + g->index_at) +
            (uint64_t)i * (g->buckets + g->overflow);
    }
    store->words = (_Atomic uint64_t *)(void *)(base + g->words_at);
    store->counts = store->own_counts;
    store->shard_mask = g->shards - 1;
    store->extents = (_Atomic uint64_t *)(void *)(base + g->extents_at);
    store->block_buckets = g->buckets >> g->doublings;
    store->block_mask = (1u << g->doublings) - 1;
    store->buckets = g->buckets;
    store->overflow = g->overflow;
    store->segment_bytes = g->segment_bytes;
    store->segments = g->segments;
    store->segment_shift = (uint32_t)__builtin_ctz(g->segment_bytes);
    store->unit_shift = store->segment_shift - 3;
    store->count_frequency = config.eviction == KV_ALLKEYS_LRU ||
                             config.eviction == KV_VOLATILE_LRU;
    memcpy(store->secret, header->secret, KV_SECRET_BYTES);
    kv_memo_begin(store);
    store->header = header;
    store->threads = (kv_thread_t *)(void *)(base + g->threads_at);
    store->shards = (kv_shard_t *)(void *)(base + g->shards_at);
    store->free_map = (_Atomic uint64_t *)(void *)(base + g->free_map_at);
    store->segment = (kv_segment_t *)(void *)(base + g->segments_at);
    store->overflow_maps =
        (_Atomic uint64_t *)(void *)(base + g->overflow_maps_at);
    store->epoch = header->epoch;
    /* Two of these fill a segment, or one of 64 KiB and its key. */
    store->large_record_bytes =
        g->segment_bytes / 2 + g->segment_bytes / 64;
    store->value_max_bytes = kv_large_max_bytes(store);

    pthread_mutex_lock(&handles_lock);
    store->list_next = handles;
    store->list_link = &handles;
    if (handles != NULL) {
        handles->list_link = &store->list_next;
    }
    handles = store;
    pthread_mutex_unlock(&handles_lock);

    (void)kv_thread_attach(store);
    *out = store;
    return KV_OK;
}

void kv_store_detach(kv_store_t *store)
{
    if (store == NULL) {
        return;
    }
    kv_thread_detach(store);
    pthread_mutex_lock(&handles_lock);
    *store->list_link = store->list_next;
    if (store->list_next != NULL) {
        store->list_next->list_link = store->list_link;
    }
    pthread_mutex_unlock(&handles_lock);
    free(store->scratch);
    free(store);
}

size_t kv_store_value_max(const kv_store_t *store)
{
    return (size_t)store->value_max_bytes;
}

void kv_store_config(const kv_store_t *store, kv_config_t *config)
{
    *config = store->config;
}

/* By process id, for people: a life is for those who wait for a lock,
 * and statistics are asked for by those who must not touch one. */
static uint32_t threads_attached(const kv_store_t *store)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < store->geometry.threads; i++) {
        pid_t pid = (pid_t)ld_rlx(&store->threads[i].life.pid);
        if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)) {
            count++;
        }
    }
    return count;
}

void kv_store_stats(const kv_store_t *store, kv_stats_t *stats)
{
    const kv_geometry_t *g = &store->geometry;
    uint64_t sums[KV_COUNTS] = { 0 };

    *stats = (kv_stats_t){ 0 };
    for (uint32_t i = 0; i < g->threads; i++) {
        for (int c = 0; c < KV_COUNTS; c++) {
            sums[c] += ld_rlx(&store->threads[i].counts[c]);
        }
    }
    for (uint32_t i = 0; i < g->shards; i++) {
        stats->entries += ld_rlx(&store->shards[i].entries);
        stats->live_bytes += ld_rlx(&store->shards[i].live_bytes);
    }
    stats->segments = g->segments;
    stats->segments_free = kv_pool_count(store);
    stats->limit_bytes = g->size_bytes;
    stats->used_bytes = g->data_at +
        (uint64_t)(g->segments - stats->segments_free) * g->segment_bytes;
    stats->index_slots =
        (uint64_t)g->shards * (g->buckets + g->overflow) * KV_BUCKET_SLOTS;
    stats->hits = sums[KV_COUNT_HITS];
    stats->misses = sums[KV_COUNT_MISSES];
    stats->sets = sums[KV_COUNT_SETS];
    stats->deletes = sums[KV_COUNT_DELETES];
    stats->evictions = sums[KV_COUNT_EVICTIONS];
    stats->expirations = sums[KV_COUNT_EXPIRATIONS];
    stats->rejections = sums[KV_COUNT_REJECTIONS];
    stats->steals = sums[KV_COUNT_STEALS];
    stats->value_max_bytes = kv_store_value_max(store);
    stats->threads = threads_attached(store);
    stats->threads_max = g->threads;
    stats->segment_bytes = g->segment_bytes;
    stats->shards = g->shards;
}
