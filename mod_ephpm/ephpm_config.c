/* ephpm_config.c - directives, their merging and checking. */

#include "mod_ephpm.h"

#include <apr_file_info.h>

#include <limits.h>
#include <string.h>
#include <unistd.h>

APLOG_USE_MODULE(ephpm);

ephpm_settings_t ephpm_settings;

/* ------------------------------------------------------------------ */
/* php_value and its siblings                                          */

void *ephpm_dir_config_create(apr_pool_t *pool, char *directory)
{
    ephpm_dir_config_t *config = apr_pcalloc(pool, sizeof(*config));

    (void)directory;
    config->ini = apr_array_make(pool, 0, sizeof(ephpm_ini_t));
    config->temp_file_bytes = -1;
    return config;
}

static ephpm_ini_t *find_ini(const apr_array_header_t *ini, const char *name)
{
    ephpm_ini_t *list = (ephpm_ini_t *)ini->elts;

    for (int i = 0; i < ini->nelts; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

static bool says_nothing(const ephpm_dir_config_t *config)
{
    return config->ini->nelts == 0 && config->user_ini == USER_INI_UNSAID
           && config->buffering == BUFFERING_UNSAID
           && config->temp_file_bytes < 0;
}

/* The nearer directory wins, but never over the administrator. */
void *ephpm_dir_config_merge(apr_pool_t *pool, void *base, void *add)
{
    const ephpm_dir_config_t *outer = base, *inner = add;
    const ephpm_ini_t *list = (const ephpm_ini_t *)inner->ini->elts;
    ephpm_dir_config_t *merged;

    if (says_nothing(inner)) {
        return base;
    }
    if (says_nothing(outer)) {
        return add;
    }
    merged = apr_palloc(pool, sizeof(*merged));
    merged->user_ini = inner->user_ini != USER_INI_UNSAID ? inner->user_ini
                                                          : outer->user_ini;
    merged->buffering = inner->buffering != BUFFERING_UNSAID
        ? inner->buffering : outer->buffering;
    merged->temp_file_bytes = inner->temp_file_bytes >= 0
        ? inner->temp_file_bytes : outer->temp_file_bytes;
    merged->ini = apr_array_copy(pool, outer->ini);
    for (int i = 0; i < inner->ini->nelts; i++) {
        ephpm_ini_t *known = find_ini(merged->ini, list[i].name);

        if (known == NULL) {
            APR_ARRAY_PUSH(merged->ini, ephpm_ini_t) = list[i];
        } else if (list[i].admin || !known->admin) {
            *known = list[i];
        }
    }
    return merged;
}

static bool in_htaccess(const cmd_parms *cmd)
{
    return (cmd->override & (RSRC_CONF | ACCESS_CONF)) == 0;
}

static void set_ini(cmd_parms *cmd, void *config, const char *name,
                    const char *value, bool admin)
{
    ephpm_dir_config_t *dir = config;
    ephpm_ini_t *entry = find_ini(dir->ini, name);

    if (entry == NULL) {
        entry = apr_array_push(dir->ini);
    } else if (entry->admin && !admin) {
        return;
    }
    entry->name = name;
    entry->value = value;
    entry->admin = admin;
    entry->htaccess = in_htaccess(cmd);
    entry->file = cmd->directive->filename;
    entry->line = cmd->directive->line_num;
    if (!entry->htaccess) {
        APR_ARRAY_PUSH(ephpm_settings.ini, ephpm_ini_t) = *entry;
    }
}

static const char *php_value(cmd_parms *cmd, void *config, const char *name,
                             const char *value)
{
    /* `none` is how an empty value is written. */
    set_ini(cmd, config, name, strcasecmp(value, "none") ? value : "",
            cmd->info != NULL);
    return NULL;
}

static const char *php_flag(cmd_parms *cmd, void *config, const char *name,
                            const char *value)
{
    bool on = strcasecmp(value, "On") == 0 || strcmp(value, "1") == 0;

    if (!on && strcasecmp(value, "Off") != 0 && strcmp(value, "0") != 0) {
        /* mod_php takes any other word for Off, `true` as well.  Nobody
         * means that; but a site's .htaccess is not the administrator's to
         * mend, and must go on working. */
        if (!in_htaccess(cmd)) {
            return apr_psprintf(cmd->pool,
                "%s %s: '%s' is neither On nor Off (nor 1 nor 0)",
                cmd->cmd->name, name, value);
        }
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, cmd->server,
                     "%s:%d: %s %s: '%s' is neither On nor Off, and taken "
                     "for Off", cmd->directive->filename,
                     cmd->directive->line_num, cmd->cmd->name, name, value);
    }
    set_ini(cmd, config, name, on ? "1" : "0", cmd->info != NULL);
    return NULL;
}

static const char *user_ini(cmd_parms *cmd, void *config, int on)
{
    ephpm_dir_config_t *dir = config;

    (void)cmd;
    dir->user_ini = on ? USER_INI_ON : USER_INI_OFF;
    return NULL;
}

bool ephpm_dir_flag(const ephpm_dir_config_t *config, const char *name,
                    bool otherwise)
{
    const ephpm_ini_t *entry = find_ini(config->ini, name);

    if (entry == NULL) {
        return otherwise;
    }
    return strcasecmp(entry->value, "on") == 0
           || strcasecmp(entry->value, "yes") == 0
           || strcasecmp(entry->value, "true") == 0
           || atoi(entry->value) != 0;
}

/* ------------------------------------------------------------------ */
/* EphpmKv and PHPIniDir                                               */

void *ephpm_server_config_create(apr_pool_t *pool, server_rec *server)
{
    ephpm_server_config_t *config = apr_pcalloc(pool, sizeof(*config));

    (void)server;
    config->store = -1;
    return config;
}

void *ephpm_server_config_merge(apr_pool_t *pool, void *base, void *add)
{
    const ephpm_server_config_t *inner = add;

    return apr_pmemdup(pool, inner->kv_name ? add : base,
                       sizeof(ephpm_server_config_t));
}

static const char *where_of(cmd_parms *cmd)
{
    return apr_psprintf(cmd->pool, "%s:%d", cmd->directive->filename,
                        cmd->directive->line_num);
}

static const char *ephpm_kv(cmd_parms *cmd, void *unused, const char *name)
{
    ephpm_server_config_t *config =
        ap_get_module_config(cmd->server->module_config, &ephpm_module);

    (void)unused;
    if (config->kv_name != NULL) {
        return apr_psprintf(cmd->pool,
            "EphpmKv is here already (%s): a host has one store",
            config->kv_where);
    }
    config->kv_name = name;
    config->kv_where = where_of(cmd);
    config->kv_off = strcasecmp(name, "Off") == 0;
    return NULL;
}

static const char *php_ini_dir(cmd_parms *cmd, void *unused, const char *path)
{
    const char *where = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_finfo_t info;

    (void)unused;
    if (where != NULL) {
        return where;
    }
    if (ephpm_settings.ini_path != NULL) {
        return apr_psprintf(cmd->pool,
            "PHPIniDir is here already, with %s: PHP reads one php.ini for "
            "the whole server", ephpm_settings.ini_path);
    }
    path = ap_server_root_relative(cmd->pool, path);
    if (path == NULL
        || apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool)
               != APR_SUCCESS) {
        return apr_psprintf(cmd->pool,
            "PHPIniDir %s: there is no such directory; name the one that "
            "php.ini is in", path ? path : "");
    }
    ephpm_settings.ini_path = path;
    return NULL;
}

