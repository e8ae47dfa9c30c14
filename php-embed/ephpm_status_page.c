/* ephpm_status_page.c - the status for people.
 *
 * One page without scripts and without anything from elsewhere.  It is
 * well-formed as XML too, so that anything can check it.
 */

#include "ephpm_status_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ------------------------------------------------------------------ */
/* Pieces                                                              */

static void bar_begin(ephpm_text_t *text, const char *label)
{
    ephpm_text_raw(text, "<div class=\"bar\" role=\"img\" aria-label=\"");
    ephpm_text_html(text, label);
    ephpm_text_raw(text, "\">");
}

static void bar_part(ephpm_text_t *text, unsigned colour, double part,
                     double whole)
{
    double percent = whole > 0 ? part / whole * 100 : 0;

    if (percent > 0) {
        ephpm_text_format(text, "<i class=\"s%u\" style=\"width:", colour);
        ephpm_text_decimal(text, percent < 100 ? percent : 100, 2);
        ephpm_text_raw(text, "%\"></i>");
    }
}

static void bar_end(ephpm_text_t *text)
{
    ephpm_text_raw(text, "</div>\n");
}

static void row(ephpm_text_t *text, const char *title)
{
    ephpm_text_format(text, "<tr><th>%s</th><td>", title);
}

static void row_end(ephpm_text_t *text)
{
    ephpm_text_raw(text, "</td></tr>\n");
}

static void row_count(ephpm_text_t *text, const char *title, uint64_t count)
{
    row(text, title);
    ephpm_text_count(text, count);
    row_end(text);
}

static void row_bytes(ephpm_text_t *text, const char *title, uint64_t bytes)
{
    row(text, title);
    ephpm_text_bytes(text, bytes);
    row_end(text);
}

static void row_text(ephpm_text_t *text, const char *title, const char *value)
{
    ephpm_text_format(text, "<tr><th>%s</th><td class=\"long\">", title);
    ephpm_text_html(text, value);
    row_end(text);
}

static void tile(ephpm_text_t *text, const char *title, bool bad)
{
    ephpm_text_format(text, "<div><dt>%s</dt><dd%s>", title,
                      bad ? " class=\"bad\"" : "");
}

static void tile_end(ephpm_text_t *text)
{
    ephpm_text_raw(text, "</small></dd></div>\n");
}

static void small(ephpm_text_t *text)
{
    ephpm_text_raw(text, "<small>");
}

/* ------------------------------------------------------------------ */
/* A store in the last hour                                            */

typedef struct hour {
    double age_s;               /* how far back this goes; 0: nowhere */
    uint64_t grown[EPHPM_FIGURES];
} hour_t;

static uint64_t grown(uint64_t is, uint64_t was)
{
    return is > was ? is - was : 0;
}

static void look_back(const ephpm_store_facts_t *facts, hour_t *hour)
{
    static const ephpm_period_t nothing;
    const ephpm_period_t *oldest = facts->periods;
    const kv_stats_t *now = &facts->stats;

    memset(hour, 0, sizeof(*hour));
    if (facts->age_s >= 0 && facts->age_s < 3600) {
        /* All of it is of the last hour. */
        oldest = &nothing;
        hour->age_s = (double)facts->age_s;
    } else {
        while (!oldest->known) {
            if (++oldest == facts->periods + EPHPM_HISTORY_SLOTS) {
                return;
            }
        }
        hour->age_s = oldest->age_s;
    }
    hour->grown[EPHPM_HITS] = grown(now->hits, oldest->figures[EPHPM_HITS]);
    hour->grown[EPHPM_MISSES] = grown(now->misses,
                                      oldest->figures[EPHPM_MISSES]);
    hour->grown[EPHPM_EVICTIONS] = grown(now->evictions,
                                         oldest->figures[EPHPM_EVICTIONS]);
    hour->grown[EPHPM_EXPIRATIONS] =
        grown(now->expirations, oldest->figures[EPHPM_EXPIRATIONS]);
    hour->grown[EPHPM_REJECTIONS] = grown(now->rejections,
                                          oldest->figures[EPHPM_REJECTIONS]);
}

