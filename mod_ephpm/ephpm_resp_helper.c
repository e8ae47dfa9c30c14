/* ephpm_resp_helper.c - the process that serves EphpmResp's listeners;
 * ephpm_watched.c starts and watches it.
 *
 * One process for all lines: it waits in epoll, so that a thousand idle
 * clients cost memory, and none of httpd's children.  It runs no script.
 *
 * Signals: SIGTERM ends it; SIGQUIT means that there is a successor: it closes
 * its listeners and leaves after its clients (resp_server_drain()).  It is
 * killed when the parent dies, stopped or not: the store bears that, and
 * nobody finds the address taken.
 */

#include "ephpm_resp.h"

#include "ephpm_pool.h"

#include <ap_mpm.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

APLOG_USE_MODULE(ephpm);

#define CLIENTS_MAX 10000u
/* Descriptors that are no client's. */
#define OTHER_FILES 64u
#define IDLE_SECONDS 3600u

/* ------------------------------------------------------------------ */
/* Figures for the status page                                         */

/* One for each line; shared, from this cycle's helper to its children.  A
 * script may write there too: who reads believes nothing but numbers. */
static resp_stats_t *figures;
static pid_t started_by;        /* the parent */

static apr_size_t figures_bytes(void)
{
    return (apr_size_t)ephpm_settings.resp->nelts * sizeof(*figures);
}

/* Children inherit the mapping, and may run this when they exit. */
static apr_status_t drop_figures(void *unused)
{
    (void)unused;
    if (getpid() == started_by && figures != NULL) {
        munmap(figures, figures_bytes());
        figures = NULL;
    }
    return APR_SUCCESS;
}

static void make_figures(apr_pool_t *pconf)
{
    figures = mmap(NULL, figures_bytes(), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (figures == MAP_FAILED) {
        figures = NULL;
        ap_log_error(APLOG_MARK, APLOG_WARNING, errno, ephpm_main_server,
            "the status page has no figures of EphpmResp, for shared memory "
            "cannot be had");
        return;
    }
    apr_pool_cleanup_register(pconf, NULL, drop_figures,
                              apr_pool_cleanup_null);
}

const ephpm_status_resp_t *ephpm_resp_status(apr_pool_t *pool, size_t *count)
{
    int lines = figures != NULL ? ephpm_settings.resp->nelts : 0;
    ephpm_status_resp_t *list = apr_pcalloc(pool, (apr_size_t)(lines + 1)
                                                  * sizeof(*list));

    for (int i = 0; i < lines; i++) {
        const resp_stats_t stats = figures[i];

        list[i] = (ephpm_status_resp_t){
            .address = EPHPM_RESP_LINE(i)->address,
            .store = EPHPM_RESP_LINE(i)->store_name,
            .clients = stats.clients,
            .connections = stats.connections,
            .commands = stats.commands,
            .errors = stats.errors,
            .protocol_errors = stats.protocol_errors,
            .auth_failures = stats.auth_failures,
            .drops = stats.drops,
            .input_bytes = stats.input_bytes,
            .output_bytes = stats.output_bytes,
        };
    }
    *count = (size_t)lines;
    return list;
}

/* ------------------------------------------------------------------ */
/* The helper's own process                                            */

static resp_server_t *volatile loop;
static volatile sig_atomic_t told;

static void hear(int number)
{
    resp_server_t *server = loop;

    if (told != SIGTERM) {
        told = number;
    }
    if (server != NULL && number == SIGTERM) {
        resp_server_stop(server);
    } else if (server != NULL) {
        resp_server_drain(server);
    }
}

static void hear_signals(void)
{
    static const int ignored[] = { SIGHUP, SIGINT, SIGPIPE, SIGUSR1, SIGUSR2 };
    struct sigaction action = { .sa_handler = hear };

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGQUIT, &action, NULL);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        signal(ignored[i], SIG_IGN);
    }
}

/* As many clients as there are descriptors for; root may have more of them. */
static unsigned clients_max(void)
{
    const rlim_t wanted = CLIENTS_MAX + OTHER_FILES;
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return 0;
    }
    if (files.rlim_cur < wanted) {
        files.rlim_cur = wanted;
        if (files.rlim_max < wanted && geteuid() == 0) {
            files.rlim_max = wanted;
        } else if (files.rlim_max < wanted) {
            files.rlim_cur = files.rlim_max;
        }
        if (setrlimit(RLIMIT_NOFILE, &files) != 0
            && getrlimit(RLIMIT_NOFILE, &files) != 0) {
            return 0;
        }
    }
    return files.rlim_cur >= wanted ? CLIENTS_MAX
         : files.rlim_cur > 2 * OTHER_FILES
             ? (unsigned)files.rlim_cur - OTHER_FILES : OTHER_FILES;
}

