
/*
 * ngx_stream_ephpm_service.c - a worker's services and handles of stores.
 *
 * Everything is made with a server's first client, so only by a process that
 * accepts clients, and never by the master.
 */


#include "ngx_stream_ephpm_module.h"


static kv_store_t *
ngx_stream_ephpm_handle(ngx_stream_session_t *s,
    ngx_stream_ephpm_srv_conf_t *escf)
{
    kv_result_t                     result;
    ngx_uint_t                      i;
    ngx_stream_ephpm_srv_conf_t   **servers;
    ngx_stream_ephpm_main_conf_t   *emcf;

    if (escf->handle) {
        return escf->handle;
    }

    emcf = ngx_stream_get_module_main_conf(s, ngx_stream_ephpm_module);
    servers = emcf->servers.elts;

    for (i = 0; i < emcf->servers.nelts; i++) {
        if (servers[i]->store == escf->store && servers[i]->handle) {
            escf->handle = servers[i]->handle;
            return escf->handle;
        }
    }

    result = kv_store_attach(escf->store->memory, escf->store->size,
                             &escf->handle);

    if (result != KV_OK) {
        escf->handle = NULL;
        ngx_log_error(NGX_LOG_ERR, s->connection->log, 0,
                      "ephpm: store \"%V\" cannot be attached to: %s",
                      &escf->name, kv_result_text(result));
    }

    return escf->handle;
}


resp_service_t *
ngx_stream_ephpm_service(ngx_stream_session_t *s,
    ngx_stream_ephpm_srv_conf_t *escf)
{
    char             name[65];
    kv_store_t      *handle;
    resp_settings_t  settings;

    if (escf->service) {
        return escf->service;
    }

    handle = ngx_stream_ephpm_handle(s, escf);
    if (handle == NULL) {
        return NULL;
    }

    ngx_memzero(&settings, sizeof(resp_settings_t));

    (void) ngx_cpystrn((u_char *) name, escf->name.data,
                       ngx_min(escf->name.len + 1, sizeof(name)));

    settings.name = name;
    settings.password = escf->password.data;
    settings.password_bytes = escf->password.len;

    escf->service = resp_service_create(handle, &settings);

    if (escf->service == NULL) {
        ngx_log_error(NGX_LOG_CRIT, s->connection->log, 0,
                      "ephpm: no memory to answer for store \"%V\"",
                      &escf->name);
        return NULL;
    }

    resp_service_set_turn(escf->service, NGX_STREAM_EPHPM_TURN_TIME);

    return escf->service;
}


ngx_int_t
ngx_stream_ephpm_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_stream_ephpm_srv_conf_t   **servers;
    ngx_stream_ephpm_main_conf_t   *emcf;

    emcf = ngx_stream_cycle_get_module_main_conf(cycle,
                                                 ngx_stream_ephpm_module);

    if (emcf == NULL || ngx_process != NGX_PROCESS_HELPER) {
        return NGX_OK;
    }

    /* what runs scripts comes from this process */

    servers = emcf->servers.elts;

    for (i = 0; i < emcf->servers.nelts; i++) {
        if (servers[i]->password.len) {
            ngx_explicit_memzero(servers[i]->password.data,
                                 NGX_STREAM_EPHPM_PASSWORD_MAX + 2);
        }
    }

    return NGX_OK;
}


void
ngx_stream_ephpm_exit_process(ngx_cycle_t *cycle)
{
    kv_store_t                     *handle;
    ngx_uint_t                      i, n;
    resp_stats_t                    stats;
    ngx_stream_ephpm_srv_conf_t   **servers;
    ngx_stream_ephpm_main_conf_t   *emcf;

    emcf = ngx_stream_cycle_get_module_main_conf(cycle,
                                                 ngx_stream_ephpm_module);
    if (emcf == NULL) {
        return;
    }

    servers = emcf->servers.elts;

    for (i = 0; i < emcf->servers.nelts; i++) {

        if (servers[i]->service == NULL) {
            continue;
        }

        /* a worker that is told to leave at once leaves its clients open */

        resp_service_stats(servers[i]->service, &stats);

        if (stats.clients == 0) {
            resp_service_destroy(servers[i]->service);
        }

        servers[i]->service = NULL;
    }

    for (i = 0; i < emcf->servers.nelts; i++) {
        handle = servers[i]->handle;

        if (handle == NULL) {
            continue;
        }

        for (n = i; n < emcf->servers.nelts; n++) {
            if (servers[n]->handle == handle) {
                servers[n]->handle = NULL;
            }
        }

        kv_store_detach(handle);
    }
}
