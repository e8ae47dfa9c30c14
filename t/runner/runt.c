/* runt.c - see runt.h. */

#include "runt.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t runt_next(runt_random_t *random)
{
    /* splitmix64 (Steele, Lea, Flood 2014). */
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t word_at(uint64_t seed, size_t number)
{
    runt_random_t random = { seed + number * UINT64_C(0xd1342543de82ef95) };
    return runt_next(&random);
}

void runt_fill(void *to, size_t bytes, uint64_t seed, size_t at)
{
    unsigned char *here = to;

    while (bytes > 0) {
        uint64_t word = word_at(seed, at / 8);
        size_t skip = at % 8;
        size_t part = 8 - skip < bytes ? 8 - skip : bytes;
        memcpy(here, (const char *)&word + skip, part);
        here += part;
        at += part;
        bytes -= part;
    }
}

bool runt_filled(const void *bytes_at, size_t bytes, uint64_t seed, size_t at)
{
    const unsigned char *here = bytes_at;

    while (bytes > 0) {
        uint64_t word = word_at(seed, at / 8);
        size_t skip = at % 8;
        size_t part = 8 - skip < bytes ? 8 - skip : bytes;
        if (memcmp(here, (const char *)&word + skip, part) != 0) {
            return false;
        }
        here += part;
        at += part;
        bytes -= part;
    }
    return true;
}

void runt_move(ephpm_jobs_t *view, void *to)
{
    ptrdiff_t by = (char *)to - (char *)view->head;
#define MOVE(pointer) \
    ((pointer) = (void *)((char *)(pointer) + by))
    MOVE(view->head);
    MOVE(view->lives);
    MOVE(view->calls);
    MOVE(view->bells);
    MOVE(view->words);
    MOVE(view->slot);
    MOVE(view->ring);
    if (view->writing.ring != NULL) {
        MOVE(view->writing.ring);
    }
}

/* ------------------------------------------------------------------ */
/* Orders                                                              */

/* Mostly small, sometimes around what is a limit, seldom large. */
static uint32_t some_size(runt_random_t *random, uint32_t most)
{
    static const uint32_t edges[] = {
        0, 1, GATHER_BYTES, PIECE_BYTES, EPHPM_RING_BYTES / 4,
        EPHPM_RING_BYTES / 2, EPHPM_RING_BYTES,
    };
    uint32_t kind = runt_below(random, 10);
    uint32_t size = kind < 6 ? runt_below(random, 3000)
                    : kind < 9
                        ? edges[runt_below(random, 7)] + runt_below(random, 9)
                        : runt_below(random, 300000);
    return size > most ? most : size;
}

runt_order_t runt_order(runt_random_t *random, uint64_t serial)
{
    uint32_t least = sizeof(runt_order_t);
    runt_order_t order = {
        .magic = RUNT_MAGIC,
        .serial = serial,
        .seed = runt_next(random),
        .request_bytes = least + some_size(random, EPHPM_REQUEST_BYTES - least),
        .head_bytes = least + some_size(random, 100000),
        .body_bytes = some_size(random, UINT32_MAX),
        .piece_bytes = 1 + some_size(random, UINT32_MAX),
        .how = runt_below(random, 32),
    };
    /* A thousand pieces of a byte each prove nothing more. */
    if (order.body_bytes / order.piece_bytes > 300) {
        order.piece_bytes = order.body_bytes / 300 + 1;
    }
    return order;
}

void runt_submit(ephpm_job_t *job, const runt_order_t *order)
{
    unsigned char *request = ephpm_job_request(job);
    size_t rest = order->request_bytes - sizeof(*order);

    memcpy(request, order, sizeof(*order));
    runt_fill(request + sizeof(*order), rest, ~order->seed, 0);
    ephpm_job_submit(job, order->request_bytes, "/srv/script.php");
}

bool runt_send(ephpm_jobs_t *jobs, ephpm_job_t *job,
               const runt_order_t *order)
{
    struct timespec pause = { 0, 1000000 };
    ephpm_claim_t claim;

    memset(job, 0, sizeof(*job));
    for (int i = 0; i < 60000; i++) {
        claim = ephpm_job_claim(jobs, job);
        if (claim == EPHPM_CLAIMED) {
            runt_submit(job, order);
            return true;
        }
        nanosleep(&pause, NULL);
    }
    return false;
}

/* ------------------------------------------------------------------ */
/* A runner's part                                                     */

bool runt_ordered(const ephpm_task_t *task, runt_order_t *order)
{
    if (task->request_bytes < sizeof(*order)) {
        return false;
    }
    memcpy(order, task->request, sizeof(*order));
    return order->magic == RUNT_MAGIC &&
           order->request_bytes == task->request_bytes &&
           runt_filled(task->request + sizeof(*order),
                       task->request_bytes - sizeof(*order), ~order->seed,
                       0) &&
           task->request[task->request_bytes] == '\0';
}

static void write_head(ephpm_task_t *task, ephpm_frame_type_t type,
                       const runt_order_t *order)
{
    char *head = malloc(order->head_bytes);

    if (head != NULL) {
        memcpy(head, order, sizeof(*order));
        runt_fill(head + sizeof(*order), order->head_bytes - sizeof(*order),
                  order->seed + 1, 0);
        ephpm_task_write(task, type, head, order->head_bytes);
        free(head);
    }
}

static bool write_body(ephpm_task_t *task, const runt_order_t *order)
{
    char *piece = malloc(order->piece_bytes);
    bool wanted = piece != NULL;

    for (size_t at = 0; wanted && at < order->body_bytes;) {
        size_t bytes = order->body_bytes - at;
        bytes = bytes < order->piece_bytes ? bytes : order->piece_bytes;
        runt_fill(piece, bytes, order->seed, at);
        wanted = ephpm_task_write(task, EPHPM_FRAME_BODY, piece, bytes);
        at += bytes;
        if (wanted && order->how & RUNT_FLUSH) {
            wanted = ephpm_task_write(task, EPHPM_FRAME_FLUSH, NULL, 0);
        }
    }
    free(piece);
    return wanted;
}

/* The serial, with what the frame is for before it. */
static void write_serial(ephpm_task_t *task, ephpm_frame_type_t type,
                         const runt_order_t *order)
{
    char text[1 + sizeof(order->serial)] = { (char)type };

    memcpy(text + 1, &order->serial, sizeof(order->serial));
    ephpm_task_write(task, type, text, sizeof(text));
}

bool runt_serve(ephpm_task_t *task)
{
    runt_order_t order;
    bool good = runt_ordered(task, &order);

    if (good) {
        ephpm_job_end_t end = {
            .memory_bytes = order.serial,
            .cpu_us = order.seed,
            .exit_status = (int32_t)(order.serial % 256),
            .user = "somebody",
        };
        if (order.how & RUNT_LOG) {
            write_serial(task, EPHPM_FRAME_LOG, &order);
        }
        if (order.how & RUNT_INTERIM) {
            write_head(task, EPHPM_FRAME_INTERIM, &order);
        }
        write_head(task, EPHPM_FRAME_HEAD, &order);
        if (order.how & RUNT_NOTES) {
            write_serial(task, EPHPM_FRAME_NOTE, &order);
            write_serial(task, EPHPM_FRAME_ENV, &order);
        }
        write_body(task, &order);
        if (order.how & RUNT_ANSWER) {
            ephpm_task_answer(task, &end);
            ephpm_task_write(task, EPHPM_FRAME_BODY, "in vain", 7);
        }
        if (order.serial % 4 != 0) {
            ephpm_task_complete(task, &end);
        }
        ephpm_task_finish(task, &end);
    } else {
        ephpm_task_finish(task, NULL);
    }
    return good;
}

bool runt_run(ephpm_jobs_t *jobs, unsigned index, const _Atomic int *stop)
{
    ephpm_task_t task;
    bool good = ephpm_runner_attach(jobs, index);

    while (good && atomic_load(stop) == 0) {
        if (ephpm_task_take(jobs, &task, EPHPM_LOOK_AGAIN_MS)) {
            good = runt_serve(&task);
        }
    }
    ephpm_runner_detach(jobs);
    return good;
}

/* ------------------------------------------------------------------ */
/* A submitter's part                                                  */

void runt_expect(runt_heard_t *heard, const runt_order_t *order)
{
    *heard = (runt_heard_t){ .order = *order };
}

static void check_head(runt_heard_t *heard, const void *data, size_t bytes)
{
    const runt_order_t *order = &heard->order;

    if (bytes != order->head_bytes) {
        heard->wrong = "a head of another length";
    } else if (memcmp(data, order, sizeof(*order)) != 0) {
        heard->wrong = "another job's head";
    } else if (!runt_filled((const char *)data + sizeof(*order),
                            bytes - sizeof(*order), order->seed + 1, 0)) {
        heard->wrong = "a head of other bytes";
    }
}

static void check_end(runt_heard_t *heard, const void *data, size_t bytes)
{
    ephpm_job_end_t end;

    if (bytes != sizeof(end)) {
        heard->wrong = "an end of another length";
        return;
    }
    memcpy(&end, data, sizeof(end));
    if (end.memory_bytes != heard->order.serial ||
        end.cpu_us != heard->order.seed ||
        end.exit_status != (int32_t)(heard->order.serial % 256) ||
        strcmp(end.user, "somebody") != 0) {
        heard->wrong = "another job's end";
    }
    heard->ended = true;
}

static void check_serial(runt_heard_t *heard, ephpm_frame_type_t type,
                         const void *data, size_t bytes)
{
    const char *text = data;

    if (bytes != 1 + sizeof(heard->order.serial) || text[0] != (char)type ||
        memcmp(text + 1, &heard->order.serial, bytes - 1) != 0) {
        heard->wrong = "another job's note or log line";
    }
}

size_t runt_hear(void *to, ephpm_frame_type_t type, const void *data,
                 size_t bytes)
{
    runt_heard_t *heard = to;

    if (heard->wrong != NULL) {
        return bytes;
    }
    if (heard->ended) {
        heard->wrong = "a frame after the end";
        return bytes;
    }
    switch (type) {
    case EPHPM_FRAME_HEAD:
        heard->heads++;
        check_head(heard, data, bytes);
        break;
    case EPHPM_FRAME_INTERIM:
        heard->interims++;
        check_head(heard, data, bytes);
        break;
    case EPHPM_FRAME_BODY:
        if (heard->takes != 0 && bytes > heard->takes) {
            bytes = heard->takes;
        }
        if (!runt_filled(data, bytes, heard->order.seed, heard->body_bytes)) {
            heard->wrong = "a body of other bytes";
        }
        heard->body_bytes += bytes;
        break;
    case EPHPM_FRAME_FLUSH:
        heard->flushes++;
        break;
    case EPHPM_FRAME_LOG:
        heard->logs++;
        check_serial(heard, type, data, bytes);
        break;
    case EPHPM_FRAME_NOTE:
    case EPHPM_FRAME_ENV:
        heard->notes++;
        check_serial(heard, type, data, bytes);
        break;
    case EPHPM_FRAME_END:
        check_end(heard, data, bytes);
        break;
    default:
        heard->wrong = "a frame of no known type";
    }
    return bytes;
}

ephpm_read_t runt_listen(ephpm_job_t *job, runt_heard_t *heard)
{
    ephpm_read_t read;
    struct pollfd event = { .fd = ephpm_submitter_fd(job->jobs),
                            .events = POLLIN };

    for (;;) {
        read = ephpm_job_read(job, runt_hear, heard);
        if (read == EPHPM_READ_MORE) {
            if (event.fd >= 0) {
                poll(&event, 1, EPHPM_LOOK_AGAIN_MS);
                ephpm_submitter_awake(job->jobs);
            } else {
                ephpm_job_wait(job, EPHPM_LOOK_AGAIN_MS);
            }
        } else if (read != EPHPM_READ_STOPPED) {
            return read;
        }
    }
}

const char *runt_judge(const runt_heard_t *heard)
{
    const runt_order_t *order = &heard->order;
    unsigned pieces =
        (order->body_bytes + order->piece_bytes - 1) / order->piece_bytes;

    return heard->wrong != NULL                          ? heard->wrong
           : !heard->ended                               ? "no end"
           : heard->heads != 1                           ? "not one head"
           : heard->body_bytes != order->body_bytes      ? "not all of a body"
           : heard->interims != !!(order->how & RUNT_INTERIM)
               ? "not the right number of interim responses"
           : heard->logs != !!(order->how & RUNT_LOG)
               ? "not the right number of log lines"
           : heard->notes != (order->how & RUNT_NOTES ? 2 : 0)
               ? "not the right number of notes"
           : heard->flushes != (order->how & RUNT_FLUSH ? pieces : 0)
               ? "not the right number of flushes"
               : NULL;
}

const char *runt_round(ephpm_jobs_t *jobs, const runt_order_t *order)
{
    ephpm_job_t job;
    runt_heard_t heard;

    if (!runt_send(jobs, &job, order)) {
        return "no place for the job";
    }
    runt_expect(&heard, order);
    ephpm_read_t read = runt_listen(&job, &heard);
    ephpm_job_release(&job);
    return read != EPHPM_READ_END ? "the job did not come to its end"
                                  : runt_judge(&heard);
}
