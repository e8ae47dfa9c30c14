/* respt.h - what the tests of resp/ share: a store of their own, and a client
 * without a socket.
 */

#ifndef RESPT_H
#define RESPT_H

#include "resp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STORE_BYTES ((size_t)8 << 20)

/* Not libcheck's, which is of use within its own tests only. */
#define RESPT_MUST(condition) do {                                          \
    if (!(condition)) {                                                     \
        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);     \
        abort();                                                            \
    }                                                                       \
} while (0)

typedef struct respt {
    void *memory;
    kv_store_t *store;
    resp_service_t *service;
    resp_conn_t *conn;
} respt_t;

static inline void respt_begin(respt_t *t, const resp_settings_t *settings,
                               const char *option)
{
    kv_config_t config;
    char error[200];

    kv_config_init(&config);
    if (option != NULL) {
        RESPT_MUST(kv_config_set(&config, option, error, sizeof(error))
                   == KV_OK);
    }
    t->memory = mmap(NULL, STORE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    RESPT_MUST(t->memory != MAP_FAILED);
    RESPT_MUST(kv_store_create(t->memory, STORE_BYTES, &config) == KV_OK);
    RESPT_MUST(kv_store_attach(t->memory, STORE_BYTES, &t->store) == KV_OK);
    t->service = resp_service_create(t->store, settings);
    RESPT_MUST(t->service != NULL);
    t->conn = resp_conn_open(t->service);
    RESPT_MUST(t->conn != NULL);
}

static inline void respt_end(respt_t *t)
{
    resp_conn_close(t->conn);
    resp_service_destroy(t->service);
    RESPT_MUST(kv_store_check(t->store) == NULL);
    kv_store_detach(t->store);
    munmap(t->memory, STORE_BYTES);
}

static inline void respt_again(respt_t *t)
{
    resp_conn_close(t->conn);
    t->conn = resp_conn_open(t->service);
    RESPT_MUST(t->conn != NULL);
}

/* Take all of the output, at most `most` bytes at a time, to the end of
 * `text`, which is the caller's to free. */
static inline char *respt_drain(respt_t *t, size_t most, size_t *length)
{
    char *text = malloc(1);
    const char *bytes;
    size_t count;

    RESPT_MUST(text != NULL);
    *length = 0;
    while ((count = resp_conn_output(t->conn, &bytes)) != 0) {
        if (count > most) {
            count = most;
        }
        text = realloc(text, *length + count + 1);
        RESPT_MUST(text != NULL);
        memcpy(text + *length, bytes, count);
        *length += count;
        resp_conn_sent(t->conn, count);
    }
    text[*length] = '\0';
    return text;
}

/* The answer to `request` is `wanted`, all of it. */
static inline void respt_is(respt_t *t, const char *request,
                            const char *wanted)
{
    size_t length;
    char *text;

    resp_conn_feed(t->conn, request, strlen(request));
    text = respt_drain(t, SIZE_MAX, &length);
    if (strcmp(text, wanted) != 0) {
        fprintf(stderr, "%s answered %s, not %s\n", request, text, wanted);
        abort();
    }
    free(text);
}

#endif
