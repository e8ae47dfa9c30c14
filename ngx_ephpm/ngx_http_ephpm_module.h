
/*
 * ngx_http_ephpm_module.h - what the module's own sources share.
 *
 *   ngx_http_ephpm_module.c     directives, configurations and their merging
 *   ngx_http_ephpm_conf.c       the directives that need more than a slot
 *   ngx_http_ephpm_settings.c   php_value and its siblings
 *   ngx_http_ephpm_store.c      stores: zones, keeping them over a reload
 *   ngx_http_ephpm_process.c    the job table, the spawner, the workers' side
 *   ngx_http_ephpm_php.c        the only source that knows PHP: the pool
 *   ngx_http_ephpm_handler.c    requests: content handler, waiting, the end
 *   ngx_http_ephpm_script.c     which file a request runs
 *   ngx_http_ephpm_snapshot.c   a request as bytes, for a runner
 *   ngx_http_ephpm_params.c     what scripts find in $_SERVER
 *   ngx_http_ephpm_log.c        what PHP says, in nginx's log
 *   ngx_http_ephpm_header.c     the head of a response
 *   ngx_http_ephpm_output.c     the body of a response: memory, spool, client
 *   ngx_http_ephpm_status.c     the status page
 *   ngx_http_ephpm_variables.c  $ephpm_time and its siblings
 *
 * Terms: the *master* reads the configuration; the job table and the stores
 * are made there, and nothing in them is followed there afterwards.  The
 * *cache manager*, a helper of nginx's own, forks the *spawner*, which forks
 * the *runners*.  A *job* is a request on its way to a runner and back
 * (ephpm_jobs.h).
 *
 * N1  A request has a job from its claim until ngx_http_ephpm_release().
 *     What releases it: the end of the response, an error, the clean-up of
 *     the main request.
 * N2  A request is in one of the worker's two queues exactly while it waits
 *     for a slot (waiting) or has a job (active).
 * N3  Bytes go to the client in the order in which they left the ring: those
 *     in memory were handed over before the first that was spooled, and
 *     memory is used again once the spool has been handed over.
 * N4  Every request is in the worker's third queue (all) until it is freed:
 *     a body's file has a name for that long, for the scripts that what it
 *     wrote includes may open it too, and whoever leaves removes it.
 * N5  Pointers to a request live in the worker's memory alone.
 */


#ifndef _NGX_HTTP_EPHPM_MODULE_H_INCLUDED_
#define _NGX_HTTP_EPHPM_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ephpm_jobs.h"
#include "ephpm_snapshot.h"
#include "ngx_ephpm_store.h"


/* of a response, in memory, before it is spooled */
#define NGX_HTTP_EPHPM_MEMORY       65536
#define NGX_HTTP_EPHPM_BUFFER       16384

/* client_body_buffer_size, unless it is set */
#define NGX_HTTP_EPHPM_BODY_BUFFER  65536

/* a client that keeps up is waited for so long before the first byte of a
 * response goes to the disk */
#define NGX_HTTP_EPHPM_SPOOL_WAIT   5


/* one php_value, php_flag, php_admin_value or php_admin_flag */
typedef struct {
    ngx_str_t                   name;
    ngx_str_t                   value;
    u_char                     *file;
    ngx_uint_t                  line;
    ngx_uint_t                  admin;
} ngx_http_ephpm_ini_t;


/* an ephpm_param that is settings: PHP_VALUE, PHP_ADMIN_VALUE */
#define NGX_HTTP_EPHPM_VALUE        1
#define NGX_HTTP_EPHPM_ADMIN_VALUE  2


typedef struct {
    ngx_str_t                   name;
    ngx_http_complex_value_t    value;
    ngx_uint_t                  if_not_empty;
    ngx_uint_t                  setting;    /* NGX_HTTP_EPHPM_VALUE, ... */
    u_char                     *file;
    ngx_uint_t                  line;
} ngx_http_ephpm_param_t;


typedef struct {
    ngx_array_t                *list;           /* ngx_http_ephpm_param_t */
    ngx_uint_t                  builtin;        /* those replaced, as bits */
    ngx_http_ephpm_param_t     *script;         /* SCRIPT_FILENAME, or NULL */
    ngx_http_ephpm_param_t     *root;           /* DOCUMENT_ROOT, or NULL */
    ngx_uint_t                  headers;        /* how many are HTTP_... */
} ngx_http_ephpm_params_t;


