
/*
 * ngx_http_ephpm_snapshot.c - a request as bytes, for a runner.
 */


#include "ngx_http_ephpm_module.h"


/* the cookies, joined: nginx 1.23 has a list of them where 1.22 has an array */

static ngx_int_t
ngx_http_ephpm_cookies(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char            *p;
    size_t             len;
    ngx_table_elt_t   *h;
#if (nginx_version < 1023000)
    ngx_uint_t         i, n;
    ngx_table_elt_t  **list;
#endif

    ngx_str_null(value);
    len = 0;

#if (nginx_version >= 1023000)

    h = r->headers_in.cookie;

    if (h == NULL) {
        return NGX_OK;
    }

    if (h->next == NULL) {
        *value = h->value;
        return NGX_OK;
    }

    for (/* void */; h; h = h->next) {
        len += h->value.len + 2;
    }

#else

    n = r->headers_in.cookies.nelts;

    if (n == 0) {
        return NGX_OK;
    }

    list = r->headers_in.cookies.elts;

    if (n == 1) {
        *value = list[0]->value;
        return NGX_OK;
    }

    for (i = 0; i < n; i++) {
        len += list[i]->value.len + 2;
    }

#endif

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

#if (nginx_version >= 1023000)
    for (h = r->headers_in.cookie; h; h = h->next) {
#else
    for (i = 0; i < n; i++) {
        h = list[i];
#endif
        if (p != value->data) {
            *p++ = ';';
            *p++ = ' ';
        }

        p = ngx_cpymem(p, h->value.data, h->value.len);
    }

    value->len = p - value->data;

    return NGX_OK;
}


/*
 * The file gets the name of a job's: what a worker leaves that is killed is
 * then known as such, and removed by the spawner.  nginx goes on to remove it
 * with the request; on another file system it keeps its name.
 */

static void
ngx_http_ephpm_rename_body(ngx_http_ephpm_snapshot_t *s,
    ngx_http_ephpm_ctx_t *ctx)
{
    u_char                      *p;
    size_t                       len;
    ngx_file_t                  *file;
    ngx_str_t                    to;
    ngx_path_t                  *path;
    ngx_pool_cleanup_t          *cln;
    ngx_pool_cleanup_file_t     *clnf;
    ngx_http_ephpm_main_conf_t  *mcf;

    char                         name[EPHPM_FILE_NAME_BYTES];

    if (s->r->request_body->temp_file == NULL
        || s->r->request_body_in_file_only)
    {
        return;
    }

    file = &s->r->request_body->temp_file->file;

    mcf = ngx_http_get_module_main_conf(s->r, ngx_http_ephpm_module);
    path = mcf->temp_path;

    for (cln = s->r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_pool_delete_file) {
            clnf = cln->data;

            if (clnf->fd == file->fd) {
                break;
            }
        }
    }

    if (cln == NULL || ngx_strncmp(file->name.data, path->name.data,
                                   path->name.len)
                       == 0)
    {
        return;
    }

    clnf = cln->data;

    ephpm_job_file_name(&ctx->job, "body", name);

    len = path->name.len + 1 + ngx_strlen(name);

    to.data = ngx_pnalloc(s->r->pool, len + 1);
    if (to.data == NULL) {
        return;
    }

    p = ngx_cpymem(to.data, path->name.data, path->name.len);
    *p++ = '/';
    (void) ngx_cpystrn(p, (u_char *) name, sizeof(name));
    to.len = len;

    if (ngx_rename_file(file->name.data, to.data) == NGX_FILE_ERROR) {

        if (ngx_errno != NGX_EXDEV) {
            ngx_log_error(NGX_LOG_CRIT, s->r->connection->log, ngx_errno,
                          ngx_rename_file_n " \"%V\" to \"%V\" failed",
                          &file->name, &to);
        }

        return;
    }

    file->name = to;
    clnf->name = to.data;
}


