/* mod_ephpm.c - PHP in Apache httpd, with a store in shared memory.
 *
 * The life of it all, under prefork:
 *
 *   parent  LoadModule .. directives .. check_config       (`-t` ends here)
 *           post_config: stores opened or kept, PHP started
 *   child     child_init: attached to the stores
 *             handler, handler, ...
 *             exit
 *   parent  restart: PHP stopped, module unloaded; from the beginning.
 *           The stores' memory stays, for it belongs to the process pool.
 *
 * Under a threaded MPM neither parent nor child starts PHP: post_config makes
 * a job table and starts a spawner, see ephpm_runners.c.
 */

#include "mod_ephpm.h"

#include <ap_mpm.h>
#include <mpm_common.h>
#include <apr_signal.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* So that <IfModule mod_php.c> and <IfModule php_module> hold: sites move
 * over by changing one LoadModule line. */
static module stand_in_file = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, NULL, 0
};
static module stand_in_symbol = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, NULL, 0
};

static pid_t started_by;        /* who started PHP; 0: it is stopped */

/* ------------------------------------------------------------------ */

static apr_status_t remove_stand_ins(void *unused)
{
    (void)unused;
    ap_remove_module(&stand_in_file);
    ap_remove_module(&stand_in_symbol);
    return APR_SUCCESS;
}

static void add_stand_ins(apr_pool_t *pconf)
{
    /* From the pass before, if the code stayed in memory. */
    stand_in_file.next = stand_in_symbol.next = NULL;
    stand_in_file.name = "mod_php.c";
    stand_in_symbol.name = "php_module";
    if (ap_add_module(&stand_in_file, pconf, "mod_php.c") == NULL
        && ap_add_module(&stand_in_symbol, pconf, "php_module") == NULL) {
        apr_pool_cleanup_register(pconf, NULL, remove_stand_ins,
                                  apr_pool_cleanup_null);
    }
}

int ephpm_php_log_index(void)
{
    return stand_in_symbol.module_index;
}

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    ephpm_settings_reset(pconf);
    return OK;
}

/* Refusals of the module as a whole; NULL: none. */
static const char *refusal(apr_pool_t *pool)
{
    const char *version = ephpm_php_version();

    for (module *m = ap_top_module; m != NULL; m = m->next) {
        if (m != &stand_in_file && m != &stand_in_symbol && m->name != NULL
            && strncmp(m->name, "mod_php", 7) == 0) {
            return "mod_php is loaded beside mod_ephpm, which takes its "
                   "place: remove one of the two LoadModule lines "
                   "(Debian: a2dismod the php module)";
        }
    }
    if (!ephpm_php_fits(version)) {
        return apr_psprintf(pool,
            "mod_ephpm was built for PHP %s, but the PHP library that was "
            "loaded is %s: install the embed library of PHP %s, or build "
            "mod_ephpm for the other",
            ephpm_php_series, version ? version : "of unknown version",
            ephpm_php_series);
    }
    return NULL;
}

static int check_config(apr_pool_t *pconf, apr_pool_t *plog,
                        apr_pool_t *ptemp, server_rec *server)
{
    const char *why = refusal(ptemp);

    (void)pconf;
    (void)plog;
    if (why != NULL) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server, "%s", why);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return ephpm_settings_check(server) && ephpm_resp_check(server)
        ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

/* A child runs this too when it exits, for httpd ends the pools of the whole
 * process then; PHP is the parent's to stop. */
static apr_status_t stop_php(void *unused)
{
    (void)unused;
    if (getpid() == started_by) {
        started_by = 0;
        ephpm_sapi_shutdown();
        ephpm_main_server = NULL;
    }
    return APR_SUCCESS;
}

/* What is for runners has no meaning where there are none. */
static void tell_unused(server_rec *server)
{
    const apr_array_header_t *said = ephpm_settings.runners.said;

    for (int i = 0; i < said->nelts; i++) {
        const ephpm_said_t *one = &APR_ARRAY_IDX(said, i, ephpm_said_t);

        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, server,
                     "%s: %s does nothing under the %s MPM, whose own "
                     "processes run PHP; it is for event and worker",
                     one->where, one->directive, ap_show_mpm());
    }
}

