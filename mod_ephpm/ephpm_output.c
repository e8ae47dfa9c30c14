/* ephpm_output.c - what a runner writes, on its way to the client.
 *
 *   ring of the runner --> memory --> temporary file      (ephpm_output_add)
 *                             |             |
 *                             `------> piece -----> filters (ephpm_output_*)
 *
 * A thread that waits in a filter for a slow client does not empty the ring,
 * and then the script waits too.  So as long as a script runs, its output is
 * only *offered*: httpd's last filter keeps what the socket does not take, and
 * waits only for what is more than 64 KiB; so at most PIECE_BYTES are under
 * way at a time, and the next piece follows when these are gone.  What the
 * client does not take in time gathers here, in memory and then in a file.
 * When the script has ended the runner is free, and the rest is handed over as
 * a whole: the file as a bucket, which httpd's event MPM sends without a
 * thread.
 *
 * What the connection still keeps is known only where the last filter is
 * httpd's own.  On a stream of HTTP/2, and in a sub-request, nothing is
 * offered but what a script that pauses has written, and that in small pieces.
 *
 * O1  What is in memory is older than what is in the file.
 * O2  A piece is no longer ours when it is passed on, for a filter may run a
 *     sub-request, which goes on filling memory and file (ephpm_submit.c).
 */

#include "mod_ephpm.h"

#include "ephpm_output.h"

#include <apr_buckets.h>
#include <apr_portable.h>
#include <util_filter.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

APLOG_USE_MODULE(ephpm);

/* With the headers below httpd's FlushMaxThreshold of 64 KiB. */
#define PIECE_BYTES 57344u
/* Less than this is not worth a piece of its own: while the script writes on,
 * and when it pauses (as in line, where httpd collects 8000 bytes). */
#define ENOUGH_BYTES (PIECE_BYTES / 2)
#define ENOUGH_PAUSED_BYTES 8192u
/* How much of a stream of HTTP/2 is passed on while the script pauses. */
#define BLIND_BYTES 16384u

/* httpd's last filter is asked to write what it keeps as its MPMs ask it: with
 * no brigade.  That is so in 2.4. */
static ap_filter_t *network_filter(const request_rec *r)
{
#if MODULE_MAGIC_NUMBER_MAJOR == 20120211
    ap_filter_t *last = r->connection->output_filters;

    if (r->main != NULL || r->connection->master != NULL) {
        return NULL;
    }
    while (last != NULL && last->next != NULL) {
        last = last->next;
    }
    return last != NULL && last->frec == ap_core_output_filter_handle ? last
                                                                      : NULL;
#else
    (void)r;
    return NULL;
#endif
}

void ephpm_output_begin(ephpm_output_t *output, request_rec *r,
                        apr_off_t file_max)
{
    memset(output, 0, sizeof(*output));
    output->r = r;
    output->file_max = file_max;
    output->network = network_filter(r);
}

/* ------------------------------------------------------------------ */
/* Keeping                                                             */

static size_t add_to_memory(ephpm_output_t *output, const char *data,
                            size_t bytes)
{
    size_t room = output->room ? output->room : 4096;

    if (bytes > PIECE_BYTES - output->bytes) {
        bytes = PIECE_BYTES - output->bytes;
    }
    while (room < output->bytes + bytes) {
        room *= 2;
    }
    room = room < PIECE_BYTES ? room : PIECE_BYTES;
    if (room > output->room) {
        char *grown = realloc(output->memory, room);

        if (grown == NULL) {
            output->error = APR_ENOMEM;
            return 0;
        }
        output->memory = grown;
        output->room = room;
    }
    memcpy(output->memory + output->bytes, data, bytes);
    output->bytes += bytes;
    return bytes;
}

