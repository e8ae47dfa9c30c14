
/*
 * ngx_stream_ephpm_module.c - directives and their checks.
 *
 * stream { } may come before http { }, which makes the stores.  So what a
 * server names is looked for when the whole configuration is known, in
 * init_conf of a core module; what concerns its own block is checked at the
 * block's end.
 */


#include "ngx_stream_ephpm_module.h"


static void *ngx_stream_ephpm_create_main_conf(ngx_conf_t *cf);
static void *ngx_stream_ephpm_create_srv_conf(ngx_conf_t *cf);
static char *ngx_stream_ephpm_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_stream_ephpm_postconfiguration(ngx_conf_t *cf);
static char *ngx_stream_ephpm_init_conf(ngx_cycle_t *cycle, void *conf);

static char *ngx_stream_ephpm_kv_resp(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_stream_ephpm_commands[] = {

    { ngx_string("ephpm_kv_resp"),
      NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_stream_ephpm_kv_resp,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ephpm_kv_resp_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_stream_ephpm_srv_conf_t, timeout),
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_stream_ephpm_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_stream_ephpm_postconfiguration,    /* postconfiguration */

    ngx_stream_ephpm_create_main_conf,     /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_stream_ephpm_create_srv_conf,      /* create server configuration */
    ngx_stream_ephpm_merge_srv_conf        /* merge server configuration */
};


ngx_module_t  ngx_stream_ephpm_module = {
    NGX_MODULE_V1,
    &ngx_stream_ephpm_module_ctx,          /* module context */
    ngx_stream_ephpm_commands,             /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_stream_ephpm_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_stream_ephpm_exit_process,         /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_core_module_t  ngx_stream_ephpm_core_module_ctx = {
    ngx_string("ephpm_stream"),
    NULL,
    ngx_stream_ephpm_init_conf
};


ngx_module_t  ngx_stream_ephpm_core_module = {
    NGX_MODULE_V1,
    &ngx_stream_ephpm_core_module_ctx,     /* module context */
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


static void *
ngx_stream_ephpm_create_main_conf(ngx_conf_t *cf)
{
    ngx_stream_ephpm_main_conf_t  *emcf;

    emcf = ngx_pcalloc(cf->pool, sizeof(ngx_stream_ephpm_main_conf_t));
    if (emcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&emcf->servers, cf->pool, 2,
                       sizeof(ngx_stream_ephpm_srv_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return emcf;
}


static void *
ngx_stream_ephpm_create_srv_conf(ngx_conf_t *cf)
{
    ngx_stream_ephpm_srv_conf_t  *escf;

    escf = ngx_pcalloc(cf->pool, sizeof(ngx_stream_ephpm_srv_conf_t));
    if (escf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     escf->name = { 0, NULL };
     *     escf->password = { 0, NULL };
     *     escf->store = NULL;
     *     escf->handle = NULL;
     *     escf->service = NULL;
     */

    escf->timeout = NGX_CONF_UNSET_MSEC;

    return escf;
}


static char *
ngx_stream_ephpm_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_stream_ephpm_srv_conf_t *prev = parent;
    ngx_stream_ephpm_srv_conf_t *conf = child;

    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 3600000);

    return NGX_CONF_OK;
}


/* The processes that a master forks later have what it has freed. */

static void
ngx_stream_ephpm_wipe(void *data)
{
    ngx_explicit_memzero(data, NGX_STREAM_EPHPM_PASSWORD_MAX + 2);
}


/* The first line of a file. */

static char *
ngx_stream_ephpm_password(ngx_conf_t *cf, ngx_str_t *file, ngx_str_t *password)
{
    u_char              *buf, *end;
    ssize_t              n;
    ngx_fd_t             fd;
    ngx_pool_cleanup_t  *cln;

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    buf = ngx_pnalloc(cf->pool, NGX_STREAM_EPHPM_PASSWORD_MAX + 2);
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (buf == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_stream_ephpm_wipe;
    cln->data = buf;

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the password file \"%V\" cannot be opened", file);
        return NGX_CONF_ERROR;
    }

    n = ngx_read_fd(fd, buf, NGX_STREAM_EPHPM_PASSWORD_MAX + 2);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the password file \"%V\" cannot be read", file);
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", file);
    }

    if (n == -1) {
        return NGX_CONF_ERROR;
    }

    end = ngx_strlchr(buf, buf + n, LF);
    if (end == NULL) {
        end = buf + n;
    }

    if (end > buf && end[-1] == CR) {
        end--;
    }

    if (end == buf) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the password file \"%V\" has no password in its "
                           "first line", file);
        return NGX_CONF_ERROR;
    }

    if (end - buf > NGX_STREAM_EPHPM_PASSWORD_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the password file \"%V\" has a first line of more "
                           "than %d bytes", file,
                           NGX_STREAM_EPHPM_PASSWORD_MAX);
        return NGX_CONF_ERROR;
    }

    password->data = buf;
    password->len = end - buf;

    return NGX_CONF_OK;
}


