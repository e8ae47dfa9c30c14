
/*
 * ngx_stream_ephpm_handler.c - connections.
 *
 *     c->recv() -- chunk, 64 KiB --> resp_conn_feed()
 *                                         |
 *     c->send() <---------------- resp_conn_output()
 *
 * A worker serves pages beside this, so a turn of one client is short: it ends
 * after so many bytes, or after so much time, for a line of eight bytes may
 * ask for a walk through the whole store.  What it has sent and waits for
 * another turn is kept by its resp_conn_t.
 *
 * A client that has closed its side is answered all that it has asked for.
 *
 * A worker that is to leave answers what has come until it is between two
 * requests.  What is half there has NGX_STREAM_EPHPM_GRACE to come; after that
 * nothing is read, and the client may take its answers as slowly as the
 * time-out lets it.
 */


#include "ngx_stream_ephpm_module.h"


#define NGX_STREAM_EPHPM_CHUNK        65536

/* of a turn: bytes each way */
#define NGX_STREAM_EPHPM_TURN_IN      (4 * NGX_STREAM_EPHPM_CHUNK)
#define NGX_STREAM_EPHPM_TURN_OUT     1048576

/* milliseconds, when the worker is to leave */
#define NGX_STREAM_EPHPM_GRACE        5000
#define NGX_STREAM_EPHPM_LAST_TIMEOUT 60000


typedef struct {
    ngx_stream_session_t         *session;
    ngx_stream_ephpm_srv_conf_t  *conf;
    resp_conn_t                  *conn;

    unsigned                      eof:1;    /* the client has closed its side */
    unsigned                      leaving:1;
    unsigned                      deaf:1;   /* leaving, and not reading */
} ngx_stream_ephpm_ctx_t;


typedef struct {
    size_t                        in;
    size_t                        out;
    uint64_t                      end_us;
} ngx_stream_ephpm_turn_t;


static void ngx_stream_ephpm_cleanup(void *data);
static void ngx_stream_ephpm_event_handler(ngx_event_t *ev);
static void ngx_stream_ephpm_process(ngx_stream_ephpm_ctx_t *ctx);
static ngx_int_t ngx_stream_ephpm_send(ngx_stream_ephpm_ctx_t *ctx,
    ngx_stream_ephpm_turn_t *turn);
static ngx_int_t ngx_stream_ephpm_read(ngx_stream_ephpm_ctx_t *ctx,
    ngx_stream_ephpm_turn_t *turn);
static void ngx_stream_ephpm_close(ngx_stream_ephpm_ctx_t *ctx, ngx_uint_t rc);


static u_char  ngx_stream_ephpm_chunk[NGX_STREAM_EPHPM_CHUNK];


static uint64_t
ngx_stream_ephpm_clock_us(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static void
ngx_stream_ephpm_keepalive(ngx_connection_t *c)
{
    int  value;

    /* nobody asks a client that is idle whether it is still there */

    if (c->sockaddr->sa_family == AF_UNIX || c->listening->keepalive) {
        return;
    }

    value = 1;

    if (setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(int))
        == -1)
    {
        ngx_connection_error(c, ngx_socket_errno,
                             "setsockopt(SO_KEEPALIVE) failed");
    }
}


