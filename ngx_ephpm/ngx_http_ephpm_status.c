
/*
 * ngx_http_ephpm_status.c - the status page, written by a worker: what it
 * knows of PHP is what a runner has published last.
 */


#include "ngx_http_ephpm_module.h"

#include "ephpm_facts.h"
#include "ephpm_status.h"


#define NGX_HTTP_EPHPM_STATUS_BUFFER  16384

#define ngx_http_ephpm_quoted(text)   #text
#define ngx_http_ephpm_version(text)  ngx_http_ephpm_quoted(text)


typedef struct {
    ngx_pool_t                 *pool;
    ngx_chain_t                *first;
    ngx_chain_t               **last;
    ngx_buf_t                  *buf;
    off_t                       size;
    ngx_uint_t                  failed;
} ngx_http_ephpm_text_t;


static ngx_int_t ngx_http_ephpm_status_handler(ngx_http_request_t *r);


char *
ngx_http_ephpm_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "is in a location that another directive answers for already";
    }

    clcf->handler = ngx_http_ephpm_status_handler;

    return NGX_CONF_OK;
}


static void
ngx_http_ephpm_status_write(void *to, const char *data, size_t bytes)
{
    ngx_http_ephpm_text_t *text = to;

    size_t        size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    while (bytes && !text->failed) {
        b = text->buf;

        if (b == NULL || b->last == b->end) {

            b = ngx_create_temp_buf(text->pool, NGX_HTTP_EPHPM_STATUS_BUFFER);
            cl = ngx_alloc_chain_link(text->pool);

            if (b == NULL || cl == NULL) {
                text->failed = 1;
                return;
            }

            cl->buf = b;
            cl->next = NULL;
            *text->last = cl;
            text->last = &cl->next;
            text->buf = b;
        }

        size = ngx_min(bytes, (size_t) (b->end - b->last));
        b->last = ngx_cpymem(b->last, data, size);
        data += size;
        bytes -= size;
        text->size += size;
    }
}


/* NUL-terminated */

static char *
ngx_http_ephpm_status_text(ngx_pool_t *pool, ngx_str_t *s)
{
    u_char  *p;

    p = ngx_pnalloc(pool, s->len + 1);
    if (p == NULL) {
        return "";
    }

    ngx_memcpy(p, s->data, s->len);
    p[s->len] = '\0';

    return (char *) p;
}


static ngx_int_t
ngx_http_ephpm_status_collect(ngx_http_request_t *r, ephpm_status_t *status)
{
    void                        *room;
    ngx_uint_t                   i;
    ephpm_status_store_t        *stores;
    ephpm_status_runners_t      *runners;
    ngx_http_ephpm_store_t     **store;
    ngx_http_core_srv_conf_t    *cscf;
    ngx_http_ephpm_loc_conf_t   *elcf;
    ngx_http_ephpm_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ephpm_module);
    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);
    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    ngx_memzero(status, sizeof(ephpm_status_t));

    status->version = ngx_http_ephpm_version(NGX_EPHPM_VERSION);
    status->server = NGINX_VER;
    status->site = ngx_http_ephpm_status_text(r->pool,
                       r->headers_in.server.len ? &r->headers_in.server
                                                : &cscf->server_name);
    status->now_s = ngx_time();
    status->restarted_s = mcf->started;

    stores = ngx_pcalloc(r->pool, (mcf->stores.nelts + 1)
                                  * sizeof(ephpm_status_store_t));
    room = ngx_palloc(r->pool, EPHPM_FACTS_BYTES);
    runners = ngx_pcalloc(r->pool, sizeof(ephpm_status_runners_t));

    if (stores == NULL || room == NULL || runners == NULL) {
        return NGX_ERROR;
    }

    store = mcf->stores.elts;
    for (i = 0; i < mcf->stores.nelts; i++) {
        stores[i].name = ngx_http_ephpm_status_text(r->pool, &store[i]->name);
        stores[i].handle = store[i]->handle;
        stores[i].history = store[i]->history;
    }

    status->stores = stores;
    status->store_count = mcf->stores.nelts;

    if (elcf->store) {
        status->own_store = stores[elcf->store - 1].name;
    }

    status->runners = runners;

    if (mcf->jobs) {
        ephpm_facts_runners(mcf->jobs, runners);
        (void) ephpm_facts_fill(mcf->jobs, status, room);

    } else {
        (void) ephpm_facts_unpack(room, 0, status);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_status_header(ngx_http_request_t *r, char *name, char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->value.len = ngx_strlen(value);
    h->value.data = (u_char *) value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_status_handler(ngx_http_request_t *r)
{
    char                        *query, *type;
    ngx_int_t                    rc;
    ephpm_status_t               status;
    ephpm_status_query_t         asked;
    ngx_http_ephpm_text_t        text;
    ngx_http_ephpm_main_conf_t  *mcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_ephpm_status_header(r, "Allow", "GET, HEAD") == NGX_OK
               ? NGX_HTTP_NOT_ALLOWED : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    query = r->args.len ? ngx_http_ephpm_status_text(r->pool, &r->args) : NULL;
    asked = ephpm_status_query(query);
    type = (char *) ephpm_status_type(asked.format);

    ngx_memzero(&text, sizeof(ngx_http_ephpm_text_t));
    text.pool = r->pool;
    text.last = &text.first;

    r->headers_out.status = NGX_HTTP_OK;

    if (asked.format == EPHPM_STATUS_BAD_QUERY) {
        r->headers_out.status = NGX_HTTP_BAD_REQUEST;
        ngx_http_ephpm_status_write(&text, ephpm_status_bad_query,
                                    ngx_strlen(ephpm_status_bad_query));

    } else {
        mcf = ngx_http_get_module_main_conf(r, ngx_http_ephpm_module);
        ngx_http_ephpm_stores_sample(mcf);

        if (ngx_http_ephpm_status_collect(r, &status) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ephpm_status_write(&status, &asked, ngx_http_ephpm_status_write,
                           &text);
    }

    if (text.failed || text.buf == NULL
        || ngx_http_ephpm_status_header(r, "Cache-Control", "no-store")
           != NGX_OK
        || ngx_http_ephpm_status_header(r, "Content-Security-Policy",
                                        (char *) ephpm_status_policy)
           != NGX_OK
        || ngx_http_ephpm_status_header(r, "X-Content-Type-Options",
                                        "nosniff")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = strcspn(type, ";");
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = text.size;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    text.buf->last_buf = (r == r->main) ? 1 : 0;
    text.buf->last_in_chain = 1;

    return ngx_http_output_filter(r, text.first);
}
