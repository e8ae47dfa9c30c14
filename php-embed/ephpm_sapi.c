/* ephpm_sapi.c - the SAPI: PHP's side of ephpm_sapi.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* dl_iterate_phdr, memmem */
#endif

#include "ephpm_sapi_private.h"

#include <php_ini.h>
#include <php_main.h>
#include <php_output.h>
#include <php_variables.h>
#include <rfc1867.h>
#include <SAPI.h>
#include <zend_highlight.h>
#include <zend_signal.h>
#include <ext/standard/basic_functions.h>

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define TEXT(macro) TEXT_OF(macro)
#define TEXT_OF(text) #text

const ephpm_server_t *ephpm_server;

static zend_module_entry *const *host_modules;
static int host_module_count;

static bool active;                 /* between begin and end */
static bool forked;                 /* by the script (pcntl_fork) */
static bool included_script_ended_all;

/* ------------------------------------------------------------------ */
/* What PHP calls                                                      */

/* What a process that the script has forked wrote would come a second time,
 * or in the middle of what the script writes. */
void *ephpm_sapi_client(void)
{
    return forked ? NULL : SG(server_context);
}

static int sapi_start(sapi_module_struct *module)
{
    return php_module_startup(module, NULL);
}

/* PHP sets the protocol to 1.0 when it starts a request, after the host has
 * spoken and before it calls here. */
static int sapi_activate_request(void)
{
    const ephpm_request_t *request = ephpm_sapi_request;

    if (request != NULL) {
        SG(request_info).proto_num = request->protocol;
    }
    return SUCCESS;
}

/* The last that PHP calls here before it gives back the request's memory,
 * which for large pages takes as long as many a script.  Uploaded files that
 * nobody has moved it would remove after this. */
static int sapi_deactivate_request(void)
{
    void *host = ephpm_sapi_client();

    if (host != NULL && active && ephpm_server->complete != NULL) {
        if (SG(rfc1867_uploaded_files) != NULL) {
            destroy_uploaded_files_hash();
            SG(rfc1867_uploaded_files) = NULL;
        }
        ephpm_server->complete(host);
    }
    return SUCCESS;
}

static size_t sapi_write(const char *data, size_t size_bytes)
{
    void *host = ephpm_sapi_client();

    if (host != NULL && !ephpm_server->write(host, data, size_bytes)) {
        php_handle_aborted_connection();
    }
    ephpm_request_resume();
    return size_bytes;
}

static void sapi_flush_request(void *host)
{
    if (ephpm_sapi_client() == NULL) {
        return;
    }
    sapi_send_headers();
    SG(headers_sent) = 1;
    if (!ephpm_server->flush(host)) {
        php_handle_aborted_connection();
    }
    ephpm_request_resume();
}

static zend_stat_t *sapi_stat(void)
{
    void *host = SG(server_context);

    if (host == NULL || ephpm_server->script_stat == NULL
        || !ephpm_server->script_stat(host, &SG(global_stat))) {
        return NULL;
    }
    return &SG(global_stat);
}

static char *sapi_variable(const char *name, size_t name_len)
{
    void *host = SG(server_context);

    (void)name_len;
    return host ? (char *)ephpm_server->getenv(host, name) : NULL;
}

/* "Name: value" is split in place and put together again: a copy for every
 * header is not worth it. */
