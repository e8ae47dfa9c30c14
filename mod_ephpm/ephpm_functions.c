/* ephpm_functions.c - the functions and INI settings that scripts have under
 * httpd alone, as PHP's extension "apache2handler".
 *
 * A script in line has httpd's own request.  One in a runner has what came
 * along with its job, and sends notes and variables home; what needs the
 * request itself it cannot do, and says so.
 */

#include "mod_ephpm.h"

#include "ephpm_pool.h"

#include "ephpm_functions_arginfo.h"

#include <php_ini.h>
#include <php_main.h>
#include <php_output.h>
#include <SAPI.h>
#include <ext/standard/head.h>
#include <ext/standard/info.h>

#include <http_main.h>
#include <string.h>

/* Every function's first step: no request, no answer (a preload script). */
#define REQUEST_OR_FALSE(r)                                              \
    request_rec *r = ephpm_current_request();                            \
    if (r == NULL && !in_runner()) {                                     \
        RETURN_FALSE;                                                    \
    }

/* In a runner, with a request: then there is no request_rec. */
static bool in_runner(void)
{
    return ephpm_runner_snapshot() != NULL;
}

/* ------------------------------------------------------------------ */
/* Sub-requests                                                        */

static void warn_of_runner(const char *what, const char *uri)
{
    php_error_docref(NULL, E_WARNING, "\"%s\" cannot be %s: the script runs "
        "beside the server, not in it, under the MPMs event and worker; "
        "include the file, or have the server run prefork", uri, what);
}

static request_rec *look_up(request_rec *r, const char *uri)
{
    request_rec *found = ap_sub_req_lookup_uri(uri, r, r->output_filters);

    if (found != NULL && found->status != HTTP_OK) {
        php_error_docref(NULL, E_WARNING, "\"%s\" cannot be had: %d %s",
                         uri, found->status,
                         ap_get_status_line(found->status) + 4);
        ap_destroy_sub_req(found);
        found = NULL;
    }
    return found;
}

PHP_FUNCTION(virtual)
{
    char *uri;
    size_t uri_len;
    request_rec *sub;
    int status;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_PATH(uri, uri_len)
    ZEND_PARSE_PARAMETERS_END();
    REQUEST_OR_FALSE(r)

    if (r == NULL) {
        warn_of_runner("served", uri);
        RETURN_FALSE;
    }
    if (ephpm_request_forked()) {
        php_error_docref(NULL, E_WARNING,
            "\"%s\": a process that the script has forked has no client",
            uri);
        RETURN_FALSE;
    }
    sub = look_up(r, uri);
    if (sub == NULL) {
        RETURN_FALSE;
    }
    php_output_end_all();
    php_header();
    /* What httpd still buffers of ours comes before what the other writes. */
    ap_rflush(r);
    status = ap_run_sub_req(sub);
    ap_destroy_sub_req(sub);
    ephpm_request_resume();
    if (status != OK) {
        php_error_docref(NULL, E_WARNING, "\"%s\" could not be served: %d",
                         uri, status);
        RETURN_FALSE;
    }
    RETURN_TRUE;
}

