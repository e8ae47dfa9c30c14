/* ephpm_submit.c - requests that go to a runner.
 *
 *   body read whole --> slot claimed --> request filled in --> submitted
 *        (memory, or a file)   |                                  |
 *                              503: the queue is full      wait for frames:
 *                                                          head, output, log
 *                                                               |
 *                  the rest and its end into the filters <-- script's end
 *
 * All of it is done by the request's own thread, which waits meanwhile.
 *
 * A filter that is passed output may run a sub-request (a server-side
 * include) before it returns, and that may be a script again: then the thread
 * has two jobs.  Whatever it waits for on behalf of the inner one, it goes on
 * emptying the ring of the outer one, which else could never end while the
 * inner one waits for its runner.
 */

#include "mod_ephpm.h"

#include "ephpm_output.h"
#include "ephpm_snapshot.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

APLOG_USE_MODULE(ephpm);

/* While the table has no runner yet. */
#define STARTING_MS 10
/* A script that has written nothing for so long pauses ... */
#define PAUSE_MS 10
/* ... and on a connection of which nothing is known. */
#define PAUSE_BLIND_MS 300
/* A client that is behind is looked after so often. */
#define BEHIND_MS 20
#define BODY_PIECE_BYTES 65536u
#define TEMP_FILE_BYTES ((apr_off_t)1 << 30)

typedef struct submit {
    request_rec *r;
    const ephpm_dir_config_t *config;
    struct submit *outer;       /* of the same thread, and not ended */
    /* The request's body: in memory, or in a file. */
    ephpm_body_t body;
    char *memory;
    int file;                   /* -1: none */
    char *file_path;            /* NULL: it has no name yet */
    /* The job. */
    ephpm_job_t job;
    ephpm_snapshot_writer_t writer;     /* its file may not be taken */
    bool claimed;
    bool wants_flush;
    bool broken;                /* a frame that makes no sense */
    ephpm_job_end_t end;
    /* The response. */
    ephpm_response_t response;
    bool has_head;
    ephpm_output_t output;
} submit_t;

static apr_status_t clean_up(void *data)
{
    submit_t *submit = data;

    if (submit->claimed) {
        submit->claimed = false;
        ephpm_job_release(&submit->job);
    }
    ephpm_snapshot_discard(&submit->writer);
    if (submit->file >= 0) {
        close(submit->file);
        submit->file = -1;
    }
    if (submit->file_path != NULL) {
        unlink(submit->file_path);
        submit->file_path = NULL;
    }
    ephpm_output_clear(&submit->output);
    return APR_SUCCESS;
}

/* ------------------------------------------------------------------ */
/* The request's body                                                  */

/* Without a name, if the system can give it one later: then nothing is left of
 * it whatever happens to this process. */
static bool make_body_file(submit_t *submit)
{
    const char *folder = ephpm_temp_path();
    apr_pool_t *pool = submit->r->pool;

#ifdef O_TMPFILE
    if (access("/proc/self/fd", X_OK) == 0) {
        submit->file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    }
#endif
    if (submit->file < 0) {
        submit->file_path = apr_pstrcat(pool, folder, "/ephpm-body-XXXXXX",
                                        NULL);
        submit->file = mkostemp(submit->file_path, O_CLOEXEC);
        if (submit->file < 0) {
            submit->file_path = NULL;
        }
    }
    return submit->file >= 0;
}

/* As the job's, so that it is swept should this process die. */
static bool name_body_file(submit_t *submit)
{
    apr_pool_t *pool = submit->r->pool;
    char name[EPHPM_FILE_NAME_BYTES];
    char *path;
    bool named;

    ephpm_job_file_name(&submit->job, "body", name);
    path = apr_pstrcat(pool, ephpm_temp_path(), "/", name, NULL);
    if (submit->file_path != NULL) {
        named = rename(submit->file_path, path) == 0;
    } else {
        named = linkat(AT_FDCWD,
                       apr_psprintf(pool, "/proc/self/fd/%d", submit->file),
                       AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
    }
    if (named) {
        submit->file_path = path;
    }
    return named;
}

static bool write_all(int file, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t done = write(file, data, bytes);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            errno = done < 0 ? errno : ENOSPC;
            return false;
        }
        data += done;
        bytes -= (size_t)done;
    }
    return true;
}

