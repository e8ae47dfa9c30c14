/* ephpm_handler.c - requests: the handler, and httpd's side of the SAPI for
 * scripts that run in line, as they do under prefork.
 *
 * A script's output can bring about another request for a script before the
 * first has ended: virtual() does, and so does a server-side include in what
 * a script writes.  PHP cannot run two requests in one process, so the inner
 * script runs inside the outer one, as an include would; then `current->r` is
 * the inner request for that long.
 */

#include "mod_ephpm.h"

#include <apr_buckets.h>
#include <util_filter.h>
#include <util_script.h>

#include <php_main.h>
#include <SAPI.h>

#include <limits.h>
#include <string.h>
#include <syslog.h>

APLOG_USE_MODULE(ephpm);

typedef struct running {
    ephpm_response_t response;  /* of whom the script talks to */
    ephpm_body_t body;          /* of the outermost request */
    bool finished;              /* fastcgi_finish_request() */
} running_t;

static running_t *current;

server_rec *ephpm_main_server;

request_rec *ephpm_current_request(void)
{
    return current ? current->response.r : NULL;
}

/* ------------------------------------------------------------------ */
/* What PHP hands over                                                 */

static size_t read_body(void *request, char *buffer, size_t size_bytes)
{
    return ephpm_body_read(&((running_t *)request)->body, buffer, size_bytes);
}

static bool write_data(void *request, const char *data, size_t size_bytes)
{
    running_t *running = request;

    if (running->finished) {
        return true;
    }
    while (size_bytes > 0) {
        int part = size_bytes > INT_MAX ? INT_MAX : (int)size_bytes;

        if (ap_rwrite(data, part, running->response.r) < 0) {
            return false;
        }
        data += part;
        size_bytes -= (size_t)part;
    }
    return !running->response.r->connection->aborted;
}

static bool flush(void *request)
{
    running_t *running = request;

    if (running->finished) {
        return true;
    }
    return ap_rflush(running->response.r) >= 0
           && !running->response.r->connection->aborted;
}

static void change_header(void *request, ephpm_header_op_t op,
                          const char *name, const char *value)
{
    running_t *running = request;

    ephpm_response_header(&running->response, op, name, value);
}

static void send_headers(void *request, int status, const char *reason)
{
    running_t *running = request;

    if (!running->finished) {
        ephpm_response_status(&running->response, status, reason);
    }
}

static bool send_interim(void *request, int status)
{
    running_t *running = request;

    return !running->finished
           && ephpm_response_interim(running->response.r, status);
}

/* The client has its whole response after this.  Its connection is kept: what
 * it asks next waits for the script at worst, and frameworks call this at the
 * end of every response. */
