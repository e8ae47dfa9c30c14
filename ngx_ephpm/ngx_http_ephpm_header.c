
/*
 * ngx_http_ephpm_header.c - the head of a response.
 *
 * A HEAD frame is taken apart at once: what it says to nginx itself (status,
 * length, X-Accel-...) is known from then on.  The headers go into
 * r->headers_out only when they are sent, for until then nginx may answer by
 * itself: each into nginx's own field where it has one.
 */


#include "ngx_http_ephpm_module.h"


/* ephpm_header_op_t, which only PHP's headers declare */
#define NGX_HTTP_EPHPM_ADD      0
#define NGX_HTTP_EPHPM_REPLACE  1


typedef struct ngx_http_ephpm_header_s  ngx_http_ephpm_header_t;

typedef ngx_int_t (*ngx_http_ephpm_header_pt)(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);

struct ngx_http_ephpm_header_s {
    ngx_str_t                   name;       /* lower case */
    ngx_http_ephpm_header_pt    take;       /* from the frame */
    ngx_http_ephpm_header_pt    copy;       /* into r->headers_out */
    ngx_uint_t                  offset;
    ngx_uint_t                  redirect;   /* kept by X-Accel-Redirect */
};


typedef struct {
    ngx_http_ephpm_ctx_t       *ctx;
    ngx_int_t                   rc;
} ngx_http_ephpm_taking_t;


typedef struct {
    ngx_uint_t                  status;
    char                       *reason;
} ngx_http_ephpm_reason_t;


static void ngx_http_ephpm_take_header(void *to, int op, const char *name,
    const char *value);
static ngx_int_t ngx_http_ephpm_set_upstream(ngx_http_ephpm_ctx_t *ctx);
static ngx_int_t ngx_http_ephpm_set_reason(ngx_http_ephpm_ctx_t *ctx,
    const char *reason);
