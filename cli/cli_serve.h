/* cli_serve.h - from a checked configuration to a running server.
 *
 *   cli_config_t -> cli_host_t (what is where, user) -> DIR/NAME.conf -> server
 *
 * DIR is a private run-time directory.  The server runs in the foreground as
 * our only child, in a process group of its own; SIGINT, SIGTERM, SIGQUIT and
 * SIGHUP stop it, SIGUSR1 lets it read its configuration anew, and it stops
 * when we are killed.  DIR is removed when it has ended.
 *
 * What differs between httpd and nginx is one cli_server_t each.
 */

#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "cli_config.h"

#include <stdio.h>

typedef struct cli_host cli_host_t;

/** A web server that can be run. */
typedef struct cli_server {
    const char *option;          /* of --server */
    const char *name;            /* in sentences; and "--NAME FILE" */
    const char *program;         /* as configured; "": not */
    const char *programs[3];     /* looked for in $PATH; ends with NULL */
    const char *package;         /* Debian's */
    const char *module;          /* our file */
    const char *module_built;    /* in the build directory */
    const char *module_dir;      /* as installed */
    const char *own_modules;     /* the server's own; NULL: none needed */
    const char *config;          /* name in the run-time directory */
    const char *pid_file;
    const char *const *folders;  /* that it makes there; ends with NULL */
    int reload_signal;
    /** Can [kv.redis_compat] be had?  NULL in its place: always.
     * @return NULL, or what is missing and what to do, of malloc */
    char *(*redis_refusal)(const cli_host_t *host);
    /** Write the configuration.
     * Every value that people gave stands in quotes and escaped; the setters
     * of cli_config.h have refused what no quoting stops.
     * @return 0, or -1 with errno where `out` cannot be written */
    int (*write)(FILE *out, const cli_config_t *config,
                 const cli_host_t *host);
    /** Become it; returns only where that fails. */
    void (*exec)(const cli_host_t *host, const char *config);
} cli_server_t;

extern const cli_server_t cli_httpd;
extern const cli_server_t cli_nginx;

/** What the command line may override; NULL: look for it. */
typedef struct cli_places {
    const cli_server_t *server;
    const char *program;
    const char *module_dir;      /* folder of our module */
} cli_places_t;

/** What cli_serve() found on this machine. */
struct cli_host {
    const cli_server_t *server;
    char *program;               /* path */
    char *module;                /* path, of ours */
    char *runtime_dir;           /* private, absolute */
    char *redis_password_file;   /* in there; NULL: no password */
    const char *user;            /* to run scripts as; NULL: stay as we are */
    const char *group;
    bool log_opens;              /* CLI_STDERR can be opened */
};

/** stderr, by a name that servers can open their logs by. */
#define CLI_STDERR "/proc/self/fd/2"

/** Types of files: { "text/html", "html" }; ends with NULL. */
extern const char *const cli_types[][2];

/** "FOLDER/NAME", of malloc.  Ends the program without memory. */
char *cli_join(const char *folder, const char *name);

/** Run the server until it ends; makes config->document_root a real path.
 * Returns its exit code, or one of <sysexits.h> after one sentence on
 * stderr. */
int cli_serve(cli_config_t *config, const cli_places_t *places);

#endif