typedef struct {
    ngx_str_t                   php_ini;
    ngx_uint_t                  processes;
    ngx_uint_t                  queue;
    ngx_uint_t                  max_requests;
    ngx_msec_t                  queue_timeout;
    ngx_msec_t                  terminate_timeout;
    ngx_str_t                   slowlog;
    ngx_msec_t                  slowlog_time;
    ngx_path_t                 *temp_path;

    ngx_array_t                 stores;     /* ngx_http_ephpm_store_t * */
    ngx_array_t                 ini;        /* ngx_http_ephpm_ini_t: every
                                             * one, for its check */
    ngx_array_t                 settings;   /* ngx_array_t * of
                                             * ngx_http_ephpm_ini_t: merged */
    ngx_uint_t                  enabled;    /* unsigned enabled:1; */
    ngx_uint_t                  upstream_headers;   /* a variable asks for
                                                     * them */
    ephpm_jobs_t               *jobs;
    time_t                      started;

    /* variables that scripts are told */
    ngx_int_t                   index_document_root;
    ngx_int_t                   index_https;
    ngx_int_t                   index_remote_port;
    ngx_int_t                   index_remote_user;
    ngx_int_t                   index_scheme;
    ngx_int_t                   index_server_addr;
    ngx_int_t                   index_server_name;
    ngx_int_t                   index_server_port;
} ngx_http_ephpm_main_conf_t;


typedef struct {
    ngx_flag_t                  enable;

    ngx_str_t                   kv;         /* as it is written; data NULL:
                                             * unset */
    u_char                     *kv_file;
    ngx_uint_t                  kv_line;
    ngx_uint_t                  store;      /* its index + 1; 0: none */
    ngx_uint_t                  kv_off;

    ngx_array_t                *ini;        /* ngx_http_ephpm_ini_t */
    ngx_uint_t                  settings;   /* in main conf, + 1; 0: none */

    ngx_array_t                *params_source;
    ngx_http_ephpm_params_t     params;

    ngx_str_t                   index;
#if (NGX_PCRE)
    ngx_regex_t                *split_regex;
    ngx_str_t                   split_name;
#endif

    ngx_flag_t                  buffering;
    ngx_flag_t                  ignore_client_abort;
    ngx_flag_t                  intercept_errors;
    ngx_flag_t                  pass_request_body;
    ngx_flag_t                  user_ini;
    off_t                       max_temp_file_size;

    ngx_array_t                *hide_headers;   /* ngx_str_t, lower case */
    ngx_array_t                *pass_headers;
    ngx_array_t                *hidden;         /* merged */
} ngx_http_ephpm_loc_conf_t;


/* what the head of a response says, beside what is in r->headers_out */
typedef struct {
    ngx_str_t                   redirect;       /* X-Accel-Redirect */
    ngx_table_elt_t            *www_authenticate;
    ngx_uint_t                  status;
    ngx_str_t                   status_line;
    off_t                       content_length;
    ngx_int_t                   buffering;      /* -1: unsaid */
    unsigned                    seen:1;
    unsigned                    sent:1;
} ngx_http_ephpm_head_t;


typedef struct {
    ngx_http_request_t         *request;
    ngx_queue_t                 all;
    ngx_queue_t                 queue;

    ephpm_job_t                 job;
    ephpm_snapshot_writer_t     writer;
    ngx_msec_t                  queue_end;
    ephpm_job_times_t           times;
    uint64_t                    ended_us;

    ngx_str_t                   script;         /* NUL after it */
    ngx_str_t                   script_name;
    ngx_str_t                   path_info;
    ngx_str_t                   root;

    ngx_http_ephpm_head_t       head;
    ngx_list_t                  headers;        /* of the script */

    /* the body */
    off_t                       rest;           /* of Content-Length; -1 */
    size_t                      allocated;
    ngx_chain_t                *free;
    ngx_chain_t                *busy;
    ngx_chain_t                *out;            /* not yet handed over */
    ngx_chain_t               **last_out;
    ngx_temp_file_t            *temp_file;
    off_t                       spooled;        /* end of what is in it, */
    off_t                       handed;         /* handed over up to here */
    ngx_buf_t                  *file_buf;       /* the part in hand */
    ngx_buf_t                  *flush_buf;      /* flush() without a body */
    ngx_event_t                 wait;           /* before spooling begins */

    ngx_int_t                   error;          /* a status, or NGX_ERROR */

    unsigned                    queued:1;       /* in waiting or active */
    unsigned                    running:1;      /* has a job */
    unsigned                    taken:1;        /* a runner has it */
    unsigned                    done:1;
    unsigned                    unbuffered:1;
    unsigned                    spooling:1;
    unsigned                    waited:1;
    unsigned                    stopped:1;      /* reading waits for room */
    unsigned                    flush:1;
    unsigned                    discard:1;      /* nobody wants the body */
    unsigned                    excess:1;       /* over Content-Length */
} ngx_http_ephpm_ctx_t;


