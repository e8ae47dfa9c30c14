/* cli_httpd.c - httpd: its configuration for one run. */

#define _GNU_SOURCE

#include "cli_serve.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* As few modules as serve an application: each LoadModule here is one more
 * thing that an installation may lack. */
static const char *const modules[] = {
    "mpm_prefork", "unixd", "log_config", "authz_core", "dir", "mime",
};

static const char settings[] =
    "StartServers 4\n"
    "MinSpareServers 4\n"
    "MaxSpareServers 16\n"
    "MaxRequestWorkers 64\n"
    "UseCanonicalName Off\n"
    "ServerTokens Prod\n"
    "TypesConfig \"/dev/null\"\n"
    "\n"
    "<Directory \"/\">\n"
    "    AllowOverride None\n"
    "    Options FollowSymLinks\n"
    "    Require all granted\n"
    "</Directory>\n"
    "<LocationMatch \"/\\.(?!well-known(/|$))\">\n"
    "    Require all denied\n"
    "</LocationMatch>\n"
    "<FilesMatch \"\\.php$\">\n"
    "    SetHandler application/x-httpd-php\n"
    "</FilesMatch>\n";

/* One argument of a directive, in quotes. */
static void quote(FILE *out, const char *value)
{
    fputs(" \"", out);
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\') {
            fputc('\\', out);
        }
        fputc(*value, out);
    }
    fputc('"', out);
}

static void directive(FILE *out, const char *name, const char *value)
{
    fputs(name, out);
    quote(out, value);
    fputc('\n', out);
}

/* A module may be compiled into httpd, or not be there as a file. */
static void load_modules(FILE *out, const cli_host_t *host)
{
    size_t i;

    for (i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
        char *file;

        if (asprintf(&file, "%s/mod_%s.so", cli_httpd.own_modules,
                     modules[i]) < 0) {
            fputs("ephpm: out of memory\n", stderr);
            exit(EXIT_FAILURE);
        }
        fprintf(out, "<IfModule !%s_module>\nLoadModule %s_module",
                modules[i], modules[i]);
        quote(out, file);
        fputs("\n</IfModule>\n", out);
        free(file);
    }
    fputs("LoadModule ephpm_module", out);
    quote(out, host->module);
    fputc('\n', out);
}

static void write_fallback(FILE *out, const cli_config_t *config)
{
    size_t i;

    fputs("DirectoryIndex", out);
    if (config->fallback.directories) {
        for (i = 0; config->index_files[i] != NULL; i++) {
            quote(out, config->index_files[i]);
        }
        fputc('\n', out);
    } else {
        fputs(" disabled\nDirectorySlash Off\n", out);
    }
    if (config->fallback.script != NULL) {
        directive(out, "FallbackResource", config->fallback.script);
    }
}

static void write_redis(FILE *out, const cli_redis_t *redis,
                        const char *password_file)
{
    char *places[2] = {NULL, NULL};
    size_t i;

    if ((redis->listen_address != NULL &&
         asprintf(&places[0], "%s:%u", redis->listen_address,
                  redis->listen_port) < 0) ||
        (redis->socket != NULL &&
         asprintf(&places[1], "unix:%s", redis->socket) < 0)) {
        fputs("ephpm: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    for (i = 0; i < 2; i++) {
        if (places[i] == NULL) {
            continue;
        }
        fputs("EphpmResp", out);
        quote(out, places[i]);
        fputs(" store=default", out);
        if (password_file != NULL) {
            char *option;

            if (asprintf(&option, "password-file=%s", password_file) < 0) {
                fputs("ephpm: out of memory\n", stderr);
                exit(EXIT_FAILURE);
            }
            quote(out, option);
            free(option);
        }
        fputc('\n', out);
        free(places[i]);
    }
}

static int write_config(FILE *out, const cli_config_t *config,
                        const cli_host_t *host)
{
    /* Where stderr has no name that can be opened (a socket, the terminal of
     * another user) a cat copies to its stdout instead, which is stderr. */
    const char *log = host->log_opens ? CLI_STDERR : "|/bin/cat";
    char *pid_file = cli_join(host->runtime_dir, cli_httpd.pid_file);
    size_t i;

    fputs("# Written by `ephpm serve` for this one run.\n", out);
    directive(out, "ServerRoot", host->runtime_dir);
    directive(out, "DefaultRuntimeDir", host->runtime_dir);
    directive(out, "PidFile", pid_file);
    free(pid_file);
    load_modules(out, host);
    if (host->user != NULL) {
        directive(out, "User", host->user);
        directive(out, "Group", host->group);
    }
    if (config->listen_address[0] == '*') {
        fprintf(out, "Listen %u\n", config->listen_port);
    } else {
        fprintf(out, "Listen %s:%u\n", config->listen_address,
                config->listen_port);
    }
    fprintf(out, "ServerName localhost:%u\n", config->listen_port);
    fprintf(out, "EphpmStore default %zu eviction=%s\n",
            config->kv_memory_bytes, config->kv_eviction_policy);
    fputs("EphpmKv default\n", out);
    if (config->redis.enabled) {
        write_redis(out, &config->redis, host->redis_password_file);
    }
    directive(out, "ErrorLog", log);
    fputs("CustomLog", out);
    quote(out, log);
    fputs(" \"%h %t \\\"%r\\\" %>s %B\"\n", out);
    directive(out, "DocumentRoot", config->document_root);
    fputs(settings, out);
    for (i = 0; cli_types[i][0] != NULL; i++) {
        fprintf(out, "AddType %s %s\n", cli_types[i][0], cli_types[i][1]);
    }
    write_fallback(out, config);
    return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}

static void exec_httpd(const cli_host_t *host, const char *config)
{
    if (!host->log_opens) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
    }
    execl(host->program, host->program, "-f", config, "-DFOREGROUND",
          (char *)NULL);
}

static const char *const no_folders[] = {NULL};

const cli_server_t cli_httpd = {
    .option = "apache",
    .name = "httpd",
    .program = HTTPD,
    .programs = {"apache2", "httpd", NULL},
    .package = "apache2",
    .module = "mod_ephpm.so",
    .module_built = "mod_ephpm/.libs/mod_ephpm.so",
    .module_dir = HTTPDMODDIR,
    .own_modules = HTTPD_MODULES_DIR,
    .config = "httpd.conf",
    .pid_file = "httpd.pid",
    .folders = no_folders,
    .reload_signal = SIGUSR1,
    .write = write_config,
    .exec = exec_httpd,
};