static int sapi_change_header(sapi_header_struct *header,
                              sapi_header_op_enum op,
                              sapi_headers_struct *headers)
{
    void *host = ephpm_sapi_client();
    char *colon;
    const char *value;

    (void)headers;
    if (host == NULL || ephpm_server->change_header == NULL) {
        return SAPI_HEADER_ADD;
    }
    switch (op) {
    case SAPI_HEADER_DELETE_ALL:
        ephpm_server->change_header(host, EPHPM_HEADER_DELETE_ALL, NULL, NULL);
        return 0;
    case SAPI_HEADER_DELETE:
        ephpm_server->change_header(host, EPHPM_HEADER_DELETE, header->header,
                                    NULL);
        return 0;
    case SAPI_HEADER_ADD:
    case SAPI_HEADER_REPLACE:
        colon = strchr(header->header, ':');
        if (colon == NULL) {
            return 0;
        }
        for (value = colon + 1; *value == ' ' || *value == '\t'; value++) {
        }
        *colon = '\0';
        ephpm_server->change_header(host,
                                    op == SAPI_HEADER_ADD
                                        ? EPHPM_HEADER_ADD
                                        : EPHPM_HEADER_REPLACE,
                                    header->header, value);
        *colon = ':';
        return SAPI_HEADER_ADD;
    default:
        return 0;
    }
}

/* The words after the code in "HTTP/1.1 404 Not here", or NULL.  The line may
 * be shorter than that, and the protocol in it is not the script's affair. */
static const char *reason_of(const char *line, int status)
{
    const char *code;
    char digits[4];

    if (line == NULL || strncmp(line, "HTTP/", 5) != 0) {
        return NULL;
    }
    code = strchr(line, ' ');
    if (code == NULL) {
        return NULL;
    }
    code += strspn(code, " ");
    snprintf(digits, sizeof(digits), "%03d", status % 1000);
    if (strncmp(code, digits, 3) != 0 || code[3] != ' ') {
        return NULL;
    }
    code += 3 + strspn(code + 3, " ");
    return *code ? code : NULL;
}

static int sapi_send_all_headers(sapi_headers_struct *headers)
{
    void *host = ephpm_sapi_client();
    int status = headers->http_response_code;

    if (host == NULL) {
        return SAPI_HEADER_SEND_FAILED;
    }
    ephpm_server->send_headers(host, status,
                               reason_of(headers->http_status_line, status));
    return SAPI_HEADER_SENT_SUCCESSFULLY;
}

static size_t sapi_read_body(char *buffer, size_t size_bytes)
{
    void *host = ephpm_sapi_client();

    return host ? ephpm_server->read_body(host, buffer, size_bytes) : 0;
}

static char *sapi_cookies(void)
{
    const ephpm_request_t *request = ephpm_sapi_request;

    return request ? (char *)request->cookies : NULL;
}

static void register_variable(void *to, const char *name, const char *value)
{
    char *filtered = (char *)value;
    size_t length = strlen(value);

    if (sapi_module.input_filter(PARSE_SERVER, name, &filtered, length,
                                 &length)) {
        php_register_variable_safe(name, filtered, length, to);
    }
}

static void sapi_variables(zval *track_vars_array)
{
    void *host = SG(server_context);

    if (host != NULL) {
        ephpm_server->each_variable(host, register_variable, track_vars_array);
    }
}

static void (*import_environment)(zval *array);

/* The filter extension puts what passes it into the array that it is for, and
 * getenv()'s is none of these. */
static void register_in_env(void *to, const char *name, const char *value)
{
    const zval *env = &PG(http_globals)[TRACK_VARS_ENV];
    zval *array = to;
    char *filtered = (char *)value;
    size_t length = strlen(value);

    if (Z_TYPE_P(env) != IS_ARRAY || Z_ARR_P(env) != Z_ARR_P(array)
        || sapi_module.input_filter(PARSE_ENV, name, &filtered, length,
                                    &length)) {
        php_register_variable_safe(name, filtered, length, array);
    }
}

/* For $_ENV, and for the whole of getenv(). */
static void import_with_variables(zval *array)
{
    void *host = SG(server_context);

    import_environment(array);
    if (host != NULL) {
        ephpm_server->each_variable(host, register_in_env, array);
    }
}

static void sapi_log(const char *message, int priority)
{
    ephpm_server->log(SG(server_context), priority, message);
}