/* It has no name, but for a moment. */
static bool make_file(ephpm_output_t *output)
{
    char *name = apr_psprintf(output->r->pool, "%s/ephpm-output-XXXXXX",
                              ephpm_temp_path());
    apr_status_t status;

    status = apr_file_mktemp(&output->file, name,
                             APR_FOPEN_CREATE | APR_FOPEN_READ
                                 | APR_FOPEN_WRITE | APR_FOPEN_EXCL
                                 | APR_FOPEN_BINARY,
                             output->r->pool);
    if (status != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, status, output->r,
                      "a temporary file for a response cannot be made in %s "
                      "(EphpmTempPath)", ephpm_temp_path());
        output->file = NULL;
        output->error = status;
        return false;
    }
    unlink(name);
    output->written = output->sent = 0;
    return true;
}

static int number_of(apr_file_t *file)
{
    apr_os_file_t number = -1;

    apr_os_file_get(&number, file);
    return number;
}

static size_t add_to_file(ephpm_output_t *output, const char *data,
                          size_t bytes)
{
    size_t total = 0;

    if (output->file == NULL && output->file_max > 0 && !make_file(output)) {
        return 0;
    }
    if (bytes > (apr_uint64_t)(output->file_max - output->written)) {
        bytes = (size_t)(output->file_max - output->written);
    }
    while (total < bytes) {
        ssize_t done = pwrite(number_of(output->file), data + total,
                              bytes - total, output->written);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            output->error = done < 0 ? errno : ENOSPC;
            ap_log_rerror(APLOG_MARK, APLOG_ERR, output->error, output->r,
                          "a response cannot be written to a temporary file "
                          "in %s (EphpmTempPath): it is cut short",
                          ephpm_temp_path());
            break;
        }
        total += (size_t)done;
        output->written += done;
    }
    return total;
}

size_t ephpm_output_add(ephpm_output_t *output, const char *data, size_t bytes)
{
    size_t total = 0;

    if (output->error != 0) {
        return 0;
    }
    if (output->written == output->sent) {
        total = add_to_memory(output, data, bytes);
    }
    if (total < bytes && output->behind && output->error == 0) {
        total += add_to_file(output, data + total, bytes - total);
    }
    return total;
}

bool ephpm_output_more_room(ephpm_output_t *output)
{
    /* O1: not beside what is in the file. */
    if (output->written == output->sent && output->bytes < PIECE_BYTES) {
        return true;
    }
    output->behind = true;
    return output->written < output->file_max;
}

apr_off_t ephpm_output_waiting(const ephpm_output_t *output)
{
    return (apr_off_t)output->bytes + (output->written - output->sent);
}

/* ------------------------------------------------------------------ */
/* Passing on                                                          */

static bool pass(ephpm_output_t *output, apr_bucket_brigade *brigade)
{
    request_rec *r = output->r;
    apr_status_t status;

    output->passed = true;
    if (ephpm_output_waiting(output) == 0) {
        output->behind = false;
    }
    status = ap_pass_brigade(r->output_filters, brigade);
    apr_brigade_destroy(brigade);
    return status == APR_SUCCESS && !r->connection->aborted;
}

static apr_bucket *memory_bucket(ephpm_output_t *output)
{
    char *memory = output->memory;
    size_t bytes = output->bytes;

    output->memory = NULL;
    output->bytes = output->room = 0;
    return apr_bucket_heap_create(memory, bytes, free,
                                  output->r->connection->bucket_alloc);
}

/* @return NULL: it cannot be read */
static apr_bucket *piece_of_file(ephpm_output_t *output, size_t bytes)
{
    char *memory = malloc(bytes);
    ssize_t got = -1;

    if (memory == NULL) {
        output->error = APR_ENOMEM;
        return NULL;
    }
    do {
        got = pread(number_of(output->file), memory, bytes, output->sent);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        output->error = got < 0 ? errno : APR_EOF;
        free(memory);
        return NULL;
    }
    output->sent += got;
    if (output->sent == output->written
        && ftruncate(number_of(output->file), 0) == 0) {
        output->sent = output->written = 0;
    }
    return apr_bucket_heap_create(memory, (size_t)got, free,
                                  output->r->connection->bucket_alloc);
}

static size_t next_bytes(const ephpm_output_t *output, size_t room)
{
    apr_off_t left = output->written - output->sent;

    if (output->bytes > 0) {
        return output->bytes;
    }
    return left < (apr_off_t)room ? (size_t)left : room;
}

