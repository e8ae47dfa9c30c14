/* ephpm_runner_host.c - the SAPI's host in a runner: a job instead of a
 * server's request. */

#include "ephpm_pool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define HEAD_OPS_MAX (EPHPM_HEAD_BYTES_MAX - 4096u)

ephpm_run_t ephpm_run = { .body_file = -1 };

/* ------------------------------------------------------------------ */
/* The head                                                            */

static bool concerns(const char *name, ephpm_header_op_t op,
                     const char *changed)
{
    return op == EPHPM_HEADER_DELETE_ALL
           || ((op == EPHPM_HEADER_DELETE || op == EPHPM_HEADER_REPLACE)
               && strcasecmp(name, changed) == 0);
}

/* Take out what the change undoes. */
static void undo(ephpm_head_t *head, ephpm_header_op_t op, const char *changed)
{
    size_t at = 0;

    while (at < head->bytes) {
        const char *name = head->ops + at + 1;
        const char *value = name + strlen(name) + 1;
        size_t next = (size_t)(value + strlen(value) + 1 - head->ops);

        if (concerns(name, op, changed)) {
            memmove(head->ops + at, head->ops + next, head->bytes - next);
            head->bytes -= next - at;
        } else {
            at = next;
        }
    }
}

bool ephpm_head_change(ephpm_head_t *head, ephpm_header_op_t op,
                       const char *name, const char *value)
{
    size_t name_bytes, value_bytes, bytes;

    name = name ? name : "";
    value = value ? value : "";
    if (op != EPHPM_HEADER_ADD) {
        undo(head, op, name);
    }
    name_bytes = strlen(name) + 1;
    value_bytes = strlen(value) + 1;
    bytes = 1 + name_bytes + value_bytes;
    if (bytes > HEAD_OPS_MAX - head->bytes) {
        return false;
    }
    if (bytes > head->room - head->bytes) {
        size_t room = head->bytes + bytes + 1024;
        char *grown = realloc(head->ops, room);

        if (grown == NULL) {
            return false;
        }
        head->ops = grown;
        head->room = room;
    }
    head->ops[head->bytes] = (char)op;
    memcpy(head->ops + head->bytes + 1, name, name_bytes);
    memcpy(head->ops + head->bytes + 1 + name_bytes, value, value_bytes);
    head->bytes += bytes;
    return true;
}

bool ephpm_head_send(const ephpm_head_t *head, ephpm_task_t *task,
                     ephpm_frame_type_t type, int status, const char *reason)
{
    char few[4096], *frame = few;
    int32_t number = status;
    size_t reason_bytes, bytes;
    bool sent;

    /* What is too long for a status line says nothing either. */
    if (reason == NULL || strlen(reason) > 1024) {
        reason = "";
    }
    reason_bytes = strlen(reason) + 1;
    bytes = sizeof(number) + reason_bytes + head->bytes;
    if (bytes > sizeof(few)) {
        frame = malloc(bytes);
        if (frame == NULL) {
            return false;
        }
    }
    memcpy(frame, &number, sizeof(number));
    memcpy(frame + sizeof(number), reason, reason_bytes);
    if (head->bytes > 0) {
        memcpy(frame + sizeof(number) + reason_bytes, head->ops, head->bytes);
    }
    sent = ephpm_task_write(task, type, frame, bytes);
    if (frame != few) {
        free(frame);
    }
    return sent;
}

static void change_header(void *request, ephpm_header_op_t op,
                          const char *name, const char *value)
{
    ephpm_run_t *run = request;

    if (!ephpm_head_change(&run->head, op, name, value)
        && !run->head.refused) {
        run->head.refused = true;
        ephpm_pool_log(run->pool, LOG_ERR, "script '%s' sets more headers "
                       "than fit (%u bytes): the rest is dropped",
                       run->snapshot.texts[EPHPM_ITEM_SCRIPT], HEAD_OPS_MAX);
    }
}

/* The value of the first header of that name that the script has set, or
 * NULL. */
