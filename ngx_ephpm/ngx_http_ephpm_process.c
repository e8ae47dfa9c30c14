
/*
 * ngx_http_ephpm_process.c - the job table, the spawner, the workers' side.
 *
 *     master
 *       |-- worker                  a submitter
 *       |-- worker                  a submitter
 *       `-- cache manager           nginx's own, for ephpm_temp_path
 *             `-- spawner           only if none lives
 *
 * nginx gives modules no kind of process.  But for a path with a "manager"
 * callback it runs its cache manager, starts it again when it has died, and
 * renews it at a reload.  That process has its own work too and leaves at
 * once when it is told to; so all that happens in there is a look at whether
 * a spawner lives.
 *
 * The worker waits for its eventfd as for a connection.  It is marked as a
 * channel: as such it is nobody's to close, and no connection that was
 * forgotten when the worker leaves.
 */


#include "ngx_http_ephpm_module.h"

#include <sys/prctl.h>
#if (NGX_HAVE_CAPABILITIES)
#include <linux/capability.h>
#include <sys/syscall.h>
#endif


#define NGX_HTTP_EPHPM_MANAGER_INTERVAL  250
#define NGX_HTTP_EPHPM_SPAWNER_PAUSE     8000


typedef struct {
    ephpm_jobs_t                *jobs;
    ngx_queue_t                  all;
    ngx_queue_t                  waiting;
    ngx_queue_t                  active;
    ngx_event_t                  tick;
    ngx_http_ephpm_main_conf_t  *main_conf;
} ngx_http_ephpm_worker_t;


static void ngx_http_ephpm_jobs_cleanup(void *data);
static ngx_int_t ngx_http_ephpm_slowlog_create(ngx_cycle_t *cycle,
    ngx_http_ephpm_main_conf_t *mcf, ngx_core_conf_t *ccf);
static void ngx_http_ephpm_spawner(ngx_http_ephpm_main_conf_t *mcf);
static void ngx_http_ephpm_event_handler(ngx_event_t *ev);
static void ngx_http_ephpm_tick_handler(ngx_event_t *ev);


static ngx_http_ephpm_worker_t  ngx_http_ephpm_worker;


/*
 * Everything is known here, and what fails is still reported: an error in
 * init_module would end the master.
 */

char *
ngx_http_ephpm_init_conf(ngx_cycle_t *cycle, void *conf)
{
    ngx_core_conf_t             *ccf;
    ngx_pool_cleanup_t          *cln;
    ephpm_jobs_config_t          config;
    ngx_http_ephpm_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ephpm_module);

    if (mcf == NULL) {
        return NGX_CONF_OK;
    }

    mcf->started = ngx_time();

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (mcf->enabled && !ccf->master) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "ephpm: \"master_process off\" cannot be used with "
                      "\"ephpm on\": it is the master that keeps the PHP "
                      "processes running; remove that line");
        return NGX_CONF_ERROR;
    }

    if (ngx_process == NGX_PROCESS_SIGNALLER) {
        return NGX_CONF_OK;
    }

    /* a worker is attached once more where it answers "ephpm_kv_resp" */

    if (ngx_http_ephpm_stores_check(cycle, mcf,
                                    2 * ccf->worker_processes + mcf->processes)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (!mcf->enabled) {
        return NGX_CONF_OK;
    }

    if (ccf->worker_processes > (ngx_int_t) EPHPM_SUBMITTERS_MAX) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "ephpm: at most %ui \"worker_processes\" can be used "
                      "with \"ephpm on\"", (ngx_uint_t) EPHPM_SUBMITTERS_MAX);
        return NGX_CONF_ERROR;
    }

    if (ngx_test_config) {
        return NGX_CONF_OK;
    }

    if (ngx_http_ephpm_slowlog_create(cycle, mcf, ccf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    config.runners = mcf->processes;
    config.queue = mcf->queue;
    config.submitters = ccf->worker_processes;
    config.events = true;

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->jobs = ephpm_jobs_make(&config);

    if (mcf->jobs == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "ephpm: the table of requests for %ui processes and a "
                      "queue of %ui cannot be made",
                      mcf->processes, mcf->queue);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_ephpm_jobs_cleanup;
    cln->data = mcf;

    return NGX_CONF_OK;
}


static void
ngx_http_ephpm_jobs_cleanup(void *data)
{
    ngx_http_ephpm_main_conf_t  *mcf = data;

    ephpm_jobs_free(mcf->jobs);
    mcf->jobs = NULL;
}


/*
 * Runners write the slow log, as nginx's user, and the directory may be
 * root's: so the file is made here.  What is there already must be a file
 * that nobody can have put in the place of another.
 */

static ngx_int_t
ngx_http_ephpm_slowlog_create(ngx_cycle_t *cycle,
    ngx_http_ephpm_main_conf_t *mcf, ngx_core_conf_t *ccf)
{
    int          fd;
    struct stat  sb;

    if (mcf->slowlog_time == 0) {
        return NGX_OK;
    }

    fd = open((char *) mcf->slowlog.data,
              O_WRONLY|O_APPEND|O_CREAT|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC, 0600);

    if (fd == -1 || fstat(fd, &sb) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "\"ephpm_slowlog\" \"%V\" cannot be opened",
                      &mcf->slowlog);
        goto failed;
    }

    if (S_ISREG(sb.st_mode) && sb.st_nlink != 1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"ephpm_slowlog\" \"%V\" is a file with several names: "
                      "remove it, or name another", &mcf->slowlog);
        goto failed;
    }

    if (geteuid() == 0 && S_ISREG(sb.st_mode) && sb.st_uid != ccf->user
        && fchown(fd, ccf->user, -1) == -1)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "fchown(\"%V\", %d) failed", &mcf->slowlog, ccf->user);
        goto failed;
    }

    (void) close(fd);

    return NGX_OK;

