
/*
 * ngx_http_ephpm_snapshot.c - a request as bytes, for a runner.
 *
 * $_SERVER has what Debian's fastcgi_params and fastcgi.conf give to php-fpm,
 * and what that adds by itself; ephpm_param adds to it and replaces it.
 */


#include "ngx_http_ephpm_module.h"

#include <pwd.h>


/* as bits of ngx_http_ephpm_params_t.builtin */

enum {
    NGX_HTTP_EPHPM_QUERY_STRING = 0,
    NGX_HTTP_EPHPM_REQUEST_METHOD,
    NGX_HTTP_EPHPM_CONTENT_TYPE,
    NGX_HTTP_EPHPM_CONTENT_LENGTH,
    NGX_HTTP_EPHPM_SCRIPT_FILENAME,
    NGX_HTTP_EPHPM_SCRIPT_NAME,
    NGX_HTTP_EPHPM_PATH_INFO,
    NGX_HTTP_EPHPM_PATH_TRANSLATED,
    NGX_HTTP_EPHPM_PHP_SELF,
    NGX_HTTP_EPHPM_REQUEST_URI,
    NGX_HTTP_EPHPM_DOCUMENT_URI,
    NGX_HTTP_EPHPM_DOCUMENT_ROOT,
    NGX_HTTP_EPHPM_SERVER_PROTOCOL,
    NGX_HTTP_EPHPM_REQUEST_SCHEME,
    NGX_HTTP_EPHPM_HTTPS,
    NGX_HTTP_EPHPM_GATEWAY_INTERFACE,
    NGX_HTTP_EPHPM_SERVER_SOFTWARE,
    NGX_HTTP_EPHPM_REMOTE_ADDR,
    NGX_HTTP_EPHPM_REMOTE_PORT,
    NGX_HTTP_EPHPM_REMOTE_USER,
    NGX_HTTP_EPHPM_SERVER_ADDR,
    NGX_HTTP_EPHPM_SERVER_PORT,
    NGX_HTTP_EPHPM_SERVER_NAME,
    NGX_HTTP_EPHPM_REDIRECT_STATUS,
    NGX_HTTP_EPHPM_FCGI_ROLE,
    NGX_HTTP_EPHPM_USER,
    NGX_HTTP_EPHPM_HOME,
    NGX_HTTP_EPHPM_BUILTINS
};


static ngx_str_t  ngx_http_ephpm_builtin[] = {
    ngx_string("QUERY_STRING"),
    ngx_string("REQUEST_METHOD"),
    ngx_string("CONTENT_TYPE"),
    ngx_string("CONTENT_LENGTH"),
    ngx_string("SCRIPT_FILENAME"),
    ngx_string("SCRIPT_NAME"),
    ngx_string("PATH_INFO"),
    ngx_string("PATH_TRANSLATED"),
    ngx_string("PHP_SELF"),
    ngx_string("REQUEST_URI"),
    ngx_string("DOCUMENT_URI"),
    ngx_string("DOCUMENT_ROOT"),
    ngx_string("SERVER_PROTOCOL"),
    ngx_string("REQUEST_SCHEME"),
    ngx_string("HTTPS"),
    ngx_string("GATEWAY_INTERFACE"),
    ngx_string("SERVER_SOFTWARE"),
    ngx_string("REMOTE_ADDR"),
    ngx_string("REMOTE_PORT"),
    ngx_string("REMOTE_USER"),
    ngx_string("SERVER_ADDR"),
    ngx_string("SERVER_PORT"),
    ngx_string("SERVER_NAME"),
    ngx_string("REDIRECT_STATUS"),
    ngx_string("FCGI_ROLE"),
    ngx_string("USER"),
    ngx_string("HOME"),
    ngx_null_string
};


typedef struct {
    ngx_http_request_t         *r;
    ephpm_snapshot_writer_t    *writer;
    ngx_http_ephpm_params_t    *params;
} ngx_http_ephpm_snapshot_t;