static int no_body_file(const submit_t *submit)
{
    ap_log_rerror(APLOG_MARK, APLOG_ERR, errno, submit->r,
                  "the request's body cannot be written to a temporary file "
                  "in %s (EphpmTempPath)", ephpm_temp_path());
    return HTTP_INTERNAL_SERVER_ERROR;
}

static int read_into_file(submit_t *submit)
{
    char *piece = apr_palloc(submit->r->pool, BODY_PIECE_BYTES);
    bool written = make_body_file(submit)
                   && write_all(submit->file, submit->memory,
                                submit->body.bytes);
    size_t bytes;

    while (written && !submit->body.ended) {
        bytes = ephpm_body_read(&submit->body, piece, BODY_PIECE_BYTES);
        written = write_all(submit->file, piece, bytes);
    }
    return written ? OK : no_body_file(submit);
}

/* On a stream of HTTP/2 a body needs neither header. */
static bool has_body(const request_rec *r)
{
    return r->main == NULL
           && (ephpm_body_length(r) > 0 || r->connection->master != NULL
               || apr_table_get(r->headers_in, "Transfer-Encoding") != NULL);
}

/* No client holds a runner, nor a place in the queue, with a body that comes
 * slowly.  A sub-request has none. */
static int read_body(submit_t *submit)
{
    request_rec *r = submit->r;
    int64_t length = ephpm_body_length(r);
    size_t room;
    int status = OK;

    submit->body.r = r;
    if (!has_body(r)) {
        return OK;
    }
    /* One byte more than there should be, to see the end. */
    room = length > 0 && length < EPHPM_REQUEST_BYTES ? (size_t)length + 1
                                                      : EPHPM_REQUEST_BYTES;
    submit->memory = apr_palloc(r->pool, room);
    ephpm_body_read(&submit->body, submit->memory, room);
    if (!submit->body.ended) {
        status = read_into_file(submit);
    }
    /* The page of an error is served whatever has become of the body. */
    return status == OK && r->status == HTTP_OK
        ? ephpm_body_refused(&submit->body) : status;
}

/* ------------------------------------------------------------------ */
/* Refusals                                                            */

/* Many of a kind in a short time are one line, and the rest for those who
 * want to know. */
static int level_of(_Atomic apr_time_t *last)
{
    apr_time_t now = apr_time_now(), before = atomic_load(last);

    return now - before > apr_time_from_sec(10)
           && atomic_compare_exchange_strong(last, &before, now)
        ? APLOG_WARNING : APLOG_INFO;
}

static int unavailable(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Retry-After", "1");
    return HTTP_SERVICE_UNAVAILABLE;
}

static int queue_full(request_rec *r)
{
    static _Atomic apr_time_t last;
    const ephpm_jobs_config_t *config = ephpm_jobs_config(ephpm_jobs);

    ap_log_rerror(APLOG_MARK, level_of(&last), 0, r,
                  "all %u processes of PHP are busy and %u requests wait "
                  "(EphpmProcesses, EphpmQueue): answered with 503",
                  config->runners, config->queue);
    return unavailable(r);
}

static int waited_too_long(request_rec *r)
{
    static _Atomic apr_time_t last;

    ap_log_rerror(APLOG_MARK, level_of(&last), 0, r,
                  "no process of PHP was free within EphpmQueueTimeout "
                  "(%u ms): answered with 503",
                  ephpm_settings.runners.queue_ms);
    return unavailable(r);
}

static int nobody_there(request_rec *r)
{
    static _Atomic apr_time_t last;

    ap_log_rerror(APLOG_MARK, level_of(&last), 0, r,
                  "there is no process of PHP (the log says why PHP does not "
                  "start): answered with 503");
    return unavailable(r);
}

/* ------------------------------------------------------------------ */
/* The job                                                             */

static void write_table(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                        const apr_table_t *table)
{
    const apr_array_header_t *array = apr_table_elts(table);
    const apr_table_entry_t *pairs = (const apr_table_entry_t *)array->elts;

    for (int i = 0; i < array->nelts; i++) {
        if (pairs[i].key != NULL) {
            ephpm_snapshot_pair(writer, kind, pairs[i].key,
                                pairs[i].val ? pairs[i].val : "");
        }
    }
}