/*
 * The body: in the job where there is room for it, or the file that nginx has
 * put it into.  What is in memory and too long goes to the snapshot's own file.
 */

static ngx_int_t
ngx_http_ephpm_put_body(ngx_http_ephpm_snapshot_t *s,
    ngx_http_ephpm_ctx_t *ctx, off_t body)
{
    u_char       *p;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (body == 0) {
        return NGX_OK;
    }

    cl = s->r->request_body->bufs;

    if (cl->next == NULL && !ngx_buf_in_memory(cl->buf)) {
        b = cl->buf;

        ngx_http_ephpm_rename_body(s, ctx);

        ephpm_snapshot_text_n(s->writer, EPHPM_ITEM_BODY_FILE,
                              (char *) b->file->name.data, b->file->name.len);
        ephpm_snapshot_number(s->writer, EPHPM_ITEM_BODY_OFFSET, b->file_pos);
        ephpm_snapshot_number(s->writer, EPHPM_ITEM_BODY_BYTES, body);

        return NGX_OK;
    }

    if (body > (off_t) EPHPM_SNAPSHOT_BODY_MAX) {
        /* only with a client_body_buffer_size of as much */
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    p = ephpm_snapshot_body(s->writer, body);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (/* void */; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);

        } else if (b->in_file) {
            n = ngx_read_file(b->file, p, b->file_last - b->file_pos,
                              b->file_pos);

            if (n != b->file_last - b->file_pos) {
                return NGX_ERROR;
            }

            p += n;
        }
    }

    return NGX_OK;
}


static off_t
ngx_http_ephpm_body_size(ngx_http_request_t *r)
{
    off_t                       size;
    ngx_chain_t                *cl;
    ngx_http_ephpm_loc_conf_t  *elcf;

    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);

    if (!elcf->pass_request_body || r->request_body == NULL) {
        return 0;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    return size;
}


static void
ngx_http_ephpm_put_texts(ngx_http_ephpm_snapshot_t *s,
    ngx_http_ephpm_ctx_t *ctx, off_t body)
{
    ngx_str_t                    cookies;
    ngx_uint_t                   flags;
    ngx_http_request_t          *r;
    ephpm_snapshot_writer_t     *w;
    ngx_http_core_srv_conf_t    *cscf;
    ngx_http_ephpm_loc_conf_t   *elcf;

    r = s->r;
    w = s->writer;

    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);

#define ngx_http_ephpm_text(kind, s)                                          \
    ephpm_snapshot_text_n(w, kind, (char *) (s)->data, (s)->len)

    ngx_http_ephpm_text(EPHPM_ITEM_METHOD, &r->method_name);
    ngx_http_ephpm_text(EPHPM_ITEM_URI, &ctx->script_name);
    ngx_http_ephpm_text(EPHPM_ITEM_SCRIPT, &ctx->script);

    ephpm_snapshot_text_n(w, EPHPM_ITEM_QUERY,
                          r->args.len ? (char *) r->args.data : "",
                          r->args.len);

    if (r->headers_in.content_type) {
        ngx_http_ephpm_text(EPHPM_ITEM_CONTENT_TYPE,
                            &r->headers_in.content_type->value);
    }

    if (ngx_http_ephpm_cookies(r, &cookies) != NGX_OK) {
        w->error = NGX_ENOMEM;
        return;
    }

    if (cookies.data) {
        ngx_http_ephpm_text(EPHPM_ITEM_COOKIES, &cookies);
    }

    if (r->headers_in.authorization) {
        ngx_http_ephpm_text(EPHPM_ITEM_AUTHORIZATION,
                            &r->headers_in.authorization->value);
    }

    if (elcf->user_ini) {
        cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

        ngx_http_ephpm_text(EPHPM_ITEM_HOST_NAME, &cscf->server_name);
        ngx_http_ephpm_text(EPHPM_ITEM_USER_INI_ROOT, &ctx->root);
    }

    flags = 0;

    if (r->method == NGX_HTTP_HEAD) {
        flags |= EPHPM_SNAPSHOT_HEAD;
    }

    if (ctx->unbuffered) {
        flags |= EPHPM_SNAPSHOT_FLUSH;
    }

    ephpm_snapshot_number(w, EPHPM_ITEM_CONTENT_LENGTH, body);
    ephpm_snapshot_number(w, EPHPM_ITEM_PROTOCOL, r->http_version);
    ephpm_snapshot_number(w, EPHPM_ITEM_STATUS, NGX_HTTP_OK);
    ephpm_snapshot_number(w, EPHPM_ITEM_TIME_US,
                          (int64_t) r->start_sec * 1000000
                          + (int64_t) r->start_msec * 1000);
    ephpm_snapshot_number(w, EPHPM_ITEM_STORE,
                          elcf->kv_off ? -1 : (int64_t) elcf->store);
    ephpm_snapshot_number(w, EPHPM_ITEM_SETTINGS, elcf->settings);
    ephpm_snapshot_number(w, EPHPM_ITEM_FLAGS, flags);
}


