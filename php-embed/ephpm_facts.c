/* ephpm_facts.c - facts about PHP on their way from a runner to the status. */

#include "ephpm_facts.h"

#include <string.h>

/* opcache's figures, in the order in which they are packed. */
#define EACH_FIGURE(X)                                                     \
    X(used_bytes) X(free_bytes) X(wasted_bytes) X(strings_limit_bytes)     \
    X(strings_used_bytes) X(strings) X(scripts) X(keys) X(keys_max)        \
    X(hits) X(misses) X(restarts_memory) X(restarts_keys)                  \
    X(restarts_manual) X(jit_limit_bytes) X(jit_free_bytes)
#define ONE(field) +1
#define FIGURES (0 EACH_FIGURE(ONE))

enum {
    FULL = 1,
    RESTART_PENDING = 2,
    RESTART_IN_PROGRESS = 4,
    JIT_ON = 8
};

/* Five texts of PHP's, then the extensions: name, version, name, ... */
#define TEXTS 5

typedef struct facts {
    uint32_t state;
    uint32_t flags;
    uint64_t figures[FIGURES];
} facts_t;

/* ------------------------------------------------------------------ */
/* In                                                                  */

typedef struct packing {
    char *at;
    size_t left;
} packing_t;

static bool put(packing_t *packing, const char *text)
{
    size_t bytes = text ? strlen(text) + 2 : 2;

    if (bytes > packing->left) {
        return false;
    }
    packing->at[0] = text ? '+' : '-';
    memcpy(packing->at + 1, text ? text : "", bytes - 1);
    packing->at += bytes;
    packing->left -= bytes;
    return true;
}

static void put_extension(void *to, const char *name, const char *version)
{
    packing_t *packing = to, before = *packing;

    if (!put(packing, name) || !put(packing, version)) {
        *packing = before;
    }
}

size_t ephpm_facts_pack(const ephpm_status_t *status, void *room)
{
    const ephpm_status_opcache_t *opcache = &status->opcache;
    const ephpm_status_php_t *php = &status->php;
    packing_t packing = { (char *)room + sizeof(facts_t),
                          EPHPM_FACTS_BYTES - sizeof(facts_t) };
    const char *const texts[TEXTS] = {
        php->version, php->sapi, php->ini_file, php->memory_limit,
        php->max_execution_time
    };
    size_t figure = 0;
    facts_t facts;

    memset(&facts, 0, sizeof(facts));
    facts.state = (uint32_t)opcache->state;
    facts.flags = (opcache->full ? FULL : 0)
        | (opcache->restart_pending ? RESTART_PENDING : 0)
        | (opcache->restart_in_progress ? RESTART_IN_PROGRESS : 0)
        | (opcache->jit_on ? JIT_ON : 0);
#define PACK(field) facts.figures[figure++] = opcache->field;
    EACH_FIGURE(PACK)
    memcpy(room, &facts, sizeof(facts));
    for (size_t i = 0; i < TEXTS; i++) {
        put(&packing, texts[i]);
    }
    status->each_extension(status, put_extension, &packing);
    return EPHPM_FACTS_BYTES - packing.left;
}

/* ------------------------------------------------------------------ */
/* Out                                                                 */

typedef struct unpacking {
    const char *at;
    const char *end;
} unpacking_t;

/* The next text.  @return false: there is none */
static bool get(unpacking_t *unpacking, const char **text)
{
    const char *nul;

    *text = NULL;
    if (unpacking->end - unpacking->at < 2) {
        return false;
    }
    nul = memchr(unpacking->at, '\0',
                 (size_t)(unpacking->end - unpacking->at));
    if (nul == NULL || nul == unpacking->at) {
        return false;
    }
    if (*unpacking->at == '+') {
        *text = unpacking->at + 1;
    }
    unpacking->at = nul + 1;
    return true;
}

/* `extensions` is {end of all} and then the texts. */
static void each_extension(const ephpm_status_t *status,
                           void (*pass)(void *to, const char *name,
                                        const char *version), void *to)
{
    unpacking_t unpacking;
    const char *name, *version;

    if (status->extensions == NULL) {
        return;
    }
    memcpy(&unpacking, status->extensions, sizeof(unpacking));
    while (get(&unpacking, &name) && get(&unpacking, &version)) {
        if (name != NULL) {
            pass(to, name, version);
        }
    }
}