static void write_settings(ephpm_snapshot_writer_t *writer,
                           const apr_array_header_t *ini)
{
    for (int i = 0; i < ini->nelts; i++) {
        const ephpm_ini_t *entry = &APR_ARRAY_IDX(ini, i, ephpm_ini_t);
        ephpm_setting_t setting = {
            .name = entry->name, .value = entry->value,
            .admin = entry->admin, .htaccess = entry->htaccess,
            .file = entry->file, .line = entry->line
        };

        ephpm_snapshot_setting(writer, &setting);
    }
}

static int64_t store_number(const request_rec *r)
{
    const ephpm_server_config_t *config =
        ap_get_module_config(r->server->module_config, &ephpm_module);

    return config->kv_off ? -1 : config->store + 1;
}

static void write_request(const submit_t *submit, bool show,
                          ephpm_snapshot_writer_t *writer)
{
    request_rec *r = submit->r;
    int64_t flags = (show ? EPHPM_SNAPSHOT_SHOW : 0)
        | (r->header_only ? EPHPM_SNAPSHOT_HEAD : 0)
        | (ephpm_response_takes_interim(r) ? EPHPM_SNAPSHOT_INTERIM : 0)
        | (submit->config->buffering == BUFFERING_OFF ? EPHPM_SNAPSHOT_FLUSH
                                                      : 0);

    ephpm_snapshot_text(writer, EPHPM_ITEM_METHOD, r->method);
    ephpm_snapshot_text(writer, EPHPM_ITEM_URI, r->uri);
    ephpm_snapshot_text(writer, EPHPM_ITEM_QUERY, r->args);
    ephpm_snapshot_text(writer, EPHPM_ITEM_CONTENT_TYPE,
                        apr_table_get(r->headers_in, "Content-Type"));
    ephpm_snapshot_text(writer, EPHPM_ITEM_COOKIES,
                        apr_table_get(r->headers_in, "Cookie"));
    ephpm_snapshot_text(writer, EPHPM_ITEM_AUTHORIZATION,
                        apr_table_get(r->headers_in, "Authorization"));
    ephpm_snapshot_text(writer, EPHPM_ITEM_USER, r->user);
    ephpm_snapshot_text(writer, EPHPM_ITEM_SCRIPT, r->filename);
    if (submit->config->user_ini == USER_INI_ON) {
        ephpm_snapshot_text(writer, EPHPM_ITEM_HOST_NAME,
                            ap_get_server_name(r));
        ephpm_snapshot_text(writer, EPHPM_ITEM_USER_INI_ROOT,
                            ap_context_document_root(r));
    }
    ephpm_snapshot_number(writer, EPHPM_ITEM_CONTENT_LENGTH,
                          ephpm_body_length(r));
    ephpm_snapshot_number(writer, EPHPM_ITEM_PROTOCOL, r->proto_num);
    ephpm_snapshot_number(writer, EPHPM_ITEM_STATUS,
                          r->status ? r->status : HTTP_OK);
    ephpm_snapshot_number(writer, EPHPM_ITEM_TIME_US, r->request_time);
    ephpm_snapshot_number(writer, EPHPM_ITEM_STORE, store_number(r));
    ephpm_snapshot_number(writer, EPHPM_ITEM_FLAGS, flags);
    write_settings(writer, submit->config->ini);
    write_table(writer, EPHPM_ITEM_VARIABLE, r->subprocess_env);
    write_table(writer, EPHPM_ITEM_HEADER, r->headers_in);
    write_table(writer, EPHPM_ITEM_RESPONSE_HEADER, r->headers_out);
    write_table(writer, EPHPM_ITEM_NOTE, r->notes);
}

static void write_body(const submit_t *submit,
                       ephpm_snapshot_writer_t *writer)
{
    size_t bytes = submit->body.bytes;
    void *place;

    if (submit->file >= 0) {
        ephpm_snapshot_text(writer, EPHPM_ITEM_BODY_FILE, submit->file_path);
        ephpm_snapshot_number(writer, EPHPM_ITEM_BODY_BYTES, (int64_t)bytes);
    } else if (bytes > 0) {
        place = ephpm_snapshot_body(writer, bytes);
        if (place != NULL) {
            memcpy(place, submit->memory, bytes);
        }
    }
}

