/* ephpm_status_httpd.c - the handler ephpm-status, and who takes the samples
 * that its graphs are drawn from.
 */

#include "ephpm_resp.h"

#include "ephpm_facts.h"
#include "ephpm_status.h"

#include <ap_mpm.h>
#include <apr_buckets.h>
#include <scoreboard.h>
#include <util_filter.h>

#include <string.h>
#include <time.h>

APLOG_USE_MODULE(ephpm);

/* ------------------------------------------------------------------ */
/* Samples                                                             */

static void sample_stores(void)
{
    uint64_t now_ms = ephpm_history_clock();

    for (int i = 0; i < ephpm_settings.stores->nelts; i++) {
        const ephpm_store_t *store = &APR_ARRAY_IDX(ephpm_settings.stores, i,
                                                    ephpm_store_t);
        kv_stats_t stats;

        if (store->handle != NULL && store->history != NULL
            && ephpm_history_due(store->history, now_ms)) {
            kv_store_stats(store->handle, &stats);
            ephpm_history_add(store->history, now_ms, &stats);
        }
    }
}

/* The client has its response already. */
int ephpm_status_sample(request_rec *r)
{
    (void)r;
    sample_stores();
    return DECLINED;
}

/* ------------------------------------------------------------------ */
/* Facts                                                               */

static void count_worker(ephpm_status_workers_t *workers, int status,
                         bool finishing)
{
    switch (status) {
    case SERVER_STARTING:
        workers->starting++;
        return;
    case SERVER_DEAD:
    case SERVER_IDLE_KILL:
        return;
    default:
        break;
    }
    if (finishing || status == SERVER_GRACEFUL) {
        /* One of before the restart that has nothing to do is on its way. */
        workers->finishing += status != SERVER_READY;
        return;
    }
    switch (status) {
    case SERVER_READY:
        workers->idle++;
        break;
    case SERVER_BUSY_READ:
        workers->reading++;
        break;
    case SERVER_BUSY_WRITE:
        workers->working++;
        break;
    case SERVER_BUSY_KEEPALIVE:
        workers->keepalive++;
        break;
    default:
        workers->closing++;
        break;
    }
}

static int mpm_number(int code)
{
    int number;

    return ap_mpm_query(code, &number) == APR_SUCCESS && number > 0 ? number
                                                                    : 0;
}

/* A new child may be given the place of one whose threads have not ended:
 * under threaded MPMs each of these says whose it is. */
static bool is_finishing(const global_score *global,
                         const process_score *process,
                         const worker_score *worker)
{
    return process->quiescing
           || process->generation != global->running_generation
           || (worker->pid != 0 && worker->pid != process->pid);
}

static void count_workers(ephpm_status_workers_t *workers)
{
    const global_score *global;
    int threads = mpm_number(AP_MPMQ_MAX_THREADS);

    workers->limit = (unsigned)(mpm_number(AP_MPMQ_MAX_DAEMONS)
                                * (threads > 0 ? threads : 1));
    if (!ap_exists_scoreboard_image()) {
        return;
    }
    global = ap_get_scoreboard_global();
    for (int i = 0; i < global->server_limit; i++) {
        const process_score *process = ap_get_scoreboard_process(i);

        for (int j = 0; process->pid != 0 && j < global->thread_limit; j++) {
            const worker_score *worker =
                ap_get_scoreboard_worker_from_indexes(i, j);

            count_worker(workers, worker->status,
                         is_finishing(global, process, worker));
        }
    }
}

static const ephpm_status_store_t *list_stores(apr_pool_t *pool)
{
    int count = ephpm_settings.stores->nelts;
    ephpm_status_store_t *list = apr_pcalloc(pool, (apr_size_t)(count + 1)
                                                   * sizeof(*list));

    for (int i = 0; i < count; i++) {
        const ephpm_store_t *store = &APR_ARRAY_IDX(ephpm_settings.stores, i,
                                                    ephpm_store_t);

        list[i].name = store->name;
        list[i].handle = store->handle;
        list[i].history = store->history;
    }
    return list;
}

/* PHP is in other processes. */
static void ask_runners(request_rec *r, ephpm_status_t *status)
{
    ephpm_status_runners_t *runners = apr_palloc(r->pool, sizeof(*runners));

    ephpm_facts_fill(ephpm_jobs, status,
                     apr_palloc(r->pool, EPHPM_FACTS_BYTES));
    ephpm_facts_runners(ephpm_jobs, runners);
    status->runners = runners;
}

static void collect(request_rec *r, ephpm_status_t *status)
{
    const ephpm_server_config_t *config =
        ap_get_module_config(r->server->module_config, &ephpm_module);

    memset(status, 0, sizeof(*status));
    status->version = EPHPM_VERSION;
    status->server = ap_get_server_banner();
    status->site = ap_get_server_name(r);
    status->now_s = (int64_t)time(NULL);
    if (ap_exists_scoreboard_image()) {
        status->restarted_s =
            apr_time_sec(ap_get_scoreboard_global()->restart_time);
    }
    status->stores = list_stores(r->pool);
    status->store_count = (size_t)ephpm_settings.stores->nelts;
    if (!config->kv_off && config->store >= 0) {
        status->own_store = status->stores[config->store].name;
    }
    status->resp = ephpm_resp_status(r->pool, &status->resp_count);
    count_workers(&status->workers);
    if (ephpm_jobs != NULL) {
        ask_runners(r, status);
    } else {
        ephpm_status_ask_php(status);
    }
}

/* ------------------------------------------------------------------ */
/* The handler                                                         */

static void add_text(void *brigade, const char *text, size_t bytes)
{
    apr_brigade_write(brigade, NULL, NULL, text, bytes);
}

int ephpm_status_handler(request_rec *r)
{
    apr_bucket_alloc_t *buckets = r->connection->bucket_alloc;
    ephpm_status_query_t query;
    apr_bucket_brigade *answer;
    ephpm_status_t status;

    if (r->handler == NULL || strcmp(r->handler, "ephpm-status") != 0) {
        return DECLINED;
    }
    /* With an error's page too. */
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    if (r->method_number != M_GET) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
        return HTTP_METHOD_NOT_ALLOWED;
    }
    query = ephpm_status_query(r->args);
    ap_set_content_type(r, ephpm_status_type(query.format));
    apr_table_setn(r->headers_out, "Content-Security-Policy",
                   ephpm_status_policy);
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    r->no_local_copy = 1;

    answer = apr_brigade_create(r->pool, buckets);
    if (query.format == EPHPM_STATUS_BAD_QUERY) {
        r->status = HTTP_BAD_REQUEST;
        add_text(answer, ephpm_status_bad_query,
                 strlen(ephpm_status_bad_query));
    } else {
        sample_stores();
        collect(r, &status);
        ephpm_status_write(&status, &query, add_text, answer);
    }
    APR_BRIGADE_INSERT_TAIL(answer, apr_bucket_eos_create(buckets));
    return ap_pass_brigade(r->output_filters, answer) == APR_SUCCESS
               || r->connection->aborted ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
