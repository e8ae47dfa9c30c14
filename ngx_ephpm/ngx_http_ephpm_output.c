
/*
 * ngx_http_ephpm_output.c - the body of a response: memory, spool, client.
 *
 *     ring --take_body()--> out --send()--> busy --client--> free
 *                  |                          ^
 *                  '--> temporary file -------'
 *
 * What a runner has written is copied into memory and handed to nginx's
 * filters.  When the client does not take it, memory fills up; what comes
 * then goes to a temporary file, at most one stretch of which is handed over
 * at a time.  So a slow client holds no runner, and takes 64 KiB of memory.
 *
 * A client that keeps up may be a moment late: before anything goes to the
 * disk it is given NGX_HTTP_EPHPM_SPOOL_WAIT milliseconds, and the ring holds
 * the runner's next 64 KiB meanwhile.
 *
 * Without buffering nothing is spooled, and the runner waits for the client.
 * A request whose turn has not come, whether it is a subrequest or waits for
 * one of its own, is spooled at once: it would hold its runner for as long as
 * those before it need theirs.
 */


#include "ngx_http_ephpm_module.h"


static ngx_int_t ngx_http_ephpm_spool(ngx_http_ephpm_ctx_t *ctx,
    const void *data, size_t bytes);
static ngx_int_t ngx_http_ephpm_add_spooled(ngx_http_ephpm_ctx_t *ctx);
static void ngx_http_ephpm_wait_handler(ngx_event_t *ev);


#define ngx_http_ephpm_tag  (ngx_buf_tag_t) &ngx_http_ephpm_module


static off_t
ngx_http_ephpm_spool_room(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_http_ephpm_loc_conf_t  *elcf;

    elcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_ephpm_module);

    return elcf->max_temp_file_size - ctx->spooled;
}


ngx_uint_t
ngx_http_ephpm_room(ngx_http_ephpm_ctx_t *ctx)
{
    if (ctx->discard) {
        return 1;
    }

    if (ctx->spooling) {
        return ngx_http_ephpm_spool_room(ctx) > 0;
    }

    return ctx->free != NULL || ctx->allocated < NGX_HTTP_EPHPM_MEMORY;
}


/* of ctx->out, which has one */

static ngx_inline ngx_chain_t *
ngx_http_ephpm_last_link(ngx_http_ephpm_ctx_t *ctx)
{
    return (ngx_chain_t *) ((u_char *) ctx->last_out
                            - offsetof(ngx_chain_t, next));
}


/* a buffer with room, at the end of ctx->out; NULL: memory is full */

static ngx_buf_t *
ngx_http_ephpm_buffer(ngx_http_ephpm_ctx_t *ctx, size_t bytes)
{
    size_t               size;
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->out) {
        cl = ngx_http_ephpm_last_link(ctx);
        if (cl->buf->last < cl->buf->end) {
            return cl->buf;
        }
    }

    if (ctx->free) {
        cl = ctx->free;
        ctx->free = cl->next;

    } else {

        if (ctx->allocated >= NGX_HTTP_EPHPM_MEMORY) {
            return NULL;
        }

        /* most responses are one small piece */

        size = NGX_HTTP_EPHPM_BUFFER;

        if (ctx->allocated == 0 && bytes < NGX_HTTP_EPHPM_BUFFER / 4) {
            size = ngx_max(bytes, 512);
        }

        b = ngx_create_temp_buf(r->pool, size);
        cl = ngx_alloc_chain_link(r->pool);

        if (b == NULL || cl == NULL) {
            ctx->error = NGX_ERROR;
            return NULL;
        }

        b->tag = ngx_http_ephpm_tag;
        cl->buf = b;

        ctx->allocated += size;
    }

    b = cl->buf;
    b->flush = 0;
    b->last_buf = 0;
    b->last_in_chain = 0;

    /* when there is no more memory nginx may not wait for more */
    b->recycled = (ctx->allocated >= NGX_HTTP_EPHPM_MEMORY);

    cl->next = NULL;
    *ctx->last_out = cl;
    ctx->last_out = &cl->next;

    return b;
}


