/* cli_config.h - what `ephpm serve` is told: the command line and ephpm.toml.
 *
 * The file is read by cli_toml.cc, the one file that knows toml++; nothing
 * of C++ shows here.
 */

#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a request falls back to; from `fallback`, which reads like nginx's
 * try_files: [["$uri",] ["$uri/",] LAST]. */
typedef struct cli_fallback {
    bool files;          /* "$uri": files are served */
    bool directories;    /* "$uri/": directories show their index file */
    char *script;        /* "/index.php"; NULL: "=404" */
} cli_fallback_t;

/** [kv.redis_compat]: where Redis's protocol is spoken.  Where it is enabled
 * at least one of the two places is there. */
typedef struct cli_redis {
    bool enabled;
    char *listen_address;       /* an IP address; NULL: no such listener */
    unsigned listen_port;
    char *socket;               /* absolute; NULL: none */
    char *password;             /* NULL: none */
} cli_redis_t;

/** One configuration.  All strings are owned by it. */
typedef struct cli_config {
    char *listen_address;       /* "127.0.0.1", "[::1]" or "*" */
    unsigned listen_port;
    char *document_root;        /* absolute; NULL: not said */
    char **index_files;         /* ends with NULL */
    cli_fallback_t fallback;
    size_t kv_memory_bytes;
    char *kv_eviction_policy;
    cli_redis_t redis;
} cli_config_t;

/** Room for one sentence about what is wrong. */
#define CLI_ERROR_BYTES 512

/** Fill `config` with the defaults.  Ends the program without memory. */
void cli_config_init(cli_config_t *config);

void cli_config_free(cli_config_t *config);

/**
 * Read a TOML file into `config`, which keeps what the file does not name.
 *
 * @param error  receives "FILE:LINE: what is wrong" on failure
 * @return 0, or the exit code of <sysexits.h> that fits
 */
int cli_toml_read(const char *file, cli_config_t *config,
                  char error[CLI_ERROR_BYTES]);

/* Each setter checks one value, whether it comes from the file or from the
 * command line, and returns false with a sentence in `error` that does not
 * yet say where the value stood. */

/** "ADDR:PORT", ":PORT" or "PORT"; an IPv6 address stands in brackets. */
bool cli_listen_set(cli_config_t *config, const char *value,
                    char error[CLI_ERROR_BYTES]);

/** @param base  folder that a relative path starts at; NULL: the current */
bool cli_document_root_set(cli_config_t *config, const char *value,
                           const char *base, char error[CLI_ERROR_BYTES]);

bool cli_index_files_set(cli_config_t *config, const char *const *values,
                         size_t count, char error[CLI_ERROR_BYTES]);

bool cli_fallback_set(cli_config_t *config, const char *const *values,
                      size_t count, char error[CLI_ERROR_BYTES]);

bool cli_kv_memory_set(cli_config_t *config, const char *value,
                       char error[CLI_ERROR_BYTES]);

bool cli_kv_eviction_set(cli_config_t *config, const char *value,
                         char error[CLI_ERROR_BYTES]);

/** "ADDR:PORT". */
bool cli_redis_listen_set(cli_config_t *config, const char *value,
                          char error[CLI_ERROR_BYTES]);

/** @param base  as of cli_document_root_set() */
bool cli_redis_socket_set(cli_config_t *config, const char *value,
                          const char *base, char error[CLI_ERROR_BYTES]);

bool cli_redis_password_set(cli_config_t *config, const char *value,
                            char error[CLI_ERROR_BYTES]);

/** What no single value shows; fills in where Redis's protocol is spoken
 * unless that was said. */
bool cli_config_complete(cli_config_t *config, char error[CLI_ERROR_BYTES]);

/** Write one formatted sentence; always false, for `return`. */
bool cli_error(char error[CLI_ERROR_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