static const char *header_of(const ephpm_head_t *head, const char *wanted)
{
    for (size_t at = 0; at < head->bytes;) {
        const char *name = head->ops + at + 1;
        const char *value = name + strlen(name) + 1;

        if (strcasecmp(name, wanted) == 0
            && head->ops[at] != EPHPM_HEADER_DELETE) {
            return value;
        }
        at = (size_t)(value + strlen(value) + 1 - head->ops);
    }
    return NULL;
}

/* As CGI has it: the header "Status: 404 Not here" is the status, unless
 * there was a status line, and no client ever sees it. */
static void take_status_header(ephpm_head_t *head, int *status,
                               const char **reason, char *text, size_t room)
{
    const char *value = header_of(head, "Status");
    int number;

    if (value == NULL) {
        return;
    }
    number = atoi(value);
    if (number >= 100 && number <= 999 && (*reason == NULL || *status == 200)) {
        value += strspn(value, " 0123456789");
        snprintf(text, room, "%s", value);
        *status = number;
        *reason = *text ? text : NULL;
    }
    undo(head, EPHPM_HEADER_REPLACE, "Status");
}

static void send_headers(void *request, int status, const char *reason)
{
    ephpm_run_t *run = request;
    const char *buffering;
    char text[256];

    if (run->task.answered) {
        return;
    }
    if (strcmp(run->pool->sapi_name, "apache2handler") != 0) {
        take_status_header(&run->head, &status, &reason, text, sizeof(text));
        /* What this header asks of nginx begins here. */
        buffering = header_of(&run->head, "X-Accel-Buffering");
        if (buffering != NULL && strcasecmp(buffering, "no") == 0) {
            run->flags |= EPHPM_SNAPSHOT_FLUSH;
        }
    }
    ephpm_head_send(&run->head, &run->task, EPHPM_FRAME_HEAD, status, reason);
}

static bool send_interim(void *request, int status)
{
    ephpm_run_t *run = request;

    if ((run->flags & EPHPM_SNAPSHOT_INTERIM) == 0 || run->task.answered
        || !ephpm_head_send(&run->head, &run->task, EPHPM_FRAME_INTERIM,
                            status, NULL)) {
        return false;
    }
    ephpm_task_wake(&run->task);
    return true;
}

/* ------------------------------------------------------------------ */
/* The body of the response                                            */

/* After the end, what a script writes is dropped, and it may write on. */
static bool write_data(void *request, const char *data, size_t size_bytes)
{
    ephpm_run_t *run = request;

    if (run->task.answered) {
        return true;
    }
    if (ephpm_task_abandoned(&run->task)) {
        return false;
    }
    if ((run->flags & EPHPM_SNAPSHOT_HEAD) != 0 || size_bytes == 0) {
        return true;
    }
    if (!ephpm_task_write(&run->task, EPHPM_FRAME_BODY, data, size_bytes)) {
        return false;
    }
    if ((run->flags & EPHPM_SNAPSHOT_FLUSH) != 0) {
        ephpm_task_wake(&run->task);
    }
    return true;
}

static bool flush(void *request)
{
    ephpm_run_t *run = request;

    if (run->task.answered) {
        return true;
    }
    if (!ephpm_task_write(&run->task, EPHPM_FRAME_FLUSH, NULL, 0)) {
        return false;
    }
    ephpm_task_wake(&run->task);
    return true;
}

static bool finish(void *request)
{
    ephpm_run_t *run = request;

    if (run->task.answered) {
        return false;
    }
    ephpm_run_end(run);
    ephpm_task_answer(&run->task, &run->end);
    return true;
}

static void complete(void *request)
{
    ephpm_run_t *run = request;

    if (!run->task.answered) {
        ephpm_run_end(run);
        ephpm_task_complete(&run->task, &run->end);
    }
}

/* ------------------------------------------------------------------ */
/* The body of the request                                             */