static const char *or_nothing(const char *text)
{
    return text ? text : "";
}

static void know_nothing(ephpm_status_t *status)
{
    memset(&status->php, 0, sizeof(status->php));
    memset(&status->opcache, 0, sizeof(status->opcache));
    status->opcache.state = EPHPM_OPCACHE_OFF;
    status->php.version = status->php.sapi = status->php.memory_limit =
        status->php.max_execution_time = "";
    status->each_extension = each_extension;
    status->extensions = NULL;
}

bool ephpm_facts_unpack(void *packed, size_t bytes, ephpm_status_t *status)
{
    ephpm_status_opcache_t *opcache = &status->opcache;
    ephpm_status_php_t *php = &status->php;
    unpacking_t unpacking = { (char *)packed + sizeof(facts_t),
                              (char *)packed + bytes };
    const char *texts[TEXTS];
    size_t figure = 0;
    facts_t facts;

    know_nothing(status);
    if (bytes < sizeof(facts) || bytes > EPHPM_FACTS_BYTES) {
        return false;
    }
    memcpy(&facts, packed, sizeof(facts));
    for (size_t i = 0; i < TEXTS; i++) {
        if (!get(&unpacking, &texts[i])) {
            return false;
        }
    }
    switch (facts.state) {
    case EPHPM_OPCACHE_ON:
        opcache->state = EPHPM_OPCACHE_ON;
        break;
    case EPHPM_OPCACHE_SILENT:
        opcache->state = EPHPM_OPCACHE_SILENT;
        break;
    default:
        break;
    }
    opcache->full = (facts.flags & FULL) != 0;
    opcache->restart_pending = (facts.flags & RESTART_PENDING) != 0;
    opcache->restart_in_progress = (facts.flags & RESTART_IN_PROGRESS) != 0;
    opcache->jit_on = (facts.flags & JIT_ON) != 0;
#define UNPACK(field) opcache->field = facts.figures[figure++];
    EACH_FIGURE(UNPACK)
    php->version = or_nothing(texts[0]);
    php->sapi = or_nothing(texts[1]);
    php->ini_file = texts[2];
    php->memory_limit = or_nothing(texts[3]);
    php->max_execution_time = or_nothing(texts[4]);
    /* In the place of the figures, which are read. */
    memcpy(packed, &unpacking, sizeof(unpacking));
    status->extensions = packed;
    return true;
}

bool ephpm_facts_fill(const ephpm_jobs_t *jobs, ephpm_status_t *status,
                      void *room)
{
    size_t bytes = 0;

    if (!ephpm_facts_get(jobs, room, EPHPM_FACTS_BYTES, &bytes)) {
        know_nothing(status);
        return false;
    }
    return ephpm_facts_unpack(room, bytes, status);
}

void ephpm_facts_runners(const ephpm_jobs_t *jobs,
                         ephpm_status_runners_t *runners)
{
    ephpm_jobs_stats_t stats;

    ephpm_jobs_stats(jobs, &stats);
    memset(runners, 0, sizeof(*runners));
    runners->limit = stats.runners;
    runners->alive = stats.alive;
    runners->busy = stats.busy;
    runners->queued = stats.queued;
    runners->queue_limit = stats.queue_max;
    runners->failed = ephpm_pulse_get(jobs) == EPHPM_PULSE_FAILED;
    runners->requests = stats.counts[EPHPM_COUNT_REQUESTS];
    runners->crashes = stats.counts[EPHPM_COUNT_CRASHES];
    runners->timeouts = stats.counts[EPHPM_COUNT_TIMEOUTS];
    runners->recycled = stats.counts[EPHPM_COUNT_RECYCLED];
    runners->slow = stats.counts[EPHPM_COUNT_SLOW];
    runners->refused = stats.counts[EPHPM_COUNT_REFUSED];
    runners->expired = stats.counts[EPHPM_COUNT_EXPIRED];
    runners->queue_us = stats.counts[EPHPM_COUNT_QUEUE_US];
}
