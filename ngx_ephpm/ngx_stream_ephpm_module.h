
/*
 * ngx_stream_ephpm_module.h - what the stream module's sources share.
 *
 *   ngx_stream_ephpm_module.c    directives and their checks
 *   ngx_stream_ephpm_service.c   a worker's services and handles of stores
 *   ngx_stream_ephpm_handler.c   connections
 *
 * A *server* is a server { } with "ephpm_kv_resp".  In each worker that has
 * had a client of it the server has a *service* (resp.h); services of one
 * store share the worker's handle of it.
 *
 *     stream { server { } } --- service --.
 *     stream { server { } } --- service --+-- handle -- store, of http { }
 *
 * S1  A connection is read only while its state is RESP_READ and nothing
 *     that was read before waits for its turn.
 * S2  One turn ends after some bytes, or some time; whoever is not done then
 *     has an event posted for the next round of the loop, after everybody
 *     else.
 * S3  A connection of a worker that is to leave always has a timer: nginx
 *     lets the worker go with the last one.
 */


#ifndef _NGX_STREAM_EPHPM_MODULE_H_INCLUDED_
#define _NGX_STREAM_EPHPM_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_stream.h>

#include "ngx_ephpm_store.h"
#include "resp.h"


/* of a client, milliseconds */
#define NGX_STREAM_EPHPM_TURN_TIME     5

/* bytes; AUTH takes more from a client that is not known yet */
#define NGX_STREAM_EPHPM_PASSWORD_MAX  4096


typedef struct {
    ngx_str_t                     name;       /* of the store; data NULL: no
                                               * server of ours */
    u_char                       *file;       /* of its directive */
    ngx_uint_t                    line;
    ngx_str_t                     password;   /* data NULL: none */
    ngx_msec_t                    timeout;    /* 0: never */
    ngx_http_ephpm_store_t       *store;
    /* in a worker */
    kv_store_t                   *handle;
    resp_service_t               *service;
} ngx_stream_ephpm_srv_conf_t;


typedef struct {
    ngx_array_t                   servers;    /* ngx_stream_ephpm_srv_conf_t * */
} ngx_stream_ephpm_main_conf_t;


/**
 * The worker's service, made when it is asked for first.
 *
 * @return NULL: it cannot be had, as the log says; the next time may do
 */
resp_service_t *ngx_stream_ephpm_service(ngx_stream_session_t *s,
    ngx_stream_ephpm_srv_conf_t *escf);
/** A process that is no worker forgets the passwords. */
ngx_int_t ngx_stream_ephpm_init_process(ngx_cycle_t *cycle);
/** Let go of the worker's handles. */
void ngx_stream_ephpm_exit_process(ngx_cycle_t *cycle);

void ngx_stream_ephpm_handler(ngx_stream_session_t *s);


extern ngx_module_t  ngx_stream_ephpm_module;
extern ngx_module_t  ngx_stream_ephpm_core_module;


#endif /* _NGX_STREAM_EPHPM_MODULE_H_INCLUDED_ */