/* ------------------------------------------------------------------ */
/* Runners                                                             */

/* Under prefork these do nothing, and it is said once of each. */
static void note_use(cmd_parms *cmd)
{
    apr_array_header_t *said = ephpm_settings.runners.said;

    for (int i = 0; i < said->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(said, i, ephpm_said_t).directive,
                   cmd->cmd->name) == 0) {
            return;
        }
    }
    APR_ARRAY_PUSH(said, ephpm_said_t) =
        (ephpm_said_t){ cmd->cmd->name, where_of(cmd) };
}

/* @return what is wrong, or NULL */
static const char *take_number(cmd_parms *cmd, const char *text,
                               unsigned min, unsigned max, unsigned *number)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_int64_t value;
    char *end;

    if (wrong != NULL) {
        return wrong;
    }
    value = apr_strtoi64(text, &end, 10);
    if (end == text || *end != '\0' || value < min || value > max) {
        return apr_psprintf(cmd->pool,
            "%s: '%s' is not a number from %u to %u", cmd->cmd->name, text,
            min, max);
    }
    *number = (unsigned)value;
    note_use(cmd);
    return NULL;
}

/* A day is long enough for any of them. */
#define TIME_MAX_MS (24u * 3600u * 1000u)

static const char *take_time(cmd_parms *cmd, const char *text,
                             unsigned min_ms, unsigned *time_ms)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_interval_time_t time;

    if (wrong != NULL) {
        return wrong;
    }
    if (ap_timeout_parameter_parse(text, &time, "s") != APR_SUCCESS
        || time < (apr_interval_time_t)min_ms * 1000
        || time > (apr_interval_time_t)TIME_MAX_MS * 1000) {
        return apr_psprintf(cmd->pool,
            "%s: '%s' is not a time: write seconds, or a number with ms, s, "
            "min or h, as 500ms; %sa day at most", cmd->cmd->name, text,
            min_ms > 0 ? "more than 0, " : "");
    }
    *time_ms = (unsigned)((time + 999) / 1000);
    note_use(cmd);
    return NULL;
}

