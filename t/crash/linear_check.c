/* linear_check.c - see linear_check.h. */

#include "linear_check.h"

#include <stdlib.h>

#define STATES_MAX 65536u

/* The key's value, and which of the calls under way have happened (a bit for
 * each seat). */
typedef struct state {
    int64_t value;
    uint32_t happened;
} state_t;

typedef struct set {
    state_t *state;
    uint32_t count;
    uint32_t *slot;      /* hash table of index + 1 */
} set_t;

static void set_clear(set_t *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t at = (uint32_t)rig_mix((uint64_t)set->state[i].value ^
                                        (uint64_t)set->state[i].happened
                                            << 40) % (2 * STATES_MAX);
        while (set->slot[at] != 0) {
            set->slot[at] = 0;
            at = (at + 1) % (2 * STATES_MAX);
        }
    }
    set->count = 0;
}

static void set_add(set_t *set, state_t state)
{
    uint32_t at = (uint32_t)rig_mix((uint64_t)state.value ^
                                    (uint64_t)state.happened << 40) %
                  (2 * STATES_MAX);
    while (set->slot[at] != 0) {
        state_t *there = &set->state[set->slot[at] - 1];
        if (there->value == state.value &&
            there->happened == state.happened) {
            return;
        }
        at = (at + 1) % (2 * STATES_MAX);
    }
    if (set->count == STATES_MAX) {
        rig_die("a history with more than %u states at one time", STATES_MAX);
    }
    set->state[set->count++] = state;
    set->slot[at] = set->count;
}

static set_t set_make(void)
{
    set_t set = { calloc(STATES_MAX, sizeof(state_t)), 0,
                  calloc(2 * STATES_MAX, sizeof(uint32_t)) };
    if (set.state == NULL || set.slot == NULL) {
        rig_die("out of memory");
    }
    return set;
}

const char *call_name(uint8_t call)
{
    static const char *const names[CALLS] = {
        "get", "exists", "set", "setnx", "setxx", "delete", "getdel",
        "delete if equal", "set if equal", "add",
    };
    return call < CALLS ? names[call] : "?";
}

/* Can the call happen in this state and answer what it did?  The state after
 * it is in *value.  Of a killed call any answer would do. */
static bool happen(const event_t *event, int64_t *value)
{
    bool there = *value != ABSENT;
    kv_result_t expected = KV_OK;
    int64_t next = *value;

    switch ((call_t)event->call) {
    case CALL_GET:
        expected = there ? KV_OK : KV_MISSING;
        if (!event->killed && there && event->value != *value) {
            return false;
        }
        break;
    case CALL_EXISTS:
        expected = there ? KV_OK : KV_MISSING;
        break;
    case CALL_SET:
        next = event->argument;
        break;
    case CALL_SETNX:
        expected = there ? KV_EXISTS : KV_OK;
        next = there ? *value : event->argument;
        break;
    case CALL_SETXX:
        expected = there ? KV_OK : KV_MISSING;
        next = there ? event->argument : ABSENT;
        break;
    case CALL_DELETE:
        expected = there ? KV_OK : KV_MISSING;
        next = ABSENT;
        break;
    case CALL_GETDEL:
        expected = there ? KV_OK : KV_MISSING;
        if (!event->killed && there && event->value != *value) {
            return false;
        }
        next = ABSENT;
        break;
    case CALL_DELETE_EQUAL:
        expected = !there ? KV_MISSING
                   : *value == event->argument ? KV_OK : KV_DIFFERENT;
        next = expected == KV_OK ? ABSENT : *value;
        break;
    case CALL_SET_EQUAL:
        expected = !there ? KV_MISSING
                   : *value == event->argument ? KV_OK : KV_DIFFERENT;
        next = expected == KV_OK ? event->second : *value;
        break;
    case CALL_ADD:
        next = (there ? *value : 0) + event->argument;
        if (!event->killed && event->value != next) {
            return false;
        }
        break;
    case CALLS:
        return false;
    }
    if (!event->killed && (kv_result_t)event->result != expected) {
        return false;
    }
    *value = next;
    return true;
}

/* Into `to`: every state that `from` can come to in which the seat's call
 * has happened; that call is over then. */
static void carry_on(set_t *from, set_t *to, const event_t *const *under_way,
                     uint32_t seat)
{
    for (uint32_t i = 0; i < from->count; i++) {
        state_t state = from->state[i];
        if (state.happened >> seat & 1) {
            state.happened &= ~(UINT32_C(1) << seat);
            set_add(to, state);
            continue;
        }
        for (uint32_t other = 0; other < SEATS_MAX; other++) {
            state_t next = state;
            if (under_way[other] == NULL || (state.happened >> other & 1) ||
                !happen(under_way[other], &next.value)) {
                continue;
            }
            next.happened |= UINT32_C(1) << other;
            set_add(from, next); /* `from` grows while it is gone through */
        }
    }
}

static int by_begin(const void *a, const void *b)
{
    const event_t *x = a;
    const event_t *y = b;
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

typedef struct end {
    uint64_t ns;
    uint32_t event;
} end_t;

static int by_end(const void *a, const void *b)
{
    const end_t *x = a;
    const end_t *y = b;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

int64_t linear_check(event_t *event, uint32_t events, int64_t value)
{
    const event_t *under_way[SEATS_MAX] = { NULL };
    set_t now = set_make();
    set_t next = set_make();
    end_t *end = calloc(events + 1, sizeof(*end));
    int64_t wrong = -1;
    uint32_t begun = 0;

    if (end == NULL) {
        rig_die("out of memory");
    }
    qsort(event, events, sizeof(*event), by_begin);
    for (uint32_t i = 0; i < events; i++) {
        end[i] = (end_t){ event[i].end_ns, i };
    }
    qsort(end, events, sizeof(*end), by_end);
    set_add(&now, (state_t){ value, 0 });
    for (uint32_t i = 0; i < events && wrong < 0; i++) {
        const event_t *over = &event[end[i].event];
        while (begun < events && event[begun].begin_ns <= over->end_ns) {
            under_way[event[begun].seat] = &event[begun];
            begun++;
        }
        /* A killed call has happened by now, or never will. */
        for (uint32_t j = 0; over->killed && j < now.count; j++) {
            state_t state = now.state[j];
            state.happened &= ~(UINT32_C(1) << over->seat);
            set_add(&next, state);
        }
        carry_on(&now, &next, under_way, over->seat);
        under_way[over->seat] = NULL;
        set_t swap = now;
        now = next;
        next = swap;
        set_clear(&next);
        if (now.count == 0) {
            wrong = end[i].event;
        }
    }
    free(end);
    free(now.state);
    free(now.slot);
    free(next.state);
    free(next.slot);
    return wrong;
}