failed:

    if (fd != -1) {
        (void) close(fd);
    }

    return NGX_ERROR;
}


/* in the cache manager */

ngx_msec_t
ngx_http_ephpm_manager(void *data)
{
    ngx_http_ephpm_main_conf_t  *mcf = data;

    ngx_pid_t          pid;
    ngx_msec_t         now;

    static ngx_pid_t   last;
    static ngx_msec_t  last_fork, pause;

    if (mcf->jobs == NULL || ngx_quit || ngx_terminate
        || ephpm_spawner_lives(mcf->jobs))
    {
        return NGX_HTTP_EPHPM_MANAGER_INTERVAL;
    }

    now = ngx_current_msec;

    if (last) {

        if (now - last_fork < pause) {
            return NGX_HTTP_EPHPM_MANAGER_INTERVAL;
        }

        /* one that had no time to take its place yet, or not for long */

        if (kill(last, 0) == 0
            && now - last_fork < NGX_HTTP_EPHPM_SPAWNER_PAUSE)
        {
            return NGX_HTTP_EPHPM_MANAGER_INTERVAL;
        }

        if (now - last_fork < 2 * NGX_HTTP_EPHPM_SPAWNER_PAUSE) {
            pause = ngx_min(2 * pause, NGX_HTTP_EPHPM_SPAWNER_PAUSE);

        } else {
            pause = NGX_HTTP_EPHPM_MANAGER_INTERVAL;
        }

    } else {
        pause = NGX_HTTP_EPHPM_MANAGER_INTERVAL;
    }

    last_fork = now;

    pid = fork();

    switch (pid) {

    case -1:
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "ephpm: fork() failed while starting the spawner");
        break;

    case 0:
        ngx_http_ephpm_spawner(mcf);
        /* never comes back */
        break;

    default:
        last = pid;
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "ephpm: start spawner %P", pid);
        break;
    }

    return NGX_HTTP_EPHPM_MANAGER_INTERVAL;
}


/*
 * The cache manager has closed the listening sockets already.  What is left
 * of the event loop is one object in the kernel, shared with the parent: it
 * is closed, and nothing is taken out of it.
 */

static void
ngx_http_ephpm_spawner_close(ngx_cycle_t *cycle)
{
    ngx_int_t          n;
    ngx_uint_t         i;
    ngx_connection_t  *c;

    ngx_done_events(cycle);

    c = cycle->connections;

    for (i = 0; i < cycle->connection_n; i++) {
        if (c[i].fd != (ngx_socket_t) -1) {
            (void) close(c[i].fd);
            c[i].fd = (ngx_socket_t) -1;
        }
    }

    for (n = 0; n < ngx_last_process; n++) {

        if (ngx_processes[n].pid == -1 || n == ngx_process_slot) {
            continue;
        }

        if (ngx_processes[n].channel[0] > 2) {
            (void) close(ngx_processes[n].channel[0]);
            ngx_processes[n].channel[0] = -1;
        }
    }
}