/* A counter, and how much of it is new. */
static void tile_counter(ephpm_text_t *text, const char *title,
                         uint64_t total, uint64_t new, const hour_t *hour,
                         bool bad)
{
    tile(text, title, bad && new > 0);
    ephpm_text_count(text, total);
    small(text);
    if (total == 0) {
        ephpm_text_raw(text, "so far");
    } else {
        if (new == total) {
            ephpm_text_raw(text, "all");
        } else {
            ephpm_text_count(text, new);
        }
        ephpm_text_raw(text, " in the last ");
        ephpm_text_duration(text, hour->age_s);
    }
    tile_end(text);
}

static void tiles(ephpm_text_t *text, const ephpm_store_facts_t *facts)
{
    const kv_stats_t *stats = &facts->stats;
    hour_t hour;
    uint64_t reads, all_reads = stats->hits + stats->misses;

    look_back(facts, &hour);
    ephpm_text_raw(text, "<dl class=\"tiles\">\n");
    tile(text, "Memory", false);
    ephpm_text_bytes(text, stats->used_bytes);
    small(text);
    ephpm_text_percent(text, (double)stats->used_bytes,
                       (double)stats->limit_bytes);
    ephpm_text_raw(text, " of ");
    ephpm_text_bytes(text, stats->limit_bytes);
    tile_end(text);

    tile(text, "Keys", false);
    ephpm_text_count(text, stats->entries);
    small(text);
    ephpm_text_raw(text, "index ");
    ephpm_text_percent(text, (double)stats->entries,
                       (double)stats->index_slots);
    ephpm_text_raw(text, " full");
    tile_end(text);

    reads = hour.grown[EPHPM_HITS] + hour.grown[EPHPM_MISSES];
    tile(text, "Hit rate", false);
    ephpm_text_percent(text, (double)stats->hits, (double)all_reads);
    small(text);
    if (reads > 0 && reads < all_reads) {
        ephpm_text_percent(text, (double)hour.grown[EPHPM_HITS],
                           (double)reads);
        ephpm_text_raw(text, " in the last ");
        ephpm_text_duration(text, hour.age_s);
    } else {
        ephpm_text_raw(text, "of ");
        ephpm_text_count(text, all_reads);
        ephpm_text_raw(text, " reads");
    }
    tile_end(text);

    tile_counter(text, "Evicted", stats->evictions,
                 hour.grown[EPHPM_EVICTIONS], &hour, false);
    tile_counter(text, "Expired", stats->expirations,
                 hour.grown[EPHPM_EXPIRATIONS], &hour, false);
    tile_counter(text, "Writes refused", stats->rejections,
                 hour.grown[EPHPM_REJECTIONS], &hour, true);

    tile(text, "Processes attached", stats->threads >= stats->threads_max);
    ephpm_text_count(text, stats->threads);
    small(text);
    ephpm_text_raw(text, "of ");
    ephpm_text_count(text, stats->threads_max);
    ephpm_text_raw(text, " places");
    tile_end(text);
    ephpm_text_raw(text, "</dl>\n");
}

/* ------------------------------------------------------------------ */
/* A store                                                             */

static void all_figures(ephpm_text_t *text, const ephpm_store_facts_t *facts)
{
    const kv_stats_t *stats = &facts->stats;

    ephpm_text_raw(text, "<details><summary>All figures</summary>"
                   "<div class=\"columns\"><table>\n");
    row_bytes(text, "Memory, limit", stats->limit_bytes);
    row_bytes(text, "Memory, used", stats->used_bytes);
    row_bytes(text, "Memory, reachable records", stats->live_bytes);
    row(text, "Segments, free");
    ephpm_text_count(text, stats->segments_free);
    ephpm_text_raw(text, " of ");
    ephpm_text_count(text, stats->segments);
    row_end(text);
    row_bytes(text, "Size of a segment", stats->segment_bytes);
    row_count(text, "Shards", stats->shards);
    row_count(text, "Keys", stats->entries);
    row_count(text, "Places in the index", stats->index_slots);
    row_bytes(text, "Largest value that fits", stats->value_max_bytes);
    row_count(text, "Hits", stats->hits);
    row_count(text, "Misses", stats->misses);
    row_count(text, "Values set", stats->sets);
    row_count(text, "Keys deleted", stats->deletes);
    row_count(text, "Keys evicted", stats->evictions);
    row_count(text, "Keys expired", stats->expirations);
    row_count(text, "Writes refused", stats->rejections);
    row_count(text, "Locks taken over from the dead", stats->steals);
    row(text, "Processes attached");
    ephpm_text_count(text, stats->threads);
    ephpm_text_raw(text, " of ");
    ephpm_text_count(text, stats->threads_max);
    row_end(text);
    ephpm_text_raw(text, "</table></div></details>\n");
}

