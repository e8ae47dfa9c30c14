/* cli_nginx.c - nginx: its configuration for one run. */

#define _GNU_SOURCE

#include "cli_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAM_MODULE "ngx_stream_ephpm_module.so"

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

/* What nginx says that it was built with; "" if it says nothing. */
static char *built_with(const char *program)
{
    size_t room = 65536;
    char *text = calloc(1, room);
    size_t length = 0;
    ssize_t got;
    int ends[2];
    pid_t child;

    if (text == NULL || pipe2(ends, O_CLOEXEC) != 0) {
        return text;
    }
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execl(program, program, "-V", (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    while (child > 0 && length < room - 1 &&
           ((got = read(ends[0], text + length, room - 1 - length)) > 0 ||
            (got < 0 && errno == EINTR))) {
        length += got > 0 ? (size_t)got : 0;
    }
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    text[length] = '\0';
    return text;
}

/* An option of nginx's configure: what follows it up to the next, of malloc;
 * NULL: it is not there. */
static char *find_option(const char *text, const char *option)
{
    size_t length = strlen(option);
    const char *at = text;

    while ((at = strstr(at, option)) != NULL) {
        const char *end = at + length;

        if (at > text && strchr(" \n'", at[-1]) != NULL &&
            (*end == '\0' || strchr(" =\n'", *end) != NULL)) {
            end += *end == '=';
            return strndup(end, strcspn(end, " \n'"));
        }
        at = end;
    }
    return NULL;
}

/* What is to be loaded for stream { }: NULL in *stream where nginx itself has
 * it. */
static char *find_stream(const cli_host_t *host, char **stream)
{
    char *text = built_with(host->program);
    char *option = text == NULL ? NULL : find_option(text, "--with-stream");
    char *folder = text == NULL ? NULL : find_option(text, "--modules-path");
    char *missing = NULL;

    *stream = NULL;
    if (option == NULL || *option != '\0') {
        *stream = cli_join(folder != NULL ? folder : host->runtime_dir,
                           "ngx_stream_module.so");
        if (access(*stream, R_OK) != 0) {
            missing = strdup("nginx's stream module: apt-get install "
                             "libnginx-mod-stream");
        }
    }
    free(text);
    free(option);
    free(folder);
    return missing;
}

/* Our module for it is where the other is. */
static char *own_stream(const cli_host_t *host)
{
    char *folder = strdup(host->module);
    char *file;

    if (folder != NULL) {
        *strrchr(folder, '/') = '\0';
    }
    file = cli_join(folder != NULL ? folder : "", STREAM_MODULE);
    free(folder);
    return file;
}

static char *redis_refusal(const cli_host_t *host)
{
    char *stream;
    char *why = find_stream(host, &stream);
    char *own = own_stream(host);

    if (why == NULL && access(own, R_OK) != 0 &&
        asprintf(&why, "%s, which is not there: install it (make install)",
                 own) < 0) {
        why = NULL;
    }
    free(stream);
    free(own);
    return why;
}

static void write_stream_modules(FILE *out, const cli_host_t *host)
{
    char *own = own_stream(host);
    char *stream;

    free(find_stream(host, &stream));
    if (stream != NULL) {
        directive(out, "load_module", stream);
    }
    directive(out, "load_module", own);
    free(stream);
    free(own);
}

static void write_redis(FILE *out, const cli_redis_t *redis,
                        const char *password_file)
{
    fputs("stream {\n    server {\n", out);
    if (redis->listen_address != NULL) {
        fprintf(out, "        listen %s:%u;\n", redis->listen_address,
                redis->listen_port);
    }
    if (redis->socket != NULL) {
        fputs("        listen \"unix:", out);
        escape(out, redis->socket, "$");
        fputs("\";\n", out);
    }
    fputs("        ephpm_kv_resp default", out);
    if (password_file != NULL) {
        fputs(" \"password_file=", out);
        escape(out, password_file, "$");
        fputc('"', out);
    }
    fputs(";\n    }\n}\n", out);
}

static int write_config(FILE *out, const cli_config_t *config,
                        const cli_host_t *host)
{
    char *file = cli_join(host->runtime_dir, cli_nginx.pid_file);
    size_t i;

    fputs("# Written by `ephpm serve` for this one run.\n", out);
    directive(out, "load_module", host->module);
    if (config->redis.enabled) {
        write_stream_modules(out, host);
    }
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
    if (config->redis.enabled) {
        write_redis(out, &config->redis, host->redis_password_file);
    }
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
    .redis_refusal = redis_refusal,
    .write = write_config,
    .exec = exec_nginx,
};
