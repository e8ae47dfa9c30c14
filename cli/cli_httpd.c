/* cli_httpd.c - httpd's configuration, written for one run. */

#define _GNU_SOURCE

#include "cli_serve.h"

#include <stdlib.h>

/* As few modules as serve an application: each LoadModule here is one more
 * thing that an installation may lack. */
static const char *const modules[] = {
    "mpm_prefork", "unixd", "log_config", "authz_core", "dir", "mime",
};

static const char *const types[][2] = {
    {"text/html", ".html"},        {"text/css", ".css"},
    {"text/javascript", ".js"},    {"application/json", ".json"},
    {"image/svg+xml", ".svg"},     {"image/png", ".png"},
    {"image/jpeg", ".jpg .jpeg"},  {"image/gif", ".gif"},
    {"image/webp", ".webp"},       {"image/x-icon", ".ico"},
    {"font/woff2", ".woff2"},      {"text/plain", ".txt"},
    {"application/wasm", ".wasm"}, {"application/pdf", ".pdf"},
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

static char *join(const char *folder, const char *prefix, const char *name,
                  const char *suffix)
{
    char *path;

    if (asprintf(&path, "%s/%s%s%s", folder, prefix, name, suffix) < 0) {
        fputs("ephpm: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return path;
}

/* A module may be compiled into httpd, or not be there as a file. */
static void load_modules(FILE *out, const cli_host_t *host)
{
    size_t i;

    for (i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
        char *file = join(host->httpd_modules, "mod_", modules[i], ".so");

        fprintf(out, "<IfModule !%s_module>\nLoadModule %s_module",
                modules[i], modules[i]);
        quote(out, file);
        fputs("\n</IfModule>\n", out);
        free(file);
    }
    fputs("LoadModule ephpm_module", out);
    quote(out, host->mod_ephpm);
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

int cli_httpd_write(FILE *out, const cli_config_t *config,
                    const cli_host_t *host)
{
    char *pid_file = join(host->runtime_dir, "", "httpd.pid", "");
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
    directive(out, "ErrorLog", host->log);
    fputs("CustomLog", out);
    quote(out, host->log);
    fputs(" \"%h %t \\\"%r\\\" %>s %B\"\n", out);
    directive(out, "DocumentRoot", config->document_root);
    fputs(settings, out);
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        fprintf(out, "AddType %s %s\n", types[i][0], types[i][1]);
    }
    write_fallback(out, config);
    return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}
