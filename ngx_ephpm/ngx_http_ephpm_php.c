
/*
 * ngx_http_ephpm_php.c - the only source that knows PHP: what the spawner is
 * told of the configuration.
 *
 * All of it runs in the spawner and in what it forks.
 */


#include "ngx_http_ephpm_module.h"

#include "ephpm_ext.h"
#include "ephpm_pool.h"
#include "ephpm_sapi.h"

#include <pwd.h>


/* for scripts that were told to go on when the server stops */
#define NGX_HTTP_EPHPM_STOP  30000


typedef struct {
    ephpm_ini_t                *ini;
    size_t                      count;
} ngx_http_ephpm_list_t;


static void ngx_http_ephpm_log(int priority, const char *message);
static void ngx_http_ephpm_after_fork(void);
static void ngx_http_ephpm_started(void);
static const ephpm_ini_t *ngx_http_ephpm_list(uint32_t number, size_t *count);


/* ngx_http_ephpm_header.c goes by these */

typedef char ngx_http_ephpm_add_is_0[EPHPM_HEADER_ADD == 0 ? 1 : -1];
typedef char ngx_http_ephpm_replace_is_1[EPHPM_HEADER_REPLACE == 1 ? 1 : -1];


/* in the place of the main configuration, for callbacks without an argument */

static ngx_http_ephpm_main_conf_t  *ngx_http_ephpm_pool_conf;
static ngx_http_ephpm_list_t       *ngx_http_ephpm_lists;


const char *
ngx_http_ephpm_php_refusal(void)
{
    const char   *version;
    static char   text[256];

    version = ephpm_php_version();

    if (ephpm_php_fits(version)) {
        return NULL;
    }

    (void) ngx_snprintf((u_char *) text, sizeof(text),
                        "ngx_http_ephpm_module.so was built for PHP %s, but "
                        "the PHP library that was loaded is %s: install the "
                        "embed library of PHP %s, or build the module for the "
                        "other%Z",
                        ephpm_php_series,
                        version ? version : "of unknown version",
                        ephpm_php_series);

    return text;
}


/* A NUL-terminated copy that lives as long as the process. */

static char *
ngx_http_ephpm_text(ngx_pool_t *pool, ngx_str_t *s)
{
    u_char  *p;

    p = ngx_pnalloc(pool, s->len + 1);
    if (p == NULL) {
        _exit(2);
    }

    ngx_memcpy(p, s->data, s->len);
    p[s->len] = '\0';

    return (char *) p;
}


static void
ngx_http_ephpm_ini_convert(ngx_pool_t *pool, ephpm_ini_t *to,
    ngx_http_ephpm_ini_t *from)
{
    ngx_memzero(to, sizeof(ephpm_ini_t));

    to->name = ngx_http_ephpm_text(pool, &from->name);
    to->value = ngx_http_ephpm_text(pool, &from->value);
    to->admin = from->admin;
    to->file = (char *) from->file;
    to->line = (int) from->line;
}


static void
ngx_http_ephpm_lists_init(ngx_pool_t *pool, ngx_http_ephpm_main_conf_t *mcf)
{
    ngx_uint_t              i, n;
    ngx_array_t           **settings;
    ngx_http_ephpm_ini_t   *ini;
    ngx_http_ephpm_list_t  *list;

    /* the first is for locations without settings */

    list = ngx_pcalloc(pool, (mcf->settings.nelts + 1)
                             * sizeof(ngx_http_ephpm_list_t));
    if (list == NULL) {
        _exit(2);
    }

    ngx_http_ephpm_lists = list;

    list->ini = ngx_pcalloc(pool, sizeof(ephpm_ini_t));
    if (list->ini == NULL) {
        _exit(2);
    }

    settings = mcf->settings.elts;

    for (n = 0; n < mcf->settings.nelts; n++) {
        list++;

        list->count = settings[n]->nelts;
        list->ini = ngx_pcalloc(pool, list->count * sizeof(ephpm_ini_t));
        if (list->ini == NULL) {
            _exit(2);
        }

        ini = settings[n]->elts;
        for (i = 0; i < list->count; i++) {
            ngx_http_ephpm_ini_convert(pool, &list->ini[i], &ini[i]);
        }
    }
}


static const ephpm_ini_t *
ngx_http_ephpm_list(uint32_t number, size_t *count)
{
    if (number > ngx_http_ephpm_pool_conf->settings.nelts) {
        return NULL;
    }

    *count = ngx_http_ephpm_lists[number].count;

    return ngx_http_ephpm_lists[number].ini;
}


/* As php-fpm tells its children who they are. */

