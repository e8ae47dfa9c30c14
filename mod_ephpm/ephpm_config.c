/* ephpm_config.c - directives, their merging and checking. */

#include "mod_ephpm.h"

#include <apr_file_info.h>

#include <string.h>

APLOG_USE_MODULE(ephpm);

ephpm_settings_t ephpm_settings;

/* ------------------------------------------------------------------ */
/* php_value and its siblings                                          */

void *ephpm_dir_config_create(apr_pool_t *pool, char *directory)
{
    ephpm_dir_config_t *config = apr_pcalloc(pool, sizeof(*config));

    (void)directory;
    config->ini = apr_array_make(pool, 0, sizeof(ephpm_ini_t));
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

/* The nearer directory wins, but never over the administrator. */
void *ephpm_dir_config_merge(apr_pool_t *pool, void *base, void *add)
{
    const ephpm_dir_config_t *outer = base, *inner = add;
    const ephpm_ini_t *list = (const ephpm_ini_t *)inner->ini->elts;
    ephpm_dir_config_t *merged;

    if (inner->ini->nelts == 0 && inner->user_ini == USER_INI_UNSAID) {
        return base;
    }
    if (outer->ini->nelts == 0 && outer->user_ini == USER_INI_UNSAID) {
        return add;
    }
    merged = apr_palloc(pool, sizeof(*merged));
    merged->user_ini = inner->user_ini != USER_INI_UNSAID ? inner->user_ini
                                                          : outer->user_ini;
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
/* The whole                                                           */

void ephpm_settings_reset(apr_pool_t *pconf)
{
    ephpm_settings.ini_path = NULL;
    ephpm_settings.stores = apr_array_make(pconf, 2, sizeof(ephpm_store_t));
    ephpm_settings.ini = apr_array_make(pconf, 8, sizeof(ephpm_ini_t));
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
    AP_INIT_TAKE1("EphpmKv", ephpm_kv, NULL, RSRC_CONF,
        "the name of this host's store, or Off"),
    AP_INIT_FLAG("EphpmUserIni", user_ini, NULL, ACCESS_CONF | RSRC_CONF,
        "On: read .user.ini files, and the PATH and HOST sections of php.ini"),
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
