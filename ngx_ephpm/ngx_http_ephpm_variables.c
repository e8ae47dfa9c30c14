
/*
 * ngx_http_ephpm_variables.c - $ephpm_time and its siblings; and the indices
 * of variables that scripts are told.
 */


#include "ngx_http_ephpm_module.h"


#define NGX_HTTP_EPHPM_TIME        0
#define NGX_HTTP_EPHPM_QUEUE_TIME  1
#define NGX_HTTP_EPHPM_PID         2


static ngx_int_t ngx_http_ephpm_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_ephpm_vars[] = {

    { ngx_string("ephpm_time"), NULL, ngx_http_ephpm_variable,
      NGX_HTTP_EPHPM_TIME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ephpm_queue_time"), NULL, ngx_http_ephpm_variable,
      NGX_HTTP_EPHPM_QUEUE_TIME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ephpm_pid"), NULL, ngx_http_ephpm_variable,
      NGX_HTTP_EPHPM_PID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_ephpm_add_variables(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_variable_t         *var, *v;
    ngx_http_ephpm_main_conf_t  *mcf;

    struct {
        ngx_str_t                name;
        ngx_int_t               *index;
    } told[8];

    for (v = ngx_http_ephpm_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ephpm_module);

    ngx_str_set(&told[0].name, "document_root");
    told[0].index = &mcf->index_document_root;
    ngx_str_set(&told[1].name, "https");
    told[1].index = &mcf->index_https;
    ngx_str_set(&told[2].name, "remote_port");
    told[2].index = &mcf->index_remote_port;
    ngx_str_set(&told[3].name, "remote_user");
    told[3].index = &mcf->index_remote_user;
    ngx_str_set(&told[4].name, "scheme");
    told[4].index = &mcf->index_scheme;
    ngx_str_set(&told[5].name, "server_addr");
    told[5].index = &mcf->index_server_addr;
    ngx_str_set(&told[6].name, "server_name");
    told[6].index = &mcf->index_server_name;
    ngx_str_set(&told[7].name, "server_port");
    told[7].index = &mcf->index_server_port;

    for (i = 0; i < 8; i++) {
        *told[i].index = ngx_http_get_variable_index(cf, &told[i].name);

        if (*told[i].index == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ephpm_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char                *p;
    uint64_t               us, now_us;
    ephpm_job_times_t      times;
    ngx_http_ephpm_ctx_t  *ctx;

    ctx = ngx_http_ephpm_find_ctx(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ctx->running) {
        ephpm_job_times(&ctx->job, &times);
        now_us = ephpm_jobs_clock_us();

    } else {
        times = ctx->times;
        now_us = ctx->ended_us;
    }

    if (times.taken_us == 0 && data != NGX_HTTP_EPHPM_QUEUE_TIME) {
        v->not_found = 1;
        return NGX_OK;
    }

    us = 0;

    switch (data) {

    case NGX_HTTP_EPHPM_TIME:
        us = now_us - times.taken_us;
        break;

    case NGX_HTTP_EPHPM_QUEUE_TIME:
        if (times.submitted_us == 0) {
            v->not_found = 1;
            return NGX_OK;
        }

        us = (times.taken_us ? times.taken_us : now_us) - times.submitted_us;
        break;

    default: /* NGX_HTTP_EPHPM_PID */
        break;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;

    if (data == NGX_HTTP_EPHPM_PID) {
        p = ngx_sprintf(p, "%L", (int64_t) times.pid);

    } else {
        /* what comes out of shared memory may be anything */
        us = ngx_min(us, (uint64_t) 1000 * 1000 * 1000 * 1000);
        p = ngx_sprintf(p, "%uL.%03uL", us / 1000000, us / 1000 % 1000);
    }

    v->len = p - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