size_t
ngx_http_ephpm_take_body(ngx_http_ephpm_ctx_t *ctx, const void *data,
    size_t bytes)
{
    off_t          room;
    size_t         size, taken, wanted;
    ngx_buf_t     *b;
    const u_char  *p;

    if (!ctx->head.seen) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "ephpm: the response of \"%V\" has no head",
                      &ctx->script);
        ctx->error = NGX_HTTP_BAD_GATEWAY;
    }

    if (ctx->error || ctx->discard) {
        return bytes;
    }

    wanted = bytes;

    if (ctx->rest != -1 && (off_t) wanted > ctx->rest) {

        if (!ctx->excess) {
            ctx->excess = 1;
            ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                          "ephpm: \"%V\" sends more than its Content-Length "
                          "says, and that is dropped", &ctx->script);
        }

        wanted = ctx->rest;

        if (wanted == 0) {
            return bytes;
        }
    }

    p = data;
    taken = 0;

    if (ctx->spooling) {

        room = ngx_http_ephpm_spool_room(ctx);
        size = (size_t) ngx_min((off_t) wanted, ngx_max(room, 0));

        if (size && ngx_http_ephpm_spool(ctx, p, size) != NGX_OK) {
            ctx->error = NGX_ERROR;
            return bytes;
        }

        taken = size;

    } else {

        while (taken < wanted) {
            b = ngx_http_ephpm_buffer(ctx, wanted - taken);

            if (b == NULL) {
                break;
            }

            size = ngx_min((size_t) (b->end - b->last), wanted - taken);
            b->last = ngx_cpymem(b->last, p + taken, size);
            taken += size;
        }

        if (ctx->error) {
            return bytes;
        }
    }

    if (ctx->rest != -1) {
        ctx->rest -= taken;
    }

    /* what is over Content-Length goes with the last byte that is not */

    return taken == wanted ? bytes : taken;
}


static ngx_int_t
ngx_http_ephpm_spool(ngx_http_ephpm_ctx_t *ctx, const void *data, size_t bytes)
{
    ssize_t                      n;
    ngx_temp_file_t             *tf;
    ngx_http_request_t          *r;
    ngx_http_ephpm_main_conf_t  *mcf;

    r = ctx->request;
    tf = ctx->temp_file;

    if (tf == NULL) {
        mcf = ngx_http_get_module_main_conf(r, ngx_http_ephpm_module);

        tf = ngx_pcalloc(r->pool, sizeof(ngx_temp_file_t));
        if (tf == NULL) {
            return NGX_ERROR;
        }

        tf->file.fd = NGX_INVALID_FILE;
        tf->file.log = r->connection->log;
        tf->path = mcf->temp_path;
        tf->pool = r->pool;

        /* without a name, once it is open */

        if (ngx_create_temp_file(&tf->file, tf->path, tf->pool, 0, 0, 0)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ctx->temp_file = tf;

        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "ephpm: a response is spooled to a temporary file, for "
                      "the client takes it slowly");
    }

    n = ngx_write_file(&tf->file, (u_char *) data, bytes, ctx->spooled);

    if (n != (ssize_t) bytes) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ephpm: the response of \"%V\" is cut short: it cannot "
                      "be spooled to \"%V\"",
                      &ctx->script, &tf->path->name);
        return NGX_ERROR;
    }

    ctx->spooled += bytes;

    return NGX_OK;
}


/* the next stretch of the file, behind what is in memory */

