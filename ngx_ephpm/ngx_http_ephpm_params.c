
/*
 * ngx_http_ephpm_params.c - what scripts find in $_SERVER.
 *
 * It is what Debian's fastcgi_params and fastcgi.conf give to php-fpm, and
 * what that adds by itself; ephpm_param adds to it and replaces it.
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
            continue;
        }

        if (i == NGX_HTTP_EPHPM_DOCUMENT_ROOT) {
            /* it is also where .user.ini files begin */
            conf->params.root = &param[n];
        }

        if (i < NGX_HTTP_EPHPM_BUILTINS && !param[n].if_not_empty) {
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


void
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


static void
ngx_http_ephpm_trim(ngx_str_t *text)
{
    while (text->len && (*text->data == ' ' || *text->data == '\t'
                         || *text->data == '\r'))
    {
        text->data++;
        text->len--;
    }

    while (text->len && (text->data[text->len - 1] == ' '
                         || text->data[text->len - 1] == '\t'
                         || text->data[text->len - 1] == '\r'))
    {
        text->len--;
    }
}


/* a copy with a NUL after it */

static char *
ngx_http_ephpm_param_text(ngx_pool_t *pool, ngx_str_t *text)
{
    u_char  *p;

    p = ngx_pnalloc(pool, text->len + 1);
    if (p == NULL) {
        return NULL;
    }

    ngx_memcpy(p, text->data, text->len);
    p[text->len] = '\0';

    return (char *) p;
}


/*
 * PHP_VALUE and PHP_ADMIN_VALUE of php-fpm: lines of php.ini, of which the
 * plain ones are understood, name = value.
 */

static ngx_int_t
ngx_http_ephpm_put_settings(ngx_http_ephpm_snapshot_t *s,
    ngx_http_ephpm_param_t *param, ngx_str_t *lines)
{
    u_char           *p, *last, *end, *equals;
    ngx_str_t         name, value;
    ephpm_setting_t   setting;

    ngx_memzero(&setting, sizeof(ephpm_setting_t));

    setting.admin = (param->setting == NGX_HTTP_EPHPM_ADMIN_VALUE);
    setting.file = (char *) param->file;
    setting.line = (int) param->line;

    last = lines->data + lines->len;

    for (p = lines->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '\n');
        if (end == NULL) {
            end = last;
        }

        equals = ngx_strlchr(p, end, '=');

        name.data = p;
        name.len = (equals ? equals : end) - p;
        ngx_http_ephpm_trim(&name);

        if (name.len == 0 || name.data[0] == ';') {
            continue;
        }

        ngx_str_null(&value);

        if (equals) {
            value.data = equals + 1;
            value.len = end - value.data;
            ngx_http_ephpm_trim(&value);
        }

        if (value.len >= 2
            && (value.data[0] == '"' || value.data[0] == '\'')
            && value.data[value.len - 1] == value.data[0])
        {
            value.data++;
            value.len -= 2;
        }

        setting.name = ngx_http_ephpm_param_text(s->r->pool, &name);
        setting.value = ngx_http_ephpm_param_text(s->r->pool, &value);

        if (setting.name == NULL || setting.value == NULL) {
            return NGX_ERROR;
        }

        ephpm_snapshot_setting(s->writer, &setting);
    }

    return NGX_OK;
}


ngx_int_t
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

        if (param[i].setting) {
            if (ngx_http_ephpm_put_settings(s, &param[i], &value) != NGX_OK) {
                return NGX_ERROR;
            }

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

    /* nginx 1.26 does not keep where the port ends; a space or '/' is next */

    last = r->host_end;

    if (*last == ':') {
        do {
            last++;
        } while (*last >= '0' && *last <= '9');
    }

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


ngx_int_t
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

        for (k = i + 1; k < n && h != r->headers_in.host; k++) {
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