static zend_result sapi_time(double *seconds)
{
    void *host = SG(server_context);

    if (host == NULL) {
        return FAILURE;
    }
    *seconds = ephpm_server->request_time(host);
    return SUCCESS;
}

/* Below php.ini: whatever is written there wins. */
static void sapi_defaults(HashTable *configuration)
{
    static const struct {
        const char *name;
        const char *value;
    } defaults[] = {
        /* By default opcache kills whoever still runs a script three minutes
         * after it wants to restart: downloads, event streams. */
        { "opcache.force_restart_timeout", "0" },
    };

    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        zval value;

        ZVAL_NEW_STR(&value, zend_string_init(defaults[i].value,
                                              strlen(defaults[i].value), 1));
        zend_hash_str_update(configuration, defaults[i].name,
                             strlen(defaults[i].name), &value);
    }
}

static sapi_module_struct sapi = {
    .startup = sapi_start,
    .shutdown = php_module_shutdown_wrapper,
    .activate = sapi_activate_request,
    .deactivate = sapi_deactivate_request,
    .ub_write = sapi_write,
    .flush = sapi_flush_request,
    .get_stat = sapi_stat,
    .getenv = sapi_variable,
    .sapi_error = zend_error,
    .header_handler = sapi_change_header,
    .send_headers = sapi_send_all_headers,
    .read_post = sapi_read_body,
    .read_cookies = sapi_cookies,
    .register_server_variables = sapi_variables,
    .log_message = sapi_log,
    .get_request_time = sapi_time,
    .ini_defaults = sapi_defaults,
    /* No php.ini out of the directory that somebody starts the server in. */
    .php_ini_ignore_cwd = 1,
};

/* ------------------------------------------------------------------ */
/* Which PHP is it?                                                    */

const char ephpm_php_series[] = TEXT(PHP_MAJOR_VERSION) "."
                                TEXT(PHP_MINOR_VERSION);

static const char powered_by[] = "X-Powered-By: PHP/";

typedef struct search {
    char version[32];
} search_t;

/* In the loaded library that php_module_startup() comes from, find the
 * version in the header that PHP announces itself with. */
static int look_into(struct dl_phdr_info *info, size_t size, void *data)
{
    search_t *search = data;
    uintptr_t start_up = (uintptr_t)php_module_startup;
    bool is_php = false;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

        is_php |= info->dlpi_phdr[i].p_type == PT_LOAD && start_up >= start
                  && start_up - start < info->dlpi_phdr[i].p_memsz;
    }
    for (int i = 0; is_php && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        const char *start = (const char *)(info->dlpi_addr + part->p_vaddr);
        const char *found, *end = start + part->p_filesz;
        size_t length = 0;

        if (part->p_type != PT_LOAD || !(part->p_flags & PF_R)) {
            continue;
        }
        found = memmem(start, part->p_filesz, powered_by,
                       sizeof(powered_by) - 1);
        if (found == NULL) {
            continue;
        }
        found += sizeof(powered_by) - 1;
        while (found + length < end && found[length] != '\0'
               && length < sizeof(search->version) - 1) {
            length++;
        }
        memcpy(search->version, found, length);
        search->version[length] = '\0';
        return 1;
    }
    return is_php;
}

const char *ephpm_php_version(void)
{
    static search_t search;
    const char *(*ask)(void);

    /* There since PHP 8.3. */
    *(void **)&ask = dlsym(RTLD_DEFAULT, "php_version");
    if (ask != NULL) {
        return ask();
    }
    dl_iterate_phdr(look_into, &search);
    return search.version[0] ? search.version : NULL;
}

bool ephpm_php_fits(const char *version)
{
    size_t length = strlen(ephpm_php_series);

    return version != NULL && strncmp(version, ephpm_php_series, length) == 0
           && version[length] == '.';
}

/* ------------------------------------------------------------------ */
/* PHP's life                                                          */

static int register_extensions(void)
{
    if (php_register_internal_extensions() != SUCCESS) {
        return FAILURE;
    }
    return php_register_extensions(host_modules, host_module_count);
}

