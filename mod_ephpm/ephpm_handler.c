/* ephpm_handler.c - requests: the handlers, and httpd's side of the SAPI.
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
#include <zend_ini.h>

#include <limits.h>
#include <string.h>
#include <syslog.h>

APLOG_USE_MODULE(ephpm);

typedef struct running {
    request_rec *r;             /* whom the script talks to */
    request_rec *owner;         /* whose body it reads */
    apr_bucket_brigade *body;
    apr_size_t body_bytes;      /* read so far */
    apr_status_t body_error;    /* why the body ended too early */
    int body_answer;            /* what httpd wants to answer to that; or OK */
    bool body_ended;
    bool in_script;             /* not while PHP starts or ends the request */
    bool finished;              /* fastcgi_finish_request() */
    const char *content_type;
} running_t;

static running_t *current;

server_rec *ephpm_main_server;

request_rec *ephpm_current_request(void)
{
    return current ? current->r : NULL;
}

/* ------------------------------------------------------------------ */
/* The body                                                            */

/* An input filter of httpd's that refuses a body sends an error down the
 * output filters, whose end runs the ErrorDocument there and then.  When PHP
 * only begins with the request, or ends it, another script cannot run: so
 * the error is caught first. */
static apr_status_t catch_refusal(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    running_t *running = f->ctx;

    for (apr_bucket *b = APR_BRIGADE_FIRST(brigade);
         b != APR_BRIGADE_SENTINEL(brigade); b = APR_BUCKET_NEXT(b)) {
        if (AP_BUCKET_IS_ERROR(b)) {
            running->body_answer = ((ap_bucket_error *)b->data)->status;
        }
    }
    apr_brigade_cleanup(brigade);
    /* What is left of the body is not the next request. */
    f->c->keepalive = AP_CONN_CLOSE;
    return AP_FILTER_ERROR;
}

static apr_status_t get_body(running_t *running, apr_off_t size_bytes)
{
    static ap_filter_rec_t record = {
        .name = "ephpm_refusal",
        .filter_func = { .out_func = catch_refusal },
        .ftype = AP_FTYPE_RESOURCE
    };
    request_rec *r = running->owner;
    ap_filter_t filter = { .frec = &record, .ctx = running, .r = r,
                           .c = r->connection };
    ap_filter_t *filters = r->output_filters;
    apr_status_t status;

    if (!running->in_script) {
        r->output_filters = &filter;
    }
    status = ap_get_brigade(r->input_filters, running->body,
                            AP_MODE_READBYTES, APR_BLOCK_READ, size_bytes);
    r->output_filters = filters;
    return status;
}

static size_t read_body(void *request, char *buffer, size_t size_bytes)
{
    running_t *running = request;
    request_rec *r = running->owner;
    size_t total = 0;

    if (running->body == NULL) {
        running->body = apr_brigade_create(r->pool,
                                           r->connection->bucket_alloc);
    }
    while (total < size_bytes && !running->body_ended) {
        apr_size_t length = size_bytes - total;
        apr_status_t status;

        status = get_body(running, (apr_off_t)length);
        if (status == APR_SUCCESS) {
            running->body_ended = APR_BRIGADE_EMPTY(running->body)
                || APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(running->body));
            status = apr_brigade_flatten(running->body, buffer + total,
                                         &length);
        }
        apr_brigade_cleanup(running->body);
        if (status != APR_SUCCESS) {
            running->body_ended = true;
            running->body_error = status;
            ap_log_rerror(APLOG_MARK, APLOG_INFO, status, r,
                          "the request's body ended too early, after %"
                          APR_SIZE_T_FMT " bytes", running->body_bytes);
            break;
        }
        total += length;
        running->body_bytes += length;
    }
    return total;
}

/* A client that stops in the middle of its body is PHP's to handle, which
 * has an error code for half an upload; what httpd itself refuses (a body
 * over LimitRequestBody, one that comes too slowly, a broken chunk) is not
 * to be worked on.  Returns an HTTP status, or OK. */
static int body_refused(const running_t *running)
{
    apr_status_t error = running->body_error;

    if (running->body_answer != OK) {
        return running->body_answer;
    }
    if (error == APR_SUCCESS || error == APR_INCOMPLETE
        || APR_STATUS_IS_EOF(error) || APR_STATUS_IS_ECONNRESET(error)
        || APR_STATUS_IS_ECONNABORTED(error)
        || running->owner->connection->aborted) {
        return OK;
    }
    return ap_map_http_request_error(error, HTTP_BAD_REQUEST);
}

/* ------------------------------------------------------------------ */
/* The response                                                        */

static bool write_data(void *request, const char *data, size_t size_bytes)
{
    running_t *running = request;

    if (running->finished) {
        return true;
    }
    while (size_bytes > 0) {
        int part = size_bytes > INT_MAX ? INT_MAX : (int)size_bytes;

        if (ap_rwrite(data, part, running->r) < 0) {
            return false;
        }
        data += part;
        size_bytes -= (size_t)part;
    }
    return !running->r->connection->aborted;
}