static void compression(ephpm_text_t *text, const kv_config_t *config)
{
    if (config->compression == KV_COMPRESS_NONE) {
        ephpm_text_raw(text, "no compression");
        return;
    }
    ephpm_text_raw(text, kv_compression_name(config->compression));
    if (config->compression_level != 0) {
        ephpm_text_format(text, ":%d", config->compression_level);
    }
    ephpm_text_raw(text, " from ");
    ephpm_text_bytes(text, config->min_compress_bytes);
}

static void store_section(ephpm_text_t *text, const ephpm_status_t *status,
                          const ephpm_store_facts_t *facts)
{
    const char *name = facts->store->name;
    const kv_stats_t *stats = &facts->stats;

    ephpm_text_raw(text, "<section>\n<div class=\"name\"><h2>Store ");
    ephpm_text_html(text, name);
    ephpm_text_raw(text, "</h2><span class=\"dim\">");
    if (!facts->attached) {
        ephpm_text_raw(text, "</span></div>\n<p class=\"bad\">The process "
                       "that answers cannot use it; the server's error log "
                       "says why.</p>\n</section>\n");
        return;
    }
    ephpm_text_raw(text, kv_eviction_name(facts->config.eviction));
    ephpm_text_raw(text, ", ");
    compression(text, &facts->config);
    if (facts->age_s >= 0) {
        ephpm_text_raw(text, ", made ");
        ephpm_text_duration(text, (double)facts->age_s);
        ephpm_text_raw(text, " ago");
    }
    if (status->own_store != NULL && strcmp(status->own_store, name) == 0) {
        ephpm_text_raw(text, ", this site\xe2\x80\x99s");
    }
    ephpm_text_raw(text, "</span></div>\n");
    bar_begin(text, "Memory in use");
    bar_part(text, stats->rejections > 0
                       && facts->config.eviction == KV_NOEVICTION
                       && stats->segments_free == 0 ? 2 : 0,
             (double)stats->used_bytes, (double)stats->limit_bytes);
    bar_end(text);
    tiles(text, facts);
    if (facts->has_history) {
        ephpm_status_graphs(text, facts);
    }
    all_figures(text, facts);
    ephpm_text_raw(text, "</section>\n");
}

/* ------------------------------------------------------------------ */
/* What to look at                                                     */

typedef struct notes {
    ephpm_text_t *text;
    unsigned count;
} notes_t;

static ephpm_text_t *note(notes_t *notes)
{
    ephpm_text_raw(notes->text, notes->count++ == 0
        ? "<div class=\"note warn\" role=\"status\"><ul>\n<li>"
        : "</li>\n<li>");
    return notes->text;
}

static void store_notes(notes_t *notes, const ephpm_store_facts_t *facts)
{
    const kv_stats_t *stats = &facts->stats;
    ephpm_text_t *text;
    hour_t hour;

    if (!facts->attached) {
        text = note(notes);
        ephpm_text_raw(text, "Store ");
        ephpm_text_html(text, facts->store->name);
        ephpm_text_raw(text, " cannot be used by the process that answers.");
        return;
    }
    look_back(facts, &hour);
    if (hour.grown[EPHPM_REJECTIONS] > 0) {
        text = note(notes);
        ephpm_text_raw(text, "Store ");
        ephpm_text_html(text, facts->store->name);
        ephpm_text_raw(text, " has refused ");
        ephpm_text_count(text, hour.grown[EPHPM_REJECTIONS]);
        ephpm_text_raw(text, " writes in the last ");
        ephpm_text_duration(text, hour.age_s);
        ephpm_text_raw(text, " for want of room: make it larger, or let it "
                       "evict.");
    }
    if (stats->threads >= stats->threads_max) {
        text = note(notes);
        ephpm_text_raw(text, "Store ");
        ephpm_text_html(text, facts->store->name);
        ephpm_text_raw(text, " has no place left for a process: the next one "
                       "can read only.");
    }
    if (stats->index_slots > 0
        && (double)stats->entries >= 0.95 * (double)stats->index_slots) {
        text = note(notes);
        ephpm_text_raw(text, "The index of store ");
        ephpm_text_html(text, facts->store->name);
        ephpm_text_raw(text, " is full before its memory is: the keys are "
                       "many and small; make it larger.");
    }
}