static void note_fork(void)
{
    forked = active;
}

bool ephpm_sapi_startup(const ephpm_server_t *server, const char *ini_path,
                        zend_module_entry *const *modules, int module_count)
{
    static bool fork_noted;
    bool started;

    if (!fork_noted) {
        pthread_atfork(NULL, NULL, note_fork);
        fork_noted = true;
    }
    ephpm_server = server;
    host_modules = modules;
    host_module_count = module_count;
    sapi.name = (char *)server->name;
    sapi.pretty_name = (char *)server->title;
    sapi.php_ini_path_override = (char *)ini_path;
    sapi.additional_functions = ephpm_sapi_functions;

#ifdef ZTS
    php_tsrm_startup();
#endif
    zend_signal_startup();
#ifdef ZEND_SIGNALS
    /* Else every request puts PHP's handlers over the server's. */
    SIGG(reset) = 0;
#endif
    sapi_startup(&sapi);

    ephpm_process_watch();
    php_register_internal_extensions_func = register_extensions;
    started = sapi.startup(&sapi) == SUCCESS;
    php_register_internal_extensions_func = php_register_internal_extensions;
    if (started) {
        if (server->variables_in_env && import_environment == NULL) {
            import_environment = php_import_environment_variables;
            php_import_environment_variables = import_with_variables;
        }
    } else {
        sapi_shutdown();
#ifdef ZTS
        tsrm_shutdown();
#endif
    }
    return started;
}

void ephpm_sapi_shutdown(void)
{
    ephpm_ini_forget();
    sapi.shutdown(&sapi);
    sapi_shutdown();
#ifdef ZTS
    tsrm_shutdown();
#endif
}

/* ------------------------------------------------------------------ */
/* A request's life                                                    */

const ephpm_request_t *ephpm_sapi_request;

bool ephpm_request_begin(const ephpm_request_t *request)
{
    volatile bool ready = false;

    active = true;
    included_script_ended_all = false;
    ephpm_sapi_request = request;

    SG(server_context) = request->host;
    SG(sapi_headers).http_response_code = request->status;
    SG(request_info).request_method = request->method;
    SG(request_info).query_string = (char *)request->query;
    SG(request_info).request_uri = (char *)request->uri;
    SG(request_info).path_translated = (char *)request->script;
    SG(request_info).content_type = request->content_type;
    SG(request_info).content_length = (zend_long)request->content_length;
    SG(request_info).auth_user = NULL;
    SG(request_info).auth_password = NULL;
    SG(request_info).auth_digest = NULL;
    EG(exit_status) = 0;

    zend_first_try {
        if (request->host_name != NULL) {
            ephpm_ini_sections(request);
        }
        for (size_t i = 0; i < request->ini_count; i++) {
            ephpm_ini_apply(&request->ini[i]);
        }
        php_handle_auth_data(request->authorization);
        if (SG(request_info).auth_user == NULL && request->user != NULL) {
            SG(request_info).auth_user = estrdup(request->user);
        }
        ready = php_request_startup() == SUCCESS;
    } zend_end_try();
    return ready;
}

void ephpm_script_run(const char *file)
{
    zend_file_handle handle;

    zend_first_try {
        zend_stream_init_filename(&handle, file);
        handle.primary_script = true;
        ephpm_process_enter(file);
        php_execute_script(&handle);
        zend_destroy_file_handle(&handle);
    } zend_end_try();
    ephpm_process_leave_script();
}

void ephpm_script_show(const char *file)
{
    zend_syntax_highlighter_ini colours;

    zend_try {
        php_get_highlight_struct(&colours);
        highlight_file(file, &colours);
    } zend_end_try();
}

/* A setting as it was before an included script. */
typedef struct saved_ini {
    zend_ini_entry *entry;
    zend_string *value;
    uint8_t modifiable;
} saved_ini_t;