/* The next piece: all that is in memory, or up to `bytes` of the file. */
static bool pass_piece(ephpm_output_t *output, size_t bytes)
{
    request_rec *r = output->r;
    apr_bucket *piece = output->bytes > 0 ? memory_bucket(output)
                                          : piece_of_file(output, bytes);
    apr_bucket_brigade *brigade;

    if (piece == NULL) {
        return false;
    }
    brigade = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(brigade, piece);
    return pass(output, brigade);
}

/* How much the connection takes now without waiting. */
static size_t willing(ephpm_output_t *output)
{
    conn_rec *c = output->r->connection;
    ap_filter_t *last = output->network;

    if (output->under_way > 0 && c->data_in_output_filters) {
        last->frec->filter_func.out_func(last, NULL);
    }
    if (!c->data_in_output_filters) {
        output->under_way = 0;
    }
    return PIECE_BYTES - output->under_way;
}

bool ephpm_output_offer(ephpm_output_t *output, bool paused)
{
    const apr_off_t enough = paused ? ENOUGH_PAUSED_BYTES : ENOUGH_BYTES;

    if (output->network == NULL) {
        return !paused || ephpm_output_waiting(output) < enough
               || pass_piece(output, BLIND_BYTES);
    }
    while (ephpm_output_waiting(output) >= enough) {
        size_t room = willing(output);
        size_t bytes = next_bytes(output, room);

        if (output->r->connection->aborted) {
            return false;
        }
        if (bytes > room || room < ENOUGH_PAUSED_BYTES) {
            break;
        }
        output->under_way += bytes;
        if (!pass_piece(output, bytes)) {
            return false;
        }
    }
    return true;
}

bool ephpm_output_flush(ephpm_output_t *output)
{
    request_rec *r = output->r;
    apr_bucket_alloc_t *buckets = r->connection->bucket_alloc;
    apr_bucket_brigade *brigade;

    while (output->written > output->sent) {
        if (!pass_piece(output, PIECE_BYTES)) {
            return false;
        }
    }
    brigade = apr_brigade_create(r->pool, buckets);
    if (output->bytes > 0) {
        APR_BRIGADE_INSERT_TAIL(brigade, memory_bucket(output));
    }
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_flush_create(buckets));
    output->under_way = 0;
    return pass(output, brigade);
}

/* All that waits, as it is. */
static apr_bucket_brigade *the_rest(ephpm_output_t *output)
{
    request_rec *r = output->r;
    apr_bucket_brigade *brigade =
        apr_brigade_create(r->pool, r->connection->bucket_alloc);

    if (output->bytes > 0) {
        APR_BRIGADE_INSERT_TAIL(brigade, memory_bucket(output));
    }
    if (output->written > output->sent) {
        apr_brigade_insert_file(brigade, output->file, output->sent,
                                output->written - output->sent, r->pool);
        output->file = NULL;
        output->written = output->sent = 0;
    }
    return brigade;
}

bool ephpm_output_finish(ephpm_output_t *output)
{
    apr_bucket_brigade *brigade = the_rest(output);

    APR_BRIGADE_INSERT_TAIL(brigade,
        apr_bucket_eos_create(output->r->connection->bucket_alloc));
    return pass(output, brigade);
}

/* As mod_proxy tells of a backend that broke: no last chunk is written. */
void ephpm_output_cut(ephpm_output_t *output)
{
    request_rec *r = output->r;
    conn_rec *c = r->connection;
    apr_bucket_brigade *brigade = the_rest(output);

    c->keepalive = AP_CONN_CLOSE;
    r->no_cache = 1;
    APR_BRIGADE_INSERT_TAIL(brigade,
        ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, r->pool,
                               c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(c->bucket_alloc));
    pass(output, brigade);
}

void ephpm_output_clear(ephpm_output_t *output)
{
    free(output->memory);
    output->memory = NULL;
    output->bytes = output->room = 0;
    if (output->file != NULL) {
        apr_file_close(output->file);
        output->file = NULL;
    }
}
