/* ephpm_output.h - what a runner writes, on its way to the client.
 *
 * Used by one thread; see ephpm_output.c for how slow clients are kept from
 * holding a runner.
 */

#ifndef EPHPM_OUTPUT_H
#define EPHPM_OUTPUT_H

#include <httpd.h>
#include <apr_file_io.h>
#include <util_filter.h>

#include <stdbool.h>
#include <stddef.h>

typedef struct ephpm_output {
    request_rec *r;
    /* What waits: in memory, and after that in a file. */
    char *memory;               /* malloc */
    size_t bytes;
    size_t room;
    apr_file_t *file;           /* NULL: none yet */
    apr_off_t written;          /* to the file */
    apr_off_t sent;             /* of that */
    apr_off_t file_max;
    bool behind;                /* the client: what does not fit memory goes
                                 * to the file */
    /* What the connection has. */
    ap_filter_t *network;       /* httpd's own last filter, or NULL */
    size_t under_way;           /* passed on since it was last seen empty */
    bool passed;                /* anything: the head is out */
    apr_status_t error;         /* the first: what waits is not whole */
} ephpm_output_t;

/** @param file_max  bytes; 0: no file */
void ephpm_output_begin(ephpm_output_t *output, request_rec *r,
                        apr_off_t file_max);

/** Keep some. @return how much was taken: less where there is no more room,
 * or where `error` is set (said why in the log) */
size_t ephpm_output_add(ephpm_output_t *output, const char *data,
                        size_t bytes);

/** After ephpm_output_add() has not taken all, and what there is was offered:
 * is there more room now?  It may be in the file.
 * @return false: no more until something is passed on */
bool ephpm_output_more_room(ephpm_output_t *output);

/** How much waits. */
apr_off_t ephpm_output_waiting(const ephpm_output_t *output);

/* Each of these returns false where the client has gone, or `error` is set. */

/** Pass on what the connection takes without waiting.
 * @param paused  nothing else will come for a while */
bool ephpm_output_offer(ephpm_output_t *output, bool paused);

/** Pass all on, and wait until the client has taken it. */
bool ephpm_output_flush(ephpm_output_t *output);

/** Pass all on, and the response's end. */
bool ephpm_output_finish(ephpm_output_t *output);

/** Pass on what there is, and end the response so that the client sees that it
 * is not whole. */
void ephpm_output_cut(ephpm_output_t *output);

/** Forget what still waits. */
void ephpm_output_clear(ephpm_output_t *output);

#endif