/* What is so already is left alone: some settings warn of each change. */
static size_t change_ini(const ephpm_ini_t *ini, size_t count,
                         saved_ini_t *saved)
{
    size_t changed = 0;

    for (size_t i = 0; i < count; i++) {
        zend_ini_entry *entry = zend_hash_str_find_ptr(EG(ini_directives),
                                                       ini[i].name,
                                                       strlen(ini[i].name));

        if (entry == NULL
            || (entry->value != NULL
                && strcmp(ZSTR_VAL(entry->value), ini[i].value) == 0
                && (!ini[i].admin || entry->modifiable == PHP_INI_SYSTEM))) {
            continue;
        }
        saved[changed].entry = entry;
        saved[changed].value = entry->value ? zend_string_copy(entry->value)
                                            : NULL;
        saved[changed].modifiable = entry->modifiable;
        changed++;
        ephpm_ini_apply(&ini[i]);
    }
    return changed;
}

static void restore_ini(saved_ini_t *saved, size_t changed)
{
    while (changed-- > 0) {
        zend_ini_entry *entry = saved[changed].entry;

        if (saved[changed].value == NULL) {
            zend_restore_ini_entry(entry->name, PHP_INI_STAGE_SHUTDOWN);
        } else {
            zend_alter_ini_entry_ex(entry->name, saved[changed].value,
                                    PHP_INI_SYSTEM, PHP_INI_STAGE_ACTIVATE,
                                    true);
            zend_string_release(saved[changed].value);
        }
        entry->modifiable = saved[changed].modifiable;
    }
}

bool ephpm_script_include(const char *file, const ephpm_ini_t *ini,
                          size_t ini_count)
{
    zend_file_handle handle;
    saved_ini_t *saved = safe_emalloc(ini_count + 1, sizeof(*saved), 0);
    volatile size_t changed = 0;
    bool ended;

    zend_try {
        changed = change_ini(ini, ini_count, saved);
        zend_stream_init_filename(&handle, file);
        zend_execute_scripts(ZEND_INCLUDE, NULL, 1, &handle);
        zend_destroy_file_handle(&handle);
    } zend_end_try();
    /* Some versions of PHP catch the jump in zend_execute_scripts(). */
    ended = CG(unclean_shutdown);
    included_script_ended_all |= ended;
    zend_try {
        restore_ini(saved, changed);
    } zend_end_try();
    efree(saved);
    return !ended;
}

void ephpm_request_resume(void)
{
    if (included_script_ended_all) {
        included_script_ended_all = false;
        zend_bailout();
    }
}

void ephpm_request_discard(void)
{
    SG(request_info).no_headers = 1;
    php_output_set_status(PHP_OUTPUT_DISABLED);
}

void ephpm_response_headers(ephpm_pair_fn pass, void *to)
{
    zend_llist_position position;
    sapi_header_struct *header;

    for (header = zend_llist_get_first_ex(&SG(sapi_headers).headers,
                                          &position);
         header != NULL;
         header = zend_llist_get_next_ex(&SG(sapi_headers).headers,
                                         &position)) {
        char *colon = strchr(header->header, ':');

        if (colon != NULL) {
            *colon = '\0';
            pass(to, header->header, colon + 1 + strspn(colon + 1, " \t"));
            *colon = ':';
        }
    }
}

void ephpm_request_end(void)
{
    php_request_shutdown(NULL);
    if (forked) {
        /* The script's child must not become a second server process. */
        _exit(EG(exit_status));
    }
    ephpm_process_restore();
    SG(server_context) = NULL;
    memset(&SG(request_info), 0, sizeof(SG(request_info)));
    ephpm_sapi_request = NULL;
    active = false;
}

bool ephpm_request_forked(void)
{
    return forked;
}

bool ephpm_request_active(void)
{
    return active;
}

size_t ephpm_request_memory(void)
{
    return zend_memory_peak_usage(true);
}
