/* ephpm_status_data.c - the status for programs: JSON, and the text format
 * 0.0.4 of Prometheus.
 *
 * Names here are an interface: the manual lists them, and dashboards and
 * alerts go by them.
 */

#include "ephpm_status_text.h"

#include <inttypes.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ */
/* Figures under both names                                            */

typedef enum kind {
    GAUGE,
    COUNTER
} kind_t;

typedef struct figure {
    const char *key;            /* JSON */
    const char *metric;         /* after the prefix */
    kind_t kind;
    bool is_32;
    size_t offset;
    const char *help;
} figure_t;

#define STATS(field) false, offsetof(kv_stats_t, field)
#define STATS_32(field) true, offsetof(kv_stats_t, field)

static const figure_t store_figures[] = {
    { "limit_bytes", "memory_limit_bytes", GAUGE, STATS(limit_bytes),
      "Memory that the store has." },
    { "used_bytes", "memory_used_bytes", GAUGE, STATS(used_bytes),
      "Memory that the store uses, its own tables included." },
    { "live_bytes", "memory_live_bytes", GAUGE, STATS(live_bytes),
      "Memory of the records that are still reachable." },
    { "entries", "entries", GAUGE, STATS(entries),
      "Keys, with expired ones that nobody has met since." },
    { "index_slots", "index_slots", GAUGE, STATS(index_slots),
      "Keys that the index has room for." },
    { "hits", "hits_total", COUNTER, STATS(hits),
      "Reads that found their key." },
    { "misses", "misses_total", COUNTER, STATS(misses),
      "Reads that did not find their key." },
    { "sets", "sets_total", COUNTER, STATS(sets), "Values stored." },
    { "deletes", "deletes_total", COUNTER, STATS(deletes), "Keys deleted." },
    { "evictions", "evictions_total", COUNTER, STATS(evictions),
      "Keys evicted before their time to make room." },
    { "expirations", "expirations_total", COUNTER, STATS(expirations),
      "Keys dropped after their time." },
    { "rejections", "rejections_total", COUNTER, STATS(rejections),
      "Writes refused for want of room." },
    { "steals", "lock_steals_total", COUNTER, STATS(steals),
      "Locks taken over from processes that died with them." },
    { "value_max_bytes", "value_max_bytes", GAUGE, STATS(value_max_bytes),
      "Size of the largest value that fits." },
    { "attached", "attached", GAUGE, STATS_32(threads),
      "Processes that use the store." },
    { "attached_max", "attached_max", GAUGE, STATS_32(threads_max),
      "Processes that can use the store at a time." },
    { "segments", "segments", GAUGE, STATS_32(segments),
      "Segments, which the memory for records is cut into." },
    { "segments_free", "segments_free", GAUGE, STATS_32(segments_free),
      "Segments that are empty." },
    { "segment_bytes", "segment_bytes", GAUGE, STATS_32(segment_bytes),
      "Size of a segment." },
    { "shards", "shards", GAUGE, STATS_32(shards),
      "Parts of the store with a lock each." },
};
#define STORE_FIGURES (sizeof(store_figures) / sizeof(store_figures[0]))

#define OPCACHE(field) false, offsetof(ephpm_status_opcache_t, field)

static const figure_t opcache_figures[] = {
    { "used_bytes", "memory_used_bytes", GAUGE, OPCACHE(used_bytes),
      "Memory that opcache uses for scripts." },
    { "free_bytes", "memory_free_bytes", GAUGE, OPCACHE(free_bytes),
      "Memory that opcache has left." },
    { "wasted_bytes", "memory_wasted_bytes", GAUGE, OPCACHE(wasted_bytes),
      "Memory of scripts that have changed since." },
    { "strings_limit_bytes", "interned_strings_limit_bytes", GAUGE,
      OPCACHE(strings_limit_bytes), "Memory for interned strings." },
    { "strings_used_bytes", "interned_strings_used_bytes", GAUGE,
      OPCACHE(strings_used_bytes), "Memory that interned strings take." },
    { "strings", "interned_strings", GAUGE, OPCACHE(strings),
      "Interned strings." },
    { "scripts", "scripts", GAUGE, OPCACHE(scripts), "Scripts cached." },
    { "keys", "keys", GAUGE, OPCACHE(keys),
      "Keys in use; a script can have several." },
    { "keys_max", "keys_max", GAUGE, OPCACHE(keys_max),
      "Keys that there is room for." },
    { "hits", "hits_total", COUNTER, OPCACHE(hits),
      "Scripts found compiled." },
    { "misses", "misses_total", COUNTER, OPCACHE(misses),
      "Scripts that had to be compiled." },
    { "jit_limit_bytes", "jit_buffer_limit_bytes", GAUGE,
      OPCACHE(jit_limit_bytes), "Memory for machine code." },
    { "jit_free_bytes", "jit_buffer_free_bytes", GAUGE,
      OPCACHE(jit_free_bytes), "Memory for machine code that is left." },
};
#define OPCACHE_FIGURES (sizeof(opcache_figures) / sizeof(opcache_figures[0]))