static void opcache_notes(notes_t *notes,
                          const ephpm_status_opcache_t *opcache)
{
    if (opcache->state == EPHPM_OPCACHE_OFF) {
        ephpm_text_raw(note(notes), "opcache is off: every request compiles "
                       "its scripts.");
        return;
    }
    if (opcache->state != EPHPM_OPCACHE_ON) {
        return;
    }
    if (opcache->full) {
        ephpm_text_raw(note(notes), "opcache is full: scripts that are not "
                       "in it are compiled by every request; raise "
                       "opcache.memory_consumption.");
    }
    if (opcache->keys_max > 0
        && (double)opcache->keys >= 0.95 * (double)opcache->keys_max) {
        ephpm_text_raw(note(notes), "opcache has hardly a key left: raise "
                       "opcache.max_accelerated_files.");
    }
    if (opcache->strings_limit_bytes > 0
        && (double)opcache->strings_used_bytes
               >= 0.99 * (double)opcache->strings_limit_bytes) {
        ephpm_text_raw(note(notes), "opcache has no memory left for strings: "
                       "raise opcache.interned_strings_buffer.");
    }
    if (opcache->restart_pending || opcache->restart_in_progress) {
        ephpm_text_raw(note(notes), "opcache is about to be emptied, as soon "
                       "as no process uses it.");
    }
}

static void runner_notes(notes_t *notes, const ephpm_status_runners_t *runners)
{
    if (runners->failed) {
        ephpm_text_raw(note(notes), "PHP does not start; the server\xe2\x80"
                       "\x99s error log says why. It is tried again.");
    } else if (runners->alive == 0) {
        ephpm_text_raw(note(notes), "No runner is there yet.");
    } else if (runners->busy >= runners->limit && runners->queued > 0) {
        ephpm_text_format(note(notes), "All %u runners are busy, and %u "
                          "requests wait for one.", runners->busy,
                          runners->queued);
    }
    if (runners->refused > 0) {
        ephpm_text_t *text = note(notes);

        ephpm_text_count(text, runners->refused);
        ephpm_text_raw(text, " requests were refused, for the queue was "
                       "full: more runners, a longer queue, or faster "
                       "scripts.");
    }
    if (runners->crashes > 0) {
        ephpm_text_t *text = note(notes);

        ephpm_text_count(text, runners->crashes);
        ephpm_text_raw(text, " runners have crashed; the server\xe2\x80\x99s "
                       "error log names the scripts.");
    }
}

static void all_notes(ephpm_text_t *text, const ephpm_status_t *status,
                      const ephpm_store_facts_t *facts)
{
    notes_t notes = { text, 0 };
    unsigned busy = ephpm_status_busy(&status->workers);

    if (status->workers.limit > 0 && busy >= status->workers.limit) {
        ephpm_text_format(note(&notes), "All %u workers are busy: further "
                          "requests wait.", busy);
    }
    if (status->runners != NULL) {
        runner_notes(&notes, status->runners);
    }
    for (size_t i = 0; i < status->store_count; i++) {
        store_notes(&notes, &facts[i]);
    }
    opcache_notes(&notes, &status->opcache);
    ephpm_text_raw(text, notes.count > 0 ? "</li></ul></div>\n"
        : "<div class=\"note\" role=\"status\"><span class=\"good\">"
          "\xe2\x97\x8f</span> Nothing needs attention.</div>\n");
}

/* ------------------------------------------------------------------ */
/* Workers, PHP, opcache                                               */

static void key(ephpm_text_t *text, unsigned colour, const char *name,
                uint64_t count)
{
    ephpm_text_format(text, "<span><i class=\"s%u\"></i>%s ", colour, name);
    ephpm_text_count(text, count);
    ephpm_text_raw(text, "</span>");
}