static char *
ngx_stream_ephpm_kv_resp(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_stream_ephpm_srv_conf_t *escf = conf;

    ngx_str_t                      *value, file;
    ngx_stream_core_srv_conf_t     *cscf;
    ngx_stream_ephpm_srv_conf_t   **slot;
    ngx_stream_ephpm_main_conf_t   *emcf;

    if (escf->name.data) {
        return "is duplicate";
    }

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    if (cscf->handler) {
        return "is in a server that another directive (such as proxy_pass or "
               "return) answers for already";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs the name of a store";
    }

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "password_file=", 14) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": after the store's "
                               "name comes nothing or password_file=PATH",
                               &value[2]);
            return NGX_CONF_ERROR;
        }

        file.data = value[2].data + 14;
        file.len = value[2].len - 14;

        if (file.len == 0) {
            return "needs a path in \"password_file=\"";
        }

        if (ngx_stream_ephpm_password(cf, &file, &escf->password)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    escf->name = value[1];
    escf->file = cf->conf_file->file.name.data;
    escf->line = cf->conf_file->line;

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_ephpm_module);

    slot = ngx_array_push(&emcf->servers);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = escf;

    cscf->handler = ngx_stream_ephpm_handler;

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_stream_ephpm_is_local(struct sockaddr *sa)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct in6_addr      *addr6;
    struct sockaddr_in6  *sin6;
#endif

    switch (sa->sa_family) {

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        return 1;
#endif

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        addr6 = &sin6->sin6_addr;

        return IN6_IS_ADDR_LOOPBACK(addr6)
               || (IN6_IS_ADDR_V4MAPPED(addr6) && addr6->s6_addr[12] == 127);
#endif

    case AF_INET:
        sin = (struct sockaddr_in *) sa;

        return (ntohl(sin->sin_addr.s_addr) >> 24) == 127;

    default:
        return 0;
    }
}


static ngx_int_t
ngx_stream_ephpm_check_listen(ngx_conf_t *cf, ngx_stream_conf_ctx_t *ctx,
    ngx_str_t *addr, struct sockaddr *sa, int type)
{
    ngx_stream_ephpm_srv_conf_t  *escf;

    escf = ctx->srv_conf[ngx_stream_ephpm_module.ctx_index];

    if (escf->name.data == NULL) {
        return NGX_OK;
    }

    if (type != SOCK_STREAM) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ephpm_kv_resp\" is not for \"listen %V udp\": remove "
                      "\"udp\" in %s:%ui", addr, escf->file, escf->line);
        return NGX_ERROR;
    }

    if (escf->password.data == NULL && !ngx_stream_ephpm_is_local(sa)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ephpm_kv_resp\" has no password, and \"listen %V\" "
                      "can be reached from other machines: add "
                      "password_file=PATH, or listen on 127.0.0.1 or unix:PATH "
                      "in %s:%ui", addr, escf->file, escf->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* What a server { } has beside the directive. */

static ngx_int_t
ngx_stream_ephpm_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                     i;
    ngx_stream_core_srv_conf_t   **cscf;
    ngx_stream_ephpm_srv_conf_t   *escf;
    ngx_stream_core_main_conf_t   *cmcf;
#if (nginx_version >= 1025005)
    ngx_uint_t                     n, k;
    ngx_stream_conf_port_t        *port;
    ngx_stream_conf_addr_t        *addr;
#else
    ngx_stream_listen_t           *ls;
#endif

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        escf = cscf[i]->ctx->srv_conf[ngx_stream_ephpm_module.ctx_index];

        if (escf->name.data && cscf[i]->handler != ngx_stream_ephpm_handler) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"ephpm_kv_resp\" is in a server that another "
                          "directive (such as proxy_pass or return) answers "
                          "for too: keep one of them in %s:%ui",
                          escf->file, escf->line);
            return NGX_ERROR;
        }
    }