#define RUNNERS(field) false, offsetof(ephpm_status_runners_t, field)
#define RUNNERS_32(field) true, offsetof(ephpm_status_runners_t, field)

static const figure_t runner_figures[] = {
    { "limit", "runners_max", GAUGE, RUNNERS_32(limit),
      "Processes that there are to be for scripts." },
    { "alive", "runners_alive", GAUGE, RUNNERS_32(alive),
      "Processes for scripts." },
    { "busy", "runners_busy", GAUGE, RUNNERS_32(busy),
      "Processes that run a script." },
    { "queued", "runners_queued", GAUGE, RUNNERS_32(queued),
      "Requests that wait for a process." },
    { "queue_limit", "runners_queue_max", GAUGE, RUNNERS_32(queue_limit),
      "Requests that may wait at a time." },
    { "requests", "runner_requests_total", COUNTER, RUNNERS(requests),
      "Requests that were run to their end." },
    { "crashes", "runner_crashes_total", COUNTER, RUNNERS(crashes),
      "Processes for scripts that died." },
    { "timeouts", "runner_timeouts_total", COUNTER, RUNNERS(timeouts),
      "Processes ended because their script ran for too long." },
    { "recycled", "runner_recycled_total", COUNTER, RUNNERS(recycled),
      "Processes that left after their number of requests." },
    { "slow", "runner_slow_total", COUNTER, RUNNERS(slow),
      "Backtraces written to the slow log." },
    { "refused", "runner_queue_refused_total", COUNTER, RUNNERS(refused),
      "Requests refused because the queue was full." },
    { "expired", "runner_queue_expired_total", COUNTER, RUNNERS(expired),
      "Requests that waited for a process for too long." },
};
#define RUNNER_FIGURES (sizeof(runner_figures) / sizeof(runner_figures[0]))

#define RESP(field) false, offsetof(ephpm_status_resp_t, field)

static const figure_t resp_figures[] = {
    { "clients", "clients", GAUGE, RESP(clients), "Clients connected." },
    { "connections", "connections_total", COUNTER, RESP(connections),
      "Connections accepted." },
    { "commands", "commands_total", COUNTER, RESP(commands),
      "Commands run, or refused." },
    { "errors", "errors_total", COUNTER, RESP(errors),
      "Commands answered with an error." },
    { "protocol_errors", "protocol_errors_total", COUNTER,
      RESP(protocol_errors),
      "Connections closed for what is not the protocol." },
    { "auth_failures", "auth_failures_total", COUNTER, RESP(auth_failures),
      "Wrong passwords." },
    { "drops", "drops_total", COUNTER, RESP(drops),
      "Connections closed because too much was left unread." },
    { "input_bytes", "input_bytes_total", COUNTER, RESP(input_bytes),
      "Bytes received." },
    { "output_bytes", "output_bytes_total", COUNTER, RESP(output_bytes),
      "Bytes sent." },
};
#define RESP_FIGURES (sizeof(resp_figures) / sizeof(resp_figures[0]))

static uint64_t value_of(const figure_t *figure, const void *facts)
{
    const char *at = (const char *)facts + figure->offset;

    return figure->is_32 ? *(const uint32_t *)(const void *)at
                         : *(const uint64_t *)(const void *)at;
}

static const struct {
    const char *key;
    size_t offset;
} worker_states[] = {
    { "idle", offsetof(ephpm_status_workers_t, idle) },
    { "starting", offsetof(ephpm_status_workers_t, starting) },
    { "reading", offsetof(ephpm_status_workers_t, reading) },
    { "working", offsetof(ephpm_status_workers_t, working) },
    { "keepalive", offsetof(ephpm_status_workers_t, keepalive) },
    { "closing", offsetof(ephpm_status_workers_t, closing) },
    { "finishing", offsetof(ephpm_status_workers_t, finishing) },
};
#define WORKER_STATES (sizeof(worker_states) / sizeof(worker_states[0]))