ngx_int_t
ngx_http_ephpm_merge_params(ngx_conf_t *cf, ngx_http_ephpm_loc_conf_t *prev,
    ngx_http_ephpm_loc_conf_t *conf)
{
    ngx_uint_t               i, n;
    ngx_http_ephpm_param_t  *param;

    /* as fastcgi_param: all of the outer level's, or none */

    if (conf->params_source == NULL) {
        conf->params_source = prev->params_source;
    }

    conf->params.list = conf->params_source;

    if (conf->params_source == NULL) {
        return NGX_OK;
    }

    param = conf->params_source->elts;

    for (n = 0; n < conf->params_source->nelts; n++) {

        if (param[n].name.len > 5
            && ngx_strncmp(param[n].name.data, "HTTP_", 5) == 0)
        {
            conf->params.headers++;
        }

        for (i = 0; i < NGX_HTTP_EPHPM_BUILTINS; i++) {
            if (param[n].name.len == ngx_http_ephpm_builtin[i].len
                && ngx_memcmp(param[n].name.data,
                              ngx_http_ephpm_builtin[i].data,
                              param[n].name.len)
                   == 0)
            {
                break;
            }
        }

        if (i == NGX_HTTP_EPHPM_SCRIPT_FILENAME) {
            /* the file that is run is what it will be */
            conf->params.script = &param[n];

        } else if (i < NGX_HTTP_EPHPM_BUILTINS && !param[n].if_not_empty) {
            conf->params.builtin |= (ngx_uint_t) 1 << i;
        }
    }

    return NGX_OK;
}


static ngx_inline void
ngx_http_ephpm_put(ngx_http_ephpm_snapshot_t *s, ngx_uint_t i, u_char *data,
    size_t len)
{
    if (s->params->builtin & ((ngx_uint_t) 1 << i)) {
        return;
    }

    ephpm_snapshot_pair_n(s->writer, EPHPM_ITEM_VARIABLE,
                          (char *) ngx_http_ephpm_builtin[i].data,
                          ngx_http_ephpm_builtin[i].len,
                          (char *) data, len);
}


static ngx_inline void
ngx_http_ephpm_put_str(ngx_http_ephpm_snapshot_t *s, ngx_uint_t i,
    ngx_str_t *value)
{
    ngx_http_ephpm_put(s, i, value->len ? value->data : (u_char *) "",
                       value->len);
}


#define ngx_http_ephpm_put_text(s, i, text)                                   \
    ngx_http_ephpm_put(s, i, (u_char *) text, sizeof(text) - 1)


/* one of nginx's variables */

static ngx_inline void
ngx_http_ephpm_put_var(ngx_http_ephpm_snapshot_t *s, ngx_uint_t i,
    ngx_int_t index, ngx_uint_t if_not_empty)
{
    ngx_http_variable_value_t  *vv;

    vv = ngx_http_get_flushed_variable(s->r, index);

    if (vv == NULL || vv->not_found || vv->len == 0) {
        if (!if_not_empty) {
            ngx_http_ephpm_put(s, i, (u_char *) "", 0);
        }

        return;
    }

    ngx_http_ephpm_put(s, i, vv->data, vv->len);
}