static bool flush(void *request)
{
    running_t *running = request;

    if (running->finished) {
        return true;
    }
    return ap_rflush(running->r) >= 0 && !running->r->connection->aborted;
}

static void change_header(void *request, ephpm_header_op_t op,
                          const char *name, const char *value)
{
    running_t *running = request;
    request_rec *r = running->r;
    bool is_type = name != NULL && strcasecmp(name, "Content-Type") == 0;
    apr_off_t length;
    char *end;

    switch (op) {
    case EPHPM_HEADER_DELETE_ALL:
        apr_table_clear(r->headers_out);
        running->content_type = NULL;
        break;
    case EPHPM_HEADER_DELETE:
        if (is_type) {
            running->content_type = NULL;
        } else {
            apr_table_unset(r->headers_out, name);
        }
        break;
    case EPHPM_HEADER_ADD:
    case EPHPM_HEADER_REPLACE:
        if (is_type) {
            running->content_type = *value ? apr_pstrdup(r->pool, value)
                                           : NULL;
        } else if (strcasecmp(name, "Content-Length") == 0) {
            /* httpd wants it in a place of its own. */
            if (apr_strtoff(&length, value, &end, 10) == APR_SUCCESS
                && end != value && *end == '\0' && length >= 0) {
                ap_set_content_length(r, length);
            }
        } else if (op == EPHPM_HEADER_ADD) {
            apr_table_add(r->headers_out, name, value);
        } else {
            apr_table_set(r->headers_out, name, value);
        }
        break;
    }
}

static void send_headers(void *request, int status, const char *reason)
{
    running_t *running = request;
    request_rec *r = running->r;

    if (running->finished) {
        return;
    }
    r->status = status;
    r->status_line = NULL;
    if (reason != NULL && status >= 100 && status <= 999) {
        r->status_line = apr_psprintf(r->pool, "%03d %s", status, reason);
    } else if (status >= 200 && status <= 999
               && atoi(ap_get_status_line(status)) != status) {
        /* One that httpd does not know, and would make a 500 of.  A 1xx
         * would leave the client waiting for the response. */
        r->status_line = apr_psprintf(r->pool, "%03d", status);
    }
    /* Once only: each call adds the filters that belong to the type.  What
     * the type was until now may be the one that led to us. */
    ap_set_content_type(r, running->content_type);
}

static bool send_interim(void *request, int status)
{
    running_t *running = request;
    request_rec *r = running->r;
    apr_table_t *headers;
    const char *line = r->status_line;
    int final = r->status;

    if (r->main != NULL || r->proto_num < HTTP_VERSION(1, 1)
        || running->finished) {
        return false;
    }
    headers = apr_table_copy(r->pool, r->headers_out);
    r->status = status;
    r->status_line = NULL;
    ap_send_interim_response(r, 1);
    r->status = final;
    r->status_line = line;
    r->headers_out = headers;
    return !r->connection->aborted;
}

static void end_response(request_rec *r)
{
    apr_bucket_alloc_t *buckets = r->connection->bucket_alloc;
    apr_bucket_brigade *end = apr_brigade_create(r->pool, buckets);

    APR_BRIGADE_INSERT_TAIL(end, apr_bucket_eos_create(buckets));
    ap_pass_brigade(r->output_filters, end);
    apr_brigade_destroy(end);
}

/* The client has its whole response after this.  Its connection is kept: what
 * it asks next waits for the script at worst, and frameworks call this at the
 * end of every response. */
static bool finish(void *request)
{
    running_t *running = request;
    request_rec *r = running->r;
    conn_rec *c = r->connection;
    apr_bucket_brigade *end;

    if (running->finished || r->main != NULL) {
        return false;
    }
    end_response(r);
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
    request_rec *r = ((running_t *)request)->r;

    each_pair(r->subprocess_env, pass, to);
    pass(to, "PHP_SELF", r->uri);
}

static void each_request_header(void *request, ephpm_pair_fn pass, void *to)
{
    each_pair(((running_t *)request)->r->headers_in, pass, to);
}

static void each_response_header(void *request, ephpm_pair_fn pass, void *to)
{
    each_pair(((running_t *)request)->r->headers_out, pass, to);
}

static const char *get_variable(void *request, const char *name)
{
    return apr_table_get(((running_t *)request)->r->subprocess_env, name);
}

static bool script_stat(void *request, struct stat *status)
{
    const apr_finfo_t *info = &((running_t *)request)->owner->finfo;

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
    return (double)((running_t *)request)->owner->request_time
           / (double)APR_USEC_PER_SEC;
}

/* Under the name `php`, which LogLevel and those who read logs know. */
#define PHP_LOG_MARK __FILE__, __LINE__, ephpm_php_log_index()