static int fill(submit_t *submit, bool show)
{
    ephpm_snapshot_writer_t *writer = &submit->writer;
    char name[EPHPM_FILE_NAME_BYTES];
    int error;

    if (submit->file >= 0 && !name_body_file(submit)) {
        return no_body_file(submit);
    }
    ephpm_job_file_name(&submit->job, "more", name);
    ephpm_snapshot_begin(writer, ephpm_job_request(&submit->job),
                         EPHPM_REQUEST_BYTES, ephpm_temp_path(), name);
    write_request(submit, show, writer);
    write_body(submit, writer);
    error = ephpm_snapshot_end(writer);
    if (error != 0) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, error, submit->r,
                      "the request cannot be handed to PHP (what does not fit "
                      "%u bytes goes to a file in %s, EphpmTempPath)",
                      EPHPM_REQUEST_BYTES, ephpm_temp_path());
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ephpm_job_submit(&submit->job, writer->bytes, submit->r->filename);
    return OK;
}

/* ------------------------------------------------------------------ */
/* What the runner says                                                */

static void change_header(void *to, int op, const char *name,
                          const char *value)
{
    submit_t *submit = to;

    ephpm_response_header(&submit->response, (ephpm_header_op_t)op, name,
                          value);
}

static void take_head(submit_t *submit, const void *data, size_t bytes)
{
    const char *reason;
    int status;

    if (submit->has_head
        || !ephpm_head_each(data, bytes, &status, &reason, change_header,
                            submit)) {
        submit->broken = true;
        return;
    }
    submit->has_head = true;
    ephpm_response_status(&submit->response, status, reason);
}

/* The final head repeats what the script has said until now. */
static void take_interim(submit_t *submit, const void *data, size_t bytes)
{
    request_rec *r = submit->r;
    apr_table_t *headers = r->headers_out;
    const char *reason;
    int status;

    r->headers_out = apr_table_copy(r->pool, headers);
    if (submit->has_head
        || !ephpm_head_each(data, bytes, &status, &reason, change_header,
                            submit)) {
        submit->broken = true;
    } else {
        ephpm_response_interim(r, status);
    }
    r->headers_out = headers;
    submit->response.content_type = NULL;
}

static void take_log(const submit_t *submit, const unsigned char *data,
                     size_t bytes)
{
    char line[EPHPM_LOG_LINE_BYTES + 1];
    size_t length = bytes > 0 ? bytes - 1 : 0;

    if (bytes == 0) {
        return;
    }
    length = length < EPHPM_LOG_LINE_BYTES ? length : EPHPM_LOG_LINE_BYTES;
    memcpy(line, data + 1, length);
    line[length] = '\0';
    ephpm_php_log(submit->r, data[0] == 255 ? -1 : data[0], line);
}

static void take_pair(submit_t *submit, apr_table_t *table, const char *data,
                      size_t bytes)
{
    const char *value = memchr(data, '\0', bytes);
    size_t left = value ? bytes - (size_t)(value + 1 - data) : 0;

    if (left == 0 || memchr(value + 1, '\0', left) == NULL) {
        submit->broken = true;
        return;
    }
    apr_table_set(table, data, value + 1);
}

static void take_end(submit_t *submit, const void *data, size_t bytes)
{
    if (bytes != sizeof(submit->end)) {
        submit->broken = true;
        return;
    }
    memcpy(&submit->end, data, bytes);
    submit->end.user[sizeof(submit->end.user) - 1] = '\0';
}

static size_t take_frame(void *to, ephpm_frame_type_t type, const void *data,
                         size_t bytes)
{
    submit_t *submit = to;

    switch (type) {
    case EPHPM_FRAME_HEAD:
        take_head(submit, data, bytes);
        break;
    case EPHPM_FRAME_INTERIM:
        take_interim(submit, data, bytes);
        break;
    case EPHPM_FRAME_BODY:
        if (submit->has_head) {
            return ephpm_output_add(&submit->output, data, bytes);
        }
        submit->broken = true;
        break;
    case EPHPM_FRAME_FLUSH:
        submit->wants_flush = true;
        break;
    case EPHPM_FRAME_LOG:
        take_log(submit, data, bytes);
        break;
    case EPHPM_FRAME_NOTE:
        take_pair(submit, submit->r->notes, data, bytes);
        break;
    case EPHPM_FRAME_ENV:
        take_pair(submit, submit->r->subprocess_env, data, bytes);
        break;
    case EPHPM_FRAME_END:
        take_end(submit, data, bytes);
        break;
    default:
        submit->broken = true;
        break;
    }
    return bytes;
}