/* what the script has as DOCUMENT_ROOT, and its .user.ini files begin in */

static ngx_int_t
ngx_http_ephpm_root(ngx_http_request_t *r, ngx_http_ephpm_ctx_t *ctx)
{
    ngx_http_ephpm_param_t      *param;
    ngx_http_variable_value_t   *vv;
    ngx_http_ephpm_loc_conf_t   *elcf;
    ngx_http_ephpm_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ephpm_module);
    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);

    param = elcf->params.root;

    if (param) {

        if (ngx_http_complex_value(r, &param->value, &ctx->root) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ctx->root.len || !param->if_not_empty) {
            return NGX_OK;
        }
    }

    vv = ngx_http_get_flushed_variable(r, mcf->index_document_root);

    if (vv == NULL || vv->not_found) {
        return NGX_ERROR;
    }

    ctx->root.data = vv->data;
    ctx->root.len = vv->len;

    return NGX_OK;
}


ngx_int_t
ngx_http_ephpm_submit(ngx_http_ephpm_ctx_t *ctx)
{
    int                          error;
    char                         name[EPHPM_FILE_NAME_BYTES];
    off_t                        body;
    ngx_int_t                    rc;
    ngx_http_request_t          *r;
    ngx_http_ephpm_snapshot_t    s;
    ngx_http_ephpm_loc_conf_t   *elcf;
    ngx_http_ephpm_main_conf_t  *mcf;

    r = ctx->request;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ephpm_module);
    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);

    if (ngx_http_ephpm_root(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s.r = r;
    s.writer = &ctx->writer;
    s.params = &elcf->params;

    ephpm_job_file_name(&ctx->job, "more", name);
    ephpm_snapshot_begin(s.writer, ephpm_job_request(&ctx->job),
                         EPHPM_REQUEST_BYTES,
                         (char *) mcf->temp_path->name.data, name);

    body = ngx_http_ephpm_body_size(r);

    ngx_http_ephpm_put_texts(&s, ctx, body);
    ngx_http_ephpm_put_builtin(&s, ctx, body);

    if (ngx_http_ephpm_put_params(&s) != NGX_OK
        || ngx_http_ephpm_put_headers(&s) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_ephpm_put_body(&s, ctx, body);

    if (rc == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        return rc;
    }

    error = ephpm_snapshot_end(s.writer);

    if (rc != NGX_OK || error) {

        if (error == EILSEQ) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "ephpm: there is a zero byte in the request");
            return NGX_HTTP_BAD_REQUEST;
        }

        ngx_log_error(NGX_LOG_CRIT, r->connection->log, error,
                      "ephpm: the request cannot be passed to a runner "
                      "(what does not fit goes to \"%V\")",
                      &mcf->temp_path->name);

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ephpm_job_submit(&ctx->job, s.writer->bytes, (char *) ctx->script.data);

    return NGX_OK;
}