static int start_php(apr_pool_t *pconf, server_rec *server)
{
    static zend_module_entry *const modules[] = {
        &ephpm_module_entry, &ephpm_apache_entry
    };

    ephpm_ext_set_lookup(ephpm_store_lookup);
    if (!ephpm_sapi_startup(&ephpm_httpd, ephpm_settings.ini_path, modules,
                            sizeof(modules) / sizeof(modules[0]))) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server,
                     "PHP did not start; the lines above say why");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    started_by = getpid();
    ephpm_settings_check_ini();
    apr_pool_cleanup_register(pconf, NULL, stop_php, apr_pool_cleanup_null);
    return OK;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog,
                       apr_pool_t *ptemp, server_rec *server)
{
    int done;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    ephpm_main_server = server;
    done = ephpm_stores_open(ptemp, server);
    if (done == OK) {
        done = ephpm_resp_open(pconf, server);
    }
    if (done == OK && ephpm_threaded()) {
        done = ephpm_runners_make(pconf, server);
    } else if (done == OK) {
        tell_unused(server);
        done = start_php(pconf, server);
    }
    if (done == OK) {
        ap_add_version_component(pconf, "ephpm/" EPHPM_VERSION);
    }
    return done;
}

/* Spawner and helper have what is here by now: the version of the whole
 * server, and no start that fails after it. */
static int post_config_last(apr_pool_t *pconf, apr_pool_t *plog,
                            apr_pool_t *ptemp, server_rec *server)
{
    int done;

    (void)plog;
    (void)ptemp;
    (void)server;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    done = ephpm_resp_start(pconf);
    return done == OK && ephpm_jobs != NULL ? ephpm_runners_start(pconf)
                                            : done;
}

/* Told to stop at once, a child ends its pools inside the signal handler,
 * wherever it was: then nothing may be done that could wait for a lock. */
static bool in_signal_handler(void)
{
    sigset_t blocked;

    return sigprocmask(SIG_BLOCK, NULL, &blocked) != 0
           || sigismember(&blocked, SIGTERM) == 1
           || sigismember(&blocked, SIGHUP) == 1;
}

static apr_status_t child_exit(void *unused)
{
    (void)unused;
    if (!in_signal_handler() && !ephpm_request_active()) {
        /* Under httpd -X the child is the parent as well. */
        started_by = 0;
        ephpm_sapi_shutdown();
        ephpm_stores_detach();
    }
    return APR_SUCCESS;
}

static int monitor(apr_pool_t *p, server_rec *s)
{
    (void)p;
    (void)s;
    ephpm_runners_look();
    ephpm_resp_look();
    return DECLINED;
}

/* The stores stay attached: a thread may still use them, and the kernel tells
 * others that this process has ended. */
static apr_status_t threaded_child_exit(void *unused)
{
    (void)unused;
    ephpm_runners_detach();
    return APR_SUCCESS;
}

static void child_init(apr_pool_t *pchild, server_rec *server)
{
    ephpm_main_server = server;
    ephpm_resp_forget();
    ephpm_stores_attach(pchild, server);
    if (ephpm_jobs != NULL) {
        ephpm_runners_attach(server);
    } else {
        ephpm_sapi_child();
    }
    apr_pool_cleanup_register(pchild, NULL,
                              ephpm_jobs ? threaded_child_exit : child_exit,
                              apr_pool_cleanup_null);
}

static void register_hooks(apr_pool_t *pconf)
{
    add_stand_ins(pconf);
    ephpm_socache_register(pconf);
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config_last, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_monitor(monitor, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(ephpm_runners_child_stopping, NULL, NULL,
                           APR_HOOK_MIDDLE);
    ap_hook_handler(ephpm_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(ephpm_status_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_log_transaction(ephpm_status_sample, NULL, NULL,
                            APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(ephpm) = {
    STANDARD20_MODULE_STUFF,
    ephpm_dir_config_create,
    ephpm_dir_config_merge,
    ephpm_server_config_create,
    ephpm_server_config_merge,
    ephpm_directives,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