static unsigned workers_in(const ephpm_status_workers_t *workers, size_t state)
{
    const char *at = (const char *)workers + worker_states[state].offset;

    return *(const unsigned *)(const void *)at;
}

/* ------------------------------------------------------------------ */
/* JSON                                                                */

static void pair(ephpm_text_t *text, const char *key, const char *value)
{
    ephpm_text_format(text, "\"%s\": ", key);
    ephpm_text_json(text, value);
}

static void number(ephpm_text_t *text, const char *key, uint64_t value)
{
    ephpm_text_format(text, "\"%s\": %" PRIu64, key, value);
}

static void truth(ephpm_text_t *text, const char *key, bool value)
{
    ephpm_text_format(text, "\"%s\": %s", key, value ? "true" : "false");
}

static void json_history(ephpm_text_t *text, const ephpm_store_facts_t *facts)
{
    static const char *const columns[EPHPM_FIGURES] = {
        "used_bytes", "entries", "hits", "misses", "sets", "deletes",
        "evictions", "expirations", "rejections"
    };
    const char *comma = "";

    ephpm_text_format(text, "{\"period_seconds\": %u, \"columns\": "
                      "[\"age_ms\"", EPHPM_HISTORY_PERIOD_S);
    for (int i = 0; i < EPHPM_FIGURES; i++) {
        ephpm_text_format(text, ", \"%s\"", columns[i]);
    }
    ephpm_text_raw(text, "], \"rows\": [");
    for (unsigned i = 0; i < EPHPM_HISTORY_SLOTS; i++) {
        const ephpm_period_t *period = &facts->periods[i];

        if (!period->known) {
            continue;
        }
        ephpm_text_format(text, "%s\n        [%" PRIu64, comma,
                          (uint64_t)(period->age_s * 1000));
        for (int f = 0; f < EPHPM_FIGURES; f++) {
            ephpm_text_format(text, ", %" PRIu64, period->figures[f]);
        }
        ephpm_text_raw(text, "]");
        comma = ",";
    }
    ephpm_text_raw(text, "]}");
}

static void json_store(ephpm_text_t *text, const ephpm_status_store_t *store)
{
    ephpm_store_facts_t *facts = malloc(sizeof(*facts));

    ephpm_text_raw(text, "\n    {");
    pair(text, "name", store->name);
    if (facts == NULL) {
        ephpm_text_raw(text, ", \"usable\": false}");
        return;
    }
    ephpm_store_facts(store, facts);
    ephpm_text_raw(text, ", ");
    truth(text, "usable", facts->attached);
    if (facts->made_s != 0) {
        ephpm_text_raw(text, ", ");
        number(text, "created", (uint64_t)facts->made_s);
    }
    if (facts->attached) {
        ephpm_text_raw(text, ",\n     ");
        pair(text, "eviction", kv_eviction_name(facts->config.eviction));
        ephpm_text_raw(text, ", ");
        pair(text, "compression",
             kv_compression_name(facts->config.compression));
        ephpm_text_format(text, ", \"compression_level\": %d, ",
                          facts->config.compression_level);
        number(text, "min_compress_bytes", facts->config.min_compress_bytes);
        for (size_t i = 0; i < STORE_FIGURES; i++) {
            ephpm_text_raw(text, i % 4 == 0 ? ",\n     " : ", ");
            number(text, store_figures[i].key,
                   value_of(&store_figures[i], &facts->stats));
        }
        if (facts->has_history) {
            ephpm_text_raw(text, ",\n     \"history\": ");
            json_history(text, facts);
        }
    }
    ephpm_text_raw(text, "}");
    free(facts);
}

typedef struct list {
    ephpm_text_t *text;
    const char *comma;
} list_t;

static void json_extension(void *to, const char *name, const char *version)
{
    list_t *list = to;

    ephpm_text_raw(list->text, list->comma);
    ephpm_text_json(list->text, name);
    ephpm_text_raw(list->text, ": ");
    ephpm_text_json(list->text, version);
    list->comma = ", ";
}

