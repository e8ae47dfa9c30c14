
/*
 * ngx_http_ephpm_handler.c - requests: content handler, waiting, the end.
 *
 *     handler --> body is read --> claim --> submit --> process ... --> end
 *                                  |  ^                 |  ^
 *                                  '--' no runner yet   '--' more to read,
 *                                                            more to send
 *
 * The request holds r->main->count from the reading of its body until
 * ngx_http_ephpm_finalize() or the end of the response.
 */


#include "ngx_http_ephpm_module.h"


static void ngx_http_ephpm_init(ngx_http_request_t *r);
static void ngx_http_ephpm_refuse(ngx_http_ephpm_ctx_t *ctx, char *why);
static size_t ngx_http_ephpm_frame(void *to, ephpm_frame_type_t type,
    const void *data, size_t bytes);
static void ngx_http_ephpm_end(ngx_http_ephpm_ctx_t *ctx);
static void ngx_http_ephpm_fail(ngx_http_ephpm_ctx_t *ctx, ephpm_read_t how);
static void ngx_http_ephpm_redirect(ngx_http_ephpm_ctx_t *ctx);
static ngx_uint_t ngx_http_ephpm_intercept(ngx_http_ephpm_ctx_t *ctx);
static void ngx_http_ephpm_check_client(ngx_http_request_t *r);
static void ngx_http_ephpm_write_handler(ngx_http_request_t *r);
static void ngx_http_ephpm_cleanup(void *data);
static void ngx_http_ephpm_remember(void *data);


ngx_int_t
ngx_http_ephpm_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_cleanup_t    *cln;
    ngx_pool_cleanup_t    *pcln;
    ngx_http_ephpm_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_ephpm_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->request = r;
    ctx->rest = -1;
    ctx->head.content_length = -1;
    ctx->head.buffering = -1;
    ctx->last_out = &ctx->out;
    ctx->writer.file = -1;

    rc = ngx_http_ephpm_find_script(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_ephpm_cleanup;
    cln->data = ctx;

    ngx_http_ephpm_register(ctx);

    /* a context is forgotten at an internal redirect, but this is not */

    pcln = ngx_pool_cleanup_add(r->pool, 0);
    if (pcln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pcln->handler = ngx_http_ephpm_remember;
    pcln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_ephpm_module);

    if (!r->request_body_in_file_only) {
        /* a runner opens the file by its name */
        r->request_body_in_persistent_file = 1;
        r->request_body_in_clean_file = 1;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_ephpm_init);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


/* the body is there */

static void
ngx_http_ephpm_init(ngx_http_request_t *r)
{
    ngx_connection_t            *c;
    ngx_http_ephpm_ctx_t        *ctx;
    ngx_http_ephpm_loc_conf_t   *elcf;
    ngx_http_ephpm_main_conf_t  *mcf;

    c = r->connection;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ephpm_module);
    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_ephpm_module);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    r->read_event_handler = elcf->ignore_client_abort
                            ? ngx_http_block_reading
                            : ngx_http_ephpm_check_client;
    r->write_event_handler = ngx_http_ephpm_write_handler;

    ctx->unbuffered = !elcf->buffering && r == r->main;
    ctx->queue_end = ngx_current_msec + mcf->queue_timeout;

    ngx_http_ephpm_claim(ctx);
}


/*
 * Those that came before a runner was ready wait beside the queue, which does
 * not count them, in their order; whoever comes later waits behind them.
 */