/* ------------------------------------------------------------------ */
/* Waiting                                                             */

static submit_t *outer_of(const request_rec *r)
{
    for (const request_rec *main = r->main; main != NULL; main = main->main) {
        submit_t *outer = ap_get_module_config(main->request_config,
                                               &ephpm_module);

        if (outer != NULL) {
            return outer;
        }
    }
    return NULL;
}

static void empty_outer(const submit_t *submit)
{
    for (submit_t *outer = submit->outer; outer != NULL;
         outer = outer->outer) {
        if (outer->claimed && !outer->broken && !outer->job.ended
            && ephpm_job_read(&outer->job, take_frame, outer)
                   == EPHPM_READ_STOPPED
            && ephpm_output_more_room(&outer->output)) {
            ephpm_job_read(&outer->job, take_frame, outer);
        }
    }
}

static int claim(submit_t *submit)
{
    unsigned waited_ms = 0;

    for (;;) {
        switch (ephpm_job_claim(ephpm_jobs, &submit->job)) {
        case EPHPM_CLAIMED:
            submit->claimed = true;
            return OK;
        case EPHPM_CLAIM_FULL:
            return queue_full(submit->r);
        case EPHPM_CLAIM_STARTING:
            break;
        case EPHPM_CLAIM_DOWN:
            return nobody_there(submit->r);
        }
        if (ephpm_child_stopping()) {
            return HTTP_SERVICE_UNAVAILABLE;
        }
        if (waited_ms >= ephpm_settings.runners.queue_ms) {
            return waited_too_long(submit->r);
        }
        empty_outer(submit);
        apr_sleep(apr_time_from_msec(STARTING_MS));
        waited_ms += STARTING_MS;
    }
}

/* @return an HTTP status, or OK where it can only be shown by cutting the
 *         response short */
static int fail(submit_t *submit, int status)
{
    if (submit->output.passed) {
        ephpm_output_cut(&submit->output);
        return OK;
    }
    return status;
}

static int job_failed(submit_t *submit, ephpm_read_t how)
{
    int status = how == EPHPM_READ_KILLED ? HTTP_GATEWAY_TIME_OUT
                                          : HTTP_BAD_GATEWAY;
    int level = how == EPHPM_READ_BROKEN ? APLOG_ERR : APLOG_INFO;

    /* Who has seen it die has said so in the log. */
    ap_log_rerror(APLOG_MARK, level, 0, submit->r, "%s: %s %d",
                  how == EPHPM_READ_KILLED
                      ? "the script ran longer than "
                        "EphpmRequestTerminateTimeout"
                  : how == EPHPM_READ_CRASHED
                      ? "the script's process has come to an end"
                      : "what the script's process sent is no response",
                  submit->output.passed ? "the response is cut short, instead "
                                          "of" : "answered with", status);
    return fail(submit, status);
}

/* Is it too long since it was put into the queue? */
static bool expired(const submit_t *submit)
{
    ephpm_job_times_t times;

    ephpm_job_times(&submit->job, &times);
    return ephpm_jobs_clock_us() - times.submitted_us
           > ephpm_settings.runners.queue_ms * UINT64_C(1000);
}

/* The script runs on.  @return false: the client has gone */
static bool pass_on(submit_t *submit, bool no_room, unsigned quiet_ms)
{
    ephpm_output_t *output = &submit->output;
    unsigned pause_ms = output->network ? PAUSE_MS : PAUSE_BLIND_MS;
    bool buffering = submit->config->buffering != BUFFERING_OFF;

    if (!submit->has_head) {
        return true;
    }
    if (submit->wants_flush
        || (!buffering && ephpm_output_waiting(output) > 0)) {
        submit->wants_flush = false;
        return ephpm_output_flush(output);
    }
    if (!ephpm_output_offer(output, quiet_ms >= pause_ms)) {
        return false;
    }
    return !no_room || ephpm_output_more_room(output)
           || ephpm_output_flush(output);
}

