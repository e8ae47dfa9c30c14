
/*
 * ngx_http_ephpm_conf.c - the directives that need more than a slot.
 */


#include "ngx_http_ephpm_module.h"


/* what clients are not told of, unless ephpm_pass_header says so */
static ngx_str_t  ngx_http_ephpm_hide_headers[] = {
    ngx_string("x-accel-expires"),
    ngx_string("x-accel-redirect"),
    ngx_string("x-accel-limit-rate"),
    ngx_string("x-accel-buffering"),
    ngx_string("x-accel-charset"),
    ngx_null_string
};


char *
ngx_http_ephpm_kv(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ephpm_loc_conf_t *elcf = conf;

    ngx_str_t  *value;

    if (elcf->kv.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "takes the name of a store, or \"off\"";
    }

    elcf->kv = value[1];
    elcf->kv_file = cf->conf_file->file.name.data;
    elcf->kv_line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* A store that is called "default" belongs to every site that says nothing. */

char *
ngx_http_ephpm_merge_kv(ngx_conf_t *cf, ngx_http_ephpm_loc_conf_t *prev,
    ngx_http_ephpm_loc_conf_t *conf)
{
    ngx_http_ephpm_main_conf_t  *mcf;

    static ngx_str_t  standard = ngx_string("default");

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ephpm_module);

    if (conf->kv.data == NULL) {
        conf->kv = prev->kv;
        conf->kv_file = prev->kv_file;
        conf->kv_line = prev->kv_line;
    }

    if (conf->kv.data == NULL) {
        conf->store = ngx_http_ephpm_store_number(mcf, &standard);
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(conf->kv.data, "off") == 0) {
        conf->kv_off = 1;
        return NGX_CONF_OK;
    }

    conf->store = ngx_http_ephpm_store_number(mcf, &conf->kv);

    if (conf->store == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ephpm_kv\" names the store \"%V\", which no "
                      "\"ephpm_kv_zone\" makes: add \"ephpm_kv_zone "
                      "zone=%V:256m;\" to http, or correct the name, "
                      "in %s:%ui",
                      &conf->kv, &conf->kv, conf->kv_file, conf->kv_line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ephpm_param(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ephpm_loc_conf_t *elcf = conf;

    ngx_str_t                         *value;
    ngx_http_ephpm_param_t            *param;
    ngx_http_compile_complex_value_t   ccv;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "takes the name of a variable first";
    }

    if (elcf->params_source == NULL) {
        elcf->params_source = ngx_array_create(cf->pool, 4,
                                               sizeof(ngx_http_ephpm_param_t));
        if (elcf->params_source == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    param = ngx_array_push(elcf->params_source);
    if (param == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(param, sizeof(ngx_http_ephpm_param_t));

    param->name = value[1];
    param->file = cf->conf_file->file.name.data;
    param->line = cf->conf_file->line;

    if (ngx_strcmp(value[1].data, "PHP_VALUE") == 0) {
        param->setting = NGX_HTTP_EPHPM_VALUE;

    } else if (ngx_strcmp(value[1].data, "PHP_ADMIN_VALUE") == 0) {
        param->setting = NGX_HTTP_EPHPM_ADMIN_VALUE;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[2];
    ccv.complex_value = &param->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 4) {
        if (ngx_strcmp(value[3].data, "if_not_empty") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": \"if_not_empty\" "
                               "is the only one", &value[3]);
            return NGX_CONF_ERROR;
        }

        param->if_not_empty = 1;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ephpm_split_path_info(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
#if (NGX_PCRE)
    ngx_http_ephpm_loc_conf_t *elcf = conf;

    ngx_str_t            *value;
    ngx_regex_compile_t   rc;
    u_char                errstr[NGX_MAX_CONF_ERRSTR];

    if (elcf->split_regex != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern = value[1];
    rc.pool = cf->pool;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    if (ngx_regex_compile(&rc) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V", &rc.err);
        return NGX_CONF_ERROR;
    }

    if (rc.captures != 2) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "pattern \"%V\" must have two captures: the script "
                           "and what follows it", &value[1]);
        return NGX_CONF_ERROR;
    }

    elcf->split_regex = rc.regex;
    elcf->split_name = value[1];

    return NGX_CONF_OK;

#else

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" requires PCRE library", &cmd->name);

    return NGX_CONF_ERROR;

#endif
}


static char *
ngx_http_ephpm_slowlog_folder(ngx_conf_t *cf, ngx_str_t *path)
{
    u_char           *slash;
    ngx_str_t         folder;
    ngx_file_info_t   fi;

    slash = (u_char *) strrchr((char *) path->data, '/');

    folder.len = slash > path->data ? (size_t) (slash - path->data) : 1;
    folder.data = ngx_pnalloc(cf->temp_pool, folder.len + 1);
    if (folder.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_cpystrn(folder.data, path->data, folder.len + 1);

    if (ngx_file_info(folder.data, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"ephpm_slowlog\": there is no directory for "
                           "\"%V\"; make one in which the worker's user may "
                           "write", path);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ephpm_slowlog(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ephpm_main_conf_t *mcf = conf;

    ngx_int_t   ms;
    ngx_str_t  *value;

    if (mcf->slowlog_time != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2) {
        if (ngx_strcmp(value[1].data, "off") != 0) {
            return "takes a file and a time (as \"logs/slow.log 5s\"), "
                   "or \"off\"";
        }

        mcf->slowlog_time = 0;

        return NGX_CONF_OK;
    }

    ms = ngx_parse_time(&value[2], 0);

    if (ms == NGX_ERROR || ms == 0 || value[1].len == 0) {
        return "takes a file and a time above 0, as \"logs/slow.log 5s\"";
    }

    mcf->slowlog = value[1];
    mcf->slowlog_time = ms;

    if (ngx_conf_full_name(cf->cycle, &mcf->slowlog, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_ephpm_slowlog_folder(cf, &mcf->slowlog);
}


char *
ngx_http_ephpm_header_name(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t    *value, *name;
    ngx_array_t **list;

    list = (ngx_array_t **) (p + cmd->offset);
    value = cf->args->elts;

    if (value[1].len == 0) {
        return "takes the name of a header";
    }

    if (*list == NULL) {
        *list = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (*list == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    name = ngx_array_push(*list);
    if (name == NULL) {
        return NGX_CONF_ERROR;
    }

    *name = value[1];
    ngx_strlow(name->data, name->data, name->len);

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_ephpm_listed(ngx_array_t *list, u_char *lowcase, size_t len)
{
    ngx_str_t   *name;
    ngx_uint_t   i;

    if (list == NULL) {
        return 0;
    }

    name = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (name[i].len == len
            && ngx_memcmp(name[i].data, lowcase, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_ephpm_merge_hidden(ngx_conf_t *cf, ngx_http_ephpm_loc_conf_t *prev,
    ngx_http_ephpm_loc_conf_t *conf)
{
    ngx_str_t   *name, *hide;
    ngx_uint_t   i;

    if (conf->hide_headers == NULL) {
        conf->hide_headers = prev->hide_headers;
    }

    if (conf->pass_headers == NULL) {
        conf->pass_headers = prev->pass_headers;
    }

    if (conf->hide_headers == prev->hide_headers
        && conf->pass_headers == prev->pass_headers
        && prev->hidden)
    {
        conf->hidden = prev->hidden;
        return NGX_OK;
    }

    conf->hidden = ngx_array_create(cf->pool, 8, sizeof(ngx_str_t));
    if (conf->hidden == NULL) {
        return NGX_ERROR;
    }

    for (hide = ngx_http_ephpm_hide_headers; hide->len; hide++) {

        if (ngx_http_ephpm_listed(conf->pass_headers, hide->data, hide->len)) {
            continue;
        }

        name = ngx_array_push(conf->hidden);
        if (name == NULL) {
            return NGX_ERROR;
        }

        *name = *hide;
    }

    if (conf->hide_headers) {
        hide = conf->hide_headers->elts;

        for (i = 0; i < conf->hide_headers->nelts; i++) {
            name = ngx_array_push(conf->hidden);
            if (name == NULL) {
                return NGX_ERROR;
            }

            *name = hide[i];
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_ephpm_hidden(ngx_http_ephpm_loc_conf_t *conf, u_char *lowcase,
    size_t len)
{
    return ngx_http_ephpm_listed(conf->hidden, lowcase, len);
}