void
ngx_http_ephpm_claim(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_int_t          rc;
    ephpm_claim_t      claim;
    ephpm_jobs_t      *jobs;
    ngx_connection_t  *c;

    static ngx_uint_t  starting;

    c = ctx->request->connection;
    jobs = ngx_http_ephpm_jobs();

    if (jobs == NULL) {
        ngx_http_ephpm_refuse(ctx, "this worker has no place among those that "
                                   "talk to PHP");
        return;
    }

    c->log->action = "waiting for PHP to start";

    if (ctx->queued
        && (ngx_msec_int_t) (ctx->queue_end - ngx_current_msec) <= 0)
    {
        ephpm_count_add(jobs, EPHPM_COUNT_EXPIRED, 1);
        ngx_http_ephpm_refuse(ctx, "no runner had time for it before "
                                   "ephpm_queue_timeout");
        return;
    }

    if (!ctx->queued && ngx_http_ephpm_waiting()) {
        claim = starting ? EPHPM_CLAIM_STARTING : EPHPM_CLAIM_FULL;

    } else {
        claim = ephpm_job_claim(jobs, &ctx->job);
        starting = (claim == EPHPM_CLAIM_STARTING);
    }

    switch (claim) {

    case EPHPM_CLAIMED:
        break;

    case EPHPM_CLAIM_STARTING:
        if (!ctx->queued) {
            ngx_http_ephpm_enqueue(ctx, 0);
        }
        return;

    case EPHPM_CLAIM_FULL:
        if (ctx->queued) {
            /* it waits on, and nobody was refused */
            ephpm_count_add(jobs, EPHPM_COUNT_REFUSED, (uint64_t) -1);
            return;
        }

        ngx_http_ephpm_refuse(ctx, "all runners are busy and the queue is "
                                   "full (ephpm_processes, ephpm_queue)");
        return;

    default: /* EPHPM_CLAIM_DOWN */
        ngx_http_ephpm_refuse(ctx, "no PHP process is running; the log says "
                                   "why, further up");
        return;
    }

    ctx->running = 1;
    ngx_http_ephpm_enqueue(ctx, 1);

    c->log->action = "waiting for a runner";

    rc = ngx_http_ephpm_submit(ctx);

    if (rc != NGX_OK) {
        ngx_http_ephpm_finalize(ctx, rc);
    }
}


static void
ngx_http_ephpm_refuse(ngx_http_ephpm_ctx_t *ctx, char *why)
{
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "ephpm: \"%V\" was not run: %s", &ctx->script, why);

    h = ngx_list_push(&r->headers_out.headers);

    if (h) {
        ngx_memzero(h, sizeof(ngx_table_elt_t));
        h->hash = 1;
        ngx_str_set(&h->key, "Retry-After");
        ngx_str_set(&h->value, "1");
    }

    ngx_http_ephpm_finalize(ctx, NGX_HTTP_SERVICE_UNAVAILABLE);
}


/* called every EPHPM_LOOK_AGAIN_MS */

void
ngx_http_ephpm_look(ngx_http_ephpm_ctx_t *ctx)
{
    if (!ctx->taken
        && (ngx_msec_int_t) (ctx->queue_end - ngx_current_msec) <= 0)
    {
        if (ephpm_job_withdraw(&ctx->job)) {
            ephpm_count_add(ctx->job.jobs, EPHPM_COUNT_EXPIRED, 1);
            ngx_http_ephpm_refuse(ctx, "no runner had time for it before "
                                       "ephpm_queue_timeout");
            return;
        }

        ctx->taken = 1;
    }

    ngx_http_ephpm_process(ctx);
}


static size_t
ngx_http_ephpm_frame(void *to, ephpm_frame_type_t type, const void *data,
    size_t bytes)
{
    ngx_http_ephpm_ctx_t  *ctx = to;

    const u_char  *p = data;

    ctx->taken = 1;

    switch (type) {

    case EPHPM_FRAME_BODY:
        return ngx_http_ephpm_take_body(ctx, data, bytes);

    case EPHPM_FRAME_HEAD:
        if (ngx_http_ephpm_take_head(ctx, data, bytes) != NGX_OK) {
            ctx->error = NGX_HTTP_BAD_GATEWAY;
        }
        break;

    case EPHPM_FRAME_FLUSH:
        ctx->flush = 1;
        break;

    case EPHPM_FRAME_LOG:
        if (bytes) {
            ngx_http_ephpm_log_message(ctx->request->connection->log, p[0],
                                       "", p + 1, bytes - 1);
        }
        break;

    default:
        /* an interim response, which nginx cannot send; notes, which are
         * httpd's; the end, which has nothing to tell nginx */
        break;
    }

    return bytes;
}