static void json_php(ephpm_text_t *text, const ephpm_status_t *status)
{
    list_t list = { text, "" };

    ephpm_text_raw(text, "  \"php\": {");
    pair(text, "version", status->php.version);
    ephpm_text_raw(text, ", ");
    pair(text, "sapi", status->php.sapi);
    ephpm_text_raw(text, ",\n    ");
    pair(text, "ini_file", status->php.ini_file);
    ephpm_text_raw(text, ", ");
    pair(text, "memory_limit", status->php.memory_limit);
    ephpm_text_raw(text, ", ");
    pair(text, "max_execution_time", status->php.max_execution_time);
    ephpm_text_raw(text, ",\n    \"extensions\": {");
    status->each_extension(status, json_extension, &list);
    ephpm_text_raw(text, "}},\n");
}

static void json_opcache(ephpm_text_t *text,
                         const ephpm_status_opcache_t *opcache)
{
    static const char *const states[] = {
        [EPHPM_OPCACHE_ON] = "on",
        [EPHPM_OPCACHE_OFF] = "off",
        [EPHPM_OPCACHE_SILENT] = "silent",
    };

    ephpm_text_raw(text, "  \"opcache\": {");
    pair(text, "state", states[opcache->state]);
    if (opcache->state == EPHPM_OPCACHE_ON) {
        ephpm_text_raw(text, ", ");
        truth(text, "full", opcache->full);
        ephpm_text_raw(text, ", ");
        truth(text, "restart_pending", opcache->restart_pending);
        ephpm_text_raw(text, ", ");
        truth(text, "restart_in_progress", opcache->restart_in_progress);
        ephpm_text_raw(text, ", ");
        truth(text, "jit", opcache->jit_on);
        for (size_t i = 0; i < OPCACHE_FIGURES; i++) {
            ephpm_text_raw(text, i % 4 == 0 ? ",\n    " : ", ");
            number(text, opcache_figures[i].key,
                   value_of(&opcache_figures[i], opcache));
        }
        ephpm_text_raw(text, ",\n    \"restarts\": {");
        number(text, "memory", opcache->restarts_memory);
        ephpm_text_raw(text, ", ");
        number(text, "keys", opcache->restarts_keys);
        ephpm_text_raw(text, ", ");
        number(text, "manual", opcache->restarts_manual);
        ephpm_text_raw(text, "}");
    }
    ephpm_text_raw(text, "},\n");
}

static unsigned idle_runners(const ephpm_status_runners_t *runners)
{
    return runners->alive > runners->busy ? runners->alive - runners->busy
                                          : 0;
}

/* Microseconds in seconds. */
static void seconds(ephpm_text_t *text, uint64_t us)
{
    ephpm_text_format(text, "%" PRIu64 ".%06u", us / 1000000,
                      (unsigned)(us % 1000000));
}

static void json_runners(ephpm_text_t *text,
                         const ephpm_status_runners_t *runners)
{
    ephpm_text_raw(text, "  \"runners\": {");
    truth(text, "failed", runners->failed);
    ephpm_text_raw(text, ", ");
    number(text, "idle", idle_runners(runners));
    ephpm_text_raw(text, ", \"queue_wait_seconds\": ");
    seconds(text, runners->queue_us);
    for (size_t i = 0; i < RUNNER_FIGURES; i++) {
        ephpm_text_raw(text, i % 4 == 0 ? ",\n    " : ", ");
        number(text, runner_figures[i].key,
               value_of(&runner_figures[i], runners));
    }
    ephpm_text_raw(text, "}");
}

static void json_resp(ephpm_text_t *text, const ephpm_status_t *status)
{
    ephpm_text_raw(text, "  \"resp\": [");
    for (size_t i = 0; i < status->resp_count; i++) {
        ephpm_text_raw(text, i > 0 ? ",\n    {" : "\n    {");
        pair(text, "address", status->resp[i].address);
        ephpm_text_raw(text, ", ");
        pair(text, "store", status->resp[i].store);
        for (size_t f = 0; f < RESP_FIGURES; f++) {
            ephpm_text_raw(text, f % 4 == 0 ? ",\n     " : ", ");
            number(text, resp_figures[f].key,
                   value_of(&resp_figures[f], &status->resp[i]));
        }
        ephpm_text_raw(text, "}");
    }
    ephpm_text_raw(text, "],\n");
}

static void json_workers(ephpm_text_t *text, const ephpm_status_t *status)
{
    ephpm_text_raw(text, "  \"workers\": {");
    number(text, "limit", status->workers.limit);
    ephpm_text_raw(text, ", ");
    number(text, "busy", ephpm_status_busy(&status->workers));
    for (size_t i = 0; i < WORKER_STATES; i++) {
        ephpm_text_raw(text, ", ");
        number(text, worker_states[i].key, workers_in(&status->workers, i));
    }
    ephpm_text_raw(text, "}");
}