static void
ngx_http_ephpm_spawner(ngx_http_ephpm_main_conf_t *mcf)
{
    sigset_t                         set;
    ngx_cycle_t                     *cycle;
#if (NGX_HAVE_CAPABILITIES)
    struct __user_cap_data_struct    caps;
    struct __user_cap_header_struct  header;
#endif

    cycle = (ngx_cycle_t *) ngx_cycle;

    /* nginx's handlers must not run in here */
    sigfillset(&set);
    (void) sigprocmask(SIG_SETMASK, &set, NULL);

    ngx_process = NGX_PROCESS_HELPER;
    ngx_parent = ngx_pid;
    ngx_pid = ngx_getpid();

    ngx_http_ephpm_spawner_close(cycle);
    ngx_http_ephpm_zones_unmap(cycle, mcf);

#if (NGX_HAVE_CAPABILITIES)

    /* "proxy_bind transparent" leaves workers CAP_NET_RAW; scripts get none */

    if (geteuid() != 0) {
        ngx_memzero(&header, sizeof(struct __user_cap_header_struct));
        ngx_memzero(&caps, sizeof(struct __user_cap_data_struct));
        header.version = _LINUX_CAPABILITY_VERSION_1;

        (void) syscall(SYS_capset, &header, &caps);
    }

#endif

    ngx_http_ephpm_pool_run(cycle, mcf);
}


ngx_int_t
ngx_http_ephpm_init_process(ngx_cycle_t *cycle)
{
    int                          fd;
    ngx_event_t                 *rev;
    ngx_connection_t            *c;
    ngx_http_ephpm_worker_t     *worker = &ngx_http_ephpm_worker;
    ngx_http_ephpm_main_conf_t  *mcf;

    ngx_queue_init(&worker->all);
    ngx_queue_init(&worker->waiting);
    ngx_queue_init(&worker->active);

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ephpm_module);

    /* the cache manager comes here too */

    if (mcf == NULL || ngx_process != NGX_PROCESS_WORKER) {
        return NGX_OK;
    }

    worker->main_conf = mcf;

    ngx_http_ephpm_stores_attach(cycle, mcf);

    if (mcf->jobs == NULL) {
        return NGX_OK;
    }

    if (ephpm_submitter_attach(mcf->jobs, ngx_worker) == -1
        && ephpm_submitter_attach(mcf->jobs, -1) == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "ephpm: no place among the workers for this one: it "
                      "answers 503 instead of scripts; restart nginx");
        return NGX_OK;
    }

    fd = ephpm_submitter_fd(mcf->jobs);

    c = ngx_get_connection(fd, cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->pool = cycle->pool;

    rev = c->read;
    rev->log = cycle->log;
    rev->channel = 1;
    rev->handler = ngx_http_ephpm_event_handler;

    c->write->log = cycle->log;
    c->write->channel = 1;

    if (ngx_add_event(rev, NGX_READ_EVENT,
                      (ngx_event_flags & NGX_USE_CLEAR_EVENT)
                      ? NGX_CLEAR_EVENT : NGX_LEVEL_EVENT)
        == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    worker->tick.handler = ngx_http_ephpm_tick_handler;
    worker->tick.log = cycle->log;
    worker->tick.data = c;

    worker->jobs = mcf->jobs;

    return NGX_OK;
}


void
ngx_http_ephpm_exit_process(ngx_cycle_t *cycle)
{
    ngx_queue_t              *q;
    ngx_http_ephpm_ctx_t     *ctx;
    ngx_http_ephpm_worker_t  *worker = &ngx_http_ephpm_worker;

    if (worker->main_conf == NULL) {
        return;
    }

    /* nginx leaves without ending its requests */

    for (q = ngx_queue_head(&worker->all);
         q != ngx_queue_sentinel(&worker->all);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_ephpm_ctx_t, all);

        ephpm_snapshot_discard(&ctx->writer);
        ngx_http_ephpm_drop_body(ctx->request);
    }

    if (worker->jobs) {
        ephpm_submitter_detach(worker->jobs);
        worker->jobs = NULL;
    }

    ngx_http_ephpm_stores_detach(worker->main_conf);
}