void
ngx_stream_ephpm_handler(ngx_stream_session_t *s)
{
    ngx_connection_t             *c;
    resp_service_t               *service;
    ngx_pool_cleanup_t           *cln;
    ngx_stream_ephpm_ctx_t       *ctx;
    ngx_stream_ephpm_srv_conf_t  *escf;

    c = s->connection;
    c->log->action = "answering RESP";

    escf = ngx_stream_get_module_srv_conf(s, ngx_stream_ephpm_module);

    ctx = ngx_pcalloc(c->pool, sizeof(ngx_stream_ephpm_ctx_t));
    cln = ngx_pool_cleanup_add(c->pool, 0);

    if (ctx == NULL || cln == NULL) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    ctx->session = s;
    ctx->conf = escf;

    cln->handler = ngx_stream_ephpm_cleanup;
    cln->data = ctx;

    service = ngx_stream_ephpm_service(s, escf);

    if (service) {
        ctx->conn = resp_conn_open(service);
    }

    if (ctx->conn == NULL) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_stream_set_ctx(s, ctx, ngx_stream_ephpm_module);

    /* of a preread phase */

    if (c->buffer) {
        (void) resp_conn_feed(ctx->conn, c->buffer->pos,
                              c->buffer->last - c->buffer->pos);
    }

#if (NGX_SSL && defined SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)

    /* what is sent again may have been moved, as more came behind it */

    if (c->ssl) {
        (void) SSL_set_mode(c->ssl->connection,
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }

#endif

    ngx_stream_ephpm_keepalive(c);

    c->read->handler = ngx_stream_ephpm_event_handler;
    c->write->handler = ngx_stream_ephpm_event_handler;

    /* nginx calls the handler when the worker is to leave */
    c->idle = 1;

    if (escf->timeout) {
        ngx_add_timer(c->read, escf->timeout);
    }

    ngx_stream_ephpm_process(ctx);
}


static void
ngx_stream_ephpm_cleanup(void *data)
{
    ngx_stream_ephpm_ctx_t *ctx = data;

    resp_conn_close(ctx->conn);
}


static void
ngx_stream_ephpm_close(ngx_stream_ephpm_ctx_t *ctx, ngx_uint_t rc)
{
    ngx_connection_t  *c;

    c = ctx->session->connection;

    c->idle = 0;
    ngx_reusable_connection(c, 0);

#if (NGX_SSL)
    if (c->ssl && c->close) {
        c->ssl->no_wait_shutdown = 1;
    }
#endif

    ngx_stream_finalize_session(ctx->session, rc);
}


static void
ngx_stream_ephpm_event_handler(ngx_event_t *ev)
{
    const char              *bytes;
    ngx_connection_t        *c;
    ngx_stream_session_t    *s;
    ngx_stream_ephpm_ctx_t  *ctx;

    c = ev->data;
    s = c->data;

    ctx = ngx_stream_get_module_ctx(s, ngx_stream_ephpm_module);

    if (c->close && (!ngx_exiting || c->error)) {
        /* its place is needed, or worker_shutdown_timeout is over */
        ngx_stream_ephpm_close(ctx, NGX_STREAM_OK);
        return;
    }

    if (ev->timedout) {
        ev->timedout = 0;

        if (!ctx->leaving || ctx->deaf
            || resp_conn_output(ctx->conn, &bytes) == 0)
        {
            ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                          "client timed out");
            ngx_stream_ephpm_close(ctx, NGX_STREAM_OK);
            return;
        }

        ctx->deaf = 1;
        ngx_add_timer(c->read, NGX_STREAM_EPHPM_LAST_TIMEOUT);
    }

    ngx_stream_ephpm_process(ctx);
}


