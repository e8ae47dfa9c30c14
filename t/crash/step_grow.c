/* step_grow.c - stores whose index is about to grow; see step.h. */

#include "step.h"

#include "kv_grow.h"

/* Of the keys in the chain that is split, so many in each half: one bucket
 * is too short for them. */
#define HALF_KEYS (KV_BUCKET_SLOTS + 2u)

int64_t buckets_in_use(scene_t *scene)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < scene->store->geometry.shards; i++) {
        sum += (int64_t)(ld_rlx(&scene->store->extents[i]) >>
                         KV_EXTENT_MASK_BITS);
    }
    return sum;
}

int64_t chains_split_off(scene_t *scene)
{
    const kv_store_t *store = scene->store;
    int64_t sum = 0;

    for (uint32_t i = 0; i < store->geometry.shards; i++) {
        uint64_t in_use = ld_rlx(&store->extents[i]) >> KV_EXTENT_MASK_BITS;
        for (uint64_t j = store->block_buckets; j < in_use; j++) {
            sum += (ld_rlx(&kv_shard_buckets(store, i)[j].tail) & 0xffff) !=
                   0;
        }
    }
    return sum;
}

static void fill_until_it_grows(scene_t *scene)
{
    while (!kv_grow_wanted(scene->store, &scene->store->shards[0])) {
        scene_put(scene, scene_key(scene, 0), 20, KV_NO_TTL);
    }
}

void about_to_grow(scene_t *scene)
{
    scene_key(scene, 0);
    scene_put(scene, scene_key(scene, 1), 60, HOUR_MS);
    fill_until_it_grows(scene);
}

static uint64_t hash_of(const scene_t *scene, uint32_t key)
{
    return kv_hash(scene->store, scene->key[key].text, scene->key[key].bytes);
}

void chain_about_to_split(scene_t *scene)
{
    uint32_t in_half[2] = { 0, 0 };
    uint32_t like;

    scene_key(scene, 0);
    /* Among the buckets that are split first. */
    like = scene_key(scene, 0);
    while (kv_hash_low(scene->store, hash_of(scene, like)) > 3) {
        scene->keys--;
        like = scene_key(scene, 0);
    }
    while (in_half[0] < HALF_KEYS || in_half[1] < HALF_KEYS) {
        uint32_t key = scene_key_beside(scene, like);
        uint32_t half = kv_hash_tag(hash_of(scene, key)) & 1;
        if (in_half[half] == HALF_KEYS) {
            scene->keys--;
        } else {
            scene_put(scene, key, 20, KV_NO_TTL);
            in_half[half]++;
        }
    }
    fill_until_it_grows(scene);
}
