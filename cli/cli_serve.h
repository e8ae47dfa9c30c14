/* cli_serve.h - from a checked configuration to a running httpd.
 *
 *   cli_config_t -> places (httpd, modules, user) -> DIR/httpd.conf -> httpd
 *
 * DIR is a private run-time directory.  httpd runs in the foreground as our
 * only child, in a process group of its own; SIGINT, SIGTERM, SIGQUIT and
 * SIGHUP stop it, SIGUSR1 restarts it gracefully, and it stops when we are
 * killed.  DIR is removed when it has ended.
 */

#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "cli_config.h"

#include <stdio.h>

/** What the command line may override; NULL: look for it. */
typedef struct cli_places {
    const char *httpd;           /* program */
    const char *module_dir;      /* folder of mod_ephpm.so */
} cli_places_t;

/** What cli_serve() found on this machine. */
typedef struct cli_host {
    char *httpd;                 /* path */
    char *httpd_modules;         /* folder of httpd's own modules */
    char *mod_ephpm;             /* path */
    char *runtime_dir;           /* private, absolute */
    const char *user;            /* to run scripts as; NULL: stay as we are */
    const char *group;
    const char *log;             /* a file, or "|PROGRAM" */
} cli_host_t;

/**
 * Write httpd's configuration.
 *
 * Every value that people gave stands in quotes and escaped; the setters of
 * cli_config.h have refused what no quoting stops.
 *
 * @return 0, or -1 with errno where `out` cannot be written
 */
int cli_httpd_write(FILE *out, const cli_config_t *config,
                    const cli_host_t *host);

/** Run httpd until it ends; makes config->document_root a real path.  Returns
 * httpd's exit code, or one of <sysexits.h> after one sentence on stderr. */
int cli_serve(cli_config_t *config, const cli_places_t *places);

#endif