static const char *processes(cmd_parms *cmd, void *unused, const char *text)
{
    (void)unused;
    return take_number(cmd, text, 1, EPHPM_RUNNERS_MAX,
                       &ephpm_settings.runners.processes);
}

static const char *queue(cmd_parms *cmd, void *unused, const char *text)
{
    unsigned number = 0;
    const char *wrong = take_number(cmd, text, 0, EPHPM_QUEUE_MAX, &number);

    (void)unused;
    if (wrong == NULL) {
        ephpm_settings.runners.queue = (int)number;
    }
    return wrong;
}

static const char *queue_timeout(cmd_parms *cmd, void *unused,
                                 const char *text)
{
    (void)unused;
    return take_time(cmd, text, 1, &ephpm_settings.runners.queue_ms);
}

static const char *terminate_timeout(cmd_parms *cmd, void *unused,
                                     const char *text)
{
    (void)unused;
    return take_time(cmd, text, 0, &ephpm_settings.runners.terminate_ms);
}

static const char *slow_log(cmd_parms *cmd, void *unused, const char *path,
                            const char *time)
{
    const char *wrong = take_time(cmd, time, 1,
                                  &ephpm_settings.runners.slowlog_ms);
    const char *folder;
    apr_finfo_t info;

    (void)unused;
    if (wrong != NULL) {
        return wrong;
    }
    path = ap_server_root_relative(cmd->pool, path);
    folder = path ? ap_make_dirstr_parent(cmd->pool, path) : NULL;
    if (folder == NULL
        || apr_stat(&info, folder, APR_FINFO_TYPE, cmd->temp_pool)
               != APR_SUCCESS) {
        return apr_psprintf(cmd->pool,
            "EphpmSlowLog %s: there is no directory for it; make one in which "
            "the server's User may write", path ? path : "");
    }
    ephpm_settings.runners.slowlog = path;
    return NULL;
}

static const char *max_requests(cmd_parms *cmd, void *unused,
                                const char *text)
{
    (void)unused;
    return take_number(cmd, text, 0, INT_MAX,
                       &ephpm_settings.runners.max_requests);
}

static const char *temp_path(cmd_parms *cmd, void *unused, const char *path)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_finfo_t info;

    (void)unused;
    if (wrong != NULL) {
        return wrong;
    }
    path = ap_server_root_relative(cmd->pool, path);
    if (path == NULL
        || apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool)
               != APR_SUCCESS
        || info.filetype != APR_DIR) {
        return apr_psprintf(cmd->pool,
            "EphpmTempPath %s: there is no such directory; make one that the "
            "server's User may write in", path ? path : "");
    }
    ephpm_settings.runners.temp_path = path;
    note_use(cmd);
    return NULL;
}

static const char *buffering(cmd_parms *cmd, void *config, int on)
{
    ephpm_dir_config_t *dir = config;

    dir->buffering = on ? BUFFERING_ON : BUFFERING_OFF;
    note_use(cmd);
    return NULL;
}

static const char *max_temp_file_size(cmd_parms *cmd, void *config,
                                      const char *text)
{
    ephpm_dir_config_t *dir = config;
    size_t bytes;

    if (kv_size_parse(text, &bytes) != KV_OK
        || bytes > (size_t)1 << 62) {
        return apr_psprintf(cmd->pool,
            "EphpmMaxTempFileSize: '%s' is not a size: write a number with "
            "K, M or G, as 256M, or 0 for no file", text);
    }
    dir->temp_file_bytes = (apr_off_t)bytes;
    note_use(cmd);
    return NULL;
}

/* ------------------------------------------------------------------ */
/* The whole                                                           */

void ephpm_settings_reset(apr_pool_t *pconf)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    ephpm_settings.ini_path = NULL;
    ephpm_settings.stores = apr_array_make(pconf, 2, sizeof(ephpm_store_t));
    ephpm_settings.ini = apr_array_make(pconf, 8, sizeof(ephpm_ini_t));
    ephpm_settings.resp = ephpm_resp_lines(pconf);
    ephpm_settings.runners = (ephpm_runner_settings_t){
        .processes = cores > 2 && cores < (long)EPHPM_RUNNERS_MAX / 2
            ? 2 * (unsigned)cores : 4,
        .queue = -1,
        .queue_ms = 30000,
        .said = apr_array_make(pconf, 4, sizeof(ephpm_said_t)),
    };
}

