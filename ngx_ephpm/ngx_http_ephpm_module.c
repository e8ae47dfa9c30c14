
/*
 * ngx_http_ephpm_module.c - directives, configurations and their merging.
 *
 * There are two modules in here.  The HTTP module has the directives; the
 * core module's init_conf is the one place where the whole of the
 * configuration is known, worker_processes as well, and where what fails is
 * still reported: a reload then goes on with the old configuration.
 */


#include "ngx_http_ephpm_module.h"


static ngx_int_t ngx_http_ephpm_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_ephpm_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_ephpm_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_ephpm_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_ephpm_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_ephpm_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_ephpm_on(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_ephpm_check_processes(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_ephpm_check_queue(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_ephpm_check_ini(ngx_conf_t *cf, void *post, void *data);


static ngx_conf_post_t  ngx_http_ephpm_processes_post =
    { ngx_http_ephpm_check_processes };
static ngx_conf_post_t  ngx_http_ephpm_queue_post =
    { ngx_http_ephpm_check_queue };
static ngx_conf_post_t  ngx_http_ephpm_ini_post =
    { ngx_http_ephpm_check_ini };


#define NGX_HTTP_EPHPM_ANY_CONF                                               \
    NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF


static ngx_command_t  ngx_http_ephpm_commands[] = {

    { ngx_string("ephpm"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_FLAG,
      ngx_http_ephpm_on,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, enable),
      NULL },

    { ngx_string("ephpm_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ephpm_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ephpm_php_ini"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ephpm_main_conf_t, php_ini),
      &ngx_http_ephpm_ini_post },

    { ngx_string("ephpm_processes"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ephpm_main_conf_t, processes),
      &ngx_http_ephpm_processes_post },

    { ngx_string("ephpm_queue"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ephpm_main_conf_t, queue),
      &ngx_http_ephpm_queue_post },

    { ngx_string("ephpm_queue_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ephpm_main_conf_t, queue_timeout),
      NULL },

    { ngx_string("ephpm_request_terminate_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ephpm_main_conf_t, terminate_timeout),
      NULL },

    { ngx_string("ephpm_slowlog"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_ephpm_slowlog,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ephpm_max_requests"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ephpm_main_conf_t, max_requests),
      NULL },

    { ngx_string("ephpm_temp_path"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1234,
      ngx_conf_set_path_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ephpm_main_conf_t, temp_path),
      NULL },

    { ngx_string("ephpm_kv_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_ephpm_kv_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ephpm_kv"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_ephpm_kv,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("php_value"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE2,
      ngx_http_ephpm_ini,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("php_flag"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE2,
      ngx_http_ephpm_ini,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("php_admin_value"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE2,
      ngx_http_ephpm_ini,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("php_admin_flag"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE2,
      ngx_http_ephpm_ini,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ephpm_user_ini"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, user_ini),
      NULL },

    { ngx_string("ephpm_param"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_TAKE23,
      ngx_http_ephpm_param,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ephpm_index"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, index),
      NULL },

    { ngx_string("ephpm_split_path_info"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_ephpm_split_path_info,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ephpm_buffering"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, buffering),
      NULL },

    { ngx_string("ephpm_max_temp_file_size"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_off_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, max_temp_file_size),
      NULL },

    { ngx_string("ephpm_ignore_client_abort"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, ignore_client_abort),
      NULL },

    { ngx_string("ephpm_pass_request_body"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, pass_request_body),
      NULL },

    { ngx_string("ephpm_intercept_errors"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, intercept_errors),
      NULL },

    { ngx_string("ephpm_hide_header"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_ephpm_header_name,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, hide_headers),
      NULL },

    { ngx_string("ephpm_pass_header"),
      NGX_HTTP_EPHPM_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_ephpm_header_name,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ephpm_loc_conf_t, pass_headers),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_ephpm_module_ctx = {
    ngx_http_ephpm_preconfiguration,       /* preconfiguration */
    ngx_http_ephpm_postconfiguration,      /* postconfiguration */

    ngx_http_ephpm_create_main_conf,       /* create main configuration */
    ngx_http_ephpm_init_main_conf,         /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_ephpm_create_loc_conf,        /* create location configuration */
    ngx_http_ephpm_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_ephpm_module = {
    NGX_MODULE_V1,
    &ngx_http_ephpm_module_ctx,            /* module context */
    ngx_http_ephpm_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_ephpm_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_ephpm_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_core_module_t  ngx_ephpm_core_module_ctx = {
    ngx_string("ephpm_core"),
    NULL,                                  /* create configuration */
    ngx_http_ephpm_init_conf               /* init configuration */
};


ngx_module_t  ngx_ephpm_core_module = {
    NGX_MODULE_V1,
    &ngx_ephpm_core_module_ctx,            /* module context */
    NULL,                                  /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_ephpm_preconfiguration(ngx_conf_t *cf)
{
    const char  *why;

    why = ngx_http_ephpm_php_refusal();
    if (why) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%s", why);
        return NGX_ERROR;
    }

    return ngx_http_ephpm_add_variables(cf);
}


/*
 * $upstream_http_... of other configurations, such as in auth_request_set,
 * finds the headers of scripts where there were those of php-fpm.
 */

static ngx_int_t
ngx_http_ephpm_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_variable_t         *v;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_ephpm_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ephpm_module);
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {
        if (v[i].name.len > 14
            && ngx_strncmp(v[i].name.data, "upstream_http_", 14) == 0)
        {
            mcf->upstream_headers = 1;
            break;
        }
    }

    return NGX_OK;
}


static void *
ngx_http_ephpm_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_ephpm_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ephpm_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     mcf->php_ini = { 0, NULL };
     *     mcf->slowlog = { 0, NULL };
     *     mcf->temp_path = NULL;
     *     mcf->enabled = 0;
     *     mcf->jobs = NULL;
     */

    mcf->processes = NGX_CONF_UNSET_UINT;
    mcf->queue = NGX_CONF_UNSET_UINT;
    mcf->max_requests = NGX_CONF_UNSET_UINT;
    mcf->queue_timeout = NGX_CONF_UNSET_MSEC;
    mcf->terminate_timeout = NGX_CONF_UNSET_MSEC;
    mcf->slowlog_time = NGX_CONF_UNSET_MSEC;

    if (ngx_array_init(&mcf->stores, cf->pool, 2,
                       sizeof(ngx_http_ephpm_store_t *))
        != NGX_OK
        || ngx_array_init(&mcf->ini, cf->pool, 8,
                          sizeof(ngx_http_ephpm_ini_t))
           != NGX_OK
        || ngx_array_init(&mcf->settings, cf->pool, 4, sizeof(ngx_array_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return mcf;
}


/*
 * Where nginx's packager keeps temporary files: beside those of client
 * bodies.
 */

static ngx_int_t
ngx_http_ephpm_default_path(ngx_conf_t *cf, ngx_path_init_t *init)
{
    u_char           *p;
    size_t            len;
    static ngx_str_t  body = ngx_string(NGX_HTTP_CLIENT_TEMP_PATH);

    len = body.len;
    while (len && body.data[len - 1] != '/') {
        len--;
    }

    ngx_memzero(init, sizeof(ngx_path_init_t));

    if (len == 0) {
        ngx_str_set(&init->name, "ephpm_temp");
        return NGX_OK;
    }

    init->name.len = len + sizeof("ephpm") - 1;
    init->name.data = ngx_pnalloc(cf->pool, init->name.len + 1);
    if (init->name.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(init->name.data, body.data, len);
    ngx_memcpy(p, "ephpm", sizeof("ephpm"));

    return NGX_OK;
}


static char *
ngx_http_ephpm_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_ephpm_main_conf_t  *mcf = conf;

    ngx_path_init_t  path;

    ngx_conf_init_uint_value(mcf->processes,
                             (ngx_uint_t) ngx_max(4, 2 * ngx_ncpu));
    mcf->processes = ngx_min(mcf->processes, EPHPM_RUNNERS_MAX);
    ngx_conf_init_uint_value(mcf->queue, 128);
    ngx_conf_init_uint_value(mcf->max_requests, 0);
    ngx_conf_init_msec_value(mcf->queue_timeout, 30000);
    ngx_conf_init_msec_value(mcf->terminate_timeout, 0);
    ngx_conf_init_msec_value(mcf->slowlog_time, 0);

    if (ngx_http_ephpm_default_path(cf, &path) != NGX_OK
        || ngx_conf_merge_path_value(cf, &mcf->temp_path, NULL, &path)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (mcf->enabled) {
        mcf->temp_path->manager = ngx_http_ephpm_manager;
        mcf->temp_path->data = mcf;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_ephpm_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_ephpm_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ephpm_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->kv = { 0, NULL };
     *     conf->store = 0;
     *     conf->ini = NULL;
     *     conf->settings = 0;
     *     conf->params_source = NULL;
     *     conf->index = { 0, NULL };
     *     conf->hide_headers = NULL;
     *     conf->pass_headers = NULL;
     */

    conf->enable = NGX_CONF_UNSET;
    conf->buffering = NGX_CONF_UNSET;
    conf->ignore_client_abort = NGX_CONF_UNSET;
    conf->intercept_errors = NGX_CONF_UNSET;
    conf->pass_request_body = NGX_CONF_UNSET;
    conf->user_ini = NGX_CONF_UNSET;
    conf->max_temp_file_size = NGX_CONF_UNSET;
#if (NGX_PCRE)
    conf->split_regex = NGX_CONF_UNSET_PTR;
#endif

    return conf;
}


static char *
ngx_http_ephpm_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_ephpm_loc_conf_t *prev = parent;
    ngx_http_ephpm_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->enable == 1 && clcf->handler != ngx_http_ephpm_handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ephpm on\" is in location \"%V\", for which "
                           "another directive (such as fastcgi_pass) answers "
                           "as well", &clcf->name);
        return NGX_CONF_ERROR;
    }

    if (clcf->noname && conf->enable == NGX_CONF_UNSET) {
        conf->enable = prev->enable;
    }

    if (conf->enable == 1) {

        /* a request that limit_except lets through is the script's, too */

        if (clcf->lmt_excpt && clcf->handler == NULL) {
            clcf->handler = ngx_http_ephpm_handler;
        }

        /* a body that goes to a file goes there in pieces of this size */

        if (clcf->client_body_buffer_size == (size_t) 2 * ngx_pagesize) {
            clcf->client_body_buffer_size = NGX_HTTP_EPHPM_BODY_BUFFER;
        }
    }

    ngx_conf_merge_value(conf->buffering, prev->buffering, 1);
    ngx_conf_merge_value(conf->ignore_client_abort, prev->ignore_client_abort,
                         0);
    ngx_conf_merge_value(conf->intercept_errors, prev->intercept_errors, 0);
    ngx_conf_merge_value(conf->pass_request_body, prev->pass_request_body, 1);
    ngx_conf_merge_value(conf->user_ini, prev->user_ini, 1);
    ngx_conf_merge_off_value(conf->max_temp_file_size,
                             prev->max_temp_file_size, 1024 * 1024 * 1024);
    ngx_conf_merge_str_value(conf->index, prev->index, "");

#if (NGX_PCRE)
    if (conf->split_regex == NGX_CONF_UNSET_PTR) {
        conf->split_name = prev->split_name;
    }
    ngx_conf_merge_ptr_value(conf->split_regex, prev->split_regex, NULL);
#endif

    if (ngx_http_ephpm_merge_kv(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_ephpm_merge_ini(cf, prev, conf) != NGX_OK
        || ngx_http_ephpm_merge_params(cf, prev, conf) != NGX_OK
        || ngx_http_ephpm_merge_hidden(cf, prev, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ephpm_on(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ephpm_loc_conf_t *elcf = conf;

    char                        *rv;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_ephpm_main_conf_t  *mcf;

    rv = ngx_conf_set_flag_slot(cf, cmd, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (!elcf->enable) {
        /* the location's own handler would be kept */
        return cf->cmd_type == NGX_HTTP_LIF_CONF
               ? "cannot be off in an \"if\": scripts that are not to run need "
                 "a location of their own"
               : NGX_CONF_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "is in a location that another directive (such as "
               "fastcgi_pass or ephpm_status) answers for already";
    }

    clcf->handler = ngx_http_ephpm_handler;

    if (clcf->name.len && clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ephpm_module);
    mcf->enabled = 1;

    return NGX_CONF_OK;
}


static char *
ngx_http_ephpm_check_processes(ngx_conf_t *cf, void *post, void *data)
{
    ngx_uint_t  *processes = data;

    if (*processes < 1 || *processes > EPHPM_RUNNERS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ephpm_processes\" takes 1 to %ui",
                           (ngx_uint_t) EPHPM_RUNNERS_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ephpm_check_queue(ngx_conf_t *cf, void *post, void *data)
{
    ngx_uint_t  *queue = data;

    if (*queue > EPHPM_QUEUE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ephpm_queue\" takes 0 to %ui",
                           (ngx_uint_t) EPHPM_QUEUE_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ephpm_check_ini(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t  *path = data;

    ngx_file_info_t  fi;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"ephpm_php_ini\" takes php.ini or the directory "
                           "it is in, and \"%V\" cannot be had", path);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
