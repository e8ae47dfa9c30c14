/* kv_layout.c - see kv_layout.h. */

#include "kv_layout.h"

#define SEGMENT_BYTES_DEFAULT (128u << 10)
#define SEGMENT_BYTES_MIN (4u << 10)
#define SEGMENT_BYTES_MAX (1u << 20)
#define SHARD_BYTES_DEFAULT (4u << 20)
#define SEGMENTS_MIN 8u
#define THREADS_MAX 8000u
#define RESERVE_MAX 8u

static uint64_t align_line(uint64_t bytes)
{
    return (bytes + KV_LINE_BYTES - 1) & ~(uint64_t)(KV_LINE_BYTES - 1);
}

static bool power_of_two(uint32_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

static uint32_t shards_for(uint64_t size_bytes)
{
    uint32_t shards = 1;
    while (shards < KV_SHARDS_MAX &&
           (uint64_t)shards * 2 * SHARD_BYTES_DEFAULT <= size_bytes) {
        shards *= 2;
    }
    return shards;
}

/* Lay out `segments` segments; returns the bytes needed. */
static uint64_t lay_out(kv_geometry_t *g, uint64_t segments)
{
    uint64_t at = align_line(sizeof(kv_header_t));

    g->segments = (uint32_t)segments;
    g->free_map_words = (uint32_t)((segments + 63) / 64);
    g->overflow_map_words = (g->overflow + 63) / 64;
    g->threads_at = at;
    at = align_line(at + (uint64_t)g->threads * sizeof(kv_thread_t));
    g->shards_at = at;
    at = align_line(at + (uint64_t)g->shards * sizeof(kv_shard_t));
    g->free_map_at = at;
    at = align_line(at + (uint64_t)g->free_map_words * 8);
    g->words_at = at;
    at = align_line(at + segments * 8);
    g->segments_at = at;
    at = align_line(at + segments * sizeof(kv_segment_t));
    g->overflow_maps_at = at;
    at = align_line(at + (uint64_t)g->shards * g->overflow_map_words * 8);
    g->extents_at = at;
    at = align_line(at + (uint64_t)g->shards * 8);
    g->index_at = at;
    at += (uint64_t)g->shards * (g->buckets + g->overflow) *
          sizeof(kv_bucket_t);
    g->data_at = at;
    return at + segments * g->segment_bytes;
}

kv_result_t kv_geometry_make(uint64_t size_bytes, const kv_config_t *config,
                             kv_geometry_t *g)
{
    bool usual = config->segment_bytes == 0;

    *g = (kv_geometry_t){ .size_bytes = size_bytes };
    g->segment_bytes = usual ? SEGMENT_BYTES_DEFAULT : config->segment_bytes;
    g->shards = config->shards == 0 ? shards_for(size_bytes) : config->shards;
    g->threads = config->threads_max;
    if ((usual && size_bytes < KV_STORE_MIN_BYTES - KV_LINE_BYTES) ||
        !power_of_two(g->segment_bytes) ||
        g->segment_bytes < SEGMENT_BYTES_MIN ||
        g->segment_bytes > SEGMENT_BYTES_MAX || !power_of_two(g->shards) ||
        g->shards > KV_SHARDS_MAX || g->threads == 0 ||
        g->threads > THREADS_MAX || config->eviction > KV_ALLKEYS_RANDOM ||
        config->compression > KV_COMPRESS_BROTLI ||
        size_bytes / g->segment_bytes >= UINT32_MAX ||
        size_bytes >> (KV_LAYOUT_OFFSET_BITS + 3) != 0) {
        return KV_INVALID;
    }
    uint64_t buckets = size_bytes / KV_BYTES_PER_SLOT / KV_BUCKET_SLOTS /
                       g->shards + 1;
    while (g->doublings < KV_DOUBLINGS_MAX &&
           buckets >> (g->doublings + 1) >= KV_BLOCK_BUCKETS_MIN) {
        g->doublings++;
    }
    uint64_t half = (UINT64_C(1) << g->doublings) / 2;
    buckets = (buckets + half) >> g->doublings << g->doublings;
    uint64_t overflow = buckets / KV_BUCKETS_PER_OVERFLOW + 1;
    g->buckets = (uint32_t)buckets;
    g->overflow =
        (uint32_t)(overflow > KV_OVERFLOW_MAX ? KV_OVERFLOW_MAX : overflow);

    uint64_t fixed = lay_out(g, 0);
    if (fixed >= size_bytes) {
        return KV_INVALID;
    }
    uint64_t segments = (size_bytes - fixed) / g->segment_bytes;
    while (segments > 0 && lay_out(g, segments) > size_bytes) {
        segments--;
    }
    if (segments < SEGMENTS_MIN) {
        return KV_INVALID;
    }
    uint64_t reserve = segments / 64;
    g->reserve = (uint32_t)(reserve < 1 ? 1
                            : reserve > RESERVE_MAX ? RESERVE_MAX : reserve);
    /* One for each shard to write to, or some could never take a key. */
    return segments < (uint64_t)g->shards + g->reserve ? KV_INVALID : KV_OK;
}

/* kv_life_t is known to the hash by its size and its mutex's. */
static_assert(offsetof(kv_thread_t, life) == 0 &&
                  offsetof(kv_life_t, incarnation) ==
                      sizeof(pthread_mutex_t) &&
                  offsetof(kv_life_t, pid) == sizeof(pthread_mutex_t) + 8 &&
                  sizeof(kv_life_t) == sizeof(pthread_mutex_t) + 16,
              "another life is another KV_LAYOUT_VERSION");

uint64_t kv_layout_hash(void)
{
    const uint64_t parts[] = {
        KV_LAYOUT_VERSION, sizeof(kv_header_t), sizeof(kv_geometry_t),
        sizeof(kv_thread_t), sizeof(kv_shard_t), sizeof(kv_bucket_t),
        sizeof(kv_segment_t), sizeof(pthread_mutex_t),
        offsetof(kv_thread_t, counts), KV_BUCKET_SLOTS,
        KV_SEGMENT_HEAD_BYTES, KV_BYTES_PER_SLOT, KV_BUCKETS_PER_OVERFLOW,
        KV_BLOCK_BUCKETS_MIN, KV_DOUBLINGS_MAX, KV_COUNTS, KV_QUEUES,
    };
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a, 64 bits */
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (unsigned j = 0; j < 64; j += 8) {
            hash = (hash ^ (parts[i] >> j & 0xff)) * UINT64_C(1099511628211);
        }
    }
    return hash;
}