void
ngx_http_ephpm_process(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_int_t            rc;
    ephpm_read_t         how;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (ctx->done || !ctx->running) {
        return;
    }

    r = ctx->request;
    c = r->connection;

    c->log->action = "reading from a runner";

    for ( ;; ) {
        ctx->stopped = 0;

        how = ephpm_job_read(&ctx->job, ngx_http_ephpm_frame, ctx);

        if (ctx->error) {
            ngx_http_ephpm_finalize(ctx, ctx->error);
            return;
        }

        if (ctx->head.seen && !ctx->head.sent) {

            if (ctx->head.redirect.data) {
                ngx_http_ephpm_redirect(ctx);
                return;
            }

            if (ngx_http_ephpm_intercept(ctx)) {
                return;
            }
        }

        switch (how) {

        case EPHPM_READ_END:
            ngx_http_ephpm_end(ctx);
            return;

        case EPHPM_READ_KILLED:
        case EPHPM_READ_CRASHED:
        case EPHPM_READ_BROKEN:
            ngx_http_ephpm_fail(ctx, how);
            return;

        default:
            break;
        }

        rc = ngx_http_ephpm_send(ctx, 0);

        if (rc == NGX_ERROR || rc > NGX_OK) {
            if (!ngx_http_ephpm_go_on(ctx)) {
                ngx_http_ephpm_finalize(ctx, rc);
                return;
            }

            continue;
        }

        if (how == EPHPM_READ_MORE) {
            break;
        }

        /* EPHPM_READ_STOPPED */

        if (ngx_http_ephpm_room(ctx)) {
            continue;
        }

        ctx->stopped = 1;

        if (!ngx_http_ephpm_may_spool(ctx)) {
            break;
        }

        ctx->spooling = 1;
    }

    if (ctx->error) {
        ngx_http_ephpm_finalize(ctx, ctx->error);
        return;
    }

    ngx_http_ephpm_wait_client(ctx);
}


static void
ngx_http_ephpm_end(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (!ctx->head.seen) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ephpm: the response of \"%V\" has no head",
                      &ctx->script);
        ngx_http_ephpm_finalize(ctx, NGX_HTTP_BAD_GATEWAY);
        return;
    }

    ngx_http_ephpm_release(ctx);

    r->read_event_handler = ngx_http_block_reading;
    r->connection->log->action = "sending to client";

    rc = ngx_http_ephpm_send(ctx, NGX_HTTP_LAST);

    ngx_http_finalize_request(r, rc);
}


/* The spawner's log line has the reason; this one has the client. */

static void
ngx_http_ephpm_fail(ngx_http_ephpm_ctx_t *ctx, ephpm_read_t how)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (how == EPHPM_READ_BROKEN) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ephpm: what the runner of \"%V\" sent cannot be read",
                      &ctx->script);

    } else {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "ephpm: the runner of \"%V\" %s",
                      &ctx->script, how == EPHPM_READ_KILLED
                                    ? "was ended after "
                                      "ephpm_request_terminate_timeout"
                                    : "has died");
    }

    if (!r->header_sent) {
        ngx_http_ephpm_finalize(ctx, how == EPHPM_READ_KILLED
                                     ? NGX_HTTP_GATEWAY_TIME_OUT
                                     : NGX_HTTP_BAD_GATEWAY);
        return;
    }

    /* the client gets what there is, and sees that it is not all */

    ngx_http_ephpm_release(ctx);

    r->read_event_handler = ngx_http_block_reading;
    r->keepalive = 0;

    rc = ngx_http_ephpm_send(ctx, NGX_HTTP_FLUSH);

    ngx_http_finalize_request(r, rc);
}