static void
ngx_http_ephpm_put_builtin(ngx_http_ephpm_snapshot_t *s,
    ngx_http_ephpm_ctx_t *ctx, off_t body)
{
    u_char                      *p;
    u_char                       number[NGX_OFF_T_LEN];
    ngx_str_t                    value;
    ngx_http_request_t          *r;
    ngx_http_ephpm_main_conf_t  *mcf;

    static ngx_str_t             user, home;
    static ngx_uint_t            known;

    struct passwd               *pw;

    r = s->r;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_ephpm_module);

    ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_QUERY_STRING, &r->args);
    ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_REQUEST_METHOD, &r->method_name);

    if (r->headers_in.content_type) {
        ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_CONTENT_TYPE,
                               &r->headers_in.content_type->value);
    } else {
        ngx_http_ephpm_put_text(s, NGX_HTTP_EPHPM_CONTENT_TYPE, "");
    }

    if (body > 0 || r->headers_in.content_length_n >= 0) {
        p = ngx_sprintf(number, "%O", body);
        ngx_http_ephpm_put(s, NGX_HTTP_EPHPM_CONTENT_LENGTH, number,
                           p - number);
    } else {
        ngx_http_ephpm_put_text(s, NGX_HTTP_EPHPM_CONTENT_LENGTH, "");
    }

    ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_SCRIPT_FILENAME, &ctx->script);
    ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_SCRIPT_NAME, &ctx->script_name);

    if (ctx->path_info.len) {
        ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_PATH_INFO, &ctx->path_info);

        value.len = ctx->root.len + ctx->path_info.len;
        value.data = ngx_pnalloc(r->pool, value.len);

        if (value.data) {
            p = ngx_cpymem(value.data, ctx->root.data, ctx->root.len);
            ngx_memcpy(p, ctx->path_info.data, ctx->path_info.len);
            ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_PATH_TRANSLATED, &value);
        }

        value.len = ctx->script_name.len + ctx->path_info.len;
        value.data = ngx_pnalloc(r->pool, value.len);

        if (value.data) {
            p = ngx_cpymem(value.data, ctx->script_name.data,
                           ctx->script_name.len);
            ngx_memcpy(p, ctx->path_info.data, ctx->path_info.len);
            ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_PHP_SELF, &value);
        }

    } else {
        ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_PHP_SELF, &ctx->script_name);
    }

    ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_REQUEST_URI, &r->unparsed_uri);
    ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_DOCUMENT_URI, &r->uri);
    ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_DOCUMENT_ROOT, &ctx->root);
    ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_SERVER_PROTOCOL,
                           &r->http_protocol);
    ngx_http_ephpm_put_var(s, NGX_HTTP_EPHPM_REQUEST_SCHEME,
                           mcf->index_scheme, 0);
    ngx_http_ephpm_put_var(s, NGX_HTTP_EPHPM_HTTPS, mcf->index_https, 1);
    ngx_http_ephpm_put_text(s, NGX_HTTP_EPHPM_GATEWAY_INTERFACE, "CGI/1.1");
    ngx_http_ephpm_put_text(s, NGX_HTTP_EPHPM_SERVER_SOFTWARE, NGINX_VER);
    ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_REMOTE_ADDR,
                           &r->connection->addr_text);
    ngx_http_ephpm_put_var(s, NGX_HTTP_EPHPM_REMOTE_PORT,
                           mcf->index_remote_port, 0);
    ngx_http_ephpm_put_var(s, NGX_HTTP_EPHPM_REMOTE_USER,
                           mcf->index_remote_user, 0);
    ngx_http_ephpm_put_var(s, NGX_HTTP_EPHPM_SERVER_ADDR,
                           mcf->index_server_addr, 0);
    ngx_http_ephpm_put_var(s, NGX_HTTP_EPHPM_SERVER_PORT,
                           mcf->index_server_port, 0);
    ngx_http_ephpm_put_var(s, NGX_HTTP_EPHPM_SERVER_NAME,
                           mcf->index_server_name, 0);
    ngx_http_ephpm_put_text(s, NGX_HTTP_EPHPM_REDIRECT_STATUS, "200");
    ngx_http_ephpm_put_text(s, NGX_HTTP_EPHPM_FCGI_ROLE, "RESPONDER");

    /* as php-fpm's children have them from their pool */

    if (!known) {
        known = 1;
        pw = getpwuid(geteuid());

        if (pw) {
            user.data = (u_char *) strdup(pw->pw_name);
            home.data = (u_char *) strdup(pw->pw_dir);
            user.len = user.data ? ngx_strlen(user.data) : 0;
            home.len = home.data ? ngx_strlen(home.data) : 0;
        }
    }

    if (user.len) {
        ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_USER, &user);
    }

    if (home.len) {
        ngx_http_ephpm_put_str(s, NGX_HTTP_EPHPM_HOME, &home);
    }
}


