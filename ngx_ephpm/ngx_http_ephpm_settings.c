
/*
 * ngx_http_ephpm_settings.c - php_value and its siblings.
 *
 * The settings of a location are merged when the configuration is read, and
 * each list that came of it has a number: runners are forked from a process
 * that has read the same configuration, so a job takes along the number
 * alone.
 */


#include "ngx_http_ephpm_module.h"


static ngx_http_ephpm_ini_t *
ngx_http_ephpm_ini_find(ngx_array_t *list, ngx_str_t *name)
{
    ngx_uint_t             i;
    ngx_http_ephpm_ini_t  *ini;

    ini = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (ini[i].name.len == name->len
            && ngx_memcmp(ini[i].name.data, name->data, name->len) == 0)
        {
            return &ini[i];
        }
    }

    return NULL;
}


/* The inner one wins, but never over the administrator. */

static ngx_int_t
ngx_http_ephpm_ini_put(ngx_array_t *list, ngx_http_ephpm_ini_t *ini)
{
    ngx_http_ephpm_ini_t  *known;

    known = ngx_http_ephpm_ini_find(list, &ini->name);

    if (known == NULL) {
        known = ngx_array_push(list);
        if (known == NULL) {
            return NGX_ERROR;
        }

    } else if (known->admin && !ini->admin) {
        return NGX_OK;
    }

    *known = *ini;

    return NGX_OK;
}


static char *
ngx_http_ephpm_flag(ngx_str_t *value)
{
    static char  *on[] = { "on", "1", "yes", "true", NULL };
    static char  *off[] = { "off", "0", "no", "false", NULL };

    char  **word;

    for (word = on; *word; word++) {
        if (ngx_strcasecmp(value->data, (u_char *) *word) == 0) {
            return "1";
        }
    }

    for (word = off; *word; word++) {
        if (ngx_strcasecmp(value->data, (u_char *) *word) == 0) {
            return "0";
        }
    }

    return NULL;
}


char *
ngx_http_ephpm_ini(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ephpm_loc_conf_t *elcf = conf;

    char                        *flag;
    ngx_str_t                   *value;
    ngx_http_ephpm_ini_t         ini, *every;
    ngx_http_ephpm_main_conf_t  *mcf;

    value = cf->args->elts;

    ngx_memzero(&ini, sizeof(ngx_http_ephpm_ini_t));

    ini.name = value[1];
    ini.value = value[2];
    ini.file = cf->conf_file->file.name.data;
    ini.line = cf->conf_file->line;
    ini.admin = (ngx_strncmp(cmd->name.data, "php_admin_", 10) == 0);

    if (ini.name.len == 0) {
        return "takes the name of a PHP setting first";
    }

    if (ngx_strcmp(cmd->name.data + cmd->name.len - 5, "_flag") == 0) {
        flag = ngx_http_ephpm_flag(&ini.value);

        if (flag == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V %V\": \"%V\" is neither on nor off",
                               &cmd->name, &ini.name, &ini.value);
            return NGX_CONF_ERROR;
        }

        ini.value.data = (u_char *) flag;
        ini.value.len = 1;

    } else if (ngx_strcasecmp(ini.value.data, (u_char *) "none") == 0) {
        /* mod_php's way of writing an empty value */
        ngx_str_set(&ini.value, "");
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ephpm_module);

    every = ngx_array_push(&mcf->ini);
    if (every == NULL) {
        return NGX_CONF_ERROR;
    }

    *every = ini;

    if (elcf->ini == NULL) {
        elcf->ini = ngx_array_create(cf->pool, 4,
                                     sizeof(ngx_http_ephpm_ini_t));
        if (elcf->ini == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_ephpm_ini_put(elcf->ini, &ini) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_ephpm_settings_add(ngx_http_ephpm_main_conf_t *mcf,
    ngx_http_ephpm_loc_conf_t *conf)
{
    ngx_array_t  **list;

    if (conf->ini == NULL || conf->settings) {
        return NGX_OK;
    }

    list = ngx_array_push(&mcf->settings);
    if (list == NULL) {
        return NGX_ERROR;
    }

    *list = conf->ini;
    conf->settings = mcf->settings.nelts;

    return NGX_OK;
}


ngx_int_t
ngx_http_ephpm_merge_ini(ngx_conf_t *cf, ngx_http_ephpm_loc_conf_t *prev,
    ngx_http_ephpm_loc_conf_t *conf)
{
    ngx_uint_t                   i;
    ngx_array_t                 *merged;
    ngx_http_ephpm_ini_t        *ini;
    ngx_http_ephpm_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ephpm_module);

    /* that of http is merged with nothing */
    if (ngx_http_ephpm_settings_add(mcf, prev) != NGX_OK) {
        return NGX_ERROR;
    }

    if (conf->ini == NULL) {
        conf->ini = prev->ini;
        conf->settings = prev->settings;
        return NGX_OK;
    }

    if (prev->ini) {
        merged = ngx_array_create(cf->pool,
                                  prev->ini->nelts + conf->ini->nelts,
                                  sizeof(ngx_http_ephpm_ini_t));
        if (merged == NULL) {
            return NGX_ERROR;
        }

        ini = prev->ini->elts;
        for (i = 0; i < prev->ini->nelts; i++) {
            if (ngx_http_ephpm_ini_put(merged, &ini[i]) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        ini = conf->ini->elts;
        for (i = 0; i < conf->ini->nelts; i++) {
            if (ngx_http_ephpm_ini_put(merged, &ini[i]) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        conf->ini = merged;
    }

    return ngx_http_ephpm_settings_add(mcf, conf);
}