static ngx_int_t ngx_http_ephpm_take_length(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_take_auth(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_take_redirect(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_take_buffering(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_take_limit_rate(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_take_charset(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_copy(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_copy_multi(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_copy_type(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_copy_location(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_copy_modified(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);
static ngx_int_t ngx_http_ephpm_copy_nothing(ngx_http_ephpm_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_ephpm_header_t *known);


#define ngx_http_ephpm_out(field)  offsetof(ngx_http_headers_out_t, field)

static ngx_http_ephpm_header_t  ngx_http_ephpm_headers[] = {

    { ngx_string("content-type"),
      NULL,
      ngx_http_ephpm_copy_type, 0, 1 },

    { ngx_string("content-length"),
      ngx_http_ephpm_take_length,
      ngx_http_ephpm_copy_nothing, 0, 0 },

    { ngx_string("set-cookie"),
      NULL,
      ngx_http_ephpm_copy, 0, 1 },

    { ngx_string("location"),
      NULL,
      ngx_http_ephpm_copy_location, 0, 0 },

    { ngx_string("cache-control"),
      NULL,
      ngx_http_ephpm_copy_multi, ngx_http_ephpm_out(cache_control), 1 },

    { ngx_string("expires"),
      NULL,
      ngx_http_ephpm_copy, ngx_http_ephpm_out(expires), 1 },

    { ngx_string("last-modified"),
      NULL,
      ngx_http_ephpm_copy_modified, 0, 0 },

    { ngx_string("etag"),
      NULL,
      ngx_http_ephpm_copy, ngx_http_ephpm_out(etag), 0 },

    { ngx_string("date"),
      NULL,
      ngx_http_ephpm_copy, ngx_http_ephpm_out(date), 0 },

    { ngx_string("server"),
      NULL,
      ngx_http_ephpm_copy, ngx_http_ephpm_out(server), 0 },

    { ngx_string("www-authenticate"),
      ngx_http_ephpm_take_auth,
      ngx_http_ephpm_copy, ngx_http_ephpm_out(www_authenticate), 0 },

    { ngx_string("link"),
      NULL,
      ngx_http_ephpm_copy_multi, ngx_http_ephpm_out(link), 0 },

    { ngx_string("refresh"),
      NULL,
      ngx_http_ephpm_copy, ngx_http_ephpm_out(refresh), 0 },

    { ngx_string("content-disposition"),
      NULL,
      ngx_http_ephpm_copy, 0, 1 },

    { ngx_string("content-encoding"),
      NULL,
      ngx_http_ephpm_copy, ngx_http_ephpm_out(content_encoding), 0 },

    { ngx_string("content-range"),
      NULL,
      ngx_http_ephpm_copy, ngx_http_ephpm_out(content_range), 0 },

    { ngx_string("accept-ranges"),
      NULL,
      ngx_http_ephpm_copy, ngx_http_ephpm_out(accept_ranges), 1 },

    /* these are between nginx and its client */

    { ngx_string("connection"),
      NULL,
      ngx_http_ephpm_copy_nothing, 0, 0 },

    { ngx_string("keep-alive"),
      NULL,
      ngx_http_ephpm_copy_nothing, 0, 0 },

    { ngx_string("transfer-encoding"),
      NULL,
      ngx_http_ephpm_copy_nothing, 0, 0 },

    /* and these between the script and nginx */

    { ngx_string("x-accel-redirect"),
      ngx_http_ephpm_take_redirect,
      ngx_http_ephpm_copy, 0, 0 },

    { ngx_string("x-accel-buffering"),
      ngx_http_ephpm_take_buffering,
      ngx_http_ephpm_copy, 0, 0 },

    { ngx_string("x-accel-limit-rate"),
      ngx_http_ephpm_take_limit_rate,
      ngx_http_ephpm_copy, 0, 0 },

    { ngx_string("x-accel-charset"),
      ngx_http_ephpm_take_charset,
      ngx_http_ephpm_copy, 0, 0 },

    { ngx_null_string, NULL, NULL, 0, 0 }
};


/* the words that PHP itself has for them under php-fpm */

static ngx_http_ephpm_reason_t  ngx_http_ephpm_reasons[] = {
    { 201, "Created" },
    { 202, "Accepted" },
    { 203, "Non-Authoritative Information" },
    { 204, "No Content" },
    { 205, "Reset Content" },
    { 206, "Partial Content" },
    { 207, "Multi-Status" },
    { 208, "Already Reported" },
    { 226, "IM Used" },
    { 300, "Multiple Choices" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 305, "Use Proxy" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 402, "Payment Required" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 407, "Proxy Authentication Required" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Request Entity Too Large" },
    { 414, "Request-URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Requested Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 418, "I'm a teapot" },
    { 421, "Misdirected Request" },
    { 422, "Unprocessable Entity" },
    { 423, "Locked" },
    { 424, "Failed Dependency" },
    { 425, "Too Early" },
    { 426, "Upgrade Required" },
    { 428, "Precondition Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 451, "Unavailable For Legal Reasons" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
    { 506, "Variant Also Negotiates" },
    { 507, "Insufficient Storage" },
    { 508, "Loop Detected" },
    { 510, "Not Extended" },
    { 511, "Network Authentication Required" },
    { 0, NULL }
};


ngx_int_t
ngx_http_ephpm_take_head(ngx_http_ephpm_ctx_t *ctx, const void *data,
    size_t bytes)
{
    int                       status;
    u_char                   *p;
    const char               *reason;
    ngx_http_request_t       *r;
    ngx_http_ephpm_taking_t   taking;

    r = ctx->request;

    if (ctx->head.seen) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ephpm: the response of \"%V\" has two heads",
                      &ctx->script);
        return NGX_ERROR;
    }

    if (ngx_list_init(&ctx->headers, r->pool, 8, sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* one copy, which names and values point into */

    p = ngx_pnalloc(r->pool, bytes + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, data, bytes);

    taking.ctx = ctx;
    taking.rc = NGX_OK;

    status = 0;
    reason = NULL;

    if (!ephpm_head_each(p, bytes, &status, &reason,
                         ngx_http_ephpm_take_header, &taking))
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ephpm: the head of the response of \"%V\" cannot be "
                      "read", &ctx->script);
        return NGX_ERROR;
    }

    if (taking.rc != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->head.seen = 1;

    ctx->head.status = status;

    if (ngx_http_ephpm_set_reason(ctx, reason) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->head.status < 200 || ctx->head.status > 999) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ephpm: \"%V\" answers with the status %i, which "
                      "cannot be that of a response",
                      &ctx->script, (ngx_int_t) ctx->head.status);
        return NGX_ERROR;
    }

    if (ctx->head.buffering != -1 && r == r->main) {
        ctx->unbuffered = !ctx->head.buffering;
    }

    ctx->rest = ctx->head.content_length;

    return ngx_http_ephpm_set_upstream(ctx);
}


static ngx_int_t
ngx_http_ephpm_set_upstream(ngx_http_ephpm_ctx_t *ctx)
{
    ngx_http_request_t          *r;
    ngx_http_upstream_t         *u;
    ngx_http_ephpm_main_conf_t  *mcf;

    r = ctx->request;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_ephpm_module);

    if (!mcf->upstream_headers || r->upstream) {
        return NGX_OK;
    }

    u = ngx_pcalloc(r->pool, sizeof(ngx_http_upstream_t));
    if (u == NULL) {
        return NGX_ERROR;
    }

    u->headers_in.headers = ctx->headers;
    u->headers_in.status_n = ctx->head.status;
    u->headers_in.content_length_n = ctx->head.content_length;

    r->upstream = u;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_set_reason(ngx_http_ephpm_ctx_t *ctx, const char *reason)
{
    u_char                   *p;
    size_t                    len;
    ngx_uint_t                status;
    ngx_http_ephpm_reason_t  *known;

    status = ctx->head.status;

    if (reason == NULL || *reason == '\0') {

        for (known = ngx_http_ephpm_reasons; known->status; known++) {
            if (known->status == status) {
                reason = known->reason;
                break;
            }
        }

        if (known->status == 0) {
            /* nginx's own, or none */
            return NGX_OK;
        }
    }

    len = ngx_strlen(reason);

    p = ngx_pnalloc(ctx->request->pool, len + sizeof("000 ") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->head.status_line.data = p;
    p = ngx_sprintf(p, "%03ui ", status);
    p = ngx_cpymem(p, reason, len);
    ctx->head.status_line.len = p - ctx->head.status_line.data;

    return NGX_OK;
}


static ngx_http_ephpm_header_t *
ngx_http_ephpm_known(ngx_table_elt_t *h)
{
    ngx_http_ephpm_header_t  *known;

    for (known = ngx_http_ephpm_headers; known->name.len; known++) {
        if (known->name.len == h->key.len
            && ngx_memcmp(known->name.data, h->lowcase_key, h->key.len) == 0)
        {
            return known;
        }
    }

    return NULL;
}


static void
ngx_http_ephpm_take_header(void *to, int op, const char *name,
    const char *value)
{
    ngx_http_ephpm_taking_t *taking = to;

    size_t                    len;
    ngx_table_elt_t          *h;
    ngx_http_ephpm_ctx_t     *ctx;
    ngx_http_ephpm_header_t  *known;

    ctx = taking->ctx;
    len = ngx_strlen(name);

    /* names of what was deleted are there as well, with nothing to delete */

    if (taking->rc != NGX_OK || len == 0
        || (op != NGX_HTTP_EPHPM_ADD && op != NGX_HTTP_EPHPM_REPLACE))
    {
        return;
    }

    if (strpbrk(name, "\r\n: ") || strpbrk(value, "\r\n")) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "ephpm: \"%V\" sends a header that is none, and it is "
                      "dropped", &ctx->script);
        return;
    }

    h = ngx_list_push(&ctx->headers);
    if (h == NULL) {
        taking->rc = NGX_ERROR;
        return;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.len = len;
    h->key.data = (u_char *) name;
    h->value.len = ngx_strlen(value);
    h->value.data = (u_char *) value;

    h->lowcase_key = ngx_pnalloc(ctx->request->pool, len);
    if (h->lowcase_key == NULL) {
        taking->rc = NGX_ERROR;
        return;
    }

    h->hash = ngx_hash_strlow(h->lowcase_key, h->key.data, len);

    if (h->hash == 0) {
        /* 0 would say: not to be sent */
        h->hash = 1;
    }

    known = ngx_http_ephpm_known(h);

    if (known && known->take) {
        taking->rc = known->take(ctx, h, known);
    }
}


static ngx_int_t
ngx_http_ephpm_take_length(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    off_t  length;

    length = ngx_atoof(h->value.data, h->value.len);

    if (length == NGX_ERROR) {
        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "ephpm: \"%V\" sends the Content-Length \"%V\", which "
                      "is no number, and it is dropped",
                      &ctx->script, &h->value);
        return NGX_OK;
    }

    ctx->head.content_length = length;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_take_auth(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    ctx->head.www_authenticate = h;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_take_redirect(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    ctx->head.redirect = h->value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_take_buffering(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    if (ngx_strcasecmp(h->value.data, (u_char *) "no") == 0) {
        ctx->head.buffering = 0;

    } else if (ngx_strcasecmp(h->value.data, (u_char *) "yes") == 0) {
        ctx->head.buffering = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_take_limit_rate(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    ngx_int_t  rate;

    rate = ngx_atoi(h->value.data, h->value.len);

    if (rate != NGX_ERROR) {
        ctx->request->limit_rate = (size_t) rate;
        ctx->request->limit_rate_set = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_take_charset(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    ctx->request->headers_out.override_charset = &h->value;

    return NGX_OK;
}


static ngx_table_elt_t *
ngx_http_ephpm_push(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h)
{
    ngx_table_elt_t  *ho;

    ho = ngx_list_push(&ctx->request->headers_out.headers);

    if (ho) {
        *ho = *h;
    }

    return ho;
}


static ngx_int_t
ngx_http_ephpm_copy(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    ngx_table_elt_t  *ho, **field;

    ho = ngx_http_ephpm_push(ctx, h);
    if (ho == NULL) {
        return NGX_ERROR;
    }

    if (known && known->offset) {
        field = (ngx_table_elt_t **) ((char *) &ctx->request->headers_out
                                      + known->offset);
        *field = ho;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_copy_multi(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    char             *field;
    ngx_table_elt_t  *ho, **slot;

    ho = ngx_http_ephpm_push(ctx, h);
    if (ho == NULL) {
        return NGX_ERROR;
    }

    field = (char *) &ctx->request->headers_out + known->offset;

#if (nginx_version >= 1023000)

    slot = (ngx_table_elt_t **) field;

    while (*slot) {
        slot = &(*slot)->next;
    }

    ho->next = NULL;

#else

    if (((ngx_array_t *) field)->elts == NULL
        && ngx_array_init((ngx_array_t *) field, ctx->request->pool, 2,
                          sizeof(ngx_table_elt_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    slot = ngx_array_push((ngx_array_t *) field);
    if (slot == NULL) {
        return NGX_ERROR;
    }

#endif

    *slot = ho;

    return NGX_OK;
}


/*
 * The charset stands apart, so that nginx adds none.  An empty type is how a
 * script says that there is to be none.
 */

static ngx_int_t
ngx_http_ephpm_copy_type(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    u_char                  *p, *end, *type_end;
    ngx_http_headers_out_t  *out;

    out = &ctx->request->headers_out;

    out->content_type = h->value;
    out->content_type_len = h->value.len;
    out->content_type_lowcase = NULL;

    end = h->value.data + h->value.len;

    for (p = h->value.data; p < end; p++) {

        if (*p != ';') {
            continue;
        }

        type_end = p;

        do {
            p++;
        } while (p < end && *p == ' ');

        if (end - p < 8 || ngx_strncasecmp(p, (u_char *) "charset=", 8) != 0) {
            p--;
            continue;
        }

        p += 8;

        if (p < end && *p == '"') {
            p++;
        }

        if (end > p && *(end - 1) == '"') {
            end--;
        }

        out->content_type_len = type_end - h->value.data;
        out->charset.data = p;
        out->charset.len = end - p;

        break;
    }

    return NGX_OK;
}


/* A path stays one: nginx would make an absolute address of it. */

static ngx_int_t
ngx_http_ephpm_copy_location(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    ngx_table_elt_t  *ho;

    ho = ngx_http_ephpm_push(ctx, h);
    if (ho == NULL) {
        return NGX_ERROR;
    }

    if (ho->value.len == 0 || ho->value.data[0] != '/') {
        ctx->request->headers_out.location = ho;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_copy_modified(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    ngx_table_elt_t  *ho;

    ho = ngx_http_ephpm_push(ctx, h);
    if (ho == NULL) {
        return NGX_ERROR;
    }

    ctx->request->headers_out.last_modified = ho;
    ctx->request->headers_out.last_modified_time =
                               ngx_parse_http_time(h->value.data, h->value.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_copy_nothing(ngx_http_ephpm_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_ephpm_header_t *known)
{
    return NGX_OK;
}


ngx_int_t
ngx_http_ephpm_copy_headers(ngx_http_ephpm_ctx_t *ctx, ngx_uint_t redirected)
{
    ngx_uint_t                  i;
    ngx_list_part_t            *part;
    ngx_table_elt_t            *h;
    ngx_http_request_t         *r;
    ngx_http_ephpm_header_t    *known;
    ngx_http_ephpm_loc_conf_t  *elcf;

    r = ctx->request;
    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);

    part = &ctx->headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        known = ngx_http_ephpm_known(&h[i]);

        if (redirected) {

            if (known == NULL || !known->redirect) {
                continue;
            }

        } else if (ngx_http_ephpm_hidden(elcf, h[i].lowcase_key, h[i].key.len))
        {
            continue;
        }

        if (known) {
            if (known->copy(ctx, &h[i], known) != NGX_OK) {
                return NGX_ERROR;
            }

        } else if (ngx_http_ephpm_copy(ctx, &h[i], NULL) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (redirected) {
        return NGX_OK;
    }

    r->headers_out.status = ctx->head.status;
    r->headers_out.status_line = ctx->head.status_line;
    r->headers_out.content_length_n = ctx->head.content_length;

    /* as of any upstream that is not cached: it is the script's affair */

    r->disable_not_modified = 1;

    return NGX_OK;
}