static ngx_int_t
ngx_http_ephpm_put_params(ngx_http_ephpm_snapshot_t *s)
{
    ngx_str_t                value;
    ngx_uint_t               i;
    ngx_http_ephpm_param_t  *param;

    if (s->params->list == NULL) {
        return NGX_OK;
    }

    param = s->params->list->elts;

    for (i = 0; i < s->params->list->nelts; i++) {

        if (&param[i] == s->params->script) {
            continue;
        }

        if (ngx_http_complex_value(s->r, &param[i].value, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len == 0 && param[i].if_not_empty) {
            continue;
        }

        ephpm_snapshot_pair_n(s->writer, EPHPM_ITEM_VARIABLE,
                              (char *) param[i].name.data, param[i].name.len,
                              value.len ? (char *) value.data : "",
                              value.len);
    }

    return NGX_OK;
}


/* is there an ephpm_param of that name? */

static ngx_uint_t
ngx_http_ephpm_replaced(ngx_http_ephpm_params_t *params, u_char *name,
    size_t len)
{
    ngx_uint_t               i;
    ngx_http_ephpm_param_t  *param;

    param = params->list->elts;

    for (i = 0; i < params->list->nelts; i++) {
        if (param[i].name.len == len
            && ngx_memcmp(param[i].name.data, name, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * The host that the request is for.  Where the request line names one, what
 * the header says is of no account (RFC 9112, 3.2.2), and may not reach
 * scripts, which build links of it.
 */

static ngx_uint_t
ngx_http_ephpm_line_host(ngx_http_request_t *r, ngx_str_t *host)
{
    u_char  *last;

    if (r->host_start == NULL || r->host_end == NULL) {
        return 0;
    }

    last = (r->port_end && r->port_end > r->host_end) ? r->port_end
                                                      : r->host_end;

    host->data = r->host_start;
    host->len = last - r->host_start;

    return 1;
}


/* All values of a header that is there more than once. */

static ngx_int_t
ngx_http_ephpm_joined(ngx_http_request_t *r, ngx_table_elt_t **headers,
    ngx_uint_t n, ngx_uint_t from, ngx_str_t *value)
{
    u_char      *p;
    char        *between;
    size_t       len;
    ngx_uint_t   i;

    between = (headers[from]->key.len == 6
               && ngx_strncasecmp(headers[from]->key.data,
                                  (u_char *) "Cookie", 6)
                  == 0) ? "; " : ", ";
    len = 0;

    for (i = from; i < n; i++) {
        if (headers[i]->hash == headers[from]->hash) {
            len += headers[i]->value.len + 2;
        }
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    for (i = from; i < n; i++) {

        if (headers[i]->hash != headers[from]->hash
            || headers[i]->key.len != headers[from]->key.len
            || ngx_strncasecmp(headers[i]->key.data, headers[from]->key.data,
                               headers[from]->key.len)
               != 0)
        {
            continue;
        }

        if (p != value->data) {
            *p++ = between[0];
            *p++ = between[1];
        }

        p = ngx_cpymem(p, headers[i]->value.data, headers[i]->value.len);
    }

    value->len = p - value->data;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_ephpm_same(ngx_table_elt_t *a, ngx_table_elt_t *b)
{
    return a->hash == b->hash && a->key.len == b->key.len
           && ngx_strncasecmp(a->key.data, b->key.data, a->key.len) == 0;
}


static void
ngx_http_ephpm_put_header(ngx_http_ephpm_snapshot_t *s, ngx_str_t *key,
    ngx_str_t *value)
{
    u_char      ch, *p;
    size_t      i, len;
    u_char      name[256];
    u_char     *data;

    len = sizeof("HTTP_") - 1 + key->len;
    data = name;

    if (len > sizeof(name)) {
        data = ngx_pnalloc(s->r->pool, len);
        if (data == NULL) {
            s->writer->error = NGX_ENOMEM;
            return;
        }
    }

    p = ngx_cpymem(data, "HTTP_", sizeof("HTTP_") - 1);

    for (i = 0; i < key->len; i++) {
        ch = key->data[i];

        if (ch >= 'a' && ch <= 'z') {
            ch &= ~0x20;

        } else if (ch == '-') {
            ch = '_';
        }

        *p++ = ch;
    }

    /* "Proxy" would be taken for an address to send requests through */

    if (!(len == sizeof("HTTP_PROXY") - 1
          && ngx_memcmp(data, "HTTP_PROXY", len) == 0)
        && !(s->params->headers
             && ngx_http_ephpm_replaced(s->params, data, len)))
    {
        ephpm_snapshot_pair_n(s->writer, EPHPM_ITEM_VARIABLE, (char *) data,
                              len, (char *) value->data, value->len);
    }

    ephpm_snapshot_pair_n(s->writer, EPHPM_ITEM_HEADER, (char *) key->data,
                          key->len, (char *) value->data, value->len);
}


static ngx_int_t
ngx_http_ephpm_put_headers(ngx_http_ephpm_snapshot_t *s)
{
    u_char               seen[256];
    ngx_str_t            value, host;
    ngx_uint_t           i, k, n, bit, line_host;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *h, **headers;
    ngx_http_request_t  *r;

    r = s->r;

    n = 0;
    for (part = &r->headers_in.headers.part; part; part = part->next) {
        n += part->nelts;
    }

    headers = ngx_palloc(r->pool, n * sizeof(ngx_table_elt_t *));
    if (headers == NULL) {
        return NGX_ERROR;
    }

    n = 0;
    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            headers[n++] = &h[i];
        }
    }

    line_host = ngx_http_ephpm_line_host(r, &host);

    ngx_memzero(seen, sizeof(seen));

    for (i = 0; i < n; i++) {
        h = headers[i];
        bit = h->hash % (sizeof(seen) * 8);

        if (seen[bit / 8] & (1 << bit % 8)) {

            /* perhaps it was told together with one before */

            for (k = 0; k < i; k++) {
                if (ngx_http_ephpm_same(headers[k], h)) {
                    break;
                }
            }

            if (k < i) {
                continue;
            }
        }

        seen[bit / 8] |= 1 << bit % 8;

        value = h->value;

        for (k = i + 1; k < n; k++) {
            if (ngx_http_ephpm_same(headers[k], h)) {
                if (ngx_http_ephpm_joined(r, headers, n, i, &value)
                    != NGX_OK)
                {
                    return NGX_ERROR;
                }
                break;
            }
        }

        if (line_host && h == r->headers_in.host) {
            value = host;
        }

        ngx_http_ephpm_put_header(s, &h->key, &value);
    }

    return NGX_OK;
}


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
                          elcf->store ? (int64_t) elcf->store : -1);
    ephpm_snapshot_number(w, EPHPM_ITEM_SETTINGS, elcf->settings);
    ephpm_snapshot_number(w, EPHPM_ITEM_FLAGS, flags);
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
    ngx_http_variable_value_t   *vv;
    ngx_http_ephpm_loc_conf_t   *elcf;
    ngx_http_ephpm_main_conf_t  *mcf;

    r = ctx->request;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ephpm_module);
    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);

    vv = ngx_http_get_flushed_variable(r, mcf->index_document_root);

    if (vv == NULL || vv->not_found) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->root.data = vv->data;
    ctx->root.len = vv->len;

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