static ngx_int_t
ngx_http_ephpm_add_spooled(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(ctx->request->pool);
    cl = ngx_alloc_chain_link(ctx->request->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->in_file = 1;
    b->temp_file = 1;
    b->file = &ctx->temp_file->file;
    b->file_pos = ctx->handed;
    b->file_last = ctx->spooled;

    ctx->handed = ctx->spooled;
    ctx->file_buf = b;

    cl->buf = b;
    cl->next = NULL;
    *ctx->last_out = cl;
    ctx->last_out = &cl->next;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_send_header(ngx_http_ephpm_ctx_t *ctx, ngx_uint_t how)
{
    off_t                length;
    ngx_int_t            rc;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_ephpm_copy_headers(ctx, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->head.sent = 1;

    if (r->headers_out.status == NGX_HTTP_NO_CONTENT
        || r->headers_out.status == NGX_HTTP_NOT_MODIFIED)
    {
        /*
         * These have no body, and a client takes what comes after their head
         * for the next response.  nginx does not send one, nor a length that
         * is none, unless it is given a status line.
         */

        ngx_str_null(&r->headers_out.status_line);

    } else if (how == NGX_HTTP_LAST
               && (r == r->main || r->subrequest_in_memory)
               && r->headers_out.content_length_n == -1
               && r->method != NGX_HTTP_HEAD && !ctx->spooling)
    {
        /* all of it is there */

        length = 0;

        for (cl = ctx->out; cl; cl = cl->next) {
            length += ngx_buf_size(cl->buf);
        }

        r->headers_out.content_length_n = length;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    if (r->header_only || r->post_action) {
        ctx->discard = 1;
        ctx->out = NULL;
        ctx->last_out = &ctx->out;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_add_special(ngx_http_ephpm_ctx_t *ctx, ngx_uint_t how)
{
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->out) {
        cl = ngx_http_ephpm_last_link(ctx);
        b = cl->buf;

    } else {

        /* a stream of events may ask for this every moment, for days */

        b = (how == NGX_HTTP_FLUSH) ? ctx->flush_buf : NULL;

        if (b == NULL) {
            b = ngx_calloc_buf(r->pool);
        }

        cl = ngx_alloc_chain_link(r->pool);

        if (b == NULL || cl == NULL) {
            return NGX_ERROR;
        }

        if (how == NGX_HTTP_FLUSH) {
            ctx->flush_buf = b;
        }

        cl->buf = b;
        cl->next = NULL;
        *ctx->last_out = cl;
        ctx->last_out = &cl->next;
    }

    if (how == NGX_HTTP_LAST) {

        if (r == r->main && !r->post_action) {
            b->last_buf = 1;

        } else {
            b->sync = !(ngx_buf_in_memory(b) || b->in_file);
        }

        b->last_in_chain = 1;

    } else {
        b->flush = 1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_ephpm_send(ngx_http_ephpm_ctx_t *ctx, ngx_uint_t how)
{
    ngx_int_t                  rc;
    ngx_uint_t                 flush;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    c = r->connection;

    flush = ctx->flush || ctx->unbuffered || how == NGX_HTTP_FLUSH;

    if (!ctx->head.sent) {

        if (!ctx->head.seen
            || (how == 0 && !flush && ctx->out == NULL && !ctx->spooling))
        {
            return NGX_OK;
        }

        rc = ngx_http_ephpm_send_header(ctx, how);

        if (rc != NGX_OK) {
            return rc;
        }

    } else if (ctx->unbuffered && !ctx->flush && ctx->out == NULL) {
        flush = 0;
    }

    ctx->flush = 0;

    if (ctx->discard) {

        if (c->error || c->timedout) {
            return how ? NGX_ERROR : NGX_OK;
        }

        return NGX_OK;
    }

    if (ctx->spooling && ctx->spooled > ctx->handed
        && (how || ctx->file_buf == NULL || ngx_buf_size(ctx->file_buf) == 0)
        && ngx_http_ephpm_add_spooled(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (how == NGX_HTTP_LAST && ctx->rest > 0) {
        ngx_log_error(NGX_LOG_WARN, c->log, 0,
                      "ephpm: \"%V\" sent %O bytes less than its "
                      "Content-Length says", &ctx->script, ctx->rest);

        /* the client sees that something is missing */

        r->keepalive = 0;
        how = NGX_HTTP_FLUSH;
        flush = 1;
    }

    if (flush && how == 0) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (clcf->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if ((how || flush)
        && ngx_http_ephpm_add_special(ctx, how ? how : NGX_HTTP_FLUSH)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->out == NULL && ctx->busy == NULL && !r->buffered
        && r->postponed == NULL && !c->buffered)
    {
        return NGX_OK;
    }

    rc = ngx_http_output_filter(r, ctx->out);

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &ctx->out,
                            ngx_http_ephpm_tag);

    ctx->last_out = &ctx->out;

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ctx->free && !ctx->spooling) {
        /* it keeps up */
        ctx->waited = 0;

        if (ctx->wait.timer_set) {
            ngx_del_timer(&ctx->wait);
        }
    }

    /* nginx keeps no account in busy of the file's buffer, which is not ours */

    if (ctx->spooling && ctx->busy == NULL && ctx->handed == ctx->spooled
        && (ctx->file_buf == NULL || ngx_buf_size(ctx->file_buf) == 0))
    {
        /* the client has caught up */
        ctx->spooling = 0;
        ctx->waited = 0;
        ctx->spooled = 0;
        ctx->handed = 0;
        ctx->file_buf = NULL;
    }

    return how ? rc : NGX_OK;
}


ngx_uint_t
ngx_http_ephpm_may_spool(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    if (ngx_http_ephpm_spool_room(ctx) <= 0 || ctx->spooling) {

        if (c->data != r && r != r->main) {
            ngx_log_error(NGX_LOG_ERR, c->log, 0,
                          "ephpm: the response of the subrequest \"%V\" is "
                          "larger than ephpm_max_temp_file_size allows",
                          &r->uri);
            ctx->error = NGX_ERROR;
        }

        return 0;
    }

    if (c->data != r) {
        return 1;
    }

    if (ctx->unbuffered) {
        return 0;
    }

    if (ctx->waited) {
        return 1;
    }

    if (!ctx->wait.timer_set) {
        ctx->wait.handler = ngx_http_ephpm_wait_handler;
        ctx->wait.data = ctx;
        ctx->wait.log = c->log;

        ngx_add_timer(&ctx->wait, NGX_HTTP_EPHPM_SPOOL_WAIT);
    }

    return 0;
}


static void
ngx_http_ephpm_wait_handler(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_http_ephpm_ctx_t  *ctx;

    ctx = ev->data;
    c = ctx->request->connection;

    ngx_http_set_log_request(c->log, ctx->request);

    ctx->waited = 1;

    ngx_http_ephpm_process(ctx);

    ngx_http_run_posted_requests(c);
}


ngx_uint_t
ngx_http_ephpm_go_on(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_http_ephpm_loc_conf_t  *elcf;

    elcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_ephpm_module);

    if (!elcf->ignore_client_abort || !ctx->request->header_sent) {
        return 0;
    }

    ctx->request->connection->error = 1;

    ctx->discard = 1;
    ctx->spooling = 0;
    ctx->out = NULL;
    ctx->last_out = &ctx->out;

    return 1;
}


void
ngx_http_ephpm_wait_client(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    c = r->connection;
    wev = c->write;

    if (c->data != r || ctx->discard || !ctx->head.sent) {
        return;
    }

    if (ctx->busy == NULL && !r->buffered && !c->buffered) {

        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        return;
    }

    clcf = ngx_http_get_module_loc_conf(r->main, ngx_http_core_module);

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        ngx_http_ephpm_finalize(ctx, NGX_ERROR);
        return;
    }

    if (wev->delayed) {
        return;
    }

    if (wev->active && !wev->ready) {
        ngx_add_timer(wev, clcf->send_timeout);

    } else if (wev->timer_set) {
        ngx_del_timer(wev);
    }
}
