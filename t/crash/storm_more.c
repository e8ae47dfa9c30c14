/* storm_more.c - keys that are added for good, so that the index grows amid
 * the storm; see storm.h. */

#include "storm.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 40

static size_t more_name(char *to, uint32_t seat, uint32_t number)
{
    return (size_t)sprintf(to, "more %u.%u", seat, number);
}

static bool more_differs(player_t *player, uint32_t seat, uint32_t number)
{
    char name[NAME_BYTES];
    size_t name_bytes = more_name(name, seat, number);
    size_t bytes = 0;
    kv_result_t result = rig_get(player->store, name, name_bytes, player->got,
                                 VALUE_MAX, &bytes);
    return result == KV_MISSING
               ? !player->may_vanish
               : bytes != name_bytes || memcmp(player->got, name, bytes) != 0;
}

uint32_t more_lost(player_t *player, uint32_t seat, uint32_t count)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < count; i++) {
        lost += more_differs(player, seat, i);
    }
    return lost;
}

void storm_more(player_t *player, uint32_t unused)
{
    uint32_t number = atomic_load(&player->seat->more);
    uint32_t other = rig_below(&player->random, player->players);
    uint32_t others = atomic_load(&player->board->seat[other].more);
    char name[NAME_BYTES];
    size_t name_bytes = more_name(name, player->number, number);

    (void)unused;
    if (number < player->more_max) {
        kv_result_t result =
            kv_value_set(player->store, name, name_bytes, name, name_bytes,
                         KV_NO_TTL, KV_SET_ALWAYS);
        if (result == KV_OK) {
            atomic_store(&player->seat->more, number + 1);
        } else if (result != KV_NO_ROOM || !player->may_refuse) {
            player_fail(player, "one key more: %s", kv_result_text(result));
        }
    }
    if (others > 0 &&
        more_differs(player, other, rig_below(&player->random, others))) {
        player_fail(player, "a key of player %u's %u is lost or another's",
                    other, others);
    }
}