void ephpm_status_json(ephpm_text_t *text, const ephpm_status_t *status)
{
    ephpm_text_raw(text, "{\n  ");
    pair(text, "version", status->version);
    ephpm_text_raw(text, ", ");
    number(text, "time", (uint64_t)status->now_s);
    ephpm_text_raw(text, ",\n  ");
    pair(text, "server", status->server);
    ephpm_text_raw(text, ", ");
    pair(text, "site", status->site);
    ephpm_text_raw(text, ", ");
    pair(text, "site_store", status->own_store);
    ephpm_text_raw(text, ", ");
    number(text, "restarted", (uint64_t)status->restarted_s);
    ephpm_text_raw(text, ",\n  \"stores\": [");
    for (size_t i = 0; i < status->store_count; i++) {
        ephpm_text_raw(text, i > 0 ? "," : "");
        json_store(text, &status->stores[i]);
    }
    ephpm_text_raw(text, "],\n");
    json_php(text, status);
    json_opcache(text, &status->opcache);
    if (status->resp_count > 0) {
        json_resp(text, status);
    }
    if (status->runners != NULL) {
        json_runners(text, status->runners);
        ephpm_text_raw(text, ephpm_status_has_workers(status) ? ",\n" : "");
    }
    if (ephpm_status_has_workers(status)) {
        json_workers(text, status);
    }
    ephpm_text_raw(text, "\n}\n");
}

/* ------------------------------------------------------------------ */
/* Prometheus                                                          */

static void family(ephpm_text_t *text, const char *prefix, const char *name,
                   kind_t kind, const char *help)
{
    ephpm_text_format(text, "# HELP %s%s ", prefix, name);
    ephpm_text_raw(text, help);
    ephpm_text_format(text, "\n# TYPE %s%s %s\n", prefix, name,
                      kind == COUNTER ? "counter" : "gauge");
}

static void gauge(ephpm_text_t *text, const char *name, const char *help,
                  uint64_t value)
{
    family(text, name, "", GAUGE, help);
    ephpm_text_format(text, "%s %" PRIu64 "\n", name, value);
}

static void sample(ephpm_text_t *text, const char *prefix, const char *name,
                   const char *label, const char *of, uint64_t value)
{
    ephpm_text_format(text, "%s%s{%s=", prefix, name, label);
    ephpm_text_label(text, of);
    ephpm_text_format(text, "} %" PRIu64 "\n", value);
}

typedef struct measured {
    const char *name;
    kv_config_t config;
    kv_stats_t stats;
} measured_t;

static void metrics_stores(ephpm_text_t *text, const measured_t *measured,
                           size_t count)
{
    if (count == 0) {
        return;
    }
    family(text, "ephpm_kv_store_", "info", GAUGE,
           "How the store was made; always 1.");
    for (size_t i = 0; i < count; i++) {
        ephpm_text_raw(text, "ephpm_kv_store_info{store=");
        ephpm_text_label(text, measured[i].name);
        ephpm_text_raw(text, ",eviction=");
        ephpm_text_label(text,
                         kv_eviction_name(measured[i].config.eviction));
        ephpm_text_raw(text, ",compression=");
        ephpm_text_label(text,
                         kv_compression_name(measured[i].config.compression));
        ephpm_text_raw(text, "} 1\n");
    }
    for (size_t f = 0; f < STORE_FIGURES; f++) {
        const figure_t *figure = &store_figures[f];

        family(text, "ephpm_kv_", figure->metric, figure->kind,
               figure->help);
        for (size_t i = 0; i < count; i++) {
            sample(text, "ephpm_kv_", figure->metric, "store",
                   measured[i].name, value_of(figure, &measured[i].stats));
        }
    }
}

/* What the store's figures are goes out for all stores at a time, so they are
 * read before the first line. */
static void metrics_of_stores(ephpm_text_t *text, const ephpm_status_t *status)
{
    measured_t *measured = calloc(status->store_count + 1,
                                  sizeof(*measured));
    size_t count = 0;

    for (size_t i = 0; measured != NULL && i < status->store_count; i++) {
        const ephpm_status_store_t *store = &status->stores[i];

        if (store->handle != NULL) {
            measured[count].name = store->name;
            kv_store_config(store->handle, &measured[count].config);
            kv_store_stats(store->handle, &measured[count].stats);
            count++;
        }
    }
    metrics_stores(text, measured, count);
    free(measured);
}