void ephpm_settings_check_ini(void)
{
    for (int i = 0; i < ephpm_settings.ini->nelts; i++) {
        ephpm_ini_check(&APR_ARRAY_IDX(ephpm_settings.ini, i, ephpm_ini_t));
    }
}

/* The store of each host.  One that is called "default" belongs to every
 * host that says nothing. */
bool ephpm_settings_check(server_rec *server)
{
    for (server_rec *host = server; host != NULL; host = host->next) {
        ephpm_server_config_t *config =
            ap_get_module_config(host->module_config, &ephpm_module);

        config->store = -1;
        if (config->kv_off) {
            continue;
        }
        config->store = ephpm_store_index(config->kv_name ? config->kv_name
                                                         : "default");
        if (config->store < 0 && config->kv_name != NULL) {
            ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server,
                "%s: EphpmKv names the store '%s', which no EphpmStore makes: "
                "add 'EphpmStore %s 256M' outside of <VirtualHost>, or "
                "correct the name", config->kv_where, config->kv_name,
                config->kv_name);
            return false;
        }
        if (config->store >= 0) {
            ephpm_store_set_user(config->store, host->server_hostname
                                     ? host->server_hostname : "a host");
        }
    }
    return true;
}

#define FOR_ADMIN ((void *)"admin")

const command_rec ephpm_directives[] = {
    AP_INIT_TAKE_ARGV("EphpmStore", ephpm_store_directive, NULL, RSRC_CONF,
        "a store: its name, its size, and options as eviction=allkeys-lru"),
    AP_INIT_TAKE_ARGV("EphpmResp", ephpm_resp_directive, NULL, RSRC_CONF,
        "an address for Redis's protocol, and options as store=default"),
    AP_INIT_TAKE1("EphpmKv", ephpm_kv, NULL, RSRC_CONF,
        "the name of this host's store, or Off"),
    AP_INIT_FLAG("EphpmUserIni", user_ini, NULL, ACCESS_CONF | RSRC_CONF,
        "On: read .user.ini files, and the PATH and HOST sections of php.ini"),
    AP_INIT_TAKE1("EphpmProcesses", processes, NULL, RSRC_CONF,
        "how many scripts run at a time"),
    AP_INIT_TAKE1("EphpmQueue", queue, NULL, RSRC_CONF,
        "how many requests may wait for a process"),
    AP_INIT_TAKE1("EphpmQueueTimeout", queue_timeout, NULL, RSRC_CONF,
        "how long a request may wait for a process"),
    AP_INIT_TAKE1("EphpmRequestTerminateTimeout", terminate_timeout, NULL,
        RSRC_CONF, "how long a script may run; 0: no limit"),
    AP_INIT_TAKE2("EphpmSlowLog", slow_log, NULL, RSRC_CONF,
        "a file, and how long a script runs until its trace is written there"),
    AP_INIT_TAKE1("EphpmMaxRequests", max_requests, NULL, RSRC_CONF,
        "after how many requests a process is replaced; 0: never"),
    AP_INIT_TAKE1("EphpmTempPath", temp_path, NULL, RSRC_CONF,
        "the directory of large bodies and responses on their way"),
    AP_INIT_FLAG("EphpmBuffering", buffering, NULL, ACCESS_CONF | RSRC_CONF,
        "Off: pass output on at once, and let the script wait for the client"),
    AP_INIT_TAKE1("EphpmMaxTempFileSize", max_temp_file_size, NULL,
        ACCESS_CONF | RSRC_CONF,
        "how much of a response may wait in a file for its client"),
    AP_INIT_TAKE1("PHPIniDir", php_ini_dir, NULL, RSRC_CONF,
        "the directory that php.ini is in"),
    AP_INIT_TAKE2("php_value", php_value, NULL, OR_OPTIONS,
        "a PHP setting and its value"),
    AP_INIT_TAKE2("php_flag", php_flag, NULL, OR_OPTIONS,
        "a PHP setting, and On or Off"),
    AP_INIT_TAKE2("php_admin_value", php_value, FOR_ADMIN,
        ACCESS_CONF | RSRC_CONF,
        "a PHP setting and its value, which scripts cannot change"),
    AP_INIT_TAKE2("php_admin_flag", php_flag, FOR_ADMIN,
        ACCESS_CONF | RSRC_CONF,
        "a PHP setting, and On or Off, which scripts cannot change"),
    { NULL, { NULL }, NULL, 0, RAW_ARGS, NULL }
};
