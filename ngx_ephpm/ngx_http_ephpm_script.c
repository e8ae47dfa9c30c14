
/*
 * ngx_http_ephpm_script.c - which file a request runs.
 *
 *     /shop.php/books/42     the URI
 *     /srv/www/shop.php      a regular file: the script
 *              /books/42     what follows it: PATH_INFO
 *
 * A name counts as a script's where ".php" or ".phar" ends it.  Such names
 * are tried from the shortest on: nothing lies under a regular file, and
 * nothing under what is not there; a directory that is called so is passed
 * through.  So /upload/x.jpg/evil.php runs nothing: x.jpg is no directory, and
 * its own name is not a script's.
 *
 * One look at the file system for each, through open_file_cache.
 */


#include "ngx_http_ephpm_module.h"


/* the end of the next name of a script at or after `p`, or NULL */

static u_char *
ngx_http_ephpm_script_end(u_char *p, u_char *last)
{
    size_t  len;

    for ( ;; ) {
        p = memchr(p, '.', last - p);

        if (p == NULL || last - p < 4) {
            return NULL;
        }

        if (ngx_strncmp(p, ".php", 4) == 0) {
            len = 4;

        } else if (last - p >= 5 && ngx_strncmp(p, ".phar", 5) == 0) {
            len = 5;

        } else {
            p++;
            continue;
        }

        p += len;

        if (p == last || *p == '/') {
            return p;
        }
    }
}


/*
 * NGX_OK: it is a regular file; NGX_AGAIN: a directory; else an HTTP status.
 */

static ngx_int_t
ngx_http_ephpm_script_test(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_int_t                  rc;
    ngx_uint_t                 level;
    ngx_open_file_info_t       of;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_memzero(&of, sizeof(ngx_open_file_info_t));

    of.read_ahead = clcf->read_ahead;
    of.directio = clcf->directio;
    of.valid = clcf->open_file_cache_valid;
    of.min_uses = clcf->open_file_cache_min_uses;
    of.test_only = 1;
    of.errors = clcf->open_file_cache_errors;
    of.events = clcf->open_file_cache_events;

    if (ngx_http_set_disable_symlinks(r, clcf, path, &of) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_open_cached_file(clcf->open_file_cache, path, &of, r->pool)
        == NGX_OK)
    {
        if (of.is_file) {
            return NGX_OK;
        }

        if (of.is_dir) {
            return NGX_AGAIN;
        }

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"%V\" is no regular file, so it is not run", path);

        return NGX_HTTP_NOT_FOUND;
    }

    switch (of.err) {

    case 0:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;

    case NGX_ENOENT:
    case NGX_ENOTDIR:
    case NGX_ENAMETOOLONG:
        level = NGX_LOG_ERR;
        rc = NGX_HTTP_NOT_FOUND;
        break;

    case NGX_EACCES:
#if (NGX_HAVE_OPENAT)
    case NGX_EMLINK:
    case NGX_ELOOP:
#endif
        level = NGX_LOG_ERR;
        rc = NGX_HTTP_FORBIDDEN;
        break;

    default:
        level = NGX_LOG_CRIT;
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        break;
    }

    if (rc != NGX_HTTP_NOT_FOUND || clcf->log_not_found) {
        ngx_log_error(level, r->connection->log, of.err,
                      "%s \"%V\" failed", of.failed, path);
    }

    return rc;
}


/* The path of the whole URI, or what the administrator says. */