static void workers_section(ephpm_text_t *text,
                            const ephpm_status_workers_t *workers)
{
    unsigned busy = ephpm_status_busy(workers);
    double all = workers->limit > 0 ? workers->limit
                                    : busy + workers->idle + workers->starting;

    ephpm_text_raw(text, "<section>\n<h2>Workers</h2>\n");
    bar_begin(text, "Workers, busy and idle");
    bar_part(text, 1, busy, all);
    bar_part(text, 0, workers->idle, all);
    bar_end(text);
    ephpm_text_raw(text, "<div class=\"key\">");
    key(text, 1, "busy", busy);
    key(text, 0, "idle", workers->idle);
    if (workers->limit > busy + workers->idle) {
        key(text, 3, "could be started",
            workers->limit - busy - workers->idle);
    }
    ephpm_text_raw(text, "</div>\n<table>\n");
    row_count(text, "Working on a response", workers->working);
    row_count(text, "Reading a request", workers->reading);
    row_count(text, "Waiting for a client\xe2\x80\x99s next request",
              workers->keepalive);
    row_count(text, "Closing, logging", workers->closing);
    row_count(text, "Finishing after a restart", workers->finishing);
    row_count(text, "Starting", workers->starting);
    if (workers->limit > 0) {
        row_count(text, "Limit", workers->limit);
    }
    ephpm_text_raw(text, "</table>\n</section>\n");
}

static void runners_section(ephpm_text_t *text,
                            const ephpm_status_runners_t *runners)
{
    unsigned idle = runners->alive > runners->busy
        ? runners->alive - runners->busy : 0;

    ephpm_text_raw(text, "<section>\n<h2>Runners</h2>\n");
    bar_begin(text, "Runners, busy and idle");
    bar_part(text, 1, runners->busy, runners->limit);
    bar_part(text, 0, idle, runners->limit);
    bar_end(text);
    ephpm_text_raw(text, "<div class=\"key\">");
    key(text, 1, "busy", runners->busy);
    key(text, 0, "idle", idle);
    if (runners->limit > runners->alive) {
        key(text, 3, "starting", runners->limit - runners->alive);
    }
    ephpm_text_raw(text, "</div>\n<table>\n");
    row(text, "Waiting for a runner");
    ephpm_text_count(text, runners->queued);
    ephpm_text_raw(text, ", at most ");
    ephpm_text_count(text, runners->queue_limit);
    row_end(text);
    row_count(text, "Requests", runners->requests);
    row(text, "Time a request has waited, on average");
    ephpm_text_decimal(text, runners->requests > 0
        ? (double)runners->queue_us / (double)runners->requests / 1e3 : 0, 2);
    ephpm_text_raw(text, "\xc2\xa0ms");
    row_end(text);
    row_count(text, "Refused, the queue was full", runners->refused);
    row_count(text, "Given up waiting", runners->expired);
    row_count(text, "Scripts ended for running too long",
              runners->timeouts);
    row_count(text, "Traces in the slow log", runners->slow);
    row_count(text, "Crashed", runners->crashes);
    row_count(text, "Recycled", runners->recycled);
    ephpm_text_raw(text, "</table>\n</section>\n");
}

static void resp_section(ephpm_text_t *text, const ephpm_status_resp_t *resp)
{
    ephpm_text_raw(text, "<section>\n<h2>Redis\xe2\x80\x99s protocol, ");
    ephpm_text_html(text, resp->address);
    ephpm_text_raw(text, "</h2>\n<table>\n");
    row_text(text, "Store", resp->store);
    row_count(text, "Clients", resp->clients);
    row_count(text, "Connections", resp->connections);
    row_count(text, "Commands", resp->commands);
    row_count(text, "Answered with an error", resp->errors);
    row_count(text, "Wrong passwords", resp->auth_failures);
    row_count(text, "Closed for what is not the protocol",
              resp->protocol_errors);
    row_count(text, "Closed for leaving answers unread", resp->drops);
    row_bytes(text, "Received", resp->input_bytes);
    row_bytes(text, "Sent", resp->output_bytes);
    ephpm_text_raw(text, "</table>\n</section>\n");
}

typedef struct names {
    ephpm_text_t *text;
    const char *comma;
    unsigned count;
} names_t;

static void count_extension(void *to, const char *name, const char *version)
{
    (void)name;
    (void)version;
    ((names_t *)to)->count++;
}

static void name_extension(void *to, const char *name, const char *version)
{
    names_t *names = to;

    ephpm_text_raw(names->text, names->comma);
    ephpm_text_html(names->text, name);
    if (version != NULL) {
        ephpm_text_raw(names->text, " <span class=\"dim\">");
        ephpm_text_html(names->text, version);
        ephpm_text_raw(names->text, "</span>");
    }
    names->comma = ", ";
}