static void log_message(void *request, int priority, const char *message)
{
    /* httpd's levels are syslog's. */
    int level = priority >= LOG_EMERG && priority <= LOG_DEBUG ? priority
                                                               : APLOG_ERR;

    if (request != NULL) {
        ap_log_rerror(PHP_LOG_MARK, level, 0, ((running_t *)request)->r,
                      "%s", message);
    } else {
        ap_log_error(PHP_LOG_MARK, level, 0, ephpm_main_server, "%s",
                     message);
    }
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

static bool setting(const ephpm_dir_config_t *config, const char *name)
{
    return ephpm_dir_flag(config, name,
                          zend_ini_long((char *)name, strlen(name), 0) != 0);
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
               && setting(config, "xbithack")) {
        action = RUN;
    }
    return action != NOT_OURS && setting(config, "engine") ? action
                                                           : NOT_OURS;
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
    request_rec *outer = current->r;
    const apr_array_header_t *ini;

    current->r = r;
    if (action == SHOW) {
        ephpm_script_show(r->filename);
    } else {
        ini = settings_of(r, config);
        ephpm_script_include(r->filename, (const ephpm_ini_t *)ini->elts,
                             (size_t)ini->nelts);
    }
    current->r = outer;
    return OK;
}

/* What may have come from elsewhere is not this response's. */
static void forget_headers(request_rec *r)
{
    apr_table_unset(r->headers_out, "Content-Length");
    apr_table_unset(r->headers_out, "Last-Modified");
    apr_table_unset(r->headers_out, "Expires");
    apr_table_unset(r->headers_out, "ETag");
    r->no_local_copy = 1;
}

static void describe(request_rec *r, const ephpm_dir_config_t *config,
                     running_t *running, ephpm_request_t *request)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    const apr_array_header_t *ini = settings_of(r, config);
    apr_off_t bytes;
    char *end;

    memset(request, 0, sizeof(*request));
    request->host = running;
    request->method = r->method;
    request->uri = r->uri;
    request->query = r->args;
    request->content_type = apr_table_get(r->headers_in, "Content-Type");
    if (length != NULL
        && apr_strtoff(&bytes, length, &end, 10) == APR_SUCCESS
        && *end == '\0' && bytes > 0) {
        request->content_length = bytes;
    }
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

/* httpd would find it out when the body is read, in the middle of a script or
 * even after it.  The page that tells of it (ErrorDocument) still has the
 * body before it. */
static bool body_too_large(const request_rec *r, int64_t content_length)
{
    apr_off_t limit = ap_get_limit_req_body(r);

    if (limit <= 0 || content_length <= limit || r->status != HTTP_OK) {
        return false;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "the request's body has %" APR_INT64_T_FMT " bytes, more "
                  "than LimitRequestBody allows (%" APR_OFF_T_FMT ")",
                  content_length, limit);
    return true;
}

static int run_request(request_rec *r, const ephpm_dir_config_t *config,
                       action_t action)
{
    running_t *running = apr_pcalloc(r->pool, sizeof(*running));
    ephpm_request_t request;
    int status = OK;

    running->r = running->owner = r;
    describe(r, config, running, &request);
    if (body_too_large(r, request.content_length)) {
        return HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    current = running;
    forget_headers(r);
    if (!ephpm_request_begin(&request)) {
        status = HTTP_INTERNAL_SERVER_ERROR;
    } else {
        /* Whom the script will see as PHP_AUTH_USER, for the access log. */
        if (SG(request_info).auth_user != NULL) {
            r->user = apr_pstrdup(r->pool, SG(request_info).auth_user);
        }
        status = body_refused(running);
    }
    if (status != OK) {
        ephpm_request_discard();
    } else {
        if (setting(config, "last_modified")) {
            ap_update_mtime(r, r->finfo.mtime);
            ap_set_last_modified(r);
        }
        running->in_script = true;
        if (action == SHOW) {
            ephpm_script_show(r->filename);
        } else {
            ephpm_script_run(r->filename);
        }
        running->in_script = false;
        apr_table_setn(r->notes, "mod_php_memory_usage",
                       apr_psprintf(r->pool, "%" APR_SIZE_T_FMT,
                                    ephpm_request_memory()));
    }
    ephpm_request_end();
    current = NULL;
    /* httpd would do it as well, but first read what is left of the body;
     * and where that has an error, put an error page before our output. */
    if (status == OK && !running->finished) {
        end_response(r);
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
        ap_log_rerror(PHP_LOG_MARK, APLOG_ERR, 0, r,
                      "script '%s' not found or unable to stat", r->filename);
        return HTTP_NOT_FOUND;
    }
    if (r->finfo.filetype == APR_DIR) {
        ap_log_rerror(PHP_LOG_MARK, APLOG_ERR, 0, r,
                      "attempt to invoke directory '%s' as script",
                      r->filename);
        return HTTP_FORBIDDEN;
    }
    if (r->main == NULL || r->subprocess_env != r->main->subprocess_env) {
        ap_add_common_vars(r);
        ap_add_cgi_vars(r);
    }
    return current != NULL ? run_inside(r, config, action)
                           : run_request(r, config, action);
}
