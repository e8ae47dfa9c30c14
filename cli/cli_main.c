/* cli_main.c - the `ephpm` command line. */

#define _GNU_SOURCE

#include "cli_kv.h"
#include "cli_serve.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char usage[] =
    "usage: ephpm serve [--config FILE] [--server apache|nginx] "
    "[--listen ADDR:PORT]\n"
    "                   [--document-root DIR] [--module-dir DIR]\n"
    "                   [--httpd FILE | --nginx FILE]\n"
    "       ephpm kv [OPTION...] get|set|ttl|del|scan|stats|flush ...\n"
    "       ephpm --version | --help\n";

static const char help[] =
    "\n"
    "ephpm serve runs PHP under Apache httpd or nginx, in the foreground, "
    "with a\n"
    "key/value store in the server's shared memory.\n"
    "\n"
    "  --config FILE         settings (default: ephpm.toml, where there is "
    "one)\n"
    "  --server NAME         apache or nginx (default: apache)\n"
    "  --listen ADDR:PORT    address to listen on (default: 127.0.0.1:8080)\n"
    "  --document-root DIR   folder to serve\n"
    "  --module-dir DIR      folder of the server's module (default: as "
    "installed)\n"
    "  --httpd FILE          the httpd program (default: as configured)\n"
    "  --nginx FILE          the nginx program (default: as configured)\n"
    "\n"
    "The options win over the file.\n"
    "\n"
    "ephpm kv works on the store of a running server; ephpm kv --help says "
    "how.\n"
    "ephpm(1) has the file's keys and the "
    "exit codes.\n";

static int misused(const char *what, const char *which)
{
    fprintf(stderr, "ephpm: %s%s\n%s", what, which, usage);
    return EX_USAGE;
}

static int serve(int argc, char **argv)
{
    enum { CONFIG = 1, SERVER, LISTEN, DOCUMENT_ROOT, MODULE_DIR, HTTPD_FILE,
           NGINX_FILE, HELP };
    static const struct option options[] = {
        {"config", required_argument, NULL, CONFIG},
        {"server", required_argument, NULL, SERVER},
        {"listen", required_argument, NULL, LISTEN},
        {"document-root", required_argument, NULL, DOCUMENT_ROOT},
        {"module-dir", required_argument, NULL, MODULE_DIR},
        {"httpd", required_argument, NULL, HTTPD_FILE},
        {"nginx", required_argument, NULL, NGINX_FILE},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    cli_places_t places = {&cli_httpd, NULL, NULL};
    const char *httpd = NULL;
    const char *nginx = NULL;
    cli_config_t config;
    const char *file = NULL;
    const char *listen_on = NULL;
    const char *document_root = NULL;
    char error[CLI_ERROR_BYTES] = "";
    int option;
    int rc = 0;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        switch (option) {
        case CONFIG:
            file = optarg;
            break;
        case SERVER:
            if (strcmp(optarg, cli_nginx.option) == 0) {
                places.server = &cli_nginx;
            } else if (strcmp(optarg, cli_httpd.option) == 0) {
                places.server = &cli_httpd;
            } else {
                return misused("--server is apache or nginx, not ", optarg);
            }
            break;
        case LISTEN:
            listen_on = optarg;
            break;
        case DOCUMENT_ROOT:
            document_root = optarg;
            break;
        case MODULE_DIR:
            places.module_dir = optarg;
            break;
        case HTTPD_FILE:
            httpd = optarg;
            break;
        case NGINX_FILE:
            nginx = optarg;
            break;
        case HELP:
            printf("%s%s", usage, help);
            return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
        case ':':
            return misused("a value is missing after ", argv[optind - 1]);
        default:
            return misused("unknown option ", argv[optind - 1]);
        }
    }
    if (optind < argc) {
        return misused("serve takes no ", argv[optind]);
    }
    if (places.server == &cli_nginx ? httpd != NULL : nginx != NULL) {
        return misused("another server's program: --server is ",
                       places.server->option);
    }
    places.program = places.server == &cli_nginx ? nginx : httpd;

    cli_config_init(&config);
    if (file == NULL && access("ephpm.toml", F_OK) == 0) {
        file = "ephpm.toml";
    }
    if (file != NULL) {
        rc = cli_toml_read(file, &config, error);
        if (rc != 0) {
            fprintf(stderr, "ephpm: %s\n", error);
        }
    }
    if (rc == 0 &&
        ((listen_on != NULL && !cli_listen_set(&config, listen_on, error)) ||
         (document_root != NULL &&
          !cli_document_root_set(&config, document_root, NULL, error)))) {
        fprintf(stderr, "ephpm: %s\n", error);
        rc = EX_USAGE;
    }
    if (rc == 0) {
        rc = cli_serve(&config, &places);
    }
    cli_config_free(&config);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return misused("say what to do", "");
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("ephpm " EPHPM_VERSION);
        return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
    }
    if (strcmp(argv[1], "--help") == 0) {
        printf("%s%s", usage, help);
        return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
    }
    if (strcmp(argv[1], "serve") == 0) {
        return serve(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "kv") == 0) {
        return cli_kv(argc - 1, argv + 1);
    }
    return misused("there is no command ", argv[1]);
}
