/* resp_serve.c - a store of its own behind a listener, for the tests.
 *
 *   resp_serve ADDRESS SIZE [OPTION...]
 *
 * ADDRESS as resp_listen() takes it; an OPTION is "password=TEXT",
 * "clients=N", "idle=SECONDS", or one of a store's.  Writes "ready" when it
 * serves, and ends at SIGTERM, or once it has drained at SIGQUIT, with a line
 * of statistics, status 0 if the store is whole.
 */

#include "resp_server.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static resp_server_t *server;

static void stop(int number)
{
    (void)number;
    resp_server_stop(server);
}

static void drain(int number)
{
    (void)number;
    resp_server_drain(server);
}

static int fail(const char *what)
{
    fprintf(stderr, "resp_serve: %s\n", what);
    return 1;
}

int main(int argc, char **argv)
{
    resp_server_settings_t loop = { 0 };
    resp_settings_t settings = { .name = "test" };
    kv_config_t config;
    resp_service_t *service;
    resp_stats_t stats;
    kv_store_t *store;
    const char *broken;
    char error[256];
    size_t bytes;
    void *memory;
    int listener;

    if (argc < 3 || kv_size_parse(argv[2], &bytes) != KV_OK) {
        return fail("usage: resp_serve ADDRESS SIZE [OPTION...]");
    }
    kv_config_init(&config);
    for (int i = 3; i < argc; i++) {
        if (strncmp(argv[i], "password=", 9) == 0) {
            settings.password = argv[i] + 9;
            settings.password_bytes = strlen(argv[i] + 9);
        } else if (strncmp(argv[i], "clients=", 8) == 0) {
            loop.clients_max = (unsigned)atoi(argv[i] + 8);
        } else if (strncmp(argv[i], "idle=", 5) == 0) {
            loop.idle_seconds = (unsigned)atoi(argv[i] + 5);
        } else if (kv_config_set(&config, argv[i], error, sizeof(error))
                   != KV_OK) {
            return fail(error);
        }
    }
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED
        || kv_store_create(memory, bytes, &config) != KV_OK
        || kv_store_attach(memory, bytes, &store) != KV_OK) {
        return fail("no store");
    }
    listener = resp_listen(argv[1], 0600, settings.password != NULL, error,
                           sizeof(error));
    if (listener < 0) {
        return fail(error);
    }
    service = resp_service_create(store, &settings);
    server = resp_server_create(&loop);
    if (service == NULL || server == NULL
        || !resp_server_add(server, listener, service)) {
        return fail("no memory");
    }
    signal(SIGTERM, stop);
    signal(SIGQUIT, drain);
    puts("ready");
    fflush(stdout);
    if (!resp_server_run(server)) {
        return fail("epoll failed");
    }
    resp_service_stats(service, &stats);
    printf("connections=%" PRIu64 " clients=%" PRIu64 " commands=%" PRIu64
           " errors=%" PRIu64 " protocol_errors=%" PRIu64 " auth_failures=%"
           PRIu64 " drops=%" PRIu64 "\n", stats.connections, stats.clients,
           stats.commands, stats.errors, stats.protocol_errors,
           stats.auth_failures, stats.drops);
    resp_server_destroy(server);
    resp_service_destroy(service);
    broken = kv_store_check(store);
    kv_store_detach(store);
    return broken != NULL ? fail(broken) : 0;
}