static kv_store_t *attach(server_rec *server, int index)
{
    ephpm_store_t *store = &APR_ARRAY_IDX(ephpm_settings.stores, index,
                                          ephpm_store_t);
    kv_result_t result;

    if (store->handle != NULL) {
        return store->handle;
    }
    result = kv_store_attach(store->memory, store->size_bytes,
                             &store->handle);
    if (result != KV_OK) {
        store->handle = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, server,
            "EphpmStore %s cannot be used by the helper of EphpmResp: %s",
            store->name, kv_result_text(result));
    }
    return store->handle;
}

/* One that is leaving has a successor, whose figures count. */
static void tell_figures(void *unused)
{
    (void)unused;
    if (told != 0 || figures == NULL) {
        return;
    }
    for (int i = 0; i < ephpm_settings.resp->nelts; i++) {
        const resp_service_t *service = EPHPM_RESP_LINE(i)->service;

        if (service != NULL) {
            resp_service_stats(service, &figures[i]);
        } else {
            memset(&figures[i], 0, sizeof(figures[i]));
        }
    }
}

/* @return false: said why in the log */
static bool add_line(server_rec *server, resp_server_t *serving,
                     ephpm_resp_line_t *line)
{
    resp_settings_t settings = {
        .name = line->store_name,
        .password = line->password,
        .password_bytes = line->password_bytes,
    };
    kv_store_t *store;

    if (line->listener < 0) {
        return true;
    }
    store = attach(server, line->store);
    if (store == NULL) {
        return false;
    }
    line->service = resp_service_create(store, &settings);
    if (line->service == NULL
        || !resp_server_add(serving, line->listener, line->service)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, server,
                     "%s: EphpmResp %s cannot be served", line->where,
                     line->address);
        return false;
    }
    return true;
}

/* Services have copies of their passwords. */
static void wipe_passwords(void)
{
    for (int i = 0; i < ephpm_settings.resp->nelts; i++) {
        const ephpm_resp_line_t *line = EPHPM_RESP_LINE(i);

        if (line->password != NULL) {
            explicit_bzero(line->password, line->password_bytes);
        }
    }
}

static int serve(server_rec *server, unsigned most_clients)
{
    const resp_server_settings_t settings = {
        .clients_max = most_clients,
        .idle_seconds = IDLE_SECONDS,
        .each_second = tell_figures,
    };
    resp_server_t *serving = resp_server_create(&settings);
    bool ended_well;

    if (serving == NULL) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, server,
                     "the helper of EphpmResp cannot be made");
        return EXIT_FAILURE;
    }
    for (int i = 0; i < ephpm_settings.resp->nelts; i++) {
        if (!add_line(server, serving, EPHPM_RESP_LINE(i))) {
            return EXIT_FAILURE;
        }
    }
    wipe_passwords();
    loop = serving;
    if (told != 0) {
        hear(told);
    }
    ended_well = resp_server_run(serving);
    if (!ended_well) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, server,
                     "the helper of EphpmResp cannot wait for its clients");
    }
    loop = NULL;
    resp_server_destroy(serving);
    for (int i = 0; i < ephpm_settings.resp->nelts; i++) {
        resp_service_destroy(EPHPM_RESP_LINE(i)->service);
    }
    ephpm_stores_detach();
    return ended_well ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void be_helper(apr_pool_t *pconf, server_rec *server,
                                pid_t parent, unsigned pause_s)
{
    int count = ephpm_settings.resp->nelts;
    int *listeners = apr_palloc(pconf, (apr_size_t)count * sizeof(int));
    unsigned most_clients = clients_max();

    for (int i = 0; i < count; i++) {
        listeners[i] = EPHPM_RESP_LINE(i)->listener;
    }
    if (!ephpm_process_leave(pconf, server, listeners, count)) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server,
            "the helper of EphpmResp is not started: the privileges of root "
            "cannot be dropped");
        _exit(EXIT_FAILURE);
    }
    hear_signals();
    ephpm_process_private();
    ephpm_process_title("httpd: ephpm resp", "ephpm-resp");
    /* Dropping privileges would have undone it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(EXIT_SUCCESS);
    }
    for (unsigned left = pause_s; left > 0 && told == 0; left--) {
        sleep(1);
    }
    /* What httpd and PHP would do at their end is the parent's to do. */
    _exit(told == 0 ? serve(server, most_clients) : EXIT_SUCCESS);
}

/* ------------------------------------------------------------------ */
/* ... and in the parent                                               */

static ephpm_watched_t helper = {
    .name = "the helper of EphpmResp",
    .retained_key = "mod_ephpm resp helpers 2",
    .deaths_at_once = 3,
    /* It may die by what its first client asks for. */
    .signals_count = true,
    .run = be_helper
};

int ephpm_resp_start(apr_pool_t *pconf)
{
    int done = OK;

    ephpm_watched_begin(&helper, pconf);
    started_by = getpid();
    figures = NULL;
    if (ephpm_settings.resp->nelts > 0) {
        make_figures(pconf);
        done = ephpm_watched_start(&helper);
    }
    if (done == OK) {
        ephpm_watched_dismiss(&helper);
    }
    return done;
}

void ephpm_resp_look(void)
{
    ephpm_watched_look(&helper);
}