/* @return how long nothing has come */
static unsigned wait_for_news(submit_t *submit, unsigned quiet_ms)
{
    unsigned ms = EPHPM_LOOK_AGAIN_MS;

    if (ephpm_job_news(&submit->job)) {
        return 0;
    }
    if (ephpm_output_waiting(&submit->output) > 0) {
        ms = quiet_ms < PAUSE_MS ? PAUSE_MS : BEHIND_MS;
    }
    ephpm_job_wait(&submit->job, (int)ms);
    return ephpm_job_news(&submit->job) ? 0 : quiet_ms + ms;
}

static int finish(submit_t *submit)
{
    request_rec *r = submit->r;

    if (!submit->has_head) {
        return job_failed(submit, EPHPM_READ_BROKEN);
    }
    apr_table_setn(r->notes, "mod_php_memory_usage",
                   apr_psprintf(r->pool, "%" APR_UINT64_T_FMT,
                                (apr_uint64_t)submit->end.memory_bytes));
    if (submit->end.user[0] != '\0') {
        r->user = apr_pstrdup(r->pool, submit->end.user);
    }
    /* The slot and the ring are free from here on, however slow the client
     * is. */
    submit->claimed = false;
    ephpm_job_release(&submit->job);
    ephpm_output_finish(&submit->output);
    return OK;
}

static int serve(submit_t *submit)
{
    unsigned quiet_ms = 0;
    bool taken = false;

    for (;;) {
        ephpm_read_t how = ephpm_job_read(&submit->job, take_frame, submit);

        if (submit->broken) {
            how = EPHPM_READ_BROKEN;
        }
        if (how == EPHPM_READ_END) {
            return finish(submit);
        }
        if (how != EPHPM_READ_MORE && how != EPHPM_READ_STOPPED) {
            return job_failed(submit, how);
        }
        if (submit->output.error != 0) {
            return fail(submit, HTTP_INTERNAL_SERVER_ERROR);
        }
        if (ephpm_child_stopping()) {
            return fail(submit, HTTP_SERVICE_UNAVAILABLE);
        }
        if (submit->r->connection->aborted) {
            /* A stream of HTTP/2 that was reset. */
            return OK;
        }
        taken = taken || ephpm_job_state(&submit->job) != EPHPM_JOB_READY;
        if (!taken && expired(submit)
            && ephpm_job_withdraw(&submit->job)) {
            ephpm_count_add(ephpm_jobs, EPHPM_COUNT_EXPIRED, 1);
            return waited_too_long(submit->r);
        }
        if (!pass_on(submit, how == EPHPM_READ_STOPPED, quiet_ms)) {
            /* The script sees an aborted client. */
            return submit->output.error ? fail(submit,
                                               HTTP_INTERNAL_SERVER_ERROR)
                                        : OK;
        }
        empty_outer(submit);
        quiet_ms = how == EPHPM_READ_STOPPED ? 0
                                             : wait_for_news(submit, quiet_ms);
    }
}

int ephpm_submit(request_rec *r, const ephpm_dir_config_t *config, bool show)
{
    submit_t *submit;
    int status;

    if (ephpm_body_too_large(r)) {
        return HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    submit = apr_pcalloc(r->pool, sizeof(*submit));
    submit->r = r;
    submit->config = config;
    submit->file = -1;
    submit->writer.file = -1;
    submit->outer = outer_of(r);
    apr_pool_cleanup_register(r->pool, submit, clean_up,
                              apr_pool_cleanup_null);
    ephpm_output_begin(&submit->output, r,
                       config->temp_file_bytes >= 0 ? config->temp_file_bytes
                                                    : TEMP_FILE_BYTES);
    status = read_body(submit);
    if (status == OK) {
        status = claim(submit);
    }
    if (status == OK) {
        ap_set_module_config(r->request_config, &ephpm_module, submit);
        ephpm_response_begin(&submit->response, r);
        status = fill(submit, show);
    }
    if (status == OK) {
        status = serve(submit);
    }
    ap_set_module_config(r->request_config, &ephpm_module, NULL);
    apr_pool_cleanup_run(r->pool, submit, clean_up);
    return status;
}