#if (nginx_version >= 1025005)

    if (cmcf->ports == NULL) {
        return NGX_OK;
    }

    port = cmcf->ports->elts;

    for (i = 0; i < cmcf->ports->nelts; i++) {
        addr = port[i].addrs.elts;

        for (n = 0; n < port[i].addrs.nelts; n++) {
            cscf = addr[n].servers.elts;

            for (k = 0; k < addr[n].servers.nelts; k++) {

                if (ngx_stream_ephpm_check_listen(cf, cscf[k]->ctx,
                                                  &addr[n].opt.addr_text,
                                                  addr[n].opt.sockaddr,
                                                  addr[n].opt.type)
                    != NGX_OK)
                {
                    return NGX_ERROR;
                }
            }
        }
    }

#else

    ls = cmcf->listen.elts;

    for (i = 0; i < cmcf->listen.nelts; i++) {

        if (ngx_stream_ephpm_check_listen(cf, ls[i].ctx, &ls[i].addr_text,
                                          ls[i].sockaddr, ls[i].type)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

#endif

    return NGX_OK;
}


static ngx_module_t *
ngx_stream_ephpm_http_module(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    for (i = 0; cycle->modules[i]; i++) {
        if (ngx_strcmp(cycle->modules[i]->name, NGX_EPHPM_HTTP_MODULE) == 0) {
            return cycle->modules[i];
        }
    }

    return NULL;
}


static ngx_http_ephpm_store_t *
ngx_stream_ephpm_store(ngx_cycle_t *cycle, ngx_module_t *tag, ngx_str_t *name)
{
    ngx_str_t  zone;

    zone.len = sizeof(NGX_EPHPM_ZONE_PREFIX) - 1 + name->len;
    zone.data = ngx_pnalloc(cycle->pool, zone.len);
    if (zone.data == NULL) {
        return NULL;
    }

    (void) ngx_sprintf(zone.data, NGX_EPHPM_ZONE_PREFIX "%V", name);

    return ngx_ephpm_store_of_zone(cycle, tag, &zone);
}


static char *
ngx_stream_ephpm_init_conf(ngx_cycle_t *cycle, void *conf)
{
    ngx_uint_t                      i;
    ngx_module_t                   *http;
    ngx_stream_ephpm_srv_conf_t   **servers, *escf;
    ngx_stream_ephpm_main_conf_t   *emcf;

    emcf = ngx_stream_cycle_get_module_main_conf(cycle,
                                                 ngx_stream_ephpm_module);

    if (emcf == NULL || emcf->servers.nelts == 0) {
        return NGX_CONF_OK;
    }

    servers = emcf->servers.elts;

    http = ngx_stream_ephpm_http_module(cycle);

    if (http == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"ephpm_kv_resp\" needs the module which makes stores: "
                      "add \"load_module modules/" NGX_EPHPM_HTTP_MODULE
                      ".so;\" for %s:%ui", servers[0]->file,
                      servers[0]->line);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < emcf->servers.nelts; i++) {
        escf = servers[i];

        escf->store = ngx_stream_ephpm_store(cycle, http, &escf->name);

        if (escf->store == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "\"ephpm_kv_resp\" names the store \"%V\", which no "
                          "\"ephpm_kv_zone\" makes: add \"ephpm_kv_zone "
                          "zone=%V:SIZE;\" to http { }, or correct the name "
                          "in %s:%ui",
                          &escf->name, &escf->name, escf->file, escf->line);
            return NGX_CONF_ERROR;
        }

        if (escf->store->interface != NGX_EPHPM_STORE_INTERFACE
            || escf->store->layout != kv_layout_hash())
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "\"ephpm_kv_resp\" finds that "
                          "ngx_stream_ephpm_module.so and "
                          NGX_EPHPM_HTTP_MODULE ".so are of two versions: "
                          "install them together");
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}