static void
ngx_stream_ephpm_process(ngx_stream_ephpm_ctx_t *ctx)
{
    ngx_int_t                 sent, got;
    ngx_uint_t                again, idle;
    const char               *bytes;
    ngx_connection_t         *c;
    ngx_stream_ephpm_turn_t   turn;

    c = ctx->session->connection;

    ngx_log_debug0(NGX_LOG_DEBUG_STREAM, c->log, 0, "ephpm resp process");

    ngx_reusable_connection(c, 0);

    if (ngx_exiting && !ctx->leaving) {
        ctx->leaving = 1;
        ngx_add_timer(c->read, NGX_STREAM_EPHPM_GRACE);

        /* what has come may not have been reported yet */
        c->read->ready = 1;
        c->read->available = -1;
    }

    turn.in = 0;
    turn.out = 0;
    turn.end_us = ngx_stream_ephpm_clock_us()
                  + NGX_STREAM_EPHPM_TURN_TIME * 1000;

    if (resp_conn_state(ctx->conn) == RESP_MORE) {
        (void) resp_conn_sent(ctx->conn, 0);
    }

    for ( ;; ) {

        sent = ngx_stream_ephpm_send(ctx, &turn);

        if (sent == NGX_ERROR) {
            ngx_stream_ephpm_close(ctx, NGX_STREAM_OK);
            return;
        }

        again = (sent == NGX_BUSY);

        if (again || resp_conn_state(ctx->conn) != RESP_READ) {
            break;
        }

        if (turn.in >= NGX_STREAM_EPHPM_TURN_IN
            || ngx_stream_ephpm_clock_us() >= turn.end_us)
        {
            again = 1;
            break;
        }

        got = ngx_stream_ephpm_read(ctx, &turn);

        if (got == NGX_ERROR) {
            ngx_stream_ephpm_close(ctx, NGX_STREAM_OK);
            return;
        }

        if (got == NGX_AGAIN) {
            break;
        }
    }

    if (resp_conn_state(ctx->conn) == RESP_MORE) {
        again = 1;
    }

    idle = (resp_conn_output(ctx->conn, &bytes) == 0);

    if (resp_conn_state(ctx->conn) == RESP_CLOSING
        ? resp_conn_output(ctx->conn, &bytes) == 0
        : idle && !again
          && (ctx->eof || ctx->deaf
              || (ctx->leaving && resp_conn_idle(ctx->conn))))
    {
        ngx_stream_ephpm_close(ctx, NGX_STREAM_OK);
        return;
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK
        || ngx_handle_write_event(c->write, 0) != NGX_OK)
    {
        ngx_stream_ephpm_close(ctx, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    if (again) {
        ngx_post_event(c->read, &ngx_posted_next_events);

    } else if (idle && resp_conn_idle(ctx->conn) && !ctx->leaving) {
        ngx_reusable_connection(c, 1);
    }
}


static void
ngx_stream_ephpm_active(ngx_stream_ephpm_ctx_t *ctx, ngx_uint_t sent)
{
    ngx_connection_t  *c;

    c = ctx->session->connection;

    if (!ctx->leaving) {
        if (ctx->conf->timeout) {
            ngx_add_timer(c->read, ctx->conf->timeout);
        }

    } else if (ctx->deaf && sent) {
        ngx_add_timer(c->read, NGX_STREAM_EPHPM_LAST_TIMEOUT);
    }
}


/*
 * NGX_OK: all is sent; NGX_AGAIN: the client does not take more now;
 * NGX_BUSY: the turn is over
 */

static ngx_int_t
ngx_stream_ephpm_send(ngx_stream_ephpm_ctx_t *ctx,
    ngx_stream_ephpm_turn_t *turn)
{
    size_t             len;
    ssize_t            n;
    const char        *bytes;
    resp_state_t       state;
    ngx_connection_t  *c;

    c = ctx->session->connection;
    state = resp_conn_state(ctx->conn);

    for ( ;; ) {

        if (state == RESP_DROP) {
            ngx_log_error(NGX_LOG_WARN, c->log, 0,
                          "ephpm: the client is dropped: too much of what it "
                          "asks for waits to be sent, or there is no memory");
            return NGX_ERROR;
        }

        len = resp_conn_output(ctx->conn, &bytes);

        if (len == 0) {
            return NGX_OK;
        }

        if (!c->write->ready) {
            return NGX_AGAIN;
        }

        if (turn->out >= NGX_STREAM_EPHPM_TURN_OUT
            || (turn->out && ngx_stream_ephpm_clock_us() >= turn->end_us))
        {
            return NGX_BUSY;
        }

        n = c->send(c, (u_char *) bytes,
                    ngx_min(len, NGX_STREAM_EPHPM_CHUNK));

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN || n == 0) {
            return NGX_AGAIN;
        }

        turn->out += n;
        state = resp_conn_sent(ctx->conn, n);

        ngx_stream_ephpm_active(ctx, 1);
    }
}


/* NGX_OK: something was fed; NGX_AGAIN: nothing came */

static ngx_int_t
ngx_stream_ephpm_read(ngx_stream_ephpm_ctx_t *ctx,
    ngx_stream_ephpm_turn_t *turn)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = ctx->session->connection;

    if (ctx->eof || ctx->deaf || !c->read->ready) {
        return NGX_AGAIN;
    }

    n = c->recv(c, ngx_stream_ephpm_chunk, NGX_STREAM_EPHPM_CHUNK);

    if (n == NGX_ERROR || n == NGX_AGAIN) {
        return n;
    }

    if (n == 0) {
        ctx->eof = 1;
        return NGX_AGAIN;
    }

    ctx->session->received += n;
    turn->in += n;

    (void) resp_conn_feed(ctx->conn, ngx_stream_ephpm_chunk, n);

    ngx_stream_ephpm_active(ctx, 0);

    return NGX_OK;
}