static void metrics_opcache(ephpm_text_t *text,
                            const ephpm_status_opcache_t *opcache)
{
    static const char prefix[] = "ephpm_opcache_";

    gauge(text, "ephpm_opcache_enabled",
          "Whether opcache runs and says how it does.",
          opcache->state == EPHPM_OPCACHE_ON);
    if (opcache->state != EPHPM_OPCACHE_ON) {
        return;
    }
    gauge(text, "ephpm_opcache_full",
          "Whether opcache has no memory left for new scripts.",
          opcache->full);
    for (size_t f = 0; f < OPCACHE_FIGURES; f++) {
        const figure_t *figure = &opcache_figures[f];

        family(text, prefix, figure->metric, figure->kind, figure->help);
        ephpm_text_format(text, "%s%s %" PRIu64 "\n", prefix, figure->metric,
                          value_of(figure, opcache));
    }
    family(text, prefix, "restarts_total", COUNTER,
           "Times that opcache was emptied, by what for.");
    sample(text, prefix, "restarts_total", "reason", "memory",
           opcache->restarts_memory);
    sample(text, prefix, "restarts_total", "reason", "keys",
           opcache->restarts_keys);
    sample(text, prefix, "restarts_total", "reason", "manual",
           opcache->restarts_manual);
}

static void metrics_workers(ephpm_text_t *text,
                            const ephpm_status_workers_t *workers)
{
    gauge(text, "ephpm_workers_max",
          "Processes that the server has for requests at most.",
          workers->limit);
    family(text, "ephpm_", "workers", GAUGE,
           "Processes for requests, by what they do.");
    for (size_t i = 0; i < WORKER_STATES; i++) {
        sample(text, "ephpm_", "workers", "state", worker_states[i].key,
               workers_in(workers, i));
    }
}

static void metrics_runners(ephpm_text_t *text,
                            const ephpm_status_runners_t *runners)
{
    gauge(text, "ephpm_runners_failed",
          "Whether PHP does not start.", runners->failed);
    gauge(text, "ephpm_runners_idle",
          "Processes for scripts that have nothing to do.",
          idle_runners(runners));
    for (size_t f = 0; f < RUNNER_FIGURES; f++) {
        const figure_t *figure = &runner_figures[f];

        family(text, "ephpm_", figure->metric, figure->kind, figure->help);
        ephpm_text_format(text, "ephpm_%s %" PRIu64 "\n", figure->metric,
                          value_of(figure, runners));
    }
    family(text, "ephpm_", "runner_queue_wait_seconds_total", COUNTER,
           "How long requests have waited for a process, together.");
    ephpm_text_raw(text, "ephpm_runner_queue_wait_seconds_total ");
    seconds(text, runners->queue_us);
    ephpm_text_raw(text, "\n");
}

static void metrics_resp(ephpm_text_t *text, const ephpm_status_t *status)
{
    static const char prefix[] = "ephpm_resp_";

    for (size_t f = 0; f < RESP_FIGURES; f++) {
        const figure_t *figure = &resp_figures[f];

        family(text, prefix, figure->metric, figure->kind, figure->help);
        for (size_t i = 0; i < status->resp_count; i++) {
            sample(text, prefix, figure->metric, "address",
                   status->resp[i].address,
                   value_of(figure, &status->resp[i]));
        }
    }
}

void ephpm_status_metrics(ephpm_text_t *text, const ephpm_status_t *status)
{
    family(text, "ephpm_", "build_info", GAUGE, "Versions; always 1.");
    ephpm_text_raw(text, "ephpm_build_info{version=");
    ephpm_text_label(text, status->version);
    ephpm_text_raw(text, ",php_version=");
    ephpm_text_label(text, status->php.version);
    ephpm_text_raw(text, ",sapi=");
    ephpm_text_label(text, status->php.sapi);
    ephpm_text_raw(text, "} 1\n");
    gauge(text, "ephpm_restart_time_seconds",
          "When the server has read its configuration, in seconds since "
          "1970.", (uint64_t)status->restarted_s);
    if (ephpm_status_has_workers(status)) {
        metrics_workers(text, &status->workers);
    }
    if (status->runners != NULL) {
        metrics_runners(text, status->runners);
    }
    if (status->resp_count > 0) {
        metrics_resp(text, status);
    }
    metrics_opcache(text, &status->opcache);
    metrics_of_stores(text, status);
}
