/* ephpm_runners.c - the job table, and the spawner.
 *
 *   parent   check_config    how many processes, how long a queue
 *            post_config     the table is made; the spawner is forked, last
 *                            of all, when nothing can fail any more
 *              spawner         no privileges, no listeners; starts PHP, forks
 *                              the runners (php-embed/ephpm_pool.h)
 *            (it dies)       another one, after a pause if it did so at once
 *            restart         pconf is cleared: the parent's mapping goes, and
 *                            its callback; nobody is signalled
 *            post_config     of the next cycle: its own spawner; that of
 *                            before is told to leave once the children of its
 *                            cycle have (SIGQUIT)
 *   child    child_init      a submitter's place, held by the main thread
 *
 * ephpm_watched.c starts and watches it.
 */

#include "mod_ephpm.h"

#include "ephpm_pool.h"

#include <ap_mpm.h>
#include <mpm_common.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <zend_ini.h>

APLOG_USE_MODULE(ephpm);

ephpm_jobs_t *ephpm_jobs;

static ephpm_pool_t pool;
static pid_t made_by;

/* ------------------------------------------------------------------ */
/* What php.ini says                                                   */

/* The settings that a child wants to know before it has a runner's answer. */
typedef enum known {
    KNOWN_ENGINE,
    KNOWN_XBITHACK,
    KNOWN_COUNT
} known_t;

static const struct {
    const char *name;
    bool by_default;
} known[KNOWN_COUNT] = {
    { "engine", true }, { "xbithack", false }
};

enum { NOT_KNOWN, KNOWN_OFF, KNOWN_ON };

#define STARTING_MS 10

/* Shared with spawner and children, of this cycle. */
static _Atomic unsigned char *php_says;

/* In the spawner, once PHP has started. */
static void php_started(void)
{
    for (int i = 0; i < KNOWN_COUNT; i++) {
        const char *name = known[i].name;
        bool on = zend_ini_long((char *)name, strlen(name), 0) != 0;

        atomic_store(&php_says[i], on ? KNOWN_ON : KNOWN_OFF);
    }
    ephpm_settings_check_ini();
}

static unsigned char said_of(int which)
{
    unsigned char said = atomic_load(&php_says[which]);

    for (unsigned ms = 0; said == NOT_KNOWN && !ephpm_child_stopping()
             && ms < ephpm_settings.runners.queue_ms
             && ephpm_pulse_get(ephpm_jobs) == EPHPM_PULSE_STARTING;
         ms += STARTING_MS) {
        apr_sleep(apr_time_from_msec(STARTING_MS));
        said = atomic_load(&php_says[which]);
    }
    return said;
}

bool ephpm_runners_flag(const char *name)
{
    for (int i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(known[i].name, name) == 0) {
            unsigned char said = said_of(i);

            return said == NOT_KNOWN ? known[i].by_default : said == KNOWN_ON;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ */
/* The table                                                           */

bool ephpm_threaded(void)
{
    int threaded = AP_MPMQ_NOT_SUPPORTED;

    return ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS
           && threaded != AP_MPMQ_NOT_SUPPORTED;
}

static unsigned mpm_number(int code, unsigned otherwise)
{
    int number;

    return ap_mpm_query(code, &number) == APR_SUCCESS && number > 0
        ? (unsigned)number : otherwise;
}

const char *ephpm_temp_path(void)
{
    return pool.temp_path;
}

/* Children inherit the mapping and may run this when they exit, while their
 * threads still serve. */
static apr_status_t drop_table(void *unused)
{
    (void)unused;
    if (getpid() == made_by) {
        ephpm_jobs_free(ephpm_jobs);
        munmap((void *)php_says, KNOWN_COUNT);
        ephpm_jobs = NULL;
        php_says = NULL;
    }
    return APR_SUCCESS;
}

/* By default seven of eight threads may wait for PHP, so that one is left for
 * everything else. */
static unsigned queue_length(unsigned processes, unsigned threads)
{
    unsigned waiting = threads - (threads + 7) / 8;

    if (ephpm_settings.runners.queue >= 0) {
        return (unsigned)ephpm_settings.runners.queue;
    }
    if (waiting <= processes) {
        return threads > processes + 1 ? threads - processes - 1 : 1;
    }
    return waiting - processes < EPHPM_QUEUE_MAX ? waiting - processes
                                                 : EPHPM_QUEUE_MAX;
}

int ephpm_runners_make(apr_pool_t *pconf, server_rec *server)
{
    unsigned threads = mpm_number(AP_MPMQ_MAX_DAEMONS, 1)
                       * mpm_number(AP_MPMQ_MAX_THREADS, 1);
    ephpm_jobs_config_t config = {
        .runners = ephpm_settings.runners.processes,
        .submitters = mpm_number(AP_MPMQ_HARD_LIMIT_DAEMONS, 64),
        .events = false,
    };

    config.queue = queue_length(config.runners, threads);
    if (config.submitters > EPHPM_SUBMITTERS_MAX) {
        config.submitters = EPHPM_SUBMITTERS_MAX;
    }
    if (config.runners + config.queue >= threads) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
            "EphpmProcesses %u and EphpmQueue %u together are not less than "
            "MaxRequestWorkers %u: with as many requests for PHP nobody is "
            "left to serve a file; make one of the two smaller, or "
            "MaxRequestWorkers larger",
            config.runners, config.queue, threads);
    }
    php_says = mmap(NULL, KNOWN_COUNT, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (php_says == MAP_FAILED) {
        php_says = NULL;
    } else {
        ephpm_jobs = ephpm_jobs_make(&config);
    }
    if (ephpm_jobs == NULL) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, errno, server,
            "shared memory for %u processes of PHP and a queue of %u cannot "
            "be had: make EphpmProcesses or EphpmQueue smaller, or free "
            "memory", config.runners, config.queue);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    made_by = getpid();
    apr_pool_cleanup_register(pconf, NULL, drop_table, apr_pool_cleanup_null);
    return OK;
}