static void php_section(ephpm_text_t *text, const ephpm_status_t *status)
{
    const ephpm_status_php_t *php = &status->php;
    names_t names = { text, "", 0 };

    ephpm_text_raw(text, "<section>\n<h2>PHP ");
    ephpm_text_html(text, php->version);
    ephpm_text_raw(text, "</h2>\n<table>\n");
    row_text(text, "Server API", php->sapi);
    row_text(text, "php.ini", php->ini_file ? php->ini_file : "none");
    row_text(text, "memory_limit", php->memory_limit);
    row_text(text, "max_execution_time", php->max_execution_time);
    row_text(text, "Extension ephpm", status->version);
    ephpm_text_raw(text, "</table>\n<details><summary>");
    status->each_extension(status, count_extension, &names);
    ephpm_text_format(text, "%u extensions</summary><p>", names.count);
    status->each_extension(status, name_extension, &names);
    ephpm_text_raw(text, "</p></details>\n</section>\n");
}

static void opcache_on(ephpm_text_t *text,
                       const ephpm_status_opcache_t *opcache)
{
    double all = (double)opcache->used_bytes + (double)opcache->free_bytes
                 + (double)opcache->wasted_bytes;

    bar_begin(text, "Memory of opcache, used and wasted");
    bar_part(text, 0, (double)opcache->used_bytes, all);
    bar_part(text, 2, (double)opcache->wasted_bytes, all);
    bar_end(text);
    ephpm_text_raw(text, "<table>\n");
    row(text, "Memory");
    ephpm_text_bytes(text, opcache->used_bytes);
    ephpm_text_raw(text, " of ");
    ephpm_text_bytes(text, (uint64_t)all);
    row_end(text);
    row_bytes(text, "Wasted by changed scripts", opcache->wasted_bytes);
    row_count(text, "Scripts", opcache->scripts);
    row(text, "Keys");
    ephpm_text_count(text, opcache->keys);
    ephpm_text_raw(text, " of ");
    ephpm_text_count(text, opcache->keys_max);
    row_end(text);
    row(text, "Hit rate");
    ephpm_text_percent(text, (double)opcache->hits,
                       (double)opcache->hits + (double)opcache->misses);
    ephpm_text_raw(text, " of ");
    ephpm_text_count(text, opcache->hits + opcache->misses);
    row_end(text);
    row(text, "Interned strings");
    ephpm_text_bytes(text, opcache->strings_used_bytes);
    ephpm_text_raw(text, " of ");
    ephpm_text_bytes(text, opcache->strings_limit_bytes);
    row_end(text);
    row(text, "Emptied for memory, keys, by hand");
    ephpm_text_count(text, opcache->restarts_memory);
    ephpm_text_raw(text, ", ");
    ephpm_text_count(text, opcache->restarts_keys);
    ephpm_text_raw(text, ", ");
    ephpm_text_count(text, opcache->restarts_manual);
    row_end(text);
    row(text, "JIT");
    if (opcache->jit_on) {
        ephpm_text_bytes(text, opcache->jit_limit_bytes
                                   - opcache->jit_free_bytes);
        ephpm_text_raw(text, " of ");
        ephpm_text_bytes(text, opcache->jit_limit_bytes);
    } else {
        ephpm_text_raw(text, "off");
    }
    row_end(text);
    ephpm_text_raw(text, "</table>\n");
}

static void opcache_section(ephpm_text_t *text,
                            const ephpm_status_opcache_t *opcache)
{
    ephpm_text_raw(text, "<section>\n<h2>opcache</h2>\n");
    switch (opcache->state) {
    case EPHPM_OPCACHE_ON:
        opcache_on(text, opcache);
        break;
    case EPHPM_OPCACHE_OFF:
        ephpm_text_raw(text, "<p>Off: not loaded, or opcache.enable is 0."
                       "</p>\n");
        break;
    case EPHPM_OPCACHE_SILENT:
        ephpm_text_raw(text, "<p>It may not be asked: opcache.restrict_api "
                       "or disable_functions is set.</p>\n");
        break;
    }
    ephpm_text_raw(text, "</section>\n");
}

/* ------------------------------------------------------------------ */
/* The page                                                            */