void
ngx_http_ephpm_drop_body(ngx_http_request_t *r)
{
    ngx_temp_file_t          *tf;
    ngx_pool_cleanup_t       *cln;
    ngx_pool_cleanup_file_t  *clnf;

    if (r->request_body == NULL || r->request_body->temp_file == NULL) {
        return;
    }

    tf = r->request_body->temp_file;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_pool_delete_file) {
            clnf = cln->data;

            if (clnf->fd == tf->file.fd) {
                cln->handler(clnf);
                cln->handler = NULL;
                tf->file.fd = NGX_INVALID_FILE;
                return;
            }
        }
    }
}


void
ngx_http_ephpm_release(ngx_http_ephpm_ctx_t *ctx)
{
    if (ctx->queued) {
        ngx_queue_remove(&ctx->queue);
        ctx->queued = 0;
    }

    if (ctx->wait.timer_set) {
        ngx_del_timer(&ctx->wait);
    }

    if (ctx->running) {
        ephpm_job_times(&ctx->job, &ctx->times);
        ctx->ended_us = ephpm_jobs_clock_us();

        ephpm_job_release(&ctx->job);
        ctx->running = 0;
    }

    ephpm_snapshot_discard(&ctx->writer);

    ctx->done = 1;
}


void
ngx_http_ephpm_finalize(ngx_http_ephpm_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_http_ephpm_release(ctx);

    r->read_event_handler = ngx_http_block_reading;
    r->connection->log->action = "sending to client";

    if (r->header_sent
        && rc >= NGX_HTTP_SPECIAL_RESPONSE
        && rc != NGX_HTTP_REQUEST_TIME_OUT
        && rc != NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        rc = NGX_ERROR;
    }

    ngx_http_finalize_request(r, rc);
}


/* X-Accel-Redirect */

static void
ngx_http_ephpm_redirect(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_str_t            uri, args;
    ngx_uint_t           flags;
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_http_ephpm_release(ctx);

    r->read_event_handler = ngx_http_block_reading;

    if (ngx_http_ephpm_copy_headers(ctx, 1) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    uri = ctx->head.redirect;

    if (uri.len && uri.data[0] == '@') {
        ngx_http_named_location(r, &uri);

    } else {
        ngx_str_null(&args);
        flags = NGX_HTTP_LOG_UNSAFE;

        if (ngx_http_parse_unsafe_uri(r, &uri, &args, &flags) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_HTTP_NOT_FOUND);
            return;
        }

        if (r->method != NGX_HTTP_HEAD) {
            r->method = NGX_HTTP_GET;
            r->method_name = ngx_http_core_get_method;
        }

        ngx_http_internal_redirect(r, &uri, &args);
    }

    ngx_http_finalize_request(r, NGX_DONE);
}


/* Does nginx answer in the place of the script? */

static ngx_uint_t
ngx_http_ephpm_intercept(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_uint_t                  i;
    ngx_table_elt_t            *h;
    ngx_http_request_t         *r;
    ngx_http_err_page_t        *page;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_ephpm_loc_conf_t  *elcf;

    r = ctx->request;

    /* what a runner says of a job that it could not run */

    if (ctx->head.status == NGX_HTTP_INTERNAL_SERVER_ERROR
        && ctx->headers.part.nelts == 0)
    {
        ngx_http_ephpm_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return 1;
    }

    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!elcf->intercept_errors
        || ctx->head.status < NGX_HTTP_SPECIAL_RESPONSE
        || clcf->error_pages == NULL)
    {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {

        if (page[i].status != (ngx_int_t) ctx->head.status) {
            continue;
        }

        if (ctx->head.status == NGX_HTTP_UNAUTHORIZED
            && ctx->head.www_authenticate)
        {
            h = ngx_list_push(&r->headers_out.headers);
            if (h == NULL) {
                ngx_http_ephpm_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
                return 1;
            }

            *h = *ctx->head.www_authenticate;
            h->hash = 1;
            r->headers_out.www_authenticate = h;
        }

        ngx_http_ephpm_finalize(ctx, ctx->head.status);
        return 1;
    }

    return 0;
}


