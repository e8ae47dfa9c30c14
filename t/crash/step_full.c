/* step_full.c - full stores for cases to begin on; see step.h. */

#include "step.h"

#include "kv_index.h"

#define HOUR_MS INT64_C(3600000)

/* More keys, until not even a short value finds room in either shard. */
static void fill_up(scene_t *scene)
{
    static const size_t sizes[] = { 500, 20 };

    for (size_t size = 0; size < 2; size++) {
        for (uint32_t i = 0, refused = 0; refused < 2; i++) {
            uint32_t key = scene_key(scene, i % 2);
            kv_result_t result = scene_set(scene, key, sizes[size], KV_NO_TTL,
                                           KV_SET_ALWAYS);
            refused = result == KV_NO_ROOM ? refused + 1 : 0;
        }
    }
}

void scene_full(scene_t *scene)
{
    for (uint32_t i = 0; i < 8; i++) {
        scene_key(scene, i % 2);
    }
    fill_up(scene);
}

void scene_full_and_there(scene_t *scene)
{
    scene_put(scene, scene_key(scene, 0), 64, KV_NO_TTL);
    fill_up(scene);
}

/* Delete each `step`th key in the segment that shard 0 writes new ones to. */
static void delete_in_open(scene_t *scene, uint32_t step)
{
    uint32_t open = ld_rlx(&scene->store->shards[0].open[KV_QUEUE_SMALL]);
    uint32_t found = 0;

    for (uint32_t i = 0; i < scene->keys; i++) {
        const name_t *name = &scene->key[i];
        kv_place_t place;
        kv_place_find(scene->store,
                      kv_hash(scene->store, name->text, name->bytes),
                      name->text, name->bytes, &place);
        if (place.slot != NULL &&
            kv_segment_of(scene->store, place.record) + 1 == open &&
            found++ % step == 0) {
            kv_key_delete(scene->store, name->text, name->bytes);
        }
    }
}

/* Full, and what is dead is where shard 0 writes new keys. */
void scene_full_with_dead(scene_t *scene)
{
    scene_key(scene, 0);
    fill_up(scene);
    delete_in_open(scene, 2);
}

/* Full of what must stay, but for what is where shard 0 writes new keys. */
void scene_full_but_for_open(scene_t *scene)
{
    scene_full_with_dead(scene);
    delete_in_open(scene, 1);
    for (uint32_t i = 0; i < 7; i++) {
        scene_put(scene, scene_key(scene, 0), 500, HOUR_MS);
    }
}