static void refresh_link(ephpm_text_t *text, unsigned seconds,
                         unsigned refresh_s)
{
    const char *current = seconds == refresh_s ? " aria-current=\"true\"" : "";

    if (seconds == 0) {
        ephpm_text_format(text, "<a href=\"?\"%s>%s</a>\n", current,
                          refresh_s == 0 ? "Load again" : "Stop");
    } else if (seconds == refresh_s) {
        ephpm_text_format(text, "<b>Every %u s</b>\n", seconds);
    } else {
        ephpm_text_format(text, "<a href=\"?refresh=%u\">Every %u s</a>\n",
                          seconds, seconds);
    }
}

static void head(ephpm_text_t *text, const ephpm_status_t *status,
                 unsigned refresh_s)
{
    time_t now = (time_t)status->now_s;
    char when[40] = "";
    struct tm utc;

    ephpm_text_raw(text, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
                   "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
                   "content=\"width=device-width, initial-scale=1\"/>\n"
                   "<meta name=\"robots\" content=\"noindex\"/>\n");
    if (refresh_s > 0) {
        ephpm_text_format(text, "<meta http-equiv=\"refresh\" "
                          "content=\"%u\"/>\n", refresh_s);
    }
    ephpm_text_raw(text, "<title>ephpm status: ");
    ephpm_text_html(text, status->site);
    ephpm_text_raw(text, "</title>\n<style>");
    ephpm_text_raw(text, ephpm_status_style);
    ephpm_text_raw(text, "</style>\n</head>\n<body>\n<header>\n<h1>"
                   "<span class=\"dim\">ephpm on</span> ");
    ephpm_text_html(text, status->site);
    ephpm_text_raw(text, "</h1>\n<nav>\n");
    refresh_link(text, 0, refresh_s);
    refresh_link(text, 5, refresh_s);
    refresh_link(text, 60, refresh_s);
    ephpm_text_raw(text, "<a href=\"?json\">JSON</a>\n"
                   "<a href=\"?metrics\">Metrics</a>\n</nav>\n<p>");
    ephpm_text_html(text, status->server);
    if (gmtime_r(&now, &utc) != NULL
        && strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &utc) > 0) {
        ephpm_text_raw(text, " \xc2\xb7 ");
        ephpm_text_raw(text, when);
    }
    if (status->restarted_s > 0 && status->now_s >= status->restarted_s) {
        ephpm_text_raw(text, " \xc2\xb7 started or restarted ");
        ephpm_text_duration(text,
                            (double)(status->now_s - status->restarted_s));
        ephpm_text_raw(text, " ago");
    }
    ephpm_text_raw(text, "</p>\n</header>\n");
}

void ephpm_status_page(ephpm_text_t *text, const ephpm_status_t *status,
                       unsigned refresh_s)
{
    ephpm_store_facts_t *facts = calloc(status->store_count + 1,
                                        sizeof(*facts));

    head(text, status, refresh_s);
    if (facts == NULL) {
        ephpm_text_raw(text, "<p>No memory for the page.</p>\n</body>\n"
                       "</html>\n");
        return;
    }
    for (size_t i = 0; i < status->store_count; i++) {
        ephpm_store_facts(&status->stores[i], &facts[i]);
    }
    ephpm_text_raw(text, "<main>\n");
    all_notes(text, status, facts);
    if (status->store_count == 0) {
        ephpm_text_raw(text, "<section>\n<h2>No store</h2>\n<p>The "
                       "server\xe2\x80\x99s configuration makes none, so "
                       "ephpm_kv_get() and its siblings find nothing."
                       "</p>\n</section>\n");
    }
    for (size_t i = 0; i < status->store_count; i++) {
        store_section(text, status, &facts[i]);
    }
    free(facts);
    ephpm_text_raw(text, "<div class=\"three\">\n");
    if (status->runners != NULL) {
        runners_section(text, status->runners);
    }
    if (ephpm_status_has_workers(status)) {
        workers_section(text, &status->workers);
    }
    for (size_t i = 0; i < status->resp_count; i++) {
        resp_section(text, &status->resp[i]);
    }
    php_section(text, status);
    opcache_section(text, &status->opcache);
    ephpm_text_raw(text, "</div>\n</main>\n<footer class=\"dim\">ephpm ");
    ephpm_text_html(text, status->version);
    ephpm_text_raw(text, ". Figures count since a store was made. Graphs: a "
                   "step is 15 seconds; where the ground is grey no request "
                   "ended, and nothing is known.</footer>\n</body>\n"
                   "</html>\n");
}
