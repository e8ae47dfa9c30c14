/* cli_nginx.c - nginx: its configuration for one run. */

#define _GNU_SOURCE

#include "cli_serve.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where nginx and the module keep bodies: all of nginx's own, or it would make
 * those that are not named where its package has them. */
static const char *const folders[] = {
    "client_body", "proxy", "fastcgi", "uwsgi", "scgi", "ephpm", NULL,
};

/* A body is as large as httpd lets it be; post_max_size is PHP's own limit. */
static const char settings[] =
    "    log_format ephpm '$remote_addr [$time_local] \"$request\" $status"
    " $body_bytes_sent';\n"
    "    access_log " CLI_STDERR " ephpm;\n"
    "    server_tokens off;\n"
    "    sendfile on;\n"
    "    client_max_body_size 1g;\n";

static const char locations[] =
    "        location ~ \"/\\.(?!well-known(/|$))\" { return 403; }\n"
    "        location ~ \\.php(/|$) { ephpm on; }\n";

/* Text within quotes; `dollar` is what a $ becomes. */
static void escape(FILE *out, const char *value, const char *dollar)
{
    for (; *value != '\0'; value++) {
        if (*value == '$') {
            fputs(dollar, out);
            continue;
        }
        if (*value == '"' || *value == '\\') {
            fputc('\\', out);
        }
        fputc(*value, out);
    }
}

/* One argument of a directive. */
static void quote(FILE *out, const char *value)
{
    fputs(" \"", out);
    escape(out, value, "$");
    fputc('"', out);
}

/* One argument in which nginx replaces variables: it knows no other way to
 * write a $ than to have it in a variable. */
static void quote_dollars(FILE *out, const char *value)
{
    fputs(" \"", out);
    escape(out, value, "${ephpm_dollar}");
    fputc('"', out);
}

static void directive(FILE *out, const char *name, const char *value)
{
    fputs(name, out);
    quote(out, value);
    fputs(";\n", out);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return has;
}

static void write_listen(FILE *out, const cli_config_t *config)
{
    if (config->listen_address[0] != '*') {
        fprintf(out, "        listen %s:%u;\n", config->listen_address,
                config->listen_port);
        return;
    }
    fprintf(out, "        listen %u;\n", config->listen_port);
    if (has_ipv6()) {
        fprintf(out, "        listen [::]:%u;\n", config->listen_port);
    }
}

static void write_fallback(FILE *out, const cli_config_t *config)
{
    const cli_fallback_t *fallback = &config->fallback;
    size_t i;

    fputs("        index", out);
    for (i = 0; config->index_files[i] != NULL; i++) {
        quote_dollars(out, config->index_files[i]);
    }
    fputs(";\n        location / {\n            try_files $uri", out);
    if (fallback->directories) {
        fputs(" $uri/", out);
    }
    if (fallback->script != NULL) {
        fputs(" \"", out);
        escape(out, fallback->script, "");
        fputs("$is_args$args\";\n", out);
    } else {
        fputs(" =404;\n", out);
    }
    /* A folder without an index, which httpd falls back from too. */
    if (fallback->directories) {
        fputs("            error_page 403 = @fallback;\n", out);
    }
    fputs("        }\n        location @fallback {\n            ", out);
    if (fallback->script != NULL) {
        fputs("rewrite ^", out);
        quote_dollars(out, fallback->script);
        fputs(" last;\n        }\n", out);
    } else {
        fputs("return 404;\n        }\n", out);
    }
}

static int write_config(FILE *out, const cli_config_t *config,
                        const cli_host_t *host)
{
    char *file = cli_join(host->runtime_dir, cli_nginx.pid_file);
    size_t i;

    fputs("# Written by `ephpm serve` for this one run.\n", out);
    directive(out, "load_module", host->module);
    if (host->user != NULL) {
        fputs("user", out);
        quote(out, host->user);
        quote(out, host->group);
        fputs(";\n", out);
    }
    directive(out, "pid", file);
    free(file);
    fputs("daemon off;\n"
          "error_log " CLI_STDERR " notice;\n"
          "worker_processes auto;\n"
          "events { }\n"
          "http {\n", out);
    fputs(settings, out);
    for (i = 0; folders[i] != NULL; i++) {
        file = cli_join(host->runtime_dir, folders[i]);
        fprintf(out, "    %s_temp_path", folders[i]);
        quote(out, file);
        fputs(";\n", out);
        free(file);
    }
    fputs("    geo $ephpm_dollar { default \"$\"; }\n    types {\n", out);
    for (i = 0; cli_types[i][0] != NULL; i++) {
        fprintf(out, "        %s %s;\n", cli_types[i][0], cli_types[i][1]);
    }
    fprintf(out,
            "    }\n"
            "    ephpm_kv_zone zone=default:%zu eviction=%s;\n"
            "    ephpm_kv default;\n"
            "    server {\n",
            config->kv_memory_bytes, config->kv_eviction_policy);
    write_listen(out, config);
    fputs("        server_name localhost;\n        root", out);
    quote_dollars(out, config->document_root);
    fputs(";\n", out);
    write_fallback(out, config);
    fputs(locations, out);
    fputs("    }\n}\n", out);
    return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}

/* nginx opens its access log by name.  Where stderr has none that can be
 * opened, a pipe is its stderr, and a cat copies from it. */
static void pipe_stderr(void)
{
    int ends[2];
    pid_t child;

    if (pipe(ends) != 0 || (child = fork()) < 0) {
        return;
    }
    if (child == 0) {
        /* It ends with the last process that writes; what stops them is not
         * for it. */
        signal(SIGTERM, SIG_IGN);
        dup2(ends[0], STDIN_FILENO);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/bin/cat", "cat", (char *)NULL);
        _exit(1);
    }
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
}

static void exec_nginx(const cli_host_t *host, const char *config)
{
    char *prefix = cli_join(host->runtime_dir, "");

    if (!host->log_opens) {
        pipe_stderr();
    }
    /* nginx would take it for numbers of sockets that it inherits. */
    unsetenv("NGINX");
    execl(host->program, host->program, "-p", prefix, "-c", config, "-e",
          "stderr", (char *)NULL);
}

const cli_server_t cli_nginx = {
    .option = "nginx",
    .name = "nginx",
    .program = NGINX,
    .programs = {"nginx", NULL},
    .package = "nginx",
    .module = "ngx_http_ephpm_module.so",
    .module_built = NGINX_MODULE_BUILT,
    .module_dir = NGINXMODDIR,
    .config = "nginx.conf",
    .pid_file = "nginx.pid",
    .folders = folders,
    .reload_signal = SIGHUP,
    .write = write_config,
    .exec = exec_nginx,
};