/* a request on its way into a job */
typedef struct {
    ngx_http_request_t         *r;
    ephpm_snapshot_writer_t    *writer;
    ngx_http_ephpm_params_t    *params;
} ngx_http_ephpm_snapshot_t;


/* configuration */

char *ngx_http_ephpm_kv(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ephpm_param(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ephpm_split_path_info(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ephpm_slowlog(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ephpm_header_name(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ephpm_merge_kv(ngx_conf_t *cf, ngx_http_ephpm_loc_conf_t *prev,
    ngx_http_ephpm_loc_conf_t *conf);
ngx_int_t ngx_http_ephpm_merge_params(ngx_conf_t *cf,
    ngx_http_ephpm_loc_conf_t *prev, ngx_http_ephpm_loc_conf_t *conf);
ngx_int_t ngx_http_ephpm_merge_hidden(ngx_conf_t *cf,
    ngx_http_ephpm_loc_conf_t *prev, ngx_http_ephpm_loc_conf_t *conf);
ngx_uint_t ngx_http_ephpm_hidden(ngx_http_ephpm_loc_conf_t *conf,
    u_char *lowcase, size_t len);

char *ngx_http_ephpm_ini(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_ephpm_merge_ini(ngx_conf_t *cf,
    ngx_http_ephpm_loc_conf_t *prev, ngx_http_ephpm_loc_conf_t *conf);

/* stores */

char *ngx_http_ephpm_kv_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_uint_t ngx_http_ephpm_store_number(ngx_http_ephpm_main_conf_t *mcf,
    ngx_str_t *name);
ngx_int_t ngx_http_ephpm_stores_check(ngx_cycle_t *cycle,
    ngx_http_ephpm_main_conf_t *mcf, ngx_uint_t processes);
void ngx_http_ephpm_stores_attach(ngx_cycle_t *cycle,
    ngx_http_ephpm_main_conf_t *mcf);
void ngx_http_ephpm_stores_detach(ngx_http_ephpm_main_conf_t *mcf);
void ngx_http_ephpm_stores_sample(ngx_http_ephpm_main_conf_t *mcf);
void ngx_http_ephpm_zones_unmap(ngx_cycle_t *cycle,
    ngx_http_ephpm_main_conf_t *mcf);

/* processes */

char *ngx_http_ephpm_init_conf(ngx_cycle_t *cycle, void *conf);
ngx_msec_t ngx_http_ephpm_manager(void *data);
ngx_int_t ngx_http_ephpm_init_process(ngx_cycle_t *cycle);
void ngx_http_ephpm_exit_process(ngx_cycle_t *cycle);
/** The worker's view of its table; NULL: it has no place in it. */
ephpm_jobs_t *ngx_http_ephpm_jobs(void);
void ngx_http_ephpm_enqueue(ngx_http_ephpm_ctx_t *ctx, ngx_uint_t active);
void ngx_http_ephpm_register(ngx_http_ephpm_ctx_t *ctx);
/** Does anybody wait for a slot? */
ngx_uint_t ngx_http_ephpm_waiting(void);

/* PHP (ngx_http_ephpm_php.c) */

/** Be the spawner.  Never returns. */
void ngx_http_ephpm_pool_run(ngx_cycle_t *cycle,
    ngx_http_ephpm_main_conf_t *mcf);
/** NULL, or why the PHP library that was loaded cannot be used. */
const char *ngx_http_ephpm_php_refusal(void);

/* requests */

ngx_int_t ngx_http_ephpm_handler(ngx_http_request_t *r);
/** Try to claim a slot; called again from time to time. */
void ngx_http_ephpm_claim(ngx_http_ephpm_ctx_t *ctx);
/** A runner has it by now, or it has waited for too long? */
void ngx_http_ephpm_look(ngx_http_ephpm_ctx_t *ctx);
/** Read what there is, send what can be sent. */
void ngx_http_ephpm_process(ngx_http_ephpm_ctx_t *ctx);
/** The worker leaves: remove the file with the body, if there is one. */
void ngx_http_ephpm_drop_body(ngx_http_request_t *r);
/** Let go of the job. */
void ngx_http_ephpm_release(ngx_http_ephpm_ctx_t *ctx);
void ngx_http_ephpm_finalize(ngx_http_ephpm_ctx_t *ctx, ngx_int_t rc);
/** Of the request, after an internal redirect too; or NULL. */
ngx_http_ephpm_ctx_t *ngx_http_ephpm_find_ctx(ngx_http_request_t *r);

/**
 * Find the file.
 *
 * @return NGX_OK or an HTTP status
 */
ngx_int_t ngx_http_ephpm_find_script(ngx_http_request_t *r,
    ngx_http_ephpm_ctx_t *ctx);

/**
 * Fill the claimed job in and hand it over.
 *
 * @return NGX_OK or an HTTP status
 */
ngx_int_t ngx_http_ephpm_submit(ngx_http_ephpm_ctx_t *ctx);

/* Into the snapshot: what there is by itself, with a body of that size; what
 * ephpm_param adds; the request's headers. */
void ngx_http_ephpm_put_builtin(ngx_http_ephpm_snapshot_t *s,
    ngx_http_ephpm_ctx_t *ctx, off_t body);
ngx_int_t ngx_http_ephpm_put_params(ngx_http_ephpm_snapshot_t *s);
ngx_int_t ngx_http_ephpm_put_headers(ngx_http_ephpm_snapshot_t *s);

/**
 * Log what PHP says, of whatever length, with syslog's `priority`.
 *
 * @param prefix  before each line
 */
void ngx_http_ephpm_log_message(ngx_log_t *log, ngx_int_t priority,
    const char *prefix, const u_char *text, size_t len);

/* responses */

/** Take a HEAD frame. @return NGX_OK, NGX_ERROR: no memory or malformed */
ngx_int_t ngx_http_ephpm_take_head(ngx_http_ephpm_ctx_t *ctx, const void *data,
    size_t bytes);
/** Put the script's headers into r->headers_out; after an X-Accel-Redirect
 * the few alone that are kept then. */
ngx_int_t ngx_http_ephpm_copy_headers(ngx_http_ephpm_ctx_t *ctx,
    ngx_uint_t redirected);

/** Take some of the body. @return how much */
size_t ngx_http_ephpm_take_body(ngx_http_ephpm_ctx_t *ctx, const void *data,
    size_t bytes);
/**
 * Hand over what there is.
 *
 * @param how  0; NGX_HTTP_FLUSH: no more will come; NGX_HTTP_LAST: this is
 *             all of the response
 * @return as of ngx_http_output_filter(), or ngx_http_send_header()
 */
ngx_int_t ngx_http_ephpm_send(ngx_http_ephpm_ctx_t *ctx, ngx_uint_t how);
/** Could ngx_http_ephpm_take_body() take something? */
ngx_uint_t ngx_http_ephpm_room(ngx_http_ephpm_ctx_t *ctx);
/** The client does not take it, and memory is full: is it time to spool?
 * Where that cannot be, ctx->error says so. */
ngx_uint_t ngx_http_ephpm_may_spool(ngx_http_ephpm_ctx_t *ctx);
/** There is no client any more: does the script go on nevertheless? */
ngx_uint_t ngx_http_ephpm_go_on(ngx_http_ephpm_ctx_t *ctx);
/** Wait for the client to take what it was given. */
void ngx_http_ephpm_wait_client(ngx_http_ephpm_ctx_t *ctx);

/* the rest */

char *ngx_http_ephpm_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_ephpm_add_variables(ngx_conf_t *cf);


extern ngx_module_t  ngx_http_ephpm_module;
extern ngx_module_t  ngx_ephpm_core_module;


#endif /* _NGX_HTTP_EPHPM_MODULE_H_INCLUDED_ */