static ngx_int_t
ngx_http_ephpm_script_path(ngx_http_request_t *r, ngx_str_t *path,
    size_t *root, ngx_uint_t *any_name)
{
    u_char                     *p, *last;
    ngx_str_t                   value;
    ngx_http_ephpm_param_t     *param;
    ngx_http_ephpm_loc_conf_t  *elcf;

    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);
    param = elcf->params.script;

    *any_name = 0;
    *root = 0;

    if (param) {

        if (ngx_http_complex_value(r, &param->value, &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (value.len || !param->if_not_empty) {

            /* a name that is written out is meant */
            *any_name = (param->value.lengths == NULL);

            p = ngx_pnalloc(r->pool, value.len + 1);
            if (p == NULL) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            ngx_memcpy(p, value.data, value.len);
            p[value.len] = '\0';

            path->data = p;
            path->len = value.len;

            return ngx_get_full_name(r->pool, (ngx_str_t *) &ngx_cycle->prefix,
                                     path)
                   == NGX_OK ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    last = ngx_http_map_uri_to_path(r, path, root, elcf->index.len);
    if (last == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    path->len = last - path->data;

    return NGX_OK;
}


#if (NGX_PCRE)

static ngx_int_t
ngx_http_ephpm_script_split(ngx_http_request_t *r, ngx_http_ephpm_ctx_t *ctx,
    ngx_http_ephpm_loc_conf_t *elcf)
{
    int        captures[(1 + 2) * 3];
    ngx_int_t  n;

    ctx->script_name = r->uri;

    n = ngx_regex_exec(elcf->split_regex, &r->uri, captures, (1 + 2) * 3);

    if (n >= 0) {
        ctx->script_name.len = captures[3] - captures[2];
        ctx->script_name.data = r->uri.data + captures[2];
        ctx->path_info.len = captures[5] - captures[4];
        ctx->path_info.data = r->uri.data + captures[4];

        return NGX_OK;
    }

    if (n == NGX_REGEX_NO_MATCHED) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                  ngx_regex_exec_n " failed: %i on \"%V\" using \"%V\"",
                  n, &r->uri, &elcf->split_name);

    return NGX_ERROR;
}

#endif


/* does `s` end with these bytes? */

static ngx_uint_t
ngx_http_ephpm_ends_with(ngx_str_t *s, u_char *data, size_t len)
{
    return s->len >= len
           && ngx_memcmp(s->data + s->len - len, data, len) == 0;
}


ngx_int_t
ngx_http_ephpm_find_script(ngx_http_request_t *r, ngx_http_ephpm_ctx_t *ctx)
{
    u_char                     *p, *last, ch;
    size_t                      root;
    ngx_int_t                   rc;
    ngx_str_t                   path, rest;
    ngx_uint_t                  any_name, split;
    ngx_http_ephpm_loc_conf_t  *elcf;

    elcf = ngx_http_get_module_loc_conf(r, ngx_http_ephpm_module);

    rc = ngx_http_ephpm_script_path(r, &path, &root, &any_name);

    if (rc != NGX_OK) {
        return rc;
    }

    if (memchr(path.data, '\0', path.len)
        || memchr(r->uri.data, '\0', r->uri.len))
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "there is a zero byte in the name of a script");
        return NGX_HTTP_BAD_REQUEST;
    }

    ngx_str_null(&ctx->path_info);
    ctx->script_name = r->uri;

    last = path.data + path.len;
    split = 0;

#if (NGX_PCRE)

    if (elcf->split_regex) {
        split = 1;

        if (ngx_http_ephpm_script_split(r, ctx, elcf) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (ngx_http_ephpm_ends_with(&path, ctx->path_info.data,
                                     ctx->path_info.len)
            && elcf->params.script == NULL)
        {
            last -= ctx->path_info.len;
        }
    }

#endif

    if (elcf->index.len && elcf->params.script == NULL
        && ctx->script_name.len
        && ctx->script_name.data[ctx->script_name.len - 1] == '/')
    {
        /* room for it was reserved, and for a copy of the URI there is none */

        p = ngx_pnalloc(r->pool, ctx->script_name.len + elcf->index.len);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_memcpy(p, ctx->script_name.data, ctx->script_name.len);
        ngx_memcpy(p + ctx->script_name.len, elcf->index.data,
                   elcf->index.len);

        ctx->script_name.data = p;
        ctx->script_name.len += elcf->index.len;

        last = ngx_cpymem(last, elcf->index.data, elcf->index.len);
    }

    *last = '\0';
    path.len = last - path.data;

    if (any_name || path.len == 0) {
        ctx->script = path;

        rc = path.len ? ngx_http_ephpm_script_test(r, &ctx->script)
                      : NGX_HTTP_NOT_FOUND;

        return rc == NGX_AGAIN ? NGX_HTTP_FORBIDDEN : rc;
    }

    /* an alias with captures is all of the path */

    p = path.data + (root < path.len ? root : 0);

    for ( ;; ) {
        p = ngx_http_ephpm_script_end(p, last);

        if (p == NULL) {
            break;
        }

        rest.data = p;
        rest.len = last - p;

        if (rest.len && split) {
            /* by ephpm_split_path_info, and this is not where */
            continue;
        }

        ctx->script.data = path.data;
        ctx->script.len = p - path.data;

        ch = *p;
        *p = '\0';

        rc = ngx_http_ephpm_script_test(r, &ctx->script);

        *p = ch;

        if (rc == NGX_AGAIN) {
            continue;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (rest.len) {

            ctx->path_info.len = rest.len;
            ctx->path_info.data = ngx_pstrdup(r->pool, &rest);
            if (ctx->path_info.data == NULL) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            if (ngx_http_ephpm_ends_with(&ctx->script_name, rest.data,
                                         rest.len))
            {
                ctx->script_name.len -= rest.len;
            }

            *p = '\0';
        }

        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "\"%V\" is not the name of a script: it does not end in "
                  ".php", &path);

    return NGX_HTTP_NOT_FOUND;
}