ephpm_jobs_t *
ngx_http_ephpm_jobs(void)
{
    return ngx_http_ephpm_worker.jobs;
}


void
ngx_http_ephpm_register(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_queue_insert_tail(&ngx_http_ephpm_worker.all, &ctx->all);
}


/*
 * As long as anybody waits for a runner the worker looks again from time to
 * time.  The timer is not cancelable: a worker that is to leave waits for it.
 */

void
ngx_http_ephpm_enqueue(ngx_http_ephpm_ctx_t *ctx, ngx_uint_t active)
{
    ngx_http_ephpm_worker_t  *worker = &ngx_http_ephpm_worker;

    if (ctx->queued) {
        ngx_queue_remove(&ctx->queue);
    }

    ngx_queue_insert_tail(active ? &worker->active : &worker->waiting,
                          &ctx->queue);
    ctx->queued = 1;

    if (!worker->tick.timer_set) {
        ngx_add_timer(&worker->tick, EPHPM_LOOK_AGAIN_MS);
    }
}


ngx_uint_t
ngx_http_ephpm_waiting(void)
{
    return !ngx_queue_empty(&ngx_http_ephpm_worker.waiting);
}


/*
 * A request may end any other while it is looked at, so each that has a job is
 * taken from a list that shrinks, and is in its own queue meanwhile.
 */

static void
ngx_http_ephpm_walk(ngx_uint_t all)
{
    ngx_queue_t               todo, *q;
    ngx_connection_t         *c;
    ngx_http_ephpm_ctx_t     *ctx;
    ngx_http_ephpm_worker_t  *worker = &ngx_http_ephpm_worker;

    while (!ngx_queue_empty(&worker->waiting)) {
        q = ngx_queue_head(&worker->waiting);

        ctx = ngx_queue_data(q, ngx_http_ephpm_ctx_t, queue);
        c = ctx->request->connection;

        ngx_http_set_log_request(c->log, ctx->request);
        ngx_http_ephpm_claim(ctx);
        ngx_http_run_posted_requests(c);

        if (ngx_queue_head(&worker->waiting) == q) {
            /* the first waits on, and so do those behind it */
            break;
        }
    }

    if (ngx_queue_empty(&worker->active)) {
        return;
    }

    ngx_queue_init(&todo);
    ngx_queue_add(&todo, &worker->active);
    ngx_queue_init(&worker->active);

    while (!ngx_queue_empty(&todo)) {
        q = ngx_queue_head(&todo);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&worker->active, q);

        ctx = ngx_queue_data(q, ngx_http_ephpm_ctx_t, queue);

        if (!all && !ephpm_job_news(&ctx->job)) {
            continue;
        }

        c = ctx->request->connection;

        ngx_http_set_log_request(c->log, ctx->request);

        if (all) {
            ngx_http_ephpm_look(ctx);

        } else {
            ngx_http_ephpm_process(ctx);
        }

        ngx_http_run_posted_requests(c);
    }
}


static void
ngx_http_ephpm_event_handler(ngx_event_t *ev)
{
    ngx_http_ephpm_worker_t  *worker = &ngx_http_ephpm_worker;

    if (worker->jobs == NULL) {
        return;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0, "ephpm event");

    ephpm_submitter_awake(worker->jobs);

    ngx_http_ephpm_walk(0);

    ngx_http_ephpm_stores_sample(worker->main_conf);
}


static void
ngx_http_ephpm_tick_handler(ngx_event_t *ev)
{
    ngx_http_ephpm_worker_t  *worker = &ngx_http_ephpm_worker;

    if (worker->jobs == NULL) {
        return;
    }

    ephpm_submitter_awake(worker->jobs);

    ngx_http_ephpm_walk(1);

    if (!ev->timer_set
        && (!ngx_queue_empty(&worker->waiting)
            || !ngx_queue_empty(&worker->active)))
    {
        ngx_add_timer(ev, EPHPM_LOOK_AGAIN_MS);
    }
}