const char *ephpm_run_body(ephpm_run_t *run)
{
    const ephpm_snapshot_t *snapshot = &run->snapshot;
    const char *name = snapshot->texts[EPHPM_ITEM_BODY_FILE];
    int64_t offset = ephpm_snapshot_get(snapshot, EPHPM_ITEM_BODY_OFFSET);
    int64_t bytes = ephpm_snapshot_get(snapshot, EPHPM_ITEM_BODY_BYTES);
    struct stat status;

    run->body_at = 0;
    run->body_file = -1;
    run->body_bytes = snapshot->body_bytes;
    if (name == NULL) {
        return NULL;
    }
    if (offset < 0 || bytes < 0 || offset > INT64_MAX - bytes) {
        return "the request's body is said to be where no file can have it";
    }
    run->body_file = open(name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY
                                    | O_NONBLOCK);
    if (run->body_file < 0) {
        return errno == ENOENT ? "the file with the request's body is gone"
                               : "the file with the request's body cannot be "
                                 "opened";
    }
    if (fstat(run->body_file, &status) != 0 || !S_ISREG(status.st_mode)
        || status.st_size < offset + bytes) {
        return "the file with the request's body is cut short";
    }
    run->body_offset = (off_t)offset;
    run->body_bytes = (size_t)bytes;
    return NULL;
}

static size_t read_body(void *request, char *buffer, size_t size_bytes)
{
    ephpm_run_t *run = request;
    size_t left = run->body_bytes - run->body_at, total = 0;

    size_bytes = size_bytes < left ? size_bytes : left;
    if (run->body_file < 0) {
        if (size_bytes > 0) {
            memcpy(buffer, run->snapshot.body + run->body_at, size_bytes);
        }
        run->body_at += size_bytes;
        return size_bytes;
    }
    while (total < size_bytes) {
        ssize_t got = pread(run->body_file, buffer + total,
                            size_bytes - total,
                            run->body_offset + (off_t)run->body_at);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            ephpm_pool_log(run->pool, LOG_ERR, "script '%s': the rest of the "
                           "request's body cannot be read",
                           run->snapshot.texts[EPHPM_ITEM_SCRIPT]);
            run->body_bytes = run->body_at;
            break;
        }
        total += (size_t)got;
        run->body_at += (size_t)got;
    }
    return total;
}

/* ------------------------------------------------------------------ */
/* What PHP wants to know                                              */

static void each_pair(const ephpm_run_t *run, ephpm_item_t kind,
                      ephpm_pair_fn pass, void *to)
{
    const ephpm_snapshot_t *snapshot = &run->snapshot;

    for (size_t i = 0; i < snapshot->pair_count; i++) {
        if (snapshot->pairs[i].kind == kind) {
            pass(to, snapshot->pairs[i].name, snapshot->pairs[i].value);
        }
    }
}

static void each_variable(void *request, ephpm_pair_fn pass, void *to)
{
    const ephpm_run_t *run = request;
    const ephpm_snapshot_t *snapshot = &run->snapshot;
    const char *uri = snapshot->texts[EPHPM_ITEM_URI];

    each_pair(run, EPHPM_ITEM_VARIABLE, pass, to);
    for (size_t i = 0; i < snapshot->pair_count; i++) {
        if (snapshot->pairs[i].kind == EPHPM_ITEM_VARIABLE
            && strcmp(snapshot->pairs[i].name, "PHP_SELF") == 0) {
            return;
        }
    }
    if (uri != NULL) {
        pass(to, "PHP_SELF", uri);
    }
}

static void each_request_header(void *request, ephpm_pair_fn pass, void *to)
{
    each_pair(request, EPHPM_ITEM_HEADER, pass, to);
}

/* The server's own, and what the script has done to them. */
typedef struct listing {
    ephpm_pair_fn pass;
    void *to;
} listing_t;

static bool undone_later(const ephpm_head_t *head, const char *header)
{
    for (size_t at = 0; at < head->bytes;) {
        ephpm_header_op_t op = (ephpm_header_op_t)head->ops[at];
        const char *name = head->ops + at + 1;
        const char *value = name + strlen(name) + 1;

        if (concerns(header, op, name)) {
            return true;
        }
        at = (size_t)(value + strlen(value) + 1 - head->ops);
    }
    return false;
}

static void each_response_header(void *request, ephpm_pair_fn pass, void *to)
{
    const ephpm_run_t *run = request;
    const ephpm_snapshot_t *snapshot = &run->snapshot;

    for (size_t i = 0; i < snapshot->pair_count; i++) {
        const ephpm_pair_t *pair = &snapshot->pairs[i];

        if (pair->kind == EPHPM_ITEM_RESPONSE_HEADER
            && !undone_later(&run->head, pair->name)) {
            pass(to, pair->name, pair->value);
        }
    }
    ephpm_response_headers(pass, to);
}