static void
ngx_http_ephpm_environment(void)
{
    struct passwd  *pw;

    pw = getpwuid(geteuid());

    if (pw) {
        (void) setenv("USER", pw->pw_name, 0);
        (void) setenv("HOME", pw->pw_dir, 0);
    }
}


void
ngx_http_ephpm_pool_run(ngx_cycle_t *cycle, ngx_http_ephpm_main_conf_t *mcf)
{
    ngx_uint_t                        i;
    ngx_core_conf_t                  *ccf;
    ephpm_pool_store_t               *stores;
    ngx_http_ephpm_store_t          **store;

    static ephpm_pool_t               pool;
    static zend_module_entry *const   modules[] = { &ephpm_module_entry };

    ngx_http_ephpm_pool_conf = mcf;
    ngx_http_ephpm_lists_init(cycle->pool, mcf);
    ngx_http_ephpm_environment();

    stores = ngx_pcalloc(cycle->pool, (mcf->stores.nelts + 1)
                                      * sizeof(ephpm_pool_store_t));
    if (stores == NULL) {
        _exit(2);
    }

    store = mcf->stores.elts;
    for (i = 0; i < mcf->stores.nelts; i++) {
        stores[i].name = ngx_http_ephpm_text(cycle->pool, &store[i]->name);
        stores[i].memory = store[i]->memory;
        stores[i].size_bytes = store[i]->size;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    pool.jobs = mcf->jobs;
    pool.sapi_name = "fpm-fcgi";
    pool.sapi_title = "nginx (ngx_ephpm)";
    pool.modules = modules;
    pool.module_count = 1;
    pool.stores = stores;
    pool.store_count = mcf->stores.nelts;
    pool.process_title = "nginx: ephpm runner";
    pool.temp_path = ngx_http_ephpm_text(cycle->pool, &mcf->temp_path->name);
    pool.terminate_ms = mcf->terminate_timeout;
    pool.max_requests = mcf->max_requests;
    pool.stop_ms = ccf->shutdown_timeout ? ccf->shutdown_timeout
                                         : NGX_HTTP_EPHPM_STOP;
    pool.supervisor = ngx_parent;
    pool.settings = ngx_http_ephpm_list;
    pool.log = ngx_http_ephpm_log;
    pool.after_fork = ngx_http_ephpm_after_fork;
    pool.started = ngx_http_ephpm_started;

    if (mcf->php_ini.len) {
        pool.ini_path = ngx_http_ephpm_text(cycle->pool, &mcf->php_ini);
    }

    if (mcf->slowlog_time) {
        pool.slowlog = ngx_http_ephpm_text(cycle->pool, &mcf->slowlog);
        pool.slowlog_ms = mcf->slowlog_time;
    }

    ephpm_spawner_run(&pool);
}


/*
 * nginx tells its own children alone to open their logs anew.  These
 * processes see for themselves whether the file has another name by now.
 */

static void
ngx_http_ephpm_log_reopen(ngx_log_t *log)
{
    int               fd;
    struct stat       now, then;
    ngx_open_file_t  *file;

    file = log->file;

    if (file == NULL || file->name.len == 0 || file->fd == ngx_stderr
        || fstat(file->fd, &then) == -1)
    {
        return;
    }

    if (stat((char *) file->name.data, &now) == 0
        && now.st_dev == then.st_dev && now.st_ino == then.st_ino)
    {
        return;
    }

    fd = open((char *) file->name.data, O_WRONLY|O_APPEND|O_CREAT|O_CLOEXEC,
              0644);

    if (fd != -1) {
        (void) dup3(fd, file->fd, O_CLOEXEC);
        (void) close(fd);
    }
}


static void
ngx_http_ephpm_log(int priority, const char *message)
{
    ngx_log_t  *log;

    for (log = ngx_cycle->log; log; log = log->next) {
        ngx_http_ephpm_log_reopen(log);
    }

    ngx_time_update();

    ngx_http_ephpm_log_message(ngx_cycle->log, priority, "ephpm: ",
                               (u_char *) message, ngx_strlen(message));
}


static void
ngx_http_ephpm_after_fork(void)
{
    ngx_pid = ngx_getpid();
}


static void
ngx_http_ephpm_started(void)
{
    ngx_uint_t             i;
    ephpm_ini_t            setting;
    ngx_http_ephpm_ini_t  *ini;

    ngx_pid = ngx_getpid();

    ini = ngx_http_ephpm_pool_conf->ini.elts;

    for (i = 0; i < ngx_http_ephpm_pool_conf->ini.nelts; i++) {
        ngx_http_ephpm_ini_convert(ngx_cycle->pool, &setting, &ini[i]);
        (void) ephpm_ini_check(&setting);
    }
}