static bool finish(void *request)
{
    running_t *running = request;
    request_rec *r = running->response.r;
    conn_rec *c = r->connection;
    apr_bucket_brigade *end;

    if (running->finished || r->main != NULL) {
        return false;
    }
    ephpm_response_end(r);
    end = apr_brigade_create(r->pool, c->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(end, apr_bucket_flush_create(c->bucket_alloc));
    ap_pass_brigade(c->output_filters, end);
    apr_brigade_cleanup(end);
    running->finished = true;
    return true;
}

/* ------------------------------------------------------------------ */
/* What PHP wants to know                                              */

static void each_pair(const apr_table_t *table, ephpm_pair_fn pass, void *to)
{
    const apr_array_header_t *array = apr_table_elts(table);
    const apr_table_entry_t *pairs = (const apr_table_entry_t *)array->elts;

    for (int i = 0; i < array->nelts; i++) {
        if (pairs[i].key != NULL) {
            pass(to, pairs[i].key, pairs[i].val ? pairs[i].val : "");
        }
    }
}

/* The variables are those of CGI.  httpd leaves the `Proxy` header out. */
static void each_variable(void *request, ephpm_pair_fn pass, void *to)
{
    request_rec *r = ((running_t *)request)->response.r;

    each_pair(r->subprocess_env, pass, to);
    pass(to, "PHP_SELF", r->uri);
}

static void each_request_header(void *request, ephpm_pair_fn pass, void *to)
{
    each_pair(((running_t *)request)->response.r->headers_in, pass, to);
}

static void each_response_header(void *request, ephpm_pair_fn pass, void *to)
{
    each_pair(((running_t *)request)->response.r->headers_out, pass, to);
}

static const char *get_variable(void *request, const char *name)
{
    request_rec *r = ((running_t *)request)->response.r;

    return apr_table_get(r->subprocess_env, name);
}

static bool script_stat(void *request, struct stat *status)
{
    const apr_finfo_t *info = &((running_t *)request)->body.r->finfo;

    if ((info->valid & APR_FINFO_NORM) != APR_FINFO_NORM) {
        return false;
    }
    memset(status, 0, sizeof(*status));
    status->st_mode = info->filetype == APR_REG ? S_IFREG : 0;
    status->st_uid = info->user;
    status->st_gid = info->group;
    status->st_dev = info->device;
    status->st_ino = info->inode;
    status->st_nlink = (nlink_t)info->nlink;
    status->st_size = info->size;
    status->st_atime = apr_time_sec(info->atime);
    status->st_mtime = apr_time_sec(info->mtime);
    status->st_ctime = apr_time_sec(info->ctime);
    return true;
}

static double request_time(void *request)
{
    return (double)((running_t *)request)->body.r->request_time
           / (double)APR_USEC_PER_SEC;
}

void ephpm_php_log(request_rec *r, int priority, const char *message)
{
    /* httpd's levels are syslog's. */
    int level = priority >= LOG_EMERG && priority <= LOG_DEBUG ? priority
                                                               : APLOG_ERR;

    if (r != NULL) {
        ap_log_rerror(EPHPM_PHP_LOG_MARK, level, 0, r, "%s", message);
    } else {
        ap_log_error(EPHPM_PHP_LOG_MARK, level, 0, ephpm_main_server, "%s",
                     message);
    }
}

static void log_message(void *request, int priority, const char *message)
{
    ephpm_php_log(request ? ((running_t *)request)->response.r : NULL,
                  priority, message);
}

const ephpm_server_t ephpm_httpd = {
    .name = "apache2handler",
    .title = "Apache 2 Handler (mod_ephpm)",
    .read_body = read_body,
    .write = write_data,
    .flush = flush,
    .change_header = change_header,
    .send_headers = send_headers,
    .send_interim = send_interim,
    .finish = finish,
    .each_variable = each_variable,
    .each_request_header = each_request_header,
    .each_response_header = each_response_header,
    .getenv = get_variable,
    .script_stat = script_stat,
    .request_time = request_time,
    .log = log_message,
};

/* ------------------------------------------------------------------ */
/* The handlers                                                        */

typedef enum action {
    NOT_OURS,
    RUN,
    SHOW
} action_t;

/* What php.ini says is known to PHP alone, which is in another process where
 * runners serve. */
static bool setting(const ephpm_dir_config_t *config, const char *name,
                    bool in_line)
{
    return ephpm_dir_flag(config, name, ephpm_jobs != NULL
                                            ? ephpm_runners_flag(name)
                                            : in_line);
}

static action_t action_of(const request_rec *r,
                          const ephpm_dir_config_t *config)
{
    action_t action = NOT_OURS;

    if (r->handler == NULL) {
        return NOT_OURS;
    }
    if (strcmp(r->handler, "application/x-httpd-php") == 0
        || strcmp(r->handler, "php-script") == 0) {
        action = RUN;
    } else if (strcmp(r->handler, "application/x-httpd-php-source") == 0) {
        action = SHOW;
    } else if (strcmp(r->handler, "text/html") == 0
               && (r->finfo.protection & APR_UEXECUTE)
               && setting(config, "xbithack", ephpm_flags.xbithack)) {
        action = RUN;
    }
    return action != NOT_OURS
                   && setting(config, "engine", ephpm_flags.engine)
               ? action : NOT_OURS;
}

/* The settings of a request: those of the configuration, and after them what
 * the .user.ini files have. */
typedef struct settings {
    request_rec *r;
    apr_array_header_t *ini;        /* ephpm_ini_t */
    bool copied;                    /* `ini` is not the configuration's own */
} settings_t;

static void add_setting(void *to, const char *name, const char *value)
{
    settings_t *settings = to;
    request_rec *r = settings->r;
    ephpm_ini_t *entry;

    if (!settings->copied) {
        settings->ini = apr_array_copy(r->pool, settings->ini);
        settings->copied = true;
    }
    entry = apr_array_push(settings->ini);
    memset(entry, 0, sizeof(*entry));
    entry->name = apr_pstrdup(r->pool, name);
    entry->value = apr_pstrdup(r->pool, value);
    entry->htaccess = true;
    entry->file = r->filename;
}

static const apr_array_header_t *settings_of(request_rec *r,
                                             const ephpm_dir_config_t *config)
{
    settings_t settings = { .r = r, .ini = config->ini };

    if (config->user_ini == USER_INI_ON) {
        ephpm_user_ini_each(ap_context_document_root(r), r->filename,
                            add_setting, &settings);
    }
    return settings.ini;
}

static int run_inside(request_rec *r, const ephpm_dir_config_t *config,
                      action_t action)
{
    request_rec *outer = current->response.r;
    const apr_array_header_t *ini;

    current->response.r = r;
    if (action == SHOW) {
        ephpm_script_show(r->filename);
    } else {
        ini = settings_of(r, config);
        ephpm_script_include(r->filename, (const ephpm_ini_t *)ini->elts,
                             (size_t)ini->nelts);
    }
    current->response.r = outer;
    return OK;
}

static void describe(request_rec *r, const ephpm_dir_config_t *config,
                     running_t *running, ephpm_request_t *request)
{
    const apr_array_header_t *ini = settings_of(r, config);

    memset(request, 0, sizeof(*request));
    request->host = running;
    request->method = r->method;
    request->uri = r->uri;
    request->query = r->args;
    request->content_type = apr_table_get(r->headers_in, "Content-Type");
    request->content_length = ephpm_body_length(r);
    request->cookies = apr_table_get(r->headers_in, "Cookie");
    request->authorization = apr_table_get(r->headers_in, "Authorization");
    request->user = r->user;
    request->script = r->filename;
    request->protocol = r->proto_num;
    request->status = r->status ? r->status : HTTP_OK;
    request->ini = (const ephpm_ini_t *)ini->elts;
    request->ini_count = (size_t)ini->nelts;
    if (config->user_ini == USER_INI_ON) {
        request->host_name = ap_get_server_name(r);
    }
}

static int run_request(request_rec *r, const ephpm_dir_config_t *config,
                       action_t action)
{
    running_t *running = apr_pcalloc(r->pool, sizeof(*running));
    ephpm_request_t request;
    int status = OK;

    if (ephpm_body_too_large(r)) {
        return HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    running->body.r = r;
    describe(r, config, running, &request);
    current = running;
    ephpm_response_begin(&running->response, r);
    if (!ephpm_request_begin(&request)) {
        status = HTTP_INTERNAL_SERVER_ERROR;
    } else {
        /* Whom the script will see as PHP_AUTH_USER, for the access log. */
        if (SG(request_info).auth_user != NULL) {
            r->user = apr_pstrdup(r->pool, SG(request_info).auth_user);
        }
        status = ephpm_body_refused(&running->body);
    }
    if (status != OK) {
        ephpm_request_discard();
    } else {
        if (setting(config, "last_modified", ephpm_flags.last_modified)) {
            ap_update_mtime(r, r->finfo.mtime);
            ap_set_last_modified(r);
        }
        running->body.in_script = true;
        if (action == SHOW) {
            ephpm_script_show(r->filename);
        } else {
            ephpm_script_run(r->filename);
        }
        running->body.in_script = false;
        apr_table_setn(r->notes, "mod_php_memory_usage",
                       apr_psprintf(r->pool, "%" APR_SIZE_T_FMT,
                                    ephpm_request_memory()));
    }
    ephpm_request_end();
    current = NULL;
    /* httpd would do it as well, but first read what is left of the body;
     * and where that has an error, put an error page before our output. */
    if (status == OK && !running->finished) {
        ephpm_response_end(r);
    }
    return status;
}

int ephpm_handler(request_rec *r)
{
    const ephpm_dir_config_t *config =
        ap_get_module_config(r->per_dir_config, &ephpm_module);
    action_t action = action_of(r, config);

    if (action == NOT_OURS) {
        return DECLINED;
    }
    if (r->used_path_info == AP_REQ_REJECT_PATH_INFO
        && r->path_info != NULL && r->path_info[0] != '\0') {
        return HTTP_NOT_FOUND;
    }
    /* Programs that watch logs (fail2ban) look for these words. */
    if (r->finfo.filetype == APR_NOFILE) {
        ap_log_rerror(EPHPM_PHP_LOG_MARK, APLOG_ERR, 0, r,
                      "script '%s' not found or unable to stat", r->filename);
        return HTTP_NOT_FOUND;
    }
    if (r->finfo.filetype == APR_DIR) {
        ap_log_rerror(EPHPM_PHP_LOG_MARK, APLOG_ERR, 0, r,
                      "attempt to invoke directory '%s' as script",
                      r->filename);
        return HTTP_FORBIDDEN;
    }
    if (r->main == NULL || r->subprocess_env != r->main->subprocess_env) {
        ap_add_common_vars(r);
        ap_add_cgi_vars(r);
    }
    if (ephpm_jobs != NULL) {
        return ephpm_submit(r, config, action == SHOW);
    }
    return current != NULL ? run_inside(r, config, action)
                           : run_request(r, config, action);
}