static const char *get_variable(void *request, const char *name)
{
    (void)request;
    return ephpm_runner_pair(EPHPM_ITEM_VARIABLE, name);
}

static bool script_stat(void *request, struct stat *status)
{
    const ephpm_run_t *run = request;

    if (run->script_known) {
        *status = run->script;
    }
    return run->script_known;
}

static double request_time(void *request)
{
    const ephpm_run_t *run = request;
    int64_t arrived_us = ephpm_snapshot_get(&run->snapshot,
                                            EPHPM_ITEM_TIME_US);
    struct timespec now;

    if (arrived_us > 0) {
        return (double)arrived_us / 1e6;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ------------------------------------------------------------------ */
/* The log                                                             */

/* How much of a message goes into one line: it is cut between words, unless
 * there is a very long one. */
static size_t line_bytes(const char *message, size_t left)
{
    size_t bytes = EPHPM_LOG_LINE_BYTES;

    if (left <= bytes) {
        return left;
    }
    while (bytes > EPHPM_LOG_LINE_BYTES / 2 && message[bytes - 1] != ' ') {
        bytes--;
    }
    return message[bytes - 1] == ' ' ? bytes : EPHPM_LOG_LINE_BYTES;
}

/* @return false: nobody takes it */
static bool send_log(ephpm_run_t *run, int priority, const char *message)
{
    char piece[1 + EPHPM_LOG_LINE_BYTES];
    size_t left = strlen(message);

    piece[0] = (char)(priority >= LOG_EMERG && priority <= LOG_DEBUG ? priority
                                                                     : 255);
    do {
        size_t bytes = line_bytes(message, left);

        memcpy(piece + 1, message, bytes);
        if (!ephpm_task_write(&run->task, EPHPM_FRAME_LOG, piece,
                              1 + bytes)) {
            return false;
        }
        message += bytes;
        left -= bytes;
    } while (left > 0);
    return true;
}

void ephpm_run_log(ephpm_run_t *run, int priority, const char *message)
{
    /* A process that the script has forked has no part in the job. */
    if (!run->active || ephpm_request_forked() || run->task.answered
        || ephpm_task_abandoned(&run->task)
        || !send_log(run, priority, message)) {
        run->pool->log(priority >= LOG_EMERG && priority <= LOG_DEBUG
                           ? priority : LOG_ERR, message);
    }
}

static void log_message(void *request, int priority, const char *message)
{
    (void)request;
    ephpm_run_log(&ephpm_run, priority, message);
}

const ephpm_server_t *ephpm_runner_server(const ephpm_pool_t *pool)
{
    static ephpm_server_t server = {
        .read_body = read_body,
        .write = write_data,
        .flush = flush,
        .change_header = change_header,
        .send_headers = send_headers,
        .send_interim = send_interim,
        .finish = finish,
        .complete = complete,
        .each_variable = each_variable,
        .each_request_header = each_request_header,
        .each_response_header = each_response_header,
        .getenv = get_variable,
        .script_stat = script_stat,
        .request_time = request_time,
        .log = log_message,
    };

    ephpm_run.pool = pool;
    server.name = pool->sapi_name;
    server.title = pool->sapi_title;
    server.variables_in_env = strcmp(pool->sapi_name, "apache2handler") != 0;
    return &server;
}

void ephpm_run_clear(ephpm_run_t *run)
{
    if (run->body_file >= 0) {
        close(run->body_file);
        run->body_file = -1;
    }
    run->body_at = run->body_bytes = 0;
    run->head.bytes = 0;
    run->head.refused = false;
    /* One script with many is no reason to keep so much. */
    if (run->head.room > 16384) {
        free(run->head.ops);
        run->head.ops = NULL;
        run->head.room = 0;
    }
    for (size_t i = 0; i < run->sent_count; i++) {
        free((char *)run->sent[i].name);
    }
    run->sent_count = 0;
    /* A long body is not kept until the next request. */
    if (run->snapshot.more != NULL) {
        ephpm_snapshot_clear(&run->snapshot);
    }
    run->script_known = false;
    run->active = false;
}