/* ------------------------------------------------------------------ */
/* The spawner's own process                                           */

static void log_outside(int priority, const char *message)
{
    ephpm_php_log(NULL, priority, message);
}

static void check_temp_path(server_rec *server)
{
    if (access(pool.temp_path, W_OK | X_OK) != 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, server,
            "no files can be made in %s by this user: large requests and "
            "responses will fail; name another directory with EphpmTempPath",
            pool.temp_path);
    }
}

static void be_spawner(apr_pool_t *pconf, server_rec *server, pid_t parent,
                       unsigned pause_s)
{
    ephpm_resp_forget();
    if (!ephpm_process_leave(pconf, server, NULL, 0)) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server,
            "PHP is not started: the privileges of root cannot be dropped");
        _exit(77);
    }
    check_temp_path(server);
    for (unsigned left = pause_s; left > 0 && getppid() == parent;
         left--) {
        sleep(1);
    }
    ephpm_spawner_run(&pool);
}

/* ------------------------------------------------------------------ */
/* ... and in the parent                                               */

static ephpm_watched_t spawner = {
    .name = "the spawner of PHP's processes",
    .retained_key = "mod_ephpm spawners 2",
    .run = be_spawner
};

static const ephpm_pool_store_t *list_stores(apr_pool_t *pconf)
{
    const apr_array_header_t *stores = ephpm_settings.stores;
    ephpm_pool_store_t *list = apr_pcalloc(pconf,
        (apr_size_t)(stores->nelts + 1) * sizeof(*list));

    for (int i = 0; i < stores->nelts; i++) {
        const ephpm_store_t *store = &APR_ARRAY_IDX(stores, i, ephpm_store_t);

        list[i].name = store->name;
        list[i].memory = store->memory;
        list[i].size_bytes = store->size_bytes;
    }
    return list;
}

int ephpm_runners_start(apr_pool_t *pconf)
{
    static zend_module_entry *const modules[] = {
        &ephpm_module_entry, &ephpm_apache_entry
    };
    const ephpm_runner_settings_t *settings = &ephpm_settings.runners;
    const char *folder = settings->temp_path;

    if (folder == NULL
        && apr_temp_dir_get(&folder, pconf) != APR_SUCCESS) {
        folder = "/tmp";
    }
    pool = (ephpm_pool_t){
        .jobs = ephpm_jobs,
        .supervisor = getpid(),
        .sapi_name = ephpm_httpd.name,
        .sapi_title = ephpm_httpd.title,
        .ini_path = ephpm_settings.ini_path,
        .modules = modules,
        .module_count = sizeof(modules) / sizeof(modules[0]),
        .stores = list_stores(pconf),
        .store_count = (unsigned)ephpm_settings.stores->nelts,
        .process_title = "httpd: ephpm runner",
        .php_answers = true,
        .temp_path = folder,
        .slowlog = settings->slowlog,
        .slowlog_ms = settings->slowlog_ms,
        .terminate_ms = settings->terminate_ms,
        .max_requests = settings->max_requests,
        .stop_ms = 5000,
        .log = log_outside,
        .started = php_started,
    };
    ephpm_watched_begin(&spawner, pconf);
    ephpm_watched_dismiss(&spawner);
    return ephpm_watched_start(&spawner);
}

void ephpm_runners_look(void)
{
    ephpm_watched_look(&spawner);
}

/* ------------------------------------------------------------------ */
/* Children                                                            */

static _Atomic bool stopping;
static bool attached;

void ephpm_runners_attach(server_rec *server)
{
    if (ephpm_submitter_attach(ephpm_jobs, -1) < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, server,
            "there is no place for this process in the table of PHP's jobs: "
            "it answers 503 for scripts");
        return;
    }
    attached = true;
}

void ephpm_runners_detach(void)
{
    if (attached) {
        attached = false;
        ephpm_submitter_detach(ephpm_jobs);
    }
}

/* Threads that wait for a runner look every EPHPM_LOOK_AGAIN_MS. */
void ephpm_runners_child_stopping(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    if (!graceful) {
        atomic_store(&stopping, true);
    }
}

bool ephpm_child_stopping(void)
{
    return atomic_load_explicit(&stopping, memory_order_relaxed);
}