/*
 * The client may have gone.  nginx's own handler would end the request under
 * the script's feet without telling it.
 */

static void
ngx_http_ephpm_check_client(ngx_http_request_t *r)
{
    int                    n;
    char                   buf[1];
    ngx_err_t              err;
    ngx_event_t           *rev;
    ngx_connection_t      *c;
    ngx_http_ephpm_ctx_t  *ctx;

    c = r->connection;
    rev = c->read;
    ctx = ngx_http_get_module_ctx(r, ngx_http_ephpm_module);

    if (ctx == NULL || ctx->done) {
        return;
    }

    err = 0;

    if (!c->error) {

#if (NGX_HTTP_V2)
        if (r->stream) {
            return;
        }
#endif

#if (NGX_HAVE_EPOLLRDHUP)

        if ((ngx_event_flags & NGX_USE_EPOLL_EVENT) && ngx_use_epoll_rdhup) {
            socklen_t  len;

            if (!rev->pending_eof) {
                return;
            }

            len = sizeof(ngx_err_t);

            if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len)
                == -1)
            {
                err = ngx_socket_errno;
            }

            goto closed;
        }

#endif

        n = recv(c->fd, buf, 1, MSG_PEEK);

        err = ngx_socket_errno;

        if (n == -1 && err == NGX_EAGAIN) {
            return;
        }

        if ((ngx_event_flags & NGX_USE_LEVEL_EVENT) && rev->active
            && ngx_del_event(rev, NGX_READ_EVENT, 0) != NGX_OK)
        {
            ngx_http_ephpm_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
            return;
        }

        if (n > 0) {
            /* the next request, in a pipeline */
            return;
        }

        if (n == 0) {
            err = 0;
        }
    }

#if (NGX_HAVE_EPOLLRDHUP)
closed:
#endif

    if (err) {
        rev->error = 1;
    }

    rev->eof = 1;
    c->error = 1;

    ngx_log_error(NGX_LOG_INFO, c->log, err,
                  "client prematurely closed connection, so its script is "
                  "told that it has gone");

    ngx_http_ephpm_finalize(ctx, NGX_HTTP_CLIENT_CLOSED_REQUEST);
}


static void
ngx_http_ephpm_write_handler(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_ephpm_ctx_t      *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;
    wev = c->write;
    ctx = ngx_http_get_module_ctx(r, ngx_http_ephpm_module);

    if (ctx == NULL || ctx->done || !r->header_sent) {
        return;
    }

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        if (!ngx_http_ephpm_go_on(ctx)) {
            ngx_http_ephpm_finalize(ctx, NGX_HTTP_REQUEST_TIME_OUT);
            return;
        }
    }

    if (wev->delayed || r->aio) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

        if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
            ngx_http_ephpm_finalize(ctx, NGX_ERROR);
        }

        return;
    }

    ngx_http_ephpm_process(ctx);
}


static void
ngx_http_ephpm_cleanup(void *data)
{
    ngx_http_ephpm_ctx_t  *ctx = data;

    ngx_http_ephpm_release(ctx);
    ngx_queue_remove(&ctx->all);
}


static void
ngx_http_ephpm_remember(void *data)
{
    /* its address is what matters */
}


ngx_http_ephpm_ctx_t *
ngx_http_ephpm_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_ephpm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ephpm_module);

    if (ctx) {
        return ctx;
    }

    if (!r->internal && !r->filter_finalize) {
        return NULL;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_http_ephpm_remember) {
            ctx = cln->data;

            if (ctx->request == r) {
                return ctx;
            }
        }
    }

    return NULL;
}
