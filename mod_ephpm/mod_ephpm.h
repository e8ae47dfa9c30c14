/* mod_ephpm.h - what the module's own sources share.
 *
 *   mod_ephpm.c        the module record, hooks, start and stop of PHP
 *   ephpm_config.c     directives, their merging and checking
 *   ephpm_handler.c    requests: handlers, and the server's side of the SAPI
 *   ephpm_store.c      stores: creation, keeping them over a restart
 *   ephpm_socache.c    httpd's own caches in a store
 *   ephpm_functions.c  the functions that scripts have under httpd alone
 *   ephpm_status_httpd.c  the status page
 *
 * Terms: the *parent* reads the configuration, starts PHP and creates the
 * stores; its *children* serve requests.  httpd reads its configuration
 * twice when it starts and once at each restart, and unloads the module
 * before each reading; a *pass* is one reading.
 */

#ifndef MOD_EPHPM_H
#define MOD_EPHPM_H

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include "ephpm_ext.h"
#include "ephpm_history.h"
#include "ephpm_sapi.h"

/* The one symbol that the module exports. */
extern __attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA ephpm_module;

/* ------------------------------------------------------------------ */
/* Configuration (ephpm_config.c)                                      */

/** Of a directory: the four php_ directives, and EphpmUserIni. */
typedef struct ephpm_dir_config {
    apr_array_header_t *ini;    /* ephpm_ini_t, one for each name */
    enum { USER_INI_UNSAID, USER_INI_OFF, USER_INI_ON } user_ini;
} ephpm_dir_config_t;

/** Of a virtual host: EphpmKv. */
typedef struct ephpm_server_config {
    const char *kv_name;        /* NULL: not said */
    const char *kv_where;       /* file and line, for messages */
    bool kv_off;
    int store;                  /* its index, or -1; set by the check */
} ephpm_server_config_t;

/** Of the whole server, anew in each pass. */
typedef struct ephpm_settings {
    const char *ini_path;       /* PHPIniDir, or NULL */
    apr_array_header_t *stores; /* ephpm_store_t */
    apr_array_header_t *ini;    /* ephpm_ini_t: every one, for its check */
} ephpm_settings_t;

extern ephpm_settings_t ephpm_settings;
extern const command_rec ephpm_directives[];

void *ephpm_dir_config_create(apr_pool_t *pool, char *directory);
void *ephpm_dir_config_merge(apr_pool_t *pool, void *base, void *add);
void *ephpm_server_config_create(apr_pool_t *pool, server_rec *server);
void *ephpm_server_config_merge(apr_pool_t *pool, void *base, void *add);

/** Forget the last pass. */
void ephpm_settings_reset(apr_pool_t *pconf);

/** Find what no single directive can: says why and returns false. */
bool ephpm_settings_check(server_rec *server);

/** Name in the log what PHP will not take.  PHP has been started. */
void ephpm_settings_check_ini(void);

/** A PHP setting that this directory has as a flag, or `otherwise`. */
bool ephpm_dir_flag(const ephpm_dir_config_t *config, const char *name,
                    bool otherwise);

/* ------------------------------------------------------------------ */
/* Stores (ephpm_store.c)                                              */

typedef struct ephpm_store {
    const char *name;
    const char *where;          /* file and line, for messages */
    size_t size_bytes;
    kv_config_t config;
    const char *user;           /* a host whose scripts use it, or NULL */
    void *memory;               /* since post_config */
    ephpm_history_t *history;   /* shared, since post_config */
    kv_store_t *handle;         /* in a child */
} ephpm_store_t;

/** EphpmStore. */
const char *ephpm_store_directive(cmd_parms *cmd, void *unused, int argc,
                                  char *const argv[]);

/** @return the index of a store, or -1 */
int ephpm_store_index(const char *name);

/**
 * Take over or create the memory of each store, in the parent.  One that has
 * the same name, size, options and layout as before is kept.
 *
 * @return OK, or an HTTP error: said why in the log
 */
int ephpm_stores_open(apr_pool_t *ptemp, server_rec *server);

/** Attach a child to each store. */
void ephpm_stores_attach(server_rec *server);
void ephpm_stores_detach(void);

/** The name of a host whose scripts use the store with that index, or NULL:
 * the store is httpd's own. */
const char *ephpm_store_user(int index);
void ephpm_store_set_user(int index, const char *host);

/** This child's handle of the store with that index; NULL: not attached. */
kv_store_t *ephpm_store_handle(int index);

/** Offer httpd's modules a place for their caches (ephpm_socache.c). */
void ephpm_socache_register(apr_pool_t *pconf);

/** For the extension: see ephpm_store_lookup_fn. */
kv_store_t *ephpm_store_lookup(const char *name);

/* ------------------------------------------------------------------ */
/* Requests (ephpm_handler.c)                                          */

extern const ephpm_server_t ephpm_httpd;

int ephpm_handler(request_rec *r);

/** The request that the running script talks to, or NULL. */
request_rec *ephpm_current_request(void);

/** Under which of httpd's modules PHP's own log lines go: `php`. */
int ephpm_php_log_index(void);

/** The server, for log lines outside of requests. */
extern server_rec *ephpm_main_server;

/* ------------------------------------------------------------------ */
/* The status page (ephpm_status_httpd.c)                              */

int ephpm_status_handler(request_rec *r);

/** After each request: look at the stores for the page's graphs, once a
 * second. */
int ephpm_status_sample(request_rec *r);

/* ------------------------------------------------------------------ */
/* Functions (ephpm_functions.c)                                       */

/** PHP's view of the module: functions and INI settings. */
extern zend_module_entry ephpm_apache_entry;

#endif