PHP_FUNCTION(apache_lookup_uri)
{
    char *uri;
    size_t uri_len;
    request_rec *sub;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_PATH(uri, uri_len)
    ZEND_PARSE_PARAMETERS_END();
    REQUEST_OR_FALSE(r)

    if (r == NULL) {
        warn_of_runner("looked up", uri);
        RETURN_FALSE;
    }
    sub = look_up(r, uri);
    if (sub == NULL) {
        RETURN_FALSE;
    }
    object_init(return_value);
#define NUMBER(name) \
    add_property_long(return_value, #name, (zend_long)sub->name)
#define STRING(name)                                                     \
    do {                                                                 \
        if (sub->name != NULL) {                                         \
            add_property_string(return_value, #name, sub->name);         \
        }                                                                \
    } while (0)
    NUMBER(status);
    STRING(the_request);
    STRING(status_line);
    STRING(method);
    NUMBER(mtime);
    NUMBER(clength);
    STRING(range);
    NUMBER(chunked);
    STRING(content_type);
    STRING(handler);
    NUMBER(no_cache);
    NUMBER(no_local_copy);
    STRING(unparsed_uri);
    STRING(uri);
    STRING(filename);
    STRING(path_info);
    STRING(args);
    NUMBER(allowed);
    NUMBER(sent_bodyct);
    NUMBER(bytes_sent);
    add_property_long(return_value, "request_time",
                      (zend_long)apr_time_sec(sub->request_time));
#undef NUMBER
#undef STRING
    ap_destroy_sub_req(sub);
}

/* ------------------------------------------------------------------ */
/* Notes and variables                                                 */

PHP_FUNCTION(apache_note)
{
    char *name, *value = NULL;
    size_t name_len, value_len;
    const char *before;

    ZEND_PARSE_PARAMETERS_START(1, 2)
        Z_PARAM_STRING(name, name_len)
        Z_PARAM_OPTIONAL
        Z_PARAM_STRING_OR_NULL(value, value_len)
    ZEND_PARSE_PARAMETERS_END();
    REQUEST_OR_FALSE(r)

    before = r ? apr_table_get(r->notes, name)
               : ephpm_runner_pair(EPHPM_ITEM_NOTE, name);
    if (before != NULL) {
        RETVAL_STRING(before);
    } else {
        RETVAL_FALSE;
    }
    if (value != NULL && r != NULL) {
        apr_table_set(r->notes, name, value);
    } else if (value != NULL) {
        ephpm_runner_send_pair(EPHPM_FRAME_NOTE, name, value);
    }
}

/* In a runner there is no other request to walk to. */
static request_rec *top_of(request_rec *r, bool walk_to_top)
{
    while (walk_to_top && r->prev != NULL) {
        r = r->prev;
    }
    return r;
}

PHP_FUNCTION(apache_setenv)
{
    char *name, *value;
    size_t name_len, value_len;
    bool walk_to_top = false;

    ZEND_PARSE_PARAMETERS_START(2, 3)
        Z_PARAM_STRING(name, name_len)
        Z_PARAM_STRING(value, value_len)
        Z_PARAM_OPTIONAL
        Z_PARAM_BOOL(walk_to_top)
    ZEND_PARSE_PARAMETERS_END();
    REQUEST_OR_FALSE(r)

    if (r == NULL) {
        RETURN_BOOL(ephpm_runner_send_pair(EPHPM_FRAME_ENV, name, value));
    }
    apr_table_set(top_of(r, walk_to_top)->subprocess_env, name, value);
    RETURN_TRUE;
}

PHP_FUNCTION(apache_getenv)
{
    char *name;
    size_t name_len;
    bool walk_to_top = false;
    const char *value;

    ZEND_PARSE_PARAMETERS_START(1, 2)
        Z_PARAM_STRING(name, name_len)
        Z_PARAM_OPTIONAL
        Z_PARAM_BOOL(walk_to_top)
    ZEND_PARSE_PARAMETERS_END();
    REQUEST_OR_FALSE(r)

    value = r ? apr_table_get(top_of(r, walk_to_top)->subprocess_env, name)
              : ephpm_runner_pair(EPHPM_ITEM_VARIABLE, name);
    if (value == NULL) {
        RETURN_FALSE;
    }
    RETURN_STRING(value);
}

/* ------------------------------------------------------------------ */
/* The server                                                          */

PHP_FUNCTION(apache_get_version)
{
    const char *version = ap_get_server_banner();

    ZEND_PARSE_PARAMETERS_NONE();

    if (version == NULL || *version == '\0') {
        RETURN_FALSE;
    }
    RETURN_STRING(version);
}

/* "mod_mime", whose record says mod_mime.c. */
static zend_string *module_name(const module *m)
{
    const char *dot = strrchr(m->name, '.');

    return zend_string_init(m->name,
                            dot ? (size_t)(dot - m->name) : strlen(m->name),
                            0);
}

PHP_FUNCTION(apache_get_modules)
{
    ZEND_PARSE_PARAMETERS_NONE();

    array_init(return_value);
    for (int i = 0; ap_loaded_modules[i] != NULL; i++) {
        add_next_index_str(return_value, module_name(ap_loaded_modules[i]));
    }
}

/* ------------------------------------------------------------------ */
/* PHP's view of the module                                            */

ephpm_flags_t ephpm_flags;

static PHP_INI_MH(on_update_flag)
{
    (void)entry;
    (void)mh_arg2;
    (void)mh_arg3;
    (void)stage;
    *(bool *)mh_arg1 = new_value != NULL && zend_ini_parse_bool(new_value);
    return SUCCESS;
}

/* They are read from the configuration before PHP starts the request (see
 * ephpm_handler.c); here they become settings that PHP knows. */
PHP_INI_BEGIN()
    PHP_INI_ENTRY1("engine", "1", PHP_INI_ALL, on_update_flag,
                   &ephpm_flags.engine)
    PHP_INI_ENTRY1("xbithack", "0", PHP_INI_ALL, on_update_flag,
                   &ephpm_flags.xbithack)
    PHP_INI_ENTRY1("last_modified", "0", PHP_INI_ALL, on_update_flag,
                   &ephpm_flags.last_modified)
PHP_INI_END()

static PHP_MINIT_FUNCTION(apache)
{
    REGISTER_INI_ENTRIES();
    return SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(apache)
{
    UNREGISTER_INI_ENTRIES();
    return SUCCESS;
}

static int info_row(void *unused, const char *name, const char *value)
{
    (void)unused;
    php_info_print_table_row(2, name, value);
    return 1;
}

/* A table of httpd's, or what the job has of it. */
static void info_pairs(const apr_table_t *table, ephpm_item_t kind)
{
    const ephpm_snapshot_t *snapshot = ephpm_runner_snapshot();

    if (table != NULL) {
        apr_table_do(info_row, NULL, table, NULL);
    }
    for (size_t i = 0; snapshot != NULL && i < snapshot->pair_count; i++) {
        if (snapshot->pairs[i].kind == kind) {
            info_row(NULL, snapshot->pairs[i].name, snapshot->pairs[i].value);
        }
    }
}

static void info_first_line(const request_rec *r)
{
    const ephpm_snapshot_t *snapshot = ephpm_runner_snapshot();
    const char *query;
    char *line = NULL;

    if (r != NULL) {
        info_row(NULL, "HTTP Request", r->the_request ? r->the_request : "");
        return;
    }
    query = snapshot->texts[EPHPM_ITEM_QUERY];
    spprintf(&line, 0, "%s %s%s%s", snapshot->texts[EPHPM_ITEM_METHOD],
             snapshot->texts[EPHPM_ITEM_URI], query ? "?" : "",
             query ? query : "");
    info_row(NULL, "HTTP Request", line);
    efree(line);
}

static const char *host_name(const request_rec *r)
{
    const char *name = r ? r->server->server_hostname
                         : ephpm_runner_pair(EPHPM_ITEM_VARIABLE,
                                             "SERVER_NAME");

    return name ? name : "";
}

static PHP_MINFO_FUNCTION(apache)
{
    request_rec *r = ephpm_current_request();
    bool has_request = r != NULL || in_runner();

    php_info_print_table_start();
    php_info_print_table_row(2, "Apache Version", ap_get_server_description());
    if (has_request) {
        php_info_print_table_row(2, "Hostname", host_name(r));
        php_info_print_table_row(2, "Server Root", ap_server_root);
    }
    php_info_print_table_end();
    DISPLAY_INI_ENTRIES();
    if (!has_request) {
        return;
    }
    php_info_print_table_start();
    php_info_print_table_header(2, "Apache Environment", "Value");
    info_pairs(r ? r->subprocess_env : NULL, EPHPM_ITEM_VARIABLE);
    php_info_print_table_end();
    php_info_print_table_start();
    php_info_print_table_colspan_header(2, "HTTP Headers Information");
    php_info_print_table_colspan_header(2, "HTTP Request Headers");
    info_first_line(r);
    info_pairs(r ? r->headers_in : NULL, EPHPM_ITEM_HEADER);
    php_info_print_table_colspan_header(2, "HTTP Response Headers");
    info_pairs(r ? r->headers_out : NULL, EPHPM_ITEM_RESPONSE_HEADER);
    php_info_print_table_end();
}

zend_module_entry ephpm_apache_entry = {
    STANDARD_MODULE_HEADER,
    "apache2handler",
    ext_functions,
    PHP_MINIT(apache),
    PHP_MSHUTDOWN(apache),
    NULL,
    NULL,
    PHP_MINFO(apache),
    PHP_VERSION,
    STANDARD_MODULE_PROPERTIES
};
